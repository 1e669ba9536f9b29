//! What is kept up beside the events: timers of market time, rounds of reconciliation, the journal's standing, numbers.
//!
//! A journal whose disk lags moves trading to REDUCING, and to HALTED when it stays so; one that has only its reserve
//! left halts at once, and what leads to orders waits on the bus. Nothing of that is undone by itself.

use std::time::Duration;

use sapphire_core::orders::{Report, ReportKind};
use sapphire_core::risk::{Command, TradingState};

use super::messages::ms;
use super::{Stage, Trader, TraderFailure, channels};
use crate::clock::ClockMode;
use crate::entry::Source;
use crate::journal::{JournalFailure, Standing};
use crate::metrics::Figure;

/// Longest wait in one go.
pub(super) const LONGEST: Duration = Duration::from_millis(50);

const MS_NS: i64 = 1_000_000;
const SECOND_NS: i64 = 1_000 * MS_NS;

/// Between two looks at what is kept up.
const ROUND_NS: i64 = 5 * MS_NS;

/// Between two rounds of reconciliation, wall time.
const RECONCILE_NS: i64 = 5 * SECOND_NS;

/// Between two questions for the venue's time.
const TIME_NS: i64 = 2 * SECOND_NS;

/// A question that could not be asked is asked again after this long.
const AGAIN_NS: i64 = SECOND_NS;

/// Shortest pause between two questions for prices.
const PRICES_NS: i64 = 100 * MS_NS;

/// A raised kill switch whose command does not come is applied without it.
const FLAG_NS: i64 = 100 * MS_NS;

/// A disk that lags for this long halts.
const HALTING_LAG: Duration = Duration::from_secs(5);

/// What is due when, monotonic.
#[derive(Debug)]
pub(super) struct Due {
    /// The journal has only its reserve left.
    pub(super) has_no_room: bool,
    keep_ns: i64,
    /// A round that is under way, and since when the last one is complete.
    round: Option<u32>,
    reconciled_ns: i64,
    asked_time_ns: i64,
    asked_prices_ns: i64,
    is_pricing: bool,
    published_close_ns: i64,
    next_close_ns: Option<i64>,
    is_lagging: bool,
}

impl Due {
    pub(super) fn new(published_close_ns: i64) -> Self {
        Self {
            has_no_room: false,
            keep_ns: i64::MIN,
            round: None,
            reconciled_ns: 0,
            asked_time_ns: i64::MIN,
            asked_prices_ns: i64::MIN,
            is_pricing: false,
            published_close_ns,
            next_close_ns: None,
            is_lagging: false,
        }
    }

    pub(super) fn reconciling(&mut self, round: u32, _now_ns: i64) {
        self.round = Some(round);
    }

    pub(super) fn reconciled(&mut self, round: u32, now_ns: i64) {
        if self.round == Some(round) {
            (self.round, self.reconciled_ns) = (None, now_ns);
        }
    }

    pub(super) fn is_check_due(&self, now_ns: i64) -> bool {
        self.round.is_none() && now_ns - self.reconciled_ns >= RECONCILE_NS
    }

    pub(super) fn pricing(&mut self, now_ns: i64) {
        (self.is_pricing, self.asked_prices_ns) = (true, now_ns);
    }

    pub(super) fn priced(&mut self) {
        self.is_pricing = false;
    }

    /// Bars are closed by the clock: the latest close is published where it is not yet.
    pub(super) fn close_from(&mut self, latest_ns: i64, interval_ns: i64) {
        let is_published = ms(self.published_close_ns) >= ms(latest_ns);
        self.next_close_ns = Some(if is_published { latest_ns + interval_ns } else { latest_ns });
    }
}

impl Trader {
    /// How long until something is due.
    pub(super) fn kept_until(&mut self, now_ns: i64) -> Duration {
        let wake = self.engine.wake_at_ns().filter(|_| matches!(self.stage, Stage::Open));
        let close = self.due.next_close_ns;
        let next_ns = wake.into_iter().chain(close).min();
        next_ns.and_then(|next_ns| self.market.until(next_ns, now_ns)).unwrap_or(LONGEST).min(LONGEST)
    }

    /// Does what is due.
    pub(super) fn keep(&mut self) -> Result<(), TraderFailure> {
        self.open_if_settled()?;
        let now_ns = self.clock.now_ns();
        if self.clock_mode != ClockMode::Lockstep && matches!(self.stage, Stage::Open) {
            self.wake_if_due()?;
            self.close_bars(now_ns)?;
        }
        // Nothing more is sent on the reserve: the halt does not wait for the next round.
        let is_full = self.journal.is_on_reserve() && !self.due.has_no_room;
        if self.due.keep_ns > now_ns && !is_full {
            return self.take_pending();
        }
        self.due.keep_ns = now_ns + ROUND_NS;
        self.apply_halt_flag(now_ns)?;
        self.watch_journal()?;
        self.ask_the_venue(now_ns);
        self.show_figures();
        self.take_pending()
    }

    /// Publishes the account's state at each close that has come.
    fn close_bars(&mut self, now_ns: i64) -> Result<(), TraderFailure> {
        let market_ns = self.market.at(now_ns);
        while let Some(close_ns) = self.due.next_close_ns.filter(|close_ns| *close_ns <= market_ns) {
            // Only the latest close can be reported truly: the account is as it is now.
            let latest_ns = market_ns - market_ns.rem_euclid(self.interval_ns);
            let close_ns = close_ns.max(latest_ns);
            self.due.next_close_ns = Some(close_ns + self.interval_ns);
            self.publish_state(close_ns)?;
        }
        Ok(())
    }

