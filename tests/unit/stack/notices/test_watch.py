"""What happens in a run, and the one message that each of it is worth."""

import json
from decimal import Decimal

import pytest

from sapphire.domain.clocks import to_ns
from sapphire.stack.notices.watch import QUIET_BARS, Watch
from sapphire.stack.rules import Rules

S = 10**9
MINUTES = 300 * S
NOON = to_ns("2025-03-07T12:00Z")
RULES = Rules({"BTC/USDT": (Decimal("0.01"), Decimal("0.00001")), "ETH/USDT": (Decimal("0.01"), Decimal("0.0001"))})


class KilledWatch:
    """A watch that is killed after every word: its state alone goes on."""

    def __init__(self):
        self.state, self.now_ns, self.step = {}, 10**18, 0

    def __getattr__(self, what):
        def tell(*arguments):
            self.step += 1
            self.now_ns += S // 10
            words = (f"{self.step}-1", *arguments) if what == "message" else arguments
            watch = Watch("a test", RULES, quote="USDT", interval_ns=MINUTES, denials_in_a_bar=10, state=self.state)
            made = list(getattr(watch, what)(*words, now_ns=self.now_ns))
            self.state = json.loads(json.dumps(watch.state))
            return made

        return tell


@pytest.fixture
def run():
    return KilledWatch()


def test_a_halt_says_what_passes_and_why(run, risk):
    (halted,) = run.message(risk(NOON, "HALTED", "root: prices look wrong"))
    assert (halted.kind, halted.title, halted.market_ns) == ("halt", "Trading is HALTED", NOON)
    assert halted.lines[0] == "root: prices look wrong"
    (loss,) = run.message(risk(NOON, "HALTED", "the loss latch fell", code="LOSS"))
    assert loss.facts["cause"] == "LOSS"
    (closed,) = run.message(risk(NOON, "ACTIVE", "the position is closed: root: x", symbol="BTC/USDT"))
    assert closed.title == "Trading goes on: ACTIVE; BTC/USDT is closed"
    (again,) = run.message(risk(NOON, "ACTIVE", "root: the feed is back"))
    assert again.title == "Trading goes on: ACTIVE"
    assert len({each.id for each in (halted, loss, closed, again)}) == 4
    assert run.message(risk(NOON, "ACTIVE", "the signal was refused", code="STALE")) == []


def test_the_fills_of_a_bar_are_one_message_when_the_next_begins(run, execution):
    for step in range(500):
        symbol, side = ("BTC/USDT", "BUY") if step % 2 else ("ETH/USDT", "SELL")
        assert run.message(execution(NOON + step * 10**6, lots=100, symbol=symbol, side=side, step=step + 1)) == []
        assert run.settled() == []
    assert run.message(execution(NOON + S, state="CANCELED")) == []
    (notice,) = run.message(execution(NOON + MINUTES, lots=3))
    assert (notice.kind, notice.title) == ("fills", "500 fills in the bar from 2025-03-07T12:00Z")
    assert notice.lines == (
        "SELL 2.5 ETH at 6,425.01: 16,062.52 USDT, 250 fills, fee 0.00025 ETH",
        "BUY 0.25 BTC at 64,250.1: 16,062.52 USDT, 250 fills, fee 0.00025 BTC",
    )
    assert notice.facts["fills"]["BUY BTC/USDT"]["lots"] == "25000"
    run.now_ns += 5 * S
    (late,) = run.settled()
    assert late.title == "1 fill in the bar from 2025-03-07T12:05Z"
    assert run.settled() == []


def test_a_decision_of_the_next_bar_ends_a_bar_too_and_an_operator_s_fill_says_so(run, execution, decided):
    run.message(execution(NOON + S, lots=3, side="SELL", release=None))
    (notice,) = run.decision(decided(NOON + MINUTES))
    assert notice.lines[0].endswith("by an operator's command")


def test_the_end_of_the_stack_tells_what_waits(run, execution):
    run.message(execution(NOON, lots=3))
    assert [each.kind for each in run.ends()] == ["fills"]
    assert run.ends() == []


def test_a_storm_of_refused_orders_is_one_message_and_another_when_it_is_over(run, execution, decided):
    made = [
        each
        for step in range(9)
        for each in run.message(execution(NOON, state="DENIED", reason="COLLAR", step=step + 1))
    ]
    assert made == [], "fewer than a storm"
    for bar in range(3):
        for step in range(400):
            at_ns = NOON + bar * MINUTES + step
            reason = "VENUE_2010" if step % 4 == 0 else "COLLAR"
            made += run.message(execution(at_ns, state="REJECTED" if step % 4 == 0 else "DENIED", reason=reason))
    (begun,) = made
    assert (begun.kind, begun.title) == ("denials", "A storm of refused orders: 10 within a bar")
    assert begun.lines[0] == "COLLAR 9, VENUE_2010 1"
    calm = [each for bar in range(3, 9) for each in run.decision(decided(NOON + bar * MINUTES))]
    (over,) = calm
    assert over.title == "The storm of refused orders is over: 1,209 since 2025-03-07T12:00Z"
    assert over.lines == ("COLLAR 909, VENUE_2010 300",)
    assert over.market_ns == NOON + (2 + QUIET_BARS + 1) * MINUTES


