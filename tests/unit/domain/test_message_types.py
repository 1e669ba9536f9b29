"""Messages: what is said comes back, what is wrong is refused by the name of its field."""

from __future__ import annotations

import json
import typing
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sapphire.domain import (
    AccountStateMessage,
    AdvancedMessage,
    BadMessage,
    Envelope,
    Fill,
    HeartbeatMessage,
    HftSignalMessage,
    MarketDataMessage,
    Message,
    MessageError,
    Order,
    OrderExecutionMessage,
    OrderState,
    OrderType,
    PositionState,
    Quantile,
    RiskUpdateMessage,
    SettledMessage,
    Side,
    Signal,
    TimeInForce,
    View,
    ViewMessage,
    decode,
    encode,
    from_ns,
)
from sapphire.domain.envelope import MAX_MESSAGE_BYTES
from sapphire.domain.messages import MESSAGE_TYPES, MarketKind, PartState, Sent, StreamPosition, TradingState
from sapphire.domain.precision import MAX_ATOMS
from sapphire.domain.views import ViewNote
from sapphire.domain.wire import decimal_of_float

I64 = 2**63 - 1
names = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=20)
prose = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)
moments = st.integers(0, I64)
counters = st.integers(0, 2**53 - 1)
whole = st.integers(-I64 - 1, I64)
positive = st.integers(1, I64)
quantities = st.integers(0, MAX_ATOMS)
cash = st.integers(-MAX_ATOMS, MAX_ATOMS)
decimals = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20)
doubles = st.floats(allow_nan=False, allow_infinity=False)


def envelopes(schema_id: str) -> st.SearchStrategy[Envelope]:
    return st.builds(
        Envelope,
        schema_id=st.just(schema_id),
        message_id=names,
        producer=names,
        sequence=counters,
        event_time_ns=moments,
        publish_time_ns=moments,
        trace_id=names,
        causation_id=st.none() | names,
    )


spans = {
    "symbol": names,
    "as_of": st.integers(0, 4 * 10**12).map(lambda milliseconds: from_ns(milliseconds * 10**6)),
    "horizon": st.integers(1, 10**12).map(lambda count: timedelta(microseconds=count)),
    "agent": names,
}
levels = st.floats(0, 1, exclude_min=True, exclude_max=True)
quantiles = st.lists(st.tuples(levels, doubles), min_size=2, max_size=9, unique_by=lambda pair: pair[0]).map(
    lambda pairs: dict(zip(sorted(pair[0] for pair in pairs), sorted(pair[1] for pair in pairs), strict=True))
)
views = st.one_of(
    st.builds(View, score=doubles, **spans),
    st.builds(View, mean_bps=doubles, std_bps=st.floats(0, exclude_min=True, allow_infinity=False), **spans),
    st.builds(View, quantiles_bps=quantiles, **spans),
)
shown = st.text(st.characters(exclude_categories=["Cc", "Cf", "Cs", "Zl", "Zp"]), max_size=50)
notes = st.builds(ViewNote, shown, st.lists(shown, max_size=3).map(tuple), shown, shown)
noted_views = st.builds(replace, views, note=notes)
signals = st.builds(Signal, names, names, whole, moments, positive, positive)


@st.composite
def orders(draw: st.DrawFn) -> Order:
    kind = draw(st.sampled_from(OrderType))
    lots = draw(positive)
    return Order(
        order_id=draw(names),
        symbol=draw(names),
        side=draw(st.sampled_from(Side)),
        order_type=kind,
        time_in_force=draw(st.sampled_from(TimeInForce)),
        lots=lots,
        limit_ticks=draw(positive) if kind is OrderType.LIMIT else None,
        created_ns=draw(moments),
        state=draw(st.sampled_from(OrderState)),
        filled_lots=draw(st.integers(0, lots)),
        filled_quote_atoms=draw(quantities),
        venue_order_id=draw(st.none() | names),
        reason=draw(st.just("") | names),
    )


@st.composite
def executions(draw: st.DrawFn) -> tuple[Order, Fill | None, Message]:
    order = draw(orders())
    fill = None
    if order.filled_lots and draw(st.booleans()):
        fill = Fill(
            trade_id=draw(names),
            order_id=order.order_id,
            symbol=order.symbol,
            side=order.side,
            price_ticks=draw(positive),
            lots=draw(st.integers(1, order.filled_lots)),
            quote_atoms=draw(quantities),
            fee_asset=draw(names),
            fee_atoms=draw(cash),
            is_maker=draw(st.booleans()),
            time_ns=draw(moments),
        )
    envelope = draw(envelopes("ORDER_EXECUTION@1"))
    release = draw(st.none() | names)
    return order, fill, OrderExecutionMessage.of(order, envelope, account=draw(names), release=release, fill=fill)


