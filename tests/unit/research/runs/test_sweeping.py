"""Large sweeps: all cores, the memory of a few accounts, the numbers of the old way to the last digit."""

import sys
import threading
import tracemalloc
from collections import deque
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

import numpy as np
import pandas as pd
import psutil
import pytest
from joblib.externals.loky import get_reusable_executor

from sapphire.agents import Agent, MovingAverageCross, ViewPanel
from sapphire.agents.agent_files import load_agent_source
from sapphire.domain.errors import AgentError
from sapphire.research.runs import sweeping, workers
from sapphire.research.runs.accounts import STARTING_CASH, ScreenMarket
from sapphire.research.runs.delisting import ends_of

AGENT = MovingAverageCross(fast=3, slow=12, horizon=timedelta(hours=2))

TEXT = '''
from dataclasses import dataclass
from datetime import timedelta
import numpy as np
from sapphire import Agent
from sapphire.agents import ViewPanel
from sapphire.agents.panels import frame_of
from desk_rules import scaled

@dataclass(frozen=True)
class Jump(Agent):
    """How far the close is from that of some bars before, by NumPy alone."""

    lookback: int = 4
    horizon: timedelta = timedelta(hours=2)

    @property
    def warmup(self):
        return self.lookback + 1

    def views(self, window):
        close = window.panel("close")
        return window.views(score=scaled(close.iloc[-1] / close.iloc[-1 - self.lookback] - 1.0), horizon=self.horizon)

    def views_panel(self, bars):
        score = np.full(bars.close.shape, np.nan)
        score[self.lookback:] = scaled(bars.close[self.lookback:] / bars.close[:-self.lookback] - 1.0)
        return ViewPanel(self.horizon, score=frame_of(score, bars))
'''


@pytest.fixture(scope="module")
def two_workers():
    """They begin when they are needed, and end with the last test."""
    yield
    get_reusable_executor(max_workers=2).shutdown(kill_workers=True)


@pytest.fixture
def by_workers(monkeypatch, two_workers):
    """Two workers for every sweep, however small."""
    monkeypatch.setattr(sweeping, "_WORTH_WORKERS", 0)
    monkeypatch.setattr(workers, "cores", lambda: 2)


