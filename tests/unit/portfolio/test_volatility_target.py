"""Sizing by a volatility target: the formula by hand, and what holds for every belief and every state."""

import itertools
import math
import os
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sapphire.domain import LeakFound, UnknownInstrument, ValueRefused
from sapphire.portfolio import Reason, VolatilityTarget, expected_volatility

SYMBOLS = ("BTC/USDT", "ETH/USDT", "SOL/USDT")
EXACT = VolatilityTarget(rebalance_band=0.0)

sharpes = st.floats(-4, 4)
several = st.dictionaries(st.sampled_from(SYMBOLS), sharpes, max_size=3)
pairs = st.sampled_from([("BTC/USDT", "ETH/USDT"), ("BTC/USDT", "SOL/USDT"), ("ETH/USDT", "SOL/USDT")])
correlations = st.dictionaries(pairs, st.floats(-1, 1))
sizings = st.builds(
    VolatilityTarget,
    annual=st.floats(0.01, 2.0),
    full_conviction=st.floats(0.1, 5.0),
    max_weight=st.floats(0.05, 1.0),
    max_gross=st.floats(0.1, 1.0),
    rebalance_band=st.floats(0.0, 0.5),
    long_only=st.booleans(),
)
holdings = st.fixed_dictionaries(
    {"BTC/USDT": st.integers(0, 500_000), "ETH/USDT": st.integers(0, 1_000_000), "SOL/USDT": st.integers(0, 2_000_000)}
)
shared = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)


def by_symbol(targets):
    return {target.symbol: target for target in targets}


def beliefs_of(believe, opinions):
    return [believe(symbol, sharpe) for symbol, sharpe in opinions.items()]


def test_one_belief_at_full_conviction_runs_the_whole_budget(state, believe):
    (target,) = EXACT.size([believe("BTC/USDT", 1.0)], state)
    assert target.weight == pytest.approx(0.20 / 0.50, rel=1e-5)
    assert target.lots == 66_666  # 0.4 x 100,000 / 60,000 = 0.6666... BTC in lots of 0.00001
    assert target.reason == Reason.SIZED


def test_half_the_conviction_is_half_the_weight(state, believe):
    (target,) = EXACT.size([believe("BTC/USDT", 0.5)], state)
    assert target.weight == pytest.approx(0.20, rel=1e-4)


def test_conviction_is_annual_whatever_the_horizon(state, believe):
    """Mean 10 over deviation 200 in twelve hours is 0.05 x sqrt(730) = 1.35 a year."""
    (twelve,) = EXACT.size([believe("BTC/USDT", 0.5 / math.sqrt(730), horizon=timedelta(hours=12))], state)
    (year,) = EXACT.size([believe("BTC/USDT", 0.5)], state)
    assert abs(twelve.lots - year.lots) <= 1


def test_without_correlations_two_share_the_budget(state, believe):
    targets = by_symbol(EXACT.size([believe("BTC/USDT", 2.0), believe("ETH/USDT", 2.0)], state))
    assert targets["BTC/USDT"].weight == pytest.approx(0.10 / 0.50, rel=1e-4)
    assert targets["ETH/USDT"].weight == pytest.approx(0.10 / 0.60, rel=1e-4)
    assert {target.reason for target in targets.values()} == {Reason.LIMITED_BY_VOLATILITY}


def test_a_measured_correlation_gives_room_and_a_negative_one_no_more_than_none(state, believe):
    beliefs = [believe("BTC/USDT", 2.0), believe("ETH/USDT", 2.0)]
    grosses = []
    for correlation in (1.0, 0.5, 0.0, -0.8):
        known = replace(state, correlation={("BTC/USDT", "ETH/USDT"): correlation})
        grosses.append(sum(target.weight for target in EXACT.size(beliefs, known)))
    assert grosses[0] < grosses[1] < grosses[2] == grosses[3]
    assert grosses[2] == pytest.approx(math.sqrt(2) * grosses[0], rel=1e-4)


def test_expected_volatility_by_hand(state):
    known = replace(state, correlation={("BTC/USDT", "ETH/USDT"): 0.5})
    turned = {"ETH/USDT": 0.2, "BTC/USDT": 0.4}  # risks 0.12 and 0.20
    assert expected_volatility(turned, known) == pytest.approx(math.sqrt(0.12**2 + 0.2**2 + 0.12 * 0.2))
    assert expected_volatility(turned, state) == pytest.approx(0.32)
    assert expected_volatility({}, state) == 0.0


def test_gross_weight_is_limited_below_equity(state, believe):
    calm = replace(state, volatility=dict.fromkeys(SYMBOLS, 0.05))
    targets = EXACT.size([believe(symbol, 3.0) for symbol in SYMBOLS], calm)
    assert sum(target.weight for target in targets) == pytest.approx(0.99, rel=1e-4)
    assert {target.reason for target in targets} == {Reason.LIMITED_BY_GROSS}


def test_one_symbol_is_limited_to_its_largest_weight(state, believe):
    (target,) = VolatilityTarget(max_weight=0.25).size([believe("BTC/USDT", 3.0)], state)
    assert target.weight == pytest.approx(0.25, rel=1e-4)
    assert target.reason == Reason.LIMITED_BY_WEIGHT


