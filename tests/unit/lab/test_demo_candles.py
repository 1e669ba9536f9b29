"""The demo takes what a folder of candles has: symbols, length of a bar, period; and says at once where it lacks."""

import json
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import sapphire as sp
from sapphire.agents.release import MAX_AGE
from sapphire.cli import app
from sapphire.data import Measure, Rows, Series, Store
from sapphire.data.candle_files import write_csv
from sapphire.data.trading_rules import rules_beside
from sapphire.domain import DataError, Interval, MissingData, ValueRefused, parse_duration, to_ns
from sapphire.lab.demo.market import RECORDINGS, demo_market
from sapphire.lab.demo.windows import Windows, least_bars, training_bars

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty state folder, and nothing that names candles."""
    monkeypatch.setenv("SAPPHIRE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv(RECORDINGS, raising=False)
    return tmp_path / "home"


@pytest.fixture
def candles(tmp_path):
    """Writes bars of a random walk as a candle file; `without` leaves rows out."""
    folder = tmp_path / "candles"

    def write(name, count, *, start="2021-03-01", interval="1h", without=()):
        random = np.random.default_rng(len(name))
        close = np.round(100 * np.exp(np.cumsum(random.normal(0, 0.004, count))), 2)
        opened = np.concatenate([[100.0], close[:-1]])
        values = np.column_stack([opened, np.maximum(opened, close), np.minimum(opened, close), close, close])
        times = to_ns(start) + np.arange(count) * Interval(interval).ns
        rows = Rows(Measure.BARS, times, values).take(np.delete(np.arange(count), list(without)))
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_csv(path, rows)
        return folder

    return write


def look(folder, tmp_path, **asked):
    return demo_market(7, tmp_path / "demo", candles=folder, **asked)


def test_the_generated_market_stays_what_it_was(tmp_path):
    market = demo_market(7, tmp_path)
    assert market.universe == {
        "symbols": ["BTC/USDT", "ETH/USDT"],
        "interval": "5m",
        "source": "embedded",
        "venue": None,
        "seed": 7,
    }
    lengths = {"train": "15d", "test": "3d", "embargo": "1h", "holdout": "5d", "horizon": "1h", "fast": 48, "slow": 288}
    span = {"start": "2025-03-07T00:00Z", "end": "2025-04-06T00:00Z"}
    assert market.windows.studying == span | lengths
    assert market.windows.promoting == span | lengths | {"test": "10d", "horizon": "4h", "memory": 240}
    assert (market.windows.paper, market.cash, market.candles) == (500, "100000", None)


@pytest.mark.parametrize("name", ["20_agents", "30_backtest", "40_promotion"])
def test_the_notebooks_stand_as_the_generated_market_has_them(tmp_path, name):
    """Each parameter of the demo is one of the notebook, and the notebook's own values are the demo's."""
    cells = json.loads((ROOT / "notebooks" / f"{name}.ipynb").read_text())["cells"]
    own = {}
    (tagged,) = [cell for cell in cells if "parameters" in cell["metadata"].get("tags", ())]
    exec("".join(tagged["source"]), {}, own)
    market = demo_market(7, tmp_path)
    windows = market.windows
    given = {"20_agents": windows.showing, "30_backtest": windows.studying, "40_promotion": windows.promoting}[name]
    asked = market.universe | given | ({} if name == "20_agents" else {"cash": float(market.cash)})
    assert set(asked) <= set(own)
    for key, value in asked.items():
        same = to_ns(own[key]) == to_ns(value) if key in ("start", "end") else own[key] == value
        assert same, key


@pytest.mark.parametrize(
    ("interval", "start", "count", "study", "train"),
    [
        ("5m", "2019-11-01", 12_000, 8640, "15d"),
        ("15m", "2024-06-01", 10_000, 8640, "45d"),
        ("1h", "2021-01-01", 8_760, 8258, "172d1h"),
        ("1d", "2018-01-01", 2_500, 1092, "546d"),
        ("4h", "2018-01-01", 12_000, 6570, "547d12h"),
        ("1m", "2023-12-30", 2_000, 1598, "13h19m"),
    ],
)
def test_any_interval_and_period(candles, tmp_path, interval, start, count, study, train):
    candles(f"BTCUSDT-{interval}.csv", count, start=start, interval=interval)
    market = look(candles(f"ETHUSDT-{interval}.csv", count, start=start, interval=interval), tmp_path)
    windows = market.windows
    assert market.symbols == ("BTC/USDT", "ETH/USDT")
    assert (windows.bars, windows.studying["train"]) == (study, train)
    traded = min(500, count // 5, 182 if interval == "1d" else 500)
    assert windows.paper == traded
    assert windows.end_ns == to_ns(start) + (count - traded - 2) * Interval(interval).ns
    for length in ("train", "test", "embargo", "holdout", "horizon"):
        assert parse_duration(windows.promoting[length]) % timedelta(seconds=Interval(interval).seconds) == timedelta(0)


@pytest.mark.parametrize(
    ("asked", "symbols"),
    [
        ([], ("ETH/BTC", "LTC/BTC")),
        (["SOL/USDC"], ("SOL/USDC",)),
        (["ETHBTC"], ("ETH/BTC",)),
        (["LTC/BTC", "ETH/BTC"], ("LTC/BTC", "ETH/BTC")),
    ],
)
def test_any_symbols_and_quotes(candles, tmp_path, asked, symbols):
    for name in ("SOL_USDC", "LTC_BTC", "ETH_BTC", "XMR_BTC"):
        folder = candles(f"{name}-1h.csv", 1000)
    market = look(folder, tmp_path, symbols=asked)
    assert market.symbols == symbols
    assert market.cash == ("100000" if market.quote == "USDC" else "10")
    assert market.label == "recorded candles (binance spot), 1h, 2021-03-01 to 2021-04-11"


def test_what_is_missing_is_said_before_any_work(candles, tmp_path, home):
    folder = candles("BTC_USDT-1h.csv", 300)
    candles("BTC_USDT-1d.csv", 90, interval="1d")
    with pytest.raises(MissingData, match="too few candles") as refused:
        look(folder, tmp_path)
    study = least_bars(1)
    assert f"{study + 2 + study // 4:,} bars in a row that 1 symbol share" in refused.value.expected
    assert f"training {training_bars(study, 1):,}" in refused.value.expected
    assert "300 bars of 1h in a row of BTC/USDT, 2021-03-01T00:00Z to 2021-03-13T11:00Z" in refused.value.got
    assert "90 bars of 1d in a row of BTC/USDT" in refused.value.got
    with pytest.raises(MissingData, match="no bars of BTC/USDT and DOGE/USDT together") as unknown:
        look(folder, tmp_path, symbols=["BTC/USDT", "DOGE/USDT"])
    assert unknown.value.got == "BTC/USDT 1d, BTC/USDT 1h"
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no candle files"):
        look(tmp_path / "empty", tmp_path)
    done = CliRunner().invoke(app, ["demo", "--candles", str(folder), "--bars", "5000"])
    assert isinstance(done.exception, MissingData)
    assert "on paper 5,000" in done.exception.expected
    assert "--bars 1250" in done.exception.next
    assert not home.exists()
    assert not (tmp_path / "demo").exists()


def test_nothing_trades_beyond_the_age_at_which_a_release_may_be_used(candles, tmp_path):
    folder = candles("BTC_USDT-1d.csv", 2500, interval="1d", start="2018-01-01")
    windows = look(folder, tmp_path).windows
    days = parse_duration(windows.promoting["holdout"]) + timedelta(days=windows.paper)
    assert days <= MAX_AGE
    with pytest.raises(ValueRefused, match="183 bars of 1d on paper") as refused:
        look(folder, tmp_path, bars=183)
    assert refused.value.next.startswith("--bars 182")


def test_small_gaps_stay_and_a_hole_ends_a_stretch(candles, tmp_path):
    hole = range(500, 900)
    folder = candles("BTC_USDT-1h.csv", 3000, without=[*hole, 1200, 1201, 2999])
    market = look(folder, tmp_path)
    assert market.windows.start_ns == to_ns("2021-03-01") + 900 * Interval("1h").ns
    assert market.windows.paper == (3000 - 900 - 3) // 5
    rows = market.rows["BTC/USDT"]
    assert len(rows) == 3000 - 900 - 3
    market.prepare()
    taken = sp.data.snapshot(
        ["BTC/USDT"], interval="1h", start=market.windows.start, end=market.windows.end, venue="binance"
    )
    assert len(taken.bars) == market.windows.bars - 2


def test_perpetuals_stand_in_only_where_there_is_no_spot_and_every_label_says_it(candles, tmp_path):
    for coin in ("BTC", "ETH"):
        folder = candles(f"data/futures/um/monthly/klines/{coin}USDT/1h/{coin}USDT-1h-2021-03.csv", 1000)
    market = look(folder, tmp_path)
    assert market.symbols == ("BTC/USDT", "ETH/USDT")
    assert market.venue == "binanceusdm-as-spot"
    market.prepare()
    span = {"interval": "1h", "start": market.windows.start, "end": market.windows.end}
    taken = sp.data.snapshot(list(market.symbols), venue=market.venue, **span)
    assert taken.provenance.label == "recorded candles (binanceusdm-as-spot)"
    assert market.label.startswith(taken.provenance.label)
    for coin in ("BTC", "ETH"):
        candles(f"data/spot/monthly/klines/{coin}USDT/1h/{coin}USDT-1h-2021-03.csv", 1000)
    assert look(folder, tmp_path).venue == "binance"
    assert look(folder, tmp_path, symbols=["BTC/USDT:USDT"]).venue == "binanceusdm-as-spot"


@pytest.mark.parametrize("inside", ["", "candles"])
def test_the_environment_names_the_folder_or_the_one_around_it(candles, tmp_path, monkeypatch, inside):
    folder = candles("BTC_USDT-1h.csv", 1000)
    monkeypatch.setenv(RECORDINGS, str(folder.parent if inside else folder))
    assert demo_market(7, tmp_path / "demo").symbols == ("BTC/USDT",)


def test_the_exchange_reads_what_was_prepared_and_nothing_else(candles, tmp_path):
    folder = candles("BTC_USDT-1h.csv", 1000)
    stale = tmp_path / "demo" / "candles" / "binance" / "ETHUSDT-5m.csv"
    stale.parent.mkdir(parents=True)
    stale.write_text("of an earlier demo")
    market = look(folder, tmp_path)
    market.prepare()
    assert sorted(path.name for path in market.candles.iterdir()) == ["BTCUSDT-1h.csv", "rules.json"]
    assert rules_beside(market.candles)["BTC/USDT"].instrument(market.windows.end_ns).tick == Decimal("0.01")
    recorded = Store().read(Series("binance", "BTC/USDT", Measure.BARS, "1h"))
    assert recorded.content_sha256() == market.rows["BTC/USDT"].content_sha256()


@pytest.mark.parametrize("symbols", [1, 2])
def test_a_study_of_the_least_length_fits_its_model(home, symbols):
    """The shortest study that is begun is long enough for its hungriest step."""
    bars = least_bars(symbols)
    names = ["BTC/USDT", "ETH/USDT"][:symbols]
    windows = Windows(to_ns("2021-03-01"), bars, Interval("1h"), 10)
    taken = sp.data.snapshot(names, interval="1h", start=windows.start, end=windows.end, source="embedded")
    promoting = windows.promoting
    study = sp.study(
        "least",
        data=taken,
        holdout=promoting["holdout"],
        split=sp.walk_forward(train=promoting["train"], test=promoting["test"], embargo=promoting["embargo"]),
        costs=sp.costs.binance_spot(),
        sizing=sp.portfolio.VolatilityTarget(annual=0.20),
    )
    lags = tuple(lag for lag in sp.agents.LagLlama().lags if lag < promoting["memory"])
    model = sp.agents.LagLlama(
        horizon=parse_duration(promoting["horizon"]), lags=lags, scaling=promoting["memory"], steps=2, patience=1
    )
    (fold,) = study.folds
    train = taken.bars.rows(0, round((fold.train_end - fold.train_start).total_seconds() / 3600))
    assert model.fit(train, seed=7).is_fitted
    cross = sp.agents.MovingAverageCross(
        fast=promoting["fast"], slow=promoting["slow"], horizon=parse_duration(promoting["horizon"])
    )
    assert np.isfinite(study.screen(cross).performance.total_return)


def test_generated_symbols_may_be_named(tmp_path):
    assert demo_market(7, tmp_path, symbols=["SOL/USDT"]).symbols == ("SOL/USDT",)
    with pytest.raises(sp.domain.SapphireError, match="XMR/USDT"):
        demo_market(7, tmp_path, symbols=["XMR/USDT"])
