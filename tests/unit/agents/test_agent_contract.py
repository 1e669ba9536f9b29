"""What every agent promises: frozen parameters, arrays beside them, a name, and a source that can be shown."""

import hashlib
import pickle
import sys
import types
from dataclasses import FrozenInstanceError, dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from sapphire.agents import (
    Agent,
    Arrays,
    Calibrated,
    LagLlama,
    MovingAverageCross,
    Pool,
    RandomWalk,
    code_digest,
    fitted,
    own_sources,
)
from sapphire.domain.errors import AgentError, NotFitted


@dataclass(frozen=True)
class Drift(Agent):
    """Learns the mean return."""

    length: int = 5
    horizon: timedelta = timedelta(hours=1)
    learned: Arrays = fitted()  # noqa: RUF009

    @property
    def warmup(self):
        return self.length

    def views(self, window):
        self.require_fitted()
        return window.views(score=window.panel("close").iloc[-1] * 0 + self.learned["mean"][0], horizon=self.horizon)

    def fit(self, train, seed):
        mean = np.diff(np.log(train.close), axis=0).mean()
        return self.with_arrays({"learned.mean": np.array([mean])})


@dataclass(frozen=True)
class Silent(Agent):
    horizon: timedelta = timedelta(hours=1)
    warmup: int = 3

    def views(self, window):
        return []


def test_fields_are_the_parameters_and_what_was_learned_is_not():
    assert Drift(length=7).parameters() == {"length": 7, "horizon": timedelta(hours=1)}
    assert Drift.name == "drift"
    assert MovingAverageCross().name == "moving-average-cross"
    with pytest.raises(FrozenInstanceError):
        Drift().length = 9


def test_replace_makes_another_agent_and_refuses_unknown_parameters():
    agent = MovingAverageCross()
    assert agent.replace(fast=5) == MovingAverageCross(fast=5)
    assert agent.replace(fast=12) is agent
    with pytest.raises(AgentError, match="no parameter 'quick'") as caught:
        agent.replace(quick=5)
    assert caught.value.expected == "one of fast, slow, horizon"


def test_a_parameter_that_changes_takes_what_was_learned_with_it(bars):
    learned = Drift().fit(bars, seed=1)
    assert learned.is_fitted
    assert learned.replace(length=5).is_fitted
    assert not learned.replace(length=6).is_fitted


def test_arrays_go_out_and_come_back(bars):
    learned = Drift().fit(bars, seed=1)
    assert list(learned.arrays()) == ["learned.mean"]
    assert Drift().with_arrays(learned.arrays()) == learned
    assert learned != Drift()
    assert hash(Drift().with_arrays(learned.arrays())) == hash(learned)
    with pytest.raises(AgentError, match="no place"):
        Drift().with_arrays({"other.mean": np.zeros(1)})
    with pytest.raises(AgentError, match="no place"):
        MovingAverageCross().with_arrays({"learned.mean": np.zeros(1)})
    assert MovingAverageCross().with_arrays({}) == MovingAverageCross()


def test_nobody_can_write_into_learned_arrays(bars):
    source = np.zeros(3)
    kept = Arrays({"a": source})
    source[0] = 1.0
    assert kept["a"].tolist() == [0.0, 0.0, 0.0]
    with pytest.raises(ValueError, match="read-only"):
        kept["a"][0] = 1.0
    with pytest.raises(AgentError, match="cannot be kept"):
        Arrays({"words": np.array(["a"])})


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ({"a": np.zeros(2)}, {"b": np.zeros(2)}),
        ({"a": np.zeros(2)}, {"a": np.zeros(2, dtype=np.float32)}),
        ({"a": np.zeros(2)}, {"a": np.zeros((2, 1))}),
        ({"a": np.array([0.0])}, {"a": np.array([-0.0])}),
    ],
)
def test_arrays_are_equal_only_byte_for_byte(left, right):
    assert Arrays(left) != Arrays(right)
    assert Arrays(left) == Arrays(left)


def test_an_agent_that_learns_refuses_to_speak_before(bars):
    assert not Drift().is_fitted
    with pytest.raises(NotFitted, match="drift has not learned yet"):
        Drift().require_fitted()
    assert Silent().is_fitted
    assert Silent().fit(bars, seed=1) == Silent()


