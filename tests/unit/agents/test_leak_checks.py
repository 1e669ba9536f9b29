"""The leak checks catch agents that look ahead, and let honest ones pass."""

import json
import math
from collections import deque
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sapphire.agents import (
    Agent,
    Arrays,
    MovingAverageCross,
    ViewPanel,
    check_agent,
    feature_parity,
    fit_test,
    fitted,
    truncation_test,
    twin_test,
    warmup_test,
)
from sapphire.agents.futures import FUTURES

HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Honest(Agent):
    """Return over the last bars, with a twin."""

    length: int = 5
    horizon: timedelta = HOUR

    @property
    def warmup(self):
        return self.length + 1

    def views(self, window):
        close = window.panel("close")
        return window.views(score=close.iloc[-1] / close.iloc[-1 - self.length] - 1.0, horizon=self.horizon)

    def of(self, close):
        return close / close.shift(self.length) - 1.0

    def views_panel(self, bars):
        return ViewPanel(score=self.of(bars.frame("close")), horizon=self.horizon)


@dataclass(frozen=True)
class Centred(Honest):
    """Its twin smooths with a centred average."""

    def of(self, close):
        return close.rolling(5, center=True, min_periods=1).mean() / close - 1.0


@dataclass(frozen=True)
class Backfilled(Honest):
    """Its twin looks at every fifth close and fills backwards."""

    def of(self, close):
        every = close.where(np.arange(len(close))[:, None] % 5 == 0)
        return every.bfill() / close - 1.0


@dataclass(frozen=True)
class Standardised(Honest):
    """Its twin takes the mean and deviation of the whole panel."""

    def of(self, close):
        raw = super().of(close)
        return (raw - raw.mean()) / raw.std()


@dataclass(frozen=True)
class Early(Honest):
    """Its twin is one bar early: the classic off-by-one."""

    def of(self, close):
        return super().of(close).shift(-1)


@dataclass(frozen=True)
class Late(Honest):
    """Its twin is one bar late: no leak, and not the same agent."""

    def of(self, close):
        return super().of(close).shift(1)


@dataclass(frozen=True)
class Peeking(Honest):
    """Reaches through the window into the memory behind it."""

    def views(self, window):
        whole = window.bars.close
        while whole.base is not None:
            whole = whole.base
        return window.views(score=pd.Series(whole[-1], index=list(window.symbols)), horizon=self.horizon)


@dataclass(frozen=True)
class Remembering(Honest):
    """Keeps something between two calls."""

    seen: ClassVar[deque] = deque([0.0], maxlen=1)

    def views(self, window):
        last = self.seen[-1]
        self.seen.append(float(window.bars.close[-1, 0]))
        return window.views(score=window.panel("close").iloc[-1] - last, horizon=self.horizon)


@dataclass(frozen=True)
class Boundless(Honest):
    """Hangs on where its history begins: the score is a rank among all bars so far."""

    def views(self, window):
        score = window.panel("close").pct_change()
        return window.views(score=(score.iloc[-1] - score.mean()) / score.std(), horizon=self.horizon)

    def views_panel(self, bars):
        return None


@dataclass(frozen=True)
class Hasty(Honest):
    """Says that it needs fewer bars than it does."""

    @property
    def warmup(self):
        return self.length - 2

    def views(self, window):
        close = window.panel("close").tail(self.length)
        return window.views(score=close.iloc[-1] / close.iloc[0] - 1.0, horizon=self.horizon)


@dataclass(frozen=True)
class Overfitting(Honest):
    """Learns from the memory behind its training window."""

    learned: Arrays = fitted()  # noqa: RUF009

    def fit(self, train, seed):
        whole = train.close
        while whole.base is not None:
            whole = whole.base
        return self.with_arrays({"learned.mean": whole.mean(axis=0)})


@dataclass(frozen=True)
class Unrepeatable(Honest):
    """Does not use the seed it is given."""

    learned: Arrays = fitted()  # noqa: RUF009

    def fit(self, train, seed):
        return self.with_arrays({"learned.noise": np.random.default_rng().standard_normal(3)})


