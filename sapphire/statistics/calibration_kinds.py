"""The calibrations that there are, behind one protocol: of a score, and of log-odds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from sapphire.statistics.calibration import ScoreCalibration
from sapphire.statistics.direction import DirectionCalibration

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from sapphire.statistics.samples import FloatArray

__all__ = ["Calibration", "calibration_from_arrays"]


class Calibration(Protocol):
    """A fitted map from what an agent states to (mean_bps, std_bps), which travels as arrays."""

    @property
    def pairs(self) -> float:
        """Number of training pairs."""

    def apply(self, scores: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Forecasts of what is stated, of any shape: (mean_bps, std_bps), both of that shape; NaN for NaN."""

    def card(self) -> dict[str, Any]:
        """What a reader should know of it, as plain values."""

    def to_arrays(self) -> dict[str, FloatArray]:
        """The map as named float64 arrays, for a safetensors file."""


def calibration_from_arrays(arrays: Mapping[str, npt.NDArray[np.float64]]) -> Calibration:
    """The calibration that `to_arrays` wrote, of whichever kind its names are.

    Raises
    ------
    StatisticsError : a name is missing or unknown, or an array has another shape.

    >>> import numpy as np
    >>> from sapphire.statistics.calibration import fit_score_calibration
    >>> fitted = fit_score_calibration(np.arange(40.0), np.sin(np.arange(40.0)))
    >>> calibration_from_arrays(fitted.to_arrays()) == fitted
    True
    """
    if "method" in arrays:
        return DirectionCalibration.from_arrays(arrays)
    return ScoreCalibration.from_arrays(arrays)
