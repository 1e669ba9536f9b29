"""Golden messages: every language reads what every other writes, byte for byte, and refuses the same.

`python tests/reference/test_messages.py` writes the vectors in `golden/messages/`, which the Rust test reads as well.
"""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from sapphire.domain import (
    BadMessage,
    Fill,
    Message,
    MessageError,
    Order,
    OrderState,
    OrderType,
    Side,
    Signal,
    TimeInForce,
    UnknownSchema,
    View,
    decode,
    encode,
)
from sapphire.domain.messages import (
    MESSAGE_TYPES,
    AccountStateMessage,
    AdvancedMessage,
    Envelope,
    HeartbeatMessage,
    HftSignalMessage,
    MarketDataMessage,
    MarketKind,
    OrderExecutionMessage,
    PartState,
    PositionState,
    RiskUpdateMessage,
    Sent,
    SettledMessage,
    StreamPosition,
    TradingState,
    ViewMessage,
)
from sapphire.domain.views import ViewNote

FOLDER = Path(__file__).parent / "golden" / "messages"
ENGINE = Path(__file__).parents[2] / "sapphire" / "execution" / "engine"
SCHEMAS = Path(__file__).parents[2] / "sapphire" / "domain" / "schemas"
BAR_CLOSE = 1_709_269_200_000_000_000
AS_OF = datetime(2024, 3, 1, 5, tzinfo=UTC)


def envelope(schema_id: str, sequence: int = 1, causation_id: str | None = None) -> Envelope:
    return Envelope(
        schema_id=schema_id,
        message_id=f"{schema_id}-{sequence}",
        producer="coordinator",
        sequence=sequence,
        event_time_ns=BAR_CLOSE,
        publish_time_ns=BAR_CLOSE + 12_345_678,
        trace_id="1f3a",
        causation_id=causation_id,
    )


def views() -> dict[str, Message]:
    def of(sequence: int, **stated: object) -> Message:
        view = View("BTC/USDT", AS_OF, timedelta(hours=12), agent="trend", **stated)
        return ViewMessage.of(view, envelope(ViewMessage.schema_of(view), sequence, "MARKET_DATA@1-1"))

    thesis = 'it rose\nand "fell" \u2039\u00a6\u203a'

    return {
        "view_score": of(1, score=-0.1),
        "view_score_smallest_double": of(2, score=5e-324),
        "view_score_largest_double": of(3, score=1.7976931348623157e308),
        "view_forecast": of(4, mean_bps=12.5, std_bps=180.25),
        "view_quantiles": of(5, quantiles_bps={0.05: -250.0, 0.5: 4.0, 0.95: 260.125}),
        "noted_view": of(
            6, score=0.5, note=ViewNote(thesis, ("news 1", "n2"), "embedded-default", "reasoned, 8 tokens")
        ),
        "noted_view_of_nothing": of(7, score=0.5, note=ViewNote()),
    }


def orders() -> dict[str, Message]:
    resting = Order(
        order_id="paper-1709269200-1",
        symbol="BTC/USDT",
        side=Side.BUY,
        order_type=OrderType.LIMIT,
        time_in_force=TimeInForce.GTX,
        lots=5,
        limit_ticks=6_425_010,
        created_ns=BAR_CLOSE + 4_000,
        state=OrderState.PARTIALLY_FILLED,
        filled_lots=2,
        filled_quote_atoms=128_500_200,
        venue_order_id="9007199254740993",
    )
    fill = Fill(
        trade_id="17",
        order_id=resting.order_id,
        symbol="BTC/USDT",
        side=Side.BUY,
        price_ticks=6_425_010,
        lots=2,
        quote_atoms=128_500_200,
        fee_asset="BNB",
        fee_atoms=-3,
        is_maker=True,
        time_ns=BAR_CLOSE + 5_000_000,
    )
    denied = Order(
        order_id="paper-1709269200-2",
        symbol="ETH/USDT",
        side=Side.SELL,
        order_type=OrderType.MARKET,
        time_in_force=TimeInForce.IOC,
        lots=2**63 - 1,
        limit_ticks=None,
        created_ns=0,
        state=OrderState.DENIED,
        reason="NO_REFERENCE",
    )
    return {
        "order_execution_fill": OrderExecutionMessage.of(
            resting, envelope("ORDER_EXECUTION@1", 1, "HFT_SIGNAL@1-1"), account="paper", release="trend@1", fill=fill
        ),
        "order_execution_denied": OrderExecutionMessage.of(denied, envelope("ORDER_EXECUTION@1", 2), account="paper"),
    }


