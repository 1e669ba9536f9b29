//! What a replay is made of, and why it cannot go on.

use sapphire_core::amounts::Atoms;
use sapphire_core::engine::{BadConfig, Execution, FeeSide};
use sapphire_core::instrument::Asset;
use sapphire_core::positions::NotHoldable;
use sapphire_core::risk::Limits;
use sapphire_core::venue::{FeeRates, Rejection};

use super::quotes::Quote;
use crate::latency::Latency;

/// What a replay assumes about the exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// Every order fills whole at the open of the minute that begins: no spread, no latency.
    NextOpen {
        /// What fees are taken in.
        fee_side: FeeSide,
    },
    /// The synthetic liquidity's book; fees in what is received.
    Book {
        /// How long orders travel.
        latency: Latency,
    },
}

impl Model {
    /// The four assumptions in their order, each model one more realistic than the one before.
    #[must_use]
    pub fn ladder(latency: Latency) -> [Self; 4] {
        [
            Self::NextOpen { fee_side: FeeSide::Quote },
            Self::NextOpen { fee_side: FeeSide::Received },
            Self::Book { latency: Latency::NONE },
            Self::Book { latency },
        ]
    }

    pub(super) fn fee_side(self) -> FeeSide {
        match self {
            Self::NextOpen { fee_side } => fee_side,
            Self::Book { .. } => FeeSide::Received,
        }
    }
}

/// What a replay is made of, but for its symbols.
#[derive(Clone, Debug)]
pub struct ReplayConfig {
    /// The asset that cash is in.
    pub quote: Asset,
    /// Number of assets.
    pub assets: usize,
    /// Seed of the synthetic liquidity.
    pub seed: u64,
    /// Fee rates.
    pub fees: FeeRates,
    /// The exchange.
    pub model: Model,
    /// The gate's numbers.
    pub limits: Limits,
    /// How targets are worked. At the next open there is nothing to slip through: the price is that open.
    pub execution: Execution,
    /// What the account begins with.
    pub deposits: Vec<(Asset, Atoms)>,
    /// When it begins.
    pub start_ns: i64,
    /// How long a signal is worked on after its bar's close.
    pub time_to_live_ns: i64,
}

/// Why a replay cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// The engine's configuration.
    #[error(transparent)]
    Config(#[from] BadConfig),
    /// A deposit that the exchange does not take.
    #[error("deposit: {0}")]
    Deposit(#[from] Rejection),
    /// More of an asset than an account can hold.
    #[error(transparent)]
    NotHoldable(#[from] NotHoldable),
    /// What is held of a symbol is worth more than an account can hold.
    #[error(
        "{atoms} atoms of {symbol} at {close_ns} ns are worth more than the 10^20 of an asset that an account can hold"
    )]
    NotValued {
        /// The symbol; of the whole account where it is empty.
        symbol: String,
        /// How much is held.
        atoms: Atoms,
        /// Close of the bar.
        close_ns: i64,
    },
    /// A close after the trading rules of the market have changed to ones that it was not begun with.
    #[error("expected a close up to {change_ns} ns, when trading rules change, got {close_ns} ns")]
    RulesChange {
        /// When they change.
        change_ns: i64,
        /// The close given.
        close_ns: i64,
    },
    /// A close that is not a whole minute.
    #[error("expected a close at a whole minute, got {close_ns} ns")]
    CloseNotAMinute {
        /// The close given.
        close_ns: i64,
    },
    /// A bar that closes before the market's time.
    #[error("expected a close after {after_ns} ns, got {close_ns} ns")]
    CloseOutOfOrder {
        /// Where time stands.
        after_ns: i64,
        /// The close given.
        close_ns: i64,
    },
    /// A signal, or the end of a bar, while no bar is closed.
    #[error("expected a closed bar, got a signal or an end after the end of the bar; close the next bar first")]
    NoBar,
    /// A table of targets of the wrong size.
    #[error("expected {expected} targets (bars times symbols), got {got}")]
    Targets {
        /// Bars times symbols.
        expected: usize,
        /// The number given.
        got: usize,
    },
    /// Something is held of a symbol that has had no candle yet.
    #[error("expected a candle of {symbol} before {close_ns} ns to value what is held of it, got none")]
    NoPrice {
        /// The symbol.
        symbol: String,
        /// Close of the bar.
        close_ns: i64,
    },
    /// A quote that is older than the one before.
    #[error("expected a quote at {after_ns} ns or later, got one of {time_ns} ns")]
    QuoteOutOfOrder {
        /// Time of the quote before.
        after_ns: i64,
        /// Time of this one.
        time_ns: i64,
    },
    /// A quote without a price on one side, with its sides crossed, or with less than nothing at a price.
    #[error("expected 0 < bid <= ask and sizes of 0 or more, got {0:?}")]
    BadQuote(Quote),
    /// A target or a command before the first quote.
    #[error("expected a quote first, got a target or a command")]
    NoQuote,
    /// Engine and exchange do not hold the same: a defect of ours, never to be traded on.
    #[error("asset {asset}: the exchange holds {exchange} atoms, the engine {engine}")]
    BalancesDiffer {
        /// Index of the asset.
        asset: u16,
        /// What the exchange says.
        exchange: Atoms,
        /// What the engine says.
        engine: Atoms,
    },
}
