"""A view states exactly one thing; a belief is always a forecast."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sapphire.domain import Belief, ValueRefused, View

AS_OF = datetime(2024, 3, 1, tzinfo=UTC)
HORIZON = timedelta(hours=12)
NAN = float("nan")


def view(**stated: object) -> View:
    return View("BTC/USDT", AS_OF, HORIZON, **stated)


def test_each_of_the_three_forms() -> None:
    assert view(score=1).score == 1.0
    assert (view(mean_bps=3, std_bps=20).mean_bps, view(mean_bps=3, std_bps=20).std_bps) == (3.0, 20.0)
    assert list(view(quantiles_bps={0.9: 5, 0.1: -5}).quantiles_bps or ()) == [0.1, 0.9]
    assert view(score=1.0).stated_by("trend") == View("BTC/USDT", AS_OF, HORIZON, score=1.0, agent="trend")
    assert hash(view(quantiles_bps={0.1: -5.0, 0.9: 5.0})) == hash(view(quantiles_bps={0.9: 5.0, 0.1: -5.0}))


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({}, "must state one thing"),
        ({"score": 1.0, "mean_bps": 1.0, "std_bps": 1.0}, "must state one thing"),
        ({"score": 1.0, "quantiles_bps": {0.1: 0.0, 0.9: 1.0}}, "must state one thing"),
        ({"mean_bps": 1.0}, "half stated"),
        ({"std_bps": 1.0}, "half stated"),
        ({"mean_bps": 1.0, "std_bps": 0.0}, "no forecast is certain"),
        ({"mean_bps": 1.0, "std_bps": -1.0}, "no forecast is certain"),
        ({"mean_bps": NAN, "std_bps": 1.0}, "finite"),
        ({"score": float("inf")}, "finite"),
        ({"quantiles_bps": {}}, "two or more"),
        ({"quantiles_bps": {0.5: 1.0}}, "two or more"),
        ({"quantiles_bps": {0.0: 1.0, 0.5: 2.0}}, "between 0 and 1"),
        ({"quantiles_bps": {0.1: 1.0, 0.5: NAN}}, "finite"),
        ({"quantiles_bps": {0.1: 1.0, 0.9: 0.0}}, "cross"),
    ],
)
def test_what_a_view_may_not_state(stated: dict[str, object], message: str) -> None:
    with pytest.raises(ValueRefused, match=message):
        view(**stated)


def test_a_belief_is_a_forecast_with_a_span() -> None:
    assert Belief("BTC/USDT", AS_OF, HORIZON, 3, 20).mean_bps == 3.0
    for mean, std in ((NAN, 1.0), (1.0, 0.0), (1.0, float("inf"))):
        with pytest.raises(ValueRefused):
            Belief("BTC/USDT", AS_OF, HORIZON, mean, std)
    with pytest.raises(ValueRefused, match="looks nowhere"):
        Belief("BTC/USDT", AS_OF, timedelta(0), 1.0, 1.0)
    with pytest.raises(ValueRefused, match="timezone"):
        View("BTC/USDT", AS_OF.replace(tzinfo=None), HORIZON, score=1.0)
