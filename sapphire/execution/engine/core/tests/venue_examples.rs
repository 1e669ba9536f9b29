//! Worked examples to the atom: BTCUSDT, tick 0.01, lot 0.00001, fees 0.075 % for makers and 0.1 % for takers.

#![allow(clippy::unwrap_used)]

use sapphire_core::instrument::{Asset, Instrument, InstrumentId, Side};
use sapphire_core::venue::{
    AccountId, AccountKind, Balance, ExpiryReason, FeeRates, NewOrder, OrderId, Outcome, Rejection, Terms, TimeInForce,
    Trade, Venue,
};

const BTC: Asset = Asset(0);
const USDT: Asset = Asset(1);
const BTCUSDT: InstrumentId = InstrumentId(0);
const RULES: Instrument = Instrument {
    base: BTC,
    quote: USDT,
    tick_atoms: 1_000_000,
    lot_atoms: 1_000,
    min_lots: 1,
    max_lots: 900_000_000,
    min_ticks: 1,
    max_ticks: 100_000_000,
    min_notional_atoms: 500_000_000,
};
use sapphire_core::amounts::MAX_ATOMS;

const COIN: i128 = 100_000_000;

/// A venue with a maker who has ten coins and a taker who has 1,000 USDT.
struct InstrumentWork {
    venue: Venue,
    maker: AccountId,
    taker: AccountId,
    last: u64,
}

impl InstrumentWork {
    fn new() -> Self {
        let mut venue = Venue::new(vec![RULES], 2);
        let fees = FeeRates { maker: 75_000, taker: 100_000 };
        let maker = venue.open_account(AccountKind::Client, fees);
        let taker = venue.open_account(AccountKind::Client, fees);
        venue.deposit(maker, BTC, 10 * COIN).unwrap();
        venue.deposit(taker, USDT, 1_000 * COIN).unwrap();
        Self { venue, maker, taker, last: 0 }
    }

    fn submit(&mut self, account: AccountId, side: Side, terms: Terms) -> Result<Vec<Outcome>, Rejection> {
        self.last += 1;
        let mut out = Vec::new();
        let order = NewOrder { id: OrderId(self.last), account, instrument: BTCUSDT, side, terms };
        self.venue.submit(order, &mut out).map(|()| out)
    }

    fn offer(&mut self, ticks: i64, lots: i64) -> OrderId {
        self.submit(self.maker, Side::Sell, limit(ticks, lots)).unwrap();
        OrderId(self.last)
    }

    fn buy(&mut self, terms: Terms) -> Result<Vec<Outcome>, Rejection> {
        self.submit(self.taker, Side::Buy, terms)
    }

    fn balance(&self, account: AccountId, asset: Asset) -> (i128, i128) {
        let Balance { free, locked } = self.venue.account(account).unwrap().balance(asset);
        (free, locked)
    }
}

fn limit(ticks: i64, lots: i64) -> Terms {
    Terms::Limit { ticks, lots, time_in_force: TimeInForce::GoodTillCancel }
}

fn trades(out: &[Outcome]) -> Vec<Trade> {
    out.iter().filter_map(|outcome| if let Outcome::Traded(trade) = outcome { Some(*trade) } else { None }).collect()
}

#[test]
fn a_bought_position_is_what_arrived() {
    let mut work = InstrumentWork::new();
    work.offer(6_412_345, 500);
    let out = work.buy(Terms::Market { lots: 123 }).unwrap();
    // 0.00123 BTC at 64,123.45: 78.8718435 USDT. The fee of 0.1 % is in BTC: 0.00000123.
    let trade = trades(&out)[0];
    assert_eq!((trade.quote_atoms, trade.taker.fee_asset, trade.taker.fee_atoms), (7_887_184_350, BTC, 123));
    assert_eq!(work.balance(work.taker, BTC), (123_000 - 123, 0));
    assert_eq!(work.balance(work.taker, USDT), (100_000_000_000 - 7_887_184_350, 0));
    // The maker's 0.075 % of 78.8718435 USDT is 0.059153882625, cut to 0.05915388.
    assert_eq!((trade.maker.fee_asset, trade.maker.fee_atoms), (USDT, 5_915_388));
    assert_eq!(work.balance(work.maker, USDT), (7_887_184_350 - 5_915_388, 0));
    assert_eq!(work.balance(work.maker, BTC), (10 * COIN - 500_000, 500_000 - 123_000));
    assert_eq!(work.venue.collected(), [123, 5_915_388]);
    assert!(trade.taker.complete && !trade.maker.complete);
}

