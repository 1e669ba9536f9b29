//! The facts that a step of the engine emits.
//!
//! Invariant: the facts of a step are a pure function of the engine before it, the event and the outputs, so a journal
//! that is folded again emits the same facts with the same numbers, and each of them is one message.
//!
//! Known limitation: the journal does not hold the venue's own time of a trade; a trade carries the market time at
//! which it was taken in.

use sapphire_core::amounts::Atoms;
use sapphire_core::engine::{Body, Engine, Event, Output, Outputs, Refusal, SignalId};
use sapphire_core::orders::{ClientOrderId, Fill, Order, OrderState, ReportKind, Tracked};
use sapphire_core::risk::{Cause, Command, Denial, TradingState};

use crate::entry::Source;

/// An order as it stands after something happened to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderFact {
    /// What was asked for.
    pub order: Order,
    /// Where it is in its life.
    pub state: OrderState,
    /// Lots traded so far.
    pub filled_lots: i64,
    /// Quote that changed hands so far.
    pub filled_quote: Atoms,
    /// When it was made, market time.
    pub made_ns: i64,
    /// The trade, if that is what happened.
    pub fill: Option<Fill>,
    /// The venue's code, if it refused.
    pub venue_code: Option<i32>,
    /// The gate's reason, if it refused.
    pub denial: Option<Denial>,
    /// The venue's own number of it, once it gave one.
    pub venue_order: Option<u64>,
}

/// Something that is emitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// An order has changed.
    Order(OrderFact),
    /// A signal was not taken.
    Refused {
        /// Which.
        signal: SignalId,
        /// Why.
        reason: Refusal,
        /// Its symbol, where that is not traded here.
        symbol: Option<Box<str>>,
        /// What passes.
        state: TradingState,
    },
    /// The gate refused an order.
    Denied {
        /// Which.
        order: Order,
        /// Why.
        denial: Denial,
        /// What passes.
        state: TradingState,
    },
    /// The trading state was set.
    Trading {
        /// To what.
        state: TradingState,
        /// By what.
        cause: Cause,
        /// In whose words.
        why: Option<Box<str>>,
        /// The command that set it.
        command: Option<Command>,
    },
}

/// A fact and its place: the step, its number within the step, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmittedFact {
    /// The journal's event number.
    pub step: u64,
    /// Counts the facts of the step from 0.
    pub index: u32,
    /// Market time of the step.
    pub market_ns: i64,
    /// What is emitted.
    pub fact: Fact,
}

/// The parts of an order by which a change is seen.
type Mark = (OrderState, i64, i64, Option<u64>);

fn mark(tracked: &Tracked) -> Mark {
    (tracked.state, tracked.filled_lots, tracked.executed_lots, tracked.venue_order)
}

/// Watches steps and collects their facts.
#[derive(Debug, Default)]
pub struct Emitter {
    before: Option<Mark>,
    facts: Vec<Fact>,
}

impl Emitter {
    /// With room for the facts of a usual step.
    #[must_use]
    pub fn new() -> Self {
        Self { before: None, facts: Vec::with_capacity(16) }
    }

    /// The engine is about to be given `event`.
    pub fn before(&mut self, engine: &Engine, event: &Event) {
        self.before = match &event.body {
            Body::Report(report) => engine.orders().get(report.order).map(mark),
            _ => None,
        };
    }

    /// The engine has taken it: what follows from it, in order.
    pub fn after(
        &mut self,
        event: &Event,
        source: &Source,
        outputs: &Outputs,
        engine: &Engine,
    ) -> std::vec::Drain<'_, Fact> {
        self.facts.clear();
        if let Body::Report(report) = &event.body {
            let changed = engine.orders().get(report.order).filter(|tracked| Some(mark(tracked)) != self.before);
            if let Some(tracked) = changed {
                let traded = self.before.is_none_or(|(_, filled_lots, ..)| filled_lots != tracked.filled_lots);
                let mut fact = fact_of(tracked);
                match report.kind {
                    ReportKind::Trade { fill, .. } if traded => fact.fill = Some(fill),
                    ReportKind::Rejected { venue_code } => fact.venue_code = Some(venue_code),
                    _ => {}
                }
                self.facts.push(Fact::Order(fact));
            }
        }
        let reported = match &event.body {
            Body::Report(report) => Some(report.order),
            _ => None,
        };
        for output in outputs {
            self.on_output(output, (event, source), engine, reported);
        }
        self.facts.drain(..)
    }

    fn on_output(
        &mut self,
        output: &Output,
        (event, source): (&Event, &Source),
        engine: &Engine,
        reported: Option<ClientOrderId>,
    ) {
        let state = engine.trading_state();
        let order = |id: &ClientOrderId| engine.orders().get(*id).map(|tracked| Fact::Order(fact_of(tracked)));
        match output {
            Output::Place(approved) => self.facts.extend(order(&approved.order().id)),
            Output::Cancel { order: id, .. } => self.facts.extend(order(id)),
            // A question that follows from a report is emitted with the report; one at the start emits the doubt.
            Output::Query { order: id, .. } if reported.is_none() && *source == Source::Start => {
                self.facts.extend(order(id));
            }
            Output::Denied { order, denial } => {
                let made_ns = engine.now_ns();
                let fact = OrderFact {
                    order: *order,
                    state: OrderState::Denied,
                    filled_lots: 0,
                    filled_quote: 0,
                    made_ns,
                    fill: None,
                    venue_code: None,
                    denial: Some(*denial),
                    venue_order: None,
                };
                self.facts.push(Fact::Order(fact));
                self.facts.push(Fact::Denied { order: *order, denial: *denial, state });
            }
            Output::SignalRefused { signal, reason } => {
                let symbol = match source {
                    Source::Unlisted { symbol, .. } => Some(symbol.as_str().into()),
                    _ => None,
                };
                self.facts.push(Fact::Refused { signal: *signal, reason: *reason, symbol, state });
            }
            Output::Trading { state, cause } => {
                let why = match source {
                    Source::Operator { who } => Some(who.as_str().into()),
                    Source::Guard { why } => Some(why.as_str().into()),
                    _ => None,
                };
                let command = match &event.body {
                    Body::Command(command) if *cause == Cause::Command => Some(*command),
                    _ => None,
                };
                self.facts.push(Fact::Trading { state: *state, cause: *cause, why, command });
            }
            Output::Query { .. }
            | Output::TargetReached { .. }
            | Output::TargetExpired { .. }
            | Output::Adjusted { .. }
            | Output::BalancesSkipped { .. }
            | Output::NotHoldable { .. }
            | Output::Unmatched { .. }
            | Output::Overfilled { .. }
            | Output::WakeAt(_) => {}
        }
    }
}

fn fact_of(tracked: &Tracked) -> OrderFact {
    OrderFact {
        order: tracked.order,
        state: tracked.state,
        filled_lots: tracked.filled_lots,
        filled_quote: tracked.filled_quote,
        made_ns: tracked.made_ns,
        fill: None,
        venue_code: None,
        denial: None,
        venue_order: tracked.venue_order,
    }
}
