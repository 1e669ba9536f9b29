"""A stack: everything between a promoted release and an exchange, run on this machine as one thing.

It holds the lock of its run folder, keeps the parts alive, and says in `stack.json` what runs where. In lock-step
`run_bars` drives it; at a speed it trades by itself until it is stopped.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from sapphire.coordination.decision_archive import archive_folder
from sapphire.domain.clocks import WallClock
from sapphire.domain.errors import NotReady, Refused, SapphireError
from sapphire.domain.intervals import Interval
from sapphire.execution.bus_users import CONDUCTOR, NOTICES
from sapphire.execution.conductor import BarProgress, Conductor, Driven, Watch
from sapphire.execution.control import Control
from sapphire.execution.service import Service
from sapphire.stack.addresses import Ports
from sapphire.stack.assembly import VENUE, Assembly
from sapphire.stack.bus_trimming import BusTrimmer, Progress, progress_of_runs
from sapphire.stack.folders import RunFolder
from sapphire.stack.from_plan import with_execution
from sapphire.stack.joining import require_may_forget
from sapphire.stack.members import members_served
from sapphire.stack.plan import Plan
from sapphire.stack.processes.parts import Part, PartStatus, Probe
from sapphire.stack.processes.run_lock import RunLock
from sapphire.stack.processes.supervisor import PartNews, Supervisor
from sapphire.stack.releases import admit_to
from sapphire.stack.reports_part import REPORTS
from sapphire.stack.scraping import scrape_targets
from sapphire.telemetry.bus import Bus

if TYPE_CHECKING:
    from sapphire.domain.clocks import Clock

__all__ = ["FAILED", "READY", "STARTING", "STOPPED", "Stack", "run_bars"]

STARTING, READY, STOPPED, FAILED = "starting", "ready", "stopped", "failed"
"""How a stack as a whole stands, in `stack.json`."""

_TRIMMER_PATIENCE_S = 2.0
_CLOSE_NAMES = ("first_bar_close_ns", "last_bar_close_ns")


class Stack:
    """The processes of a plan, run as a context manager.

    Parameters
    ----------
    plan : what it is made of.
    fresh : forget what an earlier stack left in the run folder; otherwise it goes on where that one stood.
    clock : the machine's.
    on_news : hears what goes on: the part's name, and what happened to it.
    probe : how parts are asked whether they are live and ready.
    turned : called at each turn of what keeps the parts.
    placed : gives each part the command by which it runs elsewhere than here: in a namespace of its own, on a host.

    Raises
    ------
    Refused : on start, where another stack runs in the folder.
    EvidenceRefused : on start, where the release does not verify or may not be traded at the plan's stage, unless its
        permit was closed while this run held something of it.
    PortInUse : on start, where a port that was asked for is taken.
    NotReady : on start, where a part does not come up; nothing is left running.

    See Also
    --------
    run_bars : leads a stack that was entered through closed bars, in lock-step.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        fresh: bool = False,
        clock: Clock | None = None,
        on_news: PartNews = lambda *_: None,
        probe: Probe | None = None,
        turned: Callable[[], None] = lambda: None,
        placed: Callable[[Part], Part] = lambda part: part,
    ) -> None:
        self.plan = plan
        self.folder = RunFolder(plan.run)
        self._fresh = fresh
        self._clock = clock or WallClock()
        self._on_news, self._turned = on_news, turned
        self._probe, self._placed = probe or Probe(), placed
        self._lock = RunLock(plan.run)
        self._assembly: Assembly | None = None
        self._supervisor: Supervisor | None = None
        self._trimmer: BusTrimmer | None = None
        self._writing = threading.Lock()
        self._state, self._error = STARTING, ""
        self._more: dict[str, Any] = dict.fromkeys((*_CLOSE_NAMES, "start_ns"))
        self._kept_at: str | None = None

    def start(self) -> Self:
        """Start every part and wait until all are ready."""
        self._lock.take()
        try:
            self._assemble()
            self._keeper.start()
            self._more["start_ns"] = str(self.control.state()["start_ns"])
        except BaseException as error:
            self._fail(error)
            raise
        self._trimmer = BusTrimmer(
            self._made.scope,
            lambda: self.bus(patience_s=_TRIMMER_PATIENCE_S),
            self._progress,
            has_venue=self.plan.joins is None,
        )
        self._trimmer.start()
        self._stand(READY)
        return self

    def stop(self) -> None:
        """End every part; the exchange's last state is kept in the run folder, which is let go after that."""
        try:
            if self._supervisor is not None and self._lock.is_held:
                self._state = STOPPED
                if self._trimmer is not None:
                    self._trimmer.stop()
                self._supervisor.stop()
                self._write()
        finally:
            self._lock.free()

    @property
    def parts(self) -> Mapping[str, PartStatus]:
        """How each part does now."""
        return self._keeper.parts

    @property
    def ports(self) -> Ports:
        """Where its servers listen."""
        return self._made.ports

    @property
    def control(self) -> Control:
        """A client of the exchange's control plane; one for each caller."""
        venue = self._made.venue
        if venue is None:
            raise NotReady("the exchange is not up yet", next="start the stack first")
        return Control(venue.control_url, venue.control_token)

    @property
    def service(self) -> Service:
        """A client of the service's control API that acts."""
        return Service(self._made.ports.url("service"), self._made.service_token)

    def bus(self, *, patience_s: float | None = None) -> Bus:
        """A connection to the bus."""
        return Bus(self._made.bus_url(CONDUCTOR), patience_s=patience_s)

    def conductor(
        self, *, beside: Sequence[Stack] = (), watch: Watch = lambda _: None, deadline_s: float = 120.0
    ) -> Conductor:
        """What drives this stack in lock-step.

        Parameters
        ----------
        beside : stacks of accounts that joined this one, and answer each step too.

        Raises
        ------
        Refused : its market runs at a speed.
        """
        if not self.plan.is_lockstep:
            raise Refused(
                "this stack's market runs by itself",
                expected="a stack in lock-step",
                got=f"market time at {self.plan.speed:g} times the machine's",
                next="make the plan without a speed",
            )
        return Conductor(
            self.bus(patience_s=deadline_s),
            self.control,
            accounts=[self._made.led, *(stack._made.led for stack in beside)],
            interval=Interval(self.plan.interval),
            clock=self._clock,
            watch=watch,
            deadline_s=deadline_s,
        )

    def kept_at(self, address: str) -> None:
        """Say in `stack.json` where whoever keeps this stack answers probes."""
        self._kept_at = address
        self._write()

    def wait_until_ready(self, part: str, *, within_s: float = 120.0) -> PartStatus:
        """Wait until a part came up (again).

        Raises
        ------
        NotReady : it is not in time.
        """
        return self._keeper.wait_until_ready(part, within_s=within_s)

    def note_bars(self, driven: Driven) -> None:
        """Say in `stack.json` which bars were driven."""
        if driven.bars:
            self._more["first_bar_close_ns"] = self._more["first_bar_close_ns"] or str(driven.first_close_ns)
            self._more["last_bar_close_ns"] = str(driven.last_close_ns)
        self._keep_exchange_state()
        self._write()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def _keeper(self) -> Supervisor:
        if self._supervisor is None:
            raise NotReady("the stack is not running", next="use it in a `with` statement, or call start()")
        return self._supervisor

    @property
    def _made(self) -> Assembly:
        if self._assembly is None:
            raise NotReady("the stack is not running", next="use it in a `with` statement, or call start()")
        return self._assembly

    def _assemble(self) -> None:
        plan = self.plan
        if self._fresh:
            require_may_forget(plan)
            _forget(plan.run)
        elif self.folder.facts.exists():
            before = self.folder.read()
            self._more |= {name: before.get(name) for name in _CLOSE_NAMES}
            self._more["start_ns"] = before["market"].get("start_ns")
        admitted = admit_to(self.folder, plan.home, plan.release.digest, plan.stage)
        self._assembly = Assembly(
            with_execution(plan, admitted.manifest),
            Ports.choose(plan.run, plan.ports, network=plan.network, members=members_served(plan, admitted.manifest)),
            admitted.manifest,
            self._probe,
        )
        self.folder.account_state.unlink(missing_ok=True)  # a run that is killed later did not end as it says
        self._supervisor = Supervisor(
            [
                self._placed(part)
                for part in self._assembly.parts(
                    before_exchange_ends=self._keep_exchange_state, before_service_ends=self._keep_account
                )
            ],
            lock=self._lock,
            clock=self._clock,
            on_news=self._on_news,
            changed=self._write,
            turned=self._turned,
            logs=(self.folder.log("keeper"),),
        )

    def _progress(self) -> Progress:
        """How far the consumers of the account's streams are."""
        taken, made = self.service.state()["last_bar_close_ns"], self._made
        at_ns, has_notices = None if taken is None else int(taken), NOTICES in self.parts
        return progress_of_runs(self.folder, made.shared.folder, made.scope, at_ns, has_notices=has_notices)

    def _fail(self, error: BaseException) -> None:
        if self._supervisor is not None:
            self._supervisor.stop()
        self._error = str(error) if isinstance(error, SapphireError) else f"{type(error).__name__}: {error}"
        try:
            self._stand(FAILED)
        finally:
            self._lock.free()

    def _stand(self, state: str) -> None:
        self._state = state
        self._write()

    def _write(self) -> None:
        """What runs, where and how: for everybody who looks into the folder."""
        from sapphire.data.durable import write_text

        supervisor, assembly = self._supervisor, self._assembly
        with self._writing:
            facts = self.plan.as_dict()
            facts["market"] |= {"start_ns": self._more["start_ns"]}
            facts |= {name: self._more[name] for name in _CLOSE_NAMES}
            facts |= {
                "format": "STACK@1",
                "state": self._state,
                "error": self._error or None,
                "pid": os.getpid(),
                "written_ns": str(self._clock.now_ns()),
                "venue": VENUE,
                "keeper": self._kept_at,
                "exchange_account": assembly.led.index if assembly else None,
                "history_bars": assembly.history_bars if assembly else None,
                "addresses": assembly.addresses if assembly else {},
                "parts": {name: part.as_dict() for name, part in supervisor.parts.items()} if supervisor else {},
            }
            self.folder.write(facts)
            if assembly is not None:
                write_text(self.folder.scrape_targets, json.dumps(scrape_targets(facts), indent=1) + "\n")

    def _keep_exchange_state(self) -> None:
        """The exchange's own books, as they are when the run ends."""
        from sapphire.data.durable import write_text

        exchange = self._keeper.parts.get("exchange")
        if exchange is not None and not exchange.standing.is_up:
            return
        try:
            state = self.control.state(full=True)
        except NotReady:  # it dies at this moment; what it knows is in its journal
            return
        write_text(self.folder.exchange_state, json.dumps(state, sort_keys=True) + "\n")

    def _keep_account(self) -> None:
        """The account as it is when the run ends: what it holds, and what stopped its trading."""
        from sapphire.data.durable import write_text
        from sapphire.stack.account.standing import account_now

        if not self._keeper.parts["service"].standing.is_up:
            return
        try:
            account = account_now(Service(self.service.url, self._made.service_read_token), self.folder)
        except (NotReady, Refused):  # it dies at this moment; what it knows is in its journal
            return
        write_text(self.folder.account_state, json.dumps(account, sort_keys=True) + "\n")
        if self.plan.joins is not None:  # the exchange is another stack's, and goes on
            self._keep_exchange_state()


