"""Bar lengths: the intervals that venues have, closed at the start and open at the end.

A bar that opens at `t` holds every trade with `t <= time < t + interval`. The grid starts at the Unix epoch, UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sapphire.domain.errors import UnknownInterval

__all__ = ["INTERVALS", "Interval"]

_NS_PER_SECOND = 1_000_000_000
_SECONDS = {
    "1m": 60,
    "3m": 180,
    "5m": 300,
    "15m": 900,
    "30m": 1_800,
    "1h": 3_600,
    "2h": 7_200,
    "4h": 14_400,
    "6h": 21_600,
    "8h": 28_800,
    "12h": 43_200,
    "1d": 86_400,
}
INTERVALS: tuple[str, ...] = tuple(_SECONDS)
"""Every allowed interval, shortest first."""


@dataclass(frozen=True, slots=True)
class Interval:
    """One bar length.

    Parameters
    ----------
    text : one of `INTERVALS`, as Binance and ccxt write it.

    Raises
    ------
    UnknownInterval : any other text.

    Examples
    --------
    >>> Interval("5m").seconds
    300
    >>> Interval("1h").floor(7_199_999_999_999) == 3_600_000_000_000
    True
    """

    text: str

    def __post_init__(self) -> None:
        if self.text not in _SECONDS:
            raise UnknownInterval(
                "unknown bar interval",
                expected="one of " + ", ".join(INTERVALS),
                got=repr(self.text),
                next="take the nearest shorter interval and window.resample(...) it",
            )

    def __str__(self) -> str:
        return self.text

    @property
    def seconds(self) -> int:
        """Length in seconds."""
        return _SECONDS[self.text]

    @property
    def ns(self) -> int:
        """Length in nanoseconds."""
        return _SECONDS[self.text] * _NS_PER_SECOND

    @property
    def timedelta(self) -> timedelta:
        """Length as a timedelta."""
        return timedelta(seconds=self.seconds)

    def floor(self, ns: int) -> int:
        """Open time (ns) of the bar that holds the instant `ns`; an instant on the grid opens its own bar."""
        return ns - ns % self.ns

    def bars_between(self, start: int, end: int) -> int:
        """Number of bars that open in `[start, end)`, both UTC nanoseconds; zero when `end <= start`."""
        return max(0, -(-end // self.ns) - -(-start // self.ns))

    def is_multiple_of(self, shorter: Interval) -> bool:
        """Whether bars of this interval are made of whole bars of `shorter`."""
        return self.seconds % shorter.seconds == 0
