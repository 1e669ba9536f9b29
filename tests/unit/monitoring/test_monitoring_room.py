"""The room says what it is, and starts quickly."""

import pytest

import sapphire.monitoring


def test_every_public_name_is_there():
    for name in sapphire.monitoring.__all__:
        assert getattr(sapphire.monitoring, name).__doc__


def test_the_room_says_what_flows_and_what_it_never_does():
    for word in ("In:", "Out:", "Never:"):
        assert word in sapphire.monitoring.__doc__


def test_its_verbs_load_nothing_heavy(fresh_interpreter):
    heavy = {"pandas", "plotly", "torch", "papermill", "mlflow", "nbconvert", "rich"}
    assert not heavy & fresh_interpreter.modules_after("import sapphire.monitoring.commands")


@pytest.mark.parametrize(
    "first",
    [
        "from sapphire.monitoring.telling.running import import_nbformat as go; go(); import papermill, nbconvert",
        "from pathlib import Path; from sapphire.monitoring.telling.pages import title_of\n"
        "assert title_of(Path('notebooks/10_data.ipynb'))",
    ],
)
def test_a_notebook_is_read_and_run_without_a_grammar_of_iris(first, fresh_interpreter):
    """It would take a second of each process."""
    loaded = fresh_interpreter.modules_after(first)
    assert "jsonschema" in loaded
    assert "rfc3987_syntax" not in loaded