def run_bars(
    stack: Stack,
    bars: int = 500,
    *,
    beside: Sequence[Stack] = (),
    rest: timedelta = timedelta(0),
    progress: BarProgress = lambda *_: None,
    watch: Watch = lambda _: None,
    deadline_s: float = 120.0,
) -> Driven:
    """Drive a stack in lock-step over its next bars.

    Parameters
    ----------
    bars : how many.
    beside : stacks of accounts that joined this one, and trade the same bars.
    rest : how far to go on behind the last close, below one bar, so that orders under way arrive.
    progress : bars done, bars to do, close of the last one.
    watch : told of every moment of the run, on the driving thread.
    deadline_s : wall seconds that any part has for its answer.

    Raises
    ------
    Refused : the stack's market runs at a speed.
    NotReady : a part has not answered within the deadline; names it.
    """
    conductor = stack.conductor(beside=beside, watch=watch, deadline_s=deadline_s)
    driven = conductor.run(bars, progress=progress)
    if rest:
        late = conductor.drive(driven.now_ns + rest // timedelta(microseconds=1) * 1_000)
        driven = replace(driven, steps=driven.steps + late.steps, now_ns=late.now_ns)
    for each in (stack, *beside):
        each.note_bars(driven)
    return driven


def _forget(run: Path) -> None:
    """Remove what stacks write into a run folder, and nothing else."""
    folder = RunFolder(run)
    files = [folder.facts, folder.credentials, folder.decisions, folder.exchange_state, folder.account_state]
    files += [folder.exchange_address, folder.exchange_account]
    archived = archive_folder(folder.decisions)
    files += [
        folder.notices_state,
        folder.reports_state,
        folder.scrape_targets,
        *(folder.settings(part) for part in ("service", "collector", "coordinator", NOTICES, REPORTS)),
    ]
    for path in files:
        path.unlink(missing_ok=True)
    for path in (folder.bus, folder.exchange, folder.account, folder.accounts, archived, run / "logs"):
        shutil.rmtree(path, ignore_errors=True)
