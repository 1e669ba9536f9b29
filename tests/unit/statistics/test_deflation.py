"""Deflation against the 2014 paper, and against ffn as an independent implementation."""

import inspect
import math

import numpy as np
import pytest
import scipy.special  # noqa: F401  (loaded before the first example is timed)
from hypothesis import given
from hypothesis import strategies as st

from sapphire.domain.errors import StatisticsError, TooFewReturns
from sapphire.statistics import (
    deflated_sharpe_ratio,
    effective_number_of_trials,
    expected_maximum_sharpe,
    minimum_backtest_length,
    psr_2012,
    psr_2025,
    sharpe_ratio,
)

# Bailey and Lopez de Prado (2014): annual Sharpe 2.5 from 1,250 daily returns at 250 a year, 100 trials, variance 1/2.
PAPER = {"trials": 100, "variance_of_trials": 0.5 / 250, "length": 1250, "skew": -3.0, "kurtosis": 10.0}
PAPER_SHARPE = 2.5 / math.sqrt(250)


def test_expected_maximum_of_a_hundred():
    assert expected_maximum_sharpe(100, 1.0) == pytest.approx(2.5306028932016846, abs=1e-14)
    assert expected_maximum_sharpe(100, 0.5 / 250) == pytest.approx(0.1132, abs=5e-5)


def test_expected_maximum_is_what_the_best_of_n_comes_to():
    best = np.random.default_rng(5).standard_normal((20_000, 100)).max(axis=1).mean()
    assert expected_maximum_sharpe(100, 1.0) == pytest.approx(best, rel=0.015)


def test_the_papers_own_example():
    assert deflated_sharpe_ratio(PAPER_SHARPE, **PAPER) == pytest.approx(0.90039683444939, abs=1e-12)


@pytest.mark.parametrize("changed", [{"trials": 46}, {"trials": 88, "skew": 0.0, "kurtosis": 3.0}])
def test_the_papers_variations(changed):
    assert round(deflated_sharpe_ratio(PAPER_SHARPE, **{**PAPER, **changed}), 4) == 0.9505


def test_excess_kurtosis_cannot_slip_in():
    """The common bug gives 0.90178 for the paper's example; here it is refused."""
    with pytest.raises(StatisticsError, match="raw kurtosis"):
        deflated_sharpe_ratio(PAPER_SHARPE, **{**PAPER, "kurtosis": 7.0})


def test_an_annualised_ratio_is_not_the_papers_number():
    assert round(deflated_sharpe_ratio(2.5, **PAPER), 4) != 0.9004


def test_signature_is_the_agreed_one():
    parameters = inspect.signature(deflated_sharpe_ratio).parameters
    assert list(parameters) == ["sharpe", "trials", "variance_of_trials", "length", "skew", "kurtosis"]
    assert all(parameters[name].kind is inspect.Parameter.KEYWORD_ONLY for name in list(parameters)[1:])


def test_ffn_agrees():
    import ffn
    import pandas as pd

    rng = np.random.default_rng(11)
    returns = pd.Series(rng.standard_t(4, 700) * 0.01 + 0.0012, index=pd.date_range("2024-01-01", periods=700))
    trials = rng.normal(0.02, 0.04, 40)
    theirs = ffn.calc_deflated_sharpe_ratio(returns, trials, nperiods=365, annualized_trials=False)
    ours = deflated_sharpe_ratio(
        sharpe_ratio(returns),
        trials=40,
        variance_of_trials=float(trials.var(ddof=1)),
        length=700,
        skew=float(returns.skew()),
        kurtosis=float(returns.kurt()) + 3.0,
    )
    assert 0.01 < ours < 0.99
    assert ours == pytest.approx(theirs, abs=1e-12)


def test_the_2025_paper_of_ten_trials():
    luck = expected_maximum_sharpe(10, 0.1)
    assert round(luck, 3) == 0.498
    psr = psr_2025(0.036 / 0.079, length=24, benchmark=luck, skew=-2.448, kurtosis=10.164)
    assert round(psr, 3) == 0.451


@pytest.mark.parametrize(("trials", "years"), [(45, 4.9980870044434038), (10, 2.4794), (100, 6.4040)])
def test_minimum_backtest_length(trials, years):
    assert minimum_backtest_length(trials, 1.0) == pytest.approx(years, abs=5e-5)
    assert minimum_backtest_length(trials, 2.0) == pytest.approx(years / 4, abs=5e-5)


def test_one_trial_deflates_nothing():
    alone = deflated_sharpe_ratio(0.1, trials=1, variance_of_trials=5.0, length=500, skew=-0.5, kurtosis=4.0)
    assert alone == psr_2012(0.1, length=500, skew=-0.5, kurtosis=4.0)


def test_twenty_nine_returns_are_too_few():
    with pytest.raises(TooFewReturns, match="got:      29"):
        deflated_sharpe_ratio(0.1, trials=2, variance_of_trials=0.01, length=29)


@pytest.mark.parametrize(("trials", "variance"), [(0, 1.0), (0.99, 1.0), (math.inf, 1.0), (5, -1.0), (5, math.nan)])
def test_impossible_trials_are_refused(trials, variance):
    with pytest.raises(StatisticsError):
        expected_maximum_sharpe(trials, variance)


@given(first=st.floats(1, 1e5), second=st.floats(1, 1e5), variance=st.floats(1e-6, 1))
def test_more_trials_never_help(first, second, variance):
    few, many = sorted((first, second))
    deflated = [
        deflated_sharpe_ratio(0.08, trials=trials, variance_of_trials=variance, length=500) for trials in (few, many)
    ]
    assert deflated[1] <= deflated[0] + 1e-12
    assert expected_maximum_sharpe(few, variance) >= 0.0


@given(st.integers(2, 8), st.integers(0, 2**32 - 1))
def test_effective_number_lies_between_one_and_all(size, seed):
    returns = np.random.default_rng(seed).standard_normal((60, size))
    number = effective_number_of_trials(np.corrcoef(returns, rowvar=False))
    assert 1.0 <= number <= size + 1e-9


@given(st.integers(1, 6), st.integers(1, 5))
def test_copies_of_a_trial_add_nothing(groups, copies):
    blocks = np.kron(np.eye(groups), np.ones((copies, copies)))
    assert effective_number_of_trials(blocks) == pytest.approx(groups, rel=1e-9)


def test_effective_number_is_the_entropy_of_the_eigenvalues():
    """Correlation 0.5 of two: eigenvalues 1.5 and 0.5, shares 3/4 and 1/4."""
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert effective_number_of_trials([[1, 0.5], [0.5, 1]]) == pytest.approx(math.exp(entropy), rel=1e-12)


@pytest.mark.parametrize(
    "matrix",
    [
        [[1.0, 0.5], [0.4, 1.0]],
        [[2.0, 0.5], [0.5, 2.0]],
        [[1.0, 0.5, 0.1], [0.5, 1.0, 0.1]],
        [[1.0, 0.9, -0.9], [0.9, 1.0, 0.9], [-0.9, 0.9, 1.0]],
        [[1.0, math.nan], [math.nan, 1.0]],
    ],
)
def test_what_is_no_correlation_matrix_is_refused(matrix):
    with pytest.raises(StatisticsError):
        effective_number_of_trials(matrix)
