"""The `sapphire models` verbs; with `--json` one object stands on stdout and nothing else."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sapphire.domain.display import counted

if TYPE_CHECKING:
    from sapphire.agents.recorder import RecordedCall

__all__ = ["app"]

app = typer.Typer(
    name="models",
    help="Language models that agents ask: which answer here, and what was recorded of them.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

_WIDTH = 200
"""Columns of a table that goes into a file."""
_SHORT = 12
_SHOWN = 60
"""Characters of a question or an answer in a table."""
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, nothing else.")]


@app.command("list")
def list_command(as_json: Json = False) -> None:
    """List the models that were asked, and those that answer here: the packaged one, and servers.

    Example: sapphire models list
    """
    from sapphire.agents.llm.default_model import EMBEDDED_DEFAULT, PACKAGED
    from sapphire.agents.llm.workspace_models import workspace_recorder
    from sapphire.domain.workspace import settings

    recorder = workspace_recorder()
    servers: dict[str, str] = settings("models")[0].get("servers", {})
    calls: dict[str, list[RecordedCall]] = defaultdict(list)
    calls[str(PACKAGED)] = []
    for call in recorder:
        calls[call.model].append(call)
    rows = []
    for model, of in sorted(calls.items()):
        name, _, digest = model.partition("#")
        answers = servers.get(name.partition("@")[0], "in process" if model == str(PACKAGED) else None)
        kind = EMBEDDED_DEFAULT if model == str(PACKAGED) else "named"
        rows.append({"model": name, "sha256": digest, "kind": kind, "answers": answers, **_sums(of)})
    asked = {row["model"].partition("@")[0] for row in rows}
    never = dict.fromkeys(("sha256",), "") | {"kind": "named", **_sums([])}
    rows += [{"model": name, "answers": url, **never} for name, url in sorted(servers.items()) if name not in asked]
    if as_json:
        typer.echo(json.dumps({"mode": recorder.mode, "models": rows}, sort_keys=True))
        return
    header = ("model", "sha256", "kind", "answers", "calls", "bad", "tokens", "seconds", "USD")
    _print(header, [_model_cells(row) for row in rows])
    typer.echo(f"mode {recorder.mode}; calls are kept in {recorder.folder.name}; sapphire models calls", err=True)


@app.command("calls")
def calls_command(
    limit: Annotated[int, typer.Option(min=1, help="So many of the latest.")] = 20,
    bad: Annotated[bool, typer.Option("--bad", help="Only those whose output could not be used.")] = False,
    as_json: Json = False,
) -> None:
    """Show the latest recorded calls: what was asked, what came, and what was wrong with it.

    With `--json` each is whole: prompt, raw output, tokens, seconds, cost, versions.

    Example: sapphire models calls --bad --json
    """
    from sapphire.agents.llm.workspace_models import workspace_recorder

    calls = [call for call in workspace_recorder() if call.about.get("bad") or not bad]
    calls = sorted(calls, key=lambda call: call.at_ns)[-limit:]
    if as_json:
        typer.echo(json.dumps({"calls": [json.loads(call.line) for call in calls]}, sort_keys=True))
        return
    _print(("at", "key", "model", "asked", "answer", "seconds", "wrong"), [_call_cells(call) for call in calls])
    if not calls:
        typer.echo("no call was recorded: agents with language models are asked in studies and when served", err=True)


@app.command("export")
def export_command(
    file: Annotated[Path, typer.Argument(help="calls.jsonl.xz; one that is there is replaced.")],
    as_json: Json = False,
) -> None:
    """Write every recorded call into one file: with it, an agent's answers are the same where there is no model.

    Example: sapphire models export calls.jsonl.xz
    """
    from sapphire.agents.llm.workspace_models import workspace_recorder
    from sapphire.agents.recordings import export_recording

    count = export_recording(workspace_recorder(), file)
    _say_moved({"calls": count, "file": str(file)}, f"{counted(count, 'call')} in {file}", as_json=as_json)


@app.command("import")
def import_command(
    file: Annotated[Path, typer.Argument(help="A file that sapphire models export wrote.")], as_json: Json = False
) -> None:
    """Put the calls of a file beside those that were recorded here; what is there already stays as it is.

    Example: sapphire models import calls.jsonl.xz
    """
    from sapphire.agents.llm.workspace_models import workspace_recorder
    from sapphire.agents.recordings import import_recording

    count = import_recording(file, workspace_recorder().folder)
    _say_moved({"calls": count, "file": str(file)}, f"{counted(count, 'call')} from {file}", as_json=as_json)


def _say_moved(facts: dict[str, Any], text: str, *, as_json: bool) -> None:
    typer.echo(json.dumps(facts, sort_keys=True) if as_json else text, err=not as_json)


def _sums(calls: list[RecordedCall]) -> dict[str, Any]:
    """What the calls of one model come to."""

    def total(name: str) -> float:
        return sum(float(call.about.get(name, 0)) for call in calls)

    return {
        "calls": len(calls),
        "bad": sum(bool(call.about.get("bad")) for call in calls),
        "tokens": int(total("prompt_tokens") + total("completion_tokens")),
        "seconds": round(total("seconds"), 3),
        "cost_usd": round(total("cost_usd"), 6),
    }


def _model_cells(row: dict[str, Any]) -> tuple[str, ...]:
    counts = (f"{row['calls']:,}", f"{row['bad']:,}", f"{row['tokens']:,}")
    answers = row["answers"] or "nobody: recordings alone"
    spent = (f"{row['seconds']:,.1f}", f"{row['cost_usd']:.2f}")
    return (row["model"], row["sha256"][:_SHORT], row["kind"], answers, *counts, *spent)


def _call_cells(call: RecordedCall) -> tuple[str, ...]:
    from sapphire.domain.display import stamp

    return (
        stamp(call.at_ns),
        call.digest[:_SHORT],
        call.model.partition("#")[0].rpartition("/")[2],
        _brief(_question(call)),
        _brief(json.dumps(call.answer, ensure_ascii=False)),
        f"{float(call.about.get('seconds', 0.0)):.2f}",
        _brief(str(call.about.get("bad", ""))),
    )


def _question(call: RecordedCall) -> str:
    """The end of the last message, where a language model was asked."""
    messages = call.request.get("messages")
    text = str(messages[-1][-1]) if isinstance(messages, list) and messages else json.dumps(call.request)
    return text[-_SHOWN:]


def _brief(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else line[: _SHOWN - 1] + "\u2026"


def _print(header: tuple[str, ...], lines: list[tuple[str, ...]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*header, box=None, pad_edge=False)
    for line in lines:
        table.add_row(*map(Text, line))
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else _WIDTH, highlight=False, markup=False).print(table)
