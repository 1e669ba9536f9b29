"""JupyterLab in Chromium: 00_start_here runs whole, and so does an agent that somebody writes, in light and in dark."""

from pathlib import Path

import pytest
from page import NotebookPage, shortened

START_HERE = Path(__file__).parents[2] / "notebooks" / "00_start_here.ipynb"
FAST = {
    "start": "2023-11-23",
    "end": "2024-05-01",
    "interval": "1h",
    "train": "30d",
    "test": "60d",
    "holdout": "10d",
    "fast": [6, 12],
    "slow": [48, 96],
}
ERROR = "application/vnd.jupyter.stderr"
"""As JupyterLab calls an error on the page, and whatever else is written there."""
BLANK = 40
"""Colours in the picture of a figure that shows nothing but its axes, at most."""
CELLS = [
    "import sapphire as sp\n%load_ext sapphire",
    '''%%agent reversal
class Reversal(Agent):
    """What fell comes back."""

    lookback: int = 12
    horizon: timedelta = timedelta(hours=12)

    @property
    def warmup(self):
        return self.lookback + 1

    def views(self, window):
        close = window.panel("close")
        return window.views(score=1.0 - close.iloc[-1] / close.iloc[-1 - self.lookback], horizon=self.horizon)
''',
    """bars = sp.data.snapshot(
    ["BTC/USDT", "ETH/USDT"], interval="1h", start="2023-03-01", end="2023-05-01", source="embedded"
)
study = sp.study(
    "reversal",
    data=bars,
    holdout="10d",
    split=sp.walk_forward(train="30d", test="10d"),
    costs=sp.costs.binance_spot(),
    sizing=sp.portfolio.VolatilityTarget(annual=0.20),
)
study.screen(Reversal())""",
    "study.replay(Reversal(lookback=24))",
]
BROKEN = """%%agent broken
class Broken(Agent):
    horizon: timedelta = timedelta(hours=12)
    warmup: int = 1

    def views(self, window):
        return window.panel("close")["DOGE/USDT"]
"""


@pytest.fixture
def notebook(context, tmp_path):
    page = context.new_page()
    yield NotebookPage(page)
    page.screenshot(path=tmp_path / "last.png")
    page.close()


def require_readable(notebook):
    """Refuse text that is hard to read: below 4.5, or below 3 in a figure (WCAG 2.2, 1.4.3 and 1.4.11)."""
    found = notebook.contrasts
    assert len(found) > 50
    assert not [each for each in found if each["ratio"] < (3.0 if each["figure"] else 4.5)]


def test_start_here_runs_whole_and_can_be_read_in_both_themes(lab, notebook, tmp_path):
    (lab.folder / START_HERE.name).write_text(shortened(START_HERE, FAST))
    notebook.open(lab, START_HERE.name)
    notebook.menu("Run", "Run All Cells")
    notebook.settle(within_s=180)
    assert notebook.outputs(ERROR) == []
    assert len(notebook.tables) >= 10
    assert min(notebook.tables) > 1
    assert len(notebook.figures) >= 5
    assert min(notebook.figures) > BLANK
    seen = " ".join(notebook.bars_seen)
    assert not [words for words in ("sweep", "2 folds 2/2", "replay", "release trend@1") if words not in seen], seen
    for theme in ("Light", "Dark"):
        notebook.take_theme(theme)
        require_readable(notebook)
        notebook.picture(tmp_path / f"start_here_{theme}.png")


def test_an_agent_that_somebody_writes_is_studied_in_the_dark_theme(lab, notebook, tmp_path):
    notebook.new(lab)
    notebook.take_theme("Dark")
    for cell in CELLS:
        notebook.write(cell)
    notebook.settle(within_s=120)
    assert notebook.outputs(ERROR) == []
    assert (lab.folder.parent / "agents" / "reversal.py").is_file()
    assert len(notebook.figures) >= 2
    assert min(notebook.figures) > BLANK
    assert min(notebook.tables) > 1
    seen = " ".join(notebook.bars_seen)
    assert all(word in seen for word in ("screen reversal", "replay reversal"))
    notebook.write(BROKEN)
    notebook.write("study.replay(Broken())")
    notebook.settle(within_s=30)
    (error,) = notebook.outputs(ERROR)
    assert len(error.strip().splitlines()) <= 16
    assert "broken.py, line 13, in views" in error
    assert "AgentError: broken fails in views at 2023-03-31T00:00Z" in error
    for theme in ("Dark", "Light"):
        notebook.take_theme(theme)
        require_readable(notebook)
        notebook.picture(tmp_path / f"own_agent_{theme}.png")
