"""A release runs the source it was frozen with, whatever became of the file, and outside the process that froze it."""

import json
import subprocess
import sys

import pytest

from sapphire.agents import Calibrated
from sapphire.agents.agent_files import load_agent_file
from sapphire.agents.release import load_release
from sapphire.domain import Window
from sapphire.domain.clocks import from_ns

MOMENTUM = '''
"""What rose keeps rising."""

from dataclasses import dataclass
from datetime import timedelta

from sapphire import Agent, View, Window


@dataclass(frozen=True)
class Momentum(Agent):
    lookback: int = 6
    horizon: timedelta = timedelta(minutes=15)

    @property
    def warmup(self) -> int:
        return self.lookback + 1

    def views(self, window: Window) -> list[View]:
        close = window.panel("close")
        return window.views(score=close.iloc[-1] / close.iloc[-1 - self.lookback] - 1.0, horizon=self.horizon)
'''
ELSEWHERE = """
import json, sys
from pathlib import Path
from sapphire.agents.release import load_release
release = load_release(Path(sys.argv[1]))
golden = next(iter(release.golden.values()))
views = [[view.mean_bps.hex(), view.std_bps.hex()] for views in golden.release for view in views]
heavy = sorted({"mlflow", "bentoml"} & set(sys.modules))
print(json.dumps({"compared": release.check_golden(), "views": views, "heavy": heavy}))
"""


@pytest.fixture
def momentum(tmp_path, bars):
    """An agent file of a workspace, and its agent, calibrated."""
    path = tmp_path / "desk" / "agents" / "momentum.py"
    path.parent.mkdir(parents=True)
    path.write_text(MOMENTUM)
    return path, Calibrated(load_agent_file(path)()).fit(bars, seed=7)


@pytest.fixture
def elsewhere(tmp_path):
    """Loads a release in a fresh process, in an empty folder."""
    (tmp_path / "empty").mkdir()

    def load(folder):
        words = [sys.executable, "-c", ELSEWHERE, str(folder)]
        done = subprocess.run(words, cwd=tmp_path / "empty", capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    return load


@pytest.mark.parametrize("fate", ["changed", "deleted"])
def test_a_workspace_file_may_change_or_go(fate, momentum, bars, frozen, elsewhere):
    path, agent = momentum
    folder = frozen(agent)
    window = Window(bars, from_ns(int(bars.close_time_ns[-1])))
    before = [(view.mean_bps.hex(), view.std_bps.hex()) for view in agent.views(window)]
    if fate == "changed":
        path.write_text(MOMENTUM.replace("- 1.0", "- 2.0"))
    else:
        path.unlink()
    release = load_release(folder)
    assert [(view.mean_bps.hex(), view.std_bps.hex()) for view in release.views(window)] == before
    assert elsewhere(folder)["compared"] > 0


def test_the_captured_source_is_the_file_to_the_last_byte(momentum, frozen):
    path, agent = momentum
    assert (frozen(agent) / "agents/momentum/source.py").read_bytes() == path.read_bytes()


def test_a_file_that_changed_after_it_was_loaded_is_frozen_as_it_ran(momentum, frozen):
    path, agent = momentum
    path.write_text(MOMENTUM.replace("- 1.0", "- 2.0"))
    assert "- 1.0" in (frozen(agent) / "agents/momentum/source.py").read_text()


@pytest.mark.parametrize("kind", ["cross", "llama", "pool"])
def test_another_process_says_the_same_to_the_last_bit_and_loads_no_server(request, kind, frozen, elsewhere):
    folder = frozen(request.getfixturevalue(kind))
    there = elsewhere(folder)
    here = load_release(folder)
    golden = next(iter(here.golden.values()))
    assert there["views"] == [[v.mean_bps.hex(), v.std_bps.hex()] for views in golden.release for v in views]
    assert there["heavy"] == []


def test_the_installed_class_is_not_what_runs(frozen, cross, monkeypatch):
    from sapphire.agents.moving_average import MovingAverageCross

    folder = frozen(cross)
    monkeypatch.setattr(MovingAverageCross, "views", lambda self, window: [])
    assert load_release(folder).check_golden() > 0


def test_two_versions_of_one_file_live_side_by_side(momentum, bars, frozen):
    path, agent = momentum
    first = load_release(frozen(agent))
    path.write_text(MOMENTUM.replace("- 1.0", "- 1.5"))
    second = load_release(frozen(Calibrated(load_agent_file(path)()).fit(bars, seed=7)))
    window = Window(bars, from_ns(int(bars.close_time_ns[-1])))
    scores = [release.members[0].agent.views(window)[0].score for release in (first, second)]
    assert scores[0] - scores[1] == pytest.approx(0.5)