def signals() -> dict[str, Message]:
    long = Signal("trend@1", "BTC/USDT", 12_345, BAR_CLOSE, 3_600_000_000_000, 6_425_010)
    least = Signal("trend@1", "BTC/USDT", -(2**63), 0, 1, 2**63 - 1)
    return {
        "hft_signal_long": HftSignalMessage.of(long, envelope("HFT_SIGNAL@1", 1, "VIEW@1-1")),
        "hft_signal_extremes": HftSignalMessage.of(least, envelope("HFT_SIGNAL@1", 2**53 - 1)),
    }


def examples() -> dict[str, Message]:
    """Name to message: every schema, every kind of value."""
    return {
        **views(),
        **orders(),
        **signals(),
        "market_data": MarketDataMessage(
            envelope=envelope("MARKET_DATA@1"),
            venue="binance",
            market=MarketKind.REAL,
            symbol="BTC/USDT",
            interval="1h",
            open_time_ns=BAR_CLOSE - 3_600_000_000_000,
            open="64100.50",
            high="64300",
            low="64000.00000000",
            close="64250.1",
            volume_base="0",
        ),
        "risk_update": RiskUpdateMessage(
            envelope=envelope("RISK_UPDATE@1"),
            account="paper",
            state=TradingState.REDUCING,
            code="DAILY_LOSS",
            symbol=None,
            limit="-250.00",
            value="-250.01",
            text='loss of the day\n\t"250" \\ \x01\x7f é 漢 \U0001f4c9 \u2028',
        ),
        "heartbeat": HeartbeatMessage(
            envelope=envelope("HEARTBEAT@1"), state=PartState.READY, since_ns=0, address="127.0.0.1:8700", release=None
        ),
        "settled": SettledMessage(
            envelope=envelope("SETTLED@1"),
            bar_close_ns=BAR_CLOSE,
            consumed=(StreamPosition(stream="bars", position="1709269200000-0"),),
            sent=(Sent(stream="signals", count=2), Sent(stream="reports", count=0)),
            wake_at_ns=None,
        ),
        "advanced": AdvancedMessage(
            envelope=envelope("ADVANCED@1"), now_ns=BAR_CLOSE, bar_close_ns=BAR_CLOSE, account_events=17
        ),
        "account_state": AccountStateMessage(
            envelope=envelope("ACCOUNT_STATE@1"),
            account="paper",
            bar_close_ns=BAR_CLOSE,
            state=TradingState.ACTIVE,
            quote="USDT",
            cash_quote_atoms=-1,
            positions=(PositionState(symbol="BTC/USDT", atoms=123_456, lots=123),),
        ),
        "account_state_beyond_64_bits": AccountStateMessage(
            envelope=envelope("ACCOUNT_STATE@1"),
            account="paper",
            bar_close_ns=BAR_CLOSE,
            state=TradingState.ACTIVE,
            quote="USDT",
            cash_quote_atoms=-(10**28),
            positions=(PositionState(symbol="PEPE/USDT", atoms=10**28, lots=2**63 - 1),),
        ),
    }


