"""The best of many trials is held to what the luckiest of many equals would show."""

import numpy as np
import pytest

from sapphire.domain.errors import StatisticsError, TooFewReturns
from sapphire.statistics import step_m, superior_predictive_ability

CASH = np.zeros(250)


def noise(seed, count=10):
    return np.random.default_rng(seed).normal(0.0, 0.01, (250, count))


def test_noise_passes_about_as_often_as_it_may():
    found = [superior_predictive_ability(noise(seed), CASH, seed=1, repetitions=200) for seed in range(80)]
    assert all(one.lower <= one.consistent <= one.upper for one in found)
    share = np.mean([one.consistent <= 0.20 for one in found])
    assert 0.08 <= share <= 0.34  # 99.9 % of 80 draws at 0.20


def test_a_volatile_loser_does_not_hide_a_good_trial():
    """arch by itself compares unscaled means, and one trial of ten times the spread sets the bar for all."""
    from arch.bootstrap import SPA

    returns = noise(3)
    returns[:, 4] += 0.0025
    volatile = noise(4, 1)
    wild = np.hstack([returns, 30.0 * (volatile - volatile.mean())])
    plain = SPA(CASH, -wild, block_size=2, reps=400, seed=1)
    plain.compute()
    assert plain.pvalues["consistent"] > 0.2
    assert superior_predictive_ability(wild, CASH, seed=1, repetitions=400).consistent < 0.01
    assert step_m(wild, CASH, seed=1, repetitions=400) == (4,)


def test_a_trial_that_is_the_benchmark_is_left_out():
    market = noise(5, 1)[:, 0]
    returns = np.column_stack([market, market + 0.002 + noise(6, 1)[:, 0]])
    found = superior_predictive_ability(returns, market, seed=1)
    assert (found.trials, found.n) == (1, 250)
    assert step_m(returns, market, seed=1) == (1,)


def test_noise_has_no_superior_trial():
    assert step_m(noise(7), CASH, seed=1) == ()


def test_a_p_value_is_never_zero():
    assert superior_predictive_ability(noise(8) + 0.05, CASH, seed=1, repetitions=100).lower == pytest.approx(1 / 101)


def test_the_same_seed_says_the_same():
    assert superior_predictive_ability(noise(9), CASH, seed=4) == superior_predictive_ability(noise(9), CASH, seed=4)


@pytest.mark.parametrize("ask", [superior_predictive_ability, step_m])
def test_what_cannot_be_compared_is_refused(ask):
    with pytest.raises(TooFewReturns):
        ask(noise(1)[:20], CASH[:20], seed=1)
    with pytest.raises(StatisticsError, match="do not pair"):
        ask(noise(1), CASH[:200], seed=1)
    with pytest.raises(StatisticsError, match="cannot be compared"):
        ask(np.zeros((250, 3)), CASH, seed=1)
    with pytest.raises(StatisticsError, match="cannot be compared"):
        ask(np.column_stack([noise(1, 1), np.full(250, 0.01)]), CASH, seed=1)
    with pytest.raises(StatisticsError, match="cannot be drawn"):
        ask(noise(1), CASH, seed=1, repetitions=10)
