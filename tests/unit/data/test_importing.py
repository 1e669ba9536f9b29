"""Candle files go in whole or not at all, and a folder as far as it can."""

import numpy as np
import pyarrow.feather as feather
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sapphire.data import Measure, Rows, Series, Store, check_candles, export_candles, import_candles
from sapphire.data.candle_files import identify, read_candles, write_csv
from sapphire.domain import BadBars, DataError, FixedClock, InstrumentKind, Interval, MissingData, ValueRefused, to_ns

PERPETUAL = Series("binance", "BTC/USDT:USDT", Measure.BARS, "1h")
NAME = "BTC_USDT_USDT-1h-futures.feather"


def test_a_folder_of_all_kinds_goes_in(home, recording, funding, walk, tmp_path):
    recording(walk(30))
    recording(walk(30, seed=2), "BTCUSDT_1h_2024.feather", time="timestamp", zone=None)
    funding("BTC_USDT_USDT-8h-funding_rate.feather", [0.0001, -0.0002, 0.0003])
    recording(walk(3, interval=Interval("8h")), "BTC_USDT_USDT-8h-mark.feather")
    done = import_candles(tmp_path / "candles", venue="binance")
    assert [(str(one.series.kind), str(one.series.measure), one.added) for one in done.files] == [
        ("spot", "bars", 30),
        ("linear_perpetual", "bars", 30),
        ("linear_perpetual", "funding", 3),
        ("linear_perpetual", "mark", 3),
    ]
    assert {entry.series.symbol for entry in Store().stored()} == {"BTC/USDT", "BTC/USDT:USDT"}
    rates = Store().read(Series("binance", "BTC/USDT:USDT", Measure.FUNDING, "8h"))
    assert rates.frame()["rate"].tolist() == [0.0001, -0.0002, 0.0003]
    assert "linear_perpetual" in str(done)


def test_the_same_file_twice_adds_nothing(home, recording, walk):
    path = recording(walk(30))
    assert [one.added for one in import_candles(path).files] == [30]
    assert [one.added for one in import_candles(path).files] == [0]


def test_a_folder_imports_what_it_can_and_lists_what_it_left(home, recording, walk, tmp_path):
    folder = tmp_path / "candles"
    recording(walk(30))
    recording(walk(30).take(np.r_[0:10, 11, 10, 12:30]), "ETH_USDT_USDT-1h-futures.feather")
    recording(walk(30), "BNBUSD-1h.feather")
    recording(walk(30), "whatever.feather")
    (folder / "README.md").write_text("notes")
    (folder / ".hidden.csv").write_text("")
    (folder / "deeper").mkdir()
    (folder / "deeper" / "notes.txt").write_text("")
    (folder / ".hidden").mkdir()
    (folder / ".hidden" / "BTC_USDT-1h.csv").write_text("")
    done = import_candles(folder)
    assert [entry.series for entry in Store().stored()] == [PERPETUAL]
    assert [(one.file, one.fault) for one in done.left] == [
        ("BNBUSD-1h.feather", True),
        ("ETH_USDT_USDT-1h-futures.feather", True),
        ("README.md", False),
        ("deeper/notes.txt", False),
        ("whatever.feather", False),
    ]
    assert "BN/BUSD or BNB/USD" in done.left[0].why
    assert "row 11" in done.left[1].why
    assert done.left[1].next == f"sapphire data check {folder}/ETH_USDT_USDT-1h-futures.feather --repair"
    assert done.ok is False
    assert "left 5 files" in str(done)
    assert "left 5 files" in done._repr_mimebundle_()["text/html"]


def test_strangers_alone_are_no_fault(home, recording, walk, tmp_path):
    recording(walk(30))
    (tmp_path / "candles" / "pairs.json").write_text('["BTC/USDT"]')
    done = import_candles(tmp_path / "candles")
    assert (done.ok, [one.fault for one in done.left]) == (True, [False])


def test_a_folder_of_which_nothing_goes_in_says_why(home, recording, walk, tmp_path):
    path = recording(walk(30).take(np.arange(30)[::-1]))
    with pytest.raises(BadBars, match=f"bars out of order in {NAME}") as refused:
        import_candles(tmp_path / "candles")
    assert "the newest first" in refused.value.got
    path.rename(path.with_name("whatever.feather"))
    with pytest.raises(DataError, match="no candle files") as refused:
        import_candles(tmp_path / "candles")
    assert refused.value.got == "whatever.feather"
    assert not home.exists()


def test_one_file_is_refused_whole(home, recording, walk):
    path = recording(walk(30).take(np.r_[0:10, 11, 10, 12:30]))
    with pytest.raises(BadBars, match=NAME) as refused:
        import_candles(path)
    assert refused.value.next == f"sapphire data check {path} --repair"
    assert not list(home.rglob("*.parquet"))


