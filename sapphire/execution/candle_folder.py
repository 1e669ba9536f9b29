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
    kept.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(dir=kept, prefix="."))
    try:
        digest = hashlib.sha256()
        for path in sorted(export_candles(folder, making, symbols=list(symbols))):
            digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
        target = kept / digest.hexdigest()[:_NAME]
        if not target.exists():
            making.chmod(0o755)
            making.rename(target)
        return target
    finally:
        shutil.rmtree(making, ignore_errors=True)
