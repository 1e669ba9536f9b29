"""Pool: several agents that speak as one.

In: agents over the same horizon.  Out: one forecast per symbol.
Never: pools a bare score; each member is calibrated on the training window first.
"""

from __future__ import annotations

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
from sapphire.agents.pooling import Method, Pooling
from sapphire.agents.view_panels import ViewPanel
from sapphire.domain.errors import AgentError
from sapphire.domain.views import Belief, View
from sapphire.domain.windows import Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sapphire.domain.bars import Bars

    Floats = NDArray[np.float64]

__all__ = ["Pool"]


@dataclass(frozen=True)
class Pool(Agent):
    """Pools the calibrated forecasts of its agents, and is an agent itself.

    Parameters
    ----------
    agents : two or more, over one horizon; those that are not `Calibrated` yet are wrapped.
    weights : "equal", or one number of zero or more per agent; only their proportions matter.
    method : "linear" (a mixture: disagreement widens it) or "logarithmic" (weighted by precision).
    quorum : agents with weight that must speak of a symbol; with fewer the pool says nothing of it.
    member_bound : annualised Sharpe ratio by which one agent may move the pool's at most, whatever it says; None for no
        bound. `VolatilityTarget` moves a target by `member_bound / full_conviction` of the volatility budget then.
    drift_window : bars after which an agent that trades is held against what it said before; one that drifted trades in
        shadow from then on. 0 for never. A study demotes nobody.

    Raises
    ------
    AgentError : fewer than two agents, several horizons, weights, a quorum, a bound or a window that do not fit.
    """

    agents: tuple[Agent, ...]
    weights: Literal["equal"] | tuple[float, ...] = "equal"
    method: Method = "linear"
    quorum: int = 1
    member_bound: float | None = None
    drift_window: int = 0

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
        if not isinstance(self.weights, str) and not isinstance(self.weights, tuple):
            raise AgentError("weights of a pool", expected="a tuple of numbers, or 'equal'", got=repr(self.weights))
        _ = self.pooling  # refuses what cannot be pooled

    @property
    def members(self) -> tuple[Calibrated, ...]:
        """The agents, each with its calibration."""
        return tuple(agent for agent in self.agents if isinstance(agent, Calibrated))

    @property
    def pooling(self) -> Pooling:
        """How its agents become one."""
        names = tuple(member.agent.name for member in self.members)
        weights = (1.0,) * len(names) if self.weights == "equal" else tuple(self.weights)
        return Pooling(names, weights, self.method, self.quorum, self.member_bound, self.drift_window)

    @property
    def shares(self) -> Floats:
        """The weights, summing to one."""
        return self.pooling.shares

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
        """One forecast per symbol that enough members with weight have a view of."""
        return self.views_of(window, [True] * len(self.members))

    def views_of(self, window: Window, heard: Sequence[bool]) -> list[View]:
        """The same where some members are not heard: those are not asked, and are silent.

        Parameters
        ----------
        heard : for each member in their order.
        """
        by_member = [
            {view.symbol: view for view in member.views(_shown(member, window))} if is_heard else {}
            for member, is_heard in zip(self.members, heard, strict=True)
        ]
        return self.pooling.views(by_member, window.symbols, window.as_of, self.horizon)

    def views_panel(self, bars: Bars) -> ViewPanel:
        """The same at every bar, by the members' twins where they have one."""
        return self.pooled_panel([view_panel(member, bars) for member in self.members], bars)

    def pooled_panel(self, panels: Sequence[ViewPanel], bars: Bars) -> ViewPanel:
        """One panel of what the members, in their order, forecast at these bars."""
        names = ("mean_bps", "std_bps")
        means, stds = (np.stack([panel.numbers[name].to_numpy() for panel in panels]) for name in names)
        mean, std = self.pooling.forecasts(means, stds, self.horizon)
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
