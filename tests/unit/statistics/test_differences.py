"""One account against another, and an account against the market."""

import numpy as np
import pytest

from sapphire.domain.errors import StatisticsError, TooFewReturns
from sapphire.statistics import market_model, one_sided_difference, return_moments


def market(seed=0, length=400):
    return np.random.default_rng(seed).normal(0.0008, 0.03, length)


def test_pairing_takes_the_market_out():
    """A hundredth of the market's spread better each day: nothing against cash, plain against the market."""
    whole = market()
    better = whole + np.random.default_rng(1).normal(0.0003, 0.003, len(whole))
    paired = one_sided_difference(better, whole, seed=1)
    alone = one_sided_difference(better, np.zeros(len(whole)), seed=1)
    assert paired.standard_error < alone.standard_error / 5
    assert paired.mean == pytest.approx((better - whole).mean())


@pytest.mark.parametrize("method", ["bootstrap", "hac"])
def test_power_is_how_often_a_true_difference_passes(method):
    drawn = [
        np.random.default_rng(seed).normal(0.001, 0.01, 250) for seed in range(60 if method == "bootstrap" else 400)
    ]
    found = [one_sided_difference(r, np.zeros(250), seed=1, method=method, true_difference=0.001) for r in drawn]
    power = np.mean([one.power for one in found])
    assert power == pytest.approx(np.mean([one.passes for one in found]), abs=0.14 if method == "bootstrap" else 0.06)
    assert all(one.true_difference == 0.001 for one in found)


def test_power_at_a_difference_of_zero_is_the_level():
    found = one_sided_difference(market(), market(1), seed=1, level=0.2, true_difference=0.0)
    assert found.power == pytest.approx(0.2, abs=1e-12)


def test_each_opening_asks_for_more():
    returns = market(3) * 0.1 + 0.0003
    levels = [one_sided_difference(returns, np.zeros(400), seed=1, openings=k) for k in (1, 2, 20)]
    assert [round(one.level, 4) for one in levels] == [0.2, 0.1056, 0.0111]
    assert len({one.p_value for one in levels}) == 1
    assert [one.lower_bound for one in levels] == sorted((one.lower_bound for one in levels), reverse=True)
    assert [one.power for one in levels] == sorted((one.power for one in levels), reverse=True)


def test_accounts_that_did_the_same_are_refused():
    with pytest.raises(StatisticsError, match="do not vary"):
        one_sided_difference(np.zeros(100), np.zeros(100), seed=1)
    with pytest.raises(StatisticsError, match="do not pair"):
        one_sided_difference(market(), market()[:399], seed=1)
    with pytest.raises(TooFewReturns):
        one_sided_difference(market()[:29], np.zeros(29), seed=1)
    with pytest.raises(StatisticsError, match="unknown way"):
        one_sided_difference(market(), np.zeros(400), seed=1, method="hope")


def test_the_line_is_the_least_squares_line():
    whole = market()
    account = 0.0002 + 0.7 * whole + np.random.default_rng(2).normal(0.0, 0.01, len(whole))
    model = market_model(account, whole)
    slope, intercept = np.polyfit(whole, account, 1)
    assert (model.beta, model.alpha) == pytest.approx((slope, intercept), abs=1e-12)
    assert model.active_returns.mean() == pytest.approx(model.alpha, abs=1e-15)
    assert return_moments(model.active_returns).sharpe == pytest.approx(model.information_ratio, rel=2e-3)
    assert np.corrcoef(model.active_returns, whole)[0, 1] == pytest.approx(0.0, abs=1e-12)
    assert model.n == 400


def test_errors_are_those_of_statsmodels():
    from statsmodels.api import OLS, add_constant

    whole = market()
    account = 0.3 * whole + np.random.default_rng(2).normal(0.0, 0.01, len(whole))
    model = market_model(account, whole)
    fitted = OLS(account, add_constant(whole)).fit(
        cov_type="HAC", cov_kwds={"maxlags": model.lags, "use_correction": True}
    )
    assert (model.alpha_t, model.beta_t) == pytest.approx(tuple(fitted.tvalues), rel=1e-9)


def test_half_the_market_earns_no_alpha_however_good_the_market_was():
    whole = market() + 0.004
    account = 0.5 * whole + np.random.default_rng(5).normal(0.0, 0.002, len(whole))
    assert return_moments(account).sharpe > 0.1
    model = market_model(account, whole)
    assert model.beta == pytest.approx(0.5, abs=0.02)
    assert abs(model.alpha_t) < 2.5


def test_alpha_passes_as_often_as_its_error_says():
    """No alpha, returns that hang together, 500 accounts: one in twenty is above 1.645."""
    above = []
    for seed in range(500):
        dice = np.random.default_rng(seed)
        whole, own = dice.normal(0.0, 0.02, 400), np.convolve(dice.normal(0.0, 0.01, 404), np.ones(5) / 5, mode="valid")
        above.append(market_model(0.4 * whole + own, whole).alpha_t > 1.645)
    assert 0.03 <= np.mean(above) <= 0.11


def test_a_market_that_cannot_explain_is_refused():
    with pytest.raises(StatisticsError, match="does not move"):
        market_model(market(), np.zeros(400))
    with pytest.raises(StatisticsError, match="the market and nothing else"):
        market_model(0.5 * market(), market())
    with pytest.raises(StatisticsError, match="do not vary"):
        market_model(np.zeros(400), market())
    with pytest.raises(StatisticsError, match="do not pair"):
        market_model(market(), market()[1:])
