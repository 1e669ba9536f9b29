"""False discoveries: of the releases that show skill, how many are expected to have none.

Each gate asks of one release how likely luck alone is. With many releases some pass by luck, whatever the level; how
many of those that pass is told here, from the deflated Sharpe ratios of their last gate reports.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, get_args

from sapphire.domain.evidence import GateReport, Target

__all__ = ["Discovered", "discovered"]

_MEASURE = "deflated_sharpe"
_SOURCE = "Benjamini and Yekutieli 2001"


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovered:
    """What the releases that were measured for a stage come to together.

    Parameters
    ----------
    target : the stage.
    measured : how many have a deflated Sharpe ratio in their last report for it.
    passed : how many of them pass.
    rate : the least false discovery rate at which all that pass are discoveries, whatever they depend on each other;
        None where none passes. The p-value of a release is 1 less its deflated Sharpe ratio.

    References
    ----------
    Benjamini and Yekutieli (2001), The control of the false discovery rate in multiple testing under dependency, Annals
    of Statistics 29(4).
    """

    target: Target
    measured: int
    passed: int
    rate: float | None

    @property
    def expected_false(self) -> float:
        """How many of those that pass are expected to have no skill, at most."""
        return 0.0 if self.rate is None else self.rate * self.passed

    def as_dict(self) -> dict[str, Any]:
        """Stable keys, for `--json`."""
        return {
            "target": self.target,
            "measured": self.measured,
            "passed": self.passed,
            "false_discovery_rate": self.rate,
            "expected_false": self.expected_false,
        }

    def __str__(self) -> str:
        of = f"{self.measured} measured release{'' if self.measured == 1 else 's'}"
        if self.rate is None:
            return f"{self.target}: none of {of} passes the deflated Sharpe"
        return (
            f"{self.target}: {self.passed} of {of} pass{'es' if self.passed == 1 else ''} the deflated Sharpe; "
            f"{self.expected_false:.2g} of {self.passed} expected false at most (FDR {self.rate:.2g}, {_SOURCE})"
        )


def discovered(reports: Iterable[GateReport]) -> tuple[Discovered, ...]:
    """What the last gate reports say together, for each stage that a release was measured for.

    Parameters
    ----------
    reports : verified, one of each release and stage.
    """
    from sapphire.statistics import discoveries

    rows = [(each.target, row) for each in reports for row in each.rows if row.measure == _MEASURE]
    found = []
    for target in get_args(Target):
        asked = [(float(row.value), row.passed) for of, row in rows if of == target and row.value is not None]
        if not asked:
            continue
        adjusted = discoveries([1.0 - ratio for ratio, _ in asked], dependence="any").adjusted
        passed = [float(rate) for rate, (_, passes) in zip(adjusted, asked, strict=True) if passes]
        rate = max(passed) if passed else None
        found.append(Discovered(target=target, measured=len(asked), passed=len(passed), rate=rate))
    return tuple(found)
