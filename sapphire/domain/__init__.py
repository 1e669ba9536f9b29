"""The vocabulary: instruments, money, bars, views, signals, orders, messages, clocks, errors.

In:    nothing of ours; the standard library, numpy, and pydantic where messages are used.
Out:   frozen values that every other room speaks in, and the one tree of errors.
Never: does I/O, reads the wall clock (but for `WallClock`, made at the edge), rounds a price, quantity or amount.

Names that need numpy or pydantic, and those of releases, are loaded on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from sapphire.domain.clocks import Clock, FixedClock, Instant, WallClock, from_ns, parse_duration, to_ns
from sapphire.domain.errors import (
    AgentError,
    BadBars,
    BadMessage,
    ConfigError,
    DataError,
    EngineError,
    EngineMissing,
    EvidenceRefused,
    ExchangeError,
    HoldoutSealed,
    LeakFound,
    LedgerDamaged,
    MessageError,
    MissingData,
    NotFitted,
    NotReady,
    PortInUse,
    PrecisionError,
    Refused,
    SapphireError,
    StatisticsError,
    StudyError,
    TooFewReturns,
    TwinDiffers,
    UnknownFile,
    UnknownInstrument,
    UnknownInterval,
    UnknownSchema,
    ValueRefused,
)
from sapphire.domain.instruments import Instrument, InstrumentKind, Universe
from sapphire.domain.intervals import INTERVALS, Interval
from sapphire.domain.money import ATOMS_PER_UNIT, fee_atoms, from_atoms, notional_atoms, to_atoms, units_of
from sapphire.domain.orders import Fill, Order, OrderState, OrderType, Side, TimeInForce
from sapphire.domain.positions import Position
from sapphire.domain.provenance import Provenance
from sapphire.domain.signals import Signal
from sapphire.domain.views import Belief, View

if TYPE_CHECKING:
    from sapphire.domain.bars import FIELDS, Bars, Field
    from sapphire.domain.evidence import GateReport
    from sapphire.domain.limits import STANDARD, Execution, Limits
    from sapphire.domain.messages import (
        MESSAGE_TYPES,
        AccountStateMessage,
        AdvancedMessage,
        Envelope,
        FillReport,
        HeartbeatMessage,
        HftSignalMessage,
        MarketDataMessage,
        MarketKind,
        Message,
        OrderExecutionMessage,
        PartState,
        PositionState,
        Quantile,
        RiskUpdateMessage,
        Sent,
        SettledMessage,
        StreamPosition,
        TradingState,
        ViewMessage,
        decode,
        encode,
    )
    from sapphire.domain.protocols import Protocol
    from sapphire.domain.releases import Manifest, ReleasedAgent, ReleasedSizing
    from sapphire.domain.windows import Feature, Window

_LAZY = {
    **dict.fromkeys(("FIELDS", "Bars", "Field"), "bars"),
    **dict.fromkeys(("Feature", "Window"), "windows"),
    **dict.fromkeys(("STANDARD", "Execution", "Limits"), "limits"),
    "Protocol": "protocols",
    **dict.fromkeys(("Manifest", "ReleasedAgent", "ReleasedSizing"), "releases"),
    "GateReport": "evidence",
    **dict.fromkeys(
        (
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
        ),
        "messages",
    ),
}

__all__ = [
    "ATOMS_PER_UNIT",
    "FIELDS",
    "INTERVALS",
    "MESSAGE_TYPES",
    "STANDARD",
    "AccountStateMessage",
    "AdvancedMessage",
    "AgentError",
    "BadBars",
    "BadMessage",
    "Bars",
    "Belief",
    "Clock",
    "ConfigError",
    "DataError",
    "EngineError",
    "EngineMissing",
    "Envelope",
    "EvidenceRefused",
    "ExchangeError",
    "Execution",
    "Feature",
    "Field",
    "Fill",
    "FillReport",
    "FixedClock",
    "GateReport",
    "HeartbeatMessage",
    "HftSignalMessage",
    "HoldoutSealed",
    "Instant",
    "Instrument",
    "InstrumentKind",
    "Interval",
    "LeakFound",
    "LedgerDamaged",
    "Limits",
    "Manifest",
    "MarketDataMessage",
    "MarketKind",
    "Message",
    "MessageError",
    "MissingData",
    "NotFitted",
    "NotReady",
    "Order",
    "OrderExecutionMessage",
    "OrderState",
    "OrderType",
    "PartState",
    "PortInUse",
    "Position",
    "PositionState",
    "PrecisionError",
    "Protocol",
    "Provenance",
    "Quantile",
    "Refused",
    "ReleasedAgent",
    "ReleasedSizing",
    "RiskUpdateMessage",
    "SapphireError",
    "Sent",
    "SettledMessage",
    "Side",
    "Signal",
    "StatisticsError",
    "StreamPosition",
    "StudyError",
    "TimeInForce",
    "TooFewReturns",
    "TradingState",
    "TwinDiffers",
    "Universe",
    "UnknownFile",
    "UnknownInstrument",
    "UnknownInterval",
    "UnknownSchema",
    "ValueRefused",
    "View",
    "ViewMessage",
    "WallClock",
    "Window",
    "decode",
    "encode",
    "fee_atoms",
    "from_atoms",
    "from_ns",
    "notional_atoms",
    "parse_duration",
    "to_atoms",
    "to_ns",
    "units_of",
]


def __getattr__(name: str) -> object:
    """Load what is not needed by everybody when it is first asked for (PEP 562)."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
