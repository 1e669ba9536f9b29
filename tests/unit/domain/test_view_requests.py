"""A window goes over the wire and comes back with every bit; what is not one is refused and the field named."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sapphire.domain import BadBars, BadMessage, Bars, Interval, LeakFound, UnknownInterval, UnknownSchema, Window
from sapphire.domain.clocks import from_ns
from sapphire.domain.view_requests import CachedRequest, encode_window, read_request

HOUR = Interval("1h")
START_NS = 1_735_689_600_000_000_000  # 2025-01-01T00:00Z
FIELDS = ("open", "high", "low", "close", "volume")


def window(prices, listed=None):
    prices = np.array(prices, dtype=np.float64)
    listed = np.ones(prices.shape, dtype=np.bool_) if listed is None else np.array(listed)
    times = START_NS + np.arange(len(prices), dtype=np.int64) * HOUR.ns
    shown = np.where(listed, prices, np.nan)
    arrays = dict.fromkeys(("open", "high", "low", "close", "volume"), shown)
    symbols = ("BTC/USDT", "ETH/USDT")[: prices.shape[1]]
    bars = Bars(symbols=symbols, interval=HOUR, open_time_ns=times, listed=listed, **arrays)
    return Window(bars, from_ns(int(times[-1]) + HOUR.ns))


SOUND = window([[1.5, 2.5], [0.1, 1 / 3]], [[True, True], [True, False]])


def spoiled(**changed):
    value = json.loads(encode_window(SOUND))
    for key, each in changed.items():
        if each is Ellipsis:
            del value[key]
        else:
            value[key] = each
    return json.dumps(value).encode()


@given(st.lists(st.lists(st.floats(1e-300, 1e300), min_size=2, max_size=2), min_size=1, max_size=20))
def test_every_bit_arrives(prices):
    sent = window(prices)
    got = read_request(encode_window(sent, trace_id="t1")).window
    assert got.as_of == sent.as_of
    for name in ("open_time_ns", *FIELDS, "listed"):
        assert getattr(got.bars, name).tobytes() == getattr(sent.bars, name).tobytes()


def test_a_symbol_without_a_bar_is_null_on_the_way():
    data = json.loads(encode_window(SOUND))
    assert data["close"] == [[1.5, 2.5], [0.1, None]]
    assert read_request(json.dumps(data).encode()).window.bars.listed.tolist() == [[True, True], [True, False]]


def test_decimal_text_and_whole_numbers_are_read_as_the_nearest_double():
    text = [["1.5", 2.5], ["0.1", None]]
    request = read_request(
        spoiled(**dict.fromkeys(("open", "high", "low", "close", "volume_base"), text), as_of_ns=START_NS + 2 * HOUR.ns)
    )
    assert request.window.bars.close[1, 0] == 0.1


def test_what_the_caller_knows_is_carried_on():
    request = read_request(encode_window(SOUND, trace_id="bar-1", causation_id="m-7"))
    assert (request.trace_id, request.causation_id) == ("bar-1", "m-7")
    bare = json.loads(encode_window(SOUND))
    assert bare["trace_id"] is None
    del bare["trace_id"], bare["causation_id"]
    assert read_request(json.dumps(bare).encode()).trace_id is None


def test_a_cached_request_goes_and_comes():
    request = CachedRequest("binance-spot", START_NS, trace_id="bar-1")
    assert read_request(request.encode()) == request


@pytest.mark.parametrize(
    ("data", "field"),
    [
        (spoiled(symbols=...), "symbols"),
        (spoiled(colour="red"), "colour"),
        (spoiled(symbols="BTC/USDT"), "symbols"),
        (spoiled(symbols=["BTC USDT", "ETH/USDT"]), "symbols.0"),
        (spoiled(interval=60), "interval"),
        (spoiled(as_of_ns="12.5"), "as_of_ns"),
        (spoiled(as_of_ns=True), "as_of_ns"),
        (spoiled(as_of_ns=START_NS + 2 * HOUR.ns + 1), "as_of_ns"),
        (spoiled(as_of_ns=2**63), "as_of_ns"),
        (spoiled(open_time_ns=[]), "open_time_ns"),
        (spoiled(open_time_ns=["0", "x"]), "open_time_ns.1"),
        (spoiled(close=[[1.5, 2.5]]), "close"),
        (spoiled(close=[[1.5, 2.5], [1.0]]), "close.1"),
        (spoiled(close=[[1.5, 2.5], [1.0, "1e5"]]), "close.1.1"),
        (spoiled(close=[[1.5, 2.5], [1.0, True]]), "close.1.1"),
        (spoiled(close=[[1.5, 2.5], [1.0, 10**400]]), "close.1.1"),
        (spoiled(close=[[1.5, 2.5], ["9" * 81, 1.0]]), "close.1.0"),
        (spoiled(volume_base=None), "volume_base"),
        (spoiled(trace_id="a b"), "trace_id"),
    ],
)
def test_a_bad_field_is_named(data, field):
    with pytest.raises(BadMessage) as refused:
        read_request(data)
    assert refused.value.field == field


def test_a_number_that_no_double_holds_is_refused():
    with pytest.raises(BadMessage, match="a double can hold"):
        read_request(encode_window(SOUND).replace(b"[1.5,2.5]", b"[1e999,2.5]"))


@pytest.mark.parametrize(
    "data", [b"", b"\xff", b"[]", b"null", b'{"schema":"WINDOW@2"}', b"[" * 100_000, b'{"schema":["WINDOW@1"]}']
)
def test_what_is_no_request_is_refused(data):
    with pytest.raises((BadMessage, UnknownSchema)):
        read_request(data)


def test_a_field_that_comes_twice_and_a_number_that_is_none_are_refused():
    whole = encode_window(SOUND)
    for data in (whole[:-1] + b',"schema":"WINDOW@1"}', whole.replace(b"1.5", b"NaN", 1)):
        with pytest.raises(BadMessage, match="not JSON"):
            read_request(data)


def test_a_bar_of_the_future_and_bars_that_are_none_are_refused():
    with pytest.raises(LeakFound):
        read_request(spoiled(as_of_ns=str(START_NS + HOUR.ns)))
    with pytest.raises(BadBars):
        read_request(spoiled(low=[[9.0, 2.5], [0.1, None]]))
    with pytest.raises(BadBars):
        read_request(spoiled(open=[[1.5, 2.5], [0.1, 3.0]]))
    with pytest.raises(BadBars):
        read_request(spoiled(symbols=["BTC/USDT", "BTC/USDT"]))
    with pytest.raises(UnknownInterval):
        read_request(spoiled(interval="7m"))


def test_a_request_is_not_read_when_it_is_too_large():
    with pytest.raises(BadMessage, match="too large"):
        read_request(b" " * (16 * 2**20 + 1))


def test_features_stay_at_home():
    asked = replace(SOUND, features={"one": lambda seen: seen.panel("close")})
    assert encode_window(asked) == encode_window(SOUND)
