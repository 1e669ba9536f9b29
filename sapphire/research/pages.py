"""What MLflow's pages say of a study: one run per study, below it what was asked, below that folds and combinations.

A result is noted once it is counted; noting it takes milliseconds, loads nothing, and never fails the study
(`sapphire.registry.tracking.outbox`).
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from sapphire.agents import plain_parameters
from sapphire.domain.engine import load_engine
from sapphire.domain.workspace import find_workspace, home
from sapphire.registry import git_state
from sapphire.registry.tracking import Outbox, Page, Table, lineage_tags, notebook_name
from sapphire.registry.tracking.pages import BENCHMARK, DRAWDOWN, GROWTH, Series
from sapphire.registry.tracking.stories import RELEASE_TAG, SETTINGS
from sapphire.research.results.performance import HEADER, Performance, digest_of_returns, simple_returns
from sapphire.research.results.replays import REAL, Replayed
from sapphire.research.results.screens import Screen, Sweep, buy_and_hold
from sapphire.research.results.showing import described
from sapphire.statistics import annualise, drawdown_series

if TYPE_CHECKING:
    import pandas as pd

    from sapphire.agents import Agent
    from sapphire.registry import EvidenceBundle, RegisteredRelease
    from sapphire.research.studies import Study

__all__ = ["note_release", "noted"]

Result = TypeVar("Result", Screen, Sweep, Replayed)

_NS_PER_MS = 1_000_000
_POINTS = 400
"""Most points of a series: more than a page shows."""
_COMBINATIONS = 20
"""Most combinations of a sweep that get a run of their own; the table has all."""
_SYMBOLS = 4
_SHORT = 12


def noted(result: Result) -> Result:
    """Keep what was found for MLflow's pages, and hand it on."""
    metrics: Mapping[str, float] = {}
    if isinstance(result, Screen):
        page = _screen_page(result)
    elif isinstance(result, Sweep):
        page = _sweep_page(result)
    else:
        page = _replay_page(result)
        metrics = metrics_of(result.performance)
    above = _study_page(result.study, result.agent, [page], metrics, trials=result.trials)
    Outbox.of(home()).note(above)
    return result


def note_release(
    study: Study,
    agent: Agent,
    registered: RegisteredRelease,
    bundle: EvidenceBundle,
    measured: tuple[Replayed, Replayed] | None,
) -> None:
    """Keep what a submit measured for MLflow's pages, on the run that it made.

    Parameters
    ----------
    measured : the replays of walk-forward and hold-out; None where stored evidence was taken.
    """
    walk, holdout = bundle.walk_forward, bundle.holdout
    children: list[Page] = []
    series: dict[str, Series] = {}
    below = "The evidence was there already, so nothing was measured again; folds are below the run that measured it."
    if measured is not None:
        walked, opened = measured
        below = "The picture is the walk-forward account. Folds and hold-out are below this run."
        series = _curves(walked.study, walked.equity)
        children = [*_fold_pages(walked, registered.digest), _holdout_page(opened, registered.digest)]
    numbers = bundle.metrics()
    headline = (
        f"walk-forward {100 * walk.total_return:+.2f} %, Sharpe {_yearly(numbers, 'walk_forward')} a year; "
        f"hold-out {100 * holdout.agent.total_return:+.2f} %, buy and hold there "
        f"{100 * holdout.baselines['buy_and_hold'].total_return:+.2f} %; N = {walk.trials:,} trials"
    )
    marks = "".join(f"\n\n**Marked:** {mark}." for mark in bundle.marks)
    page = Page(
        key=f"{_study_key(study)}/submit/{registered.digest[:_SHORT]}",
        kind="submit",
        run_id=registered.run_id,
        name=f"submit {registered.label}",
        headline=headline + "".join(f"; MARKED: {mark}" for mark in bundle.marks),
        at_ms=_now_ms(study),
        description=(
            f"Evidence of release **{registered.label}**: {described(agent)}, measured from its captured source in "
            f"processes of its own, hold-out opened. {headline}.{marks}\n\n{below}"
        ),
        tags={RELEASE_TAG: registered.label},
        series=series,
        children=tuple(children),
    )
    account = {} if measured is None else metrics_of(measured[0].performance)
    Outbox.of(home()).tell(_study_page(study, agent, [page], account, trials=walk.trials))


