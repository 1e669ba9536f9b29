"""A one-sided test passes what is not there as often as its level says, dependence or not, and finds what is."""

import numpy as np
import pytest

from sapphire.domain.errors import StatisticsError, TooFewReturns
from sapphire.statistics import (
    automatic_lags,
    automatic_standard_error,
    bootstrap_mean_test,
    bootstrap_sharpe_test,
    bootstrap_test,
    hac_mean_test,
    level_after_openings,
    one_sided_difference,
)


def autoregressive(seed, length=300, coefficient=0.3):
    noise = np.random.default_rng(seed).normal(0.0, 0.01, length + 50)
    series = np.zeros_like(noise)
    for t in range(1, len(noise)):
        series[t] = coefficient * series[t - 1] + noise[t]
    return series[50:]


@pytest.mark.parametrize("method", ["bootstrap", "hac"])
def test_dependent_noise_passes_about_as_often_as_the_level_says(method):
    cash = np.zeros(300)
    found = [
        one_sided_difference(autoregressive(seed), cash, seed=1, level=0.20, method=method).passes
        for seed in range(100 if method == "bootstrap" else 600)
    ]
    naive = [series.mean() > 0.8416 * series.std() / 300**0.5 for series in map(autoregressive, range(600))]
    assert np.mean(naive) > 0.25  # what taking returns as independent would let through
    assert 0.12 <= np.mean(found) <= (0.32 if method == "bootstrap" else 0.25)


def test_an_automatic_error_is_that_of_independent_draws_again():
    """Over many series, the error that is stated is the spread that is there."""
    series = [autoregressive(seed, 1_000) for seed in range(200)]
    stated = np.mean([automatic_standard_error(one) for one in series])
    assert stated == pytest.approx(np.std([one.mean() for one in series]), rel=0.15)


def test_lags_are_bounded_where_the_rule_has_no_limit():
    reverting = np.diff(np.random.default_rng(1).normal(size=401))
    assert 1 <= automatic_lags(reverting) <= 20


@pytest.mark.parametrize("test", [bootstrap_mean_test, bootstrap_sharpe_test])
def test_bound_and_p_value_say_the_same(test):
    for drift in (-0.002, 0.0, 0.0003, 0.002):
        found = test(autoregressive(5) + drift, seed=3, level=0.10)
        assert found.passes == (found.lower_bound > 0.0)
        assert 0.0 < found.p_value <= 1.0
        assert found.lower_bound < found.estimate


def test_a_sharpe_ratio_is_judged_as_its_mean_is():
    returns = autoregressive(6) + 0.002
    ratio, mean = bootstrap_sharpe_test(returns, seed=1), bootstrap_mean_test(returns, seed=1)
    assert ratio.p_value == pytest.approx(mean.p_value, abs=0.02)
    assert ratio.estimate == pytest.approx(returns.mean() / returns.std(ddof=1))


def test_the_two_ways_agree():
    returns = autoregressive(7) + 0.001
    drawn, long_run = bootstrap_mean_test(returns, seed=1), hac_mean_test(returns)
    assert drawn.standard_error == pytest.approx(long_run.standard_error, rel=0.25)
    assert drawn.p_value == pytest.approx(long_run.p_value, abs=0.02)


def test_what_a_statistic_raises_is_raised():
    def refuse(returns):
        raise StatisticsError("no")

    with pytest.raises(StatisticsError, match="no"):
        bootstrap_test(autoregressive(1), refuse, seed=1)


@pytest.mark.parametrize("test", [lambda r: bootstrap_mean_test(r, seed=1), hac_mean_test])
def test_what_has_no_error_is_refused(test):
    with pytest.raises(TooFewReturns):
        test([0.1, -0.1] * 10)
    with pytest.raises(StatisticsError, match="do not vary"):
        test([0.01] * 50)
    with pytest.raises(StatisticsError, match="not finite"):
        test([0.01, np.inf] * 50)


def test_levels_after_openings():
    assert level_after_openings(0.2, 1) == pytest.approx(0.2, abs=1e-15)
    for openings in (2, 7, 100):
        each = level_after_openings(0.2, openings)
        assert 1.0 - (1.0 - each) ** openings == pytest.approx(0.2, abs=1e-12)
    for level, openings in ((0.0, 1), (1.0, 1), (0.2, 0), (float("nan"), 1)):
        with pytest.raises(StatisticsError):
            level_after_openings(level, openings)
