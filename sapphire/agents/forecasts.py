"""Forecasts from what agents state: a mean and a deviation out of quantiles, and beliefs out of views."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from sapphire.agents.view_panels import ViewPanel
from sapphire.domain.errors import AgentError
from sapphire.domain.views import Belief, View

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["beliefs_from", "forecast_of", "forecast_panel", "normal_from_quantiles"]


def normal_from_quantiles(
    levels: Sequence[float], values_bps: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    r"""Mean and deviation of the normal distribution whose quantiles lie nearest, by least squares on normal scores.

    .. math:: q_p \approx \mu + \sigma\, z_p, \quad z_p = \Phi^{-1}(p)

    Parameters
    ----------
    levels : K probabilities, two or more.
    values_bps : [..., K], the quantile of each.

    Returns
    -------
    mean, std : [...]; exact where the quantiles are a normal distribution's.

    References
    ----------
    Blom (1958), Statistical estimates and transformed beta-variables: the line through a normal probability plot.

    >>> mean, std = normal_from_quantiles([0.1, 0.5, 0.9], np.array([-7.8155, 5.0, 17.8155]))
    >>> round(float(mean), 6), round(float(std), 3)
    (5.0, 10.0)
    """
    scores = np.array([NormalDist().inv_cdf(level) for level in levels])
    centred = scores - scores.mean()
    values = np.asarray(values_bps, dtype=np.float64)
    std = (values * centred).sum(axis=-1) / (centred**2).sum()
    return np.asarray(values.mean(axis=-1) - std * scores.mean()), np.asarray(std)


def forecast_of(view: View) -> tuple[float, float]:
    """Mean and deviation of a view that states a forecast or quantiles, in basis points.

    Raises
    ------
    AgentError : the view is a bare score.
    """
    if view.mean_bps is not None and view.std_bps is not None:
        return view.mean_bps, view.std_bps
    if view.quantiles_bps is not None:
        mean, std = normal_from_quantiles(list(view.quantiles_bps), np.array(list(view.quantiles_bps.values())))
        return float(mean), float(std)
    raise _bare_score(view.agent or "an agent")


def forecast_panel(panel: ViewPanel, agent: str) -> ViewPanel:
    """The same panel as means and deviations.

    Raises
    ------
    AgentError : the panel is of bare scores.
    """
    if panel.mean_bps is not None:
        return panel
    if panel.quantiles_bps is None:
        raise _bare_score(agent)
    import pandas as pd

    frame = next(iter(panel.quantiles_bps.values()))
    stacked = np.stack([of.to_numpy(dtype=np.float64) for of in panel.quantiles_bps.values()], axis=-1)
    mean, std = normal_from_quantiles(list(panel.quantiles_bps), stacked)
    std = np.where(std > 0.0, std, np.nan)
    means, stds = (pd.DataFrame(of, index=frame.index, columns=frame.columns) for of in (mean, std))
    return ViewPanel(horizon=panel.horizon, mean_bps=means, std_bps=stds).silent_before(0)


def beliefs_from(views: Iterable[View]) -> list[Belief]:
    """A belief of each view that states a forecast or quantiles; quantiles without any spread are left out.

    Raises
    ------
    AgentError : a bare score.
    """
    made = []
    for view in views:
        mean, std = forecast_of(view)
        if std > 0.0:
            made.append(Belief(view.symbol, view.as_of, view.horizon, mean, std))
    return made


def _bare_score(agent: str) -> AgentError:
    return AgentError(
        f"{agent} states a score, not a forecast",
        expected="mean_bps with std_bps, or quantiles",
        got="score",
        next="Calibrated(agent).fit(train, seed=7) learns what the score is worth",
    )
