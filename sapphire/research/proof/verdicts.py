"""Verdicts of a proof: each gate's rate, the interval that mathematics allows it, and what was observed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from sapphire.research.proof.expected import TOGETHER, Model, alone_name, expected_rates, interval_of
from sapphire.research.proof.markets import planted_edge
from sapphire.research.proof.measured import CONTROLS, MEASURES, Measured
from sapphire.research.proof.settings import Group, Settings, groups
from sapphire.research.results.showing import Shown
from sapphire.statistics import PassRate

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["Line", "Proof", "Rates"]

Rates = Mapping[float, tuple[Mapping[str, PassRate], int]]
"""True Sharpe ratio per year to the rates at which strategies of it pass, and how many there were."""

_CONFIDENCE = 0.99
_AT_MOST = 0.01
_TIMES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One question of a proof.

    Parameters
    ----------
    group, gate : which strategies, and what was asked of them.
    expected : what was computed or required, as text.
    observed : what was found, as text.
    holds : whether it does; None where there are too few strategies to tell.
    """

    group: str
    gate: str
    expected: str
    observed: str
    holds: bool | None

    @property
    def verdict(self) -> str:
        """One word or two."""
        return "too few to tell" if self.holds is None else "holds" if self.holds else "FAILS"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Proof(Shown):
    """What was measured, and whether it is what was computed. A loop goes through its lines.

    Parameters
    ----------
    settings : what was asked.
    measured : every strategy that there is.
    shared : group to whether its first strategy showed the same by the whole way; None where that was not asked.
    """

    settings: Settings
    measured: tuple[Measured, ...]
    shared: Mapping[str, bool] = field(default_factory=dict)

    @property
    def lines(self) -> tuple[Line, ...]:
        """Every question."""
        return tuple(line for group in groups(self.settings) for line in self._lines(group))

    @property
    def holds(self) -> bool:
        """Whether no line fails and every strategy that was asked for is there."""
        asked = sum(
            self.settings.strategies if group.kind == "coin" else self.settings.planted for group in self._groups
        )
        return len(self.measured) == asked and all(line.holds is not False for line in self.lines)

    @property
    def caption(self) -> str:
        """One line."""
        kinds = ", ".join(f"{len(self.of(group)):,} {group.text}" for group in self._groups)
        return f"proof of the skill gates, each strategy the best of {self.settings.variants}: {kinds}"

    def table(self) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
        """Gate, what was computed, what was observed."""
        header = ("strategies", "gate", "expected (99 % interval)", "observed", "verdict")
        return header, [(each.group, each.gate, each.expected, each.observed, each.verdict) for each in self.lines]

    @property
    def figure(self) -> go.Figure:
        """P-values beside uniform ones, what the count of trials does, and power by true Sharpe ratio."""
        from sapphire.research.proof.plots import proof_figure

        return proof_figure(self)

    def _parts(self) -> Sequence[Line]:
        return self.lines

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "method": "proof",
            "settings": self.settings.as_dict(),
            "holds": self.holds,
            "lines": [asdict(line) | {"verdict": line.verdict} for line in self.lines],
        }

    def of(self, group: Group) -> tuple[Measured, ...]:
        """The strategies of a group."""
        return tuple(each for each in self.measured if (each.kind, each.costs) == (group.kind, group.costs))

    def rates(self, group: Group) -> Rates:
        """What the mathematics says of a group, for the correlation, costs and number of trials that it had."""
        found = self.of(group)
        made = {}
        for per_year in sorted({each.per_year for each in found}):
            count = sum(each.per_year == per_year for each in found)
            made[per_year] = (expected_rates(_model(found, self.settings, per_year)), count)
        return made

    @property
    def _groups(self) -> tuple[Group, ...]:
        return groups(self.settings)

    def _lines(self, group: Group) -> Iterator[Line]:
        found = self.of(group)
        if not found:
            yield Line(group=group.text, gate="strategies", expected="at least 1", observed="none", holds=False)
            return
        rates = self.rates(group)
        for name in MEASURES:
            yield _rate_line(group, name, rates, sum(each.passed[name] for each in found))
        yield _rate_line(group, TOGETHER, rates, sum(each.together for each in found))
        if group.kind == "coin":
            yield _bound_line(group, sum(each.together for each in found), len(found))
            for name in CONTROLS:
                alone, honest = sum(each.alone[name] for each in found), sum(each.passed[name] for each in found)
                yield _rate_line(group, alone_name(name), rates, alone)
                yield _control_line(group, name, alone, honest)
        yield from self._sound(group, found)

    def _sound(self, group: Group, found: Sequence[Measured]) -> Iterator[Line]:
        """What has to be so in every single strategy."""
        counted, wanted = sorted({each.trials for each in found}), self.settings.variants + 1
        yield Line(
            group=group.text,
            gate="N by the ledger",
            expected=f"{wanted}: {self.settings.variants} screens and the replay of the best",
            observed=", ".join(map(str, counted)),
            holds=counted == [wanted],
        )
        traded = sorted(name for name in found[0].passed if name not in MEASURES)
        idle = sum(not each.passed[name] for each in found for name in traded)
        yield Line(
            group=group.text,
            gate=", ".join(traded),
            expected="every strategy",
            observed=f"at least {min(each.fills for each in found):,} fills; {idle:,} failures",
            holds=idle == 0,
        )
        if group.text in self.shared:
            same = self.shared[group.text]
            observed = "the same numbers" if same else "other numbers"
            expected = "as through submit and the registry"
            yield Line(group=group.text, gate="the first one", expected=expected, observed=observed, holds=same)


