"""vectorbt and the compiled engine are two programs by two authors: under equal assumptions they must agree.

Given the engine's own lots, fills at the next open and fees in the quote asset, both come to the same equity. Then the
assumptions are made real one by one, and each step costs what it alone is about.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sapphire.agents import Agent, MovingAverageCross, RandomWalk, ViewPanel
from sapphire.data import Snapshot, snapshot
from sapphire.domain.bars import Bars
from sapphire.domain.clocks import FixedClock, from_ns
from sapphire.domain.errors import StudyError
from sapphire.domain.instruments import Instrument, InstrumentKind, Universe
from sapphire.domain.intervals import Interval
from sapphire.domain.limits import Limits
from sapphire.domain.provenance import Provenance
from sapphire.portfolio import EqualWeight, FixedFraction, VolatilityTarget
from sapphire.portfolio.targets import Target
from sapphire.research import costs, study, walk_forward
from sapphire.research.results.comparing import TOLERANCE, Comparison
from sapphire.research.results.replays import LADDER, Model
from sapphire.research.runs.replaying import replay_beliefs
from sapphire.research.runs.screening import equity_of_fills
from sapphire.research.runs.walking import walk_beliefs

START_NS = 1_704_067_200_000_000_000  # 2024-01-01T00:00Z
SYMBOLS = ("BTC/USDT", "ETH/USDT")
LOTS = (Decimal("0.00001"), Decimal("0.0001"))
RULES = Universe(
    Instrument(symbol, symbol[:3], "USDT", InstrumentKind.SPOT, Decimal("0.01"), lot, Decimal("5"))
    for symbol, lot in zip(SYMBOLS, LOTS, strict=True)
)
TRAINED = 10
SETTINGS = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


@dataclass(frozen=True)
class Chaser(Agent):
    """Expects the last three bars to go on: it changes its mind often."""

    horizon: timedelta = timedelta(hours=1)

    @property
    def warmup(self):
        return 4

    def views(self, window):
        close = window.panel("close")
        return window.views(
            mean_bps=1e4 * (close.iloc[-1] / close.iloc[-4] - 1), std_bps=close.iloc[-1] * 0 + 60, horizon=self.horizon
        )

    def views_panel(self, bars):
        close = bars.frame("close")
        return ViewPanel(self.horizon, mean_bps=1e4 * (close / close.shift(3) - 1), std_bps=close * 0 + 60)


@dataclass(frozen=True)
class Path:
    """A sizing that follows a path of targets, whatever anyone believes: one row of lots per tested bar."""

    name: ClassVar[str] = "path"
    rows: tuple = ()
    turn: list = field(default_factory=lambda: [0])

    @property
    def parameters(self):
        return {}

    def size(self, beliefs, state):
        row = self.rows[self.turn[0] % len(self.rows)]
        self.turn[0] += 1
        wanted = zip(SYMBOLS, row, strict=True)
        return tuple(Target(symbol, lots, 0.0, "path") for symbol, lots in wanted if lots is not None)


def quiet(*_):
    """Progress that nobody follows."""


def recorded(length, *, seed, jump, gaps=()):
    """Recorded candles that jump between close and open, without the bars in `gaps`."""
    dice = np.random.default_rng(seed)
    start = np.array([42_000.0, 2_500.0])
    closes = np.round(start * np.exp(np.cumsum(dice.normal(0, 0.006, (length, 2)), axis=0)), 2)
    opens = np.round(np.vstack([start, closes[:-1]]) * np.exp(dice.normal(0, jump, (length, 2))), 2)
    interval = Interval("1h")
    there = np.setdiff1d(np.arange(length), list(gaps))
    bars = Bars(
        symbols=SYMBOLS,
        interval=interval,
        open_time_ns=START_NS + there * interval.ns,
        open=opens[there],
        high=np.round(np.maximum(opens, closes) + 0.01, 2)[there],
        low=np.round(np.minimum(opens, closes) - 0.01, 2)[there],
        close=closes[there],
        volume=np.round(dice.gamma(2, 50, (length, 2)), 4)[there],
        listed=np.ones((len(there), 2), np.bool_),
    ).validate()
    manifest = {"start_ns": str(bars.open_time_ns[0]), "end_ns": str(bars.close_time_ns[-1])}
    provenance = Provenance("recorded", "binance spot", {}, "cd" * 32, datetime(2025, 1, 1, tzinfo=UTC))
    return Snapshot(bars, provenance, RULES, manifest, None)


@pytest.fixture
def ask(tmp_path, monkeypatch):
    """A study without a hold-out, whose ledger lies in the test's own state folder."""
    monkeypatch.setenv("SAPPHIRE_HOME", str(tmp_path / "home"))

    def make(data, sizing, *, train=f"{TRAINED}h", **changes):
        given = {
            "holdout": "0h",
            "split": walk_forward(train=train, test="200h"),
            "costs": costs.binance_spot(),
            "clock": FixedClock(0),
        }
        return study("parity", data=data, sizing=sizing, **(given | changes))

    return make


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    """Eight days of the generated market."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("SAPPHIRE_HOME", str(tmp_path_factory.mktemp("home")))
        yield snapshot(SYMBOLS, interval="1h", start="2024-03-01", end="2024-03-09", source="embedded")


def run_of(asked, agent=RandomWalk(lookback=3), model=Model.IDEAL):  # noqa: B008  (a frozen dataclass)
    beliefs = walk_beliefs(agent, asked.evaluation, asked.folds, seed=asked.seed, on_progress=quiet)
    return replay_beliefs(asked, agent, beliefs, model, on_progress=quiet)


def vectorbt_of(run, *, traded=None, fee_rate=None):
    """vectorbt's equity for the lots of a run."""
    asked = run.study
    return equity_of_fills(
        asked.tested,
        run.traded_at_opens() if traded is None else traded,
        fee_rate=asked.costs.taker_e8 / 1e8 if fee_rate is None else fee_rate,
        starting_cash=asked.starting_cash,
    )


