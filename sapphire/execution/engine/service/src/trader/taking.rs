//! Events as they are taken: what each of them leads to.

use sapphire_core::engine::{Balances, Body, Signal};
use sapphire_core::instrument::InstrumentId;
use sapphire_core::orders::{Report, ReportKind};
use sapphire_core::risk::LimitSet;

use super::{Held, NOBODY, Stage, Trader, TraderFailure, Trigger};
use crate::clock::ClockMode;
use crate::control::Ask;
use crate::entry::{Entry, Source};
use crate::events::{EntryId, Intake, ReleaseDigest, TraderEvent, Venue};
use crate::metrics::Figure;

/// Releases that are shown as refused.
const UNADMITTED: usize = 64;

impl Trader {
    pub(super) fn take(&mut self, event: TraderEvent) -> Result<(), TraderFailure> {
        let taken_ns = self.clock.now_ns();
        match event {
            TraderEvent::Intake(intake) => self.take_intake(intake, taken_ns)?,
            TraderEvent::Venue(venue) => self.take_venue(venue, taken_ns)?,
            TraderEvent::Step(step) if step.number <= self.lockstep.settled() => {}
            TraderEvent::Step(step) => {
                self.market.stand_at(step.now_ns);
                self.shown.show(self.market);
                self.lockstep.begin(step, taken_ns);
            }
            TraderEvent::Ask(ask) => self.take_ask(&ask)?,
        }
        self.take_pending()?;
        self.lockstep_turn()
    }

    pub(super) fn take_intake(&mut self, intake: Intake, taken_ns: i64) -> Result<(), TraderFailure> {
        match intake {
            Intake::Release { digest, name, verdict } => self.take_release(digest, &name, verdict, taken_ns),
            Intake::DeadLetter { entry } => {
                self.metrics.add(Figure::DeadLetters, 1);
                self.pass(entry)
            }
            Intake::Thrown => {
                self.metrics.add(Figure::DeadLetters, 1);
                Ok(())
            }
            Intake::Signal { entry, .. } | Intake::EndOfBar { entry, .. } if entry <= self.cursor => Ok(()),
            Intake::Signal {
                entry,
                release,
                instrument,
                symbol,
                target_lots,
                bar_close_ns,
                time_to_live_ns,
                received_ns,
                parsed_ns,
            } => {
                self.metrics.add(Figure::Signals, 1);
                let trigger = Trigger { received_ns, parsed_ns, taken_ns };
                let source = match instrument {
                    Some(_) => Source::Bus(entry),
                    None => Source::Unlisted { entry, symbol },
                };
                let instrument = instrument.unwrap_or(InstrumentId(u16::MAX));
                let release = self.slots.of(&release);
                let signal = Signal { release, instrument, target_lots, bar_close_ns, time_to_live_ns };
                // What the end of the bar will need: it leads to orders, and follows at once.
                self.show_quotes()?;
                self.gateway.rehearse(instrument, bar_close_ns);
                self.apply(Body::Signal(signal), source, &trigger)
            }
            Intake::EndOfBar { entry, bar_close_ns, received_ns, parsed_ns } => {
                self.show_quotes()?;
                let trigger = Trigger { received_ns, parsed_ns, taken_ns };
                self.apply(Body::EndOfBar { bar_close_ns }, Source::Bus(entry), &trigger)
            }
        }
    }