def _model(found: Sequence[Measured], settings: Settings, per_year: float) -> Model:
    """The model of strategies with what they had in common."""
    first = found[0]
    return Model(
        variants=settings.variants,
        counted=first.trials,
        openings=first.openings,
        length=first.length,
        holdout_length=first.holdout_length,
        correlation=float(np.mean([each.correlation for each in found])),
        cost=float(np.mean([each.lost for each in found])),
        edge=planted_edge(per_year) if per_year else (0.0, 0.0),
        kurtosis=float(np.mean([each.market_kurtosis for each in found])),
    )


def _rate_line(group: Group, name: str, rates: Rates, passed: int) -> Line:
    parts = [(each[name], count) for each, count in rates.values()]
    runs = sum(count for _, count in parts)
    rate = sum(each.rate * count for each, count in parts) / runs
    low, high = interval_of(parts, confidence=_CONFIDENCE)
    return Line(
        group=group.text,
        gate=name,
        expected=f"{100 * rate:.2f} % ({100 * low:.2f} to {100 * high:.2f})",
        observed=f"{100 * passed / runs:.2f} % ({passed:,} of {runs:,})",
        holds=low <= passed / runs <= high,
    )


def _bound_line(group: Group, passed: int, runs: int) -> Line:
    """Together below 1 %, by the upper bound of Clopper and Pearson (1934)."""
    from scipy.stats import beta

    def bound(count: int) -> float:
        return 1.0 if count == runs else float(beta.ppf(_CONFIDENCE, count + 1, runs - count))

    enough = bound(0) < _AT_MOST
    return Line(
        group=group.text,
        gate="together, upper bound",
        expected=f"below {100 * _AT_MOST:g} %",
        observed=f"{100 * bound(passed):.2f} %",
        holds=bound(passed) < _AT_MOST if enough else None,
    )


def _control_line(group: Group, name: str, alone: int, honest: int) -> Line:
    times = alone / honest if honest else math.inf
    return Line(
        group=group.text,
        gate=f"{name}, N = 1 over N counted",
        expected=f"at least {_TIMES} times as many",
        observed=f"{alone:,} over {honest:,}" + (f": {times:.1f} times" if honest else ""),
        holds=alone >= _TIMES * max(honest, 1) if alone >= _TIMES or honest else None,
    )
