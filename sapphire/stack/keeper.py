"""The keeper of a stack in the background: `python -m sapphire.stack.keeper RUN`. `sapphire up` starts it.

It reads the plan that `up` left in the run folder, starts the parts, and keeps them until it gets SIGTERM. What goes on
is in its log; how everything stands is in `stack.json`.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from sapphire.domain.errors import SapphireError
from sapphire.stack.folders import RunFolder
from sapphire.stack.plan import Plan
from sapphire.stack.stack import Stack
from sapphire.telemetry.logs import log_to_stderr

__all__ = ["PLAN", "main"]

PLAN = "plan"
"""Name of the settings file that holds the plan."""


class _Told(BaseException):
    """The process is told to end."""


def main(words: Sequence[str] | None = None) -> int:
    """Keep a stack until told to end; its exit code."""
    log = log_to_stderr("keeper")
    parser = argparse.ArgumentParser(prog="python -m sapphire.stack.keeper", description=__doc__)
    parser.add_argument("run", type=Path, help="run folder with the plan")
    parser.add_argument("--fresh", action="store_true", help="forget what an earlier stack left there")
    told = parser.parse_args(words)
    ending = threading.Event()

    def end(number: int, frame: object) -> None:
        ending.set()
        raise _Told

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    try:
        plan = Plan.from_dict(json.loads(RunFolder(told.run).settings(PLAN).read_bytes()))
        stack = Stack(plan, fresh=told.fresh, told=lambda part, what: log.info("%s: %s", part, what))
        try:
            stack.start()
            log.info("all parts are ready")
            ending.wait()
        except _Told:
            log.info("told to end")
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        stack.stop()
    except (SapphireError, OSError, ValueError) as error:
        log.error("%s", error)
        return 1
    log.info("ends")
    return 0


if __name__ == "__main__":
    sys.exit(main())
