//! The whole engine: one event in, what it decides out.
//!
//! Invariants, property-tested: the same events give the same outputs, byte for byte; however the venue's reports are
//! delayed, doubled or shuffled, the position is in the end what the venue says; no more is ever sold than is held;
//! what is held and on the way never passes the target by a whole lot; a halted engine sends nothing but cancels.
//!
//! How a target is worked: signals set targets, the end of the bar releases them. Sells go first, and the buys wait
//! until the sells are final. An instrument has one order on the way. What an order leaves open is tried again after a
//! pause, until less than the venue's smallest order is left or the target's time to live is over. A best bid and offer
//! never sends an order by itself: it is noted, and the next end of bar, report or timer acts on it.
//!
//! A command can set a target too: nothing, of one instrument or of all. It has no time to live, no signal replaces it,
//! and it holds until a command resumes.
//!
//! Known limitation: spot, one quote asset, one style (taking), one target for an instrument whoever sets it.

use serde::{Deserialize, Serialize};

use crate::amounts::Atoms;
use crate::instrument::{Asset, Instrument, InstrumentId, RATE_ONE};
use crate::orders::{ClientOrderId, OrderTable, ReleaseId, Tracked, Transition};
use crate::positions::Ledger;
use crate::risk::{Bbo, DenialCode, Gate, Level, Limits, TradingState};

/// What the engine is told.
pub mod event;
/// What the engine decides.
pub mod output;

mod intake;
mod reports;
mod sizing;
mod state;
mod view;
mod work;

pub use event::{BadEvent, Balances, Body, Event, Signal};
pub use output::{EndCause, Output, Outputs, Refusal, SignalId};

/// In which asset the venue takes its fee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeeSide {
    /// In what is received: base for a buy, quote for a sell. Binance spot.
    Received,
    /// In quote on both sides: what most screens assume.
    Quote,
    /// In an asset of its own, such as the venue's coin: what is bought arrives whole, and a sale pays whole.
    Other,
}

/// How orders are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Style {
    /// Immediate-or-cancel orders through the spread.
    Taker,
}

/// How targets are worked. A setting that is not named has its default; one that is not known is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Execution {
    /// How orders are sent.
    pub style: Style,
    /// How far beyond the best price of the other side an order may trade, basis points.
    pub max_slippage_bps: i64,
    /// Pause after an order before the rest is tried again, market time.
    pub retry_ns: i64,
    /// Pause between two questions about an order that nobody can find.
    pub query_ns: i64,
    /// Oldest bar whose signal is still taken, market time since its close.
    pub max_signal_age_ns: i64,
}

impl Default for Execution {
    /// A fifth of a percent through the spread, again after 5 s (the interval of the synthetic liquidity), signals
    /// within a minute.
    fn default() -> Self {
        Self {
            style: Style::Taker,
            max_slippage_bps: 20,
            retry_ns: 5_000_000_000,
            query_ns: 1_000_000_000,
            max_signal_age_ns: 60_000_000_000,
        }
    }
}

/// What an engine is made of. It belongs to the journal's header: the same events under another one decide otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Venue rules, by instrument index.
    pub instruments: Vec<Instrument>,
    /// The asset that cash is in.
    pub quote: Asset,
    /// Number of assets.
    pub assets: usize,
    /// Number of releases.
    pub releases: usize,
    /// Tag of the account in order ids.
    pub account_tag: u16,
    /// Taker fee, 1e-8.
    pub fee_rate: i64,
    /// What it is taken in.
    pub fee_side: FeeSide,
    /// How targets are worked.
    pub execution: Execution,
    /// The gate's numbers.
    pub limits: Limits,
}

/// A configuration that cannot be meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("engine configuration: {0}")]
pub struct BadConfig(pub String);

impl Config {
    fn check(&self) -> Result<(), BadConfig> {
        let Execution { max_slippage_bps, retry_ns, query_ns, max_signal_age_ns, .. } = self.execution;
        let numbers = [
            ("fee_rate", self.fee_rate, 0, RATE_ONE / 10),
            ("max_slippage_bps", max_slippage_bps, 0, 9_999),
            ("retry_ns", retry_ns, 1, i64::MAX),
            ("query_ns", query_ns, 1, i64::MAX),
            ("max_signal_age_ns", max_signal_age_ns, 0, i64::MAX),
            ("symbols of the limits", self.limits.symbols.len() as i64, self.instruments.len() as i64, i64::MAX),
            ("strategies of the limits", self.limits.strategies.len() as i64, self.releases as i64, i64::MAX),
        ];
        for (name, value, least, most) in numbers {
            if !(least..=most).contains(&value) {
                return Err(BadConfig(format!("{name}: expected {least} to {most}, got {value}")));
            }
        }
        for (index, instrument) in self.instruments.iter().enumerate() {
            let others = &self.instruments[..index];
            let sound = instrument.quote == self.quote
                && instrument.base != self.quote
                && (instrument.base.0 as usize) < self.assets
                && (instrument.quote.0 as usize) < self.assets
                && others.iter().all(|other| other.base != instrument.base);
            if let Some(fault) = instrument.fault() {
                return Err(BadConfig(format!("instrument {index}: {fault}")));
            }
            if !sound {
                let expected = "the account's quote asset, a base asset of its own";
                return Err(BadConfig(format!("instrument {index}: expected {expected}, got {instrument:?}")));
            }
        }
        self.limits.fault().map_or(Ok(()), |fault| Err(BadConfig(fault)))
    }
}

