//! The end of an instrument's market.

use super::{ExpiryReason, InstrumentId, OrderId, Outcome, Side, Venue};

impl Venue {
    /// Whether an instrument's market has closed.
    pub fn is_closed(&self, id: InstrumentId) -> bool {
        self.is_closed.get(id.0 as usize).copied().unwrap_or_default()
    }

    /// Closes an instrument's market for good: every order that rests in its book expires, which frees what it had
    /// locked, and new ones are refused with [`super::Rejection::MarketClosed`].
    pub fn close(&mut self, id: InstrumentId, out: &mut Vec<Outcome>) {
        let Some(book) = self.book(id) else { return };
        let standing: Vec<OrderId> =
            [Side::Buy, Side::Sell].into_iter().flat_map(|side| book.queue(side)).map(|resting| resting.id).collect();
        self.is_closed[id.0 as usize] = true;
        for order in standing {
            self.remove(order);
            out.push(Outcome::Expired(order, ExpiryReason::MarketClosed));
        }
    }
}
