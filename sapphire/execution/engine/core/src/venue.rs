//! The venue: accounts, balances to the atom, and the life of an order in its book.
//!
//! Invariants, each property-tested: per asset, deposits equal the sum of all balances plus collected fees; what an
//! account has locked is what its standing orders need; no balance but the synthetic liquidity's is ever negative; an
//! order that crosses trades at the resting price, best price first and the earlier order first.
//!
//! Fees are taken in the asset received, from the amount received, as Binance spot takes them. An order that would
//! trade with a resting order of its own account expires that resting order (the venue's EXPIRE_MAKER); the synthetic
//! liquidity is many hands in one account and is exempt.
//!
//! Known limitation: spot only. Market orders are checked against the free balance before they trade and are filled
//! from what rests in the book; what finds no counterpart expires.

use rustc_hash::FxHashMap;

use crate::amounts::{Atoms, is_holdable};
use crate::book::{Book, Resting, Tracking};
use crate::instrument::{Asset, Instrument, InstrumentId, Side, fee};

mod accounts;
mod closing;
mod matching;

pub use accounts::{Account, AccountKind, Balance, FeeRates};

/// Identity of an order, chosen by whoever drives the venue and never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OrderId(pub u64);

/// Dense index of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(pub u32);

/// How long a limit order rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeInForce {
    /// Until filled or cancelled.
    GoodTillCancel,
    /// What cannot trade at once expires.
    ImmediateOrCancel,
    /// All of it at once, or none of it.
    FillOrKill,
    /// Refused when it would trade at once (`LIMIT_MAKER`).
    PostOnly,
}

/// What an order asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Terms {
    /// `lots` at `ticks` or better.
    Limit {
        /// Worst price.
        ticks: i64,
        /// Quantity.
        lots: i64,
        /// How long it rests.
        time_in_force: TimeInForce,
    },
    /// `lots` at whatever the book offers.
    Market {
        /// Quantity.
        lots: i64,
    },
    /// As many lots as this much of the quote asset trades for.
    MarketQuote {
        /// Quote atoms to spend or to receive.
        quote_atoms: Atoms,
    },
}

/// A request to trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewOrder {
    /// Identity.
    pub id: OrderId,
    /// Owner.
    pub account: AccountId,
    /// What is traded.
    pub instrument: InstrumentId,
    /// Buy or sell.
    pub side: Side,
    /// Price and quantity.
    pub terms: Terms,
}

/// Why an order or a cancel was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// No such instrument or account.
    #[error("unknown instrument or account")]
    Unknown,
    /// The id was used before.
    #[error("order id was used before")]
    DuplicateId,
    /// Price outside the instrument's bounds.
    #[error("price outside the instrument's bounds")]
    Price,
    /// Quantity outside the instrument's bounds.
    #[error("quantity outside the instrument's bounds")]
    Quantity,
    /// Value below the instrument's minimum.
    #[error("value below the instrument's minimum notional")]
    Notional,
    /// Free balance too small.
    #[error("free balance too small")]
    InsufficientBalance,
    /// More than an account can hold.
    #[error("more than an account can hold: 10^20 units of an asset")]
    Amount,
    /// A post-only order would trade at once.
    #[error("post-only order would trade at once")]
    WouldTake,
    /// No such order rests.
    #[error("no such order stands")]
    UnknownOrder,
    /// The instrument's market has closed.
    #[error("the instrument's market has closed")]
    MarketClosed,
}

/// Why an order ended without its owner's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpiryReason {
    /// Immediate-or-cancel remainder, or a fill-or-kill that could not be filled.
    TimeInForce,
    /// A market order found no further counterpart.
    NoLiquidity,
    /// It would have traded with its own account.
    SelfTrade,
    /// The instrument's market closed.
    MarketClosed,
}

/// One side of a trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Party {
    /// The order.
    pub order: OrderId,
    /// Its owner.
    pub account: AccountId,
    /// Asset the fee was taken in.
    pub fee_asset: Asset,
    /// Fee, in atoms of that asset.
    pub fee_atoms: Atoms,
    /// The order is complete.
    pub complete: bool,
}

/// A trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trade {
    /// Number of the trade, counted per instrument from 1.
    pub number: u64,
    /// What was traded.
    pub instrument: InstrumentId,
    /// Price.
    pub ticks: i64,
    /// Quantity.
    pub lots: i64,
    /// Value in quote atoms.
    pub quote_atoms: Atoms,
    /// The side that came second and took.
    pub taker_side: Side,
    /// Who took.
    pub taker: Party,
    /// Who stood in the book.
    pub maker: Party,
}

