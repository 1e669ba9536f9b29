"""The schedule of reports: `reports.toml` in the workspace. The stack runs it at home; CronJobs can be made of it.

::

    [daily]                  # a name for the job
    report = "daily"         # as `sapphire report list` names it; the job's name unless given
    cron = "5 0 * * *"       # minute, hour, day of month, month, day of week; UTC, and the market's time
    pdf = true               # also print it; false unless given

A report by the day is of the last day that was over when its time came.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from cronsim import CronSim, CronSimError

from sapphire.domain.clocks import from_ns, to_ns
from sapphire.domain.errors import ConfigError

__all__ = ["SCHEDULE_FILE", "ReportJob", "read_schedule"]

SCHEDULE_FILE = "reports.toml"
_FIELDS = 5
_MOST_YEARS_BACK = timedelta(days=366)
_EXAMPLE = '[daily] with cron = "5 0 * * *"'


@dataclass(frozen=True, slots=True)
class ReportJob:
    """One line of the schedule.

    Parameters
    ----------
    name : of the job.
    report : that is rendered.
    cron : when, in UTC and in the market's time.
    pdf : whether it is printed too.

    Raises
    ------
    ConfigError : a `cron` that is none.
    """

    name: str
    report: str
    cron: str
    pdf: bool = False

    def __post_init__(self) -> None:
        try:
            if len(self.cron.split()) != _FIELDS:
                raise CronSimError(f"{len(self.cron.split())} fields")
            CronSim(self.cron, datetime(2024, 1, 1, tzinfo=UTC))
        except CronSimError as error:
            raise ConfigError(
                f"cron of {self.name} in {SCHEDULE_FILE}",
                expected="minute, hour, day of month, month, day of week, such as 5 0 * * * for 00:05 UTC every day",
                got=f"{self.cron!r}: {error}",
                next=f"change it in {SCHEDULE_FILE}",
            ) from None

    def next_ns(self, after_ns: int) -> int | None:
        """The first time behind a moment, UTC nanoseconds; None where it never comes.

        Examples
        --------
        >>> job = ReportJob("daily", "daily", "5 0 * * *")
        >>> from_ns(job.next_ns(to_ns("2025-03-07T00:05Z"))).isoformat()
        '2025-03-08T00:05:00+00:00'
        """
        found = next(CronSim(self.cron, from_ns(after_ns)), None)
        return None if found is None else to_ns(found)

    def due_ns(self, since_ns: int, now_ns: int) -> int | None:
        """The latest time behind `since_ns` that has come by now: of several that were missed the last one.

        Examples
        --------
        >>> job = ReportJob("daily", "daily", "5 0 * * *")
        >>> due = job.due_ns(to_ns("2025-03-01T00:05Z"), to_ns("2025-03-07T12:00Z"))
        >>> from_ns(due).isoformat(), job.day_of(due).isoformat()
        ('2025-03-07T00:05:00+00:00', '2025-03-06')
        >>> job.due_ns(due, to_ns("2025-03-07T23:00Z")) is None
        True
        """
        since = max(from_ns(since_ns), from_ns(now_ns) - _MOST_YEARS_BACK)
        latest = None
        for time in CronSim(self.cron, since):
            if to_ns(time) > now_ns:
                break
            latest = time
        return None if latest is None else to_ns(latest)

    def day_of(self, due_ns: int) -> date:
        """The last UTC day that was over at a time."""
        return from_ns(due_ns).date() - timedelta(days=1)

    def command(self, run: Path | None = None) -> tuple[str, ...]:
        """The words of `sapphire` that render it, but for its day."""
        words = ["report", "run", self.report, *(["--pdf"] if self.pdf else [])]
        return (*words, *(["--run", str(run)] if run is not None else []))

    def as_dict(self) -> dict[str, Any]:
        """Stable keys: what a CronJob is made of."""
        return {
            "name": self.name,
            "report": self.report,
            "cron": self.cron,
            "time_zone": "Etc/UTC",
            "pdf": self.pdf,
            "command": ["sapphire", *self.command()],
            "concurrency": "forbid",
        }


def read_schedule(workspace: Path, known: Iterable[str]) -> tuple[ReportJob, ...]:
    """The jobs of a workspace; none where there is no schedule.

    Parameters
    ----------
    known : reports that there are.

    Raises
    ------
    ConfigError : not TOML, a key that nobody reads, a value that cannot be meant, or a report that there is not.
    """
    path = workspace / SCHEDULE_FILE
    if not path.is_file():
        return ()
    try:
        found = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML", expected=_EXAMPLE, got=str(error), next=f"see {path}") from None
    reports = tuple(known)
    return tuple(_job(name, entry, reports, path) for name, entry in found.items())


def _job(name: str, entry: Any, reports: tuple[str, ...], path: Path) -> ReportJob:
    if not isinstance(entry, Mapping):
        raise ConfigError(f"{name} in {path}", expected=f"a job, {_EXAMPLE}", got=repr(entry))
    wanted = {"report": str, "cron": str, "pdf": bool}
    if unknown := sorted(set(entry) - set(wanted)):
        raise ConfigError(
            f"unknown key of {name} in {path}", expected=", ".join(wanted), got=", ".join(unknown), next="take it out"
        )
    for key, kind in wanted.items():
        if key in entry and type(entry[key]) is not kind:
            called = "text" if kind is str else "true or false"
            raise ConfigError(f"{key} of {name} in {path}", expected=called, got=repr(entry[key]))
    if "cron" not in entry:
        raise ConfigError(f"{name} in {path} has no time", expected=f"cron, {_EXAMPLE}", got="no cron")
    report = entry.get("report", name)
    if report not in reports:
        raise ConfigError(
            f"{name} in {path} names no report",
            expected="report = one of " + ", ".join(reports),
            got=report,
            next="sapphire report list",
        )
    return ReportJob(name, report, entry["cron"], entry.get("pdf", False))
