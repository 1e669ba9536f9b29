"""What came of counterfactuals: per changed thing, how many views kept their sign and how far the others moved."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from sapphire.domain.errors import ValueRefused

__all__ = ["COUNTERFACTUALS", "AgentCounterfactuals", "Counterfactual", "Kind", "Unit", "binary_divergence"]

Kind = Literal["anonymised_symbols", "swapped_names", "shifted_dates", "flipped_news", "exchanged_inputs"]
"""What was changed. In the first three the numbers stay; in the last names and dates alone do."""
COUNTERFACTUALS: tuple[Kind, ...] = get_args(Kind)

Unit = Literal["probability", "deviations"]
"""What changes are measured in: of the probability of a rise, or of the standard deviation of a bare score."""

_CONFIDENCE = 0.95
_CLIP = 1e-6


def binary_divergence(first: float, second: float) -> float:
    r"""Kullback-Leibler divergence of two probabilities of a rise, in nats.

    .. math:: D(p \| q) = p \ln\frac{p}{q} + (1 - p) \ln\frac{1 - p}{1 - q}

    Probabilities are held to 1e-6 from 0 and 1, where it would be infinite.

    References
    ----------
    Kullback, Leibler (1951), On information and sufficiency. The values are those of Cover, Thomas (2006), Elements of
    information theory, example 2.3.1, in bits: 0.2075 and 0.1887.

    >>> round(binary_divergence(0.5, 0.25) / math.log(2), 4), round(binary_divergence(0.25, 0.5) / math.log(2), 4)
    (0.2075, 0.1887)
    """
    p, q = (min(max(each, _CLIP), 1.0 - _CLIP) for each in (first, second))
    return p * math.log(p / q) + (1.0 - p) * math.log((1.0 - p) / (1.0 - q))


@dataclass(frozen=True, slots=True, kw_only=True)
class Counterfactual:
    r"""What came of one changed thing.

    With N views, of which M are stated in both inputs:

    .. math::
        PC = \frac{1}{N}\sum_i 1[\mathrm{sign}\,y_i = \mathrm{sign}\,y_i'], \quad
        CI = 1 - \frac{1}{|K|}\sum_{i \in K} |p_i - p_i'|, \quad
        IDS = \frac{1}{M}\sum_i D(P_i \| P_i')

    where K are the views that kept their sign and p is the probability of a rise; a view that fell silent has not kept
    its sign. CI and IDS are defined for probabilities alone.

    Parameters
    ----------
    kind : what was changed.
    views : that were stated of the windows as they are, and looked at.
    silent : of these, that were not stated any more.
    kept : of these, that kept their sign.
    moved : of these, that are stated in both and moved by more than the tolerance.
    median_change, worst_change : absolute, in the unit of `AgentCounterfactuals`; None where none is stated in both.
    confidence_invariance, divergence : CI and IDS; None without probabilities, or without views to take them of.
    documents, turned : of flipped news: how many documents the windows show, and how many have a word that turns.
    note : why nothing was asked, or what the agent did.

    Raises
    ------
    ValueRefused : counts that cannot be, or a number that is not finite.

    References
    ----------
    Li, Zeng, Xing, Xu, Xu (2025), Profit mirage: revisiting information leakage in LLM-based financial agents, arXiv
    2510.07920, equations 4 to 6; there inputs change and a model that remembers has PC and CI near 1 and IDS near 0.
    """

    kind: Kind
    views: int = 0
    silent: int = 0
    kept: int = 0
    moved: int = 0
    median_change: float | None = None
    worst_change: float | None = None
    confidence_invariance: float | None = None
    divergence: float | None = None
    documents: int = 0
    turned: int = 0
    note: str = ""

    def __post_init__(self) -> None:
        counts = (self.silent, self.kept, self.moved, self.documents, self.turned)
        numbers = (self.median_change, self.worst_change, self.confidence_invariance, self.divergence)
        sound = self.kind in COUNTERFACTUALS and min(counts) >= 0 and self.turned <= self.documents
        sound = sound and self.silent <= self.views and max(self.kept, self.moved) <= self.spoken
        if not sound or not all(each is None or math.isfinite(each) for each in numbers):
            raise ValueRefused(
                "counterfactual", expected="a known kind, counts within the views, finite numbers", got=repr(self)
            )

    @property
    def spoken(self) -> int:
        """Views that are stated in both inputs."""
        return self.views - self.silent

    @property
    def consistency(self) -> float | None:
        """PC, the share of views that kept their sign; None without views."""
        return self.kept / self.views if self.views else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 % interval of the consistency (Wilson 1927), as of independent views; those of one window are not."""
        share = self.consistency
        if share is None:
            return None
        from sapphire.statistics import wilson_interval

        return wilson_interval(share, self.views, confidence=_CONFIDENCE)

    @property
    def dependency(self) -> float | None:
        """Share of the views that are stated in both inputs which moved by more than the tolerance."""
        return self.moved / self.spoken if self.spoken else None

    @property
    def within(self) -> float | None:
        """Share of them that moved by no more."""
        return None if self.dependency is None else 1.0 - self.dependency


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentCounterfactuals:
    """What an agent said of windows that were changed in one thing each.

    Parameters
    ----------
    agent : its name.
    windows : how many it was asked about as they are.
    unit : of changes.
    tolerance : in that unit: what moved by no more has stayed.
    constant : it says the same of every window and symbol, whatever is changed.
    rows : one for each of `COUNTERFACTUALS`, in that order.

    Raises
    ------
    ValueRefused : rows of other kinds, or a tolerance below zero.
    """

    agent: str
    windows: int
    unit: Unit
    tolerance: float
    constant: bool
    rows: tuple[Counterfactual, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", tuple(self.rows))
        kinds = tuple(row.kind for row in self.rows)
        sound = self.unit in get_args(Unit) and self.windows >= 1 and math.isfinite(self.tolerance)
        if kinds != COUNTERFACTUALS or not sound or self.tolerance < 0.0:
            raise ValueRefused(
                f"counterfactuals of {self.agent}",
                expected=f"{', '.join(COUNTERFACTUALS)} of at least one window, a unit, a tolerance of zero or more",
                got=f"{', '.join(kinds) or 'none'}, {self.windows} windows, {self.unit}, {self.tolerance}",
            )

    def row(self, kind: Kind) -> Counterfactual:
        """What came of one changed thing."""
        return self.rows[COUNTERFACTUALS.index(kind)]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as `from_dict` reads them."""
        return asdict(self) | {"rows": [asdict(row) for row in self.rows]}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> AgentCounterfactuals:
        """What `as_dict` gave; raises what a wrong value raises."""
        return cls(**{**plain, "rows": tuple(Counterfactual(**row) for row in plain["rows"])})
