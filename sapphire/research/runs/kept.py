"""Kept: what an agent said and what the engine made of it, in the state folder, so that nobody waits for it twice.

A file is named by the digest of everything that its content depends on: bars, code, parameters, settings, the platform,
the interpreter and what is installed. It saves time for who explores, and nothing else: whatever is shown is counted in
the ledger as if it had been computed anew, and evidence neither reads nor writes here. The folder may be deleted.
"""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sapphire.data.durable import replace_file
from sapphire.domain.bars import FIELDS
from sapphire.domain.engine import load_engine
from sapphire.domain.errors import PlaceFull
from sapphire.domain.workspace import home

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sapphire.domain.bars import Bars

__all__ = ["KeptFiles", "digest_of_bars", "kept_files"]

_FILES = 256
"""The newest ones that a folder keeps: some 100 MB."""


@dataclass(frozen=True, slots=True)
class KeptFiles:
    """Files of one kind, by the digest of what they depend on."""

    folder: Path
    ending: str

    def path(self, about: Mapping[str, Any]) -> Path:
        """Where what depends on `about`, and on what runs here, is kept."""
        whole = json.dumps({**about, "platform": _platform()}, sort_keys=True)
        return self.folder / f"{hashlib.sha256(whole.encode()).hexdigest()}{self.ending}"

    def read(self, path: Path) -> bytes | None:
        """What is kept there; None where nothing is."""
        try:
            data = path.read_bytes()
            path.touch()
        except OSError:
            return None
        return data

    def write(self, path: Path, data: bytes) -> None:
        """Keep it, and forget what was not asked for the longest. A folder that cannot be written keeps nothing."""
        try:
            replace_file(path, lambda temporary: _write(temporary, data))
            files = sorted(self.folder.glob(f"*{self.ending}"), key=lambda each: each.stat().st_mtime)
            for old in files[:-_FILES]:
                old.unlink(missing_ok=True)
        except (OSError, PlaceFull):
            return


def kept_files(kind: str, ending: str) -> KeptFiles:
    """The files of a kind in the state folder."""
    return KeptFiles(home() / "kept" / kind, ending)


def digest_of_bars(bars: Bars) -> str:
    """sha256 over symbols, interval, every number of the bars, and their documents."""
    found = hashlib.sha256(json.dumps([bars.symbols, bars.interval.text]).encode())
    for name in ("open_time_ns", *FIELDS, "listed"):
        found.update(getattr(bars, name).tobytes())
    if bars.documents is not None:
        found.update(bars.documents.lineage_sha256().encode())
    return found.hexdigest()


@cache
def _platform() -> str:
    """sha256 over what computes: the platform's own source, the compiled engine, the interpreter, what is installed."""
    root = Path(__file__).parents[2]
    places = [path for path in root.rglob("*.py") if "engine" not in path.relative_to(root).parts]
    engine = Path(load_engine().__file__ or "").parent
    places += [path for path in engine.iterdir() if path.suffix in (".so", ".pyd")]
    files = [[str(path), hashlib.sha256(path.read_bytes()).hexdigest()] for path in sorted(places)]
    installed = [
        found.name
        for place in sys.path
        if Path(place).is_dir()
        for found in Path(place).iterdir()
        if found.suffix in (".dist-info", ".egg-info")
    ]
    versions = [files, sorted(installed), sys.version, platform.machine()]
    return hashlib.sha256(json.dumps(versions).encode()).hexdigest()


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)
