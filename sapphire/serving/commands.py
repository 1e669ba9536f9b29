"""The verb `sapphire serve`: a release behind HTTP on this machine, in the foreground."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from sapphire.serving.process import ServerProcess, StartProgress

__all__ = ["serve"]


class Stage(StrEnum):
    """What the release's gate report must permit."""

    PAPER = "paper"
    LIVE = "live"


def serve(
    release: Annotated[str, typer.Argument(help="A release: NAME@VERSION, or its digest (eight digits are enough).")],
    member: Annotated[str, typer.Option(help="Of a pool, serve this agent by itself.")] = "",
    port: Annotated[int, typer.Option(help="0 chooses a free one.")] = 0,
    stage: Annotated[Stage, typer.Option("--for", help="What its gate report must permit.")] = Stage.PAPER,
    bars: Annotated[str, typer.Option(help="Shared cache of bars: valkey://127.0.0.1:6379/0.")] = "",
    bind: Annotated[str, typer.Option(help="Address of this machine to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    host: Annotated[str | None, typer.Option(help="Name by which others reach it. [what is bound]")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Its address as one JSON object on stdout.")] = False,
) -> None:
    """Serve a release until interrupted. It must have a gate report that verifies, and match its golden outputs.

    Example: sapphire serve trend@1 --port 3100
    """
    from sapphire.domain.errors import NotReady
    from sapphire.domain.evidence import MARKED
    from sapphire.domain.workspace import home
    from sapphire.registry import Registry
    from sapphire.serving.admission import admit
    from sapphire.serving.process import ServerProcess
    from sapphire.serving.settings import Settings

    state = home()
    settings = Settings(state, Registry(state).find(release), stage.value, bars, member=member)
    admitted = admit(settings)
    mark = f"; {MARKED}{', '.join(admitted.report.marked)}" if admitted.report.marked else ""
    _say(f"{admitted.manifest.name} {settings.release[:12]} is admitted to {stage}{mark} ({admitted.report.data})")
    with _stopped_by_signals(), ServerProcess(settings, port=port, bind=bind, host=host) as server:
        try:
            with _progress() as progress:
                server.wait_until_ready(progress)
            _announce(server, admitted.manifest.name, as_json=as_json)
            code = server.wait()
        except KeyboardInterrupt:
            _say("stopping")
            return
        raise NotReady(f"the server ended with exit code {code}", got=server.log_tail(), next=f"see {server.log}")


def _announce(server: ServerProcess, name: str, *, as_json: bool) -> None:
    if as_json:
        about = {
            "url": server.url,
            "name": name,
            "release": server.settings.release,
            "pid": server.pid,
            "log": str(server.log),
        }
        sys.stdout.write(json.dumps(about, sort_keys=True) + "\n")
        sys.stdout.flush()
    _say(f"serving at {server.url}: POST /views, POST /card, GET /readyz, GET /metrics")
    _say(f"log {server.log}")
    _say(f"next: curl -X POST {server.url}/card; Ctrl-C ends it")


@contextmanager
def _progress() -> Iterator[StartProgress]:
    """What goes on, as one line that goes away; nothing where nobody looks on."""
    from rich.console import Console

    console = Console(file=sys.stderr)
    with console.status("starting") if console.is_terminal else _nothing() as shown:

        def show(elapsed: float, what: str) -> None:
            if shown is not None:
                shown.update(f"{what}, {elapsed:.0f} s")

        yield show


@contextmanager
def _nothing() -> Iterator[None]:
    yield None


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """A request to end is an interrupt, so that the server is ended too."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _say(text: str) -> None:
    sys.stderr.write(f"  {text}\n")