def test_what_is_said_of_one_file_is_not_said_of_a_folder(home, recording, walk, tmp_path):
    recording(walk(30))
    for options in ({"symbol": "BTC/USDT"}, {"columns": "open=o"}):
        with pytest.raises(ValueRefused, match="for a folder"):
            import_candles(tmp_path / "candles", **options)


def test_two_files_that_contradict_each_other_both_stay_out(home, recording, walk, tmp_path):
    recording(walk(30), "BTCUSDT_1h_a.feather")
    recording(walk(30, seed=2), "BTCUSDT_1h_b.feather")
    with pytest.raises(BadBars, match=r"two rows for one time in BTCUSDT_1h_a.feather and BTCUSDT_1h_b.feather"):
        import_candles(tmp_path / "candles")
    assert Store().stored() == []


def test_a_file_that_contradicts_the_store_is_left(home, recording, walk, tmp_path):
    import_candles(recording(walk(30)))
    recording(walk(30, seed=2))
    recording(walk(30), "ADA_USDT_USDT-1h-futures.feather")
    done = import_candles(tmp_path / "candles")
    assert [one.file for one in done.files] == ["ADA_USDT_USDT-1h-futures.feather"]
    assert [(one.file, one.fault) for one in done.left] == [(NAME, True)]
    assert "contradicts what is stored" in done.left[0].why
    assert Store().read(PERPETUAL).content_sha256() == walk(30).content_sha256()


def test_files_that_follow_each_other_join(home, recording, walk, tmp_path):
    rows = walk(100)
    recording(rows.take(slice(0, 60)), "BTCUSDT_1h_a.feather")
    recording(rows.take(slice(50, 100)), "BTCUSDT_1h_b.feather")
    done = import_candles(tmp_path / "candles")
    assert [one.added for one in done.files] == [60, 40]
    assert Store().read(done.files[0].series).content_sha256() == rows.content_sha256()


def test_bars_of_the_future_are_refused(home, recording, walk):
    path = recording(walk(30))
    now = FixedClock(to_ns("2024-01-31T00:30Z"))
    with pytest.raises(BadBars, match="rows from the future"):
        import_candles(path, clock=now)


@pytest.mark.parametrize("kind", ["truncated", "empty", "no rows", "of something else"])
def test_an_unreadable_file_is_refused_by_name(home, recording, walk, kind):
    path = recording(walk(30))
    whole = path.read_bytes()
    if kind == "no rows":
        feather.write_feather(feather.read_table(str(path)).slice(0, 0), str(path))
    else:
        path.write_bytes({"truncated": whole[:300], "empty": b"", "of something else": b"{}" * 99}[kind])
    with pytest.raises(BadBars, match=NAME):
        import_candles(path)
    assert not home.exists()