@dataclass(frozen=True)
class Breaking(Honest):
    """Fails on prices that it has not seen."""

    def views(self, window):
        return [1 // 0]


def verdicts(report):
    return {row.check: row.verdict for row in report.rows}


def failed(report):
    return {row.check for row in report.failed}


TWIN_FUTURES = {f"twin, future {name}" for name in FUTURES}
VIEW_FUTURES = {f"views, future {name}" for name in FUTURES}


def test_an_honest_agent_passes_everything(bars):
    report = check_agent(Honest(), bars)
    assert report.ok
    absent = {check for check, verdict in verdicts(report).items() if verdict != "pass"}
    assert absent == {"features, in bulk against bar by bar"}
    assert set(verdicts(report)) - absent == {
        *VIEW_FUTURES,
        *TWIN_FUTURES,
        "views, asked again",
        "warm-up against longer history",
        "twin against views",
        "symbols in another order",
        "bars twice",
        "bars shuffled",
    }
    assert next(row for row in report.rows if row.check == "twin against views").bars == len(bars) - 5


@pytest.mark.parametrize("leaky", [Centred, Backfilled, Standardised, Early])
def test_a_twin_that_looks_ahead_is_caught_by_truncation_alone(leaky, bars):
    report = truncation_test(leaky(), bars)
    assert failed(report) >= TWIN_FUTURES, str(report)
    assert VIEW_FUTURES.isdisjoint(failed(report))
    assert "twin against views" in failed(twin_test(leaky(), bars))


def test_moments_are_drawn_by_the_seed_out_of_all_bars(bars):
    """An agent that is honest at evenly spread bars and reaches behind the window at all others."""

    @dataclass(frozen=True)
    class Elsewhere(Peeking):
        def views(self, window):
            even = np.linspace(self.warmup, len(bars) - 2, 20).round().astype(int)
            quiet = window.bars.close_time_ns[-1] in bars.close_time_ns[even]
            return Honest.views(self, window) if quiet else super().views(window)

    reports = [truncation_test(Elsewhere(), bars, seed=seed, moments=20) for seed in range(3)]
    assert all(failed(report) >= VIEW_FUTURES - {"views, future shuffled"} for report in reports)
    assert len({tuple(row.note for row in report.rows) for report in reports}) == 3


def test_a_twin_that_is_late_is_not_its_agent(bars):
    assert truncation_test(Late(), bars).ok
    report = twin_test(Late(), bars)
    assert not report.ok
    assert report.rows[0].worst > 1e-3
    assert "score of" in report.rows[0].note


def test_reaching_behind_the_window_is_caught(bars):
    report = truncation_test(Peeking(), bars)
    assert {"views, future replaced", "views, future removed"} <= failed(report)


def test_memory_between_calls_is_caught(bars):
    assert "views, asked again" in failed(truncation_test(Remembering(), bars))


@pytest.mark.parametrize("forgetful", [Boundless, Hasty])
def test_a_warm_up_that_is_too_short_is_caught(forgetful, bars):
    assert warmup_test(Honest(), bars).ok
    assert not warmup_test(forgetful(), bars).ok


def test_a_fit_that_sees_beyond_its_window_or_cannot_be_repeated_is_caught(bars):
    assert fit_test(Honest(), bars).rows[0].verdict == "absent"
    for learner in (Overfitting(), Unrepeatable()):
        report = fit_test(learner, bars)
        assert not report.ok
        assert "learned." in report.rows[0].note
        assert check_agent(learner, bars).failed


def test_an_agent_that_breaks_has_failed_and_nothing_is_raised(bars):
    report = check_agent(Breaking(), bars)
    assert failed(report) >= VIEW_FUTURES
    assert "ZeroDivisionError" in report.failed[0].note
    assert report.failed[0].worst == math.inf


def test_too_few_bars_are_a_failure_and_not_a_pass(bars):
    report = check_agent(Honest(), bars.rows(0, 6))
    assert not report.ok
    assert {row.note for row in report.failed} == {"too few bars to look at"}


def test_an_agent_without_a_twin_says_so(bars):
    @dataclass(frozen=True)
    class Alone(Agent):
        warmup: int = 2
        horizon: timedelta = HOUR

        def views(self, window):
            return window.views(score=window.panel("close").iloc[-1], horizon=self.horizon)

    report = check_agent(Alone(), bars)
    assert report.ok
    assert {check for check, verdict in verdicts(report).items() if verdict == "absent"} == {
        *TWIN_FUTURES,
        "twin against views",
        "features, in bulk against bar by bar",
    }
    assert "window by window" in twin_test(Boundless(), bars).rows[0].note


def test_a_twin_may_differ_by_what_it_declares_and_no_more(bars):
    @dataclass(frozen=True)
    class Coarse(Honest):
        twin_tolerance: ClassVar[float] = 1e-6

        def of(self, close):
            return super().of(close) * (1.0 + 1e-7)

    @dataclass(frozen=True)
    class Shameless(Coarse):
        twin_tolerance: ClassVar[float] = 0.5

        def of(self, close):
            return super().of(close) * 1.1

    assert twin_test(Coarse(), bars).ok
    assert twin_test(Coarse(), bars).rows[0].allowed == 1e-6
    assert not twin_test(Shameless(), bars).ok


def test_sides_cannot_differ_within_the_tolerance(bars):
    @dataclass(frozen=True)
    class Turned(Honest):
        twin_tolerance: ClassVar[float] = 1e-5

        def of(self, close):
            return -super().of(close)

    assert twin_test(Turned(), bars).rows[0].worst >= 1.0


@settings(max_examples=25)
@given(
    seed=st.integers(0, 2**16),
    row=st.integers(12, 118),
    future=st.sampled_from(sorted(FUTURES)),
    fast=st.integers(1, 5),
    slow=st.integers(6, 12),
)
def test_no_future_moves_what_was_said_before_it(make_bars, seed, row, future, fast, slow):
    agent, bars = MovingAverageCross(fast=fast, slow=slow), make_bars(120, seed=1)
    other = FUTURES[future](bars, row, np.random.default_rng(seed))
    before, after = agent.views_panel(bars).score, agent.views_panel(other.validate()).score
    assert before.iloc[: row + 1].equals(after.iloc[: row + 1])


@settings(max_examples=25)
@given(seed=st.integers(0, 2**16), row=st.integers(0, 118))
def test_other_futures_are_sound_bars_and_really_other(make_bars, seed, row):
    bars = make_bars(120, seed=2)
    for name, future in FUTURES.items():
        other = future(bars, row, np.random.default_rng(seed)).validate()
        assert np.array_equal(other.close[: row + 1], bars.close[: row + 1])
        assert other.close.base is None or len(other.close.base) != len(bars) or name != "removed"
        if name == "replaced":
            assert not np.any(other.close[row + 1 :] == bars.close[row + 1 :])


def test_features_made_in_bulk_equal_features_made_bar_by_bar(bars):
    honest = {
        "sum": lambda window: window.panel("volume").rolling(5).sum(),
        "four hours": lambda window: window.resample("1h").panel("close"),
    }
    assert feature_parity(honest, bars).ok
    leaky = {
        "centred": lambda window: window.panel("close").rolling(5, center=True).mean(),
        "backfilled": lambda window: window.panel("close").where(window.panel("close").diff() > 0).bfill(),
        "standardised": lambda window: window.panel("close") - window.panel("close").mean(),
        "early": lambda window: window.panel("close").shift(-1),
    }
    report = feature_parity(leaky, bars)
    assert {row.verdict for row in report.rows} == {"fail"}
    assert not check_agent(Honest(), bars, features={"early": leaky["early"]}).ok


def test_the_platform_s_features_have_parity(bars):
    from sapphire.data.features import FeatureSet

    report = feature_parity(FeatureSet(["log_return_12", "realised_volatility_24", "volume_z_24"]), bars)
    assert report.ok, str(report)


def test_the_report_shows_itself(bars):
    report = twin_test(Early(), bars)
    shown = report._repr_mimebundle_()
    assert set(shown) == {"text/plain", "text/html"}, "with JSON JupyterLab shows a tree in place of the table"
    assert shown["text/plain"] == str(report)
    assert str(report).startswith("early: 1 of 1 checks failed\n")
    assert "worst difference" in shown["text/html"]
    assert json.loads(json.dumps(report.as_dict(), allow_nan=False))["ok"] is False
    assert report.as_dict()["checks"][0]["worst"] is None  # the last bar: one side is silent
    assert (report + truncation_test(Early(), bars)).rows[0] == report.rows[0]


def test_an_empty_report_is_not_a_pass():
    from sapphire.agents import LeakReport

    assert not LeakReport("nobody", ()).ok
    assert str(LeakReport("nobody", ())) == "nobody: nothing was checked"


def test_prices_that_stand_still_do_not_upset_the_checks(make_bars):
    bars = make_bars(120)
    flat = np.full_like(bars.close, 100.0)
    still = replace(bars, open=flat, high=flat, low=flat, close=flat)
    assert twin_test(MovingAverageCross(fast=7, slow=31), still).ok
