"""Log-odds become probabilities that mean what they say: few outcomes by a line, many by steps, none turned round."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sapphire.domain.errors import StatisticsError, TooFewReturns
from sapphire.statistics import (
    DirectionCalibration,
    ProbabilityCalibration,
    ScoreCalibration,
    brier_decomposition,
    calibration_from_arrays,
    fit_direction_calibration,
    fit_probability_calibration,
    fit_score_calibration,
    platt_scaling,
    temperature_scaling,
)
from sapphire.statistics.probability_maps import isotonic_steps, logistic, supported_ends


def made_pairs(seed, length=400, boast=3.0, skill=1.0, symbols=1):
    """Log-odds `boast` times as far from even as they should be, and whether the event came."""
    dice = np.random.default_rng(seed)
    true = skill * dice.normal(0.0, 0.6, (length, symbols))
    stated = boast * (true if skill else dice.normal(0.0, 0.6, (length, symbols)))
    return stated, (dice.random((length, symbols)) < logistic(true)).astype(float)


def test_a_boaster_is_brought_down_to_what_came():
    for length, method in ((400, "platt"), (4_000, "isotonic")):
        stated, came = made_pairs(1, length)
        later, later_came = made_pairs(2, 4_000)
        fitted = fit_probability_calibration(stated, came)
        assert fitted.method == method
        before = brier_decomposition(logistic(later), later_came)
        after = brier_decomposition(fitted.apply(later), later_came)
        assert before.reliability > 0.02
        assert after.reliability < 0.01
        assert after.brier < min(before.brier, after.uncertainty) - 0.015


def test_the_line_finds_how_much_it_boasts():
    slopes = [fit_probability_calibration(*made_pairs(seed, 499, boast=3.0)).slope for seed in range(20)]
    assert np.mean(slopes) == pytest.approx(1 / 3, abs=0.03)


@pytest.mark.parametrize(("length", "horizon_bars", "method"), [(499, 1, "platt"), (500, 1, "isotonic")])
def test_five_hundred_pairs_make_steps(length, horizon_bars, method):
    fitted = fit_probability_calibration(*made_pairs(3, length), horizon_bars=horizon_bars)
    assert (fitted.method, fitted.pairs, fitted.independent) == (method, length, length)


def overlapping(seed, length, ahead, skill):
    """Outcomes over `ahead` bars at every bar, and log-odds that move as slowly."""
    dice = np.random.default_rng(seed)
    stated, moves = (
        np.convolve(dice.normal(size=length + ahead - 1), np.ones(ahead) / ahead**0.5, mode="valid") for _ in range(2)
    )
    return stated, (skill * stated + moves > 0.0).astype(float)


def test_overlapping_outcomes_are_no_more_evidence_than_those_that_share_no_bar():
    stated, came = overlapping(1, 1_200, 12, skill=0.4)
    aware, blind = (fit_probability_calibration(stated, came, horizon_bars=ahead) for ahead in (12, 1))
    assert (aware.method, blind.method) == ("platt", "isotonic")
    assert aware.independent == 100.0
    assert aware.t_value < blind.t_value
    assert aware.least > 5 * blind.least
    worthless = [fit_probability_calibration(*overlapping(seed, 1_200, 12, 0.0), horizon_bars=12) for seed in range(40)]
    assert np.mean([each.kept for each in worthless]) < 0.15


def test_symbols_that_move_together_count_once():
    stated, came = made_pairs(5, 300, skill=0.4)
    alone = fit_probability_calibration(stated, came)
    copied = fit_probability_calibration(np.repeat(stated, 8, axis=1), np.repeat(came, 8, axis=1))
    assert copied.pairs == 8 * alone.pairs
    for name in ("independent", "slope", "t_value", "kept", "least", "most"):
        assert getattr(copied, name) == pytest.approx(getattr(alone, name), rel=1e-6)


@pytest.mark.parametrize(("length", "most"), [(100, 7e-4), (1_000, 3e-4)])
def test_noise_is_drawn_back_to_the_base_rate(length, most):
    """Averaged over worlds without skill, next to nothing is lost against always saying the base rate."""
    lost, unshrunk, kept = [], [], []
    for seed in range(40):
        fitted = fit_probability_calibration(*made_pairs(seed, length, skill=0.0))
        later, came = made_pairs(seed + 1_000, 2_000, skill=0.0)
        for of, losses in ((fitted, lost), (replace(fitted, kept=1.0), unshrunk)):
            losses.append(np.mean((of.apply(later) - came) ** 2 - (fitted.base_rate - came) ** 2))
        kept.append(fitted.kept)
    assert np.mean(kept) < 0.25
    assert np.mean(lost) < most
    if fitted.method == "isotonic":
        assert np.mean(unshrunk) > 4 * most


def test_log_odds_that_are_the_wrong_way_round_are_not_turned():
    for length, method in ((400, "temperature"), (4_000, "isotonic")):
        stated, came = made_pairs(6, length)
        fitted = fit_probability_calibration(-stated, came)
        assert (fitted.method, fitted.kept) == (method, 0.0)
        assert fitted.apply([-3.0, 0.0, 3.0]) == pytest.approx([came.mean()] * 3)
        assert platt_scaling(-stated.ravel(), came.ravel())[0] < 0.0
        assert fitted.brier == pytest.approx(fitted.uncertainty)


def test_a_temperature_that_fits_by_the_base_rate_alone_is_no_evidence():
    """Always above even and mostly right, but the surer the worse: a temperature alone would be taken in."""
    stated = np.repeat([1.0, 2.0], 100)
    came = np.concatenate([np.arange(100) < 80, np.arange(100) < 60]).astype(float)
    assert temperature_scaling(stated, came) > 0.3
    fitted = fit_probability_calibration(stated, came)
    assert (fitted.method, fitted.kept) == ("temperature", 0.0)
    assert fitted.t_value < 0.0
    assert fitted.apply([1.0, 2.0]) == pytest.approx([0.7, 0.7])


def test_outcomes_that_stand_apart_are_fitted_with_a_temperature_and_no_certainty():
    stated = np.linspace(-2.0, 2.0, 40)
    fitted = fit_probability_calibration(stated, stated > 0.0)
    assert fitted.method == "temperature"
    assert 1.0 < fitted.slope < 100.0
    assert fitted.apply([-9.0, 9.0]) == pytest.approx([1 / 22, 21 / 22])
    assert fit_probability_calibration(stated, (stated > 0.0) != (np.abs(stated) < 0.06)).method == "platt"


def test_many_outcomes_that_stand_apart_are_no_certainty_either():
    stated = np.linspace(-2.0, 2.0, 600)
    fitted = fit_probability_calibration(stated, stated > 0.0)
    assert fitted.method == "isotonic"
    assert fitted.apply([-2.0, 2.0]) == pytest.approx([1 / 302, 301 / 302])


@pytest.mark.parametrize(("skill", "length"), [(0.5, 4_000), (1.0, 2_000)])
def test_steps_say_no_more_at_their_ends_than_thirty_outcomes_support(skill, length):
    """Averaged over worlds: without pooling the ends state some 10 points more than the truth of the surest 1 %."""
    over, unpooled = [], []
    for seed in range(30):
        stated, came = made_pairs(seed, length, skill=skill)
        fitted = fit_probability_calibration(stated, came)
        assert fitted.method == "isotonic"
        true = np.quantile(stated, 0.995) / 3.0  # the middle of the surest 1 %
        over.append(fitted.apply(1e3) - logistic(true))
        unpooled.append(min(isotonic_steps(stated.ravel(), came.ravel())[1][-1], fitted.most) - logistic(true))
    assert np.mean(unpooled) > 0.1
    assert np.mean(over) < 0.25 * np.mean(unpooled)
    assert abs(np.mean(over)) < 0.09  # the standard error of a share of 30 outcomes


def test_ends_stand_on_thirty_pairs_that_share_no_bar():
    stated, came = overlapping(2, 8_000, 12, skill=0.4)
    fitted = fit_probability_calibration(stated, came, horizon_bars=12)
    assert fitted.method == "isotonic"
    found = np.interp(stated, fitted.knots, fitted.probabilities)
    assert min((found == found.min()).sum(), (found == found.max()).sum()) >= 30 * 12
    for end in (found.min(), found.max()):
        assert came[found == end].mean() == pytest.approx(end)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), length=st.integers(2, 200), at_least=st.floats(1.0, 90.0), ties=st.booleans())
def test_pooled_ends_never_fall_and_keep_the_base_rate(seed, length, at_least, ties):
    stated, came = (each.ravel() for each in made_pairs(seed, length))
    stated = np.round(stated) if ties else stated
    came[:2] = 0.0, 1.0
    steps = np.interp(stated, *isotonic_steps(stated, came))
    pooled = supported_ends(steps, came, at_least=at_least)
    assert (np.diff(pooled[np.argsort(stated, kind="stable")]) >= -1e-12).all()
    assert pooled.mean() == pytest.approx(came.mean())
    assert pooled.min() >= steps.min() - 1e-12
    assert pooled.max() <= steps.max() + 1e-12
    if np.ptp(pooled) > 1e-12:
        assert min((pooled == pooled.min()).sum(), (pooled == pooled.max()).sum()) >= at_least


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    length=st.integers(40, 700),
    ahead=st.integers(1, 6),
    boast=st.floats(-4.0, 4.0),
    at=st.lists(st.floats(-50.0, 50.0), min_size=2, max_size=20),
)
def test_probabilities_rise_with_log_odds_and_are_never_certain(seed, length, ahead, boast, at):
    fitted = fit_probability_calibration(*made_pairs(seed, length, boast=boast), horizon_bars=ahead)
    found = fitted.apply(np.sort(at))
    assert (np.diff(found) >= 0.0).all()
    assert (fitted.least <= found).all()
    assert (found <= fitted.most).all()
    assert 0.0 < fitted.least < fitted.most < 1.0
    assert fitted.brier == pytest.approx(fitted.reliability - fitted.resolution + fitted.uncertainty, abs=1e-12)
    assert ProbabilityCalibration.from_arrays(fitted.to_arrays()) == fitted


@pytest.mark.parametrize("length", [100, 600])
def test_log_odds_beyond_training_are_read_as_the_most_extreme_seen(length):
    fitted = fit_probability_calibration(*made_pairs(15, length))
    far, edge, near = fitted.apply([1e3, fitted.high, 0.9 * fitted.high])
    assert far == edge >= near
    assert fitted.apply(-1e3) == fitted.apply(fitted.low)
    assert (fitted.least, fitted.most) != (fitted.apply(-1e3), far)


def test_only_pairs_that_are_there_count():
    stated, came = made_pairs(7, 100)
    holed = fit_probability_calibration(np.vstack([stated, [[np.nan]]]), np.vstack([came, [[1.0]]]))
    assert holed == fit_probability_calibration(stated, came)
    assert np.isnan(holed.apply([[np.nan, 0.0]])).tolist() == [[True, False]]


def test_what_cannot_be_fitted_or_applied_is_refused():
    stated, came = made_pairs(8, 100)
    with pytest.raises(TooFewReturns, match="got:      29"):
        fit_probability_calibration(stated[:29], came[:29])
    with pytest.raises(StatisticsError, match="each at least once"):
        fit_probability_calibration(stated, np.ones_like(came))
    with pytest.raises(StatisticsError, match="each at least once"):
        fit_probability_calibration(stated, 2.0 * came)
    with pytest.raises(StatisticsError, match="do not pair"):
        fit_probability_calibration(stated, came[:-1])
    with pytest.raises(StatisticsError, match="below one bar"):
        fit_probability_calibration(stated, came, horizon_bars=0)
    fitted = fit_probability_calibration(stated, came)
    with pytest.raises(StatisticsError, match="infinite log-odds"):
        fitted.apply([math.inf])
    with pytest.raises(StatisticsError, match="infinite"):
        fit_probability_calibration(np.where(came > 0, np.inf, stated), came)


def test_wrong_arrays_are_refused_by_name():
    arrays = fit_probability_calibration(*made_pairs(9, 600)).to_arrays()
    for wrong, name in (
        ({key: array for key, array in arrays.items() if key != "slope"}, "slope"),
        ({**arrays, "extra": np.ones(1)}, "extra"),
        ({**arrays, "kept": np.ones(2)}, "kept"),
        ({**arrays, "method": np.array([7.0])}, "method"),
        ({**arrays, "method": np.array([0.0])}, "knots"),
        ({**arrays, "knots": arrays["knots"][::-1]}, "knots"),
        ({**arrays, "knots": arrays["knots"][:, np.newaxis]}, "knots"),
        ({**arrays, "kept": np.array([1.5])}, "shares"),
        ({**arrays, "slope": np.array([-1.0])}, "slope"),
        ({**arrays, "base_rate": np.array([math.nan])}, "numbers"),
    ):
        with pytest.raises(StatisticsError, match=name):
            ProbabilityCalibration.from_arrays(wrong)


def moved(stated, came, seed=0):
    """Outcomes in basis points: rises of 40 and falls of 30 on average, with a spread."""
    dice = np.random.default_rng(seed)
    return np.where(came > 0, 40.0, -30.0) * dice.uniform(0.5, 1.5, came.shape)


def test_a_forecast_has_the_mean_and_the_spread_of_what_comes():
    """Law of total expectation and variance, held against outcomes that were drawn at one stated probability."""
    stated, came = made_pairs(10, 4_000)
    fitted = fit_direction_calibration(stated, moved(stated, came))
    dice = np.random.default_rng(11)
    for log_odds in (-1.5, 1.5):
        mean, std = fitted.apply(log_odds)
        p = float(fitted.probability.apply(log_odds))
        drawn = moved(None, (dice.random(200_000) < p).astype(float), seed=12)
        drift = fitted.up_mean_bps - 40.0
        assert mean == pytest.approx(drawn.mean() + drift, abs=1.0)
        assert std == pytest.approx(drawn.std(), rel=0.02)
    mean, std = fitted.apply([-9.0, 9.0])
    assert fitted.probability_of(mean) == pytest.approx(fitted.probability.apply([-9.0, 9.0]))


def test_log_odds_that_know_nothing_state_the_drift_that_has_evidence():
    stated, came = made_pairs(13, 400, skill=0.0)
    outcomes = moved(stated, came)
    worthless = fit_direction_calibration(-np.abs(stated) * (2 * came - 1), outcomes)
    assert worthless.probability.kept == 0.0
    score = fit_score_calibration(np.zeros_like(stated), outcomes)
    mean, std = worthless.apply([-1.0, 1.0])
    assert mean == pytest.approx([score.intercept_bps] * 2)
    assert std == pytest.approx([outcomes.std()] * 2)
    driftless = fit_direction_calibration(stated, outcomes - outcomes.mean())
    assert driftless.drift_t == pytest.approx(0.0, abs=1e-9)


def test_both_kinds_come_back_from_their_arrays():
    from safetensors.numpy import load, save

    stated, came = made_pairs(14, 600)
    outcomes = moved(stated, came)
    for length, fit in (
        (600, fit_direction_calibration),
        (100, fit_direction_calibration),
        (600, fit_score_calibration),
    ):
        fitted = fit(stated[:length], outcomes[:length])
        arrays = load(save(fitted.to_arrays()))
        assert all(array.dtype == np.float64 for array in arrays.values())
        again = calibration_from_arrays(arrays)
        assert again == fitted
        assert type(again) is type(fitted)
        assert again.pairs == length
        assert set(again.card()) >= {"pairs"}
    with pytest.raises(StatisticsError, match="not a score calibration"):
        calibration_from_arrays({})
    arrays = fit_direction_calibration(stated, outcomes).to_arrays()
    with pytest.raises(StatisticsError, match="up_mean_bps"):
        calibration_from_arrays({name: array for name, array in arrays.items() if name != "up_mean_bps"})
    with pytest.raises(StatisticsError, match="down_mean_bps"):
        DirectionCalibration.from_arrays({**arrays, "down_mean_bps": arrays["up_mean_bps"]})
    with pytest.raises(StatisticsError, match="score_mean"):
        ScoreCalibration.from_arrays(arrays)
