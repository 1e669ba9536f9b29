"""The compiled engine.

In:    seeds, symbols, candles, targets, times in UTC nanoseconds.
Out:   candles of the generated market, what a venue lists, and what the engine does with targets on a market.
Never: reads a clock, a file or the network.
"""

from sapphire_engine._engine import (
    MODELS,
    NO_SIGNAL,
    BarState,
    EngineError,
    Replay,
    engine_version,
    generated_candles,
    generated_candles_ticks,
    listings,
)

__all__ = [
    "MODELS",
    "NO_SIGNAL",
    "BarState",
    "EngineError",
    "Replay",
    "engine_version",
    "generated_candles",
    "generated_candles_ticks",
    "listings",
]
