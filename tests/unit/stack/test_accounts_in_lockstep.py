"""Two accounts with two releases in lock-step: each step waits for both, and each trades as it does alone.

The second's release is on other symbols, so it has a collector of its own.
"""

import json
from contextlib import ExitStack
from dataclasses import replace

import pytest

from sapphire.domain.errors import Refused, ValueRefused
from sapphire.execution.conductor import Phase
from sapphire.execution.journal import journal_rows
from sapphire.stack import Stack, run_bars
from sapphire.stack.plan import Market, Plan
from sapphire.stack.releases import described
from sapphire.telemetry.streams import AccountStreams, end_of_bar

BARS = 20


@pytest.fixture(scope="module")
def plans(frozen, narrow_release, tmp_path_factory):
    """Plans of a first account and of one that joins it."""
    home, digest = frozen
    runs = tmp_path_factory.mktemp("runs")

    def plan(name, digest, **more):
        release, manifest = described(home, digest)
        market = Market(seed=7, start="2025-03-07T00:00:00Z")
        return Plan(run=runs / name, home=home, release=release, symbols=manifest.universe, interval=manifest.interval,
                    market=market, **more)  # fmt: skip

    first = plan("first", digest)
    second = plan("first/accounts/second", narrow_release, account="second", account_tag=2, joins=first.run)
    return first, second


@pytest.fixture(scope="module")
def together(plans):
    """The stacks after a run of both, and the moments of it."""
    first, second = (Stack(plan) for plan in plans)
    moments = []
    with ExitStack() as entered:
        entered.enter_context(first)
        entered.enter_context(second)
        driven = run_bars(first, BARS, beside=[second], watch=moments.append)
        signals = [
            first.bus().entry(AccountStreams("embedded", plan.account).signals(plan.release.digest),
                              end_of_bar(driven.last_close_ns)) for plan in plans
        ]  # fmt: skip
        late = replace(plans[1], account="third", account_tag=3, run=plans[0].run / "accounts" / "third")
        with pytest.raises(Refused, match="takes no account once it moves"), Stack(late):
            pass
    assert all(signals)
    return first, second, driven, moments


def decided_without(stack, without):
    return [{key: value for key, value in line.items() if key not in without} for line in decided(stack)]


def fills(stack):
    """What the journal has of fills; ids of orders name the start, and are left out."""
    rows = [row for row in journal_rows(stack.folder.account) if row["kind"] == "fill"]
    return [{key: value for key, value in row.items() if key not in ("order", "step")} for row in rows]


def decided(stack):
    return [json.loads(line) for line in stack.folder.decisions.read_bytes().splitlines()]


def test_every_step_is_settled_by_both(together):
    first, second, driven, moments = together
    assert driven.bars == BARS
    closed = [moment for moment in moments if moment.phase is Phase.CLOSED]
    assert [set(moment.settled) for moment in closed] == [{"paper", "second"}] * BARS
    for stack in (first, second):
        lines = decided(stack)
        assert [line["reason"] for line in lines] == [None] * BARS
        assert {line["account"]["account"] for line in lines} == {stack.plan.account}
        assert stack.folder.read()["last_bar_close_ns"] == str(driven.last_close_ns)
    state = json.loads(first.folder.exchange_state.read_bytes())
    sent = {account["account"]: len(account["history"]) for account in state["accounts"]}
    assert sum(moment.orders_sent for moment in moments if moment.phase is Phase.SETTLED) >= sum(sent.values()) > 0
    assert second.folder.read()["exchange_account"] == 2


@pytest.mark.parametrize("place", [0, 1], ids=["first", "second"])
def test_each_account_decides_and_fills_as_it_does_alone(together, plans, tmp_path, place):
    beside = together[place]
    alone = Stack(replace(plans[place], run=tmp_path, joins=None))
    with alone:
        run_bars(alone, BARS)
    clocks = {"asked_ns", "answered_ns", "asked_times"}
    assert decided_without(alone, clocks) == decided_without(beside, clocks), "with the account's state and its equity"
    assert fills(alone) == fills(beside) != []


def test_a_conductor_wants_accounts_of_one_venue_each_once(together):
    from sapphire.domain import Interval
    from sapphire.domain.clocks import WallClock
    from sapphire.execution.conductor import Conductor, Led

    def led(venue, account):
        streams = AccountStreams(venue, account)
        return Led(streams, streams.signals("ab" * 32), "bars")

    for accounts in ([], [led("embedded", "a")] * 2, [led("embedded", "a"), led("other", "b")]):
        with pytest.raises(ValueRefused, match="one or more of one venue"):
            Conductor(None, None, accounts=accounts, interval=Interval("5m"), clock=WallClock())
