"""A cell becomes a file that runs by itself, or the file stays as it was."""

import hashlib
import subprocess
import sys
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sapphire.agents import Agent, code_digest, resolve
from sapphire.domain.errors import AgentError
from sapphire.lab import capture, capture_agent
from sapphire.lab.cells import completed

CELL = '''
class Momentum(Agent):
    """What rose keeps rising."""

    lookback: int = 24
    horizon: timedelta = timedelta(hours=12)

    @property
    def warmup(self) -> int:
        return self.lookback + 1

    def views(self, window: Window) -> list[View]:
        close = window.panel("close")
        return window.views(score=close.iloc[-1] / close.iloc[-1 - self.lookback] - 1.0, horizon=self.horizon)
'''


def test_a_bare_cell_becomes_a_file_that_runs_by_itself(desk):
    captured = capture("momentum", CELL, desk)
    assert captured.path == desk / "agents" / "momentum.py"
    assert captured.path.read_text() == captured.text
    assert captured.text.startswith(
        "from dataclasses import dataclass\n"
        "from datetime import timedelta\n\n"
        "from sapphire import Agent, View, Window\n\n\n"
        "@dataclass(frozen=True)\n"
        "class Momentum(Agent):\n"
    )
    assert captured.added == (
        "from dataclasses import dataclass",
        "from datetime import timedelta",
        "from sapphire import Agent, View, Window",
        "@dataclass(frozen=True)",
    )
    done = subprocess.run(
        [sys.executable, "-c", f"import runpy; print(runpy.run_path({str(captured.path)!r})['Momentum'](lookback=3))"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("Momentum(lookback=3")


def test_the_class_is_that_of_the_file(desk):
    cls = capture_agent("momentum", CELL, desk)
    assert issubclass(cls, Agent)
    assert cls().horizon == timedelta(hours=12)
    assert resolve("momentum", agents_folder=desk / "agents", lookback=3) == cls(lookback=3)
    assert code_digest(cls) == hashlib.sha256((desk / "agents" / "momentum.py").read_bytes()).hexdigest()


def test_the_same_cell_again_changes_nothing(desk):
    first = capture("momentum", CELL, desk)
    stamp = first.path.stat().st_mtime_ns
    again = capture("momentum", CELL, desk)
    assert again.cls is first.cls
    assert not again.changed
    assert "unchanged" in str(again)
    assert again.path.stat().st_mtime_ns == stamp


def test_another_cell_writes_the_new_file(desk):
    first = capture("momentum", CELL, desk)
    second = capture("momentum", CELL.replace("= 24", "= 48"), desk)
    assert second.changed
    assert "lookback: int = 48" in first.path.read_text()
    assert (first.cls().lookback, second.cls().lookback) == (24, 48)
    assert code_digest(first.cls) != code_digest(second.cls)
    assert [path.name for path in first.path.parent.iterdir()] == ["momentum.py"]


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (CELL.replace("def views(self", "def views(self self"), "is not Python"),
        ("%time\n" + CELL, "is not Python"),
        (CELL.replace("self.lookback + 1", "self.lookback + margin"), "margin"),
        (CELL + "\n1 / 0\n", "ZeroDivisionError"),
        (CELL.replace("class Momentum", "class Reversal"), "holds an agent of another name"),
        (CELL.replace("    horizon: timedelta = timedelta(hours=12)\n", ""), "no horizon"),
        (CELL.replace("class Momentum(Agent)", "class Momentum"), "makes 0 agents"),
        ("", "makes 0 agents"),
    ],
)
def test_a_bad_cell_leaves_the_old_file(desk, cell, message):
    path = capture("momentum", CELL, desk).path
    before = path.read_bytes()
    with pytest.raises(AgentError, match=message):
        capture("momentum", cell, desk)
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == ["momentum.py"]


def test_a_bad_first_cell_leaves_no_file(desk):
    with pytest.raises(AgentError, match="uses what only the notebook knows") as caught:
        capture("momentum", CELL.replace("return self.lookback + 1", "return self.lookback + margin"), desk)
    assert caught.value.got == "margin"
    assert not (desk / "agents").exists()


@pytest.mark.parametrize(
    "name", ["", "Momentum", "2fast", "a b", "class", "../up", "lag_llama", "moving-average-cross"]
)
def test_a_bad_or_taken_name_is_refused(desk, name):
    with pytest.raises(AgentError, match=r"not a name for an agent|is taken"):
        capture(name, CELL, desk)


def test_a_name_that_another_file_has_is_refused(desk):
    capture("momentum", CELL, desk)
    with pytest.raises(AgentError, match="is taken"):
        capture("momen_tum", CELL, desk)


def test_what_the_cell_has_is_not_added_again():
    whole, _ = completed(CELL, "momentum.py")
    assert completed(whole, "momentum.py") == (whole, ())


def test_lines_come_behind_docstring_and_future_imports():
    preface = '"""Momentum."""\n\nfrom __future__ import annotations\n\n'
    cell = preface + "import math\n\n\nclass M(Agent):\n    x: float = np.pi\n"
    text, added = completed(cell, "m.py")
    assert text == (
        preface + "from dataclasses import dataclass\n\nimport numpy as np\n\nfrom sapphire import Agent\n"
        "import math\n\n\n@dataclass(frozen=True)\nclass M(Agent):\n    x: float = np.pi\n"
    )
    assert added[-1] == "@dataclass(frozen=True)"


def test_a_decorated_class_keeps_its_decorators_and_a_plain_one_gets_none():
    cell = "import dataclasses\n\n\n@dataclasses.dataclass(frozen=True)\nclass M(Agent):\n    pass\n\n\n"
    cell += "class Helper:\n    pass\n"
    text, added = completed(cell, "m.py")
    assert added == ("from sapphire import Agent",)
    assert text.count("@") == 1


def test_an_agent_that_derives_from_another_is_decorated_too():
    text, added = completed("class Quick(MovingAverageCross):\n    fast: int = 2\n", "quick.py")
    assert "from sapphire.agents import MovingAverageCross" in added
    assert text.endswith("@dataclass(frozen=True)\nclass Quick(MovingAverageCross):\n    fast: int = 2\n")


@given(
    words=st.lists(
        st.sampled_from(["math.pi", "np.pi", "pd.NA", "timedelta(1)", "View", "Mapping", "ViewPanel", "UTC", "len"]),
        unique=True,
    )
)
def test_a_completed_cell_lacks_nothing_and_is_complete(words):
    cell = "class M(Agent):\n" + "".join(f"    a{place} = {word}\n" for place, word in enumerate(words)) + "    b = 1\n"
    text, _ = completed(cell, "m.py")
    assert completed(text, "m.py") == (text, ())
    names = {}
    exec(compile(text, "m.py", "exec"), names)
    assert "M" in names


def test_what_was_written_is_shown(desk):
    shown = capture("momentum", CELL, desk)._repr_mimebundle_()
    assert shown["text/plain"].startswith("momentum: agents/momentum.py written, 20 lines, ")
    assert "added  from datetime import timedelta" in shown["text/plain"]
    assert "class Momentum(Agent)" in shown["text/html"]
