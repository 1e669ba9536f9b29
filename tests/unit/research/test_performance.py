"""One row of numbers against arithmetic done by hand, and what is shown where a number cannot be had."""

import json
import math
from fractions import Fraction

import numpy as np
import pytest

from sapphire.domain.intervals import Interval
from sapphire.research.results.performance import (
    HEADER,
    Performance,
    digest_of_returns,
    periods_per_year,
    simple_returns,
)
from sapphire.statistics import return_moments

HOUR, DAY = Interval("1h"), Interval("1d")


def measured(equity, interval=DAY, *, traded=0.0, fees=0.0, fills=0):
    return Performance.measure(
        np.array(equity, dtype=np.float64), interval, traded_quote=traded, fees_quote=fees, fills=fills
    )


def test_a_short_account_by_hand():
    returns = [0.01, -0.02, 0.03, 0.0, 0.01]
    equity = 1_000 * np.cumprod([1.0, *(1 + change for change in returns)])
    row = measured(equity, traded=5_000.0, fees=4.0, fills=3)
    assert row.total_return == pytest.approx(1.01 * 0.98 * 1.03 * 1.0 * 1.01 - 1, rel=1e-12)
    mean = 0.006
    deviation = math.sqrt(sum((change - mean) ** 2 for change in returns) / 4)
    assert row.sharpe == pytest.approx(mean / deviation, rel=1e-9)
    moments = return_moments(np.array(returns))
    spread = 1 - moments.skew * row.sharpe + (moments.kurtosis - 1) / 4 * row.sharpe**2
    z = row.sharpe * math.sqrt(4 / spread)  # Bailey and Lopez de Prado (2012): T - 1
    assert row.probability == pytest.approx((1 + math.erf(z / math.sqrt(2))) / 2, rel=1e-6)
    assert row.drawdown == pytest.approx(0.02, rel=1e-12)
    assert row.turnover == pytest.approx(5_000 / equity.mean() / (5 / 365), rel=1e-12)
    assert row.costs == pytest.approx(0.004, rel=1e-12)
    assert (row.fills, row.bars, row.per_year) == (3, 5, 365)


def test_the_error_of_a_ratio_knows_autocorrelation():
    dice = np.random.default_rng(4)
    noise = dice.normal(0.001, 0.01, 400)
    slow = np.convolve(noise, [0.5, 0.5], "valid")
    row = measured(1_000 * np.cumprod(1 + slow))
    plain = math.sqrt((1 + row.sharpe**2 / 2) / row.bars)
    assert row.sharpe_error > 1.5 * plain


def test_a_year_has_365_days_of_bars():
    assert periods_per_year(HOUR) == 8_760
    assert periods_per_year(Interval("5m")) == 105_120
    hourly, daily = measured([100, 101, 99, 102, 103], HOUR), measured([100, 101, 99, 102, 103], DAY)
    assert hourly.sharpe == daily.sharpe
    ratio = hourly.as_dict()["sharpe_annual"] / daily.as_dict()["sharpe_annual"]
    assert ratio == pytest.approx(math.sqrt(24), rel=1e-12)


@pytest.mark.parametrize("equity", [[100.0] * 50, [100.0, 101.0], [100.0]], ids=["never traded", "one return", "none"])
def test_without_a_ratio_there_is_a_dash_and_null(equity):
    row = measured(equity)
    assert math.isnan(row.sharpe)
    assert row.row()[1:3] == ("-", "-")
    values = row.as_dict()
    assert [values[name] for name in ("sharpe_annual", "sharpe_annual_standard_error", "probabilistic_sharpe")] == [
        None
    ] * 3
    assert values["max_drawdown"] == 0.0
    json.dumps(values, allow_nan=False)


def test_a_ratio_without_an_error_says_so():
    # Six returns whose moments leave the variance of the ratio below zero.
    returns = np.array([0.0, 0.02799322, 0.0, 0.00225237, 0.0, 0.01123128])
    row = measured(1_000 * np.cumprod([1.0, *(1 + returns)]))
    assert row.sharpe == pytest.approx(0.616766, rel=1e-4)
    assert math.isnan(row.sharpe_error)
    assert 0.5 < row.probability < 1
    assert row.row()[1] == f"{row.sharpe * math.sqrt(365):.2f} ± -"
    assert row.as_dict()["sharpe_annual_standard_error"] is None


def test_the_row_is_what_the_header_says():
    row = measured([1_000.0, 1_100.0, 990.0, 1_050.0, 1_060.0], traded=10_600.0, fees=2.5, fills=1_234)
    shown = dict(zip(HEADER, row.row(), strict=True))
    assert shown["return"] == "+6.00 %"
    assert shown["drawdown"] == "10.00 %"
    assert shown["fees"] == "25.0 bps"
    assert shown["fills"] == "1,234"
    assert shown["turnover, year"] == f"{10_600 / 1_040 / (4 / 365):.1f} x"
    assert " ± " in shown["Sharpe, year ± SE"]


def test_returns_and_their_digest():
    equity = np.array([100.0, 150.0, 75.0])
    assert simple_returns(equity).tolist() == [float(Fraction(1, 2)), float(Fraction(-1, 2))]
    digest = "463f89ccdd9ec40cfeb62ae05b4459a059b2ae502d2b5522a0bcc44d556e8b28"  # of struct.pack("<2d", 0.5, -0.5)
    assert digest_of_returns(simple_returns(equity)) == digest
    assert digest_of_returns(np.array([0.5, -0.5], dtype=">f8")) == digest
    assert digest_of_returns(np.array([0.5, -0.5000000000000001])) != digest
