"""Lag-Llama: sees no later bar anywhere, learns volatility, repeats itself, and leaves nothing behind."""

import json
import subprocess
import sys
import time
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load, save

from sapphire.agents import LagLlama, check_agent, outcomes_bps, view_panel, views_at
from sapphire.agents.lag_llama import _inputs
from sapphire.domain.errors import AgentError, NotFitted, TooFewReturns
from sapphire.statistics import interval_coverage, normal_interval

TEN = timedelta(minutes=10)
SMALL = LagLlama(
    horizon=TEN, context=8, lags=(0, 1, 2, 3, 5, 8, 13, 21), scaling=48, width=16, layers=1, learning_rate=2e-3
)
TINY = SMALL.replace(context=4, lags=(0, 1, 3), scaling=12, width=8, steps=60, batch=16)


@pytest.fixture(scope="module")
def market(make_bars):
    return make_bars(3000, seed=11)


@pytest.fixture(scope="module")
def learned(market):
    """Fitted on the first two thirds, with the seconds it took."""
    began = time.perf_counter()
    agent = SMALL.fit(market.rows(0, 2000), seed=7)
    return agent, time.perf_counter() - began


@pytest.fixture(scope="module")
def tiny(market):
    return TINY.fit(market.rows(0, 600), seed=7)


def log_scores(distribution, outcomes):
    """Log density of each outcome under its own Student-t."""
    from scipy import stats

    there = np.isfinite(outcomes) & np.isfinite(distribution.loc_bps)
    parts = (of[there] for of in (distribution.degrees, distribution.loc_bps, distribution.scale_bps))
    return stats.t.logpdf(outcomes[there], *parts)


def test_it_beats_a_constant_distribution_on_bars_it_has_not_seen(market, learned):
    from scipy import stats

    agent, seconds = learned
    past, unseen = market.rows(0, 2000), market.rows(2000 - agent.warmup, 3000)
    outcomes = outcomes_bps(unseen, TEN).to_numpy()
    before = outcomes_bps(past, TEN).to_numpy().ravel()
    degrees, _, scale = stats.t.fit(before[np.isfinite(before)], floc=0.0)
    there = np.isfinite(outcomes) & np.isfinite(agent.distribution(unseen).loc_bps)
    constant = stats.t.logpdf(outcomes[there], degrees, 0.0, scale)
    gain = log_scores(agent.distribution(unseen), outcomes) - constant
    assert there.sum() > 1900
    assert gain.mean() > 0.02
    assert seconds < 20.0


def test_it_does_not_pretend_to_know_the_direction(market, learned):
    agent, _ = learned
    forecast = agent.distribution(market.rows(2000 - agent.warmup, 3000))
    there = np.isfinite(forecast.loc_bps)
    assert np.abs(forecast.loc_bps[there] / forecast.std_bps[there]).mean() < 0.1
    assert agent.card()["learns"] == "volatility, not direction"


def test_a_louder_market_has_a_wider_forecast(market, learned):
    agent, _ = learned
    loud = np.exp(np.cumsum(3.0 * np.diff(np.log(market.close), axis=0, prepend=np.log(market.close[:1])), axis=0))
    wide = replace(market, open=loud, high=loud, low=loud, close=loud)
    quiet, loud_std = (agent.distribution(of).std_bps for of in (market, wide))
    there = np.isfinite(quiet)
    assert np.median(loud_std[there] / quiet[there]) > 2.0


@settings(max_examples=15)
@given(row=st.integers(60, 298), seed=st.integers(0, 999))
def test_no_position_s_scale_or_location_knows_a_later_bar(make_bars, row, seed):
    """The leak of the published recipe: scaling the whole window lets early positions see late ones."""
    from sapphire.agents.futures import replaced

    bars = make_bars(300, seed=5)
    other = replaced(bars, row, np.random.default_rng(seed))
    before, after = (_inputs(of, SMALL.lags, SMALL.scaling, centre=0.0) for of in (bars, other))
    assert np.array_equal(before.features[: row + 1], after.features[: row + 1], equal_nan=True)
    assert np.array_equal(before.scale[: row + 1], after.scale[: row + 1], equal_nan=True)
    assert not np.array_equal(before.scale[row + 1 :], after.scale[row + 1 :], equal_nan=True)