@pytest.mark.parametrize("sharpe", [0.0, -0.01, -3.0])
def test_a_mean_not_above_zero_is_no_position(state, believe, sharpe):
    (target,) = EXACT.size([believe("BTC/USDT", sharpe)], state)
    assert (target.lots, target.weight, target.reason) == (0, 0.0, Reason.ZERO_NOT_POSITIVE)


def test_spot_is_never_short(state, believe):
    (target,) = VolatilityTarget(long_only=False).size([believe("BTC/USDT", -3.0)], state)
    assert (target.lots, target.reason) == (0, Reason.ZERO_NOT_POSITIVE)


def test_a_perpetual_may_be_short_and_mirrors_the_long(state, perpetuals, believe):
    swaps = replace(
        state, instruments=perpetuals, prices={"BTC/USDT:USDT": 60_000.0}, volatility={"BTC/USDT:USDT": 0.5}
    )
    sizing = VolatilityTarget(long_only=False)
    (long,) = sizing.size([believe("BTC/USDT:USDT", 0.7)], swaps)
    (short,) = sizing.size([believe("BTC/USDT:USDT", -0.7)], swaps)
    assert short.lots == -long.lots < 0
    assert VolatilityTarget().size([believe("BTC/USDT:USDT", -0.7)], swaps)[0].lots == 0


def test_an_unknown_correlation_never_pays_for_a_hedge(state, perpetuals, believe):
    prices = {"BTC/USDT:USDT": 60_000.0, "ETH/USDT:USDT": 3_000.0}
    swaps = replace(state, instruments=perpetuals, prices=prices, volatility=dict.fromkeys(prices, 0.5))
    sizing = VolatilityTarget(long_only=False, rebalance_band=0.0)
    hedged = sizing.size([believe("BTC/USDT:USDT", 2.0), believe("ETH/USDT:USDT", -2.0)], swaps)
    assert sum(abs(target.weight) for target in hedged) == pytest.approx(0.4, rel=1e-2)


def test_what_cannot_be_sized_says_why(state, believe, holding):
    assert by_symbol(EXACT.size([], holding(BTC=1000)))["BTC/USDT"].reason == Reason.ZERO_NO_BELIEF
    old = believe("BTC/USDT", 2.0, horizon=timedelta(hours=1), as_of=state.as_of - timedelta(hours=1))
    assert EXACT.size([old], state)[0].reason == Reason.ZERO_EXPIRED
    unpriced = replace(state, prices={})
    assert EXACT.size([believe("BTC/USDT", 2.0)], unpriced)[0].reason == Reason.ZERO_NO_PRICE
    unknown = replace(state, volatility={})
    assert EXACT.size([believe("BTC/USDT", 2.0)], unknown)[0].reason == Reason.ZERO_NO_VOLATILITY
    for equity in (0.0, -5.0):
        broke = replace(state, equity_quote=equity)
        assert EXACT.size([believe("BTC/USDT", 2.0)], broke)[0].reason == Reason.ZERO_NO_EQUITY
    poor = replace(state, equity_quote=10.0)
    (target,) = EXACT.size([believe("BTC/USDT", 1.0)], poor)  # 4 USDT wanted, 5 is the least
    assert (target.lots, target.reason) == (0, Reason.ZERO_TOO_SMALL)


def test_beliefs_that_cannot_be_are_refused(state, believe):
    with pytest.raises(ValueRefused, match="two beliefs"):
        EXACT.size([believe("BTC/USDT", 1.0), believe("BTC/USDT", 1.0)], state)
    with pytest.raises(UnknownInstrument):
        EXACT.size([believe("DOGE/USDT", 1.0)], state)
    with pytest.raises(LeakFound, match="from the future"):
        EXACT.size([believe("BTC/USDT", 1.0, as_of=state.as_of + timedelta(microseconds=1))], state)


@pytest.mark.parametrize(
    "wrong",
    [
        {"annual": 0.0},
        {"annual": math.nan},
        {"full_conviction": -1.0},
        {"max_weight": 1.01},
        {"max_gross": 1.5},
        {"rebalance_band": 1.0},
        {"rebalance_band": -0.1},
    ],
)
def test_parameters_out_of_range_are_refused(wrong):
    with pytest.raises(ValueRefused, match="out of range"):
        VolatilityTarget(**wrong)


@shared
@given(sizing=sizings, opinions=several, lots=holdings, known=correlations, equity=st.floats(-1e4, 1e7))
def test_never_short_never_borrowed(state, believe, sizing, opinions, lots, known, equity):
    here = replace(state, lots=lots, correlation=known, equity_quote=equity)
    targets = sizing.size(beliefs_of(believe, opinions), here)
    assert all(target.lots >= 0 for target in targets)
    assert sum(abs(target.weight) for target in targets) <= 1.0 + 1e-9
    assert [target.symbol for target in targets] == sorted({*opinions, *(s for s, count in lots.items() if count)})