def test_bars_that_are_not_decided_are_one_message_and_another_when_they_are_again(run, decided):
    codes = [None, "late", "late", None, "views_absent", None, None, None, None]
    made = [
        (bar, each)
        for bar, code in enumerate(codes)
        for each in run.decision(decided(NOON + bar * MINUTES, code=code, text="it took 9 s"))
    ]
    (first, begun), (last, over) = made
    assert (first, last) == (1, 7)
    assert (begun.kind, begun.title) == ("undecided", "A bar was not decided: late")
    assert begun.lines == ("bar that closed at 2025-03-07T12:05Z: it took 9 s",)
    assert over.title == "Bars are decided again: 3 of 4 were not since 2025-03-07T12:05Z"
    assert over.lines == ("late, views absent",)


def stack(pid=7, **restarts):
    parts = {name: {"restarts": count, "why": "was killed by signal 9"} for name, count in restarts.items()}
    return {"pid": pid, "written_ns": "1", "parts": parts}


def test_a_restart_is_one_message_and_a_part_that_ends_again_and_again_is_one_a_minute(run):
    assert run.parts(stack(service=0)) == []
    (notice,) = run.parts(stack(service=1))
    assert (notice.kind, notice.title) == ("restarts", "service was killed by signal 9 and is started again")
    assert run.parts(stack(service=1)) == []
    assert [run.parts(stack(service=count)) for count in range(2, 9)] == [[]] * 7
    (other,) = run.parts(stack(service=8, bus=1))
    assert other.title.startswith("bus was killed")
    run.now_ns += 60 * S
    (storm,) = run.parts(stack(service=8, bus=1))
    assert storm.title.endswith("and is started again; 7 times since it was told last")


def test_an_end_in_order_is_no_message_and_a_keeper_that_was_killed_is_one(run):
    run.parts(stack(pid=7, service=1))
    run.parts(stack(pid=7, service=2))
    (waited,) = run.ends()
    assert waited.title.startswith("service was killed")
    assert run.parts(stack(pid=8, service=0)) == []
    (again,) = run.parts(stack(pid=9, service=0))
    assert again.title == "The stack was started again: its keeper was killed, or the machine went down"
    assert run.parts(stack(pid=9, service=0)) == []


def test_a_day_is_told_once_when_a_bar_of_the_next_was_decided(run, execution, decided):
    start = to_ns("2025-03-07T23:40Z")
    run.parts(stack(service=0))
    for bar, (equity, code) in enumerate([(10**12, None), (None, "late"), (101 * 10**10, None), (102 * 10**10, None)]):
        run.decision(decided(start + bar * MINUTES, equity=equity, code=code))
        run.message(execution(start + bar * MINUTES + S, lots=100, side="SELL" if bar == 2 else "BUY"))
        run.message(execution(start + bar * MINUTES + S, state="DENIED", reason="COLLAR"))
        run.parts(stack(service=1))
    assert run.settled() == []
    run.decision(decided(to_ns("2025-03-08T00:00Z"), equity=103 * 10**10))
    assert run.settled() == [], "a bar that closes at midnight belongs to the day that ends"
    run.decision(decided(to_ns("2025-03-08T00:05Z"), equity=99 * 10**10))
    (day,) = run.settled()
    assert (day.kind, day.title) == ("report", "2025-03-07: equity 10,300.00 USDT, +3.00 % since 2025-03-07T23:40Z")
    assert day.lines[:2] == (
        "4 fills: bought 192.75, sold 64.25 USDT; fees 0.000004 BTC",
        "5 bars, 1 undecided; 4 orders refused; 1 restart",
    )
    assert day.market_ns == to_ns("2025-03-08T00:00Z")
    assert run.settled() == []
    run.message(execution(start, lots=1))
    run.decision(decided(to_ns("2025-03-09T00:05Z"), equity=98 * 10**10))
    (nextday,) = run.settled()
    assert nextday.title == "2025-03-08: equity 9,900.00 USDT, -3.88 % since 2025-03-08T00:00Z"
    assert nextday.lines[0].startswith("1 fill:"), "what came late counts for the day that is open"
