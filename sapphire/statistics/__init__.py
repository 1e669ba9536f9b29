"""Statistics: pure numbers about returns, forecasts and trials.

In:    arrays and plain numbers: returns per period, panels [T, S] of forecasts and outcomes, counts from the ledger.
Out:   floats, arrays and small frozen records of them.
Never: reads a file, a clock or a global seed; counts trials itself; annualises unasked; answers NaN where it should
       refuse.

Sharpe ratios are per period, kurtosis is raw (3 for a normal distribution). Every statistic names its paper and carries
a doctest with a published or executed value.
"""

from sapphire.statistics.bootstrap import ConfidenceInterval, block_length, bootstrap_interval
from sapphire.statistics.brier import (
    BrierDecomposition,
    ReliabilityBin,
    brier_decomposition,
    expected_calibration_error,
    reliability_diagram,
    wilson_interval,
)
from sapphire.statistics.calibration import ScoreCalibration, fit_score_calibration, shrinkage
from sapphire.statistics.calibration_kinds import Calibration, calibration_from_arrays
from sapphire.statistics.conformal import AdaptiveConformal, SplitConformal, adaptive_conformal, fit_split_conformal
from sapphire.statistics.cross_validation import (
    IndexSplit,
    combinatorial_paths,
    combinatorial_purged_splits,
    purged_k_fold_splits,
)
from sapphire.statistics.deflation import (
    deflated_sharpe_ratio,
    deflated_sharpe_ratio_2025,
    expected_maximum_sharpe,
    minimum_backtest_length,
)
from sapphire.statistics.differences import PairedDifference, one_sided_difference
from sapphire.statistics.direction import DirectionCalibration, fit_direction_calibration
from sapphire.statistics.discovery import (
    Discoveries,
    critical_sharpe_ratio,
    discoveries,
    observed_false_discovery_rate,
    planned_false_discovery_rate,
    sharpe_ratio_for_rate,
    sharpe_ratio_power,
)
from sapphire.statistics.downside import sortino_ratio
from sapphire.statistics.drawdown import Drawdown, drawdown_series, maximum_drawdown
from sapphire.statistics.drift import (
    Drift,
    ReferenceHistogram,
    drift_of,
    drift_threshold,
    population_stability_index,
    reference_histogram,
)
from sapphire.statistics.information import (
    Information,
    QuantileReturn,
    forward_returns,
    information_coefficient,
    information_decay,
    rank_ic,
    returns_by_quantile,
)
from sapphire.statistics.longrun import (
    automatic_lags,
    automatic_standard_error,
    newey_west_standard_error,
    overlap_lags,
)
from sapphire.statistics.market import MarketModel, market_model
from sapphire.statistics.moments import ReturnMoments, return_moments
from sapphire.statistics.one_sided import (
    OneSidedTest,
    bootstrap_mean_test,
    bootstrap_sharpe_test,
    bootstrap_test,
    hac_mean_test,
    level_after_openings,
)
from sapphire.statistics.overfitting import Overfitting, probability_of_backtest_overfitting
from sapphire.statistics.pass_rates import PassRate, false_pass_rate, planted_pass_rate
from sapphire.statistics.probability_calibration import ProbabilityCalibration, fit_probability_calibration
from sapphire.statistics.probability_maps import isotonic_steps, platt_scaling, temperature_scaling
from sapphire.statistics.reliability import (
    Coverage,
    MeanCalibration,
    interval_coverage,
    mean_calibration,
    normal_interval,
    quantile_coverage,
)
from sapphire.statistics.samples import MINIMUM_RETURNS
from sapphire.statistics.scoring import brier_scores, gaussian_log_scores, log_scores, probability_up
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
from sapphire.statistics.slopes import FoldSlope, SlopeReport, slope_report
from sapphire.statistics.superior import SuperiorAbility, step_m, superior_predictive_ability
from sapphire.statistics.trials import alike_trials, effective_number_of_trials, sharpe_at_interval, variance_of_trials

__all__ = [
    "MINIMUM_RETURNS",
    "AdaptiveConformal",
    "BrierDecomposition",
    "Calibration",
    "ConfidenceInterval",
    "Convention",
    "Coverage",
    "DirectionCalibration",
    "Discoveries",
    "Drawdown",
    "Drift",
    "FoldSlope",
    "IndexSplit",
    "Information",
    "MarketModel",
    "MeanCalibration",
    "OneSidedTest",
    "Overfitting",
    "PairedDifference",
    "PassRate",
    "ProbabilityCalibration",
    "QuantileReturn",
    "ReferenceHistogram",
    "ReliabilityBin",
    "ReturnMoments",
    "ScoreCalibration",
    "SlopeReport",
    "SplitConformal",
    "SuperiorAbility",
    "adaptive_conformal",
    "alike_trials",
    "annualise",
    "automatic_lags",
    "automatic_standard_error",
    "block_length",
    "bootstrap_interval",
    "bootstrap_mean_test",
    "bootstrap_sharpe_test",
    "bootstrap_test",
    "brier_decomposition",
    "brier_scores",
    "calibration_from_arrays",
    "combinatorial_paths",
    "combinatorial_purged_splits",
    "critical_sharpe_ratio",
    "deflated_sharpe_ratio",
    "deflated_sharpe_ratio_2025",
    "discoveries",
    "drawdown_series",
    "drift_of",
    "drift_threshold",
    "effective_number_of_trials",
    "expected_calibration_error",
    "expected_maximum_sharpe",
    "false_pass_rate",
    "fit_direction_calibration",
    "fit_probability_calibration",
    "fit_score_calibration",
    "fit_split_conformal",
    "forward_returns",
    "gaussian_log_scores",
    "hac_mean_test",
    "information_coefficient",
    "information_decay",
    "interval_coverage",
    "isotonic_steps",
    "level_after_openings",
    "log_scores",
    "market_model",
    "maximum_drawdown",
    "mean_calibration",
    "minimum_backtest_length",
    "minimum_track_record_length",
    "newey_west_standard_error",
    "normal_interval",
    "observed_false_discovery_rate",
    "one_sided_difference",
    "overlap_lags",
    "planned_false_discovery_rate",
    "planted_pass_rate",
    "platt_scaling",
    "population_stability_index",
    "probabilistic_sharpe_ratio",
    "probability_of_backtest_overfitting",
    "probability_up",
    "psr_2012",
    "psr_2025",
    "purged_k_fold_splits",
    "quantile_coverage",
    "rank_ic",
    "reference_histogram",
    "reliability_diagram",
    "return_moments",
    "returns_by_quantile",
    "sharpe_at_interval",
    "sharpe_ratio",
    "sharpe_ratio_for_rate",
    "sharpe_ratio_power",
    "sharpe_standard_error",
    "shrinkage",
    "slope_report",
    "sortino_ratio",
    "step_m",
    "superior_predictive_ability",
    "temperature_scaling",
    "variance_of_trials",
    "wilson_interval",
]
