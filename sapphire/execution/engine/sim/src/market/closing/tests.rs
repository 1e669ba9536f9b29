//! Markets of generated symbols up to their end and past it.

use sapphire_core::instrument::{Asset, Side};
use sapphire_core::venue::{
    AccountId, Balance, ExpiryReason, FeeRates, NewOrder, OrderId, Rejection, Terms, TimeInForce,
};

use super::*;
use crate::candle::MINUTE_NS;
use crate::feed::GeneratedFeed;
use crate::latency::Latency;
use crate::listing::{Listing, listing};
use crate::market::{Books, Listed, Until};

const SYMBOL: InstrumentId = InstrumentId(0);
const COINS: i128 = 1_000_000_000_000_000;

/// A symbol whose market ends under a seed, and when: its rules change, or it is delisted.
fn ending(is_delisted: bool) -> (u64, &'static Listing, i64) {
    let listing = listing("DOGEUSDT").unwrap();
    let end = |seed: u64| {
        let at_ns = if is_delisted { i64::MAX } else { listing.listed_ns };
        let feed = GeneratedFeed::new(seed, listing, at_ns);
        let ends_ns = feed.history_ns().1 + MINUTE_NS;
        let is_wanted = if is_delisted { ends_ns < 2_400_000_000_000_000_000 } else { feed.rules_end_ns().is_some() };
        is_wanted.then_some((seed, listing, ends_ns))
    };
    (1..).find_map(end).unwrap()
}

/// The market of that symbol with a client, so long before its end.
fn market((seed, listing, ends_ns): (u64, &Listing, i64), before_ns: i64, latency: Latency) -> (Market, AccountId) {
    let start_ns = ends_ns - before_ns;
    let listed = Listed::generated(seed, listing, (Asset(0), Asset(1)), start_ns);
    assert_eq!(listed.feed.ends_ns(), Some(ends_ns));
    let mut market = Market::new(vec![listed], 2, seed, latency, start_ns);
    let client = market.open_account(FeeRates::default(), Books::Own);
    for asset in [Asset(0), Asset(1)] {
        market.deposit(client, asset, COINS).unwrap();
    }
    (market, client)
}

/// An order a tenth away from the book, so that it stands.
fn away(market: &mut Market, account: AccountId, side: Side) -> NewOrder {
    let best = market.venue().book(SYMBOL).unwrap().best(side).unwrap();
    let ticks = if side == Side::Buy { best - best / 10 } else { best + best / 10 };
    let rules = *market.venue().instrument(SYMBOL).unwrap();
    let mut powers = std::iter::successors(Some(1_i64), |lots| lots.checked_mul(10));
    let lots = powers.find(|lots| rules.is_worth_an_order(ticks, *lots)).unwrap();
    let terms = Terms::Limit { ticks, lots, time_in_force: TimeInForce::GoodTillCancel };
    NewOrder { id: market.next_order_id(account), account, instrument: SYMBOL, side, terms }
}

fn run(market: &mut Market, to_ns: i64) -> Vec<Stamped> {
    let mut out = Vec::new();
    market.advance(to_ns, Until::Time, &mut out);
    out
}

fn expired(time_ns: i64, id: OrderId) -> Stamped {
    let outcome = Outcome::Expired(id, ExpiryReason::MarketClosed);
    Stamped { time_ns, event: MarketEvent::Outcome(outcome) }
}