    /// The switch was raised and its command does not come.
    fn apply_halt_flag(&mut self, now_ns: i64) -> Result<(), TraderFailure> {
        let asked = self.switch.asked();
        if asked == self.halts_applied {
            self.flagged_since_ns = None;
            return Ok(());
        }
        let since_ns = *self.flagged_since_ns.get_or_insert(now_ns);
        if now_ns - since_ns < FLAG_NS {
            return Ok(());
        }
        self.halt("the kill switch was raised")?;
        (self.halts_applied, self.flagged_since_ns) = (asked, None);
        Ok(())
    }

    fn halt(&mut self, why: &str) -> Result<(), TraderFailure> {
        tracing::error!(why, "halting");
        self.command(Command::Halt, Source::Guard { why: why.to_owned() })
    }

    fn watch_journal(&mut self) -> Result<(), TraderFailure> {
        let standing = self.journal.standing();
        let level = match standing {
            Standing::Flowing => 0,
            Standing::Lagging(_) => 1,
            Standing::Reserve => 2,
            Standing::Closed => 3,
        };
        self.metrics.set(Figure::JournalState, level);
        let state = self.engine.trading_state();
        match standing {
            Standing::Flowing => {
                if std::mem::take(&mut self.due.has_no_room) {
                    tracing::warn!("the journal has room again; trading stays as it is until it is resumed");
                }
                self.due.is_lagging = false;
                Ok(())
            }
            Standing::Lagging(lag) if lag >= HALTING_LAG => {
                if state == TradingState::Halted {
                    Ok(())
                } else {
                    self.halt("the disk lags behind the journal")
                }
            }
            Standing::Lagging(lag) => {
                if state != TradingState::Active || self.due.is_lagging {
                    return Ok(());
                }
                self.due.is_lagging = true;
                tracing::error!(?lag, "the disk lags behind the journal: reducing");
                let why = "the disk lags behind the journal".to_owned();
                self.command(Command::Reduce, Source::Guard { why })
            }
            Standing::Reserve => {
                self.due.has_no_room = true;
                let now_ns = self.clock.now_ns();
                let market_ns = self.market.at(now_ns);
                self.journal.leave_reserve(market_ns, now_ns)?;
                let why = "no room for the journal: only its reserve is left";
                if state == TradingState::Halted { Ok(()) } else { self.halt(why) }
            }
            Standing::Closed => Err(JournalFailure::Closed(self.run.account.clone().into()).into()),
        }
    }

    fn ask_the_venue(&mut self, now_ns: i64) {
        if !self.gateway.is_connected() {
            return;
        }
        let is_paced = self.clock_mode != ClockMode::Lockstep;
        let since_time_ns = now_ns.saturating_sub(self.due.asked_time_ns);
        if (!self.market.is_known() && since_time_ns >= AGAIN_NS) || (is_paced && since_time_ns >= TIME_NS) {
            self.due.asked_time_ns = now_ns;
            // Asked again in a moment where it cannot be asked now.
            let _ = self.gateway.ask_time();
        }
        let since_prices_ns = now_ns.saturating_sub(self.due.asked_prices_ns);
        match &self.stage {
            Stage::Opening(opening) => {
                let waits = self.market.is_known() && !opening.has_begun() && !self.due.is_pricing;
                if waits && since_prices_ns >= AGAIN_NS {
                    self.ask_quotes();
                }
            }
            Stage::Open if is_paced => {
                let overdue = self.gateway.overdue(now_ns);
                let unanswered = overdue.iter().map(|order| Report { order: *order, kind: ReportKind::Unanswered });
                self.pending.extend(unanswered);
                if self.due.is_check_due(now_ns) {
                    self.reconcile();
                }
                let market_ns = self.market.at(now_ns);
                let half_ns = self.run.limits.max_reference_age_ns / 2;
                let is_old = self.quotes.oldest_ns().is_none_or(|oldest_ns| market_ns - oldest_ns > half_ns);
                if is_old && since_prices_ns >= PRICES_NS {
                    self.ask_quotes();
                }
            }
            Stage::Open => {}
        }
    }

    fn show_figures(&mut self) {
        let marks = self.journal.watermarks();
        self.metrics.set(Figure::JournalWritten, marks.written.cast_signed());
        self.metrics.set(Figure::JournalSynced, marks.synced.cast_signed());
        self.metrics.set(Figure::Step, self.step.cast_signed());
        let now_ns = self.clock.now_ns();
        self.metrics.set(Figure::MarketTime, self.market.at(now_ns));
        self.metrics.trading(self.engine.trading_state());
        self.metrics.set(Figure::EventPublisherDepth, self.event_publisher.waiting() as i64);
        let mut venue = 0;
        for (channel, waiting) in self.mailbox.waiting().enumerate() {
            match channel {
                channels::SIGNALS => self.metrics.set(Figure::IntakeDepth, waiting as i64),
                channels::USER_DATA | channels::REST_CLIENT | channels::MARKET_DATA => venue += waiting as i64,
                _ => {}
            }
        }
        self.metrics.set(Figure::VenueDepth, venue);
    }
}

impl Trader {
    /// The last things: what was measured and not answered is written down as such.
    pub(super) fn close(&mut self) {
        for record in self.flying.drain(..) {
            if self.latency_traces.try_send(record).is_err() {
                self.metrics.add(Figure::TracesLost, 1);
            }
        }
        self.show_figures();
    }
}
