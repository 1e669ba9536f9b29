"""Pool: several agents that speak as one.

In: agents over the same horizon.  Out: one forecast per symbol.
Never: pools a bare score; each member is calibrated on the training window first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from sapphire.agents.agent import Agent
from sapphire.agents.arrays import Arrays
from sapphire.agents.calibrated import Calibrated
from sapphire.agents.forecasts import beliefs_from
from sapphire.agents.panels import frame_of, view_panel
from sapphire.agents.view_panels import ViewPanel
from sapphire.domain.errors import AgentError
from sapphire.domain.views import Belief, View, ViewNote
from sapphire.domain.windows import Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sapphire.domain.bars import Bars

    Floats = NDArray[np.float64]

__all__ = ["Method", "Pool", "pooled"]

Method = Literal["linear", "logarithmic"]
"""How beliefs are pooled: as a mixture, or by their precisions."""


def pooled(means: Floats, stds: Floats, weights: Floats, method: Method) -> tuple[Floats, Floats]:
    r"""Mean and deviation of a pool of normal beliefs; a member without one (NaN) leaves its weight to the others.

    The linear pool is the mixture, whose deviation grows where members disagree:

    .. math:: \mu = \sum_i w_i \mu_i, \quad \sigma^2 = \sum_i w_i (\sigma_i^2 + \mu_i^2) - \mu^2

    The logarithmic pool is the normal distribution proportional to the product of the densities to the power of their
    weights. Members count by their precisions, and agreement adds no certainty that the surest of them lacks:

    .. math:: \sigma^{-2} = \sum_i w_i \sigma_i^{-2}, \quad \mu = \sigma^2 \sum_i w_i \sigma_i^{-2} \mu_i

    Parameters
    ----------
    means, stds : [K, ...], member first, in one unit.
    weights : [K], zero or more.

    Returns
    -------
    mean, std : [...], NaN where no member with weight speaks.

    References
    ----------
    Stone (1961), The opinion pool, Annals of Mathematical Statistics 32(4). Genest and Zidek (1986), Combining
    probability distributions, Statistical Science 1(1), sections 3.1 and 3.2.

    >>> says = np.array([[10.0], [-10.0]]), np.array([[50.0], [50.0]]), np.array([0.5, 0.5])
    >>> [of.round(3).tolist() for of in pooled(*says, "linear")], [of.tolist() for of in pooled(*says, "logarithmic")]
    ([[0.0], [50.99]], [[0.0], [50.0]])
    """
    there = np.isfinite(means) & np.isfinite(stds)
    share = np.where(there, weights.reshape(-1, *[1] * (means.ndim - 1)), 0.0)
    total = share.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = share / total
        mean, std = np.where(there, means, 0.0), np.where(there, stds, 1.0)
        if method == "linear":
            middle = (share * mean).sum(axis=0)
            spread = np.sqrt((share * (std**2 + (mean - middle) ** 2)).sum(axis=0))
        else:
            precision = share / std**2
            middle = (precision * mean).sum(axis=0) / precision.sum(axis=0)
            spread = 1.0 / np.sqrt(precision.sum(axis=0))
    silent = ~(total > 0.0)
    return np.where(silent, np.nan, middle), np.where(silent, np.nan, spread)


@dataclass(frozen=True)
class Pool(Agent):
    """Pools the calibrated forecasts of its agents, and is an agent itself.

    Parameters
    ----------
    agents : two or more, over one horizon; those that are not `Calibrated` yet are wrapped.
    weights : "equal", or one number of zero or more per agent; only their proportions matter.
    method : "linear" (a mixture: disagreement widens it) or "logarithmic" (weighted by precision).

    Raises
    ------
    AgentError : fewer than two agents, several horizons, weights that do not fit.
    """

    agents: tuple[Agent, ...]
    weights: Literal["equal"] | tuple[float, ...] = "equal"
    method: Method = "linear"

    def __post_init__(self) -> None:
        members = tuple(agent if isinstance(agent, Calibrated) else Calibrated(agent) for agent in self.agents)
        object.__setattr__(self, "agents", members)
        if len(members) < 2 or len({member.horizon for member in members}) > 1:
            raise AgentError(
                "agents that cannot be pooled",
                expected="two or more agents over one horizon",
                got=", ".join(f"{member.agent.name} over {member.horizon}" for member in members) or "none",
                next="agent.replace(horizon=...)",
            )
        if self.method not in ("linear", "logarithmic"):
            raise AgentError("no such pool", expected="linear or logarithmic", got=repr(self.method))
        if self.weights != "equal" and not _sound(self.weights, len(members)):
            raise AgentError(
                "weights that do not fit the pool",
                expected=f"{len(members)} numbers of zero or more, not all zero, or 'equal'",
                got=str(self.weights),
            )

    @property
    def members(self) -> tuple[Calibrated, ...]:
        """The agents, each with its calibration."""
        return tuple(agent for agent in self.agents if isinstance(agent, Calibrated))

    @property
    def shares(self) -> Floats:
        """The weights, summing to one."""
        raw = np.ones(len(self.agents)) if isinstance(self.weights, str) else np.array(self.weights)
        return np.asarray(raw / raw.sum())

    @property
    def warmup(self) -> int:
        """The longest of the members', so that all of them speak."""
        return max(member.warmup for member in self.members)

    @property
    def horizon(self) -> timedelta:
        """The members'."""
        return self.agents[0].horizon

    @property
    def features(self) -> tuple[str, ...]:
        """All that a member names, each once."""
        return tuple(dict.fromkeys(name for member in self.members for name in member.features))

    @property
    def has_twin(self) -> bool:
        """Whether every member has one."""
        return all(member.has_twin for member in self.members)

    @property
    def is_fitted(self) -> bool:
        """Whether every member is."""
        return all(member.is_fitted for member in self.members)

    def parts(self) -> tuple[Agent, ...]:
        """The members."""
        return self.agents

    def card(self) -> dict[str, Any]:
        """Each member's card with its share."""
        shares = (round(float(share), 6) for share in self.shares)
        of = [{**member.card(), "share": share} for member, share in zip(self.members, shares, strict=True)]
        return {**super().card(), "of": of}

    def fit(self, train: Bars, seed: int) -> Self:
        """Fit and calibrate every member on `train`; member i learns with seed + i."""
        return replace(self, agents=tuple(member.fit(train, seed + i) for i, member in enumerate(self.members)))

    def views(self, window: Window) -> list[View]:
        """One forecast per symbol that any member with weight has a view of."""
        import pandas as pd

        by_member = [{view.symbol: view for view in member.views(_shown(member, window))} for member in self.members]
        numbers = np.full((2, len(by_member), len(window.symbols)), np.nan)
        for i, views in enumerate(by_member):
            for j, symbol in enumerate(window.symbols):
                if symbol in views:
                    numbers[:, i, j] = views[symbol].mean_bps, views[symbol].std_bps
        of_pool = pooled(numbers[0], numbers[1], self.shares, self.method)
        mean, std = (pd.Series(of, index=list(window.symbols)) for of in of_pool)
        notes = {symbol: self._note([views.get(symbol) for views in by_member]) for symbol in window.symbols}
        beside = {symbol: note for symbol, note in notes.items() if note is not None}
        return window.views(mean_bps=mean, std_bps=std, horizon=self.horizon, notes=beside)

    def _note(self, views: Sequence[View | None]) -> ViewNote | None:
        """What stands beside the members' views of one symbol, by their names; those without weight decide nothing."""
        spoken = zip(self.members, self.shares, views, strict=True)
        return ViewNote.joined(
            [(member.agent.name, view.note) for member, share, view in spoken if share > 0 and view and view.note]
        )

    def views_panel(self, bars: Bars) -> ViewPanel:
        """The same at every bar, by the members' twins where they have one."""
        return self.pooled_panel([view_panel(member, bars) for member in self.members], bars)

    def pooled_panel(self, panels: Sequence[ViewPanel], bars: Bars) -> ViewPanel:
        """One panel of what the members, in their order, forecast at these bars."""
        names = ("mean_bps", "std_bps")
        means, stds = (np.stack([panel.numbers[name].to_numpy() for panel in panels]) for name in names)
        mean, std = pooled(means, stds, self.shares, self.method)
        return ViewPanel(horizon=self.horizon, mean_bps=frame_of(mean, bars), std_bps=frame_of(std, bars))

    def beliefs(self, window: Window) -> list[Belief]:
        """The views as beliefs."""
        return beliefs_from(self.views(window))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Each member's arrays under its place, "0.", "1.", ..."""
        learned: dict[str, NDArray[Any]] = {}
        for place, member in enumerate(self.members):
            learned |= Arrays(member.arrays()).named(str(place))
        return learned

    def with_arrays(self, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Every member with its arrays, as `arrays()` gave them.

        Raises
        ------
        AgentError : an array of no member.
        """
        given = Arrays(arrays)
        placed = [given.under(str(place)) for place in range(len(self.agents))]
        if sum(map(len, placed)) != len(given):
            raise AgentError(
                "arrays that are not this pool's",
                expected=f"names that start with 0. to {len(self.agents) - 1}.",
                got=", ".join(list(given)[:5]),
            )
        loaded = (member.with_arrays(of) for member, of in zip(self.members, placed, strict=True))
        return replace(self, agents=tuple(loaded))


def _shown(member: Agent, window: Window) -> Window:
    """What a member sees of the pool's window: its own warm-up, as when it was calibrated."""
    return Window(window.bars.tail(member.warmup), window.as_of, window.features)


def _sound(weights: object, count: int) -> bool:
    if not isinstance(weights, tuple) or len(weights) != count:
        return False
    return all(math.isfinite(weight) and weight >= 0.0 for weight in weights) and sum(weights) > 0.0
