"""Receivers, and what parts of a run say."""

import pytest

from sapphire.domain.envelope import Envelope
from sapphire.domain.messages import OrderExecutionMessage, RiskUpdateMessage
from sapphire.stack.notices.receivers import Receiver


@pytest.fixture
def receiver(webhook):
    """That server as a receiver of a shape."""

    def make(shape="json", **changes):
        fields = {"kinds": frozenset(), "kept_in": "a test", "address": webhook.address, "chat": "-7"}
        return Receiver(shape=shape, **fields | changes)

    return make


@pytest.fixture(scope="session")
def execution():
    """Makes what the service says of an order."""

    def make(at_ns, *, state="FILLED", symbol="BTC/USDT", side="BUY", lots=0, reason=None, step=1, release="a" * 64):
        fill = None
        if lots:
            quote = lots * 6_425_010 * 10  # atoms of a lot of 0.00001 at 64,250.10
            fee = {"fee_asset": symbol.split("/")[0], "fee_atoms": lots, "is_maker": False}
            fill = {"trade_id": str(step), "price_ticks": 6_425_010, "lots": lots, "quote_atoms": quote, **fee}
            fill["time_ns"] = at_ns
        return OrderExecutionMessage(
            envelope=envelope(OrderExecutionMessage, at_ns, step),
            account="paper",
            release=release,
            order_id=f"sap-0001-67411b00-{step:x}",
            venue_order_id=None,
            symbol=symbol,
            side=side,
            order_type="LIMIT",
            time_in_force="IOC",
            lots=lots or 7,
            limit_ticks=6_425_010,
            created_ns=at_ns,
            state=state,
            filled_lots=lots,
            filled_quote_atoms=fill["quote_atoms"] if fill else 0,
            reason=reason,
            fill=fill,
        )

    return make


@pytest.fixture(scope="session")
def risk():
    """Makes what the service says of what trading may do."""

    def make(at_ns, state, text, *, code="COMMAND", symbol=None, step=1):
        fields = {"account": "paper", "state": state, "code": code, "symbol": symbol, "limit": None, "value": None}
        return RiskUpdateMessage(envelope=envelope(RiskUpdateMessage, at_ns, step), text=text, **fields)

    return make


def envelope(cls, at_ns, step):
    return Envelope(
        schema_id=cls.SCHEMA_ID,
        message_id=f"service-executions-{step}-1",
        producer="service",
        sequence=step * 1_024,
        event_time_ns=at_ns,
        publish_time_ns=at_ns,
        trace_id="a-test",
        causation_id=None,
    )


@pytest.fixture(scope="session")
def decided():
    """Makes a line of decisions.jsonl, as far as notices read it."""

    def make(close_ns, *, equity=None, code=None, text="why not"):
        reason = None if code is None else {"code": code, "text": text}
        return {"bar_close_ns": str(close_ns), "equity_quote_atoms": equity and str(equity), "reason": reason}

    return make
