//! A symbol whose market ends while the exchange runs: the other one goes on.

use sapphire_sim::candle::MINUTE_NS;
use sapphire_sim::feed::GeneratedFeed;
use sapphire_sim::listing::listing;

use super::*;
use crate::matching::api::{DepthDiff, Interval, KlineUpdate, MarketUpdate};

const ADA: InstrumentId = BTC;

/// A matching service three minutes before the rules of its first symbol change, and when they do.
fn bench(is_lockstep: bool) -> (Bench, i64) {
    let ada = listing("ADAUSDT").unwrap();
    let ends_ns = |seed| Some((seed, GeneratedFeed::new(seed, ada, ada.listed_ns).rules_end_ns()?));
    let (seed, ends_ns) = (1..).find_map(ends_ns).unwrap();
    (Bench::of(["ADAUSDT", "BTCUSDT"], seed, ends_ns - 3 * MINUTE_NS, is_lockstep), ends_ns)
}

/// Lets market time pass as the matching service's thread does.
fn tick(bench: &mut Bench, to_ns: i64) {
    bench.now_ns = to_ns;
    bench.carry_out(&Command::Tick);
    bench.matching.cut_on_time(to_ns);
    bench.matching.close_candles(to_ns);
}

/// An order far below the book, for a tenth of what the account has.
fn low(bench: &Bench) -> PlaceOrder {
    let rules = bench.matching.catalog.symbols()[0].instrument;
    let bid = bench.matching.market.venue().book(ADA).and_then(|book| book.best(Side::Buy)).unwrap_or(1_000);
    let (tick, lot) = (i128::from(rules.tick_atoms), i128::from(rules.lot_atoms));
    let price_atoms = i128::from(bid / 2) * tick;
    let quantity_atoms = 100_000 * UNIT * UNIT / price_atoms / lot * lot;
    let kind = OrderKind::Limit { price_atoms, quantity_atoms, time_in_force: TimeInForce::Gtc };
    Bench::order(ONE, Side::Buy, kind)
}

#[test]
fn its_owner_hears_that_the_order_expired_and_has_the_money_back() {
    let (mut bench, ends_ns) = bench(false);
    let before = bench.matching.account(ONE).unwrap().balances;
    let order = bench.place(&low(&bench)).unwrap();
    assert_eq!(order.status, OrderStatus::New);
    tick(&mut bench, ends_ns - 1);
    assert_eq!(bench.status(order.order_id), OrderStatus::New);
    assert!(bench.matching.account(ONE).unwrap().balances.iter().any(|row| row.locked_atoms > 0));
    let seen = events(&mut bench, ONE, |bench| tick(bench, ends_ns + 5 * SECOND_NS));
    let [UserEventKind::Execution(report), UserEventKind::AccountPosition(_)] =
        &seen.iter().map(|event| event.kind.clone()).collect::<Vec<_>>()[..]
    else {
        panic!("{seen:?}")
    };
    assert_eq!((report.execution, report.order.status), (Execution::Expired, OrderStatus::Expired));
    assert_eq!((report.order.order_id, report.is_on_book, seen[0].time_ns), (order.order_id, false, ends_ns));
    assert_eq!(bench.matching.account(ONE).unwrap().balances, before);
    assert_eq!(bench.matching.open_orders(ONE, None).unwrap(), []);
    assert_eq!(bench.cancel(ONE, order.order_id), Err(MatchingError::UnknownOrder));
    let replayed = bench.replayed();
    assert_eq!(
        (replayed.digest(), replayed.state(true, None)),
        (bench.matching.digest(), bench.matching.state(true, None))
    );
}