#[test]
fn a_fee_below_an_atom_is_none() {
    let mut work = InstrumentWork::new();
    work.buy(limit(50_000_000, 1)).unwrap();
    // One lot is 1,000 atoms, of which the maker's 0.075 % are 0.75.
    let out = work.submit(work.maker, Side::Sell, limit(50_000_000, 1)).unwrap();
    assert_eq!(trades(&out)[0].maker.fee_atoms, 0);
    assert_eq!(work.balance(work.taker, BTC), (1_000, 0));
    assert_eq!(work.venue.collected(), [0, 500_000]);
}

#[test]
fn the_better_price_frees_what_it_saved() {
    let mut work = InstrumentWork::new();
    work.offer(6_000_000, 100);
    // 0.01 BTC up to 65,000: 0.001 trades at 60,000; 0.009 stand and lock 585.
    work.buy(limit(6_500_000, 1_000)).unwrap();
    assert_eq!(work.balance(work.taker, USDT), (100_000_000_000 - 6_000_000_000 - 58_500_000_000, 58_500_000_000));
    // The maker sells 0.004 into it at the standing price; 0.005 go on standing and lock 325.
    work.submit(work.maker, Side::Sell, limit(6_400_000, 400)).unwrap();
    assert_eq!(work.balance(work.taker, USDT), (35_500_000_000, 32_500_000_000));
    // As taker 0.1 % of 0.001 BTC, then as maker 0.075 % of 0.004 BTC.
    assert_eq!(work.balance(work.taker, BTC), (100_000 - 100 + 400_000 - 300, 0));
    let mut out = Vec::new();
    let order = work.venue.cancel(work.taker, OrderId(2), &mut out).unwrap();
    assert_eq!((order.filled_lots, order.filled_quote, order.locked_atoms), (500, 32_000_000_000, 32_500_000_000));
    assert_eq!(work.balance(work.taker, USDT), (68_000_000_000, 0));
}

#[test]
fn the_last_atom_counts() {
    let mut work = InstrumentWork::new();
    // 0.01562 BTC at 64,020.48 cost 999.9998976 USDT.
    assert_eq!(RULES.notional(6_402_048, 1_562), 99_999_989_760);
    let spare = 100_000_000_000 - 99_999_989_760;
    work.venue.deposit(work.taker, USDT, -spare - 1).unwrap();
    assert_eq!(work.buy(limit(6_402_048, 1_562)), Err(Rejection::InsufficientBalance));
    work.offer(6_402_048, 2_000);
    assert_eq!(work.buy(Terms::Market { lots: 1_562 }), Err(Rejection::InsufficientBalance));
    work.venue.deposit(work.taker, USDT, 1).unwrap();
    work.buy(Terms::Market { lots: 1_562 }).unwrap();
    assert_eq!(work.balance(work.taker, USDT), (0, 0));
}

#[test]
fn an_amount_buys_across_levels_and_never_more() {
    let mut work = InstrumentWork::new();
    work.offer(6_000_000, 100);
    work.offer(6_100_000, 100);
    // 100 USDT: 60 for 0.001 BTC, then 39.65 for 0.00065 at 61,000; 0.35 stay.
    let out = work.buy(Terms::MarketQuote { quote_atoms: 10_000_000_000 }).unwrap();
    let found: Vec<(i64, i128, bool)> =
        trades(&out).iter().map(|trade| (trade.lots, trade.quote_atoms, trade.taker.complete)).collect();
    assert_eq!(found, [(100, 6_000_000_000, false), (65, 3_965_000_000, true)]);
}

/// What is left pays for a lot at the price just traded, but for none where the book goes on.
#[test]
fn an_amount_that_pays_for_no_further_lot_is_complete() {
    let mut work = InstrumentWork::new();
    work.offer(6_000_000, 100);
    work.offer(50_000_000, 100);
    // 61 USDT: 60 for 0.001 BTC; 1 pays for a lot at 60,000 (0.6) and for none at 500,000 (5).
    let out = work.buy(Terms::MarketQuote { quote_atoms: 6_100_000_000 }).unwrap();
    let trades = trades(&out);
    assert_eq!(trades.len(), 1);
    assert!(trades[0].taker.complete);
    assert_eq!(out.len(), 2);
}

#[test]
fn an_amount_that_pays_for_no_lot_expires() {
    let mut work = InstrumentWork::new();
    work.offer(100_000_000, 100);
    // One lot costs 10 USDT.
    let out = work.buy(Terms::MarketQuote { quote_atoms: 900_000_000 }).unwrap();
    assert_eq!(out, [Outcome::Accepted(OrderId(2)), Outcome::Expired(OrderId(2), ExpiryReason::NoLiquidity)]);
}

