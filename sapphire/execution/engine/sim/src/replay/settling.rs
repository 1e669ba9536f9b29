//! What is held of a symbol that trades no more is paid out at its last price.
//!
//! Invariant: engine and exchange hold the same before and after, and equity at the last closes does not change.

use sapphire_core::amounts::Atoms;
use sapphire_core::engine::{Balances, Body};
use sapphire_core::instrument::InstrumentId;

use super::exchange::Exchange;
use super::{Replay, ReplayError};

/// A position that was paid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// Base atoms that were held.
    pub atoms: Atoms,
    /// Last price, ticks.
    pub ticks: i64,
    /// Quote atoms that were paid for them, without a fee.
    pub quote_atoms: Atoms,
}

impl Replay {
    /// Pays out what is held of a symbol at its last close; between [`Replay::close_bar`] and the bar's signals.
    /// None where nothing is held, and where an order is on the way yet: then it is asked again at the next close.
    ///
    /// # Errors
    /// [`ReplayError::NoBar`], [`ReplayError::NoPrice`], [`ReplayError::NotValued`], [`ReplayError::Deposit`] where the
    /// exchange has it locked.
    pub fn settle(&mut self, instrument: InstrumentId) -> Result<Option<Settlement>, ReplayError> {
        let close_ns = self.open_bar_ns.ok_or(ReplayError::NoBar)?;
        let index = instrument.0 as usize;
        let position = self.recorder.engine.ledger().position(instrument);
        let atoms = position.atoms;
        if atoms == 0 || !self.recorder.engine.is_quiet() {
            return Ok(None);
        }
        let Some(listed) = self.exchange.listed().get(index) else { return Ok(None) };
        let rules = listed.instrument;
        let symbol = || listed.symbol.clone();
        let ticks = self.marks[index].ok_or_else(|| ReplayError::NoPrice { symbol: symbol(), close_ns })?;
        let quote_atoms = position.value_atoms(rules.price_atoms(ticks)).ok_or_else(|| ReplayError::NotValued {
            symbol: symbol(),
            atoms,
            close_ns,
        })?;
        let cash_atoms = self.recorder.engine.ledger().cash_atoms() + quote_atoms;
        if let Exchange::Book(book) = &mut self.exchange {
            book.pay_out((rules.base, atoms), (rules.quote, quote_atoms))?;
        }
        let holdings = vec![(rules.base, 0), (rules.quote, cash_atoms)];
        self.apply(Body::Balances(Balances { as_of_ns: self.now_ns(), holdings }));
        Ok(Some(Settlement { atoms, ticks, quote_atoms }))
    }
}
