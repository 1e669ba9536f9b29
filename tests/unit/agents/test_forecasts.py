"""Quantiles become means and deviations, views become beliefs, and a bare score becomes neither."""

from datetime import UTC, datetime, timedelta
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sapphire.agents import ViewPanel, beliefs_from, forecast_of, forecast_panel, normal_from_quantiles
from sapphire.domain import View
from sapphire.domain.errors import AgentError

AT, HOUR = datetime(2025, 1, 1, tzinfo=UTC), timedelta(hours=1)


@given(
    mean=st.floats(-500, 500),
    std=st.floats(0.1, 500),
    levels=st.lists(st.floats(0.01, 0.99), min_size=2, max_size=9, unique_by=lambda level: round(level, 2)),
)
def test_quantiles_of_a_normal_distribution_give_it_back(mean, std, levels):
    values = np.array([NormalDist(mean, std).inv_cdf(level) for level in levels])
    found = normal_from_quantiles(levels, values)
    assert float(found[0]) == pytest.approx(mean, abs=1e-6 * (abs(mean) + std))
    assert float(found[1]) == pytest.approx(std, rel=1e-6)


def test_views_and_panels_agree(bars):
    levels = (0.1, 0.4, 0.9)
    frames = {level: 1e4 * level * bars.frame("volume") for level in levels}
    panel = forecast_panel(ViewPanel(horizon=HOUR, quantiles_bps=frames), "someone")
    view = View("BTC/USDT", AT, HOUR, quantiles_bps={level: frames[level].iloc[9, 0] for level in levels})
    assert forecast_of(view) == pytest.approx((panel.mean_bps.iloc[9, 0], panel.std_bps.iloc[9, 0]), rel=1e-12)


def test_beliefs_are_made_of_forecasts_and_not_of_scores():
    stated = View("BTC/USDT", AT, HOUR, mean_bps=3.0, std_bps=40.0)
    flat = View("ETH/USDT", AT, HOUR, quantiles_bps={0.1: 5.0, 0.9: 5.0})
    assert [(belief.symbol, belief.mean_bps, belief.std_bps) for belief in beliefs_from([stated, flat])] == [
        ("BTC/USDT", 3.0, 40.0)
    ]
    with pytest.raises(AgentError, match="momentum states a score, not a forecast"):
        beliefs_from([View("BTC/USDT", AT, HOUR, score=1.0, agent="momentum")])
