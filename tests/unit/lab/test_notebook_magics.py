"""The magics in a real shell."""

import pytest
from IPython.core.interactiveshell import InteractiveShell

import sapphire
from sapphire.agents import Agent, code_digest
from sapphire.domain.errors import AgentError, ConfigError

CELL = """%%agent momentum
class Momentum(Agent):
    lookback: int = 24
    horizon: timedelta = timedelta(hours=12)

    @property
    def warmup(self):
        return self.lookback + 1

    def views(self, window):
        close = window.panel("close")
        return window.views(score=close.iloc[-1] / close.iloc[-1 - self.lookback] - 1.0, horizon=self.horizon)
"""


@pytest.fixture
def shell(desk):
    made = InteractiveShell()
    made.history_manager.enabled = False
    yield made
    made.reset(new_session=False)
    InteractiveShell.clear_instance()


def run(shell, cell):
    done = shell.run_cell(cell)
    done.raise_error()
    return done.result


def test_the_extension_gives_the_magic_and_the_cell_becomes_an_agent(shell, desk):
    run(shell, "%load_ext sapphire")
    captured = run(shell, CELL)
    assert captured.path == desk / "agents" / "momentum.py"
    cls = shell.user_ns["Momentum"]
    assert issubclass(cls, Agent)
    assert run(shell, "Momentum(lookback=3).warmup") == 4
    assert code_digest(cls) == code_digest(captured.cls)
    assert "Agent" not in shell.user_ns  # what the file imports stays in the file


def test_a_cell_that_runs_again_with_other_code_is_another_agent(shell, desk):
    sapphire.load_ipython_extension(shell)
    run(shell, CELL)
    before = shell.user_ns["Momentum"]
    run(shell, CELL.replace("= 24", "= 48"))
    assert shell.user_ns["Momentum"] is not before
    assert run(shell, "Momentum().lookback") == 48


def test_a_cell_that_fails_leaves_file_and_class(shell, desk):
    sapphire.load_ipython_extension(shell)
    run(shell, CELL)
    cls, text = shell.user_ns["Momentum"], (desk / "agents" / "momentum.py").read_text()
    with pytest.raises(AgentError, match="is not Python"):
        run(shell, CELL.replace("def views", "def views views"))
    assert shell.user_ns["Momentum"] is cls
    assert (desk / "agents" / "momentum.py").read_text() == text


def test_a_name_of_the_notebook_does_not_get_into_the_file(shell, desk):
    sapphire.load_ipython_extension(shell)
    run(shell, "margin = 1")
    with pytest.raises(AgentError, match="uses what only the notebook knows"):
        run(shell, CELL.replace("self.lookback + 1", "self.lookback + margin"))
    assert not (desk / "agents").exists()


def test_outside_a_workspace_the_cell_is_refused(shell, tmp_path_factory, monkeypatch):
    sapphire.load_ipython_extension(shell)
    monkeypatch.chdir(tmp_path_factory.mktemp("nowhere"))
    with pytest.raises(ConfigError, match="not inside a workspace"):
        run(shell, CELL)


def test_a_folder_can_be_named(shell, tmp_path):
    from sapphire.lab import register

    register(shell, folder=tmp_path / "other")
    assert run(shell, CELL).path == tmp_path / "other" / "agents" / "momentum.py"


def test_a_class_of_an_ordinary_cell_has_no_source_that_can_be_released(shell):
    run(shell, "from dataclasses import dataclass\nfrom datetime import timedelta\nfrom sapphire import Agent")
    run(shell, "@dataclass(frozen=True)\n" + CELL.split("\n", 1)[1])
    with pytest.raises(AgentError, match="%%agent momentum on top of its cell"):
        code_digest(shell.user_ns["Momentum"])


def test_the_magic_has_its_help(shell):
    sapphire.load_ipython_extension(shell)
    assert "%%agent NAME" in shell.magics_manager.magics["cell"]["agent"].__doc__
