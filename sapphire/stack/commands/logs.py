"""The verb `sapphire logs PART`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sapphire.stack.commands.command_line import AccountOption, Limit, RunOption, again, run_folder, say

if TYPE_CHECKING:
    from rich.console import Console

    from sapphire.stack.folders import RunFolder
    from sapphire.telemetry.log_files import LogLine

__all__ = ["logs"]

_COLOURS = {"WARNING": "yellow", "ERROR": "red", "CRITICAL": "bold red"}


def logs(
    part: Annotated[str, typer.Argument(help="Whose log: keeper, bus, exchange, bento, collector, coordinator, ...")],
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on with each line that comes, until Ctrl-C or the end of the stack.")
    ] = False,
    limit: Limit = 100,
    run: RunOption = None,
    account: AccountOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Raw: one JSON object per line on stdout.")] = False,
) -> None:
    """Show what a part says: the latest lines, oldest first. A part's log takes at most 4 MiB; older lines are gone.

    Example: sapphire logs coordinator --follow
    """
    from rich.console import Console

    from sapphire.stack.folders import RunFolder
    from sapphire.stack.processes.run_lock import RunLock
    from sapphire.telemetry import log_files

    folder = RunFolder(run_folder(run, account))
    log = _log_of(folder, part)
    console = Console(highlight=False, soft_wrap=True)
    lines, position = log_files.latest(log, limit)
    for line in lines:
        _show(line, part, console, as_json=as_json)
    if follow:
        lock = RunLock(folder.path)
        try:
            for line in log_files.follow(log, position, is_over=lambda: lock.holder() is None):
                _show(line, part, console, as_json=as_json)
                sys.stdout.flush()
        except KeyboardInterrupt:
            return
        say(f"the stack has ended; next: sapphire up{again(run, account)} starts it")
        return
    say(f"next: sapphire logs {part}{again(run, account)} --follow goes on with what comes")


def _log_of(folder: RunFolder, part: str) -> Path:
    """The log of a part that said something.

    Raises
    ------
    Refused : there is none.
    """
    from sapphire.domain.errors import Refused

    log = folder.log(part)
    there = sorted(path.stem for path in log.parent.glob("*.log"))
    if part not in there:
        raise Refused(
            f"there is no log of {part}",
            expected=", ".join(there) or f"a stack that ran in {folder.path}",
            got=part,
            next="sapphire logs with one of these" if there else "sapphire up starts one",
        )
    return log


def _show(line: LogLine, part: str, console: Console, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(line.as_dict(part)) + "\n")
        return
    from rich.text import Text

    facts = line.facts
    if facts is None:
        console.print(Text(line.text))
        return
    level = str(facts.get("level", ""))
    text = Text()
    text.append(str(facts.get("time", "")), "dim")
    text.append(f" {level:<8}", _COLOURS.get(level, ""))
    text.append(str(facts["message"]))
    for key, style in (("trace_id", "dim"), ("error", "red")):
        if facts.get(key):
            text.append(("\n" if key == "error" else "  ") + str(facts[key]), style)
    console.print(text)
