"""The index of reports: one page with a line for each that was kept, newest day first. It needs no network.

Beside each page lies what its line says (`PAGE.json`), so that the index is made without reading a page.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from sapphire.domain.display import counted
from sapphire.monitoring.telling.pages import document

__all__ = ["index_of", "reports_folder", "write_index"]

_HEADER = ("day", "report", "run", "release", "traded", "evidence", "parity", "pages")
_PAGES = (("html", "page"), ("pdf", "PDF"), ("notebook", "notebook"))
_SHORT = 12


def reports_folder(home: Path) -> Path:
    """Where the reports of a state folder are kept."""
    return home / "reports"


def index_of(home: Path) -> Path:
    """The index of a state folder's reports."""
    return reports_folder(home) / "index.html"


def write_index(home: Path) -> Path:
    """Write the index of every report that is kept; gives its page."""
    from sapphire.data.durable import write_text

    folder = reports_folder(home)
    kept = sorted(_kept(folder), key=lambda facts: (facts["day"] or "", facts["folder"], facts["name"]), reverse=True)
    head = "".join(f"<th>{name}</th>" for name in _HEADER)
    rows = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in _cells(facts, folder))}</tr>" for facts in kept)
    summary = counted(len(kept), "report") if kept else "No report is kept here yet: sapphire report run daily"
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>" if kept else ""
    page = index_of(home)
    write_text(page, document("Reports", f"<h1>Reports</h1><p>{summary}</p>{table}"))
    return page


def _kept(folder: Path) -> list[dict[str, Any]]:
    """What stands beside each page that is there."""
    found = []
    for file in folder.glob("*/*.json"):
        facts = json.loads(file.read_text(encoding="utf-8"))
        found.append({**facts, "folder": file.parent.name, "stem": file.stem})
    return found


def _cells(facts: Mapping[str, Any], folder: Path) -> tuple[str, ...]:
    made, error = facts.get("facts") or {}, facts.get("error")
    release = made.get("release") or {}
    label = f"{release.get('label', '')} {str(release.get('digest', ''))[:_SHORT]}".strip()
    if error:
        traded = f"<strong>failed</strong>: {escape(error)}"
        evidence = parity = ""
    else:
        traded, evidence = (_percent(made.get(key)) for key in ("traded_return", "evidence_return"))
        parity = _parity(made.get("parity"))
    links = []
    for kind, word in _PAGES:
        suffix = {"notebook": "ipynb"}.get(kind, kind)
        path = folder / facts["folder"] / f"{facts['stem']}.{suffix}"
        if path.is_file():
            links.append(f'<a href="{escape(path.relative_to(folder).as_posix())}">{word}</a>')
    day, name, run = (escape(str(facts[key] or "whole run")) for key in ("day", "name", "folder"))
    return day, name, run, escape(label), traded, evidence, parity, " ".join(links)


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:+z.2f} %"


def _parity(parity: Mapping[str, Any] | None) -> str:
    if parity is None:
        return ""
    return f"{parity['lots']:,} lots differ, {parity['unexplained_lots']:,} unexplained"
