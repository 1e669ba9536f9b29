//! The engine on recorded quotes of one symbol: each one is shown to it, and whoever drives the replay may answer with
//! a target.
//!
//! Invariants: time never runs backwards; what is due before a quote happens before the engine sees it, and meets the
//! quote before; an order trades with the quote that stands when it arrives, at its price and up to what is left of its
//! size; the same quotes and targets give the same record and digest.
//!
//! Known limitation: one symbol, the best prices alone, and no trace of own orders in the quotes that follow. A size
//! below the venue's smallest order is not traded with.

use sapphire_core::amounts::Atoms;
use sapphire_core::engine::{Balances, Body, Config, Execution, FeeSide, Signal};
use sapphire_core::instrument::{Asset, Instrument, InstrumentId};
use sapphire_core::orders::Report;
use sapphire_core::risk::{Command, Limits};
use sapphire_core::venue::FeeRates;

use super::recorder::{Recorder, Route};
use super::{ACCOUNT_TAG, BarState, EPOCH, RELEASE, Record, ReplayError};
use crate::latency::Latency;

mod exchange;

use exchange::QuoteExchange;

/// The one symbol of the replay.
const INSTRUMENT: InstrumentId = InstrumentId(0);

/// Best prices of a symbol and what stands at them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote {
    /// Market time, UTC nanoseconds.
    pub time_ns: i64,
    /// Best bid.
    pub bid_ticks: i64,
    /// Best ask.
    pub ask_ticks: i64,
    /// Size at the bid; none where it is not known, and then any order fits in.
    pub bid_lots: Option<i64>,
    /// Size at the ask, as above.
    pub ask_lots: Option<i64>,
}

impl Quote {
    /// Refuses a quote that cannot follow one at `after_ns`.
    ///
    /// # Errors
    /// [`ReplayError::QuoteOutOfOrder`], [`ReplayError::BadQuote`].
    pub fn check(&self, after_ns: i64) -> Result<(), ReplayError> {
        if self.time_ns < after_ns {
            return Err(ReplayError::QuoteOutOfOrder { after_ns, time_ns: self.time_ns });
        }
        let sizes = [self.bid_lots, self.ask_lots];
        if self.bid_ticks <= 0 || self.ask_ticks < self.bid_ticks || sizes.into_iter().flatten().any(|lots| lots < 0) {
            return Err(ReplayError::BadQuote(*self));
        }
        Ok(())
    }
}

/// What a replay of quotes is made of.
#[derive(Clone, Debug)]
pub struct QuoteConfig {
    /// Venue symbol, `BTCUSDT`: part of what decides the delays.
    pub symbol: String,
    /// Its rules.
    pub instrument: Instrument,
    /// Number of assets.
    pub assets: usize,
    /// Fee rates; fees are taken in what is received.
    pub fees: FeeRates,
    /// How long requests travel.
    pub latency: Latency,
    /// The gate's numbers.
    pub limits: Limits,
    /// How targets are worked.
    pub execution: Execution,
    /// What the account begins with.
    pub deposits: Vec<(Asset, Atoms)>,
    /// How long a target is worked on after the quote that it answers.
    pub time_to_live_ns: i64,
    /// The account is noted at multiples of this.
    pub equity_every_ns: i64,
}

/// An engine on quotes, and the record of what it does.
#[derive(Debug)]
pub struct QuoteReplay {
    symbol: String,
    recorder: Recorder,
    exchange: QuoteExchange,
    /// Told with the first quote, which says what it is worth.
    deposits: Option<Vec<(Asset, Atoms)>>,
    time_to_live_ns: i64,
    equity_every_ns: i64,
    last_ns: i64,
    /// The account is noted by the first quote from here on.
    note_ns: i64,
    reports: Vec<Report>,
}

impl QuoteReplay {
    /// A replay that waits for its first quote.
    ///
    /// # Errors
    /// A configuration or a deposit that cannot be meant.
    pub fn new(config: &QuoteConfig) -> Result<Self, ReplayError> {
        let recorder = Recorder::new(Config {
            instruments: vec![config.instrument],
            quote: config.instrument.quote,
            assets: config.assets,
            releases: 1,
            account_tag: ACCOUNT_TAG,
            fee_rate: config.fees.taker,
            fee_side: FeeSide::Received,
            execution: config.execution,
            limits: config.limits.clone(),
        })?;
        Ok(Self {
            symbol: config.symbol.clone(),
            recorder,
            exchange: QuoteExchange::new(config)?,
            deposits: Some(config.deposits.clone()),
            time_to_live_ns: config.time_to_live_ns,
            equity_every_ns: config.equity_every_ns.max(1),
            last_ns: i64::MIN,
            note_ns: i64::MAX,
            reports: Vec::with_capacity(16),
        })
    }

    /// Time of the last quote; none before the first.
    pub fn last_ns(&self) -> Option<i64> {
        (self.last_ns != i64::MIN).then_some(self.last_ns)
    }

    /// Whole lots held.
    pub fn held_lots(&self) -> i64 {
        self.recorder.engine.ledger().position(INSTRUMENT).sellable_lots(self.exchange.instrument())
    }

