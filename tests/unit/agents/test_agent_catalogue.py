"""Finding agents by name: built-in, from files, and never two of one name."""

import hashlib
import sys

import pytest

from sapphire.agents import (
    LagLlama,
    MovingAverageCross,
    agent_class,
    code_digest,
    list_agents,
    load_agent_file,
    load_agent_source,
    resolve,
)
from sapphire.agents.catalogue import BUILT_IN
from sapphire.domain.errors import AgentError

AGENT = '''"""Reversal: what fell comes back."""

from dataclasses import dataclass
from datetime import timedelta

from sapphire.agents import Agent


@dataclass(frozen=True)
class Reversal(Agent):
    length: int = 3
    horizon: timedelta = timedelta(hours=1)

    @property
    def warmup(self):
        return self.length + 1

    def views(self, window):
        close = window.panel("close")
        return window.views(score=close.iloc[-1 - self.length] / close.iloc[-1] - 1.0, horizon=self.horizon)
'''


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "agents"
    place.mkdir()
    (place / "reversal.py").write_text(AGENT)
    return place


def test_every_built_in_agent_is_there_under_its_own_name():
    for name in BUILT_IN:
        assert agent_class(name).name == name
    assert resolve("moving-average-cross", fast=5) == MovingAverageCross(fast=5)
    for spelling in ("lag-llama", "lag_llama", "LagLlama"):
        assert agent_class(spelling) is LagLlama


def test_an_agent_of_the_workspace_is_found_by_its_file(folder):
    agent = resolve("reversal", agents_folder=folder, length=5)
    assert agent.parameters()["length"] == 5
    assert agent.name == "reversal"
    entries, broken = list_agents(folder)
    assert not broken
    assert [entry.cls.name for entry in entries] == sorted([*BUILT_IN, "reversal"])
    mine = next(entry for entry in entries if entry.origin == "workspace")
    assert mine.summary == "Reversal: what fell comes back."
    assert mine.as_dict()["parameters"] == {"length": 3, "horizon": "1h"}
    assert mine.path == folder / "reversal.py"


def test_unknown_names_and_parameters_are_told_what_there_is(folder):
    with pytest.raises(AgentError, match="no agent 'momentun'") as caught:
        resolve("momentun", agents_folder=folder)
    assert "reversal" in caught.value.expected
    with pytest.raises(AgentError, match="no parameter 'lenght'"):
        resolve("reversal", agents_folder=folder, lenght=5)


def test_two_agents_of_one_name_are_an_error(folder):
    (folder / "Reversal_.py").write_text(AGENT)
    with pytest.raises(AgentError, match="two agents of the name"):
        resolve("reversal", agents_folder=folder)
    (folder / "Reversal_.py").unlink()
    (folder / "lag_llama.py").write_text(AGENT.replace("Reversal", "LagLlama"))
    with pytest.raises(AgentError, match="the built-in lag-llama"):
        list_agents(folder)


def test_a_broken_file_is_named_and_hides_no_other(folder):
    (folder / "crooked.py").write_text("def views(:\n")
    (folder / "_draft.py").write_text("def views(:\n")
    entries, broken = list_agents(folder)
    assert "reversal" in [entry.cls.name for entry in entries]
    assert [error.what for error in broken] == ["crooked.py is not Python"]
    assert resolve("reversal", agents_folder=folder).name == "reversal"
    with pytest.raises(AgentError, match=r"line 1: invalid syntax"):
        resolve("crooked", agents_folder=folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\n", "makes 0 agents"),
        (AGENT + AGENT[AGENT.index("@dataclass") :].replace("Reversal", "Reversal2"), "makes 2 agents"),
        (AGENT.replace("class Reversal", "class Momentum"), "another name"),
        (AGENT.replace("from datetime import timedelta\n", ""), "line 11: NameError"),
        ("import reversal_helper\n" + AGENT, "ModuleNotFoundError"),
        (AGENT.replace("length: int = 3", "length: int"), "default for every parameter"),
        (AGENT.replace("@dataclass(frozen=True)\n", ""), "not a frozen dataclass"),
    ],
)
def test_a_file_that_holds_no_agent_is_refused(folder, text, message):
    (folder / "reversal_helper.py").write_text("x = 1\n")
    with pytest.raises(AgentError, match=message):
        load_agent_source(text, folder / "reversal.py")


def test_source_that_is_no_file_yet_is_remembered(folder):
    cls = load_agent_source(AGENT.replace("Reversal", "Fresh"), folder / "fresh.py")
    assert code_digest(cls) == hashlib.sha256(AGENT.replace("Reversal", "Fresh").encode()).hexdigest()
    assert not (folder / "fresh.py").exists()


def test_files_run_in_isolation(folder):
    before = set(sys.path)
    first = load_agent_file(folder / "reversal.py")
    assert load_agent_file(folder / "reversal.py") is first
    assert set(sys.path) == before
    assert "reversal" not in sys.modules
    (folder / "reversal.py").write_text(AGENT.replace("= 3", "= 4"))
    second = load_agent_file(folder / "reversal.py")
    assert (first().length, second().length) == (3, 4)
    with pytest.raises(AgentError, match="no such agent file"):
        load_agent_file(folder / "nobody.py")


def test_a_file_that_fails_leaves_no_half_made_module(folder):
    (folder / "reversal.py").write_text(AGENT + "\n1 / 0\n")
    before = set(sys.modules)
    with pytest.raises(AgentError, match="ZeroDivisionError"):
        load_agent_file(folder / "reversal.py")
    assert set(sys.modules) == before
