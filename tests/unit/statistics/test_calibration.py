"""What a score is worth: fitted on training data alone, shrunk by what it can support, and portable as arrays."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sapphire.domain.errors import StatisticsError, TooFewReturns
from sapphire.statistics import ScoreCalibration, fit_score_calibration, shrinkage


def made_pairs(seed, slope, noise, length=500, symbols=2):
    rng = np.random.default_rng(seed)
    scores = rng.standard_normal((length, symbols)) * 0.02 + 0.01
    outcomes = slope * (scores - 0.01) / 0.02 + noise * rng.standard_normal((length, symbols))
    return scores, outcomes


def test_a_strong_score_keeps_its_slope():
    fits = [fit_score_calibration(*made_pairs(seed, slope=10.0, noise=50.0, length=2000)) for seed in range(20)]
    assert np.mean([fitted.slope_bps for fitted in fits]) == pytest.approx(10.0, abs=0.6)
    for fitted in fits:
        assert abs(fitted.slope_bps - 10.0) < 4 * 50.0 / math.sqrt(4000)
        assert fitted.residual_std_bps == pytest.approx(50.0, rel=0.06)
        mean, std = fitted.apply([0.01, 0.03])
        assert mean[1] - mean[0] == pytest.approx(fitted.slope_bps, rel=0.1)
        assert list(std) == [fitted.residual_std_bps] * 2


def test_t_statistics_are_those_of_statsmodels():
    import statsmodels.api as sm

    scores, outcomes = made_pairs(2, slope=5.0, noise=40.0, symbols=1)
    fitted = fit_score_calibration(scores, outcomes, horizon_bars=6)
    z = (scores[:, 0] - scores.mean()) / scores.std()
    theirs = sm.OLS(outcomes[:, 0], sm.add_constant(z)).fit(
        cov_type="HAC", cov_kwds={"maxlags": 10, "use_correction": False}
    )
    assert [fitted.intercept_t, fitted.slope_t] == pytest.approx(list(theirs.tvalues), rel=1e-9)
    assert fitted.slope_bps == pytest.approx(theirs.params[1] * (1 - 1 / theirs.tvalues[1] ** 2), rel=1e-9)


def test_noise_is_worth_little_out_of_sample():
    """Shrinking beats least squares and stays close to saying nothing at all, averaged over worlds without skill."""
    shrunk = plain = 0.0
    for seed in range(200):
        scores, outcomes = made_pairs(seed, slope=0.0, noise=50.0, length=100, symbols=1)
        fitted = fit_score_calibration(scores, outcomes)
        z = (scores[:, 0] - scores.mean()) / scores.std()
        least_squares = float((z * outcomes[:, 0]).mean())
        shrunk += fitted.slope_bps**2
        plain += least_squares**2
    assert shrunk < 0.45 * plain


@given(st.floats(-50, 50))
def test_shrinkage_is_a_share(t):
    share = shrinkage(t)
    assert 0.0 <= share < 1.0
    assert share == shrinkage(-t)
    assert (share == 0.0) == (abs(t) <= 1.0)


def test_symbols_that_move_together_count_once():
    """Ten copies of one symbol are one symbol's worth of evidence."""
    scores, outcomes = made_pairs(3, slope=4.0, noise=50.0, symbols=1)
    alone = fit_score_calibration(scores, outcomes)
    copied = fit_score_calibration(np.repeat(scores, 10, axis=1), np.repeat(outcomes, 10, axis=1))
    assert copied.slope_t == pytest.approx(alone.slope_t, rel=1e-9)
    assert copied.slope_bps == pytest.approx(alone.slope_bps, rel=1e-9)


def test_overlapping_outcomes_count_less():
    rng = np.random.default_rng(4)
    scores = np.convolve(rng.standard_normal(1023), np.ones(24) / 24, mode="valid")
    moves = rng.standard_normal(1012) * 10 + np.repeat(0.0, 1012)
    outcomes = np.convolve(moves, np.ones(12), mode="full")[11:1011] + 8 * scores / scores.std()
    blind = fit_score_calibration(scores, outcomes)
    aware = fit_score_calibration(scores, outcomes, horizon_bars=12)
    assert abs(aware.slope_t) < abs(blind.slope_t)
    assert abs(aware.slope_bps) <= abs(blind.slope_bps)


