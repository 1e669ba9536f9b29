"""The verb `sapphire status`: once, or a frame each second for as long as the stack runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sapphire.stack.commands.command_line import AccountOption, AsJson, RunOption, again, put, run_folder, say

if TYPE_CHECKING:
    from rich.console import RenderableType

    from sapphire.stack.folders import RunFolder

__all__ = ["Look", "status", "watch"]

_FRAME_S = 1.0
_SOURCES = {
    "last words": "the account as it was when the stack ended:",
    "journal": "the account as its journal has it, since the stack was not ended in order:",
}


@dataclass(frozen=True, slots=True)
class Look:
    """What is known of a run at a moment.

    Parameters
    ----------
    facts : of `stack.json`.
    is_running : whether a keeper holds the run folder.
    permit, views, account, why, notices, accounts : as `status --json` says.
    now_ns : wall time.
    """

    facts: dict[str, Any]
    is_running: bool
    permit: dict[str, Any]
    views: dict[str, Any] | None
    account: dict[str, Any] | None
    why: str | None
    notices: dict[str, dict[str, Any]]
    accounts: list[dict[str, Any]]
    now_ns: int

    @classmethod
    def at(cls, folder: RunFolder) -> Look:
        """Look at a run folder.

        Raises
        ------
        Refused : no stack ran there.
        """
        from sapphire.coordination.decision_log import last_decision
        from sapphire.domain.clocks import WallClock
        from sapphire.stack.account.beside import account_row, rows_beside
        from sapphire.stack.account.standing import last_account
        from sapphire.stack.background import service_at
        from sapphire.stack.commands.notify import notices_of
        from sapphire.stack.processes.run_lock import RunLock
        from sapphire.stack.releases import permit_now

        facts = folder.read()
        is_running = RunLock(folder.path).holder() is not None
        decided = last_decision(folder.decisions)
        release = facts["release"]
        last = last_account(folder, is_running=is_running, service=service_at(folder, facts) if is_running else None)
        return cls(
            facts=facts,
            is_running=is_running,
            permit=permit_now(Path(facts["home"]), release["digest"], release["stage"]),
            views=None if decided is None else decided.standing,
            **last,
            notices=notices_of(folder),
            accounts=[account_row(facts, last["account"], is_running=is_running), *rows_beside(folder)],
            now_ns=WallClock().now_ns(),
        )

    @property
    def as_dict(self) -> dict[str, Any]:
        """Stable keys."""
        more = {"running": self.is_running, "permit": self.permit, "views": self.views, "account": self.account}
        more |= {"account_unknown_because": self.why, "notices": self.notices, "accounts": self.accounts}
        return {**self.facts, "account_name": self.facts["account"], **more}

    def parts(self) -> Iterator[RenderableType]:
        """Everything for people, in the order of a page."""
        from rich.text import Text

        from sapphire.stack.account.beside import accounts_table
        from sapphire.stack.account.showing import account_parts
        from sapphire.stack.commands.notify import notice_lines
        from sapphire.stack.showing import parts_table, permit_lines, views_parts

        yield parts_table(self.facts, now_ns=self.now_ns, is_running=self.is_running)
        if len(self.accounts) > 1:
            yield accounts_table(self.accounts, now_ns=self.now_ns)
        yield from (Text(line) for line in permit_lines(self.permit))
        yield from views_parts(self.views)
        yield from (Text(line) for line in notice_lines(self.notices))
        if self.account is None:
            yield Text(f"the account is not known: {self.why}")
            return
        if self.account["told_by"] in _SOURCES:
            yield Text(_SOURCES[self.account["told_by"]])
        yield from account_parts(self.account)


def status(
    watch_it: Annotated[
        bool, typer.Option("--watch", help="Look again each second, until Ctrl-C or the end of the stack.")
    ] = False,
    run: RunOption = None,
    account: AccountOption = None,
    as_json: AsJson = False,
) -> None:
    """Say what runs and how it does: parts, permit, views, what trading may do and why, positions, fills, latency.

    Where several accounts trade on one stack they stand in a table; --account shows one of them whole.

    Example: sapphire status --watch
    """
    from sapphire.stack.folders import RunFolder
    from sapphire.stack.showing import show

    if watch_it and as_json:
        raise typer.BadParameter("--watch is for people; --json gives one object each time", param_hint="--watch")
    folder = RunFolder(run_folder(run, account))
    look = Look.at(folder)
    if watch_it and look.is_running:
        look = watch(folder, look)
    put(look.as_dict, as_json=as_json)
    if not as_json:
        show(look.parts())
    if look.facts["error"]:
        say(look.facts["error"])
    logs = f"logs in {folder.log('bus').parent}; sapphire logs PART{again(run, account)} shows one"
    say(logs if look.is_running else f"next: sapphire up{again(run, account)} starts it")


def watch(folder: RunFolder, look: Look, *, pause: Callable[[float], None] = time.sleep) -> Look:
    """Show a frame each second until the stack ends or somebody presses Ctrl-C; the last look.

    In a terminal the frames take its whole screen, which is as it was afterwards; elsewhere they follow each other.
    """
    from rich.console import Console, Group
    from rich.live import Live

    from sapphire.stack.showing import show

    console = Console(highlight=False)
    try:
        if not console.is_terminal:
            while look.is_running:
                show([*look.parts(), ""])
                pause(_FRAME_S)
                look = Look.at(folder)
            return look
        with Live(console=console, screen=True, auto_refresh=False, vertical_overflow="crop") as live:
            while look.is_running:
                live.update(Group(*look.parts(), "", "Ctrl-C leaves; the stack goes on"), refresh=True)
                pause(_FRAME_S)
                look = Look.at(folder)
    except KeyboardInterrupt:
        return look
    return look
