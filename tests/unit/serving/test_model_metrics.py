"""Calls of models are counted by what came of them."""

import pytest
from prometheus_client import REGISTRY

from sapphire.agents import Model, Reply
from sapphire.agents.recorder import Recorder
from sapphire.domain.errors import AgentError
from sapphire.serving.model_metrics import CountedModels

MODEL = Model("desk/counted", "v1", "0" * 64)
NAME = "desk/counted@v1"


class Words:
    model = MODEL

    def replies(self, requests):
        about = {"prompt_tokens": 7, "completion_tokens": 2, "cost_usd": 0.5}
        return [
            Reply(request["n"], about=about | ({"bad": "no JSON"} if request["n"] < 0 else {})) for request in requests
        ]


def value(name, **labels):
    return REGISTRY.get_sample_value(f"sapphire_model_{name}", {"model": NAME, **labels}) or 0.0


def questions(*numbers):
    return [("", {"n": number}) for number in numbers]


def test_what_came_of_each_call_is_counted(tmp_path):
    with Recorder(tmp_path, Words()) as recorder:
        models = CountedModels(recorder)
        assert models.ask(str(MODEL), questions(1, 2, -1)) == [1, 2, -1]
        assert models.ask(str(MODEL), questions(1, 3)) == [1, 3]
    with Recorder(tmp_path, mode="replay") as replay, pytest.raises(AgentError):
        CountedModels(replay).ask(str(MODEL), questions(9))
    came = {each: value("calls_total", came=each) for each in ("answered", "bad", "recorded", "failed")}
    assert came == {"answered": 3.0, "bad": 1.0, "recorded": 1.0, "failed": 1.0}
    assert value("call_seconds_count") == 4.0
    assert (value("tokens_total", kind="prompt"), value("tokens_total", kind="completion")) == (28.0, 8.0)
    assert value("cost_usd_total") == 2.0
