"""MLflow's pages: a run per study with what was asked below it, wherever the state folder lies and whatever answers."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sapphire.domain.errors import ConfigError
from sapphire.registry import Registry
from sapphire.registry.tracking import Outbox, Page, Table, Tracking, outbox
from sapphire.registry.tracking.serving import opening
from sapphire.registry.tracking.stories import Line, story, strongest

DAY_MS = 86_400_000
CURVE = tuple((19_723 * DAY_MS + day * DAY_MS, 1.0 + 0.01 * day) for day in range(5))


def page(key: str = "d/p", **changes: Any) -> Page:
    """A study with one replay of two folds below it."""
    folds = tuple(
        Page(key=f"{key}/fold/{n}", kind="fold", name=f"fold {n}", headline="+1 %", at_ms=5, metrics={"return_pct": n})
        for n in (1, 2)
    )
    replay = Page(
        key=f"{key}/replay",
        kind="replay",
        name="replay cross(fast=3)",
        headline="+4.00 %, Sharpe 1.20 a year; N = 7",
        description="The engine over the folds.",
        at_ms=5,
        params={"fast": "3"},
        metrics={"return_pct": 4.0, "sharpe_annual": float("nan")},
        series={"equity_growth": CURVE, "benchmark_growth": CURVE, "drawdown_pct": CURVE},
        tables={"combinations": Table(("fast", "return"), (("3", "+4 %"),))},
        children=folds,
    )
    settings: dict[str, Any] = {
        "key": key,
        "kind": "study",
        "experiment": "research.trend",
        "name": "trend: {agents} on BTC/USDT, 1h, 2024-01-01 to 2024-01-06",
        "headline": "",
        "description": "Does it earn on BTC/USDT? N = 7 trials.\n\n### Settings\n\nnone",
        "at_ms": 5,
        "tags": {"agents": "cross"},
        "metrics": {"return_pct": 4.0},
        "children": (replay,),
    }
    return Page(**settings | changes)


def runs_of(home: Path) -> dict[str, Any]:
    """Every run of the study's experiment by its name."""
    client = Tracking.of(home, {}).client()
    experiment = client.get_experiment_by_name("research.trend")
    assert experiment is not None
    return {str(run.info.run_name): run for run in client.search_runs([experiment.experiment_id])}


@pytest.fixture
def home(with_mlflow: Callable[[Path], Path], tmp_path: Path) -> Path:
    """A state folder with an MLflow of its own."""
    return with_mlflow(tmp_path / "home")


def test_a_study_is_one_run_with_what_was_asked_and_its_folds_below_it(home: Path) -> None:
    box = Outbox(home, {})
    box.note(page())
    assert (box.waiting, box.deliver(), box.waiting) == (1, 1, 0)
    runs = runs_of(home)
    name = "trend: cross on BTC/USDT, 1h, 2024-01-01 to 2024-01-06"
    study, replay = runs[name], runs["replay cross(fast=3)"]
    assert sorted(runs) == ["fold 1", "fold 2", "replay cross(fast=3)", name]
    assert replay.data.tags["mlflow.parentRunId"] == study.info.run_id
    assert {runs[f"fold {n}"].data.tags["mlflow.parentRunId"] for n in (1, 2)} == {replay.info.run_id}
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    assert replay.data.metrics["return_pct"] == 4.0
    assert "sharpe_annual" not in replay.data.metrics
    description = study.data.tags["mlflow.note.content"]
    assert description.startswith("**Result**: +4.00 %, Sharpe 1.20 a year; N = 7.")
    assert "`study.submit(agent)`" in description
    assert f"![equity.png](get-artifact?path=equity.png&run_uuid={replay.info.run_id})" in description
    client = Tracking.of(home, {}).client()
    assert sorted(each.path for each in client.list_artifacts(replay.info.run_id)) == ["combinations.csv", "equity.png"]
    curve = client.get_metric_history(replay.info.run_id, "equity_growth")
    assert [(each.step, each.timestamp, each.value) for each in curve] == [
        (day, at_ms, value) for day, (at_ms, value) in enumerate(CURVE)
    ]


