"""Parts: what a supervisor keeps running, and what it says of each."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

__all__ = ["Part", "PartStatus", "Probe", "Standing"]


class Standing(StrEnum):
    """Where a part is in its life."""

    WAITING = "waiting"
    """For what it needs."""
    STARTING = "starting"
    READY = "ready"
    UNREADY = "not ready"
    """It came up, and says that it cannot do its work now."""
    RESTARTING = "restarting"
    """It ended by itself, or hung and was ended, and is started again after a while."""
    REFUSED = "refused"
    """It did not come up, and the start was given up."""
    STOPPED = "stopped"

    @property
    def is_up(self) -> bool:
        """Whether it came up, ready or not."""
        return self in (Standing.READY, Standing.UNREADY)


def _at_once(launched_ns: int) -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """How a part that came up is asked, again and again, whether it is live and ready.

    Parameters
    ----------
    every_s : pause between two times.
    within_s : how long an answer may take, for those who ask over HTTP.
    failures : so many times in a row not live, and it hangs.
    """

    every_s: float = 2.0
    within_s: float = 3.0
    failures: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One process of a stack.

    Parameters
    ----------
    name : "exchange"; one of its kind in a stack.
    command : the words to run.
    log : file that takes what it says on stderr, and on stdout where `first_line` is not given.
    environment : what it gets beside the supervisor's own environment.
    folder : where it runs; the supervisor's own by default.
    needs : parts that are ready before it is started, at every start.
    first_line : takes the first line of its stdout, and may refuse it with an error of ours.
    ready : whether it came up; asked again and again after a start, with the wall time (UTC ns) of that start.
        It must answer within seconds, and may refuse with an error of ours.
    ready_still : whether it does its work, asked again and again from then on; `ready` unless given.
    live : whether its loop turns, asked from then on too. One that says no `probe.failures` times in a row hangs, and
        so does a process that is stopped; it is ended and started again. Unless given, only the process is looked at.
    probe : how it is asked.
    ready_within_s : longer, and it counts as hung.
    patience_s : how long it may take to end when it is asked to.
    address : where it is reached, for those who ask.
    metrics : where Prometheus scrapes it; empty where it tells nothing.
    release : digest of the release that it runs, where it runs one.
    is_optional : a convenience: the start of the whole neither waits for it nor fails with it.
    before_end : called when it is about to be ended and all who need it have ended: its last words.
    end_signal : what the system sends it when the supervisor dies. A part with children of its own gets SIGTERM, so
        that it can end them.
    """

    name: str
    command: tuple[str, ...]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict, hash=False)
    folder: Path | None = None
    needs: tuple[str, ...] = ()
    first_line: Callable[[bytes], object] | None = None
    ready: Callable[[int], bool] = _at_once
    ready_still: Callable[[], bool] | None = None
    live: Callable[[], bool] | None = None
    probe: Probe = field(default_factory=Probe)
    ready_within_s: float = 60.0
    patience_s: float = 10.0
    address: str = ""
    metrics: str = ""
    release: str = ""
    is_optional: bool = False
    before_end: Callable[[], None] | None = None
    end_signal: signal.Signals = signal.SIGKILL


@dataclass(frozen=True, slots=True, kw_only=True)
class PartStatus:
    """What is known of a part.

    Parameters
    ----------
    standing : where it is in its life.
    since_ns : wall time since when it is there.
    pid : of its process; None while it has none.
    restarts : how often it was started again.
    why : what ended it last; empty where nothing did.
    """

    name: str
    standing: Standing
    since_ns: int
    pid: int | None
    address: str
    metrics: str
    release: str
    log: Path
    restarts: int
    why: str

    def as_dict(self) -> dict[str, Any]:
        """Stable keys, for files and `--json`."""
        return {
            "state": str(self.standing),
            "since_ns": str(self.since_ns),
            "pid": self.pid,
            "address": self.address or None,
            "metrics": self.metrics or None,
            "release": self.release or None,
            "log": str(self.log),
            "restarts": self.restarts,
            "why": self.why,
        }
