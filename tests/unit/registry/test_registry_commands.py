"""The verbs say what they made: a table for people, one object with `--json`, and 1 where the answer is no."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from sapphire.domain.errors import Refused
from sapphire.registry import Registry, commands

ROOT = Path(__file__).parents[3]

app = typer.Typer()
for verb in (commands.releases, commands.gates, commands.promote, commands.rollback, commands.revoke):
    app.command(verb.__name__)(verb)


@pytest.fixture(scope="module")
def filled(registry: Registry, small: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """A registry with a release that has an edge and one that has none."""
    folder = tmp_path_factory.mktemp("frozen")
    for number, good in enumerate((False, True)):
        made = small.write_release(folder / str(number), fast=number + 1)
        registry.register(made, small.bundle_of(made, good=good))
    return registry


@pytest.fixture
def run(filled: Registry, monkeypatch: pytest.MonkeyPatch, wire: Callable[..., Registry]) -> Callable[..., Any]:
    monkeypatch.setenv("SAPPHIRE_HOME", str(filled.home))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(ROOT)
    return lambda *words: CliRunner().invoke(app, list(words), obj={"registry": lambda home: wire(filled, home=home)})


def output_of(result: Any) -> dict[str, Any]:
    """The one object on stdout."""
    assert len(result.stdout.splitlines()) == 1
    whole: dict[str, Any] = json.loads(result.stdout)
    return whole


def test_the_verbs_lead_from_a_release_to_paper_and_back(run: Callable[..., Any]) -> None:
    listed = output_of(run("releases", "--json"))["releases"]
    assert [(each["release"], each["stage"], each["mark"]) for each in listed] == [
        ("trend@1", "research", ""),
        ("trend@2", "research", ""),
    ]
    report = output_of(run("gates", "trend@1", "--to", "paper", "--json"))
    assert (report["permits"], report["skill_failed"], report["target"]) == ("paper", True, "paper")
    done = output_of(run("promote", "trend@1", "--to", "paper", "--json"))
    assert (done["label"], done["before"], done["skill_failed"]) == ("paper.trend@1", None, True)
    assert run("gates", "trend@2").exit_code == 0
    shown = run("promote", "trend@2")
    assert "trend@2 is now champion of paper as paper.trend@2; recorded candles (binance spot)" in shown.stdout
    assert "back again: sapphire rollback paper.trend" in shown.stderr
    back = output_of(run("rollback", "paper.trend", "--json"))
    assert (back["label"], back["before"], back["source"]) == ("paper.trend@1", "paper.trend@2", "trend@1")
    again = run("rollback", "paper.trend", "--from", "paper.trend@2", "--json")
    assert (output_of(again)["label"], output_of(again)["moved"]) == ("paper.trend@1", False)
    assert "--from paper.trend@1" in again.stderr
    table = run("releases").stdout
    assert "4 registered versions" in table
    assert "skill not shown" in table


def test_a_no_ends_with_one_and_shows_its_numbers(run: Callable[..., Any]) -> None:
    result = run("gates", "trend@2", "--to", "live")
    assert result.exit_code == 1
    assert "does not permit live" in result.stdout
    assert "the gates are in mlflow/gates/live.yaml" in result.stderr
    result = run("gates", "trend@2", "--to", "live", "--json")
    assert (result.exit_code, output_of(result)["permits"]) == (1, None)
    refused = run("promote", "trend@2", "--to", "live").exception
    assert isinstance(refused, Refused)
    assert "gate paper_days" in str(refused)


@pytest.mark.parametrize(
    "words", [("promote", "trend@1", "--force"), ("promote", "trend@1", "--to", "moon"), ("gates",)]
)
def test_wrong_words_are_wrong_usage(run: Callable[..., Any], words: tuple[str, ...]) -> None:
    assert run(*words).exit_code == 2


@pytest.mark.parametrize("verb", ["releases", "gates", "promote", "rollback", "revoke"])
def test_each_verb_shows_an_example(run: Callable[..., Any], verb: str) -> None:
    assert f"Example: sapphire {verb}" in run(verb, "--help").stdout


def test_a_revocation_is_one_word(run: Callable[..., Any]) -> None:
    assert run("revoke", "trend@2").exit_code == 2
    made = output_of(run("revoke", "trend@2", "--why", "its prices were of tomorrow", "--json"))
    assert (made["name"], made["why"]) == ("trend@2", "its prices were of tomorrow")
    assert "revoked" in run("releases").stdout
