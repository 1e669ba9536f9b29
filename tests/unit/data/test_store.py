"""The store keeps what it was given, knows for which stretches, and notices damage."""

import itertools
import json
from pathlib import Path

import duckdb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sapphire.data import Measure, Origin, Rows, Series, Store
from sapphire.data.spans import joined_spans, without
from sapphire.domain import BadBars, DataError, Interval, MissingData, to_ns

HOUR = Interval("1h")
BTC = Series("binance", "BTC/USDT", Measure.BARS, "1h")


@pytest.fixture
def store(home):
    return Store()


def span_of(rows):
    return int(rows.open_time_ns[0]), int(rows.open_time_ns[-1]) + HOUR.ns


def test_what_was_given_comes_back_over_months(store, walk):
    rows = walk(24 * 40)  # from 30 January into March
    assert store.append(BTC, rows, covered=span_of(rows)) == len(rows)
    assert sorted(path.name for path in store.folder(BTC).glob("*.parquet")) == [
        "2024-01.parquet",
        "2024-02.parquet",
        "2024-03.parquet",
    ]
    assert store.read(BTC).content_sha256() == rows.content_sha256()
    start, end = int(rows.open_time_ns[30]), int(rows.open_time_ns[800])
    assert store.read(BTC, start, end).content_sha256() == rows.take(slice(30, 800)).content_sha256()


def test_repeated_rows_are_not_added_again(store, walk):
    rows = walk(100)
    first, second = rows.take(slice(0, 60)), rows.take(slice(40, 100))
    assert store.append(BTC, first, covered=span_of(first)) == 60
    assert store.append(BTC, second, covered=span_of(second)) == 40
    assert store.append(BTC, second, covered=span_of(second)) == 0
    assert store.read(BTC).content_sha256() == rows.content_sha256()
    assert store.find(BTC).covered == (span_of(rows),)


def test_a_stretch_without_rows_is_covered_too(store, walk):
    rows = walk(10)
    start, end = span_of(rows)
    empty = Rows.empty(Measure.BARS)
    assert store.missing(BTC, start, end) == [(start, end)]
    assert store.append(BTC, empty, covered=(start, end)) == 0
    assert store.missing(BTC, start, end) == []
    assert len(store.read(BTC)) == 0


def test_a_row_that_contradicts_is_refused_and_nothing_changes(store, walk):
    rows = walk(24 * 5)
    store.append(BTC, rows, covered=span_of(rows))
    values = rows.values.copy()
    values[70, 4] += 1.0
    before = {path.name: path.read_bytes() for path in store.folder(BTC).iterdir()}
    with pytest.raises(BadBars, match="contradicts what is stored") as refused:
        store.append(BTC, Rows(Measure.BARS, rows.open_time_ns, values), covered=span_of(rows))
    assert "2024-02-01T22:00Z" in refused.value.expected
    assert {path.name: path.read_bytes() for path in store.folder(BTC).iterdir()} == before


def test_faulty_rows_do_not_get_in(store, walk):
    rows = walk(10)
    with pytest.raises(BadBars, match="out of order"):
        store.append(BTC, rows.take(np.arange(10)[::-1]), covered=span_of(rows))
    with pytest.raises(BadBars, match="outside the stretch"):
        store.append(BTC, rows, covered=(int(rows.open_time_ns[1]), span_of(rows)[1]))
    assert store.find(BTC) is None


def test_rows_that_are_not_covered_are_not_seen(store, walk):
    """A run that was killed between a page's rows and its coverage."""
    rows = walk(20)
    store.append(BTC, rows.take(slice(0, 10)), covered=span_of(rows.take(slice(0, 10))))
    described = (store.folder(BTC) / "series.json").read_bytes()
    store.append(BTC, rows.take(slice(10, 20)), covered=span_of(rows.take(slice(10, 20))))
    (store.folder(BTC) / "series.json").write_bytes(described)
    (store.folder(BTC) / ".writing-torn").write_bytes(b"half a file")
    assert len(store.read(BTC)) == 10
    store.append(BTC, rows.take(slice(10, 20)), covered=span_of(rows.take(slice(10, 20))))
    assert store.read(BTC).content_sha256() == rows.content_sha256()
    assert not list(store.folder(BTC).glob(".writing-*"))


def test_real_and_generated_bars_do_not_meet_in_one_series(store, walk):
    rows = walk(10)
    store.append(BTC, rows, covered=span_of(rows), origin=Origin.of_seed(7))
    for other in (Origin(), Origin.of_seed(8)):
        with pytest.raises(DataError, match="from another market"):
            store.append(BTC, rows, covered=span_of(rows), origin=other)