@st.composite
def bars(draw: st.DrawFn) -> Message:
    low, first, second, high = sorted(draw(st.lists(st.decimals(1, 10**9, places=8), min_size=4, max_size=4)))
    return MarketDataMessage(
        envelope=draw(envelopes("MARKET_DATA@1")),
        venue=draw(names),
        market=draw(st.sampled_from(MarketKind)),
        symbol=draw(names),
        interval=draw(st.sampled_from(["1m", "1h", "1d"])),
        open_time_ns=draw(moments),
        open=first,
        high=high,
        low=low,
        close=second,
        volume_base=draw(st.decimals(0, 10**9, places=8)),
    )


messages: st.SearchStrategy[Message] = st.one_of(
    st.builds(ViewMessage.of, views, envelopes("VIEW@1")),
    st.builds(ViewMessage.of, noted_views, envelopes("VIEW@2")),
    st.builds(HftSignalMessage.of, signals, envelopes("HFT_SIGNAL@1")),
    executions().map(lambda made: made[2]),
    bars(),
    st.builds(
        RiskUpdateMessage,
        envelope=envelopes("RISK_UPDATE@1"),
        account=names,
        state=st.sampled_from(TradingState),
        code=names,
        symbol=st.none() | names,
        limit=st.none() | decimals,
        value=st.none() | decimals,
        text=prose,
    ),
    st.builds(
        HeartbeatMessage,
        envelope=envelopes("HEARTBEAT@1"),
        state=st.sampled_from(PartState),
        since_ns=moments,
        address=st.none() | names,
        release=st.none() | names,
    ),
    st.builds(
        SettledMessage,
        envelope=envelopes("SETTLED@1"),
        bar_close_ns=moments,
        consumed=st.lists(st.builds(StreamPosition, stream=names, position=names), max_size=3).map(tuple),
        sent=st.lists(st.builds(Sent, stream=names, count=counters), max_size=3).map(tuple),
        wake_at_ns=st.none() | moments,
    ),
    st.builds(
        AdvancedMessage,
        envelope=envelopes("ADVANCED@1"),
        now_ns=moments,
        bar_close_ns=st.none() | moments,
        account_events=counters,
    ),
    st.builds(
        AccountStateMessage,
        envelope=envelopes("ACCOUNT_STATE@1"),
        account=names,
        bar_close_ns=moments,
        state=st.sampled_from(TradingState),
        quote=names,
        cash_quote_atoms=cash,
        positions=st.lists(st.builds(PositionState, symbol=names, atoms=quantities, lots=moments), max_size=3).map(
            tuple
        ),
    ),
)


@given(messages)
def test_a_message_comes_back_as_it_was(message: Message) -> None:
    data = encode(message)
    assert decode(data) == message
    assert encode(decode(data)) == data
    assert hash(decode(data)) == hash(message)


