"""Who trims the bus of a stack: a thread of each account's keeper, which asks how far each consumer's own record is.

::

    stream                        consumer and its record                          stays besides
    bars                          coordinators of all accounts that decide on      a day of market time
                                  them and run: their decisions.jsonl
    account                       coordinator: decisions.jsonl                     a day of market time
    views                         nobody at home: as the decisions they are of     a day of market time
    signals                       service: its journal                             a day of market time
    executions                    notices: notices_state.json, where they run      20,000 steps
    lockstep, settled             the conductor, which waits for all               2,000 steps

An account that does not run holds nothing back: it goes on with the bars that there are. Where nobody keeps the whole
stack, in a cluster, a part of its own asks the consumers themselves (`sapphire.stack.pods.trimmer`).
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sapphire.coordination.decision_log import last_decision
from sapphire.coordination.decisions import Scope
from sapphire.domain.errors import SapphireError
from sapphire.stack.folders import RunFolder
from sapphire.stack.processes.run_lock import RunLock
from sapphire.telemetry.bus import Bus
from sapphire.telemetry.streams import EntryId, VenueStreams, end_of_bar
from sapphire.telemetry.trimming import Consumed, trim

__all__ = ["EVERY_S", "BusTrimmer", "Progress", "consumed_streams", "progress_of_runs"]

_DAY_MS = 86_400_000
_STEPS_KEPT, _EXECUTIONS_KEPT = 2_000, 20_000
EVERY_S = 10.0
"""Seconds between two turns."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the consumers of an account's streams are, each by its own record; None where it has nothing on record.

    Parameters
    ----------
    decided : up to where its coordinator has decided.
    beside : likewise, the coordinators of other accounts that decide on the same bars.
    taken : the last bar whose signals the service has in its journal.
    noticed : up to where notices have the executions, for each part that tells them.
    """

    decided: EntryId | None
    beside: tuple[EntryId | None, ...]
    taken: EntryId | None
    noticed: tuple[EntryId | None, ...] = ()


def progress_of_runs(
    run: RunFolder, first: RunFolder, scope: Scope, taken_close_ns: int | None, *, has_notices: bool
) -> Progress:
    """How far the consumers are by what lies in run folders.

    Parameters
    ----------
    run, first : run folders of the account, and of the account that the stack began with.
    scope : for whom the account's coordinator decides.
    taken_close_ns : close of the last bar whose signals the service has in its journal.
    has_notices : whether a part tells notices of executions.

    Raises
    ------
    DataError : a last decision cannot be read.
    """
    followers = [each for each in (first, *first.joined) if each != run and _follows(each, scope)]
    return Progress(
        decided=_decided(run),
        beside=tuple(map(_decided, followers)),
        taken=None if taken_close_ns is None else end_of_bar(taken_close_ns),
        noticed=(_noticed(run.notices_state),) if has_notices else (),
    )


def consumed_streams(progress: Progress, scope: Scope, bus: Bus, *, has_venue: bool) -> Iterator[Consumed]:
    """What of an account's streams its consumers are done with.

    Parameters
    ----------
    scope : for whom the account's coordinator decides.
    has_venue : whether the account has the venue's own streams too, as the one has that a stack began with.

    Raises
    ------
    NotReady : the bus was not reached in time.
    """
    streams, decided = scope.streams, progress.decided
    yield Consumed(scope.bars, (decided, *progress.beside), _DAY_MS)
    for stream in (streams.states, scope.views):
        yield Consumed(stream, (decided,), _DAY_MS)
    yield Consumed(scope.signals, (decided, progress.taken), _DAY_MS)
    of_the_venue = (streams.shared.lockstep,) if has_venue else ()
    for stream in (*of_the_venue, streams.lockstep, streams.settled, streams.executions):
        newest = bus.last(stream)
        read: list[EntryId | None] = [None if newest is None else newest.id]
        if stream == streams.executions:
            read += progress.noticed
        yield Consumed(stream, tuple(read), _EXECUTIONS_KEPT if stream == streams.executions else _STEPS_KEPT)


def _decided(run: RunFolder) -> EntryId | None:
    """Up to where an account's coordinator has decided."""
    last = last_decision(run.decisions)
    return None if last is None else end_of_bar(last.bar_close_ns)


def _follows(run: RunFolder, scope: Scope) -> bool:
    """Whether an account runs and decides on the same bars."""
    if not run.facts.is_file() or RunLock(run.path).holder() is None:
        return False
    facts = run.read()
    return VenueStreams(scope.streams.venue).bars(facts["interval"], facts["symbols"]) == scope.bars


def _noticed(path: Path) -> EntryId | None:
    """Up to where notices have the executions."""
    try:
        return EntryId.parse(json.loads(path.read_bytes())["cursor"]["executions"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


class BusTrimmer:
    """The thread; what goes wrong is said in the log and tried again.

    Parameters
    ----------
    scope : for whom the account's coordinator decides.
    bus : makes a connection that may trim.
    progress : asks how far the consumers are.
    has_venue : whether the account has the venue's own streams too.
    """

    def __init__(
        self,
        scope: Scope,
        bus: Callable[[], Bus],
        progress: Callable[[], Progress],
        *,
        has_venue: bool,
        every_s: float = EVERY_S,
    ) -> None:
        self._scope, self._bus, self._progress = scope, bus, progress
        self._has_venue, self._every_s = has_venue, every_s
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._work, name="bus-trimmer", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; a turn that is under way is finished."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join()

    def _work(self) -> None:
        while not self._ending.wait(self._every_s):
            try:
                self.turn()
            except SapphireError as error:
                _log.warning("the bus was not trimmed: %s", error)

    def turn(self) -> dict[str, int]:
        """Trim every stream once; how many entries went, by stream."""
        progress, bus = self._progress(), self._bus()
        try:
            return trim(bus, consumed_streams(progress, self._scope, bus, has_venue=self._has_venue))
        finally:
            bus.close()
