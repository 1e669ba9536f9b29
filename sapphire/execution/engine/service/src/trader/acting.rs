//! One step of the engine and what follows from it.

use sapphire_core::engine::{Body, Event, Output, Outputs};
use sapphire_core::orders::{ClientOrderId, OrderState, Report, ReportKind};
use sapphire_core::risk::{Approved, Command};

use super::emitting::{EmittedFact, Fact};
use super::{Stage, Trader, TraderFailure, Trigger};
use crate::entry::{Entry, Source};
use crate::gateway::Stamps;
use crate::journal::JournalFailure;
use crate::latency_trace::LatencyTrace;
use crate::metrics::Figure;

/// Times of one step.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_field_names, reason = "the unit is in the name")]
struct Times {
    market_ns: i64,
    journalled_ns: i64,
    decided_ns: i64,
}

impl Trader {
    /// Writes an entry to the journal; whether there was room for it. What was not written must not be applied.
    pub(super) fn record(&mut self, entry: &Entry, market_ns: i64, now_ns: i64) -> Result<bool, TraderFailure> {
        match self.journal.append(entry, market_ns, now_ns) {
            Ok(step) => {
                self.step = step;
                Ok(true)
            }
            Err(JournalFailure::OnlyReserve(folder)) => {
                if !self.due.has_no_room {
                    tracing::error!(folder = %folder.display(), "no room for the journal: what leads to orders is not taken");
                }
                self.due.has_no_room = true;
                Ok(false)
            }
            Err(failure) => Err(failure.into()),
        }
    }

    /// Applies an event: journal, step, act. What the journal has no room for is not done.
    pub(super) fn apply(&mut self, body: Body, source: Source, trigger: &Trigger) -> Result<(), TraderFailure> {
        let now_ns = self.clock.now_ns();
        let market_ns = self.market.at(now_ns);
        let entry = Entry::Event { event: Event { market_ns, body }, source };
        if !self.record(&entry, market_ns, now_ns)? {
            return Ok(());
        }
        let journalled_ns = self.clock.now_ns();
        let Entry::Event { event, source } = &entry else { return Ok(()) };
        self.cursor = source.cursor().map_or(self.cursor, |entry| self.cursor.max(entry));
        let mut outputs = std::mem::take(&mut self.outputs);
        self.emitter.before(&self.engine, event);
        self.engine.step(event, &mut outputs);
        self.latched.on_event(event, source, &outputs);
        let times = Times { market_ns, journalled_ns, decided_ns: self.clock.now_ns() };
        for output in &outputs {
            if let Output::Place(approved) = output {
                self.place(approved, trigger, &times);
            }
        }
        self.apply_outputs(&outputs, market_ns);
        let emitted = self.emit(event, source, &outputs);
        self.bytes.clear();
        outputs.encode(&mut self.bytes);
        self.journal.outputs(*blake3::hash(&self.bytes).as_bytes());
        outputs.clear();
        self.outputs = outputs;
        emitted
    }

    /// Sends an order, unless a halt has been asked for.
    fn place(&mut self, approved: &Approved, trigger: &Trigger, times: &Times) {
        let order = approved.order();
        if self.switch.asked() != self.halts_applied {
            self.withheld.push(order.id);
            return;
        }
        let mut stamps = Stamps::default();
        if let Err(why) = self.gateway.place(approved, times.market_ns, &mut stamps) {
            self.metrics.add(Figure::NotSent, 1);
            tracing::warn!(order = %order.id, %why, "an order was not sent");
            self.keep_unsent(order.id, why);
            return;
        }
        self.sent += 1;
        self.metrics.add(Figure::Orders, 1);
        self.flying.push(LatencyTrace {
            order: order.id,
            market_ns: times.market_ns,
            received_ns: trigger.received_ns,
            parsed_ns: trigger.parsed_ns,
            taken_ns: trigger.taken_ns,
            journalled_ns: times.journalled_ns,
            decided_ns: times.decided_ns,
            framed_ns: stamps.framed_ns,
            written_ns: stamps.written_ns,
            acknowledged_ns: 0,
            bar_close_ns: order.bar_close_ns,
        });
    }