    /// Lets time run to the quote, with all that happens on the way, and shows it to the engine.
    ///
    /// # Errors
    /// Those of [`Quote::check`], and then nothing has changed; [`ReplayError::NotHoldable`] and
    /// [`ReplayError::NotValued`] for amounts that no account can hold.
    pub fn quote(&mut self, quote: &Quote) -> Result<(), ReplayError> {
        quote.check(self.last_ns)?;
        self.run_to(quote.time_ns.saturating_sub(1));
        self.note(quote.time_ns)?;
        self.exchange.show(quote);
        self.last_ns = quote.time_ns;
        let Quote { bid_ticks, ask_ticks, time_ns, .. } = *quote;
        if self.deposits.is_some() {
            self.apply(Body::Epoch { epoch: EPOCH });
            self.apply(Body::Verdict { release: RELEASE, ok: true });
        }
        self.apply(Body::Bbo { instrument: INSTRUMENT, bid_ticks, ask_ticks, as_of_ns: time_ns });
        if let Some(holdings) = self.deposits.take() {
            self.apply(Body::Balances(Balances { as_of_ns: time_ns, holdings }));
            self.recorder.check()?;
        }
        self.run_to(time_ns);
        Ok(())
    }

    /// States a target in answer to the last quote. What the engine refuses (a second target at the same instant, one
    /// below zero) is in the record.
    ///
    /// # Errors
    /// [`ReplayError::NoQuote`] before the first quote.
    pub fn target(&mut self, target_lots: i64) -> Result<(), ReplayError> {
        let bar_close_ns = self.last_ns().ok_or(ReplayError::NoQuote)?;
        let (release, time_to_live_ns) = (RELEASE, self.time_to_live_ns);
        let signal = Signal { release, instrument: INSTRUMENT, target_lots, bar_close_ns, time_to_live_ns };
        self.apply(Body::Signal(signal));
        self.apply(Body::EndOfBar { bar_close_ns });
        self.run_to(bar_close_ns);
        Ok(())
    }

    /// An operator's word after the last quote.
    ///
    /// # Errors
    /// [`ReplayError::NoQuote`] before the first quote.
    pub fn command(&mut self, command: Command) -> Result<(), ReplayError> {
        let now_ns = self.last_ns().ok_or(ReplayError::NoQuote)?;
        self.apply(Body::Command(command));
        self.run_to(now_ns);
        Ok(())
    }

    /// Notes the account once more, compares the books of engine and exchange and hands out the record. Orders that
    /// still travel stay as they are in it.
    ///
    /// # Errors
    /// [`ReplayError::BalancesDiffer`], [`ReplayError::NotValued`].
    pub fn finish(mut self) -> Result<Record, ReplayError> {
        if let Some(last_ns) = self.last_ns() {
            self.push_state(last_ns)?;
        }
        self.recorder.finish(&self.exchange)
    }

    fn apply(&mut self, body: Body) {
        self.recorder.apply(&mut self.exchange, body);
    }

    /// Lets everything happen that is due by `to_ns`, in the order of market time: at one instant arrivals first, then
    /// what the engine wanted to be woken for.
    fn run_to(&mut self, to_ns: i64) {
        while let Some(next_ns) = self.next_ns().filter(|next_ns| *next_ns <= to_ns) {
            self.exchange.move_clock(next_ns);
            let mut reports = std::mem::take(&mut self.reports);
            self.exchange.deliver(&mut reports);
            for report in reports.drain(..) {
                self.recorder.report(&mut self.exchange, report);
            }
            self.reports = reports;
            if self.recorder.engine.wake_at_ns().is_some_and(|wake_ns| wake_ns <= self.exchange.now_ns()) {
                self.apply(Body::Timer);
            }
        }
    }

    fn next_ns(&self) -> Option<i64> {
        match (self.exchange.next_ns(), self.recorder.engine.wake_at_ns()) {
            (Some(arrives_ns), Some(wake_ns)) => Some(arrives_ns.min(wake_ns)),
            (arrives_ns, wake_ns) => arrives_ns.or(wake_ns),
        }
    }

    /// Notes the account as it stood at the last multiple by `time_ns`, where quotes have passed one.
    fn note(&mut self, time_ns: i64) -> Result<(), ReplayError> {
        let due = time_ns >= self.note_ns;
        if due || self.last_ns == i64::MIN {
            let multiple_ns = time_ns - time_ns.rem_euclid(self.equity_every_ns);
            self.note_ns = multiple_ns.saturating_add(self.equity_every_ns);
            if due {
                self.push_state(multiple_ns)?;
            }
        }
        Ok(())
    }

    fn push_state(&mut self, close_ns: i64) -> Result<(), ReplayError> {
        let engine = &self.recorder.engine;
        let atoms = engine.ledger().position(INSTRUMENT).atoms;
        // A quote has been seen, so everything held has a price.
        let equity_quote_atoms = engine.equity_atoms().ok_or_else(|| {
            let symbol = self.symbol.clone();
            ReplayError::NotValued { symbol, atoms, close_ns }
        })?;
        let cash_quote_atoms = engine.ledger().cash_atoms();
        let position_atoms = vec![atoms];
        let state = BarState { close_ns, equity_quote_atoms, cash_quote_atoms, position_atoms };
        self.recorder.record.bars.push(state);
        Ok(())
    }
}