def compared(run, **given):
    """What a comparison makes of an ideal run."""
    return Comparison.of(run.study, run.agent, (), (run,), vectorbt_of(run, **given))


lots = st.tuples(
    st.none() | st.just(0) | st.integers(0, 230_000),  # up to about the whole account, and both up to twice of it
    st.none() | st.just(0) | st.integers(0, 400_000),
)


@SETTINGS
@given(
    rows=st.lists(lots, min_size=1, max_size=40),
    seed=st.integers(0, 9),
    jump=st.sampled_from([0.0, 0.01, 0.05]),
    gaps=st.frozensets(st.integers(TRAINED + 1, 49), max_size=12),
)
def test_any_path_of_targets_on_recorded_candles(ask, rows, seed, jump, gaps):
    run = run_of(ask(recorded(51, seed=seed, jump=jump, gaps=gaps), Path(tuple(rows))))
    assert compared(run).difference <= TOLERANCE


@SETTINGS
@given(rows=st.lists(lots, min_size=1, max_size=40))
def test_any_path_of_targets_on_the_generated_market(ask, generated, rows):
    run = run_of(ask(generated, Path(tuple(rows)), train="150h"))
    assert compared(run).difference <= TOLERANCE


@pytest.mark.parametrize("agent", [Chaser(), MovingAverageCross(fast=3, slow=12)], ids=lambda agent: agent.name)
@pytest.mark.parametrize(
    "sizing",
    [
        VolatilityTarget(annual=0.5),
        EqualWeight(hold=False, max_gross=1.0, rebalance_band=0.0),
        FixedFraction(fraction=0.5),
    ],
    ids=lambda sizing: sizing.name,
)
@pytest.mark.parametrize("source", ["generated", "recorded"])
def test_agents_and_sizings(ask, generated, agent, sizing, source):
    data = generated if source == "generated" else recorded(192, seed=3, jump=0.01, gaps=(90, 91, 130))
    asked = ask(data, sizing, train="60h")
    whole = asked.compare(agent)
    assert whole.difference <= TOLERANCE
    assert whole.runs[0].performance.fills == len(whole.runs[0].record["fills"]["order"])


def test_there_is_something_to_agree_on(ask, generated):
    whole = ask(generated, FixedFraction(fraction=0.5), train="60h").compare(Chaser())
    assert whole.runs[0].performance.fills > 60
    assert whole.runs[0].performance.turnover > 1_000
    assert 0 < whole.difference <= 1e-10


