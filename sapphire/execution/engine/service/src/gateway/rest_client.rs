//! The thread that asks the venue by REST: what became of orders, what is held, best prices, the time, and the rounds
//! of reconciliation.
//!
//! Invariants: every question ends in its one closing event. "Not found" is conclusive only when the place can no
//! longer arrive: the exchange said that dead connections are drained after the one that carried it was lost, or the
//! window of the request had passed by the venue's clock before the venue was asked again; an order whose place is
//! unanswered on the living connection is never conclusively absent.

use std::sync::mpsc::{Receiver, RecvTimeoutError};

use sapphire_core::instrument::InstrumentId;
use sapphire_core::orders::{ClientOrderId, Report, ReportKind};

use super::answers::{OrderRow, reports};
use super::errors::GatewayError;
use super::questions::Questions;
use super::reconcile::{Horizon, LiveOrder, plan};
use super::shared::{BackOff, GLANCE};
use crate::events::{TraderEvent, Venue};
use crate::mailbox::{Channel, TraderGone};

/// How often a question is asked that may also stay without an answer.
const TRIES: usize = 2;

/// What is to be asked.
#[derive(Debug)]
pub(super) enum Question {
    /// What became of an order. `is_awaited`: its place is unanswered on the living connection.
    Query { order: ClientOrderId, instrument: InstrumentId, made_ns: i64, is_awaited: bool },
    /// The best prices.
    References { market_ns: i64 },
    /// The venue's clock.
    Time,
    /// A round of reconciliation.
    Reconcile { round: u32, live: Vec<LiveOrder>, awaiting: Vec<ClientOrderId>, horizon: Horizon, market_ns: i64 },
}

/// Why a question was given up.
enum GivenUp {
    /// The error has been reported.
    Failed,
    /// Nobody waits for an answer any more.
    Gone,
}

impl From<TraderGone> for GivenUp {
    fn from(_: TraderGone) -> Self {
        Self::Gone
    }
}

/// How long a question is asked again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Patience {
    /// Until it is answered.
    Endless,
    /// A few times; in lock-step, where time stands until there is an answer, as long as the venue may come back.
    Short,
}

/// The asking thread.
#[derive(Debug)]
pub(super) struct RestClient {
    ask: Questions,
    mailbox: Receiver<Question>,
    channel: Channel,
    /// Losses at the time of the last drain.
    drained: u64,
}

impl RestClient {
    pub(super) fn new(ask: Questions, mailbox: Receiver<Question>, channel: Channel) -> Self {
        Self { ask, mailbox, channel, drained: 0 }
    }

