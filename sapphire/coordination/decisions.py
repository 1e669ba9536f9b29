"""A decision: what was known at a bar's close, what was made of it, and what is published because of it.

It is one canonical JSON line, and its messages are read off that line: what is published and what is on record cannot
differ. 64-bit numbers are text in it, floats are numbers that read back as the same double.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from sapphire.coordination.bento import MemberAnswer
from sapphire.coordination.sizing import Chosen
from sapphire.domain.canonical import canonical_json, plain
from sapphire.domain.clocks import from_ns, to_ns
from sapphire.domain.decisions import DECISION_FORMAT, MEMBERS_FORMAT, NOTED_FORMAT, DecisionLine
from sapphire.domain.envelope import Envelope
from sapphire.domain.errors import SapphireError
from sapphire.domain.messages import (
    AccountStateMessage,
    HftSignalMessage,
    Message,
    NotedViewMessage,
    Quantile,
    ViewMessage,
)
from sapphire.domain.stopped_views import LastBelief, Stopped
from sapphire.domain.views import Belief, ViewNote
from sapphire.telemetry.bar_messages import bar_envelope, end_marker
from sapphire.telemetry.streams import (
    COLLECTOR,
    COORDINATOR,
    AccountStreams,
    EntryId,
    account_entry,
    bar_entry,
    end_of_bar,
)
from sapphire.telemetry.streams import message_id as id_of_message

__all__ = [
    "Decision",
    "Obstacle",
    "Scope",
    "account_facts",
    "belief_facts",
    "format_of",
    "member_facts",
    "note_of",
    "obstacle",
    "remembered_facts",
    "stopped_facts",
    "view_facts",
]

_NOTHING: Mapping[str, Any] = {
    "account": None,
    "answered_ns": None,
    "asked_ns": None,
    "asked_times": 0,
    "beliefs": [],
    "closes_ticks": {},
    "equity_quote_atoms": None,
    "format": DECISION_FORMAT,
    "history_rows": 0,
    "reason": None,
    "remembered": [],
    "signals": [],
    "silent": [],
    "stopped": [],
    "targets": [],
    "views": [],
}


class Obstacle(StrEnum):
    """What stood in the way of a bar's decision.

    Where views were refused or did not come, the positions follow the release's rule and are signalled. Where a bar
    cannot be sized they stay while a belief lives and follow the rule from its end on. The others leave nothing to
    signal: a late bar's signals would have no time to live, and without the account's state nobody knows what to keep.
    Positions stand as they are then, the rule counts on, and the next bar finds them where it has them.
    """

    LATE = "late"
    NO_ACCOUNT_STATE = "no_account_state"
    VIEWS_REFUSED = "views_refused"
    VIEWS_ABSENT = "views_absent"
    CANNOT_SIZE = "cannot_size"


@dataclass(frozen=True, slots=True)
class Scope:
    """For whom decisions are made, and where they are published.

    Parameters
    ----------
    streams : of the account.
    release : digest of the release that decides.
    agent : who believes: the release's only agent, or the release itself where it pools several.
    bars : the stream of bars that are decided.

    Examples
    --------
    >>> Scope(AccountStreams("embedded", "paper"), "ab" * 32, "trend", "bars:embedded:5m:cd").views
    'views:embedded:paper:abababababababab:trend'
    """

    streams: AccountStreams
    release: str
    agent: str
    bars: str

    @property
    def signals(self) -> str:
        """The stream of targets."""
        return self.streams.signals(self.release)

    @property
    def views(self) -> str:
        """The stream of what the agent believes."""
        return self.streams.views(self.release, self.agent)

    def caused_by(self, close_ns: int) -> str:
        """Id of the message that a decision answers: the end marker of the bar."""
        return id_of_message(COLLECTOR, self.bars, end_of_bar(close_ns))


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision on one bar.

    Parameters
    ----------
    facts : what the line says.
    """

    facts: Mapping[str, Any]

    @classmethod
    def on(cls, scope: Scope, close_ns: int) -> Decision:
        """A decision about which nothing is known yet."""
        identity = {
            "bar_close_ns": str(close_ns),
            "bars_entry": str(end_of_bar(close_ns)),
            "release": scope.release,
            "trace_id": scope.streams.trace(close_ns),
        }
        return cls({**_NOTHING, **identity})

    @classmethod
    def read(cls, line: bytes) -> Decision:
        """The decision that a line says.

        Raises
        ------
        ValueRefused : not such a line.
        """
        DecisionLine.read(line)
        return cls(json.loads(line))

    def knowing(self, **facts: Any) -> Decision:
        """The same decision with more known about it."""
        return Decision({**self.facts, **plain(facts)})

    def hindered(self, why: Obstacle, text: str) -> Decision:
        """The same decision, with what stood in its way."""
        return self.knowing(reason={"code": str(why), "text": text})

    def without_signals(self, why: Obstacle, text: str) -> Decision:
        """The same decision, to signal nothing."""
        return self.hindered(why, text).knowing(targets=[], signals=[])

    @property
    def remembered(self) -> tuple[LastBelief, ...]:
        """The newest belief of each symbol once this bar is decided: what the next bar is sized with."""
        return tuple(_last_belief(facts) for facts in self.facts["remembered"])

    def signalling(
        self, targets: Sequence[Chosen], closes_ticks: Mapping[str, int], places: Mapping[str, int], ttl_ns: int
    ) -> Decision:
        """The same decision, to signal these targets.

        Parameters
        ----------
        closes_ticks : what each symbol was decided at; a target without a close has nothing to be told.
        places : place of each symbol in the universe.
        ttl_ns : time to live.
        """
        chosen = sorted(
            (target for target in targets if target.symbol in closes_ticks), key=lambda of: places[of.symbol]
        )
        return self.knowing(
            targets=[
                {"symbol": of.symbol, "lots": str(of.lots), "weight": float(of.weight), "reason": str(of.reason)}
                for of in targets
            ],
            signals=[
                {
                    "symbol": of.symbol,
                    "target_lots": str(of.lots),
                    "reference_ticks": str(closes_ticks[of.symbol]),
                    "time_to_live_ns": str(ttl_ns),
                    "entry": str(bar_entry(self.bar_close_ns, places[of.symbol])),
                }
                for of in chosen
            ],
        )

    @property
    def closes_ticks(self) -> dict[str, int]:
        """Last known close of each symbol, in its ticks; those of the bar before where nothing was sized."""
        return {symbol: int(ticks) for symbol, ticks in self.facts["closes_ticks"].items()}

    @property
    def speaks(self) -> bool:
        """Whether something is believed at this bar: views came, and not all that was believed has ended."""
        reason = self.facts["reason"]
        came = reason is None or reason["code"] not in (Obstacle.VIEWS_REFUSED, Obstacle.VIEWS_ABSENT)
        return came and (not self.facts["stopped"] or len(self.facts["stopped"]) < len(self.facts["remembered"]))

    @property
    def standing(self) -> dict[str, Any]:
        """How the release's views stand at this bar, for `status` and `/readyz`."""
        return {"speaks": self.speaks, **{key: self.facts[key] for key in ("bar_close_ns", "reason", "stopped")}}

    @property
    def line(self) -> bytes:
        """The line, with its end."""
        return canonical_json(self.facts) + b"\n"

    @property
    def bar_close_ns(self) -> int:
        """Close of the bar, market time."""
        return int(self.facts["bar_close_ns"])

    def views(self, scope: Scope, publish_time_ns: int) -> list[tuple[EntryId, Message]]:
        """What goes to the agent's stream of views."""
        return [self._view(scope, facts, publish_time_ns) for facts in self.facts["views"]]

    def signals(self, scope: Scope, publish_time_ns: int) -> list[tuple[EntryId, Message]]:
        """What goes to the release's stream of signals: one message for each, and the marker that these are all."""
        messages: list[tuple[EntryId, Message]] = [
            self._signal(scope, facts, publish_time_ns) for facts in self.facts["signals"]
        ]
        marker = end_marker(
            COORDINATOR,
            scope.signals,
            self.bar_close_ns,
            sent=len(messages),
            consumed=[(scope.bars, EntryId.parse(self.facts["bars_entry"]))],
            publish_time_ns=publish_time_ns,
            trace_id=scope.streams.trace(self.bar_close_ns),
            causation_id=scope.caused_by(self.bar_close_ns),
        )
        return [*messages, marker]

    def _envelope(self, scope: Scope, schema_id: str, stream: str, entry: EntryId, publish_time_ns: int) -> Envelope:
        return bar_envelope(
            schema_id,
            COORDINATOR,
            stream,
            entry,
            publish_time_ns=publish_time_ns,
            trace_id=scope.streams.trace(self.bar_close_ns),
            causation_id=scope.caused_by(self.bar_close_ns),
        )

    def _view(self, scope: Scope, facts: Mapping[str, Any], publish_time_ns: int) -> tuple[EntryId, ViewMessage]:
        entry, note = EntryId.parse(facts["entry"]), note_of(facts)
        kind = ViewMessage if note is None else NotedViewMessage
        beside: dict[str, Any] = {} if note is None else asdict(note)
        return entry, kind(
            envelope=self._envelope(scope, kind.SCHEMA_ID, scope.views, entry, publish_time_ns),
            agent=scope.agent,
            symbol=facts["symbol"],
            as_of_ns=int(facts["as_of_ns"]),
            horizon_ns=int(facts["horizon_ns"]),
            score=facts["score"],
            mean_bps=facts["mean_bps"],
            std_bps=facts["std_bps"],
            quantiles=tuple(Quantile(**point) for point in facts["quantiles"]),
            **beside,
        )

    def _signal(self, scope: Scope, facts: Mapping[str, Any], publish_time_ns: int) -> tuple[EntryId, HftSignalMessage]:
        entry = EntryId.parse(facts["entry"])
        return entry, HftSignalMessage(
            envelope=self._envelope(scope, HftSignalMessage.SCHEMA_ID, scope.signals, entry, publish_time_ns),
            release=self.facts["release"],
            symbol=facts["symbol"],
            target_lots=int(facts["target_lots"]),
            bar_close_ns=self.bar_close_ns,
            time_to_live_ns=int(facts["time_to_live_ns"]),
            reference_ticks=int(facts["reference_ticks"]),
        )


