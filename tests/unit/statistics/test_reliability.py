"""Forecasts that mean what they say pass, overlap and joint movement or not; those that do not are found."""

import numpy as np
import pytest

from sapphire.domain.errors import StatisticsError, TooFewReturns
from sapphire.statistics import (
    brier_scores,
    interval_coverage,
    mean_calibration,
    normal_interval,
    quantile_coverage,
    slope_report,
)

AHEAD = 12


def overlapping(seed, length=600, symbols=1):
    """Outcomes over 12 bars at every bar, of standard deviation 1, the symbols moving together."""
    steps = np.random.default_rng(seed).normal(0.0, 1.0, length + AHEAD - 1)
    sums = np.convolve(steps, np.ones(AHEAD), mode="valid") / AHEAD**0.5
    return np.tile(sums[:, np.newaxis], symbols)


def test_overlap_and_joint_movement_are_no_new_evidence():
    """Right intervals of overlapping outcomes: Kupiec's independent coins would refuse half of them."""
    refused, kupiec = [], []
    for seed in range(300):
        came = overlapping(seed, symbols=3)
        low, high = normal_interval(np.zeros_like(came), np.ones_like(came), stated=0.8)
        found = interval_coverage(low, high, came, stated=0.8, horizon_bars=AHEAD)
        refused.append(found.p_value <= 0.05)
        kupiec.append(abs(found.realised - 0.8) > 1.96 * (0.16 / found.pairs) ** 0.5)
        assert found.effective <= found.pairs
    assert np.mean(kupiec) > 0.4
    assert np.mean(refused) <= 0.13


@pytest.mark.parametrize("boast", [0.4, 2.5])
def test_an_interval_that_is_too_narrow_or_too_wide_is_found(boast):
    came = overlapping(1, length=3_000)
    low, high = normal_interval(np.zeros_like(came), np.full_like(came, boast), stated=0.8)
    assert interval_coverage(low, high, came, stated=0.8, horizon_bars=AHEAD).p_value < 0.001


def test_intervals_that_always_or_never_hold_have_an_error():
    came = overlapping(2)
    always = quantile_coverage(came + 1.0, came, stated=0.9, horizon_bars=AHEAD)
    assert (always.realised, always.effective) == (1.0, 50.0)
    assert always.p_value == pytest.approx(0.0184, abs=1e-4)  # 50 coins of 0.9, all heads
    never = quantile_coverage(came - 1.0, came, stated=0.9, horizon_bars=AHEAD)
    assert never.realised == 0.0
    assert never.p_value < 1e-9


def test_independent_outcomes_are_kupiecs():
    came = np.random.default_rng(3).normal(size=2_000)
    found = quantile_coverage(np.zeros(2_000), came, stated=0.5)
    assert found.effective > 1_000
    assert found.standard_error == pytest.approx((0.25 / found.effective) ** 0.5)
    assert brier_scores(np.full(2_000, 0.5), came <= 0).mean() == 0.25


def test_a_stated_mean_is_held_to_the_diagonal():
    refused = []
    for seed in range(200):
        dice = np.random.default_rng(seed)
        stated = overlapping(seed + 1_000) * 5.0
        came = stated + 50.0 * overlapping(seed) + dice.normal(size=stated.shape)
        refused.append(mean_calibration(stated, came, horizon_bars=AHEAD).p_value <= 0.05)
    assert np.mean(refused) <= 0.16
    boastful = mean_calibration(10.0 * overlapping(1), overlapping(1) + overlapping(2), horizon_bars=AHEAD)
    assert boastful.p_value < 1e-6
    assert boastful.slope == pytest.approx(0.1, abs=0.03)
    turned = mean_calibration(-overlapping(1), overlapping(1) + overlapping(2), horizon_bars=AHEAD)
    assert turned.slope_t < -3.0


def test_the_line_is_the_least_squares_line_whatever_is_missing():
    dice = np.random.default_rng(4)
    stated, came = dice.normal(size=(200, 3)), dice.normal(size=(200, 3))
    stated[::7, 1] = np.nan
    came[::11, 2] = np.nan
    present = np.isfinite(stated) & np.isfinite(came)
    found = mean_calibration(stated, came)
    slope, intercept = np.polyfit(stated[present], came[present], 1)
    assert (found.slope, found.intercept) == pytest.approx((slope, intercept), abs=1e-12)
    assert found.pairs == present.sum()


def test_forecasts_that_cannot_be_judged_are_refused():
    with pytest.raises(TooFewReturns):
        mean_calibration(np.arange(20.0), np.arange(20.0))
    with pytest.raises(StatisticsError, match="do not vary"):
        mean_calibration(np.ones(100), np.arange(100.0))
    with pytest.raises(StatisticsError, match="do not pair"):
        mean_calibration(np.ones(100), np.ones(99))
    with pytest.raises(StatisticsError, match="wrong way round"):
        interval_coverage(np.ones(100), np.zeros(100), np.zeros(100), stated=0.8)
    with pytest.raises(StatisticsError, match="probability"):
        quantile_coverage(np.ones(100), np.ones(100), stated=80.0)
    with pytest.raises(StatisticsError, match="without uncertainty"):
        normal_interval(np.ones(3), np.zeros(3), stated=0.8)
    with pytest.raises(TooFewReturns):
        quantile_coverage(np.ones(100), np.full(100, np.nan), stated=0.8)


def test_slopes_are_those_of_each_fold_with_their_sign():
    scores = [np.random.default_rng(seed).normal(size=(200, 2)) for seed in range(3)]
    noise = [np.random.default_rng(10 + seed).normal(size=(200, 2)) for seed in range(3)]
    outcomes = [sign * 10.0 * x + 20.0 * e for sign, x, e in zip((1, -1, 0), scores, noise, strict=True)]
    report = slope_report(scores, outcomes)
    assert [fold.sign for fold in report.folds][:2] == [1, -1]
    assert [fold.fold for fold in report.folds] == [1, 2, 3]
    assert 2 in report.turned
    assert report.weak == (3,)
    assert report.folds[0].slope == pytest.approx(10.0, abs=3.0)
    assert report.folds[0].pairs == 400


def test_overlapping_outcomes_do_not_make_a_slope_sure():
    above = []
    for seed in range(300):
        score, came = overlapping(seed, 400), overlapping(seed + 500, 400)
        (fold,) = slope_report([score], [came], horizon_bars=AHEAD).folds
        above.append(abs(fold.t_value) > 1.96)
    assert np.mean(above) <= 0.16


def test_a_fold_without_enough_to_judge_by_is_named():
    scores = [np.arange(100.0), np.arange(100.0), np.ones(100), np.arange(100.0)]
    outcomes = [np.sin(np.arange(100.0)), np.full(100, np.nan), np.sin(np.arange(100.0)), np.zeros(100)]
    report = slope_report(scores, outcomes)
    assert report.unjudged == (2, 4)
    assert [(fold.fold, fold.sign) for fold in report.folds][-1] == (3, 0)
    with pytest.raises(StatisticsError, match="different folds"):
        slope_report(scores, outcomes[:2])
