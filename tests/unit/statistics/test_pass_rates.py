"""The computed pass rates are those of the gate itself, on returns and not on drawn ratios."""

import math

import numpy as np
import pytest

from sapphire.domain.errors import StatisticsError
from sapphire.statistics import (
    PassRate,
    deflated_sharpe_ratio,
    false_pass_rate,
    planted_pass_rate,
    return_moments,
    variance_of_trials,
)


def gate(seed, *, trials, correlation, counted, level, skill=0.0, length=250):
    """Whether the best of some agents passes: the statistics of the gate, on returns."""
    dice = np.random.default_rng(seed)
    shared = dice.normal(size=(length, 1))
    returns = math.sqrt(correlation) * shared + math.sqrt(1 - correlation) * dice.normal(size=(length, trials)) + skill
    sharpes = returns.mean(axis=0) / returns.std(axis=0, ddof=1)
    moments = return_moments(returns[:, sharpes.argmax()])
    variance = variance_of_trials(list(sharpes), length=length)
    found = deflated_sharpe_ratio(
        moments.sharpe,
        trials=counted,
        variance_of_trials=variance,
        length=length,
        skew=moments.skew,
        kurtosis=moments.kurtosis,
    )
    return found >= 1.0 - level


@pytest.mark.parametrize(
    "study",
    [
        {"trials": 5, "correlation": 0.0, "counted": 5, "level": 0.5},
        {"trials": 5, "correlation": 0.6, "counted": 5, "level": 0.2},
        {"trials": 10, "correlation": 0.3, "counted": 1, "level": 0.05},
        {"trials": 1, "correlation": 0.0, "counted": 1, "level": 0.05},
    ],
    ids=lambda study: f"{study['trials']} trials at {study['correlation']}, counted {study['counted']}",
)
def test_the_gate_lets_noise_through_at_the_computed_rate(study):
    runs = 1_500
    passed = np.mean([gate(seed, **study) for seed in range(runs)])
    low, high = false_pass_rate(length=250, seed=1, draws=100_000, **study).interval(runs)
    assert low <= passed <= high
    assert high - low < 0.08


def test_the_gate_lets_skill_through_at_the_computed_power():
    runs = 1_000
    study = {"trials": 4, "correlation": 0.5, "counted": 4, "level": 0.05}
    passed = np.mean([gate(seed, skill=0.2, **study) for seed in range(runs)])
    computed = planted_pass_rate(0.2, planted=4, length=250, seed=1, draws=100_000, **study)
    low, high = computed.interval(runs)
    assert 0.2 < computed.rate < 0.95
    assert low <= passed <= high


def test_one_trial_passes_at_the_level():
    found = false_pass_rate(1, length=5_000, seed=3)
    assert found.rate == pytest.approx(0.05, abs=4 * found.standard_error + 0.0005)


def test_a_ledger_that_counts_one_lets_five_times_as_many_through():
    for correlation in (0.0, 0.5, 0.9):
        study = {"length": 1_000, "seed": 1, "correlation": correlation, "draws": 50_000}
        assert false_pass_rate(20, counted=1, **study).rate > 5.0 * false_pass_rate(20, **study).rate


def test_the_same_seed_draws_the_same_and_many_trials_are_drawn_in_parts():
    study = {"length": 500, "seed": 9, "draws": 5_000}
    assert false_pass_rate(2_000, **study) == false_pass_rate(2_000, **study)
    assert false_pass_rate(20, **study).draws == 5_000


def test_more_skill_and_more_time_pass_more():
    study = {"seed": 1, "draws": 20_000, "trials": 20, "planted": 20}
    rates = [planted_pass_rate(s, length=n, **study).rate for s, n in ((0.03, 1000), (0.06, 1000), (0.06, 3000))]
    assert rates == sorted(rates)
    assert rates[0] < rates[2] - 0.2


def test_an_interval_is_the_binomials():
    assert PassRate(0.5, 0.0, 10**6).interval(100, confidence=0.95) == (0.4, 0.6)
    assert PassRate(0.0, 0.0, 10**6).interval(100) == (0.0, 0.0)
    wide, narrow = PassRate(0.1, 0.01, 900).interval(1_000), PassRate(0.1, 0.0, 900).interval(1_000)
    assert wide[0] < narrow[0]
    assert wide[1] > narrow[1]
    with pytest.raises(StatisticsError):
        PassRate(0.5, 0.0, 1_000).interval(0)


@pytest.mark.parametrize(
    "wrong", [{"trials": 0}, {"correlation": 1.0}, {"correlation": -0.1}, {"level": 0.0}, {"length": 10}, {"draws": 10}]
)
def test_a_study_that_cannot_be_is_refused(wrong):
    with pytest.raises(StatisticsError):
        false_pass_rate(**{"trials": 5, "length": 250, "seed": 1, **wrong})
    with pytest.raises(StatisticsError):
        planted_pass_rate(0.1, length=250, seed=1, trials=2, planted=3)
