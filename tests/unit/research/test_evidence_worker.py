"""Evidence asks the captured code, in processes of its own, for what production asks it."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta

import numpy as np
import pytest

from sapphire.agents import MovingAverageCross, load_agent_file, load_agent_source
from sapphire.agents.release import ReleaseCode, freeze, read_release
from sapphire.domain.errors import AgentError
from sapphire.domain.releases import ReleasedSizing
from sapphire.registry import GitState, LockState
from sapphire.research.evidence_worker import ask_release, fit_in_worker, walk_in_workers
from sapphire.research.integrity import committed_state, measure_integrity
from sapphire.research.submitting import submit
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


def test_an_agent_that_reads_the_sealed_hold_out_gets_no_evidence(make_study, tmp_path):
    """The snapshots are there and the agent knows how to find them."""
    agent = made(
        """
    def views(self, window):
        taken = sp.data.load_snapshot(sp.data.list_snapshots()[0].hash)
        ahead = taken.bars.frame("close").loc[window.as_of:].iloc[:2]
        return self.say(window, ahead.iloc[-1] / ahead.iloc[0] - 1.0)
""",
        tmp_path,
    )
    with pytest.raises(AgentError, match=r"tested (fails|reaches out of its window) when it is fitted") as refused:
        walked(make_study(), agent)
    assert "sapphire.data.catalog" in refused.value.got or "PermissionError" in refused.value.got


FEATURES = """
    @property
    def features(self):
        return ("log_return_4",)

    def views(self, window):
        return self.say(window, window.feature("log_return_4").iloc[-1])
"""


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A committed workspace with an agent that has features and imports a module; gives the agent."""
    folder = tmp_path / "desk"
    (folder / "agents").mkdir(parents=True)
    (folder / "sapphire.toml").write_text("")
    (folder / ".gitignore").write_text("__pycache__/\n")
    (folder / "worth.py").write_text("def of(score):\n    return 2.0 * score\n")
    body = FEATURES.replace("window.feature", "worth.of(window.feature").replace("iloc[-1])", "iloc[-1]))")
    (folder / "agents" / "tested.py").write_text(HEAD.replace("import numpy", "import worth\nimport numpy") + body)
    who = ("-c", "user.name=Quant", "-c", "user.email=quant@example.org", "-c", "commit.gpgsign=false")
    for words in (("init", "-q"), ("add", "."), ("commit", "-qm", "agent")):
        subprocess.run(["git", *who, "-C", str(folder), *words], check=True, capture_output=True)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield folder
    sys.modules.pop("worth", None)


def test_submit_measures_an_agent_with_features_and_modules(make_study, desk, home):
    agent = load_agent_file(desk / "agents" / "tested.py")()
    release = submit(make_study(), agent)
    integrity = release.bundle.integrity
    assert failed(integrity) == set()
    assert integrity.captured_source
    assert integrity.isolation == "enforced"
    assert not integrity.dirty
    assert integrity.uncommitted == ()
    assert integrity.lock_differs == ()
    modules = {each.relative_to(home).name for each in home.rglob("agents/tested/modules/*.py")}
    assert modules == {"worth.py"}
    report = release.gates(to="paper")
    rows = {row.measure: row.passed for row in report.rows if row.gate == "integrity"}
    assert rows.pop("snapshot_pinned") is False  # these bars were made by a test and lie in no store
    assert set(rows.values()) == {True}

    (desk / "worth.py").write_text("def of(score):\n    return 3.0 * score\n")
    state = committed_state(load_agent_file(desk / "agents" / "tested.py")(), desk)
    assert state.uncommitted == ("worth.py",)
