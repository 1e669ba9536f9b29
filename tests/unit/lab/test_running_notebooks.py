"""`sapphire run NOTEBOOK` on this machine, and notebooks that are kept in a place."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sapphire.cli import app
from sapphire.domain.errors import ConfigError, PlaceDamaged, StudyError


def notebook(path, *sources):
    tagged = {"tags": ["parameters"]}
    cells = [
        {"cell_type": "code", "id": f"c{number}", "metadata": tagged if number == 0 else {}, "source": source,
         "outputs": [], "execution_count": None}
        for number, source in enumerate(sources)
    ]  # fmt: skip
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    path.write_text(json.dumps({"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}))
    return path


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SAPPHIRE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


@pytest.fixture
def place(home, tmp_path, monkeypatch):
    (tmp_path / "place").mkdir()
    monkeypatch.setenv("SAPPHIRE_PLACES_FOLDER", str(tmp_path / "place"))
    return tmp_path / "place"


def run(*words):
    return CliRunner().invoke(app, ["run", *map(str, words), "--json"], catch_exceptions=False)


def test_a_notebook_is_run_with_its_parameters_kept_in_the_place_and_fetched(place, tmp_path):
    source = notebook(tmp_path / "sum.ipynb", "a = 1", "print(a + 1)")
    before = source.read_bytes()
    told = json.loads(run(source, "--set", "a=41", "--keep").stdout)
    assert source.read_bytes() == before
    assert json.loads(Path(told["run"]).read_text())["cells"][-1]["outputs"][0]["text"] in ("42\n", ["42\n"])
    fetched = tmp_path / "fetched.ipynb"
    run(fetched, "--fetch", told["sha256"])
    assert fetched.read_bytes() == Path(told["run"]).read_bytes()
    with pytest.raises(ConfigError, match="not there yet"):
        run(fetched, "--fetch", told["sha256"])


def test_a_cell_that_fails_ends_it_and_the_notebook_is_kept_all_the_same(place, tmp_path):
    source = notebook(tmp_path / "bad.ipynb", "a = 1", "1 / 0")
    with pytest.raises(StudyError, match="ZeroDivisionError") as failed:
        run(source, "--keep")
    sha256 = str(failed.value).rpartition("--fetch ")[2].strip()
    run(tmp_path / "why.ipynb", "--fetch", sha256)
    assert "ZeroDivisionError" in (tmp_path / "why.ipynb").read_text()


def test_without_a_place_nothing_is_run_that_was_to_be_kept(home, tmp_path, monkeypatch):
    monkeypatch.setenv("SAPPHIRE_PLACES_ALONE", "yes")
    source = notebook(tmp_path / "touch.ipynb", "a = 1", "open('ran', 'w')")
    with pytest.raises(ConfigError, match="a place"):
        run(source, "--keep")
    assert not (tmp_path / "ran").exists()


def test_a_digest_that_is_not_kept_is_said(place, tmp_path):
    with pytest.raises(PlaceDamaged):
        run(tmp_path / "none.ipynb", "--fetch", "0" * 64)
    assert not (tmp_path / "none.ipynb").exists()