def test_only_pairs_that_are_there_count():
    scores, outcomes = made_pairs(5, slope=5.0, noise=20.0, length=100, symbols=1)
    holed_scores, holed_outcomes = np.vstack([scores, [[np.nan]]]), np.vstack([outcomes, [[1e9]]])
    holed, plain = fit_score_calibration(holed_scores, holed_outcomes), fit_score_calibration(scores, outcomes)
    assert holed.pairs == 100.0
    for name, array in plain.to_arrays().items():
        assert holed.to_arrays()[name] == pytest.approx(array, rel=1e-12)


def test_a_score_beyond_training_is_read_as_the_most_extreme_seen():
    fitted = fit_score_calibration(*made_pairs(6, slope=10.0, noise=10.0))
    mean, _ = fitted.apply([1e9, fitted.score_high, -1e9, fitted.score_low])
    assert mean[0] == mean[1]
    assert mean[2] == mean[3]


def test_a_missing_score_has_a_missing_forecast_and_an_infinite_one_is_refused():
    fitted = fit_score_calibration(*made_pairs(6, slope=10.0, noise=10.0))
    mean, std = fitted.apply([[math.nan, 0.01]])
    assert mean.shape == std.shape == (1, 2)
    assert np.isnan([mean[0, 0], std[0, 0]]).all()
    assert np.isfinite([mean[0, 1], std[0, 1]]).all()
    with pytest.raises(StatisticsError, match="infinite"):
        fitted.apply([math.inf])


def test_scores_that_never_vary_are_worth_nothing():
    outcomes = np.random.default_rng(7).standard_normal(100)
    fitted = fit_score_calibration(np.full(100, 0.3), outcomes)
    assert fitted.slope_bps == 0.0
    assert fitted.slope_t == 0.0
    mean, _ = fitted.apply([0.3, 0.9])
    assert mean[0] == mean[1] == fitted.intercept_bps


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), slope=st.floats(-20, 20))
def test_arrays_carry_the_map_to_the_last_bit(seed, slope, tmp_path_factory):
    from safetensors.numpy import load, save

    fitted = fit_score_calibration(*made_pairs(seed, slope=slope, noise=30.0, length=40))
    arrays = fitted.to_arrays()
    assert all(array.dtype == np.float64 and array.shape == (1,) for array in arrays.values())
    assert ScoreCalibration.from_arrays(load(save(arrays))) == fitted


def test_wrong_arrays_are_refused_by_name():
    arrays = fit_score_calibration(*made_pairs(8, slope=1.0, noise=30.0)).to_arrays()
    with pytest.raises(StatisticsError, match="slope_bps"):
        ScoreCalibration.from_arrays({name: array for name, array in arrays.items() if name != "slope_bps"})
    with pytest.raises(StatisticsError, match="extra"):
        ScoreCalibration.from_arrays({**arrays, "extra": np.ones(1)})
    with pytest.raises(StatisticsError, match="score_mean"):
        ScoreCalibration.from_arrays({**arrays, "score_mean": np.ones(2)})
    with pytest.raises(StatisticsError, match="residual_std_bps 0"):
        ScoreCalibration.from_arrays({**arrays, "residual_std_bps": np.zeros(1)})
    with pytest.raises(StatisticsError, match="score_std nan"):
        ScoreCalibration.from_arrays({**arrays, "score_std": np.array([math.nan])})


def test_too_few_pairs_are_refused():
    with pytest.raises(TooFewReturns, match="got:      29"):
        fit_score_calibration(np.arange(29.0), np.arange(29.0))
    with pytest.raises(StatisticsError, match="do not vary"):
        fit_score_calibration(np.arange(40.0), np.ones(40))
    with pytest.raises(StatisticsError, match="do not pair"):
        fit_score_calibration(np.arange(40.0), np.arange(41.0))
