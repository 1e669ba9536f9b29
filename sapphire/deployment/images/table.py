"""The table of images: how large, from what, and how long each takes to start."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["Row", "note", "rows", "table"]


@dataclass(frozen=True, slots=True)
class Row:
    """One image.

    Parameters
    ----------
    name : of the image.
    tag : its name, as podman keeps it.
    digest : of its configuration.
    size_mb : unpacked, all of it, in MB (10**6 bytes).
    components : how many its bill of materials lists.
    build_s : its last build took, in seconds.
    start_s : from the start of a container until it serves, in seconds; None where that was not measured.
    started : what it did then.
    """

    name: str
    tag: str
    digest: str
    size_mb: float
    components: int
    build_s: float
    start_s: float | None = None
    started: str = ""


def note(folder: Path, row: Row) -> None:
    """Keep a row, in place of an older one of that image."""
    from sapphire.data.durable import write_text

    write_text(folder / f"{row.name}.json", json.dumps(asdict(row), indent=1) + "\n")


def rows(folder: Path) -> list[Row]:
    """The rows that are kept, by name."""
    return [Row(**json.loads(file.read_text("utf-8"))) for file in sorted(folder.glob("*.json"))]


def table(kept: list[Row]) -> Table:
    """The rows for people; digests are in the files."""
    from rich.table import Table

    shown = Table(title="Images")
    shown.add_column("image", no_wrap=True)
    for name in ("MB", "parts", "build s"):
        shown.add_column(name, justify="right", no_wrap=True)
    shown.add_column("start s", justify="right", no_wrap=True)
    shown.add_column("until it", overflow="fold")
    for row in kept:
        start = "" if row.start_s is None else f"{row.start_s:.1f}"
        shown.add_row(row.name, f"{row.size_mb:,.1f}", f"{row.components}", f"{row.build_s:.0f}", start, row.started)
    return shown
