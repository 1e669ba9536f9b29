"""What a run was made of, so that the engine can make it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sapphire.domain.instruments import Universe
from sapphire.domain.intervals import Interval
from sapphire.domain.stopped_views import LastBelief
from sapphire.monitoring.reading.market import Market

__all__ = ["EvidencePlan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidencePlan:
    """What a run was made of, so that it can be made again.

    Parameters
    ----------
    market : whose bars.
    interval : of the bars.
    instruments : the universe as it was sized with, in the release's order.
    listings : the venue's rules by symbol, as the service traded under.
    closes_ns : closes of the bars, rising.
    start_ns : where market and account began.
    deposits_atoms : what the account began with, by asset.
    fee_e8 : rate of every fee, 1e-8.
    latency_ns : shortest and longest delay of a request.
    limits, execution : the gate's numbers and how targets are worked, by the engine's names.
    remembered : the newest belief of each symbol before the first close; none where the run begins there.
    heard : of a pool whose members were asked by themselves, by close, those that were heard; the others were silent,
        or in shadow.
    """

    market: Market
    interval: Interval
    instruments: Universe
    listings: Mapping[str, Mapping[str, Any]] = field(hash=False)
    closes_ns: tuple[int, ...]
    start_ns: int
    deposits_atoms: Mapping[str, int] = field(hash=False)
    fee_e8: int
    latency_ns: tuple[int, int]
    limits: Mapping[str, Any] = field(hash=False, default_factory=dict)
    execution: Mapping[str, Any] = field(hash=False, default_factory=dict)
    remembered: tuple[LastBelief, ...] = ()
    heard: Mapping[int, frozenset[str]] = field(hash=False, default_factory=dict)
