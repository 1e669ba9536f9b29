//! The latest best prices, and which of them the engine has not seen yet.
//!
//! Invariant: a price goes to the engine, and so into the journal, only when an event is about to use it, or when it
//! was asked for; what comes in between is replaced by what comes after it.

use crate::events::Quote;

/// Latest prices by instrument.
#[derive(Debug)]
pub struct Quotes {
    latest: Vec<Option<Quote>>,
    unseen: Vec<bool>,
}

impl Quotes {
    /// None yet, of so many instruments.
    #[must_use]
    pub fn new(instruments: usize) -> Self {
        Self { latest: vec![None; instruments], unseen: vec![false; instruments] }
    }

    /// Keeps a price; one that is older than the one there, or of no instrument of ours, changes nothing.
    pub fn note(&mut self, quote: Quote) {
        let index = usize::from(quote.instrument.0);
        let Some(place) = self.latest.get_mut(index) else { return };
        if place.is_none_or(|known| known.as_of_ns <= quote.as_of_ns) {
            *place = Some(quote);
            self.unseen[index] = true;
        }
    }

    /// The next price that the engine has not seen, which it is about to.
    pub fn take(&mut self) -> Option<Quote> {
        let index = self.unseen.iter().position(|unseen| *unseen)?;
        self.unseen[index] = false;
        self.latest[index]
    }

    /// Market time of the oldest of the latest prices; none while one is missing.
    pub fn oldest_ns(&self) -> Option<i64> {
        self.latest.iter().map(|quote| quote.map(|quote| quote.as_of_ns)).min().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sapphire_core::instrument::InstrumentId;

    fn quote(instrument: u16, bid_ticks: i64, as_of_ns: i64) -> Quote {
        Quote { instrument: InstrumentId(instrument), bid_ticks, ask_ticks: bid_ticks + 1, as_of_ns }
    }

    #[test]
    fn only_the_latest_price_is_seen_and_only_once() {
        let mut quotes = Quotes::new(2);
        for seen in [quote(1, 5, 10), quote(1, 6, 12), quote(1, 7, 11), quote(9, 1, 1)] {
            quotes.note(seen);
        }
        assert_eq!((quotes.take(), quotes.take()), (Some(quote(1, 6, 12)), None));
        assert_eq!(quotes.oldest_ns(), None);
        quotes.note(quote(0, 1, 3));
        assert_eq!((quotes.take(), quotes.oldest_ns()), (Some(quote(0, 1, 3)), Some(3)));
    }
}
