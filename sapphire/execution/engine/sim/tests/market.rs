//! A market under its clock: what happens when, and that skipping and cutting time change nothing.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use sapphire_core::instrument::{Asset, InstrumentId, Side};
use sapphire_core::venue::{AccountId, FeeRates, NewOrder, OrderId, Outcome, Rejection, Terms, TimeInForce, Trade};
use sapphire_sim::candle::{Candle, MINUTE_NS};
use sapphire_sim::feed::{Feed, RecordedFeed};
use sapphire_sim::latency::Latency;
use sapphire_sim::listing::listing;
use sapphire_sim::market::{Books, Listed, Market, MarketEvent, Stamped, Until};

const SECOND_NS: i64 = 1_000_000_000;
/// 2024-01-01T00:00Z.
const START_NS: i64 = 1_704_067_200 * SECOND_NS;
const BTCUSDT: InstrumentId = InstrumentId(0);
const ETHUSDT: InstrumentId = InstrumentId(1);
const USDT: Asset = Asset(2);
const COIN: i128 = 100_000_000;
const LATENCY: Latency = Latency { seed: 5, min_ns: 20_000_000, max_ns: 180_000_000 };

/// Bitcoin generated, ether recorded with gaps; one client with coins of all kinds.
fn market(seed: u64, latency: Latency, start_ns: i64) -> (Market, AccountId) {
    let bitcoin = listing("BTCUSDT").unwrap();
    let ether = listing("ETHUSDT").unwrap();
    let listed = vec![
        Listed::generated(seed, bitcoin, (Asset(0), USDT), start_ns),
        Listed {
            symbol: "ETHUSDT".into(),
            instrument: ether.instrument(Asset(1), USDT),
            feed: Feed::Recorded(recorded(seed)),
        },
    ];
    let mut market = Market::new(listed, 3, seed, latency, start_ns);
    let client = market.open_account(FeeRates { maker: 100_000, taker: 100_000 }, Books::Own);
    for asset in 0..3 {
        market.deposit(client, Asset(asset), 10_000 * COIN).unwrap();
    }
    (market, client)
}

/// Five-minute candles over three hours, every fourth missing, some without volume.
fn recorded(seed: u64) -> RecordedFeed {
    let interval_ns = 5 * MINUTE_NS;
    let candles = (0..36_i64).filter(|number| number % 4 != 3).map(|number| {
        let open = 240_000 + 13 * number;
        let (high, low, close) = (open + 40, open - 55, open + 13);
        Candle { open_ns: START_NS + number * interval_ns, open, high, low, close, volume: number % 3 * 40_000 }
    });
    RecordedFeed::new(seed, "ETHUSDT", candles.collect(), interval_ns).unwrap()
}

fn order(market: &mut Market, account: AccountId, instrument: InstrumentId, side: Side, terms: Terms) -> NewOrder {
    NewOrder { id: market.next_order_id(account), account, instrument, side, terms }
}

fn limit(ticks: i64, lots: i64) -> Terms {
    Terms::Limit { ticks, lots, time_in_force: TimeInForce::GoodTillCancel }
}

fn run(market: &mut Market, to_ns: i64) -> Vec<Stamped> {
    let mut out = Vec::new();
    assert_eq!(market.advance(to_ns, Until::Time, &mut out), to_ns);
    out
}

/// What a client is told: what became of its own orders.
fn seen(events: &[Stamped]) -> Vec<Stamped> {
    let own = |event: &MarketEvent| match event {
        MarketEvent::Outcome(Outcome::Traded(trade)) => {
            !Market::is_synthetic(trade.taker.order) || !Market::is_synthetic(trade.maker.order)
        }
        MarketEvent::Outcome(Outcome::Accepted(id) | Outcome::Canceled(id) | Outcome::Expired(id, _))
        | MarketEvent::Rejected(id, _)
        | MarketEvent::CancelRejected(id, _) => !Market::is_synthetic(*id),
        MarketEvent::Quoted(_) | MarketEvent::Closed(_) => false,
    };
    events.iter().copied().filter(|stamped| own(&stamped.event)).collect()
}

fn trades(events: &[Stamped]) -> Vec<(i64, Trade)> {
    events
        .iter()
        .filter_map(|stamped| match stamped.event {
            MarketEvent::Outcome(Outcome::Traded(trade)) => Some((stamped.time_ns, trade)),
            _ => None,
        })
        .collect()
}

