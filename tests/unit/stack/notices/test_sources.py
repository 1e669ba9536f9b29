"""What notices read of decisions, over the days that are archived meanwhile."""

import pytest

from sapphire.coordination.decision_log import DecisionLog
from sapphire.coordination.decisions import Decision, Scope
from sapphire.domain.clocks import WallClock, to_ns
from sapphire.stack.folders import RunFolder
from sapphire.stack.notices.sources import Sources
from sapphire.telemetry.streams import AccountStreams

SCOPE = Scope(AccountStreams("embedded", "paper"), "f" * 64, "trend", "bars")

HOUR_NS = 3_600_000_000_000
BEGIN_NS = to_ns("2025-03-07T00:00Z")


class Heard:
    """A watch that notes what it is told."""

    def __init__(self):
        self.state, self.closes = {}, []

    def decision(self, row, *, now_ns):
        self.closes.append(int(row["bar_close_ns"]))
        return iter(())


class Quiet(Sources):
    """Decisions alone."""

    def turn(self):
        return [notice for row in self._decided() for notice in self._watch.decision(row, now_ns=0)]


@pytest.mark.parametrize("looks_every", [1, 7, 50, 200])
def test_each_decision_is_read_once_however_days_are_moved(tmp_path, looks_every):
    folder, watch = RunFolder(tmp_path), Heard()
    cursor = {"executions": "0-0", "decisions": 0, "watch": {}}
    log = DecisionLog(folder.decisions)
    for hour in range(1, 6 * 24 + 1):
        log.append(Decision.on(SCOPE, BEGIN_NS + hour * HOUR_NS))
        log.archive()
        if hour % looks_every == 0:
            sources = Quiet(folder, None, "executions", watch, cursor, WallClock())  # each time by another process
            sources.turn()
            sources.turn()
            cursor = sources.cursor
    Quiet(folder, None, "executions", watch, cursor, WallClock()).turn()
    assert watch.closes == [BEGIN_NS + hour * HOUR_NS for hour in range(1, 6 * 24 + 1)]
