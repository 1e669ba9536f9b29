"""Modules of the workspace that an agent imports travel with it, count in its code, and are what runs."""

import importlib
import sys

import pytest

from sapphire.agents import Calibrated, code_digest, load_agent_file
from sapphire.agents.release import load_release
from sapphire.domain import Window
from sapphire.domain.clocks import from_ns
from sapphire.domain.errors import AgentError, EvidenceRefused

AGENT = '''
"""What rose keeps rising."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

{imports}
from sapphire import Agent, View, Window

if TYPE_CHECKING:
    import never_there


@dataclass(frozen=True)
class Momentum(Agent):
    lookback: int = 6
    horizon: timedelta = timedelta(minutes=15)

    @property
    def warmup(self) -> int:
        return self.lookback + 1

    def views(self, window: Window) -> list[View]:
        {lazy}
        close = window.panel("close")
        return window.views(score={change}(close, self.lookback), horizon=self.horizon)
'''
CHANGE = """
def change(close, bars):
    return {factor} * (close.iloc[-1] / close.iloc[-1 - bars] - 1.0)
"""
DESK = {
    "desk/__init__.py": "from .signals import change as loud\n",
    "desk/signals.py": "from . import tools\nfrom desk.tools.sizes import FACTOR\n\n\ndef change(close, bars):\n"
    "    import desk.late\n\n    return FACTOR * desk.late.plain(close, bars)\n",
    "desk/tools/__init__.py": "",
    "desk/tools/sizes.py": "FACTOR = 2.0\n",
    "desk/late.py": "from dataclasses import dataclass\n\n\n@dataclass\nclass Kept:\n    bars: 'int'\n\n\n"
    "def plain(close, bars):\n    return close.iloc[-1] / close.iloc[-1 - Kept(bars).bars] - 1.0\n",
    "desk/idle.py": "raise RuntimeError('nobody imports this')\n",
}


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A workspace; writes modules into it, and gives its agent, whose file imports them."""
    folder = tmp_path / "workspace"
    (folder / "agents").mkdir(parents=True)
    (folder / "sapphire.toml").write_text("")
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)

    def write(files, imports="", change="", lazy=""):
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        importlib.invalidate_caches()
        path = folder / "agents" / "momentum.py"
        path.write_text(AGENT.format(imports=imports, change=change, lazy=lazy))
        return load_agent_file(path)

    yield write
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in ("desk", "helper"):
            del sys.modules[name]


def helper(desk, factor):
    return desk({"helper.py": CHANGE.format(factor=factor)}, "import helper", "helper.change")


def of_desk(desk):
    return desk(DESK, "from desk import loud", "loud")


def test_editing_a_helper_is_another_code(desk):
    digests = [code_digest(helper(desk, factor)) for factor in ("1.0", "2.0", "1.0")]
    assert digests[0] == digests[2] != digests[1]


def test_an_edited_helper_is_what_runs(desk, bars):
    window = Window(bars, from_ns(int(bars.close_time_ns[-1])))
    one, two = (helper(desk, factor)().views(window)[0].score for factor in ("1.0", "2.0"))
    assert two == 2 * one != 0


def test_a_release_holds_the_modules_and_runs_them(desk, bars, frozen, monkeypatch):
    agent = Calibrated(of_desk(desk)()).fit(bars, seed=7)
    window = Window(bars, from_ns(int(bars.close_time_ns[-1])))
    before = agent.views(window)
    folder = frozen(agent)
    modules = folder / "agents/momentum/modules"
    there = {path.relative_to(modules).as_posix(): path.read_text() for path in modules.rglob("*.py")}
    assert there == {path: text for path, text in DESK.items() if path != "desk/idle.py"}
    monkeypatch.setattr(sys.modules["desk.late"], "plain", lambda close, bars: close.iloc[-1] * 0)
    assert load_release(folder).check_golden() > 0
    for name in [name for name in sys.modules if name.partition(".")[0] == "desk"]:
        del sys.modules[name]
    for path in DESK:
        (folder.parents[1] / "workspace" / path).write_text("raise RuntimeError('from the disk')\n")
    release = load_release(folder)
    assert [(v.mean_bps, v.std_bps) for v in release.agent.views(window)] == [(v.mean_bps, v.std_bps) for v in before]
    assert "desk" not in sys.modules
    assert frozen(release.agent) == folder


def test_a_module_that_changed_in_the_release_is_refused(desk, bars, frozen):
    folder = frozen(Calibrated(of_desk(desk)()).fit(bars, seed=7))
    (folder / "agents/momentum/modules/desk/late.py").write_text("def plain(close, bars):\n    return close.iloc[-1]\n")
    with pytest.raises(EvidenceRefused, match="files of release") as refused:
        load_release(folder)
    assert "modules/desk/late.py has sha256" in refused.value.got


@pytest.mark.parametrize(
    ("imports", "lazy"),
    [
        ("import importlib\nhelper = importlib.import_module('helper')", ""),
        ("", "import helper"),
        ("from helper import change as _held\nclass helper:\n    change = staticmethod(_held)", ""),
    ],
    ids=["importlib", "in a function", "a function of it"],
)
def test_a_module_is_found_however_it_is_imported(desk, imports, lazy):
    cls = desk({"helper.py": CHANGE.format(factor="1.0")}, imports, "helper.change", lazy)
    one = code_digest(cls)
    assert code_digest(desk({"helper.py": CHANGE.format(factor="3.0")}, imports, "helper.change", lazy)) != one


def test_installed_distributions_are_not_captured(desk, bars, frozen):
    folder = frozen(Calibrated(helper(desk, "1.0")()).fit(bars, seed=7))
    assert [path.name for path in (folder / "agents/momentum/modules").rglob("*.py")] == ["helper.py"]


def test_what_is_neither_in_the_workspace_nor_installed_is_refused_by_name(desk, bars, frozen):
    files = {"helper.py": CHANGE.format(factor="1.0") + "\n\ndef other():\n    import nowhere_at_all\n"}
    agent = Calibrated(desk(files, "import helper", "helper.change")()).fit(bars, seed=7)
    with pytest.raises(AgentError, match="imports what a release cannot name") as refused:
        frozen(agent)
    assert refused.value.got == "nowhere_at_all"
