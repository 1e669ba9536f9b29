"""Evidence asks the captured code, in processes of its own, for what production asks it."""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from sapphire.agents import MovingAverageCross, load_agent_source
from sapphire.agents.release import ReleaseCode, freeze, read_release
from sapphire.domain.releases import ReleasedSizing
from sapphire.registry import GitState, LockState
from sapphire.research.evidence_worker import ask_release, fit_in_worker, walk_in_workers
from sapphire.research.integrity import measure_integrity
from sapphire.research.walking import walk_beliefs

HEAD = '''
"""An agent of a test."""

import os, random, socket, time
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

import sapphire as sp
from sapphire import Agent
from sapphire.agents import Arrays, ViewPanel, fitted


@dataclass(frozen=True)
class Tested(Agent):
    horizon: timedelta = timedelta(hours=2)
    length: int = 4

    @property
    def warmup(self):
        return self.length + 1

    def of(self, close):
        return close / close.shift(self.length) - 1.0

    def say(self, window, score):
        return window.views(score=score, horizon=self.horizon)

'''
PLAIN = """
    def views(self, window):
        return self.say(window, self.of(window.panel("close")).iloc[-1])
"""
AGENT = MovingAverageCross(fast=3, slow=12, horizon=timedelta(hours=2))


def made(body, tmp_path, head=HEAD):
    return load_agent_source(head + body, tmp_path / "tested.py")()


def quiet(*_):
    """Progress that nobody follows."""


def walked(study, agent, **changed):
    code = ReleaseCode.of(agent)
    return walk_in_workers(
        code, study.evaluation, study.folds, seed=study.seed, label=agent.name, horizon_of=agent, told=quiet, **changed
    )


def evidence(study, agent, tmp_path, moments=460):
    """What submit measures of integrity, without a registry."""
    code = ReleaseCode.of(agent)
    learned = fit_in_worker(code, study.evaluation, seed=study.seed, label=agent.name)
    sizing = ReleasedSizing(class_name="equal_weight", parameters={}, source_sha256="a" * 64)
    manifest = freeze(
        code.agent(agent.name).with_arrays(learned), name="trend", train_bars=study.evaluation, sizing=sizing,
        limits={}, execution={}, lock_sha256="b" * 64, engine_version="0.1.0", universe=study.data.symbols,
        folder=tmp_path / "releases",
    )  # fmt: skip
    release = read_release(tmp_path / "releases" / manifest.digest)
    walk = walked(study, agent)
    start, stop = len(study.evaluation), len(study.data.bars)
    held = ask_release(release, agent, study.data.bars, start, stop, study.seed)
    return measure_integrity(
        release, (walk, held), learned, data=study.data, evaluation=study.evaluation,
        lock=LockState("b" * 64, frozenset(), (), ()), git=GitState("", dirty=True), seed=study.seed, moments=moments,
    )  # fmt: skip


def failed(found):
    return {name for name, check in found.checks.items() if check.verdict == "fail"}


def test_workers_say_what_the_notebook_does(make_study):
    study = make_study()
    found = walked(study, AGENT)
    here = walk_beliefs(AGENT, study.evaluation, study.folds, seed=study.seed, told=quiet)
    np.testing.assert_allclose(found.beliefs.mean_bps, here.mean_bps, rtol=1e-8)
    np.testing.assert_allclose(found.beliefs.std_bps, here.std_bps, rtol=1e-8)
    assert found.beliefs.close_time_ns.tolist() == here.close_time_ns.tolist()
    assert found.isolation == "enforced"


def test_a_patched_notebook_changes_no_evidence(make_study, monkeypatch):
    study = make_study()
    plain = walked(study, AGENT)
    closes = study.data.bars.frame("close").pct_change().shift(-1)
    monkeypatch.setattr(
        MovingAverageCross,
        "views",
        lambda self, window: window.views(score=closes.loc[window.as_of], horizon=self.horizon),
    )
    monkeypatch.setattr(MovingAverageCross, "views_panel", lambda self, bars: None)
    patched = walked(study, AGENT)
    assert np.array_equal(plain.beliefs.mean_bps, patched.beliefs.mean_bps)


def test_a_clean_agent_passes_every_check(make_study, tmp_path):
    found = evidence(make_study(), AGENT, tmp_path)
    assert failed(found) == set()
    assert found.captured_source
    assert found.golden_ok
    assert found.isolation == "enforced"
    assert [twin.bars for twin in found.twins] == [60, 60, 35, 40]


def test_a_twin_that_is_the_negative_of_its_views_is_caught(make_study, tmp_path):
    agent = made(
        PLAIN
        + """
    def views_panel(self, bars):
        return ViewPanel(score=-self.of(bars.frame("close")), horizon=self.horizon)
""",
        tmp_path,
    )
    assert "twin_test" in failed(evidence(make_study(), agent, tmp_path))


def test_an_average_that_needs_more_than_its_warm_up_is_caught(make_study, tmp_path):
    agent = made(
        """
    def views(self, window):
        close = window.panel("close")
        return self.say(window, close.iloc[-1] / close.ewm(span=500).mean().iloc[-1] - 1.0)

    def views_panel(self, bars):
        close = bars.frame("close")
        return ViewPanel(score=close / close.ewm(span=500).mean() - 1.0, horizon=self.horizon)
""",
        tmp_path,
    )
    found = failed(evidence(make_study(), agent, tmp_path))
    assert {"warmup_test", "twin_test"} <= found