#[test]
fn what_stands_expires_at_the_end_and_frees_its_lock() {
    for is_delisted in [false, true] {
        let end = ending(is_delisted);
        let ends_ns = end.2;
        let (mut market, client) = market(end, 3 * MINUTE_NS, Latency::NONE);
        let orders = [Side::Buy, Side::Sell].map(|side| away(&mut market, client, side));
        for order in orders {
            market.place(order);
        }
        let before = run(&mut market, ends_ns - 1);
        assert!(before.iter().all(|stamped| stamped.event != MarketEvent::Closed(SYMBOL)));
        let locked = |market: &Market| {
            [Asset(0), Asset(1)].map(|asset| market.venue().account(client).unwrap().balance(asset).locked > 0)
        };
        assert_eq!(locked(&market), [true, true]);
        assert_eq!(market.next_instant(), Some(ends_ns));

        let closed = Stamped { time_ns: ends_ns, event: MarketEvent::Closed(SYMBOL) };
        let at_the_end = run(&mut market, ends_ns + MINUTE_NS);
        assert_eq!(at_the_end, [expired(ends_ns, orders[0].id), expired(ends_ns, orders[1].id), closed]);
        assert_eq!(market.venue().account(client).unwrap().balances(), [Balance { free: COINS, locked: 0 }; 2]);
        let book = market.venue().book(SYMBOL).unwrap();
        assert_eq!((book.best(Side::Buy), book.best(Side::Sell)), (None, None));
        assert_eq!((market.next_instant(), market.now_ns()), (None, ends_ns + MINUTE_NS));
    }
}

#[test]
fn what_arrives_after_the_end_is_refused() {
    let end = ending(false);
    let ends_ns = end.2;
    let latency = Latency { seed: 1, min_ns: 40_000_000, max_ns: 90_000_000 };
    let (mut market, client) = market(end, MINUTE_NS, latency);
    let standing = away(&mut market, client, Side::Buy);
    market.place(standing);
    run(&mut market, ends_ns - 10_000_000);
    let late = away(&mut market, client, Side::Sell);
    let arrives_ns = market.place(late);
    let cancel_ns = market.cancel(client, SYMBOL, standing.id);
    assert!(arrives_ns > ends_ns && cancel_ns > ends_ns);
    let out = run(&mut market, ends_ns + MINUTE_NS);
    let refused = |time_ns, event| out.contains(&Stamped { time_ns, event });
    assert!(refused(arrives_ns, MarketEvent::Rejected(late.id, Rejection::MarketClosed)), "{out:?}");
    assert!(refused(cancel_ns, MarketEvent::CancelRejected(standing.id, Rejection::UnknownOrder)), "{out:?}");
    assert!(out.contains(&expired(ends_ns, standing.id)));

    // An account that is opened then finds the market closed as well.
    let newcomer = market.open_account(FeeRates::default(), Books::Own);
    let order = NewOrder { id: market.next_order_id(newcomer), account: newcomer, ..late };
    market.place(order);
    let out = run(&mut market, ends_ns + 2 * MINUTE_NS);
    assert_eq!(out[0].event, MarketEvent::Rejected(order.id, Rejection::MarketClosed));
}

#[test]
fn time_that_is_skipped_closes_it_as_well() {
    let end = ending(false);
    let skip: fn(&mut Market, i64) -> bool = Market::skip_to;
    for pass in [skip, Market::jump_to] {
        let (mut market, client) = market(end, 90 * MINUTE_NS, Latency::NONE);
        let order = away(&mut market, client, Side::Buy);
        assert!(pass(&mut market, end.2 - 1) && market.venue().book(SYMBOL).unwrap().best(Side::Buy).is_some());
        assert!(pass(&mut market, end.2) && market.venue().book(SYMBOL).unwrap().best(Side::Buy).is_none());
        market.place(order);
        let refused = MarketEvent::Rejected(order.id, Rejection::MarketClosed);
        assert_eq!(run(&mut market, end.2), [Stamped { time_ns: end.2, event: refused }]);
    }
}

/// A market that begins where its symbol has ended is closed from the start.
#[test]
fn a_market_may_begin_closed() {
    let end = ending(true);
    let (market, _) = market(end, -MINUTE_NS, Latency::NONE);
    assert_eq!((market.venue().book(SYMBOL).unwrap().best(Side::Buy), market.next_instant()), (None, None));
}
