"""Pages: what one run of MLflow shows, as plain values that can wait in a file."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sapphire.domain.canonical import canonical_json, sha256_of

__all__ = ["BENCHMARK", "DRAWDOWN", "GROWTH", "Page", "Table"]

FORMAT = "PAGE@1"
GROWTH, BENCHMARK, DRAWDOWN = "equity_growth", "benchmark_growth", "drawdown_pct"
"""Series that are drawn as a picture: growth of one unit, of the benchmark's, and the fall from the last peak."""

Series = tuple[tuple[int, float], ...]
"""Market time in UTC milliseconds, and a value."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of texts, kept with a run as CSV.

    Parameters
    ----------
    header, rows : texts, one per column.
    verdicts : for each row whether it passed, where the table is of gates; it is then drawn as a picture too.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    verdicts: tuple[bool, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What one run shows.

    Parameters
    ----------
    key : what it is of; the same key is the same run, however often it is told.
    kind : "study", "screen", "sweep", "combination", "replay", "fold", "submit", "gates".
    name : what the run is called; in that of a study `{agents}` stands for every agent that it was asked about.
    headline : its result in one line, for the page above it.
    description : what it is in words, markdown.
    experiment : where a page without one above it stands.
    run_id : a run that is there already; it keeps its own name.
    at_ms : when it was made; UTC milliseconds.
    tags, params, metrics : as MLflow means them; names of metrics end with their unit. A metric that is no finite
        number is left out.
    series : metrics over market time.
    tables : file name without its ending to a table.
    children : runs below it.
    """

    key: str
    kind: str
    name: str
    headline: str
    at_ms: int
    description: str = ""
    experiment: str = ""
    run_id: str = ""
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)
    params: Mapping[str, str] = field(default_factory=dict, hash=False)
    metrics: Mapping[str, float] = field(default_factory=dict, hash=False)
    series: Mapping[str, Series] = field(default_factory=dict, hash=False)
    tables: Mapping[str, Table] = field(default_factory=dict, hash=False)
    children: tuple[Page, ...] = ()

    def __post_init__(self) -> None:
        finite = {name: float(value) for name, value in self.metrics.items() if math.isfinite(value)}
        drawn = {
            name: tuple((int(at), float(value)) for at, value in points if math.isfinite(value))
            for name, points in self.series.items()
        }
        object.__setattr__(self, "metrics", finite)
        object.__setattr__(self, "series", {name: points for name, points in drawn.items() if points})

    @property
    def digest(self) -> str:
        """Identity of what it shows itself, whenever that was and whatever is below it."""
        return sha256_of(canonical_json({**self.as_dict(), "children": [], "at_ms": 0}))

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"format": FORMAT, **dataclasses.asdict(self), "children": [each.as_dict() for each in self.children]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Page:
        """The page of `as_dict`.

        Raises
        ------
        KeyError, TypeError, ValueError, AttributeError : no page.
        """
        entries = dict(values)
        if entries.pop("format") != FORMAT:
            raise ValueError("a page of another format")
        entries["series"] = {name: tuple(map(tuple, points)) for name, points in entries["series"].items()}
        entries["tables"] = {name: _table(each) for name, each in entries["tables"].items()}
        entries["children"] = tuple(map(cls.from_dict, entries["children"]))
        return cls(**entries)


def _table(values: Mapping[str, Sequence[Any]]) -> Table:
    rows = tuple(tuple(map(str, row)) for row in values["rows"])
    return Table(tuple(map(str, values["header"])), rows, tuple(map(bool, values["verdicts"])))
