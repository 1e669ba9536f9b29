"""Rank correlation against scipy, its error against statsmodels and against simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sapphire.domain.errors import StatisticsError
from sapphire.statistics import (
    forward_returns,
    information_coefficient,
    information_decay,
    newey_west_standard_error,
    overlap_lags,
    rank_ic,
    returns_by_quantile,
)


@given(seed=st.integers(0, 2**32 - 1), missing=st.floats(0.0, 0.3), ties=st.booleans())
def test_rank_ic_is_spearman_with_ties_and_holes(seed, missing, ties):
    rng = np.random.default_rng(seed)
    forecasts, outcomes = rng.standard_normal((2, 25, 4))
    if ties:
        forecasts = forecasts.round(0)
    forecasts[rng.random(forecasts.shape) < missing] = np.nan
    found = rank_ic(forecasts, outcomes, over="time")
    for column in range(4):
        present = np.isfinite(forecasts[:, column])
        expected = stats.spearmanr(forecasts[present, column], outcomes[present, column]).statistic
        assert found[column] == pytest.approx(expected, abs=1e-12, nan_ok=True)
    across = rank_ic(forecasts, outcomes, over="symbols")
    assert across.shape == (25,)
    whole = np.isfinite(forecasts).all(axis=1) & (np.ptp(forecasts, axis=1) > 0)
    for row in np.flatnonzero(whole):
        expected = stats.spearmanr(forecasts[row], outcomes[row]).statistic
        assert across[row] == pytest.approx(expected, abs=1e-12)


def test_ranks_know_only_the_order():
    rng = np.random.default_rng(1)
    forecasts, outcomes = rng.standard_normal((2, 50, 3))
    assert np.array_equal(rank_ic(forecasts, outcomes), rank_ic(np.exp(3 * forecasts), outcomes**3))
    assert np.allclose(rank_ic(-forecasts, outcomes), -rank_ic(forecasts, outcomes))
    assert rank_ic(outcomes, outcomes) == pytest.approx(np.ones(3))


def test_a_forecast_that_never_varies_has_no_ic():
    assert np.isnan(rank_ic(np.ones((20, 1)), np.arange(20.0))).all()
    with pytest.raises(StatisticsError, match="varies"):
        information_coefficient(np.ones(20), np.arange(20.0))


def test_mean_is_that_of_the_single_ones():
    rng = np.random.default_rng(2)
    forecasts, outcomes = rng.standard_normal((2, 80, 5))
    for over in ("time", "symbols"):
        found = information_coefficient(forecasts, outcomes, over=over)
        assert found.mean == pytest.approx(rank_ic(forecasts, outcomes, over=over).mean(), abs=1e-12)
        assert found.times == 80
        assert found.t_statistic == pytest.approx(found.mean / found.standard_error)


def test_newey_west_is_that_of_statsmodels():
    import statsmodels.api as sm

    series = np.cumsum(np.random.default_rng(3).standard_normal(200)) * 0.1
    for lags in (0, 1, 7):
        theirs = sm.OLS(series, np.ones(200)).fit(
            cov_type="HAC", cov_kwds={"maxlags": lags, "use_correction": False, "kernel": "bartlett"}
        )
        assert newey_west_standard_error(series, lags=lags) == pytest.approx(theirs.bse[0], rel=1e-10)


def test_newey_west_without_lags_is_the_textbook_error():
    values = np.random.default_rng(4).standard_normal(100)
    assert newey_west_standard_error(values, lags=0) == pytest.approx(values.std() / 10)
    holed = np.insert(values, 50, np.nan)
    assert newey_west_standard_error(holed, lags=0) == pytest.approx(values.std() / 10)


def test_overlapping_outcomes_do_not_fool_the_error():
    """Without skill the t-statistic of a slow forecast over 12-bar outcomes must stay near one.

    Counting overlapping outcomes as independent makes it 2.5 and more.
    """
    rng = np.random.default_rng(20261122)
    honest, naive = [], []
    for _ in range(300):
        closes = 100 * np.exp(np.cumsum(rng.standard_normal(600) * 0.01))
        slow = np.convolve(rng.standard_normal(623), np.ones(24) / 24, mode="valid")
        outcomes = forward_returns(closes, horizon_bars=12)
        honest.append(information_coefficient(slow, outcomes, horizon_bars=12).t_statistic)
        products = information_coefficient(slow, outcomes).mean
        naive.append(products * math.sqrt(588))
    assert np.std(naive) > 2.5
    assert np.std(honest) < 1.3
    assert np.mean(np.abs(honest) > 1.96) < 0.12


def test_lags_cover_the_overlap_and_fit_the_sample():
    assert overlap_lags(1000, horizon_bars=24) == 46
    assert overlap_lags(10, horizon_bars=24) == 9
    assert overlap_lags(100) == 4
    with pytest.raises(StatisticsError):
        overlap_lags(100, horizon_bars=0)


def test_forward_returns_look_exactly_that_far():
    closes = np.array([[100.0, 10.0], [110.0, 20.0], [121.0, 10.0], [133.1, 40.0]])
    ahead = forward_returns(closes, horizon_bars=2)
    assert ahead[:2] == pytest.approx(np.array([[0.21, 0.0], [0.21, 1.0]]))
    assert np.isnan(ahead[2:]).all()
    assert np.isnan(forward_returns(closes, horizon_bars=9)).all()
    with pytest.raises(StatisticsError):
        forward_returns([1.0, 0.0], horizon_bars=1)


def test_decay_shows_the_horizon_that_is_known():
    """A forecast of the next four bars has its best rank correlation at four."""
    rng = np.random.default_rng(6)
    returns = rng.standard_normal((3000, 2)) * 0.01
    closes = 100 * np.exp(np.cumsum(returns, axis=0))
    knows = np.log(np.roll(closes, -4, axis=0) / closes) + rng.standard_normal((3000, 2)) * 0.02
    knows[-4:] = np.nan
    found = information_decay(knows, closes, horizons_bars=(1, 2, 4, 8, 24))
    means = [information.mean for information in found]
    assert [information.horizon_bars for information in found] == [1, 2, 4, 8, 24]
    assert max(means) == means[2]
    assert means[0] < means[1] < means[2] > means[3] > means[4] > 0


def test_quantiles_split_evenly_and_average_right():
    rng = np.random.default_rng(8)
    forecasts = rng.standard_normal((100, 1))
    outcomes = 3.0 * forecasts + rng.standard_normal((100, 1))
    found = returns_by_quantile(forecasts, outcomes, quantiles=4)
    order = np.argsort(forecasts[:, 0])
    for index, quantile in enumerate(found):
        members = order[25 * index : 25 * (index + 1)]
        assert quantile.quantile == index + 1
        assert quantile.count == 25
        assert quantile.mean == pytest.approx(outcomes[members, 0].mean())
    assert [q.mean for q in found] == sorted(q.mean for q in found)


def test_quantile_error_is_the_textbook_one_for_independent_outcomes():
    rng = np.random.default_rng(9)
    errors = []
    for _ in range(50):
        found = returns_by_quantile(rng.standard_normal(1000), rng.standard_normal(1000), quantiles=5)
        errors.extend(q.standard_error for q in found)
    assert np.mean(errors) == pytest.approx(1 / math.sqrt(200), rel=0.05)


def test_quantiles_over_symbols_rank_each_time_alone():
    forecasts = np.array([[1.0, 2.0], [200.0, 100.0], [3.0, 4.0]])
    outcomes = np.array([[-1.0, 1.0], [5.0, -5.0], [-3.0, 3.0]])
    low, high = returns_by_quantile(forecasts, outcomes, quantiles=2, over="symbols")
    assert (low.mean, high.mean) == (-3.0, 3.0)


def test_a_middle_forecast_falls_to_the_lower_quantile():
    found = returns_by_quantile([1.0, 2.0, 3.0, 4.0, 5.0], [1.0, 2.0, 3.0, 4.0, 5.0], quantiles=2)
    assert [(q.count, q.mean) for q in found] == [(3, 2.0), (2, 4.5)]


def test_an_empty_quantile_says_so():
    found = returns_by_quantile([1.0, 1.0, 1.0], [1.0, 2.0, 3.0], quantiles=3)
    assert [q.count for q in found] == [0, 3, 0]
    assert math.isnan(found[0].mean)


def test_shapes_that_do_not_pair_are_refused():
    with pytest.raises(StatisticsError, match="do not pair"):
        rank_ic(np.ones((5, 2)), np.ones((5, 3)))
    with pytest.raises(StatisticsError, match="infinite"):
        rank_ic([1.0, math.inf], [1.0, 2.0])
    with pytest.raises(StatisticsError, match="symbols"):
        rank_ic([1.0, 2.0], [1.0, 2.0], over="rows")
    with pytest.raises(StatisticsError, match="quantiles"):
        returns_by_quantile([1.0, 2.0], [1.0, 2.0], quantiles=1)
