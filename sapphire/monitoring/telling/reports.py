"""Reports: a notebook of `notebooks/reports/`, run on a run's folder and kept as one HTML file that needs no network.

A workspace's own notebook comes before that of this package. Both the notebook that was run and the page lie in the
state folder's `reports/`. A report of a day is named after it, `daily-2025-03-07.html`, and stays there: only a
rendering of the same day takes its place.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from sapphire.domain.errors import ConfigError
from sapphire.monitoring.reading.day_of_run import DayOfRun
from sapphire.monitoring.reading.run_folder import read_run
from sapphire.monitoring.telling.pages import retitle, title_of, write_page
from sapphire.monitoring.telling.running import results_of, run_notebook

__all__ = ["KeptReport", "Rendered", "known_reports", "list_reports", "render_report"]

_RENDERER = {"PLOTLY_RENDERER": "plotly_mimetype"}
"""With it the notebook keeps each figure's data alone; plotly's own choice adds five megabytes of plotly."""

_PAGE = re.compile(r"(-\d{4}-\d\d-\d\d)?")
"""What follows a report's name in the name of its page."""

_BY_DAY = "day"
"""The parameter of a notebook whose report is of one UTC day."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A report that was rendered.

    Parameters
    ----------
    name : "daily".
    day : that it is of, UTC; None for a report of a whole run.
    html, notebook : the page, and the notebook that it was made of.
    run : the run that it is about.
    seconds : wall time it took.
    facts : what its first result says, plain values.
    """

    name: str
    day: date | None
    html: Path
    notebook: Path
    run: Path
    seconds: float
    facts: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Stable keys, for `--json`."""
        return {
            "name": self.name,
            "day": None if self.day is None else self.day.isoformat(),
            "html": str(self.html),
            "notebook": str(self.notebook),
            "run": str(self.run),
            "seconds": round(self.seconds, 1),
            "facts": self.facts,
        }


@dataclass(frozen=True, slots=True)
class KeptReport:
    """A report that there is; without a page it was never rendered.

    Parameters
    ----------
    title : the first line of its notebook.
    html : the newest page; None where there is none.
    rendered_ns : wall time of that page; None where there is none.
    pages : every page, by the name of its file: one for each day.
    """

    name: str
    title: str
    html: Path | None
    rendered_ns: int | None
    pages: tuple[Path, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Stable keys; 64-bit numbers as text."""
        return {
            "name": self.name,
            "title": self.title,
            "html": None if self.html is None else str(self.html),
            "rendered_ns": None if self.rendered_ns is None else str(self.rendered_ns),
            "pages": [str(page) for page in self.pages],
        }


def known_reports(workspace: Path) -> dict[str, Path]:
    """Name to notebook of every report: those of the package, and over them those of the workspace."""
    folders = (Path(__file__).parents[1] / "templates", workspace / "notebooks" / "reports")
    return {path.stem: path for folder in folders for path in sorted(folder.glob("*.ipynb"))}


def render_report(name: str, run: Path, *, home: Path, workspace: Path, day: date | None = None) -> Rendered:
    """Run the report's notebook on a run and keep it as a page.

    Parameters
    ----------
    name : of a notebook in the workspace's `notebooks/reports/`.
    run : the run's folder.
    home : the state folder; the page goes to its `reports/`.
    day : that it is of, for a notebook with a parameter `day`; the run's last unless given.

    Raises
    ------
    ConfigError : no such report, or a day for one that is of a whole run.
    MissingData : no bar of the run opened on that day.
    StudyError : a cell failed; the notebook that was run shows where.
    """
    import papermill

    began = time.monotonic()
    known = known_reports(workspace)
    if name not in known:
        raise ConfigError(
            f"no report {name!r}",
            expected="one of " + (", ".join(known) or f"the notebooks in {workspace / 'notebooks' / 'reports'}"),
            got=name,
            next="sapphire report list",
        )
    by_day = _BY_DAY in papermill.inspect_notebook(str(known[name]))
    if day is not None and not by_day:
        raise ConfigError(
            f"report {name!r} is of a whole run", expected="no day", got=day.isoformat(), next="leave --day out"
        )
    parameters, stem = {"run": str(run), "home": str(home)}, name
    if by_day:
        made = DayOfRun.of_run(read_run(run, home), day)
        day, stem = made.utc_day, f"{name}-{made.utc_day.isoformat()}"
        parameters[_BY_DAY] = made.utc_day.isoformat()
    notebook, html = (home / "reports" / f"{stem}.{kind}" for kind in ("ipynb", "html"))
    run_notebook(known[name], notebook, parameters, cwd=workspace, environment=_RENDERER)
    title = title_of(known[name])
    if day is not None:
        title = f"{title}, {day.isoformat()}"
        retitle(notebook, title)
    write_page(notebook, html, title=title)
    facts = next(results_of(notebook), {})
    return Rendered(name, day, html, notebook, run, time.monotonic() - began, facts)


def list_reports(home: Path, workspace: Path) -> list[KeptReport]:
    """Every report of the workspace, and its pages."""
    reports = []
    for name, template in known_reports(workspace).items():
        folder = home / "reports"
        pages = sorted(path for path in folder.glob(f"{name}*.html") if _PAGE.fullmatch(path.stem.removeprefix(name)))
        newest = max(pages, key=lambda page: page.stat().st_mtime_ns, default=None)
        written = None if newest is None else newest.stat().st_mtime_ns
        reports.append(KeptReport(name, title_of(template), newest, written, tuple(pages)))
    return reports
