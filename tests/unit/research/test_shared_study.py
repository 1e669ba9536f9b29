"""A study that one machine submits is what another lists, measures again on the same ledger, and lets in."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from sapphire.agents import BuyAndHold, MovingAverageCross
from sapphire.cli import app
from sapphire.data import load_snapshot, snapshot
from sapphire.domain.errors import HoldoutSealed
from sapphire.domain.workspace import HOME_VARIABLE
from sapphire.execution import engine_binary
from sapphire.monitoring.judging.days_on_paper import witnessed_registry
from sapphire.registry import Deployment
from sapphire.research.ledger.recording import ledger
from sapphire.serving import Settings, admit

if TYPE_CHECKING:
    from place_servers import GcsServer, PostgresServer


@pytest.fixture(scope="module")
def homes(
    tmp_path_factory: pytest.TempPathFactory,
    with_mlflow: Callable[[Path], Path],
    postgres: PostgresServer,
    gcs: GcsServer,
) -> Iterator[Callable[[str], Path]]:
    """Makes this process one of the machines; each has a state folder and an MLflow of its own."""
    folder = tmp_path_factory.mktemp("machines")
    with pytest.MonkeyPatch.context() as patch:
        for key, value in {**postgres.place_settings("study"), **gcs.place_settings("study")}.items():
            patch.setenv(key, value)

        def machine(name: str) -> Path:
            patch.setenv(HOME_VARIABLE, str(folder / name))
            return folder / name if (folder / name).exists() else with_mlflow(folder / name)

        yield machine


def output_of(*words: str) -> Any:
    done = CliRunner().invoke(app, [*words, "--json"], obj={"registry": witnessed_registry})
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return json.loads(done.stdout)


def test_a_second_machine_finds_and_measures_and_trades_what_a_study_submitted(
    home: Path, homes: Callable[[str], Path], studies_in: Callable[[], Callable[..., Any]]
) -> None:
    homes("a")
    data = snapshot(["BTC/USDT", "ETH/USDT"], interval="1h", start="2024-01-01", end="2024-01-14", source="embedded")
    study = studies_in()(data=data)
    release = study.submit(BuyAndHold())
    name = release.registered.label
    first = release.gates(to="paper")
    assert first.permits == "paper", [row for row in first.failed if row.refuses]
    release.promote(to="paper")
    before = study.trials().count

    there = homes("b")
    listed = {each["release"]: each for each in output_of("releases")["releases"]}
    assert listed[f"paper.{name}"]["aliases"] == ["champion"]
    again = output_of("gates", name)
    assert again["permits"] == "paper"
    assert again["rows"] == json.loads(json.dumps(first.as_dict()))["rows"]
    assert again["ledger_head"] == first.ledger_head == ledger().head.digest
    assert admit(Settings(there, release.digest, "paper")).manifest.digest == release.digest
    trust = there / "trust.json"
    trust.write_text(json.dumps(Deployment.read().as_dict()))
    words = ["--home", there, "--release", release.digest, "--stage", "paper", "--trust", trust]
    done = subprocess.run([engine_binary("service"), "evidence", *words], capture_output=True, check=False)
    assert json.loads(done.stdout)["ok"] is True

    # the hold-out that was sealed on one machine is sealed on the other, and what is tried there counts here
    same = load_snapshot(data.hash)
    assert same == data
    with pytest.raises(HoldoutSealed):
        studies_in()(name="other", holdout="10h", data=same).screen(BuyAndHold())
    studies_in()(data=same).screen(MovingAverageCross(fast=3, slow=9))
    homes("a")
    assert study.trials().count == before + 1