@given(messages)
def test_the_bytes_are_canonical(message: Message) -> None:
    data = encode(message)
    wire = json.loads(data)
    assert data == json.dumps(wire, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert list(wire) == sorted(type(message).model_fields)


def floats_in(value: object) -> list[float]:
    if isinstance(value, dict):
        return [found for inner in value.values() for found in floats_in(inner)]
    if isinstance(value, list):
        return [found for inner in value for found in floats_in(inner)]
    return [value] if isinstance(value, float) else []


@given(messages)
def test_no_float_travels(message: Message) -> None:
    assert floats_in(json.loads(encode(message))) == []


@given(messages, st.data())
def test_any_field_taken_away_or_added_is_refused_by_name(message: Message, data: st.DataObject) -> None:
    wire = json.loads(encode(message))
    inside = data.draw(st.sampled_from(["", "envelope"]))
    place = wire[inside] if inside else wire
    field = data.draw(st.sampled_from(sorted(place)))
    path = f"{inside}.{field}" if inside else field
    value = place.pop(field)
    with pytest.raises(BadMessage) as missing:
        decode(json.dumps(wire).encode())
    assert (missing.value.field, missing.value.expected, missing.value.got) in [
        (path, "the field", "nothing"),
        (path, "an object with an envelope that names its schema", json.dumps(wire)[:80]),
    ]
    place[field] = value
    place["leverage"] = "3"
    with pytest.raises(BadMessage) as unknown:
        decode(json.dumps(wire).encode())
    assert unknown.value.field == (f"{inside}.leverage" if inside else "leverage")
    assert unknown.value.expected == "no such field"


@given(messages, st.data())
def test_a_float_in_the_place_of_any_value_is_refused_by_name(message: Message, data: st.DataObject) -> None:
    wire = json.loads(encode(message))
    field = data.draw(st.sampled_from(sorted(set(wire) - {"envelope"})))
    wire[field] = 1.5
    with pytest.raises(BadMessage) as caught:
        decode(json.dumps(wire).encode())
    assert caught.value.field == field


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_noise_is_refused_and_never_anything_else(noise: bytes) -> None:
    with pytest.raises(MessageError):
        decode(noise)


@given(views | noted_views)
def test_a_view_comes_back_exactly(view: View) -> None:
    envelope = envelope_of(ViewMessage.schema_of(view))
    read = decode(encode(ViewMessage.of(view, envelope)))
    assert isinstance(read, ViewMessage)
    assert read.view() == view


@given(signals)
def test_a_signal_comes_back_exactly(signal: Signal) -> None:
    read = decode(encode(HftSignalMessage.of(signal, envelope_of("HFT_SIGNAL@1"))))
    assert isinstance(read, HftSignalMessage)
    assert read.signal() == signal


@given(executions())
def test_an_order_and_its_fill_come_back_exactly(made: tuple[Order, Fill | None, Message]) -> None:
    order, fill, message = made
    read = decode(encode(message))
    assert isinstance(read, OrderExecutionMessage)
    assert (read.order(), read.trade()) == (order, fill)


@given(doubles)
def test_a_double_travels_as_its_shortest_decimal(number: float) -> None:
    assert float(f"{decimal_of_float(number):f}") == number


def envelope_of(schema_id: str, **change: object) -> Envelope:
    fields: dict[str, object] = {
        "schema_id": schema_id, "message_id": "m-1", "producer": "p", "sequence": 1,
        "event_time_ns": 1, "publish_time_ns": 2, "trace_id": "t", "causation_id": None,
    }  # fmt: skip
    return Envelope(**{**fields, **change})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sequence", 1.0),
        ("sequence", True),
        ("sequence", -1),
        ("sequence", 2**53),
        ("event_time_ns", 1.0),
        ("event_time_ns", "1"),
        ("event_time_ns", True),
        ("event_time_ns", -1),
        ("event_time_ns", 2**63),
        ("producer", ""),
        ("producer", "a b"),
        ("producer", "n" * 129),
        ("producer", 7),
        ("causation_id", ""),
    ],
)
def test_a_bad_value_is_refused_when_a_message_is_made(field: str, value: object) -> None:
    with pytest.raises(BadMessage, match=f"field {field} of Envelope") as caught:
        envelope_of("VIEW@1", **{field: value})
    assert caught.value.field == field


def risk(**change: object) -> RiskUpdateMessage:
    fields: dict[str, object] = {
        "envelope": envelope_of("RISK_UPDATE@1"), "account": "paper", "state": TradingState.HALTED, "code": "OPERATOR",
        "symbol": None, "limit": None, "value": None, "text": "",
    }  # fmt: skip
    return RiskUpdateMessage(**{**fields, **change})


@pytest.mark.parametrize("limit", [1.5, float("nan"), Decimal("NaN"), Decimal("1e500"), "1e5", "01", "", True])
def test_a_decimal_is_exact_and_finite(limit: object) -> None:
    with pytest.raises(BadMessage, match="field limit"):
        risk(limit=limit)


def test_a_decimal_keeps_the_decimals_it_was_given() -> None:
    assert b'"limit":"1.50"' in encode(risk(limit="1.50"))
    assert b'"limit":"100"' in encode(risk(limit=Decimal("1E+2")))
    assert b'"limit":"0.00000001"' in encode(risk(limit=Decimal("1E-8")))
    assert b'"limit":"7"' in encode(risk(limit=7))


def test_text_for_people_has_an_end_and_no_half_characters() -> None:
    assert len(risk(text="é" * 1_000).text) == 1_000
    for text in ("é" * 1_001, "\ud800"):
        with pytest.raises(BadMessage, match="field text"):
            risk(text=text)


def test_a_message_is_of_the_schema_that_its_envelope_names() -> None:
    with pytest.raises(BadMessage, match="schema_id RISK_UPDATE@1, not VIEW@1"):
        risk(envelope=envelope_of("VIEW@1"))