    /// What follows from a step beside orders.
    fn apply_outputs(&mut self, outputs: &Outputs, market_ns: i64) {
        for output in outputs {
            match output {
                Output::Cancel { order, instrument } if !self.withheld.contains(order) => {
                    match self.gateway.cancel(*order, *instrument, market_ns) {
                        Ok(()) => {
                            self.sent += 1;
                            self.metrics.add(Figure::Cancels, 1);
                        }
                        // The engine holds the order to be alive and asks for it; a lost connection ends it there.
                        Err(why) => {
                            tracing::warn!(%order, %why, "a cancel was not sent");
                            self.pending.push_back(Report { order: *order, kind: ReportKind::Unanswered });
                        }
                    }
                }
                // At the start one round of reconciliation asks for all of them.
                Output::Query { order, instrument } if matches!(self.stage, Stage::Open) => {
                    let made_ns = self.engine.orders().get(*order).map_or(market_ns, |tracked| tracked.made_ns);
                    self.metrics.add(Figure::Queries, 1);
                    if let Err(why) = self.gateway.query(*order, *instrument, made_ns) {
                        tracing::warn!(%order, %why, "a question was not asked; it is asked again");
                    }
                }
                Output::Adjusted { asset, atoms } => {
                    let asset = self.run.asset_name(*asset).unwrap_or("unknown");
                    tracing::warn!(asset, %atoms, "the venue holds another balance than the journal explains");
                    self.metrics.add(Figure::Adjustments, 1);
                }
                Output::NotHoldable { asset, atoms } => {
                    let asset = self.run.asset_name(*asset).unwrap_or("unknown");
                    tracing::error!(asset, %atoms, "the venue holds more of it than an account here can; not used");
                    self.metrics.add(Figure::UnmatchedReports, 1);
                }
                Output::Unmatched { report, state } => {
                    tracing::warn!(?report, ?state, "a report fits no order, or no account");
                    self.metrics.add(Figure::UnmatchedReports, 1);
                }
                Output::Overfilled { order, lots } => {
                    tracing::error!(%order, lots, "the venue traded more than was asked for");
                }
                Output::Trading { state, cause } => {
                    tracing::warn!(state = state.text(), cause = cause.text(), "trading state");
                    self.metrics.trading(*state);
                }
                _ => {}
            }
        }
    }

    /// Hands the facts of a step to the event publisher.
    fn emit(&mut self, event: &Event, source: &Source, outputs: &Outputs) -> Result<(), TraderFailure> {
        let (step, market_ns) = (self.step, event.market_ns);
        let facts = self.emitter.after(event, source, outputs, &self.engine);
        for (fact, index) in facts.zip(0..) {
            match &fact {
                Fact::Order(fact) if fact.fill.is_some() => self.metrics.add(Figure::Fills, 1),
                Fact::Denied { denial, .. } => self.metrics.denied(denial.code),
                Fact::Refused { reason, .. } => self.metrics.refused(*reason),
                _ => {}
            }
            self.event_publisher.emit(EmittedFact { step, index, market_ns, fact })?;
        }
        Ok(())
    }

    /// The venue has answered a placement.
    pub(super) fn acknowledged(&mut self, order: ClientOrderId, received_ns: i64) {
        let Some(place) = self.flying.iter().position(|record| record.order == order) else { return };
        let mut record = self.flying.swap_remove(place);
        record.acknowledged_ns = received_ns;
        if self.latency_traces.try_send(record).is_err() {
            self.metrics.add(Figure::TracesLost, 1);
        }
    }

    /// Shows the engine the prices that it has not seen: it is about to use them.
    pub(super) fn show_quotes(&mut self) -> Result<(), TraderFailure> {
        while !self.due.has_no_room
            && let Some(quote) = self.quotes.take()
        {
            let body = Body::Bbo {
                instrument: quote.instrument,
                bid_ticks: quote.bid_ticks,
                ask_ticks: quote.ask_ticks,
                as_of_ns: quote.as_of_ns,
            };
            let source = match self.lockstep.step() {
                Some(step) => Source::Step(step.number),
                None => Source::Venue,
            };
            self.apply(body, source, &Trigger::at(self.clock.now_ns()))?;
        }
        Ok(())
    }

    /// Sets the trading state; a halt also ends what it kept back.
    pub(super) fn command(&mut self, command: Command, source: Source) -> Result<(), TraderFailure> {
        let trigger = Trigger::at(self.clock.now_ns());
        self.apply(Body::Command(command), source, &trigger)?;
        if command == Command::Halt {
            while let Some(order) = self.withheld.pop() {
                // It was never sent, so that nobody has to be asked.
                let is_live = self.engine.orders().get(order).is_some_and(|tracked| {
                    matches!(tracked.state, OrderState::Submitted | OrderState::PendingCancel | OrderState::Unresolved)
                });
                if is_live {
                    let report = Report { order, kind: ReportKind::NotFound { conclusive: true } };
                    self.apply(Body::Report(report), Source::Venue, &trigger)?;
                }
            }
        }
        Ok(())
    }
}
