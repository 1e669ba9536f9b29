"""From one close to the next: a belief lives for its horizon, then the position is held, reduced and closed."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sapphire.domain import Interval
from sapphire.domain.errors import LeakFound, ValueRefused
from sapphire.domain.stopped_views import LastBelief, Stage, WhenViewsStop, stopped_views
from sapphire.portfolio import EqualWeight, FixedFraction, Reason, VolatilityTarget, size_at_close
from sapphire.portfolio.targets import Target

HOUR = Interval("1h")
RULE = WhenViewsStop(hold_bars=2, reduce_bars=3)
DAY = timedelta(days=1)


class Account:
    """A position that is at every target by the next close, and what is remembered from close to close."""

    def __init__(self, state, *, sizing, rule=RULE):
        self.state, self.sizing, self.rule, self.remembered = state, sizing, rule, ()

    def close(self, *spoken, answered=True, fills=True):
        """The targets of this close by symbol; then an hour passes."""
        sized = size_at_close(
            spoken,
            self.remembered,
            self.state,
            sizing=self.sizing,
            rule=self.rule,
            interval=HOUR,
            answered=answered,
        )
        self.remembered = sized.remembered
        targets = {target.symbol: target for target in sized.targets}
        lots = {**self.state.lots, **{symbol: target.lots for symbol, target in targets.items() if fills}}
        self.state = replace(self.state, lots=lots, as_of=self.state.as_of + HOUR.timedelta)
        return targets

    def pass_over(self):
        """A close at which nothing was decided."""
        self.state = replace(self.state, as_of=self.state.as_of + HOUR.timedelta)


@pytest.fixture
def account(state):
    return lambda **more: Account(state, **{"sizing": FixedFraction(fraction=0.3), **more})


def test_a_daily_belief_holds_its_position_on_hourly_bars(account, believe):
    """Today's case: one silent bar closed the position."""
    one = account()
    first = one.close(believe("BTC/USDT", 1.0, horizon=DAY, as_of=one.state.as_of))["BTC/USDT"]
    assert first.lots > 0
    for _ in range(23):
        again = one.close()["BTC/USDT"]
        assert (again.lots, again.reason) == (first.lots, Reason.SIZED)
    assert one.close()["BTC/USDT"].reason == Reason.VIEWS_STOPPED_HELD


def test_an_old_belief_is_sized_with_the_prices_and_volatility_of_today(account, believe):
    one = account(sizing=VolatilityTarget(annual=0.2, rebalance_band=0.0))
    belief = believe("BTC/USDT", 1.0, horizon=DAY, as_of=one.state.as_of)
    one.close(belief)
    one.state = replace(one.state, volatility={**one.state.volatility, "BTC/USDT": 1.0})
    (alone,) = one.sizing.size([belief], one.state)
    assert one.close()["BTC/USDT"] == alone
    assert alone.weight == pytest.approx(0.2, abs=1e-5)  # at the volatility of the first close it was 0.4


