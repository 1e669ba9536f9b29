"""Shadows: members of a pool that say something else than they did, and are heard no more.

A member whose signal drifts is asked on and what it says is on record, but it has no weight: it trades in shadow. Who
is there follows from the decisions alone, so that a coordinator that was started again, and whoever replays the lines,
knows the same. Only another release brings a member back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from math import nan
from statistics import fmean
from typing import Any

from sapphire.domain.errors import StatisticsError
from sapphire.domain.intervals import Interval
from sapphire.statistics import drift_of, reference_histogram

__all__ = ["Shadow", "Shadows"]

_REFERENCES = 5
"""Windows before the latest that it is held against."""
_FALSE_ALARM = 1e-4
"""Of one look. One is taken a window: with windows of a day a member that does not drift is heard for 27 years."""


@dataclass(frozen=True, slots=True)
class Shadow:
    """Why a member is heard no more.

    Parameters
    ----------
    since_ns : close from which on.
    index, threshold : population stability index of its signal, and what chance would seldom exceed.
    """

    since_ns: int
    index: float
    threshold: float

    def as_dict(self) -> dict[str, Any]:
        """As a decision's line says it."""
        return {**asdict(self), "since_ns": str(self.since_ns)}

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Shadow:
        """What `as_dict` gave."""
        return cls(int(facts["since_ns"]), float(facts["index"]), float(facts["threshold"]))


class Shadows:
    """Who is in shadow, from one decision to the next.

    A member's signal at a bar is its mean over its deviation, on average over the symbols. Where a window of bars ends
    on the grid of such windows, its signals are held against those of the windows before it (`statistics.drift_of`,
    whose threshold knows how many they are and how many bars each looks over).

    Parameters
    ----------
    release : digest of the pool; what was decided by another tells nothing.
    window : bars; 0 for never.
    interval : of the bars.
    horizon : of the views.
    """

    def __init__(self, release: str, window: int, *, interval: Interval, horizon: timedelta) -> None:
        self._release, self._window, self._interval = release, window, interval
        self._horizon_bars = max(1, horizon // interval.timedelta)
        self._lines: deque[Mapping[str, Any]] = deque(maxlen=max(1, self.lines))

    @property
    def lines(self) -> int:
        """How many of the latest decisions it has to know."""
        return (1 + _REFERENCES) * self._window

    def after(self, facts: Mapping[str, Any]) -> None:
        """Take in a decision, the older first."""
        if facts["release"] != self._release:
            self._lines.clear()
        elif facts.get("members"):
            self._lines.append(facts)

    def at(self, close_ns: int) -> dict[str, Shadow]:
        """The members that are not heard at a close, by name, by what was decided before it."""
        if not self._lines:
            return {}
        latest = self._lines[-1]["members"]
        found = {of["name"]: Shadow.of(of["shadow"]) for of in latest if of["shadow"] is not None}
        ends = self._window and close_ns // self._interval.ns % self._window == 0
        if ends and len(self._lines) == self.lines:
            for name in (of["name"] for of in latest if of["shadow"] is None):
                drifted = self._drifted(name, close_ns)
                found |= {} if drifted is None else {name: drifted}
        return found

    def _drifted(self, name: str, close_ns: int) -> Shadow | None:
        signals = [_signal(facts, name) for facts in self._lines]
        try:
            reference = reference_histogram(signals[: -self._window])
            now = signals[-self._window :]
            found = drift_of(reference, now, false_alarm=_FALSE_ALARM, horizon_bars=self._horizon_bars)
        except StatisticsError:  # it hardly spoke, or always said the same
            return None
        return Shadow(close_ns, found.index, found.threshold) if found.drifted else None


def _signal(facts: Mapping[str, Any], name: str) -> float:
    """What a member said at a bar, in deviations; NaN where it said nothing."""
    views = [view for of in facts["members"] if of["name"] == name for view in of["views"]]
    return fmean(view["mean_bps"] / view["std_bps"] for view in views) if views else nan
