"""The coordinator: at each closed bar it asks the release, has its beliefs sized, and says the targets.

Everything it knows is on the bus and in the decisions' file. What its signals end with says which bars are done; a bar
whose line is written is published as the line has it, any other is decided from the same bars, state and views, so a
coordinator that was killed anywhere says the same again.

On a running venue a bar is late once the next one has closed on the bus: its signals' time to live has ended. It is
passed over with that reason, and its end marker still comes. In lock-step the bar stands for as long as it takes.

A release that refuses, or that does not answer in time on a running venue, has no views: its older beliefs live to
their horizon, and then the positions follow the release's rule. What that needs to know stands in the last line of the
decisions' file, so a coordinator that was started again goes on with it.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from sapphire.agents.forecasts import beliefs_from
from sapphire.coordination.bento import Bento, ReleaseViews
from sapphire.coordination.decision_log import DecisionLog
from sapphire.coordination.decisions import (
    Decision,
    Obstacle,
    Scope,
    account_facts,
    belief_facts,
    format_of,
    member_facts,
    obstacle,
    remembered_facts,
    stopped_facts,
    view_facts,
)
from sapphire.coordination.history import History
from sapphire.coordination.member_bentos import MemberBentos
from sapphire.coordination.sizing import Asked, Size, account_of, closes_in_ticks, equity_atoms, kept_by_rule
from sapphire.domain.clocks import Clock, from_ns
from sapphire.domain.display import stamp
from sapphire.domain.errors import BadMessage, MessageError, MissingData, NotReady, Refused, SapphireError
from sapphire.domain.instruments import Universe
from sapphire.domain.intervals import Interval
from sapphire.domain.messages import AccountStateMessage, MarketDataMessage, PartState, ViewMessage
from sapphire.domain.stopped_views import LastBelief, WhenViewsStop, stopped_views
from sapphire.telemetry.bus import Bus, Entry
from sapphire.telemetry.heartbeats import Pulse
from sapphire.telemetry.logs import traced
from sapphire.telemetry.part_runtime import PartRuntime
from sapphire.telemetry.signal_keys import SignalKey
from sapphire.telemetry.streams import (
    COORDINATOR,
    EntryId,
    account_entry,
    bar_of,
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
    scope : the account, the release that decides, and the streams between which it does.
    universe : its instruments, in its order.
    interval : length of its bars.
    lockstep : whether a bar stands until it is decided.
    key : signs what is signalled for the account.
    rule : what positions do once views stop.
    patience_s : seconds of wall time that a release which is not ready is asked again; for ever in lock-step.
    """

    scope: Scope
    universe: Universe
    interval: Interval
    lockstep: bool
    key: SignalKey
    rule: WhenViewsStop = field(default_factory=WhenViewsStop)
    patience_s: float = math.inf


class _Late(Exception):  # noqa: N818  (it says what happened to the bar)
    """The next bar has closed."""


