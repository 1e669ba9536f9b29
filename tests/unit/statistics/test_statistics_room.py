"""The room keeps its own promises: the import is light, every statistic carries its proof."""

import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest

import sapphire
import sapphire.statistics as room

MODULES = [f"{room.__name__}.{module.name}" for module in pkgutil.iter_modules(room.__path__)]
FUNCTIONS = [name for name in room.__all__ if inspect.isfunction(getattr(room, name))]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_statistic_carries_formula_paper_and_doctest(name):
    text = inspect.getdoc(getattr(room, name)) or ""
    assert ">>>" in text
    # the name of two others, which carry theirs; and what reads arrays, which is no statistic
    if name not in ("probabilistic_sharpe_ratio", "calibration_from_arrays"):
        assert "References\n----------" in text


def test_the_libraries_stay_behind_this_room():
    """One place knows their conventions; nobody else imports them but a tear sheet, which is for reading only."""
    root = Path(sapphire.__file__).parent
    others = [path for path in root.rglob("*.py") if path.parent.name != "statistics"]
    assert len(others) > 100
    named = re.compile(r"^\s*(?:from|import) (skfolio|ffn|jsharpe|arch)\b", re.MULTILINE)
    assert [path.name for path in others if named.search(path.read_text())] == ["tear_sheet.py"]


@pytest.mark.parametrize("heavy", ["scipy", "pandas", "arch", "statsmodels", "skfolio", "ffn", "jsharpe"])
def test_import_is_light(fresh_interpreter, heavy):
    assert heavy not in fresh_interpreter.modules_after("import sapphire.statistics")


def test_only_the_errors_of_the_domain_are_imported():
    for name in MODULES:
        source = inspect.getsource(importlib.import_module(name))
        ours = [line for line in source.splitlines() if line.startswith("from sapphire.")]
        assert all(line.startswith(("from sapphire.domain.errors", "from sapphire.statistics")) for line in ours)
