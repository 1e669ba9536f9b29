"""A snapshot is what was asked for, stays what it is, and says where it is from."""

import json
import os
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sapphire.data import Measure, Origin, Rows, Series, Snapshot, Store, list_snapshots, load_snapshot, snapshot
from sapphire.domain import (
    BadBars,
    DataError,
    FixedClock,
    Interval,
    MissingData,
    UnknownInterval,
    ValueRefused,
    to_ns,
)

HOUR = Interval("1h")
AT = FixedClock(to_ns("2026-01-01"))
FEBRUARY = {"interval": "1h", "start": "2024-02-01", "end": "2024-02-05"}


@pytest.fixture
def record(home, walk):
    """Puts bars of a symbol into the store, from 30 January 2024 on."""

    def put(symbol="BTC/USDT", rows=None, *, venue="binance", origin=None, rules=None, seed=1, count=240):
        rows = walk(count, seed=seed) if rows is None else rows
        covered = (int(rows.open_time_ns[0]), int(rows.open_time_ns[-1]) + HOUR.ns)
        series = Series(venue, symbol, Measure.BARS, "1h")
        Store().append(series, rows, covered=covered, origin=origin, rules=rules)
        return rows

    return put


def test_start_is_in_and_end_is_not(record):
    rows = record()
    taken = snapshot(["BTC/USDT"], **FEBRUARY)
    assert taken.bars.open_times[0].isoformat() == "2024-02-01T00:00:00+00:00"
    assert taken.bars.open_times[-1].isoformat() == "2024-02-04T23:00:00+00:00"
    inside = rows.between(to_ns("2024-02-01"), to_ns("2024-02-05"))
    np.testing.assert_array_equal(taken.bars.close[:, 0], inside.column("close"))


def test_times_between_two_bars_ask_for_the_bars_that_open_inside(record):
    record()
    whole = snapshot(["BTC/USDT"], interval="1h", start="2024-02-01T00:00Z", end="2024-02-01T06:00Z")
    between = snapshot(["BTC/USDT"], interval="1h", start="2024-01-31T23:30Z", end="2024-02-01T05:01Z")
    assert between.hash == whole.hash


def test_the_same_request_is_the_same_snapshot(record):
    record()
    first = snapshot(["BTC/USDT"], **FEBRUARY, clock=AT)
    again = snapshot(["BTC/USDT"], **FEBRUARY, clock=FixedClock(to_ns("2026-06-01")))
    assert again.hash == first.hash
    assert again.provenance.as_of == first.provenance.as_of
    assert len(list_snapshots()) == 1


def test_the_hash_names_the_request_and_the_content(record, monkeypatch, tmp_path):
    record()
    record("ETH/USDT", seed=2)
    hashes = [
        snapshot(symbols, interval="1h", start=start, end=end).hash
        for symbols, start, end in [
            (["BTC/USDT"], "2024-02-01", "2024-02-05"),
            (["BTC/USDT"], "2024-02-01", "2024-02-04"),
            (["BTC/USDT", "ETH/USDT"], "2024-02-01", "2024-02-05"),
            (["ETH/USDT", "BTC/USDT"], "2024-02-01", "2024-02-05"),
        ]
    ]
    monkeypatch.setenv("SAPPHIRE_HOME", str(tmp_path / "another"))
    record(seed=3)
    hashes.append(snapshot(["BTC/USDT"], **FEBRUARY).hash)
    assert len(set(hashes)) == 5


def test_another_process_gets_the_same_hash(record, tmp_path):
    record()
    here = snapshot(["BTC/USDT"], **FEBRUARY)
    script = (
        "from sapphire.data import snapshot\n"
        "print(snapshot(['BTC/USDT'], interval='1h', start='2024-02-01', end='2024-02-05').hash)"
    )
    for snapshots in sorted((tmp_path / "home" / "data" / "snapshots").iterdir()):
        snapshots.rename(tmp_path / "moved-away")
    done = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == here.hash


