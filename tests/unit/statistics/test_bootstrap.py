"""The stationary bootstrap: the published block length, coverage, and repeatability."""

import math

import numpy as np
import pytest

from sapphire.domain.errors import StatisticsError, TooFewReturns
from sapphire.statistics import block_length, bootstrap_interval, sharpe_ratio


def autoregression(rng, rho, length):
    noise = rng.standard_normal(length + 100)
    series = np.empty(length + 100)
    series[0] = noise[0]
    for t in range(1, length + 100):
        series[t] = rho * series[t - 1] + noise[t]
    return series[100:]


def test_block_length_is_the_one_in_archs_tests():
    assert block_length(autoregression(np.random.RandomState(0), 0.3, 10_000)) == pytest.approx(13.635665, abs=1e-6)


def test_stickier_series_need_longer_blocks():
    lengths = [block_length(autoregression(np.random.default_rng(2), rho, 4000)) for rho in (0.0, 0.5, 0.9)]
    assert lengths == sorted(lengths)
    assert lengths[0] < 6 < 30 < lengths[2]


def test_same_seed_same_interval():
    returns = np.random.default_rng(3).standard_normal(300) * 0.01 + 0.001
    first, second, other = (bootstrap_interval(returns, sharpe_ratio, seed=seed, repetitions=200) for seed in (1, 1, 2))
    assert first == second
    assert first.lower != other.lower
    assert first.estimate == sharpe_ratio(returns)
    assert first.lower < first.estimate < first.upper


def test_a_wider_level_holds_the_narrower():
    returns = np.random.default_rng(4).standard_normal(300)
    narrow, wide = (
        bootstrap_interval(returns, sharpe_ratio, seed=5, level=level, repetitions=300) for level in (0.5, 0.95)
    )
    assert wide.lower < narrow.lower < narrow.upper < wide.upper


def test_intervals_of_a_sticky_mean_cover_it():
    """Single draws would cover a mean with autocorrelation 0.5 two times in three; blocks do nearly nine in ten."""
    rng = np.random.default_rng(20261122)
    blocks = singles = 0
    for seed in range(120):
        series = autoregression(rng, 0.5, 250)
        block = bootstrap_interval(series, np.mean, seed=seed, repetitions=200)
        single = bootstrap_interval(series, np.mean, seed=seed, repetitions=200, mean_block=1)
        blocks += block.lower <= 0 <= block.upper
        singles += single.lower <= 0 <= single.upper
    assert 0.78 <= blocks / 120 <= 0.97
    assert singles / 120 < 0.75


@pytest.mark.parametrize(
    "wrong", [{"level": 0.0}, {"level": 1.0}, {"level": math.nan}, {"repetitions": 10}, {"mean_block": 0.5}]
)
def test_a_bootstrap_out_of_range_is_refused(wrong):
    with pytest.raises(StatisticsError, match="cannot be drawn"):
        bootstrap_interval(np.arange(50.0), np.mean, seed=1, **wrong)


def test_too_few_or_constant_returns_are_refused():
    with pytest.raises(TooFewReturns, match="at least 30"):
        bootstrap_interval(np.arange(29.0), np.mean, seed=1)
    with pytest.raises(StatisticsError, match="do not vary"):
        block_length(np.ones(50))
