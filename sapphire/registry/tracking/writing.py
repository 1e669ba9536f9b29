"""From pages to runs: one run per page, found again by its key, with its pictures, tables and children."""

from __future__ import annotations

import csv
import getpass
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from sapphire.registry.tracking.pages import GROWTH, Page
from sapphire.registry.tracking.pictures import draw_equity, draw_gates
from sapphire.registry.tracking.places import without_home
from sapphire.registry.tracking.stories import (
    EQUITY,
    GATES_TAG,
    HEADLINE_TAG,
    KIND_TAG,
    RELEASE_TAG,
    Line,
    evidence_story,
    experiment_story,
    story,
    strongest,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Run

    from sapphire.registry.tracking.connection import Tracking

__all__ = ["Writer"]

KEY_TAG, DIGEST_TAG, INTRODUCTION_TAG = "mlflow.sapphire.page", "mlflow.sapphire.digest", "mlflow.sapphire.introduction"
"""MLflow's pages hide tags of such names: they are of no use to a reader."""
_REWRITTEN = ("study", "submit")
"""Kinds whose description grows with what comes later."""
_NOTE, _PARENT, _USER = "mlflow.note.content", "mlflow.parentRunId", "mlflow.user"
_AGENTS = "agents"
_NAMED = 80
_MAX_TAG = 4_900
_MAX_PARAM = 6_000
_METRICS_AT_ONCE = 1_000
_CHILDREN = 200
_MS_PER_DAY = 86_400_000


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes pages into an MLflow.

    Parameters
    ----------
    tracking, client : the MLflow, and how to reach it.
    """

    tracking: Tracking
    client: MlflowClient

    def write(self, page: Page) -> str:
        """Write a page and those below it; the id of its run.

        Raises
        ------
        MlflowException, SQLAlchemyError : MLflow does not take it.
        """
        if page.run_id:
            experiment = str(self.client.get_run(page.run_id).info.experiment_id)
        else:
            experiment = self.tracking.experiment(self.client, page.experiment, experiment_story(page.experiment))
        run = self._write(page, experiment, above=None)
        top = run.info.run_id if page.kind == "study" else run.data.tags.get(_PARENT, "")
        if top:
            self._tell(str(top), experiment)
        return str(run.info.run_id)

    def _write(self, page: Page, experiment: str, *, above: str | None, anew: bool = False) -> Run:
        """Write a page below another.

        Parameters
        ----------
        anew : whether nothing of it can be there yet.
        """
        found = None if anew else self._find(page, experiment)
        made = found is None
        if page.kind == "study":
            page = _with_agents(page, "" if found is None else found.data.tags.get(_AGENTS, ""))
        tags = self._tags(page, above)
        if found is None:
            found = self.client.create_run(experiment, page.at_ms, tags, run_name=page.name)
            self._fill(found, page, {})
            self.client.set_terminated(found.info.run_id, "FINISHED", page.at_ms)
        elif page.kind == "study" or found.data.tags.get(DIGEST_TAG) != page.digest:
            self._fill(found, page, {name: value for name, value in tags.items() if found.data.tags.get(name) != value})
            if page.kind != "gates":
                self.client.update_run(found.info.run_id, name=page.name)
        for child in page.children:
            self._write(child, experiment, above=str(found.info.run_id), anew=made and page.kind != "study")
        return found

    def _find(self, page: Page, experiment: str) -> Run | None:
        if page.run_id:
            return self.client.get_run(page.run_id)
        query = f"tags.`{KEY_TAG}` = '{page.key}'"
        runs = self.client.search_runs([experiment], query, max_results=1)
        return runs[0] if runs else None

    def _tags(self, page: Page, above: str | None) -> dict[str, str]:
        tags = {
            **page.tags,
            KEY_TAG: page.key,
            KIND_TAG: page.kind,
            HEADLINE_TAG: page.headline,
            _USER: _user(),
        }
        if page.kind == "gates":  # what the run is of stays as it is
            tags = dict(page.tags)
        elif page.run_id:  # who made it, and where it came from, is noted on it
            tags = {**page.tags, KIND_TAG: page.kind, HEADLINE_TAG: page.headline}
        if page.kind in _REWRITTEN and page.description:
            tags[INTRODUCTION_TAG] = page.description
        tags |= {_PARENT: above} if above is not None else {}
        return {name: without_home(value)[:_MAX_TAG] for name, value in tags.items() if value}

    def _fill(self, run: Run, page: Page, tags: Mapping[str, str]) -> None:
        """Parameters, numbers, pictures and tables of a run, and what it says with them; its digest comes last."""
        from mlflow.entities import Param, RunTag

        run_id = str(run.info.run_id)
        run.data.tags.update(tags)
        pictures = self._files(run_id, page)
        all_tags = dict(tags)
        if page.run_id:
            all_tags[_NOTE] = self._evidence_note(run)
        elif page.kind != "study":
            all_tags[_NOTE] = "\n\n".join([page.description, *(_picture(run_id, name) for name in pictures)])
        if page.kind != "gates":
            all_tags[DIGEST_TAG] = page.digest
        fresh = {name: value for name, value in page.params.items() if name not in run.data.params}
        params = [Param(name, without_home(value)[:_MAX_PARAM]) for name, value in fresh.items()]
        metrics = _metrics(page)
        while len(metrics) > _METRICS_AT_ONCE:
            self.client.log_batch(run_id, metrics=metrics[:_METRICS_AT_ONCE])
            metrics = metrics[_METRICS_AT_ONCE:]
        noted = [RunTag(name, without_home(value)) for name, value in all_tags.items() if value]
        self.client.log_batch(run_id, metrics=metrics, params=params, tags=noted)

    def _files(self, run_id: str, page: Page) -> list[str]:
        """Log tables and pictures; the names of the pictures."""
        pictures: list[str] = []
        if not page.tables and GROWTH not in page.series:
            return pictures
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            if GROWTH in page.series:
                draw_equity(page.name, page.series, folder / EQUITY)
                pictures.append(EQUITY)
            for name, table in page.tables.items():
                _write_csv(folder / f"{name}.csv", [table.header, *table.rows])
                if table.verdicts:
                    draw_gates(page.headline, table, folder / f"{name}.png")
                    pictures.append(f"{name}.png")
            self.client.log_artifacts(run_id, str(folder))
        return pictures

    def _evidence_note(self, run: Run) -> str:
        """What the run of a submit says: what it measured, and what the gates said."""
        run_id, tags = str(run.info.run_id), run.data.tags
        there = self._pictures(run_id)
        return evidence_story(
            tags.get(INTRODUCTION_TAG, ""),
            _gates(run),
            lambda name: _picture(run_id, name) if name in there else "",
        )

    def _tell(self, study: str, experiment: str) -> None:
        """Say on a study's page what stands below it."""
        run = self.client.get_run(study)
        query = f"tags.`{_PARENT}` = '{study}'"
        below = self.client.search_runs([experiment], query, max_results=_CHILDREN, order_by=["start_time ASC"])
        lines = [
            Line(
                run_id=str(each.info.run_id),
                kind=each.data.tags.get(KIND_TAG, ""),
                name=str(each.info.run_name),
                headline=each.data.tags.get(HEADLINE_TAG, ""),
                gates=_gates(each),
                release=each.data.tags.get(RELEASE_TAG, ""),
            )
            for each in below
        ]
        best = strongest(lines)
        shown = [_picture(best.run_id, EQUITY)] if best is not None and EQUITY in self._pictures(best.run_id) else []
        text = story(run.data.tags.get(INTRODUCTION_TAG, ""), experiment, lines, best, shown)
        self.client.set_tag(study, _NOTE, text)

    def _pictures(self, run_id: str) -> list[str]:
        return [str(file.path) for file in self.client.list_artifacts(run_id) if file.path.endswith(".png")]


def _gates(run: Run) -> dict[str, str]:
    """Target to what the gates said of a run."""
    found = sorted(run.data.tags.items(), reverse=True)
    return {name.removeprefix(GATES_TAG): verdict for name, verdict in found if name.startswith(GATES_TAG)}


def _metrics(page: Page) -> list[Metric]:
    """Numbers of a page and of its series; a step of a series is a day of market time."""
    from mlflow.entities import Metric

    made = [Metric(name, value, page.at_ms, 0) for name, value in page.metrics.items()]
    for name, points in page.series.items():
        first = points[0][0] // _MS_PER_DAY
        made += [Metric(name, value, at_ms, at_ms // _MS_PER_DAY - first) for at_ms, value in points]
    return made


def _with_agents(page: Page, before: str) -> Page:
    """The page of a study with every agent that it was asked about in its name."""
    agents = ", ".join(dict.fromkeys([*filter(None, before.split(", ")), page.tags.get(_AGENTS, "")]))
    shown = shorten(agents, _NAMED, placeholder=" ...")
    return replace(page, name=page.name.replace("{agents}", shown), tags={**page.tags, _AGENTS: agents})


def _user() -> str:
    """Who runs this; empty where the system does not know its user, as in some containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


def _picture(run_id: str, name: str) -> str:
    """A picture among a run's artifacts, as its description shows it; the address is relative to the server's."""
    return f"![{name}](get-artifact?path={name}&run_uuid={run_id})"


def _write_csv(path: Path, rows: Sequence[Sequence[Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
