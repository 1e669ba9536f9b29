"""V of the ledger's trials: no flood of copies makes it smaller, whatever they are sprinkled with."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sapphire.research.ledger.book import Evaluation, Ledger
from sapphire.research.ledger.counting import counted
from sapphire.research.ledger.spans import Span
from sapphire.research.ledger.trial_returns import ReturnSeries, correlations
from sapphire.research.results.performance import active_returns, sharpe_of
from sapphire.statistics import deflated_sharpe_ratio, variance_of_trials

LENGTH = 500
DAY_NS = 86_400_000_000_000
CLOSES = (np.arange(LENGTH, dtype=np.int64) + 1) * DAY_NS
SPAN = Span("real", {"BTC/USDT": "a" * 64}, DAY_NS, DAY_NS, (LENGTH + 1) * DAY_NS)
MARKET = np.random.default_rng(0).normal(0.0005, 0.02, LENGTH)


def trial(number, values, *, closes=CLOSES, keeps=True):
    series = ReturnSeries(closes, values)
    return Evaluation(
        agent="trend",
        code="c0de",
        parameters={"number": number},
        sizing={},
        protocol="p" * 64,
        seed=7,
        span=replace(SPAN, start_ns=int(closes[0])),
        method="sweep",
        returns_digest=series.digest,
        sharpe=sharpe_of(values),
        active=sharpe_of(active_returns(values, MARKET[-len(values) :])),
        study="trend",
        series=series if keeps else None,
    )


def flood(values, grain=1e-4, copies=500, first=100):
    """Copies with noise of a share of their own deviation."""
    dice = np.random.default_rng(5)
    return [
        trial(first + number, values + grain * values.std() * dice.standard_normal(len(values)))
        for number in range(copies)
    ]


@pytest.fixture
def count(tmp_path):
    def of(*trials):
        ledger = Ledger(Path(tmp_path) / f"ledger {len(list(tmp_path.iterdir()))}")
        ledger.record(trials, at_ns=1)
        return counted(ledger, SPAN, SPAN, length=LENGTH)

    return of


@pytest.fixture(scope="module")
def honest():
    """Ten different agents, whose ratios differ by more than their errors."""
    dice = np.random.default_rng(1)
    return [0.01 * (dice.standard_normal(LENGTH) + ratio) for ratio in np.linspace(-0.3, 0.3, 10)]


def deflated(found):
    return deflated_sharpe_ratio(0.2, trials=found.trials, variance_of_trials=found.variance_of_trials, length=LENGTH)


def test_a_flood_of_noisy_copies_does_not_lower_the_deflation(count, honest):
    few = [trial(number, values) for number, values in enumerate(honest)]
    alone, flooded = count(*few), count(*few, *flood(honest[4]))
    assert flooded.trials == alone.trials + 500
    assert flooded.variance_of_trials == pytest.approx(alone.variance_of_trials)
    assert flooded.variance_of_active == pytest.approx(alone.variance_of_active)
    assert alone.variance_of_trials > 10 / LENGTH
    assert deflated(flooded) < deflated(alone)
    before = count(*flood(honest[4]), *few)
    assert before.variance_of_trials == pytest.approx(alone.variance_of_trials, rel=1e-3), "nor where it came first"


def test_copies_over_windows_a_bar_shorter_are_copies_too(count, honest):
    few = [trial(number, values) for number, values in enumerate(honest)]
    short = [
        trial(100 + number, honest[4][number % 30 :] + 1e-7 * number, closes=CLOSES[number % 30 :])
        for number in range(1, 90)
    ]
    alone, flooded = count(*few), count(*few, *short)
    assert flooded.variance_of_trials == pytest.approx(alone.variance_of_trials)


def test_a_fine_sweep_keeps_the_spread_of_all_its_ratios(count):
    """Neighbours of a sweep may correlate as copies do; then their own ratios count, as many as they are."""
    dice = np.random.default_rng(2)
    common = dice.standard_normal(LENGTH)
    swept = [0.01 * (common + 0.05 * dice.standard_normal(LENGTH) + ratio) for ratio in np.linspace(-0.2, 0.2, 20)]
    found = count(*(trial(number, values) for number, values in enumerate(swept)))
    assert found.variance_of_trials >= variance_of_trials([sharpe_of(values) for values in swept], length=LENGTH)
    honest = [0.01 * (dice.standard_normal(LENGTH) + ratio) for ratio in np.linspace(-0.2, 0.2, 20)]
    apart = count(*(trial(number, values) for number, values in enumerate(honest)))
    assert apart.variance_of_trials == pytest.approx(
        variance_of_trials([sharpe_of(values) for values in honest], length=LENGTH)
    )


def test_without_kept_returns_each_ratio_counts(count, honest):
    few = [trial(number, values, keeps=False) for number, values in enumerate(honest)]
    found = count(*few, *few[:1])
    assert found.variance_of_trials == pytest.approx(variance_of_trials([each.sharpe for each in few], length=LENGTH))
    assert found.effective_trials is None


def test_series_correlate_on_the_closes_that_both_have():
    one, other = (np.random.default_rng(seed).standard_normal(LENGTH) for seed in (3, 4))
    series = [
        ReturnSeries(CLOSES, one),
        ReturnSeries(CLOSES[200:], other[200:] + one[200:]),
        ReturnSeries(CLOSES[:220], 2.0 * one[:220] + 1.0),
        ReturnSeries(CLOSES, np.full(LENGTH, 0.1)),
    ]
    found = correlations(series)
    assert found[0, 1] == pytest.approx(np.corrcoef(one[200:], (other + one)[200:])[0, 1])
    assert found[0, 2] == pytest.approx(1.0)
    assert found[1, 2] == 0.0, "twenty closes in common"
    assert found[3].tolist() == [0.0, 0.0, 0.0, 1.0], "it never varies"
    assert correlations(series[::3]) == pytest.approx(np.eye(2))
    assert np.array_equal(found, found.T)
