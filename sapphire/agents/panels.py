"""What an agent says over whole panels of bars, and what came afterwards.

A window is what production hands over: the agent's warm-up of closed bars, however long the history is. `view_panel`
takes the vectorised twin where there is one that says the same, and goes window by window where not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from sapphire.agents.agent import Agent
from sapphire.agents.answers import batch_by, panel_by, shown_to, views_by
from sapphire.agents.differences import far_apart, numbers_of_panel, numbers_of_views
from sapphire.agents.remembered import remembered_batch, remembered_views
from sapphire.agents.view_panels import Kind, ViewPanel, kind_of, numbers_of
from sapphire.domain.clocks import from_ns
from sapphire.domain.errors import AgentError
from sapphire.domain.windows import Window

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from sapphire.domain.bars import Bars
    from sapphire.domain.intervals import Interval
    from sapphire.domain.views import View
    from sapphire.domain.windows import Feature

__all__ = [
    "LOOSEST_TOLERANCE",
    "TwinCheck",
    "features_of",
    "frame_of",
    "horizon_bars",
    "kind_stated",
    "outcomes_bps",
    "tolerance_of",
    "twin_panel",
    "twin_tolerance_of",
    "view_panel",
    "views_at",
    "views_at_each",
    "window_at",
    "window_panel",
]

LOOSEST_TOLERANCE = 1e-5
"""The largest relative difference that any agent may be allowed, whatever it asks for."""
_EXACT_TWIN = 1e-9
_SAMPLED = 32
_BATCH = 64
"""Windows that an agent is asked about at once."""
_DICE = np.random.default_rng()
"""From the system's entropy: no agent can know beforehand where its twin is compared."""


def frame_of(values: NDArray[np.float64], bars: Bars) -> pd.DataFrame:
    """An array [T, S] as a frame with the rows and columns of `bars`."""
    import pandas as pd

    return pd.DataFrame(values, index=bars.times, columns=pd.Index(bars.symbols, name="symbol"))


def horizon_bars(horizon: timedelta, interval: Interval) -> int:
    """Length of a horizon in bars.

    Raises
    ------
    AgentError : it is not a whole number of bars, at least one.
    """
    whole, rest = divmod(horizon, interval.timedelta)
    if rest or whole < 1:
        raise AgentError(
            "a horizon that these bars cannot measure",
            expected=f"a multiple of {interval}, at least one",
            got=str(horizon),
            next="agent.replace(horizon=...), or bars of another interval",
        )
    return whole


def outcomes_bps(bars: Bars, horizon: timedelta) -> pd.DataFrame:
    r"""Return from each close to the close one horizon later, in basis points.

    .. math:: y_t = 10^4 \left(c_{t+h} / c_t - 1\right)

    Returns
    -------
    [T, S], close time by symbol. NaN where it is not known: the last rows, a symbol not listed at either end, bars
    missing in between.

    Raises
    ------
    AgentError : the horizon is not a whole number of bars.
    """
    from sapphire.statistics import forward_returns

    ahead = horizon_bars(horizon, bars.interval)
    came = np.full(bars.close.shape, np.nan)
    if len(bars) > ahead:
        came = 1e4 * forward_returns(bars.close, horizon_bars=ahead)
        lasted = bars.open_time_ns[ahead:] - bars.open_time_ns[:-ahead]
        came[:-ahead][lasted != ahead * bars.interval.ns] = np.nan
    return frame_of(came, bars)


def features_of(agent: Agent) -> Mapping[str, Feature]:
    """The features that the agent's windows have: those it names."""
    if not agent.features:
        return {}
    from sapphire.data.features import FeatureSet

    return FeatureSet(agent.features)


def window_at(agent: Agent, bars: Bars, row: int, *, length: int | None = None) -> Window:
    """What `agent` sees at the close of bar `row`: its warm-up of bars up to it, the features and documents it names.

    Parameters
    ----------
    length : so many bars instead of its warm-up.
    """
    seen = shown_to(agent, bars.rows(max(0, row + 1 - (length or agent.warmup)), row + 1))
    return Window(seen, from_ns(int(bars.close_time_ns[row])), features_of(agent))


def views_at(agent: Agent, bars: Bars, row: int) -> list[View]:
    """The views of `agent` at the close of bar `row`, from a window of its warm-up or remembered; none before."""
    if row + 1 < agent.warmup:
        return []
    return remembered_views(agent, bars, row, lambda at: views_by(agent, window_at(agent, bars, at)))


def views_at_each(agent: Agent, bars: Bars, rows: Sequence[int]) -> Iterator[tuple[int, list[View]]]:
    """The views of `agent` at the closes of some bars, row by row; see `views_at`. Asked together where it can be."""
    known = [row for row in rows if row + 1 >= agent.warmup]
    if not agent.has_batch:
        yield from ((row, views_at(agent, bars, row)) for row in known)
        return
    for first in range(0, len(known), _BATCH):
        chunk = known[first : first + _BATCH]
        answers = remembered_batch(
            agent, bars, chunk, lambda some: batch_by(agent, [window_at(agent, bars, row) for row in some])
        )
        yield from zip(chunk, answers, strict=True)


