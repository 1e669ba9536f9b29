"""The trial ledger: every evaluation of any agent on any data, counted by the platform and never by the author.

One JSON line per evaluation, appended under a file lock. Each line carries the sha256 of the line before it, so that a
line that was changed, removed or put in between is found when the ledger is next read. A trial is a distinct (code,
parameters, sizing, lineage, window): running the same again adds a line and no trial. The platform's own
counterfactual runs are recorded and not counted. The returns of what counts are kept beside it (`trial_returns`).
"""

from __future__ import annotations

import fcntl
import getpass
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from sapphire.domain.errors import LedgerDamaged
from sapphire.research.trial_returns import ReturnSeries, TrialReturns, effective_trials

__all__ = ["Evaluation", "Ledger", "Trials"]

_FIRST = "0" * 64
_TAIL_BYTES = 8_192


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One look at how an agent did.

    Parameters
    ----------
    agent, code, parameters : which agent: its name, the digest of its source, its parameters.
    sizing : sizing and costs, as their parameters.
    lineage : where the data come from, whatever part of them was used: source, venue, symbols, interval, seed.
    start_ns, end_ns : the evaluated window, closed at the start and open at the end.
    method : what was done: "screen", "sweep", "replay", "information", "counterfactual".
    returns_digest : sha256 of the returns that came out.
    sharpe : per-period Sharpe ratio of those returns, NaN where it has none: the variance across trials needs it.
    study : what the author called the study.
    counted : the platform's own counterfactual runs are not.
    series : the returns themselves, where there are any; they are no part of the line, and none when it is read again.
    """

    agent: str
    code: str
    parameters: Mapping[str, Any]
    sizing: Mapping[str, Any]
    lineage: Mapping[str, Any]
    start_ns: int
    end_ns: int
    method: str
    returns_digest: str
    sharpe: float
    study: str
    counted: bool = True
    series: ReturnSeries | None = field(default=None, compare=False, repr=False)

    @property
    def trial(self) -> str:
        """Identity of the trial: sha256 over code, parameters, sizing, lineage and window."""
        identity = [self.code, self.parameters, self.sizing, self.lineage, self.start_ns, self.end_ns]
        return hashlib.sha256(_canonical(identity)).hexdigest()


_IN_A_LINE = tuple(item.name for item in fields(Evaluation) if item.name != "series")


@dataclass(frozen=True, slots=True)
class Trials:
    """What the ledger says of one window of one market.

    Parameters
    ----------
    count : distinct trials whose data overlap the window, whatever their study was called.
    evaluations : lines behind them.
    head : digest of the ledger's last line, to be cited with the count.
    sharpes : latest per-period Sharpe ratio of each trial that has one.
    rows : one line per trial, for the table.
    """

    count: int
    evaluations: int
    head: str
    sharpes: tuple[float, ...]
    rows: tuple[Evaluation, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Ledger:
    """The ledger in a folder; made on the first entry."""

    folder: Path

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / "trials.jsonl"

    @property
    def returns(self) -> TrialReturns:
        """The returns of the trials."""
        return TrialReturns(self.folder / "returns")

    def record(self, evaluations: Iterable[Evaluation], *, at_ns: int, who: str | None = None) -> str:
        """Append evaluations, all or none; the digest of the last line.

        Raises
        ------
        LedgerDamaged : the ledger's last line is not one. Nothing is appended.
        """
        author = who if who is not None else getpass.getuser()
        self.folder.mkdir(parents=True, exist_ok=True)
        entries = tuple(evaluations)
        with self._locked() as file:
            head = _last_digest(file, self.path)
            kept = {each.trial: each.series for each in entries if each.counted and each.series is not None}
            self.returns.keep(kept)
            lines = []
            for evaluation in entries:
                entry = {"at_ns": at_ns, "who": author, "before": head, **_as_dict(evaluation)}
                line = _canonical(entry)
                head = hashlib.sha256(line).hexdigest()
                lines.append(line + b"\n")
            end = file.seek(0, os.SEEK_END)
            try:
                file.write(b"".join(lines))
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                file.truncate(end)
                raise
        return head

    def evaluations(self) -> tuple[Evaluation, ...]:
        """Every evaluation in order, verified.

        Raises
        ------
        LedgerDamaged : a line does not verify; names it.
        """
        return self._read()[0]

    def trials(self, lineage: Mapping[str, Any], *, start_ns: int, end_ns: int) -> Trials:
        """Trials on data of this lineage whose window overlaps `[start_ns, end_ns)`.

        Raises
        ------
        LedgerDamaged : a line does not verify; names it.
        """
        entries, head = self._read()
        wanted = _canonical(lineage)
        overlapping = [
            entry
            for entry in entries
            if entry.counted
            and _canonical(entry.lineage) == wanted
            and entry.start_ns < end_ns
            and start_ns < entry.end_ns
        ]
        latest = {entry.trial: entry for entry in overlapping}
        return Trials(
            count=len(latest),
            evaluations=len(overlapping),
            head=head,
            sharpes=tuple(entry.sharpe for entry in latest.values() if entry.sharpe == entry.sharpe),
            rows=tuple(latest.values()),
        )

    def effective_trials(self, trials: Trials) -> float | None:
        """How many independent trials these amount to, by the correlation of their returns.

        Trials without returns, such as a report on information, are left out.

        Returns
        -------
        None where that cannot be had: returns that are not kept here or too few of them, or no account that traded.
        """
        digests = {row.trial: row.returns_digest for row in trials.rows if row.sharpe == row.sharpe}
        found = self.returns.of(digests)
        return effective_trials(list(found.values())) if len(found) == len(digests) else None

    def _read(self) -> tuple[tuple[Evaluation, ...], str]:
        if not self.path.exists():
            return (), _FIRST
        entries = []
        head = _FIRST
        for number, line in enumerate(self.path.read_bytes().splitlines(), start=1):
            entry = _parse(line, self.path, number)
            if entry.pop("before", None) != head:
                raise _damaged(self.path, number, f"the digest of line {number - 1}: {head[:12]}...", "another digest")
            head = hashlib.sha256(line).hexdigest()
            entries.append(_from_dict(entry, self.path, number))
        return tuple(entries), head

    @contextmanager
    def _locked(self) -> Iterator[Any]:
        with self.path.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_plain).encode()


def _plain(value: Any) -> Any:
    """JSON's words for what parameters are made of: mappings, tuples, numpy numbers, times and lengths of time."""
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "item"):
        return value.item()
    return str(value)