/// Books, balances and open orders, as a client sees them.
fn view(market: &Market, client: AccountId, orders: &[OrderId]) -> impl PartialEq + std::fmt::Debug + use<> {
    let books: Vec<Vec<(i64, i64)>> = [BTCUSDT, ETHUSDT]
        .into_iter()
        .flat_map(|id| [Side::Buy, Side::Sell].map(|side| market.venue().book(id).unwrap().levels(side, 100)))
        .collect();
    let balances = market.account(client).unwrap().balances().to_vec();
    let standing: Vec<_> = orders.iter().map(|id| market.order(client, *id).copied()).collect();
    (market.now_ns(), books, balances, standing, market.travelling())
}

#[test]
fn the_synthetic_liquidity_quotes_before_the_first_advance() {
    for start_ns in [START_NS, START_NS + 37 * SECOND_NS] {
        let (mut fresh, client) = market(1, Latency::NONE, start_ns);
        let before = view(&fresh, client, &[]);
        assert!(fresh.venue().book(BTCUSDT).unwrap().best(Side::Buy).is_some());
        assert!(run(&mut fresh, start_ns).is_empty());
        assert_eq!(view(&fresh, client, &[]), before);
    }
}

#[test]
fn a_minute_prints_its_candle() {
    let (mut market, _) = market(2, Latency::NONE, START_NS);
    let events = run(&mut market, START_NS + 10 * MINUTE_NS - 1);
    let minutes = market.listed()[0].feed.minutes(START_NS, START_NS + 10 * MINUTE_NS);
    for minute in &minutes[1..] {
        let prints: Vec<i64> = trades(&events)
            .into_iter()
            .filter(|(time_ns, trade)| trade.instrument == BTCUSDT && time_ns - time_ns % MINUTE_NS == minute.open_ns)
            .map(|(_, trade)| trade.ticks)
            .collect();
        assert_eq!(prints.len(), 12);
        assert_eq!((prints[0], prints[11]), (minute.open, minute.close));
        assert_eq!((prints.iter().max(), prints.iter().min()), (Some(&minute.high), Some(&minute.low)));
    }
    assert_eq!(market.closed_minutes(BTCUSDT, START_NS, i64::MAX), minutes[..9]);
}

#[test]
fn an_order_arrives_when_it_was_said_to() {
    let (mut market, client) = market(3, LATENCY, START_NS);
    let buy = order(&mut market, client, BTCUSDT, Side::Buy, Terms::Market { lots: 100 });
    let arrives_ns = market.place(buy);
    assert!((START_NS + LATENCY.min_ns..=START_NS + LATENCY.max_ns).contains(&arrives_ns));
    assert!(seen(&run(&mut market, arrives_ns - 1)).is_empty());
    assert_eq!(market.travelling(), 1);
    let events = seen(&run(&mut market, arrives_ns));
    assert!(events.iter().all(|stamped| stamped.time_ns == arrives_ns));
    assert_eq!(events[0].event, MarketEvent::Outcome(Outcome::Accepted(buy.id)));
    let bought = trades(&events)[0].1;
    assert!(bought.taker.complete && bought.taker.account == client && bought.maker.account == market.liquidity());
    assert_eq!(market.travelling(), 0);
}

/// The delay is drawn from the instant and the request's number within it, whatever was sent before.
#[test]
fn an_earlier_request_delays_no_later_one() {
    let arrivals = |earlier: usize| {
        let (mut market, client) = market(3, LATENCY, START_NS);
        for _ in 0..earlier {
            market.cancel(client, BTCUSDT, OrderId(99));
        }
        run(&mut market, START_NS + SECOND_NS);
        [BTCUSDT, BTCUSDT, ETHUSDT].map(|instrument| market.cancel(client, instrument, OrderId(99)))
    };
    assert_eq!(arrivals(0), arrivals(3));
    let [first, second, other] = arrivals(0);
    assert!(first != second && first != other);
}

