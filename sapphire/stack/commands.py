"""The verbs `sapphire up|status|down|positions|orders|fills|halt|resume` and `sapphire journal ...`.

With `--json` one object stands on stdout and nothing else; progress and prose go to stderr.
"""

from __future__ import annotations

import json
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from sapphire.stack.background import Seen
    from sapphire.stack.plan import Plan

__all__ = ["down", "fills", "halt", "journal", "orders", "positions", "resume", "status", "up"]

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout and nothing else.")]
RunOption = Annotated[
    Path | None, typer.Option("--run", help="Run folder; $SAPPHIRE_HOME/stack unless given. The demo's is demo/run.")
]
Limit = Annotated[int, typer.Option(min=1, help="The latest so many.")]


def up(
    release: Annotated[
        str | None, typer.Argument(help="NAME of a champion on paper, NAME@VERSION, or a digest. [the only champion]")
    ] = None,
    speed: Annotated[float, typer.Option(help="Market seconds per second of wall time.")] = 60.0,
    seed: Annotated[int, typer.Option(help="Seed of the generated market.")] = 7,
    candles: Annotated[Path | None, typer.Option(help="Folder of recorded candles that drive the market.")] = None,
    start: Annotated[
        str | None,
        typer.Option(help="Market time at the start, such as 2025-05-04. [now; where the training ended if it is old]"),
    ] = None,
    fund: Annotated[list[str] | None, typer.Option(help="ASSET=AMOUNT that the account begins with.")] = None,
    port: Annotated[list[str] | None, typer.Option(help="NAME=PORT of a server, such as mlflow=5000.")] = None,
    mlflow: Annotated[bool, typer.Option(help="Serve MLflow's pages beside it.")] = True,
    spin: Annotated[
        bool, typer.Option("--spin", help="The thread that trades never sleeps; takes a processor to spare.")
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Forget the account, market and bus of the run before.")
    ] = False,
    run: RunOption = None,
    as_json: AsJson = False,
) -> None:
    """Start the whole stack on this machine; it trades in the background until `sapphire down`.

    What a stack before held of a release whose permit was closed since is reduced by the release's rule, and no more.

    Example: sapphire up trend --speed 60
    """
    from sapphire.domain.clocks import WallClock
    from sapphire.stack.background import bring_up
    from sapphire.stack.folders import RunFolder
    from sapphire.stack.releases import permit_now
    from sapphire.stack.showing import show_parts, show_permit

    began = time.monotonic()
    funds, ports = _pairs(fund, "--fund"), _ports(port)
    plan = _plan(release, speed, seed, candles, start, funds, ports, mlflow=mlflow, fresh=fresh, run=_run(run))
    plan = replace(plan, spin=spin)
    with _progress(began) as seen:
        facts = bring_up(plan, fresh=fresh, seen=seen)
    permit = permit_now(plan.home, plan.release.digest, plan.stage)
    _put(facts | {"permit": permit}, as_json=as_json)
    if not as_json:
        show_parts(facts, now_ns=WallClock().now_ns(), is_running=True)
        show_permit(permit)
    _say(f"up after {time.monotonic() - began:.0f} s; run folder {RunFolder(plan.run).path}")
    _say("next: sapphire status; sapphire positions; sapphire down ends it")


def status(run: RunOption = None, as_json: AsJson = False) -> None:
    """Say per part: state, since when, address, release; whether the permit holds; what positions do without views.

    Example: sapphire status --json
    """
    from sapphire.coordination.decision_log import last_decision
    from sapphire.domain.clocks import WallClock
    from sapphire.execution.run_lock import RunLock
    from sapphire.stack.folders import RunFolder
    from sapphire.stack.releases import permit_now
    from sapphire.stack.showing import show_parts, show_permit, show_views

    folder = RunFolder(_run(run))
    facts = folder.read()
    is_running = RunLock(folder.path).holder() is not None
    decided = last_decision(folder.decisions)
    views = None if decided is None else decided.standing
    release = facts["release"]
    permit = permit_now(Path(facts["home"]), release["digest"], release["stage"])
    _put(facts | {"running": is_running, "permit": permit, "views": views}, as_json=as_json)
    if not as_json:
        show_parts(facts, now_ns=WallClock().now_ns(), is_running=is_running)
        show_permit(permit)
        show_views(views)
    if facts["error"]:
        _say(facts["error"])
    _say(f"logs in {folder.log('bus').parent}" if is_running else "next: sapphire up starts it")