#[test]
fn no_order_is_taken_after_the_end_and_the_other_market_goes_on() {
    let (mut bench, ends_ns) = bench(false);
    tick(&mut bench, ends_ns - 1);
    let order = low(&bench);
    assert!(bench.matching.check_place(&order).is_ok());
    tick(&mut bench, ends_ns);
    let rules = bench.matching.catalog.symbols()[0].instrument;
    let market = OrderKind::Market { quantity_atoms: i128::from(rules.lot_atoms) * 1_000 };
    let quote = OrderKind::MarketQuote { quote_atoms: 100 * UNIT };
    let maker = match order.kind {
        OrderKind::Limit { price_atoms, quantity_atoms, .. } => OrderKind::LimitMaker { price_atoms, quantity_atoms },
        kind => kind,
    };
    for kind in [order.kind, maker, market, quote] {
        let refused = bench.matching.check_place(&Bench::order(ONE, Side::Buy, kind));
        assert_eq!(refused, Err(Refusal::MarketClosed.into()), "{kind:?}");
    }
    tick(&mut bench, ends_ns + MINUTE_NS);
    let bitcoin = PlaceOrder { instrument: InstrumentId(1), ..Bench::order(ONE, Side::Buy, quote) };
    assert_eq!(bench.place(&bitcoin).unwrap().status, OrderStatus::Filled);
    assert!(bench.matching.now_ns() > ends_ns);
}

#[test]
fn its_streams_end_with_an_empty_book_and_closed_candles() {
    let (mut bench, ends_ns) = bench(false);
    let mut watch = |text| bench.matching.subscribe_klines(ADA, Interval::parse(text).unwrap()).unwrap();
    let (minutes, hours) = (watch("1m"), watch("1h"));
    let public = bench.matching.channels.market_streams()[0].subscribe();
    for time_ns in [ends_ns - SECOND_NS, ends_ns, ends_ns + MINUTE_NS] {
        tick(&mut bench, time_ns);
    }
    let public = ready(public);
    let is_late = |time_ns: i64| time_ns > ends_ns;
    let best = |update: &MarketUpdate| if let MarketUpdate::BookTicker(best) = update { Some(*best) } else { None };
    let last_best = public.iter().filter_map(best).next_back().unwrap();
    assert_eq!((last_best.time_ns, last_best.bid, last_best.ask), (ends_ns, None, None));
    let depth = |update: &MarketUpdate| if let MarketUpdate::Depth(diff) = update { Some(diff.clone()) } else { None };
    let diffs: Vec<DepthDiff> = public.iter().filter_map(depth).collect();
    assert!(diffs.windows(2).all(|pair| pair[1].first_update_id == pair[0].last_update_id + 1));
    let last = diffs.last().unwrap();
    assert!(last.bids.iter().chain(&last.asks).all(|(_, lots)| *lots == 0) && !last.bids.is_empty(), "{last:?}");
    assert_eq!(bench.matching.depth(ADA, 5, ends_ns).map(|book| (book.bids, book.asks)), Ok((vec![], vec![])));
    assert!(public.iter().all(|update| !matches!(update, MarketUpdate::Trade(trade) if is_late(trade.time_ns))));

    // The hour ends when nothing happens any more.
    let hour_ends_ns = Interval::parse("1h").unwrap().end_ns(Interval::parse("1h").unwrap().open_ns(ends_ns));
    assert!(bench.matching.next_cut_ns().is_some_and(|next_ns| next_ns <= hour_ends_ns));
    bench.matching.close_candles(hour_ends_ns);
    bench.matching.close_candles(hour_ends_ns + MINUTE_NS);
    let closed = |events: Vec<KlineUpdate>| {
        let closed = events.into_iter().filter(|event| event.kline.closed);
        closed.map(|event| event.kline.open_ns).collect::<Vec<_>>()
    };
    assert_eq!(closed(ready(minutes)), [3, 2, 1].map(|before| ends_ns - before * MINUTE_NS));
    assert_eq!(closed(ready(hours)).last(), Some(&(hour_ends_ns - 60 * MINUTE_NS)));
}

#[test]
fn in_lockstep_what_travels_past_the_end_is_rejected() {
    let (mut bench, ends_ns) = bench(true);
    bench.advance(ends_ns - 2_000_000 - bench.matching.now_ns());
    let order = bench.place(&low(&bench)).unwrap();
    // The rules end with the time that this market can be moved through.
    assert!(bench.matching.check_advance(ends_ns + 1, &[]).is_err());
    let seen = events(&mut bench, ONE, |bench| {
        bench.matching.apply(ends_ns, &Command::Advance { to_ns: ends_ns + SECOND_NS });
    });
    let UserEventKind::Execution(report) = &seen[0].kind else { panic!("{seen:?}") };
    assert_eq!(report.execution, Execution::Rejected(Refusal::MarketClosed));
    assert_eq!(bench.status(order.order_id), OrderStatus::Rejected);
}
