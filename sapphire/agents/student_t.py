"""Student-t distributions of returns, and whether their intervals hold what they say."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sapphire.statistics import fit_split_conformal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["StudentT"]


class StudentT(NamedTuple):
    """Student-t distributions of the return over the horizon; each array [T, S], NaN where there is no forecast."""

    degrees: Floats
    loc_bps: Floats
    scale_bps: Floats

    @property
    def std_bps(self) -> Floats:
        """Standard deviation: scale times sqrt(df / (df - 2)), for df above 2."""
        return np.asarray(self.scale_bps * np.sqrt(self.degrees / (self.degrees - 2.0)))

    def conformal_factor(self, outcomes_bps: Floats, *, first: int, horizon_bars: int) -> float:
        """What deviations are multiplied by, so that their normal 80 % interval holds 80 % of the outcomes.

        Parameters
        ----------
        outcomes_bps : [T, S], NaN where not known.
        first : row from which on the outcomes count: those before were learned from.
        horizon_bars : how many bars ahead they look.

        Raises
        ------
        TooFewReturns : too few outcomes.

        References
        ----------
        Lei et al. (2018), see `fit_split_conformal`.
        """
        stated = self.loc_bps[first:], self.std_bps[first:]
        return fit_split_conformal(*stated, outcomes_bps[first:], coverage=0.8, horizon_bars=horizon_bars).std_factor
