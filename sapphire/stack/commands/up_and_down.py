"""The verbs `sapphire up|down`."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sapphire.domain.workspace_settings import LAST_PORT
from sapphire.stack.commands.command_line import AccountOption, AsJson, RunOption, again, put, run_folder, say

if TYPE_CHECKING:
    from sapphire.stack.background import Seen
    from sapphire.stack.folders import RunFolder

__all__ = ["down", "up"]


def up(
    release: Annotated[
        str | None,
        typer.Argument(
            help="NAME of a champion on paper, NAME@VERSION, or a digest. [what this run traded; the only champion]"
        ),
    ] = None,
    speed: Annotated[
        float | None, typer.Option(help="Market seconds per second of wall time. [as before; 60]", min=0.001)
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the generated market. [as before; 7]")] = None,
    candles: Annotated[
        Path | None, typer.Option(help="Folder of recorded candles that drive the market. [as before; none]")
    ] = None,
    rules: Annotated[
        Path | None,
        typer.Option(help="Trading rules of the candles: exchangeInfo, ccxt's markets, rules.json. [the candles']"),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(help="Market time at the start, such as 2025-05-04. [now; where the training ended if it is old]"),
    ] = None,
    fund: Annotated[list[str] | None, typer.Option(help="ASSET=AMOUNT that the account begins with.")] = None,
    port: Annotated[
        list[str] | None, typer.Option(help="NAME=PORT of a server, such as mlflow=5000; 0 takes a free one.")
    ] = None,
    mlflow: Annotated[bool | None, typer.Option(help="Serve MLflow's pages beside it. [as before; they are]")] = None,
    spin: Annotated[
        bool | None,
        typer.Option("--spin/--no-spin", help="The thread that trades never sleeps; takes a processor to spare."),
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Forget the account, market and bus of the run before.")
    ] = False,
    run: RunOption = None,
    account: Annotated[
        str | None,
        typer.Option(help="Join the running stack with an account of this name, its own release, funds and limits."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Start the whole stack on this machine; it trades in the background until `sapphire down`.

    A run that began goes on as it was: the same release, market, speed and addresses, unless told otherwise. What a
    stack before held of a release whose permit was closed since is reduced by the release's rule, and no more.

    With --account another account trades beside it, on the same market, bus and exchange: its release, funds and limits
    are its own, and what happens to it touches no other.

    Example: sapphire up trend --speed 60
    """
    from sapphire.domain.clocks import WallClock
    from sapphire.domain.workspace import home
    from sapphire.stack.addresses import ports_of_the_workspace
    from sapphire.stack.background import bring_up, require_to_join
    from sapphire.stack.commands.notify import require_addresses
    from sapphire.stack.commands.status import Look
    from sapphire.stack.folders import RunFolder
    from sapphire.stack.going_on import Asked, plan_to_join, plan_to_start
    from sapphire.stack.processes.run_lock import RunLock
    from sapphire.stack.showing import show

    began, clock = time.monotonic(), WallClock()
    asked = Asked(
        release=release,
        speed=speed,
        seed=seed,
        candles=candles,
        rules=rules,
        start=start,
        funds=_pairs(fund, "--fund"),
        ports={**ports_of_the_workspace(os.environ), **_ports(port)},
        mlflow=mlflow,
        spin=spin,
    )
    folder, first = RunFolder(run_folder(run, account)), RunFolder(run_folder(run))
    joins = folder != first
    if joins:
        require_to_join(first, fresh=fresh, mlflow=mlflow)
    with RunLock(folder.path):  # a folder in use is refused before anything else takes its time
        pass
    require_addresses()
    if joins:
        plan = plan_to_join(asked, folder.path.name, first, home(), say=say)
    else:
        plan = plan_to_start(asked, folder, home(), fresh=fresh, now_ns=clock.now_ns(), say=say)
    with _progress(began) as seen:
        bring_up(plan, fresh=fresh, seen=seen)
    look = Look.at(folder)
    put(look.as_dict, as_json=as_json)
    if as_json:
        _warn(look.account)
    else:
        show(look.parts())
    more = again(run, account)
    say(f"up after {time.monotonic() - began:.0f} s; run folder {folder.path}")
    say(f"next: sapphire status{more}; sapphire positions{more}; sapphire down{more} ends it")


