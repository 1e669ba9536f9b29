"""Studies small enough to be asked often: recorded candles made by code, a ledger and a state folder of their own."""

from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import pytest

from sapphire.data import Snapshot
from sapphire.domain.bars import Bars
from sapphire.domain.clocks import FixedClock
from sapphire.domain.instruments import Instrument, InstrumentKind, Universe
from sapphire.domain.intervals import Interval
from sapphire.domain.provenance import Provenance
from sapphire.portfolio import FixedFraction
from sapphire.research import costs, study, walk_forward

START_NS = 1_704_067_200_000_000_000  # 2024-01-01T00:00Z
RULES = Universe(
    [
        Instrument(f"{base}/USDT", base, "USDT", InstrumentKind.SPOT, Decimal("0.01"), Decimal(lot), Decimal("5"))
        for base, lot in (("BTC", "0.00001"), ("ETH", "0.0001"))
    ]
)
FIELDS = ("open", "high", "low", "close", "volume")


def bars_of(opens, closes, *, rows=None):
    """Hourly bars of BTC and ETH from opens and closes [T, S], on a tick of 0.01; highs and lows a tick beyond."""
    opens, closes = np.round(np.atleast_2d(opens), 2), np.round(np.atleast_2d(closes), 2)
    interval = Interval("1h")
    rows = np.arange(len(opens)) if rows is None else rows
    return Bars(
        symbols=RULES.symbols[: opens.shape[1]],
        interval=interval,
        open_time_ns=START_NS + rows.astype(np.int64) * interval.ns,
        open=opens,
        high=np.round(np.maximum(opens, closes) + 0.01, 2),
        low=np.round(np.minimum(opens, closes) - 0.01, 2),
        close=closes,
        volume=np.full(opens.shape, 900.0),
        listed=np.ones(opens.shape, np.bool_),
    ).validate()


def walked(length=300, seed=0, *, rows=None):
    """A random walk of both symbols; each bar opens a little off the close before."""
    dice = np.random.default_rng(seed)
    start = np.array([42_000.0, 2_500.0])
    closes = start * np.exp(np.cumsum(dice.normal(0.0, 0.006, (length, 2)), axis=0))
    opens = np.vstack([start, closes[:-1]]) * np.exp(dice.normal(0.0, 0.001, (length, 2)))
    return bars_of(opens, closes, rows=rows)


def changed(bars, rows, factor):
    """The same bars with other prices in `rows`."""
    arrays = {name: getattr(bars, name).copy() for name in (*FIELDS, "listed")}
    for name in FIELDS[:-1]:
        arrays[name][rows] = np.round(arrays[name][rows] * factor, 2)
    return Bars(symbols=bars.symbols, interval=bars.interval, open_time_ns=bars.open_time_ns, **arrays).validate()


def unlisted(bars, symbol, rows):
    """The same bars with `symbol` not listed in `rows`."""
    arrays = {name: getattr(bars, name).copy() for name in (*FIELDS, "listed")}
    for name, array in arrays.items():
        array[rows, bars.symbols.index(symbol)] = False if name == "listed" else np.nan
    return Bars(symbols=bars.symbols, interval=bars.interval, open_time_ns=bars.open_time_ns, **arrays).validate()


def recorded(bars, rules=RULES):
    """The snapshot that the recording of `bars` would be."""
    manifest = {"start_ns": str(bars.open_time_ns[0]), "end_ns": str(bars.close_time_ns[-1])}
    at = datetime(2025, 1, 1, tzinfo=UTC)
    provenance = Provenance("recorded", "binance spot", {}, "ab" * 32, at)
    wanted = Universe(rules[symbol] for symbol in bars.symbols)
    return Snapshot(bars, provenance, wanted, manifest, None)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty state folder."""
    monkeypatch.setenv("SAPPHIRE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="session")
def studies_in():
    """Makes what makes studies; their ledger lies in the state folder of the moment.

    100 h of training, 60 h of tests, 5 h between, 40 h sealed: 300 bars leave 260 to study, of which 155 are tested, in
    three folds.
    """

    def maker():
        def make(bars=None, **changes):
            settings = {
                "name": "trend",
                "holdout": "40h",
                "split": walk_forward(train="100h", test="60h", embargo="5h"),
                "costs": costs.binance_spot(),
                "sizing": FixedFraction(fraction=0.4),
                "clock": FixedClock(1_735_689_600_000_000_000),
            }
            settings |= changes
            data = settings.pop("data", None) or recorded(walked() if bars is None else bars)
            return study(data=data, **settings)

        return make

    return maker


@pytest.fixture
def make_study(studies_in):
    """Makes studies whose ledger lies in the test's own state folder."""
    return studies_in()


@pytest.fixture(scope="session", name="walked")
def walked_fixture():
    """Length and seed to bars."""
    return walked


@pytest.fixture(scope="session", name="bars_of")
def bars_of_fixture():
    """Opens and closes to bars."""
    return bars_of


@pytest.fixture(scope="session", name="changed")
def changed_fixture():
    """Bars, rows and factor to bars with other prices there."""
    return changed


@pytest.fixture(scope="session", name="unlisted")
def unlisted_fixture():
    """Bars, symbol and rows to bars without that symbol there."""
    return unlisted


@pytest.fixture(scope="session", name="recorded")
def recorded_fixture():
    """Bars to a snapshot of them."""
    return recorded
