"""What the demo runs on: the generated market, or recorded candles where the user or the environment names them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sapphire.domain.clocks import to_ns
from sapphire.domain.errors import ValueRefused
from sapphire.domain.intervals import Interval
from sapphire.domain.provenance import generated_label
from sapphire.lab.demo.windows import FULL, PAPER, Windows

if TYPE_CHECKING:
    from sapphire.data import Rows

__all__ = ["RECORDINGS", "DemoMarket", "demo_market"]

RECORDINGS = "SAPPHIRE_RECORDINGS"
"""Names a folder of candles, or one with a folder `candles` in it."""
SYMBOLS = ("BTC/USDT", "ETH/USDT")
"""Of the generated market, where nobody says."""

_GENERATED_START = "2025-03-07"
_READING = (720, Interval("1h"), 40)
"""Bars of the study, their length, and bars on paper, where agents ask language models on a processor."""
_CASH = {"BTC": "10", "ETH": "100", "BNB": "1000"}
"""What the account begins with in quotes of which 100,000 would be more than their markets trade."""
_USUAL_CASH = "100000"


@dataclass(frozen=True, slots=True)
class DemoMarket:
    """The market of one demo.

    Parameters
    ----------
    label : one line for the summary.
    symbols : what is traded, all in one quote.
    windows : what is studied, and what is traded behind it.
    seed : of the generated market, its synthetic liquidity and the delays.
    venue : whose candles they are; None for the generated market.
    rows : the candles, by symbol.
    source : the folder of candle files that they are from.
    candles : the folder that the exchange reads them from; None for the generated market.
    """

    label: str
    symbols: tuple[str, ...]
    windows: Windows
    seed: int
    venue: str | None = None
    rows: Mapping[str, Rows] = field(default_factory=dict)
    source: Path | None = None
    candles: Path | None = None

    @property
    def quote(self) -> str:
        """The asset that all symbols are priced in."""
        return self.symbols[0].partition("/")[2]

    @property
    def cash(self) -> str:
        """What accounts begin with, in the quote asset."""
        return _CASH.get(self.quote, _USUAL_CASH)

    @property
    def universe(self) -> dict[str, Any]:
        """Parameters of every notebook that takes bars."""
        return {
            "symbols": list(self.symbols),
            "interval": self.windows.interval.text,
            "source": "embedded" if self.venue is None else "recorded",
            "venue": self.venue,
            "seed": self.seed,
        }

    def prepare(self) -> None:
        """Put recorded candles, with rules to trade them by, where the exchange reads them, and into the store.

        Raises
        ------
        DataError : they contradict what is stored of the venue.
        ConfigError : a `rules.json` beside them that cannot be read.
        """
        if self.candles is None or self.source is None:
            return
        from sapphire.data import import_candles
        from sapphire.data.candle_files import write_csv
        from sapphire.data.rules import rules_of
        from sapphire.data.trading_rules import rules_beside, write_rules

        known = rules_beside(self.source)
        rules = [rules_of(symbol, rows, known.get(symbol)) for symbol, rows in self.rows.items()]
        self.candles.mkdir(parents=True, exist_ok=True)
        for stale in self.candles.glob("*.csv"):
            stale.unlink()
        write_rules(self.candles, rules)
        interval = self.windows.interval.text
        for symbol, rows in self.rows.items():
            path = self.candles / f"{symbol.replace('/', '')}-{interval}.csv"
            write_csv(path, rows)
            import_candles(path, venue=self.venue, symbol=symbol, interval=interval)


def demo_market(
    seed: int,
    folder: Path,
    *,
    candles: Path | None = None,
    symbols: Sequence[str] = (),
    bars: int | None = None,
    reading: bool = False,
) -> DemoMarket:
    """The candles that are named, here or by the environment, else the generated market. Nothing is written yet.

    Parameters
    ----------
    folder : the demo's own; recorded candles go there in the form that the exchange reads.
    candles : a folder of candle files.
    symbols : which of them; the folder's own choice where there are none.
    bars : how many trade on paper.
    reading : whether agents that read take part: a month of hours of the generated market, with generated news.

    Raises
    ------
    DataError : candles that do not do for a demo; says what they lack.
    ValueRefused : a symbol that the generated market does not list; candles for agents that read.
    """
    if reading and candles is not None:
        raise ValueRefused(
            "candles for agents that read",
            expected="the generated market: its news are generated, and its answers of models recorded",
            got=str(candles),
            next="sapphire demo --agents all, or --candles FOLDER with the other agents",
        )
    named = None if reading else candles or _of_environment()
    if named is None:
        from sapphire.data import Origin
        from sapphire.data.generated import listed_instrument

        chosen = tuple(listed_instrument(symbol).symbol for symbol in symbols) or SYMBOLS
        study, interval, paper = _READING if reading else (FULL, Interval("5m"), PAPER)
        windows = Windows(to_ns(_GENERATED_START), study, interval, paper if bars is None else bars)
        return DemoMarket(generated_label(Origin.of_seed(seed).detail), chosen, windows, seed)
    from sapphire.lab.demo.candles import find_candles

    found = find_candles(named, symbols, paper=bars)
    return DemoMarket(
        found.label,
        tuple(found.rows),
        found.windows,
        seed,
        venue=found.venue,
        rows=found.rows,
        source=named,
        candles=folder / "candles" / found.venue,
    )


def _of_environment() -> Path | None:
    named = os.environ.get(RECORDINGS)
    if not named:
        return None
    inside = Path(named) / "candles"
    return inside if inside.is_dir() else Path(named)
