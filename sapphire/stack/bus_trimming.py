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

An account that does not run holds nothing back: it goes on with the bars that there are.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sapphire.coordination.decision_log import last_decision
from sapphire.coordination.decisions import Scope
from sapphire.domain.errors import SapphireError
from sapphire.stack.folders import RunFolder
from sapphire.stack.processes.run_lock import RunLock
from sapphire.telemetry.bus import Bus
from sapphire.telemetry.streams import EntryId, VenueStreams, end_of_bar
from sapphire.telemetry.trimming import Consumed, trim

__all__ = ["BusTrimmer", "consumed_streams"]

_DAY_MS = 86_400_000
_STEPS_KEPT, _EXECUTIONS_KEPT = 2_000, 20_000
_EVERY_S = 10.0

_log = logging.getLogger(__name__)


def consumed_streams(
    run: RunFolder, first: RunFolder, scope: Scope, bus: Bus, taken_close_ns: int | None, *, has_notices: bool
) -> Iterator[Consumed]:
    """How far the consumers of an account's streams are; the account that a stack began with has the venue's too.

    Parameters
    ----------
    run, first : run folders of the account, and of the account that the stack began with.
    scope : for whom the account's coordinator decides.
    taken_close_ns : close of the last bar whose signals the service has in its journal.
    has_notices : whether a part tells notices of executions.

    Raises
    ------
    DataError : a last decision cannot be read.
    NotReady : the bus was not reached in time.
    """
    streams, decided = scope.streams, _decided(run)
    followers = [each for each in (first, *first.joined) if each != run and _follows(each, scope)]
    yield Consumed(scope.bars, (decided, *map(_decided, followers)), _DAY_MS)
    for stream in (streams.states, scope.views):
        yield Consumed(stream, (decided,), _DAY_MS)
    taken = None if taken_close_ns is None else end_of_bar(taken_close_ns)
    yield Consumed(scope.signals, (decided, taken), _DAY_MS)
    of_the_venue = (streams.shared.lockstep,) if run == first else ()
    for stream in (*of_the_venue, streams.lockstep, streams.settled, streams.executions):
        newest = bus.last(stream)
        read: list[EntryId | None] = [None if newest is None else newest.id]
        if stream == streams.executions and has_notices:
            read.append(_noticed(run.notices_state))
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
    run, first : run folders of the account, and of the account that the stack began with.
    scope : for whom its coordinator decides.
    bus : makes a connection that may trim.
    service_state : what the service says of itself.
    has_notices : whether a part tells notices.
    """

    def __init__(
        self,
        run: RunFolder,
        first: RunFolder,
        scope: Scope,
        bus: Callable[[], Bus],
        service_state: Callable[[], dict[str, Any]],
        *,
        has_notices: bool,
        every_s: float = _EVERY_S,
    ) -> None:
        self._run, self._first, self._scope = run, first, scope
        self._bus, self._service_state = bus, service_state
        self._has_notices, self._every_s = has_notices, every_s
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
        taken = self._service_state()["last_bar_close_ns"]
        bus = self._bus()
        try:
            at_ns = None if taken is None else int(taken)
            streams = consumed_streams(self._run, self._first, self._scope, bus, at_ns, has_notices=self._has_notices)
            return trim(bus, list(streams))
        finally:
            bus.close()
