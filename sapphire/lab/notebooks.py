"""Notebooks run from the first cell to the last on this machine, and kept where others find them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sapphire.domain.errors import ConfigError, StudyError, UnknownFile

__all__ = ["ROOM", "fetched", "parameters_of", "run_here"]

ROOM = "notebooks"
"""Of the place: notebooks as they were run, by their sha256."""


def parameters_of(words: Iterable[str]) -> dict[str, Any]:
    """NAME=VALUE each; a value is JSON where it is that, else text.

    Raises
    ------
    ConfigError : a word without a name and "=".

    Examples
    --------
    >>> parameters_of(["steps=600", 'symbols=["BTC/USDT"]', "start=2025-03-07"])
    {'steps': 600, 'symbols': ['BTC/USDT'], 'start': '2025-03-07'}
    """
    found: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or not name.isidentifier():
            raise ConfigError("a parameter of a notebook", expected="NAME=VALUE", got=word)
        try:
            found[name] = json.loads(text)
        except ValueError:
            found[name] = text
    return found


def run_here(notebook: Path, parameters: Mapping[str, Any], *, keep: bool) -> dict[str, Any]:
    """Run it; where it lies as it was run, and its sha256 in the place where that was asked for.

    A notebook that failed is kept too: its last cells say why.

    Raises
    ------
    UnknownFile : no such notebook.
    ConfigError : a parameter that it does not have; `keep`, and there is no place.
    StudyError : a cell failed.
    PlaceError : it could not be kept.
    """
    from sapphire.domain.clocks import WallClock, from_ns
    from sapphire.domain.workspace import home
    from sapphire.monitoring.telling.running import run_notebook

    if not notebook.is_file():
        raise UnknownFile(f"no notebook {notebook}", expected="a file .ipynb", got="none")
    place = _place() if keep else None
    stamp = from_ns(WallClock().now_ns()).strftime("%Y%m%dT%H%M%SZ")
    target = home() / ROOM / f"{notebook.stem}-{stamp}.ipynb"
    failed: StudyError | None = None
    try:
        run_notebook(notebook, target, parameters, cwd=Path.cwd(), cell_within_s=None)
    except StudyError as error:
        failed = error
    outcome: dict[str, Any] = {"notebook": str(notebook), "run": str(target), "next": f"run: open {target}"}
    if place is not None:
        sha256 = place.put(ROOM, target.read_bytes())
        outcome |= {"sha256": sha256, "next": f"kept: sapphire run {notebook.name} --fetch {sha256}"}
    if failed is not None:
        raise StudyError(str(failed), next=outcome["next"]) from failed
    return outcome


def fetched(sha256: str, target: Path, room: str = ROOM) -> dict[str, Any]:
    """Write what is kept, a notebook unless another room of the place is named, to a file that is not there yet.

    Raises
    ------
    ConfigError : there is no place, or the file is there.
    PlaceError : it is not kept there, or the place does not answer.
    """
    if target.exists():
        raise ConfigError("a file to write", expected="a name that is not there yet", got=str(target))
    target.write_bytes(_place().get(room, sha256))
    return {"run": str(target), "sha256": sha256, "next": f"open {target}"}


def _place() -> Any:
    from sapphire.data.places import shared_place

    place = shared_place()
    if place is None:
        raise ConfigError(
            "where notebooks are kept",
            expected="a place: [places] of sapphire.toml or SAPPHIRE_PLACES_*",
            got="none",
            next="sapphire places says what is set",
        )
    return place
