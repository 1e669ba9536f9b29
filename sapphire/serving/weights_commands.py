"""The verbs `sapphire weights`: a large model's files in a folder that its servers share."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["app"]

app = typer.Typer(help="Weights of large models: fetched by revision, verified by digest.", no_args_is_help=True)
_Into = Annotated[Path, typer.Option("--into", help="The folder that servers share.", metavar="FOLDER")]


@app.callback()
def weights() -> None:
    """Weights of large models: fetched by revision, verified by digest."""


@app.command()
def pull(
    repository: Annotated[str, typer.Argument(help="OWNER/NAME of the hub.")],
    revision: Annotated[str, typer.Option(help="Commit, 40 hexadecimal digits.")],
    into: _Into,
    sha256: Annotated[str, typer.Option(help="Digest of the files; without it, what came is believed.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="The digest as one JSON object on stdout.")] = False,
) -> None:
    """Fetch weights, unless they are there, and verify them. HF_ENDPOINT names another hub, HF_TOKEN who asks.

    Example: sapphire weights pull Qwen/Qwen3-8B-FP8 --revision COMMIT --sha256 DIGEST --into /var/lib/weights
    """
    from sapphire.serving.weights import Weights
    from sapphire.serving.weights import pull as fetch

    named = Weights(repository, revision, sha256)
    digest = fetch(named, into, hub=os.environ.get("HF_ENDPOINT"), token=os.environ.get("HF_TOKEN"))
    if as_json:
        about = {"repository": repository, "revision": revision, "sha256": digest, "folder": str(named.folder(into))}
        sys.stdout.write(json.dumps(about, sort_keys=True) + "\n")
    remark = "is the one that was named" if sha256 else "name it from now on"
    sys.stderr.write(f"  {repository} is in {named.folder(into)}\n  sha256 {digest} ({remark})\n")
