"""The collector, through the unmodified ccxt, from the embedded exchange: pages, kills, and what is closed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from sapphire.data import Measure, Origin, Series, Store, collect, snapshot
from sapphire.data.commands import app
from sapphire.data.generated import generated_instrument
from sapphire.domain import DataError, ExchangeError, Interval, UnknownInstrument, from_ns, to_ns
from sapphire.execution import Exchange, ccxt_config

SEVEN = Origin.of_seed(7)
HOURS = ("1h", "2024-02-01", "2024-02-11")
BTC = Series("embedded", "BTC/USDT", Measure.BARS, "1h")
MINUTES = Series("embedded", "BTC/USDT", Measure.BARS, "1m")
START = "2024-03-01T12:00:00Z"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    monkeypatch.setenv("SAPPHIRE_HOME", str(folder))
    return folder


@pytest.fixture
def config(history: Exchange) -> dict[str, Any]:
    """Settings for market data alone; no keys."""
    return ccxt_config(history.address.url, history.address.ws_url)


def test_what_is_collected_is_the_generated_market(config: dict[str, Any]) -> None:
    """Through the exchange, its JSON, ccxt and the store, or straight from the engine: the same bars, the same hash."""
    symbols = ["BTC/USDT", "ETH/USDT"]
    done = collect(symbols, *HOURS, config=config, origin=SEVEN, progress=False)
    assert [one.added for one in done.series] == [240, 240]
    assert done.complete
    request = {"interval": "1h", "start": "2024-02-01", "end": "2024-02-11"}
    collected = snapshot(symbols, **request, source="recorded", venue="embedded")
    assert collected.provenance.label == "generated market v2, seed 7 (uncalibrated)"
    assert collected.hash == snapshot(symbols, **request, source="embedded", seed=7).hash


def test_rules_that_changed_since_do_not_make_it_another_range(config: dict[str, Any]) -> None:
    """The exchange of 2024 goes by a finer tick than the range had; one snapshot, by whichever way it is taken."""
    request = {"interval": "1h", "start": "2018-01-01", "end": "2018-01-04"}
    then, now = (generated_instrument("ETH/USDT", seed=7, at_ns=to_ns(at)) for at in ("2018-01-03", START))
    assert then.tick > now.tick
    collect(["ETH/USDT"], *request.values(), config=config, origin=SEVEN, progress=False)
    known = Store().find(Series("embedded", "ETH/USDT", Measure.BARS, "1h"))
    assert known is not None
    assert known.rules["tick"] == str(now.tick)
    collected = snapshot(["ETH/USDT"], **request, venue="embedded")
    assert collected.instruments["ETH/USDT"] == then
    assert collected.hash == snapshot(["ETH/USDT"], **request, source="embedded", seed=7).hash


def test_bars_that_are_not_of_their_market_are_refused(config: dict[str, Any]) -> None:
    """The bars of 2024 lie between the ticks that another seed has: whoever collected them named the wrong one."""
    request = {"interval": "1h", "start": "2024-02-01", "end": "2024-02-02"}
    wrong = Origin.of_seed(8)
    collect(["ETH/USDT"], *request.values(), config=config, origin=wrong, progress=False)
    assert generated_instrument("ETH/USDT", seed=8, at_ns=to_ns(START)).tick > Decimal("0.0001")
    with pytest.raises(DataError, match="not of the market that it is said to be"):
        snapshot(["ETH/USDT"], **request, venue="embedded")


def test_what_is_covered_is_not_asked_for_again(config: dict[str, Any]) -> None:
    first = collect(["BTC/USDT"], "1h", "2024-02-03", "2024-02-05", config=config, origin=SEVEN, progress=False)
    assert first.series[0].added == 48
    wider = collect(["BTC/USDT"], *HOURS, config=config, origin=SEVEN, progress=False).series[0]
    assert wider.added == 192
    assert [(from_ns(start).day, from_ns(end).day) for start, end in wider.asked] == [(1, 3), (5, 11)]
    again = collect(["BTC/USDT"], *HOURS, config=config, origin=SEVEN, progress=False).series[0]
    assert (again.added, again.asked) == (0, ())


@pytest.mark.parametrize("page", [1, 7, 48, 1_000])
def test_the_page_does_not_matter(config: dict[str, Any], page: int) -> None:
    request = ("1h", "2024-02-01", "2024-02-03")
    collect(["BTC/USDT"], *request, config=config, origin=SEVEN, page=page, progress=False)
    collected = snapshot(["BTC/USDT"], interval="1h", start=request[1], end=request[2], venue="embedded")
    assert (
        collected.hash
        == snapshot(["BTC/USDT"], interval="1h", start=request[1], end=request[2], source="embedded").hash
    )


def test_only_closed_candles_by_the_venue_s_time(config: dict[str, Any], history: Exchange) -> None:
    """The market stands at 13:00:30: the minute of 12:59 has closed, that of 13:00 and the hour of 13:00 have not."""
    assert from_ns(history.control.now_ns()).isoformat() == "2024-03-01T13:00:30+00:00"
    request = ("2024-03-01T11:00Z", "2024-03-01T18:00Z")
    done = collect(["BTC/USDT"], "1m", *request, config=config, origin=SEVEN, progress=False)
    assert not done.complete
    assert from_ns(done.series[0].until_ns).isoformat() == "2024-03-01T13:00:00+00:00"
    assert int(Store().read(MINUTES).open_time_ns[-1]) == to_ns("2024-03-01T12:59Z")
    collect(["BTC/USDT"], "1h", *request, config=config, origin=SEVEN, progress=False)
    assert [from_ns(int(opened)).hour for opened in Store().read(BTC).open_time_ns] == [11, 12]
    assert done.as_dict()["venue_time"] == "2024-03-01T13:00:30Z"


def test_before_the_listing_the_venue_had_nothing_and_is_not_asked_again(config: dict[str, Any]) -> None:
    request = ("1d", "2017-08-01", "2017-08-25")
    first = collect(["BTC/USDT"], *request, config=config, origin=SEVEN, page=5, progress=False).series[0]
    assert first.added == 8  # listed on 17 August 2017
    again = collect(["BTC/USDT"], *request, config=config, origin=SEVEN, page=5, progress=False).series[0]
    assert (again.added, again.asked) == (0, ())


def test_the_rules_come_along(config: dict[str, Any]) -> None:
    collect(["ETH/USDT"], "1h", "2024-02-01", "2024-02-02", config=config, origin=SEVEN, progress=False)
    known = Store().find(Series("embedded", "ETH/USDT", Measure.BARS, "1h"))
    assert known is not None
    instrument = generated_instrument("ETH/USDT", seed=7, at_ns=to_ns(START))
    rules = {name: Decimal(text) for name, text in known.rules.items()}
    assert rules == {"tick": instrument.tick, "lot": instrument.lot, "min_notional": instrument.min_notional}


def test_a_symbol_that_the_venue_does_not_have_is_unknown(config: dict[str, Any]) -> None:
    with pytest.raises(UnknownInstrument, match="NOPE/USDT"):
        collect(["NOPE/USDT"], *HOURS, config=config, origin=SEVEN, progress=False)


CHILD = """
import json, sys
from sapphire.data import Origin, collect
how = {"config": json.loads(sys.argv[1]), "page": int(sys.argv[2]), "origin": Origin.of_seed(7), "progress": False}
collect(["BTC/USDT"], "1m", "2024-02-01", "2024-02-03", **how)
"""


def test_a_run_that_is_killed_loses_at_most_one_page(config: dict[str, Any]) -> None:
    page = 10
    child = subprocess.Popen([sys.executable, "-c", CHILD, json.dumps(config), str(page)], env={**os.environ})
    try:
        kept = _wait_for_rows(child, at_least=5 * page)
        os.kill(child.pid, signal.SIGKILL)
    finally:
        child.kill()
        child.wait()
    store = Store()
    known = store.find(MINUTES)
    assert known is not None
    start, end = to_ns("2024-02-01"), to_ns("2024-02-03")
    assert kept * Interval("1m").ns <= known.covered[0][1] - start < end - start, "it was killed in the middle"
    assert len(store.read(MINUTES)) * Interval("1m").ns == known.covered[0][1] - start, "what is covered is there"
    request = ("1m", "2024-02-01", "2024-02-03")
    rest = collect(["BTC/USDT"], *request, config=config, origin=SEVEN, progress=False).series[0]
    assert rest.asked == ((known.covered[0][1], end),)
    collected = snapshot(["BTC/USDT"], interval="1m", start=request[1], end=request[2], venue="embedded")
    whole = snapshot(["BTC/USDT"], interval="1m", start=request[1], end=request[2], source="embedded")
    assert collected.hash == whole.hash


def _wait_for_rows(child: "subprocess.Popen[bytes]", *, at_least: int) -> int:
    """Rows that are stored and covered, once there are enough of them."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and child.poll() is None:
        known = Store().find(MINUTES)
        if known is not None and len(rows := Store().read(MINUTES)) >= at_least:
            return len(rows)
        time.sleep(0.002)
    pytest.fail(f"the child stored fewer than {at_least} rows; exit code {child.poll()}")


