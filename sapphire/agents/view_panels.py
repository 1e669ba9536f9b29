"""ViewPanel: what an agent says at every bar, as frames close time by symbol.

The frames' rows are the closes of the bars the panel is about, and what stands in a row may use nothing later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from sapphire.domain.display import kind_of_value
from sapphire.domain.errors import AgentError

if TYPE_CHECKING:
    import pandas as pd

    from sapphire.domain.bars import Bars
    from sapphire.domain.views import View

__all__ = ["Kind", "ViewPanel", "kind_of", "numbers_of"]

Kind = Literal["score", "forecast", "quantiles"]
"""What an agent states: a bare score, a mean with its deviation, or quantiles."""


def kind_of(view: View) -> Kind:
    """What a view states."""
    if view.score is not None:
        return "score"
    return "quantiles" if view.quantiles_bps is not None else "forecast"


def numbers_of(view: View) -> dict[str, float]:
    """The numbers a view states, by the names that a panel gives them."""
    if view.score is not None:
        return {"score": view.score}
    if view.quantiles_bps is not None:
        return {f"q{level:g}": value for level, value in view.quantiles_bps.items()}
    assert view.mean_bps is not None  # a View states exactly one thing
    assert view.std_bps is not None
    return {"mean_bps": view.mean_bps, "std_bps": view.std_bps}


@dataclass(frozen=True, slots=True, eq=False)
class ViewPanel:
    """Views of every bar. Exactly one of score, mean_bps with std_bps, quantiles_bps is stated.

    Parameters
    ----------
    horizon : how far the views look.
    score : [T, S] close time by symbol; NaN where the agent says nothing.
    mean_bps, std_bps : [T, S], expected return over the horizon and its standard deviation, in basis points.
    quantiles_bps : probability to [T, S] of return in basis points.

    Raises
    ------
    AgentError : none or more than one stated, what is no frame of numbers, or frames that are not of one shape.
    """

    horizon: timedelta
    score: pd.DataFrame | None = None
    mean_bps: pd.DataFrame | None = None
    std_bps: pd.DataFrame | None = None
    quantiles_bps: Mapping[float, pd.DataFrame] | None = None

    def __post_init__(self) -> None:
        forecast = (self.mean_bps is not None, self.std_bps is not None)
        stated = [self.score is not None, all(forecast), bool(self.quantiles_bps)]
        if sum(stated) != 1 or any(forecast) != all(forecast):
            raise AgentError(
                "a panel of views must state one thing",
                expected="exactly one of: score; mean_bps with std_bps; quantiles_bps",
                got=", ".join(self.numbers) or "nothing",
            )
        if not isinstance(self.horizon, timedelta):
            raise AgentError(
                "a panel without a horizon", expected="horizon=self.horizon", got=kind_of_value(self.horizon)
            )
        for name, frame in self.numbers.items():
            _require_frame(name, frame)
        first, *others = self.numbers.values()
        for frame in others:
            if not (frame.index.equals(first.index) and frame.columns.equals(first.columns)):
                raise AgentError(
                    "the frames of a panel do not fit each other",
                    expected=f"one index and one set of columns, {first.shape[0]} by {first.shape[1]}",
                    got=f"{frame.shape[0]} by {frame.shape[1]}",
                )

    @property
    def kind(self) -> Kind:
        """What it states."""
        if self.score is not None:
            return "score"
        return "quantiles" if self.quantiles_bps is not None else "forecast"

    @property
    def numbers(self) -> dict[str, pd.DataFrame]:
        """Every stated frame by name: "score", "mean_bps" and "std_bps", or "q0.1", "q0.5", ..."""
        named = {"score": self.score, "mean_bps": self.mean_bps, "std_bps": self.std_bps}
        named |= {f"q{level:g}": (self.quantiles_bps or {})[level] for level in sorted(self.quantiles_bps or {})}
        return {name: frame for name, frame in named.items() if frame is not None}

    @property
    def times(self) -> pd.DatetimeIndex:
        """Close times of the rows."""
        import pandas as pd

        return pd.DatetimeIndex(next(iter(self.numbers.values())).index)

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols of the columns."""
        return tuple(map(str, next(iter(self.numbers.values())).columns))

    def spoken(self) -> pd.DataFrame:
        """Where there is a view: bool [T, S], True where every stated number is finite."""
        import numpy as np
        import pandas as pd

        frames = list(self.numbers.values())
        there = np.isfinite(np.stack([frame.to_numpy(dtype=np.float64) for frame in frames])).all(axis=0)
        return pd.DataFrame(there, index=frames[0].index, columns=frames[0].columns)

    def silent_before(self, row: int) -> ViewPanel:
        """The panel without the views of the first `row` rows, and with no half-stated view."""
        there = self.spoken()
        there.iloc[:row] = False
        if self.score is not None:
            return replace(self, score=self.score.where(there))
        if self.quantiles_bps is not None:
            levels = {level: frame.where(there) for level, frame in self.quantiles_bps.items()}
            return replace(self, quantiles_bps=levels)
        assert self.mean_bps is not None  # __post_init__ has seen both
        assert self.std_bps is not None
        return replace(self, mean_bps=self.mean_bps.where(there), std_bps=self.std_bps.where(there))

    def require_rows_of(self, bars: Bars, agent: str) -> None:
        """Refuse a panel that is not about `bars`.

        Raises
        ------
        AgentError : other rows or columns.
        """
        index = next(iter(self.numbers.values())).index
        if self.symbols != bars.symbols or not index.equals(bars.times):
            whole = len(index) and len(bars)
            first, last = (f"{index[0]} to {index[-1]}", f"{bars.times[0]} to {bars.times[-1]}") if whole else ("", "")
            raise AgentError(
                f"the panel of {agent} is not about its bars",
                expected=f"a row for each of {len(bars):,} closes, {last}; columns {', '.join(bars.symbols)}",
                got=f"{len(index):,} rows, {first}; columns {', '.join(self.symbols)}",
                next="build the frames from bars.frame(field), which is indexed by close time",
            )


def _require_frame(name: str, frame: object) -> None:
    import pandas as pd

    numbers = isinstance(frame, pd.DataFrame) and all(kind.kind in "fiu" for kind in frame.dtypes)
    if numbers and isinstance(frame, pd.DataFrame) and frame.columns.is_unique:
        return
    kinds = ", ".join(sorted({str(kind) for kind in frame.dtypes})) if isinstance(frame, pd.DataFrame) else ""
    raise AgentError(
        f"{name} of a panel is no frame of numbers",
        expected="a DataFrame, close time by symbol; NaN where nothing is said",
        got=kind_of_value(frame) + (f" with {kinds}" if kinds else ""),
        next='build it from bars.frame("close"), which has these rows and columns',
    )
