"""What a study is given is looked at before any work, and another kind of thing is refused in words."""

from dataclasses import dataclass

import pytest

from sapphire.agents import MovingAverageCross
from sapphire.domain.errors import AgentError, StudyError, ValueRefused
from sapphire.portfolio import FixedFraction, VolatilityTarget
from sapphire.research import walk_forward

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
    "another class": (int, "type"),
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("what", NO_AGENTS)
def test_what_is_no_agent_is_refused_and_nothing_is_written(make_study, verb, what):
    study, (given, told) = make_study(), NO_AGENTS[what]
    with pytest.raises(AgentError, match="not an agent") as refused:
        VERBS[verb](study, given)
    assert told in str(refused.value)
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
]


@pytest.mark.parametrize(("name", "given", "told"), SETTINGS)
def test_a_setting_of_another_kind_is_refused_by_name(make_study, name, given, told):
    with pytest.raises(StudyError, match=f"{name} of a study") as refused:
        make_study(**{name: given})
    assert told in str(refused.value)


@pytest.mark.parametrize("sizing", [FixedFraction(long_only=False), VolatilityTarget(long_only=False)])
def test_a_parameter_that_changes_nothing_is_refused(make_study, sizing):
    with pytest.raises(StudyError, match="would go short"):
        make_study(sizing=sizing)


@pytest.mark.parametrize("annual", [20, 3.1])
def test_a_percentage_is_no_fraction(annual):
    with pytest.raises(ValueRefused, match=r"0\.20 is 20 %"):
        VolatilityTarget(annual=annual)
    assert VolatilityTarget(annual=3.0).annual == 3.0
