//! The engine on a market, under virtual time: what it would have done, bar by bar.
//!
//! The steps of a bar are those of a live run in lock-step: the exchange's reports up to the close, the account's
//! state, the signals of the bar, the marker that ends them. Orders sent while time stands at T arrive at T plus their
//! delay.
//! Invariant: the same configuration and the same signals give the same record, and one digest of every decision.
//!
//! Four assumptions stand between a screen and a market, and `Model::ladder` makes them one after the other: fills at
//! the next open with fees in quote; fees as the venue takes them; the book with its spread; latency.
//!
//! Known limitation: reports reach the engine at the instant they happen; latency lies on the way to the exchange.

use sapphire_core::engine::{Balances, Body, Config, Engine, Signal};
use sapphire_core::instrument::{Instrument, InstrumentId};
use sapphire_core::orders::{ReleaseId, Report};
use sapphire_core::risk::Command;

use crate::candle::MINUTE_NS;
use crate::market::Listed;

/// The engine on recorded quotes of one symbol.
pub mod quotes;

mod config;
mod exchange;
mod record;
mod recorder;
mod reports;
mod settling;

pub use config::{Model, ReplayConfig, ReplayError};
pub use record::{BarState, DenialRow, FillRow, OrderRow, Record, RefusalRow, TargetRow};
pub use settling::Settlement;

use exchange::Exchange;
use recorder::{Recorder, Route};

/// The one account and epoch of a replay.
const ACCOUNT_TAG: u16 = 0;
const EPOCH: u32 = 1;
const RELEASE: ReleaseId = ReleaseId(0);

/// In a table of targets: no signal for this symbol at this bar.
pub const NO_SIGNAL: i64 = i64::MIN;

/// An engine, an exchange and the record of what they do to each other.
#[derive(Debug)]
pub struct Replay {
    recorder: Recorder,
    exchange: Exchange,
    /// Where the rules that the market was begun with end; far away where they last.
    rules_end_ns: i64,
    time_to_live_ns: i64,
    /// Close of the bar that takes signals.
    open_bar_ns: Option<i64>,
    last_close_ns: i64,
    /// Last close of each symbol, ticks.
    marks: Vec<Option<i64>>,
    reports: Vec<Report>,
}

impl Replay {
    /// A replay that stands at its start with its deposits.
    ///
    /// # Errors
    /// A configuration or a deposit that cannot be meant.
    pub fn new(config: &ReplayConfig, listed: Vec<Listed>) -> Result<Self, ReplayError> {
        let instruments: Vec<Instrument> = listed.iter().map(|listed| listed.instrument).collect();
        let rules_end_ns = listed.iter().filter_map(Listed::rules_end_ns).min().unwrap_or(i64::MAX);
        let mut execution = config.execution;
        if matches!(config.model, Model::NextOpen { .. }) {
            execution.max_slippage_bps = 0;
        }
        let recorder = Recorder::new(Config {
            instruments,
            quote: config.quote,
            assets: config.assets,
            releases: 1,
            account_tag: ACCOUNT_TAG,
            fee_rate: config.fees.taker,
            fee_side: config.model.fee_side(),
            execution,
            limits: config.limits.clone(),
        })?;
        let mut replay = Self {
            recorder,
            marks: vec![None; listed.len()],
            exchange: Exchange::new(config, listed)?,
            rules_end_ns,
            time_to_live_ns: config.time_to_live_ns,
            open_bar_ns: None,
            last_close_ns: config.start_ns,
            reports: Vec::with_capacity(16),
        };
        replay.apply(Body::Epoch { epoch: EPOCH });
        replay.apply(Body::Verdict { release: RELEASE, ok: true });
        replay.quote();
        replay.apply(Body::Balances(Balances { as_of_ns: config.start_ns, holdings: config.deposits.clone() }));
        replay.recorder.check()?;
        Ok(replay)
    }

    /// Market time.
    pub fn now_ns(&self) -> i64 {
        self.exchange.now_ns()
    }

    /// The engine, to look at.
    pub fn engine(&self) -> &Engine {
        &self.recorder.engine
    }

    /// Number of symbols.
    pub fn symbols(&self) -> usize {
        self.marks.len()
    }

    /// What happened so far; [`Replay::finish`] completes it.
    pub fn record(&self) -> &Record {
        &self.recorder.record
    }

    /// Lets the market run to the close of a bar, with all that happens on the way, and says how the account stands.
    /// Then the bar takes signals.
    ///
    /// # Errors
    /// [`ReplayError::CloseNotAMinute`], [`ReplayError::CloseOutOfOrder`], [`ReplayError::RulesChange`],
    /// [`ReplayError::NoPrice`], [`ReplayError::NotValued`].
    pub fn close_bar(&mut self, close_ns: i64) -> Result<&BarState, ReplayError> {
        if close_ns.rem_euclid(MINUTE_NS) != 0 {
            return Err(ReplayError::CloseNotAMinute { close_ns });
        }
        if close_ns <= self.last_close_ns {
            return Err(ReplayError::CloseOutOfOrder { after_ns: self.last_close_ns, close_ns });
        }
        if close_ns > self.rules_end_ns {
            return Err(ReplayError::RulesChange { change_ns: self.rules_end_ns, close_ns });
        }
        self.run_to(close_ns);
        self.mark(close_ns);
        let state = self.state(close_ns)?;
        self.last_close_ns = close_ns;
        self.open_bar_ns = Some(close_ns);
        self.recorder.record.bars.push(state);
        self.recorder.record.bars.last().ok_or(ReplayError::NoBar)
    }

