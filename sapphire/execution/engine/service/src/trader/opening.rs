//! Before signals are taken: the venue's clock, its prices, and everything it knows about us.
//!
//! Order: connected; its time; best prices; then the epoch begins, which puts every order on the way in doubt, and one
//! round of reconciliation answers for all of them and brings the balances. What the venue sends by itself meanwhile
//! waits until the epoch has begun.
//!
//! In lock-step, once there are steps, all that belongs to a step: the venue's clock tells milliseconds, a step tells
//! the very instant, and an order that is sent again must be sent at the instant of the first time. So the epoch
//! begins, the next step is let in, and asks for everything before anything is applied.

use sapphire_core::engine::Body;

use super::{Stage, Trader, TraderFailure, Trigger};
use crate::clock::ClockMode;
use crate::entry::Source;
use crate::gateway::LiveOrder;
use crate::metrics::Figure;
use sapphire_core::orders::OrderState;

/// How far the opening has come.
#[derive(Debug, Default)]
pub(super) struct Opening {
    /// The next step of the lock-step asks for everything.
    is_left_to_step: bool,
    has_begun: bool,
    round: Option<u32>,
    is_reconciled: bool,
}

impl Opening {
    /// Nothing is known; whether a step will ask for everything.
    pub(super) fn new(is_left_to_step: bool) -> Self {
        Self { is_left_to_step, ..Self::default() }
    }

    /// The next step of the lock-step asks for everything.
    pub(super) fn is_left_to_step(&self) -> bool {
        self.is_left_to_step
    }

    /// The epoch has begun.
    pub(super) fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// The connection broke: the round does not count.
    pub(super) fn interrupted(&mut self) {
        self.is_reconciled = false;
        self.round = None;
    }
}

impl Trader {
    /// The connection stands: where a step asks for everything, it may come in.
    pub(super) fn opening_connected(&mut self) -> Result<(), TraderFailure> {
        match &mut self.stage {
            Stage::Opening(opening) if opening.is_left_to_step => opening.has_begun = true,
            _ => return Ok(()),
        }
        self.begin_epoch()?;
        self.open()
    }

    fn begin_epoch(&mut self) -> Result<(), TraderFailure> {
        let trigger = Trigger::at(self.clock.now_ns());
        let market_ns = self.market.at(trigger.taken_ns);
        if let Some(traded) = self.traded.last_mut() {
            traded.market_ns.get_or_insert(market_ns);
        }
        self.apply(Body::Epoch { epoch: self.journal.epoch() }, Source::Start, &trigger)
    }

    /// The venue's clock is known: prices next.
    pub(super) fn opening_timed(&mut self) {
        if matches!(self.stage, Stage::Opening(_)) {
            self.ask_quotes();
        }
    }

    /// Prices are there: the epoch begins, and everything is asked for.
    pub(super) fn opening_priced(&mut self) -> Result<(), TraderFailure> {
        let Stage::Opening(opening) = &mut self.stage else { return Ok(()) };
        let is_first = !opening.has_begun;
        opening.has_begun = true;
        if is_first {
            self.begin_epoch()?;
        }
        let round = self.reconcile();
        if let Stage::Opening(opening) = &mut self.stage {
            opening.round = round;
        }
        self.take_held()
    }

    /// A round is complete.
    pub(super) fn opening_reconciled(&mut self, round: u32) {
        if let Stage::Opening(opening) = &mut self.stage
            && opening.round == Some(round)
        {
            opening.is_reconciled = true;
        }
    }

    /// Takes signals once every answer is there.
    pub(super) fn open_if_settled(&mut self) -> Result<(), TraderFailure> {
        let Stage::Opening(opening) = &self.stage else { return Ok(()) };
        if !opening.is_reconciled || self.gateway.outstanding() > 0 || !self.pending.is_empty() {
            return Ok(());
        }
        self.lockstep.caught_up();
        self.open()
    }

    fn open(&mut self) -> Result<(), TraderFailure> {
        self.stage = Stage::Open;
        self.metrics.set(Figure::Ready, 1);
        self.event_publisher.ready()?;
        let now_ns = self.clock.now_ns();
        let market_ns = self.market.at(now_ns);
        tracing::info!(epoch = self.journal.epoch(), step = self.step, cursor = %self.cursor, market_ns, "ready");
        if self.clock_mode != ClockMode::Lockstep {
            let latest_ns = market_ns - market_ns.rem_euclid(self.interval_ns);
            self.due.close_from(latest_ns, self.interval_ns);
        }
        Ok(())
    }

    /// Begins a round of reconciliation; its number, or none when it cannot be asked now.
    pub(super) fn reconcile(&mut self) -> Option<u32> {
        let now_ns = self.clock.now_ns();
        let market_ns = self.market.at(now_ns);
        let live = self.engine.live_orders().map(|tracked| LiveOrder {
            order: tracked.order.id,
            instrument: tracked.order.instrument,
            made_ns: tracked.made_ns,
            filled_lots: tracked.filled_lots,
            is_open: matches!(tracked.state, OrderState::Accepted | OrderState::PartiallyFilled),
        });
        match self.gateway.reconcile(live.collect(), market_ns) {
            Ok(round) => {
                self.due.reconciling(round, now_ns);
                Some(round)
            }
            Err(why) => {
                tracing::warn!(%why, "a round of reconciliation was not begun; it is tried again");
                None
            }
        }
    }

    /// Asks for the best prices of all symbols; whether they could be asked for.
    pub(super) fn ask_quotes(&mut self) -> bool {
        let now_ns = self.clock.now_ns();
        let market_ns = self.market.at(now_ns);
        let asked = self.gateway.ask_references(market_ns);
        match &asked {
            Ok(()) => self.due.pricing(now_ns),
            Err(why) => tracing::warn!(%why, "best prices were not asked for; it is tried again"),
        }
        asked.is_ok()
    }
}
