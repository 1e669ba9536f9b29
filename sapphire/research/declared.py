"""Declared: a study as its protocol writes it down, which is what evidence is made under.

A study in a notebook is made of live objects. A subclass with a method of its own, or a value changed after the
protocol was written, would be measured under another name than the evidence gives it; here such a study is refused, and
any other is made anew from its settings alone.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from sapphire.data import Snapshot
from sapphire.domain.bars import Bars
from sapphire.domain.errors import StudyError
from sapphire.domain.limits import Execution, Limits
from sapphire.domain.stopped_views import WhenViewsStop
from sapphire.portfolio import make_sizing
from sapphire.research.costs import Costs
from sapphire.research.protocol import protocol_of
from sapphire.research.splits import WalkForward

if TYPE_CHECKING:
    from sapphire.research.studies import Study

__all__ = ["as_declared"]


def as_declared(study: Study) -> Study:
    """The study of the same settings, made anew.

    Raises
    ------
    StudyError : a setting that is none of the platform's own kinds, a split that is no walk forward, or settings that
        are not those of the study's protocol any more.
    ValueRefused : a sizing that no release can name.
    """
    from sapphire.research.studies import Study

    sizing = make_sizing(study.sizing.name, study.sizing.parameters)
    kinds = {
        "data": (study.data, Snapshot),
        "bars": (study.data.bars, Bars),
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
    settings = {each.name: getattr(study, each.name) for each in fields(Study)}
    made = Study(**settings | {"sizing": sizing})
    if protocol_of(made).digest != study.protocol.digest:
        raise StudyError(
            f"study {study.name!r} was changed after it was made",
            expected=f"the settings of its protocol, {study.protocol.digest[:12]}",
            got=f"those of {protocol_of(made).digest[:12]}",
            next="make another study: its settings are part of what a trial is",
        )
    return made
