"""Pools: formulas by hand, members that are silent, and a pool as an agent like any other."""

import math
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load, save

from sapphire.agents import (
    Agent,
    BuyAndHold,
    Calibrated,
    Cash,
    LagLlama,
    MovingAverageCross,
    Pool,
    Pooling,
    RandomWalk,
    check_agent,
    plain_parameters,
    pooled,
    view_panel,
    views_at,
)
from sapphire.agents.panels import window_at
from sapphire.domain.errors import AgentError
from sapphire.domain.views import ViewNote

HOUR = timedelta(hours=1)
CROSS = MovingAverageCross(fast=3, slow=12, horizon=HOUR)
WALK = RandomWalk(lookback=20)

beliefs = st.lists(st.tuples(st.floats(-100, 100), st.floats(1, 200), st.floats(0.01, 10)), min_size=1, max_size=5)


def columns(stated):
    return tuple(np.array(column) for column in zip(*stated, strict=True))


def test_pools_by_hand():
    means, stds, weights = np.array([10.0, -20.0]), np.array([30.0, 60.0]), np.array([0.75, 0.25])
    mean, std = pooled(means, stds, weights, "linear")
    assert float(mean) == pytest.approx(2.5)
    assert float(std) == pytest.approx(math.sqrt(0.75 * (900 + 100) + 0.25 * (3600 + 400) - 2.5**2))
    mean, std = pooled(means, stds, weights, "logarithmic")
    precision = 0.75 / 900 + 0.25 / 3600
    assert float(std) == pytest.approx(precision**-0.5)
    assert float(mean) == pytest.approx((0.75 * 10 / 900 - 0.25 * 20 / 3600) / precision)


def test_the_logarithmic_pool_is_the_product_of_densities():
    """Its normal distribution is proportional to the product of the members' densities to their weights."""
    means, stds, weights = np.array([10.0, -20.0, 3.0]), np.array([30.0, 60.0, 25.0]), np.array([0.5, 0.2, 0.3])
    mean, std = pooled(means, stds, weights, "logarithmic")
    grid = np.linspace(-80, 80, 9)
    product = sum(-0.5 * w * ((grid - m) / s) ** 2 for m, s, w in zip(means, stds, weights, strict=True))
    gap = product - (-0.5 * ((grid - mean) / std) ** 2)
    assert np.ptp(gap) < 1e-9


def test_below_its_quorum_a_pool_says_nothing():
    nan = math.nan
    means, stds = np.array([[1.0, 1.0, nan], [2.0, nan, nan], [9.0, 9.0, 9.0]]), np.full((3, 3), 5.0)
    two = Pooling(("a", "b", "none"), (1.0, 1.0, 0.0), quorum=2)
    mean, std = two.forecasts(means, stds, HOUR)
    assert mean[0] == pytest.approx(1.5), "what has no weight is no voice"
    assert np.isnan(mean[1:]).all()
    assert np.isnan(std[1:]).all()
    assert Pooling(("a", "b", "none"), (1.0, 1.0, 0.0)).forecasts(means, stds, HOUR)[0][1] == 1.0


@settings(max_examples=60, deadline=None)
@given(
    stated=st.lists(st.tuples(st.floats(-100, 100), st.floats(1, 200), st.floats(0.01, 10)), min_size=2, max_size=5),
    lie=st.tuples(st.floats(-1e9, 1e9), st.floats(1e-6, 1e6)),
    who=st.integers(0, 4),
    method=st.sampled_from(["linear", "logarithmic"]),
    bound=st.floats(0.05, 5.0),
)
def test_no_member_moves_a_pool_beyond_its_bound_whatever_it_says(stated, lie, who, method, bound):
    means, stds, weights = columns(stated)
    who %= len(means)
    pool = Pooling(tuple("abcde"[: len(means)]), tuple(weights), method, member_bound=bound)
    a_year = math.sqrt(365 * 24)

    def sharpe(of_who):
        spoken = means.copy(), stds.copy()
        spoken[0][who], spoken[1][who] = of_who
        mean, std = pool.forecasts(*spoken, HOUR)
        return float(mean / std) * a_year

    silent = sharpe((math.nan, math.nan))
    for said in (lie, (means[who], stds[who]), (-lie[0], lie[1])):
        assert abs(sharpe(said) - silent) <= bound * (1 + 1e-9)
    honest = sharpe((means[who], stds[who]))
    free, loose = (replace(pool, member_bound=of).forecasts(means, stds, HOUR) for of in (None, 1e12))
    assert (float(loose[0]), float(loose[1])) == (float(free[0]), float(free[1])), "a bound that is not met is not felt"
    assert abs(honest) <= len(means) * bound * (1 + 1e-9)


