"""A long stretch is asked by a sample of its bars, and comes from the twin where that is the views and nowhere else."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import timedelta

import numpy as np
import pytest

from sapphire.agents import Calibrated
from sapphire.agents.panels import LOOSEST_TOLERANCE
from sapphire.agents.release import ReleaseCode
from sapphire.agents.worker import Worker, ask_panel

QUARTER = timedelta(minutes=15)
BODY = """
    def views(self, window):
        return window.views(mean_bps=100 * self.honest(window), std_bps=self.honest(window).abs() + 1, horizon=self.horizon)

    def views_panel(self, bars):
        score = self.of(bars.frame("close"))
        return ViewPanel(mean_bps={mean}, std_bps=score.abs() + 1, horizon=self.horizon)
"""  # noqa: E501
START, STOP = 40, 200


@pytest.fixture
def asked(make_bars):
    """Asks an agent about a stretch; gives what was asked, and how often it had to be begun anew."""
    bars = make_bars(STOP + 20)
    with ExitStack() as running:

        def ask(agent, **settings):
            code, renewed = ReleaseCode.of(Calibrated(agent)), []

            def started(hash_seed=0):
                made = Worker(code, bars.symbols, bars.interval, label=agent.name, hash_seed=hash_seed)
                made.learn({})
                return running.enter_context(made)

            def renew():
                renewed.append(started())
                return renewed[-1]

            settings = {"seed": 7} | settings
            found = ask_panel(started(), started(1), bars, START, STOP, renew=renew, **settings)
            return found, len(renewed)

        yield ask


def test_a_twin_that_is_the_views_answers_for_the_bars_between(asked, planted):
    agent = planted(BODY.format(mean="100 * score"), QUARTER)
    views, _ = asked(agent)
    assert (views.sample.used, views.sample.asked, views.sample.worst) == (False, STOP - START, None)
    twin, renewed = asked(agent, sample=20, every=STOP - START - 1)
    sample = twin.sample
    assert (sample.used, sample.cuts, renewed) == (True, 12, 1)
    assert 40 <= sample.asked == sample.compared <= 60 < sample.bars == STOP - START
    assert sample.worst <= 1e-9
    np.testing.assert_allclose(twin.mean_bps, views.mean_bps, rtol=1e-9)
    np.testing.assert_allclose(twin.std_bps, views.std_bps, rtol=1e-9)


def test_an_agent_that_changes_what_its_worker_allows_it_is_held_to_the_rule(asked, planted):
    """Its module can reach everything in its worker; what it may differ by is no word of the worker."""
    body = """
    import os, sapphire.agents.worker.attending as _worker
    if "sapphire-workers" in os.environ.get("TMPDIR", ""):
        _worker.twin_tolerance_of = _worker.tolerance_of = lambda agent: 1e12
"""
    views, _ = asked(planted(body + BODY.format(mean="-100 * score"), QUARTER))
    found, renewed = asked(planted(body + BODY.format(mean="-100 * score"), QUARTER), sample=20, every=50)
    sample = found.sample
    assert (sample.used, renewed) == (False, 1)
    assert sample.allowed == sample.again_allowed == LOOSEST_TOLERANCE < sample.worst
    assert np.array_equal(found.mean_bps, views.mean_bps)


def test_a_stretch_that_is_short_enough_is_asked_bar_by_bar(asked, planted):
    found, _ = asked(planted(BODY.format(mean="-100 * score"), QUARTER), sample=20, every=STOP - START)
    assert (found.sample.used, found.sample.worst, found.sample.asked) == (False, None, STOP - START)


@pytest.mark.parametrize("mean", ["-100 * score", "(100 * score).shift(-1)", "100 * score + 1e-3"])
def test_a_twin_that_says_something_else_is_not_used(asked, planted, mean):
    agent = planted(BODY.format(mean=mean), QUARTER)
    views, _ = asked(agent)
    found, renewed = asked(agent, sample=20, every=50)
    sample = found.sample
    assert (sample.used, renewed, sample.asked) == (False, 1, STOP - START)
    assert sample.worst > 1e-6
    assert sample.note.startswith("mean_bps of ")
    assert np.array_equal(found.mean_bps, views.mean_bps)
    assert np.array_equal(found.std_bps, views.std_bps)


def test_the_sample_has_the_bars_before_the_largest_moves(asked, planted, make_bars):
    """A twin that knows of one jump alone is met there, whatever was drawn by lot."""
    close = make_bars(STOP + 20).close
    moves = np.abs(np.diff(np.log(close), axis=0)).max(axis=1)
    before = START + int(np.argmax(moves[START:STOP]))
    ahead = f"(100 * score).where((np.arange(len(score)) + {START - 4} != {before})[:, None] & (score == score), 5.0)"
    found, renewed = asked(planted(BODY.format(mean=ahead), QUARTER), sample=1, every=50)
    assert (found.sample.used, renewed) == (False, 1)


def test_a_twin_that_the_sample_misses_is_cut_off(asked, planted, make_bars):
    """It looks ahead beside the largest moves, and repeats what it has once said wherever it is asked again."""
    bars = make_bars(STOP + 20)
    moves = np.abs(np.diff(np.log(bars.close), axis=0))[START : STOP - 1].max(axis=1)
    largest = START + np.argsort(moves)[-40:]
    seed = next(each for each in range(100) if np.random.default_rng(each).choice(np.arange(START, STOP)) in largest)
    quiet = bars.close_time_ns[largest].tolist()
    body = f"""
    said: ClassVar[dict] = {{{{}}}}

    def repeated(self, bars, score):
        free = ~np.isin(bars.close_time_ns, {quiet})
        ahead = score.where(~free[:, None] | (score != score), score.shift(-1).fillna(score))
        for row, time in enumerate(bars.close_time_ns.tolist()):
            ahead.iloc[row] = self.said.setdefault(time, ahead.iloc[row])
        return 100 * ahead
"""
    agent = planted((body + BODY).format(mean="self.repeated(bars, score)"), QUARTER)
    views, _ = asked(agent)
    found, renewed = asked(agent, seed=seed, sample=1, every=50)
    assert found.sample.compared == 40
    assert (found.sample.used, found.sample.cuts, renewed) == (False, 12, 2)
    assert found.sample.worst > 1e-6
    assert found.sample.note.startswith("mean_bps of ")
    assert np.array_equal(found.mean_bps, views.mean_bps)
