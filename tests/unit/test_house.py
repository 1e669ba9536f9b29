"""The house stands as it says: light to enter, and nothing in it shadows a library."""

import ast
import importlib
import subprocess
import sysconfig
from pathlib import Path

import jedi
import pytest

import sapphire

ROOT = Path(__file__).parents[2]
HEAVY = {"pandas", "torch", "vectorbt", "plotly", "duckdb", "polars", "ccxt", "mlflow", "bentoml", "scipy", "IPython"}


@pytest.mark.parametrize("turn", range(6))
def test_tests_of_one_file_stay_in_one_worker(tmp_path_factory, testrun_uid, worker_id, turn):
    """So that a file's own server or run is made once, and its last test is the last."""
    folder = tmp_path_factory.getbasetemp()
    seen = (folder if worker_id == "master" else folder.parent) / testrun_uid
    with seen.open("a") as file:
        file.write(f"{worker_id}\n")
    assert seen.read_text().splitlines() == [worker_id] * (turn + 1)


def test_each_program_is_asked_in_an_interpreter_of_its_own(fresh_interpreter):
    """What the budgets below are measured with."""
    assert "wave" in fresh_interpreter.modules_after("import wave")
    assert "wave" not in fresh_interpreter.modules_after("")
    assert fresh_interpreter.run("raise SystemExit(3)").returncode == 3
    broken = fresh_interpreter.run("1 / 0")
    assert (broken.returncode, broken.stderr.splitlines()[-1]) == (1, "ZeroDivisionError: division by zero")


def test_importing_sapphire_loads_no_heavy_library(fresh_interpreter):
    assert not fresh_interpreter.modules_after("import sapphire") & HEAVY


def test_the_command_s_help_loads_no_heavy_library(fresh_interpreter):
    code = "import sapphire.cli as c\ntry:\n    c.main(['--help'])\nexcept SystemExit:\n    pass"
    assert not fresh_interpreter.modules_after(code) & HEAVY


def test_every_exported_name_is_there(fresh_interpreter):
    code = "import sapphire\nfor name in sapphire.__all__: getattr(sapphire, name)"
    assert "sapphire" in fresh_interpreter.modules_after(code)


@pytest.mark.parametrize("where", [".", "notebooks", "tests"])
def test_no_folder_of_ours_shadows_a_library(fresh_interpreter, where):
    """A top-level folder named like a dependency must not win over it (a missing __init__ is what keeps it so)."""
    installed = {path.stem for path in Path(sysconfig.get_path("purelib")).iterdir()}
    like_one = {path.stem for path in (ROOT / where).iterdir() if path.name != "__pycache__"} & installed
    names = sorted({"torch", "ccxt", "plotly", "vectorbt"} | like_one)
    assert where != "." or "mlflow" in names
    code = f"from importlib.util import find_spec\nfor m in {names}: print(m, find_spec(m).origin)"
    done = fresh_interpreter.run(code, cwd=ROOT / where)
    assert done.returncode == 0, done.stderr
    found = done.stdout.splitlines()
    assert len(found) == len(names)
    assert not [line for line in found if "site-packages" not in line]


def test_the_large_libraries_load_beside_our_folders(fresh_interpreter):
    """They import much themselves, by names of which none is a folder of ours."""
    names = "torch, ccxt, plotly, vectorbt"
    code = f"import {names}\nfor m in ({names}): assert 'site-packages' in m.__file__, m.__file__"
    done = fresh_interpreter.run(code)
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


def lazy_rooms():
    """Packages whose names are loaded when they are asked for, by the stub beside them."""
    stubs = sorted((ROOT / "sapphire").rglob("__init__.pyi"))
    return [stub for stub in stubs if "attach_stub(" in stub.with_suffix(".py").read_text("utf-8")]


@pytest.mark.parametrize("stub", lazy_rooms(), ids=lambda path: path.parent.relative_to(ROOT).as_posix())
def test_what_is_loaded_later_is_what_editors_and_type_checkers_know(stub):
    """Each name that the stub binds is exported, and is there when it is asked for."""
    body = ast.parse(stub.read_text("utf-8")).body
    bound = {alias.asname or alias.name for node in body if isinstance(node, ast.ImportFrom) for alias in node.names}
    bound |= {node.name for node in body if isinstance(node, ast.FunctionDef)}
    bound |= {ast.unparse(node.target) for node in body if isinstance(node, ast.AnnAssign)} - {"__all__"}
    room = importlib.import_module(".".join(stub.parent.relative_to(ROOT).parts))
    assert bound
    assert set(room.__all__) == bound
    assert [name for name in bound if not hasattr(room, name)] == []


def test_an_editor_completes_the_notebook_s_words():
    """By jedi, which JupyterLab and most editors ask: where each name is from, without running anything."""
    project = jedi.Project(ROOT)
    completed = {each.name for each in jedi.Script("import sapphire as sp\nsp.", project=project).complete(2, 3)}
    assert set(sapphire.__all__) <= completed
    places = {
        "study": "sapphire.research.studies.study",
        "compare": "sapphire.research.results.paired.compare",
        "walk_forward": "sapphire.research.runs.splits.walk_forward",
        "costs": "sapphire.research.runs.costs",
        "Agent": "sapphire.agents.agent.Agent",
        "data": "sapphire.data",
    }
    for name, place in places.items():
        (found,) = jedi.Script(f"import sapphire as sp\nsp.{name}", project=project).infer(2, 4)
        assert found.full_name == place