/// A target and how far it has come. One that a command has set is of [`ReleaseId::OPERATOR`] and has no end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Target {
    release: ReleaseId,
    lots: i64,
    bar_close_ns: i64,
    deadline_ns: i64,
    /// The end of its bar has come.
    released: bool,
    /// Nothing is left to do unless the position changes.
    reached: bool,
    /// That it was reached has been said.
    emitted: bool,
}

/// One instrument's work.
#[derive(Clone, Debug)]
struct InstrumentWork {
    target: Option<Target>,
    /// Orders that may still change the position: one, or more when an order given up came back.
    live: Vec<ClientOrderId>,
    /// Not before this time.
    retry_ns: i64,
    /// When to ask about an order that is unresolved or misses trades.
    ask_ns: i64,
    /// Not before something changes.
    suspended: bool,
    /// The last refusal that was told for this target.
    refused: Option<(DenialCode, Level)>,
}

impl InstrumentWork {
    fn new() -> Self {
        Self {
            target: None,
            live: Vec::with_capacity(4),
            retry_ns: i64::MIN,
            ask_ns: i64::MAX,
            suspended: false,
            refused: None,
        }
    }

    fn resume(&mut self) {
        self.suspended = false;
        self.refused = None;
    }
}

/// The engine's state: a pure fold over its events.
#[derive(Debug)]
pub struct Engine {
    instruments: Vec<Instrument>,
    account_tag: u16,
    fee_rate: i64,
    fee_side: FeeSide,
    /// What a buy pays in quote on top of its value, 1e-8.
    quote_fee_rate: i64,
    execution: Execution,
    now_ns: i64,
    epoch: u32,
    sequence: u64,
    orders: OrderTable,
    ledger: Ledger,
    gate: Gate,
    bbos: Vec<Option<Bbo>>,
    work: Vec<InstrumentWork>,
    /// By release.
    evidence: Vec<bool>,
    /// Close of the last bar taken, by release and instrument.
    cursors: Vec<i64>,
    /// Close of the last bar whose end marker has come.
    ended_bar_ns: i64,
    /// Time of the last trade.
    traded_ns: i64,
    /// What the last [`Output::WakeAt`] asked for.
    asked_wake_ns: Option<i64>,
}

/// What a command closes is not given up when an order is refused, by the gate or by the venue: it is tried again after
/// this much market time. A release's target waits for something to change instead.
const REFUSED_NS: i64 = 60_000_000_000;

/// Orders and tombstones before the table grows.
const ORDERS: usize = 1_024;

impl Engine {
    /// An engine that holds nothing and knows nothing.
    ///
    /// # Errors
    /// [`BadConfig`] names the first number that cannot be meant.
    pub fn new(config: Config) -> Result<Self, BadConfig> {
        config.check()?;
        let count = config.instruments.len();
        let quote_fee_rate = if config.fee_side == FeeSide::Quote { config.fee_rate } else { 0 };
        Ok(Self {
            account_tag: config.account_tag,
            fee_rate: config.fee_rate,
            fee_side: config.fee_side,
            quote_fee_rate,
            execution: config.execution,
            now_ns: i64::MIN,
            epoch: 0,
            sequence: 0,
            orders: OrderTable::with_capacity(ORDERS),
            ledger: Ledger::new(&config.instruments, config.quote, config.assets),
            gate: Gate::new(config.instruments.clone(), quote_fee_rate, &config.limits),
            bbos: vec![None; count],
            work: vec![InstrumentWork::new(); count],
            evidence: vec![false; config.releases],
            cursors: vec![i64::MIN; config.releases * count],
            ended_bar_ns: i64::MIN,
            traded_ns: i64::MIN,
            asked_wake_ns: None,
            instruments: config.instruments,
        })
    }