def metrics_of(performance: Performance) -> dict[str, float]:
    """The numbers of an account, each named with its unit; the same names in a screen, a replay and a submit."""
    return {
        "return_pct": 100 * performance.total_return,
        "sharpe_annual": annualise(performance.sharpe, performance.per_year),
        "sharpe_annual_standard_error": annualise(performance.sharpe_error, performance.per_year),
        "sharpe_above_zero_probability": performance.probability,
        "max_drawdown_pct": 100 * performance.drawdown,
        "turnover_per_year": performance.turnover,
        "fees_bps": 10_000 * performance.costs,
        "fills_count": performance.fills,
        "bars_count": performance.bars,
    }


def _study_page(study: Study, agent: Agent, children: list[Page], metrics: Mapping[str, float], *, trials: int) -> Page:
    protocol = study.protocol.as_dict()
    symbols = ", ".join(study.data.symbols[:_SYMBOLS])
    more = len(study.data.symbols) - _SYMBOLS
    symbols += f" and {more} more" if more > 0 else ""
    first, last = study.folds[0], study.folds[-1]
    params = {
        "symbols": ", ".join(study.data.symbols),
        "interval": str(study.data.interval),
        "tested_from": f"{first.test_start:%Y-%m-%d}",
        "tested_to": f"{last.test_end:%Y-%m-%d}",
        "holdout_from": f"{study.holdout_start:%Y-%m-%d}",
        "folds": str(len(study.folds)),
        "split": str(protocol["split"]["kind"]),
        "sizing": f"{study.sizing.name} {study.sizing.parameters}",
        "maker_bps": f"{study.costs.maker_bps:g}",
        "taker_bps": f"{study.costs.taker_bps:g}",
        "slippage_bps": f"{study.costs.slippage_bps:g}",
        "latency_ms": " to ".join(f"{each:g}" for each in study.costs.latency_ms),
        "limits": study.limits.name,
        "starting_cash_quote": f"{study.starting_cash:g}",
        "seed": str(study.seed),
    }
    lines = "\n".join(f"| {what} | {value} |" for what, value in study.table()[1])
    lineage = lineage_tags(
        git=git_state(find_workspace() or Path.cwd()),
        notebook=notebook_name(os.environ),
        snapshot_hash=study.data.hash,
        data=study.label,
        engine_version=load_engine().engine_version(),
    )
    return Page(
        key=_study_key(study),
        kind="study",
        experiment=f"research.{study.name}",
        name=f"{study.name}: {{agents}} on {symbols}, {study.data.interval}, "
        f"{first.test_start:%Y-%m-%d} to {last.test_end:%Y-%m-%d}",
        headline="",
        at_ms=_now_ms(study),
        description=(
            f"Does it earn on {symbols}? Study **{study.name}** on {study.label}, {study.data.interval} bars, tested "
            f"{first.test_start:%Y-%m-%d} to {last.test_end:%Y-%m-%d} in {len(study.folds)} folds, each behind its own "
            f"training window; the hold-out from {study.holdout_start:%Y-%m-%d} is sealed until a submit. "
            f"**N = {trials:,} trials** in the ledger when this was last asked. The numbers of this run are those of "
            f"the newest replay or submit below it.\n\n{SETTINGS}\n\n| setting | value |\n|---|---|\n{lines}"
        ),
        tags={**lineage, "agents": agent.name, "protocol.sha256": study.protocol.digest},
        params=params,
        metrics={**metrics, "trials_count": trials},
        children=tuple(children),
    )


