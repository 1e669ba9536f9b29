"""The `sapphire data documents` verbs; with `--json` one object stands on stdout and nothing else."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from sapphire.data.documents.store import DocumentStore

__all__ = ["app"]

app = typer.Typer(
    name="documents",
    help="News, announcements and notes: import from files and feeds, list, expire.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

_WIDTH = 200
"""Columns of a table that goes into a file."""
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, nothing else.")]


@app.command("import")
def import_command(
    path: Annotated[Path, typer.Argument(help="A file: JSON lines, CSV, RSS 2.0 or Atom 1.0.")],
    kind: Annotated[str, typer.Option("--kind", help="news, announcement or note.")],
    source: Annotated[str, typer.Option("--source", help="Whose they are: coindesk, binance.")],
    licence: Annotated[str, typer.Option("--licence", help="Under what they may be read; an item may say its own.")],
    delay: Annotated[
        str, typer.Option("--delay", help="How long after it was published one was received that does not say when.")
    ] = "60s",
    retention: Annotated[
        int | None, typer.Option("--retention", help="Days that a text may be kept after it was received. [for ever]")
    ] = None,
    as_json: Json = False,
) -> None:
    """Import documents from a file: all of it, or nothing where an item cannot be read.

    Times need their offset. Markup, authors, e-mail addresses and phone numbers are left out. An edit of what is there
    is another version of it; what says nothing new is left out.

    Example: sapphire data documents import feed.xml --kind news --source coindesk --licence "CC BY 4.0"
    """
    from sapphire.data.documents.importing import import_documents

    done = import_documents(path, kind=kind, source=source, licence=licence, delay=delay, retention_days=retention)
    _show(done, "look at them: sapphire data documents list", as_json=as_json)


@app.command("list")
def list_command(as_json: Json = False) -> None:
    """List the documents that were imported, by kind and source.

    Example: sapphire data documents list --json
    """
    from sapphire.data.documents.store import DocumentStore

    entries = _by_source(DocumentStore())
    if as_json:
        typer.echo(json.dumps({"documents": entries}, sort_keys=True))
        return
    from rich.console import Console
    from rich.table import Table

    from sapphire.domain.display import counted

    header = ["kind", "source", "documents", "versions", "without text", "received from", "to", "licence", "delay"]
    lines = [
        [
            one["kind"],
            one["source"],
            f"{one['documents']:,}",
            f"{one['versions']:,}",
            f"{one['without_text']:,}",
            one["received_from"],
            one["received_to"],
            "; ".join(one["licences"]),
            ", ".join(f"{seconds:g} s" for seconds in one["delays_s"]),
        ]
        for one in entries
    ]
    typer.echo(counted(sum(one["documents"] for one in entries), "document"))
    table = Table(*header, box=None, pad_edge=False)
    for line in lines:
        table.add_row(*line)
    if lines:
        Console(file=sys.stdout, width=None if sys.stdout.isatty() else _WIDTH, highlight=False, markup=False).print(
            table
        )
    look = "a snapshot takes them: sapphire data snapshot ... --documents news"
    typer.echo(look if entries else "import some: sapphire data documents import FILE --kind news ...", err=True)


@app.command("expire")
def expire_command(as_json: Json = False) -> None:
    """Drop the texts whose retention is over, from what was imported and from snapshots; ids and hashes stay.

    Example: sapphire data documents expire
    """
    from sapphire.data.documents.retention import expire
    from sapphire.domain.clocks import WallClock

    _show(expire(WallClock().now_ns()), "look at what is left: sapphire data documents list", as_json=as_json)


def _by_source(store: DocumentStore) -> list[dict[str, Any]]:
    """One entry for each kind and source, with stable keys."""
    from sapphire.domain.display import stamp

    found = []
    for kind in store.kinds:
        delays: dict[str, set[int]] = {}
        for entry in store.imports(kind):
            delays.setdefault(entry.source, set()).add(entry.delay_ns)
        known = store.read(kind)
        for source in sorted(delays):
            own = [each for each in known if each.source == source]
            found.append(
                {
                    "kind": kind,
                    "source": source,
                    "documents": len({each.id for each in own}),
                    "versions": len(own),
                    "without_text": sum(each.expired for each in own),
                    "received_from": stamp(own[0].received_ns),
                    "received_to": stamp(own[-1].received_ns),
                    "licences": sorted({each.licence for each in own}),
                    "delays_s": [ns / 1e9 for ns in sorted(delays[source])],
                }
            )
    return found


def _show(result: Any, look: str, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(result.as_dict(), sort_keys=True))
        return
    typer.echo(result._repr_mimebundle_()["text/plain"])
    typer.echo(look, err=True)