def _as_dict(evaluation: Evaluation) -> dict[str, Any]:
    made = {name: getattr(evaluation, name) for name in _IN_A_LINE}
    made["sharpe"] = None if evaluation.sharpe != evaluation.sharpe else evaluation.sharpe
    return made


def _from_dict(entry: dict[str, Any], path: Path, number: int) -> Evaluation:
    try:
        values = {name: entry[name] for name in _IN_A_LINE}
    except KeyError as missing:
        raise _damaged(path, number, f"the field {missing}", "none") from None
    values["sharpe"] = float("nan") if values["sharpe"] is None else float(values["sharpe"])
    return Evaluation(**values)


def _parse(line: bytes, path: Path, number: int) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except ValueError:
        raise _damaged(path, number, "one JSON object", "something else") from None
    if not isinstance(entry, dict):
        raise _damaged(path, number, "one JSON object", type(entry).__name__)
    return entry


def _last_digest(file: Any, path: Path) -> str:
    """Digest of the last line; a line cut short by a full disk or a kill is refused, not overwritten."""
    size = file.seek(0, os.SEEK_END)
    if not size:
        return _FIRST
    block = _TAIL_BYTES
    tail = b""
    while tail.count(b"\n") < 2 and len(tail) < size:
        file.seek(max(0, size - block))
        tail = file.read()
        block *= 2
    if not tail.endswith(b"\n"):
        number = path.read_bytes().count(b"\n") + 1
        raise _damaged(path, number, "a whole line", "one without an end")
    return hashlib.sha256(tail.splitlines()[-1]).hexdigest()


def _damaged(path: Path, number: int, expected: str, got: str) -> LedgerDamaged:
    return LedgerDamaged(
        f"the trial ledger does not verify at line {number:,} of {path.name}",
        expected=expected,
        got=got,
        next=f"restore {path} from a backup: a gate counts no trials on a ledger that does not verify",
    )
