"""The part that renders scheduled reports: `python -m sapphire.stack.reports_part --config FILE`.

In:    the workspace's `reports.toml`, and market time as the coordinator's decisions have it.
Out:   one `sapphire report run` at a time, each a process of its own; `reports_state.json`: what was done up to when.
Never: renders two at once, or what came due before the run began; what was missed while it was down is made up once.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, ClassVar

from sapphire.coordination.decision_log import last_decision
from sapphire.domain.errors import ConfigError
from sapphire.domain.workspace import HOME_VARIABLE, workspace
from sapphire.monitoring.telling.reports import known_reports
from sapphire.monitoring.telling.running import import_nbformat
from sapphire.monitoring.telling.schedule import ReportJob, read_schedule
from sapphire.stack.addresses import Ports
from sapphire.stack.folders import RunFolder
from sapphire.stack.plan import Plan
from sapphire.stack.processes.parts import Part, Probe
from sapphire.stack.processes.readiness import HttpChecks
from sapphire.telemetry.logs import log_to_stderr
from sapphire.telemetry.part_runtime import PartRuntime, run_part
from sapphire.telemetry.part_settings import PartSettings
from sapphire.telemetry.secret_files import write_secret

__all__ = ["REPORTS", "ReportsConfig", "Scheduler", "main", "reports_parts"]

REPORTS = "reports"
_LOOK_S = 0.5
_NICE = 10
_END_WITHIN_S = 5.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportsConfig(PartSettings):
    """Settings of the part that renders scheduled reports.

    Parameters
    ----------
    run : run folder that they are about.
    home : the state folder.
    workspace : with `reports.toml` and the reports' notebooks.
    """

    EXPECTED: ClassVar[Mapping[str, str]] = {
        "run": "path of the run folder",
        "home": "path of the state folder",
        "workspace": "path of the workspace",
    }

    run: str
    home: str
    workspace: str

    def __post_init__(self) -> None:
        self._check(**{key: isinstance(getattr(self, key), str) for key in self.EXPECTED})


class Scheduler:
    """What is due, and the one report that is being rendered.

    Parameters
    ----------
    config : of the part.
    jobs : the schedule.
    counted : is told of each report that ended: its job, and "rendered" or "failed".
    """

    def __init__(self, config: ReportsConfig, jobs: Sequence[ReportJob], counted: Any) -> None:
        self._config, self._jobs, self._counted = config, jobs, counted
        self._folder = RunFolder(Path(config.run))
        self._done: dict[str, int] = self._read()
        self._at_work: tuple[ReportJob, int, subprocess.Popen[bytes]] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a report is being rendered."""
        return self._at_work is not None

    def turn(self) -> None:
        """Note what has ended, and begin what is due."""
        if self._at_work is not None:
            job, due_ns, process = self._at_work
            code = process.poll()
            if code is None:
                return
            self._at_work = None
            came = "failed" if code else "rendered"
            self._counted(job.name, came).inc()
            _log.log(logging.ERROR if code else logging.INFO, "%s, due %s: %s", job.name, job.day_of(due_ns), came)
            self._note(job, due_ns)
        last = last_decision(self._folder.decisions)
        if last is None:
            return
        now_ns = last.bar_close_ns
        for job in self._jobs:
            if job.name not in self._done:
                self._note(job, now_ns)  # what came due before the schedule began is nobody's
                continue
            coming_ns = job.due_ns(self._done[job.name], now_ns)
            if coming_ns is not None:
                self._begin(job, coming_ns)
                return

    def stop(self) -> None:
        """End what is being rendered: it is not done, and begun again at the next start."""
        if self._at_work is not None:
            process = self._at_work[2]
            process.terminate()
            try:
                process.wait(_END_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _begin(self, job: ReportJob, due_ns: int) -> None:
        words = [*job.command(self._folder.path), *self._day(job, job.day_of(due_ns))]
        _log.info("%s is due: sapphire %s", job.name, " ".join(words))
        process = subprocess.Popen(
            [sys.executable, "-m", "sapphire.cli", *words],
            cwd=self._config.workspace,
            env={**os.environ, HOME_VARIABLE: self._config.home},
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
        )
        self._at_work = job, due_ns, process

    def _day(self, job: ReportJob, day: date) -> list[str]:
        """The day as a word, for a notebook that is of one."""
        import_nbformat()
        import papermill

        template = known_reports(Path(self._config.workspace))[job.report]
        return ["--day", day.isoformat()] if "day" in papermill.inspect_notebook(str(template)) else []

    def _read(self) -> dict[str, int]:
        try:
            state = json.loads(self._folder.reports_state.read_bytes())
            return {str(name): int(done) for name, done in state.items()}
        except FileNotFoundError:
            return {}
        except (ValueError, AttributeError) as error:
            _log.warning("what was rendered is not known, the schedule begins anew: %s", error)
            return {}

    def _note(self, job: ReportJob, until_ns: int) -> None:
        from sapphire.data.durable import write_text

        self._done[job.name] = until_ns
        kept = {name: str(done) for name, done in self._done.items()}
        write_text(self._folder.reports_state, json.dumps(kept, sort_keys=True) + "\n")


def run(config: ReportsConfig, runtime: PartRuntime) -> None:
    """Render what the schedule says until the process is told to end.

    Raises
    ------
    ConfigError : a schedule that cannot be meant.
    """
    runtime.serve()
    place = Path(config.workspace)
    scheduler = Scheduler(config, read_schedule(place, known_reports(place)), runtime.metrics.reports)
    runtime.readiness.tell(ready=True)
    try:
        while True:
            runtime.turned()
            scheduler.turn()
            time.sleep(_LOOK_S)
    finally:
        scheduler.stop()


def reports_parts(plan: Plan, folder: RunFolder, *, ports: Ports, probe: Probe) -> list[Part]:
    """The part, where the workspace has a schedule; none in lock-step, where somebody looks on.

    Parameters
    ----------
    ports : where it answers probes.
    probe : how it is asked.

    Raises
    ------
    ConfigError : a schedule that cannot be meant.
    """
    place = workspace()
    if plan.is_lockstep or not read_schedule(place, known_reports(place)):
        return []
    path = folder.settings(REPORTS)
    config = ReportsConfig(
        run=str(plan.run),
        home=str(plan.home),
        workspace=str(place),
        host=ports.network.bind,
        port=ports.reports,
    ).configured(REPORTS)
    write_secret(path, json.dumps(config.as_dict(), indent=1) + "\n")
    checks = HttpChecks(ports.probes_url(REPORTS, config, os.environ), within_s=probe.within_s)
    return [
        Part(
            name=REPORTS,
            command=(sys.executable, "-m", "sapphire.stack.reports_part", "--config", str(path)),
            log=folder.log(REPORTS),
            ready=lambda _: checks.ready(),
            live=checks.live,
            probe=probe,
            address=checks.url,
            metrics=f"{checks.url}/metrics",
            is_optional=True,
        )
    ]


def main(words: Sequence[str] | None = None) -> int:
    """Run the part; its exit code."""
    parser = argparse.ArgumentParser(prog="python -m sapphire.stack.reports_part", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, metavar="FILE")
    arguments = parser.parse_args(words)
    log = log_to_stderr(REPORTS)
    with suppress(OSError):
        os.nice(_NICE)  # whoever trades comes first
    try:
        config = ReportsConfig.read(arguments.config, REPORTS, os.environ)
    except ConfigError as error:
        log.error("%s", error)
        return 1
    return run_part(PartRuntime(REPORTS, config), lambda runtime: run(config, runtime), goodbye=lambda: None)


if __name__ == "__main__":
    sys.exit(main())
