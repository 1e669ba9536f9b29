"""What the demo runs on: the generated market, or recorded candles where the environment names them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sapphire.domain.provenance import generated_label

__all__ = ["RECORDINGS", "STUDY_END", "SYMBOLS", "DemoMarket", "demo_market"]

RECORDINGS = "SAPPHIRE_RECORDINGS"
SYMBOLS = ("BTC/USDT", "ETH/USDT")
STUDY_START, STUDY_END = "2025-03-07", "2025-04-06"
"""Bars that the study has; what is traded afterwards begins where they end."""

_VENUE = "binanceusdm-as-spot"
"""Recorded perpetuals, traded as spot: the folder of candles has this name, and every label says it."""


@dataclass(frozen=True, slots=True)
class DemoMarket:
    """The market of one demo.

    Parameters
    ----------
    label : one line for the summary.
    seed : of the generated market, of the house's orders and of delays.
    candles : folder of recorded candles; None for the generated market.
    """

    label: str
    seed: int
    candles: Path | None

    @property
    def study(self) -> dict[str, Any]:
        """Parameters of the notebooks that study it."""
        source, venue = ("embedded", None) if self.candles is None else ("recorded", _VENUE)
        return {"start": STUDY_START, "end": STUDY_END, "source": source, "venue": venue, "seed": self.seed}


def demo_market(seed: int, folder: Path) -> DemoMarket:
    """The recorded candles that the environment names, imported, else the generated market.

    Parameters
    ----------
    folder : where the candles go in the form that the exchange reads.
    """
    from sapphire.data import Origin, export_candles, import_candles

    named = os.environ.get(RECORDINGS)
    if not named:
        return DemoMarket(generated_label(Origin.of_seed(seed).detail), seed, None)
    candles = folder / "candles" / _VENUE
    export_candles(Path(named) / "candles", candles, SYMBOLS, interval="5m")
    import_candles(candles, venue=_VENUE)
    return DemoMarket(f"recorded candles ({_VENUE})", seed, candles)
