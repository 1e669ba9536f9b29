//! The latest orders and fills, for the control API: kept beside the trader loop, fed with what it emits.
//!
//! Known limitation: the last `ROOM` of each; the whole history is in the journal.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use sapphire_core::instrument::Side;
use sapphire_core::orders::ClientOrderId;
use serde_json::{Value, json};

use super::emitting::{EmittedFact, Fact, OrderFact};
use super::messages::MessageBuilder;

/// Orders, and fills, that are kept.
pub const ROOM: usize = 10_000;

/// Orders and fills.
#[derive(Debug, Default)]
pub struct Blotter {
    pages: Mutex<Pages>,
}

#[derive(Debug, Default)]
struct Pages {
    order: VecDeque<ClientOrderId>,
    orders: HashMap<ClientOrderId, Value>,
    fills: VecDeque<Value>,
}

impl Blotter {
    /// Takes in a fact; one that is about no order changes nothing.
    pub fn note(&self, emitted: &EmittedFact, message_builder: &MessageBuilder) {
        let Fact::Order(fact) = &emitted.fact else { return };
        let id = fact.order.id;
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        if pages.orders.insert(id, order_row(emitted, fact, message_builder)).is_none() {
            pages.order.push_back(id);
            if pages.order.len() > ROOM
                && let Some(oldest) = pages.order.pop_front()
            {
                pages.orders.remove(&oldest);
            }
        }
        if let Some(row) = fill_row(emitted, fact, message_builder) {
            pages.fills.push_back(row);
            if pages.fills.len() > ROOM {
                pages.fills.pop_front();
            }
        }
    }

    /// The latest orders, oldest first.
    pub fn orders(&self, limit: usize) -> Value {
        let pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        let skipped = pages.order.len().saturating_sub(limit);
        pages.order.iter().skip(skipped).filter_map(|id| pages.orders.get(id).cloned()).collect()
    }

    /// The latest fills, oldest first.
    pub fn fills(&self, limit: usize) -> Value {
        let pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        let skipped = pages.fills.len().saturating_sub(limit);
        pages.fills.iter().skip(skipped).cloned().collect()
    }
}

fn side(fact: &OrderFact) -> &'static str {
    match fact.order.side {
        Side::Buy => "BUY",
        Side::Sell => "SELL",
    }
}

fn order_row(emitted: &EmittedFact, fact: &OrderFact, message_builder: &MessageBuilder) -> Value {
    let order = &fact.order;
    json!({
        "order": order.id.to_string(),
        "symbol": message_builder.symbol(order.instrument),
        "release": message_builder.release(order.release),
        "side": side(fact),
        "ticks": order.ticks.to_string(),
        "lots": order.lots.to_string(),
        "state": fact.state.text(),
        "filled_lots": fact.filled_lots.to_string(),
        "filled_quote_atoms": fact.filled_quote.to_string(),
        "bar_close_ns": order.bar_close_ns.to_string(),
        "made_ns": fact.made_ns.to_string(),
        "changed_ns": emitted.market_ns.to_string(),
        "step": emitted.step.to_string(),
        "denied": fact.denial.map(|denial| denial.code.text()),
        "denial": fact.denial.map(|denial| message_builder.units().denial(order, &denial)),
        "venue_code": fact.venue_code,
        "venue_order": fact.venue_order.map(|number| number.to_string()),
    })
}

fn fill_row(emitted: &EmittedFact, fact: &OrderFact, message_builder: &MessageBuilder) -> Option<Value> {
    let fill = fact.fill?;
    Some(json!({
        "order": fact.order.id.to_string(),
        "symbol": message_builder.symbol(fact.order.instrument),
        "release": message_builder.release(fact.order.release),
        "side": side(fact),
        "trade": fill.trade.to_string(),
        "ticks": fill.ticks.to_string(),
        "lots": fill.lots.to_string(),
        "quote_atoms": fill.quote_atoms.to_string(),
        "fee_asset": message_builder.asset(fill.fee_asset),
        "fee_atoms": fill.fee_atoms.to_string(),
        "market_ns": emitted.market_ns.to_string(),
        "bar_close_ns": fact.order.bar_close_ns.to_string(),
        "step": emitted.step.to_string(),
    }))
}
