"""What trading costs, as an assumption with a source."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sapphire.domain.errors import ValueRefused

__all__ = ["RATE_ONE", "Costs", "binance_spot"]

RATE_ONE = 100_000_000
"""A rate of one in units of 1e-8, as the engine counts rates."""

_E8_PER_BPS = RATE_ONE // 10_000
_NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Costs:
    """Fees, slippage and delay of one venue.

    Parameters
    ----------
    name : what the table calls them.
    maker_bps, taker_bps : fee on the amount received, in basis points.
    slippage_bps : what the screen pays beside the fee on each trade. The engine pays the book's spread instead.
    latency_ms : shortest and longest time a request travels to the venue.

    Raises
    ------
    ValueRefused : a negative number, or a longest latency below the shortest.
    """

    name: str
    maker_bps: float
    taker_bps: float
    slippage_bps: float
    latency_ms: tuple[float, float]

    def __post_init__(self) -> None:
        numbers = (self.maker_bps, self.taker_bps, self.slippage_bps, *self.latency_ms)
        if not all(0 <= number < float("inf") for number in numbers) or self.latency_ms[1] < self.latency_ms[0]:
            raise ValueRefused(
                f"costs {self.name!r}",
                expected="numbers of zero or more, the longest latency not below the shortest",
                got=f"maker {self.maker_bps}, taker {self.taker_bps}, slippage {self.slippage_bps} bps, "
                f"latency {self.latency_ms} ms",
            )

    @property
    def maker_e8(self) -> int:
        """Maker fee rate in units of 1e-8."""
        return round(self.maker_bps * _E8_PER_BPS)

    @property
    def taker_e8(self) -> int:
        """Taker fee rate in units of 1e-8."""
        return round(self.taker_bps * _E8_PER_BPS)

    @property
    def latency_ns(self) -> tuple[int, int]:
        """Shortest and longest delay in nanoseconds."""
        return round(self.latency_ms[0] * _NS_PER_MS), round(self.latency_ms[1] * _NS_PER_MS)

    def stressed(self, factor: float) -> Costs:
        """Fees, spread and latency `factor` times as high, for the engine.

        The book keeps its own spread, so what a wider one would cost beyond it comes as a taker fee: the slippage,
        which is the assumed half spread, `factor - 1` times.
        """
        return Costs(
            name=f"{self.name} x{factor:g}",
            maker_bps=self.maker_bps * factor,
            taker_bps=self.taker_bps * factor + self.slippage_bps * (factor - 1),
            slippage_bps=self.slippage_bps * factor,
            latency_ms=(self.latency_ms[0] * factor, self.latency_ms[1] * factor),
        )

    def parameters(self) -> dict[str, Any]:
        """What a ledger line and a table show."""
        return asdict(self)


def binance_spot(
    *,
    maker_bps: float = 10.0,
    taker_bps: float = 10.0,
    slippage_bps: float = 1.0,
    latency_ms: tuple[float, float] = (5.0, 50.0),
) -> Costs:
    """Binance spot for a regular user.

    The default fee is the venue's published 0.1 % for maker and taker without the BNB discount. The default slippage is
    for the screen alone: half of BTC/USDT's p99 spread rounded up to a basis point. The default latency spans the order
    round trips that co-located and remote users report.
    """
    return Costs("binance spot", maker_bps, taker_bps, slippage_bps, latency_ms)
