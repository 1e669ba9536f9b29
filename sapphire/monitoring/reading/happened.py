"""What can happen in a traded day, one value each, as the service's journal has it.

Steps number the events of the run; times are market time, UTC nanoseconds; quantities are lots and ticks, money is
atoms of 1e-8.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = [
    "AccountAt",
    "Adjustment",
    "DeniedOrder",
    "Holding",
    "ReleaseTraded",
    "SentOrder",
    "TakenSignal",
    "TargetEnd",
    "TradedFill",
    "TradingChange",
    "VenueReport",
]


@dataclass(frozen=True, slots=True)
class Holding:
    """What is held of one symbol: base atoms of 1e-8, and the whole lots in them."""

    atoms: int
    lots: int


@dataclass(frozen=True, slots=True)
class AccountAt:
    """The account by the engine's books at the close of a bar, before that bar's signals.

    Parameters
    ----------
    bar_close_ns : market time.
    cash_quote_atoms : quote asset, atoms of 1e-8.
    positions : by symbol.
    """

    bar_close_ns: int
    cash_quote_atoms: int
    positions: Mapping[str, Holding] = field(hash=False)

    def lots(self, symbol: str) -> int:
        """Whole lots held of a symbol."""
        holding = self.positions.get(symbol)
        return holding.lots if holding else 0


@dataclass(frozen=True, slots=True)
class TakenSignal:
    """A signal as it came in; `refused` says why it was not taken, None where it was."""

    step: int
    market_ns: int
    entry: str
    release: str
    symbol: str
    target_lots: int
    bar_close_ns: int
    refused: str | None


@dataclass(frozen=True, slots=True)
class SentOrder:
    """An order that passed the gate and was sent; one that a command led to serves no release."""

    step: int
    market_ns: int
    order: str
    release: str
    symbol: str
    side: str
    ticks: int
    lots: int
    time_in_force: str
    bar_close_ns: int


@dataclass(frozen=True, slots=True)
class DeniedOrder:
    """An order that the gate refused: the code, where in the limits tree, the value met and the limit."""

    step: int
    market_ns: int
    order: str
    symbol: str
    side: str
    lots: int
    bar_close_ns: int
    code: str
    level: str
    value: int
    limit: int


@dataclass(frozen=True, slots=True)
class VenueReport:
    """What the venue said of an order; `detail` is what else the row has."""

    step: int
    market_ns: int
    order: str
    kind: str
    detail: Mapping[str, Any] = field(hash=False)


@dataclass(frozen=True, slots=True)
class TradedFill:
    """A trade of ours, as booked."""

    step: int
    market_ns: int
    order: str
    symbol: str
    side: str
    trade: int
    ticks: int
    lots: int
    quote_atoms: int
    fee_asset: str
    fee_atoms: int

    @property
    def sign(self) -> int:
        """+1 for a purchase, -1 for a sale."""
        return 1 if self.side == "BUY" else -1


@dataclass(frozen=True, slots=True)
class TargetEnd:
    """How a target ended: REACHED, or why it ended before that."""

    step: int
    market_ns: int
    symbol: str
    bar_close_ns: int
    end: str


@dataclass(frozen=True, slots=True)
class Adjustment:
    """A balance that a snapshot of the venue changed: the first deposits, and later whatever no fill explains."""

    step: int
    market_ns: int
    asset: str
    atoms: int


@dataclass(frozen=True, slots=True)
class ReleaseTraded:
    """From when on the account traded a release: market time, and the machine's time at that start of the service."""

    release: str
    market_ns: int
    wall_ns: int


@dataclass(frozen=True, slots=True)
class TradingChange:
    """The trading state was set."""

    step: int
    market_ns: int
    state: str
    cause: str