/// What the venue did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// An order was taken in; what follows is its trades.
    Accepted(OrderId),
    /// Two orders met.
    Traded(Trade),
    /// The owner's cancel took an order out.
    Canceled(OrderId),
    /// The venue ended an order.
    Expired(OrderId, ExpiryReason),
}

/// An order the venue knows: standing, or just ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// What was asked for.
    pub request: NewOrder,
    /// Lots traded so far.
    pub filled_lots: i64,
    /// Quote atoms traded so far.
    pub filled_quote: Atoms,
    /// Atoms locked for the rest: quote for a buy, base for a sell.
    pub locked_atoms: Atoms,
}

/// Books and accounts of one venue.
#[derive(Debug)]
pub struct Venue {
    instruments: Vec<Instrument>,
    books: Vec<Book>,
    is_closed: Vec<bool>,
    trade_numbers: Vec<u64>,
    last_ticks: Vec<Option<i64>>,
    accounts: Vec<Account>,
    collected: Vec<Atoms>,
    standing: FxHashMap<OrderId, Order>,
}

impl Venue {
    /// A venue with empty books, no accounts and `assets` assets, or as many as its instruments name.
    #[must_use]
    pub fn new(instruments: Vec<Instrument>, assets: usize) -> Self {
        let named = instruments.iter().map(|rules| usize::from(rules.base.0.max(rules.quote.0)) + 1).max();
        let assets = assets.max(named.unwrap_or(0));
        Self {
            books: instruments.iter().map(|_| Book::new()).collect(),
            is_closed: vec![false; instruments.len()],
            trade_numbers: vec![0; instruments.len()],
            last_ticks: vec![None; instruments.len()],
            instruments,
            accounts: Vec::new(),
            collected: vec![0; assets],
            standing: FxHashMap::default(),
        }
    }

    /// Opens an account with empty balances.
    pub fn open_account(&mut self, kind: AccountKind, fees: FeeRates) -> AccountId {
        self.accounts.push(Account::new(kind, fees, self.collected.len()));
        AccountId((self.accounts.len() - 1) as u32)
    }

    /// Puts `atoms` into an account (negative: takes them out).
    ///
    /// # Errors
    /// [`Rejection::Unknown`] for an account or asset that does not exist, [`Rejection::InsufficientBalance`] when
    /// more is taken out than is free, [`Rejection::Amount`] when more is put in than an account can hold.
    pub fn deposit(&mut self, account: AccountId, asset: Asset, atoms: Atoms) -> Result<(), Rejection> {
        let account = self.accounts.get_mut(account.0 as usize).ok_or(Rejection::Unknown)?;
        account.deposit(asset, atoms)
    }

    /// The rules of an instrument.
    pub fn instrument(&self, id: InstrumentId) -> Option<&Instrument> {
        self.instruments.get(id.0 as usize)
    }

    /// The book of an instrument.
    pub fn book(&self, id: InstrumentId) -> Option<&Book> {
        self.books.get(id.0 as usize)
    }

    /// Switches the record of changed levels of an instrument's book.
    pub fn track_changes(&mut self, id: InstrumentId, track: Tracking) {
        if let Some(book) = self.books.get_mut(id.0 as usize) {
            book.track_changes(track);
        }
    }

    /// Levels of an instrument's book touched since the last call.
    pub fn drain_changes(&mut self, id: InstrumentId) -> Vec<(Side, i64)> {
        self.books.get_mut(id.0 as usize).map(Book::drain_changes).unwrap_or_default()
    }

    /// Counts `trades` that happened without being run: how a market skips time that no client saw.
    pub fn count_trades(&mut self, id: InstrumentId, trades: u64) {
        if let Some(number) = self.trade_numbers.get_mut(id.0 as usize) {
            *number += trades;
        }
    }

    /// Price of an instrument's last trade; none before the first.
    pub fn last_ticks(&self, id: InstrumentId) -> Option<i64> {
        self.last_ticks.get(id.0 as usize).copied().flatten()
    }

    /// An account.
    pub fn account(&self, id: AccountId) -> Option<&Account> {
        self.accounts.get(id.0 as usize)
    }

    /// An order that rests in a book.
    pub fn order(&self, id: OrderId) -> Option<&Order> {
        self.standing.get(&id)
    }

    /// Fees collected so far, atoms per asset.
    pub fn collected(&self) -> &[Atoms] {
        &self.collected
    }

    /// Takes an order in, trades what crosses and lets the remainder rest or expire as its terms say.
    ///
    /// # Errors
    /// The first rule that refuses it. A refused order changes nothing.
    pub fn submit(&mut self, order: NewOrder, out: &mut Vec<Outcome>) -> Result<(), Rejection> {
        self.check(&order)?;
        out.push(Outcome::Accepted(order.id));
        self.execute(order, out);
        Ok(())
    }

