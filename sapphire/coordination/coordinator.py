"""The coordinator: at each closed bar it asks the release, has its beliefs sized, and says the targets.

Everything it knows is on the bus and in the decisions' file. What `signals` ends with says which bars are done; a bar
whose line is written is said as the line has it, any other is decided from the same bars, state and views, so a
coordinator that was killed anywhere says the same again.

On a running venue a bar is late once the next one has closed on the bus: its signals' time to live has ended. It is
passed over with that reason, and its end marker still comes. In lock-step the bar stands for as long as it takes.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from sapphire.agents.forecasts import beliefs_from
from sapphire.coordination.bento import Bento, Said
from sapphire.coordination.decision_log import DecisionLog
from sapphire.coordination.decisions import (
    Decision,
    Obstacle,
    account_facts,
    belief_facts,
    caused_by,
    obstacle,
    view_facts,
)
from sapphire.coordination.history import History
from sapphire.coordination.sizing import Size, account_of, closes_in_ticks, equity_atoms
from sapphire.domain.clocks import Clock
from sapphire.domain.display import stamp
from sapphire.domain.errors import BadMessage, MessageError, MissingData, NotReady, Refused, SapphireError
from sapphire.domain.instruments import Universe
from sapphire.domain.intervals import Interval
from sapphire.domain.messages import AccountStateMessage, MarketDataMessage, PartState, ViewMessage
from sapphire.telemetry.bus import Bus, Entry
from sapphire.telemetry.heartbeats import Pulse
from sapphire.telemetry.streams import (
    ACCOUNT,
    BARS,
    SIGNALS,
    VIEWS,
    EntryId,
    account_entry,
    bar_of,
    bar_trace,
    end_of_bar,
    is_end_of_bar,
)

__all__ = ["Coordinator", "Duty"]

_WAIT_MS = 1_000
_WAIT_S = 1.0
_FIRST_PAUSE_S, _LAST_PAUSE_S = 0.05, 1.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Duty:
    """What is coordinated.

    Parameters
    ----------
    release : digest of the release that decides.
    universe : its instruments, in its order.
    interval : length of its bars.
    lockstep : whether a bar stands until it is decided.
    """

    release: str
    universe: Universe
    interval: Interval
    lockstep: bool


class _Late(Exception):  # noqa: N818  (it says what happened to the bar)
    """The next bar has closed."""


class Coordinator:
    """The coordinator of one release.

    Parameters
    ----------
    duty : what is coordinated.
    bento : who says the views.
    size : the sizing.
    history : the bars that sizing looks at.
    log : where decisions are kept.
    bus : where bars and states come from and signals go.
    clock : the machine's.
    pulse : its heartbeats.
    """

    def __init__(
        self,
        duty: Duty,
        *,
        bento: Bento,
        size: Size,
        history: History,
        log: DecisionLog,
        bus: Bus,
        clock: Clock,
        pulse: Pulse,
    ) -> None:
        self._duty, self._bento, self._size, self._history = duty, bento, size, history
        self._log, self._bus, self._clock, self._pulse = log, bus, clock, pulse
        self._places = {symbol: place for place, symbol in enumerate(duty.universe.symbols)}
        self._closed: list[MarketDataMessage] = []
        """Bars of the close whose end marker has not been read yet."""

    def run(self) -> None:
        """Decide each bar as it closes, for ever.

        Raises
        ------
        MessageError : the bus has other signals than the decisions' file.
        DataError : a decision could not be written.
        """
        position = self._position()
        _log.info("release %s, after entry %s of %s", self._duty.release[:12], position, BARS)
        self._pulse.state(PartState.READY)
        while True:
            for entry in self._bus.read(BARS, position, block_ms=_WAIT_MS):
                self._take(entry)
                position = entry.id
            self._pulse.beat()

    def _position(self) -> EntryId:
        """Up to where `bars` is done."""
        last = self._bus.last(SIGNALS)
        if last is not None:
            return last.id if is_end_of_bar(last.id) else EntryId(last.id.ms, 0)
        if self._log.last is not None:
            return EntryId(end_of_bar(self._log.last.bar_close_ns).ms, 0)
        newest = None if self._duty.lockstep else self._bus.last(BARS)
        return EntryId.BEGIN if newest is None else EntryId(newest.id.ms, 0)

    def _take(self, entry: Entry) -> None:
        """One entry of `bars`: a bar is kept until its end marker comes, whose id says it all."""
        if is_end_of_bar(entry.id):
            closed, self._closed = self._closed, []
            self._end_of_bar(bar_of(entry.id), closed)
            return
        try:
            message = entry.message
            if not isinstance(message, MarketDataMessage) or message.interval != self._duty.interval.text:
                expected = f"MARKET_DATA of {self._duty.interval}, or an end marker"
                raise BadMessage(f"an entry of {BARS}", expected=expected, got=message.envelope.message_id)
        except MessageError as error:
            _log.warning("entry %s of %s: %s", entry.id, entry.stream, error)
            self._bus.refuse(entry, error)
            self._history.forget()
            return
        if message.symbol in self._places:
            self._closed.append(message)

    def _end_of_bar(self, close_ns: int, closed: list[MarketDataMessage]) -> None:
        decision = self._log.find(close_ns)
        if decision is None:
            decision = self._decide(close_ns, closed)
            self._log.append(decision)
            if decision.facts["reason"] is not None:
                _log.warning("no signals at %s: %s", stamp(close_ns), decision.facts["reason"]["text"])
        now_ns = self._clock.now_ns()
        self._bus.publish_all(VIEWS, decision.views(now_ns))
        self._bus.publish_all(SIGNALS, decision.signals(now_ns))

    def _decide(self, close_ns: int, closed: list[MarketDataMessage]) -> Decision:
        decision = Decision.on(self._duty.release, close_ns)
        try:
            self._require_in_time(close_ns)
            decision, said = self._asked(decision)
            state = self._state(close_ns)
        except _Late:
            text = "the next bar has closed already"
            return decision.without_signals(Obstacle.LATE, text)
        except Refused as error:
            return decision.without_signals(Obstacle.VIEWS_REFUSED, obstacle(error))
        except (MissingData, MessageError) as error:
            return decision.without_signals(Obstacle.NO_ACCOUNT_STATE, obstacle(error))
        decision = decision.knowing(account=account_facts(state))
        try:
            return self._sized(decision, said, state, closed)
        except SapphireError as error:
            return decision.without_signals(Obstacle.CANNOT_SIZE, obstacle(error))

    def _asked(self, decision: Decision) -> tuple[Decision, Said]:
        """What the release says, and the decision that knows it; a bento that does not answer is asked again."""
        close_ns, asked_ns, times, pause_s = decision.bar_close_ns, self._clock.now_ns(), 0, _FIRST_PAUSE_S
        while True:
            times += 1
            try:
                said = self._bento.ask(
                    close_ns,
                    self._duty.universe.symbols,
                    trace_id=bar_trace(close_ns),
                    causation_id=caused_by(close_ns),
                )
                break
            except NotReady as error:
                if times == 1:
                    _log.warning("%s", error)
            self._require_in_time(close_ns)
            self._pulse.beat()
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _LAST_PAUSE_S)
        return decision.knowing(
            asked_ns=str(asked_ns),
            answered_ns=str(self._clock.now_ns()),
            asked_times=times,
            views=[view_facts(view, self._places[view.symbol]) for view in self._in_order(said)],
            silent=list(said.silent),
        ), said

    def _in_order(self, said: Said) -> list[ViewMessage]:
        return sorted(said.views, key=lambda view: self._places[view.symbol])

    def _state(self, close_ns: int) -> AccountStateMessage:
        """The account at the close.

        Raises
        ------
        MissingData : it will not come.
        MessageError : what came is none.
        """
        wanted = account_entry(close_ns)
        while True:
            entry = self._bus.wait_for(ACCOUNT, wanted, timeout_s=_WAIT_S)
            if entry is not None:
                break
            self._pulse.beat()
            self._require_in_time(close_ns)
        try:
            message = entry.message
            if not isinstance(message, AccountStateMessage) or message.bar_close_ns != close_ns:
                raise BadMessage(f"an entry of {ACCOUNT}", expected="ACCOUNT_STATE of its bar", got=str(entry.id))
        except MessageError as error:
            self._bus.refuse(entry, error)
            raise
        return message

    def _sized(
        self, decision: Decision, said: Said, state: AccountStateMessage, closed: list[MarketDataMessage]
    ) -> Decision:
        """Beliefs, equity and targets, in the same numbers and the same order of operations as in a study."""
        universe = self._duty.universe
        beliefs = beliefs_from(message.view() for message in self._in_order(said))
        bars = self._history.at(decision.bar_close_ns, closed)
        closes = closes_in_ticks(bars, universe)
        equity = equity_atoms(state, closes, universe)
        targets = self._size(beliefs, account_of(state, bars, equity, universe))
        known = decision.knowing(
            beliefs=[belief_facts(belief) for belief in beliefs],
            closes_ticks={symbol: str(ticks) for symbol, ticks in closes.items()},
            equity_quote_atoms=str(equity),
            history_rows=len(bars),
        )
        return known.signalling(targets, closes, self._places, self._duty.interval.ns)

    def _require_in_time(self, close_ns: int) -> None:
        if not self._duty.lockstep:
            newest = self._bus.last(BARS)
            if newest is not None and bar_of(newest.id) > close_ns:
                raise _Late