def test_a_bounded_panel_is_the_bounded_views_at_each_bar(bars):
    loud = Bold()
    pool = Pool((CROSS, WALK, loud), member_bound=0.5).fit(bars, seed=1)
    panel = view_panel(pool, bars)
    for row in (100, 250, 399):
        for view in views_at(pool, bars, row):
            assert view.mean_bps == pytest.approx(panel.mean_bps[view.symbol].iloc[row], rel=1e-9)
            without = replace(pool, agents=pool.agents[:2])
            other = {each.symbol: each for each in views_at(without, bars, row)}[view.symbol]
            assert (
                abs(view.mean_bps / view.std_bps - other.mean_bps / other.std_bps) <= 0.5 / math.sqrt(365 * 24) + 1e-12
            )


@pytest.mark.parametrize(
    "wrong",
    [
        {"quorum": 0}, {"quorum": 3}, {"quorum": True}, {"quorum": 1.0}, {"member_bound": 0.0}, {"member_bound": -1.0},
        {"member_bound": math.nan}, {"member_bound": "1"}, {"member_bound": True}, {"weights": [1, 1]},
        {"weights": (1, "2")}, {"weights": "even"},
    ],
)  # fmt: skip
def test_a_pool_that_cannot_be_is_refused(wrong):
    with pytest.raises(AgentError):
        Pool((CROSS, WALK), **wrong)


@dataclass(frozen=True)
class Bold(Agent):
    """Always sure that all falls."""

    warmup: int = 2
    horizon: timedelta = HOUR

    def views(self, window):
        close = window.panel("close").iloc[-1]
        return window.views(mean_bps=close * 0 - 400.0, std_bps=close * 0 + 0.5, horizon=self.horizon)


@given(stated=beliefs)
def test_a_pool_lies_between_its_members(stated):
    means, stds, weights = columns(stated)
    for method in ("linear", "logarithmic"):
        mean, std = pooled(means, stds, weights, method)
        assert means.min() - 1e-9 <= mean <= means.max() + 1e-9
        assert std >= stds.min() * (1 - 1e-12)
        scaled = pooled(means, stds, 7.0 * weights, method)
        assert np.allclose(scaled, (mean, std), rtol=1e-9)
    assert pooled(means, stds, weights, "linear")[1] >= pooled(means, stds, weights, "logarithmic")[1] * (1 - 1e-9)


@given(stated=beliefs, silent=st.integers(0, 4))
def test_a_silent_member_leaves_its_weight_to_the_others(stated, silent):
    means, stds, weights = columns(stated)
    for method in ("linear", "logarithmic"):
        with_silence = pooled(np.append(means, np.nan), np.append(stds, 5.0), np.append(weights, 3.0), method)
        assert np.allclose(with_silence, pooled(means, stds, weights, method), rtol=1e-12)
    nobody = pooled(np.array([np.nan]), np.array([1.0]), np.array([1.0]), "linear")
    assert np.isnan(nobody).all()


@dataclass(frozen=True)
class Reasoning(Agent):
    """Says why, and is called as it likes."""

    thesis: str = "it rose"
    warmup: int = 2
    horizon: timedelta = HOUR

    def views(self, window):
        close = window.panel("close").iloc[-1]
        note = ViewNote(self.thesis, ("n1",), "embedded-default", "one token")
        first = {window.symbols[0]: note}
        levels = {0.1: close * 0 - 17.0, 0.9: close * 0 + 23.0}
        return window.views(quantiles=levels, horizon=self.horizon, notes=first)


