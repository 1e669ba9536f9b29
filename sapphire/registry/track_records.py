"""Track records: how long one has to be to show the Sharpe ratio that it has, in words for a gate's note."""

from __future__ import annotations

import math

from sapphire.domain.errors import StatisticsError
from sapphire.registry.measurements import WalkForwardEvidence

__all__ = ["minimum_track_record_text"]

_CONFIDENCE = 0.95


def minimum_track_record_text(walk: WalkForwardEvidence) -> str:
    """MinTRL of the walk-forward returns: above a Sharpe ratio of 0, and above the luck of as many trials.

    References
    ----------
    Bailey and Lopez de Prado (2012), The Sharpe ratio efficient frontier, Journal of Risk 15(2).
    """
    from sapphire.statistics import expected_maximum_sharpe, minimum_track_record_length

    if walk.sharpe is None or walk.skew is None or walk.kurtosis is None:
        return "no MinTRL: they do not vary"
    least = []
    try:
        for benchmark in (0.0, expected_maximum_sharpe(walk.trials, walk.variance_of_trials)):
            needed = minimum_track_record_length(
                walk.sharpe, benchmark=benchmark, confidence=_CONFIDENCE, skew=walk.skew, kurtosis=walk.kurtosis
            )
            least.append(f"{math.ceil(needed):,}" if math.isfinite(needed) else "none is enough")
    except StatisticsError as error:
        return f"no MinTRL: {error.what}"
    return f"MinTRL at {_CONFIDENCE:g}: {least[0]} for a Sharpe ratio above 0, {least[1]} above the luck of N"
