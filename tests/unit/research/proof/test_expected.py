"""Rates by the mathematics: those of `statistics` where both can say something, and what must be between them."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ndtri

from sapphire.research.proof.expected import TOGETHER, Model, alone_name, expected_rates, interval_of
from sapphire.research.proof.measured import MEASURES
from sapphire.statistics import PassRate, false_pass_rate, planted_pass_rate

NOISE = Model(variants=20, counted=21, openings=1, length=1_460, holdout_length=364, correlation=0.5)
DRAWS = 50_000


@pytest.fixture(scope="module")
def noise():
    return expected_rates(NOISE, draws=DRAWS)


def near(found, wanted):
    return abs(found.rate - wanted.rate) < 4.0 * np.hypot(found.standard_error, wanted.standard_error)


def test_with_one_trial_counted_the_rates_are_those_of_the_statistics(noise):
    whole = false_pass_rate(20, length=1_460, correlation=0.5, counted=1, seed=3, draws=DRAWS)
    active = false_pass_rate(20, length=1_460, counted=1, seed=4, draws=DRAWS)
    assert near(noise[alone_name("deflated_sharpe")], whole)
    assert near(noise[alone_name("deflated_active_sharpe")], active)


@pytest.mark.parametrize("share", [0.3, 0.5])
def test_with_fat_tails_the_rates_are_those_of_coins_that_are_thrown(share):
    length, variants, degrees, runs = 365, 5, 8, 20_000
    random = np.random.default_rng(7)
    passed = np.zeros(2)
    for _ in range(runs // 2_000):
        market = random.standard_t(degrees, (2_000, 1, length))
        returns = (random.random((2_000, variants, length)) < share) * market
        best = (returns.mean(axis=2) / returns.std(axis=2)).argmax(axis=1)
        chosen, market = returns[np.arange(2_000), best], market[:, 0]
        moved = market - market.mean(axis=1, keepdims=True)
        beta = (chosen * moved).sum(axis=1, keepdims=True) / (moved**2).sum(axis=1, keepdims=True)
        passed += [significant(chosen).sum(), significant(chosen - beta * market).sum()]
    model = Model(
        variants=variants,
        counted=variants + 1,
        openings=1,
        length=length,
        holdout_length=100,
        correlation=share,
        kurtosis=3.0 + 6.0 / (degrees - 4),
    )
    rates = expected_rates(model, draws=DRAWS)
    for name, count in zip(MEASURES[:2], passed, strict=True):
        # the older formula, in which skewness is 0, is 2 in 100 away at a share of 0.3
        assert rates[alone_name(name)].rate == pytest.approx(count / runs, abs=0.012)


def significant(returns):
    """Whether each row's Sharpe ratio is above zero at 5 in 100, by its own skewness and kurtosis."""
    mean, deviation, length = returns.mean(axis=1), returns.std(axis=1), returns.shape[1]
    ratio, scaled = mean / deviation, (returns - mean[:, None]) / deviation[:, None]
    shape = 1.0 - (scaled**3).mean(axis=1) * ratio + ((scaled**4).mean(axis=1) - 1.0) / 4.0 * ratio**2
    return ratio * np.sqrt(length - 1) / np.sqrt(shape) >= ndtri(0.95)


def test_the_count_of_the_ledger_closes_the_gate(noise):
    counted = false_pass_rate(20, length=1_460, correlation=0.5, counted=21, seed=3, draws=DRAWS)
    found = noise["deflated_sharpe"]
    assert 0.0 < found.rate < counted.rate + 4.0 * counted.standard_error
    assert noise[TOGETHER].rate < 0.001
    for name in MEASURES[:2]:
        assert noise[alone_name(name)].rate > 50.0 * noise[name].rate


def test_hold_outs_of_noise_pass_at_their_level_and_less_often_with_each_look(noise):
    looked = expected_rates(replace(NOISE, openings=3), draws=DRAWS)
    for name in MEASURES[2:]:
        assert noise[name].rate == pytest.approx(0.20, abs=0.01)
        assert looked[name].rate == pytest.approx(1.0 - 0.8 ** (1 / 3), abs=0.01)


def test_power_rises_with_the_edge_and_is_that_of_the_statistics():
    rates = []
    for per_year in (1.0, 2.0, 3.0):
        ratio = per_year / 365**0.5
        found = expected_rates(replace(NOISE, edge=(ratio, ratio * 2**0.5)), draws=DRAWS)
        alone = planted_pass_rate(
            ratio, planted=1, trials=20, length=1_460, correlation=0.5, counted=1, seed=5, draws=DRAWS
        )
        # the statistics' returns are normal, these are had every other day: the tails differ by less than 1 in 100
        assert found[alone_name("deflated_sharpe")].rate == pytest.approx(alone.rate, abs=0.01)
        rates.append(found[TOGETHER].rate)
    assert rates[0] < 0.2 < rates[1] < rates[2]


def test_costs_take_what_they_cost(noise):
    expensive = expected_rates(replace(NOISE, cost=0.01), draws=DRAWS)
    assert all(expensive[name].rate <= noise[name].rate for name in expensive)
    assert expensive["holdout_p_value_over_cash"].rate < 0.16


def test_an_interval_of_parts_is_the_statistics_own_where_there_is_one_and_between_where_there_are_two():
    rare, usual = PassRate(0.01, 0.0, 10**6), PassRate(0.5, 0.0, 10**6)
    assert interval_of([(rare, 1_000)]) == rare.interval(1_000)
    low, high = interval_of([(rare, 500), (usual, 500)])
    assert 0.22 < low < 0.255 < high < 0.29
