"""What is counted as overfit, and what cannot push the count down."""

import numpy as np
import pytest

from sapphire.domain.errors import StatisticsError, TooFewReturns
from sapphire.statistics import probability_of_backtest_overfitting


def trials(seed=0, length=400, count=6):
    return np.random.default_rng(seed).normal(0.0, 0.01, (length, count))


def test_it_is_what_ffn_says_of_all_rows():
    """Two rows a block stand for the whole block; the library on the rows themselves says the same."""
    import ffn
    import pandas as pd

    returns = trials(3, length=407)
    theirs = ffn.calc_prob_backtest_overfitting(pd.DataFrame(returns), n_blocks=8, full_output=True)
    ours = probability_of_backtest_overfitting(returns, blocks=8)
    assert ours.probability == theirs["pbo"]
    assert ours.logits == pytest.approx(theirs["logits"].to_numpy(), abs=1e-12)
    assert (ours.blocks, ours.trials, len(ours.logits)) == (8, 6, 70)


def test_copies_of_a_loser_change_nothing():
    returns = trials(1)
    returns[:, 0] -= 0.01
    alone = probability_of_backtest_overfitting(returns, blocks=6)
    flooded = probability_of_backtest_overfitting(np.hstack([returns, np.tile(returns[:, :1], 50)]), blocks=6)
    assert flooded.probability == alone.probability
    assert flooded.trials == alone.trials == 6


def test_a_trial_that_does_not_trade_is_cash():
    returns = trials(2) - 0.002
    returns[:, 0] = 0.0
    returns[:200, 1] = 0.0
    found = probability_of_backtest_overfitting(returns, blocks=4)
    assert np.isfinite(found.logits).all()
    assert found.probability == 0.0  # all others lose everywhere: cash is the best in either half


def test_one_that_is_better_everywhere_is_not_overfit():
    returns = trials(4)
    returns[:, 2] += 0.01
    assert probability_of_backtest_overfitting(returns, blocks=8).probability == 0.0


@pytest.mark.parametrize("blocks", [0, 1, 3, 18, -4])
def test_blocks_that_cannot_be_halved_are_refused(blocks):
    with pytest.raises(StatisticsError, match="halved"):
        probability_of_backtest_overfitting(trials(), blocks=blocks)


def test_too_few_rows_or_trials_are_refused():
    with pytest.raises(TooFewReturns, match="too few returns for the blocks"):
        probability_of_backtest_overfitting(trials(length=19), blocks=10)
    with pytest.raises(StatisticsError, match="too few trials") as refused:
        probability_of_backtest_overfitting(np.tile(trials(count=1), 3), blocks=4)
    assert refused.value.got == "3 trials, 1 of them distinct"


def test_a_missing_or_constant_return_is_refused():
    returns = trials()
    returns[5, 3] = np.nan
    with pytest.raises(StatisticsError, match="not finite"):
        probability_of_backtest_overfitting(returns, blocks=4)
    returns = trials()
    returns[:, 3] = 0.001
    with pytest.raises(StatisticsError, match="same return in every period of a half"):
        probability_of_backtest_overfitting(returns, blocks=4)
