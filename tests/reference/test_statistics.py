"""Published and executed values of the statistics that gates use, R1 to R22; each test names its source.

Sharpe ratios are per period unless a name says annual. A value from a paper is held to the digits that the paper
prints, one from other people's code to all of them.
"""

import math
from functools import partial

import numpy as np
import pytest

from sapphire.domain.errors import StatisticsError
from sapphire.statistics import (
    block_length,
    combinatorial_paths,
    combinatorial_purged_splits,
    critical_sharpe_ratio,
    deflated_sharpe_ratio,
    deflated_sharpe_ratio_2025,
    expected_maximum_sharpe,
    minimum_backtest_length,
    minimum_track_record_length,
    observed_false_discovery_rate,
    planned_false_discovery_rate,
    probability_of_backtest_overfitting,
    psr_2012,
    psr_2025,
    sharpe_ratio_for_rate,
    sharpe_ratio_power,
    sharpe_standard_error,
)

DAILY, WEEKLY, MONTHLY = math.sqrt(250), math.sqrt(52), math.sqrt(12)
PAPER_2014 = {"trials": 100, "variance_of_trials": 0.5 / 250, "length": 1250, "skew": -3.0, "kurtosis": 10.0}
FUND = {"skew": -2.448, "kurtosis": 10.164}
FUND_SHARPE = 0.036 / 0.079


def test_r1_expected_maximum_of_a_hundred():
    """pypbo, tests/test_pbo.py."""
    assert expected_maximum_sharpe(100, 1.0) == pytest.approx(2.5306028932016846, abs=1e-13)


def test_r2_deflated_sharpe_ratio_of_the_paper():
    """Bailey and Lopez de Prado (2014), the numerical example; digits by pypbo."""
    assert expected_maximum_sharpe(100, 0.5 / 250) == pytest.approx(0.1132, abs=5e-5)
    assert deflated_sharpe_ratio(2.5 / DAILY, **PAPER_2014) == pytest.approx(0.90039683444939, abs=1e-12)


@pytest.mark.parametrize("changed", [{"trials": 46}, {"trials": 88, "skew": 0.0, "kurtosis": 3.0}])
def test_r3_deflated_sharpe_ratio_of_the_papers_variations(changed):
    """Bailey and Lopez de Prado (2014): 46 trials would have passed, or 88 with normal returns."""
    assert round(deflated_sharpe_ratio(2.5 / DAILY, **{**PAPER_2014, **changed}), 4) == 0.9505


def test_r4_excess_kurtosis_for_raw_is_refused():
    """The common bug, which gives 0.90178: no distribution has a raw kurtosis of 7 with a skew of -3."""
    with pytest.raises(StatisticsError, match="raw kurtosis"):
        deflated_sharpe_ratio(2.5 / DAILY, **{**PAPER_2014, "kurtosis": 7.0})


def test_r5_probabilistic_sharpe_ratio_of_the_hedge_fund():
    """Bailey and Lopez de Prado (2012); digits by pypbo."""
    assert psr_2012(1.585 / MONTHLY, length=24, **FUND) == pytest.approx(0.91323430688486, abs=1e-12)


@pytest.mark.parametrize(
    ("root", "years"), [(DAILY, 2.7311878017281761), (WEEKLY, 2.8288335869452368)], ids=["daily", "weekly"]
)
def test_r6_minimum_track_record(root, years):
    """Bailey and Lopez de Prado (2012), fig. 8; digits by pypbo."""
    found = minimum_track_record_length(2 / root, benchmark=1 / root) / root**2
    assert found == pytest.approx(years, abs=1e-12)


@pytest.mark.parametrize(("shape", "years"), [({}, 3.24), ({"skew": -0.72, "kurtosis": 5.78}, 4.99)])
def test_r7_minimum_track_record_by_month(shape, years):
    """Bailey and Lopez de Prado (2012)."""
    assert round(minimum_track_record_length(2 / MONTHLY, benchmark=1 / MONTHLY, **shape) / 12, 2) == years


