"""The service's journal, read by the binary that writes it: looked at, verified, replayed, told as rows.

Nothing is changed and no lock is taken, so it may be read while the service runs; what is being written at that moment
is not there yet. `account` is the service's folder, the one with `journal/` in it.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sapphire.domain.errors import EngineError, MissingData
from sapphire.execution.binaries import engine_binary

__all__ = [
    "JournalEntry",
    "JournalReplay",
    "JournalVerified",
    "journal_bars",
    "journal_entries",
    "journal_rows",
    "replay_journal",
    "verify_journal",
]

_TAIL = 4_000


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One record of the journal.

    Parameters
    ----------
    epoch, segment, record : where it stands: start of the process, file of that start, place in the file.
    step : number of the event in its run; None for what is no event of the engine.
    market_ns, monotonic_ns : market time, and the process's own.
    source : where it came from, "bus 1709294700000-1", "venue", "operator ...".
    kind : "signal", "report", "begin" ...
    detail : what it says, in words.
    outputs_before : digest of what the event before it led to; None where that is not known.
    """

    epoch: int
    segment: int
    record: int
    step: int | None
    market_ns: int
    monotonic_ns: int
    source: str
    kind: str
    detail: str
    outputs_before: str | None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> JournalEntry:
        """From one line of `service journal show --json`."""
        return cls(
            epoch=int(row["epoch"]),
            segment=int(row["segment"]),
            record=int(row["record"]),
            step=None if row["step"] is None else int(row["step"]),
            market_ns=int(row["market_ns"]),
            monotonic_ns=int(row["monotonic_ns"]),
            source=row["source"],
            kind=row["kind"],
            detail=row["detail"],
            outputs_before=row["outputs_before"],
        )


@dataclass(frozen=True, slots=True)
class JournalVerified:
    """Whether every record and file follows from the one before it.

    Parameters
    ----------
    ok : it does.
    facts : what the binary found, by its own keys: files, records, runs, epochs, events; or the reason.
    """

    ok: bool
    facts: Mapping[str, Any] = field(hash=False)


@dataclass(frozen=True, slots=True)
class JournalReplay:
    """The journal folded again, its outputs compared with those that were recorded.

    Parameters
    ----------
    identical : every step decided the same, byte for byte.
    steps : how many were folded, over all runs; None where it stopped.
    digest : of all decisions of the last run; empty where it stopped.
    facts : what the binary found, by its own keys; names the first step that differs.
    """

    identical: bool
    steps: int | None
    digest: str
    facts: Mapping[str, Any] = field(hash=False)


def journal_entries(account: Path) -> Iterator[JournalEntry]:
    """Every record, in order.

    Raises
    ------
    MissingData : no such folder.
    EngineError : the journal cannot be read to its end; raised behind the records before that place.
    EngineMissing : the binary is not built.
    """
    return (JournalEntry.of(row) for row in _lines("show", account))


def journal_rows(account: Path, window: tuple[int, int] | None = None) -> Iterator[Mapping[str, Any]]:
    """Everything that happened, as the engine folds it: one mapping each, numbers of money and 64 bits as text.

    Parameters
    ----------
    window : only from when to when, market time: a midnight and the next. A bar that closes at either is told; the
        first day of a run has what lies before it too, the last what lies behind it; and of the rest the
        configuration, starts and releases until then, and what the account began with.

    Raises
    ------
    MissingData, EngineError, EngineMissing : as `journal_entries`.
    """
    more = [] if window is None else ["--begin-ns", str(window[0]), "--end-ns", str(window[1])]
    return _lines("export", account, *more)


def journal_bars(account: Path) -> tuple[int, int] | None:
    """Closes of the first and the last bar whose end the last run was told of; None where none has closed.

    Only the ends of the journal are read.

    Raises
    ------
    MissingData, EngineError, EngineMissing : as `journal_entries`.
    """
    facts = _one("bars", account)
    first, last = facts["first_bar_close_ns"], facts["last_bar_close_ns"]
    return None if first is None else (int(first), int(last))


def verify_journal(account: Path) -> JournalVerified:
    """Check every record and every file against the one before it.

    Raises
    ------
    MissingData, EngineError, EngineMissing : as `journal_entries`; damage is no error but `ok` of False.
    """
    facts = _one("verify", account)
    return JournalVerified(bool(facts["ok"]), facts)


def replay_journal(account: Path) -> JournalReplay:
    """Fold the journal again; the same decisions, byte for byte, or the first step that differs.

    Raises
    ------
    MissingData, EngineError, EngineMissing : as `journal_entries`; a difference is no error but `identical` of False.
    """
    facts = _one("replay", account)
    steps = facts.get("steps")
    return JournalReplay(
        bool(facts["identical"]), None if steps is None else int(steps), str(facts.get("digest", "")), facts
    )


def _one(command: str, account: Path) -> dict[str, Any]:
    """What a command that ends with one object says; it may end with 1 and have said it."""
    done = subprocess.run(_words(command, account), capture_output=True, check=False)
    try:
        facts = json.loads(done.stdout)
    except ValueError:
        raise _failed(command, account, done.returncode, done.stderr) from None
    if not isinstance(facts, dict):
        raise _failed(command, account, done.returncode, done.stdout)
    return facts


def _lines(command: str, account: Path, *more: str) -> Iterator[dict[str, Any]]:
    """The objects that a command says, line by line, as they come."""
    process = subprocess.Popen([*_words(command, account), *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if process.stdout is None or process.stderr is None:  # they were asked for
        return
    with process.stdout, process.stderr:
        try:
            for line in process.stdout:
                yield json.loads(line)
            stderr = process.stderr.read()
        finally:
            process.stdout.close()
            code = process.wait()
    if code:
        raise _failed(command, account, code, stderr)


def _words(command: str, account: Path) -> list[str]:
    if not account.is_dir():
        raise MissingData(
            "no account of a service here",
            expected=f"the folder {account}",
            got="none",
            next="sapphire up starts a service",
        )
    as_json = [] if command == "export" else ["--json"]  # what is exported is JSON anyway
    return [str(engine_binary("service")), "journal", command, str(account), *as_json]


def _failed(command: str, account: Path, code: int, stderr: bytes) -> EngineError:
    return EngineError(
        f"the journal in {account} could not be read",
        expected=f"service journal {command} to say what is there",
        got=f"exit code {code}: {stderr.decode(errors='replace')[-_TAIL:].strip() or 'not a word'}",
        next="sapphire journal verify says where it breaks",
    )
