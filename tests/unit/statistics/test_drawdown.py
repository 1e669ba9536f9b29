"""Drawdown: by hand, against ffn, and its invariants."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sapphire.domain.errors import StatisticsError, TooFewReturns
from sapphire.statistics import drawdown_series, maximum_drawdown

curves = st.lists(st.floats(0.01, 1e6), min_size=1, max_size=60).map(np.array)


def test_a_curve_by_hand():
    fall = maximum_drawdown([10, 12, 12, 9, 11, 6, 8, 12, 13, 10])
    assert (fall.depth, fall.peak, fall.trough, fall.recovered, fall.duration) == (0.5, 2, 5, 7, 5)


def test_a_fall_without_recovery_lasts_to_the_end():
    fall = maximum_drawdown([10, 20, 5, 6, 7])
    assert (fall.depth, fall.recovered, fall.duration) == (0.75, None, 3)


def test_a_rising_curve_has_none():
    fall = maximum_drawdown([1, 2, 3])
    assert (fall.depth, fall.duration) == (0.0, 0)


def test_ffn_agrees():
    import ffn
    import pandas as pd

    prices = pd.Series(100 * np.exp(np.cumsum(np.random.default_rng(1).standard_normal(400) * 0.02)))
    assert maximum_drawdown(prices).depth == pytest.approx(-ffn.calc_max_drawdown(prices), abs=1e-12)
    assert drawdown_series(prices) == pytest.approx(-ffn.to_drawdown_series(prices).to_numpy(), abs=1e-12)


@given(curves)
def test_the_deepest_point_is_the_series_maximum(curve):
    series, fall = drawdown_series(curve), maximum_drawdown(curve)
    assert fall.depth == series.max() == series[fall.trough]
    assert (series >= 0).all()
    assert (series < 1).all()
    assert fall.depth == pytest.approx(1 - curve[fall.trough] / curve[fall.peak])
    assert fall.peak <= fall.trough <= fall.peak + fall.duration
    if fall.recovered is not None:
        assert curve[fall.recovered] >= curve[fall.peak]
        assert (curve[fall.peak + 1 : fall.recovered] < curve[fall.peak]).all()


@given(curves, st.sampled_from([0.25, 0.5, 2.0, 1024.0]))
def test_the_unit_of_the_curve_does_not_matter(curve, scale):
    assert np.array_equal(drawdown_series(curve), drawdown_series(curve * scale))


def test_what_is_no_equity_curve_is_refused():
    with pytest.raises(StatisticsError, match="compound"):
        drawdown_series([0.0, 0.1])
    with pytest.raises(StatisticsError, match="nan at position 1"):
        drawdown_series([1.0, math.nan])
    with pytest.raises(TooFewReturns):
        drawdown_series([])