def test_a_class_that_is_no_frozen_dataclass_is_told_what_to_write():
    class Bare(Agent):
        warmup = 1
        horizon = timedelta(hours=1)

        def views(self, window):
            return []

    with pytest.raises(AgentError, match=r"next:     write @dataclass\(frozen=True\) above class Bare"):
        Bare()

    @dataclass
    class Thawed(Bare):
        length: int = 1

    with pytest.raises(AgentError, match="Thawed is not a frozen dataclass"):
        Thawed()


def test_a_class_without_horizon_or_views_is_told_so():
    @dataclass(frozen=True)
    class Half(Agent):
        warmup: int = 1

    with pytest.raises(AgentError, match="no horizon, no views"):
        Half()


def test_a_parameter_without_default_that_would_read_the_base_is_refused():
    with pytest.raises(AgentError, match="leaves horizon open"):

        @dataclass(frozen=True)
        class Open(Agent):
            horizon: timedelta
            warmup: int = 1


def test_the_code_digest_is_that_of_the_file():
    source = Path(sys.modules[MovingAverageCross.__module__].__file__).read_bytes()
    assert code_digest(MovingAverageCross()) == hashlib.sha256(source).hexdigest()
    assert code_digest(MovingAverageCross) == code_digest(MovingAverageCross(fast=3))


def test_the_code_digest_of_a_pool_is_that_of_all_who_speak():
    averages, walk = MovingAverageCross(horizon=timedelta(hours=1)), RandomWalk()
    pool = Pool((averages, walk))
    assert [source.name for source in own_sources(pool)] == [
        "baselines.py",
        "calibrated.py",
        "moving_average.py",
        "pool.py",
    ]
    digests = {code_digest(of) for of in (pool, Pool((averages, averages)), Calibrated(averages), averages)}
    assert len(digests) == 4


def test_the_code_digest_of_a_derived_agent_holds_the_file_of_the_one_it_derives_from():
    @dataclass(frozen=True)
    class Quick(MovingAverageCross):
        fast: int = 2

    assert [source.name for source in own_sources(Quick)] == ["moving_average.py", "test_agent_contract.py"]


def test_a_class_without_a_file_is_told_how_to_get_one(monkeypatch):
    module = types.ModuleType("a_notebook")
    monkeypatch.setitem(sys.modules, "a_notebook", module)
    exec(
        "from dataclasses import dataclass\nfrom datetime import timedelta\nfrom sapphire.agents import Agent\n"
        "@dataclass(frozen=True)\nclass Loose(Agent):\n    warmup: int = 1\n"
        "    horizon: timedelta = timedelta(hours=1)\n    def views(self, window):\n        return []\n",
        module.__dict__,
    )
    assert module.Loose().warmup == 1
    with pytest.raises(AgentError, match=r"next:     put %%agent loose on top of its cell"):
        code_digest(module.Loose())


def test_an_edited_file_does_not_change_what_ran(tmp_path):
    from sapphire.agents import load_agent_file

    path = tmp_path / "quiet.py"
    path.write_text(
        "from dataclasses import dataclass\nfrom datetime import timedelta\nfrom sapphire.agents import Agent\n"
        "@dataclass(frozen=True)\nclass Quiet(Agent):\n    warmup: int = 1\n"
        "    horizon: timedelta = timedelta(hours=1)\n    def views(self, window):\n        return []\n"
    )
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    cls = load_agent_file(path)
    path.write_text(path.read_text() + "# later\n")
    assert code_digest(cls()) == before
    assert code_digest(load_agent_file(path)) != before


def test_agents_travel_between_processes(bars):
    learned = LagLlama(steps=1).replace(width=8)
    assert pickle.loads(pickle.dumps(learned)) == learned
    assert pickle.loads(pickle.dumps(Pool((RandomWalk(), RandomWalk(lookback=5))))).warmup == 241


def test_a_card_says_what_an_agent_is():
    assert MovingAverageCross().card() == {
        "agent": "moving-average-cross",
        "summary": "How far the fast average stands above the slow one.",
    }
