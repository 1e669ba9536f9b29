"""Pooling: how what several agents believe of a symbol becomes one forecast, wherever they are asked.

In:    the views of the members, in their order.  Out: one forecast per symbol.
Never: asks a member; that is the pool's in a study, and the coordinator's where each member is served by itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from sapphire.domain.errors import AgentError
from sapphire.domain.views import View, ViewNote

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["LEAST_WINDOW", "MOST_BOUNDED", "Method", "Pooling", "pooled", "within_bound"]

Method = Literal["linear", "logarithmic"]
"""How beliefs are pooled: as a mixture, or by their precisions."""

MOST_BOUNDED = 8
"""Members that a pool with a bound may have: each set of them is pooled."""
LEAST_WINDOW = 24
"""Bars of a window for drift: in fewer, chance looks like anything."""
_YEAR = timedelta(days=365)
_ROWS = 16_384
"""Beliefs that are bounded at once, for the sake of memory."""


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


def within_bound(means: Floats, stds: Floats, weights: Floats, method: Method, *, bound: float) -> Floats:
    r"""Ratio of mean to deviation of the pool, which no member moves by more than `bound`.

    With :math:`z(S)` the ratio that the members in :math:`S` pool to, the bounded one is

    .. math:: b(S) = \min\Bigl(\max\bigl(z(S),\ \max_{i \in S} b(S \setminus i) - B\bigr),\
              \min_{i \in S} b(S \setminus i) + B\Bigr), \qquad b(\varnothing) = 0

    By induction there is such a number: :math:`b(S \setminus i)` and :math:`b(S \setminus j)` are both within
    :math:`B` of :math:`b(S \setminus \{i, j\})`, so no two of them are more than :math:`2B` apart. Whatever a member
    says, the pool is within :math:`B` of what the others say without it, where that member is silent as well.

    Parameters
    ----------
    means, stds, weights, method : as in `pooled`, of at most 8 members.
    bound : :math:`B`, above zero.

    Returns
    -------
    [...]; zero where nobody speaks.

    Examples
    --------
    Three who see little, and one who is sure of something else.

    >>> means, stds = np.array([2.0, 1.0, 2.0, -1e6]), np.array([100.0, 100.0, 100.0, 1.0])
    >>> round(float(within_bound(means, stds, np.ones(4), "linear", bound=0.01)), 4)
    0.0067
    >>> round(float(within_bound(means[:3], stds[:3], np.ones(3), "linear", bound=0.01)), 4)
    0.0167
    """
    count = len(means)
    found: list[Floats] = [np.zeros(means.shape[1:])]
    for chosen in range(1, 1 << count):
        inside = [member for member in range(count) if chosen >> member & 1]
        mean, std = pooled(means[inside], stds[inside], weights[inside], method)
        ratio = np.where(np.isfinite(mean), np.where(np.isfinite(mean), mean, 0.0) / np.nan_to_num(std, nan=1.0), 0.0)
        without = np.stack([found[chosen & ~(1 << member)] for member in inside])
        found.append(np.minimum(np.maximum(ratio, without.max(axis=0) - bound), without.min(axis=0) + bound))
    return found[-1]


@dataclass(frozen=True, slots=True)
class Pooling:
    """How a pool's members become one.

    Parameters
    ----------
    names : of the members.
    weights : one number of zero or more for each, not all zero; only their proportions matter.
    method : of pooling.
    quorum : members with weight that must speak of a symbol; with fewer nothing is said of it.
    member_bound : annualised Sharpe ratio (mean over deviation, times the root of the horizons in a year of 365 days)
        by which one member may move the pool's at most; None for no bound.
    drift_window : bars after which a member's signal is held against what it was; one that drifted trades in shadow
        from then on. 0 for never.

    Raises
    ------
    AgentError : weights that do not fit, another method, a quorum that cannot be reached, a bound or a window that is
        none.
    """

    names: tuple[str, ...]
    weights: tuple[float, ...]
    method: Method = "linear"
    quorum: int = 1
    member_bound: float | None = None
    drift_window: int = 0

    def __post_init__(self) -> None:
        sound = len(self.weights) == len(self.names) and all(_is_number(of) and of >= 0.0 for of in self.weights)
        if not sound or not sum(self.weights) > 0.0:
            raise AgentError(
                "weights that do not fit the pool",
                expected=f"{len(self.names)} numbers of zero or more, not all zero, or 'equal'",
                got=str(self.weights),
            )
        if self.method not in get_args(Method):
            raise AgentError("no such pool", expected="linear or logarithmic", got=repr(self.method))
        voices = sum(weight > 0.0 for weight in self.weights)
        if type(self.quorum) is not int or not 1 <= self.quorum <= voices:
            raise AgentError(
                "a quorum that the pool cannot have",
                expected=f"a whole number from 1 to {voices}, the members that have weight",
                got=repr(self.quorum),
            )
        bound = self.member_bound
        if bound is not None and not (_is_number(bound) and bound > 0.0 and voices <= MOST_BOUNDED):
            raise AgentError(
                "a bound of the pool's members",
                expected=f"None, or a Sharpe ratio above zero, and at most {MOST_BOUNDED} members with weight",
                got=f"{bound!r} for {voices} members",
            )

        if type(self.drift_window) is not int or not (self.drift_window == 0 or self.drift_window >= LEAST_WINDOW):
            raise AgentError(
                "a window for drift",
                expected=f"a whole number of bars, at least {LEAST_WINDOW}, or 0 for never",
                got=repr(self.drift_window),
            )

    @property
    def shares(self) -> Floats:
        """The weights, summing to one."""
        raw = np.array(self.weights, dtype=np.float64)
        return np.asarray(raw / raw.sum())

    def forecasts(self, means: Floats, stds: Floats, horizon: timedelta) -> tuple[Floats, Floats]:
        """Mean and deviation [...] of what the members [K, ...] believe; NaN below the quorum."""
        shares = self.shares
        mean, std = pooled(means, stds, shares, self.method)
        voices = shares > 0.0
        there = np.isfinite(means[voices]) & np.isfinite(stds[voices])
        if self.member_bound is not None:
            bound = self.member_bound / math.sqrt(_YEAR / horizon)
            ratio = self._bounded(means[voices], stds[voices], shares[voices], bound)
            with np.errstate(invalid="ignore"):
                free = mean / std
                mean = np.where(np.abs(ratio - free) <= 1e-12 * np.abs(free), mean, ratio * std)
        enough = there.sum(axis=0) >= self.quorum
        return np.where(enough, mean, np.nan), np.where(enough, std, np.nan)

    def views(
        self, by_member: Sequence[Mapping[str, View]], symbols: Sequence[str], as_of: datetime, horizon: timedelta
    ) -> list[View]:
        """One forecast per symbol of which enough members have one, in the order of `symbols`.

        Parameters
        ----------
        by_member : symbol to forecast, for each member in their order; nothing of a member that is silent.
        """
        numbers = np.full((2, len(by_member), len(symbols)), np.nan)
        for i, views in enumerate(by_member):
            for j, symbol in enumerate(symbols):
                if symbol in views:
                    numbers[:, i, j] = views[symbol].mean_bps, views[symbol].std_bps
        mean, std = self.forecasts(numbers[0], numbers[1], horizon)
        return [
            View(
                symbol, as_of, horizon, mean_bps=float(mean[j]), std_bps=float(std[j]),
                note=self._note([views.get(symbol) for views in by_member]),
            )
            for j, symbol in enumerate(symbols)
            if np.isfinite(mean[j]) and np.isfinite(std[j])
        ]  # fmt: skip

    @classmethod
    def of(cls, names: Sequence[str], facts: Mapping[str, Any]) -> Pooling:
        """What a manifest holds of it: method and weights ("equal", or a list), quorum and bound where it has them.

        Raises
        ------
        AgentError : values that fit no pool.
        """
        weights = facts["weights"]
        return cls(
            tuple(names),
            (1.0,) * len(names) if weights == "equal" else tuple(weights),
            facts["method"],
            facts.get("quorum", 1),
            facts.get("member_bound"),
            facts.get("drift_window", 0),
        )

    def _bounded(self, means: Floats, stds: Floats, shares: Floats, bound: float) -> Floats:
        """`within_bound` of a few beliefs at a time."""
        flat_means, flat_stds = (of.reshape(len(shares), -1) for of in (means, stds))
        parts = [
            within_bound(
                flat_means[:, at : at + _ROWS], flat_stds[:, at : at + _ROWS], shares, self.method, bound=bound
            )
            for at in range(0, max(1, flat_means.shape[1]), _ROWS)
        ]
        return np.asarray(np.concatenate(parts)).reshape(means.shape[1:])

    def _note(self, views: Sequence[View | None]) -> ViewNote | None:
        """What stands beside the members' views of one symbol, by their names; those without weight decide nothing."""
        spoken = zip(self.names, self.weights, views, strict=True)
        return ViewNote.joined([(name, view.note) for name, share, view in spoken if share > 0 and view and view.note])


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