def down(run: RunOption = None, as_json: AsJson = False) -> None:
    """End the stack; account, market and bus stay in the run folder, and the next `up` goes on with them.

    Example: sapphire down
    """
    from sapphire.stack.background import take_down

    folder = _run(run)
    was_running = take_down(folder)
    _put({"run": str(folder), "was_running": was_running}, as_json=as_json)
    _say(f"the stack in {folder} has ended" if was_running else f"no stack runs in {folder}")
    _say("next: sapphire up goes on where it stood; sapphire journal replay proves what it decided")


def positions(run: RunOption = None, as_json: AsJson = False) -> None:
    """Show cash, equity and what the account holds, as the engine has it.

    Example: sapphire positions --json
    """
    from sapphire.stack.background import service_of
    from sapphire.stack.showing import show_positions

    told = service_of(_run(run)).positions()
    _put(told, as_json=as_json)
    if not as_json:
        show_positions(told)


def orders(limit: Limit = 50, run: RunOption = None, as_json: AsJson = False) -> None:
    """List the latest orders, oldest first.

    Example: sapphire orders --limit 20
    """
    from sapphire.stack.background import service_of
    from sapphire.stack.showing import show_orders

    rows = service_of(_run(run)).orders(limit=limit)
    _put({"orders": rows}, as_json=as_json)
    if not as_json:
        show_orders(rows)
        _say("next: sapphire trace ORDER tells one order's life")


def fills(limit: Limit = 50, run: RunOption = None, as_json: AsJson = False) -> None:
    """List the latest fills, oldest first.

    Example: sapphire fills --limit 20
    """
    from sapphire.stack.background import service_of
    from sapphire.stack.showing import show_fills

    rows = service_of(_run(run)).fills(limit=limit)
    _put({"fills": rows}, as_json=as_json)
    if not as_json:
        show_fills(rows)


def halt(
    reason: Annotated[str, typer.Argument(help="Why; it is kept in the journal.")] = "by hand",
    run: RunOption = None,
    as_json: AsJson = False,
) -> None:
    """Stop trading at once. It stays stopped until `sapphire resume`, over restarts as well.

    Example: sapphire halt "prices look wrong"
    """
    from sapphire.stack.background import service_of

    told = service_of(_run(run)).halt(reason)
    _put(told, as_json=as_json)
    _say(f"trading is {told['state']}")
    _say("next: sapphire orders shows what is open; sapphire resume REASON trades again")


def resume(
    reason: Annotated[str, typer.Argument(help="Why it is safe again; it is kept in the journal.")],
    run: RunOption = None,
    as_json: AsJson = False,
) -> None:
    """Trade again after a halt: a deliberate act, so it wants a reason.

    Example: sapphire resume "the feed is back"
    """
    from sapphire.stack.background import service_of

    told = service_of(_run(run)).resume(reason)
    _put(told, as_json=as_json)
    _say(f"trading is {told['state']}")


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
    as_json: AsJson = False,
) -> None:
    """List the latest records, oldest first.

    Example: sapphire journal show --kind report --limit 20
    """
    from sapphire.execution.journal import journal_entries

    found = (entry for entry in journal_entries(_account(run)) if kind in (None, entry.kind))
    entries = deque(found, maxlen=limit)
    _put({"entries": [asdict(entry) for entry in entries]}, as_json=as_json)
    if not as_json:
        from sapphire.domain.display import stamp
        from sapphire.stack.showing import print_table

        rows = [
            (
                f"{entry.epoch}/{entry.segment}",
                f"{entry.step:,}" if entry.step is not None else "",
                stamp(entry.market_ns),
                entry.source,
                entry.kind,
                entry.detail,
            )
            for entry in entries
        ]
        header = ("epoch/file", "step", "market time", "source", "kind", "detail")
        print_table(f"the latest {len(rows):,} records", header, rows)


@journal.command("verify")
def journal_verify(run: RunOption = None, as_json: AsJson = False) -> None:
    """Check every record and every file against the one before it. Ends with 1 at damage.

    Example: sapphire journal verify
    """
    from sapphire.execution.journal import verify_journal

    found = verify_journal(_account(run))
    _tell(found.told, as_json=as_json)
    _say("every record follows from the one before" if found.ok else "the journal is damaged")
    if not found.ok:
        raise typer.Exit(1)