def view_facts(view: ViewMessage, agent: str, place: int) -> dict[str, Any]:
    """An agent's view as the line says it; `place` is that of its symbol in the universe."""
    wire = view.model_dump(mode="json", exclude={"envelope", "agent"})
    return {**wire, "agent": agent, "entry": str(bar_entry(view.as_of_ns, place))}


def note_of(facts: Mapping[str, Any]) -> ViewNote | None:
    """What stands beside a view's numbers in a line; None where nothing does."""
    if facts.get("thesis") is None:
        return None
    return ViewNote(facts["thesis"], tuple(facts["read"]), facts["model_kind"], facts["elicitation"])


def member_facts(answer: MemberAnswer) -> dict[str, Any]:
    """What came of asking a member of a pool, as the line says it."""
    return {
        "name": answer.name,
        "release": answer.release,
        "silence": None if answer.silence is None else obstacle(answer.silence),
        "shadow": None if answer.shadow is None else answer.shadow.as_dict(),
        "views": [{"symbol": view.symbol, "mean_bps": view.mean_bps, "std_bps": view.std_bps} for view in answer.views],
    }


def format_of(views: Sequence[Mapping[str, Any]], members: Sequence[Mapping[str, Any]] = ()) -> str:
    """The format of a line with these views, and these members of a pool."""
    if members:
        return MEMBERS_FORMAT
    return DECISION_FORMAT if all(note_of(view) is None for view in views) else NOTED_FORMAT