def refusals() -> dict[str, dict[str, str]]:
    """Name to {data, error, field}: what every reader must refuse, and the field it must name."""
    signal = encode(examples()["hft_signal_long"]).decode()
    view = encode(examples()["view_quantiles"]).decode()
    noted = encode(examples()["noted_view"]).decode()
    order = encode(examples()["order_execution_fill"]).decode()
    settled = encode(examples()["settled"]).decode()
    account = encode(examples()["account_state"]).decode()

    def bad(text: str, old: str, new: str, field: str, error: str = "BadMessage") -> dict[str, str]:
        assert text.count(old) == 1, old
        return {"data": text.replace(old, new), "error": error, "field": field}

    return {
        "unknown_schema": bad(signal, '"HFT_SIGNAL@1"', '"HFT_SIGNAL@2"', "", "UnknownSchema"),
        "unknown_field": bad(signal, '"target_lots"', '"leverage":"3","target_lots"', "leverage"),
        "note_in_an_older_view": bad(view, '"symbol":"BTC/USDT"', '"symbol":"BTC/USDT","thesis":"it rose"', "thesis"),
        "half_a_note": bad(noted, '"model_kind":"embedded-default",', "", "model_kind"),
        "null_for_a_thesis": bad(noted, r'"it rose\nand \"fell\" ‹¦›"', "null", "thesis"),
        "text_for_what_was_read": bad(noted, '["news 1","n2"]', '"news 1"', "read"),
        "unknown_first_field": bad(signal, '{"bar_close_ns"', '{"a":1,"bar_close_ns"', "a"),
        "unknown_field_of_envelope": bad(signal, '"trace_id"', '"topic":"x","trace_id"', "envelope.topic"),
        "unknown_field_of_fill": bad(order, '"is_maker"', '"is_taker":true,"is_maker"', "fill.is_taker"),
        "missing_field": bad(signal, ',"target_lots":"12345"', "", "target_lots"),
        "missing_field_of_envelope": bad(signal, ',"trace_id":"1f3a"', "", "envelope.trace_id"),
        "missing_optional_field": bad(order, ',"reason":null', "", "reason"),
        "missing_optional_number": bad(settled, ',"wake_at_ns":null', "", "wake_at_ns"),
        "missing_field_in_array": bad(view, '"probability":"0.5",', "", "quantiles.1.probability"),
        "field_twice": bad(signal, '"target_lots"', '"target_lots":"1","target_lots"', "target_lots"),
        "float_for_lots": bad(signal, '"12345"', "12345.0", "target_lots"),
        "integer_for_lots": bad(signal, '"12345"', "12345", "target_lots"),
        "decimal_for_lots": bad(signal, '"12345"', '"12345.0"', "target_lots"),
        "leading_zero": bad(signal, '"12345"', '"012345"', "target_lots"),
        "plus_sign": bad(signal, '"12345"', '"+12345"', "target_lots"),
        "minus_zero": bad(signal, '"12345"', '"-0"', "target_lots"),
        "lots_beyond_64_bits": bad(signal, '"12345"', '"9223372036854775808"', "target_lots"),
        "atoms_beyond_an_account": bad(account, '"123456"', f'"{10**28 + 1}"', "positions.0.atoms"),
        "negative_atoms": bad(account, '"123456"', '"-1"', "positions.0.atoms"),
        "cash_beyond_an_account": bad(account, '"-1"', f'"-{10**28 + 1}"', "cash_quote_atoms"),
        "null_for_lots": bad(signal, '"12345"', "null", "target_lots"),
        "zero_reference": bad(signal, '"6425010"', '"0"', "reference_ticks"),
        "negative_time": bad(signal, f'"bar_close_ns":"{BAR_CLOSE}"', '"bar_close_ns":"-1"', "bar_close_ns"),
        "float_for_decimal": bad(view, '"value_bps":"4.0"', '"value_bps":4.0', "quantiles.1.value_bps"),
        "integer_for_decimal": bad(view, '"value_bps":"4.0"', '"value_bps":4', "quantiles.1.value_bps"),
        "exponent": bad(view, '"value_bps":"4.0"', '"value_bps":"4e0"', "quantiles.1.value_bps"),
        "not_a_number": bad(view, '"value_bps":"4.0"', '"value_bps":"NaN"', "quantiles.1.value_bps"),
        "float_for_counter": bad(signal, '"sequence":1', '"sequence":1.0', "envelope.sequence"),
        "text_for_counter": bad(signal, '"sequence":1', '"sequence":"1"', "envelope.sequence"),
        "negative_counter": bad(signal, '"sequence":1', '"sequence":-1', "envelope.sequence"),
        "counter_beyond_doubles": bad(signal, '"sequence":1', '"sequence":9007199254740992', "envelope.sequence"),
        "number_for_flag": bad(order, '"is_maker":true', '"is_maker":1', "fill.is_maker"),
        "number_for_name": bad(signal, '"release":"trend@1"', '"release":1', "release"),
        "empty_name": bad(signal, '"release":"trend@1"', '"release":""', "release"),
        "space_in_name": bad(signal, '"release":"trend@1"', '"release":"trend 1"', "release"),
        "unknown_state": bad(order, '"PARTIALLY_FILLED"', '"PARTIAL"', "state"),
        "object_for_text": bad(signal, '"release":"trend@1"', '"release":{}', "release"),
        "no_envelope": {"data": "{}", "error": "BadMessage", "field": "envelope"},
        "no_schema": bad(signal, '"schema_id":"HFT_SIGNAL@1",', "", "envelope.schema_id"),
        "not_json": {"data": "HFT_SIGNAL", "error": "BadMessage", "field": ""},
        "empty": {"data": "", "error": "BadMessage", "field": ""},
        "two_objects": {"data": signal + signal, "error": "BadMessage", "field": ""},
    }


