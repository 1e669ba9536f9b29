"""Pages: a notebook that was run, as one HTML file that is small, needs no network and runs no script.

Figures are still pictures in it; the notebook beside the page has them to zoom into. Light and dark follow the reader.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sapphire.monitoring.telling.running import import_nbformat
from sapphire.monitoring.telling.stills import still

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from sapphire.domain.errors import SapphireError

__all__ = ["document", "retitle", "title_of", "write_failed_page", "write_page"]

_PLOTLY = "application/vnd.plotly.v1+json"

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --dim: #57606a; --rule: #d0d7de; --paper: #ffffff; --wash: #f6f8fa; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6edf3; --dim: #9aa4af; --rule: #3d444d; --paper: #0d1117; --wash: #161b22; }
}
:root { --jp-content-font-color1: var(--ink); --jp-content-font-color2: var(--dim); --jp-border-color2: var(--rule);
        --jp-content-font-family: system-ui, sans-serif; }
body { background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; margin: 0; }
main { max-width: 72rem; margin: 0 auto; padding: 1.5rem; }
h1 { font-size: 1.7rem; margin: 0 0 .5rem; }
h2 { font-size: 1.2rem; margin: 2rem 0 .3rem; padding-top: .8rem; border-top: 1px solid var(--rule); }
p { max-width: 48rem; margin: .3rem 0 .6rem; }
table { border-collapse: collapse; font-size: .86rem; font-variant-numeric: tabular-nums; margin: .5rem 0; }
th, td { border-bottom: 1px solid var(--rule); padding: .25rem .7rem; text-align: left; vertical-align: top; }
th { color: var(--dim); font-weight: 600; position: sticky; top: 0; background: var(--paper); }
figure { margin: 1rem 0; }
figcaption { color: var(--dim); font-size: .86rem; }
code, pre { background: var(--wash); padding: .1em .3em; border-radius: 4px; }
pre { padding: .6rem; overflow: auto; }
.jp-InputPrompt, .jp-OutputPrompt, .anchor-link { display: none; }
.jp-OutputArea-output { overflow-x: auto; }
@media print {
  h1, h2, p { break-after: avoid; }
  tr, figure, img, svg { break-inside: avoid; }
  main { padding: 0; }
  table { font-size: .7rem; }
  .long-table, .jp-OutputArea-output { max-height: none !important; overflow: visible !important; }
}
"""


def write_page(notebook: Path, page: Path, *, title: str) -> None:
    """A notebook that was run as a page without its code.

    Parameters
    ----------
    title : of the browser's tab.
    """
    import_nbformat()
    import nbformat
    from nbconvert import HTMLExporter

    from sapphire.data.durable import write_text

    made: NotebookNode = nbformat.read(notebook, as_version=4)  # type: ignore[no-untyped-call]
    exporter = HTMLExporter(  # type: ignore[no-untyped-call]
        template_name="basic", exclude_input=True, exclude_anchor_links=True, embed_images=True
    )
    body, _ = exporter.from_notebook_node(_with_stills(made))
    write_text(page, document(title, body))


def document(title: str, body: str) -> str:
    """A whole HTML page, light or dark as its reader has it.

    Parameters
    ----------
    title : of the browser's tab, as text.
    body : HTML.
    """
    from html import escape

    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head>{head}<title>{escape(title)}</title><style>{_STYLE}</style></head>'
        f"<body><main>{body}</main></body></html>\n"
    )


def write_failed_page(page: Path, *, title: str, error: SapphireError, notebook: Path) -> None:
    """A page that says that a report failed: where, why, and what to do."""
    from html import escape

    from sapphire.data.durable import write_text

    rows = (("what", error.what), ("why", error.got or ""), ("next", error.next or ""))
    table_rows = "".join(f"<tr><th>{name}</th><td><pre>{escape(text)}</pre></td></tr>" for name, text in rows if text)
    link = f'<a href="{escape(notebook.name)}">{escape(notebook.name)}</a>'
    body = (
        f"<h1>{escape(title)} failed</h1><p>A cell of the notebook ended with an error, so there is no report. "
        f"What ran until then is kept in {link}.</p><table><tbody>{table_rows}</tbody></table>"
    )
    write_text(page, document(f"{title} failed", body))


def title_of(notebook: Path) -> str:
    """The first heading of a notebook; its name where it has none."""
    import_nbformat()
    import nbformat

    made: NotebookNode = nbformat.read(notebook, as_version=4)  # type: ignore[no-untyped-call]
    for cell in made.cells:
        if cell.cell_type == "markdown" and cell.source.startswith("# "):
            return str(cell.source.splitlines()[0].removeprefix("# ").strip())
    return notebook.stem


def retitle(notebook: Path, title: str) -> None:
    """Give a notebook another first heading."""
    import_nbformat()
    import nbformat

    from sapphire.data.durable import write_text

    made: NotebookNode = nbformat.read(notebook, as_version=4)  # type: ignore[no-untyped-call]
    for cell in made.cells:
        if cell.cell_type == "markdown" and cell.source.startswith("# "):
            _, *rest = cell.source.split("\n")
            cell.source = "\n".join([f"# {title}", *rest])
            break
    write_text(notebook, nbformat.writes(made))  # type: ignore[no-untyped-call]


def _with_stills(made: NotebookNode) -> Any:
    """A copy whose figures are pictures."""
    copied = copy.deepcopy(made)
    for cell in copied.cells:
        for output in cell.get("outputs", ()):
            figure = output.get("data", {}).get(_PLOTLY)
            if figure is not None:
                output["data"] = {"text/html": still(figure)}
    return copied
