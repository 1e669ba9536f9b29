"""Messages: the one definition of what parts of Sapphire tell each other.

A message is an envelope and its fields, in JSON: keys sorted, no spaces, every field present (null where there is
nothing), decimals and 64-bit numbers as text (`wire`). A field that the schema version does not have is refused, as is
a bad value, and named. Fields are only ever added, under a new schema version.

JSON Schemas and the Rust types are generated from here: `python -m sapphire.domain.generate`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from sapphire.domain.clocks import from_ns, to_ns
from sapphire.domain.envelope import MAX_MESSAGE_BYTES, Envelope, Message, WireModel, read_message, write_message
from sapphire.domain.intervals import Interval
from sapphire.domain.order_messages import FillReport, OrderExecutionMessage
from sapphire.domain.signals import Signal
from sapphire.domain.views import View, ViewNote
from sapphire.domain.wire import (
    AmountText,
    AtomsText,
    Counter,
    DecimalText,
    IntegerText,
    Name,
    Nanoseconds,
    PositiveText,
    Prose,
    SignedAtomsText,
    decimal_of_float,
)

__all__ = [
    "MAX_MESSAGE_BYTES",
    "MESSAGE_TYPES",
    "AccountStateMessage",
    "AdvancedMessage",
    "Envelope",
    "FillReport",
    "HeartbeatMessage",
    "HftSignalMessage",
    "MarketDataMessage",
    "MarketKind",
    "Message",
    "NotedViewMessage",
    "OrderExecutionMessage",
    "PartState",
    "PositionState",
    "Quantile",
    "RiskUpdateMessage",
    "Sent",
    "SettledMessage",
    "StreamPosition",
    "TradingState",
    "ViewMessage",
    "decode",
    "encode",
]

_MICROSECOND_NS = 1_000


class MarketKind(StrEnum):
    """What market the data are of."""

    GENERATED = "GENERATED"
    RECORDED = "RECORDED"
    REAL = "REAL"


class TradingState(StrEnum):
    """What an account may do: anything, only reduce, nothing."""

    ACTIVE = "ACTIVE"
    REDUCING = "REDUCING"
    HALTED = "HALTED"


class PartState(StrEnum):
    """Where a process is in its life."""

    STARTING = "STARTING"
    READY = "READY"
    STOPPING = "STOPPING"


class Quantile(WireModel):
    """One point of a forecast distribution."""

    probability: DecimalText
    """Between 0 and 1."""
    value_bps: DecimalText
    """Return in basis points that is not exceeded with this probability."""


class ViewMessage(Message):
    """An agent's view of a symbol: a score, or a mean with its deviation, or quantiles."""

    SCHEMA_ID = "VIEW@1"

    agent: Name
    """Who says it."""
    symbol: Name
    """Of what, "BTC/USDT"."""
    as_of_ns: Nanoseconds
    """Up to when the agent saw data, in whole microseconds."""
    horizon_ns: PositiveText
    """How far it looks ahead, in whole microseconds."""
    score: DecimalText | None
    """A number whose worth the calibration decides."""
    mean_bps: DecimalText | None
    """Expected return over the horizon."""
    std_bps: DecimalText | None
    """Its standard deviation."""
    quantiles: tuple[Quantile, ...]
    """By rising probability; empty where none are stated."""

    @staticmethod
    def schema_of(view: View) -> str:
        """The schema that says `view`: the first that has a place for all of it."""
        return ViewMessage.SCHEMA_ID if view.note is None else NotedViewMessage.SCHEMA_ID

    @classmethod
    def of(cls, view: View, envelope: Envelope) -> ViewMessage:
        """The message that says `view`; the envelope is of `schema_of(view)`."""
        levels = (view.quantiles_bps or {}).items()
        made: dict[str, Any] = {} if view.note is None else _note_fields(view.note)
        kind = ViewMessage if view.note is None else NotedViewMessage
        return kind(
            envelope=envelope,
            agent=view.agent,
            symbol=view.symbol,
            as_of_ns=to_ns(view.as_of),
            horizon_ns=view.horizon // timedelta(microseconds=1) * _MICROSECOND_NS,
            score=None if view.score is None else decimal_of_float(view.score),
            mean_bps=None if view.mean_bps is None else decimal_of_float(view.mean_bps),
            std_bps=None if view.std_bps is None else decimal_of_float(view.std_bps),
            quantiles=tuple(
                Quantile(probability=decimal_of_float(level), value_bps=decimal_of_float(value))
                for level, value in levels
            ),
            **made,
        )

    def view(self) -> View:
        """The view it says."""
        return View(
            symbol=self.symbol,
            as_of=from_ns(self.as_of_ns),
            horizon=timedelta(microseconds=self.horizon_ns // _MICROSECOND_NS),
            score=None if self.score is None else float(self.score),
            mean_bps=None if self.mean_bps is None else float(self.mean_bps),
            std_bps=None if self.std_bps is None else float(self.std_bps),
            quantiles_bps={float(point.probability): float(point.value_bps) for point in self.quantiles} or None,
            agent=self.agent,
        )

    def _check(self) -> None:
        super()._check()
        if self.as_of_ns % _MICROSECOND_NS or self.horizon_ns % _MICROSECOND_NS:
            raise ValueError("as_of_ns and horizon_ns in whole microseconds")
        levels = [float(point.probability) for point in self.quantiles]
        if levels != sorted(set(levels)):
            raise ValueError("quantiles by rising probability, each once")
        self.view()


class NotedViewMessage(ViewMessage):
    """A view with what stands beside its numbers: why, on what it read, and by what kind of model."""

    SCHEMA_ID = "VIEW@2"

    thesis: Prose
    """Why, in words; empty for none. A stranger's text: shown as text, never as markup."""
    read: tuple[Prose, ...]
    """Ids of the documents that were read."""
    model_kind: Prose
    """What kind of model made it, "embedded-default"; empty for none."""
    elicitation: Prose
    """How the model was asked, "one token"; empty for none."""

    def view(self) -> View:
        """The view it says, with its note."""
        note = ViewNote(self.thesis, self.read, self.model_kind, self.elicitation)
        return replace(super().view(), note=note)


def _note_fields(note: ViewNote) -> dict[str, Any]:
    return {field.name: getattr(note, field.name) for field in fields(note)}


class HftSignalMessage(Message):
    """A target position with a time to live, for the execution service."""

    SCHEMA_ID = "HFT_SIGNAL@1"

    release: Name
    """Digest of the release that decided."""
    symbol: Name
    """Of what, "BTC/USDT"."""
    target_lots: IntegerText
    """Position to hold; negative is short."""
    bar_close_ns: Nanoseconds
    """Close of the bar it stands on, market time."""
    time_to_live_ns: PositiveText
    """How long after that close it is worth driving towards."""
    reference_ticks: PositiveText
    """Price it was decided at."""

    @classmethod
    def of(cls, signal: Signal, envelope: Envelope) -> HftSignalMessage:
        """The message that says `signal`."""
        return cls(
            envelope=envelope,
            release=signal.release,
            symbol=signal.symbol,
            target_lots=signal.target_lots,
            bar_close_ns=signal.bar_close_ns,
            time_to_live_ns=signal.time_to_live_ns,
            reference_ticks=signal.reference_ticks,
        )

    def signal(self) -> Signal:
        """The signal it says."""
        return Signal(
            release=self.release,
            symbol=self.symbol,
            target_lots=self.target_lots,
            bar_close_ns=self.bar_close_ns,
            time_to_live_ns=self.time_to_live_ns,
            reference_ticks=self.reference_ticks,
        )


class MarketDataMessage(Message):
    """One closed bar."""

    SCHEMA_ID = "MARKET_DATA@1"

    venue: Name
    """Whose bar it is."""
    market: MarketKind
    """What market it is of; days on the real one count as paper days."""
    symbol: Name
    """Of what, "BTC/USDT"."""
    interval: Name
    """Length of the bar, "1h"."""
    open_time_ns: Nanoseconds
    """Open time; the bar closes one interval later."""
    open: DecimalText
    """First price, quote per base."""
    high: DecimalText
    """Highest price."""
    low: DecimalText
    """Lowest price."""
    close: DecimalText
    """Last price."""
    volume_base: DecimalText
    """Traded quantity."""

    def _check(self) -> None:
        super()._check()
        Interval(self.interval)
        if not 0 < self.low <= min(self.open, self.close) <= max(self.open, self.close) <= self.high:
            raise ValueError("prices above zero, with high and low around open and close")
        if self.volume_base < 0:
            raise ValueError("volume_base of zero or more")


class RiskUpdateMessage(Message):
    """What an account may do, and since which event."""

    SCHEMA_ID = "RISK_UPDATE@1"

    account: Name
    """Which account."""
    state: TradingState
    """What it may do from now on."""
    code: Name
    """Stable code of the reason."""
    symbol: Name | None
    """The symbol that it is about, where it is about one."""
    limit: DecimalText | None
    """The limit that was met."""
    value: DecimalText | None
    """The value that met it."""
    text: Prose
    """The reason, for people."""


class PositionState(WireModel):
    """What an account holds of one symbol."""

    symbol: Name
    """Of what, "BTC/USDT"."""
    atoms: AtomsText
    """Base held, in atoms of 1e-8."""
    lots: AmountText
    """Whole lots of it."""


class AccountStateMessage(Message):
    """An account at the close of a bar: what sizing starts from. It values nothing; whoever sizes has the prices."""

    SCHEMA_ID = "ACCOUNT_STATE@1"

    account: Name
    """Which account."""
    bar_close_ns: Nanoseconds
    """Close of the bar, market time."""
    state: TradingState
    """What it may do."""
    quote: Name
    """Asset that its cash is in."""
    cash_quote_atoms: SignedAtomsText
    """Cash, in atoms of 1e-8."""
    positions: tuple[PositionState, ...]
    """One for each symbol that the account trades, in its order."""


class HeartbeatMessage(Message):
    """A part is alive."""

    SCHEMA_ID = "HEARTBEAT@1"

    state: PartState
    """Where it is in its life."""
    since_ns: Nanoseconds
    """Wall time since when it is there."""
    address: Name | None
    """Where it listens."""
    release: Name | None
    """The release that it runs."""


class AdvancedMessage(Message):
    """In lock-step: market time stands here until every part has settled. The envelope's sequence numbers the steps."""

    SCHEMA_ID = "ADVANCED@1"

    now_ns: Nanoseconds
    """Market time."""
    bar_close_ns: Nanoseconds | None
    """The bar that has just closed; nothing within a bar."""
    account_events: Counter
    """Number of the last event that the exchange told the account; who has read up to it has seen everything."""


class StreamPosition(WireModel):
    """How far a stream was read."""

    stream: Name
    """The stream."""
    position: Name
    """Id of the last entry that was consumed."""


class Sent(WireModel):
    """How much was written to a stream."""

    stream: Name
    """The stream."""
    count: Counter
    """Messages written for this bar."""


class SettledMessage(Message):
    """In lock-step: a part has nothing more to do until market time moves."""

    SCHEMA_ID = "SETTLED@1"

    bar_close_ns: Nanoseconds
    """Close of the bar it is about, market time."""
    consumed: tuple[StreamPosition, ...]
    """What it had read by then."""
    sent: tuple[Sent, ...]
    """What it sent since it last settled."""
    wake_at_ns: Nanoseconds | None
    """The market time at which it wants to be woken, at the latest."""


_TYPES: tuple[type[Message], ...] = (
    ViewMessage,
    NotedViewMessage,
    HftSignalMessage,
    MarketDataMessage,
    OrderExecutionMessage,
    RiskUpdateMessage,
    HeartbeatMessage,
    SettledMessage,
    AdvancedMessage,
    AccountStateMessage,
)

MESSAGE_TYPES: Mapping[str, type[Message]] = MappingProxyType({each.SCHEMA_ID: each for each in _TYPES})
"""Message type by schema id."""


def encode(message: Message) -> bytes:
    """Canonical bytes of a message: the same message is the same bytes in every language.

    Raises
    ------
    BadMessage : larger than `MAX_MESSAGE_BYTES`.
    """
    return write_message(message)


def decode(data: bytes) -> Message:
    """The message that `data` holds.

    Raises
    ------
    UnknownSchema : a schema id that this version does not have.
    BadMessage : anything else that is wrong; names the field.
    """
    return read_message(data, MESSAGE_TYPES)
