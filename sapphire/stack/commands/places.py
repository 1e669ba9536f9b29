"""The verb `sapphire places`: where state lies that several machines need, whether it answers, and what is in it."""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sapphire.domain.errors import ConfigError, SapphireError
from sapphire.stack.commands.command_line import say

if TYPE_CHECKING:
    from sapphire.data.places import Place

__all__ = ["places"]

places = typer.Typer(
    name="places",
    help="Where state lies that several machines need: [places] of sapphire.toml, SAPPHIRE_PLACES_* over it.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
_ROOMS = {"evidence": "releases with evidence", "snapshots": "snapshots", "recordings": "recorded series"}


@places.callback(invoke_without_command=True)
def _places(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout and nothing else.")] = False,
) -> None:
    """Say where state lies, whether it answers, and what is in it. Ends with 1 if it does not answer.

    Example: sapphire places --json
    """
    if context.invoked_subcommand is not None:
        return
    from sapphire.data.places import shared_place
    from sapphire.domain.workspace import home

    place = shared_place()
    facts: dict[str, Any] = {"home": str(home()), "place": None if place is None else _asked(place)}
    if as_json:
        sys.stdout.write(json.dumps(facts, indent=2) + "\n")
    else:
        _show(facts)
    if place is not None and not all(half["answers"] for half in (facts["place"]["heads"], facts["place"]["bytes"])):
        raise typer.Exit(1)


@places.command()
def send() -> None:
    """Put what is in this state folder alone into the place: ledger, releases, evidence, snapshots, recordings.

    Asked again, it sends what is new. What the place has already is left as it is; a ledger that began on its own
    beside the place's is refused.

    Example: sapphire places send
    """
    from sapphire.data.catalog import snapshots_folder
    from sapphire.data.shared_snapshots import send_snapshot
    from sapphire.data.store import Store
    from sapphire.domain.workspace import home
    from sapphire.registry import Deployment
    from sapphire.registry.shared_evidence import begin_evidence
    from sapphire.registry.sharing import keep_revocations, send_release
    from sapphire.research.ledger.recording import ledger

    _needed()
    root, sent = home(), Counter[str]()
    sent["ledgers"] += ledger().chain.begin()
    for folder in _folders(root / "releases"):
        send_release(folder)
        sent["releases looked at"] += 1
    sent["evidence of releases"] += begin_evidence(root / "evidence")
    keep_revocations(root, Deployment.read())
    sent["snapshots"] += sum(map(send_snapshot, _folders(snapshots_folder())))
    sent["recorded series"] += Store().share()
    say("sent: " + ", ".join(f"{count:,} {what}" for what, count in sent.items()))
    say("next: sapphire places")


@places.command()
def watch(
    release: Annotated[str, typer.Argument(help="A release: NAME@VERSION, or its digest.")],
    once: Annotated[bool, typer.Option("--once", help="Bring what there is and end.")] = False,
) -> None:
    """Keep a release, its evidence and the revocations current in this state folder, until told to end.

    `sapphire up` does it by itself; this is for an engine or a server that runs alone. SIGTERM ends it once what it is
    bringing is there.

    Example: sapphire places watch trend@1 --once
    """
    from sapphire.domain.workspace import home
    from sapphire.registry import Deployment, Registry
    from sapphire.registry.sharing import bring
    from sapphire.registry.watching import EVERY_S, Watch
    from sapphire.telemetry.logs import log_to_stderr

    _needed()
    log_to_stderr("places")
    registry, deployment = Registry(home()), Deployment.read()
    digest = registry.find(release)
    bring(home(), deployment, digest)
    if once:
        say(f"release {digest[:12]} and its evidence are in {home()}")
        return
    watching, ending = Watch(home(), digest, deployment=deployment), threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())  # by default it does not reach a container's first process
    say(f"release {digest[:12]} is kept current in {home()}, every {EVERY_S:g} s; ctrl-c ends it")
    while not ending.wait(EVERY_S):
        watching.look()


def _needed() -> Place:
    from sapphire.data.places import shared_place

    place = shared_place()
    if place is None:
        raise ConfigError(
            "no place is named",
            expected="[places] in sapphire.toml: a folder, or a database with a bucket",
            got="none: the state folder is all there is",
            next="see PLACES.md beside sapphire.data.places",
        )
    return place


def _asked(place: Place) -> dict[str, Any]:
    """Both halves of a place, each asked for something small."""
    heads, heads_answer = _timed(
        lambda: Counter(head.name.split("/")[0] for head in _all_heads(place)), place.heads.where
    )
    ledger = _timed(lambda: place.head("ledger/trials"), place.heads.where)[0] if heads is not None else None
    _, bytes_answer = _timed(lambda: place.blobs.get(f"ledger/{'0' * 64}"), place.blobs.where)
    counts = {what: int((heads or {}).get(room, 0)) for room, what in _ROOMS.items()}
    lines = 0 if ledger is None else ledger.sequence
    return {"heads": heads_answer, "bytes": bytes_answer, "holds": counts | {"lines of the trial ledger": lines}}


def _all_heads(place: Place) -> list[Any]:
    return [head for room in _ROOMS for head in place.newest(room)]


def _timed(ask: Callable[[], Any], where: str) -> tuple[Any, dict[str, Any]]:
    began = time.monotonic()
    try:
        found = ask()
    except SapphireError as error:
        return None, {"where": where, "answers": False, "error": str(error)}
    return found, {"where": where, "answers": True, "ms": round(1e3 * (time.monotonic() - began), 1)}


def _show(facts: dict[str, Any]) -> None:
    say(f"state folder  {facts['home']}")
    place = facts["place"]
    if place is None:
        say("no place is named: the state folder is all there is; see PLACES.md beside sapphire.data.places")
        return
    for half in ("heads", "bytes"):
        each = place[half]
        answers = f"answers in {each['ms']:g} ms" if each["answers"] else "does not answer"
        say(f"{half:<12}  {each['where']}: {answers}")
        if not each["answers"]:
            say(each["error"])
    if place["heads"]["answers"]:
        say("holds         " + ", ".join(f"{count:,} {what}" for what, count in place["holds"].items()))


def _folders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir() and path.name[0] != ".") if root.is_dir() else []