def test_a_position_sees_nothing_before_its_reach(make_bars):
    bars = make_bars(200, seed=5)
    whole, part = _inputs(bars, (0, 5), 20, centre=0.0), _inputs(bars.rows(50, 200), (0, 5), 20, centre=0.0)
    assert np.isnan(part.features[:20]).any(axis=-1).all()
    assert np.allclose(part.features[20:], whole.features[70:], rtol=1e-12)


def test_attention_is_causal(tiny, market):
    """A later row of the context must not move what an earlier position says."""
    import torch

    from sapphire.agents.lag_llama import _student

    weights = {name: torch.tensor(array) for name, array in tiny.weights.items()}
    inputs = _inputs(market.rows(0, 80), TINY.lags, TINY.scaling, centre=0.0).features[40:44, 0]
    first = torch.tensor(inputs, dtype=torch.float32)[None]
    second = first.clone()
    second[0, -1] += 3.0
    for before, after in zip(_student(weights, first, 1, 2), _student(weights, second, 1, 2), strict=True):
        assert torch.equal(before[0, :-1], after[0, :-1])
        assert not torch.equal(before[0, -1], after[0, -1])


def test_it_passes_every_leak_check(tiny, market):
    report = check_agent(tiny, market.rows(0, 700), moments=4)
    assert report.ok, str(report)
    twin = next(row for row in report.rows if row.check == "twin against views")
    assert twin.bars > 600
    assert twin.allowed == 1e-9


def test_the_warm_up_is_exactly_what_it_needs(tiny, market):
    assert tiny.warmup == 4 + 12
    assert len(views_at(tiny, market, tiny.warmup - 1)) == 2
    assert tiny.replace(lags=(0, 30)).warmup == 4 + 31
    spoken = tiny.views_panel(market.rows(0, 40)).spoken()
    assert not spoken.iloc[: tiny.warmup - 1].any(axis=None)
    assert spoken.iloc[tiny.warmup - 1 :].all(axis=None)


def test_two_fits_with_one_seed_are_equal_and_with_two_are_not(tiny, market):
    import torch

    torch.manual_seed(1234)  # what others draw changes nothing
    torch.rand(17)
    assert TINY.fit(market.rows(0, 600), seed=7) == tiny
    assert TINY.fit(market.rows(0, 600), seed=8).weights != tiny.weights


def test_a_fit_leaves_nothing_behind(market):
    import torch

    was = torch.get_num_threads()
    torch.set_num_threads(3)
    state = torch.random.get_rng_state()
    np_state = np.random.get_state()[1].tolist()
    fitted = TINY.fit(market.rows(0, 600), seed=3)
    views_at(fitted, market, 599)
    after = torch.get_num_threads()
    torch.set_num_threads(was)
    assert after == 3
    assert torch.get_deterministic_debug_mode() == 0
    assert torch.equal(torch.random.get_rng_state(), state)
    assert np.random.get_state()[1].tolist() == np_state
    assert not TINY.is_fitted


def test_early_stopping_keeps_the_best_weights(make_bars):
    """A long fit gives the weights of the step that was best, not of the step at which it stopped."""
    bars = make_bars(420, seed=2)
    eager = TINY.replace(learning_rate=0.02, patience=75, steps=2000, batch=32)
    stopped = eager.fit(bars, seed=7)
    best = stopped.card()["steps"]
    assert 0 < best < 1900  # it stopped by itself
    assert eager.replace(steps=best).fit(bars, seed=7).weights == stopped.weights
    assert eager.replace(steps=best + 25).fit(bars, seed=7).weights == stopped.weights
    assert eager.replace(steps=best + 25).fit(bars, seed=7).card()["validation_nll"] == stopped.card()["validation_nll"]