def _screen_page(result: Screen) -> Page:
    what = described(result.agent)
    headline = f"{_headline_of(result.performance)}; by vectorbt, no evidence; N = {result.trials:,}"
    return Page(
        key=_key(result.study, "screen", result.agent, result.equity),
        kind="screen",
        name=f"screen {what}",
        headline=headline,
        at_ms=_now_ms(result.study),
        description=f"A first look at {what} by vectorbt, long or flat on its views. It proves nothing. {headline}.",
        params=_parameters(result.agent),
        metrics={**metrics_of(result.performance), "trials_count": result.trials},
        series=_curves(result.study, result.equity),
    )


def _sweep_page(result: Sweep) -> Page:
    numbered = range(len(result.values))
    order = sorted(numbered, key=lambda place: _rank(result.performances[place]), reverse=True)
    parameters = [row["parameters"] for row in result.as_dict()["rows"]]
    names = [{name: str(value) for name, value in each.items()} for each in parameters]
    rows = tuple((*names[place].values(), *result.performances[place].row()) for place in order)
    best, over = order[0], " x ".join(result.names)
    headline = (
        f"{len(order):,} combinations of {over}; the best by luck and skill together: "
        f"{_words(names[best])}, {_headline_of(result.performances[best])}; each counts: N = {result.trials:,}"
    )
    key = f"{_study_key(result.study)}/sweep/{result.agent.name}/{_digest_of(rows)}"
    shown = order[:_COMBINATIONS]
    bounded = f" The best {len(shown)} have a run below this one; all are in `combinations.csv`."
    return Page(
        key=key,
        kind="sweep",
        name=f"sweep {result.agent.name} over {over}",
        headline=headline,
        at_ms=_now_ms(result.study),
        description=f"{headline}.{bounded}",
        metrics={
            **metrics_of(result.performances[best]),
            "combinations_count": len(order),
            "refused_count": len(result.refused),
            "trials_count": result.trials,
        },
        tables={"combinations": Table((*result.names, *HEADER), rows)},
        children=tuple(
            Page(
                key=f"{key}/{place}",
                kind="combination",
                name=_words(names[place]),
                headline=_headline_of(result.performances[place]),
                at_ms=_now_ms(result.study),
                params=names[place],
                metrics=metrics_of(result.performances[place]),
            )
            for place in shown
        ),
    )


def _replay_page(result: Replayed) -> Page:
    what = described(result.agent)
    counterfactual = "" if result.model == REAL else f" ({result.model.assumption})"
    headline = f"{_headline_of(result.performance)}; N = {result.trials:,}"
    marks = "".join(f"\n\n**Marked:** {mark}." for mark in result.marks)
    return Page(
        key=_key(result.study, f"replay/{result.model}", result.agent, result.equity),
        kind="replay",
        name=f"replay {what}{counterfactual}",
        headline=headline + "".join(f"; MARKED: {mark}" for mark in result.marks),
        at_ms=_now_ms(result.study),
        description=(
            f"The compiled engine over the folds, one continuous account with book, latency and fees, of {what} as it "
            f"stood in the notebook. No gate reads it. {headline}.{marks}"
        ),
        tags={"decisions.digest": result.digest},
        params=_parameters(result.agent),
        metrics={**metrics_of(result.performance), "trials_count": result.trials, **_counts(result)},
        series=_curves(result.study, result.equity),
        children=tuple(_fold_pages(result, result.digest)),
    )


