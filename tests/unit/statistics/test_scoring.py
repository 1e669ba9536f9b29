"""Proper scores: the truth scores best, and the numbers are the textbook's."""

import math

import numpy as np
import pytest
import scipy.special  # noqa: F401  (loaded before the first example is timed)
from hypothesis import given
from hypothesis import strategies as st

from sapphire.domain.errors import StatisticsError
from sapphire.statistics import brier_scores, gaussian_log_scores, probability_up


def test_log_score_is_the_normal_density():
    from scipy import stats

    mean, std, outcomes = np.array([0.0, 12.0, -5.0]), np.array([80.0, 60.0, 1.0]), np.array([30.0, -20.0, -5.0])
    assert gaussian_log_scores(mean, std, outcomes) == pytest.approx(stats.norm.logpdf(outcomes, mean, std))


def test_brier_is_that_of_sklearn():
    from sklearn.metrics import brier_score_loss

    rng = np.random.default_rng(1)
    stated, came = rng.random(200), rng.integers(0, 2, 200)
    assert brier_scores(stated, came).mean() == pytest.approx(brier_score_loss(came, stated))


@given(truth=st.floats(0.0, 1.0), stated=st.floats(0.0, 1.0))
def test_saying_the_truth_scores_best_on_average(truth, stated):
    def expected(probability):
        on_yes, on_no = brier_scores([probability, probability], [1, 0])
        return truth * on_yes + (1 - truth) * on_no

    assert expected(truth) <= expected(stated) + 1e-12


@given(stated_mean=st.floats(-3, 3), stated_std=st.floats(0.3, 3))
def test_the_true_distribution_has_the_best_log_score(stated_mean, stated_std):
    """In expectation under N(0, 1): -ln s - (1 + m^2) / (2 s^2) is largest at m = 0, s = 1."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(20)
    weights = weights / math.sqrt(2 * math.pi)

    def expected(mean, std):
        return weights @ gaussian_log_scores(np.full(20, mean), np.full(20, std), nodes)

    assert expected(stated_mean, stated_std) <= expected(0.0, 1.0) + 1e-9


@given(st.floats(-500, 500), st.floats(1, 500))
def test_probability_up_takes_the_side_of_the_mean(mean, std):
    probability = probability_up([mean], [std])[0]
    assert 0.0 <= probability <= 1.0
    assert (probability - 0.5) * mean >= 0.0


def test_impossible_forecasts_are_refused():
    with pytest.raises(StatisticsError, match=r"\[0, 1\]"):
        brier_scores([1.1], [1])
    with pytest.raises(StatisticsError, match="outcomes"):
        brier_scores([0.5], [2])
    with pytest.raises(StatisticsError, match="do not pair"):
        brier_scores([0.5, 0.5], [1])
    with pytest.raises(StatisticsError, match="without uncertainty"):
        gaussian_log_scores([0.0], [0.0], [0.0])
    with pytest.raises(StatisticsError, match="not finite"):
        probability_up([math.nan], [1.0])