def test_rules_between_fields_hold_on_the_wire_as_well() -> None:
    view = View("BTC/USDT", from_ns(0), timedelta(hours=1), score=1.0, agent="a")
    message = ViewMessage.of(view, envelope_of("VIEW@1"))
    with pytest.raises(BadMessage, match="state one thing"):
        decode(encode(message).replace(b'"mean_bps":null', b'"mean_bps":"1"'))
    with pytest.raises(BadMessage, match="whole microseconds"):
        decode(encode(message).replace(b'"as_of_ns":"0"', b'"as_of_ns":"1"'))
    noted = ViewMessage.of(replace(view, note=ViewNote("it rose", ("n1",))), envelope_of("VIEW@2"))
    with pytest.raises(BadMessage, match="thesis of a view's note"):
        decode(encode(noted).replace(b"it rose", b"it\\u001brose"))
    with pytest.raises(BadMessage, match="documents of a view's note"):
        decode(encode(noted).replace(b'"n1"', b",".join([b'"n1"'] * 65)))
    points = tuple(Quantile(probability=p, value_bps=1) for p in ("0.5", "0.5"))
    with pytest.raises(BadMessage, match="rising probability"):
        ViewMessage(**{**dict(message), "score": None, "quantiles": points})
    order = Order("o", "BTC/USDT", Side.BUY, OrderType.LIMIT, TimeInForce.GTC, 5, 100, 0)
    execution = OrderExecutionMessage.of(order, envelope_of("ORDER_EXECUTION@1"), account="paper")
    with pytest.raises(BadMessage, match="limit of order"):
        decode(encode(execution).replace(b'"limit_ticks":"100"', b'"limit_ticks":null'))
    fill = Fill("t", "o", "BTC/USDT", Side.BUY, 100, 1, 1, "USDT", 0, False, 0)
    with pytest.raises(BadMessage, match="filled_lots"):
        OrderExecutionMessage.of(order, envelope_of("ORDER_EXECUTION@1"), account="paper", fill=fill)


@pytest.mark.parametrize(("field", "value"), [("high", "9"), ("low", "0"), ("volume_base", "-1"), ("interval", "7m")])
def test_a_bar_that_makes_no_sense_is_refused(field: str, value: str) -> None:
    fields: dict[str, object] = {
        "envelope": envelope_of("MARKET_DATA@1"), "venue": "v", "market": MarketKind.REAL, "symbol": "A/B",
        "interval": "1h", "open_time_ns": 0, "open": "10", "high": "12", "low": "9", "close": "11", "volume_base": "1",
    }  # fmt: skip
    assert MarketDataMessage(**fields).close == 11
    with pytest.raises(BadMessage):
        MarketDataMessage(**{**fields, field: value})


def test_a_message_that_is_too_large_is_neither_written_nor_read() -> None:
    positions = tuple(StreamPosition(stream="s" * 100, position="p" * 100) for _ in range(300))
    message = SettledMessage(
        envelope=envelope_of("SETTLED@1"), bar_close_ns=0, consumed=positions, sent=(), wake_at_ns=None
    )
    with pytest.raises(BadMessage, match="too large"):
        encode(message)
    with pytest.raises(BadMessage, match="too large"):
        decode(b" " * (MAX_MESSAGE_BYTES + 1))


def test_the_largest_note_fits_into_a_message() -> None:
    wide = "\U0001f680"
    note = ViewNote(wide * 1_000, tuple(f"{each:02}" + wide * 198 for each in range(64)), wide * 64, wide * 200)
    view = View("BTC/USDT", from_ns(0), timedelta(hours=1), score=1.0, agent="a", note=note)
    assert decode(encode(ViewMessage.of(view, envelope_of("VIEW@2")))).view() == view  # type: ignore[attr-defined]


def test_messages_do_not_change() -> None:
    with pytest.raises(Exception, match="frozen"):
        risk().account = "live"


def test_every_field_of_every_message_says_what_it_is() -> None:
    for message in MESSAGE_TYPES.values():
        assert message.__doc__
        for name, hint in typing.get_type_hints(message).items():
            if name in message.model_fields:
                assert message.model_fields[name].description, (message, name, hint)


@pytest.mark.parametrize("atoms", [MAX_ATOMS + 1, -1, 2**200, 1.0])
def test_more_than_an_account_can_hold_is_no_amount(atoms: object) -> None:
    with pytest.raises(BadMessage, match="field atoms of PositionState"):
        PositionState(symbol="PEPE/USDT", atoms=atoms, lots=1)
    with pytest.raises(BadMessage, match="field lots of PositionState"):
        PositionState(symbol="PEPE/USDT", atoms=1, lots=2**63)
    assert PositionState(symbol="PEPE/USDT", atoms=MAX_ATOMS, lots=1).atoms == MAX_ATOMS
