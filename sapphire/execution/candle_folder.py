"""Recorded candles in the form that the embedded exchange reads: a `BTCUSDT-5m.csv` for each symbol, and `rules.json`.

Trading rules come with the candles: from the file that is named, else from a `rules.json` beside them, else read off
the prices.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sapphire.domain.errors import MissingData

if TYPE_CHECKING:
    from sapphire.domain.instruments import Instrument

__all__ = ["candle_instruments", "exchange_candles", "first_common_ns", "same_market"]

_NAME = 16
"""Digits of a digest that name a folder."""
_FORM = "1"
"""Of what is kept; another one is another folder."""
_NS_PER_MS = 1_000_000


def exchange_candles(folder: Path, symbols: Sequence[str], *, rules: Path | None = None) -> Path:
    """The folder of these candles in that form, kept in the state folder.

    It lies under a name made of the bytes of what it was made of, and is never changed: two exchanges on different
    candles or by different rules have different folders, and one that starts again finds what it had. Its own name is
    that of `folder`, and says where perpetuals stand in for spot: labels are made of it.

    Parameters
    ----------
    rules : file of trading rules, as `sapphire.data.read_rules` reads it.

    Raises
    ------
    DataError : what is in the folder is not candles of these symbols.
    ConfigError : a file of rules that cannot be read.
    """
    from sapphire.data import export_candles, read_rules
    from sapphire.data.exporting import chosen_files
    from sapphire.data.series import AS_SPOT
    from sapphire.data.trading_rules import RULES_FILE
    from sapphire.domain.workspace import home

    kept = home() / "exchange" / "candles"
    folder = folder.absolute()
    if rules is None and folder.parent.parent == kept.absolute() and (folder / RULES_FILE).is_file():
        return folder
    trading_rules = None if rules is None else read_rules(rules)
    digest = hashlib.sha256(f"{_FORM} {' '.join(symbols)}".encode())
    beside = folder / RULES_FILE if rules is None else rules
    files = [file for chosen in chosen_files(folder, symbols) for file in chosen]
    for path in (*(file.path for file in files), *([beside] if beside.is_file() else [])):
        with path.open("rb") as file:
            digest.update(path.name.encode() + b"\0" + hashlib.file_digest(file, "sha256").digest())
    stands_in = any(":" in file.series.symbol for file in files) and not folder.name.endswith(AS_SPOT)
    target = kept / digest.hexdigest()[:_NAME] / (folder.name + (AS_SPOT if stands_in else ""))
    if not target.exists():
        with tempfile.TemporaryDirectory(prefix="candles-") as made:  # nothing is left at home of what is refused
            export_candles(folder, made, symbols=list(symbols), rules=trading_rules)
            _put_in_place(Path(made), target)
    return target


def candle_instruments(folder: Path, symbols: Sequence[str], start_ns: int) -> dict[str, Instrument]:
    """The instruments by which the exchange trades candles from a start on: the steps that hold to their end.

    Parameters
    ----------
    folder : in the exchange's form. Without `rules.json` the first rules of the generated market's listings hold.
    start_ns : market time at the start, UTC nanoseconds.

    Raises
    ------
    UnknownInstrument : no rules of a symbol.
    ConfigError : a `rules.json` that cannot be read.
    """
    from sapphire.data.generated import listed_instrument
    from sapphire.data.trading_rules import rules_beside

    rules = rules_beside(folder)
    return {
        symbol: rules[symbol].instrument(start_ns) if symbol in rules else listed_instrument(symbol)
        for symbol in symbols
    }


def first_common_ns(folder: Path, symbols: Sequence[str]) -> int:
    """Where the exchange's market begins on a folder in its form: the first moment at which every symbol has a candle.

    Raises
    ------
    MissingData : a symbol without candles.
    """
    return max(_first_ns(folder, symbol) for symbol in symbols)


def same_market(one: Path, other: Path, symbols: Sequence[str]) -> bool:
    """Whether two folders in the exchange's form hold the same candles and rules of these symbols."""
    return _market(one, symbols) == _market(other, symbols)


def _market(folder: Path, symbols: Sequence[str]) -> Mapping[str, object]:
    from sapphire.data.trading_rules import rules_beside

    rules = rules_beside(folder)
    return {
        symbol: (
            [hashlib.sha256(path.read_bytes()).digest() for path in _files(folder, symbol)],
            [{**entry, "source": ""} for entry in rules[symbol].as_dicts()] if symbol in rules else None,
        )
        for symbol in symbols
    }


def _files(folder: Path, symbol: str) -> list[Path]:
    return sorted(folder.glob(f"{symbol.replace('/', '')}-*.csv"))


def _first_ns(folder: Path, symbol: str) -> int:
    for path in _files(folder, symbol):
        with path.open("rb") as lines:
            next(lines, b"")
            first = next(lines, b"").split(b",")[0]
        if first.isdigit():
            return int(first) * _NS_PER_MS
    raise MissingData(f"no candles of {symbol}", expected=f"a CSV in {folder}", got="none, or an empty one")


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