def test_no_target_that_teaches_shares_a_bar_with_the_part_that_judges(make_bars, monkeypatch):
    """Closes from one horizon before the judging part on may change: what teaches stays as it was."""
    from sapphire.agents import lag_llama

    bars, ahead = make_bars(600, seed=2), 2
    first_judged = 600 - round(0.25 * (600 - TINY.warmup + 1))
    close = bars.close.copy()
    close[first_judged - ahead + 1 :] *= 1.5
    kept, learn = [], lag_llama._learn
    monkeypatch.setattr(
        lag_llama, "_learn", lambda agent, samples, seed: kept.append(samples) or learn(agent, samples, seed)
    )
    worlds = (bars, replace(bars, open=close, high=close, low=close, close=close))
    centres = [TINY.replace(steps=1).fit(of, seed=7).training["log_scale_centre"] for of in worlds]
    ours, theirs = kept
    assert centres[0] == centres[1]
    last = first_judged - 2 * ahead
    assert ours.learning[:, 0].max() == last
    assert ours.judging[:, 0].min() == first_judged
    assert np.isnan(ours.targets[last + 1 : first_judged]).all()
    assert np.array_equal(ours.targets[:first_judged], theirs.targets[:first_judged], equal_nan=True)
    assert np.array_equal(ours.features[: last + 1], theirs.features[: last + 1], equal_nan=True)
    assert not np.array_equal(ours.targets[first_judged:], theirs.targets[first_judged:], equal_nan=True)


def test_arrays_travel_as_safetensors(tiny, market):
    arrays = tiny.arrays()
    assert {array.dtype.name for name, array in arrays.items() if name.startswith("weights.")} == {"float32"}
    loaded = TINY.with_arrays(load(save(arrays)))
    assert loaded == tiny
    assert views_at(loaded, market, 700) == views_at(tiny, market, 700)
    assert loaded.card() == tiny.card()


def test_the_card_says_what_it_was_trained_on(tiny):
    card = tiny.card()
    assert card["checkpoint"] == (
        "sapphire-small, trained on 600 bars of 5m, 2 symbols, 2025-01-01T00:00Z to 2025-01-03T02:00Z, seed 7"
    )
    assert card["weights"] == sum(array.size for array in tiny.weights.values())
    assert TINY.card()["checkpoint"] == "sapphire-small, not trained"
    json.dumps(card)


def test_a_symbol_with_a_hole_is_silent_until_it_has_enough_bars_again(tiny, market, make_hole):
    holed = make_hole(market.rows(0, 200), "ETH/USDT", [100])
    spoken = view_panel(tiny, holed).spoken()
    assert spoken["BTC/USDT"].iloc[tiny.warmup - 1 :].all()
    assert not spoken["ETH/USDT"].iloc[100 : 100 + tiny.warmup].any()
    assert spoken["ETH/USDT"].iloc[101 + tiny.warmup :].all()
    assert [view.symbol for view in views_at(tiny, holed, 110)] == ["BTC/USDT"]


def test_it_learns_from_symbols_with_holes(market, make_hole):
    holed = make_hole(market.rows(0, 900), "ETH/USDT", slice(0, 500))
    assert TINY.fit(holed, seed=7).is_fitted


def test_conformal_deviations_hold_their_interval_where_no_weight_was_moved(market):
    """Off, it is the agent that it was; on, the same weights, and deviations by one factor, which travels with them."""
    plain, conformal = (TINY.replace(conformal=on).fit(market.rows(0, 2000), seed=7) for on in (False, True))
    assert not TINY.conformal
    assert "std_factor" not in {**plain.training, **plain.card()}
    assert conformal.weights == plain.weights
    factor = float(conformal.training["std_factor"][0])
    assert conformal.card()["std_factor"] == round(factor, 4)
    first = 2000 - round(0.25 * (2000 - TINY.warmup + 1))
    for agent, holds in ((plain, None), (conformal, 0.8)):
        stated, came = agent.distribution(market.rows(0, 2000)), outcomes_bps(market.rows(0, 2000), TEN).to_numpy()
        ends = normal_interval(stated.loc_bps[first:], stated.std_bps[first:], stated=0.8)
        share = interval_coverage(*ends, came[first:], stated=0.8, horizon_bars=2).realised
        assert (abs(share - 0.8) < 0.003) == (holds is not None)
    was, now = (agent.distribution(market.rows(1900, 2100)) for agent in (plain, conformal))
    assert now.std_bps[-1] == pytest.approx(factor * was.std_bps[-1])
    assert np.array_equal(now.loc_bps, was.loc_bps, equal_nan=True)
    loaded = TINY.replace(conformal=True).with_arrays(load(save(conformal.arrays())))
    assert loaded == conformal
    assert views_at(loaded, market, 2100) == views_at(conformal, market, 2100)
    with pytest.raises(TooFewReturns, match="conformal"):
        TINY.replace(conformal=True, horizon=timedelta(hours=5)).fit(market.rows(0, 420), seed=7)


