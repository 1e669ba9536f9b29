"""Two accounts side by side: what one earned more than the other at the same closes, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sapphire.agents import plain_parameters
from sapphire.domain.errors import StudyError
from sapphire.research.results.performance import sharpe_and_error, sharpe_text, simple_returns
from sapphire.research.results.plots import paired_figure
from sapphire.research.results.replays import Replayed
from sapphire.research.results.screens import Screen, buy_and_hold
from sapphire.research.results.showing import Shown, described
from sapphire.statistics import (
    MINIMUM_RETURNS,
    PairedDifference,
    maximum_drawdown,
    one_sided_difference,
)

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go
    from numpy.typing import NDArray

    FloatArray = NDArray[np.floating[Any]]

__all__ = ["Paired", "compare"]

_YEAR_S = 365.0 * 86_400.0


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Paired(Shown):
    """Two accounts at the closes that both have. `len` counts the paired returns, and a loop goes through their table.

    Parameters
    ----------
    first, second : a screen or a replay each.
    names : what they are called here.
    growth : close by name, each account divided by what it was worth at the first close that both have.
    difference : of the mean returns, the first's less the second's, per paired return, with the Newey-West error of
        automatic lags; None where the two earned the same at every close.
    """

    first: Screen | Replayed
    second: Screen | Replayed
    names: tuple[str, str]
    growth: pd.DataFrame
    difference: PairedDifference | None

    @property
    def frame(self) -> pd.DataFrame:
        """Both returns and their difference at each close but the first that both have."""
        returns = self.growth.pct_change().iloc[1:]
        return returns.assign(difference=returns.iloc[:, 0] - returns.iloc[:, 1])

    @property
    def per_year(self) -> float:
        """Paired returns in a year of 365 days."""
        times = self.growth.index
        return float((len(times) - 1) * _YEAR_S / (times[-1] - times[0]).total_seconds())

    @property
    def caption(self) -> str:
        """One line: what is paired, and what it comes to."""
        times, (one, other) = self.growth.index, self.names
        data = list(dict.fromkeys((self.first.study.label, self.second.study.label)))
        trials = max(self.first.trials, self.second.trials)
        where = data[0] if self._is_one_market else f"DIFFERENT MARKETS, paired by time alone: {' and '.join(data)}"
        paired = (
            f"paired are the returns from close to close at the {len(times):,} closes that both have, {_stretch(times)}"
        )
        return (
            f"{one} less {other}, exploration, not evidence: {self._verdict()}; {paired}; {where}; "
            f"N = {trials} trials in the ledger"
        )

    def table(self) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
        """One line per account, and one for the difference."""
        header = ("account", "return", "mean a year ± SE", "Sharpe, year ± SE", "drawdown", "p, one-sided")
        lines = [(name, *self._line(self.growth[name].to_numpy())) for name in self.names]
        total = self.growth.iloc[-1]
        difference = f"{100 * (total.iloc[0] - total.iloc[1]):+.2f} %"
        lines.append(("first less second", difference, *self._mean_cells(self.difference, "", "")))
        return header, lines

    @property
    def figure(self) -> go.Figure:
        """Both equities and the market held, and the difference added up beside what chance alone makes of none."""
        curves = self.growth
        if self._is_one_market:
            market = buy_and_hold(self.first.study).reindex(curves.index)
            curves = curves.assign(**{"buy and hold": market / market.iloc[0]})
        title = f"Paired, not evidence: {self.names[0]} less {self.names[1]}"
        error = self.difference.standard_error if self.difference is not None else 0.0
        return paired_figure(title, self._label, curves, self.frame["difference"], error)

    def as_dict(self) -> dict[str, Any]:
        """Plain values; per year where it says so, and null where there is no difference."""
        found = self.difference
        return {
            "method": "paired",
            "accounts": list(self.names),
            "trials": max(self.first.trials, self.second.trials),
            "paired_returns": len(self.growth) - 1,
            "mean_difference_per_year": 0.0 if found is None else found.mean * self.per_year,
            "standard_error_per_year": None if found is None else found.standard_error * self.per_year,
            "p_value": None if found is None else found.p_value,
        }

    def _parts(self) -> Sequence[tuple[Any, ...]]:
        return list(self.frame.itertuples(name=None))

    @property
    def _is_one_market(self) -> bool:
        one, other = self.first.study.data, self.second.study.data
        return one.hash == other.hash

    @property
    def _label(self) -> str:
        return " and ".join(dict.fromkeys((self.first.study.label, self.second.study.label)))

    def _verdict(self) -> str:
        found = self.difference
        if found is None:
            return "the two earned the same at every close"
        mean, error = found.mean * self.per_year, found.standard_error * self.per_year
        sure = "more than" if abs(mean) > 2.0 * error else "less than"
        return (
            f"{100 * mean:+.2f} ± {100 * error:.2f} % a year, {sure} two standard errors from zero "
            "(Newey-West, of the paired differences)"
        )

    def _line(self, growth: FloatArray) -> tuple[str, ...]:
        """The cells of one account."""
        returns = simple_returns(growth)
        depth = f"{100 * maximum_drawdown(growth).depth:.2f} %"
        against_cash = _difference(returns, np.zeros(len(returns)))
        return (
            f"{100 * (growth[-1] - 1.0):+.2f} %",
            *self._mean_cells(against_cash, sharpe_text(*sharpe_and_error(returns), self.per_year), depth),
        )

    def _mean_cells(self, found: PairedDifference | None, sharpe: str, drawdown: str) -> tuple[str, ...]:
        if found is None:
            return "0", sharpe, drawdown, "-"
        mean, error = 100 * found.mean * self.per_year, 100 * found.standard_error * self.per_year
        return f"{mean:+.2f} ± {error:.2f} %", sharpe, drawdown, f"{found.p_value:.3f}"


def compare(first: Screen | Replayed, second: Screen | Replayed) -> Paired:
    """What one account earned more than another at the same closes.

    A screen or a replay each, of any studies. Pairing takes out what both have in common, the market for the most part:
    two agents are told apart by far fewer bars than each of them from cash. It looks at nothing new, and the ledger has
    counted both. Who keeps the better of two has chosen, all the same.

    Parameters
    ----------
    first, second : results of `study.screen` or `study.replay`.

    Raises
    ------
    StudyError : something else, or too few closes that both have.
    """
    for each in (first, second):
        if not isinstance(each, Screen | Replayed):
            raise StudyError(
                "not an account to compare",
                expected="two results of study.screen(agent) or study.replay(agent)",
                got=type(each).__name__,
                next="screen against replay of one agent is study.compare(agent)",
            )
    one, other = first.equity, second.equity
    both = one.index.intersection(other.index)
    if len(both) <= MINIMUM_RETURNS:
        raise StudyError(
            "too few closes that both accounts have",
            expected=f"more than {MINIMUM_RETURNS}",
            got=f"{len(both)}: {_stretch(one.index)} against {_stretch(other.index)}",
            next="replay both on the same snapshot and split",
        )
    import pandas as pd

    names = _names(first, second)
    growth = pd.DataFrame(
        {name: of.loc[both] / of.loc[both[0]] for name, of in zip(names, (one, other), strict=True)}, index=both
    )
    returns = [simple_returns(growth[name].to_numpy()) for name in names]
    return Paired(first, second, names, growth, _difference(*returns))


def _difference(returns: FloatArray, benchmark: FloatArray) -> PairedDifference | None:
    """None where the two do not differ anywhere."""
    if np.array_equal(returns, benchmark):
        return None
    return one_sided_difference(returns, benchmark, seed=0, method="hac")  # which draws nothing


def _names(first: Screen | Replayed, second: Screen | Replayed) -> tuple[str, str]:
    """The agents with the parameters in which they differ; else what tells the two apart, at last their order."""
    one, other = first.agent.name, second.agent.name
    mine, theirs = plain_parameters(first.agent), plain_parameters(second.agent)
    if one == other and mine.keys() == theirs.keys():
        differ = [name for name in mine if mine[name] != theirs[name]]
        one, other = (
            f"{one}({', '.join(f'{name}={of[name]}' for name in differ)})" if differ else one for of in (mine, theirs)
        )
    if one == other:
        one, other = described(first.agent), described(second.agent)
    if one != other:
        return one, other
    for tells_apart in (_kind, lambda each: each.study.name, lambda each: each.study.sizing.name):
        if tells_apart(first) != tells_apart(second):
            return f"{one}, {tells_apart(first)}", f"{other}, {tells_apart(second)}"
    return f"{one}, first", f"{other}, second"


def _kind(result: Screen | Replayed) -> str:
    return f"replayed ({result.model.assumption})" if isinstance(result, Replayed) else "screened"


def _stretch(times: pd.Index) -> str:
    return f"{times[0]:%Y-%m-%d %H:%M}Z to {times[-1]:%Y-%m-%d %H:%M}Z"