def test_the_hash_does_not_depend_on_how_parquet_was_written(record):
    record()
    taken = snapshot(["BTC/USDT"], **FEBRUARY)
    path = taken.folder / "BTC_USDT.parquet"
    table = pq.read_table(path)
    pq.write_table(table, path, compression="none", row_group_size=7, version="1.0", use_dictionary=False)
    assert load_snapshot(taken.hash).hash == taken.hash


def test_it_loads_as_it_was_taken(record):
    record()
    record("ETH/USDT", seed=2)
    taken = snapshot(["ETH/USDT", "BTC/USDT"], **FEBRUARY, clock=AT)
    loaded = load_snapshot(taken.hash[:8])
    for field in ("open_time_ns", "open", "high", "low", "close", "volume", "listed"):
        np.testing.assert_array_equal(getattr(loaded.bars, field), getattr(taken.bars, field))
    assert loaded.provenance == taken.provenance
    assert loaded.instruments.symbols == ("ETH/USDT", "BTC/USDT")


def test_a_bar_that_one_symbol_lacks_is_not_listed(record, walk):
    record()
    whole = walk(240, seed=2)
    record("ETH/USDT", whole.take(np.r_[0:60, 63:240]))
    bars = snapshot(["BTC/USDT", "ETH/USDT"], **FEBRUARY).bars
    assert np.argwhere(~bars.listed).tolist() == [[12, 1], [13, 1], [14, 1]]
    assert np.isnan(bars.close[12:15, 1]).all()


@pytest.mark.parametrize("name", ["BTC_USDT.parquet", "manifest.json"])
@pytest.mark.parametrize("kind", ["truncated", "emptied", "removed", "changed"])
def test_damage_is_refused_by_file_name(record, name, kind):
    record()
    taken = snapshot(["BTC/USDT"], **FEBRUARY)
    path = taken.folder / name
    whole = path.read_bytes()
    if kind == "removed":
        path.unlink()
    elif kind == "changed" and name.endswith("json"):
        path.write_text(whole.decode().replace('"tick":"0.1"', '"tick":"0.2"'))
    elif kind == "changed":
        table = pq.read_table(path)
        close = table["close"].to_numpy().copy()
        close[5] += 0.1
        pq.write_table(table.set_column(4, "close", [close]), path)
    else:
        path.write_bytes(whole[:-30] if kind == "truncated" else b"")
    with pytest.raises(DataError, match=name.replace(".", r"\.")):
        load_snapshot(taken.hash)
    with pytest.raises(DataError, match=name.replace(".", r"\.")) as refused:
        snapshot(["BTC/USDT"], **FEBRUARY)
    assert refused.value.next == f"delete {taken.folder} and take the snapshot again"


def test_content_swapped_for_other_sound_content_is_found(record, walk):
    """Each file verifies by itself; the manifest knows which one belongs here."""
    record()
    taken = snapshot(["BTC/USDT"], **FEBRUARY)
    other = snapshot(["BTC/USDT"], interval="1h", start="2024-02-02", end="2024-02-06")
    (taken.folder / "BTC_USDT.parquet").write_bytes((other.folder / "BTC_USDT.parquet").read_bytes())
    with pytest.raises(DataError, match=r"BTC_USDT\.parquet is damaged"):
        load_snapshot(taken.hash)


def test_a_writer_that_died_leaves_no_snapshot(record, monkeypatch):
    record()

    def dies(path, rows):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("sapphire.data.catalog.write_rows", dies)
        with pytest.raises(KeyboardInterrupt):
            snapshot(["BTC/USDT"], **FEBRUARY)
    assert list_snapshots() == []
    assert len(snapshot(["BTC/USDT"], **FEBRUARY)) == 96


def test_missing_data_says_what_is_missing_and_how_to_get_it(record):
    record(count=100)
    with pytest.raises(MissingData) as refused:
        snapshot(["BTC/USDT", "ETH/USDT"], **FEBRUARY)
    error = refused.value
    assert "BTC/USDT without 2024-02-03T04:00Z to 2024-02-05T00:00Z" in error.got
    assert "nothing of ETH/USDT" in error.got
    assert error.next == (
        "sapphire data collect BTC/USDT ETH/USDT --interval 1h --start 2024-02-01T00:00Z --end 2024-02-05T00:00Z "
        "--exchange binance\nor, for candle files: sapphire data import FOLDER --venue binance"
    )