def kind_stated(agent: Agent, bars: Bars) -> Kind | None:
    """What `agent` states, read off its latest view of these bars; None where it has none at all."""
    bars = shown_to(agent, bars)
    for row in range(len(bars) - 1, -1, -1):
        views = views_at(agent, bars, row)
        if views:
            return kind_of(views[0])
    return None


@dataclass(slots=True)
class TwinCheck:
    """How a twin is compared with the views before its panel is taken, and whether it was found to differ.

    Parameters
    ----------
    rows : of the sample.
    differs : whether a twin did.
    """

    rows: int = _SAMPLED
    differs: bool = False


def view_panel(agent: Agent, bars: Bars, check: TwinCheck | None = None) -> ViewPanel:
    """The views of `agent` at every bar: by its twin where that equals the views on a sample, else window by window.

    Parameters
    ----------
    check : how large the sample is; keeps whether the twin differs.

    Raises
    ------
    AgentError : views of different kinds, or a twin whose panel is not about `bars`.
    NotFitted : it learns and has not.
    """
    bars = shown_to(agent, bars)
    panel, check = twin_panel(agent, bars), check or TwinCheck()
    # an agent that is made of others takes their panels by this function, so they have been compared
    if panel is not None and (agent.parts() or _equals_views(agent, bars, panel, check.rows)):
        return panel
    check.differs = panel is not None
    return window_panel(agent, bars)


def twin_panel(agent: Agent, bars: Bars) -> ViewPanel | None:
    """What the twin says at every bar from the warm-up on, whether it is right or not; None where there is no twin.

    Raises
    ------
    AgentError : a panel that is not about `bars`.
    NotFitted : it learns and has not.
    """
    agent.require_fitted()
    panel = panel_by(agent, bars)
    if panel is None:
        return None
    return panel.silent_before(agent.warmup - 1)


def twin_tolerance_of(agent: Agent) -> float:
    """How far views and twin may differ: the loosest that the agent or a part asks for, as far as that is allowed."""
    return min(LOOSEST_TOLERANCE, max(agent.twin_tolerance, *map(twin_tolerance_of, agent.parts()), 0.0))


def tolerance_of(agent: Agent) -> float:
    """How far views may be from those of another process on this machine, relative: 0 where all of it is float64."""
    arrays = () if agent.parts() else agent.arrays().values()  # those of its parts are asked of the parts
    coarse = any(array.dtype.kind == "f" and array.dtype.itemsize < 8 for array in arrays)
    own = min(agent.twin_tolerance, LOOSEST_TOLERANCE) if coarse or agent.twin_tolerance > _EXACT_TWIN else 0.0
    return max(own, *map(tolerance_of, agent.parts()), 0.0)


def _equals_views(agent: Agent, bars: Bars, panel: ViewPanel, sampled: int) -> bool:
    """Whether a twin's panel is that of the views, on a sample."""
    rows = np.arange(agent.warmup - 1, len(bars))
    if rows.size > sampled:
        rows = np.sort(_DICE.choice(rows, sampled, replace=False))
    of_views = numbers_of_views((views_at(agent, bars, int(row)) for row in rows), bars.symbols)
    twin = {name: values[rows] for name, values in numbers_of_panel(panel).items()}
    return panel.horizon == agent.horizon and far_apart(of_views, twin, bars, rows).worst <= twin_tolerance_of(agent)


def window_panel(agent: Agent, bars: Bars, *, first: int = 0) -> ViewPanel:
    """The views of `agent` at every bar from row `first` on, window by window: what its twin must equal.

    Raises
    ------
    AgentError : views of different kinds or horizons.
    NotFitted : it learns and has not.
    """
    agent.require_fitted()
    bars = shown_to(agent, bars)
    columns = {symbol: column for column, symbol in enumerate(bars.symbols)}
    numbers: dict[str, NDArray[np.float64]] = {}
    for row, views in views_at_each(agent, bars, range(first, len(bars))):
        if views and not numbers:
            numbers = {name: np.full(bars.close.shape, np.nan) for name in numbers_of(views[0])}
        for view in views:
            stated = numbers_of(view)
            _require_alike(agent, view, stated, numbers)
            for name, value in stated.items():
                numbers[name][row, columns[view.symbol]] = value
    return _panel_of({name: frame_of(values, bars) for name, values in numbers.items()}, bars, agent.horizon)


def _require_alike(agent: Agent, view: View, stated: Mapping[str, float], names: Iterable[str]) -> None:
    if set(stated) == set(names) and view.horizon == agent.horizon:
        return
    raise AgentError(
        f"the views of {agent.name} do not form a panel",
        expected=f"{', '.join(names)} over {agent.horizon}, as in its first view",
        got=f"{', '.join(stated)} over {view.horizon} at {view.as_of.isoformat()}",
        next="state one kind of view, always over agent.horizon",
    )


def _panel_of(frames: Mapping[str, pd.DataFrame], bars: Bars, horizon: timedelta) -> ViewPanel:
    if not frames:  # it never said anything
        return ViewPanel(horizon=horizon, score=frame_of(np.full(bars.close.shape, np.nan), bars))
    if all(name.startswith("q") for name in frames):
        return ViewPanel(horizon=horizon, quantiles_bps={float(name[1:]): frame for name, frame in frames.items()})
    named: dict[str, Any] = dict(frames)
    return ViewPanel(horizon=horizon, **named)