def test_held_then_reduced_by_equal_lots_then_flat(account, believe):
    one = account()
    first = one.close(believe("BTC/USDT", 1.0, horizon=HOUR.timedelta, as_of=one.state.as_of))["BTC/USDT"].lots
    seen = [one.close()["BTC/USDT"] for _ in range(6)]
    assert [target.lots for target in seen] == [first, first, first * 3 // 4, first * 2 // 4, first // 4, 0]
    assert [target.reason for target in seen] == [
        *[Reason.VIEWS_STOPPED_HELD] * 2,
        *[Reason.VIEWS_STOPPED_REDUCED] * 3,
        Reason.VIEWS_STOPPED_ZERO,
    ]
    assert one.close() == {}


def test_a_rule_of_zero_bars_is_flat_at_once(account, believe):
    one = account(rule=WhenViewsStop(hold_bars=0, reduce_bars=0))
    one.close(believe("BTC/USDT", 1.0, horizon=HOUR.timedelta, as_of=one.state.as_of))
    assert one.close()["BTC/USDT"] == Target("BTC/USDT", 0, 0.0, Reason.VIEWS_STOPPED_ZERO)


def test_closes_that_nobody_decided_on_count_and_the_next_one_catches_up(account, believe):
    one, other = account(), account()
    for each in (one, other):
        each.close(believe("BTC/USDT", 1.0, horizon=HOUR.timedelta, as_of=each.state.as_of))
        each.close()
    expected = [one.close()["BTC/USDT"].lots for _ in range(3)][-1]
    other.pass_over()
    other.pass_over()
    assert other.close()["BTC/USDT"].lots == expected


def test_a_symbol_that_is_silent_alone_follows_the_rule_alone(account, believe):
    one = account()

    def eth():
        return believe("ETH/USDT", 1.0, horizon=HOUR.timedelta, as_of=one.state.as_of)

    one.close(eth(), believe("BTC/USDT", 1.0, horizon=HOUR.timedelta, as_of=one.state.as_of))
    reasons = [{symbol: target.reason for symbol, target in one.close(eth()).items()} for _ in range(6)]
    assert {each["ETH/USDT"] for each in reasons} <= {Reason.SIZED, Reason.KEPT_WITHIN_BAND}
    assert [each["BTC/USDT"] for each in reasons][::5] == [Reason.VIEWS_STOPPED_HELD, Reason.VIEWS_STOPPED_ZERO]


def test_a_new_belief_ends_the_rule_and_a_later_end_begins_it_anew(account, believe):
    one = account()
    for _ in range(2):
        lots = one.close(believe("BTC/USDT", 1.0, horizon=HOUR.timedelta, as_of=one.state.as_of))["BTC/USDT"].lots
        assert [one.close()["BTC/USDT"].lots for _ in range(3)] == [lots, lots, lots * 3 // 4]


def test_nothing_is_bought_for_a_position_that_was_sold_meanwhile(account, believe):
    one = account()
    first = one.close(believe("BTC/USDT", 1.0, horizon=HOUR.timedelta, as_of=one.state.as_of))["BTC/USDT"].lots
    one.close()
    one.state = replace(one.state, lots={"BTC/USDT": first // 3})
    seen = [one.close()["BTC/USDT"].lots for _ in range(5)]
    assert seen == [first // 3, first // 3, first // 3, first // 4, 0]


def test_what_is_left_is_never_too_little_to_be_sold(account, believe):
    one = account(rule=WhenViewsStop(hold_bars=0, reduce_bars=3))
    one.close(believe("BTC/USDT", 1.0, horizon=HOUR.timedelta, as_of=one.state.as_of))
    one.state = replace(one.state, lots={"BTC/USDT": 30})  # 18 USDT; the smallest order is 5
    assert [one.close()["BTC/USDT"].lots for _ in range(3)] == [30, 15, 0]


def test_what_others_buy_is_paid_with_what_the_leaving_position_leaves_free(account, believe):
    one = account(sizing=FixedFraction(fraction=0.6))
    one.close(believe("BTC/USDT", 1.0, horizon=HOUR.timedelta, as_of=one.state.as_of))
    spoken = [believe(symbol, 1.0, as_of=one.state.as_of) for symbol in ("ETH/USDT", "SOL/USDT")]
    targets = one.close(*spoken)
    assert targets["BTC/USDT"].reason == Reason.VIEWS_STOPPED_HELD
    assert sum(target.weight for target in targets.values()) == pytest.approx(0.99, abs=0.001)
    assert {targets["ETH/USDT"].reason, targets["SOL/USDT"].reason} == {Reason.LIMITED_BY_LEAVING}
    kept = {symbol: target.lots for symbol, target in targets.items()}
    again = one.close(*spoken)
    assert {symbol: target.lots for symbol, target in again.items()} == kept


def test_a_position_that_nothing_was_ever_believed_of_is_closed(account, holding):
    one = account()
    one.state = holding(BTC=1_000)
    assert one.close()["BTC/USDT"] == Target("BTC/USDT", 0, 0.0, Reason.ZERO_NO_BELIEF)
    assert one.close(answered=False) == {}


def test_a_sizing_that_looks_at_no_beliefs_follows_the_rule_where_no_views_came(account, believe):
    one = account(sizing=EqualWeight())
    first = one.close(believe("BTC/USDT", 1.0, horizon=HOUR.timedelta, as_of=one.state.as_of))
    assert len(first) == 3
    assert one.close() == first
    gone = [one.close(answered=False) for _ in range(5)]
    assert [targets["BTC/USDT"].reason for targets in gone] == [
        Reason.VIEWS_STOPPED_HELD,
        *[Reason.VIEWS_STOPPED_REDUCED] * 3,
        Reason.VIEWS_STOPPED_ZERO,
    ]
    assert gone[0]["ETH/USDT"] == Target("ETH/USDT", 0, 0.0, Reason.ZERO_NO_BELIEF)
    assert set(one.state.lots.values()) == {0}


@given(
    spoken=st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30),
    hold=st.integers(0, 4),
    reduce=st.integers(0, 4),
    horizon=st.integers(1, 5),
)
def test_a_rule_never_buys_and_is_flat_in_time(state, believe, spoken, hold, reduce, horizon):
    one = Account(state, sizing=FixedFraction(fraction=0.3), rule=WhenViewsStop(hold, reduce))
    silent = {"BTC/USDT": None, "ETH/USDT": None}
    for row in spoken:
        speaking = [symbol for symbol, speaks in zip(silent, row, strict=True) if speaks]
        before = dict(one.state.lots)
        targets = one.close(
            *(believe(symbol, 1.0, horizon=horizon * HOUR.timedelta, as_of=one.state.as_of) for symbol in speaking)
        )
        for symbol, since in silent.items():
            silent[symbol] = 0 if symbol in speaking else None if since is None else since + 1
            bar = None if silent[symbol] is None else silent[symbol] - horizon + 1
            lots = targets[symbol].lots if symbol in targets else 0
            if bar is not None and bar > 0:
                assert lots <= before.get(symbol, 0)
                assert lots == 0 or bar <= hold + reduce
            elif bar is not None:
                assert lots > 0


@dataclass(frozen=True)
class Twice:
    """A sizing that says a symbol twice: whatever it says is handed on as it is while nothing has stopped."""

    name: ClassVar[str] = "twice"
    parameters: ClassVar[dict] = {}

    def size(self, beliefs, state):
        return (Target("ETH/USDT", 1, 0.0, "one"), Target("ETH/USDT", 2, 0.0, "two"))


def test_while_nothing_has_stopped_the_targets_are_the_sizings_own(account):
    targets = size_at_close([], (), account().state, sizing=Twice(), rule=RULE, interval=HOUR).targets
    assert targets == Twice().size([], None)


def test_bad_beliefs_are_refused_as_the_sizing_refuses_them(account, believe):
    one = account()
    with pytest.raises(ValueRefused, match="two beliefs"):
        one.close(believe("BTC/USDT", 1.0), believe("BTC/USDT", 2.0))
    with pytest.raises(LeakFound):
        one.close(believe("BTC/USDT", 1.0, as_of=one.state.as_of + HOUR.timedelta))


@pytest.mark.parametrize("value", [-1, 1.0, True, "3", 10_001, None])
def test_a_rule_is_of_whole_bars(value):
    with pytest.raises(ValueRefused, match="rule for views that stop"):
        WhenViewsStop(hold_bars=value)
    with pytest.raises(ValueRefused, match="rule for views that stop"):
        WhenViewsStop.of({"hold_bars": 1, "reduce_bars": value})


@pytest.mark.parametrize("value", [{}, {"hold_bars": 1}, {"hold_bars": 1, "reduce_bars": 1, "more": 1}, [1, 2]])
def test_a_rule_has_its_keys(value):
    with pytest.raises(ValueRefused, match="rule for views that stop"):
        WhenViewsStop.of(value)
    assert WhenViewsStop.of(RULE.as_dict()) == RULE


def test_stopped_views_say_since_when_and_where_the_position_is(account, believe):
    at = account().state.as_of
    last = [LastBelief(believe(symbol, 1.0, horizon=HOUR.timedelta * bars, as_of=at)) for symbol, bars in HORIZONS]
    found = stopped_views(last, at + 6 * HOUR.timedelta, rule=RULE, interval=HOUR)
    assert [(each.symbol, each.since, each.bar, each.stage) for each in found] == [
        ("BTC/USDT", at + HOUR.timedelta, 6, Stage.FLAT),
        ("ETH/USDT", at + 3 * HOUR.timedelta, 4, Stage.REDUCING),
    ]


HORIZONS = (("ETH/USDT", 3), ("BTC/USDT", 1), ("SOL/USDT", 7))
