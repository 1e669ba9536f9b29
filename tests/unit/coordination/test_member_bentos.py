"""A pool whose members are asked by themselves: what is silent, what is late, what is pooled all the same."""

import threading
import time
from datetime import timedelta
from decimal import Decimal

import pytest

from sapphire.agents import Pooling
from sapphire.agents.forecasts import beliefs_from
from sapphire.coordination.bento import ReleaseViews
from sapphire.coordination.decisions import member_facts
from sapphire.coordination.member_bentos import MemberBentos
from sapphire.domain.clocks import from_ns
from sapphire.domain.envelope import Envelope
from sapphire.domain.errors import NotReady, Refused
from sapphire.domain.instruments import Instrument, InstrumentKind, Universe
from sapphire.domain.messages import ViewMessage
from sapphire.domain.views import View
from sapphire.portfolio import PortfolioState, VolatilityTarget

HOUR = timedelta(hours=1)
CLOSE_NS = 1_735_689_600_000_000_000
SYMBOLS = ("BTC/USDT", "ETH/USDT")
NAMES = ("one", "two", "three")
IDS = {"trace_id": "t", "causation_id": "c"}


class Server:
    """A member's bento: answers with what it is given, raises it, or waits for it."""

    def __init__(self, *answers):
        self.answers, self.asked, self.free = list(answers), 0, threading.Event()

    def ask(self, close_ns, universe, *, trace_id, causation_id):
        self.asked += 1
        answer = self.answers[min(self.asked, len(self.answers)) - 1]
        if answer == "hang":
            self.free.wait(20.0)
            raise NotReady("too late", expected="an answer", got="none")
        if isinstance(answer, Exception):
            raise answer
        return ReleaseViews(tuple(message(*each, close_ns) for each in answer), ())


def message(symbol, mean_bps, std_bps, close_ns=CLOSE_NS, horizon=HOUR):
    view = View(symbol, from_ns(close_ns), horizon, mean_bps=mean_bps, std_bps=std_bps, agent="m" * 64)
    envelope = Envelope(
        schema_id="VIEW@1", message_id=f"m:{symbol}:{close_ns}", producer="m", sequence=1, event_time_ns=close_ns,
        publish_time_ns=close_ns, trace_id="t", causation_id=None,
    )  # fmt: skip
    return ViewMessage.of(view, envelope)


def pool(*servers, permit=None, **how):
    names = NAMES[: len(servers)]
    pooling = Pooling(names, (1.0,) * len(names), **how)
    releases = {name: name[0] * 64 for name in names}
    return MemberBentos(
        dict(zip(names, servers, strict=True)), releases, pooling, horizon=HOUR, release="p" * 64, permit=permit
    )


def numbers(answer):
    return {view.symbol: (float(view.mean_bps), float(view.std_bps)) for view in answer.views}


FIRST = [("BTC/USDT", 4.0, 50.0), ("ETH/USDT", -3.0, 60.0)]
SECOND = [("BTC/USDT", 8.0, 30.0)]


def test_what_members_say_is_pooled_as_in_a_study_and_each_answer_is_kept():
    servers = Server(FIRST), Server(SECOND)
    asked = pool(*servers)
    answer = asked.ask(CLOSE_NS, SYMBOLS, **IDS)
    expected = Pooling(("one", "two"), (1.0, 1.0)).views(
        [{view[0]: message(*view).view() for view in of} for of in (FIRST, SECOND)], SYMBOLS, from_ns(CLOSE_NS), HOUR
    )
    assert numbers(answer) == {view.symbol: (view.mean_bps, view.std_bps) for view in expected}
    assert {view.agent for view in answer.views} == {"p" * 64}
    assert [each.silence for each in answer.members] == [None, None]
    assert member_facts(answer.members[1]) == {
        "name": "two", "release": "t" * 64, "silence": None, "shadow": None,
        "views": [{"symbol": "BTC/USDT", "mean_bps": 8.0, "std_bps": 30.0}],
    }  # fmt: skip
    assert answer.silent == ()


def test_all_are_asked_at_once():
    class Slow(Server):
        def ask(self, *words, **ids):
            time.sleep(0.3)
            return super().ask(*words, **ids)

    begun = time.monotonic()
    pool(Slow(FIRST), Slow(SECOND), Slow(FIRST)).ask(CLOSE_NS, SYMBOLS, **IDS)
    assert time.monotonic() - begun < 0.8, "one after the other takes 0.9 s"


def test_a_refusal_leaves_its_weight_to_the_others_and_says_why():
    refused = Refused("the permit ended", expected="one that holds", got="none")
    answer = pool(Server(FIRST), Server(refused)).ask(CLOSE_NS, SYMBOLS, **IDS)
    assert numbers(answer)["BTC/USDT"] == (4.0, 50.0)
    assert "the permit ended" in member_facts(answer.members[1])["silence"]
    with pytest.raises(Refused, match="fewer members of the pool speak than its quorum of 2"):
        pool(Server(FIRST), Server(refused), quorum=2).ask(CLOSE_NS, SYMBOLS, **IDS)


def test_a_member_that_comes_later_is_asked_again_and_the_others_are_not():
    late = Server(NotReady("starting", expected="ready", got="loading"), SECOND)
    ready = Server(FIRST)
    asked = pool(ready, late)
    with pytest.raises(NotReady, match="1 of 2 members have not answered yet"):
        asked.ask(CLOSE_NS, SYMBOLS, **IDS)
    answer = asked.ask(CLOSE_NS, SYMBOLS, **IDS)
    assert (ready.asked, late.asked) == (1, 2)
    assert numbers(answer)["BTC/USDT"] != (4.0, 50.0)


