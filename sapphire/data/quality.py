"""Quality: what is wrong with rows, and the one repair that invents nothing.

A fault makes rows unfit for the store: out of order, repeated, without a price, two rows for one time, off the
interval's grid, in the future, not a number, a price of zero or less or finer than 1e-8, a high or low that does not
enclose the other prices, a negative volume. A gap is no fault: venues have outages, and a bar that nobody traded is
never made up. A volume is data: no step is asked of it. Rows are counted from 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sapphire.data.decimals import FINEST_DECIMALS, decimals_of
from sapphire.data.rows import Measure, Rows
from sapphire.domain.display import bundle, counted, stamp
from sapphire.domain.errors import BadBars
from sapphire.domain.intervals import INTERVALS, Interval

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["REPAIRED", "Finding", "QualityReport", "check", "noise", "repair", "repaired_order"]

REPAIRED = frozenset({"order", "repeats", "empty"})
"""Checks whose faults `repair` mends."""

_SETTLEMENT_JITTER_NS = 60_000_000_000
"""Venues stamp a funding settlement some milliseconds late; a minute is no longer that settlement."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found.

    Parameters
    ----------
    check : which check found it.
    fault : whether it makes the rows unfit; a gap does not.
    count : in how many rows.
    row : the first of them, counted from 0.
    expected, got : what would have been right, and what stands there.
    """

    check: str
    fault: bool
    count: int
    row: int
    expected: str
    got: str


@dataclass(frozen=True, slots=True)
class QualityReport:
    """What the checks found in one series.

    Parameters
    ----------
    name : what was checked: a file, a series, a snapshot's symbol.
    measure, interval : what the rows are.
    rows : how many there are.
    span : open time of the first and of the last row, UTC nanoseconds; None without rows.
    findings : faults first, in the order of the checks.
    gaps : open times `(from, to)` between which bars are missing, `to` not included.
    """

    name: str
    measure: Measure
    interval: Interval
    rows: int
    span: tuple[int, int] | None
    findings: tuple[Finding, ...]
    gaps: tuple[tuple[int, int], ...]

    @property
    def ok(self) -> bool:
        """No fault; gaps are allowed."""
        return not self.faults

    @property
    def faults(self) -> tuple[Finding, ...]:
        """The findings that make the rows unfit."""
        return tuple(finding for finding in self.findings if finding.fault)

    @property
    def repairable(self) -> bool:
        """Whether order, exact repeats and rows without a price are all that is wrong."""
        return {finding.check for finding in self.faults} <= REPAIRED

    @property
    def missing(self) -> int:
        """Bars that are missing between the first and the last."""
        return sum(finding.count for finding in self.findings if finding.check == "gaps")

    def table(self) -> pd.DataFrame:
        """One line per finding."""
        import pandas as pd

        columns = ["check", "fault", "count", "row", "expected", "got"]
        return pd.DataFrame(
            [[getattr(finding, name) for name in columns] for finding in self.findings], columns=columns
        )

    def as_dict(self) -> dict[str, Any]:
        """The report with stable keys, for `--json`."""
        return {
            "name": self.name,
            "measure": str(self.measure),
            "interval": self.interval.text,
            "rows": self.rows,
            "first": stamp(self.span[0]) if self.span else None,
            "last": stamp(self.span[1]) if self.span else None,
            "ok": self.ok,
            "findings": [
                {name: getattr(finding, name) for name in ("check", "fault", "count", "row", "expected", "got")}
                for finding in self.findings
            ],
            "gaps": [{"from": stamp(start), "to": stamp(end)} for start, end in self.gaps],
        }

    def refuse(self, *, look: str = "", mend: str = "") -> QualityReport:
        """Hand the report back if there is no fault.

        Parameters
        ----------
        look : the command that lists what is wrong, where the rows are from a file; the error then says it.
        mend : the command that mends what can be; `look` with --repair, which writes the file anew, unless stated.

        Raises
        ------
        BadBars : the first fault, with file, row and what was expected.
        """
        if self.ok:
            return self
        first = self.faults[0]
        if first.check == "finer":
            step = _TOO_FINE
        elif not look:
            step = ""
        elif self.repairable:
            step = mend or f"{look} --repair"
        else:
            kinds = "faults" if len(self.faults) == 1 else f"{len(self.faults)} kinds of faults"
            step = f"get the file again; {look} lists its {kinds}"
        raise BadBars(
            f"{_HEADLINES[first.check]} in {self.name}",
            expected=first.expected,
            got=first.got + (f" ({first.count:,} such rows)" if first.count > 1 else ""),
            next=step,
        )

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        span = f"{stamp(self.span[0])} to {stamp(self.span[1])}" if self.span else "empty"
        kind = f"{counted(self.rows, 'row')} of {self.interval} {self.measure}"
        found = "no faults" if self.ok else counted(len(self.faults), "fault")
        caption = f"{self.name}: {kind}, {span}: {found}"
        lines = [
            [finding.check, "fault" if finding.fault else "note", f"{finding.count:,}", finding.expected, finding.got]
            for finding in self.findings
        ]
        return bundle(caption, ["check", "", "rows", "expected", "got"], lines)

    def __str__(self) -> str:
        return self._repr_mimebundle_()["text/plain"]


_TOO_FINE = (
    "an account counts in 1e-8: take the coin against one that is worth less (SHIB/USDT, not SHIB/BTC), or the\n"
    "venue's pair of a thousand of it; where the prices were computed, get the venue's own"
)
_HEADLINES = {
    "order": "bars out of order",
    "repeats": "rows repeat",
    "conflicts": "two rows for one time",
    "grid": "rows off the grid",
    "future": "rows from the future",
    "empty": "rows without a price",
    "numbers": "values that are not numbers",
    "prices": "prices that are not above zero",
    "finer": "prices finer than 1e-8",
    "high": "a high below another price",
    "low": "a low above another price",
    "volume": "a negative volume",
    "gaps": "gaps",
}


def check(
    rows: Rows, interval: Interval, *, name: str, as_of_ns: int | None = None, tradable: bool = True
) -> QualityReport:
    """Look at every row.

    Parameters
    ----------
    rows : as read, in any order.
    interval : length of a bar, or the time between two settlements.
    name : how the report calls the rows.
    as_of_ns : no bar may close after it; without it the future is not checked.
    tradable : prices finer than 1e-8 are a fault.
    """
    findings = [*_time_faults(rows, interval, as_of_ns), *_value_faults(rows, tradable=tradable)]
    gaps = _gaps(rows, interval)
    if gaps:
        start, end = gaps[0]
        missing = sum(-(-(end - start) // interval.ns) for start, end in gaps)
        findings.append(
            Finding(
                "gaps",
                False,
                missing,
                int(np.flatnonzero(rows.open_time_ns >= end)[0]),
                f"a row every {interval}",
                f"{missing:,} missing in {counted(len(gaps), 'gap')}, the first {stamp(start)} to {stamp(end)}",
            )
        )
    span = (int(rows.open_time_ns.min()), int(rows.open_time_ns.max())) if len(rows) else None
    return QualityReport(name, rows.measure, interval, len(rows), span, tuple(findings), tuple(gaps))


def repair(rows: Rows) -> Rows:
    """The rows in order, without exact repeats and rows without a price. Nothing is changed, and nothing is made up."""
    return rows.take(repaired_order(rows))


def repaired_order(rows: Rows) -> NDArray[np.intp]:
    """Places of the rows that `repair` keeps, in its order, int [K]."""
    order = rows.order()
    order = order[~_without_price(rows)[order]]
    return order[~rows.take(order).exact_repeats()]


def noise(raw: NDArray[np.float64], values: NDArray[np.float64]) -> list[Finding]:
    """The note that numbers of a file were read as the decimals that they stand for; nothing where none was.

    Parameters
    ----------
    raw, values : float64 [T, C], as they stand there and as they were read.
    """
    changed = (raw != values) & ~np.isnan(raw)
    if not changed.any():
        return []
    row, column = (int(place) for place in np.argwhere(changed)[0])
    got = f"{float(raw[row, column])!r} read as {float(values[row, column])!r} at row {row:,}"
    return [Finding("noise", False, int(changed.any(axis=1).sum()), row, "decimals as a venue tells them", got)]


def _without_price(rows: Rows) -> NDArray[np.bool_]:
    """Marks rows of which every price is NaN, bool [T]."""
    if rows.measure is Measure.FUNDING:
        return np.zeros(len(rows), np.bool_)
    return np.asarray(np.isnan(rows.values[:, :4]).all(axis=1), np.bool_)


def _time_faults(rows: Rows, interval: Interval, as_of_ns: int | None) -> list[Finding]:
    times = rows.open_time_ns
    found: list[Finding] = []
    back = np.zeros(len(rows), np.bool_)
    back[1:] = np.diff(times) < 0
    _note(
        found,
        "order",
        back,
        "each open time after the one before",
        lambda row: f"{stamp(times[row])} after {stamp(times[row - 1])}{', the newest first,' * bool(back[1:].all())}",
    )
    if not bool((np.diff(times) > 0).all()):
        _repeat_faults(found, rows)
    late = times % interval.ns
    off = late > (_SETTLEMENT_JITTER_NS if rows.measure is Measure.FUNDING else 0)
    apart = _usual_distance(times)
    wrong = f", the rows being {apart} apart," if apart and apart != interval.text else ""
    multiples = f"open times that are multiples of {interval} from the epoch"
    _note(found, "grid", off, multiples, lambda row: stamp(times[row]) + wrong)
    if as_of_ns is not None:
        closes = times + (0 if rows.measure is Measure.FUNDING else interval.ns)
        _note(
            found,
            "future",
            closes > as_of_ns,
            f"bars closed by {stamp(as_of_ns)}",
            lambda row: f"one that opens {stamp(times[row])}",
        )
    return found


def _usual_distance(times: NDArray[np.int64]) -> str:
    """The interval that most rows are apart; empty where that is none."""
    steps, counts = np.unique(np.abs(np.diff(times)), return_counts=True)
    usual = int(steps[counts.argmax()]) if steps.size else 0
    return next((text for text in INTERVALS if Interval(text).ns == usual), "")


def _repeat_faults(found: list[Finding], rows: Rows) -> None:
    """Rows that stand twice, and times that have two different rows."""
    order = rows.order()
    ordered = rows.take(order)
    same = np.zeros(len(rows), np.bool_)
    same[1:] = np.diff(ordered.open_time_ns) == 0
    exact = ordered.exact_repeats()
    for name, marked, expected in (
        ("repeats", exact, "each row once"),
        ("conflicts", same & ~exact, "one row for each open time"),
    ):
        mask = np.zeros(len(rows), np.bool_)
        mask[order[marked]] = True
        _note(found, name, mask, expected, lambda row: f"another row that opens {stamp(rows.open_time_ns[row])}")


def _value_faults(rows: Rows, *, tradable: bool) -> list[Finding]:
    found: list[Finding] = []

    def cell(row: int) -> str:
        return ", ".join(f"{name} {value:.12g}" for name, value in zip(rows.columns, rows.values[row], strict=True))

    empty = _without_price(rows)
    _note(found, "empty", empty, "prices in every row", lambda row: f"none, for {stamp(rows.open_time_ns[row])}")
    finite = np.asarray(np.isfinite(rows.values).all(axis=1), np.bool_)
    _note(found, "numbers", ~finite & ~empty, "finite numbers", cell)
    if rows.measure is Measure.FUNDING:
        return found
    prices = rows.values[:, :4]
    with np.errstate(invalid="ignore"):
        _note(found, "prices", finite & (prices <= 0).any(axis=1), "prices above zero", cell)
        _note(found, "high", finite & (rows.column("high") < prices.max(axis=1)), "a high that no price is above", cell)
        _note(found, "low", finite & (rows.column("low") > prices.min(axis=1)), "a low that no price is below", cell)
        if rows.measure is Measure.BARS:
            if tradable:
                finer = finite & (decimals_of(prices) > FINEST_DECIMALS).any(axis=1)
                _note(found, "finer", finer, "prices that are multiples of 1e-8", cell)
            _note(found, "volume", finite & (rows.column("volume") < 0), "a volume of zero or more", cell)
    return found


def _note(found: list[Finding], check: str, bad: NDArray[np.bool_], expected: str, show: Callable[[int], str]) -> None:
    """Add a fault for the rows that are marked, if there are any."""
    marked = np.flatnonzero(bad)
    if marked.size:
        row = int(marked[0])
        found.append(Finding(check, True, int(marked.size), row, expected, f"{show(row)} at row {row:,}"))


def _gaps(rows: Rows, interval: Interval) -> list[tuple[int, int]]:
    """Stretches without rows, as open times."""
    times = rows.in_order().open_time_ns
    if rows.measure is Measure.FUNDING:
        times = np.unique(times - times % interval.ns)
    wide = np.flatnonzero(np.diff(times) > interval.ns)
    return [(int(times[i]) + interval.ns, int(times[i + 1])) for i in wide]
