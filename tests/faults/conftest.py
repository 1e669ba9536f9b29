"""A prepared run in lock-step, and what it comes to when a part of it is killed.

Prepared once: a state folder with a release that trades often and its signed report for paper, and a server of it that
all runs ask. Each run is a stack of its own: bus, exchange, collector, coordinator, service.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from processes import is_running
from restless import SEED, restless

from sapphire.domain.clocks import WallClock, to_ns
from sapphire.execution.bus_users import BENTO, BusUsers, user_of
from sapphire.execution.conductor import Driven, Moment, Phase
from sapphire.execution.journal import JournalReplay, journal_rows, replay_journal
from sapphire.serving.settings import Settings
from sapphire.stack.addresses import Ports
from sapphire.stack.folders import RunFolder
from sapphire.stack.plan import Market, Plan
from sapphire.stack.processes.parts import Probe
from sapphire.stack.processes.run_lock import RunLock
from sapphire.stack.processes.supervisor import Supervisor
from sapphire.stack.releases import described
from sapphire.stack.servers import bento_part
from sapphire.stack.stack import Stack, run_bars

__all__ = ["restless"]

START = "2025-03-07T00:00:00Z"
BARS = 40
REST = timedelta(seconds=60)
"""How far a run goes on behind its last close, so that what is on its way arrives."""
PROBE = Probe(every_s=0.3, within_s=1.5, failures=3)


@dataclass(frozen=True)
class Blow:
    """Where a part is killed.

    Parameters
    ----------
    victim : its name.
    bar : number of the bar, from 1, that is being driven towards or closed.
    phase : when: before time moves, while the close's step is unanswered, or when the close is settled.
    after_s : how much later; zero on the spot, so that nothing goes on before the part is dead.
    hangs : whether it is stopped instead, so that it hangs and is not dead.
    """

    victim: str
    bar: int
    phase: Phase
    after_s: float = 0.0
    hangs: bool = False

    def is_at(self, moment: Moment, bar: int) -> bool:
        """Whether this is the moment."""
        return bar == self.bar and moment.phase is self.phase and (moment.is_close or self.phase is Phase.ADVANCING)


@dataclass
class Outcome:
    """What a run came to."""

    driven: Driven
    folder: Path
    exchange: Mapping[str, Any]
    orders: Sequence[Mapping[str, Any]]
    fills: Sequence[Mapping[str, Any]]
    positions: Mapping[str, Any]
    journal: Sequence[Mapping[str, Any]]
    replay: JournalReplay
    restarts: Mapping[str, int]
    closes_with_orders: tuple[int, ...]
    travelling: tuple[int, ...]
    """How many orders were on their way at each blow that was dealt on the spot."""
    decisions: Sequence[Mapping[str, Any]] = field(default_factory=tuple)

    @property
    def account(self) -> Mapping[str, Any]:
        """The exchange's books of the account."""
        account: Mapping[str, Any] = self.exchange["accounts"][0]
        return account


@dataclass
class Prepared:
    """What all runs share."""

    home: Path
    digest: str
    bus_port: int
    bento_url: str
    bento: Supervisor
    users: Path
    """Passwords of the bus."""

    def run(self, folder: Path, blows: Sequence[Blow] = ()) -> Outcome:
        """Drive the prepared bars in a folder of their own, with blows on the way."""
        bus = RunFolder(folder).bus
        bus.mkdir(parents=True)
        shutil.copy(self.users / "passwords.json", bus)  # the release's server knows the one of its user
        release, manifest = described(self.home, self.digest)
        plan = Plan(
            run=folder,
            home=self.home,
            release=release,
            symbols=manifest.universe,
            interval=manifest.interval,
            market=Market(SEED, None, START),
            latency_ms=(5, 250),
            funds={"USDT": "20000"},
            bento_url=self.bento_url,
            ports={"bus": self.bus_port},
        )
        with Stack(plan, probe=PROBE) as stack:
            hand = _Hand(stack, self.bento, list(blows))
            driven = run_bars(stack, BARS, rest=REST, watch=hand.watch)
            hand.finish()
            service = stack.service
            return Outcome(
                driven=driven,
                folder=folder,
                exchange=stack.control.state(full=True),
                orders=service.orders(limit=10_000),
                fills=service.fills(limit=10_000),
                positions=service.positions(),
                journal=list(journal_rows(stack.folder.account)),
                replay=replay_journal(stack.folder.account),
                restarts=hand.restarts,
                closes_with_orders=tuple(hand.closes_with_orders),
                travelling=tuple(hand.travelling),
                decisions=[json.loads(line) for line in stack.folder.decisions.read_bytes().splitlines()],
            )


