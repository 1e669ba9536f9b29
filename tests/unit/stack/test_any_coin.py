"""A coin that the generated market does not list, from its candles through gates and promotion to its market."""

import json
import subprocess
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from sapphire.agents import MovingAverageCross
from sapphire.data import Measure, Rows, import_candles, snapshot
from sapphire.data.candle_files import write_csv
from sapphire.domain import to_ns
from sapphire.domain.clocks import WallClock
from sapphire.domain.errors import Refused
from sapphire.portfolio import FixedFraction
from sapphire.research import costs, study, walk_forward
from sapphire.stack.addresses import Ports
from sapphire.stack.assembly import Assembly
from sapphire.stack.folders import RunFolder
from sapphire.stack.going_on import Asked, plan_to_start
from sapphire.stack.releases import described

HOUR_NS = 3_600_000_000_000
BARS, CHANGED = 300, 210


@pytest.fixture(scope="module")
def coin(tmp_path_factory, with_mlflow):
    """A home with a promoted release on LTC/USDT, and its candles, whose tick becomes 0.1 on their way."""
    with pytest.MonkeyPatch.context() as patched:
        home = with_mlflow(tmp_path_factory.mktemp("coin"))
        patched.setenv("SAPPHIRE_HOME", str(home))
        folder = tmp_path_factory.mktemp("candles")
        dice = np.random.default_rng(3)
        tick = np.where(np.arange(BARS) < CHANGED, 0.01, 0.1)
        close = 500.0 * np.exp(np.cumsum(dice.normal(0.0, 0.006, BARS)))
        opened, close = (np.round(np.rint(each / tick) * tick, 2) for each in (np.r_[500.0, close[:-1]], close))
        edges = [np.round(np.maximum(opened, close) + tick, 2), np.round(np.minimum(opened, close) - tick, 2)]
        values = np.column_stack([opened, *edges, close, dice.uniform(100, 1000, BARS)])
        rows = Rows(Measure.BARS, to_ns("2021-03-01") + np.arange(BARS) * HOUR_NS, values)
        write_csv(folder / "LTCUSDT-1h.csv", rows)
        import_candles(folder)
        data = snapshot(["LTC/USDT"], interval="1h", start="2021-03-01", end="2021-03-13T12:00")
        made = study(
            "coin",
            data=data,
            holdout="40h",
            split=walk_forward(train="100h", test="60h", embargo="5h"),
            costs=costs.binance_spot(),
            sizing=FixedFraction(fraction=0.4),
        )
        release = made.submit(MovingAverageCross(fast=3, slow=12, horizon=timedelta(hours=2)))
        assert release.gates(to="paper").permits == "paper"
        release.promote(to="paper")
        yield home, folder, release.digest


def planned(coin, run, **asked):
    home, _, digest = coin
    return plan_to_start(Asked(release=digest, **asked), RunFolder(run), home, fresh=False,
                         now_ns=WallClock().now_ns(), say=lambda _: None)  # fmt: skip


def test_the_generated_market_is_refused_before_anything_starts(coin, tmp_path):
    with pytest.raises(Refused, match="the generated market does not list LTC/USDT") as refused:
        planned(coin, tmp_path)
    assert "--candles FOLDER" in refused.value.next


@pytest.mark.parametrize(("start", "tick"), [(None, "0.01"), ("2021-03-10T00:00:00Z", "0.1")])
def test_its_market_starts_by_the_rules_of_its_candles(coin, tmp_path, monkeypatch, start, tick):
    home, folder, digest = coin
    monkeypatch.setenv("SAPPHIRE_HOME", str(home))
    plan = planned(coin, tmp_path, candles=folder, start=start)
    assembly = Assembly(plan, Ports.choose(tmp_path), described(home, digest)[1])
    exchange = next(part for part in assembly.parts() if part.name == "exchange")
    (known,) = json.loads(RunFolder(tmp_path).settings("coordinator").read_text())["instruments"]
    assert (known["symbol"], known["tick"]) == ("LTC/USDT", tick)
    with subprocess.Popen(exchange.command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as running:
        try:
            first_line = json.loads(running.stdout.readline())
            assert first_line["url"] == exchange.address
            rules = json.loads(_get(f"{first_line['url']}/api/v3/exchangeInfo"))["symbols"][0]
        finally:
            running.terminate()
    steps = {each["filterType"]: each for each in rules["filters"]}
    assert (rules["symbol"], float(steps["PRICE_FILTER"]["tickSize"])) == ("LTCUSDT", float(tick))
    assert Path(plan.market.candles).name == folder.name


def _get(url):
    from urllib.request import urlopen

    with urlopen(url, timeout=10) as answer:
        return answer.read()
