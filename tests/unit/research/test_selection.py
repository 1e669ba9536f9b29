"""What the trials of a study say together."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from sapphire.agents import BuyAndHold, MovingAverageCross
from sapphire.domain.errors import StatisticsError, TooFewReturns
from sapphire.research.ledger.recording import market_returns
from sapphire.research.ledger.selection import selection_of
from sapphire.research.ledger.trial_returns import ReturnSeries
from sapphire.research.results.performance import active_returns
from sapphire.statistics import probability_of_backtest_overfitting, superior_predictive_ability

AGENT = MovingAverageCross(fast=3, slow=12, horizon=timedelta(hours=2))


@pytest.fixture
def swept(make_study):
    """A study of six screens of one agent and one replay."""
    study = make_study()
    study.sweep(AGENT, fast=[2, 3, 4], slow=[12, 16])
    study.replay(AGENT)
    return study


def planted(study, values):
    """What the ledger would say of the swept trials with other returns, time by trial."""
    found = study.trials()
    closes = study.tested.close_time_ns[1:]
    rows = [row for row in found.trials.rows if row.method == "sweep"]
    kept = {row.trial: ReturnSeries(closes, column) for row, column in zip(rows, values.T, strict=True)}
    return selection_of(study, found.trials, kept)


def noise(study, seed=1, trials=6):
    return np.random.default_rng(seed).normal(0.0, 0.01, (len(study.tested) - 1, trials))


def test_trials_of_the_more_numerous_kind_are_compared(swept):
    found = swept.trials().selection
    assert (found.kind, len(found.rows), found.left_out) == ("screens", 6, 1)
    assert {row.method for row in found.rows} == {"sweep"}
    assert found.overfitting.probability == probability_of_backtest_overfitting(found.returns).probability
    beside = np.column_stack([active_returns(column, market_returns(swept)) for column in found.returns.T])
    assert found.superior == superior_predictive_ability(beside, np.zeros(len(beside)), seed=8)
    for fast in (5, 6, 7, 8, 9, 10):
        swept.replay(AGENT.replace(fast=fast))
    again = swept.trials().selection
    assert {row.method for row in again.rows} == {"replay"}
    assert again.left_out == swept.trials().count - len(again.rows)


def test_the_table_of_trials_shows_what_they_say_together(swept):
    table = swept.trials()
    lines = dict(table.selection.table()[1])
    assert lines["PBO by CSCV"].startswith(f"{table.selection.overfitting.probability:.2f} over 252 splits of 6")
    assert lines["SPA p-value, beside the market"].startswith(f"{table.selection.superior.consistent:.3f} for the best")
    assert list(lines)[2:] == ["survivors of StepM at 5 %, beside the market", "MinTRL of the best at 95 %"]
    text = repr(table)
    for line in (
        "6 screens over the whole tested window, taken together; 1 other trials",
        "PBO by CSCV",
        *lines.values(),
    ):
        assert line in text
    plain = table.as_dict()["selection"]
    assert plain["pbo"] == table.selection.overfitting.probability
    assert (plain["compared"], plain["kind"]) == (6, "screens")


def test_counting_reads_no_returns(swept, monkeypatch):
    def never(*_):
        raise AssertionError("returns were read")

    monkeypatch.setattr(type(swept.ledger), "series", never)
    table = swept.trials()
    assert table.count == 7
    with pytest.raises(AssertionError):
        repr(table)


def test_a_planted_edge_survives_and_needs_a_short_record(swept):
    values = noise(swept)
    values[:, 2] += 0.008
    found = planted(swept, values)
    assert found.superior.consistent < 0.01
    assert found.survivors == (found.rows[2],)
    assert found.best == found.rows[2]
    assert found.overfitting.probability < 0.05
    assert 2 < found.minimum_length < len(values) / 2
    name = "moving-average-cross(fast=3, slow=12)"
    lines = dict(found.table()[1])
    assert lines["survivors of StepM at 5 %, beside the market"] == name
    assert lines["MinTRL of the best at 95 %"].startswith(f"{int(np.ceil(found.minimum_length))} returns for {name}")


def test_noise_has_no_survivors(swept):
    found = planted(swept, noise(swept, seed=3) - 0.003)
    assert found.superior.consistent > 0.2
    assert found.survivors == ()
    assert found.as_dict()["survivors"] == []
    assert found.minimum_length == np.inf
    assert found.as_dict()["minimum_length"] is None
    assert "no record is long enough" in repr(found)


def test_the_market_itself_is_no_edge(swept):
    """Six accounts that hold the market in parts and nothing else, in a window in which it rises."""
    market = market_returns(swept) + 0.002
    rising = replace(planted(swept, noise(swept)), market=market)
    benchmark = replace(rising, returns=np.outer(market, np.linspace(0.5, 1.0, 6)))
    with pytest.raises(StatisticsError, match="cannot be compared"):
        benchmark.superior  # noqa: B018
    lucky = replace(benchmark, returns=benchmark.returns + 0.05 * noise(swept, seed=4))
    assert superior_predictive_ability(lucky.returns, np.zeros(len(market)), seed=8).consistent < 0.01
    assert lucky.superior.consistent > 0.05
    assert benchmark.minimum_length < len(market)


def test_what_cannot_be_had_is_said_in_a_sentence(make_study):
    study = make_study()
    assert study.trials().below == ()
    study.screen(BuyAndHold(horizon=timedelta(hours=2)))
    found = study.trials().selection
    with pytest.raises(StatisticsError, match="too few trials to compare"):
        found.overfitting  # noqa: B018
    assert "none: too few trials to compare (expected at least 2 replays or screens" in repr(study.trials())
    assert found.as_dict()["pbo"] is None


def test_trials_over_another_window_or_at_other_bars_are_left_out(make_study, swept):
    make_study(name="elsewhere", holdout="100h").screen(AGENT)
    found = swept.trials().selection
    assert (len(found.rows), found.left_out) == (6, 2)
    coarser = [replace(row, span=replace(row.span, bar_ns=2 * row.span.bar_ns)) for row in found.rows[:2]]
    trials = replace(swept.trials().trials, rows=(*coarser, *found.rows[2:]))
    assert len(selection_of(swept, trials, swept.ledger.series(trials)).rows) == 4


def test_long_records_are_summed_for_the_bootstrap(swept):
    found = planted(swept, noise(swept))
    long = replace(found, returns=np.tile(found.returns, (20, 1)), market=np.tile(found.market, 20))
    assert long.superior.n <= 1_000
    with pytest.raises(TooFewReturns):
        replace(found, returns=found.returns[:20], market=found.market[:20]).superior  # noqa: B018
