"""The conductor of a lock-step run: closes one bar after the other, and moves market time in between.

It moves the embedded exchange to the next thing that a client sees or a part wants to be woken for, tells it on the bus
(ADVANCED), and waits until the service has settled; and again, until the bar's close is reached. There it waits for the
service's state, the collector's bars, the coordinator's signals and the service once more. So a run is as fast as the
machine and gives the same fills every time. Where several accounts trade there, every one of them answers each step.

A part that is killed meanwhile is started again by its supervisor and does what is missing, because every entry has an
id of its own: the conductor only waits. It survives itself the same way: a new one takes up the last step on the bus.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from sapphire.domain.clocks import Clock
from sapphire.domain.display import stamp
from sapphire.domain.envelope import Envelope, Message
from sapphire.domain.errors import ExchangeError, MessageError, NotReady, ValueRefused
from sapphire.domain.intervals import Interval
from sapphire.domain.messages import AdvancedMessage, SettledMessage
from sapphire.execution.control import Advanced, Control
from sapphire.telemetry.bus import Bus
from sapphire.telemetry.streams import (
    AccountStreams,
    EntryId,
    account_entry,
    end_of_bar,
    message_id,
    step_entry,
)

__all__ = ["BarProgress", "Conductor", "Driven", "Led", "Moment", "Phase", "Watch"]

PRODUCER = "conductor"

_ASK_AGAIN_S = 0.1
_MOST_STEPS_AT_ONCE = 1_000
"""Steps at one instant of market time; more, and a part asks to be woken again and again without moving on."""


class Phase(StrEnum):
    """Where a run stands when somebody watches it."""

    ADVANCING = "advancing"
    """The exchange is about to be told to move market time."""
    STEPPING = "stepping"
    """The step is on the bus; nobody has settled it yet."""
    SETTLED = "settled"
    """Every service has settled the step."""
    CLOSED = "closed"
    """The bar is complete."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What a watcher is told.

    Parameters
    ----------
    phase : where the run stands.
    close_ns : close of the bar that is being driven towards, or that was completed.
    step : number of the last step that was begun.
    now_ns : market time.
    is_close : whether that step closes the bar.
    settled : the services' answers by account, in SETTLED and CLOSED.
    """

    phase: Phase
    close_ns: int
    step: int
    now_ns: int
    is_close: bool
    settled: Mapping[str, SettledMessage] = field(default_factory=dict)

    @property
    def orders_sent(self) -> int:
        """Placements and cancels that the services sent in the step."""
        answers = self.settled.values()
        return sum(sent.count for answer in answers for sent in answer.sent if sent.stream == "orders")


@dataclass(frozen=True, slots=True)
class Driven:
    """What was driven.

    Parameters
    ----------
    bars, steps : how many.
    first_close_ns, last_close_ns : closes of the first and the last bar; both zero without a bar.
    now_ns : where market time stands.
    """

    bars: int
    steps: int
    first_close_ns: int
    last_close_ns: int
    now_ns: int


BarProgress = Callable[[int, int, int], None]
"""Bars done, bars to do, and the close of the last one."""
Watch = Callable[[Moment], None]


@dataclass(frozen=True, slots=True)
class Led:
    """An account that is led through the steps.

    Parameters
    ----------
    streams : of the account.
    signals : the stream of what its release wants.
    bars : the stream of bars that it decides on.
    index : of the account at the exchange.
    """

    streams: AccountStreams
    signals: str
    bars: str
    index: int = 1

    @property
    def name(self) -> str:
        """Of the account."""
        return self.streams.account


class Conductor:
    """Drives the accounts of an embedded exchange in lock-step.

    Parameters
    ----------
    bus : where steps are told and answers come; one that gives up after `deadline_s` when the server is gone.
    control : the exchange's control plane.
    accounts : who trades there, one or more of one venue; each of them answers each step.
    interval : of the bars.
    clock : the machine's.
    watch : is told every moment, on this thread; a test may kill a part there.
    deadline_s : wall seconds that any part has for its answer.
    """

    def __init__(
        self,
        bus: Bus,
        control: Control,
        *,
        accounts: Sequence[Led],
        interval: Interval,
        clock: Clock,
        watch: Watch = lambda _: None,
        deadline_s: float = 120.0,
    ) -> None:
        self._bus, self._control = bus, control
        self._accounts, self._interval, self._clock = tuple(accounts), interval, clock
        venues = {account.streams.venue for account in self._accounts}
        if len(venues) != 1 or len({account.name for account in self._accounts}) != len(self._accounts):
            raise ValueRefused(
                "accounts of a run in lock-step",
                expected="one or more of one venue, each once",
                got=", ".join(f"{account.name} on {account.streams.venue}" for account in self._accounts) or "none",
            )
        self._shared = self._accounts[0].streams.shared
        self._watch, self._deadline_s = watch, deadline_s
        self._step = 0
        self._wakes: tuple[int, ...] = ()
        self._seen = dict.fromkeys((account.index for account in self._accounts), 0)
        self._now_ns = 0
        self._closed_ns = 0
        self._is_up = False

    def run(self, bars: int, *, progress: BarProgress = lambda *_: None) -> Driven:
        """Drive the next `bars` bars; the run then stands at the close of the last.

        Raises
        ------
        NotReady : a part has not answered within the deadline; names it.
        ExchangeError : the exchange refuses to move.
        MessageError : what is on the bus is of another run.
        """
        self._take_up()
        before = self._step
        first = close_ns = 0
        for done in range(1, bars + 1):
            close_ns = self._closed_ns + self._interval.ns
            first = first or close_ns
            self._drive(close_ns)
            self._close(close_ns)
            progress(done, bars, close_ns)
        return Driven(bars, self._step - before, first, close_ns, self._now_ns)

    def drive(self, to_ns: int) -> Driven:
        """Move on to `to_ns`, which lies before the next bar's close, so that what is under way arrives."""
        self._take_up()
        before, next_close_ns = self._step, self._closed_ns + self._interval.ns
        if not self._now_ns <= to_ns < next_close_ns:
            raise ExchangeError(
                "a stretch without a bar's close",
                expected=f"a time from {stamp(self._now_ns)} on and before {stamp(next_close_ns)}",
                got=stamp(to_ns),
            )
        self._drive(to_ns)
        return Driven(0, self._step - before, 0, 0, self._now_ns)

    def _take_up(self) -> None:
        """Stand where the bus and the exchange stand; a step that is not settled yet is waited for first."""
        if self._is_up:
            return
        self._now_ns, self._seen = self._where()
        last = self._bus.last(self._shared.lockstep)
        if last is None:
            self._closed_ns = self._interval.floor(self._now_ns)
            self._is_up = True
            return
        step = last.message
        if not isinstance(step, AdvancedMessage) or step.now_ns > self._now_ns:
            raise MessageError(
                "the steps on the bus are of another run",
                expected=f"an ADVANCED message up to {stamp(self._now_ns)}, where the exchange stands",
                got=f"{step.envelope.schema_id} {step.envelope.message_id}",
                next="start the run in a folder of its own",
            )
        self._step = step.envelope.sequence
        seen = step.account_events
        self._publish(step.now_ns, step.bar_close_ns)
        if step.bar_close_ns is not None:
            self._await_bar(step.bar_close_ns)
        self._await_settled()
        # Market time may have moved after that step without anybody being told.
        self._closed_ns = step.bar_close_ns if step.bar_close_ns is not None else self._interval.floor(step.now_ns - 1)
        if self._now_ns > step.now_ns or self._events > seen:
            self._tell(self._now_ns, None, self._closed_ns + self._interval.ns)
        self._is_up = True

    def _drive(self, to_ns: int) -> None:
        """Move market time to `to_ns`, stopping wherever somebody sees or wants something."""
        at_once = 0
        while True:
            self._watch(Moment(Phase.ADVANCING, to_ns, self._step, self._now_ns, is_close=False))
            before_ns = self._now_ns
            advanced = self._advance(to_ns)
            self._now_ns = advanced.now_ns
            self._seen |= {index: advanced.sequences[index] for index in self._seen if index in advanced.sequences}
            is_woken = any(wake_ns <= self._now_ns for wake_ns in self._wakes)
            if self._now_ns == to_ns and not advanced.events and not is_woken:
                return
            at_once = at_once + 1 if self._now_ns == before_ns else 0
            if at_once > _MOST_STEPS_AT_ONCE:
                raise NotReady(
                    f"a service wants to be woken again and again at {stamp(self._now_ns)}",
                    expected="a wake_at after the market time of the step, or none",
                    got=f"{at_once} steps at one instant",
                    next="see its log in the run folder, logs/service.log",
                )
            self._tell(self._now_ns, None, to_ns)

    def _close(self, close_ns: int) -> None:
        """The bar's close: state, bars, signals, and the service once more."""
        settled = self._tell(close_ns, close_ns, close_ns)
        self._closed_ns = close_ns
        self._watch(Moment(Phase.CLOSED, close_ns, self._step, close_ns, is_close=True, settled=settled))

    def _tell(self, now_ns: int, bar_close_ns: int | None, towards_ns: int) -> Mapping[str, SettledMessage]:
        """Put the next step on the bus and wait until every account has settled it."""
        self._step += 1
        self._bus.publish(
            self._shared.lockstep,
            step_entry(self._step),
            self._message(self._shared.lockstep, now_ns, bar_close_ns, self._events),
        )
        self._publish(now_ns, bar_close_ns)
        is_close = bar_close_ns is not None
        self._watch(Moment(Phase.STEPPING, towards_ns, self._step, now_ns, is_close=is_close))
        if bar_close_ns is not None:
            self._await_bar(bar_close_ns)
        settled = self._await_settled()
        self._watch(Moment(Phase.SETTLED, towards_ns, self._step, now_ns, is_close=is_close, settled=settled))
        return settled

    def _publish(self, now_ns: int, bar_close_ns: int | None) -> None:
        """The step to each account, with the number of its own events; who was told it already is not told again."""
        entry = step_entry(self._step)
        for account in self._accounts:
            stream = account.streams.lockstep
            if self._bus.entry(stream, entry) is None:
                message = self._message(stream, now_ns, bar_close_ns, self._seen[account.index])
                self._bus.publish(stream, entry, message)

    @property
    def _events(self) -> int:
        """How much the exchange told all of the accounts."""
        return sum(self._seen.values())

    def _message(self, stream: str, now_ns: int, bar_close_ns: int | None, events: int) -> AdvancedMessage:
        entry = step_entry(self._step)
        envelope = Envelope(
            schema_id=AdvancedMessage.SCHEMA_ID,
            message_id=message_id(PRODUCER, stream, entry),
            producer=PRODUCER,
            sequence=self._step,
            event_time_ns=now_ns,
            publish_time_ns=self._clock.now_ns(),
            trace_id=self._shared.trace(self._closed_ns if bar_close_ns is None else bar_close_ns),
            causation_id=None,
        )
        return AdvancedMessage(envelope=envelope, now_ns=now_ns, bar_close_ns=bar_close_ns, account_events=events)

    def _await_bar(self, close_ns: int) -> None:
        at = stamp(close_ns)
        for account in self._accounts:
            what = f"the state of account {account.name} at {at}"
            self._await(account.streams.states, account_entry(close_ns), "service", what)
        for bars in sorted({account.bars for account in self._accounts}):
            self._await(bars, end_of_bar(close_ns), "collector", f"the bars that closed at {at}")
        for account in self._accounts:
            what = f"signals of account {account.name} on the bars of {at}"
            self._await(account.signals, end_of_bar(close_ns), "coordinator", what)

    def _await_settled(self) -> dict[str, SettledMessage]:
        """Every account's answer to the step; then it is known when they want to be woken."""
        settled = {account.name: self._answer_of(account) for account in self._accounts}
        wakes = (answer.wake_at_ns for answer in settled.values())
        self._wakes = tuple(wake_ns for wake_ns in wakes if wake_ns is not None)
        return settled

    def _answer_of(self, account: Led) -> SettledMessage:
        entry = step_entry(self._step)
        asked = message_id(PRODUCER, account.streams.lockstep, entry)
        what = f"SETTLED of account {account.name} for step {self._step}"
        answer = self._await(account.streams.settled, entry, "service", what)
        if not isinstance(answer, SettledMessage) or answer.envelope.causation_id != asked:
            raise MessageError(
                f"the answer to step {self._step} is of something else",
                expected=f"SETTLED that answers {asked}",
                got=f"{answer.envelope.schema_id} that answers {answer.envelope.causation_id}",
            )
        return answer

    def _await(self, stream: str, entry: EntryId, part: str, what: str) -> Message:
        found = self._bus.wait_for(stream, entry, timeout_s=self._deadline_s)
        if found is None:
            raise NotReady(
                f"{part} has not answered within {self._deadline_s:g} s",
                expected=f"{what}: entry {entry} of {stream}",
                got="nothing",
                next=f"see its log in the run folder, logs/{part}.log",
            )
        return found.message

    def _advance(self, to_ns: int) -> Advanced:
        """Move market time; an exchange that dies over it is waited for, and asked where it stands."""
        while True:
            try:
                return self._control.advance(to_ns, wake_at_ns=self._wakes)
            except NotReady:
                now_ns, seen = self._where()
            more = sum(seen.values()) - self._events
            if now_ns > self._now_ns or more > 0:
                # It moved, and nobody knows what was seen on the way: the services shall look.
                return Advanced(now_ns, max(1, more), seen)

    def _where(self) -> tuple[int, dict[int, int]]:
        """Market time and the number of each account's last event, once the exchange answers."""
        began = time.monotonic()
        while True:
            try:
                state = self._control.state()
                break
            except NotReady as error:
                if time.monotonic() - began > self._deadline_s:
                    raise NotReady(
                        f"exchange has not answered within {self._deadline_s:g} s",
                        expected="its state",
                        got=error.got,
                        next="see its log in the run folder, logs/exchange.log",
                    ) from error
                time.sleep(_ASK_AGAIN_S)
        rows = {int(row["account"]): int(row["event_sequence"]) for row in state["accounts"]}
        return int(state["now_ns"]), {index: rows.get(index, 0) for index in self._seen}
