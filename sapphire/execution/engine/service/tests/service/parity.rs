//! What is traded over the wire is what the replay says, lot by lot, and the journal folds to the same again.

use std::collections::BTreeMap;

use sapphire_core::engine::Execution;
use sapphire_core::instrument::{Asset, InstrumentId, Side};
use sapphire_core::messages::Message;
use sapphire_core::risk::Limits;
use sapphire_core::venue::FeeRates;
use sapphire_sim::latency::Latency;
use sapphire_sim::listing::listing;
use sapphire_sim::market::Listed;
use sapphire_sim::replay::{Model, Record, Replay, ReplayConfig};

use crate::conductor::{Conductor, close_ns, signal_entry, targets};
use crate::rig::{BAR_NS, Rig};
use crate::venue::{START_NS, SYMBOLS};
use serde_json::json;

const UNIT: i128 = 100_000_000;

/// The same targets in the engine's own replay of the same market.
pub fn replay(bars: i64) -> Record {
    replay_with(bars, Latency { seed: 7, min_ns: 5_000_000, max_ns: 25_000_000 })
}

/// The same with requests that travel for longer or shorter.
fn replay_with(bars: i64, latency: Latency) -> Record {
    let config = ReplayConfig {
        quote: Asset(0),
        assets: 3,
        seed: 7,
        fees: FeeRates { maker: 100_000, taker: 100_000 },
        model: Model::Book { latency },
        limits: Limits::open(2, 1),
        execution: Execution::default(),
        deposits: vec![(Asset(0), 100_000 * UNIT)],
        start_ns: START_NS,
        time_to_live_ns: BAR_NS,
    };
    let listed = ["BTCUSDT", "ETHUSDT"].into_iter().enumerate().map(|(index, symbol)| {
        Listed::generated(7, listing(symbol).unwrap(), (Asset(index as u16 + 1), Asset(0)), START_NS)
    });
    let mut replay = Replay::new(&config, listed.collect()).unwrap();
    for bar in 1..=bars {
        replay.close_bar(close_ns(bar)).unwrap();
        for (index, lots) in targets(bar).into_iter().enumerate() {
            replay.signal(InstrumentId(index as u16), lots).unwrap();
        }
        replay.end_of_bar().unwrap();
    }
    // What travels still is let through, as the conductor does by closing one more bar.
    replay.close_bar(close_ns(bars + 1)).unwrap();
    replay.finish().unwrap()
}

