"""The keeper of a stack in the background: `python -m sapphire.stack.keeper RUN`. `sapphire up` starts it.

It reads the plan that `up` left in the run folder, starts the parts, and keeps them until it gets SIGTERM. What goes on
is in its log; how everything stands is in `stack.json`, and on its own probes and metrics once the parts are up.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from sapphire.domain.errors import PortInUse, SapphireError
from sapphire.serving.ports import free_port
from sapphire.stack.assembly import VENUE
from sapphire.stack.folders import RunFolder
from sapphire.stack.plan import Plan
from sapphire.stack.processes.parts import Probe, Standing
from sapphire.stack.stack import Stack
from sapphire.telemetry.logs import log_to_stderr
from sapphire.telemetry.metrics import PartsCollector
from sapphire.telemetry.part_runtime import PartRuntime
from sapphire.telemetry.part_settings import PartSettings, is_number
from sapphire.telemetry.probes import Readiness

__all__ = ["KEEPER", "PLAN", "KeeperSettings", "main"]

KEEPER = "keeper"
PLAN = "plan"
"""Name of the settings file that holds the plan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeeperSettings(PartSettings):
    """Settings of the keeper: `[parts.keeper]` of `sapphire.toml`, and the environment over it.

    Parameters
    ----------
    probe_every_s, probe_within_s, probe_failures : how parts are asked whether they are live, as `Probe` has it.
    """

    EXPECTED: ClassVar[Mapping[str, str]] = {
        "probe_every_s": "seconds, above zero",
        "probe_within_s": "seconds, above zero",
        "probe_failures": "a whole number above zero",
    }

    probe_every_s: float = Probe().every_s
    probe_within_s: float = Probe().within_s
    probe_failures: int = Probe().failures

    def __post_init__(self) -> None:
        self._check(
            probe_every_s=is_number(self.probe_every_s),
            probe_within_s=is_number(self.probe_within_s),
            probe_failures=type(self.probe_failures) is int and self.probe_failures > 0,
        )

    @property
    def probe(self) -> Probe:
        """How parts are asked."""
        return Probe(every_s=self.probe_every_s, within_s=self.probe_within_s, failures=self.probe_failures)


class _PartsReadiness(Readiness):
    """Ready where every part is."""

    stack: Stack | None = None

    def answer(self) -> tuple[int, Mapping[str, Any]]:
        parts = {} if self.stack is None else {name: str(part.standing) for name, part in self.stack.parts.items()}
        ready = bool(parts) and set(parts.values()) == {str(Standing.READY)}
        return (200 if ready else 503), {"started": bool(parts), "ready": ready, "parts": parts}


class _EndRequested(BaseException):
    """The process is told to end."""


def _serve(stack: Stack, runtime: PartRuntime, readiness: _PartsReadiness, port: int) -> None:
    """Answer probes, and tell Prometheus how the parts do; where that cannot be, nothing is left running."""
    readiness.stack = stack
    collector = PartsCollector(
        {"venue": VENUE, "account": stack.plan.account, "release": stack.plan.release.digest},
        lambda: {name: (part.standing is Standing.READY, part.restarts) for name, part in stack.parts.items()},
    )
    runtime.metrics.registry.register(collector)
    try:
        address = runtime.serve(port=port)
    except PortInUse:
        stack.stop()
        raise
    stack.kept_at(address)
    logging.getLogger("sapphire.stack.keeper").info("probes and metrics at %s", address)


def main(words: Sequence[str] | None = None) -> int:
    """Keep a stack until told to end; its exit code."""
    log = log_to_stderr(KEEPER)
    parser = argparse.ArgumentParser(prog="python -m sapphire.stack.keeper", description=__doc__)
    parser.add_argument("run", type=Path, help="run folder with the plan")
    parser.add_argument("--fresh", action="store_true", help="forget what an earlier stack left there")
    arguments = parser.parse_args(words)
    ending = threading.Event()

    def end(number: int, frame: object) -> None:
        ending.set()
        raise _EndRequested

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    try:
        settings = KeeperSettings().configured(KEEPER).overridden(KEEPER, os.environ)
        free_port(settings.port)  # one that is taken is told before anything is started
        plan = Plan.from_dict(json.loads(RunFolder(arguments.run).settings(PLAN).read_bytes()))
        identity = {"venue": VENUE, "account": plan.account, "release": plan.release.digest}
        log_to_stderr(KEEPER, identity=identity)
        readiness = _PartsReadiness()
        runtime = PartRuntime(KEEPER, settings, identity=identity, readiness=readiness)
        stack = Stack(
            plan,
            fresh=arguments.fresh,
            on_news=lambda part, what: log.info("%s: %s", part, what),
            probe=settings.probe,
            turned=runtime.turned,
        )
        try:
            stack.start()
            log.info("all parts are ready")
            _serve(stack, runtime, readiness, settings.port or stack.ports.keeper)
            ending.wait()
        except _EndRequested:
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