    /// Takes in one event and appends what follows from it to `out`. No clock, no I/O, no randomness, so the journal is
    /// enough to repeat any day. Time never runs backwards: an event stamped earlier than the one before is taken in at
    /// that one's time.
    pub fn step(&mut self, event: &Event, out: &mut Outputs) {
        self.now_ns = self.now_ns.max(event.market_ns);
        self.orders.prune(self.now_ns);
        match &event.body {
            Body::Bbo { instrument, bid_ticks, ask_ticks, as_of_ns } => {
                let market_ns = (*as_of_ns).min(self.now_ns);
                let bbo = Bbo { bid_ticks: *bid_ticks, ask_ticks: *ask_ticks, market_ns };
                self.note_bbo(*instrument, bbo);
                return;
            }
            Body::Signal(signal) => self.take_signal(signal, out),
            Body::Verdict { release, ok } => self.take_verdict(*release, *ok, out),
            Body::Limits { release, limits } => self.take_limits(*release, limits),
            Body::EndOfBar { bar_close_ns } => self.end_bar(*bar_close_ns),
            Body::Report(report) => self.take_report(report, out),
            Body::Balances(balances) => self.take_balances(balances, out),
            Body::Command(command) => self.on_command(*command, out),
            Body::Epoch { epoch } => self.begin_epoch(*epoch, out),
            Body::Timer => self.ask_again(out),
        }
        // A new epoch only asks: what the answers say is known before anything is sent.
        if !matches!(event.body, Body::Signal(_) | Body::Verdict { .. } | Body::Limits { .. } | Body::Epoch { .. }) {
            self.drive(out);
        }
        self.ask_to_wake(out);
    }

    /// The process starts anew. Whatever was on the way may or may not have been sent, so it is asked for.
    fn begin_epoch(&mut self, epoch: u32, out: &mut Outputs) {
        if epoch <= self.epoch {
            return;
        }
        (self.epoch, self.sequence) = (epoch, 0);
        for index in 0..self.work.len() {
            for place in 0..self.work[index].live.len() {
                let id = self.work[index].live[place];
                self.orders.act(id, Transition::Silence, self.now_ns);
                self.ask(index, id, out);
            }
        }
    }

    /// Market time of the latest event.
    pub fn now_ns(&self) -> i64 {
        self.now_ns
    }

    /// When the engine wants a [`Body::Timer`] next.
    pub fn wake_at_ns(&self) -> Option<i64> {
        self.asked_wake_ns
    }

    /// What is held.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Orders, live and lately ended.
    pub fn orders(&self) -> &OrderTable {
        &self.orders
    }

    /// Orders that may still change a position, by instrument.
    pub fn live_orders(&self) -> impl Iterator<Item = &Tracked> {
        (0..self.work.len()).flat_map(|index| self.live(index))
    }

    /// What passes at present.
    pub fn trading_state(&self) -> TradingState {
        self.gate.state()
    }

    /// Nothing that may still change a position is on the way.
    pub fn is_quiet(&self) -> bool {
        self.work.iter().all(|work| work.live.is_empty())
    }

    /// A command has closed an instrument, and none has resumed since.
    pub fn is_closed(&self, instrument: InstrumentId) -> bool {
        self.gate.is_closed(instrument)
    }

    /// What a command has closed is sold, but for less than the venue's smallest order.
    pub fn is_flat(&self, instrument: InstrumentId) -> bool {
        let work = self.work.get(instrument.0 as usize);
        work.is_some_and(|work| work.live.is_empty() && work.target.is_none_or(|target| target.reached))
    }

    /// Why the last order of an instrument was refused, where it still waits because of that.
    pub fn refused(&self, instrument: InstrumentId) -> Option<DenialCode> {
        Some(self.work.get(instrument.0 as usize)?.refused?.0)
    }

    /// Close of the last bar whose end marker has come.
    pub fn ended_bar_ns(&self) -> Option<i64> {
        (self.ended_bar_ns != i64::MIN).then_some(self.ended_bar_ns)
    }

    /// Latest middle price of an instrument, quote atoms per base unit, and market time since when it stands.
    pub fn price(&self, instrument: InstrumentId) -> Option<(Atoms, i64)> {
        let index = instrument.0 as usize;
        let bbo = (*self.bbos.get(index)?)?;
        Some((bbo.middle_atoms(&self.instruments[index]), bbo.market_ns))
    }

    /// Lots on the way, bought less sold, by instrument.
    pub fn in_flight_lots(&self, instrument: InstrumentId) -> i64 {
        let live = self.work.get(instrument.0 as usize).map_or(&[][..], |work| &work.live);
        let signed = |id: &ClientOrderId| {
            self.orders.get(*id).map_or(0, |tracked| tracked.order.side.sign() * tracked.in_flight_lots())
        };
        live.iter().map(signed).sum()
    }
}
