"""The proof of the gates, small: the whole way and the short one agree, and a broken count shows."""

import json
from dataclasses import replace

import numpy as np
import pytest

from sapphire.agents.panels import view_panel, window_panel
from sapphire.domain.errors import ValueRefused
from sapphire.research.proof import Settings
from sapphire.research.proof.markets import planted_edge, planted_market
from sapphire.research.proof.measured import CONTROLS, MEASURES, Measured, own_home
from sapphire.research.proof.running import folder_of, prove
from sapphire.research.proof.traders import CoinTrader, SignalTrader
from sapphire.research.proof.verdicts import Proof

SMALL = Settings(strategies=1, planted=1, variants=4, submitted=1)


@pytest.fixture(scope="module")
def proved(tmp_path_factory):
    """The small proof, and its state folder."""
    home = tmp_path_factory.mktemp("proof")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("SAPPHIRE_HOME", str(home))
        yield prove(SMALL, processes=1), home


def made(passes, *, of=1_000, alone=400):
    """Strategies of which the first few pass every gate, and more of them with one trial in the ledger."""
    values = dict.fromkeys(MEASURES, 0.5)
    always = {"folds": True, "tested_days": True, "holdout_days": True, "fills": True}
    common = {"kind": "coin", "per_year": 0.0, "trials": 21, "openings": 1, "length": 1_460, "holdout_length": 364}
    common |= {"fills": 400, "lost": 0.001, "correlation": 0.5, "with_market": 0.7, "market_kurtosis": 5.0}
    return tuple(
        Measured(
            costs=costs,
            number=number,
            values=values,
            passed=dict.fromkeys(MEASURES[:2], number < passes) | dict.fromkeys(MEASURES[2:], number % 5 == 0) | always,
            alone=dict.fromkeys(CONTROLS, number < alone),
            **common,
        )
        for costs in ("none", "venue")
        for number in range(of)
    )


def verdicts(measured, **settings):
    proof = Proof(Settings(planted=0, **settings), measured)
    return {(line.group, line.gate): line.holds for line in proof.lines}, proof


def test_the_short_way_shows_what_submit_and_the_registry_show_to_the_last_digit(proved):
    proof, _ = proved
    assert proof.shared == {"noise, no costs": True}
    assert [each.trials for each in proof.measured] == [5] * 3
    assert min(each.fills for each in proof.measured) >= 100
    assert {line.gate: line.holds for line in proof.lines if line.group == "noise, no costs"}["the first one"]


def test_the_proof_is_written_down_and_gone_on_with(proved, monkeypatch):
    proof, home = proved
    monkeypatch.setenv("SAPPHIRE_HOME", str(home))
    folder = folder_of(SMALL)
    kept = folder / "strategies.jsonl"
    lines = kept.read_text().splitlines()
    assert len(lines) == 3
    kept.write_text("\n".join(lines) + '\n{"kind": "co')
    monkeypatch.setattr("sapphire.research.proof.running._measure", None)  # nothing is measured again
    again = prove(SMALL, processes=1)
    assert [each.as_dict() for each in again.measured] == [each.as_dict() for each in proof.measured]
    assert again.lines == proof.lines
    assert kept.read_text().splitlines() == lines
    written = json.loads((folder / "proof.json").read_text())
    assert written["settings"]["strategies"] == 1
    assert (folder / "proof.html").stat().st_size > 10_000


def test_the_plot_has_p_values_beside_uniform_ones_and_power(proved):
    names = [trace.name for trace in proved[0].figure.data]
    assert names.count("uniform") == 2
    assert "together, computed" in names


def test_what_passes_as_often_as_computed_holds():
    found, proof = verdicts(made(3, alone=0))
    assert found["noise, no costs", "deflated_sharpe"]
    assert found["noise, no costs", "holdout_p_value_over_cash"]
    assert not proof.holds, "with one trial counted nobody passed, which is no noise"


@pytest.mark.parametrize("group", ["noise, no costs", "noise, the venue's costs"])
def test_a_gate_that_is_too_open_shows(group):
    found, proof = verdicts(made(30))
    assert found[group, "deflated_sharpe"] is False
    assert found[group, "together, upper bound"] is False
    assert not proof.holds


def test_a_broken_ledger_shows():
    broken = tuple(replace(each, trials=1, passed={**each.passed, **each.alone}) for each in made(0))
    found, proof = verdicts(broken)
    assert found["noise, no costs", "N by the ledger"] is False
    assert found["noise, no costs", "deflated_sharpe, N = 1 over N counted"] is False
    assert not proof.holds


def test_missing_strategies_are_no_proof_and_few_do_not_bound():
    found, proof = verdicts(made(0, of=20, alone=8), strategies=1_000)
    assert found["noise, no costs", "together, upper bound"] is None
    assert not proof.holds


def test_an_idle_strategy_shows():
    idle = tuple(replace(each, passed={**each.passed, "fills": False}) for each in made(0))
    found, _ = verdicts(idle)
    assert found["noise, no costs", "fills, folds, holdout_days, tested_days"] is False


def test_planted_markets_have_the_edge_that_is_said_and_none_of_their_own():
    ratios, markets = [], []
    for number in range(0, 9, 3):
        with own_home():
            bars = planted_market(number + 2, seed=7).bars
        returns = np.diff(bars.close[:, 0]) / bars.close[:-1, 0]
        earned = np.where(SignalTrader().bullish(bars)[:-1, 0], returns, 0.0)
        ratios.append(earned.mean() / earned.std())
        markets.append(returns.mean() / returns.std())
    error = (len(ratios) * 2_190) ** -0.5
    assert np.mean(ratios) == pytest.approx(planted_edge(3.0)[0], abs=4.0 * error)
    assert np.mean(markets) == pytest.approx(0.0, abs=4.0 * error)


def test_planted_bars_say_so():
    assert "planted" in planted_market(0, seed=7).provenance.label


def test_coins_are_fair_apart_from_each_other_and_the_same_by_views_and_twin(walked):
    bars = walked(3_000)
    coins = np.array(
        [CoinTrader(coin=coin, variant=v, hold_bars=1).bullish(bars).ravel() for coin in (0, 1) for v in range(5)]
    )
    assert abs(coins.mean() - 0.5) < 0.01
    assert np.abs(np.corrcoef(coins) - np.eye(10)).max() < 0.07
    for agent in (CoinTrader(coin=3), SignalTrader(), SignalTrader(variant=2)):
        some = bars.rows(0, 60)
        assert view_panel(agent, some).mean_bps.equals(window_panel(agent, some).mean_bps)


def test_odd_settings_are_refused():
    with pytest.raises(ValueRefused):
        Settings(variants=1)
