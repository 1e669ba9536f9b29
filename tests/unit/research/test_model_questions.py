"""What an agent asks of a model in a study: counted before, asked in one pass, gone on with after an interruption."""

from datetime import timedelta

import pytest

import sapphire as sp
from sapphire.agents import BuyAndHold, MovingAverageCross, Pool, Qwen, Reply, recording
from sapphire.agents.llm.default_model import PACKAGED
from sapphire.agents.llm.requests import Scores
from sapphire.domain.errors import AgentError

AGENT = Qwen(horizon=timedelta(hours=2), shown_bars=3, memory=12)


class Words:
    """Up and down by the length of the prompt; fails after so many answers."""

    model = PACKAGED

    def __init__(self, fails_after=None):
        self.answered, self._fails_after = 0, fails_after

    def replies(self, requests):
        made = []
        for request in requests:
            if self.answered == self._fails_after:
                raise OSError("the server is gone")
            self.answered += 1
            odds = {"up": hash_of(request["messages"][-1][1]), "down": 0.0}
            made.append(Reply(Scores.among(odds, 9).reply("").answer, about={"seconds": 0.5, "cost_usd": 0.01}))
        return made


def hash_of(text):
    return sum(map(ord, text)) % 7 / 3.0 - 1.0


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.setenv("SAPPHIRE_HOME", str(tmp_path / "home"))
    bars = sp.data.snapshot(
        ["BTC/USDT", "ETH/USDT"], interval="1h", start="2025-03-01", end="2025-03-08", source="embedded"
    )
    return sp.study(
        "words",
        data=bars,
        holdout="1d",
        split=sp.walk_forward(train="3d", test="1d", embargo="2h"),
        costs=sp.costs.binance_spot(),
        sizing=sp.portfolio.VolatilityTarget(annual=0.2),
    )


def test_questions_are_counted_before_and_asked_once_however_often_is_looked(study, tmp_path):
    words = Words()
    with recording(tmp_path / "calls", words):
        (cost,) = study.model_cost(AGENT)
        windows = len(study.evaluation) - AGENT.warmup + 1
        assert (cost.questions, cost.recorded, cost.seconds) == (2 * windows + 1, 0, None)
        assert "0 recorded" in cost.caption
        assert words.answered == 0
        assert not cost.at_least
        study.replay(AGENT)
        assert words.answered == cost.questions
        study.screen(AGENT)
        study.information(AGENT)
        assert words.answered == cost.questions
        (then,) = study.model_cost(AGENT)
    assert (then.new, then.seconds, then.cost_usd) == (0, 0.0, 0.0)
    assert "all recorded" in then.caption


def test_a_pass_that_was_interrupted_goes_on_where_it_was(study, tmp_path):
    failing = Words(fails_after=100)
    with recording(tmp_path / "calls", failing), pytest.raises(AgentError, match="fails"):
        study.replay(AGENT)
    words = Words()
    with recording(tmp_path / "calls", words):
        (cost,) = study.model_cost(AGENT)
        assert cost.recorded == 96  # three chunks of 32 were answered whole
        assert cost.seconds == pytest.approx(0.5 * cost.new)
        assert cost.cost_usd == pytest.approx(0.01 * cost.new)
        replayed = study.replay(AGENT)
    assert words.answered == cost.new
    with recording(tmp_path / "calls", mode="replay"):
        again = sp.study(
            "words", data=study.data, holdout="1d", split=study.split, costs=study.costs, sizing=study.sizing
        )
        assert again.replay(AGENT).equity.equals(replayed.equity)


def test_members_of_a_pool_are_asked_too_and_who_asks_no_model_costs_nothing(study, tmp_path):
    cross = MovingAverageCross(fast=2, slow=6, horizon=AGENT.horizon)
    with recording(tmp_path / "calls", Words()):
        assert study.model_cost(cross) == ()
        (cost,) = study.model_cost(Pool((cross, AGENT)))
    assert cost.agent == AGENT


def test_counterfactuals_are_asked_of_tested_bars_once_and_count_as_no_trial(study, tmp_path):
    words = Words()
    with recording(tmp_path / "calls", words):
        found = study.counterfactuals(AGENT, windows=4)
        assert words.answered == 4 * 5 * 2 + 1  # as they are and four changes, two coins; once about nothing
        assert study.counterfactuals(AGENT, windows=4) == found
        assert words.answered == 4 * 5 * 2 + 1
    assert study.ledger.evaluations() == ()
    assert [row.views for row in found.measured.rows] == [8, 8, 8, 0, 8]
    assert found.measured.row("anonymised_symbols").moved > 0, "its answers go by every letter"
    assert "4 windows, " in found.caption
    assert "moved is by more than 0.01 of probability" in found.caption
    lines = {line[0]: line for line in found.table()[1]}
    assert lines["flipped news"][1:] == ("-",) * 8 + ("0", "not read")
    kept = found.measured.row("shifted_dates")
    assert lines["shifted dates"][2] == f"{100 * kept.kept / 8:.0f} %"
    assert lines["shifted dates"][7] == f"{kept.confidence_invariance:.3f}"
    assert found.as_dict()["shares"]["shifted_dates"]["consistency"] == kept.kept / 8
    assert "IT SAYS THE SAME WHATEVER IT IS SHOWN" in study.counterfactuals(BuyAndHold(), windows=4).caption
