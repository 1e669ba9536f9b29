"""Paper days: the whole days of a run, as evidence for the release that traded them.

In:    a daily report.  Out: one record per whole day (UTC) beside the release, for the gates of live.
Never: a day that the service did not see from midnight to midnight, or one of a run whose journal does not replay or
whose books differ from the exchange's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sapphire.domain.clocks import from_ns
from sapphire.monitoring.parity import Cause
from sapphire.registry.measurements import ParityDay

if TYPE_CHECKING:
    from sapphire.monitoring.daily import DailyReport
    from sapphire.registry import Registry

__all__ = ["keep_paper_days", "paper_days"]

_DAY = timedelta(days=1)


def paper_days(report: DailyReport) -> tuple[ParityDay, ...]:
    """The days of which the service saw every bar close, with the lots that nothing explains at those closes."""
    books_differ = report.reconciliation is not None and not report.reconciliation.is_sound
    if books_differ or not report.replay.identical:
        return ()
    interval = report.run.facts.interval

    def day_of(close_ns: int) -> str:
        return from_ns(close_ns - interval.ns).date().isoformat()

    seen = Counter(day_of(close_ns) for close_ns in {state.bar_close_ns for state in report.run.states})
    unexplained: Counter[str] = Counter()
    for difference in report.parity.differences:
        if difference.root is Cause.UNEXPLAINED:
            unexplained[day_of(difference.bar_close_ns)] += difference.lots
    return tuple(
        ParityDay(
            day=day,
            market=report.run.facts.market.kind,
            unexplained_lots=unexplained[day],
            journal_digest=report.replay.digest,
        )
        for day, bars in sorted(seen.items())
        if bars == _DAY // interval.timedelta
    )


def keep_paper_days(registry: Registry, release: str, days: Iterable[Mapping[str, Any]]) -> int:
    """Keep the days of a report (`as_dict()["paper_days"]`) beside their release; how many were new.

    Parameters
    ----------
    release : digest of its manifest.

    Raises
    ------
    EvidenceRefused : the evidence that is there does not verify.
    Refused : the release is not in this registry.
    """
    return sum(registry.add_parity(release, ParityDay(**day)) for day in days)