#[test]
fn at_one_instant_the_synthetic_liquidity_is_first() {
    let (mut market, client) = market(4, Latency { seed: 0, min_ns: 5 * SECOND_NS, max_ns: 5 * SECOND_NS }, START_NS);
    let quoted_ns = START_NS + 5 * SECOND_NS;
    let buy = order(&mut market, client, BTCUSDT, Side::Buy, Terms::Market { lots: 1 });
    assert_eq!(market.place(buy), quoted_ns);
    let events = run(&mut market, quoted_ns);
    let place = |wanted: MarketEvent| events.iter().position(|stamped| stamped.event == wanted);
    let quoted = place(MarketEvent::Quoted(BTCUSDT));
    assert!(quoted.is_some() && quoted < place(MarketEvent::Outcome(Outcome::Accepted(buy.id))));
}

#[test]
fn an_advance_stops_where_a_client_sees_something() {
    let (mut market, client) = market(5, LATENCY, START_NS);
    let best = market.venue().book(BTCUSDT).unwrap().best(Side::Buy).unwrap();
    let stands = order(&mut market, client, BTCUSDT, Side::Buy, limit(best / 2, 1_000));
    let arrives_ns = market.place(stands);
    let mut out = Vec::new();
    assert_eq!(market.advance(START_NS + MINUTE_NS, Until::ClientEvent, &mut out), arrives_ns);
    assert_eq!(seen(&out).len(), 1);
    assert_eq!(market.advance(START_NS + MINUTE_NS, Until::ClientEvent, &mut out), START_NS + MINUTE_NS);
    let cancelled_ns = market.cancel(client, BTCUSDT, stands.id);
    out.clear();
    assert_eq!(market.advance(START_NS + 2 * MINUTE_NS, Until::ClientEvent, &mut out), cancelled_ns);
    assert_eq!(out.last().unwrap().event, MarketEvent::Outcome(Outcome::Canceled(stands.id)));
    let again_ns = market.cancel(client, BTCUSDT, stands.id);
    out.clear();
    market.advance(again_ns, Until::Time, &mut out);
    assert_eq!(seen(&out)[0].event, MarketEvent::CancelRejected(stands.id, Rejection::UnknownOrder));
}

#[test]
fn a_refusal_comes_on_arrival() {
    let (mut market, client) = market(6, LATENCY, START_NS);
    let large = order(&mut market, client, BTCUSDT, Side::Buy, limit(4_000_000, 800_000_000));
    let arrives_ns = market.place(large);
    let nowhere = order(&mut market, client, InstrumentId(7), Side::Buy, limit(4_000_000, 1_000));
    let late_ns = market.place(nowhere);
    let events = seen(&run(&mut market, arrives_ns.max(late_ns)));
    assert!(events.contains(&Stamped {
        time_ns: arrives_ns,
        event: MarketEvent::Rejected(large.id, Rejection::InsufficientBalance)
    }));
    assert!(
        events.contains(&Stamped { time_ns: late_ns, event: MarketEvent::Rejected(nowhere.id, Rejection::Unknown) })
    );
}

#[test]
fn time_does_not_go_back() {
    let (mut market, _) = market(7, Latency::NONE, START_NS);
    run(&mut market, START_NS + MINUTE_NS);
    let mut out = Vec::new();
    assert_eq!(market.advance(START_NS, Until::Time, &mut out), START_NS + MINUTE_NS);
    assert!(market.skip_to(START_NS) && out.is_empty());
    assert_eq!(market.now_ns(), START_NS + MINUTE_NS);
}

#[test]
fn time_is_not_skipped_over_a_clients_order() {
    let (mut market, client) = market(8, LATENCY, START_NS);
    let stands = order(&mut market, client, ETHUSDT, Side::Sell, limit(400_000, 1_000));
    let arrives_ns = market.place(stands);
    assert!(!market.skip_to(START_NS + MINUTE_NS));
    run(&mut market, arrives_ns);
    assert!(!market.skip_to(START_NS + MINUTE_NS));
    assert_eq!(market.now_ns(), arrives_ns);
    let gone_ns = market.cancel(client, ETHUSDT, stands.id);
    run(&mut market, gone_ns);
    assert!(market.skip_to(START_NS + MINUTE_NS));
    // Nor over an order in another account's books.
    let other = market.open_account(FeeRates::default(), Books::Own);
    market.deposit(other, Asset(1), COIN).unwrap();
    let stands = order(&mut market, other, ETHUSDT, Side::Sell, limit(400_000, 1_000));
    let arrives_ns = market.place(stands);
    run(&mut market, arrives_ns);
    assert!(market.order(other, stands.id).is_some() && market.order(client, stands.id).is_none());
    assert!(!market.skip_to(START_NS + 2 * MINUTE_NS));
}