@pytest.fixture
def ideal(ask):
    """An ideal run of a small account, on candles with a gap."""
    rows = tuple((int(btc), int(eth)) for btc, eth in np.random.default_rng(1).integers(0, 10_000, (40, 2)))
    data = recorded(51, seed=1, jump=0.01, gaps=(30,))
    return run_of(ask(data, Path(rows), starting_cash=10_000.0))


def test_a_wrong_fee_is_refused_at_the_first_fill(ideal):
    first = int(np.flatnonzero(ideal.traded_at_opens().any(axis=1))[0])
    close = from_ns(int(ideal.study.tested.close_time_ns[first])).isoformat()
    with pytest.raises(StudyError, match="vectorbt and the engine disagree") as refused:
        compared(ideal, fee_rate=0.00101)
    assert f"at the close of {close}" in refused.value.got
    assert f"and {len(ideal.study.tested) - first - 1} bars more" in refused.value.got
    assert "equity equal to 1e-08" in refused.value.expected


@pytest.mark.parametrize(("column", "lot"), list(enumerate(map(float, LOTS))))
@pytest.mark.parametrize("row", [5, 20, 38])
def test_a_lot_too_many_is_refused_at_its_bar(ideal, row, column, lot):
    traded = ideal.traded_at_opens()
    traded[row, column] += lot
    close = from_ns(int(ideal.study.tested.close_time_ns[row])).isoformat()
    with pytest.raises(StudyError) as refused:
        compared(ideal, traded=traded)
    assert f"at the close of {close}" in refused.value.got


def test_a_fill_at_the_wrong_bar_is_refused(ideal):
    traded = ideal.traded_at_opens()
    with pytest.raises(StudyError):
        compared(ideal, traded=np.roll(traded, 1, axis=0))


def test_a_number_that_is_none_is_refused(ideal):
    equity = vectorbt_of(ideal).copy()
    equity[7] = np.nan
    with pytest.raises(StudyError, match="disagree"):
        Comparison.of(ideal.study, ideal.agent, (), (ideal,), equity)


def test_whole_atoms_are_no_disagreement(ask):
    """The venue cuts each value and each fee to whole atoms: 1e-8 of a unit, which a small account feels in the end."""
    dice = np.random.default_rng(2)
    rows = tuple((int(btc), int(eth)) for btc, eth in dice.integers(0, (45, 75), (600, 2)))
    run = run_of(ask(recorded(611, seed=2, jump=0.002), Path(rows), starting_cash=50.0))
    assert run.performance.fills > 400
    assert compared(run).difference > TOLERANCE
    traded = run.traded_at_opens()
    traded[500, 0] += float(LOTS[0])
    with pytest.raises(StudyError):
        compared(run, traded=traded)


def test_a_fee_finer_than_the_engine_counts_is_the_engine_s(ask, generated):
    asked = ask(generated, FixedFraction(fraction=0.5), train="60h", costs=costs.binance_spot(taker_bps=0.12345678))
    assert asked.costs.taker_e8 == 1235
    assert asked.compare(Chaser()).difference <= 1e-10


def test_the_ladder_has_one_order(ask, generated):
    assert [str(model) for model in LADDER] == ["costless", "limits", "ideal", "venue_fees", "spread", "book"]
    slow = costs.binance_spot(latency_ms=(6_000, 9_000))  # the house renews its quotes every five seconds
    whole = ask(generated, FixedFraction(fraction=0.5), train="60h", costs=slow).compare(Chaser())
    assert tuple(run.model for run in whole.runs) == LADDER
    assert list(whole.steps) == [
        "no fee, no assumed slippage",
        "what the score is worth",
        "sizing in whole lots, no costs",
        "risk limits",
        "fees",
        "fees in what is received",
        "spread of the book",
        "latency",
    ]
    returns = [each.performance.total_return for each in (*whole.screens, *whole.runs)]
    assert list(whole.steps.values()) == pytest.approx(1e4 * np.diff(returns))
    assert whole.steps["risk limits"] == 0.0  # none was met
    assert all(step for name, step in whole.steps.items() if name not in ("what the score is worth", "risk limits"))
    assert whole.steps["spread of the book"] < 0


