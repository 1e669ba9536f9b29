"""Metrics: the catalogue of what Python parts tell Prometheus. Names end with their unit, or with `_total`.

::

    sapphire_build_info                 which version runs, with what the part is: venue, account, release
    sapphire_loop_age_seconds           since its loop turned
    sapphire_bars_seen_total            bars that closed, as the part saw them
    sapphire_bars_decided_total         bars with signals                                           coordinator
    sapphire_bars_undecided_total       bars with an obstacle, by cause                             coordinator
    sapphire_views_total                views that were said, by agent                              coordinator
    sapphire_members_silent_total       members of a pool without an answer, by member              coordinator
    sapphire_member_in_shadow           1 where a member of a pool has drifted and is not heard     coordinator
    sapphire_bento_ask_seconds          how long the bento took, whatever it answered               coordinator
    sapphire_market_lag_seconds         market time that the part is behind: the collector behind the venue,
                                        the coordinator behind the newest closed bar on the bus
    sapphire_bus_reconnects_total       connections to the bus after the first
    sapphire_dead_letters_total         entries that were refused, and kept
    sapphire_notices_total              messages to receivers, by receiver and by what came of it   notices
    sapphire_reports_total              scheduled reports, by job and by what came of it            reports
    sapphire_part_restarts_total        restarts, by part                                           keeper
    sapphire_part_ready                 1 where a part is ready                                     keeper

and of the process what prometheus-client has: `process_cpu_seconds_total`, `process_resident_memory_bytes` and so on.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

__all__ = ["PartMetrics", "PartsCollector"]

_ASK_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""A small agent answers in milliseconds; a call has ended after 30 s."""


class PartMetrics:
    """The metrics of one part; each series carries what the part is.

    Parameters
    ----------
    part : its name.
    identity : such as {"venue": "embedded", "account": "paper", "release": "..."}.
    age_s : seconds since its loop turned.
    """

    def __init__(self, part: str, identity: Mapping[str, str], *, age_s: Callable[[], float | None]) -> None:
        self.registry = CollectorRegistry()
        self._labels = {"part": part, **identity}
        ProcessCollector(registry=self.registry)
        build = {**self._labels, "version": version("sapphire"), "python": platform.python_version()}
        Info("sapphire_build", "What runs.", registry=self.registry).info(build)
        self._gauge("sapphire_loop_age_seconds", "Since the part's loop turned.").set_function(lambda: age_s() or 0.0)

    @cached_property
    def bars_seen(self) -> Counter:
        """Bars that closed, as the part saw them."""
        return self._counter("sapphire_bars_seen", "Bars that closed.")

    @cached_property
    def bars_decided(self) -> Counter:
        """Bars that nothing stood in the way of."""
        return self._counter("sapphire_bars_decided", "Bars that were decided.")

    @cached_property
    def bars_undecided(self) -> Callable[[str], Counter]:
        """Bars with an obstacle, by its code."""
        return self._by("sapphire_bars_undecided", "Bars with an obstacle.", "cause")

    @cached_property
    def views(self) -> Callable[[str], Counter]:
        """Views that were said, by the agent whose they are."""
        return self._by("sapphire_views", "Views that were said.", "agent")

    @cached_property
    def members_silent(self) -> Callable[[str], Counter]:
        """Bars at which a member of the pool did not answer, by its name."""
        return self._by("sapphire_members_silent", "Bars without an answer of a member.", "member")

    @cached_property
    def members_in_shadow(self) -> Callable[[str], Gauge]:
        """Whether a member of the pool is not heard, by its name."""
        names, what = (*self._labels, "member"), "Whether a member is not heard."
        gauge = Gauge("sapphire_member_in_shadow", what, names, registry=self.registry)
        return lambda member: gauge.labels(*self._labels.values(), member)

    @cached_property
    def bento_ask(self) -> Histogram:
        """Seconds that the bento took."""
        names, what = tuple(self._labels), "How long the bento took for a question."
        asked = Histogram("sapphire_bento_ask_seconds", what, names, registry=self.registry, buckets=_ASK_SECONDS)
        return asked.labels(**self._labels)

    @cached_property
    def market_lag(self) -> Gauge:
        """Market time that the part is behind, seconds."""
        return self._gauge("sapphire_market_lag_seconds", "Market time that the part is behind.")

    @cached_property
    def bus_reconnects(self) -> Counter:
        """Connections to the bus after the first."""
        return self._counter("sapphire_bus_reconnects", "Connections to the bus after the first.")

    @cached_property
    def dead_letters(self) -> Counter:
        """Entries of the bus that were refused, and kept."""
        return self._counter("sapphire_dead_letters", "Entries of the bus that were refused.")

    @cached_property
    def notices(self) -> Callable[[str, str], Counter]:
        """Messages by receiver and by what came of it."""
        return self._by("sapphire_notices", "Messages to receivers.", "receiver", "came")

    @cached_property
    def reports(self) -> Callable[[str, str], Counter]:
        """Scheduled reports by job and by what came of it."""
        return self._by("sapphire_reports", "Scheduled reports.", "job", "came")

    def _by(self, name: str, what: str, *more: str) -> Callable[..., Counter]:
        """A counter for each value of more labels."""
        counter = Counter(name, what, (*self._labels, *more), registry=self.registry)
        return lambda *values: counter.labels(*self._labels.values(), *values)

    def _counter(self, name: str, what: str) -> Counter:
        return Counter(name, what, tuple(self._labels), registry=self.registry).labels(**self._labels)

    def _gauge(self, name: str, what: str) -> Gauge:
        return Gauge(name, what, tuple(self._labels), registry=self.registry).labels(**self._labels)


class PartsCollector(Collector):
    """How the parts of a stack do, as their keeper knows it at the moment it is asked.

    Parameters
    ----------
    identity : whose stack it is, such as {"venue": "embedded", "account": "paper"}.
    parts : names with whether each is ready, and how often it was restarted.
    """

    def __init__(self, identity: Mapping[str, str], parts: Callable[[], Mapping[str, tuple[bool, int]]]) -> None:
        self._identity, self._parts = dict(identity), parts

    def collect(self) -> Iterable[Metric]:
        """The two families."""
        names, own = (*self._identity, "part"), tuple(self._identity.values())
        ready = GaugeMetricFamily("sapphire_part_ready", "1 where a part is ready.", labels=names)
        restarts = CounterMetricFamily("sapphire_part_restarts", "Restarts of a part.", labels=names)
        for name, (is_ready, count) in self._parts().items():
            ready.add_metric((*own, name), float(is_ready))
            restarts.add_metric((*own, name), count)
        return ready, restarts