#[test]
fn an_account_opened_late_finds_the_books_of_those_who_never_traded() {
    let (mut market, client) = market(11, Latency::NONE, START_NS);
    let early = market.open_account(FeeRates::default(), Books::Own);
    let best = market.venue().book(BTCUSDT).unwrap().best(Side::Sell).unwrap();
    // The first account takes and rests all the while.
    for minute in 1..30 {
        for (side, away) in [(Side::Buy, 40), (Side::Sell, 2)] {
            let order = order(&mut market, client, BTCUSDT, side, limit(best + away, 90_000));
            market.place(order);
        }
        run(&mut market, START_NS + minute * MINUTE_NS + 7 * SECOND_NS);
    }
    let late = market.open_account(FeeRates::default(), Books::Own);
    for account in [early, late] {
        market.deposit(account, USDT, 10_000_000 * COIN).unwrap();
        for instrument in [BTCUSDT, ETHUSDT] {
            let taking = order(&mut market, account, instrument, Side::Buy, Terms::Market { lots: 700_000 });
            market.place(taking);
        }
    }
    let seen = trades(&run(&mut market, START_NS + 31 * MINUTE_NS));
    let of = |account| -> Vec<_> {
        let own = seen.iter().filter(|(_, trade)| trade.taker.account == account);
        own.map(|(time_ns, trade)| (*time_ns, trade.number, trade.ticks, trade.lots, trade.taker.fee_atoms)).collect()
    };
    assert!(of(early).len() > 3 && of(early) == of(late), "{:?}\n{:?}", of(early), of(late));
    assert_eq!(market.venues().count(), 3);
}

/// Something a client does: wait, then an order about the best price, or a cancel of an earlier order.
#[derive(Clone, Debug)]
enum Act {
    Place { ether: bool, side: Side, away: i64, lots: i64, market: bool },
    Cancel(usize),
    CancelAll,
}

fn acts() -> impl Strategy<Value = Vec<(i64, Act)>> {
    let wait = prop_oneof![
        2 => 0..SECOND_NS,
        2 => 0..30 * SECOND_NS,
        2 => 0..50 * MINUTE_NS,
        // Onto the grids of steps and minutes, where one can be off by one.
        1 => (0_i64..40).prop_map(|steps| steps * 5 * SECOND_NS),
        1 => (0_i64..80).prop_map(|minutes| minutes * MINUTE_NS),
    ];
    let sides = prop_oneof![Just(Side::Buy), Just(Side::Sell)];
    let place = (any::<bool>(), sides, -40_i64..40, 1_000_i64..500_000, prop::bool::weighted(0.3))
        .prop_map(|(ether, side, away, lots, market)| Act::Place { ether, side, away, lots, market });
    let act = prop_oneof![4 => place, 1 => any::<usize>().prop_map(Act::Cancel), 3 => Just(Act::CancelAll)];
    prop::collection::vec((wait, act), 1..14)
}

/// How a run gets from one act to the next.
#[derive(Clone, Copy)]
enum Pace {
    Advance,
    Skip,
    Jump,
    /// In pieces that end at each client's event, and at these times.
    Pieces(i64),
}

fn pass(market: &mut Market, to_ns: i64, pace: Pace, out: &mut Vec<Stamped>) {
    match pace {
        Pace::Advance => {
            market.advance(to_ns, Until::Time, out);
        }
        Pace::Skip | Pace::Jump => {
            let passed = if matches!(pace, Pace::Jump) { market.jump_to(to_ns) } else { market.skip_to(to_ns) };
            if !passed {
                market.advance(to_ns, Until::ClientEvent, out);
                if market.now_ns() < to_ns {
                    pass(market, to_ns, pace, out);
                }
            }
        }
        Pace::Pieces(step_ns) => {
            while market.now_ns() < to_ns {
                let next_ns = to_ns.min(market.now_ns() + step_ns);
                market.advance(next_ns, Until::ClientEvent, out);
            }
            market.advance(to_ns, Until::Time, out);
        }
    }
}

