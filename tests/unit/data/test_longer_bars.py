"""Longer bars are made of shorter ones that are held, whole ones only, and the snapshot says so."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sapphire.data import Measure, Rows, Series, Store, load_snapshot, snapshot
from sapphire.data.longer_bars import longer_bars
from sapphire.domain import Interval, MissingData, Window, to_ns

HOUR, FOUR = Interval("1h"), Interval("4h")
RANGE = {"interval": "4h", "start": "2024-01-30", "end": "2024-02-09"}


@pytest.fixture
def recorded(home, walk):
    """Puts bars into the store, ten days from 30 January 2024 on."""

    def put(symbol="BTC/USDT", rows=None, interval="1h", *, seed=1):
        length = Interval(interval)
        rows = walk(240 * HOUR.ns // length.ns, interval=length, seed=seed) if rows is None else rows
        covered = (to_ns("2024-01-30"), to_ns("2024-02-09"))
        Store().append(Series("binance", symbol, Measure.BARS, interval), rows, covered=covered)
        return rows

    return put


def test_they_open_with_the_first_and_close_with_the_last(recorded):
    rows = recorded()
    taken = snapshot(["BTC/USDT"], **RANGE)
    parts = rows.values.reshape(60, 4, 5)
    np.testing.assert_array_equal(taken.bars.open[:, 0], parts[:, 0, 0])
    np.testing.assert_array_equal(taken.bars.high[:, 0], parts[:, :, 1].max(axis=1))
    np.testing.assert_array_equal(taken.bars.low[:, 0], parts[:, :, 2].min(axis=1))
    np.testing.assert_array_equal(taken.bars.close[:, 0], parts[:, 3, 3])
    np.testing.assert_array_equal(taken.bars.volume[:, 0], np.round(parts[:, :, 4].sum(axis=1), 3))
    assert taken.manifest["instruments"][0]["lot"] == "0.001"


def test_the_label_says_what_they_are_made_of_and_the_hash_stays(recorded):
    recorded()
    taken = snapshot(["BTC/USDT"], **RANGE)
    assert taken.provenance.label == "recorded candles (binance spot, made from 1h)"
    assert snapshot(["BTC/USDT"], **RANGE).hash == taken.hash
    assert load_snapshot(taken.hash[:8]).provenance == taken.provenance
    recorded(interval="5m")
    assert snapshot(["BTC/USDT"], **RANGE).hash == taken.hash, "the longest that there is makes them"


def test_bars_that_are_held_themselves_come_first(recorded, walk):
    recorded()
    four = recorded(rows=walk(60, interval=FOUR, seed=3), interval="4h")
    taken = snapshot(["BTC/USDT"], **RANGE)
    assert taken.provenance.label == "recorded candles (binance spot)"
    np.testing.assert_array_equal(taken.bars.close[:, 0], four.column("close"))


def test_each_symbol_says_its_own(recorded, walk):
    recorded()
    recorded("ETH/USDT", interval="30m", seed=2)
    recorded("SOL/USDT", walk(60, interval=FOUR, seed=3), "4h")
    label = snapshot(["BTC/USDT", "ETH/USDT", "SOL/USDT"], **RANGE).provenance.label
    assert label == "recorded candles (binance spot, made from BTC/USDT 1h, ETH/USDT 30m)"


def test_a_bar_of_which_a_part_is_missing_is_not_made(recorded, walk):
    rows = walk(240)
    recorded(rows=rows.take(np.r_[0:5, 6:240]))
    taken = snapshot(["BTC/USDT"], **RANGE)
    assert len(taken) == 59
    assert to_ns("2024-01-30T04:00Z") not in taken.bars.open_time_ns.tolist()
    with pytest.raises(MissingData, match="no 4h bar of which every 1h part is there"):
        snapshot(["BTC/USDT"], interval="4h", start="2024-01-30T04:00Z", end="2024-01-30T08:00Z")


def test_an_agent_s_resample_sees_the_same(recorded, walk):
    recorded(rows=walk(240).take(np.r_[0:5, 6:100, 103:240]))
    made = snapshot(["BTC/USDT"], **RANGE).bars
    hours = snapshot(["BTC/USDT"], **(RANGE | {"interval": "1h"})).bars
    seen = Window(hours, hours.times[-1]).resample("4h")
    for name in ("open", "high", "low", "close"):
        np.testing.assert_array_equal(seen.panel(name).to_numpy(), getattr(made, name))
    np.testing.assert_allclose(seen.panel("volume").to_numpy(), made.volume, rtol=1e-12)


def test_shorter_bars_that_do_not_cover_the_range_are_named(recorded):
    recorded()
    with pytest.raises(MissingData) as refused:
        snapshot(["BTC/USDT"], interval="4h", start="2024-01-30", end="2024-02-20")
    assert "nothing of BTC/USDT (recorded: 1h bars on binance)" in refused.value.got
    assert "1h bars, of which they can be made, without 2024-02-09T00:00Z to 2024-02-20T00:00Z" in refused.value.got


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(kept=st.sets(st.integers(0, 47)), longer=st.sampled_from(["2h", "4h", "6h", "1d"]))
def test_exactly_the_whole_ones_are_made(walk, kept, longer):
    rows, length = walk(48), Interval(longer)
    made = longer_bars(rows.take(np.array(sorted(kept), np.int64)), HOUR, length)
    parts = length.ns // HOUR.ns
    whole = [first for first in range(0, 48, parts) if set(range(first, first + parts)) <= kept]
    assert made.open_time_ns.tolist() == rows.open_time_ns[whole].tolist()
    for at, first in enumerate(whole):
        assert made.values[at, :4].tolist() == [
            rows.values[first, 0],
            rows.values[first : first + parts, 1].max(),
            rows.values[first : first + parts, 2].min(),
            rows.values[first + parts - 1, 3],
        ]
    assert isinstance(made, Rows)