def test_a_calibrated_view_keeps_its_note_and_a_pool_names_each_member_s(bars):
    window = window_at(WALK, bars, 60)
    first, second = Calibrated(Reasoning()).views(window)
    assert (first.note.thesis, first.note.model_kind, second.note) == ("it rose", "embedded-default", None)
    two, none = Pool((Reasoning(), Reasoning("it fell"), WALK)).views(window)
    assert two.note.thesis == "reasoning: it rose\nreasoning: it fell"
    assert (two.note.read, two.note.elicitation) == (("n1",), "reasoning: one token, reasoning: one token")
    assert none.note is None
    weighted = Pool((Reasoning(), Reasoning("it fell")), weights=(1.0, 0.0)).views(window)[0]
    assert weighted.note.thesis == "reasoning: it rose", "what has no weight decides nothing"
    assert weighted.mean_bps == first.mean_bps == pytest.approx(3.0)


def test_a_pool_calibrates_its_members_on_the_training_window(bars):
    pool = Pool((CROSS, WALK)).fit(bars, seed=1)
    assert pool.members[0] == Calibrated(CROSS).fit(bars, seed=1)
    assert pool.members[1] == Calibrated(WALK)
    assert pool.horizon == HOUR
    assert pool.warmup == 21
    (first, _), (second, _), (pooled_view, _) = (views_at(of, bars, 200) for of in (*pool.members, pool))
    assert pooled_view.mean_bps == pytest.approx((first.mean_bps + second.mean_bps) / 2.0, rel=1e-12)
    assert pooled_view.std_bps > min(first.std_bps, second.std_bps)


@pytest.mark.parametrize("method", ["linear", "logarithmic"])
def test_a_pool_passes_the_leak_checks(method, bars):
    report = check_agent(Pool((CROSS, WALK, Cash(horizon=HOUR)), weights=(1, 2, 1), method=method), bars)
    assert report.ok, str(report)


def test_a_pool_of_pools_and_of_agents_that_learn(bars):
    small = LagLlama(context=4, lags=(0, 1, 3), scaling=12, width=8, layers=1, steps=5, batch=8, validation=0.3)
    pool = Pool((Pool((CROSS, WALK)), small), weights=(0.2, 0.8)).fit(bars, seed=3)
    loaded = Pool((Pool((CROSS, WALK)), small), weights=(0.2, 0.8)).with_arrays(load(save(pool.arrays())))
    assert loaded == pool
    assert views_at(loaded, bars, 399) == views_at(pool, bars, 399)
    assert pool.is_fitted
    assert not Pool((CROSS, small)).is_fitted
    assert view_panel(pool, bars).mean_bps.iloc[-1].notna().all()


def test_members_of_a_pool_that_learn_do_not_share_a_seed(bars):
    small = LagLlama(context=4, lags=(0, 1, 3), scaling=12, width=8, layers=1, steps=5, batch=8, validation=0.3)
    pool = Pool((small, small)).fit(bars, seed=3)
    assert pool.members[0].agent == small.fit(bars, seed=3)
    assert pool.members[1].agent == small.fit(bars, seed=4)
    assert pool.members[0].agent != pool.members[1].agent


def test_pools_that_cannot_be_are_refused(bars):
    with pytest.raises(AgentError, match="two or more agents over one horizon"):
        Pool((CROSS,))
    with pytest.raises(AgentError, match=r"random-walk over 2:00:00"):
        Pool((CROSS, WALK.replace(horizon=2 * HOUR)))
    for weights in ((1.0,), (1.0, -1.0), (0.0, 0.0), (1.0, math.nan), "equals"):
        with pytest.raises(AgentError, match="weights that do not fit"):
            Pool((CROSS, WALK), weights=weights)
    with pytest.raises(AgentError, match="linear or logarithmic"):
        Pool((CROSS, WALK), method="median")
    with pytest.raises(AgentError, match="not this pool's"):
        Pool((CROSS, WALK)).with_arrays({"2.agent.x": np.zeros(1)})


def test_only_proportions_of_weights_matter(bars):
    members = Pool((CROSS, BuyAndHold(horizon=HOUR))).fit(bars, seed=1).agents
    views = [views_at(Pool(members, weights=weights), bars, 200) for weights in ((1, 3), (10, 30))]
    assert views[0] == views[1]
    assert Pool(members, weights=(1, 3)).card()["of"][1]["share"] == 0.75


def test_parameters_name_every_member():
    plain = plain_parameters(Pool((CROSS, WALK), weights=(1, 2)))
    assert [each["parameters"]["agent"]["agent"] for each in plain["agents"]] == ["moving-average-cross", "random-walk"]
    assert plain["weights"] == [1, 2]
