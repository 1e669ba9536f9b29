"""Accounts with two releases in lock-step: each step waits for all, and each trades as it does alone.

The second's release is on other symbols, and the third's too, so each of them has a collector of its own.
"""

import json
import os
from contextlib import ExitStack
from dataclasses import replace

import pytest

from sapphire.domain.errors import Refused, ValueRefused
from sapphire.execution.conductor import Phase
from sapphire.execution.journal import journal_rows
from sapphire.stack import Stack, run_bars
from sapphire.stack.plan import Market, Plan
from sapphire.stack.processes.run_lock import RunLock
from sapphire.stack.releases import described
from sapphire.telemetry.streams import AccountStreams, end_of_bar

BARS, MORE = 20, 4


@pytest.fixture(scope="module")
def plans(frozen, narrow_release, tmp_path_factory):
    """Plans of a first account and of two that join it."""
    home, digest = frozen
    runs = tmp_path_factory.mktemp("runs")

    def plan(name, digest, **more):
        release, manifest = described(home, digest)
        market = Market(seed=7, start="2025-03-07T00:00:00Z")
        return Plan(run=runs / name, home=home, release=release, symbols=manifest.universe, interval=manifest.interval,
                    market=market, **more)  # fmt: skip

    first = plan("first", digest)
    second = plan("first/accounts/second", narrow_release, account="second", account_tag=2, joins=first.run)
    third = plan("first/accounts/third", narrow_release, account="third", account_tag=3, joins=first.run)
    return first, second, third


WRITTEN = []
"""State and the lock's holder at each writing of a stack's facts."""


class Watched(Stack):
    def _write(self):
        super()._write()
        WRITTEN.append((self._state, RunLock(self.plan.run).holder()))


@pytest.fixture(scope="module")
def together(plans):
    """The stacks after a run of all and some bars more without the second, and the moments of it."""
    first, second, third = (Watched(plan) for plan in plans)
    moments = []
    with ExitStack() as entered:
        for stack in (first, second, third):
            entered.enter_context(stack)
        driven = run_bars(first, BARS, beside=[second, third], watch=moments.append)
        signals = [
            first.bus().entry(AccountStreams("embedded", plan.account).signals(plan.release.digest),
                              end_of_bar(driven.last_close_ns)) for plan in plans
        ]  # fmt: skip
        late = replace(plans[1], account="late", account_tag=4, run=plans[0].run / "accounts" / "late")
        with pytest.raises(Refused, match="takes no account once it moves"), Stack(late):
            pass
        with pytest.raises(Refused, match="another one") as slower, Stack(replace(late, interval="15m")):
            pass
        assert (slower.value.got, "bars of 5m" in slower.value.expected) == ("15m", True)
        second.stop()
        more = run_bars(first, MORE, beside=[third], watch=moments.append)
    assert all(signals)
    return (first, second, third), driven, more, moments


def test_facts_are_written_by_who_holds_the_folder_and_by_nobody_else(together):
    """After it was let go the next stack writes there, and its facts must stay."""
    assert [state for state, _ in WRITTEN].count("stopped") >= 3
    assert {holder for _, holder in WRITTEN} == {os.getpid()}
    assert all(RunLock(stack.plan.run).holder() is None for stack in together[0])


CLOCKS = {"asked_ns", "answered_ns", "asked_times"}


def decisions(stack):
    """What was decided, with the account's state and its equity; its name and the machine's times are left out."""
    lines = [{key: value for key, value in line.items() if key not in CLOCKS} for line in decided(stack)]
    return json.loads(json.dumps(lines).replace(stack.plan.account, "account"))


def fills(stack):
    """What the journal has of fills; ids of orders name the start, and are left out."""
    rows = [row for row in journal_rows(stack.folder.account) if row["kind"] == "fill"]
    return [{key: value for key, value in row.items() if key not in ("order", "step")} for row in rows]


def decided(stack):
    return [json.loads(line) for line in stack.folder.decisions.read_bytes().splitlines()]


def test_every_step_is_settled_by_all(together):
    stacks, driven, more, moments = together
    assert (driven.bars, more.bars) == (BARS, MORE)
    closed = [set(moment.settled) for moment in moments if moment.phase is Phase.CLOSED]
    assert closed == [{"paper", "second", "third"}] * BARS + [{"paper", "third"}] * MORE
    for stack, last in zip(stacks, (more, driven, more), strict=True):
        lines = decided(stack)
        assert [line["reason"] for line in lines] == [None] * (BARS + MORE if last is more else BARS)
        assert {line["account"]["account"] for line in lines} == {stack.plan.account}
        assert stack.folder.read()["last_bar_close_ns"] == str(last.last_close_ns)
    state = json.loads(stacks[0].folder.exchange_state.read_bytes())
    sent = {account["account"]: len(account["history"]) for account in state["accounts"]}
    assert sum(moment.orders_sent for moment in moments if moment.phase is Phase.SETTLED) >= sum(sent.values()) > 0
    assert [stack.folder.read()["exchange_account"] for stack in stacks] == [1, 2, 3]


@pytest.mark.parametrize("place", [0, 2], ids=["first", "third"])
def test_each_account_decides_and_fills_as_it_does_alone(together, plans, tmp_path, place):
    """The second too, which trades the same release as the third on bars that both collect, until it is stopped."""
    stacks = together[0]
    alone = Stack(replace(plans[place], run=tmp_path, joins=None))
    with alone:
        run_bars(alone, BARS)
        run_bars(alone, MORE)
    assert decisions(alone) == decisions(stacks[place])
    assert fills(alone) == fills(stacks[place]) != []
    if place:
        second = stacks[1]
        assert decisions(second) == decisions(alone)[:BARS]
        assert fills(second) == fills(alone)[: len(fills(second))] != []


def test_two_that_collect_the_same_bars_have_a_collector_each(together):
    """Each with a cache and a stream of its own, under one user: who reads of a bar finds it in the cache."""
    first, second, third = together[0]
    for stack in (first, second, third):
        assert "collector" in stack.folder.read()["parts"]
        assert {line["asked_times"] for line in decided(stack)} == {1}
        logs = "".join(stack.folder.log(part).read_text() for part in ("collector", "coordinator"))
        assert "cannot be written" not in logs
        assert "refuses" not in logs
    settings = [json.loads(stack.folder.settings("collector").read_bytes()) for stack in (second, third)]
    assert [each["cache"] for each in settings] == ["embedded:second", "embedded:third"]
    assert len({each["bus_url"] for each in settings}) == 1
    restarts = [part["restarts"] for stack in (first, third) for part in stack.folder.read()["parts"].values()]
    assert restarts == [0] * len(restarts)


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
