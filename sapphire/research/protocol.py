"""The protocol of a study: its settings as one frozen object."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sapphire.domain.clocks import to_ns
from sapphire.domain.errors import ValueRefused
from sapphire.domain.protocols import Protocol

if TYPE_CHECKING:
    from sapphire.research.runs.costs import Costs
    from sapphire.research.studies import Study

__all__ = ["protocol_of"]


def protocol_of(study: Study) -> Protocol:
    """What a study measures under.

    Raises
    ------
    ValueRefused : a split that is no dataclass of plain values: it could not be written down.
    """
    return Protocol(
        costs=_of_costs(study.costs),
        published=_of_costs(study.costs.published),
        split=_of_split(study.split),
        holdout_ns=_nanoseconds(study.holdout),
        seeds={"study": study.seed},
        sizing={"name": study.sizing.name, "parameters": study.sizing.parameters},
        limits=study.limits.as_dict(),
        execution=study.execution.as_dict(),
        when_views_stop=study.when_views_stop.as_dict(),
        starting_cash=str(study.starting_cash),
    )


def _of_costs(costs: Costs) -> dict[str, Any]:
    """Costs without what they are called: another name is not another protocol."""
    numbers = costs.parameters()
    del numbers["name"]
    return {name: [*map(float, of)] if isinstance(of, tuple) else of for name, of in numbers.items()} | {
        name: float(numbers[name]) for name in ("maker_bps", "taker_bps", "slippage_bps")
    }


def _of_split(split: object) -> dict[str, Any]:
    if not is_dataclass(split):
        raise ValueRefused(
            "a split that cannot be written into the protocol",
            expected="a frozen dataclass of numbers, texts and lengths of time, as sapphire.walk_forward(...) makes",
            got=type(split).__name__,
        )
    return {"kind": type(split).__name__} | {each.name: _plain(getattr(split, each.name)) for each in fields(split)}


def _plain(value: Any) -> Any:
    if isinstance(value, timedelta):
        return _nanoseconds(value)
    if isinstance(value, datetime):
        return to_ns(value)
    return value


def _nanoseconds(length: timedelta) -> int:
    return length // timedelta(microseconds=1) * 1_000