def test_nothing_there_and_nothing_to_import_are_errors(home, tmp_path):
    with pytest.raises(DataError, match="no file or folder"):
        import_candles(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no candle files"):
        import_candles(tmp_path / "empty")


def test_files_are_not_the_embedded_exchange_s(home, recording, walk):
    with pytest.raises(ValueRefused, match="embedded exchange"):
        import_candles(recording(walk(3)), venue="embedded")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(order=st.permutations(range(30)), again=st.lists(st.integers(0, 29), max_size=10))
def test_any_permutation_with_repeats_imports_to_the_same_content(
    order, again, monkeypatch, tmp_path_factory, recording, walk
):
    monkeypatch.setenv("SAPPHIRE_HOME", str(tmp_path_factory.mktemp("home")))
    rows = walk(30)
    path = recording(rows.take(np.array([*order, *again])))
    import_candles(path, repair=True)
    assert Store().read(PERPETUAL).content_sha256() == rows.content_sha256()


@pytest.mark.parametrize("form", ["feather", "csv"])
def test_repair_writes_the_file_in_order_and_keeps_its_other_columns(home, recording, walk, tmp_path, form):
    rows = walk(30)
    muddled = rows.take(np.r_[5:30, 0:5, 3, 3])
    if form == "csv":
        path = tmp_path / "BTCUSDT-1h.csv"
        write_csv(path, muddled)
    else:
        path = recording(muddled)
        table = feather.read_table(str(path))
        feather.write_feather(table.append_column("note", [["kept"] * len(muddled)]), str(path))
    assert [finding.check for finding in check_candles(path)[0].faults] == ["order", "repeats"]
    assert check_candles(path, repair=True)[0].ok
    assert read_candles(identify(path, venue="binance")).content_sha256() == rows.content_sha256()
    if form == "feather":
        assert feather.read_table(str(path))["note"].to_pylist() == ["kept"] * 30
    import_candles(path)


def test_repair_leaves_alone_what_it_cannot_mend(home, recording, walk):
    rows = walk(30)
    values = rows.values.copy()
    values[3, 1] = 1.0
    path = recording(Rows(Measure.BARS, rows.open_time_ns, values).take(np.arange(30)[::-1]))
    before = path.read_bytes()
    report = check_candles(path, repair=True)[0]
    assert [finding.check for finding in report.faults] == ["order", "high", "low"]
    assert path.read_bytes() == before


def test_export_writes_what_the_exchange_reads(home, recording, walk, tmp_path):
    btc, eth = walk(30), walk(30, seed=2, price=3_000)
    recording(btc)
    recording(eth, "ETH_USDT_USDT-1h-futures.feather")
    recording(btc, "BTCUSDT_1h_spot.feather")
    source, target = tmp_path / "candles", tmp_path / "csv"
    target.mkdir()
    (target / "BTCUSDT-5m.csv").write_text("from another time")
    written = export_candles(source, target, ["BTC/USDT", "ETHUSDT"], kind=InstrumentKind.LINEAR_PERPETUAL)
    assert [path.name for path in written] == ["BTCUSDT-1h.csv", "ETHUSDT-1h.csv"]
    assert sorted(path.name for path in target.iterdir()) == ["BTCUSDT-1h.csv", "ETHUSDT-1h.csv", "rules.json"]
    assert read_candles(identify(written[1], venue="binance")).content_sha256() == eth.content_sha256()


def test_export_takes_the_shortest_interval_that_all_pairs_have(recording, walk, tmp_path):
    recording(walk(30))
    five = Rows(Measure.BARS, walk(30).open_time_ns, walk(30).values)
    recording(five, "BTC_USDT_USDT-5m-futures.feather")
    recording(walk(30, seed=2), "ETH_USDT_USDT-1h-futures.feather")
    written = export_candles(tmp_path / "candles", tmp_path / "csv", ["BTC/USDT", "ETH/USDT"])
    assert [path.name for path in written] == ["BTCUSDT-1h.csv", "ETHUSDT-1h.csv"]
    assert export_candles(tmp_path / "candles", tmp_path / "csv", ["BTC/USDT"])[0].name == "BTCUSDT-5m.csv"


def test_export_does_not_choose_for_anybody(recording, walk, tmp_path):
    recording(walk(30))
    recording(walk(30), "BTCUSDT_1h_spot.feather")
    with pytest.raises(ValueRefused, match="more than one file of 1h bars") as refused:
        export_candles(tmp_path / "candles", tmp_path / "csv", ["BTC/USDT"])
    assert "BTCUSDT_1h_spot.feather" in refused.value.got
    with pytest.raises(MissingData, match="no candle file with 5m bars of BTCUSDT"):
        export_candles(tmp_path / "candles", tmp_path / "csv", ["BTC/USDT"], interval="5m")
    with pytest.raises(MissingData, match="no bars that all pairs share"):
        export_candles(tmp_path / "candles", tmp_path / "csv", ["BTC/USDT", "DOGE/USDT"])


def test_a_check_of_a_folder_lists_what_it_could_not_read(home, recording, walk, tmp_path):
    recording(walk(30))
    recording(walk(30), "ETH_USDT-1h.feather").write_bytes(b"cut")
    recording(walk(30), "whatever.feather")
    checked = check_candles(tmp_path / "candles")
    assert [report.ok for report in checked] == [True]
    assert [(one.file, one.fault) for one in checked.left] == [
        ("ETH_USDT-1h.feather", True),
        ("whatever.feather", False),
    ]
    assert checked.ok is False
    assert "left 2 files" in str(checked)


def test_rows_without_a_price_are_dropped_when_told_and_said(home, recording, walk):
    rows = walk(30)
    values = rows.values.copy()
    values[[0, 7]] = np.nan
    path = recording(Rows(Measure.BARS, rows.open_time_ns, values))
    with pytest.raises(BadBars, match="rows without a price") as refused:
        import_candles(path)
    assert refused.value.next == f"sapphire data check {path} --repair"
    done = import_candles(path, repair=True)
    assert [(one.rows, one.report.missing) for one in done.files] == [(28, 1)]
    assert done.files[0].notes[0].got.startswith("repaired, 2 rows")
    assert "repaired, 2 rows" in str(done)
    assert check_candles(path, repair=True)[0].ok
    assert len(read_candles(identify(path, venue="binance"))) == 28
