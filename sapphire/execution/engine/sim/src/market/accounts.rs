//! The accounts of a market: each with books of its own.
//!
//! Invariant: an account that is opened changes nothing for those that are there, and finds the books and the trade
//! numbers that it would have found had it been there, and silent, since the market began.

use sapphire_core::instrument::{Asset, InstrumentId};
use sapphire_core::venue::{Account, AccountId, FeeRates, Order, OrderId, Rejection};

use super::Market;
use super::account_venue::AccountVenue;

/// Whose books an account trades on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Books {
    /// Its own; the first account's are those that the public sees.
    Own,
    /// The first account's, as all accounts did before each had its own: what an older journal holds.
    First,
}

/// Where an account stands: its venue, and its index there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seat {
    pub(super) venue: usize,
    pub(super) account: AccountId,
}

impl Market {
    /// Opens a client's account, on books that hold the synthetic liquidity's present quotes and nothing else where
    /// they are its own.
    pub fn open_account(&mut self, fees: FeeRates, books: Books) -> AccountId {
        let is_first = self.seats.len() == 1;
        if books == Books::Own && !is_first {
            self.venues.push(self.fresh_venue());
        }
        let venue = if books == Books::Own { self.venues.len() - 1 } else { 0 };
        let opened = AccountId(self.seats.len() as u32);
        let account = self.venues[venue].open_account(opened, fees);
        self.seats.push(Seat { venue, account });
        opened
    }

    /// A venue as one would be on which nobody has traded since the market began, trade numbers included.
    fn fresh_venue(&self) -> AccountVenue {
        let public = self.venue();
        let mut own = AccountVenue::new(self.venues.len() as u64, &self.listed, public.collected().len());
        for (index, provider) in self.providers.iter().enumerate() {
            let instrument = InstrumentId(index as u16);
            own.venue.count_trades(instrument, provider.trades_before());
            if public.is_closed(instrument) {
                own.venue.close(instrument, &mut Vec::new());
            } else if let Some(step) = provider.last() {
                own.run_step(index, step, &mut Vec::new());
            }
        }
        own
    }

    /// An account's balances and fees.
    pub fn account(&self, account: AccountId) -> Option<&Account> {
        let seat = self.seat(account)?;
        self.venues[seat.venue].venue.account(seat.account)
    }

    /// Price of the last trade in an account's books; none before the first.
    pub fn last_ticks(&self, account: AccountId, instrument: InstrumentId) -> Option<i64> {
        self.venues[self.seat(account)?.venue].venue.last_ticks(instrument)
    }

    /// Whether what an account does shows in what the public sees.
    pub fn is_public(&self, account: AccountId) -> bool {
        self.seat(account).is_some_and(|seat| seat.venue == 0)
    }

    /// A standing order of an account.
    pub fn order(&self, account: AccountId, id: OrderId) -> Option<&Order> {
        self.venues[self.seat(account)?.venue].venue.order(id)
    }

    /// Deposits (see [`sapphire_core::venue::Venue::deposit`]).
    ///
    /// # Errors
    /// Those of [`sapphire_core::venue::Venue::deposit`].
    pub fn deposit(&mut self, account: AccountId, asset: Asset, atoms: i128) -> Result<(), Rejection> {
        let seat = self.seat(account).ok_or(Rejection::Unknown)?;
        self.venues[seat.venue].venue.deposit(seat.account, asset, atoms)
    }

    /// The id that the next order of an account gets: no other account's order has it, and no other account's orders
    /// change it.
    pub fn next_order_id(&mut self, account: AccountId) -> OrderId {
        let venue = self.seat(account).map_or(0, |seat| seat.venue);
        self.venues[venue].next_order_id()
    }

    pub(super) fn seat(&self, account: AccountId) -> Option<Seat> {
        self.seats.get(account.0 as usize).copied()
    }

    /// An account that there is not has no index in any venue either, which refuses it on arrival.
    pub(super) fn seat_or_unknown(&self, account: AccountId) -> Seat {
        self.seat(account).unwrap_or(Seat { venue: 0, account })
    }
}