def test_missing_data_names_what_is_recorded_elsewhere(record):
    record(venue="kraken")
    with pytest.raises(MissingData, match=r"recorded: 1h bars on kraken"):
        snapshot(["BTC/USDT"], **FEBRUARY)
    assert snapshot(["BTC/USDT"], **FEBRUARY, venue="kraken").provenance.label == "recorded candles (kraken spot)"


def test_a_stretch_in_which_the_venue_had_nothing_is_missing_data(home):
    span = (to_ns("2024-01-01"), to_ns("2024-03-01"))
    series = Series("binance", "BTC/USDT", Measure.BARS, "1h")
    Store().append(series, Rows.empty(Measure.BARS), covered=span)
    with pytest.raises(MissingData, match="had no bars in this range"):
        snapshot(["BTC/USDT"], **FEBRUARY)


def test_real_and_generated_bars_never_mix(record):
    record(venue="embedded", origin=Origin.of_seed(7))
    record("ETH/USDT", venue="embedded", origin=Origin())
    with pytest.raises(DataError, match="different markets in one snapshot"):
        snapshot(["BTC/USDT", "ETH/USDT"], **FEBRUARY, venue="embedded")
    generated = snapshot(["BTC/USDT"], **FEBRUARY, venue="embedded")
    assert generated.provenance.source == "embedded"
    assert generated.provenance.label == "generated market v2, seed 7 (uncalibrated)"
    assert snapshot(["ETH/USDT"], **FEBRUARY, venue="embedded").provenance.label == "recorded candles (embedded spot)"


def test_what_was_recorded_of_perpetuals_says_so(record):
    record("BTC/USDT:USDT")
    taken = snapshot(["BTC/USDT:USDT"], **FEBRUARY)
    assert taken.provenance.label == "recorded candles (binance usdm)"
    assert str(taken.instruments["BTC/USDT:USDT"].kind) == "linear_perpetual"


def test_rules_are_the_venue_s_where_the_bars_fit_them(record):
    record(rules={"tick": "0.01", "lot": "0.0001", "min_notional": "10"})
    record("ETH/USDT", rules={"tick": "0.5", "lot": "0.0001"})
    record("BTC/USDT:USDT")
    taken = snapshot(["BTC/USDT", "ETH/USDT", "BTC/USDT:USDT"], **FEBRUARY)
    entries = {entry["symbol"]: entry for entry in taken.manifest["instruments"]}
    assert [entries["BTC/USDT"][name] for name in ("tick", "lot", "min_notional", "rules")] == [
        "0.01",
        "0.0001",
        "10",
        "venue",
    ]
    assert [entries["ETH/USDT"][name] for name in ("tick", "lot", "rules")] == ["0.1", "0.0001", "read off the candles"]
    assert [entries["BTC/USDT:USDT"][name] for name in ("tick", "lot", "min_notional")] == ["0.1", "0.001", "100"]
    for column, instrument in enumerate(taken.instruments):
        for price in taken.bars.close[:20, column]:
            instrument.to_ticks(str(price))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"symbols": []}, ValueRefused),
        ({"symbols": ["BTC/USDT", "BTC/USDT"]}, ValueRefused),
        ({"symbols": ["BTCUSDT"]}, ValueRefused),
        ({"symbols": ["BTC/USDT:BTC"]}, ValueRefused),
        ({"end": "2024-02-01"}, ValueRefused),
        ({"interval": "7m"}, UnknownInterval),
        ({"source": "made up"}, ValueRefused),
        ({"venue": "../elsewhere"}, ValueRefused),
        ({"source": "embedded", "venue": "binance"}, ValueRefused),
    ],
)
def test_a_request_that_cannot_be_meant_is_refused(home, change, error):
    with pytest.raises(error):
        snapshot(**{"symbols": ["BTC/USDT"], **FEBRUARY, **change})


