"""The verbs `sapphire journal show|verify|replay`."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from sapphire.domain.clocks import from_ns
from sapphire.stack.commands.command_line import AccountOption, AsJson, Limit, RunOption, put, run_folder, say

__all__ = ["journal"]


journal = typer.Typer(
    name="journal",
    help="The execution service's journal: everything that decided, in order.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@journal.command("show")
def journal_show(
    limit: Limit = 50,
    kind: Annotated[str | None, typer.Option(help="Only records of this kind, such as signal or report.")] = None,
    run: RunOption = None,
    account: AccountOption = None,
    as_json: AsJson = False,
) -> None:
    """List the latest records, oldest first.

    Example: sapphire journal show --kind report --limit 20
    """
    from sapphire.execution.journal import journal_entries

    found = (entry for entry in journal_entries(_account(run, account)) if kind in (None, entry.kind))
    entries = deque(found, maxlen=limit)
    put({"entries": [asdict(entry) for entry in entries]}, as_json=as_json)
    if not as_json:
        from sapphire.stack.showing import print_table

        rows = [
            (f"{entry.step:,}" if entry.step is not None else "", _moment(entry.market_ns), _from(entry.source),
             entry.kind, entry.detail)
            for entry in entries
        ]  # fmt: skip
        title = f"the latest {len(rows):,} records, market time in UTC"
        print_table(title, ("step", "at", "from", "kind", "what it says"), rows)


def _moment(market_ns: int) -> str:
    """To the millisecond; nothing where a run has no market time yet."""
    return f"{from_ns(market_ns):%m-%d %H:%M:%S}.{market_ns // 1_000_000 % 1_000:03d}" if market_ns else ""


def _from(source: str) -> str:
    """Who said it; which entry of the bus it was stands in `--json`."""
    return "bus" if source.startswith("bus ") else source


@journal.command("verify")
def journal_verify(run: RunOption = None, account: AccountOption = None, as_json: AsJson = False) -> None:
    """Check every record and every file against the one before it. Ends with 1 at damage.

    Example: sapphire journal verify
    """
    from sapphire.execution.journal import verify_journal

    found = verify_journal(_account(run, account))
    _tell(found.facts, as_json=as_json)
    say("every record follows from the one before" if found.ok else "the journal is damaged")
    if not found.ok:
        raise typer.Exit(1)


@journal.command("replay")
def journal_replay(run: RunOption = None, account: AccountOption = None, as_json: AsJson = False) -> None:
    """Fold the journal again and compare every decision, byte for byte. Ends with 1 at the first step that differs.

    Example: sapphire journal replay --run .sapphire/demo/run
    """
    from sapphire.execution.journal import replay_journal

    found = replay_journal(_account(run, account))
    _tell(found.facts, as_json=as_json)
    say(f"{found.steps:,} steps, byte-identical" if found.steps is not None else "a step differs")
    if not found.identical:
        raise typer.Exit(1)


def _account(run: Path | None, account: str | None) -> Path:
    from sapphire.stack.folders import RunFolder

    return RunFolder(run_folder(run, account)).account


def _tell(facts: Mapping[str, Any], *, as_json: bool) -> None:
    """What the binary found: as it is, or a line for each thing."""
    put(facts, as_json=as_json)
    if not as_json:
        for name, value in facts.items():
            sys.stdout.write(f"{name:24}{value}\n")
