//! Orders through the matching service's handle, in one process: no HTTP, no JSON.
//!
//! `cargo bench -p sapphire-exchange --bench matching`. Prints the number of requests, requests a second, and the
//! acknowledgement's median and 99th percentile, with a journal and without, one request at a time and sixty-four at
//! once; then how fast lock-step time runs, and how long a thousand daily candles take.

use std::fmt::Display;
use std::io::Write as _;
use std::time::{Duration, Instant};

use clap::Parser as _;
use sapphire_core::instrument::{InstrumentId, Side};
use sapphire_core::venue::AccountId;
use sapphire_exchange::matching::api::{
    CancelOrder, Interval, KlinesQuery, MatchingError, MatchingHandle, OrderKind, OrderRef, PlaceOrder, TimeInForce,
};
use sapphire_exchange::matching::{OpenMatching, StartError, open};
use sapphire_exchange::settings::Arguments;

const BTC: InstrumentId = InstrumentId(0);
const ROUNDS: usize = 20_000;
const AT_ONCE: usize = 64;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let folder = std::env::temp_dir().join(format!("sapphire-bench-{}", std::process::id()));
    let journal = folder.to_string_lossy().into_owned();
    for (name, more) in [("no journal", vec![]), ("journal", vec!["--journal", &journal])] {
        let matching = start(&[&["--speed", "1", "--seed", "7"], more.as_slice()].concat())?;
        let began = Instant::now();
        let one = runtime.block_on(place_and_cancel(matching.handle.clone(), ROUNDS))?;
        report(&format!("{name}, one at a time"), one, began.elapsed())?;
        let began = Instant::now();
        let many = runtime.block_on(crowd(&matching.handle))?;
        report(&format!("{name}, {AT_ONCE} at once"), many, began.elapsed())?;
        stop(&runtime, matching)?;
    }
    std::fs::remove_dir_all(&folder)?;
    candles(&runtime)
}

fn start(arguments: &[&str]) -> Result<OpenMatching, StartError> {
    open(&Arguments::parse_from([&["exchange"], arguments].concat()))
}

fn stop(runtime: &tokio::runtime::Runtime, matching: OpenMatching) -> Result<(), Failure> {
    runtime.block_on(matching.handle.stop());
    matching.thread.join().map_err(|_| "the matching service ended in a panic".into())
}

async fn crowd(handle: &MatchingHandle) -> Result<Vec<Duration>, Failure> {
    let tasks: Vec<_> =
        (0..AT_ONCE).map(|_| tokio::spawn(place_and_cancel(handle.clone(), ROUNDS / AT_ONCE))).collect();
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await??);
    }
    Ok(all)
}

/// A limit order well below the market, and its cancel; how long each took.
async fn place_and_cancel(handle: MatchingHandle, rounds: usize) -> Result<Vec<Duration>, MatchingError> {
    let mut took = Vec::with_capacity(2 * rounds);
    let account = AccountId(1);
    let price = handle.prices(vec![BTC]).await?.first().copied().unwrap_or_default();
    let kind = OrderKind::Limit {
        price_atoms: i128::from((price - price / 20) * 1_000_000),
        quantity_atoms: 100_000,
        time_in_force: TimeInForce::Gtc,
    };
    for _ in 0..rounds {
        let order = PlaceOrder { account, instrument: BTC, side: Side::Buy, kind, client_order_id: None };
        let began = Instant::now();
        let placed = handle.place_order(order).await?;
        took.push(began.elapsed());
        let order = OrderRef::Id(placed.order.order_id);
        let began = Instant::now();
        handle.cancel_order(CancelOrder { account, instrument: BTC, order, cancel_client_order_id: None }).await?;
        took.push(began.elapsed());
    }
    Ok(took)
}

fn candles(runtime: &tokio::runtime::Runtime) -> Result<(), Failure> {
    let matching = start(&["--lockstep", "--seed", "7"])?;
    let interval = Interval::parse("1d").ok_or("1d is an interval")?;
    let query = KlinesQuery { instrument: BTC, interval, start_ns: None, end_ns: None, limit: 1_000 };
    for name in ["cold", "warm"] {
        let began = Instant::now();
        let rows = runtime.block_on(matching.handle.klines(query))?.len();
        print_line(format!("{rows} daily candles, {name}: {:.1} ms", began.elapsed().as_secs_f64() * 1e3))?;
    }
    stop(runtime, matching)
}

fn report(name: &str, mut took: Vec<Duration>, wall: Duration) -> Result<(), Failure> {
    took.sort_unstable();
    let n = took.len();
    let at = |part: f64| took[((n - 1) as f64 * part) as usize].as_secs_f64() * 1e6;
    let rate = n as f64 / wall.as_secs_f64();
    print_line(format!("{name}: n = {n}, {rate:.0} requests/s, median {:.1} us, p99 {:.1} us", at(0.5), at(0.99)))
}

fn print_line(line: impl Display) -> Result<(), Failure> {
    writeln!(std::io::stdout(), "{line}")?;
    Ok(())
}
