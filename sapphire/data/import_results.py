"""Import results: what went into the store, what the checks found, and what of a folder was left and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import Any

from sapphire.data import quality
from sapphire.data.candle_names import suffix_of
from sapphire.data.series import Series
from sapphire.data.store import Span
from sapphire.domain.display import bundle, counted, stamp
from sapphire.domain.errors import SapphireError, UnknownFile

__all__ = ["SAY_IT", "Checked", "Imported", "Imports", "Left", "Whole", "faults_first"]

SAY_IT = "say what a file holds: sapphire data import FILE --symbol BTC/USDT --interval 1h"
"""What to do about a file that does not say it."""
_MOST_NOTES = 12
"""Files whose notes are shown one by one."""
_MOST_STRANGERS = 12
"""Strangers of a folder that are listed."""
_WHY_WIDTH = 58
"""Columns that the reason has in a table."""


@dataclass(frozen=True, slots=True)
class Left:
    """A file of a folder that was left out.

    Parameters
    ----------
    file : its place in the folder.
    why : the error in one line.
    fault : it is known to hold candles, and something is wrong with it; a stranger has none.
    next : what to do about it; empty where there is nothing.
    error : what was raised.
    """

    file: str
    why: str
    fault: bool
    next: str
    error: SapphireError

    @classmethod
    def of(cls, path: Path, error: SapphireError, *, folder: Path) -> Left:
        """The file of a folder that an error is about."""
        got = f": {error.got}" if error.got and error.got != path.name else ""
        what = error.what.removeprefix(path.name).removesuffix(f" in {path.name}")
        why = f"{what}{got}".strip().replace("\n", "; ")
        stranger = isinstance(error, UnknownFile)
        step = "" if stranger and path.is_file() and not suffix_of(path) else error.next
        return cls(str(path.relative_to(folder)), why, not stranger, step, error)

    def as_dict(self) -> dict[str, Any]:
        """Stable keys, for `--json`."""
        return {"file": self.file, "why": self.why, "fault": self.fault, "next": self.next}


@dataclass(frozen=True, slots=True)
class Imported:
    """One file that was imported.

    Parameters
    ----------
    file : its name.
    series : what it holds.
    rows, added : rows in it, and how many of them are new to the store.
    covered : the stretch it stands for.
    report : what the checks found, and what was done on the way.
    """

    file: str
    series: Series
    rows: int
    added: int
    covered: Span
    report: quality.QualityReport

    @property
    def notes(self) -> tuple[quality.Finding, ...]:
        """What was done on the way: noise that was read as decimals, rows that were put in order."""
        return tuple(finding for finding in self.report.findings if finding.check != "gaps")


@dataclass(frozen=True, slots=True)
class Whole:
    """What the files of one series hold together.

    Parameters
    ----------
    series : the series.
    files, rows, added : how many files and rows there are, and how many rows are new to the store.
    covered : from the first row's bar to the end of the last one's.
    missing : bars that are missing between the first and the last.
    """

    series: Series
    files: int
    rows: int
    added: int
    covered: Span
    missing: int


@dataclass(frozen=True, slots=True)
class Imports:
    """Files that were imported together, and those that were left.

    Parameters
    ----------
    files : what went in.
    series : what that comes to, series by series.
    left : what did not, of a folder.
    """

    files: tuple[Imported, ...]
    series: tuple[Whole, ...]
    left: tuple[Left, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether no file that is known to hold candles was left out."""
        return not any(one.fault for one in self.left)

    @property
    def steps(self) -> list[str]:
        """What to do about the files that were left, a line each; one for all strangers."""
        steps = [(f"{one.file}: {' '.join(one.next.split())}", one) for one in self.left if one.next]
        known = [line for line, one in steps if one.fault or "--symbol" not in line]
        return known + ([SAY_IT] if len(known) < len(steps) else [])

    def as_dict(self) -> dict[str, Any]:
        """Stable keys, for `--json`."""
        return {
            "ok": self.ok,
            "files": [
                {
                    "file": one.file,
                    "venue": one.series.venue,
                    "symbol": one.series.symbol,
                    "kind": str(one.series.kind),
                    "measure": str(one.series.measure),
                    "interval": one.series.interval,
                    "rows": one.rows,
                    "added": one.added,
                    "start": stamp(one.covered[0]),
                    "end": stamp(one.covered[1]),
                    "missing_rows": one.report.missing,
                    "notes": [f"{finding.check}: {finding.got}" for finding in one.notes],
                }
                for one in self.files
            ],
            "left": [one.as_dict() for one in self.left],
        }

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        venues = list(dict.fromkeys(one.series.venue for one in self.files))
        several = len(self.series) < len(self.files)
        header = ["series", "kind", "from", "to", *(["files"] if several else []), "rows", "new", "missing"]
        lines = [
            [
                str(one.series) if len(venues) > 1 else str(one.series).removeprefix(f"{one.series.venue} "),
                str(one.series.kind),
                stamp(one.covered[0]),
                stamp(one.covered[1]),
                *([f"{one.files:,}"] if several else []),
                f"{one.rows:,}",
                f"{one.added:,}",
                f"{one.missing:,}",
            ]
            for one in self.series
        ]
        caption = f"imported {counted(len(self.files), 'file')} of {', '.join(venues)}"
        shown = bundle("\n  ".join([caption, *self._noted()]), header, lines)
        return _beside(shown, self.left)

    def __str__(self) -> str:
        return self._repr_mimebundle_()["text/plain"]

    def _noted(self) -> list[str]:
        """A line for each thing that was done to a file; the first of each kind where there are many."""
        noted = [(f"{one.file}: {note.check}: {note.got}", note.check) for one in self.files for note in one.notes]
        if len(noted) <= _MOST_NOTES:
            return [line for line, _ in noted]
        kinds = {check: [line for line, kind in noted if kind == check] for _, check in noted}
        return [
            lines[0] + (f", and the same in {counted(len(lines) - 1, 'more file')}" if len(lines) > 1 else "")
            for lines in kinds.values()
        ]