def test_one_that_hangs_is_silent_at_the_deadline_and_holds_nobody_up_at_the_next_bar():
    frozen, well = Server("hang", SECOND), Server(FIRST)
    asked = pool(well, frozen)
    begun = time.monotonic()
    with pytest.raises(NotReady, match="two is still at this bar"):
        asked.ask(CLOSE_NS, SYMBOLS, **IDS)
    assert time.monotonic() - begun < 3.0
    answer = asked.so_far(SYMBOLS)
    assert numbers(answer)["BTC/USDT"] == (4.0, 50.0)
    assert "still at this bar" in member_facts(answer.members[1])["silence"]
    later_ns = CLOSE_NS + 300_000_000_000
    with pytest.raises(NotReady, match="two is still at an earlier bar"):
        asked.ask(later_ns, SYMBOLS, **IDS)
    assert asked.so_far(SYMBOLS).members[0].silence is None
    assert frozen.asked == 1
    frozen.free.set()
    while True:
        try:
            answer = asked.ask(later_ns, SYMBOLS, **IDS)
            break
        except NotReady:
            time.sleep(0.02)
    assert [each.silence for each in answer.members] == [None, None]
    assert {view.as_of_ns for view in answer.views} == {later_ns}


def test_below_the_quorum_there_is_nothing_to_take_at_the_deadline():
    hanging = Server("hang")
    asked = pool(Server(FIRST), hanging, quorum=2)
    with pytest.raises(NotReady):
        asked.ask(CLOSE_NS, SYMBOLS, **IDS)
    assert asked.so_far(SYMBOLS) is None
    hanging.free.set()


def test_views_that_cannot_be_pooled_are_silence():
    class Far(Server):
        def ask(self, close_ns, universe, **ids):
            return ReleaseViews((message("BTC/USDT", 1.0, 2.0, close_ns, 2 * HOUR),), ())

    answer = pool(Server(FIRST), Far()).ask(CLOSE_NS, SYMBOLS, **IDS)
    assert "cannot be pooled" in member_facts(answer.members[1])["silence"]


def test_a_lie_moves_the_pool_by_its_bound_and_no_more():
    lie = [("BTC/USDT", 1e9, 1e-3), ("ETH/USDT", -1e9, 1e-3)]
    a_year = (365 * 24) ** 0.5
    ratios = []
    for liar in (Server(lie), Server(Refused("gone", expected="", got=""))):
        answer = pool(Server(FIRST), Server(SECOND), liar, member_bound=0.5).ask(CLOSE_NS, SYMBOLS, **IDS)
        ratios.append({symbol: mean / std * a_year for symbol, (mean, std) in numbers(answer).items()})
    assert all(abs(ratios[0][symbol] - ratios[1][symbol]) <= 0.5 + 1e-9 for symbol in SYMBOLS)
    assert ratios[0] != ratios[1]


def test_a_permit_that_ended_asks_nobody():
    class Ended:
        refusal = Refused("the permit ended", expected="one that holds", got="none")

    server = Server(FIRST)
    with pytest.raises(Refused, match="the permit ended"):
        pool(server, Server(SECOND), permit=Ended()).ask(CLOSE_NS, SYMBOLS, **IDS)
    assert server.asked == 0


WAYS = {
    "always sure that it rises": [("BTC/USDT", 900.0, 1.0)],
    "always sure that it falls": [("BTC/USDT", -900.0, 1.0)],
    "as sure as a number can be": [("BTC/USDT", 1e12, 1e-9)],
    "sure of nothing": [("BTC/USDT", 1.0, 1e9)],
    "garbage": Refused("not the answer to this", expected="views", got="garbage"),
    "killed": NotReady("it does not answer", expected="an answer", got="connection refused"),
    "frozen": "hang",
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("honest", [(12.0, 60.0), (-4.0, 90.0), (0.5, 40.0)])
def test_whatever_becomes_of_a_member_no_target_moves_beyond_its_bound(way, honest):
    """By the sizing's formula: bound over full conviction, of the volatility budget, to the lot."""
    bound, volatility, sizing = 0.8, 0.6, VolatilityTarget(annual=0.2, full_conviction=2.0, rebalance_band=0.0)
    instrument = Instrument(
        "BTC/USDT", "BTC", "USDT", InstrumentKind.SPOT, Decimal("0.01"), Decimal("0.00001"), Decimal("5")
    )
    state = PortfolioState(
        equity_quote=1e6, prices={"BTC/USDT": 50_000.0}, lots={}, volatility={"BTC/USDT": volatility},
        instruments=Universe([instrument]), as_of=from_ns(CLOSE_NS),
    )  # fmt: skip

    def target(member):
        hanging = Server(*(member if isinstance(member, tuple) else (member,)))
        asked = pool(Server([("BTC/USDT", *honest)]), Server([("BTC/USDT", 3.0, 55.0)]), hanging, member_bound=bound)
        try:
            answer = asked.ask(CLOSE_NS, SYMBOLS[:1], **IDS)
        except NotReady:
            answer = asked.so_far(SYMBOLS[:1])
        hanging.free.set()
        (found,) = sizing.size(beliefs_from(view.view() for view in answer.views), state)
        return found.weight

    well, ill = target([("BTC/USDT", 6.0, 50.0)]), target(WAYS[way])
    silent = target(Refused("silent", expected="", got=""))
    most = bound / sizing.full_conviction * sizing.annual / volatility
    one_lot = 0.00001 * 50_000.0 / 1e6
    for weight in (well, ill):
        assert abs(weight - silent) <= most + 2 * one_lot
