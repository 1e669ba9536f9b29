"""The compiled engine.

In:    seeds, symbols, candles, quotes, targets, times in UTC nanoseconds.
Out:   candles of the generated market, what a venue lists, what the engine does with targets on a market, and what
       moving-average crosses would have made of closes.
Never: reads a clock, a file or the network.
"""

from sapphire_engine._engine import (
    GENERATOR_VERSION,
    MODELS,
    NO_SIGNAL,
    BarState,
    EngineError,
    QuoteReplay,
    Replay,
    engine_version,
    generated_candles,
    generated_candles_ticks,
    generated_rules,
    listings,
    sweep_crosses,
)

__all__ = [
    "GENERATOR_VERSION",
    "MODELS",
    "NO_SIGNAL",
    "BarState",
    "EngineError",
    "QuoteReplay",
    "Replay",
    "engine_version",
    "generated_candles",
    "generated_candles_ticks",
    "generated_rules",
    "listings",
    "sweep_crosses",
]
