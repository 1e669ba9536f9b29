"""ORDER_EXECUTION: what the execution service says about its orders. A part of `messages`, where it is registered."""

from __future__ import annotations

from sapphire.domain.envelope import Envelope, Message, WireModel
from sapphire.domain.orders import Fill, Order, OrderState, OrderType, Side, TimeInForce
from sapphire.domain.wire import AmountText, AtomsText, Flag, Name, Nanoseconds, PositiveText, SignedAtomsText

__all__ = ["FillReport", "OrderExecutionMessage"]


class FillReport(WireModel):
    """One trade of ours, inside the report of its order."""

    trade_id: Name
    """The venue's own."""
    price_ticks: PositiveText
    """Price."""
    lots: PositiveText
    """Quantity."""
    quote_atoms: AtomsText
    """What changed hands in quote, as the venue booked it."""
    fee_asset: Name
    """Asset in which the venue took its fee."""
    fee_atoms: SignedAtomsText
    """The fee; negative for a rebate."""
    is_maker: Flag
    """Whether our order was the resting one."""
    time_ns: Nanoseconds
    """The venue's time of the trade."""

    @classmethod
    def of(cls, fill: Fill) -> FillReport:
        """The report of `fill`."""
        return cls(
            trade_id=fill.trade_id,
            price_ticks=fill.price_ticks,
            lots=fill.lots,
            quote_atoms=fill.quote_atoms,
            fee_asset=fill.fee_asset,
            fee_atoms=fill.fee_atoms,
            is_maker=fill.is_maker,
            time_ns=fill.time_ns,
        )


class OrderExecutionMessage(Message):
    """An order as it stands after something happened to it, with the fill if that is what happened."""

    SCHEMA_ID = "ORDER_EXECUTION@1"

    account: Name
    """Whose order it is."""
    release: Name | None
    """The release that it serves; nothing for an operator's order."""
    order_id: Name
    """Our client order id."""
    venue_order_id: Name | None
    """The venue's id, once it gave one."""
    symbol: Name
    """Of what, "BTC/USDT"."""
    side: Side
    """Which way."""
    order_type: OrderType
    """Market or limit."""
    time_in_force: TimeInForce
    """How long it stands."""
    lots: PositiveText
    """Ordered quantity."""
    limit_ticks: PositiveText | None
    """The limit; nothing for a market order."""
    created_ns: Nanoseconds
    """Market time at which the engine decided it."""
    state: OrderState
    """Where it is in its life."""
    filled_lots: AmountText
    """Filled so far."""
    filled_quote_atoms: AtomsText
    """Quote that changed hands so far."""
    reason: Name | None
    """Stable code of a denial, rejection or expiry."""
    fill: FillReport | None
    """The trade that this report is about."""

    @classmethod
    def of(
        cls, order: Order, envelope: Envelope, *, account: str, release: str | None = None, fill: Fill | None = None
    ) -> OrderExecutionMessage:
        """The message that reports `order`, and `fill` where there was one."""
        return cls(
            envelope=envelope,
            account=account,
            release=release,
            order_id=order.order_id,
            venue_order_id=order.venue_order_id,
            symbol=order.symbol,
            side=order.side,
            order_type=order.order_type,
            time_in_force=order.time_in_force,
            lots=order.lots,
            limit_ticks=order.limit_ticks,
            created_ns=order.created_ns,
            state=order.state,
            filled_lots=order.filled_lots,
            filled_quote_atoms=order.filled_quote_atoms,
            reason=order.reason or None,
            fill=None if fill is None else FillReport.of(fill),
        )

    def order(self) -> Order:
        """The order it reports."""
        return Order(
            order_id=self.order_id,
            symbol=self.symbol,
            side=self.side,
            order_type=self.order_type,
            time_in_force=self.time_in_force,
            lots=self.lots,
            limit_ticks=self.limit_ticks,
            created_ns=self.created_ns,
            state=self.state,
            filled_lots=self.filled_lots,
            filled_quote_atoms=self.filled_quote_atoms,
            venue_order_id=self.venue_order_id,
            reason=self.reason or "",
        )

    def trade(self) -> Fill | None:
        """The fill it reports, if any."""
        if self.fill is None:
            return None
        return Fill(
            trade_id=self.fill.trade_id,
            order_id=self.order_id,
            symbol=self.symbol,
            side=self.side,
            price_ticks=self.fill.price_ticks,
            lots=self.fill.lots,
            quote_atoms=self.fill.quote_atoms,
            fee_asset=self.fill.fee_asset,
            fee_atoms=self.fill.fee_atoms,
            is_maker=self.fill.is_maker,
            time_ns=self.fill.time_ns,
        )

    def _check(self) -> None:
        super()._check()
        self.order()
        if self.fill is not None and self.fill.lots > self.filled_lots:
            raise ValueError("a fill that filled_lots has in it")