class Coordinator:
    """The coordinator of one release.

    Parameters
    ----------
    duty : what is coordinated.
    bento : who says the views: one server of the release, or one of each of its members.
    size : the sizing.
    history : the bars that sizing looks at.
    log : where decisions are kept.
    bus : where bars and states come from and signals go.
    clock : the machine's.
    pulse : its heartbeats.
    runtime : of its process; where it says how the release's views stand, and counts.
    """

    def __init__(
        self,
        duty: Duty,
        *,
        bento: Bento | MemberBentos,
        size: Size,
        history: History,
        log: DecisionLog,
        bus: Bus,
        clock: Clock,
        pulse: Pulse,
        runtime: PartRuntime | None = None,
    ) -> None:
        self._duty, self._bento, self._size, self._history = duty, bento, size, history
        self._log, self._bus, self._clock, self._pulse = log, bus, clock, pulse
        self._runtime = runtime or PartRuntime(COORDINATOR)
        self._metrics = self._runtime.metrics
        self._scope, self._streams = duty.scope, duty.scope.streams
        self._places = {symbol: place for place, symbol in enumerate(duty.universe.symbols)}
        self._closed: list[MarketDataMessage] = []
        """Bars of the close whose end marker has not been read yet."""

    def run(self) -> None:
        """Decide each bar as it closes, for ever.

        Raises
        ------
        MessageError : the bus has other signals than the decisions' file.
        PlaceFull : no room for a decision.
        """
        position = self._position()
        _log.info("release %s, after entry %s of %s", self._scope.release[:12], position, self._scope.bars)
        self._pulse.state(PartState.READY)
        self._show(self._log.last)
        if isinstance(self._bento, MemberBentos):
            for each in self._log.latest(self._bento.shadows.lines):
                self._bento.shadows.after(each.facts)
        while True:
            for entry in self._bus.read(self._scope.bars, position, block_ms=_WAIT_MS):
                self._take(entry)
                position = entry.id
            self._pulse.beat()

    def _position(self) -> EntryId:
        """Up to where the bars are done."""
        last = self._bus.last(self._scope.signals)
        if last is not None:
            return last.id if is_end_of_bar(last.id) else EntryId(last.id.ms, 0)
        if self._log.last is not None:
            return EntryId(end_of_bar(self._log.last.bar_close_ns).ms, 0)
        newest = None if self._duty.lockstep else self._bus.last(self._scope.bars)
        return EntryId.BEGIN if newest is None else EntryId(newest.id.ms, 0)

    def _take(self, entry: Entry) -> None:
        """One entry of the stream of bars: a bar is kept until its end marker comes, whose id says it all."""
        if is_end_of_bar(entry.id):
            closed, self._closed = self._closed, []
            with traced(self._streams.trace(bar_of(entry.id))):
                self._end_of_bar(bar_of(entry.id), closed)
            return
        try:
            message = entry.message
            if not isinstance(message, MarketDataMessage) or message.interval != self._duty.interval.text:
                expected = f"MARKET_DATA of {self._duty.interval}, or an end marker"
                raise BadMessage(f"an entry of {entry.stream}", expected=expected, got=message.envelope.message_id)
        except MessageError as error:
            _log.warning("entry %s of %s: %s", entry.id, entry.stream, error)
            self._bus.refuse(entry, error, to=self._streams.dead_letters)
            self._history.forget()
            return
        if message.symbol in self._places:
            self._closed.append(message)

    def _end_of_bar(self, close_ns: int, closed: list[MarketDataMessage]) -> None:
        """Decide a bar and publish it. Told to end before the decision is written, it leaves the bar to the next
        start; later, it publishes first.
        """
        known = self._log.find(close_ns)
        decision = known or self._decide(close_ns, closed)
        with self._runtime.finishing():
            if known is None:
                self._log.append(decision)
            now_ns = self._clock.now_ns()
            sent = self._bus.publish_all(self._scope.views, decision.views(self._scope, now_ns))
            self._metrics.views(self._scope.agent).inc(sent)
            self._bus.publish_all(self._scope.signals, decision.signals(self._scope, now_ns), key=self._duty.key)
        self._metrics.bars_seen.inc()
        if known is None:
            self._count(decision)
            self._log_obstacles(decision)
            self._show(decision)
        self._shadows_after(decision)
        self._log.archive()

    def _shadows_after(self, decision: Decision) -> None:
        """A member that drifted is heard no more from the next bar on: told once a decision is written."""
        if isinstance(self._bento, MemberBentos):
            self._bento.shadows.after(decision.facts)

    def _count(self, decision: Decision) -> None:
        """Into the metrics: what came of the bar, and how far behind the newest one it is."""
        reason = decision.facts["reason"]
        done = self._metrics.bars_decided if reason is None else self._metrics.bars_undecided(reason["code"])
        done.inc()
        for member in decision.facts.get("members", ()):
            if member["silence"] is not None:
                self._metrics.members_silent(member["name"]).inc()
            self._metrics.members_in_shadow(member["name"]).set(member["shadow"] is not None)
        newest = self._bus.last(self._scope.bars)
        behind_ns = 0 if newest is None else bar_of(newest.id) - decision.bar_close_ns
        self._metrics.market_lag.set(max(behind_ns, 0) / 1e9)

    def _decide(self, close_ns: int, closed: list[MarketDataMessage]) -> Decision:
        before = () if self._log.last is None else self._log.last.remembered
        decision = self._remembering(Decision.on(self._scope, close_ns), before)
        try:
            self._require_in_time(close_ns)
            decision, answer = self._asked(decision)
            state = self._state(close_ns)
        except _Late:
            text = "the next bar has closed already"
            return decision.without_signals(Obstacle.LATE, text)
        except (MissingData, MessageError) as error:
            return decision.without_signals(Obstacle.NO_ACCOUNT_STATE, obstacle(error))
        decision = decision.knowing(account=account_facts(state))
        try:
            return self._sized(decision, answer, before, state, closed)
        except SapphireError as error:
            return self._kept(decision.hindered(Obstacle.CANNOT_SIZE, obstacle(error)), before, state)

    def _remembering(self, decision: Decision, last: Sequence[LastBelief]) -> Decision:
        """The decision that knows what is believed last, and what of it has ended."""
        duty = self._duty
        ended = stopped_views(last, from_ns(decision.bar_close_ns), rule=duty.rule, interval=duty.interval)
        return decision.knowing(
            closes_ticks={} if self._log.last is None else self._log.last.facts["closes_ticks"],
            remembered=[remembered_facts(each) for each in last],
            stopped=[stopped_facts(each) for each in ended],
        )

    def _asked(self, decision: Decision) -> tuple[Decision, ReleaseViews | None]:
        """What the release says, and the decision that knows it; nothing where it refuses, or is not there in time."""
        asked_ns, times = self._clock.now_ns(), 0
        answer: ReleaseViews | None = None
        until, pause_s = time.monotonic() + self._duty.patience_s, _FIRST_PAUSE_S
        while answer is None:
            times += 1
            try:
                answer = self._release_views(decision.bar_close_ns)
            except Refused as error:
                decision = decision.hindered(Obstacle.VIEWS_REFUSED, obstacle(error))
                break
            except NotReady as error:
                if times == 1:
                    _log.warning("%s", error)
                if time.monotonic() > until:
                    answer = self._bento.so_far(self._duty.universe.symbols)
                    if answer is None:
                        decision = decision.hindered(Obstacle.VIEWS_ABSENT, obstacle(error))
                    break
                self._require_in_time(decision.bar_close_ns)
                self._pulse.beat()
                time.sleep(pause_s)
                pause_s = min(2 * pause_s, _LAST_PAUSE_S)
        decision = decision.knowing(asked_ns=str(asked_ns), asked_times=times)
        members = [member_facts(each) for each in self._bento.members()]
        if members:
            decision = decision.knowing(format=format_of([], members), members=members)
        if answer is None:
            return decision, None
        views = [view_facts(view, self._scope.agent, self._places[view.symbol]) for view in self._in_order(answer)]
        return decision.knowing(
            format=format_of(views, members),
            answered_ns=str(self._clock.now_ns()),
            views=views,
            silent=list(answer.silent),
        ), answer

    def _release_views(self, close_ns: int) -> ReleaseViews:
        with self._metrics.bento_ask.time():
            return self._bento.ask(
                close_ns,
                self._duty.universe.symbols,
                trace_id=self._streams.trace(close_ns),
                causation_id=self._scope.caused_by(close_ns),
            )

    def _in_order(self, answer: ReleaseViews) -> list[ViewMessage]:
        return sorted(answer.views, key=lambda view: self._places[view.symbol])

    def _state(self, close_ns: int) -> AccountStateMessage:
        """The account at the close.

        Raises
        ------
        MissingData : it will not come.
        MessageError : what came is none.
        """
        wanted = account_entry(close_ns)
        while True:
            entry = self._bus.wait_for(self._streams.states, wanted, timeout_s=_WAIT_S)
            if entry is not None:
                break
            self._pulse.beat()
            self._require_in_time(close_ns)
        try:
            message = entry.message
            if not isinstance(message, AccountStateMessage) or message.bar_close_ns != close_ns:
                raise BadMessage(f"an entry of {entry.stream}", expected="ACCOUNT_STATE of its bar", got=str(entry.id))
        except MessageError as error:
            self._bus.refuse(entry, error, to=self._streams.dead_letters)
            raise
        return message

    def _sized(
        self,
        decision: Decision,
        answer: ReleaseViews | None,
        before: Sequence[LastBelief],
        state: AccountStateMessage,
        closed: list[MarketDataMessage],
    ) -> Decision:
        """Beliefs, equity and targets, in the same numbers and the same order of operations as in a study."""
        universe = self._duty.universe
        beliefs = [] if answer is None else beliefs_from(message.view() for message in self._in_order(answer))
        bars = self._history.at(decision.bar_close_ns, closed)
        closes = closes_in_ticks(bars, universe, {} if self._log.last is None else self._log.last.closes_ticks)
        equity = equity_atoms(state, closes, universe)
        account = account_of(state, bars, closes, equity, universe)
        sized = self._size(Asked(beliefs, before, account, answer is not None))
        known = self._remembering(decision, sized.remembered).knowing(
            beliefs=[belief_facts(belief) for belief in beliefs],
            closes_ticks={symbol: str(ticks) for symbol, ticks in closes.items()},
            equity_quote_atoms=str(equity),
            history_rows=len(bars),
        )
        return known.signalling(sized.targets, closes, self._places, self._duty.interval.ns)

    def _kept(self, decision: Decision, before: Sequence[LastBelief], state: AccountStateMessage) -> Decision:
        """What was believed before stands, and what has ended follows the rule, where nothing could be sized."""
        duty, close = self._duty, from_ns(decision.bar_close_ns)
        positions = {position.symbol: position.lots for position in state.positions}
        kept, after = kept_by_rule(before, positions, close, rule=duty.rule, interval=duty.interval)
        closes = {} if self._log.last is None else self._log.last.closes_ticks
        return self._remembering(decision, after).signalling(kept, closes, self._places, duty.interval.ns)

    def _show(self, decision: Decision | None) -> None:
        """How the views stand after the newest decision, and why the release is not asked any more, if it is not. What
        is on record by now may be trimmed behind it.
        """
        refusal, speaks = self._bento.refusal, decision is None or decision.speaks
        views = None if decision is None else decision.standing
        why = None if refusal is None else obstacle(refusal)
        self._runtime.readiness.tell(
            ready=speaks and refusal is None,
            views=views,
            refusal=why,
            release=self._scope.release,
            agent=self._scope.agent,
            decided_close_ns=None if decision is None else str(decision.bar_close_ns),
        )

    def _log_obstacles(self, decision: Decision) -> None:
        """What keeps a bar from its signals, and what the rule does, for people."""
        at, facts = stamp(decision.bar_close_ns), decision.facts
        for member in facts.get("members", ()):
            if member["shadow"] is not None and member["shadow"]["since_ns"] == facts["bar_close_ns"]:
                drift = (member["shadow"]["index"], member["shadow"]["threshold"])
                _log.warning("member %s trades in shadow from %s on: drift %.3f above %.3f", member["name"], at, *drift)
            if member["silence"] is not None:
                _log.warning("member %s is silent at %s: %s", member["name"], at, member["silence"])
        if facts["reason"] is not None:
            _log.warning("%s at %s: %s", facts["reason"]["code"], at, facts["reason"]["text"])
        flat_from = self._duty.rule.hold_bars + self._duty.rule.reduce_bars + 1
        for each in facts["stopped"]:
            if each["bar"] > flat_from:
                continue
            since = stamp(int(each["since_ns"]))
            _log.warning("views of %s stopped at %s: %s at %s", each["symbol"], since, each["stage"], at)

    def _require_in_time(self, close_ns: int) -> None:
        if not self._duty.lockstep:
            newest = self._bus.last(self._scope.bars)
            if newest is not None and bar_of(newest.id) > close_ns:
                raise _Late