@journal.command("replay")
def journal_replay(run: RunOption = None, as_json: AsJson = False) -> None:
    """Fold the journal again and compare every decision, byte for byte. Ends with 1 at the first step that differs.

    Example: sapphire journal replay --run .sapphire/demo/run
    """
    from sapphire.execution.journal import replay_journal

    found = replay_journal(_account(run))
    _tell(found.told, as_json=as_json)
    _say(f"{found.steps:,} steps, byte-identical" if found.steps is not None else "a step differs")
    if not found.identical:
        raise typer.Exit(1)


def _plan(
    release: str | None,
    speed: float,
    seed: int,
    candles: Path | None,
    start: str | None,
    funds: dict[str, str],
    ports: dict[str, int],
    *,
    mlflow: bool,
    fresh: bool,
    run: Path,
) -> Plan:
    """What `up` was asked for."""
    from sapphire.domain.clocks import WallClock
    from sapphire.domain.workspace import home
    from sapphire.execution.run_lock import RunLock
    from sapphire.stack.account_limits import account_limits
    from sapphire.stack.folders import RunFolder
    from sapphire.stack.plan import Market, Plan
    from sapphire.stack.releases import choose_release

    with RunLock(run):  # a folder in use is refused before anything else takes its time
        pass
    state = home()
    _say("looking up the release")
    chosen, manifest = choose_release(state, release, run=None if fresh else RunFolder(run))
    if candles is not None:
        from sapphire.execution.candle_folder import exchange_candles

        candles = exchange_candles(candles, manifest.universe)
    before = RunFolder(run).read()["market"]["start"] if not fresh and RunFolder(run).facts.exists() else None
    start = start or before or _start(state, chosen.digest, manifest, candles, WallClock().now_ns())
    market = Market(seed, candles, start)
    more = {"funds": funds} if funds else {}
    plan = Plan(
        run=run,
        home=state,
        release=chosen,
        symbols=manifest.universe,
        interval=manifest.interval,
        market=market,
        speed=speed,
        ports=ports,
        mlflow=mlflow,
        execution=manifest.execution,
        **more,  # type: ignore[arg-type]
    )
    return replace(plan, limits=account_limits(state, chosen.digest, plan.equity_atoms))


def _start(state: Path, digest: str, manifest: Any, candles: Path | None, now_ns: int) -> str | None:
    """Where a generated market begins when nobody says: now, unless the release is too old for that."""
    from sapphire.domain.clocks import from_ns
    from sapphire.stack.releases import trained_until_ns

    ended_ns, expires_ns = trained_until_ns(state, digest, manifest)
    if candles is not None or now_ns < expires_ns:
        return None
    _say(f"the release may be used up to {from_ns(expires_ns):%Y-%m-%d}: the market begins where its training ended")
    return f"{from_ns(ended_ns):%Y-%m-%dT%H:%M:%S}Z"


def _run(run: Path | None) -> Path:
    from sapphire.domain.workspace import home

    return run.expanduser().absolute() if run is not None else home() / "stack"


def _account(run: Path | None) -> Path:
    from sapphire.stack.folders import RunFolder

    return RunFolder(_run(run)).account


def _pairs(words: list[str] | None, option: str) -> dict[str, str]:
    pairs = [word.partition("=") for word in words or []]
    for name, equals, value in pairs:
        if not (name and equals and value):
            raise typer.BadParameter(f"{name or value} is not of the form NAME=VALUE", param_hint=option)
    return {name: value for name, _, value in pairs}


def _ports(words: list[str] | None) -> dict[str, int]:
    pairs = _pairs(words, "--port")
    for name, value in pairs.items():
        if not value.isdigit() or not 1 <= int(value) <= 65_535:
            raise typer.BadParameter(f"{name}={value}: a port is a number from 1 to 65535", param_hint="--port")
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
                    _say(f"{name} is ready after {time.monotonic() - began:.0f} s")
            known.update(parts)

        yield seen


def _tell(told: Mapping[str, Any], *, as_json: bool) -> None:
    """What the binary found: as it is, or a line for each thing."""
    _put(told, as_json=as_json)
    if not as_json:
        for name, value in told.items():
            sys.stdout.write(f"{name:24}{value}\n")


def _put(told: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(told, sort_keys=True) + "\n")


def _say(text: str) -> None:
    sys.stderr.write(f"  {text}\n")
