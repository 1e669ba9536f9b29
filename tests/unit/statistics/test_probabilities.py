"""Stated probabilities: what they are worth, what their score is made of; intervals that cover; drift by window."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sapphire.domain.errors import StatisticsError, TooFewReturns
from sapphire.statistics import (
    ISOTONIC_FROM,
    ProbabilityCalibration,
    ReferenceHistogram,
    adaptive_multipliers,
    brier_decomposition,
    brier_scores,
    conformal_multiplier,
    drift_threshold,
    fit_probability_calibration,
    population_stability_index,
    reliability_diagram,
)

DICE = np.random.default_rng(7)
PAIRS = st.lists(st.tuples(st.floats(-30, 30), st.booleans()), min_size=30, max_size=80)


def outcomes(length, sure, seed=7):
    """Log-odds, and events that come as often as log-odds times `sure` say."""
    dice = np.random.default_rng(seed)
    x = dice.normal(0.0, 2.0, length)
    return x, (dice.random(length) < 1.0 / (1.0 + np.exp(-sure * x))).astype(float)


@settings(max_examples=60, deadline=None)
@given(PAIRS, st.sampled_from(["platt", "temperature", "isotonic"]), st.integers(1, 24))
def test_a_calibration_rises_stays_a_probability_and_comes_back_from_its_arrays(pairs, method, horizon):
    x, came = np.array([pair[0] for pair in pairs]), np.array([float(pair[1]) for pair in pairs])
    fitted = fit_probability_calibration(x, came, horizon_bars=horizon, method=method)
    shown = fitted.apply(np.linspace(-60.0, 60.0, 101))
    assert (np.diff(shown) >= -1e-12).all()
    assert ((shown >= 0.0) & (shown <= 1.0)).all()
    again = ProbabilityCalibration.from_arrays(fitted.to_arrays())
    assert (again.apply([0.3, -2.0]) == fitted.apply([0.3, -2.0])).all()
    assert np.isnan(fitted.apply(np.nan))


@pytest.mark.parametrize(("length", "method"), [(ISOTONIC_FROM - 1, "platt"), (ISOTONIC_FROM, "isotonic")])
def test_how_it_is_fitted_hangs_on_how_much_is_resolved(length, method):
    x, came = outcomes(length, 0.5)
    x[::7], hidden = np.nan, len(x[::7])
    assert fit_probability_calibration(x, came).pairs == length - hidden
    assert fit_probability_calibration(*outcomes(length, 0.5)).method == method


@pytest.mark.parametrize("method", ["platt", "temperature", "isotonic"])
def test_one_that_is_twice_as_sure_as_it_should_be_is_made_half_as_sure(method):
    x, came = outcomes(4_000, 0.5)
    fitted = fit_probability_calibration(x, came, method=method)
    fresh, then = outcomes(4_000, 0.5, seed=8)
    raw, made = 1.0 / (1.0 + np.exp(-fresh)), fitted.apply(fresh)
    assert made[np.argmin(np.abs(fresh - 2.0))] == pytest.approx(0.73, abs=0.04)
    assert brier_scores(made, then).mean() < brier_scores(raw, then).mean() - 0.01
    assert brier_decomposition(made, then).reliability < 0.1 * brier_decomposition(raw, then).reliability


def test_one_that_is_wrong_on_purpose_is_not_turned_round():
    """Always 99 % sure of the opposite: what is left is near the base rate, and the order is never reversed."""
    x, came = outcomes(300, -1.0)
    fitted = fit_probability_calibration(x, came)
    assert fitted.method == "temperature"
    assert np.ptp(fitted.apply(np.linspace(-5.0, 5.0, 11))) < 0.05


def test_few_independent_outcomes_leave_the_base_rate():
    x, came = outcomes(300, 1.0)
    near, far = (fit_probability_calibration(x, came, horizon_bars=bars) for bars in (1, 150))
    assert near.weight == pytest.approx(300 / 330)
    assert far.weight == pytest.approx(2 / 32)
    assert abs(far.apply(3.0) - came.mean()) < 0.1 * abs(near.apply(3.0) - came.mean())


@pytest.mark.parametrize(
    "given_pairs",
    [
        ([0.0] * 29, [1.0] * 29),
        ([np.inf] + [0.0] * 39, [1.0] * 40),
        ([0.0] * 40, [0.5] * 40),
        ([0.0] * 40, [1.0] * 39),
    ],
)
def test_views_that_cannot_be_calibrated_are_refused(given_pairs):
    with pytest.raises((StatisticsError, TooFewReturns)):
        fit_probability_calibration(*given_pairs)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60), st.integers(1, 12))
def test_the_parts_of_a_brier_score_add_up(pairs, bins):
    p, came = [pair[0] for pair in pairs], [float(pair[1]) for pair in pairs]
    found = brier_decomposition(p, came, bins=bins)
    whole = found.reliability - found.resolution + found.uncertainty + found.within_bins
    assert whole == pytest.approx(found.score, abs=1e-12)
    diagram = reliability_diagram(p, came, bins=bins)
    assert sum(point.count for point in diagram) == len(pairs)
    assert all(point.low - 1e-12 <= point.happened <= point.high + 1e-12 for point in diagram)


def test_a_diagram_shows_who_is_too_sure():
    x, came = outcomes(20_000, 0.5)
    diagram = reliability_diagram(1.0 / (1.0 + np.exp(-x)), came)
    assert diagram[0].stated < diagram[0].low
    assert diagram[-1].stated > diagram[-1].high
    right = reliability_diagram(1.0 / (1.0 + np.exp(-0.5 * x)), came)
    assert sum(point.low <= point.stated <= point.high for point in right) >= 8


def test_conformal_intervals_cover_what_they_say_where_the_model_is_too_narrow():
    spread = DICE.uniform(0.5, 3.0, 6_000)
    y = 1.7 * spread * DICE.standard_t(4, 6_000)
    multiplier = conformal_multiplier(np.zeros(3_000), spread[:3_000], y[:3_000], stated=0.8)
    assert 0.77 <= (np.abs(y[3_000:]) <= multiplier * spread[3_000:]).mean() <= 0.83
    assert conformal_multiplier(np.zeros(30), np.ones(30), np.ones(30), stated=0.99) == np.inf


def test_adaptive_intervals_follow_a_market_that_grows_louder():
    loud = np.linspace(1.0, 5.0, 6_000)
    y, ones = loud * DICE.standard_normal(6_000), np.ones(6_000)
    frozen = conformal_multiplier(np.zeros(1_000), ones[:1_000], y[:1_000], stated=0.8)
    adaptive = adaptive_multipliers(np.zeros(6_000), ones, y, stated=0.8, rate=0.02, window=300)
    tail = slice(1_000, None)
    assert (np.abs(y[tail]) <= frozen).mean() < 0.6
    assert 0.77 <= (np.abs(y[tail]) <= adaptive[tail]).mean() <= 0.83


def test_an_adaptive_interval_knows_no_outcome_before_it_came():
    y = DICE.standard_normal(400)
    changed = y.copy()
    changed[200:] *= 50.0
    made = [adaptive_multipliers(np.zeros(400), np.ones(400), each, delay=12) for each in (y, changed)]
    assert (made[0][41:212] == made[1][41:212]).all()
    assert np.isnan(made[0][:41]).all()
    assert made[0][212] != made[1][212]


@pytest.mark.parametrize("window", [100, 300, 1_000, 3_000])
def test_chance_alone_raises_the_alarm_as_often_as_it_is_told_to(window):
    reference = ReferenceHistogram.of(DICE.standard_normal(20_000), bins=10)
    found = [population_stability_index(reference, DICE.standard_normal(window)) for _ in range(400)]
    alarms = np.mean(np.array(found) > drift_threshold(reference, window, false_alarm=0.05))
    assert 0.02 <= alarms <= 0.09


def test_a_market_that_is_half_as_loud_again_is_found_by_its_own_window_and_not_by_the_usual_alarm():
    reference = ReferenceHistogram.of(DICE.standard_normal(20_000), bins=10)
    found = population_stability_index(reference, 1.5 * DICE.standard_normal(1_000))
    assert drift_threshold(reference, 1_000) < found < 0.25
    quiet = population_stability_index(reference, DICE.standard_normal(100))
    assert quiet < drift_threshold(reference, 100)


@pytest.mark.parametrize(
    "made",
    [
        lambda: ReferenceHistogram.of([1.0] * 200, bins=10),
        lambda: ReferenceHistogram.of(np.arange(99.0), bins=10),
        lambda: ReferenceHistogram.of(np.arange(99.0), bins=1),
        lambda: drift_threshold(ReferenceHistogram.of(np.arange(200.0)), 0),
        lambda: drift_threshold(ReferenceHistogram.of(np.arange(200.0)), 10, false_alarm=1.0),
        lambda: conformal_multiplier(np.zeros(40), np.zeros(40), np.zeros(40)),
        lambda: adaptive_multipliers(np.zeros(40), np.ones(40), np.zeros(40), rate=0.0),
        lambda: brier_decomposition([0.5], [1.0], bins=0),
    ],
)
def test_what_has_no_such_number_is_refused(made):
    with pytest.raises((StatisticsError, TooFewReturns)):
        made()
