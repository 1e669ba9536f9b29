"""Declared: a study as its protocol writes it down, which is what evidence is made under.

A study in a notebook is made of live objects. A subclass with a method of its own, a number that is more than a number,
or a value changed after the protocol was written, would be measured under another name than the evidence gives it. Here
what is of a kind of its own is refused, and everything else is made anew from the protocol's own bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from sapphire.data import Snapshot, load_snapshot
from sapphire.domain.bars import FIELDS
from sapphire.domain.errors import DataError, StudyError
from sapphire.domain.limits import Execution, Limits
from sapphire.domain.protocols import Protocol
from sapphire.domain.stopped_views import WhenViewsStop
from sapphire.portfolio import make_sizing
from sapphire.research.protocol import protocol_of
from sapphire.research.runs.costs import Costs
from sapphire.research.runs.splits import WalkForward

if TYPE_CHECKING:
    from sapphire.research.studies import Study

__all__ = ["as_declared", "kept_snapshot"]

_LENGTHS = ("train", "test", "embargo")


def as_declared(study: Study) -> Study:
    """The study that its protocol describes, made anew: plain numbers, the platform's own kinds, the snapshot as kept.

    Raises
    ------
    StudyError : a setting that is none of the platform's own kinds, a split that is no walk forward, or settings that
        are not those of the study's protocol any more.
    ValueRefused : a sizing that no release can name.
    """
    from sapphire.research.studies import Study

    protocol = Protocol.parse(study.protocol.canonical)
    sizing = make_sizing(protocol.sizing["name"], protocol.sizing["parameters"])
    kinds = {
        "data": (study.data, Snapshot),
        "split": (study.split, WalkForward),
        "costs": (study.costs, Costs),
        "sizing": (study.sizing, type(sizing)),
        "limits": (study.limits, Limits),
        "execution": (study.execution, Execution),
        "when_views_stop": (study.when_views_stop, WhenViewsStop),
    }
    for name, (value, kind) in kinds.items():
        if type(value) is not kind:
            raise StudyError(
                f"the {name} of study {study.name!r} cannot stand behind evidence",
                expected=f"{kind.__module__}.{kind.__name__} as it is",
                got=f"{type(value).__module__}.{type(value).__qualname__}",
                next="explore with it; submit from a study with the platform's own: nothing else is written down whole",
            )
    made = Study(
        name=str(study.name),
        data=kept_snapshot(study.data) or study.data,
        holdout=_length(protocol.holdout_ns),
        split=_split(protocol.split),
        costs=Costs(**_costs(study.costs.name, protocol.costs)),
        sizing=sizing,
        seed=protocol.seeds["study"],
        starting_cash=float(protocol.starting_cash),
        limits=Limits(**protocol.limits),
        execution=Execution(**protocol.execution),
        when_views_stop=WhenViewsStop.of(protocol.when_views_stop),
        opens=tuple(map(str, study.opens)),
        clock=study.clock,
    )
    now = protocol_of(study).digest
    if now != protocol.digest or protocol_of(made).digest != protocol.digest:
        raise StudyError(
            f"study {study.name!r} was changed after it was made",
            expected=f"the settings of its protocol, {protocol.digest[:12]}",
            got=f"those of {now[:12]}",
            next="make another study: its settings are part of what a trial is",
        )
    return made


def kept_snapshot(data: Snapshot) -> Snapshot | None:
    """The snapshot on disk that has the hash of `data`, verified; None where there is none, or where `data` differs.

    What is in memory may have been changed: other bars, another market, other trading rules under the same hash.
    """
    try:
        kept = load_snapshot(data.hash)
    except DataError:
        return None
    same = _described(kept) == _described(data) and kept.bars.documents == data.bars.documents
    same = same and all(
        np.array_equal(getattr(kept.bars, name), getattr(data.bars, name), equal_nan=name in FIELDS)
        for name in ("open_time_ns", *FIELDS, "listed")
    )
    return kept if same else None


def _described(data: Snapshot) -> tuple[object, ...]:
    """Everything of a snapshot but its bars and when it was taken."""
    whence = (data.provenance.source, data.provenance.venue, data.provenance.detail)
    return (*whence, data.symbols, data.interval.ns, tuple(data.instruments[symbol] for symbol in data.symbols))


def _split(plain: Mapping[str, Any]) -> WalkForward:
    return WalkForward(**{name: _length(plain[name]) for name in _LENGTHS}, anchored=plain["anchored"])


def _costs(name: str, plain: Mapping[str, Any]) -> dict[str, Any]:
    shortest, longest = plain["latency_ms"]
    return {**plain, "name": str(name), "latency_ms": (shortest, longest)}


def _length(nanoseconds: int) -> timedelta:
    return timedelta(microseconds=nanoseconds // 1_000)
