"""False discovery, across releases and for one."""

import numpy as np
import pytest

from sapphire.domain.errors import StatisticsError, TooFewReturns
from sapphire.statistics import (
    critical_sharpe_ratio,
    discoveries,
    observed_false_discovery_rate,
    planned_false_discovery_rate,
    psr_2025,
    sharpe_ratio_for_rate,
    sharpe_ratio_power,
)


@pytest.mark.parametrize("dependence", ["positive", "any"])
def test_the_share_of_false_discoveries_is_at_most_the_rate(dependence):
    """180 agents without skill beside 20 with it, p-values that move together within each draw."""
    from scipy.special import ndtr

    shares, found = [], 0
    for seed in range(200):
        dice = np.random.default_rng(seed)
        z = 0.5 * dice.normal() + 0.75**0.5 * dice.normal(size=200)
        z[:20] += 4.0
        accepted = discoveries(ndtr(-z), rate=0.2, dependence=dependence).accepted
        found += sum(position < 20 for position in accepted)
        shares.append(np.mean([position >= 20 for position in accepted]) if accepted else 0.0)
    assert np.mean(shares) <= 0.2
    assert found > 200 * (14 if dependence == "positive" else 9)


def test_adjusted_p_values_are_in_the_order_given():
    found = discoveries([0.5, 0.001, 0.04], rate=0.1, dependence="positive")
    assert found.adjusted == pytest.approx([0.5, 0.003, 0.06])
    assert found.accepted == (1, 2)


def test_any_dependence_asks_for_more():
    some = np.linspace(0.001, 0.9, 30)
    assert (discoveries(some).adjusted >= discoveries(some, dependence="positive").adjusted).all()


def test_a_critical_ratio_is_passed_at_its_level():
    critical = critical_sharpe_ratio(length=100, level=0.05, skew=-0.5, kurtosis=5.0)
    assert psr_2025(critical, length=100, skew=-0.5, kurtosis=5.0) == pytest.approx(0.95)
    assert sharpe_ratio_power(critical, length=100, level=0.05, skew=-0.5, kurtosis=5.0) == pytest.approx(0.5)


def test_the_ratio_for_a_rate_has_that_rate():
    fund = {"alternative": 0.15, "length": 500, "prior": 0.05}
    critical, level, power = sharpe_ratio_for_rate(0.2, **fund)
    assert planned_false_discovery_rate(prior=0.05, level=level, power=power) == pytest.approx(0.2)
    assert observed_false_discovery_rate(critical, **fund) == pytest.approx(0.2, abs=1e-6)


def test_what_is_out_of_range_is_refused():
    for wrong in ([], [1.2], [-0.1], [float("nan")]):
        with pytest.raises((TooFewReturns, StatisticsError)):
            discoveries(wrong)
    with pytest.raises(StatisticsError, match="rate that is no share"):
        discoveries([0.1], rate=5.0)
    with pytest.raises(StatisticsError, match="unknown dependence"):
        discoveries([0.1], dependence="none")
    with pytest.raises(StatisticsError, match="not above the benchmark"):
        sharpe_ratio_power(0.0, length=100)
    with pytest.raises(StatisticsError, match="no share"):
        planned_false_discovery_rate(prior=0.0, level=0.05, power=0.8)
    with pytest.raises(StatisticsError, match="raw kurtosis"):
        critical_sharpe_ratio(length=100, skew=-3.0, kurtosis=7.0)
    with pytest.raises(StatisticsError, match="out of range"):
        critical_sharpe_ratio(length=1)
    with pytest.raises(StatisticsError, match="no Sharpe ratio has"):
        sharpe_ratio_for_rate(0.99, alternative=0.1, length=100, prior=0.5)
