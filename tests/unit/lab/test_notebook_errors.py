"""An error in a notebook: the reader's own lines first and once, what was expected, the bar, no frames of libraries."""

import importlib
import re
import sys
import textwrap
import time

import pytest
from IPython.core.interactiveshell import InteractiveShell

import sapphire as sp
from sapphire.agents import code_digest, load_agent_source, window_at
from sapphire.agents.release import ReleaseCode
from sapphire.agents.worker import Worker
from sapphire.domain.errors import AgentError, TwinDiffers
from sapphire.lab.errors import short_error

AGENT = """
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pandas as pd

from sapphire import Agent, View, Window
from sapphire.agents import ViewPanel


@dataclass(frozen=True)
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
SCORE = "window.views(score=close.iloc[-1] / close.iloc[-1 - self.lookback] - 1.0, horizon=self.horizon)"
FIRST = "2024-03-11T00:00Z"
"""Close of the last bar of the first training window, which is asked about first."""
VIEWS = f"a list of views of BTC/USDT, ETH/USDT as of {FIRST}, one of each at most"
ANSWERS = {
    'close["DOGE/USDT"].iloc[-1]': ("momentum fails in views", VIEWS, "KeyError: 'DOGE/USDT' (momentum.py, line 22"),
    "1 / 0": ("momentum fails in views", VIEWS, "ZeroDivisionError: division by zero (momentum.py, line 22"),
    "None": ("momentum answers wrongly in views", VIEWS, "None"),
    "close": ("momentum answers wrongly in views", VIEWS, "DataFrame of 25 x 2"),
    "close.iloc[-1]": ("momentum answers wrongly in views", VIEWS, "Series of 2"),
    "np.array([0.1, 0.2])": ("momentum answers wrongly in views", VIEWS, "ndarray of 2"),
    '{"BTC/USDT": 0.1}': ("momentum answers wrongly in views", VIEWS, "dict {'BTC/USDT': 0.1}"),
    '"long"': ("momentum answers wrongly in views", VIEWS, "str 'long'"),
    "[0.1, 0.2]": ("momentum answers wrongly in views", VIEWS, "float 0.1 in place 0"),
    '[View("XRP/USDT", window.as_of, self.horizon, score=1.0)]': (
        "momentum answers wrongly",
        VIEWS,
        "a view of XRP/USDT",
    ),
    '[View("BTC/USDT", window.as_of, self.horizon, score=1.0)] * 2': ("wrongly", VIEWS, "two views of BTC/USDT"),
    '[View("BTC/USDT", window.as_of + timedelta(hours=1), self.horizon, score=1.0)]': (
        "momentum answers wrongly in views",
        VIEWS,
        "a view of BTC/USDT as of 2024-03-11T01:00Z",
    ),
    '[View("BTC/USDT", window.as_of, self.horizon, score=np.nan)]': ("score of BTC/USDT", "a finite number", "nan"),
    'window.views(score=pd.Series([1.0], ["X"]), horizon=self.horizon)': ("outside the window", "symbols among", "X"),
    "window.views(score=pd.Series([1.0, 2.0]), horizon=self.horizon)": ("outside the window", "symbols among", "0, 1"),
    "window.views(score=close.to_numpy()[-1], horizon=self.horizon)": ("score of views", "a Series", "ndarray of 2"),
    "window.views(score=close.pct_change(), horizon=self.horizon)": (
        "score of views",
        "a Series",
        "DataFrame of 25 x 2",
    ),
    "window.views(score=0.3, horizon=self.horizon)": ("score of views", "a Series of one number", "float 0.3"),
    "window.views(score=close.iloc[-1], horizon=12)": ("horizon of a view", "a timedelta", "int 12"),
}
PANELS = {
    'bars.frame("closed")': ("not a field of a bar", "one of open"),
    'bars.frame("close")': ("answers wrongly in views_panel", "DataFrame of"),
    'ViewPanel(self.horizon, score=bars.frame("close")["BTC/USDT"])': ("no frame of numbers", "Series of"),
    "ViewPanel(self.horizon, score=bars.close)": ("no frame of numbers", "ndarray of"),
    'ViewPanel(self.horizon, score=bars.frame("close") > 1)': ("no frame of numbers", "with bool"),
    'ViewPanel(self.horizon, score=bars.frame("close").iloc[1:])': ("not about its bars", "2024-03-01 02:00"),
    'ViewPanel(self.horizon, score=bars.frame("close").tz_localize(None))': ("not about its bars", "00:00;"),
    'ViewPanel(self.horizon, score=bars.frame("close")[["ETH/USDT"]])': (
        "not about its bars",
        "columns ETH/USDT\n  next",
    ),
    'ViewPanel(12, score=bars.frame("close"))': ("a panel without a horizon", "int 12"),
}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A month of hours on the generated market, ten days of them for training."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAPPHIRE_HOME", str(tmp_path_factory.mktemp("home")))
        bars = sp.data.snapshot(
            ["BTC/USDT", "ETH/USDT"], interval="1h", start="2024-03-01", end="2024-04-01", source="embedded"
        )
        yield sp.study(
            "errors",
            data=bars,
            holdout="5d",
            split=sp.walk_forward(train="10d", test="5d"),
            costs=sp.costs.binance_spot(),
            sizing=sp.portfolio.VolatilityTarget(annual=0.20),
        )


@pytest.fixture(scope="module")
def kernel(study):
    """One shell for all: to end one takes longer than what is tested here."""
    made = InteractiveShell()
    made.history_manager.enabled = False
    made.colors = "nocolor"
    made.push({"study": study, "sp": sp})
    yield made
    made.reset(new_session=False)
    InteractiveShell.clear_instance()


@pytest.fixture
def shell(desk, kernel):
    kernel.set_custom_exc((), None)
    sp.load_ipython_extension(kernel)
    return kernel


@pytest.fixture
def shown(shell, capsys):
    """Runs a cell that fails; what the notebook shows of it, without colours."""

    def run(cell, number=2):
        capsys.readouterr()
        shell.execution_count = number
        done = shell.run_cell(cell, store_history=True)
        assert done.error_in_exec is not None
        return re.sub(r"\x1b\[\d+m", "", capsys.readouterr().out).strip()

    return run


def agent(answer=None, **changed):
    text = AGENT if answer is None else AGENT.replace(SCORE, answer)
    for before, after in changed.values():
        text = text.replace(before, after)
    return text


def trials(study):
    return study.trials().as_dict()["trials"]


@pytest.mark.parametrize("answer", ANSWERS)
def test_what_an_agent_raises_or_answers_wrongly_shows_its_own_line_first(shell, shown, answer):
    shell.run_cell(f"%%agent momentum\n{agent(answer)}").raise_error()
    what, expected, got = ANSWERS[answer]
    page = shown("study.replay(Momentum())")
    cell, own, words, whole = page.split("\n\n")
    assert cell.splitlines() == ["Cell In[2], line 1", " --->   1  study.replay(Momentum())"]
    assert own.splitlines()[0] == "momentum.py, line 22, in views"
    assert own.splitlines()[-1] == f" --->  22          return {answer}"
    assert re.match(rf"\w+: .*{re.escape(what)}.* at {FIRST}", words)
    assert f"\n  expected: {expected}" in words
    assert f"\n  got:      {got}" in words
    assert page.count(f"return {answer}") == 1
    assert whole == "%tb shows the whole traceback"


def test_the_whole_traceback_is_a_word_away(shell, shown, capsys):
    shell.run_cell(f"%%agent momentum\n{agent('1 / 0')}").raise_error()
    assert "walking.py" not in shown("study.screen(Momentum())")
    shell.run_cell("%tb")
    whole = capsys.readouterr().out
    assert "walking.py" in whole
    assert "ZeroDivisionError" in whole


@pytest.mark.parametrize("panel", PANELS)
def test_a_wrong_panel_says_what_was_expected(shell, shown, panel):
    twin = f"\n    def views_panel(self, bars):\n        return {panel}\n"
    shell.run_cell(f"%%agent momentum\n{agent()}{twin}").raise_error()
    page = shown("study.screen(Momentum())")
    what, got = PANELS[panel]
    _, own, words, _ = page.split("\n\n")
    assert own.splitlines()[0] == "momentum.py, line 25, in views_panel"
    assert own.splitlines()[-1] == f" --->  25          return {panel}"
    assert what in words.splitlines()[0]
    assert got in words.partition("expected:")[2]
    assert len(words.splitlines()) <= 4


@pytest.mark.parametrize(
    ("method", "what"),
    [
        (
            "def fit(self, train, seed): self.scale = 1.0",
            "momentum fails when it is fitted on bars up to 2024-03-11T00:00Z",
        ),
        ("def fit(self, train, seed): train.frame('close')", "momentum answers wrongly when it is fitted"),
        ("warmup = 2.5", "momentum answers wrongly in warmup"),
        ("warmup = 0", "momentum answers wrongly in warmup"),
        ("horizon = 12", "horizon is a duration"),
    ],
)
def test_a_fit_or_a_warm_up_that_is_none_is_said(shell, shown, method, what):
    shell.run_cell(f"%%agent momentum\n{agent()}\n    {method}\n").raise_error()
    words = shown("study.screen(Momentum())").split("\n\n")[-2]
    assert what in words


def test_an_error_of_a_helper_shows_the_way_there(shell, shown, desk):
    (desk / "averages.py").write_text("def last(close):\n    return close['DOGE/USDT']\n")
    text = "from averages import last\n" + agent("window.views(score=last(close), horizon=self.horizon)")
    shell.run_cell(f"%%agent momentum\n{text}").raise_error()
    own = shown("study.screen(Momentum())").split("\n\n")[1]
    assert [line for line in own.splitlines() if "line" in line] == [
        "momentum.py, line 24, in views",
        "averages.py, line 2, in last",
    ]


def test_a_cell_that_makes_no_agent_shows_its_line(shell, shown):
    page = shown("%%agent momentum\nlimit = 3\nratio = 1 / (limit - 3)\n")
    cell, own, words, _ = page.split("\n\n")
    assert cell.splitlines()[-1] == " --->   1  %%agent momentum"
    assert own.splitlines()[-1] == " --->   2  ratio = 1 / (limit - 3)"
    assert "momentum.py does not run" in words


def test_an_error_of_a_worker_shows_the_captured_lines(shell, study, desk):
    """What fails in a process of its own comes back with its lines, once, and the bar."""
    cls = load_agent_source(agent("1 / 0"), desk / "agents" / "momentum.py")
    bars = study.data.bars.rows(0, 40)
    with (
        Worker(ReleaseCode.of(cls()), bars.symbols, bars.interval, label="momentum") as worker,
        pytest.raises(AgentError) as caught,
    ):
        worker.views(window_at(cls(), bars, 30))
    page = "\n".join(short_error(shell, caught.value))
    assert "momentum.py, line 23, in views" in page
    assert page.count("return 1 / 0") == 1
    assert page.count("2024-03-02T07:00Z") == 2  # in what failed, and in what was expected
    assert "ZeroDivisionError: division by zero" in page


@pytest.mark.parametrize("verb", ["screen", "replay", "compare", "information", "paths", "submit"])
def test_an_agent_of_a_plain_cell_is_refused_before_it_is_asked(shell, shown, study, verb):
    before = trials(study)
    shell.run_cell(agent("sys.exit('it was asked')")).raise_error()
    begun = time.monotonic()
    page = shown(f"study.{verb}(Momentum())")
    assert time.monotonic() - begun < 1.0
    assert len(page.splitlines()) <= 12
    assert "next:     put %%agent momentum on top of its cell (after %load_ext sapphire), or the class into" in page
    assert trials(study) == before


def test_a_sweep_of_an_agent_of_a_plain_cell_is_refused_too(shell, shown):
    shell.run_cell(agent()).raise_error()
    assert "put %%agent momentum on top of its cell" in shown("study.sweep(Momentum(), lookback=[3, 4])")


@pytest.mark.parametrize("name", ["__main__", "builtins", "another_notebook"])
def test_an_agent_of_an_exec_is_refused_at_once(study, name):
    names = {"__name__": name}
    exec(agent("1 / 0"), names)
    with pytest.raises(AgentError, match="put %%agent momentum on top of its cell"):
        study.screen(names["Momentum"]())


@pytest.mark.parametrize(
    ("given", "got"),
    [
        ("lambda window: []", "the function <lambda>"),
        ("study.screen", "the function screen"),
        ("type('Rule', (), {})", "the class Rule"),
    ],
)
def test_what_is_no_agent_is_told_what_one_is(shown, given, got):
    page = shown(f"study.screen({given})")
    assert f"got:      {got}" in page
    assert "%%agent NAME on top of a cell with class NAME(Agent)" in page


def test_a_parameter_that_cannot_be_written_down_is_refused_before_the_agent_is_asked(shell, shown):
    text = agent("1 / 0", a=("lookback: int = 24", "lookback: int = 24\n    rule: object = len"))
    shell.run_cell(f"%%agent momentum\n{text}").raise_error()
    page = shown("study.screen(Momentum())")
    assert "rule" in page
    assert "ZeroDivisionError" not in page


def test_a_method_that_a_cell_replaced_is_refused(shell, shown):
    shell.run_cell(f"%%agent momentum\n{agent()}").raise_error()
    shell.run_cell("margin = 3\nMomentum.views = lambda self, window: [margin]").raise_error()
    page = shown("study.screen(Momentum())")
    assert "got:      its views was put there by a cell" in page
    assert "put %%agent momentum on top of its cell" in page


def test_an_agent_whose_file_was_edited_since_runs_and_counts_as_what_was_imported(study, desk, monkeypatch):
    """The file and its helper, by a plain import: what runs is named, before and after a reload."""
    monkeypatch.syspath_prepend(str(desk))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    helper, file = desk / "averages_of_test.py", desk / "momentum_of_test.py"
    helper.write_text("LENGTH = 3\n")
    file.write_text(
        textwrap.dedent(agent()).replace("import numpy", "from averages_of_test import LENGTH\nimport numpy")
    )
    module = importlib.import_module("momentum_of_test")
    first = code_digest(module.Momentum)
    file.write_text(file.read_text() + "# edited\n")
    assert study.information(module.Momentum()).as_dict()["method"] == "information"
    assert code_digest(module.Momentum) == first
    again = importlib.reload(module)
    second = code_digest(again.Momentum)
    assert second != first
    helper.write_text("LENGTH = 40\n")
    importlib.reload(sys.modules["averages_of_test"])
    third = code_digest(importlib.reload(module).Momentum)
    assert third not in (first, second)
    for name in ("averages_of_test", "momentum_of_test"):
        monkeypatch.delitem(sys.modules, name)


def test_a_handler_of_somebody_else_stays(shell):
    shell.set_custom_exc((KeyError,), lambda *_, **__: [])
    sp.load_ipython_extension(shell)
    assert shell.custom_exceptions == (KeyError,)


def test_errors_are_short_without_the_extension(desk, monkeypatch):
    """`import sapphire` is enough in a notebook."""
    made = InteractiveShell.instance()
    try:
        assert not made.custom_exceptions
        importlib.reload(sp)
        assert issubclass(TwinDiffers, made.custom_exceptions)
    finally:
        InteractiveShell.clear_instance()
