"""What a notebook's own objects may not do: stand behind evidence with a method or a value that the protocol hides."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from sapphire.agents import MovingAverageCross
from sapphire.data import snapshot
from sapphire.domain.bars import FIELDS, Bars
from sapphire.domain.errors import StudyError, ValueRefused
from sapphire.domain.limits import Limits
from sapphire.portfolio import FixedFraction
from sapphire.research import costs, purged_k_fold, walk_forward
from sapphire.research.evidence.declared import as_declared, kept_snapshot
from sapphire.research.runs.costs import Costs
from sapphire.research.runs.splits import WalkForward
from sapphire.research.studies import Study

AGENT = MovingAverageCross(fast=3, slow=12, horizon=timedelta(hours=2))


class Free(Costs):
    """Says what the venue publishes and pays nothing."""

    taker_e8 = property(lambda self: 0)


class FixedFractionOfTheFuture(FixedFraction):
    """Is called like the platform's."""

    def size(self, beliefs, state):
        return super().size([replace(each, mean_bps=abs(each.mean_bps)) for each in beliefs], state)


class Patient(WalkForward):
    """Tests only what went well."""

    def folds(self, start, end):
        return super().folds(start, end)[:1]


class Open(Limits):
    """Says it has limits."""

    def settings(self, equity_atoms):
        return {}


class Lenient(Study):
    """Forgets a part of what it was asked."""

    @property
    def tested(self):
        return super().tested.tail(10)


def of(kind, value):
    return kind(**{name: getattr(value, name) for name in type(value).__dataclass_fields__})


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ({"costs": of(Free, costs.binance_spot())}, "costs"),
        ({"sizing": FixedFractionOfTheFuture(fraction=0.4)}, "sizing"),
        ({"split": of(Patient, walk_forward(train="100h", test="60h", embargo="5h"))}, "split"),
        ({"limits": of(Open, Limits())}, "limits"),
        ({"split": purged_k_fold(4, purge="2h")}, "split"),
    ],
)
def test_settings_of_ones_own_are_explored_and_not_submitted(make_study, setting, named):
    study = make_study(**setting)
    study.replay(AGENT)
    lines = study.ledger.head.lines
    with pytest.raises(StudyError, match=f"the {named} of study 'trend' cannot stand behind evidence"):
        study.submit(AGENT)
    assert study.ledger.head.lines == lines, "and its hold-out stays closed"


def test_a_sizing_that_no_release_can_name_is_refused(make_study):
    class Whole:
        """All in."""

        name = "whole"
        parameters = {}  # noqa: RUF012

        def size(self, beliefs, state):
            return FixedFraction(fraction=1.0).size(beliefs, state)

    with pytest.raises(ValueRefused, match="an unknown sizing"):
        make_study(sizing=Whole()).submit(AGENT)


def test_a_setting_that_was_changed_after_the_protocol_was_written_is_found(make_study):
    study = make_study()
    object.__setattr__(study.costs, "taker_bps", 0.0)
    with pytest.raises(StudyError, match="was changed after it was made"):
        study.submit(AGENT)


class Ten(float):
    """Is written down as ten and worth nothing."""

    def __mul__(self, other):
        return 0.0

    __rmul__ = __mul__


def test_a_number_that_is_more_than_a_number_is_measured_as_what_is_written_down(make_study):
    study = make_study(
        costs=costs.binance_spot(taker_bps=Ten(10.0)), sizing=FixedFraction(fraction=Ten(0.4)), starting_cash=Ten(1e5)
    )
    assert study.costs.taker_e8 == 0, "the notebook's own says nothing"
    made = as_declared(study)
    assert (made.costs.taker_e8, made.costs.taker_bps, made.costs.stressed(2.0).taker_e8) == (100_000, 10.0, 210_000)
    for value in (made.costs.taker_bps, made.sizing.fraction, made.starting_cash):
        assert type(value) in (float, int)
    assert made.protocol == study.protocol


def test_what_is_measured_is_no_subclass_and_has_nothing_from_before(make_study):
    study = make_study()
    lenient = of(Lenient, study)
    study.__dict__["tested"] = study.tested.tail(10)
    for each in (lenient, study):
        assert len(each.tested) == 10
        made = as_declared(each)
        assert (type(made), len(made.tested)) == (Study, 155)


def test_bars_that_are_not_the_snapshots_pin_nothing():
    data = snapshot(["BTC/USDT"], interval="1d", start="2024-01-01", end="2024-03-01", source="embedded", seed=3)
    assert kept_snapshot(data) is not None
    arrays = {name: getattr(data.bars, name).copy() for name in ("open_time_ns", *FIELDS, "listed")}
    arrays["close"][7:] *= 1.0 + 1e-9
    arrays["high"] = np.maximum(arrays["high"], arrays["close"])
    other = Bars(symbols=data.symbols, interval=data.interval, **arrays)
    assert not kept_snapshot(replace(data, bars=other))
    assert not kept_snapshot(replace(data, provenance=replace(data.provenance, source="recorded")))
    (rule,) = data.instruments
    assert not kept_snapshot(replace(data, instruments=type(data.instruments)([replace(rule, tick=rule.tick / 10)])))
