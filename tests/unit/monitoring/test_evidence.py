"""The evidence of a run's bars is the engine's, and nothing that was traded goes into it."""

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from sapphire.agents.release import PLAIN_BARS
from sapphire.data import generated
from sapphire.domain import Interval
from sapphire.domain.clocks import from_ns
from sapphire.domain.errors import EngineError, MissingData, ValueRefused
from sapphire.domain.windows import Window
from sapphire.monitoring import Market, evidence_of, ladder_of
from sapphire.monitoring.reading.market import Marks, whole_steps
from sapphire.portfolio import PortfolioState, make_sizing
from sapphire.research.results.replays import LADDER, REAL, Model

HOUR = Interval("1h")


def test_every_model_decides_on_the_same_views(runs):
    views = [[bar.views for bar in runs[model].bars] for model in LADDER]
    assert all(each == views[0] for each in views)
    assert any(views[0])


def test_the_views_are_the_releases_own_on_its_warm_up(plan, release, evidence):
    bar = evidence.bars[20]
    bars = plan.market.bars(("BTC/USDT", "ETH/USDT"), HOUR, rows=release.warmup, until_ns=bar.bar_close_ns)
    assert len(bars) == release.warmup == 12
    assert list(bar.views) == release.views(Window(bars, from_ns(bar.bar_close_ns)))
    assert release.manifest.agents[0].feature_version == PLAIN_BARS


def test_the_targets_are_those_of_the_sizing_on_the_replays_own_account(plan, release, evidence):
    bar = evidence.bars[30]
    bars = plan.market.bars(("BTC/USDT", "ETH/USDT"), HOUR, rows=1346, until_ns=bar.bar_close_ns)
    state = PortfolioState.from_bars(
        bars, equity_quote=bar.equity_quote_atoms / 10**8, lots=bar.lots, instruments=plan.instruments
    )
    window = Window(bars.rows(len(bars) - release.warmup, len(bars)), from_ns(bar.bar_close_ns))
    sizing = make_sizing(release.manifest.sizing.class_name, release.manifest.sizing.parameters)
    assert bar.targets == sizing.size(release.beliefs(window), state)


def test_equity_is_cash_and_positions_at_the_last_close_cut_to_atoms(plan, evidence):
    ticks = {each.symbol: each.tick_atoms for each in plan.instruments}
    marks = plan.market.marks(tuple(ticks), HOUR, ticks, rows=60, until_ns=plan.closes_ns[-1])
    with_positions = [bar for bar in evidence.bars if all(bar.atoms.values())]
    assert len(with_positions) > 5
    for bar in with_positions:
        values = [marks.value_atoms(symbol, atoms, bar.bar_close_ns) for symbol, atoms in bar.atoms.items()]
        assert bar.cash_quote_atoms + sum(values) == bar.equity_quote_atoms


def test_the_steps_of_the_ladder_add_up_to_the_evidence(runs):
    ladder = ladder_of(runs)
    assert list(ladder.steps_bps) == [
        "risk limits",
        "fees",
        "fees in what is received",
        "spread of the book",
        "latency",
    ]
    assert ladder.costless_return == runs[Model.COSTLESS].total_return
    assert not any(fill.fee_atoms for fill in runs[Model.COSTLESS].fills)
    total = ladder.costless_return + sum(ladder.steps_bps.values()) / 1e4
    assert total == pytest.approx(runs[REAL].total_return, abs=1e-12)
    start = runs[REAL].bars[0].equity_quote_atoms / 1e8
    assert sum(ladder.steps_quote.values()) == pytest.approx((total - ladder.costless_return) * start)
    paid = sum(fill.fee_atoms for fill in runs[Model.IDEAL].fills) / 1e8
    assert ladder.steps_quote["fees"] == pytest.approx(-paid, rel=0.1)
    assert runs[Model.SPREAD].digest != runs[Model.IDEAL].digest


def test_a_limit_of_the_account_is_met_in_the_replay_as_well(plan, release):
    strict = replace(plan, limits={"account": {"max_order_atoms": 10**8}})
    made = evidence_of(strict, release, models=[REAL])[REAL]
    assert not made.fills
    assert {code for codes in made.denied.values() for code in codes} == {"ORDER_NOTIONAL"}