@shared
@given(sizing=sizings, opinions=several, known=correlations)
def test_expected_volatility_is_within_the_target(state, believe, sizing, opinions, known):
    here = replace(state, correlation=known)
    weights = {target.symbol: target.weight for target in sizing.size(beliefs_of(believe, opinions), here)}
    assert expected_volatility(weights, here) <= sizing.annual * (1 + 1e-9)
    assert all(weight <= sizing.max_weight + 1e-9 for weight in weights.values())
    assert sum(weights.values()) <= sizing.max_gross + 1e-9


@shared
@given(sizing=sizings, opinions=several, known=correlations, symbol=st.sampled_from(SYMBOLS), more=st.floats(0, 3))
def test_a_stronger_belief_never_gets_less(state, believe, sizing, opinions, known, symbol, more):
    here = replace(state, correlation=known)
    sharpe = opinions.get(symbol, 0.0)
    before = by_symbol(sizing.size(beliefs_of(believe, {**opinions, symbol: sharpe}), here))[symbol]
    after = by_symbol(sizing.size(beliefs_of(believe, {**opinions, symbol: sharpe + more}), here))[symbol]
    assert after.lots >= before.lots - 1  # one lot for the rounding of a scale


@shared
@given(sizing=sizings, opinions=several, lots=holdings, known=correlations, order=st.randoms())
def test_the_order_of_symbols_does_not_matter(state, believe, sizing, opinions, lots, known, order):
    here = replace(state, lots=lots, correlation=known)
    beliefs = beliefs_of(believe, opinions)
    shuffled = order.sample(beliefs, len(beliefs))
    turned = replace(
        here,
        lots=dict(reversed(lots.items())),
        prices=dict(reversed(here.prices.items())),
        volatility=dict(reversed(here.volatility.items())),
        instruments=type(here.instruments)(reversed(here.instruments.instruments)),
    )
    assert sizing.size(beliefs, here) == sizing.size(shuffled, turned)


def test_not_even_the_last_bit_of_a_sum_knows_the_order(state, believe):
    """At these prices a position is 1e17 lots, so the last bit of a weight is many of them."""
    dust = replace(state, prices=dict.fromkeys(SYMBOLS, 1e-7), volatility=dict.fromkeys(SYMBOLS, 0.05))
    for step in range(1, 20):
        beliefs = [believe(symbol, 0.9 / (step + index)) for index, symbol in enumerate(SYMBOLS)]
        assert len({EXACT.size(order, dust) for order in itertools.permutations(beliefs)}) == 1


@shared
@given(sizing=sizings, opinions=several, lots=holdings, known=correlations)
def test_the_same_arguments_give_the_same_targets(state, believe, sizing, opinions, lots, known):
    here = replace(state, lots=lots, correlation=known)
    beliefs = beliefs_of(believe, opinions)
    again = VolatilityTarget(**sizing.parameters)
    assert sizing.size(beliefs, here) == again.size([replace(belief) for belief in beliefs], replace(here))


@shared
@given(sizing=sizings, lots=holdings)
def test_no_belief_is_no_position(state, believe, sizing, lots):
    here = replace(state, lots=lots)
    beliefs = [believe("BTC/USDT", 0.0), believe("ETH/USDT", 0.0)]
    assert all(target.lots == 0 and target.weight == 0.0 for target in sizing.size(beliefs, here))


PROGRAM = """
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from sapphire.domain import Belief, Instrument, Universe
from sapphire.portfolio import PortfolioState, VolatilityTarget
at = datetime(2024, 3, 1, tzinfo=UTC)
symbols = [f"{base}/USDT" for base in ("BTC", "ETH", "SOL", "XRP", "ADA")]
steps = {"tick": Decimal("0.01"), "lot": Decimal("0.0001"), "min_notional": Decimal(5)}
universe = Universe(Instrument(s, s[:3], "USDT", "spot", **steps) for s in symbols)
state = PortfolioState(
    equity_quote=98765.4321, prices={s: 100.0 / (i + 3) for i, s in enumerate(symbols)}, lots={"XRP/USDT": 12345},
    volatility={s: 0.3 + 0.07 * i for i, s in enumerate(symbols)}, instruments=universe, as_of=at,
    correlation={("BTC/USDT", "ETH/USDT"): 0.7, ("ETH/USDT", "SOL/USDT"): 0.6},
)
beliefs = {Belief(s, at, timedelta(hours=6 + i), 1.0 + i, 90.0 + 7 * i) for i, s in enumerate(symbols)}
print([(t.symbol, t.lots, t.weight.hex(), t.reason) for t in VolatilityTarget().size(list(beliefs), state)])
"""


def test_another_process_another_day_gives_the_same_bits():
    """Neither the seed of hashes, nor the time zone, nor the locale reaches a target."""
    outputs = set()
    for seed, zone in (("0", "UTC"), ("1", "Asia/Tokyo"), ("77", "America/New_York")):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": "C"}
        outputs.add(subprocess.check_output([sys.executable, "-c", PROGRAM], env=environment, text=True))
    assert len(outputs) == 1
    assert "sized" in outputs.pop()