def test_a_page_that_is_told_again_is_the_same_run_and_another_agent_comes_into_its_name(home: Path) -> None:
    box = Outbox(home, {})
    for agents in ("cross", "cross", "hold"):
        box.note(page(tags={"agents": agents}))
        assert box.deliver() == 1
    runs = runs_of(home)
    assert len(runs) == 4
    assert "trend: cross, hold on BTC/USDT, 1h, 2024-01-01 to 2024-01-06" in runs


def test_a_page_of_which_half_was_written_is_written_whole(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sapphire.registry.tracking import writing

    def fail(*_: object) -> None:
        raise OSError("disk full")

    box = Outbox(home, {})
    box.note(page())
    with monkeypatch.context() as patched:
        patched.setattr(writing, "draw_equity", fail)
        assert (box.deliver(), box.waiting) == (0, 1)
    assert (box.deliver(), box.waiting) == (1, 0)
    assert runs_of(home)["replay cross(fast=3)"].data.metrics["return_pct"] == 4.0


def test_a_folder_that_is_moved_and_opened_from_elsewhere_still_shows_its_artifacts(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = Outbox(home, {})
    box.note(page())
    box.deliver()
    moved = tmp_path / "elsewhere" / "state"
    moved.parent.mkdir()
    home.rename(moved)
    monkeypatch.chdir(tmp_path / "elsewhere")
    run = runs_of(moved)["replay cross(fast=3)"]
    kept = Tracking.of(moved, {}).client().download_artifacts(run.info.run_id, "equity.png", str(tmp_path))
    assert Path(kept).read_bytes().startswith(b"\x89PNG")


def test_nothing_of_this_machine_s_folders_is_in_the_records(
    home: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    box = Outbox(home, {})
    box.note(page(params={"weights": f"{tmp_path}/desk/agent.bin"}))
    assert box.deliver() == 1
    with sqlite3.connect(home / "mlflow" / "mlflow.db") as records:
        dumped = "\n".join(records.iterdump())
    for place in (tmp_path_factory.getbasetemp(), Path.cwd()):
        assert re.findall(f".*{re.escape(str(place))}.*", dumped) == []
    assert "~/desk/agent.bin" in dumped


def test_a_server_that_does_not_answer_fails_nothing_and_gets_the_page_later(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import mlflow  # noqa: F401  (whoever has it loaded asks the server)

    monkeypatch.setattr(outbox, "_logged", set())
    away = Outbox(home, {"MLFLOW_TRACKING_URI": "http://me:secret@127.0.0.1:9"})
    away.tell(page())
    away.tell(page())
    assert away.waiting == 1
    (message,) = [each.message for each in caplog.records if each.name == "sapphire.tracking"]
    assert "wait in the state folder" in message
    assert "the study goes on" in message
    assert "secret" not in message
    assert Outbox(home, {}).deliver() == 1


def test_what_cannot_be_kept_or_read_is_said_and_fails_nothing(
    home: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no folder")
    Outbox(tmp_path / "file", {}).note(page())
    box = Outbox(home, {})
    box.note(page())
    (box.folder / "a.json").write_text("{")
    (box.folder / "b.json").write_text(json.dumps({**page().as_dict(), "format": "PAGE@9"}))
    box.note(page("other", kind="gates", run_id="0" * 32, children=()))
    assert (box.deliver(), box.waiting) == (1, 0)
    assert len(list(box.folder.glob("*.refused"))) == 3
    messages = " ".join(each.message for each in caplog.records)
    assert "the result itself stands" in messages
    assert "put aside" in messages


def test_noting_a_page_loads_no_mlflow(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from sapphire.registry.tracking import Outbox, Page;"
        f"Outbox(Path({str(tmp_path)!r}), {{}}).tell(Page(key='k', kind='study', name='n', headline='', at_ms=1));"
        "sys.exit(len({'mlflow', 'matplotlib', 'sqlalchemy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], env=dict(os.environ), check=False).returncode == 0
    assert Outbox(tmp_path, {}).waiting == 1


def test_gates_are_a_picture_a_table_and_words_on_the_run_of_the_submit(
    registry: Registry, freeze: Callable[..., Path], small: Any
) -> None:
    folder = freeze(name="pictured")
    made = registry.register(folder, small.bundle_of(folder))
    report = registry.gates(made.digest, to="live")
    box = Outbox(registry.home, {})
    box.deliver()
    client = Tracking.of(registry.home, {}).client()
    run = client.get_run(made.run_id)
    verdict = run.data.tags["sapphire.gates.live"]
    assert verdict.startswith(f"{'permits' if report.permits else 'does not permit'} live, ")
    assert {each.path for each in client.list_artifacts(made.run_id)} >= {"gates_live.csv", "gates_live.png"}
    assert (
        f"![gates_live.png](get-artifact?path=gates_live.png&run_uuid={made.run_id})"
        in (run.data.tags["mlflow.note.content"])
    )
    kept = Path(client.download_artifacts(made.run_id, "gates_live.csv", str(folder.parent)))
    assert len(kept.read_text().splitlines()) == 1 + len(report.rows)
    version = client.get_model_version("research.pictured", "1")
    assert version.run_id == made.run_id
    assert "walk-forward" in version.description
    assert f"sapphire gates {made.digest[:12]}" in version.description
    assert "`sapphire rollback paper.pictured`" in client.get_registered_model("research.pictured").description
    registry.gates(made.digest, to="paper")
    registry.promote(made.digest, to="paper")
    assert "The bytes of `pictured@1`" in client.get_model_version("paper.pictured", "1").description


def test_what_was_measured_is_kept_where_mlflow_does_not_answer(
    home: Path, freeze: Callable[..., Path], small: Any, wire: Callable[..., Registry], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    folder = freeze(name="kept")
    bundle = small.bundle_of(folder)
    with pytest.raises(ConfigError, match="MLflow does not answer"):
        wire(home, environment={"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}).register(folder, bundle)
    here = wire(home, environment={})
    assert here.store.bundle(bundle.manifest_digest).digest == bundle.digest, "nothing is measured again"
    made = here.register(folder, bundle)
    assert (made.version, here.register(folder, bundle).run_id) == (1, made.run_id)


def test_a_study_s_story_says_result_gates_and_where_to_go_on_within_what_mlflow_keeps() -> None:
    lines = [Line(f"{n:032x}", "screen", f"screen cross(fast={n})", "words " * 40) for n in range(60)]
    assert strongest([]) is None
    assert "`study.replay(agent)`" in story("Asked.\n\n### Settings", "1", lines, lines[-1], [])
    submit = Line("f" * 32, "submit", "submit trend@1", "+1 %", {"paper": "does not permit paper"}, "trend@1")
    best = strongest([*lines, submit])
    text = story("Asked.\n\n### Settings\n\n| a | b |", "1", [*lines, submit], best, [])
    assert best == submit
    assert len(text) <= 7_900
    assert text.startswith("**Result**: +1 %.")
    assert "of 61; all are below this run" in text
    assert "says which measure is missing" in text
    assert text.endswith("### Settings\n\n| a | b |")
    submit.gates["paper"] = "permits paper"  # type: ignore[index]
    assert "`sapphire promote trend@1 --to paper`" in story("", "1", [submit], submit, [])


def test_the_page_at_the_root_opens_on_models_and_keeps_what_a_browser_chose() -> None:
    shown = opening("<html><head><title>MLflow</title></head></html>", {"mlflow.workflowType_v1": '"machine_learning"'})
    assert shown.startswith("<html><head><script>")
    assert 'if (!location.hash) location.replace("#/models");' in shown
    assert "=== null) localStorage.setItem" in shown
