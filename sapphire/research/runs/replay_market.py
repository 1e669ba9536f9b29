"""The engine on a study's market: the generated path itself, or the recorded candles in ticks and lots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sapphire.data.steps import cut_lots, nearest_steps
from sapphire.domain.engine import load_engine
from sapphire.domain.errors import StudyError
from sapphire.domain.instruments import Instrument
from sapphire.domain.money import to_atoms
from sapphire.domain.precision import I64_MAX

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sapphire.domain.bars import Bars
    from sapphire.research.results.replays import Model
    from sapphire.research.studies import Study

__all__ = ["engine_on"]


def engine_on(study: Study, model: Model) -> Any:
    """The engine on the study's market: the generated path itself, or the recorded candles."""
    provenance = study.data.provenance
    generated = provenance.source == "embedded"
    bars = study.tested
    quote = study.data.instruments[bars.symbols[0]].quote
    settings: dict[str, Any] = {
        "symbols": list(bars.symbols),
        "start_ns": int(bars.open_time_ns[0]),
        "deposits_atoms": {quote: to_atoms(str(study.starting_cash))},
        "time_to_live_ns": bars.interval.ns,
        "model": model.venue,
        "seed": int(provenance.detail["seed"]) if generated else study.seed,
        "maker_fee_e8": study.costs.maker_e8 if model.has_fees else 0,
        "taker_fee_e8": study.costs.taker_e8 if model.has_fees else 0,
        "latency_ns": study.costs.latency_ns,
        "limits": study.limits.settings(to_atoms(str(study.starting_cash))) if model.has_limits else {},
        "settings": study.execution.as_dict(),
    }
    if generated:
        from sapphire.data.generated import engine_rules

        asked = {"seed": settings["seed"], "at_ns": study.data.end_ns - 1}  # the rules that the snapshot has as well
        settings["instruments"] = {symbol: engine_rules(symbol, **asked) for symbol in bars.symbols}
    else:
        settings["candles"] = {symbol: _candles(study, bars, symbol) for symbol in bars.symbols}
        settings["candle_interval_ns"] = bars.interval.ns
        settings["instruments"] = {instrument.symbol: _rules(instrument) for instrument in study.data.instruments}
    return load_engine().Replay(**settings)


def _candles(study: Study, bars: Bars, symbol: str) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Recorded bars of one symbol in ticks and lots; a price off the tick grid is refused, a volume is cut to lots."""
    instrument = study.data.instruments[symbol]
    column = bars.symbols.index(symbol)
    if not bars.listed[:, column].any():
        bars = _nearest_bar(study, column)
    listed = bars.listed[:, column]
    prices = np.stack([bars.open, bars.high, bars.low, bars.close], axis=-1)[listed, column]
    ticks, off = nearest_steps(prices, instrument.tick)
    if off.any():
        raise StudyError(
            f"recorded prices of {symbol} are off its tick grid",
            expected=f"multiples of {instrument.tick}",
            got=f"{prices[off][0]!r} and {int(off.sum()) - 1:,} more",
            next="sapphire data show names the rules that the snapshot was taken with",
        )
    lots = cut_lots(bars.volume[listed, column], instrument.lot)
    if (lots >= I64_MAX).any():
        raise StudyError(
            f"recorded volumes of {symbol} are more than the engine counts",
            expected=f"at most {I64_MAX} lots of {instrument.lot} in a bar",
            got=f"{lots.max():.4g} lots",
            next="take a snapshot of shorter bars, or give the instrument the venue's own lot: rules=FILE",
        )
    return bars.open_time_ns[listed], ticks, lots.astype(np.int64)


def _nearest_bar(study: Study, column: int) -> Bars:
    """The one bar of a symbol that has none in the tests: its last before them, or its first after; the engine has to
    know a symbol by a candle, and none of the tests comes to see this one.

    Raises
    ------
    StudyError : the snapshot has no bar of it.
    """
    bars = study.data.bars
    rows = np.flatnonzero(bars.listed[:, column])
    if not rows.size:
        raise StudyError(
            f"no bar of {bars.symbols[column]}",
            expected="at least one in the snapshot",
            got=f"none in {len(bars):,} bars",
            next="take the snapshot without it",
        )
    before = rows[bars.open_time_ns[rows] < study.tested.open_time_ns[0]]
    row = int(before[-1] if before.size else rows[0])
    return bars.rows(row, row + 1)


def _rules(instrument: Instrument) -> dict[str, int]:
    return {
        "tick_atoms": instrument.tick_atoms,
        "lot_atoms": instrument.lot_atoms,
        "min_lots": instrument.min_lots,
        "max_lots": instrument.max_lots,
        "min_ticks": 1,
        "max_ticks": np.iinfo(np.int64).max // max(instrument.tick_atoms, 1),
        "min_notional_atoms": to_atoms(instrument.min_notional),
    }