def test_an_unknown_or_doubtful_hash_is_missing_data(record):
    record()
    snapshot(["BTC/USDT"], **FEBRUARY)
    for digest in ("", "zz"):
        with pytest.raises(MissingData, match="no snapshot"):
            load_snapshot(digest)


def test_it_shows_itself_without_javascript(record):
    record()
    taken = snapshot(["BTC/USDT"], **FEBRUARY)
    shown = taken._repr_mimebundle_()
    assert set(shown) == {"text/plain", "text/html"}
    for text in shown.values():
        assert "recorded candles (binance spot)" in text
        assert "BTC/USDT" in text
    assert "<script" not in shown["text/html"]
    assert "var(--jp-" in shown["text/html"]
    assert taken.hash[:12] in repr(taken)


def test_the_plot_says_where_the_bars_are_from(record):
    record()
    record("ETH/USDT", seed=2)
    figure = snapshot(["BTC/USDT", "ETH/USDT"], **FEBRUARY).plot()
    assert "recorded candles (binance spot)" in figure.layout.title.text
    assert [(trace.type, trace.name) for trace in figure.data] == [
        (kind, symbol) for symbol in ("BTC/USDT", "ETH/USDT") for kind in ("candlestick", "bar")
    ]
    assert all(len(trace.x) == 96 for trace in figure.data)
    assert (figure.layout.yaxis.title.text, figure.layout.yaxis2.title.text) == ("BTC in USDT", "ETH in USDT")


def test_a_long_plot_has_longer_candles_and_keeps_what_was_traded(record):
    rows = record(count=9_000)
    taken = snapshot(["BTC/USDT"], interval="1h", start="2024-01-30", end=int(rows.open_time_ns[-1]) + HOUR.ns)
    candles, traded = taken.plot().data
    assert len(candles.x) <= 360
    assert (candles.open[0], candles.close[-1]) == (taken.bars.open[0, 0], taken.bars.close[-1, 0])
    assert (max(candles.high), min(candles.low)) == (taken.bars.high.max(), taken.bars.low.min())
    assert taken.plot().layout.yaxis2.title.text.replace("<br>", " ") == "traded, million USDT"
    assert 1e6 * sum(traded.y) == pytest.approx((taken.bars.close * taken.bars.volume).sum())
    assert "2d candles of 1h bars" in taken.plot().layout.title.text


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20, deadline=None)
@given(first=st.integers(0, 47), length=st.integers(1, 48))
def test_a_snapshot_is_exactly_the_bars_of_its_range(walk, monkeypatch, tmp_path_factory, first, length):
    monkeypatch.setenv("SAPPHIRE_HOME", str(tmp_path_factory.mktemp("home")))
    rows = walk(96)
    covered = (int(rows.open_time_ns[0]), int(rows.open_time_ns[-1]) + HOUR.ns)
    Store().append(Series("binance", "BTC/USDT", Measure.BARS, "1h"), rows, covered=covered)
    start = int(rows.open_time_ns[first])
    taken: Snapshot = snapshot(["BTC/USDT"], interval="1h", start=start, end=start + length * HOUR.ns)
    assert len(taken) == length
    np.testing.assert_array_equal(taken.bars.open_time_ns, rows.open_time_ns[first : first + length])


def test_a_manifest_is_canonical_json(record):
    record()
    taken = snapshot(["BTC/USDT"], **FEBRUARY, clock=AT)
    text = (taken.folder / "manifest.json").read_text().strip()
    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))
    assert json.loads(text)["as_of_ns"] == str(AT.at_ns)


