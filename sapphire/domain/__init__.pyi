from .bars import FIELDS as FIELDS, Bars as Bars, Field as Field
from .clocks import (
    Clock as Clock,
    FixedClock as FixedClock,
    Instant as Instant,
    WallClock as WallClock,
    from_ns as from_ns,
    parse_duration as parse_duration,
    to_ns as to_ns,
)
from .documents import Document as Document, DocumentKind as DocumentKind, Documents as Documents
from .errors import (
    AgentError as AgentError,
    BadBars as BadBars,
    BadDocuments as BadDocuments,
    BadMessage as BadMessage,
    ConfigError as ConfigError,
    DataError as DataError,
    EngineError as EngineError,
    EngineMissing as EngineMissing,
    EvidenceRefused as EvidenceRefused,
    ExchangeError as ExchangeError,
    HeadMoved as HeadMoved,
    HoldoutSealed as HoldoutSealed,
    LeakFound as LeakFound,
    LedgerDamaged as LedgerDamaged,
    MessageError as MessageError,
    MissingData as MissingData,
    NotFitted as NotFitted,
    NotReady as NotReady,
    PlaceDamaged as PlaceDamaged,
    PlaceDenied as PlaceDenied,
    PlaceError as PlaceError,
    PlaceFull as PlaceFull,
    PlaceUnreachable as PlaceUnreachable,
    PortInUse as PortInUse,
    PrecisionError as PrecisionError,
    Refused as Refused,
    SapphireError as SapphireError,
    StatisticsError as StatisticsError,
    StudyError as StudyError,
    TextExpired as TextExpired,
    TooFewReturns as TooFewReturns,
    TwinDiffers as TwinDiffers,
    UnknownFile as UnknownFile,
    UnknownInstrument as UnknownInstrument,
    UnknownInterval as UnknownInterval,
    UnknownSchema as UnknownSchema,
    ValueRefused as ValueRefused,
)
from .evidence import GateReport as GateReport
from .instruments import Instrument as Instrument, InstrumentKind as InstrumentKind, Universe as Universe
from .intervals import INTERVALS as INTERVALS, Interval as Interval
from .limits import STANDARD as STANDARD, Execution as Execution, Limits as Limits
from .messages import (
    MESSAGE_TYPES as MESSAGE_TYPES,
    AccountStateMessage as AccountStateMessage,
    AdvancedMessage as AdvancedMessage,
    Envelope as Envelope,
    FillReport as FillReport,
    HeartbeatMessage as HeartbeatMessage,
    HftSignalMessage as HftSignalMessage,
    MarketDataMessage as MarketDataMessage,
    MarketKind as MarketKind,
    Message as Message,
    OrderExecutionMessage as OrderExecutionMessage,
    PartState as PartState,
    PositionState as PositionState,
    Quantile as Quantile,
    RiskUpdateMessage as RiskUpdateMessage,
    Sent as Sent,
    SettledMessage as SettledMessage,
    StreamPosition as StreamPosition,
    TradingState as TradingState,
    ViewMessage as ViewMessage,
    decode as decode,
    encode as encode,
)
from .money import (
    ATOMS_PER_UNIT as ATOMS_PER_UNIT,
    fee_atoms as fee_atoms,
    from_atoms as from_atoms,
    notional_atoms as notional_atoms,
    to_atoms as to_atoms,
    units_of as units_of,
)
from .orders import (
    Fill as Fill,
    Order as Order,
    OrderState as OrderState,
    OrderType as OrderType,
    Side as Side,
    TimeInForce as TimeInForce,
)
from .positions import Position as Position
from .protocols import Protocol as Protocol
from .provenance import Provenance as Provenance
from .releases import Manifest as Manifest, ReleasedAgent as ReleasedAgent, ReleasedSizing as ReleasedSizing
from .signals import Signal as Signal
from .views import Belief as Belief, View as View, ViewNote as ViewNote
from .windows import Feature as Feature, Window as Window
