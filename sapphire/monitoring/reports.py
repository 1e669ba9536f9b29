"""Reports: a notebook of `notebooks/reports/`, run on a run's folder and kept as one HTML file that needs no network.

Both the notebook that was run and the page lie in the state folder's `reports/`, under the report's name; the next
rendering takes their place.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sapphire.domain.errors import ConfigError, MissingData
from sapphire.monitoring.running import results_of, run_notebook

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = ["KeptReport", "Rendered", "known_reports", "latest_run", "list_reports", "render_report", "run_folders"]

RUN_FOLDERS = ("stack", "demo/run")
"""Where runs lie in the state folder: what `sapphire up` and `sapphire demo` make."""

_RENDERER = {"PLOTLY_RENDERER": "plotly_mimetype+notebook"}
"""With it the page holds plotly itself; plotly's own choice leaves figures out of an exported page."""

_FETCHED = re.compile(r'<script src="https?://[^"]*"></script>')
"""What plotly puts beside every figure: a formula renderer that a browser would fetch, and nothing here needs."""

_PAGE = """<style>
.jp-Notebook { max-width: 72rem; margin: 0 auto; padding: 1.5rem; }
.jp-InputPrompt, .jp-OutputPrompt { display: none; }
.jp-Cell { padding: 0.2rem 0; }
.js-plotly-plot:not(:hover) .modebar { opacity: 0; }
</style>
"""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A report that was rendered.

    Parameters
    ----------
    name : "daily".
    html, notebook : the page, and the notebook that it was made of.
    run : the run that it is about.
    seconds : wall time it took.
    facts : what its first result says, plain values.
    """

    name: str
    html: Path
    notebook: Path
    run: Path
    seconds: float
    facts: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Stable keys, for `--json`."""
        return {
            "name": self.name,
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
    html : the page; None where there is none.
    rendered_ns : wall time of the page; None where there is none.
    """

    name: str
    title: str
    html: Path | None
    rendered_ns: int | None

    def as_dict(self) -> dict[str, Any]:
        """Stable keys; 64-bit numbers as text."""
        return {
            "name": self.name,
            "title": self.title,
            "html": None if self.html is None else str(self.html),
            "rendered_ns": None if self.rendered_ns is None else str(self.rendered_ns),
        }


def known_reports(workspace: Path) -> dict[str, Path]:
    """Name to notebook of every report of a workspace."""
    return {path.stem: path for path in sorted((workspace / "notebooks" / "reports").glob("*.ipynb"))}


def run_folders(home: Path) -> list[Path]:
    """The runs in a state folder."""
    return [home / folder for folder in RUN_FOLDERS if (home / folder / "stack.json").is_file()]


def latest_run(home: Path) -> Path:
    """The run folder that was written to last.

    Raises
    ------
    MissingData : nothing ran yet.
    """
    there = [folder / "stack.json" for folder in run_folders(home)]
    if not there:
        raise MissingData(
            "nothing ran here yet",
            expected=" or ".join(str(home / folder) for folder in RUN_FOLDERS),
            got="neither",
            next="sapphire up, or sapphire demo",
        )
    return max(there, key=lambda path: path.stat().st_mtime_ns).parent


def render_report(name: str, run: Path, *, home: Path, workspace: Path) -> Rendered:
    """Run the report's notebook on a run and keep it as a page.

    Parameters
    ----------
    name : of a notebook in the workspace's `notebooks/reports/`.
    run : the run's folder.
    home : the state folder; the page goes to its `reports/`.

    Raises
    ------
    ConfigError : no such report.
    StudyError : a cell failed; the notebook that was run shows where.
    """
    began = time.monotonic()
    known = known_reports(workspace)
    if name not in known:
        raise ConfigError(
            f"no report {name!r}",
            expected="one of " + (", ".join(known) or f"the notebooks in {workspace / 'notebooks' / 'reports'}"),
            got=name,
            next="sapphire report list",
        )
    notebook, html = home / "reports" / f"{name}.ipynb", home / "reports" / f"{name}.html"
    parameters = {"run": str(run), "home": str(home)}
    run_notebook(known[name], notebook, parameters, cwd=workspace, environment=_RENDERER)
    _write_page(notebook, html)
    facts = next(results_of(notebook), {})
    return Rendered(name, html, notebook, run, time.monotonic() - began, facts)


def list_reports(home: Path, workspace: Path) -> list[KeptReport]:
    """Every report of the workspace, and when its page was rendered."""
    reports = []
    for name, template in known_reports(workspace).items():
        html = home / "reports" / f"{name}.html"
        written = html.stat().st_mtime_ns if html.is_file() else None
        reports.append(KeptReport(name, _title(template), html if written is not None else None, written))
    return reports


def _write_page(notebook: Path, html: Path) -> None:
    """The notebook as one HTML file: no code, and nothing that a browser would fetch."""
    import nbformat
    from nbconvert import HTMLExporter

    from sapphire.data.durable import write_text

    made: NotebookNode = nbformat.read(notebook, as_version=4)  # type: ignore[no-untyped-call]
    exporter = HTMLExporter(  # type: ignore[no-untyped-call]
        exclude_input=True,
        exclude_anchor_links=True,
        mathjax_url="",
        require_js_url="",
        mermaid_js_url="",
        jquery_url="",
        embed_images=True,
    )
    body, _ = exporter.from_notebook_node(made, resources={"metadata": {"name": _title(notebook)}})
    write_text(html, _FETCHED.sub("", body).replace("</head>", f"{_PAGE}</head>", 1))


def _title(notebook: Path) -> str:
    """The first heading of a notebook; its name where it has none."""
    import nbformat

    made: NotebookNode = nbformat.read(notebook, as_version=4)  # type: ignore[no-untyped-call]
    for cell in made.cells:
        if cell.cell_type == "markdown" and cell.source.startswith("# "):
            return str(cell.source.splitlines()[0].removeprefix("# ").strip())
    return notebook.stem
