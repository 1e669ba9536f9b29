"""The Sharpe ratio and its error against published numbers."""

import math

import numpy as np
import pytest
import scipy.special  # noqa: F401  (loaded before the first example is timed)
from hypothesis import given
from hypothesis import strategies as st

from sapphire.domain.errors import StatisticsError, TooFewReturns
from sapphire.statistics import (
    annualise,
    minimum_track_record_length,
    probabilistic_sharpe_ratio,
    psr_2012,
    psr_2025,
    return_moments,
    sharpe_ratio,
    sharpe_standard_error,
)

# Lopez de Prado, Lipton and Zoonekynd (2025): monthly hedge fund, mean 3.6 %, standard deviation 7.9 %, 24 months.
FUND_2025 = 0.036 / 0.079
SHAPE_2025 = {"skew": -2.448, "kurtosis": 10.164}


@pytest.mark.parametrize(("sharpe", "length", "error"), [(1.5, 60, 0.188), (0.5, 12, 0.306), (3.0, 500, 0.105)])
def test_standard_error_is_lo_2002(sharpe, length, error):
    assert round(sharpe_standard_error(sharpe, length=length), 3) == error


def test_psr_2012_is_the_papers_hedge_fund():
    psr = psr_2012(1.585 / math.sqrt(12), length=24, skew=-2.448, kurtosis=10.164)
    assert psr == pytest.approx(0.91323430688486, abs=1e-12)


@pytest.mark.parametrize(("periods", "years"), [(250, 2.7311878017281761), (52, 2.8288335869452368)])
def test_track_record_2012_figure_8(periods, years):
    needed = minimum_track_record_length(2 / math.sqrt(periods), benchmark=1 / math.sqrt(periods))
    assert needed / periods == pytest.approx(years, abs=1e-9)


@pytest.mark.parametrize(
    ("sharpe", "benchmark", "shape", "years"),
    [
        (2.0, 1.0, {}, 3.24),
        (2.0, 1.0, {"skew": -0.72, "kurtosis": 5.78}, 4.99),
        (3.0, 2.5, {"skew": -0.72, "kurtosis": 5.78}, 27.352920196040301),
    ],
)
def test_track_record_2012_monthly(sharpe, benchmark, shape, years):
    needed = minimum_track_record_length(sharpe / math.sqrt(12), benchmark=benchmark / math.sqrt(12), **shape) / 12
    assert needed == pytest.approx(years, abs=5e-3 if years < 10 else 1e-9)


def test_2025_paper_without_autocorrelation():
    error = sharpe_standard_error(FUND_2025, length=24, **SHAPE_2025)
    assert round(error, 3) == 0.329
    assert round(sharpe_standard_error(FUND_2025, length=24), 3) == 0.214
    assert round(psr_2025(FUND_2025, length=24, **SHAPE_2025), 3) == 0.987
    assert round(psr_2025(FUND_2025, length=24, benchmark=0.1, **SHAPE_2025), 3) == 0.939
    needed = [
        minimum_track_record_length(FUND_2025, confidence=confidence, convention="psr_2025", **SHAPE_2025)
        for confidence in (0.95, 0.90)
    ]
    assert [round(months, 3) for months in needed] == [13.029, 7.909]


def test_2025_paper_with_autocorrelation():
    correlated = {**SHAPE_2025, "autocorrelation": 0.2}
    assert round(sharpe_standard_error(FUND_2025, length=24, **correlated), 3) == 0.379
    assert round(psr_2025(FUND_2025, length=24, **correlated), 3) == 0.966
    assert round(psr_2025(FUND_2025, length=24, benchmark=0.1, **correlated), 3) == 0.900
    months = minimum_track_record_length(FUND_2025, confidence=0.90, convention="psr_2025", **correlated)
    assert round(months, 3) == 11.863


def test_convention_is_chosen_by_name():
    fund = {"length": 24, **SHAPE_2025}
    assert probabilistic_sharpe_ratio(FUND_2025, convention="psr_2012", **fund) == psr_2012(FUND_2025, **fund)
    assert probabilistic_sharpe_ratio(FUND_2025, convention="psr_2025", **fund) == psr_2025(FUND_2025, **fund)
    assert psr_2012(FUND_2025, **fund) != psr_2025(FUND_2025, **fund)


def test_psr_2012_has_no_place_for_autocorrelation():
    with pytest.raises(StatisticsError, match="psr_2025"):
        probabilistic_sharpe_ratio(0.1, length=100, autocorrelation=0.2)
    with pytest.raises(StatisticsError, match="psr_2012 or psr_2025"):
        probabilistic_sharpe_ratio(0.1, length=100, convention="psr_2013")