def test_r8_minimum_track_record_of_a_near_benchmark():
    """pypbo."""
    found = minimum_track_record_length(3 / MONTHLY, benchmark=2.5 / MONTHLY, skew=-0.72, kurtosis=5.78) / 12
    assert found == pytest.approx(27.352920196040301, abs=1e-11)


@pytest.mark.parametrize(("trials", "years"), [(45, 4.9980870044434038), (10, 2.4794), (100, 6.4040)])
def test_r9_minimum_backtest_length(trials, years):
    """Bailey, Borwein, Lopez de Prado and Zhu (2014), Notices of the AMS: 45 configurations on five years."""
    assert minimum_backtest_length(trials, 1.0) == pytest.approx(years, abs=1e-12 if trials == 45 else 5e-5)


def test_r10_sharpe_ratio_2025():
    """Lopez de Prado, Lipton and Zoonekynd (2025), by the authors' own functions."""
    assert round(sharpe_standard_error(FUND_SHARPE, length=24, **FUND), 3) == 0.329
    assert round(sharpe_standard_error(FUND_SHARPE, length=24), 3) == 0.214
    assert round(psr_2025(FUND_SHARPE, length=24, **FUND), 3) == 0.987
    assert round(psr_2025(FUND_SHARPE, length=24, benchmark=0.1, **FUND), 3) == 0.939
    longest = partial(minimum_track_record_length, FUND_SHARPE, convention="psr_2025", **FUND)
    assert round(longest(), 3) == 13.029
    assert round(longest(confidence=0.90), 3) == 7.909


def test_r11_power_and_false_discovery():
    """Lopez de Prado, Lipton and Zoonekynd (2025)."""
    assert round(critical_sharpe_ratio(length=24, level=0.10, **FUND), 3) == 0.262
    power = sharpe_ratio_power(0.5, length=24, level=0.10, **FUND)
    assert round(power, 3) == 0.758
    assert round(planned_false_discovery_rate(prior=0.10, level=0.10, power=power), 3) == 0.543
    found = observed_false_discovery_rate(FUND_SHARPE, alternative=0.5, length=24, prior=0.10, **FUND)
    assert round(found, 3) == 0.173


def test_r12_deflation_2025():
    """Lopez de Prado, Lipton and Zoonekynd (2025): by the variance of the maximum, and by that of one ratio."""
    luck = expected_maximum_sharpe(10, 0.1)
    assert round(luck, 3) == 0.498
    found = deflated_sharpe_ratio_2025(FUND_SHARPE, trials=10, variance_of_trials=0.1, length=24, **FUND)
    assert round(found, 3) == 0.416
    assert round(psr_2025(FUND_SHARPE, length=24, benchmark=luck, **FUND), 3) == 0.451


def test_r13_sharpe_ratio_2025_with_autocorrelation():
    """Lopez de Prado, Lipton and Zoonekynd (2025)."""
    fund = {**FUND, "autocorrelation": 0.2}
    assert round(sharpe_standard_error(FUND_SHARPE, length=24, **fund), 3) == 0.379
    assert round(psr_2025(FUND_SHARPE, length=24, **fund), 3) == 0.966
    assert round(psr_2025(FUND_SHARPE, length=24, benchmark=0.1, **fund), 3) == 0.900
    found = minimum_track_record_length(FUND_SHARPE, confidence=0.90, convention="psr_2025", **fund)
    assert round(found, 3) == 11.863


def test_r14_level_for_a_false_discovery_rate():
    """Lopez de Prado, Lipton and Zoonekynd (2025)."""
    critical, level, power = sharpe_ratio_for_rate(0.25, alternative=0.5, length=24, prior=0.10, **FUND)
    assert (round(level, 4), round(1.0 - power, 3), round(critical, 3)) == (0.0224, 0.396, 0.410)


@pytest.mark.parametrize(("sharpe", "length", "error"), [(1.5, 60, 0.188), (0.5, 12, 0.306), (3.0, 500, 0.105)])
def test_r15_error_of_a_sharpe_ratio(sharpe, length, error):
    """Lo (2002)."""
    assert round(sharpe_standard_error(sharpe, length=length), 3) == error


