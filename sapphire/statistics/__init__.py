"""Statistics: pure numbers about returns, forecasts and trials.

In:    arrays and plain numbers: returns per period, panels [T, S] of forecasts and outcomes, counts from the ledger.
Out:   floats, arrays and small frozen records of them.
Never: reads a file, a clock or a global seed; counts trials itself; annualises unasked; answers NaN where it should
       refuse.

Sharpe ratios are per period, kurtosis is raw (3 for a normal distribution). Every statistic names its paper and carries
a doctest with a published or executed value.
"""

from sapphire.statistics.bootstrap import ConfidenceInterval, block_length, bootstrap_interval
from sapphire.statistics.calibration import ScoreCalibration, fit_score_calibration, shrinkage
from sapphire.statistics.deflation import (
    deflated_sharpe_ratio,
    effective_number_of_trials,
    expected_maximum_sharpe,
    minimum_backtest_length,
)
from sapphire.statistics.drawdown import Drawdown, drawdown_series, maximum_drawdown
from sapphire.statistics.information import (
    Information,
    QuantileReturn,
    forward_returns,
    information_coefficient,
    information_decay,
    rank_ic,
    returns_by_quantile,
)
from sapphire.statistics.longrun import newey_west_standard_error, overlap_lags
from sapphire.statistics.moments import ReturnMoments, return_moments
from sapphire.statistics.samples import MINIMUM_RETURNS
from sapphire.statistics.scoring import brier_scores, gaussian_log_scores, probability_up
from sapphire.statistics.sharpe import (
    Convention,
    annualise,
    minimum_track_record_length,
    probabilistic_sharpe_ratio,
    psr_2012,
    psr_2025,
    sharpe_ratio,
    sharpe_standard_error,
)

__all__ = [
    "MINIMUM_RETURNS",
    "ConfidenceInterval",
    "Convention",
    "Drawdown",
    "Information",
    "QuantileReturn",
    "ReturnMoments",
    "ScoreCalibration",
    "annualise",
    "block_length",
    "bootstrap_interval",
    "brier_scores",
    "deflated_sharpe_ratio",
    "drawdown_series",
    "effective_number_of_trials",
    "expected_maximum_sharpe",
    "fit_score_calibration",
    "forward_returns",
    "gaussian_log_scores",
    "information_coefficient",
    "information_decay",
    "maximum_drawdown",
    "minimum_backtest_length",
    "minimum_track_record_length",
    "newey_west_standard_error",
    "overlap_lags",
    "probabilistic_sharpe_ratio",
    "probability_up",
    "psr_2012",
    "psr_2025",
    "rank_ic",
    "return_moments",
    "returns_by_quantile",
    "sharpe_ratio",
    "sharpe_standard_error",
    "shrinkage",
]