    /// A release was met, or its evidence is worth something else than before.
    fn take_release(
        &mut self,
        digest: ReleaseDigest,
        name: &str,
        verdict: Result<LimitSet, String>,
        taken_ns: i64,
    ) -> Result<(), TraderFailure> {
        let trigger = Trigger::at(taken_ns);
        let mut release = self.slots.of(&digest);
        self.unadmitted.retain(|(known, _)| *known != digest);
        let limits = match verdict {
            Ok(limits) => limits,
            Err(why) => {
                tracing::warn!(release = %digest, %name, %why, "release refused");
                self.refuse(digest, why);
                if release == NOBODY {
                    return Ok(());
                }
                self.slots.judge(release, false);
                return self.apply(Body::Verdict { release, ok: false }, Source::Venue, &trigger);
            }
        };
        if release == NOBODY {
            let Some(slot) = self.slots.next(digest, name) else {
                let why = format!("all {} places for releases are taken; a new run has new ones", self.run.releases);
                tracing::error!(release = %digest, %name, %why, "release refused");
                self.refuse(digest, why);
                return Ok(());
            };
            let now_ns = self.clock.now_ns();
            let market_ns = self.market.at(now_ns);
            let entry = Entry::Release(slot);
            if !self.record(&entry, market_ns, now_ns)? {
                return Ok(());
            }
            if let Entry::Release(slot) = &entry {
                self.slots.seat(slot);
            }
            self.event_publisher.seat(digest)?;
            release = self.slots.of(&digest);
        }
        tracing::info!(release = %digest, %name, slot = release.0, "release admitted");
        self.slots.judge(release, true);
        self.apply(Body::Limits { release, limits }, Source::Start, &trigger)?;
        self.apply(Body::Verdict { release, ok: true }, Source::Start, &trigger)
    }

    /// The latest refusals are shown; a release that is refused again and again is one of them.
    fn refuse(&mut self, digest: ReleaseDigest, why: String) {
        if self.unadmitted.len() == UNADMITTED {
            self.unadmitted.remove(0);
        }
        self.unadmitted.push((digest, why));
    }

    /// An entry that the engine has no part in.
    pub(super) fn pass(&mut self, entry: EntryId) -> Result<(), TraderFailure> {
        if entry <= self.cursor {
            return Ok(());
        }
        let now_ns = self.clock.now_ns();
        let market_ns = self.market.at(now_ns);
        if self.record(&Entry::Passed(entry), market_ns, now_ns)? {
            self.cursor = entry;
        }
        Ok(())
    }

    fn take_venue(&mut self, venue: Venue, taken_ns: i64) -> Result<(), TraderFailure> {
        for order in self.gateway.heard(&venue) {
            self.pending.push_back(Report { order: *order, kind: ReportKind::Unanswered });
        }
        match venue {
            Venue::Connected { connection } => self.connected(connection),
            Venue::Lost { connection, why } => {
                self.lost(connection, &why);
                Ok(())
            }
            Venue::Report { report, market_ns, received_ns, event } => {
                if self.clock_mode != ClockMode::Lockstep {
                    // A trade is not booked before it happened: balances as of a moment before it are not taken for
                    // later.
                    self.market.stand_at(market_ns);
                    self.shown.show(self.market);
                }
                self.on_report(report, event, (received_ns, taken_ns))
            }
            Venue::Other { event } => {
                self.lockstep.heard(event);
                Ok(())
            }
            Venue::Acknowledged { order, received_ns } => {
                self.acknowledged(order, received_ns);
                Ok(())
            }
            Venue::Answered { .. } => Ok(()),
            Venue::References { quotes, asked } => {
                // In lock-step it is asked until it is answered: none at all are books with an empty side.
                let is_answer = asked && (self.clock_mode == ClockMode::Lockstep || !quotes.is_empty());
                for quote in quotes {
                    self.quotes.note(quote);
                }
                if is_answer {
                    self.due.priced();
                    self.lockstep.priced();
                    self.opening_priced()?;
                }
                Ok(())
            }
            Venue::Balances(balances) => {
                if self.holds(false) {
                    self.held.push_back(Held::Balances(balances));
                    return Ok(());
                }
                self.take_balances(balances, taken_ns)
            }
            Venue::Reconciled { round, orphans_canceled } => {
                self.reconciled(round, orphans_canceled);
                Ok(())
            }
            Venue::VenueTime { .. } if self.has_conductor_time() => Ok(()),
            Venue::VenueTime { market_ns, sent_ns, received_ns } => {
                self.market.set(market_ns, sent_ns, received_ns);
                self.shown.show(self.market);
                self.opening_timed();
                Ok(())
            }
        }
    }

