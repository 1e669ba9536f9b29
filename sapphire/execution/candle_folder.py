"""Recorded candles in the form that the embedded exchange reads: one `BTCUSDT-5m.csv` for each symbol."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

__all__ = ["exchange_candles"]

_NAME = 16
"""Digits of a digest that name a folder."""


def exchange_candles(folder: Path, symbols: Sequence[str]) -> Path:
    """The folder in that form; candles of another form are converted and kept in the state folder.

    What is kept lies under a name made of its bytes and is never changed: two exchanges on different candles have
    different folders, and one that starts again finds what it had.

    Raises
    ------
    DataError : what is in the folder is not candles of these symbols.
    """
    if any(folder.glob("*.csv")):
        return folder.absolute()
    from sapphire.data import export_candles
    from sapphire.domain.workspace import home

    kept = home() / "exchange" / "candles"
    with tempfile.TemporaryDirectory(prefix="candles-") as made:  # nothing is left at home of candles that are refused
        digest = hashlib.sha256()
        for path in sorted(export_candles(folder, made, symbols=list(symbols))):
            digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
        target = kept / digest.hexdigest()[:_NAME]
        if not target.exists():
            _put_in_place(Path(made), target)
    return target


def _put_in_place(made: Path, target: Path) -> None:
    """Copy a folder, so that it is there whole or not at all; another process may do the same at this moment."""
    target.parent.mkdir(parents=True, exist_ok=True)
    staged = Path(tempfile.mkdtemp(dir=target.parent, prefix="."))
    try:
        shutil.copytree(made, staged / target.name)
        (staged / target.name).chmod(0o755)
        try:
            (staged / target.name).rename(target)
        except OSError:
            if not target.exists():  # else somebody else was first, with the same bytes
                raise
    finally:
        shutil.rmtree(staged, ignore_errors=True)
