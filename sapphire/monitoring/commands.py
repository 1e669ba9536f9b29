"""The verbs `sapphire trace` and `sapphire report run|list|schedule`. Each calls monitoring and shows what came back.

With `--json` one object stands on stdout and nothing else; prose goes to stderr.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from sapphire.monitoring.reading.tracing import Trace

__all__ = ["report", "trace"]

report = typer.Typer(
    name="report",
    help="Reports on a run: rendered by papermill, kept as HTML.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout and nothing else.")]
_ALL = "all"

RunOption = Annotated[
    Path | None, typer.Option("--run", help="The run's folder; by default the one that was written to last.")
]


AccountOption = Annotated[
    str | None, typer.Option("--account", help="An account of the stack. [the one that was written to last]")
]


def trace(
    order: Annotated[str, typer.Argument(help="A client order id, or enough of its beginning or end to mean one.")],
    run: RunOption = None,
    account: AccountOption = None,
    as_json: AsJson = False,
) -> None:
    """Show one order's life: release, views, target, signal, risk, hops, the venue's words, fills with fees.

    Example: sapphire trace sap-0001-67411b00-1a
    """
    from sapphire.monitoring.reading.run_folder import read_run
    from sapphire.monitoring.reading.tracing import trace_order

    found = trace_order(read_run(*_run_and_home(run, account)), order)
    if as_json:
        sys.stdout.write(json.dumps(found.as_dict(), sort_keys=True) + "\n")
    else:
        _show_trace(found)
    _say("the whole day: sapphire report run daily")


@report.command("run")
def run_report(
    name: Annotated[str, typer.Argument(help="A report, as `sapphire report list` names it.")],
    day: Annotated[
        str | None, typer.Option("--day", help="A UTC day such as 2025-03-07, or `all` of the run. [its last]")
    ] = None,
    run: RunOption = None,
    pdf: Annotated[bool, typer.Option("--pdf", help="Print each page as a PDF too, by Chromium.")] = False,
    account: AccountOption = None,
    as_json: AsJson = False,
) -> None:
    """Render a report on a run into the state folder's reports/, one page for each day.

    A day whose notebook fails has a page that says so; the others are rendered, and the command ends with 1.

    Example: sapphire report run daily --day all --pdf
    """
    from sapphire.domain.errors import StudyError
    from sapphire.domain.workspace import workspace
    from sapphire.monitoring.judging.daily import read_day
    from sapphire.monitoring.reading.day_of_run import days_of
    from sapphire.monitoring.reading.run_folder import read_run
    from sapphire.monitoring.telling.reports import render_report

    folder, home = _run_and_home(run, account)
    days = days_of(read_run(folder, home)) if day == _ALL else (None if day is None else read_day(day),)
    pages, failures = [], []
    for each in days:
        _say(f"rendering {name} of {folder}{'' if each is None else f', {each.isoformat()}'} ...")
        try:
            pages.append(render_report(name, folder, home=home, workspace=workspace(), day=each, with_pdf=pdf))
        except StudyError as failure:
            failures.append(failure)
            continue
        if not as_json:
            sys.stdout.write(f"{pages[-1].html}\n")
    _keep_paper_days(folder, home, [page.day for page in pages if page.day is not None])
    for another in failures[1:]:
        sys.stderr.write(f"{another}\n")
    if failures:
        raise failures[0]
    last = pages[-1]
    if as_json:
        facts = {**last.as_dict(), "pages": [str(page.html) for page in pages]}
        sys.stdout.write(json.dumps(facts, sort_keys=True) + "\n")
    _say(
        f"rendered in {sum(page.seconds for page in pages):.0f} s; open {last.html} in a browser, {last.index} for all"
    )


@report.command("list")
def list_kept(as_json: AsJson = False) -> None:
    """List the reports that there are, and where their pages are.

    Example: sapphire report list --json
    """
    from sapphire.domain.display import bundle, counted, stamp
    from sapphire.domain.workspace import home, workspace
    from sapphire.monitoring.telling.reports import list_reports

    kept = list_reports(home(), workspace())
    if as_json:
        sys.stdout.write(json.dumps({"reports": [each.as_dict() for each in kept]}, sort_keys=True) + "\n")
        return
    lines = [
        (
            each.name,
            each.title,
            "never" if each.rendered_ns is None else stamp(each.rendered_ns // 10**9 * 10**9),
            "" if each.html is None else str(each.html),
        )
        for each in kept
    ]
    shown = bundle(counted(len(kept), "report"), ("report", "title", "rendered", "page"), lines)["text/plain"]
    sys.stdout.write(f"{shown}\n")
    _say("next: sapphire report run NAME")


@report.command("schedule")
def show_schedule(as_json: AsJson = False) -> None:
    """Show the workspace's schedule of reports (reports.toml), which `sapphire up` runs.

    A job is a table with a cron expression, UTC and in the market's time: [daily] with cron = "5 0 * * *". With --json
    it is what CronJobs are made of.

    Example: sapphire report schedule --json
    """
    from sapphire.domain.display import bundle
    from sapphire.domain.workspace import workspace
    from sapphire.monitoring.telling.reports import known_reports
    from sapphire.monitoring.telling.schedule import SCHEDULE_FILE, read_schedule

    place = workspace()
    jobs = read_schedule(place, known_reports(place))
    if as_json:
        facts = {"file": str(place / SCHEDULE_FILE), "jobs": [job.as_dict() for job in jobs]}
        sys.stdout.write(json.dumps(facts, sort_keys=True) + "\n")
        return
    lines = [(job.name, job.report, job.cron, "yes" if job.pdf else "", " ".join(job.command())) for job in jobs]
    shown = bundle(f"{len(jobs)} scheduled reports, UTC", ("job", "report", "cron", "PDF", "sapphire"), lines)
    sys.stdout.write(f"{shown['text/plain']}\n")
    _say("sapphire up runs it" if jobs else f'none: write {place / SCHEDULE_FILE}: [daily] with cron = "5 0 * * *"')


def _keep_paper_days(folder: Path, home: Path, rendered: Sequence[date]) -> None:
    """Days of a run become evidence for the release that traded them: computed here, not read off the report.

    Those that were rendered, and those of which nothing is recorded yet.
    """
    from sapphire.monitoring.judging.days_on_paper import keep_paper_days
    from sapphire.monitoring.reading.day_of_run import days_of
    from sapphire.monitoring.reading.run_folder import read_run
    from sapphire.registry import Registry

    run, registry = read_run(folder, home), Registry(home)
    facts = run.facts
    known = {day.day for day in registry.store.parity(facts.release)} - {day.isoformat() for day in rendered}
    days = [day for day in days_of(run) if day.isoformat() not in known]
    kept = keep_paper_days(registry, facts.release, folder, days)
    _say(f"evidence of {facts.label}: {kept} new days on paper; sapphire gates says what they come to")


def _run_and_home(run: Path | None, account: str | None) -> tuple[Path, Path]:
    """The run's folder and the state folder."""
    from sapphire.domain.workspace import home
    from sapphire.monitoring.reading.finding import latest_run, run_of

    state = home()
    if account is not None:
        return run_of(state if run is None else run.absolute(), account), state
    return (latest_run(state) if run is None else run.absolute()), state


def _show_trace(found: Trace) -> None:
    """A timeline in the terminal."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from sapphire.domain.display import stamp

    table = Table(
        title=f"{found.order}: {found.title}", title_justify="left", caption=found.market, caption_justify="left"
    )
    table.add_column("what", no_wrap=True)
    table.add_column("", overflow="fold")
    table.add_column("market time", no_wrap=True)
    table.add_column("wall", no_wrap=True)
    for event in found.events:
        market = "" if event.market_ns is None else stamp(event.market_ns)
        wall: Any = "" if event.wall_ns is None else stamp(event.wall_ns // 1_000_000 * 1_000_000)
        wall = wall if event.after_us is None else f"+{event.after_us:,.1f} us"
        table.add_row(event.what, Text(event.text), market, wall)
    width = None if sys.stdout.isatty() else 160
    Console(file=sys.stdout, width=width).print(table)


def _say(text: str) -> None:
    sys.stderr.write(f"  {text}\n")