def test_fine_tuning_goes_on_from_the_weights_that_are_there(tiny, make_bars):
    """On another market: no step leaves them as they are, some steps fit it better, and the card says both."""
    other = make_bars(900, seed=3)
    untouched = tiny.fine_tuned(other, seed=7, steps=1, learning_rate=1e-12)
    assert all(np.allclose(untouched.weights[name], tiny.weights[name], atol=1e-9) for name in tiny.weights)
    tuned = tiny.fine_tuned(other, seed=7, steps=100, learning_rate=2e-3)
    losses = [agent.card()["validation_nll"] for agent in (untouched, tuned)]
    assert losses[1] < losses[0]
    assert tuned.training["log_scale_centre"] == tiny.training["log_scale_centre"]
    assert tuned.parameters() == tiny.parameters()
    first, then = tuned.card()["checkpoint"].split("; then ")
    assert first == tiny.card()["checkpoint"]
    assert then.startswith("fine-tuned on 900 bars of 5m, 2 symbols")
    assert tuned.fit(other, seed=7) == TINY.fit(other, seed=7)  # a fit starts from nothing
    assert TINY.with_arrays(load(save(tuned.arrays()))) == tuned
    with pytest.raises(NotFitted):
        TINY.fine_tuned(other, seed=7)
    with pytest.raises(AgentError, match="bars of 5m, which it was fitted on"):
        tiny.fine_tuned(make_bars(900, interval="1m"), seed=7)


def test_what_cannot_be_is_refused(tiny, make_bars, bars):
    with pytest.raises(NotFitted):
        views_at(TINY, bars, 100)
    with pytest.raises(AgentError, match="too few bars to fit lag-llama"):
        LagLlama().fit(bars, seed=1)
    with pytest.raises(AgentError, match="bars of 5m, which it was fitted on"):
        tiny.distribution(make_bars(100, interval="1m"))
    with pytest.raises(AgentError, match="multiple of 5m"):
        TINY.replace(horizon=timedelta(minutes=7)).fit(bars, seed=1)
    for wrong in ({"width": 6}, {"lags": ()}, {"lags": (-1,)}, {"validation": 1.0}, {"layers": 0}, {"scaling": 1}):
        with pytest.raises(AgentError, match="a model that cannot be built"):
            LagLlama(**wrong)


def test_the_optimiser_is_that_of_torch():
    import torch

    from sapphire.agents.adamw import AdamW

    def run(step_with):
        torch.manual_seed(5)
        weights = {"a": torch.randn(4, 3).requires_grad_(), "b": torch.randn(3).requires_grad_()}
        x = torch.randn(32, 4)
        step = step_with(weights)
        for i in range(40):
            ((x @ weights["a"] + weights["b"]) ** 2).mean().backward()
            step(0.01 * (i + 1) / 40)
        return [weight.detach() for weight in weights.values()]

    def theirs(weights):
        optimiser = torch.optim.AdamW(weights.values(), weight_decay=0.3)

        def step(rate):
            optimiser.param_groups[0]["lr"] = rate
            optimiser.step()
            optimiser.zero_grad()

        return step

    ours = run(lambda weights: AdamW(weights, weight_decay=0.3).step)
    for mine, other in zip(ours, run(theirs), strict=True):
        assert torch.allclose(mine, other, rtol=1e-5, atol=1e-7)


def test_fits_are_equal_in_another_process(tiny, market, tmp_path):
    """Same seed, same bars, a fresh interpreter: the same bytes."""
    np.savez(tmp_path / "bars.npz", **{n: getattr(market.rows(0, 600), n) for n in ("open_time_ns", "close", "listed")})
    program = f"""
import numpy as np
from datetime import timedelta
from sapphire.agents import Arrays, LagLlama
from sapphire.domain import Bars, Interval
kept = np.load({str(tmp_path / "bars.npz")!r})
close = kept["close"]
bars = Bars({market.symbols!r}, Interval("5m"), kept["open_time_ns"], close, close, close, close, close, kept["listed"])
agent = LagLlama(**{TINY.parameters()!r}).fit(bars, 7)
print(Arrays(agent.arrays()).digest)
""".replace("datetime.timedelta", "timedelta")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == _digest(tiny)


def _digest(agent):
    from sapphire.agents import Arrays

    return Arrays(agent.arrays()).digest