def test_r16_overfitting_of_three_trials():
    """By hand, and by ffn. Under a strict inequality it would be a third."""
    rows = [[1, 2, 3], [2, 1, -1], [0, 3, 1], [1, -1, 2], [3, 1, -2], [-1, 2, 0], [2, 0, 1], [1, 1, -1]]
    found = probability_of_backtest_overfitting(rows, blocks=4)
    assert found.logits.round(4).tolist() == [0.0, -1.0986, 0.0, 0.0, 0.0, -0.5108]
    assert found.probability == 1.0
    assert np.mean(found.logits < 0) == pytest.approx(1 / 3)


@pytest.mark.parametrize(("blocks", "share"), [(4, 0.0), (8, 13 / 70), (10, 41 / 252)])
def test_r17_overfitting_of_five_trials(blocks, share):
    """An independent count of the splits, which ffn agrees with."""
    trials = np.random.default_rng(20261122).normal(0, 1, (40, 5)).round(2)
    trials[:, -1] += 0.25
    assert probability_of_backtest_overfitting(trials, blocks=blocks).probability == pytest.approx(share, abs=1e-12)


@pytest.mark.parametrize(
    ("annual", "share", "within"), [(0, 1.0, 0.001), (1, 0.72, 0.1), (2, 0.10, 0.06), (3, 0.001, 0.01)]
)
def test_r18_overfitting_falls_with_the_skill_of_one_trial(annual, share, within):
    """The design of the R package pbo: 100 trials of 1,000 days, all of ratio 0 but one; 8 blocks, mean of 5 seeds."""
    shares = []
    for seed in range(5):
        trials = np.random.default_rng(seed).normal(size=(1000, 100))
        trials = (trials - trials.mean(axis=0)) / trials.std(axis=0, ddof=1) / math.sqrt(260)
        trials[:, 0] += annual / 260
        shares.append(probability_of_backtest_overfitting(trials, blocks=8).probability)
    assert np.mean(shares) == pytest.approx(share, abs=within)


def test_r19_overfitting_of_noise_is_a_coin():
    """100 trials of noise that are not recentred; 0.47 with a spread of 0.15 over 20 seeds."""
    shares = [
        probability_of_backtest_overfitting(np.random.default_rng(seed).normal(size=(1000, 100)), blocks=8).probability
        for seed in range(20)
    ]
    assert np.mean(shares) == pytest.approx(0.47, abs=0.08)
    assert 0.08 < np.std(shares) < 0.25


@pytest.mark.parametrize(("groups", "tested", "splits", "paths"), [(6, 2, 15, 5), (10, 8, 45, 36), (10, 2, 45, 9)])
def test_r20_combinatorial_splits_and_paths(groups, tested, splits, paths):
    """Lopez de Prado (2018), ch. 12."""
    assert len(combinatorial_purged_splits(200, groups=groups, tested=tested)) == splits
    assert combinatorial_paths(groups, tested).shape == (paths, groups)


def test_r21_combinatorial_training_rows():
    """The doctest of skfolio's own source."""
    found = combinatorial_purged_splits(12, groups=3, tested=2, purge=1)
    assert [split.train.tolist() for split in found] == [[9, 10, 11], [5, 6], [0, 1, 2]]
    assert [[block.tolist() for block in split.tests] for split in found][1] == [[0, 1, 2, 3], [8, 9, 10, 11]]


def test_r22_automatic_block_length():
    """The tests of arch, whose circular block is 15.60894 on the same series."""
    from arch.bootstrap import optimal_block_length

    noise = np.random.RandomState(0).standard_normal(10_100)
    series = np.zeros(10_100)
    series[0] = noise[0]
    for t in range(1, 10_100):
        series[t] = 0.3 * series[t - 1] + noise[t]
    assert block_length(series[100:]) == pytest.approx(13.635665, abs=5e-7)
    assert optimal_block_length(series[100:])["circular"].iloc[0] == pytest.approx(15.60894, abs=5e-6)
