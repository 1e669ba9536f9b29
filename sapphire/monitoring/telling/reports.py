"""Reports: a notebook of `notebooks/reports/`, run on a run's folder and kept as one HTML file that needs no network.

A workspace's own notebook comes before that of this package. Both the notebook that was run and the page lie in the
state folder's `reports/RUN/`, named after the run and its account, so that two runs of one market day do not write one
page. A report of a day is named after it, `daily-2025-03-07.html`, and stays there: only a rendering of the same day
takes its place. Where a cell failed, `daily-2025-03-07.failed.html` says so, beside the notebook that was run so far,
and what was rendered before stays. `index.html` has a line for each.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from sapphire.data.durable import write_text
from sapphire.domain.errors import ConfigError, StudyError
from sapphire.monitoring.reading.day_of_run import DayOfRun
from sapphire.monitoring.reading.run_folder import read_run
from sapphire.monitoring.telling.index import reports_folder, write_index
from sapphire.monitoring.telling.pages import retitle, title_of, write_failed_page, write_page
from sapphire.monitoring.telling.pdf import chromium, write_pdf
from sapphire.monitoring.telling.running import import_nbformat, results_of, run_notebook

__all__ = ["KeptReport", "Rendered", "known_reports", "list_reports", "render_report"]

_RENDERER = {"PLOTLY_RENDERER": "plotly_mimetype"}
"""With it the notebook keeps each figure's data alone; plotly's own choice adds five megabytes of plotly."""

_PAGE = re.compile(r"(-\d{4}-\d\d-\d\d)?")
"""What follows a report's name in the name of its page."""

_ACCOUNT, _DIGITS = "paper", 8
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
    pdf : the page as a PDF; None where none was asked for.
    index : the page with a line for every report.
    """

    name: str
    day: date | None
    html: Path
    notebook: Path
    run: Path
    seconds: float
    facts: dict[str, Any]
    index: Path
    pdf: Path | None = None

    def as_dict(self) -> dict[str, Any]:
        """Stable keys, for `--json`."""
        return {
            "name": self.name,
            "day": None if self.day is None else self.day.isoformat(),
            "html": str(self.html),
            "notebook": str(self.notebook),
            "pdf": None if self.pdf is None else str(self.pdf),
            "index": str(self.index),
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


def render_report(
    name: str, run: Path, *, home: Path, workspace: Path, day: date | None = None, with_pdf: bool = False
) -> Rendered:
    """Run the report's notebook on a run and keep it as a page.

    Parameters
    ----------
    name : of a notebook in the workspace's `notebooks/reports/`.
    run : the run's folder.
    home : the state folder; the page goes to its `reports/`.
    day : that it is of, for a notebook with a parameter `day`; the run's last unless given.
    with_pdf : print it too.

    Raises
    ------
    ConfigError : no such report, a day for one that is of a whole run, or no browser to print a PDF with; nothing has
        run then.
    MissingData : no run there, or no bar of it opened on that day.
    StudyError : a cell failed, and a page says where; or the browser did not print the PDF.
    """
    import_nbformat()
    import papermill

    began = time.monotonic()
    browser = chromium() if with_pdf else None
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
        day = DayOfRun.of_run(read_run(run, home), day).utc_day
        stem = f"{name}-{day.isoformat()}"
        parameters[_BY_DAY] = day.isoformat()
    title = title_of(known[name]) + ("" if day is None else f", {day.isoformat()}")
    kept = _Kept(reports_folder(home) / _name_of(run, home), stem)
    facts = {"name": name, "day": None if day is None else day.isoformat(), "run": str(run), "title": title}
    try:
        run_notebook(known[name], kept.running, parameters, cwd=workspace, environment=_RENDERER)
    except StudyError as error:
        raise _failed(kept, error, title, facts, home) from error
    kept.running.replace(kept.path("ipynb"))
    if day is not None:
        retitle(kept.path("ipynb"), title)
    write_page(kept.path("ipynb"), kept.path("html"), title=title)
    if browser is not None:
        write_pdf(kept.path("html"), kept.path("pdf"), program=browser)
    else:
        kept.path("pdf").unlink(missing_ok=True)  # it is of the page before
    made = next(results_of(kept.path("ipynb")), {})
    kept.forget_failure()
    write_text(kept.path("json"), json.dumps({**facts, "facts": made, "error": None}, sort_keys=True) + "\n")
    index = write_index(home)
    pdf = kept.path("pdf") if with_pdf else None
    return Rendered(
        name, day, kept.path("html"), kept.path("ipynb"), run, time.monotonic() - began, made, index=index, pdf=pdf
    )


@dataclass(frozen=True, slots=True)
class _Kept:
    """The files of one report."""

    folder: Path
    stem: str

    def path(self, kind: str) -> Path:
        """What a report leaves."""
        return self.folder / f"{self.stem}.{kind}"

    def failed(self, kind: str) -> Path:
        """What one that failed leaves."""
        return self.folder / f"{self.stem}.failed.{kind}"

    @property
    def running(self) -> Path:
        """The notebook while it runs."""
        return self.folder / f".{self.stem}.running.ipynb"

    def forget_failure(self) -> None:
        """Remove what an earlier one that failed has left."""
        for kind in ("ipynb", "html", "json"):
            self.failed(kind).unlink(missing_ok=True)


def _failed(kept: _Kept, error: StudyError, title: str, facts: dict[str, Any], home: Path) -> StudyError:
    """Say on a page that a cell failed; the error that names the page."""
    notebook, page = kept.failed("ipynb"), kept.failed("html")
    kept.running.replace(notebook)
    failure = StudyError(
        error.what,
        got=error.got,
        next=f"open {page}; mend {facts['name']}.ipynb of the workspace or what it reads, then: sapphire report run "
        f"{facts['name']}" + (f" --day {facts['day']}" if facts["day"] else ""),
    )
    write_failed_page(page, title=title, error=failure, notebook=notebook)
    record = {**facts, "facts": None, "error": f"{error.what}: {error.got}"}
    write_text(kept.failed("json"), json.dumps(record, sort_keys=True) + "\n")
    write_index(home)
    return failure


def _name_of(run: Path, home: Path) -> str:
    """The run and its account, as a folder's name: "stack-paper"; a run elsewhere has a part of its path's digest."""
    account = read_run(run, home).facts.account or _ACCOUNT
    try:
        place = "-".join(run.absolute().relative_to(home.absolute()).parts)
    except ValueError:
        place = f"{run.name}-{hashlib.sha256(str(run.absolute()).encode()).hexdigest()[:_DIGITS]}"
    return f"{place}-{account}"


def list_reports(home: Path, workspace: Path) -> list[KeptReport]:
    """Every report of the workspace, and its pages."""
    reports = []
    for name, template in known_reports(workspace).items():
        folder = reports_folder(home)
        found = (*folder.glob(f"{name}*.html"), *folder.glob(f"*/{name}*.html"))
        pages = sorted(path for path in found if _PAGE.fullmatch(path.stem.removeprefix(name)))
        newest = max(pages, key=lambda page: page.stat().st_mtime_ns, default=None)
        written = None if newest is None else newest.stat().st_mtime_ns
        reports.append(KeptReport(name, title_of(template), newest, written, tuple(pages)))
    return reports
