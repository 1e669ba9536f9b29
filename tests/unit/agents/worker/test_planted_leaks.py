"""Ten leaks of ten kinds are caught by what a submit measures, and ten clean agents pass all of it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sapphire.agents import Calibrated, LagLlama, MovingAverageCross, Pool, RandomWalk
from sapphire.agents.release import ReleaseCode
from sapphire.agents.worker import Worker, ask_panel

QUARTER = timedelta(minutes=15)
VIEWS = """
    def views(self, window):
        return self.say(window, {score})
"""
PLAIN = VIEWS.format(score="self.honest(window)")
TWIN = """
    def views_panel(self, bars):
        return ViewPanel(score={score}, horizon=self.horizon)
"""
LEARNS = """
    learned: Arrays = fitted()

    def fit(self, train, seed):
        return self.with_arrays({{"learned.mean": {mean}}})

    def views(self, window):
        return self.say(window, self.honest(window) - self.learned["mean"])
"""
LEAKS = {
    "memory behind the window": (
        VIEWS.format(score="pd.Series(self.whole(window)[-1], index=list(window.symbols))"),
        {"truncation_test", "future_test"},
    ),
    "one bar in a hundred": (
        VIEWS.format(
            score="self.honest(window) if (window.bars.open_time_ns[-1] // 300_000_000_000) % 100 "
            "else pd.Series(self.whole(window)[-1], index=list(window.symbols))"
        ),
        {"truncation_test", "future_test"},
    ),
    "centred twin": (
        PLAIN + TWIN.format(score="self.of(bars.frame('close')).rolling(3, center=True, min_periods=1).mean()"),
        {"future_test", "twin_test"},
    ),
    "negative twin": (PLAIN + TWIN.format(score="-self.of(bars.frame('close'))"), {"twin_test"}),
    "short warm-up": (VIEWS.format(score="window.panel('close').ewm(span=500).mean().iloc[-1]"), {"warmup_test"}),
    "fit beyond its window": (
        LEARNS.format(mean="self.whole(type('W', (), dict(bars=train)))[-1]"),
        {"fit_test"},
    ),
    "memory of the call before": (
        "    seen: ClassVar[deque] = deque([0.0], maxlen=1)\n"
        + """
    def views(self, window):
        last = self.seen[-1]
        self.seen.append(float(window.bars.close[-1, 0]))
        return self.say(window, window.panel("close").iloc[-1] - last)
""",
        {"asked_again", "another_process"},
    ),
    "random numbers": (
        VIEWS.format(score="self.honest(window) + np.random.normal()"),
        {"asked_again", "another_process"},
    ),
    "order of a set": (
        VIEWS.format(score="self.honest(window) * (1 + list(set(map(str, range(99)))).index('7'))"),
        {"another_process"},
    ),
    "order of symbols": (
        VIEWS.format(score="self.honest(window) * np.arange(1, 1 + len(window.symbols))"),
        {"symbol_order"},
    ),
}  # fmt: skip
CLEAN = {
    "moving average": MovingAverageCross(fast=3, slow=9, horizon=QUARTER),
    "random walk": RandomWalk(lookback=10, horizon=QUARTER),
    "learner": LEARNS.format(mean="train.close.mean(axis=0) * 0.0"),
    "with a twin": PLAIN + TWIN.format(score="self.of(bars.frame('close'))"),
    "silent now and then": VIEWS.format(
        score="self.honest(window).where(window.panel('volume').iloc[-1] > 5.0)"
    ),
    "features": """
    @property
    def features(self):
        return ("log_return_4",)

    def views(self, window):
        return self.say(window, window.feature("log_return_4").iloc[-1])
""",
    "longer bars": VIEWS.format(score="window.resample('15m').panel('close').iloc[-1] / window.panel('open').iloc[-1]"),
    "seeded": VIEWS.format(
        score="self.honest(window) + np.random.default_rng(int(window.bars.open_time_ns[-1])).normal()"
    ),
    "model": LagLlama(horizon=QUARTER, context=4, lags=(0, 1, 3), scaling=12, width=8, layers=1, steps=5, batch=8),
    "pool": Pool((MovingAverageCross(fast=3, slow=9, horizon=QUARTER), RandomWalk(lookback=10, horizon=QUARTER))),
}  # fmt: skip


def failed(agent, bars, moments=460):
    """The measures that an agent fails, as a submit finds them."""
    code = ReleaseCode.of(agent if isinstance(agent, Pool) else Calibrated(agent))

    def worker(hash_seed=0, learned=None):
        made = Worker(code, bars.symbols, bars.interval, label=agent.name, hash_seed=hash_seed)
        if learned is not None:
            made.learn(learned)
        return made

    start = len(bars) // 2
    with worker() as fitting:
        learned = fitting.fit(bars.rows(0, start), 7)
    with worker(0, learned) as asked, worker(20_251, learned) as again, worker(20_251, learned) as checking:
        found = ask_panel(asked, again, bars, start, len(bars), seed=7, renew=lambda: worker(0, learned))
        report = checking.check(bars, seed=7, moments=moments)
    names = {"truncation": "truncation_test", "future": "future_test", "twin": "twin_test", "warm_up": "warmup_test",
             "fit": "fit_test", "features": "feature_parity"}  # fmt: skip
    wrong = {names.get(row.kind, row.kind) for row in report.failed}
    sample = found.sample
    return wrong | ({"another_process"} if sample.again_worst > sample.again_allowed else set())


@pytest.fixture
def agent_of(planted):
    """What stands in a table above to an agent."""
    return lambda what: planted(what, QUARTER) if isinstance(what, str) else what


@pytest.mark.parametrize("kind", LEAKS)
def test_a_planted_leak_is_caught(kind, make_bars, agent_of):
    body, measures = LEAKS[kind]
    bars = make_bars(540 if kind == "one bar in a hundred" else 140)
    found = failed(agent_of(body), bars)
    assert measures <= found


@pytest.mark.parametrize("kind", CLEAN)
def test_a_clean_agent_passes(kind, make_bars, agent_of):
    assert failed(agent_of(CLEAN[kind]), make_bars(140)) == set()
