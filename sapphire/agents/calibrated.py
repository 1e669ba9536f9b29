"""Calibrated: an agent together with what its score is worth.

In: an agent, and training windows to fit the calibration on.  Out: views that state mean and deviation.
Never: looks at an outcome outside its training window.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from sapphire.agents.agent import Agent, fitted
from sapphire.agents.answers import fitted_by, views_by
from sapphire.agents.arrays import Arrays
from sapphire.agents.forecasts import beliefs_from, forecast_of, forecast_panel
from sapphire.agents.panels import frame_of, horizon_bars, kind_stated, outcomes_bps, view_panel
from sapphire.agents.view_panels import ViewPanel
from sapphire.domain.errors import AgentError, NotFitted
from sapphire.domain.views import Belief, View
from sapphire.statistics import (
    Calibration,
    calibration_from_arrays,
    fit_direction_calibration,
    fit_score_calibration,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sapphire.domain.bars import Bars
    from sapphire.domain.windows import Window

__all__ = ["Calibrated", "forecasts_of"]

_LEARNING_SHARE = 0.7


@dataclass(frozen=True)
class Calibrated(Agent):
    """Turns an agent's score into a forecast; an agent that forecasts by itself passes through.

    A score becomes mean and deviation by `ScoreCalibration`; one that is the log-odds of a rise (`score_is`), by
    `DirectionCalibration`: a calibrated probability, and how far prices moved when they rose and when they fell.
    Quantiles become the mean and deviation of the nearest normal distribution (`normal_from_quantiles`). Mean and
    deviation stay as they are.

    Parameters
    ----------
    agent : whose views.
    calibration : fitted before; `fit` makes it.
    """

    agent: Agent
    calibration: Calibration | None = fitted(default=None)  # noqa: RUF009  (makes a dataclass field)

    @property
    def warmup(self) -> int:
        """The agent's."""
        return self.agent.warmup

    @property
    def horizon(self) -> timedelta:
        """The agent's."""
        return self.agent.horizon

    @property
    def features(self) -> tuple[str, ...]:
        """The agent's."""
        return self.agent.features

    @property
    def has_twin(self) -> bool:
        """Whether the agent has one."""
        return self.agent.has_twin

    @property
    def is_fitted(self) -> bool:
        """Whether the agent is; a score without a calibration is refused when it comes."""
        return self.agent.is_fitted

    def parts(self) -> tuple[Agent, ...]:
        """The agent."""
        return (self.agent,)

    def card(self) -> dict[str, Any]:
        """The agent's card, and what its score was found to be worth."""
        card = {**super().card(), "of": self.agent.card()}
        if self.calibration is not None:
            card["calibration"] = self.calibration.card()
        return card

    def fit(self, train: Bars, seed: int) -> Self:
        """Fit the agent, then, where it states scores, the calibration; both on `train` alone.

        An agent that learns would flatter itself on the bars it learned from. It learns from the first 70 % and is
        calibrated on the rest, one horizon later; it stays the agent of the first part, because that is the one whose
        score was measured.

        A study fits once in each fold, on the bars of its training windows, so calibrations follow each other in the
        order of time. An outcome that was not known at the end of `train` is none of its pairs: no calibration looks
        ahead.

        Raises
        ------
        TooFewReturns : fewer than 30 scores with a known outcome.
        StatisticsError : outcomes that do not vary; of log-odds, prices that only rose or never did.
        """
        agent = fitted_by(self.agent, train, seed)
        if kind_stated(agent, train) != "score":
            return replace(self, agent=agent, calibration=None)
        ahead = horizon_bars(self.horizon, train.interval)
        judged = train
        if agent.learns:
            learned = round(_LEARNING_SHARE * len(train))
            agent = fitted_by(self.agent, train.rows(0, learned), seed)
            judged = train.rows(max(0, learned + ahead - agent.warmup + 1), len(train))
        scores = view_panel(agent, judged).numbers["score"].to_numpy()
        outcomes = outcomes_bps(judged, self.horizon).to_numpy()
        fit = fit_direction_calibration if agent.score_is == "log_odds" else fit_score_calibration
        calibration: Calibration = fit(scores, outcomes, horizon_bars=ahead)
        return replace(self, agent=agent, calibration=calibration)

    def views(self, window: Window) -> list[View]:
        """The agent's views as forecasts.

        Raises
        ------
        NotFitted : a score, and no calibration.
        """
        return self.forecasts(views_by(self.agent, window))

    def forecasts(self, views: list[View]) -> list[View]:
        """The agent's own views as forecasts; raises what `views` raises."""
        return forecasts_of(views, self.calibration, agent=self.agent.name)

    def views_panel(self, bars: Bars) -> ViewPanel:
        """The same at every bar, by the agent's twin where it has one."""
        return self.forecasts_panel(view_panel(self.agent, bars), bars)

    def forecasts_panel(self, panel: ViewPanel, bars: Bars) -> ViewPanel:
        """The agent's own panel of these bars as forecasts; raises what `views` raises."""
        if panel.score is None:
            return forecast_panel(panel, self.agent.name)
        mean, std = _worth(panel.score.to_numpy(), self.calibration, self.agent.name)
        return ViewPanel(horizon=self.horizon, mean_bps=frame_of(mean, bars), std_bps=frame_of(std, bars))

    def beliefs(self, window: Window) -> list[Belief]:
        """The views as beliefs."""
        return beliefs_from(self.views(window))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The agent's arrays under "agent.", the calibration's under "calibration."."""
        own = {} if self.calibration is None else Arrays(self.calibration.to_arrays()).named("calibration")
        return Arrays(self.agent.arrays()).named("agent") | own

    def with_arrays(self, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The agent and the calibration that `arrays()` gave.

        Raises
        ------
        AgentError : an array that belongs to neither.
        """
        given = Arrays(arrays)
        learned, worth = given.under("agent"), given.under("calibration")
        if len(learned) + len(worth) != len(given):
            raise AgentError(
                "arrays that are not a calibrated agent's",
                expected='names that start with "agent." or "calibration."',
                got=", ".join(list(given)[:5]),
            )
        calibration = calibration_from_arrays(worth) if worth else None
        return replace(self, agent=self.agent.with_arrays(learned), calibration=calibration)


def forecasts_of(views: Sequence[View], calibration: Calibration | None, *, agent: str) -> list[View]:
    """An agent's own views as forecasts, by what its score was found to be worth.

    Parameters
    ----------
    calibration : of its score; None where it forecasts by itself.
    agent : its name, for the message.

    Raises
    ------
    NotFitted : a score, and no calibration.
    """
    return [_forecast(view, calibration, agent) for view in views]


def _forecast(view: View, calibration: Calibration | None, agent: str) -> View:
    if view.mean_bps is not None:
        return view
    if view.score is None:
        mean, std = forecast_of(view)
    else:
        mean, std = (float(of) for of in _worth(view.score, calibration, agent))
    return View(view.symbol, view.as_of, view.horizon, mean_bps=mean, std_bps=std, agent=view.agent, note=view.note)


def _worth(
    scores: NDArray[Any] | float, calibration: Calibration | None, agent: str
) -> tuple[NDArray[Any], NDArray[Any]]:
    if calibration is None:
        if not np.isfinite(scores).any():  # an agent that never speaks needs no calibration
            return np.full_like(scores, np.nan), np.full_like(scores, np.nan)
        raise NotFitted(
            f"nobody knows what the score of {agent} is worth",
            expected="a calibration",
            got="none",
            next="Calibrated(agent).fit(train, seed=7); a study does it inside each split",
        )
    return calibration.apply(scores)
