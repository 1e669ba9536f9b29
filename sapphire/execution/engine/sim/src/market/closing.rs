//! Markets that close: where a generated symbol is delisted, or its trading rules change to others.

use sapphire_core::instrument::InstrumentId;
use sapphire_core::venue::Outcome;

use super::{Market, MarketEvent, Stamped, is_clients};

impl Market {
    /// Closes the market of a symbol whose end has come: the synthetic liquidity leaves, clients' orders expire.
    pub(super) fn close_if_due(&mut self, index: usize, outcomes: &mut Vec<Outcome>, out: &mut Vec<Stamped>) {
        if !self.providers[index].take_end(self.now_ns) {
            return;
        }
        let instrument = InstrumentId(index as u16);
        let time_ns = self.now_ns;
        for own in &mut self.venues {
            own.close(index, outcomes);
            let ended = outcomes.drain(..).filter(is_clients).map(|outcome| own.outward(outcome));
            out.extend(ended.map(|outcome| Stamped { time_ns, event: MarketEvent::Outcome(outcome) }));
        }
        out.push(self.stamp(MarketEvent::Closed(instrument)));
    }

    /// Closes what ended in time that was skipped: no client's order stood.
    pub(super) fn close_unseen(&mut self) {
        for index in 0..self.providers.len() {
            self.close_if_due(index, &mut Vec::new(), &mut Vec::new());
        }
    }
}

#[cfg(test)]
mod tests;
