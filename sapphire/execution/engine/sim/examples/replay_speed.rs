//! How fast a replay is: two symbols, 17,520 hourly bars (two years), a rebalance a day, under each model.
//!
//! `cargo run --release -p sapphire-sim --example replay_speed`

use std::time::Instant;

use sapphire_core::engine::Execution;
use sapphire_core::instrument::Asset;
use sapphire_core::risk::Limits;
use sapphire_core::venue::FeeRates;
use sapphire_sim::latency::Latency;
use sapphire_sim::listing::listing;
use sapphire_sim::market::Listed;
use sapphire_sim::replay::{Model, NO_SIGNAL, Replay, ReplayConfig};

const HOUR_NS: i64 = 3_600_000_000_000;
const BARS: i64 = 17_520;
/// 2023-01-01T00:00Z.
const START_NS: i64 = 1_672_531_200_000_000_000;
const SYMBOLS: [&str; 2] = ["BTCUSDT", "ETHUSDT"];

fn listed() -> Vec<Listed> {
    let listings = SYMBOLS.iter().filter_map(|symbol| listing(symbol)).enumerate();
    listings
        .map(|(index, listing)| Listed::generated(7, listing, (Asset(index as u16 + 1), Asset(0)), START_NS))
        .collect()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let closes: Vec<i64> = (1..=BARS).map(|bar| START_NS + bar * HOUR_NS).collect();
    // A quarter and a half of a fund of 100,000 USDT or so, by turns.
    let daily = |bar: i64, lots: i64| if bar % 24 == 0 { lots * (1 + bar / 24 % 2) } else { NO_SIGNAL };
    let targets: Vec<i64> = (0..BARS).flat_map(|bar| [daily(bar, 50_000), daily(bar, 100_000)]).collect();
    let latency = Latency { seed: 7, min_ns: 20_000_000, max_ns: 80_000_000 };
    for model in Model::ladder(latency) {
        let config = ReplayConfig {
            quote: Asset(0),
            assets: 3,
            seed: 7,
            fees: FeeRates { maker: 100_000, taker: 100_000 },
            model,
            limits: Limits::open(2, 1),
            execution: Execution::default(),
            deposits: vec![(Asset(0), 1_000_000_000_000_000)],
            start_ns: START_NS,
            time_to_live_ns: HOUR_NS,
        };
        let begun = Instant::now();
        let mut replay = Replay::new(&config, listed())?;
        replay.run_targets(&closes, &targets)?;
        let record = replay.finish()?;
        let seconds = begun.elapsed().as_secs_f64();
        let rate = BARS as f64 / seconds;
        println!(
            "{model:?}: {seconds:.3} s, {rate:.0} bars/s, {} orders, {} fills",
            record.orders.len(),
            record.fills.len()
        );
    }
    Ok(())
}
