"""A tear sheet: the account's own totals, its benchmark beside it, and no word that it is evidence."""

import numpy as np
import pandas as pd
import pytest

from sapphire.domain.errors import StudyError
from sapphire.research.results.tear_sheet import tear_sheet


def curves(days, seed=0):
    """Hourly equity of an account and of its benchmark."""
    dice = np.random.default_rng(seed)
    times = pd.date_range("2023-11-20 01:00", periods=24 * days, freq="h", tz="UTC")
    growth = np.exp(np.cumsum(dice.normal(0.0, 0.004, (len(times), 2)), axis=0))
    return pd.DataFrame(growth / growth[0], index=times, columns=["mine", "buy and hold"])


def test_totals_are_those_of_the_curves():
    equity = curves(90)
    found = tear_sheet("mine", "made by a test", equity)
    for name in equity:
        total = equity[name].iloc[-1] / equity[name].iloc[0] - 1.0
        assert found.statistics.loc["total_return", name] == pytest.approx(total, rel=1e-12)
    assert np.nanprod(1.0 + found.months.to_numpy()) - 1.0 == pytest.approx(equity["mine"].iloc[-1] - 1.0, rel=1e-9)
    daily = equity["mine"].resample("1D").last()
    depth = float((daily / np.maximum(daily.cummax(), 1.0) - 1.0).min())
    assert found.drawdowns["drawdown"].iloc[0] == pytest.approx(depth, rel=1e-9)


def test_it_says_whose_numbers_they_are():
    found = tear_sheet("mine", "made by a test", curves(40))
    assert "not evidence" in found.caption
    header, lines = found.table()
    assert header == ("statistic", "mine", "buy and hold")
    assert all(len(line) == 3 for line in lines)
    assert "not evidence" in found.figure.layout.title.text
    assert set(found.as_dict()["accounts"]) == {"mine", "buy and hold"}


def test_an_account_that_never_moved_has_a_tear_sheet():
    flat = curves(40)
    flat["mine"] = 1.0
    found = tear_sheet("mine", "made by a test", flat)
    assert found.as_dict()["accounts"]["mine"]["daily_sharpe"] is None
    assert found.statistics.loc["total_return", "mine"] == 0.0


def test_too_short_a_window_is_refused():
    with pytest.raises(StudyError, match="too few days"):
        tear_sheet("mine", "made by a test", curves(1).iloc[:20])