def damage(path: Path, kind: str) -> None:
    whole = path.read_bytes()
    middle = len(whole) // 3
    if kind == "truncated":
        path.write_bytes(whole[:-20])
    elif kind == "flipped":
        path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    elif kind == "emptied":
        path.write_bytes(b"")
    else:
        path.unlink()


@pytest.mark.parametrize("kind", ["truncated", "flipped", "emptied", "removed"])
def test_a_damaged_month_is_refused_by_name(store, walk, kind):
    rows = walk(24 * 20)
    store.append(BTC, rows, covered=span_of(rows))
    damage(store.folder(BTC) / "2024-02.parquet", kind)
    with pytest.raises(DataError, match=r"2024-02\.parquet") as refused:
        store.read(BTC)
    assert "collect or import it again" in refused.value.next


def outcome_of(store) -> str:
    """The content read, or which file is refused; statistics and such are not part of what the rows say."""
    try:
        return store.read(BTC).content_sha256()
    except DataError as error:
        return f"damage in {error.what.split()[0]}"


@pytest.mark.parametrize("position", range(0, 100, 7))
def test_a_flipped_bit_anywhere_is_found(store, walk, position):
    rows = walk(30, start="2024-02-01")
    store.append(BTC, rows, covered=span_of(rows))
    path = store.folder(BTC) / "2024-02.parquet"
    whole = bytearray(path.read_bytes())
    place = position * len(whole) // 100
    whole[place] ^= 0x10
    path.write_bytes(bytes(whole))
    assert outcome_of(store) in ("damage in 2024-02.parquet", rows.content_sha256())


def test_a_month_replaced_by_an_older_one_lost_rows(store, walk):
    rows = walk(48, start="2024-02-01")
    early = rows.take(slice(0, 24))
    store.append(BTC, early, covered=span_of(early))
    older = (store.folder(BTC) / "2024-02.parquet").read_bytes()
    store.append(BTC, rows, covered=span_of(rows))
    (store.folder(BTC) / "2024-02.parquet").write_bytes(older)
    with pytest.raises(DataError, match=r"2024-02\.parquet lost rows"):
        store.read(BTC)


def test_a_damaged_description_is_refused_by_name(store, walk):
    rows = walk(5)
    store.append(BTC, rows, covered=span_of(rows))
    path = store.folder(BTC) / "series.json"
    for text in ("", "{", "{}", json.dumps({"format": "another"})):
        path.write_text(text)
        with pytest.raises(DataError, match=r"series\.json"):
            store.stored()


def test_duckdb_and_polars_read_the_layout(store, walk):
    rows = walk(24 * 40)
    store.append(BTC, rows, covered=span_of(rows))
    pattern = str(store.root / "**" / "*.parquet")
    found = duckdb.sql(
        f"select venue, symbol, interval, count(*), sum(volume), max(open_time) "
        f"from read_parquet('{pattern}', hive_partitioning = true) group by all"
    ).fetchall()
    assert [row[:4] for row in found] == [("binance", "BTC_USDT", "1h", len(rows))]
    assert found[0][4] == pytest.approx(rows.column("volume").sum())
    assert store.scan(BTC).collect().height == len(rows)


def test_nothing_recorded_is_missing_data(store):
    with pytest.raises(MissingData, match="no recording of binance BTC/USDT bars 1h"):
        store.read(BTC)


@pytest.mark.parametrize(
    ("symbol", "measure"),
    [("1000SATS/USDT", Measure.BARS), *(("BTC/USDT:USDT", measure) for measure in Measure)],
)
def test_the_folder_is_the_series(symbol, measure):
    series = Series("binance", symbol, measure, "8h")
    assert Series.from_folder(series.folder) == series


SPANS = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=8)


@given(SPANS, st.integers(0, 50), st.integers(0, 50))
def test_covered_and_missing_make_up_the_whole(spans, start, end):
    covered = joined_spans(spans)
    points = {point for first, last in spans for point in range(first, last)}
    assert {point for first, last in covered for point in range(first, last)} == points
    left = {point for first, last in without((start, end), covered) for point in range(first, last)}
    assert left == set(range(start, end)) - points
    assert all(before[1] < after[0] for before, after in itertools.pairwise(covered))


def test_the_month_of_a_bar_is_the_month_it_opens_in(store):
    times = np.array([to_ns("2024-01-31T23:00Z"), to_ns("2024-02-01T00:00Z")])
    rows = Rows(Measure.BARS, times, np.array([[1.0, 2.0, 1.0, 2.0, 3.0]] * 2))
    store.append(BTC, rows, covered=(int(times[0]), int(times[1]) + HOUR.ns))
    assert store.find(BTC).months == {"2024-01": 1, "2024-02": 1}