/// A trade by what it is: when, of what, which way, and price, lots, value and fee. The venue's number is left out: a
/// replay does not let the synthetic liquidity trade with itself in between, so its numbers are lower.
pub type Trade = (i128, String, &'static str, [i128; 4]);

pub fn trades_of(record: &Record) -> Vec<Trade> {
    let trade = |row: &sapphire_sim::replay::FillRow| {
        let side = if row.side == Side::Buy { "BUY" } else { "SELL" };
        let symbol = SYMBOLS[usize::from(row.instrument.0)].to_owned();
        let fill = &row.fill;
        (row.time_ns.into(), symbol, side, [fill.ticks.into(), fill.lots.into(), fill.quote_atoms, fill.fee_atoms])
    };
    record.fills.iter().map(trade).collect()
}

/// The trades that the service reports.
pub fn trades_emitted(rig: &Rig) -> Vec<Trade> {
    let (status, fills) = rig.get("/fills?limit=10000");
    assert_eq!(status, 200);
    let trade = |row: &serde_json::Value| {
        let number = |key: &str| row[key].as_str().unwrap().parse::<i128>().unwrap();
        let side = if row["side"] == "BUY" { "BUY" } else { "SELL" };
        let numbers = ["ticks", "lots", "quote_atoms", "fee_atoms"].map(number);
        (number("market_ns"), row["symbol"].as_str().unwrap().to_owned(), side, numbers)
    };
    fills.as_array().unwrap().iter().map(trade).collect()
}

/// Cash and positions that the service published at each close.
pub fn states_emitted(rig: &mut Rig, bars: i64) -> Vec<(i128, Vec<i128>)> {
    let mut states = Vec::new();
    for bar in 1..=bars {
        let Message::AccountState(state) = rig.await_entry("account", signal_entry(close_ns(bar), 1)) else {
            panic!("no ACCOUNT_STATE")
        };
        states.push((state.cash_quote_atoms, state.positions.iter().map(|position| position.atoms).collect()));
    }
    states
}

pub fn states_of(record: &Record) -> Vec<(i128, Vec<i128>)> {
    record.bars.iter().map(|bar| (bar.cash_quote_atoms, bar.position_atoms.clone())).collect()
}

#[test]
fn forty_bars_over_the_wire_are_the_replays_to_the_last_atom() {
    const BARS: i64 = 40;
    let mut rig = Rig::new();
    rig.start();
    let mut conductor = Conductor::new();
    for bar in 1..=BARS {
        conductor.bar(&mut rig, targets(bar));
    }
    conductor.bar_of(&mut rig, &mut |_, _| {}, &mut |_, _, _| {});
    let record = replay(BARS);
    assert!(record.fills.len() > 60, "{} fills", record.fills.len());
    assert_eq!(states_emitted(&mut rig, BARS + 1), states_of(&record));
    assert_eq!(trades_emitted(&rig), trades_of(&record));
    let (_, orders) = rig.get("/orders?limit=10000");
    assert_eq!(orders.as_array().unwrap().len(), record.orders.len());
    balances_equal_the_exchanges(&rig);

    assert_eq!(rig.stop(), Some(0), "{}", rig.log());
    let emitted = rig.assert_replays();
    assert!(emitted["steps"].as_u64().unwrap() > 400, "{emitted}");
    let states: Vec<i128> =
        rig.exported("state").iter().map(|row| row["cash_quote_atoms"].as_str().unwrap().parse().unwrap()).collect();
    let expected: Vec<i128> = record.bars.iter().map(|bar| bar.cash_quote_atoms).collect();
    assert_eq!(states, expected);
    assert_eq!(rig.exported("fill").len(), record.fills.len());
    every_order_left_its_times(&rig, record.orders.iter().filter(|row| row.arrives_ns.is_some()).count());
}

#[test]
fn orders_that_outlive_the_prices_they_were_made_at_are_the_replays_too() {
    const BARS: i64 = 20;
    // The synthetic liquidity renews its quotes every 5 s: an order that follows from a report is made at other prices than the one
    // before.
    let arguments = ["--lockstep", "--seed", "7", "--start", "2024-03-01", "--latency-ms", "4000", "13000"];
    let mut rig = Rig::with(&arguments, &json!({"lockstep": true}), &json!({}));
    rig.start();
    let mut conductor = Conductor::new();
    for bar in 1..=BARS {
        conductor.bar(&mut rig, targets(bar));
    }
    conductor.bar_of(&mut rig, &mut |_, _| {}, &mut |_, _, _| {});
    let record = replay_with(BARS, Latency { seed: 7, min_ns: 4_000_000_000, max_ns: 13_000_000_000 });
    assert_eq!(states_emitted(&mut rig, BARS + 1), states_of(&record));
    assert_eq!(trades_emitted(&rig), trades_of(&record));
    let (_, orders) = rig.get("/orders?limit=10000");
    let emitted: Vec<(&str, &str)> = orders.as_array().unwrap().iter().map(terms).collect();
    let again: Vec<(String, String)> =
        record.orders.iter().map(|row| (row.order.ticks.to_string(), row.order.lots.to_string())).collect();
    assert_eq!(emitted, again.iter().map(|(ticks, lots)| (ticks.as_str(), lots.as_str())).collect::<Vec<_>>());
    // Otherwise the run says nothing about prices that moved meanwhile.
    let after_a_report = record.orders.iter().filter(|row| row.sent_ns % BAR_NS != 0).count();
    assert!(after_a_report > 5, "{after_a_report} orders followed from a report");
}

fn terms(row: &serde_json::Value) -> (&str, &str) {
    (row["ticks"].as_str().unwrap(), row["lots"].as_str().unwrap())
}

/// What the account holds is what the exchange says, free and locked together.
pub fn balances_equal_the_exchanges(rig: &Rig) {
    let (_, held) = rig.get("/positions");
    let state = rig.exchange.state();
    let at_exchange = |asset: &str| {
        let balance = &state["accounts"][0]["balances"][asset];
        ["free", "locked"].map(|part| balance[part].as_str().unwrap().parse::<i128>().unwrap()).iter().sum::<i128>()
    };
    let mut emitted = BTreeMap::from([("USDT", held["cash_quote_atoms"].as_str().unwrap().parse::<i128>().unwrap())]);
    for (asset, row) in ["BTC", "ETH"].into_iter().zip(held["positions"].as_array().unwrap()) {
        emitted.insert(asset, row["atoms"].as_str().unwrap().parse().unwrap());
    }
    for (asset, atoms) in emitted {
        assert_eq!(atoms, at_exchange(asset), "{asset}");
    }
}

fn every_order_left_its_times(rig: &Rig, orders: usize) {
    use sapphire_service::latency_trace::{LatencyTrace, RECORD_BYTES};
    let mut files = std::fs::read_dir(rig.account().join("hops")).unwrap();
    let bytes = std::fs::read(files.next().unwrap().unwrap().path()).unwrap();
    let records: Vec<LatencyTrace> =
        bytes.chunks_exact(RECORD_BYTES).map(|record| LatencyTrace::decode(record.try_into().unwrap())).collect();
    assert_eq!(records.len(), orders);
    for record in &records {
        let way = [
            record.received_ns,
            record.parsed_ns,
            record.taken_ns,
            record.journalled_ns,
            record.decided_ns,
            record.framed_ns,
            record.written_ns,
        ];
        assert!(way.is_sorted() && way[0] > 0, "{record:?}");
        // The answer can be read before the call that wrote the request returns.
        assert!(record.acknowledged_ns > record.framed_ns, "{record:?}");
    }
}
