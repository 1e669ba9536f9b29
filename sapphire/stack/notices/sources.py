"""Sources: what a run says, read from where an earlier reader stood.

::

    executions      on the bus         behind an entry id
    decisions.jsonl in the run folder  behind a byte; behind a bar's close where days were archived since
    stack.json      in the run folder  as it is now

Decisions are read before executions, so once a bar of a later day is seen, every fill of the day before it is there.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping
from typing import Any

from sapphire.coordination.decision_archive import archived_days, day_of, decision_lines
from sapphire.domain.clocks import Clock
from sapphire.domain.errors import ConfigError, MessageError, NotReady, Refused
from sapphire.stack.folders import RunFolder
from sapphire.stack.notices.notice import Notice
from sapphire.stack.notices.watch import Watch
from sapphire.telemetry.bus import Bus
from sapphire.telemetry.streams import EntryId

__all__ = ["Sources", "begin"]

_AT_ONCE = 1 << 22
"""Bytes of decisions that are read in one turn."""

_log = logging.getLogger(__name__)


def begin(folder: RunFolder, bus: Bus, stream: str, *, anew: bool) -> dict[str, Any]:
    """Where a first reader stands: before everything in a run that begins, behind everything in one that went on.

    Raises
    ------
    NotReady : the bus does not answer.
    """
    if anew:
        return {"executions": str(EntryId.BEGIN), "decisions": 0, "watch": {}}
    last = bus.last(stream)
    decided = folder.decisions.stat().st_size if folder.decisions.exists() else 0
    return {"executions": str(last.id if last else EntryId.BEGIN), "decisions": decided, "watch": {}}


class Sources:
    """Reads what is new, and folds it.

    Parameters
    ----------
    folder : of the run.
    bus : a connection with some patience.
    stream : the account's executions.
    watch : what is made of it; its state is part of the cursor.
    cursor : where to go on.
    clock : the machine's.
    has_stack : whether a stack is kept in the folder, whose parts are told of.
    """

    def __init__(
        self,
        folder: RunFolder,
        bus: Bus,
        stream: str,
        watch: Watch,
        cursor: Mapping[str, Any],
        clock: Clock,
        *,
        has_stack: bool = True,
    ) -> None:
        self._folder, self._bus, self._stream = folder, bus, stream
        self._watch, self._clock, self._has_stack = watch, clock, has_stack
        self._executions, self._decisions = EntryId.parse(cursor["executions"]), int(cursor["decisions"])
        self._file, self._close_ns = cursor.get("decisions_file"), cursor.get("decided_close_ns")

    @property
    def cursor(self) -> dict[str, Any]:
        """How far was read, and what is remembered of it."""
        return {
            "executions": str(self._executions),
            "decisions": self._decisions,
            "decisions_file": self._file,
            "decided_close_ns": self._close_ns,
            "watch": json.loads(json.dumps(self._watch.state)),
        }

    def turn(self) -> list[Notice]:
        """Everything that is new."""
        now_ns = self._clock.now_ns()
        made = [notice for row in self._decided() for notice in self._watch.decision(row, now_ns=now_ns)]
        is_whole = True
        try:
            made += self._executed(now_ns)
        except NotReady:  # the bus is started again, and will have it all
            is_whole = False
        try:
            made += self._watch.parts(self._folder.read(), now_ns=now_ns) if self._has_stack else []
        except (Refused, ConfigError, KeyError) as error:
            _log.warning("the standing of the parts cannot be read: %s", error)
        if is_whole:
            made += self._watch.settled(now_ns=now_ns)
        return made

    def last_turn(self) -> list[Notice]:
        """Everything that is new, and what waited for more: the stack is ended."""
        return [*self.turn(), *self._watch.ends(now_ns=self._clock.now_ns())]

    def _decided(self) -> Iterator[Mapping[str, Any]]:
        try:
            with self._folder.decisions.open("rb") as file:
                number = str(os.fstat(file.fileno()).st_ino)
                is_other = self._file != number and (self._file is not None or not self._decisions)
                moved = list(self._archived()) if is_other else []
                file.seek(0 if is_other else self._decisions)
                chunk = file.read(_AT_ONCE)
                if self._file != number:
                    self._decisions = file.tell() - len(chunk)
                self._file = number
        except FileNotFoundError:
            return
        for line in moved:
            yield from self._decision(line)
        for line in chunk[: chunk.rfind(b"\n") + 1].splitlines(keepends=True):
            self._decisions += len(line)
            yield from self._decision(line)

    def _archived(self) -> Iterator[bytes]:
        """Lines of archived days that may not have been read."""
        first, path = None if self._close_ns is None else day_of(int(self._close_ns)), self._folder.decisions
        for day in archived_days(path):
            if first is None or day >= first:
                yield from decision_lines(path, first=day, last=day)

    def _decision(self, line: bytes) -> Iterator[Mapping[str, Any]]:
        """The decision of a line, once."""
        try:
            row: Mapping[str, Any] = json.loads(line)
            close_ns = int(row["bar_close_ns"])
        except (ValueError, KeyError, TypeError) as error:
            _log.error("a decision that cannot be read is passed over: %s", error)
            return
        if self._close_ns is None or close_ns > int(self._close_ns):
            self._close_ns = str(close_ns)
            yield row

    def _executed(self, now_ns: int) -> Iterator[Notice]:
        while entries := self._bus.read(self._stream, self._executions):
            for entry in entries:
                self._executions = entry.id
                try:
                    message = entry.message
                except MessageError as error:
                    _log.error("entry %s cannot be read and is passed over: %s", entry.id, error)
                    continue
                yield from self._watch.message(str(entry.id), message, now_ns=now_ns)