def test_noise_that_an_older_store_kept_is_no_reason_to_refuse(record, walk, monkeypatch):
    rows = walk(240)
    noisy = Rows(Measure.BARS, rows.open_time_ns, np.nextafter(rows.values, np.inf))
    with monkeypatch.context() as older:
        older.setattr(Rows, "as_decimals", lambda self: self)
        record(rows=noisy)
    taken = snapshot(["BTC/USDT"], **FEBRUARY)
    assert [taken.manifest["instruments"][0][name] for name in ("tick", "lot")] == ["0.1", "0.001"]
    np.testing.assert_array_equal(taken.bars.close[:, 0], rows.column("close")[48:144])
    assert (
        Store().append(Series("binance", "BTC/USDT", Measure.BARS, "1h"), rows, covered=(0, to_ns("2025-01-01"))) == 0
    )


def test_volume_needs_no_step(record, walk):
    rows = walk(240)
    values = rows.values.copy()
    values[:, 4] /= 3
    record(rows=Rows(Measure.BARS, rows.open_time_ns, values))
    whole = np.column_stack([values[:, :4], np.round(values[:, 4])])
    record("ETH/USDT", Rows(Measure.BARS, rows.open_time_ns, whole))
    cheap = np.column_stack([np.full((240, 4), 1e-5), rows.values[:, 4] * 1e10 + 1 / 3])
    record("PEPE/USDT", Rows(Measure.BARS, rows.open_time_ns, cheap))
    record("SOL/USDT", Rows(Measure.BARS, rows.open_time_ns, values), rules={"tick": "0.1", "lot": "0.01"})
    record("ADA/USDT", rows=rows, rules={"tick": "0.0000000001", "lot": "0.0000000001"})
    taken = snapshot(["BTC/USDT", "ETH/USDT", "PEPE/USDT", "SOL/USDT", "ADA/USDT"], **FEBRUARY)
    entries = {
        entry["symbol"]: (entry["tick"], entry["lot"], entry["rules"]) for entry in taken.manifest["instruments"]
    }
    assert entries == {
        "BTC/USDT": ("0.1", "0.00000001", "read off the candles, lot assumed"),
        "ETH/USDT": ("0.1", "0.00000001", "read off the candles, lot assumed"),  # whole coins of 42,000 USDT are no lot
        "PEPE/USDT": ("0.00001", "0.0001", "read off the candles, lot assumed"),
        "SOL/USDT": ("0.1", "0.01", "venue"),
        "ADA/USDT": ("0.1", "0.001", "read off the candles"),
    }
    np.testing.assert_allclose(taken.bars.volume[:, 0], values[48:144, 4], rtol=1e-15)


def test_a_price_finer_than_any_venue_s_is_refused(record, walk):
    rows = walk(240)
    values = rows.values.copy()
    values[60:, :4] *= 1 + 1e-9
    record(rows=Rows(Measure.BARS, rows.open_time_ns, values))
    with pytest.raises(BadBars, match="finer than any venue's"):
        snapshot(["BTC/USDT"], **FEBRUARY)


@pytest.mark.parametrize("source", ["recorded", "embedded"])
def test_an_end_in_the_future_is_refused_in_words(record, source):
    record()
    asked = {"interval": "1h", "start": "2024-02-01", "source": source}
    with pytest.raises(ValueRefused, match="an end in the future") as refused:
        snapshot(["BTC/USDT"], **asked, end="2026-01-02", clock=AT)
    assert "2026-01-01T00:00Z" in refused.value.expected
    assert "2026-01-01T00:00Z" in refused.value.next


def test_a_venue_whose_time_is_ahead_has_bars_of_its_own(record):
    """Market time of an exchange on this machine may run ahead of the machine's: what it closed is closed."""
    record()
    assert len(snapshot(["BTC/USDT"], **FEBRUARY, clock=FixedClock(to_ns("2024-02-02")))) == 96


@pytest.mark.parametrize("symbols", [None, 3, [3], ["BTC/USDT", None]])
def test_symbols_are_texts(home, symbols):
    with pytest.raises(ValueRefused, match="symbols of a snapshot"):
        snapshot(symbols, **FEBRUARY)


def test_a_seed_is_a_whole_number(home):
    with pytest.raises(ValueRefused, match="seed of the generated market"):
        snapshot(["BTC/USDT"], **FEBRUARY, source="embedded", seed="7")