def validator_of(schema_id: str) -> Draft202012Validator:
    schema = json.loads((SCHEMAS / f"{schema_id}.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def write_vectors() -> None:
    """Write every vector, and remove those that are no more."""
    (FOLDER / "refused").mkdir(parents=True, exist_ok=True)
    wanted = {FOLDER / f"{name}.json": encode(message) + b"\n" for name, message in examples().items()}
    for name, refusal in refusals().items():
        text = json.dumps(refusal, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        wanted[FOLDER / "refused" / f"{name}.json"] = text.encode()
    for path in FOLDER.rglob("*.json"):
        if path not in wanted:
            path.unlink()
    for path, data in wanted.items():
        path.write_bytes(data)


@pytest.mark.parametrize("name", sorted(examples()))
def test_golden_message_is_what_is_written_today(name: str) -> None:
    data = (FOLDER / f"{name}.json").read_bytes().removesuffix(b"\n")
    assert encode(examples()[name]) == data
    assert decode(data) == examples()[name]


@pytest.mark.parametrize("name", sorted(refusals()))
def test_refused_message_is_refused_by_name_of_its_field(name: str) -> None:
    refusal = json.loads((FOLDER / "refused" / f"{name}.json").read_text(encoding="utf-8"))
    assert refusal == refusals()[name]
    with pytest.raises(MessageError) as caught:
        decode(refusal["data"].encode())
    assert type(caught.value).__name__ == refusal["error"]
    if isinstance(caught.value, BadMessage):
        assert caught.value.field == refusal["field"]
        assert refusal["field"] in str(caught.value)
    else:
        assert isinstance(caught.value, UnknownSchema)
        assert "HFT_SIGNAL@2" in str(caught.value)


def test_no_vector_is_left_over() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(examples())
    assert {path.stem for path in (FOLDER / "refused").glob("*.json")} == set(refusals())


def test_every_schema_has_a_golden_message() -> None:
    assert {type(message).SCHEMA_ID for message in examples().values()} == set(MESSAGE_TYPES)


@pytest.mark.parametrize("name", sorted(examples()))
def test_the_json_schema_takes_every_golden_message(name: str) -> None:
    wire = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    validator_of(wire["envelope"]["schema_id"]).validate(wire)


BEYOND_A_SCHEMA = {
    "atoms_beyond_an_account",
    "cash_beyond_an_account",
    "field_twice",
    "lots_beyond_64_bits",
    "not_json",
    "empty",
    "two_objects",
    "float_for_counter",
}
"""What JSON Schema cannot say: it sees no repeated key, takes 1.0 for an integer, and knows no 64 bits."""


@pytest.mark.parametrize("name", sorted(set(refusals()) - BEYOND_A_SCHEMA))
def test_the_json_schema_refuses_what_readers_refuse(name: str) -> None:
    wire = json.loads(refusals()[name]["data"])
    schemas = {"view": "VIEW@1", "order": "ORDER_EXECUTION@1", "settled": "SETTLED@1", "signal": "HFT_SIGNAL@1"}
    schemas |= {"account": "ACCOUNT_STATE@1", "noted": "VIEW@2"}
    field = {
        "elicitation": "noted",
        "quantiles": "view",
        "side": "order",
        "consumed": "settled",
        "positions": "account",
    }
    kind = next((kind for key, kind in field.items() if key in wire), "signal")
    assert not validator_of(schemas[kind]).is_valid(wire)


@pytest.fixture(scope="module")
def rust_lines() -> list[bytes]:
    """What the example writes; it is chosen as `make test` chooses what cargo tests, so that nothing is built twice."""
    crates = ["--workspace", "--exclude", "sapphire-engine", "--example", "golden_messages"]
    words = ["cargo", "build", *crates, "--message-format", "json"]
    built = subprocess.run(words, cwd=ENGINE, capture_output=True, check=False)
    assert built.returncode == 0, built.stderr.decode()
    made = [each["executable"] for each in map(json.loads, built.stdout.splitlines()) if each.get("executable")]
    (example,) = made
    return subprocess.run([example], capture_output=True, check=True).stdout.splitlines()


def test_python_reads_what_rust_writes_and_writes_it_again(rust_lines: list[bytes]) -> None:
    messages = [decode(line) for line in rust_lines]
    assert [encode(message) for message in messages] == rust_lines
    assert {type(message).SCHEMA_ID for message in messages} == set(MESSAGE_TYPES)


def test_values_from_rust_mean_the_same_here(rust_lines: list[bytes]) -> None:
    by_number = {decode(line).envelope.message_id: decode(line) for line in rust_lines}
    signal = by_number["rust-2"]
    assert isinstance(signal, HftSignalMessage)
    assert signal.signal() == Signal("trend@1", "BTC/USDT", -(2**63), BAR_CLOSE, 2**63 - 1, 6_425_010)
    view = by_number["rust-1"]
    assert isinstance(view, ViewMessage)
    assert view.view().quantiles_bps == {0.1: -120.5, 0.5: 3.0, 0.9: 131.25}
    noted = by_number["rust-11"]
    assert isinstance(noted, ViewMessage)
    assert noted.view().note == ViewNote("it rose\n\u2039\u00a6", ("news 1",), "embedded-default", "one token")
    report = by_number["rust-4"]
    assert isinstance(report, OrderExecutionMessage)
    trade = report.trade()
    assert trade is not None
    assert (trade.trade_id, trade.lots, trade.fee_asset, trade.is_maker) == ("9007199254740993", 1, "BTC", True)
    assert report.order().state is OrderState.PARTIALLY_FILLED
    risk = by_number["rust-6"]
    assert isinstance(risk, RiskUpdateMessage)
    assert risk.text == 'loss of the day\n\t"250" \\ \x01\x7f é 漢 \U0001f4c9 \u2028'


if __name__ == "__main__":
    write_vectors()
    print(f"wrote {FOLDER}", file=sys.stderr)
