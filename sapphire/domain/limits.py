"""Limits and execution settings: what the engine's risk gate allows, and how it works towards a target.

Limits are multiples of the equity that an account begins with, so that one named set fits any account. The engine takes
them as whole atoms, by its own names. An account has all of them; the release's own are those of the strategy's branch,
which can only tighten the account's.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sapphire.domain.errors import ValueRefused

__all__ = ["STANDARD", "Execution", "Limits"]

_MAX_BPS = 10_000
_MAX_RATE = 100_000
_MAX_ATOMS = 2**64 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the risk gate allows; none of them is open.

    Parameters
    ----------
    name : what tables call them.
    order : largest value of one order, multiples of the equity at the start.
    position : largest value held of one symbol with buys on the way, likewise.
    gross : largest value held of all symbols with buys on the way, likewise.
    on_the_way : largest value of orders on the way, likewise.
    orders_per_second, orders_per_minute : of market time.
    daily_loss_bps : largest fall of equity below the day's start before only reductions pass, basis points.
    collar_bps : furthest price from the middle of the reference, basis points.
    reference_age_ns : oldest reference that counts as fresh.

    Raises
    ------
    ValueRefused : a limit that is none, or that the gate cannot hold.

    Examples
    --------
    >>> Limits(name="small", order=0.5).own(1_000_00000000)["max_order_atoms"]
    50000000000
    """

    name: str = "standard"
    order: float = 10.0
    position: float = 10.0
    gross: float = 10.0
    on_the_way: float = 10.0
    orders_per_second: int = 100
    orders_per_minute: int = 600
    daily_loss_bps: int = 2_500
    collar_bps: int = 1_000
    reference_age_ns: int = 10_000_000_000

    def __post_init__(self) -> None:
        values = (self.order, self.position, self.gross, self.on_the_way)
        sound = all(0 < value < float("inf") for value in values)
        sound = sound and all(0 < rate <= _MAX_RATE for rate in (self.orders_per_second, self.orders_per_minute))
        sound = sound and all(0 < bps <= _MAX_BPS for bps in (self.daily_loss_bps, self.collar_bps))
        if not sound or self.reference_age_ns <= 0 or not self.name:
            raise ValueRefused(
                f"limits {self.name!r}",
                expected=f"finite multiples of equity above zero, 1 to {_MAX_RATE:,} orders, 1 to {_MAX_BPS:,} basis "
                "points, a name",
                got=repr(self),
                next="sp.study(...) without limits= has the standard ones",
            )

    def own(self, equity_atoms: int) -> dict[str, int]:
        """A release's own limits by the engine's names, for an account that begins with this equity."""
        return {
            "max_order_atoms": _atoms(self.order, equity_atoms),
            "max_exposure_atoms": _atoms(self.gross, equity_atoms),
            "max_open_atoms": _atoms(self.on_the_way, equity_atoms),
            "max_orders_per_second": self.orders_per_second,
            "max_orders_per_minute": self.orders_per_minute,
        }

    def settings(self, equity_atoms: int) -> dict[str, Any]:
        """The whole tree by the engine's names, for an account that begins with this equity."""
        own = self.own(equity_atoms)
        return {
            "collar_bps": self.collar_bps,
            "max_reference_age_ns": self.reference_age_ns,
            "max_daily_loss_bps": self.daily_loss_bps,
            "symbol": {
                "max_order_atoms": own["max_order_atoms"],
                "max_exposure_atoms": _atoms(self.position, equity_atoms),
            },
            "strategy": own,
            "account": own,
        }

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """How the engine works towards a target.

    Parameters
    ----------
    max_slippage_bps : how far beyond the best price of the other side an order may trade.
    retry_ns : pause before the rest of an order is tried again.
    query_ns : pause between two questions about an order.
    max_signal_age_ns : oldest bar whose signal is taken.

    Raises
    ------
    ValueRefused : a number that is not above zero.
    """

    max_slippage_bps: int = 20
    retry_ns: int = 5_000_000_000
    query_ns: int = 1_000_000_000
    max_signal_age_ns: int = 60_000_000_000

    def __post_init__(self) -> None:
        if not all(isinstance(value, int) and value > 0 for value in asdict(self).values()):
            raise ValueRefused("execution settings", expected="whole numbers above zero", got=repr(self))

    def as_dict(self) -> dict[str, int]:
        """By the engine's names."""
        return asdict(self)


STANDARD = Limits()
"""What a study, the demo and a stack run under when nobody says.

An account on spot holds no more than its equity, so the multiples leave room for it to grow tenfold before an order is
denied; they stop what is out by orders of magnitude. The rates are of the size of a venue's own for one account
(Binance spot: 100 orders in 10 seconds). After a fall of a quarter in a day somebody looks before more is bought.
"""


def _atoms(multiple: float, equity_atoms: int) -> int:
    return min(round(multiple * equity_atoms), _MAX_ATOMS)
