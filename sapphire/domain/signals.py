"""Signal: a target position with a time to live. What the portfolio hands to the execution service."""

from __future__ import annotations

from dataclasses import dataclass

from sapphire.domain.errors import ValueRefused

__all__ = ["Signal", "SignalIdentity"]

SignalIdentity = tuple[str, str, int]
"""(release, symbol, close of the bar it stands on)."""


@dataclass(frozen=True, slots=True)
class Signal:
    """Hold `target_lots` of a symbol; a target and not an increment, so repeating it is harmless.

    Parameters
    ----------
    release : the release that decided, "trend@1".
    symbol : "BTC/USDT".
    target_lots : position to hold, in lots; negative is short.
    bar_close_ns : close of the bar it stands on, market time, UTC ns.
    time_to_live_ns : how long after that close it is worth driving towards.
    reference_ticks : price it was decided at.

    Raises
    ------
    ValueRefused : no release or symbol, a time to live or a reference that is not above zero, a close before the epoch.
    """

    release: str
    symbol: str
    target_lots: int
    bar_close_ns: int
    time_to_live_ns: int
    reference_ticks: int

    def __post_init__(self) -> None:
        if not self.release or not self.symbol:
            raise ValueRefused("signal without an identity", expected="a release and a symbol", got=repr(self.identity))
        if self.bar_close_ns < 0 or self.time_to_live_ns <= 0 or self.reference_ticks <= 0:
            raise ValueRefused(
                f"signal of {self.release} for {self.symbol}",
                expected="bar_close_ns of zero or more, time_to_live_ns and reference_ticks above zero",
                got=f"{self.bar_close_ns}, {self.time_to_live_ns}, {self.reference_ticks}",
            )

    @property
    def identity(self) -> SignalIdentity:
        """What makes two signals the same one."""
        return (self.release, self.symbol, self.bar_close_ns)

    @property
    def expires_ns(self) -> int:
        """Market time at which it is dead: intervals are open at the end."""
        return self.bar_close_ns + self.time_to_live_ns
