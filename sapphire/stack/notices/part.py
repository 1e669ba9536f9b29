"""The part that sends notices: `python -m sapphire.stack.notices.part --config FILE`. The stack's keeper starts it.

It reads what the others say and is waited for by nobody; a thread for each receiver sends, so a slow one holds up no
other. Killed at any time, it goes on from its file. Told to end, it sends for a moment what is due.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sapphire.domain.clocks import Clock, WallClock
from sapphire.domain.errors import ConfigError, NotReady
from sapphire.execution.bus_users import NOTICES
from sapphire.stack.folders import RunFolder
from sapphire.stack.notices.delivery import deliver
from sapphire.stack.notices.notice import Notice
from sapphire.stack.notices.outbox import Outbox
from sapphire.stack.notices.process import NoticesConfig
from sapphire.stack.notices.receivers import Receiver, read_receivers
from sapphire.stack.notices.shapes import body_of
from sapphire.stack.notices.sources import Sources, begin
from sapphire.stack.notices.watch import Watch
from sapphire.stack.rules import Rules
from sapphire.telemetry.bus import Bus, with_password
from sapphire.telemetry.logs import log_to_stderr
from sapphire.telemetry.part_runtime import PartRuntime, run_part
from sapphire.telemetry.streams import AccountStreams

if TYPE_CHECKING:
    from prometheus_client import Counter

__all__ = ["main", "run", "tell_notices"]

_TURN_S, _LOOK_S = 0.5, 0.1
_BUS_PATIENCE_S = 1.0
_LAST_S = 3.0
"""How long it goes on sending once it is told to end."""
_NICE = 10

_log = logging.getLogger("sapphire.stack.notices.part")  # it is run as a program, under another name


def run(config: NoticesConfig, runtime: PartRuntime, *, clock: Clock | None = None) -> None:
    """Send notices until told to end.

    Raises
    ------
    ConfigError : settings, an address or a file that cannot be meant.
    """
    clock = clock or WallClock()
    runtime.serve()
    receivers = read_receivers(config.sources)
    folder = RunFolder(Path(config.run))
    outbox, lost = _open(folder, receivers, clock)
    address = with_password(config.bus_url, config.bus_password)
    bus = runtime.bus(address, patience_s=_BUS_PATIENCE_S)
    sources = _sources(config, folder, bus, outbox, clock, runtime)
    if lost is not None:
        outbox.put([_lost(config.about, lost, clock)], sources.cursor)
    closing = threading.Event()
    counted = runtime.metrics.notices
    for receiver in receivers:
        arguments = (outbox, receiver, closing.is_set, clock, counted)
        threading.Thread(target=_send_all, args=arguments, name=f"to {receiver.shape}", daemon=True).start()
    with contextlib.suppress(SystemExit):
        while True:
            runtime.turned()
            with runtime.finishing():
                _turn(sources, outbox, sources.turn)
            # What is in the outbox's file by now may be trimmed behind it.
            runtime.readiness.tell(ready=True, executions=sources.cursor["executions"])
            time.sleep(_TURN_S)
    with runtime.finishing():
        _turn(sources, outbox, sources.last_turn)
        deadline = time.monotonic() + _LAST_S
        shapes = [receiver.shape for receiver in receivers]
        while time.monotonic() < deadline and any(outbox.is_busy(shape, clock.now_ns()) for shape in shapes):
            time.sleep(_LOOK_S)
        closing.set()


def _turn(sources: Sources, outbox: Outbox, read: Callable[[], list[Notice]]) -> None:
    notices = read()
    if notices or sources.cursor != outbox.cursor:
        outbox.put(notices, sources.cursor)


def _open(folder: RunFolder, receivers: Sequence[Receiver], clock: Clock) -> tuple[Outbox, str | None]:
    """The outbox, and what was wrong with an earlier file, which is set aside then."""
    kinds = {receiver.shape: receiver.kinds for receiver in receivers}
    try:
        outbox, lost = Outbox(folder.notices_state, kinds), None
    except (ValueError, KeyError, TypeError) as error:
        aside = folder.notices_state.with_name(f"{folder.notices_state.name}.damaged-{clock.now_ns()}")
        folder.notices_state.replace(aside)
        lost = f"{aside.name}: {error}"
        outbox = Outbox(folder.notices_state, kinds)
    for shape, count in outbox.gone.items():
        if count:
            _log.warning("%s is told no more, by sapphire.toml: %d notices that waited for it are let go", shape, count)
    return outbox, lost


def _sources(
    config: NoticesConfig, folder: RunFolder, bus: Bus, outbox: Outbox, clock: Clock, runtime: PartRuntime
) -> Sources:
    """Where to read on, once the bus is there."""
    cursor, stream = outbox.cursor, AccountStreams(config.venue, config.account).executions
    while cursor is None:
        with contextlib.suppress(NotReady):
            cursor = begin(folder, bus, stream, anew=config.anew)
        if cursor is None:
            runtime.turned()
            time.sleep(_TURN_S)
    watch = Watch(
        config.about,
        Rules.of(folder) if config.instruments is None else Rules.of_rows(config.instruments),
        quote=config.quote,
        interval_ns=config.interval_ns,
        denials_in_a_bar=config.sources["denials_in_a_bar"],
        state=cursor["watch"],
    )
    sources = Sources(folder, bus, stream, watch, cursor, clock, has_stack=config.instruments is None)
    outbox.put([], sources.cursor)
    return sources


def _lost(about: str, why: str, clock: Clock) -> Notice:
    now_ns = clock.now_ns()
    title = "Notices that waited are lost: their file was damaged"
    return Notice(id=f"lost-{now_ns}", kind="restarts", title=title, about=about, wall_ns=now_ns, lines=(why,))


def _send_all(
    outbox: Outbox,
    receiver: Receiver,
    is_closing: Callable[[], bool],
    clock: Clock,
    counted: Callable[[str, str], Counter],
) -> None:
    """Send to a receiver what is due, one after the other."""
    while not is_closing():
        wait_s = outbox.due_in_s(receiver.shape, clock.now_ns())
        if wait_s is None or wait_s > 0:
            time.sleep(_LOOK_S if wait_s is None else min(wait_s, _LOOK_S))
            continue
        notice, untold = outbox.take(receiver.shape, clock.now_ns())
        outcome = deliver(receiver, body_of(notice, receiver.shape, chat=receiver.chat, untold=untold))
        outbox.settle(receiver.shape, outcome, clock.now_ns())
        counted(receiver.shape, str(outcome.came)).inc()
        _log.info("%s, %s: %s: %s", receiver.shape, notice.id, outcome.came, outcome.what)


def tell_notices(config: NoticesConfig) -> int:
    """Be the part until told to end; its exit code."""
    identity = {"venue": config.venue, "account": config.account}
    log_to_stderr(NOTICES, identity=identity)
    runtime = PartRuntime(NOTICES, config, identity=identity)
    return run_part(runtime, lambda runtime: run(config, runtime), goodbye=lambda: None)


def main(words: Sequence[str] | None = None) -> int:
    """Run the part; its exit code."""
    parser = argparse.ArgumentParser(prog="python -m sapphire.stack.notices.part", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, metavar="FILE")
    arguments = parser.parse_args(words)
    log = log_to_stderr(NOTICES)
    with contextlib.suppress(OSError):
        os.nice(_NICE)  # whoever trades comes first
    try:
        config = NoticesConfig.read(arguments.config, NOTICES, os.environ)
    except ConfigError as error:
        log.error("%s", error)
        return 1
    return tell_notices(config)


if __name__ == "__main__":
    sys.exit(main())
