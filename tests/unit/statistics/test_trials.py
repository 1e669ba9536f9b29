"""What a ledger's trials amount to, and that no flood of them can shrink it."""

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sapphire.domain.errors import StatisticsError
from sapphire.statistics import (
    alike_trials,
    deflated_sharpe_ratio,
    effective_number_of_trials,
    sharpe_at_interval,
    variance_of_trials,
)

ratios = st.floats(-0.5, 0.5)


@given(st.lists(ratios, min_size=2, max_size=20), st.integers(1, 200), st.integers(30, 5_000))
def test_copies_never_move_the_variance(sharpes, copies, length):
    once = variance_of_trials(sharpes, length=length)
    assert variance_of_trials(sharpes + copies * sharpes[:1], length=length) == pytest.approx(once, rel=1e-9)
    assert variance_of_trials([*sharpes, *copies * [None]], length=length) == pytest.approx(once, rel=1e-9)
    assert once >= 1.0 / length


def test_a_flood_of_copies_deflates_more_and_never_less():
    spread = [-0.08, -0.02, 0.01, 0.05, 0.12]

    def deflated(sharpes):
        variance = variance_of_trials(sharpes, length=1000)
        return deflated_sharpe_ratio(0.12, trials=len(sharpes), variance_of_trials=variance, length=1000)

    honest, flooded = deflated(spread), deflated(spread + 1_000 * [0.01])
    diluted = deflated_sharpe_ratio(
        0.12, trials=1_005, variance_of_trials=np.var(spread + 1_000 * [0.01], ddof=1), length=1000
    )
    assert diluted > 0.999  # what the plain variance says: nothing was luck
    assert flooded < honest < 0.9


def test_one_trial_without_returns_does_not_switch_deflation_off():
    with_one = variance_of_trials([0.1, None], length=500)
    assert with_one == 1.0 / 500


def test_copies_with_a_grain_of_noise_are_copies():
    dice = np.random.default_rng(1)
    base = dice.normal([0.0, 0.1, -0.1], 1.0, (500, 3))
    near = base[:, :1] + 1e-3 * dice.normal(size=(500, 40))
    returns = np.hstack([base, near])
    sharpes = list(returns.mean(axis=0) / returns.std(axis=0, ddof=1))
    labels = alike_trials(np.corrcoef(returns, rowvar=False), sharpes, length=500)
    assert labels == (0, 1, 2, *40 * [0])
    kept = variance_of_trials(sharpes, length=500, series=labels)
    assert kept == variance_of_trials(sharpes[:3], length=500)
    assert kept > 2.0 * variance_of_trials(sharpes, length=500)


def test_a_row_of_small_steps_does_not_make_its_ends_the_same():
    chain = [[1.0, 0.995, 0.98], [0.995, 1.0, 0.995], [0.98, 0.995, 1.0]]
    assert alike_trials(chain, [0.1, 0.1, 0.1], length=500) == (0, 0, 1)
    assert alike_trials(chain, [0.1, 0.1, 0.1], length=500, at_least=0.999) == (0, 1, 2)


def test_the_same_trades_at_other_costs_are_another_trial():
    copies = np.full((3, 3), 0.9999) + 0.0001 * np.eye(3)
    assert alike_trials(copies, [0.10, 0.101, -0.05], length=500) == (0, 0, 1)


def test_a_ratio_keeps_its_year_when_its_bar_changes():
    hourly = 0.01
    daily = sharpe_at_interval(hourly, interval=timedelta(hours=1), to=timedelta(days=1))
    assert daily * 365**0.5 == pytest.approx(hourly * 8760**0.5)
    back = sharpe_at_interval(daily, interval=timedelta(days=1), to=timedelta(hours=1))
    assert back == pytest.approx(hourly)


def test_effective_number_of_copies_is_one():
    assert effective_number_of_trials(np.ones((7, 7))) == pytest.approx(1.0)


def test_what_is_no_trial_is_refused():
    for wrong in ({"sharpes": [float("nan")], "length": 100}, {"sharpes": [0.1], "length": 1}):
        with pytest.raises(StatisticsError):
            variance_of_trials(**wrong)
    with pytest.raises(StatisticsError, match="do not fit together"):
        variance_of_trials([0.1, 0.2], length=100, series=["a"])
    for at_least in (0.0, 1.1):
        with pytest.raises(StatisticsError, match="bound on correlation"):
            alike_trials(np.eye(2), [0.1, 0.2], length=100, at_least=at_least)
    for bad in ([[1.0, 0.5], [0.4, 1.0]], [[1.0, 0.5], [0.5, 0.9]], [[1.0, 0.5]]):
        with pytest.raises(StatisticsError, match="not a correlation matrix"):
            alike_trials(bad, [0.1, 0.2], length=100)
    for sharpes, length in (([0.1], 100), ([0.1, 0.2], 1)):
        with pytest.raises(StatisticsError, match="do not fit together"):
            alike_trials(np.eye(2), sharpes, length=length)
    for interval in (timedelta(0), timedelta(hours=-1)):
        with pytest.raises(StatisticsError, match="interval"):
            sharpe_at_interval(0.1, interval=interval, to=timedelta(hours=1))
