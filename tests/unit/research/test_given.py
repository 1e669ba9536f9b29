"""What a study is given is looked at before any work, and another kind of thing is refused in words."""

import dataclasses
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pytest

from sapphire.agents import Agent, MovingAverageCross
from sapphire.data import snapshot
from sapphire.domain.clocks import FixedClock, from_ns, to_ns
from sapphire.domain.errors import AgentError, StudyError, ValueRefused
from sapphire.domain.limits import Limits
from sapphire.portfolio import EqualWeight, FixedFraction, VolatilityTarget
from sapphire.research import costs, study, walk_forward

VERBS = {
    "screen": lambda study, agent: study.screen(agent),
    "sweep": lambda study, agent: study.sweep(agent, fast=[3, 4]),
    "replay": lambda study, agent: study.replay(agent),
    "compare": lambda study, agent: study.compare(agent),
    "information": lambda study, agent: study.information(agent),
    "paths": lambda study, agent: study.paths(agent),
    "submit": lambda study, agent: study.submit(agent),
}
NO_AGENTS = {
    "a class": (MovingAverageCross, "MovingAverageCross() makes one"),
    "a name": ("moving-average-cross", "sapphire agent list"),
    "nothing": (None, "NoneType"),
    "another class": (int, "the class int"),
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("what", NO_AGENTS)
def test_what_is_no_agent_is_refused_and_nothing_is_written(make_study, verb, what):
    study, (given, message) = make_study(), NO_AGENTS[what]
    with pytest.raises(AgentError, match="not an agent") as refused:
        VERBS[verb](study, given)
    assert message in str(refused.value)
    assert study.ledger.head.lines == 0


@dataclass(frozen=True)
class Halves:
    """No split: it has no folds."""


SETTINGS = [
    ("split", "30d", "sp.walk_forward"),
    ("split", walk_forward, "sp.walk_forward"),
    ("split", Halves(), "sp.walk_forward"),
    ("costs", 0.001, "sp.costs.binance_spot()"),
    ("sizing", FixedFraction, "the class FixedFraction"),
    ("sizing", 0.5, "sp.portfolio.VolatilityTarget"),
    ("data", "BTC/USDT", "sp.data.snapshot"),
    ("name", 3, "a text"),
    ("name", "", "a text"),
    ("seed", "seven", "a whole number"),
    ("seed", 1.5, "a whole number"),
    ("seed", True, "a whole number"),
    ("limits", {"order": 1}, "Limits(order=2.0)"),
    ("limits", Limits, "the class Limits"),
    ("execution", {"retry_ns": 1}, "Execution("),
    ("when_views_stop", "hold", "WhenViewsStop()"),
    ("clock", "now", "WallClock()"),
    ("opens", 3, "names of studies"),
    ("opens", ["trend", 3], "names of studies"),
]


@pytest.mark.parametrize(("name", "given", "message"), SETTINGS)
def test_a_setting_of_another_kind_is_refused_by_name(make_study, name, given, message):
    with pytest.raises(StudyError, match=f"{name} of a study") as refused:
        make_study(**{name: given})
    assert message in str(refused.value)


@pytest.mark.parametrize("sizing", [FixedFraction(long_only=False), VolatilityTarget(long_only=False)])
def test_a_parameter_that_changes_nothing_is_refused(make_study, sizing):
    with pytest.raises(StudyError, match="would go short"):
        make_study(sizing=sizing)


@pytest.mark.parametrize("annual", [20, 3.1])
def test_a_percentage_is_no_fraction(annual):
    with pytest.raises(ValueRefused, match=r"0\.20 is 20 %"):
        VolatilityTarget(annual=annual)
    assert VolatilityTarget(annual=3.0).annual == 3.0


@pytest.mark.parametrize(
    "make",
    [
        lambda: VolatilityTarget(annual="20%"),
        lambda: VolatilityTarget(annual=True),
        lambda: VolatilityTarget(annual=0.2, cost_bps="3"),
        lambda: VolatilityTarget(annual=0.2, long_only="yes"),
        lambda: FixedFraction(fraction="0.5"),
        lambda: EqualWeight(hold=1),
        lambda: costs.binance_spot(taker_bps="10"),
        lambda: costs.binance_spot(latency_ms=5),
        lambda: costs.binance_spot(latency_ms=(1, 2, 3)),
    ],
)
def test_a_number_is_no_text_and_a_text_no_number(make):
    with pytest.raises(ValueRefused) as refused:
        make()
    assert "expected:" in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"horizon": "2h"}, "horizon is a duration, timedelta(hours=2), not str '2h'"),
        ({"fast": 3.0}, "fast is a whole number, not float 3.0"),
        ({"fast": "3"}, "fast is a whole number, not str '3'"),
    ],
)
def test_a_parameter_of_an_agent_is_of_its_kind(make_study, changes, message):
    with pytest.raises(AgentError, match="parameters of moving-average-cross") as refused:
        MovingAverageCross(**({"fast": 3, "slow": 5} | changes))
    assert message in refused.value.got