def test_a_year_of_crypto_has_365_days():
    assert annualise(0.1, 365) == pytest.approx(1.9104973174542800)
    with pytest.raises(StatisticsError):
        annualise(0.1, 0)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e-9])
def test_returns_that_do_not_vary_have_no_ratio(value):
    with pytest.raises(StatisticsError, match="traded at all"):
        sharpe_ratio(np.full(100, value))


def test_a_missing_return_is_named_by_position():
    with pytest.raises(StatisticsError, match="nan at position 2 of 4"):
        sharpe_ratio([0.1, 0.2, math.nan, 0.1])
    with pytest.raises(TooFewReturns, match="got:      1"):
        sharpe_ratio([0.1])


def test_excess_kurtosis_is_refused_where_it_is_impossible():
    with pytest.raises(StatisticsError, match="raw kurtosis"):
        psr_2012(0.1, length=100, skew=-3.0, kurtosis=7.0)


@pytest.mark.parametrize("confidence", [0.49, 1.0, math.nan])
def test_a_confidence_out_of_range_is_refused(confidence):
    with pytest.raises(StatisticsError, match="confidence"):
        minimum_track_record_length(0.1, confidence=confidence)


def test_no_record_is_long_enough_below_the_benchmark():
    assert minimum_track_record_length(0.1, benchmark=0.1) == math.inf


shapes = st.tuples(st.floats(-2, 2), st.floats(0.05, 20)).map(
    lambda s: {"skew": s[0], "kurtosis": 1 + s[0] ** 2 + s[1]}
)


@given(sharpe=st.floats(-0.5, 0.5), shape=shapes, length=st.integers(30, 5000), lift=st.floats(0.001, 0.2))
def test_psr_falls_as_the_benchmark_rises(sharpe, shape, length, lift):
    for psr in (psr_2012, psr_2025):
        low = psr(sharpe, length=length, benchmark=sharpe - lift, **shape)
        middle = psr(sharpe, length=length, benchmark=sharpe, **shape)
        high = psr(sharpe, length=length, benchmark=sharpe + lift, **shape)
        assert 0.0 <= high <= middle <= low <= 1.0
        assert middle == 0.5


@given(sharpe=st.floats(0.02, 0.5), shape=shapes, confidence=st.floats(0.55, 0.999))
def test_the_track_record_length_is_where_psr_reaches_the_confidence(sharpe, shape, confidence):
    needed = minimum_track_record_length(sharpe, confidence=confidence, **shape)
    after = psr_2012(sharpe, length=max(2, math.ceil(needed + 1e-9)), **shape)
    assert after >= confidence - 1e-9
    if needed > 3:
        assert psr_2012(sharpe, length=math.floor(needed - 1e-9), **shape) <= confidence + 1e-9


def test_the_2025_error_is_the_spread_of_simulated_ratios():
    rng = np.random.default_rng(20261122)
    rho, length, repetitions = 0.2, 400, 4000
    noise = rng.standard_normal((repetitions, length + 50))
    paths = np.zeros_like(noise)
    for t in range(1, length + 50):
        paths[:, t] = rho * paths[:, t - 1] + noise[:, t]
    paths = paths[:, 50:] / paths[:, 50:].std() + 0.1
    ratios = paths.mean(axis=1) / paths.std(axis=1, ddof=1)
    stated = sharpe_standard_error(0.1, length=length, autocorrelation=rho)
    assert ratios.std() == pytest.approx(stated, rel=0.05)
    assert ratios.std() > 1.15 * sharpe_standard_error(0.1, length=length)


def test_moments_are_the_plain_sample_moments():
    from scipy import stats

    returns = np.random.default_rng(3).standard_t(5, 500) * 0.01 + 0.001
    moments = return_moments(returns)
    assert moments.skew == pytest.approx(stats.skew(returns), rel=1e-12)
    assert moments.kurtosis == pytest.approx(stats.kurtosis(returns, fisher=False), rel=1e-12)
    assert moments.sharpe == pytest.approx(sharpe_ratio(returns), rel=1e-12)
    assert moments.autocorrelation == pytest.approx(np.corrcoef(returns[1:], returns[:-1])[0, 1], abs=5e-3)


@given(st.lists(st.floats(-1, 1), min_size=4, max_size=60).filter(lambda values: np.ptp(values) > 1e-3))
def test_sample_moments_always_give_a_variance(values):
    """Kurtosis by bias-corrected moments can fall below skew squared plus one; the plain ones cannot."""
    moments = return_moments(values)
    assert moments.kurtosis >= 1 + moments.skew**2 - 1e-9
    assert sharpe_standard_error(0.0, length=moments.length, skew=moments.skew, kurtosis=moments.kurtosis) > 0
