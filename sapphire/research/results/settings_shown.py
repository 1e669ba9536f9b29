"""The settings of a study as its table shows them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sapphire.agents import duration_text

if TYPE_CHECKING:
    from sapphire.research.studies import Study

__all__ = ["settings_of"]


def settings_of(study: Study) -> list[tuple[str, str]]:
    """What it is made of, and how that reads."""
    first, last = study.folds[0], study.folds[-1]
    return [
        ("symbols", f"{', '.join(study.data.symbols)}, {study.data.interval} bars"),
        (
            "training from",
            f"{min(each.train_start for each in study.folds):%Y-%m-%d %H:%M}Z, {_rounded(first.trained)} a fold",
        ),
        (
            "tested",
            f"{first.test_start:%Y-%m-%d %H:%M}Z to {last.test_end:%Y-%m-%d %H:%M}Z in {len(study.folds)} folds",
        ),
        ("embargo", _rounded(first.apart)),
        ("hold-out, sealed", f"from {study.holdout_start:%Y-%m-%d %H:%M}Z, {_rounded(study.holdout)}"),
        ("costs", f"{study.costs.name}: maker {study.costs.maker_bps:g}, taker {study.costs.taker_bps:g} bps"),
        ("sizing", f"{study.sizing.name} {study.sizing.parameters}"),
        ("limits", f"{study.limits.name}: loss of {study.limits.daily_loss_bps} bps a day"),
        ("when views stop", study.when_views_stop.text),
        ("protocol", study.protocol.digest[:12]),
    ]


def _rounded(length: timedelta) -> str:
    """A length of time to the second: blocks of equal length seldom are whole ones."""
    return duration_text(timedelta(seconds=round(length.total_seconds())))