class Checked(tuple[quality.QualityReport, ...]):
    """Reports of candle files, one for each, and the files that could not be read.

    Parameters
    ----------
    reports : of the files that were read.
    left : those that were not, of a folder.
    """

    left: tuple[Left, ...]

    def __new__(cls, reports: Sequence[quality.QualityReport], left: Sequence[Left] = ()) -> Checked:
        """The reports with what was left beside them."""
        made = super().__new__(cls, reports)
        made.left = tuple(left)
        return made

    @property
    def ok(self) -> bool:
        """Whether no file has a fault; strangers have none."""
        return all(report.ok for report in self) and not any(one.fault for one in self.left)

    def as_dict(self) -> dict[str, Any]:
        """Stable keys, for `--json`."""
        return {
            "ok": self.ok,
            "reports": [report.as_dict() for report in self],
            "left": [one.as_dict() for one in self.left],
        }

    def __str__(self) -> str:
        return "\n".join([*map(str, self), *([_left_bundle(self.left)["text/plain"]] if self.left else [])])


def faults_first(left: Sequence[Left]) -> tuple[Left, ...]:
    """The files that were left, those with a fault before strangers, by name."""
    return tuple(sorted(left, key=lambda one: (not one.fault, one.file)))


def _beside(shown: dict[str, str], left: Sequence[Left]) -> dict[str, str]:
    if not left:
        return shown
    rest = _left_bundle(left)
    return {
        "text/plain": f"{shown['text/plain']}\n{rest['text/plain']}",
        "text/html": shown["text/html"] + rest["text/html"],
    }


def _left_bundle(left: Sequence[Left]) -> dict[str, str]:
    lines = []
    strangers = [one for one in left if not one.fault]
    for one in [*(one for one in left if one.fault), *strangers[:_MOST_STRANGERS]]:
        first, *more = wrap(one.why, _WHY_WIDTH) or [""]
        lines += [[one.file, "fault" if one.fault else "stranger", first], *(["", "", line] for line in more)]
    if len(strangers) > _MOST_STRANGERS:
        lines.append([f"and {counted(len(strangers) - _MOST_STRANGERS, 'more stranger')}", "", "--json lists them"])
    return bundle(f"left {counted(len(left), 'file')}", ["file", "", "why"], lines)