    /// What the user stream or a query says about an order: taken now, or kept until its time has come.
    fn on_report(
        &mut self,
        report: Report,
        event: Option<u64>,
        (received_ns, taken_ns): (i64, i64),
    ) -> Result<(), TraderFailure> {
        if event.is_some() {
            self.lockstep.heard(event);
        }
        if matches!(report.kind, ReportKind::Rejected { .. }) {
            self.acknowledged(report.order, received_ns);
        }
        if self.holds(event.is_some()) {
            self.held.push_back(Held::Report(report, received_ns));
            return Ok(());
        }
        self.take_report(report, received_ns, taken_ns)
    }

    pub(super) fn take_report(&mut self, report: Report, received_ns: i64, taken_ns: i64) -> Result<(), TraderFailure> {
        self.show_quotes()?;
        let trigger = Trigger { received_ns, parsed_ns: received_ns, taken_ns };
        self.apply(Body::Report(report), Source::Venue, &trigger)
    }

    pub(super) fn take_balances(&mut self, balances: Balances, taken_ns: i64) -> Result<(), TraderFailure> {
        self.show_quotes()?;
        self.apply(Body::Balances(balances), Source::Venue, &Trigger::at(taken_ns))
    }

    /// Steps of the lock-step tell the time, more exactly than the venue's clock.
    fn has_conductor_time(&self) -> bool {
        let is_opening = matches!(&self.stage, Stage::Opening(opening) if !opening.is_left_to_step());
        self.clock_mode == ClockMode::Lockstep && !is_opening
    }

    /// What the venue sends now is to be kept until its time comes; `is_streamed` is what comes unasked.
    fn holds(&self, is_streamed: bool) -> bool {
        match &self.stage {
            Stage::Opening(opening) => !opening.has_begun() || (is_streamed && self.clock_mode == ClockMode::Lockstep),
            Stage::Open => self.clock_mode == ClockMode::Lockstep && self.lockstep.holds_reports(),
        }
    }

    fn connected(&mut self, connection: u32) -> Result<(), TraderFailure> {
        tracing::info!(connection, "connected to the venue");
        self.metrics.add(Figure::Connections, 1);
        self.metrics.set(Figure::Connected, 1);
        self.opening_connected()?;
        // A refusal here is repeated by the next turn of what is kept up.
        let _ = self.gateway.ask_time();
        if self.clock_mode != ClockMode::Lockstep && matches!(self.stage, Stage::Open) {
            self.reconcile();
        }
        Ok(())
    }

    fn lost(&mut self, connection: u32, why: &str) {
        tracing::warn!(connection, %why, unanswered = self.pending.len(), "the connection to the venue was lost");
        self.metrics.set(Figure::Connected, 0);
        self.lockstep.lost();
        if let Stage::Opening(opening) = &mut self.stage {
            opening.interrupted();
        }
        for record in self.flying.drain(..) {
            if self.latency_traces.try_send(record).is_err() {
                self.metrics.add(Figure::TracesLost, 1);
            }
        }
    }

    fn reconciled(&mut self, round: u32, orphans_canceled: u32) {
        self.metrics.add(Figure::Reconciliations, 1);
        self.metrics.add(Figure::Orphans, i64::from(orphans_canceled));
        if orphans_canceled > 0 {
            tracing::warn!(round, orphans_canceled, "open orders that nobody knew were taken out");
        }
        self.due.reconciled(round, self.clock.now_ns());
        self.lockstep.reconciled(round);
        self.opening_reconciled(round);
    }

    /// What the way to the venue said about orders that it did not take, or lost.
    pub(super) fn take_pending(&mut self) -> Result<(), TraderFailure> {
        self.release_unsent();
        while let Some(report) = self.pending.pop_front() {
            let taken_ns = self.clock.now_ns();
            if self.holds(false) {
                self.held.push_back(Held::Report(report, taken_ns));
            } else {
                self.take_report(report, taken_ns, taken_ns)?;
            }
        }
        Ok(())
    }

    fn take_ask(&mut self, ask: &Ask) -> Result<(), TraderFailure> {
        let answer = self.answer(ask.question())?;
        ask.answer(answer);
        Ok(())
    }
}
