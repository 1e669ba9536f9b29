"""Intervals hold what they say on outcomes that nobody learned from, whatever their distribution is."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sapphire.domain.errors import StatisticsError, TooFewReturns
from sapphire.statistics import SplitConformal, adaptive_conformal, fit_split_conformal, interval_coverage


def covered(fitted, outcomes, std=1.0):
    low, high = fitted.interval(np.zeros_like(outcomes), np.full_like(outcomes, std))
    return interval_coverage(low, high, outcomes, stated=fitted.coverage).realised


@pytest.mark.parametrize("drawn", ["normal", "standard_t", "uniform"])
def test_eighty_per_cent_hold_eighty_per_cent(drawn):
    dice = np.random.default_rng(1)
    draw = {
        "normal": lambda size: dice.normal(0.0, 3.0, size),
        "standard_t": lambda size: dice.standard_t(2.5, size),
        "uniform": lambda size: dice.uniform(-1.0, 1.0, size),
    }[drawn]
    y = draw(3_000)
    fitted = fit_split_conformal(np.zeros(3_000), np.ones(3_000), y)
    assert covered(fitted, draw(20_000)) == pytest.approx(0.8, abs=0.03)


def test_small_samples_hold_more_and_never_less_on_average():
    """Over many samples of 39 the mean coverage of the finite-sample rank is 80 %, that of one rank lower is not."""
    found, plain = [], []
    for seed in range(2_000):
        dice = np.random.default_rng(seed)
        y = dice.exponential(size=39)
        fitted = fit_split_conformal(np.zeros(39), np.ones(39), y)
        found.append(1.0 - math.exp(-fitted.multiplier))
        plain.append(1.0 - math.exp(-float(np.sort(y)[math.ceil(39 * 0.8) - 2])))
    assert np.mean(found) == pytest.approx(32 / 40, abs=0.005)
    assert np.mean(plain) < 0.79


def test_stated_deviations_scale_the_interval():
    dice = np.random.default_rng(2)
    std = dice.uniform(0.5, 5.0, 4_000)
    y = 2.0 * std * dice.normal(size=4_000) + 7.0
    fitted = fit_split_conformal(np.full(4_000, 7.0), std, y)
    assert fitted.std_factor == pytest.approx(2.0, rel=0.05), "they said half of what came"
    low, high = fitted.interval([7.0], [1.0])
    assert (high - low)[0] == pytest.approx(2 * fitted.multiplier)


def test_overlapping_outcomes_are_fewer_and_the_level_is_the_higher():
    dice = np.random.default_rng(3)
    y = np.convolve(dice.normal(size=611), np.ones(12), mode="valid")
    zeros, ones = np.zeros(600), np.ones(600)
    aware, blind = (fit_split_conformal(zeros, ones, y, horizon_bars=ahead) for ahead in (12, 1))
    assert (aware.independent, blind.independent) == (50.0, 600.0)
    assert aware.multiplier >= blind.multiplier
    assert aware.multiplier == np.sort(np.abs(y))[math.ceil(600 * 41 / 50) - 1]  # 41 = ceil(51 * 0.8)


def test_too_few_are_refused_and_enough_are_not():
    y = np.random.default_rng(4).normal(size=400)
    with pytest.raises(TooFewReturns, match="at least 30"):
        fit_split_conformal(np.zeros(29), np.ones(29), y[:29])
    with pytest.raises(TooFewReturns, match="99 at 1 bars"):
        fit_split_conformal(np.zeros(98), np.ones(98), y[:98], coverage=0.99)
    assert fit_split_conformal(np.zeros(99), np.ones(99), y[:99], coverage=0.99).multiplier == np.abs(y[:99]).max()
    with pytest.raises(TooFewReturns, match="1188 at 12 bars"):
        fit_split_conformal(np.zeros(400), np.ones(400), y, coverage=0.99, horizon_bars=12)


def test_what_cannot_be_is_refused():
    y = np.arange(40.0)
    with pytest.raises(StatisticsError, match="without uncertainty"):
        fit_split_conformal(y, np.zeros(40), y)
    with pytest.raises(StatisticsError, match="intervals that cannot be"):
        fit_split_conformal(y, np.ones(40), y, coverage=80.0)
    with pytest.raises(StatisticsError, match="cannot be applied"):
        fit_split_conformal(y, np.ones(40), y)  # the outcomes are the means: no width at all
    with pytest.raises(StatisticsError, match="cannot take"):
        adaptive_conformal(y, np.ones(40), y, gamma=-1.0)
    arrays = fit_split_conformal(np.zeros(40), np.ones(40), y).to_arrays()
    assert SplitConformal.from_arrays(arrays) == fit_split_conformal(np.zeros(40), np.ones(40), y)
    with pytest.raises(StatisticsError, match="multiplier"):
        SplitConformal.from_arrays({**arrays, "multiplier": np.ones(2)})
    with pytest.raises(StatisticsError, match="pairs"):
        SplitConformal.from_arrays({name: array for name, array in arrays.items() if name != "pairs"})


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(20, 200),
    gamma=st.floats(0.005, 0.5),
    coverage=st.floats(0.05, 0.95),
    ahead=st.integers(1, 8),
    growth=st.floats(-0.1, 0.1),
)
def test_whatever_comes_the_miss_rate_is_led_back(seed, rows, gamma, coverage, ahead, growth):
    """Proposition 4.1, with outcomes that are known `ahead` rows late, on outcomes that explode or die out."""
    y = np.random.default_rng(seed).standard_t(2, rows) * np.exp(growth * np.arange(rows))
    found = adaptive_conformal(
        np.zeros(rows), np.ones(rows), y, coverage=coverage, gamma=gamma, window=50, horizon_bars=ahead
    )
    used = found.covered[: rows - ahead, 0]
    used = used[np.isfinite(used)]
    if used.size:
        aim = 1.0 - coverage
        bound = (max(aim, coverage) + ahead * gamma) / (gamma * used.size)
        assert abs((1.0 - used.mean()) - aim) <= bound + 1e-9


def test_it_follows_where_frozen_intervals_are_left_behind():
    dice = np.random.default_rng(5)
    y = np.concatenate([dice.normal(0.0, 1.0, 1_000), dice.normal(0.0, 3.0, 3_000)])
    frozen = fit_split_conformal(np.zeros(1_000), np.ones(1_000), y[:1_000])
    found = adaptive_conformal(np.zeros(4_000), np.ones(4_000), y, gamma=0.02)
    later = found.covered[1_500:, 0]
    assert covered(frozen, y[1_500:]) < 0.4
    assert later.mean() == pytest.approx(0.8, abs=0.03)
    assert found.coverage == pytest.approx(0.8, abs=0.03)


def test_no_row_knows_an_outcome_before_it_is_there():
    dice = np.random.default_rng(6)
    y = dice.normal(size=(300, 2))
    other = y.copy()
    other[200:] *= 50.0
    was, now = (
        adaptive_conformal(np.zeros((300, 2)), np.ones((300, 2)), of, gamma=0.05, horizon_bars=5) for of in (y, other)
    )
    assert np.array_equal(was.multipliers[:205], now.multipliers[:205], equal_nan=True)
    assert not np.array_equal(was.multipliers[205:], now.multipliers[205:])
    assert np.isnan(was.multipliers[:5]).all()


def test_a_missing_outcome_moves_nothing():
    y = np.random.default_rng(7).normal(size=100)
    y[40] = np.nan
    found = adaptive_conformal(np.zeros(100), np.ones(100), y, gamma=0.1)
    assert np.isnan(found.covered[40, 0])
    assert found.miss_rates[41] == found.miss_rates[40]
    assert math.isnan(adaptive_conformal([0.0], [1.0], [0.0]).coverage)