def belief_facts(belief: Belief) -> dict[str, Any]:
    """A belief as the line says it."""
    return {
        "symbol": belief.symbol,
        "horizon_ns": str(belief.horizon // timedelta(microseconds=1) * 1_000),
        "mean_bps": belief.mean_bps,
        "std_bps": belief.std_bps,
    }


def remembered_facts(last: LastBelief) -> dict[str, Any]:
    """What is remembered of a symbol, as the line says it."""
    return {
        **belief_facts(last.belief),
        "as_of_ns": str(to_ns(last.belief.as_of)),
        "lots": None if last.lots is None else str(last.lots),
    }


def stopped_facts(stopped: Stopped) -> dict[str, Any]:
    """A symbol whose views have stopped, as the line says it."""
    return {
        "symbol": stopped.symbol,
        "since_ns": str(to_ns(stopped.since)),
        "bar": stopped.bar,
        "stage": str(stopped.stage),
    }


def _last_belief(facts: Mapping[str, Any]) -> LastBelief:
    belief = Belief(
        symbol=facts["symbol"],
        as_of=from_ns(int(facts["as_of_ns"])),
        horizon=timedelta(microseconds=int(facts["horizon_ns"]) // 1_000),
        mean_bps=float(facts["mean_bps"]),
        std_bps=float(facts["std_bps"]),
    )
    return LastBelief(belief, None if facts["lots"] is None else int(facts["lots"]))


def account_facts(state: AccountStateMessage) -> dict[str, Any]:
    """An account as the line says it."""
    wire = state.model_dump(mode="json", exclude={"envelope", "bar_close_ns"})
    return {**wire, "entry": str(account_entry(state.bar_close_ns))}


def obstacle(error: SapphireError) -> str:
    """An error in one line."""
    return "; ".join(text for text in (error.what, error.expected and f"expected {error.expected}", error.got) if text)