def down(run: RunOption = None, account: AccountOption = None, as_json: AsJson = False) -> None:
    """End the stack; account, market and bus stay in the run folder, and the next `up` goes on with them.

    Accounts that joined it are ended first. With --account that one is ended alone, and the rest goes on.

    Example: sapphire down
    """
    from sapphire.stack.background import take_down
    from sapphire.stack.folders import RunFolder

    folder = RunFolder(run_folder(run, account))
    ended = [joined.path.name for joined in folder.joined if take_down(joined.path)]
    was_running = take_down(folder.path)
    put({"run": str(folder.path), "was_running": was_running, "accounts": ended}, as_json=as_json)
    for name in ended:
        say(f"account {name} has ended")
    say(f"the stack in {folder.path} has ended" if was_running else f"no stack runs in {folder.path}")
    _say_untraded(folder)
    say(f"next: {_what_next(folder, again(run, account))}")


def _warn(account: Mapping[str, Any] | None) -> None:
    """Say on stderr what trading may not do, where nothing but an object stands on stdout."""
    from sapphire.stack.account.showing import trading_lines

    if account is not None and account.get("untraded"):
        say(f"it NEVER TRADED so far: {account['untraded']}")
    trading = None if account is None else account["trading"]
    if trading is not None and (trading["state"] != "ACTIVE" or trading["closed"]):
        for name, text in trading_lines(trading):
            say(f"{name} {text}".strip())


def _say_untraded(folder: RunFolder) -> None:
    """Say why a run that has ended never traded, where it did not."""
    from sapphire.stack.account.standing import last_account

    account = last_account(folder, is_running=False, service=None)["account"]
    if account is not None and account.get("untraded"):
        say(f"it NEVER TRADED: {account['untraded']}")


def _what_next(folder: RunFolder, more: str) -> str:
    """How a run that has ended goes on, and what its journal proves."""
    from sapphire.stack.going_on import kept_plan

    plan = kept_plan(folder)
    if plan is None:
        return f"sapphire up{more} starts one"
    proves = f"sapphire journal replay{more} proves what it decided"
    if plan.is_lockstep:
        return f"{proves}; it was driven bar by bar, and does not go on"
    return f"sapphire up{more} goes on where it stood, with {plan.release.label}; {proves}"


def _pairs(words: list[str] | None, option: str) -> dict[str, str]:
    pairs = [word.partition("=") for word in words or []]
    for name, equals, value in pairs:
        if not (name and equals and value):
            raise typer.BadParameter(f"{name or value} is not of the form NAME=VALUE", param_hint=option)
    return {name: value for name, _, value in pairs}


def _ports(words: list[str] | None) -> dict[str, int]:
    pairs = _pairs(words, "--port")
    for name, value in pairs.items():
        if not value.isdecimal() or int(value) > LAST_PORT:
            raise typer.BadParameter(
                f"{name}={value}: a port is a number up to {LAST_PORT}; 0 takes a free one", param_hint="--port"
            )
    return {name: int(value) for name, value in pairs.items()}


@contextmanager
def _progress(began: float) -> Iterator[Seen]:
    """What goes on while the parts come up: one line that goes away, or a line for each part where nobody looks on."""
    from rich.console import Console

    console, known = Console(file=sys.stderr), dict[str, str]()
    with console.status("starting") as shown:

        def seen(facts: Mapping[str, Any]) -> None:
            parts = {name: part["state"] for name, part in facts["parts"].items()}
            if console.is_terminal:
                waiting = ", ".join(f"{name} {state}" for name, state in parts.items() if state != "ready")
                shown.update(f"{time.monotonic() - began:.0f} s  {waiting or 'all parts are ready'}")
                return
            for name, state in parts.items():
                if state == "ready" and known.get(name) != state:
                    say(f"{name} is ready after {time.monotonic() - began:.0f} s")
            known.update(parts)

        yield seen
