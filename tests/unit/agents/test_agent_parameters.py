"""Parameters as plain values and as words."""

import json
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sapphire.agents import (
    LagLlama,
    MovingAverageCross,
    Pool,
    RandomWalk,
    duration_text,
    plain_parameters,
    read_parameters,
)
from sapphire.domain.clocks import parse_duration
from sapphire.domain.errors import AgentError


@given(st.timedeltas(timedelta(0), timedelta(days=9000)).map(lambda of: of - of % timedelta(milliseconds=1)))
def test_durations_read_back(duration):
    assert parse_duration(duration_text(duration)) == duration


def test_a_duration_without_a_text_is_refused():
    with pytest.raises(AgentError, match="whole milliseconds"):
        duration_text(timedelta(microseconds=1))
    with pytest.raises(AgentError, match="whole milliseconds"):
        duration_text(timedelta(hours=-1))


def test_a_sweep_over_an_array_is_the_sweep_over_a_list():
    plain = plain_parameters(MovingAverageCross(fast=np.int64(5)))
    assert plain == plain_parameters(MovingAverageCross(fast=5)) == {"fast": 5, "slow": 48, "horizon": "12h"}
    assert type(plain["fast"]) is int


def test_parameters_can_be_written_as_json():
    for agent in (LagLlama(), Pool((RandomWalk(), RandomWalk(lookback=5)))):
        assert json.loads(json.dumps(plain_parameters(agent))) == plain_parameters(agent)


def test_a_parameter_that_cannot_be_written_down_is_refused():
    agent = MovingAverageCross()
    object.__setattr__(agent, "horizon", object())
    with pytest.raises(AgentError, match="parameter horizon of moving-average-cross cannot be written down"):
        plain_parameters(agent)


def test_words_are_read_as_the_type_of_the_default():
    assert read_parameters(MovingAverageCross, {"fast": "5", "horizon": "36h"}) == {
        "fast": 5,
        "horizon": timedelta(hours=36),
    }
    assert read_parameters(LagLlama, {"lags": "0, 1,2", "learning_rate": "1e-3"}) == {
        "lags": (0, 1, 2),
        "learning_rate": 1e-3,
    }


@pytest.mark.parametrize("words", [{"fast": "five"}, {"horizon": "soon"}, {"fast": "5.5"}])
def test_words_that_do_not_read_say_what_would(words):
    with pytest.raises(AgentError, match="something like"):
        read_parameters(MovingAverageCross, words)


def test_words_for_no_parameter_are_refused():
    with pytest.raises(AgentError, match="one of fast, slow, horizon"):
        read_parameters(MovingAverageCross, {"quick": "5"})
    with pytest.raises(AgentError, match="has no parameter 'weights'"):
        read_parameters(LagLlama, {"weights": "1"})
    with pytest.raises(AgentError, match="does not read"):
        read_parameters(Pool, {"agents": "cash"})