@pytest.fixture
def jump(tmp_path, monkeypatch):
    """An agent of a cell: no file of it is there, its module cannot be imported, and it uses a module of the desk."""
    (tmp_path / "sapphire.toml").write_text("")
    (tmp_path / "desk_rules.py").write_text("def scaled(score):\n    return score - 0.001\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield load_agent_source(TEXT, tmp_path / "agents" / "jump.py")
    sys.modules.pop("desk_rules", None)


@dataclass(frozen=True)
class Plain(Agent):
    """Without a twin."""

    lookback: int = 4
    horizon: timedelta = timedelta(hours=2)

    @property
    def warmup(self):
        return self.lookback + 1

    def views(self, window):
        if self.lookback == 7:
            raise ArithmeticError(f"no logarithm at {window.as_of}")
        close = window.panel("close")
        return window.views(score=close.iloc[-1] / close.iloc[0] - 1.0, horizon=self.horizon)


@dataclass(frozen=True)
class Crooked(Plain):
    """Its twin is wrong everywhere with one parameter, and in one row of a hundred with the others."""

    asked: ClassVar[list] = []

    def views(self, window):
        Crooked.asked.append((self.lookback, window.as_of))
        return super().views(window)

    def views_panel(self, bars):
        close = bars.frame("close")
        score = close / close.shift(self.lookback) - 1.0
        score.iloc[:: 1 if self.lookback == 9 else 100] *= -1.0
        return ViewPanel(self.horizon, score=score)


class Held(Plain):
    """It cannot leave its process."""

    lock: ClassVar = threading.Lock()


def performances(swept):
    return [each.as_dict() for each in swept.performances]


def in_public(market, position):
    """The equity and the orders that vectorbt's public interface comes to."""
    import vectorbt

    weights = pd.DataFrame(position, dtype=float) / position.shape[1]
    due = weights.shift(1).where(pd.DataFrame(market.listed))
    new = pd.DataFrame({name: (of := due[name].dropna()).where(of.ne(of.shift(1))) for name in due}, index=due.index)
    portfolio = vectorbt.Portfolio.from_orders(
        pd.DataFrame(market.valued),
        size=new.mask(pd.DataFrame(market.closing), 0.0),
        size_type="targetpercent",
        price=pd.DataFrame(market.prices),
        fees=market.fee,
        slippage=market.slippage,
        init_cash=STARTING_CASH,
        cash_sharing=True,
        group_by=True,
        call_seq="auto",
        freq="1h",
    )
    return portfolio.value().to_numpy(), portfolio.orders.records


@pytest.mark.parametrize("seed", [1, 2])
def test_an_account_is_vectorbt_s_own_to_the_last_digit(make_study, walked, unlisted, seed):
    bars = unlisted(unlisted(walked(300, seed), "ETH/USDT", slice(40, 52)), "BTC/USDT", slice(200, 300))
    study = make_study(bars)
    market = ScreenMarket.of(bars, study.costs, ends=ends_of(bars))
    assert market.closing.sum() == 1
    dice = np.random.default_rng(seed)
    for position in (dice.random(bars.close.shape) > 0.5, np.repeat(dice.random((60, 2)) > 0.5, 5, axis=0)):
        found = market.account(position & bars.listed)
        equity, orders = in_public(market, position & bars.listed)
        assert np.array_equal(found.equity, equity)
        assert found.fills == len(orders) > 20
        assert found.traded == np.cumsum(orders["size"] * orders["price"]).iloc[-1]
        assert found.fees == np.cumsum(orders["fees"]).iloc[-1]


def test_workers_come_to_the_same(make_study, jump, by_workers, monkeypatch):
    study = make_study()
    for agent in (jump(), Plain()):
        by_many = study.sweep(agent, lookback=[2, 3, 4, 5, 6, 8])
        with monkeypatch.context() as patched:
            patched.setattr(sweeping, "_WORTH_WORKERS", np.inf)
            alone = study.sweep(agent, lookback=[2, 3, 4, 5, 6, 8])
        assert performances(by_many) == performances(alone)
        assert by_many.trials == alone.trials
        assert len({each.total_return for each in by_many.performances}) == 6
        for lookback, swept in zip((2, 8), (by_many.performances[0], by_many.performances[-1]), strict=True):
            assert study.screen(agent.replace(lookback=lookback)).performance == swept
    assert psutil.Process().children(recursive=True)  # there were workers


def test_what_a_notebook_changed_goes_to_the_workers(make_study, jump, by_workers, monkeypatch):
    study = make_study()
    before = study.sweep(jump(), lookback=[2, 3])
    monkeypatch.setattr(sys.modules["desk_rules"], "scaled", lambda score: -score)
    monkeypatch.setattr(sys.modules[jump.__module__], "scaled", lambda score: -score)
    after = study.sweep(jump(), lookback=[2, 3])
    assert performances(before) != performances(after)
    assert after.performances[0] == study.screen(jump(lookback=2)).performance


def test_what_cannot_leave_its_process_is_asked_here(make_study, by_workers):
    agent = dataclass(frozen=True)(Held)()
    swept = make_study().sweep(agent, lookback=[2, 3])
    assert len(swept.performances) == 2


@pytest.mark.parametrize("many", [False, True])
def test_an_error_names_its_combination(make_study, by_workers, monkeypatch, many):
    if not many:
        monkeypatch.setattr(sweeping, "_WORTH_WORKERS", np.inf)
    study = make_study()
    with pytest.raises(AgentError, match="plain fails with lookback=7, horizon=3:00:00") as raised:
        study.sweep(Plain(), lookback=[5, 6, 7, 8], horizon=[timedelta(hours=3)])
    assert isinstance(raised.value.__cause__.__cause__, ArithmeticError)
    assert "ArithmeticError: no logarithm at 2024-" in raised.value.got
    assert study.ledger.trials(*study.span).count == 0  # nothing was run


def test_whatever_stops_a_sweep_ends_its_workers(make_study, by_workers, monkeypatch):
    study, at_work = make_study(), []

    def interrupts(done, of, what):
        at_work.extend(each for each in psutil.Process().children() if "LokyProcess" in " ".join(each.cmdline()))
        raise KeyboardInterrupt

    agents = {(lookback,): Plain(lookback=lookback) for lookback in range(8, 40)}
    with pytest.raises(KeyboardInterrupt):
        sweeping.swept(study, agents, ("lookback",), on_progress=interrupts)
    assert len(at_work) == 2
    assert not psutil.wait_procs(at_work, timeout=20)[1]
    study.sweep(Plain(), lookback=[2, 3])  # and the next one has new ones


def test_one_twin_that_differs_has_all_of_them_looked_at(make_study):
    study = make_study()
    Crooked.asked.clear()
    study.sweep(Crooked(), lookback=[2, 3, 4, 5])
    glanced = {lookback: sum(each == lookback for each, _ in Crooked.asked) for lookback in (2, 3, 4, 5)}
    assert min(glanced.values()) >= sweeping._SAMPLED
    Crooked.asked.clear()
    swept = study.sweep(Crooked(), lookback=[2, 3, 4, 9])
    looked = {lookback: sum(each == lookback for each, _ in Crooked.asked) for lookback in (2, 3, 4, 9)}
    assert min(looked.values()) >= sweeping._SAMPLED + 32
    assert swept.performances[3] == study.screen(Plain(lookback=9)).performance


def test_the_memory_does_not_grow_with_the_combinations(make_study, walked):
    study = make_study(walked(8_000))
    dice = np.random.default_rng(3)
    positions = [np.packbits(dice.random(study.tested.close.shape) > 0.5) for _ in range(90)]
    deque(sweeping._accounts(study, positions[:4]), maxlen=0)  # what is imported and compiled stays

    def peak(count):
        tracemalloc.start()
        deque(sweeping._accounts(study, positions[:count]), maxlen=0)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    fewer, more = peak(30), peak(90)
    assert more < 1.3 * fewer
    assert fewer < 40 * study.tested.close.nbytes  # some accounts at once, and not thirty


def test_a_sweep_is_recorded_whole_in_parts(make_study, monkeypatch):
    study, sizes, record = make_study(), [], sweeping.recording.record
    monkeypatch.setattr(sweeping.recording, "record", lambda of, ends: sizes.append(len(ends)) or record(of, ends))
    count = sweeping._RECORDED_AT_ONCE + 3
    swept = study.sweep(AGENT, slow=range(10, 10 + count))
    found = study.ledger.trials(*study.span)
    assert swept.trials == found.count == found.evaluations == count
    assert len(study.ledger.series(found)) == count
    assert sizes == [sweeping._RECORDED_AT_ONCE, 3]
    assert [row.sharpe for row in found.rows] == [each.sharpe for each in swept.performances]
    assert [row.parameters["slow"] for row in found.rows] == [*range(10, 10 + count)]
