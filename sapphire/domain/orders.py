"""Orders and fills, as the engine reports them.

Which state may follow which is decided once, in the compiled engine; here is only how an order looks from outside.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sapphire.domain.errors import ValueRefused

__all__ = ["Fill", "Order", "OrderState", "OrderType", "Side", "TimeInForce"]


class Side(StrEnum):
    """Which way."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        """+1 for a purchase, -1 for a sale."""
        return 1 if self is Side.BUY else -1


class OrderType(StrEnum):
    """At any price, or at a limit."""

    MARKET = "MARKET"
    LIMIT = "LIMIT"


class TimeInForce(StrEnum):
    """How long an order stands."""

    GTC = "GTC"
    """Until cancelled."""
    IOC = "IOC"
    """What fills at once; the rest expires."""
    FOK = "FOK"
    """All at once or nothing."""
    GTX = "GTX"
    """Post-only: rejected if it would take."""


class OrderState(StrEnum):
    """Where an order is in its life. DENIED is our refusal, REJECTED the venue's."""

    INITIALIZED = "INITIALIZED"
    DENIED = "DENIED"
    SUBMITTED = "SUBMITTED"
    ACCEPTED = "ACCEPTED"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    PENDING_CANCEL = "PENDING_CANCEL"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"
    UNRESOLVED = "UNRESOLVED"
    """No answer came; the venue is being asked, and nothing is sent again before it says."""

    @property
    def is_final(self) -> bool:
        """Whether the venue will do nothing more with it."""
        return self in _FINAL


_FINAL = frozenset({OrderState.DENIED, OrderState.FILLED, OrderState.CANCELED, OrderState.EXPIRED, OrderState.REJECTED})


@dataclass(frozen=True, slots=True)
class Order:
    """One order at one moment of its life.

    Parameters
    ----------
    order_id : our client order id.
    symbol : "BTC/USDT".
    side, order_type, time_in_force : as sent.
    lots : ordered quantity, above zero.
    limit_ticks : the limit, above zero; None exactly for a market order.
    created_ns : market time at which the engine decided it.
    state : see `OrderState`.
    filled_lots, filled_quote_atoms : cumulative; never decrease over an order's life.
    venue_order_id : the venue's id, once it gave one.
    reason : stable code of a denial, rejection or expiry; empty otherwise.

    Raises
    ------
    ValueRefused : a quantity or limit that does not fit the above.
    """

    order_id: str
    symbol: str
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    lots: int
    limit_ticks: int | None
    created_ns: int
    state: OrderState = OrderState.INITIALIZED
    filled_lots: int = 0
    filled_quote_atoms: int = 0
    venue_order_id: str | None = None
    reason: str = ""

    def __post_init__(self) -> None:
        if self.lots <= 0 or not 0 <= self.filled_lots <= self.lots:
            raise ValueRefused(
                f"quantity of order {self.order_id}",
                expected="lots above zero, filled_lots between zero and lots",
                got=f"lots {self.lots}, filled_lots {self.filled_lots}",
            )
        is_limit = self.order_type is OrderType.LIMIT
        if is_limit != (self.limit_ticks is not None) or (self.limit_ticks is not None and self.limit_ticks <= 0):
            raise ValueRefused(
                f"limit of order {self.order_id}",
                expected="ticks above zero" if is_limit else "none: it is a market order",
                got=str(self.limit_ticks),
            )

    @property
    def remaining_lots(self) -> int:
        """What is not filled."""
        return self.lots - self.filled_lots

    @property
    def is_final(self) -> bool:
        """Whether the venue will do nothing more with it."""
        return self.state.is_final


@dataclass(frozen=True, slots=True)
class Fill:
    """One trade of ours.

    Parameters
    ----------
    trade_id : the venue's own, as text; fills are told apart by it.
    order_id : our client order id.
    symbol : "BTC/USDT".
    side : ours.
    price_ticks, lots : above zero.
    quote_atoms : what changed hands in quote, above or equal to zero, as the venue booked it.
    fee_asset, fee_atoms : what the venue took and in which asset; negative for a rebate.
    is_maker : whether our order was the resting one.
    time_ns : the venue's time of the trade.

    Raises
    ------
    ValueRefused : a number that does not fit the above.
    """

    trade_id: str
    order_id: str
    symbol: str
    side: Side
    price_ticks: int
    lots: int
    quote_atoms: int
    fee_asset: str
    fee_atoms: int
    is_maker: bool
    time_ns: int

    def __post_init__(self) -> None:
        if self.price_ticks <= 0 or self.lots <= 0 or self.quote_atoms < 0:
            raise ValueRefused(
                f"fill {self.trade_id} of order {self.order_id}",
                expected="price_ticks and lots above zero, quote_atoms not below it",
                got=f"price_ticks {self.price_ticks}, lots {self.lots}, quote_atoms {self.quote_atoms}",
            )
