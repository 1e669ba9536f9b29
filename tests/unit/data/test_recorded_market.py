"""Real candles, as recorders left them, go in and come out. SAPPHIRE_RECORDINGS is the folder that holds candles/."""

import os
from pathlib import Path

import numpy as np
import pytest

from sapphire.data import Measure, Series, Store, export_candles, import_candles, snapshot
from sapphire.data.candle_files import identify, read_candles
from sapphire.domain import InstrumentKind, MissingData

pytestmark = pytest.mark.recordings


@pytest.fixture(scope="module")
def candles() -> Path:
    named = os.environ.get("SAPPHIRE_RECORDINGS", "")
    if not named:
        pytest.fail("SAPPHIRE_RECORDINGS is not set: it names the folder that holds candles/; or -m 'not recordings'")
    folder = Path(named) / "candles"
    if not folder.is_dir():
        pytest.fail(f"SAPPHIRE_RECORDINGS is {named}, which holds no candles/")
    return folder


@pytest.fixture(scope="module")
def imported(candles, tmp_path_factory):
    """Everything imported once, into a home of this module's own."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("SAPPHIRE_HOME", str(home))
        yield import_candles(candles, venue="binance")


def test_every_file_goes_in_as_what_it_is(candles, imported):
    assert len(imported.files) == len(list(candles.iterdir()))
    assert {(str(one.series.kind), str(one.series.measure)) for one in imported.files} == {
        ("spot", "bars"),
        ("linear_perpetual", "bars"),
        ("linear_perpetual", "mark"),
        ("linear_perpetual", "funding"),
    }
    assert all(one.added == one.rows for one in imported.files)


def test_the_store_gives_back_what_the_files_say(candles, imported):
    for name in ("BTC_USDT_USDT-5m-futures.feather", "ETH_USDT_USDT-8h-funding_rate.feather"):
        file = identify(candles / name, venue="binance")
        assert Store().read(file.series).content_sha256() == read_candles(file).content_sha256()


def test_the_venue_s_outage_stays_a_gap(imported):
    spot = next(one for one in imported.files if str(one.series.kind) == "spot")
    assert [(gap.count, gap.got.split(", the first ")[1][:17]) for gap in spot.report.findings] == [
        (1, "2023-03-24T13:00Z")
    ]
    taken = snapshot(["BTC/USDT"], interval="1h", start="2023-01-01", end="2025-01-01")
    assert len(taken) == 2 * 365 * 24 + 24 - 1
    assert taken.provenance.label == "recorded candles (binance spot)"


def test_perpetuals_are_marked_and_their_rules_read_off(imported):
    taken = snapshot(["BTC/USDT:USDT", "ETH/USDT:USDT"], interval="5m", start="2025-03-07", end="2025-04-13")
    assert taken.provenance.label == "recorded candles (binance usdm)"
    assert [f"{one.tick} {one.lot}" for one in taken.instruments] == ["0.1 0.001", "0.01 0.001"]
    assert taken.bars.listed.all()
    assert np.corrcoef(np.diff(np.log(taken.bars.close.T)))[0, 1] > 0.5


def test_a_range_beyond_the_recording_says_what_is_missing(imported):
    with pytest.raises(MissingData, match=r"BTC/USDT:USDT without 2025-04-13T07:20Z to 2025-05-01T00:00Z"):
        snapshot(["BTC/USDT:USDT"], interval="5m", start="2025-03-07", end="2025-05-01")


def test_funding_is_a_series_of_its_own(imported):
    rates = Store().read(Series("binance", "BTC/USDT:USDT", Measure.FUNDING, "8h")).frame()["rate"]
    assert len(rates) == 266
    assert rates.abs().max() < 0.03  # Binance caps a rate at 3 %


def test_the_exchange_s_csv_holds_the_same_bars(candles, imported, tmp_path):
    pairs = ["BTC/USDT", "ETH/USDT"]
    written = export_candles(candles, tmp_path, pairs, interval="5m", kind=InstrumentKind.LINEAR_PERPETUAL)
    assert [path.name for path in written] == ["BTCUSDT-5m.csv", "ETHUSDT-5m.csv"]
    for path, name in zip(written, ("BTC", "ETH"), strict=True):
        recorded = read_candles(identify(candles / f"{name}_USDT_USDT-5m-futures.feather", venue="binance"))
        assert read_candles(identify(path, venue="binance")).content_sha256() == recorded.content_sha256()