#[test]
fn a_sale_by_amount_takes_what_the_amount_needs() {
    let mut work = InstrumentWork::new();
    work.buy(limit(6_000_000, 100)).unwrap();
    work.buy(limit(5_000_000, 1_000)).unwrap();
    // 85 USDT: 60 for 0.001 at 60,000, 25 for 0.0005 at 50,000.
    let amount = Terms::MarketQuote { quote_atoms: 8_500_000_000 };
    work.venue.deposit(work.maker, BTC, -10 * COIN + 149_999).unwrap();
    assert_eq!(work.submit(work.maker, Side::Sell, amount), Err(Rejection::InsufficientBalance));
    work.venue.deposit(work.maker, BTC, 1).unwrap();
    let out = work.submit(work.maker, Side::Sell, amount).unwrap();
    assert_eq!(trades(&out).iter().map(|trade| trade.lots).collect::<Vec<_>>(), [100, 50]);
    assert_eq!(work.balance(work.maker, BTC), (0, 0));
    assert_eq!(work.balance(work.maker, USDT), (8_500_000_000 - 6_000_000 - 2_500_000, 0));
}

#[test]
fn an_own_order_in_the_way_expires_and_gives_back() {
    let mut work = InstrumentWork::new();
    work.venue.deposit(work.maker, USDT, 1_000 * COIN).unwrap();
    let own = work.offer(6_000_000, 1_000);
    let taker = work.taker;
    work.venue.deposit(taker, BTC, COIN).unwrap();
    work.submit(taker, Side::Sell, limit(6_000_100, 100)).unwrap();
    let out = work.submit(work.maker, Side::Buy, limit(6_000_100, 100)).unwrap();
    assert_eq!(out[1], Outcome::Expired(own, ExpiryReason::SelfTrade));
    assert_eq!(trades(&out).iter().map(|trade| (trade.ticks, trade.lots)).collect::<Vec<_>>(), [(6_000_100, 100)]);
    assert_eq!(work.balance(work.maker, BTC).1, 0);
}

#[test]
fn a_deposit_that_no_balance_holds_is_refused() {
    let mut work = InstrumentWork::new();
    work.offer(6_000_000, 1_000_000);
    let (free, locked) = work.balance(work.maker, BTC);
    assert_eq!((free, locked), (0, 10 * COIN));
    // It would fit beside what is locked, but not once the lock is freed.
    let refused = work.venue.deposit(work.maker, BTC, MAX_ATOMS - 5 * COIN);
    assert_eq!(refused, Err(Rejection::Amount));
    assert_eq!(work.venue.deposit(work.maker, BTC, MAX_ATOMS - 10 * COIN), Ok(()));
    assert!(work.venue.cancel(work.maker, OrderId(1), &mut Vec::new()).is_ok());
    assert_eq!(work.balance(work.maker, BTC), (MAX_ATOMS, 0));
    assert_eq!(work.venue.deposit(work.maker, BTC, 1), Err(Rejection::Amount));
    assert_eq!(work.venue.deposit(work.maker, USDT, -1), Err(Rejection::InsufficientBalance));
    assert_eq!(work.venue.deposit(AccountId(9), USDT, 1), Err(Rejection::Unknown));
    assert_eq!(work.venue.deposit(work.maker, Asset(2), 1), Err(Rejection::Unknown));
}

#[test]
fn each_rule_has_its_refusal() {
    let mut work = InstrumentWork::new();
    work.offer(6_000_000, 1_000);
    assert_eq!(work.buy(limit(0, 100)), Err(Rejection::Price));
    assert_eq!(work.buy(limit(100_000_001, 100)), Err(Rejection::Price));
    assert_eq!(work.buy(limit(6_000_000, 0)), Err(Rejection::Quantity));
    assert_eq!(work.buy(limit(6_000_000, 900_000_001)), Err(Rejection::Quantity));
    assert_eq!(work.buy(Terms::Market { lots: 0 }), Err(Rejection::Quantity));
    assert_eq!(work.buy(limit(6_000_000, 8)), Err(Rejection::Notional));
    assert_eq!(work.buy(Terms::MarketQuote { quote_atoms: 499_999_999 }), Err(Rejection::Notional));
    let post_only = Terms::Limit { ticks: 6_000_000, lots: 100, time_in_force: TimeInForce::PostOnly };
    assert_eq!(work.buy(post_only), Err(Rejection::WouldTake));
    assert_eq!(work.submit(work.maker, Side::Sell, limit(6_000_000, 1_000_000)), Err(Rejection::InsufficientBalance));
    assert_eq!(work.submit(AccountId(9), Side::Buy, limit(6_000_000, 100)), Err(Rejection::Unknown));
    work.last = 0;
    assert_eq!(work.buy(limit(5_000_000, 100)), Err(Rejection::DuplicateId));
}
