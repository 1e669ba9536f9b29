"""The evidence of a release in a place: the state folder has its first lines, and is brought the rest."""

from __future__ import annotations

from pathlib import Path

from sapphire.data.durable import locked
from sapphire.data.places import SharedChain, shared_place
from sapphire.domain.canonical import is_sha256
from sapphire.registry.record_lines import append_line, read_chain

__all__ = ["RECORDS", "begin_evidence", "bring_evidence", "bring_record", "shared_record", "whole_record"]

RECORDS = "records.jsonl"
"""Of the lines of a release's evidence."""
_ROOM = "evidence"


def shared_record(root: Path, digest: str) -> SharedChain | None:
    """The record of a release in the place; None where the state folder is all there is.

    Parameters
    ----------
    root : `$SAPPHIRE_HOME/evidence`.
    """
    place = shared_place()
    return None if place is None else SharedChain(place, f"{_ROOM}/{digest}", _ROOM, root / digest)


def bring_record(shared: SharedChain | None) -> None:
    """Bring what the place has of a record, for whoever holds its lock.

    Raises
    ------
    EvidenceRefused : what is here does not verify.
    PlaceError : the place does not answer, or what is here is no beginning of what it has.
    """
    if shared is None:
        return
    path = shared.folder / RECORDS
    heads = [record.head for record in read_chain(path)] if path.exists() else []
    for batch in shared.news(heads):
        for line in batch.lines:
            append_line(path, line)


def bring_evidence(root: Path, digest: str | None = None) -> None:
    """Bring what the place has of one record, or of every one. Errors as `bring_record`."""
    place = shared_place()
    if place is None:
        return
    if digest is not None:
        wanted = [digest]
    else:
        here = {path.parent.name: _lines(path) for path in root.glob(f"*/{RECORDS}")}
        heads = {head.name.rpartition("/")[2]: head.sequence for head in place.newest(_ROOM)}
        wanted = [each for each, lines in heads.items() if is_sha256(each) and here.get(each) != lines]
    for each in wanted:
        shared = shared_record(root, each)
        if shared is not None and (digest is None or place.head(shared.name) is not None):
            with locked(root / each / ".lock"):
                bring_record(shared)


def begin_evidence(root: Path) -> int:
    """Put every record that is here alone into the place; how many that were. Errors as `bring_record`."""
    begun = 0
    for path in sorted(root.glob(f"*/{RECORDS}")):
        shared = shared_record(root, path.parent.name) if is_sha256(path.parent.name) else None
        if shared is None:
            continue
        with locked(path.parent / ".lock"):
            bring_record(shared)
            if shared.place.head(shared.name) is None and _lines(path):
                shared.begin(*whole_record(path))
                begun += 1
    return begun


def whole_record(path: Path) -> tuple[list[bytes], dict[str, bytes]]:
    """Every line of a record, and every file that they name."""
    names = {name for record in read_chain(path) for name in record.files}
    data = path.read_bytes()
    return data[: data.rfind(b"\n") + 1].splitlines(), {
        name: (path.parent / name).read_bytes() for name in sorted(names)
    }


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n")