    /// Works until the gateway or the trader loop ends.
    pub(super) fn run(mut self) {
        while !self.ask.shared.is_over() {
            let answered = match self.mailbox.recv_timeout(GLANCE) {
                Ok(question) => self.answer(question),
                Err(RecvTimeoutError::Timeout) => Ok(()),
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if matches!(answered, Err(GivenUp::Gone)) {
                return;
            }
        }
    }

    fn answer(&mut self, question: Question) -> Result<(), GivenUp> {
        match question {
            Question::Query { order, instrument, made_ns, is_awaited } => {
                match self.look_up(order, instrument, made_ns, is_awaited) {
                    Err(GivenUp::Gone) => return Err(GivenUp::Gone),
                    Ok(()) | Err(GivenUp::Failed) => self.emit(Venue::Answered { order })?,
                }
            }
            Question::References { market_ns } => {
                let quotes = match self.ask_for(Patience::Short, |ask| ask.quotes(market_ns)) {
                    Err(GivenUp::Gone) => return Err(GivenUp::Gone),
                    Err(GivenUp::Failed) => Vec::new(),
                    Ok(quotes) => quotes,
                };
                self.emit(Venue::References { quotes, asked: true })?;
            }
            Question::Time => {
                let time = self.ask_for(Patience::Endless, Questions::time)?;
                let (market_ns, sent_ns, received_ns) = (time.market_ns, time.sent_ns, time.received_ns);
                self.emit(Venue::VenueTime { market_ns, sent_ns, received_ns })?;
            }
            Question::Reconcile { round, live, awaiting, horizon, market_ns } => {
                let orphans_canceled = self.reconcile(&live, &awaiting, horizon, market_ns)?;
                self.emit(Venue::Reconciled { round, orphans_canceled })?;
            }
        }
        Ok(())
    }

    /// A whole round: orders first, then what is held.
    fn reconcile(
        &mut self,
        live: &[LiveOrder],
        awaiting: &[ClientOrderId],
        horizon: Horizon,
        market_ns: i64,
    ) -> Result<u32, GivenUp> {
        let open = self.ask_for(Patience::Endless, Questions::open_orders)?;
        let plan = plan(live, &open, awaiting, horizon);
        for live in plan.query {
            self.patiently(live.order, live.instrument, live.made_ns)?;
        }
        let mut orphans_canceled = 0;
        for orphan in plan.orphans {
            tracing::warn!(order = %orphan.order, "an open order of ours that the journal does not know is taken out");
            let was_there = self.ask_for(Patience::Endless, |ask| ask.cancel(orphan.order, orphan.instrument))?;
            orphans_canceled += u32::from(was_there);
            self.patiently(orphan.order, orphan.instrument, i64::MAX)?;
        }
        let time = self.ask_for(Patience::Endless, Questions::time)?;
        // Made after the clock was read, so it is not older than that; in lock-step time stands, to the nanosecond.
        let as_of_ns = if self.ask.shared.is_lockstep() { time.market_ns.max(market_ns) } else { time.market_ns };
        let balances = self.ask_for(Patience::Endless, |ask| ask.balances(as_of_ns))?;
        self.emit(Venue::Balances(balances))?;
        Ok(orphans_canceled)
    }

    /// Looks an order up in a round. What cannot be read is logged and left to the engine's own questions.
    fn patiently(&mut self, order: ClientOrderId, instrument: InstrumentId, made_ns: i64) -> Result<(), GivenUp> {
        match self.look_up(order, instrument, made_ns, false) {
            Err(GivenUp::Gone) => Err(GivenUp::Gone),
            Ok(()) | Err(GivenUp::Failed) => Ok(()),
        }
    }

    /// Emits the reports of an order.
    fn look_up(
        &mut self,
        order: ClientOrderId,
        instrument: InstrumentId,
        made_ns: i64,
        is_awaited: bool,
    ) -> Result<(), GivenUp> {
        if let Some(row) = self.ask_for(Patience::Short, |ask| ask.order(order, instrument))? {
            return self.emit_order(order, instrument, &row);
        }
        let conclusive = !is_awaited && self.can_not_arrive(made_ns)?;
        if conclusive {
            // It may have arrived between the first question and the proof that it can no longer.
            if let Some(row) = self.ask_for(Patience::Short, |ask| ask.order(order, instrument))? {
                return self.emit_order(order, instrument, &row);
            }
        }
        let market_ns = self.ask.shared.market_ns();
        self.emit_report(Report { order, kind: ReportKind::NotFound { conclusive } }, market_ns)
    }

    fn emit_order(&mut self, order: ClientOrderId, instrument: InstrumentId, row: &OrderRow) -> Result<(), GivenUp> {
        let trades = self.ask_for(Patience::Short, |ask| ask.trades(row.order_id, instrument))?;
        match reports(&self.ask.rules, order, instrument, row, &trades) {
            Ok(reports) => reports.into_iter().try_for_each(|(report, market_ns)| self.emit_report(report, market_ns)),
            Err(error) => {
                tracing::error!(%order, %error, "what the venue says about an order cannot be taken as it is");
                Err(GivenUp::Failed)
            }
        }
    }

    /// No request of before the last loss, or of a window that has passed, can reach the venue any more.
    fn can_not_arrive(&mut self, made_ns: i64) -> Result<bool, GivenUp> {
        let losses = self.ask.shared.losses();
        if self.ask.shared.settings.control.is_some() {
            if self.drained < losses {
                match self.ask_for(Patience::Short, Questions::drained) {
                    Ok(Some(true)) => self.drained = losses,
                    Err(GivenUp::Gone) => return Err(GivenUp::Gone),
                    // Nobody has said so, so nothing is proved.
                    Ok(_) | Err(GivenUp::Failed) => {}
                }
            }
            return Ok(self.drained >= losses);
        }
        let time = self.ask_for(Patience::Short, Questions::time)?;
        Ok(time.market_ns > self.ask.last_chance_ns(made_ns))
    }

    /// Asks until there is an answer or patience ends.
    fn ask_for<T>(
        &self,
        patience: Patience,
        question: impl Fn(&Questions) -> Result<T, GatewayError>,
    ) -> Result<T, GivenUp> {
        let shared = &self.ask.shared;
        let mut back_off = BackOff::new();
        for tried in 1.. {
            let error = match question(&self.ask) {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let asks_again = match patience {
                Patience::Endless => true,
                Patience::Short if shared.is_lockstep() => may_pass(&error),
                Patience::Short => tried < TRIES && may_pass(&error),
            };
            if !asks_again {
                tracing::error!(%error, "a question stays without an answer");
                return Err(GivenUp::Failed);
            }
            tracing::warn!(%error, tried, "a question is asked again");
            shared.sleep(back_off.next());
            if shared.is_over() || self.channel.is_abandoned() {
                break;
            }
        }
        Err(GivenUp::Gone)
    }

    fn emit_report(&mut self, report: Report, market_ns: i64) -> Result<(), GivenUp> {
        let received_ns = self.ask.shared.clock.now_ns();
        self.emit(Venue::Report { report, market_ns, received_ns, event: None })
    }

    fn emit(&mut self, event: Venue) -> Result<(), GivenUp> {
        Ok(self.channel.send(TraderEvent::Venue(event))?)
    }
}

/// Asking again may help.
fn may_pass(error: &GatewayError) -> bool {
    match error {
        GatewayError::Unreachable { .. } | GatewayError::Limited { .. } => true,
        GatewayError::Refused { status, .. } => *status >= 500 || *status == 429,
        _ => false,
    }
}