def test_the_costs_start_from_a_run_that_costs_nothing_and_add_up(ask, generated):
    whole = ask(generated, FixedFraction(fraction=0.5), train="60h", starting_cash=20_000.0).compare(Chaser())
    free, *_, real = whole.runs
    assert (free.performance.costs, free.performance.fills > 60) == (0.0, True)
    costs_alone = list(whole.steps.items())[-5:]
    assert sum(bps for _, bps in costs_alone) == pytest.approx(whole.costs_bps)
    assert whole.costs_bps == pytest.approx(1e4 * (real.performance.total_return - free.performance.total_return))
    assert whole.steps["fees"] == pytest.approx(-1e4 * whole.runs[2].performance.costs, rel=0.05)
    assert abs(whole.steps["fees"]) > 0.5 * abs(whole.costs_bps)
    assert sum(list(whole.steps_quote.values())[-5:]) == pytest.approx(real.worth[-1] - free.worth[-1], rel=1e-3)
    header, lines = whole.table()
    assert header[1:3] == ("change", "in USDT")
    assert lines[3][0] == "sizing in whole lots, no costs"
    assert lines[5][1] == f"{whole.steps['fees']:+.1f} bps"
    facts = whole.as_dict()
    assert [name for name, _ in facts["steps_quote"]] == list(whole.steps)


def test_limits_that_are_met_are_a_rung_of_their_own(ask, generated):
    tight = Limits(order=0.2, position=0.3, gross=0.4)
    whole = ask(generated, FixedFraction(fraction=0.5), train="60h", limits=tight).compare(Chaser())
    free, limited = whole.runs[:2]
    assert (len(free.denials), len(limited.denials) > 0) == (0, True)
    assert free.digest != limited.digest
    assert whole.steps["risk limits"] != 0.0
    assert free.performance.costs == limited.performance.costs == 0.0


def test_without_fees_it_does_not_matter_what_they_are_taken_in(ask, generated):
    free = costs.binance_spot(maker_bps=0, taker_bps=0)
    steps = ask(generated, FixedFraction(fraction=0.5), train="60h", costs=free).compare(Chaser()).steps
    assert steps["fees"] == steps["fees in what is received"] == 0.0
    assert steps["spread of the book"] < 0


def test_without_latency_the_book_is_the_book(ask, generated):
    instant = costs.binance_spot(latency_ms=(0, 0))
    whole = ask(generated, FixedFraction(fraction=0.5), train="60h", costs=instant).compare(Chaser())
    assert whole.steps["latency"] == 0.0
    assert whole.runs[-2].digest == whole.runs[-1].digest
    assert whole.steps["spread of the book"] != 0.0


def test_the_ladder_begins_at_the_screen_that_was_shown_and_ends_at_the_evidence(ask, generated):
    """Each step has one change, so the steps add up; none of the rungs between is another trial."""
    study = ask(generated, FixedFraction(fraction=0.5), train="60h")
    agent = MovingAverageCross(fast=2, slow=9, horizon=timedelta(hours=3))
    screen, evidence = study.screen(agent), study.replay(agent)
    trials = study.trials().count
    whole = study.compare(agent)
    assert whole.rungs[0] == ("the screen", screen.performance)
    assert whole.rungs[-1][1] == evidence.performance
    whole_way = 1e4 * (evidence.performance.total_return - screen.performance.total_return)
    assert sum(whole.steps.values()) == pytest.approx(whole_way)
    assert whole.steps["no fee, no assumed slippage"] > 0.0
    assert whole.steps["what the score is worth"] != 0.0
    assert study.trials().count == trials


def test_without_any_cost_the_first_step_is_nothing(ask, generated):
    free = costs.binance_spot(maker_bps=0, taker_bps=0, slippage_bps=0)
    steps = ask(generated, FixedFraction(fraction=0.5), train="60h", costs=free).compare(Chaser()).steps
    assert steps["no fee, no assumed slippage"] == 0.0
    assert steps["what the score is worth"] == 0.0  # it states forecasts, so that nothing is calibrated