    /// Takes a standing order of `account` out of its book and frees what it had locked.
    ///
    /// # Errors
    /// [`Rejection::UnknownOrder`] when no such order of this account rests.
    pub fn cancel(&mut self, account: AccountId, id: OrderId, out: &mut Vec<Outcome>) -> Result<Order, Rejection> {
        if self.standing.get(&id).is_none_or(|order| order.request.account != account) {
            return Err(Rejection::UnknownOrder);
        }
        let order = self.remove(id).ok_or(Rejection::UnknownOrder)?;
        out.push(Outcome::Canceled(id));
        Ok(order)
    }

    fn check(&self, order: &NewOrder) -> Result<(), Rejection> {
        let instrument = self.instrument(order.instrument).ok_or(Rejection::Unknown)?;
        let account = self.account(order.account).ok_or(Rejection::Unknown)?;
        if self.is_closed[order.instrument.0 as usize] {
            return Err(Rejection::MarketClosed);
        }
        if self.standing.contains_key(&order.id) {
            return Err(Rejection::DuplicateId);
        }
        let needed = match order.terms {
            Terms::Limit { ticks, lots, time_in_force } => {
                if !(instrument.min_ticks..=instrument.max_ticks).contains(&ticks) {
                    return Err(Rejection::Price);
                }
                check_lots(instrument, lots)?;
                let value = instrument.checked_notional(ticks, lots).ok_or(Rejection::Amount)?;
                if value < instrument.min_notional_atoms {
                    return Err(Rejection::Notional);
                }
                if time_in_force == TimeInForce::PostOnly && self.crosses(order, ticks) {
                    return Err(Rejection::WouldTake);
                }
                if order.side == Side::Buy { value } else { instrument.base_atoms(lots) }
            }
            Terms::Market { lots } => {
                check_lots(instrument, lots)?;
                if order.side == Side::Buy { self.sweep_cost(order, lots) } else { instrument.base_atoms(lots) }
            }
            Terms::MarketQuote { quote_atoms } => {
                if quote_atoms < instrument.min_notional_atoms {
                    return Err(Rejection::Notional);
                }
                if !is_holdable(quote_atoms) {
                    return Err(Rejection::Amount);
                }
                if order.side == Side::Buy { quote_atoms } else { self.sweep_base(order, quote_atoms) }
            }
        };
        let (asset, other) = match order.side {
            Side::Buy => (instrument.quote, instrument.base),
            Side::Sell => (instrument.base, instrument.quote),
        };
        if account.kind() == AccountKind::Liquidity {
            return Ok(());
        }
        if account.balance(asset).free < needed {
            return Err(Rejection::InsufficientBalance);
        }
        if is_holdable(account.balance(other).total() + self.receivable(order, instrument)) {
            Ok(())
        } else {
            Err(Rejection::Amount)
        }
    }

    /// The most of the other asset that an order can bring in; what a sale by quote asks for is in it.
    fn receivable(&self, order: &NewOrder, instrument: &Instrument) -> Atoms {
        match (order.side, order.terms) {
            (Side::Buy, Terms::Limit { lots, .. } | Terms::Market { lots }) => instrument.base_atoms(lots),
            (Side::Buy, Terms::MarketQuote { quote_atoms }) => self.sweep_base(order, quote_atoms),
            (Side::Sell, Terms::MarketQuote { quote_atoms }) => quote_atoms,
            (Side::Sell, Terms::Limit { lots, .. } | Terms::Market { lots }) => self.sweep_cost(order, lots),
        }
    }

    fn crosses(&self, order: &NewOrder, ticks: i64) -> bool {
        let best = self.book(order.instrument).and_then(|book| book.best(order.side.opposite()));
        best.is_some_and(|best| match order.side {
            Side::Buy => best <= ticks,
            Side::Sell => best >= ticks,
        })
    }

    /// Takes a standing order out of book and register and frees its lock.
    fn remove(&mut self, id: OrderId) -> Option<Order> {
        let order = self.standing.remove(&id)?;
        self.books.get_mut(order.request.instrument.0 as usize)?.remove(id);
        self.unlock(&order.request, order.locked_atoms);
        Some(order)
    }
}

fn check_lots(instrument: &Instrument, lots: i64) -> Result<(), Rejection> {
    if (instrument.min_lots..=instrument.max_lots).contains(&lots) { Ok(()) } else { Err(Rejection::Quantity) }
}