def _fold_pages(result: Replayed, of: str) -> Iterator[Page]:
    """A page per test window.

    Parameters
    ----------
    of : what tells the run from others.
    """
    folds = result.by_fold
    for number, (name, performance, exposure) in enumerate(
        zip(folds.parts, folds.performances, folds.exposures, strict=True), start=1
    ):
        fold = result.study.folds[number - 1]
        yield Page(
            key=f"{_study_key(result.study)}/fold/{of[:_SHORT]}/{number}",
            kind="fold",
            name=f"fold {' '.join(name.split())}",
            headline=_headline_of(performance),
            at_ms=_now_ms(result.study),
            params={
                "trained_from": f"{fold.train_start:%Y-%m-%d %H:%M}",
                "tested_from": f"{fold.test_start:%Y-%m-%d %H:%M}",
                "tested_to": f"{fold.test_end:%Y-%m-%d %H:%M}",
            },
            metrics={**metrics_of(performance), "exposure_pct": 100 * exposure},
        )


def _holdout_page(holdout: Replayed, release: str) -> Page:
    return Page(
        key=f"{release[:_SHORT]}/holdout/{holdout.digest[:_SHORT]}",
        kind="holdout",
        name="hold-out",
        headline=_headline_of(holdout.performance),
        at_ms=_now_ms(holdout.study),
        description=f"The hold-out, opened by this submit. {_headline_of(holdout.performance)}.",
        metrics={**metrics_of(holdout.performance), **_counts(holdout)},
        series=_curves(holdout.study, holdout.equity),
    )


def _counts(result: Replayed) -> dict[str, float]:
    record = result.record
    return {
        "orders_count": len(record["orders"]["order"]),
        "denials_count": len(record["denials"]["order"]),
        "refusals_count": len(record["refusals"]["symbol"]),
    }


def _curves(study: Study, equity: pd.Series[float]) -> dict[str, Series]:
    """Growth of one unit, the benchmark's and the drawdown, at the last close of each day; of fewer days if many."""
    worth = equity.to_numpy(dtype=np.float64)
    columns = {
        GROWTH: worth / worth[0],
        BENCHMARK: buy_and_hold(study).to_numpy(dtype=np.float64),
        DRAWDOWN: -100 * drawdown_series(worth),
    }
    closes_ms = study.tested.close_time_ns // _NS_PER_MS
    days = closes_ms // 86_400_000
    last = np.flatnonzero(np.append(days[1:] != days[:-1], True))
    stride = max(1, -(-len(last) // _POINTS))
    kept = last[::-stride][::-1]
    return {
        name: tuple(zip(closes_ms[kept].tolist(), values[kept].tolist(), strict=True))
        for name, values in columns.items()
    }


def _headline_of(performance: Performance) -> str:
    """An account in one line."""
    _, sharpe, _, drawdown, _, fees, fills = performance.row()
    return (
        f"{100 * performance.total_return:+.2f} %, Sharpe {sharpe} a year, drawdown {drawdown}, fees {fees}, "
        f"{fills} fills over {performance.bars:,} bars"
    )


def _parameters(agent: Agent) -> dict[str, str]:
    return {"agent": agent.name, **{name: str(value) for name, value in plain_parameters(agent).items()}}


def _study_key(study: Study) -> str:
    return f"{study.data.hash[:_SHORT]}/{study.protocol.digest[:_SHORT]}"


def _key(study: Study, kind: str, agent: Agent, equity: pd.Series[float]) -> str:
    """The same agent with the same outcome is the same run."""
    outcome = digest_of_returns(simple_returns(equity.to_numpy(dtype=np.float64)))
    return f"{_study_key(study)}/{kind}/{_digest_of(described(agent))}/{outcome[:_SHORT]}"


def _digest_of(value: object) -> str:
    from sapphire.domain.canonical import sha256_of

    return sha256_of(repr(value).encode())[:_SHORT]


def _yearly(numbers: dict[str, float], part: str) -> str:
    value = numbers.get(f"{part}/sharpe_annual")
    return "-" if value is None else f"{value:.2f}"


def _rank(performance: Performance) -> float:
    return -math.inf if math.isnan(performance.sharpe) else performance.sharpe


def _words(named: dict[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in named.items())


def _now_ms(study: Study) -> int:
    return study.clock.now_ns() // _NS_PER_MS
