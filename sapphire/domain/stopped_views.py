"""What positions do when views stop: held for some bars, then reduced in equal steps, then flat.

A belief lives for its horizon. From its end on the rule counts closes of the bar grid in market time, so a close that
nobody decided on counts as well, and the first one that is decided again finds the position where the rule has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sapphire.domain.errors import ValueRefused
from sapphire.domain.intervals import Interval
from sapphire.domain.views import Belief

__all__ = ["LastBelief", "Stage", "Stopped", "WhenViewsStop", "stopped_views"]

_MOST_BARS = 10_000


class Stage(StrEnum):
    """Where a position is once nothing is believed of it any more."""

    HOLDING = "holding"
    REDUCING = "reducing"
    FLAT = "flat"


@dataclass(frozen=True, slots=True)
class WhenViewsStop:
    """The rule, frozen in a release.

    Parameters
    ----------
    hold_bars : closes at which the position is kept as it is, counted from the end of the last belief.
    reduce_bars : closes after those at which it is reduced, by the same number of lots each; the next one is flat.

    Raises
    ------
    ValueRefused : not a whole number from 0 to 10,000.

    Examples
    --------
    >>> rule = WhenViewsStop(hold_bars=1, reduce_bars=3)
    >>> [rule.remaining(100, bar) for bar in (1, 2, 3, 4, 5, 6)]
    [100, 75, 50, 25, 0, 0]
    >>> [str(rule.stage(bar)) for bar in (1, 2, 5)]
    ['holding', 'reducing', 'flat']
    """

    hold_bars: int = 3
    reduce_bars: int = 3

    def __post_init__(self) -> None:
        for name, value in self.as_dict().items():
            if type(value) is not int or not 0 <= value <= _MOST_BARS:
                raise ValueRefused(
                    f"{name} of the rule for views that stop",
                    expected=f"a whole number of bars, 0 to {_MOST_BARS:,}",
                    got=repr(value),
                    next="start from the default: WhenViewsStop()",
                )

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> WhenViewsStop:
        """The rule that plain values state.

        Raises
        ------
        ValueRefused : other keys, or bad values.
        """
        wanted = asdict(cls())
        if not isinstance(value, Mapping) or value.keys() != wanted.keys():
            given = ", ".join(map(str, value)) if isinstance(value, Mapping) else type(value).__name__
            raise ValueRefused("the rule for views that stop", expected=", ".join(wanted), got=given or "nothing")
        return cls(**value)

    def as_dict(self) -> dict[str, int]:
        """Plain values, as a manifest holds them."""
        return asdict(self)

    @property
    def text(self) -> str:
        """In words.

        >>> WhenViewsStop().text
        'hold for 3 bars, reduce over 3 bars, then flat'
        """
        return f"hold for {self.hold_bars} bars, reduce over {self.reduce_bars} bars, then flat"

    def stage(self, bar: int) -> Stage:
        """Where a position is at the close `bar`, 1 at the first close without a living belief."""
        if bar <= self.hold_bars:
            return Stage.HOLDING
        return Stage.REDUCING if bar <= self.hold_bars + self.reduce_bars else Stage.FLAT

    def remaining(self, lots: int, bar: int) -> int:
        """What is left at the close `bar` of the `lots` that were held when the belief ended, cut toward zero."""
        left = self.reduce_bars + 1 - max(0, bar - self.hold_bars)
        share = abs(lots) * max(0, left) // (self.reduce_bars + 1)
        return share if lots >= 0 else -share


@dataclass(frozen=True, slots=True)
class LastBelief:
    """The newest belief of a symbol: what is remembered from one close to the next.

    Parameters
    ----------
    belief : as it was stated.
    lots : what was held at the first close after its end that was sized; None until then.
    """

    belief: Belief
    lots: int | None = None

    @property
    def symbol(self) -> str:
        """Of what."""
        return self.belief.symbol

    @property
    def ends(self) -> datetime:
        """When it ends; at that close it lives no more."""
        return self.belief.as_of + self.belief.horizon

    def bars_since(self, close: datetime, interval: Interval) -> int:
        """Closes since its end, the close `close` included; zero or less while it lives."""
        return (close - self.ends) // interval.timedelta + 1


@dataclass(frozen=True, slots=True)
class Stopped:
    """A symbol of which nothing is believed any more.

    Parameters
    ----------
    symbol : of what.
    since : when the last belief ended.
    bar : closes since then.
    stage : what the rule does with the position.
    """

    symbol: str
    since: datetime
    bar: int
    stage: Stage


def stopped_views(
    remembered: Iterable[LastBelief], close: datetime, *, rule: WhenViewsStop, interval: Interval
) -> tuple[Stopped, ...]:
    """The symbols whose last belief has ended by `close`, in alphabetical order."""
    found = []
    for last in sorted(remembered, key=lambda each: each.symbol):
        bar = last.bars_since(close, interval)
        if bar > 0:
            found.append(Stopped(last.symbol, last.ends, bar, rule.stage(bar)))
    return tuple(found)
