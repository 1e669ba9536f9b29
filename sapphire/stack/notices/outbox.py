"""The outbox: notices that wait for their receivers, and how far the run was read, in one file.

It is written before a message is sent and after, so a process that is killed sends a message at most twice: once more
where nobody knows whether it arrived. A receiver has room for so many; what has none, or is given up, is counted, and
the next message that arrives says so.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from sapphire.data.durable import write_text
from sapphire.stack.notices.delivery import Came, Outcome
from sapphire.stack.notices.notice import Notice
from sapphire.stack.notices.shapes import SERVICES

__all__ = ["FORMAT", "ROOM", "TRIES", "Outbox", "Sending", "standing"]

FORMAT: Final = "NOTICES@1"
ROOM: Final = 200
"""Notices that wait for a receiver at most."""
TRIES: Final = 20
"""How often a notice is tried that a receiver does not take; with the pauses between, more than an hour."""

_SENT_TWICE = 2
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 2.0, 300.0
_NS_PER_S = 1_000_000_000
_GOES_FIRST = ("fills", "restarts", "undecided", "denials", "report", "halt")
"""What makes room for others."""

Sending = tuple[Notice, Mapping[str, int]]
"""A notice to send now, and how many of each kind did not arrive before it."""


class Outbox:
    """What waits, by receiver. Every change is on disk when a call returns; any thread may call.

    Parameters
    ----------
    path : the file; what it holds goes on.
    kinds : shape of each receiver to what it is told of.

    Raises
    ------
    ValueError : the file is damaged.
    """

    def __init__(self, path: Path, kinds: Mapping[str, frozenset[str]]) -> None:
        self._path, self._kinds = path, kinds
        self._lock = threading.Lock()
        known = _read(path)
        self.cursor: dict[str, Any] | None = None if known is None else known["cursor"]
        """How far the run was read; None where the file is not there yet."""
        before: dict[str, dict[str, Any]] = {} if known is None else known["receivers"]
        self._receivers = {shape: before.get(shape) or _empty() for shape in kinds}
        self.gone = {shape: len(each["waiting"]) for shape, each in before.items() if shape not in kinds}
        """What waited for receivers that are not told any more."""
        for each in self._receivers.values():
            if each["under_way"]:  # its sender was killed
                self._settle(each, Outcome(Came.UNKNOWN, "the sender was killed"), 0)

    def put(self, notices: Iterable[Notice], cursor: Mapping[str, Any]) -> None:
        """Take notices in, each for those who are told of its kind, and what was read with them, in one step."""
        with self._lock:
            for notice in notices:
                for shape, each in self._receivers.items():
                    if notice.kind in self._kinds[shape]:
                        each["waiting"].append({"notice": notice.as_dict(), "tries": 0, "unanswered": 0})
                        _make_room(each)
            self.cursor = dict(cursor)
            self._write()

    def due_in_s(self, shape: str, now_ns: int) -> float | None:
        """How long until the next notice may be sent to a receiver; None where none waits."""
        with self._lock:
            each = self._receivers[shape]
            if not each["waiting"] or each["under_way"]:
                return None
            return max(0.0, (int(each["not_before_ns"]) - now_ns) / _NS_PER_S, _rate_s(shape, each, now_ns))

    def is_busy(self, shape: str, now_ns: int) -> bool:
        """Whether something is under way to a receiver, or may be sent to it now."""
        with self._lock:
            each = self._receivers[shape]
            may = int(each["not_before_ns"]) <= now_ns
            return bool(each["under_way"] or (each["waiting"] and may))

    def take(self, shape: str, now_ns: int) -> Sending:
        """The notice to send now, noted as under way; `due_in_s` has said that it is time."""
        with self._lock:
            each = self._receivers[shape]
            first = each["waiting"][0]
            first["tries"] += 1
            each["under_way"] = True
            each["sent_ns"] = [*each["sent_ns"], str(now_ns)][-max(count for count, _ in SERVICES[shape].rates) :]
            each["telling"] = dict(each["untold"])
            self._write()
            return Notice.of(first["notice"]), dict(each["telling"])

    def settle(self, shape: str, outcome: Outcome, now_ns: int) -> None:
        """Note what came of the notice that is under way."""
        with self._lock:
            self._settle(self._receivers[shape], outcome, now_ns)
            self._write()

    def standing(self) -> dict[str, dict[str, Any]]:
        """How each receiver stands, as `standing` says."""
        with self._lock:
            return {shape: _standing(each) for shape, each in self._receivers.items()}

    def _settle(self, each: dict[str, Any], outcome: Outcome, now_ns: int) -> None:
        each["under_way"] = False
        each["last"] = {"at_ns": str(now_ns), "came": str(outcome.came), "what": outcome.what}
        first = each["waiting"][0]
        first["unanswered"] += outcome.came is Came.UNKNOWN
        if outcome.came is Came.DELIVERED:
            each["delivered"] += 1
            each["failures"], each["not_before_ns"] = 0, "0"
            sent = each["telling"]
            left = {kind: count - sent.get(kind, 0) for kind, count in each["untold"].items()}
            each["untold"] = {kind: count for kind, count in left.items() if count > 0}
            each["waiting"].pop(0)
            return
        if outcome.came is not Came.REFUSED:
            each["failures"] += 1
            usual_s = min(_FIRST_PAUSE_S * 2.0 ** (each["failures"] - 1), _LONGEST_PAUSE_S)
            pause_s = usual_s if outcome.pause_s is None else outcome.pause_s
            each["not_before_ns"] = str(now_ns + int(pause_s * _NS_PER_S))
        if outcome.came is Came.REFUSED or first["unanswered"] >= _SENT_TWICE or first["tries"] >= TRIES:
            _count(each, each["waiting"].pop(0))

    def _write(self) -> None:
        kept = {"format": FORMAT, "cursor": self.cursor, "receivers": self._receivers}
        write_text(self._path, json.dumps(kept, sort_keys=True) + "\n")


def standing(path: Path) -> dict[str, dict[str, Any]]:
    """How the receivers of a run stand, from its file: waiting, delivered, undelivered by kind, what came last.

    Raises
    ------
    ValueError : the file is damaged.
    """
    known = _read(path)
    return {} if known is None else {shape: _standing(each) for shape, each in known["receivers"].items()}


def _standing(each: Mapping[str, Any]) -> dict[str, Any]:
    counts = {key: each[key] for key in ("delivered", "undelivered", "last")}
    return {"waiting": len(each["waiting"]), **counts}


def _empty() -> dict[str, Any]:
    counts: dict[str, Any] = {"delivered": 0, "undelivered": {}, "untold": {}, "telling": {}, "failures": 0}
    return {**counts, "waiting": [], "under_way": False, "not_before_ns": "0", "sent_ns": [], "last": None}


def _read(path: Path) -> dict[str, Any] | None:
    try:
        known: dict[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    if not isinstance(known, dict) or known.get("format") != FORMAT:
        raise ValueError(f"{path} is not of the form {FORMAT}")
    return known


def _rate_s(shape: str, each: Mapping[str, Any], now_ns: int) -> float:
    """How long until every rate of the service lets one more through. A clock that was set back counts for nothing."""
    sent = [at for at in map(int, each["sent_ns"]) if at <= now_ns]
    waits = [
        (sent[-count] - now_ns) / _NS_PER_S + seconds for count, seconds in SERVICES[shape].rates if len(sent) >= count
    ]
    return max([0.0, *waits])


def _make_room(each: dict[str, Any]) -> None:
    """Let the oldest of the least important go where there are too many; never what is under way."""
    waiting = each["waiting"]
    while len(waiting) > ROOM:
        from_place = 1 if each["under_way"] else 0
        kinds = [kept["notice"]["kind"] for kept in waiting[from_place:]]
        least = next((kind for kind in _GOES_FIRST if kind in kinds), kinds[0])
        _count(each, waiting.pop(from_place + kinds.index(least)))


def _count(each: dict[str, Any], kept: Mapping[str, Any]) -> None:
    """A notice that is not tried any more."""
    kind = kept["notice"]["kind"]
    for counts in (each["undelivered"], each["untold"]):
        counts[kind] = counts.get(kind, 0) + 1
