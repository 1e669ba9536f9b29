"""Portfolio Orchestrator: from beliefs to target positions.

In:    pooled beliefs (coordination), prices and closed bars (data), positions and equity (execution).
Out:   targets: whole lots per symbol, each with its weight and the reason for it.
Never: sends an order, asks for a position below zero on spot, borrows (gross weight is at most 1), reads a clock,
       remembers anything between two calls.

A sizing is one pure function, `size(beliefs, state) -> targets`, the same in a study and in the coordinator. From one
close to the next both call it through `size_at_close`, by which a belief lives for its horizon and a position follows
the release's rule once it has ended.
"""

from sapphire.portfolio.baselines import EqualWeight, FixedFraction
from sapphire.portfolio.sizing import Sizing, make_sizing
from sapphire.portfolio.state import PortfolioState
from sapphire.portfolio.stopping import Sized, size_at_close
from sapphire.portfolio.targets import Reason, Target
from sapphire.portfolio.volatility import (
    RISKMETRICS_HALF_LIFE,
    realised_correlation,
    realised_volatility,
    volatility_window,
)
from sapphire.portfolio.volatility_target import VolatilityTarget, expected_volatility

__all__ = [
    "RISKMETRICS_HALF_LIFE",
    "EqualWeight",
    "FixedFraction",
    "PortfolioState",
    "Reason",
    "Sized",
    "Sizing",
    "Target",
    "VolatilityTarget",
    "expected_volatility",
    "make_sizing",
    "realised_correlation",
    "realised_volatility",
    "size_at_close",
    "volatility_window",
]
