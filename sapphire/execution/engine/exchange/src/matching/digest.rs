//! A rolling digest of everything that a market put out.
//!
//! Not a proof against an adversary, a check of ourselves: two replays that agree on it went the same way.

use sapphire_core::venue::{ExpiryReason, Outcome, Party, Rejection};
use sapphire_sim::hash::mix;
use sapphire_sim::market::{MarketEvent, Stamped};

/// The digest so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Digest(pub(crate) u64);

impl Digest {
    pub(crate) fn add(&mut self, stamped: &Stamped) {
        let time = stamped.time_ns as u64;
        self.0 = match &stamped.event {
            MarketEvent::Outcome(Outcome::Accepted(id)) => mix(self.0, &[time, 1, id.0]),
            MarketEvent::Outcome(Outcome::Canceled(id)) => mix(self.0, &[time, 2, id.0]),
            MarketEvent::Outcome(Outcome::Expired(id, reason)) => mix(self.0, &[time, 3, id.0, expiry(*reason)]),
            MarketEvent::Outcome(Outcome::Traded(trade)) => {
                let place = u64::from(trade.instrument.0);
                let head = mix(self.0, &[time, 4, place, trade.number, trade.ticks as u64, trade.lots as u64]);
                party(party(head, &trade.taker), &trade.maker)
            }
            MarketEvent::Rejected(id, why) => mix(self.0, &[time, 5, id.0, rejection(*why)]),
            MarketEvent::CancelRejected(id, why) => mix(self.0, &[time, 6, id.0, rejection(*why)]),
            MarketEvent::Quoted(instrument) => mix(self.0, &[time, 7, u64::from(instrument.0)]),
            MarketEvent::Closed(instrument) => mix(self.0, &[time, 8, u64::from(instrument.0)]),
        };
    }
}

fn party(digest: u64, party: &Party) -> u64 {
    let account = u64::from(party.account.0);
    let upper = (party.fee_atoms >> 64) as u64;
    mix(digest, &[party.order.0, account, party.fee_atoms as u64, (upper << 1) | u64::from(party.complete)])
}

fn expiry(reason: ExpiryReason) -> u64 {
    match reason {
        ExpiryReason::TimeInForce => 1,
        ExpiryReason::NoLiquidity => 2,
        ExpiryReason::SelfTrade => 3,
        ExpiryReason::MarketClosed => 4,
    }
}

fn rejection(why: Rejection) -> u64 {
    match why {
        Rejection::Unknown => 1,
        Rejection::DuplicateId => 2,
        Rejection::Price => 3,
        Rejection::Quantity => 4,
        Rejection::Notional => 5,
        Rejection::InsufficientBalance => 6,
        Rejection::WouldTake => 7,
        Rejection::UnknownOrder => 8,
        Rejection::Amount => 9,
        Rejection::MarketClosed => 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sapphire_core::venue::OrderId;

    #[test]
    fn order_and_time_matter() {
        let accepted = |time_ns, id| Stamped { time_ns, event: MarketEvent::Outcome(Outcome::Accepted(OrderId(id))) };
        let fold = |events: &[Stamped]| {
            let mut digest = Digest::default();
            for event in events {
                digest.add(event);
            }
            digest
        };
        let base = fold(&[accepted(1, 1), accepted(1, 2)]);
        assert_eq!(base, fold(&[accepted(1, 1), accepted(1, 2)]));
        assert_ne!(base, fold(&[accepted(1, 2), accepted(1, 1)]));
        assert_ne!(base, fold(&[accepted(1, 1), accepted(2, 2)]));
    }
}