/// Runs the acts and returns what the client saw after each; all trades and quotes where nothing was skipped.
fn play(seed: u64, start_ns: i64, acts: &[(i64, Act)], pace: Pace) -> (Vec<String>, Vec<Stamped>) {
    let (mut market, client) = market(seed, LATENCY, start_ns);
    let (mut views, mut orders, mut out) = (Vec::new(), Vec::new(), Vec::new());
    for (wait_ns, act) in acts {
        let to_ns = market.now_ns() + wait_ns;
        pass(&mut market, to_ns, pace, &mut out);
        views.push(format!("{:?} {:?}", view(&market, client, &orders), seen(&out)));
        match act {
            Act::Place { ether, side, away, lots, market: taking } => {
                let instrument = if *ether { ETHUSDT } else { BTCUSDT };
                let best = market.venue().book(instrument).and_then(|book| book.best(*side)).unwrap_or(240_000);
                let terms = if *taking { Terms::Market { lots: *lots } } else { limit(best + away, *lots) };
                let order = order(&mut market, client, instrument, *side, terms);
                market.place(order);
                orders.push(order.id);
            }
            Act::Cancel(which) if !orders.is_empty() => {
                market.cancel(client, BTCUSDT, orders[which % orders.len()]);
            }
            Act::Cancel(_) => {}
            Act::CancelAll => {
                for id in &orders {
                    market.cancel(client, BTCUSDT, *id);
                }
            }
        }
    }
    let end_ns = market.now_ns() + 10 * SECOND_NS;
    pass(&mut market, end_ns, pace, &mut out);
    views.push(format!("{:?} {:?}", view(&market, client, &orders), seen(&out)));
    (views, out)
}

fn without_numbers(views: &[String]) -> Vec<String> {
    let cut = |view: &String| view.split("number: ").map(|part| part.trim_start_matches(char::is_numeric)).collect();
    views.iter().map(cut).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn skipping_changes_nothing_that_a_client_sees(seed in 0_u64..1_000, offset_ns in prop_oneof![Just(0), 0..MINUTE_NS], acts in acts()) {
        let start_ns = START_NS + offset_ns;
        let (run, _) = play(seed, start_ns, &acts, Pace::Advance);
        let (skipped, _) = play(seed, start_ns, &acts, Pace::Skip);
        prop_assert_eq!(run, skipped);
    }

    #[test]
    fn jumping_changes_nothing_but_the_numbers_of_trades(
        seed in 0_u64..1_000, offset_ns in prop_oneof![Just(0), 0..MINUTE_NS], acts in acts(),
    ) {
        let start_ns = START_NS + offset_ns;
        let (run, _) = play(seed, start_ns, &acts, Pace::Advance);
        let (jumped, _) = play(seed, start_ns, &acts, Pace::Jump);
        prop_assert_eq!(without_numbers(&run), without_numbers(&jumped));
    }

    #[test]
    fn cutting_time_changes_nothing(seed in 0_u64..1_000, step_ns in SECOND_NS..90 * SECOND_NS, acts in acts()) {
        let whole = play(seed, START_NS, &acts, Pace::Advance);
        prop_assert_eq!(&whole, &play(seed, START_NS, &acts, Pace::Pieces(step_ns)));
        prop_assert_eq!(&whole, &play(seed, START_NS, &acts, Pace::Advance));
    }
}

#[test]
fn a_long_skip_arrives_where_an_advance_does() {
    let (mut walked, client) = market(9, Latency::NONE, START_NS);
    let (mut skipped, _) = market(9, Latency::NONE, START_NS);
    let to_ns = START_NS + 3 * 24 * 60 * MINUTE_NS + 17 * SECOND_NS;
    run(&mut walked, to_ns);
    assert!(skipped.skip_to(to_ns));
    assert_eq!(view(&walked, client, &[]), view(&skipped, client, &[]));
    for market in [&mut walked, &mut skipped] {
        let buy = order(market, client, BTCUSDT, Side::Buy, Terms::Market { lots: 5_000 });
        market.place(buy);
    }
    assert_eq!(run(&mut walked, to_ns + MINUTE_NS), run(&mut skipped, to_ns + MINUTE_NS));
}
