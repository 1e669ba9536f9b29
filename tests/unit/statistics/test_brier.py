"""Brier's score falls into its parts to the last digit, and a diagram says how sure its points are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sapphire.domain.errors import StatisticsError, TooFewReturns
from sapphire.statistics import (
    brier_decomposition,
    brier_scores,
    expected_calibration_error,
    log_scores,
    reliability_diagram,
    wilson_interval,
)

PAIRS = st.lists(st.tuples(st.floats(0.0, 1.0), st.booleans()), min_size=1, max_size=80)


@settings(max_examples=100, deadline=None)
@given(pairs=PAIRS, bins=st.integers(1, 12))
def test_the_parts_add_up_to_the_score(pairs, bins):
    p, o = map(np.array, zip(*pairs, strict=True))
    parts = brier_decomposition(p, o, bins=bins)
    assert parts.brier == pytest.approx(brier_scores(p, o).mean(), abs=1e-12)
    assert parts.reliability - parts.resolution + parts.uncertainty == pytest.approx(parts.brier, abs=1e-12)
    assert parts.reliability >= 0.0
    assert 0.0 <= parts.uncertainty <= 0.25
    assert parts.resolution - parts.within_bins >= -1e-15
    assert parts.skill <= 1.0


def test_few_different_probabilities_are_murphys_bins():
    p = np.repeat([0.1, 0.4, 0.9], [30, 50, 20])
    o = np.concatenate([np.arange(30) < 6, np.arange(50) < 15, np.arange(20) < 19])
    parts = brier_decomposition(p, o)
    assert parts.within_bins == pytest.approx(0.0, abs=1e-15)
    assert parts.reliability == pytest.approx((30 * 0.1**2 + 50 * 0.1**2 + 20 * 0.05**2) / 100)
    assert parts.resolution == pytest.approx((30 * 0.2**2 + 50 * 0.1**2 + 20 * 0.55**2) / 100)
    assert parts.uncertainty == pytest.approx(0.4 * 0.6)
    assert expected_calibration_error(p, o) == pytest.approx((30 * 0.1 + 50 * 0.1 + 20 * 0.05) / 100)


def test_the_base_rate_has_no_skill_and_the_truth_has():
    dice = np.random.default_rng(1)
    p = dice.random(4_000)
    o = dice.random(4_000) < p
    assert brier_decomposition(np.full(4_000, o.mean()), o).skill == pytest.approx(0.0, abs=1e-12)
    assert brier_decomposition(p, o).skill == pytest.approx(1 / 3, abs=0.04)  # variance 1/12 of an uncertainty of 1/4
    assert brier_decomposition(1.0 - p, o).skill < -0.5


def test_quantile_bins_are_those_of_scikit_learn():
    from sklearn.calibration import calibration_curve
    from sklearn.metrics import log_loss

    dice = np.random.default_rng(2)
    p = dice.beta(2.0, 3.0, 997)
    o = (dice.random(997) < p).astype(float)
    shares, stated = calibration_curve(o, p, n_bins=10, strategy="quantile")
    found = reliability_diagram(p, o, bins=10)
    assert [bin.share for bin in found] == pytest.approx(shares.tolist())
    assert [bin.stated for bin in found] == pytest.approx(stated.tolist())
    assert {bin.pairs for bin in found} <= {99, 100}
    assert log_scores(p, o).mean() == pytest.approx(-log_loss(o, p), rel=1e-12)


def test_an_interval_holds_the_stated_probability_as_often_as_it_says():
    inside = []
    for seed in range(60):
        dice = np.random.default_rng(seed)
        p = np.round(dice.random(500), 1)
        found = reliability_diagram(p, dice.random(500) < p, bins=11)
        inside += [bin.low <= bin.stated <= bin.high for bin in found]
    assert np.mean(inside) > 0.87  # 90 %, and the two ends at 0 and 1 always


def test_overlapping_outcomes_widen_the_interval():
    dice = np.random.default_rng(3)
    moves = np.convolve(dice.normal(size=1_211), np.ones(12), mode="valid")
    p = np.full((1_200, 1), 0.5)
    (aware,), (blind,) = (reliability_diagram(p, moves > 0.0, horizon_bars=ahead) for ahead in (12, 1))
    (copied,) = reliability_diagram(
        np.repeat(p, 5, axis=1), np.repeat(moves[:, np.newaxis] > 0.0, 5, axis=1), horizon_bars=12
    )
    assert aware.pairs == blind.pairs == 1_200
    assert aware.effective < 250
    assert copied.effective == pytest.approx(aware.effective)
    assert aware.high - aware.low > 1.2 * (blind.high - blind.low)


@given(share=st.floats(0.0, 1.0), effective=st.floats(1.0, 1e4), confidence=st.floats(0.5, 0.99))
def test_a_wilson_interval_holds_its_share_and_stays_a_probability(share, effective, confidence):
    low, high = wilson_interval(share, effective, confidence=confidence)
    assert 0.0 <= low <= share + 1e-9
    assert share - 1e-9 <= high <= 1.0
    assert high > low


def test_what_is_no_probability_is_refused():
    with pytest.raises(StatisticsError, match="out of range"):
        brier_decomposition([1.2], [1])
    with pytest.raises(StatisticsError, match="out of range"):
        reliability_diagram([0.5], [2])
    with pytest.raises(StatisticsError, match="do not pair"):
        expected_calibration_error([0.5, 0.5], [1])
    with pytest.raises(TooFewReturns):
        brier_decomposition([np.nan], [1])
    with pytest.raises(StatisticsError, match="without bins"):
        brier_decomposition([0.5], [1], bins=0)
    with pytest.raises(StatisticsError, match="no share"):
        wilson_interval(0.5, 0.0, confidence=0.9)
    with pytest.raises(StatisticsError, match="a certainty that did not come"):
        log_scores([0.3, 1.0], [0, 0])
    assert log_scores([1.0, 1e-300], [1, 0]).tolist() == [0.0, 0.0]