def test_what_the_engine_does_not_take_is_an_error_of_sapphire(plan, release):
    with pytest.raises(EngineError, match="refuses to replay the run"):
        evidence_of(replace(plan, limits={"colar_bps": 3}), release, models=[REAL])


def test_a_replay_on_candles_of_the_same_path_trades_on_the_same_closes(plan, release, evidence, tmp_path):
    from sapphire.data.candle_files import write_csv

    folder = tmp_path / "binance-as-spot"
    folder.mkdir()
    for symbol in ("BTC/USDT", "ETH/USDT"):
        rows = generated.generated_rows(
            symbol, HOUR, plan.closes_ns[0] - 1400 * HOUR.ns, plan.closes_ns[-1] + HOUR.ns, seed=7
        )
        write_csv(folder / f"{symbol.replace('/', '')}-1h.csv", rows)
    recorded = Market(7, folder)
    assert recorded.label == "recorded candles (binance-as-spot)"
    made = evidence_of(replace(plan, market=recorded), release, models=[REAL])[REAL]
    assert [bar.views for bar in made.bars] == [bar.views for bar in evidence.bars]
    assert made.fills


def test_candles_that_are_gone_are_missing_data(tmp_path):
    with pytest.raises(MissingData, match="no recorded 1h candles of BTC/USDT"):
        Market(7, tmp_path).bars(("BTC/USDT",), HOUR, rows=3, until_ns=10 * HOUR.ns)


def test_marks_keep_the_last_known_close_and_cut_toward_zero(plan):
    tick_atoms = plan.instruments["BTC/USDT"].tick_atoms
    bars = Market(7, None).bars(("BTC/USDT",), HOUR, rows=3, until_ns=1_743_984_000_000_000_000)
    marks = Marks.of(bars, {"BTC/USDT": tick_atoms})
    close_atoms = int(Decimal(repr(float(bars.close[1, 0]))) * 10**8)
    at = int(bars.close_time_ns[1])
    assert marks.value_atoms("BTC/USDT", 3, at) == 3 * close_atoms // 10**8
    assert marks.value_atoms("BTC/USDT", -3, at) == -(3 * close_atoms // 10**8)
    assert marks.value_atoms("BTC/USDT", 3, at + HOUR.ns // 2) == marks.value_atoms("BTC/USDT", 3, at)
    assert marks.value_atoms("BTC/USDT", 0, 0) == 0
    with pytest.raises(MissingData, match="no close of BTC/USDT"):
        marks.value_atoms("BTC/USDT", 1, int(bars.close_time_ns[0]) - 1)


def test_a_price_between_two_ticks_is_refused():
    with pytest.raises(ValueRefused, match="closes are off the grid"):
        whole_steps(np.array([64250.1, 64250.105]), 10**6, what="closes")


class Watched:
    """The release, and how long the windows were that it was shown."""

    def __init__(self, release):
        self._release, self.lengths = release, set()

    def __getattr__(self, name):
        return getattr(self._release, name)

    def views(self, window, **more):
        self.lengths.add(len(window.bars))
        return self._release.views(window, **more)


def test_the_release_is_shown_its_warm_up_and_not_a_bar_more(plan, release):
    watched = Watched(release)
    evidence_of(plan, watched, models=[REAL])
    assert watched.lengths == {release.warmup}


def test_a_symbol_without_a_bar_is_marked_at_the_close_before(plan):
    bars = Market(7, None).bars(("BTC/USDT", "ETH/USDT"), HOUR, rows=3, until_ns=1_743_984_000_000_000_000)
    there = np.ones((3, 2), dtype=np.bool_)
    there[2, 1] = False
    fields = {name: np.where(there, getattr(bars, name), np.nan) for name in ("open", "high", "low", "close", "volume")}
    ticks = {each.symbol: each.tick_atoms for each in plan.instruments}
    marks = Marks.of(replace(bars, listed=there, **fields), ticks)
    assert marks.ticks["ETH/USDT"][2] == marks.ticks["ETH/USDT"][1] > 0
    assert marks.ticks["BTC/USDT"][2] != marks.ticks["BTC/USDT"][1]