    /// States the target of one symbol for the bar just closed. What the engine refuses is in the record.
    ///
    /// # Errors
    /// [`ReplayError::NoBar`] before the first close and after the end of the bar.
    pub fn signal(&mut self, instrument: InstrumentId, target_lots: i64) -> Result<(), ReplayError> {
        let bar_close_ns = self.open_bar_ns.ok_or(ReplayError::NoBar)?;
        let time_to_live_ns = self.time_to_live_ns;
        self.apply(Body::Signal(Signal { release: RELEASE, instrument, target_lots, bar_close_ns, time_to_live_ns }));
        Ok(())
    }

    /// All signals of the bar are in: the engine acts on them, and what happens at this instant happens.
    ///
    /// # Errors
    /// [`ReplayError::NoBar`] where no bar is closed.
    pub fn end_of_bar(&mut self) -> Result<(), ReplayError> {
        let bar_close_ns = self.open_bar_ns.take().ok_or(ReplayError::NoBar)?;
        self.quote();
        self.apply(Body::EndOfBar { bar_close_ns });
        self.run_to(bar_close_ns);
        Ok(())
    }

    /// An operator's word at this moment.
    pub fn command(&mut self, command: Command) {
        self.quote();
        self.apply(Body::Command(command));
        self.run_to(self.now_ns());
    }

    /// The whole loop over targets known beforehand: one row of `targets` for each close, one column for each symbol,
    /// [`NO_SIGNAL`] where nothing is said.
    ///
    /// # Errors
    /// [`ReplayError::Targets`] and those of [`Replay::close_bar`].
    pub fn run_targets(&mut self, closes_ns: &[i64], targets: &[i64]) -> Result<(), ReplayError> {
        let symbols = self.symbols();
        let expected = closes_ns.len() * symbols;
        if targets.len() != expected {
            return Err(ReplayError::Targets { expected, got: targets.len() });
        }
        self.recorder.record.bars.reserve(closes_ns.len());
        for (row, close_ns) in closes_ns.iter().enumerate() {
            self.close_bar(*close_ns)?;
            for (column, lots) in targets[row * symbols..(row + 1) * symbols].iter().enumerate() {
                if *lots != NO_SIGNAL {
                    self.signal(InstrumentId(column as u16), *lots)?;
                }
            }
            self.end_of_bar()?;
        }
        Ok(())
    }

    /// Compares the engine's books with the exchange's and hands out the record. Orders that still travel stay as they
    /// are in it.
    ///
    /// # Errors
    /// [`ReplayError::BalancesDiffer`].
    pub fn finish(self) -> Result<Record, ReplayError> {
        self.recorder.finish(&self.exchange)
    }

    /// Lets time run to `to_ns` and the engine answer all that happens until then.
    fn run_to(&mut self, to_ns: i64) {
        loop {
            let now_ns = self.exchange.now_ns();
            let wake_ns = self.recorder.engine.wake_at_ns();
            let goal_ns = wake_ns.map_or(to_ns, |wake_ns| wake_ns.clamp(now_ns, to_ns.max(now_ns)));
            let mut reports = std::mem::take(&mut self.reports);
            self.exchange.advance(goal_ns, &mut reports);
            let due = wake_ns.is_some_and(|wake_ns| wake_ns <= self.exchange.now_ns());
            let idle = reports.is_empty() && !due;
            if !idle {
                self.quote();
            }
            for report in reports.drain(..) {
                self.recorder.report(&mut self.exchange, report);
            }
            self.reports = reports;
            if self.recorder.engine.wake_at_ns().is_some_and(|wake_ns| wake_ns <= self.exchange.now_ns()) {
                self.apply(Body::Timer);
            }
            if idle {
                return;
            }
        }
    }

    /// Shows the engine every book as it stands.
    fn quote(&mut self) {
        for index in 0..self.symbols() {
            let instrument = InstrumentId(index as u16);
            if let Some((bid_ticks, ask_ticks, as_of_ns)) = self.exchange.quote(instrument) {
                self.apply(Body::Bbo { instrument, bid_ticks, ask_ticks, as_of_ns });
            }
        }
    }

    fn apply(&mut self, body: Body) {
        self.recorder.apply(&mut self.exchange, body);
    }

    /// Notes the last close of every symbol; one without a candle in the bar keeps the close before.
    fn mark(&mut self, close_ns: i64) {
        for (mark, listed) in self.marks.iter_mut().zip(self.exchange.listed()) {
            let last_ns = close_ns - MINUTE_NS;
            let minute = listed.feed.next_minute(last_ns).filter(|minute| minute.open_ns == last_ns);
            let minute = minute.or_else(|| listed.feed.minutes(self.last_close_ns, close_ns).pop());
            *mark = minute.map(|minute| minute.close).or(*mark);
        }
    }

    fn state(&self, close_ns: i64) -> Result<BarState, ReplayError> {
        let cash_quote_atoms = self.recorder.engine.ledger().cash_atoms();
        let mut equity_quote_atoms = cash_quote_atoms;
        for (index, listed) in self.exchange.listed().iter().enumerate() {
            let position = self.recorder.engine.ledger().position(InstrumentId(index as u16));
            if position.atoms == 0 {
                continue;
            }
            let symbol = || listed.symbol.clone();
            let ticks = self.marks[index].ok_or_else(|| ReplayError::NoPrice { symbol: symbol(), close_ns })?;
            let atoms = position.atoms;
            let value = position.value_atoms(listed.instrument.price_atoms(ticks));
            equity_quote_atoms += value.ok_or_else(|| ReplayError::NotValued { symbol: symbol(), atoms, close_ns })?;
        }
        let position_atoms = self.recorder.engine.ledger().positions().iter().map(|position| position.atoms).collect();
        Ok(BarState { close_ns, equity_quote_atoms, cash_quote_atoms, position_atoms })
    }
}