class DyingVenue(Store):
    """The real store; the exchange is killed once it holds some pages."""

    def __init__(self, exchange: Exchange, pages: int) -> None:
        super().__init__()
        self._exchange, self._left = exchange, pages

    def append(self, *arguments: Any, **named: Any) -> int:
        added = super().append(*arguments, **named)
        self._left -= 1
        if self._left == 0:
            self._exchange.kill()
        return added


@pytest.fixture
def restartable() -> Iterator[Exchange]:
    exchange = Exchange(symbols=["BTC/USDT"], seed=7, lockstep=True, start=START).start()
    yield exchange
    exchange.stop()


def test_a_venue_that_dies_leaves_what_was_kept_and_a_word_of_it(restartable: Exchange) -> None:
    config = ccxt_config(restartable.address.url, restartable.address.ws_url)
    config["options"] |= {"maxRetriesOnFailure": 0}
    with pytest.raises(ExchangeError, match="embedded did not answer") as refused:
        collect(
            ["BTC/USDT"], *HOURS, config=config, origin=SEVEN, store=DyingVenue(restartable, 3), page=20, progress=False
        )
    assert refused.value.next == (
        "run it again: 60 new bars are kept; BTC/USDT is covered until 2024-02-03T12:00Z, and it goes on from there"
    )
    assert len(Store().read(BTC)) == 60
    restartable.start()
    config = ccxt_config(restartable.address.url, restartable.address.ws_url)
    rest = collect(["BTC/USDT"], *HOURS, config=config, origin=SEVEN, progress=False).series[0]
    assert rest.added == 180
    assert rest.asked == ((to_ns("2024-02-03T12:00Z"), to_ns("2024-02-11")),)


def test_the_verb_collects_and_shows_progress_on_stderr(history: Exchange) -> None:
    words = ["collect", "BTC/USDT", "--interval", "1h", "--start", "2024-02-01", "--end", "2024-02-03"]
    words += ["--url", history.address.url, "--seed", "7", "--json"]
    wiring = {"ccxt_config": lambda url: ccxt_config(url, url.replace("http", "ws", 1))}
    done = CliRunner().invoke(app, words, obj=wiring, catch_exceptions=False)
    assert done.exit_code == 0
    summary = json.loads(done.stdout)
    assert (summary["complete"], summary["series"][0]["added"], summary["series"][0]["until"]) == (
        True,
        48,
        "2024-02-03T00:00Z",
    )
    assert "BTC/USDT" in done.stderr
