//! From a signal's bytes to the order's bytes on the venue's socket: ten thousand orders through the real process.
//!
//! `cargo bench -p sapphire-service --bench signal_to_wire` starts a Valkey server, the embedded exchange at 200 times the
//! machine's pace, and the service; writes a signal and an end marker, waits until the order that follows is filled, pauses
//! for two milliseconds, and does it again; then it reads the hop records that the service left. It does so with threads
//! that block (`"spin": "never"`), as services run by default (`"bar"`), and with a desk that never sleeps (`"always"`).
//! `SAPPHIRE_BENCH_ORDERS` sets another number of orders.
//!
//! What dominates: the wake-up of a sleeping thread (queue), and the system call that writes to the socket, in which the
//! loopback delivers and wakes the exchange (write). On a virtual machine without other work a processor that sleeps takes
//! longest to wake; the other hops are some hundred nanoseconds of work on a processor whose caches are cold.

#![allow(clippy::unwrap_used, clippy::expect_used)] // A measurement that fails says so by its panic.

#[path = "../tests/service/conductor.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod conductor;
#[path = "../tests/bus/home.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod home;
#[path = "../tests/service/rig.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod rig;
#[path = "../tests/bus/valkey.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod valkey;
#[path = "../tests/gateway/venue.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod venue;

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use sapphire_core::messages::{Message, OrderState};
use sapphire_service::clock::Monotonic;
use sapphire_service::hops::{HOPS, HopRecord, RECORD_BYTES};
use sapphire_service::words::EntryId;
use serde_json::{Value, json};

use conductor::signal_entry;
use rig::Rig;

const SPEED: i64 = 200;
const PAUSE: Duration = Duration::from_millis(2);

/// So far behind the market's estimated time that a bar's close has passed for sure: two seconds of it.
const BEHIND_NS: i64 = 2_000_000_000;

/// About 335 USDT of BTC, there and back.
const TARGETS: [i64; 2] = [2_000, 1_000];

fn main() {
    let orders = std::env::var("SAPPHIRE_BENCH_ORDERS").map_or(10_000, |text| text.parse::<usize>().unwrap());
    println!("signal to wire: {}; microseconds", machine());
    for (spin, what) in [
        ("never", "threads block"),
        ("bar", "the default: the desk looks between a signal and its end"),
        ("always", "the desk never sleeps"),
    ] {
        let records = measure(spin, orders);
        assert_eq!(records.len(), orders, "every signal leads to one order");
        print(&format!("spin {spin}: {what}"), &records);
    }
}

/// One run of the service.
fn measure(spin: &str, orders: usize) -> Vec<HopRecord> {
    let speed = SPEED.to_string();
    let arguments = ["--speed", speed.as_str(), "--seed", "7", "--start", "2024-03-01"];
    let changed = json!({
        "limits": {"max_reference_age_ns": 600 * 1_000_000_000_i64},
        "journal": {"segment_bytes": 16_777_216, "reserve_bytes": 1_048_576},
        "spin": spin,
    });
    let mut rig = Rig::with(&arguments, &json!({"speed": SPEED}), &changed);
    rig.start();
    rig.wait_until_ready();
    let clock = MarketClock::of(&rig);
    let mut told = EntryId::default();
    for (round, target_lots) in TARGETS.into_iter().cycle().take(orders).enumerate() {
        let bar_close_ns = clock.now_ns() - BEHIND_NS + round as i64;
        let bar_close_ns = bar_close_ns - bar_close_ns.rem_euclid(1_000_000);
        rig.signal("BTC/USDT", target_lots, bar_close_ns, signal_entry(bar_close_ns, 1));
        rig.end_of_bar(bar_close_ns);
        told = rig.await_fill(told);
        thread::sleep(PAUSE);
    }
    assert_eq!(rig.stop(), Some(0), "{}", rig.log());
    records(&rig)
}

impl Rig {
    /// Waits until an order is filled; where that stands in its stream.
    fn await_fill(&mut self, after: EntryId) -> EntryId {
        let (clock, mut after) = (Monotonic::new(), after);
        let deadline = Instant::now() + rig::PATIENCE;
        while Instant::now() < deadline {
            let batch = self.bus.read("executions", after, 100, Duration::from_secs(1), clock).unwrap();
            for entry in batch.entries() {
                after = entry.id;
                match Message::decode(entry.message().unwrap()).unwrap() {
                    Message::OrderExecution(told) if told.state == OrderState::Filled => return after,
                    Message::RiskUpdate(told) => panic!("no order: {}", told.text),
                    _ => {}
                }
            }
        }
        panic!("no fill: {}", self.log());
    }
}

/// The exchange's clock, asked once.
struct MarketClock {
    market_ns: i64,
    asked: Instant,
}

impl MarketClock {
    fn of(rig: &Rig) -> Self {
        let url = format!("{}/api/v3/time", rig.exchange.text("url"));
        let told: Value =
            serde_json::from_str(&ureq::get(&url).call().unwrap().body_mut().read_to_string().unwrap()).unwrap();
        Self { market_ns: told["serverTime"].as_i64().unwrap() * 1_000_000, asked: Instant::now() }
    }

    fn now_ns(&self) -> i64 {
        self.market_ns + self.asked.elapsed().as_nanos() as i64 * SPEED
    }
}

fn records(rig: &Rig) -> Vec<HopRecord> {
    let mut files = fs::read_dir(rig.account().join("hops")).unwrap();
    let bytes = fs::read(files.next().unwrap().unwrap().path()).unwrap();
    bytes.chunks_exact(RECORD_BYTES).map(|record| HopRecord::decode(record.try_into().unwrap())).collect()
}

fn print(title: &str, records: &[HopRecord]) {
    println!("{title}");
    println!("{:<16}{:>8}{:>10}{:>10}{:>10}", "hop", "n", "p50", "p99", "p99.9");
    for (place, hop) in HOPS.iter().enumerate() {
        let mut spans: Vec<u64> = records.iter().filter_map(|record| record.spans()[place]).collect();
        spans.sort_unstable();
        let at = |per_mille: usize| {
            // A percentile needs as many orders as stand beyond it.
            let beyond = spans.len() * (1_000 - per_mille) / 1_000;
            let value = spans.get(spans.len() - 1 - beyond).filter(|_| beyond > 0);
            value.map_or_else(|| "-".to_owned(), |ns| format!("{:.1}", *ns as f64 / 1e3))
        };
        println!("{hop:<16}{:>8}{:>10}{:>10}{:>10}", spans.len(), at(500), at(990), at(999));
    }
}

fn machine() -> String {
    let told = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = told.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let cores = thread::available_parallelism().map_or(0, usize::from);
    format!("{}, {cores} cores", model.unwrap_or("unknown processor"))
}
