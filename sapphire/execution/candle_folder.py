"""Recorded candles in the form that the embedded exchange reads: one `BTCUSDT-5m.csv` for each symbol."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

__all__ = ["exchange_candles"]


def exchange_candles(folder: Path, symbols: Sequence[str]) -> Path:
    """The folder in that form; candles of another form are converted and kept in the state folder.

    Raises
    ------
    DataError : what is in the folder is not candles of these symbols.
    """
    if any(folder.glob("*.csv")):
        return folder.absolute()
    from sapphire.data import export_candles
    from sapphire.domain.workspace import home

    target = home() / "exchange" / "candles"
    export_candles(folder, target, symbols=list(symbols))
    return target
