"""A part as a supervisor keeps it: how it does, and the threads that ask it beside the supervisor's own.

Each process is asked by threads of its own, so one that does not answer holds up no other. They tell what they found in
objects of that process alone: what an earlier one was found to be is never said of the next.
"""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from sapphire.domain.errors import ConfigError, SapphireError
from sapphire.stack.processes.groups import is_stopped
from sapphire.stack.processes.parts import Part, PartStatus, Standing

__all__ = ["FIRST_PAUSE_S", "Health", "Kept", "bring_up", "probe_part", "status_of", "waves_of"]

FIRST_PAUSE_S = 0.1
"""Before a part that ended is started again; each pause after it is twice the last."""
_ASK_EVERY_S = 0.1


@dataclass(slots=True)
class Health:
    """What is known of one process that came up; only the thread that asks it changes this."""

    hangs: str = ""
    """How it was found to hang; empty while it does not."""
    is_ready: bool = True


@dataclass(slots=True)
class Kept:
    """A part and how it does. Everything is changed by the keeping thread alone, but for `is_up` and `refusal`."""

    part: Part
    mark: str
    standing: Standing = Standing.WAITING
    since_ns: int = 0
    process: subprocess.Popen[bytes] | None = None
    launched_at: float = 0.0
    ready_at: float = 0.0
    log_from: int = 0
    pause_s: float = FIRST_PAUSE_S
    due_at: float = 0.0
    restarts: int = 0
    was_ready: bool = False
    why: str = ""
    health: Health = field(default_factory=Health)
    is_up: threading.Event = field(default_factory=threading.Event)
    refusal: SapphireError | None = None


def bring_up(kept: Kept, process: subprocess.Popen[bytes], is_up: threading.Event, launched_ns: int) -> None:
    """Wait, beside the keeping thread, until a part says that it is ready; then read on, so that no pipe fills."""
    part = kept.part
    try:
        if part.first_line is not None and process.stdout is not None:
            line = process.stdout.readline()
            if not line:
                return
            part.first_line(line)
        while kept.process is process and not part.ready(launched_ns):
            time.sleep(_ASK_EVERY_S)
        is_up.set()
    except SapphireError as refusal:
        if kept.process is process:
            kept.refusal = refusal
    finally:
        if process.stdout is not None:
            with process.stdout:
                for _ in process.stdout:
                    pass


def probe_part(kept: Kept, process: subprocess.Popen[bytes] | None, health: Health) -> None:
    """Ask a part that came up, beside the keeping thread, until it hangs or its process is another one."""
    part, failures = kept.part, 0
    while True:
        time.sleep(part.probe.every_s)
        if process is None or kept.process is not process:
            return
        found = "its process is stopped" if is_stopped(process.pid) else "" if _is_live(part) else "it is not live"
        failures = failures + 1 if found else 0
        if failures >= part.probe.failures:
            health.hangs = f"hung: {found}, asked {failures} times"
            return
        if not found:
            health.is_ready = _is_ready(part)


def _is_live(part: Part) -> bool:
    try:
        return part.live is None or part.live()
    except (SapphireError, OSError):
        return False


def _is_ready(part: Part) -> bool:
    try:
        return part.ready(0) if part.ready_still is None else part.ready_still()
    except (SapphireError, OSError):
        return False


def status_of(kept: Kept) -> PartStatus:
    """How it does now, for those who ask."""
    return PartStatus(
        name=kept.part.name,
        standing=kept.standing,
        since_ns=kept.since_ns,
        pid=kept.process.pid if kept.process is not None else None,
        address=kept.part.address,
        metrics=kept.part.metrics,
        release=kept.part.release,
        log=kept.part.log,
        restarts=kept.restarts,
        why=kept.why,
    )


def waves_of(parts: Sequence[Part]) -> list[list[str]]:
    """Names in the order of the start: each wave needs only what is in the ones before."""
    names = [part.name for part in parts]
    if len(set(names)) != len(names):
        raise ConfigError("two parts of one name", expected="one of each", got=", ".join(names))
    left, waves = list(parts), list[list[str]]()
    while left:
        up = {name for wave in waves for name in wave}
        wave = [part.name for part in left if up.issuperset(part.needs)]
        if not wave:
            raise ConfigError(
                "parts that cannot be started",
                expected="needs that are parts, without a circle",
                got="; ".join(f"{part.name} needs {', '.join(part.needs)}" for part in left),
            )
        waves.append(wave)
        left = [part for part in left if part.name not in wave]
    return waves