class _Hand:
    """Deals the blows, and notes what it sees."""

    def __init__(self, stack: Stack, bento: Supervisor, blows: list[Blow]) -> None:
        self._stack, self._bento, self._left = stack, bento, blows
        self._before = {"bento": bento.parts["bento"].restarts}
        self._interval_ns = 300_000_000_000
        self._timers: list[threading.Timer] = []
        self._dealt: dict[str, int] = {}
        self._dealing = threading.Lock()
        self.closes_with_orders: list[int] = []
        self.travelling: list[int] = []

    def watch(self, moment: Moment) -> None:
        """Is told every moment of the run."""
        if moment.phase is Phase.SETTLED and moment.is_close and moment.orders_sent:
            self.closes_with_orders.append(self._bar(moment))
        for blow in [blow for blow in self._left if blow.is_at(moment, self._bar(moment))]:
            self._left.remove(blow)
            if blow.after_s:
                timer = threading.Timer(blow.after_s, self._deal, (blow,))
                self._timers.append(timer)
                timer.start()
            else:
                self.travelling.append(int(self._stack.control.state()["travelling"]))
                self._deal(blow)

    def finish(self) -> None:
        """Wait until everything that was dealt is dealt, and every victim is up again."""
        for timer in self._timers:
            timer.join()
        assert not self._left, f"the run never came to {self._left}"
        for victim in self._dealt:
            self._until_up(victim)

    @property
    def restarts(self) -> dict[str, int]:
        """By part, within this run."""
        parts = {**self._bento.parts, **self._stack.parts}
        return {name: part.restarts - self._before.get(name, 0) for name, part in parts.items()}

    def _deal(self, blow: Blow) -> None:
        with self._dealing:  # so that no two blows hit the same process
            pid = self._until_up(blow.victim)
            _stop(pid) if blow.hangs else os.kill(pid, signal.SIGKILL)
            self._dealt[blow.victim] = self._dealt.get(blow.victim, 0) + 1
        deadline = time.monotonic() + (60 if blow.hangs else 10)
        while is_running(pid) and time.monotonic() < deadline:
            time.sleep(0.001)

    def _until_up(self, victim: str) -> int:
        """The victim's process, after it has recovered from the blow before."""
        keeper = self._bento if victim == "bento" else self._stack
        deadline = time.monotonic() + 120
        while self.restarts[victim] < self._dealt.get(victim, 0) and time.monotonic() < deadline:
            time.sleep(0.01)
        pid = keeper.wait_until_ready(victim, within_s=120).pid
        assert pid is not None
        return pid

    def _bar(self, moment: Moment) -> int:
        return (moment.close_ns - to_ns(START)) // self._interval_ns


def _stop(pid: int) -> None:
    """Stop what does a part's work: the workers of a server that has some, else the process itself."""
    workers = psutil.Process(pid).children(recursive=True)
    for process in workers or [psutil.Process(pid)]:
        process.suspend()


@pytest.fixture(scope="session")
def prepared(restless: tuple[Path, str]) -> Iterator[Prepared]:
    """The state folder, and the release's server, which lives as long as the tests and is restarted when it dies."""
    home, digest = restless
    folder = home.parent
    ports = Ports.choose(folder)
    users = folder / "users"
    settings = Settings(
        home, digest, "paper", BusUsers.keep(users, "embedded", "paper").url(user_of(BENTO, "paper"), ports.bus_url)
    )
    part = bento_part(settings, port=ports.bento, log=folder / "bento.log", probe=PROBE)
    with Supervisor([part], lock=RunLock(folder / "bento"), clock=WallClock()) as bento:
        yield Prepared(home, digest, ports.bus, part.address, bento, users)


@pytest.fixture(scope="session")
def quick_disk() -> Iterator[Callable[[str], Path]]:
    """Folders in memory: a disk that lags makes the engine reduce, and then two runs are not the same."""
    memory = Path("/dev/shm")
    place = memory if os.access(memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=place, prefix="sapphire-faults-") as folder:
        yield lambda name: Path(tempfile.mkdtemp(dir=folder)) / name


@pytest.fixture(scope="session")
def undisturbed(prepared: Prepared, quick_disk: Callable[[str], Path]) -> Outcome:
    """The run that nobody disturbs."""
    return prepared.run(quick_disk("undisturbed"))


@pytest.fixture(scope="session")
def hung_at() -> Callable[[str, int], Blow]:
    """A part is stopped at the close of a bar, so that it hangs."""
    return lambda victim, bar: Blow(victim, bar, Phase.STEPPING, after_s=0.001, hangs=True)


@pytest.fixture(scope="session")
def blows_on(undisturbed: Outcome) -> Callable[[str], list[Blow]]:
    """Three places for a victim, drawn by its name: before time moves, in the middle of the work of a close, and with
    an order on its way."""

    def draw(victim: str) -> list[Blow]:
        dice = random.Random(f"kill {victim}")
        trading = [bar for bar in undisturbed.closes_with_orders if 26 <= bar <= BARS - 2]
        return [
            Blow(victim, dice.randrange(3, 12), Phase.ADVANCING),
            Blow(victim, dice.randrange(14, 24), Phase.STEPPING, after_s=dice.uniform(0.001, 0.06)),
            Blow(victim, dice.choice(trading), Phase.SETTLED),
        ]

    return draw
