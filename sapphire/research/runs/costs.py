"""What trading costs, as an assumption with a source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from numbers import Real
from types import MappingProxyType
from typing import Any

from sapphire.domain.errors import ValueRefused

__all__ = ["PUBLISHED", "RATE_ONE", "REGULAR", "Costs", "binance_spot"]

RATE_ONE = 100_000_000
"""A rate of one in units of 1e-8, as the engine counts rates."""

_E8_PER_BPS = RATE_ONE // 10_000
_NS_PER_MS = 1_000_000

REGULAR = "regular"
"""The fee tier of an account that trades little and pays its fees in what it receives."""


@dataclass(frozen=True, slots=True)
class Costs:
    """Fees, slippage and delay of one venue.

    Parameters
    ----------
    name : what the table calls them.
    maker_bps, taker_bps : fee on the amount received, in basis points.
    slippage_bps : what the screen pays beside the fee on each fill. The engine pays the book's spread instead.
    latency_ms : shortest and longest time a request travels to the venue.
    tier : the venue's fee tier, one of `PUBLISHED`.

    Raises
    ------
    ValueRefused : a negative number, a longest latency below the shortest, or a tier whose fees are not known here.
    """

    name: str
    maker_bps: float
    taker_bps: float
    slippage_bps: float
    latency_ms: tuple[float, float]
    tier: str = REGULAR

    def __post_init__(self) -> None:
        if self.tier not in _TIERS:
            raise ValueRefused(
                f"costs {self.name!r}: fee tier",
                expected=" or ".join(_TIERS),
                got=repr(self.tier),
                next="gates compare with what the venue publishes, so its tiers are listed in research/runs/costs.py",
            )
        spans = isinstance(self.latency_ms, tuple | list) and len(self.latency_ms) == 2
        given = (self.maker_bps, self.taker_bps, self.slippage_bps, *(self.latency_ms if spans else ("",)))
        if not all(isinstance(number, Real) and not isinstance(number, bool) for number in given):
            raise ValueRefused(
                f"costs {self.name!r}",
                expected="fees and slippage in basis points, latency_ms as (shortest, longest)",
                got=f"maker {self.maker_bps!r}, taker {self.taker_bps!r}, slippage {self.slippage_bps!r}, "
                f"latency {self.latency_ms!r}",
                next="sp.costs.binance_spot(taker_bps=10, latency_ms=(5, 50)); 10 basis points are 0.1 %",
            )
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

    @property
    def published(self) -> Costs:
        """What the venue publishes for the tier, whatever the author assumed."""
        return PUBLISHED[self.tier]

    def stressed(self, factor: float) -> Costs:
        """The venue's fees, spread and latency `factor` times as high, for the engine.

        What is multiplied is each cost as the author assumed it or as the venue publishes it, whichever is higher, so
        that low assumptions do not soften the test. The book keeps its own spread, so what a wider one would cost
        beyond it comes as a taker fee: the slippage, which is the assumed half spread, `factor - 1` times.
        """
        base, own = self.published, self
        slippage = max(own.slippage_bps, base.slippage_bps)
        return replace(
            self,
            name=f"{self.name} x{factor:g}",
            maker_bps=max(own.maker_bps, base.maker_bps) * factor,
            taker_bps=max(own.taker_bps, base.taker_bps) * factor + slippage * (factor - 1),
            slippage_bps=slippage * factor,
            latency_ms=(
                max(own.latency_ms[0], base.latency_ms[0]) * factor,
                max(own.latency_ms[1], base.latency_ms[1]) * factor,
            ),
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
    """Binance spot for a regular user. Fees below the published ones can be studied and pass no gate.

    The default fee is the venue's published 0.1 % for maker and taker without the BNB discount. The default slippage is
    for the screen alone: half of BTC/USDT's p99 spread rounded up to a basis point. The default latency spans the order
    round trips that co-located and remote users report.
    """
    return Costs("binance spot", maker_bps, taker_bps, slippage_bps, latency_ms)


_TIERS = (REGULAR,)
PUBLISHED: Mapping[str, Costs] = MappingProxyType({REGULAR: binance_spot()})
"""Fee tier to what the venue publishes for it. Source: binance.com/en/fee/trading, regular user, spot, without BNB."""
