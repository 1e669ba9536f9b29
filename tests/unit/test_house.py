"""The house stands as it says: light to enter, and nothing in it shadows a library."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = {"pandas", "torch", "vectorbt", "plotly", "duckdb", "polars", "ccxt", "mlflow", "bentoml", "scipy", "IPython"}


def modules_after(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after `code`."""
    script = f"{code}\nimport json, sys; print(json.dumps(sorted({{name.split('.')[0] for name in sys.modules}})))"
    printed = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(json.loads(printed.stdout.splitlines()[-1]))


def test_importing_sapphire_loads_no_heavy_library():
    assert not modules_after("import sapphire") & HEAVY


def test_the_command_s_help_loads_no_heavy_library():
    code = "import sapphire.cli as c\ntry:\n    c.main(['--help'])\nexcept SystemExit:\n    pass"
    assert not modules_after(code) & HEAVY


def test_every_exported_name_is_there():
    code = "import sapphire\nfor name in sapphire.__all__: getattr(sapphire, name)"
    assert "sapphire" in modules_after(code)


@pytest.mark.parametrize("where", [".", "notebooks", "tests"])
def test_no_folder_of_ours_shadows_a_library(where):
    """A top-level folder named like a dependency must not win over it (a missing __init__ is what keeps it so)."""
    names = "torch, ccxt, plotly, vectorbt"
    code = f"import {names}\nfor m in ({names}): assert 'site-packages' in m.__file__, m.__file__"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT / where, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_no_tracked_file_names_this_machine():
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    home = str(Path.home())
    found = [
        name
        for name in tracked
        if (ROOT / name).is_file()
        and (str(ROOT) in (text := (ROOT / name).read_text("utf-8", "ignore")) or f"{home}/" in text)
    ]
    assert not found