@dataclass(frozen=True)
class Unchecked(Agent):
    """An agent of a quant's own, which looks at none of its parameters."""

    share: float = 0.5
    horizon: timedelta = timedelta(hours=2)

    @property
    def warmup(self):
        return 2

    def views(self, window):
        return window.views(score=window.panel("close").iloc[-1] * self.share, horizon=self.horizon)


def test_parameters_of_an_own_agent_are_looked_at_before_any_work(make_study):
    study = make_study()
    with pytest.raises(AgentError, match="parameters of unchecked") as refused:
        study.screen(Unchecked(share="half"))
    assert refused.value.got == "share is a number, not str 'half'"
    assert study.ledger.head.lines == 0


@pytest.mark.parametrize("values", [3, "345", np.int64(3)])
def test_a_sweep_needs_several_values(make_study, values):
    with pytest.raises(StudyError, match="values of a sweep") as refused:
        make_study().sweep(MovingAverageCross(fast=3, slow=5), fast=values)
    assert "fast=" in refused.value.got


def test_blocks_are_counted_in_whole_numbers(make_study):
    with pytest.raises(ValueRefused, match="groups of a split"):
        make_study().paths(MovingAverageCross(fast=3, slow=5), groups="6")


def test_generated_bars_from_the_future_are_no_history(home):
    early = FixedClock(to_ns("2024-01-10"))
    asked = {"interval": "1h", "start": "2024-01-01", "end": "2024-01-12", "source": "embedded"}
    with pytest.raises(ValueRefused, match="an end in the future"):
        snapshot(["BTC/USDT"], **asked, clock=early)
    taken = snapshot(["BTC/USDT"], **asked)
    data = dataclasses.replace(taken, provenance=dataclasses.replace(taken.provenance, as_of=from_ns(early.now_ns())))
    with pytest.raises(StudyError, match="bars from the future") as refused:
        study(
            "early",
            data=data,
            holdout="1d",
            split=walk_forward(train="5d", test="1d"),
            costs=costs.binance_spot(),
            sizing=EqualWeight(),
        )
    assert "2024-01-12" in refused.value.got


def test_perpetuals_under_the_name_of_spot_keep_their_label_in_every_caption(make_study, walked):
    data = make_study().data
    data = dataclasses.replace(data, provenance=dataclasses.replace(data.provenance, venue="binanceusdm-as-spot"))
    asked = make_study(data=data)
    agent = MovingAverageCross(fast=3, slow=5, horizon=timedelta(hours=1))
    label = "recorded candles (binanceusdm-as-spot)"
    for shown in (asked, asked.screen(agent), asked.replay(agent), asked.replay(agent).by_fold, asked.trials()):
        assert label in shown.caption
    assert label in asked.replay(agent).figure.layout.title.text
