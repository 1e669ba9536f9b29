//! From a signal's bytes to the order's bytes on the venue's socket: ten thousand orders through the real process.
//!
//! `cargo bench -p sapphire-service --bench signal_to_wire` starts a Valkey server, the embedded exchange at 200 times
//! the machine's pace, and the service; writes a signal and an end marker, waits until the order that follows is
//! filled, and does it again, two milliseconds later and then at once; last, on a machine with processors to spare,
//! with a trader loop that never sleeps. The stage records that the service left are what is printed.
//! `SAPPHIRE_BENCH_ORDERS` sets another number.
//!
//! Where there are two processors, exchange, Valkey and this program have one for themselves, as a venue is another
//! machine: an exchange that is woken by what it is sent takes the processor from the writer before the call returns.
//!
//! What dominates: the wake-up of the trader loop behind the thread that reads the bus (queue), the system call that
//! writes to the socket, in which the loopback delivers and wakes the exchange (write), and caches that are cold after
//! a pause: of some hundred nanoseconds of work each, parse, journal, decide and frame make four to ten microseconds
//! then.

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
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use sapphire_core::messages::{Message, OrderState};
use sapphire_service::clock::Monotonic;
use sapphire_service::events::EntryId;
use sapphire_service::latency_trace::{LatencyTrace, RECORD_BYTES, STAGES};
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
    let is_apart = thread::available_parallelism().is_ok_and(|cores| cores.get() > 1);
    println!(
        "signal to wire: {}, venue {}; microseconds",
        machine(),
        if is_apart { "on one of them" } else { "beside" }
    );
    if is_apart {
        pin("0");
    }
    let spare = thread::available_parallelism().is_ok_and(|cores| cores.get() > 2);
    for (what, spin, pause) in [
        ("threads block, orders two milliseconds apart", false, PAUSE),
        ("threads block, one order after the other", false, Duration::ZERO),
        ("the trader loop never sleeps, orders two milliseconds apart", true, PAUSE),
    ] {
        if spin && !spare {
            println!("{what}: not measured, it takes a processor to spare");
            continue;
        }
        let records = measure(spin, pause, orders, is_apart);
        assert!(records.len() >= orders, "every signal leads to an order, and to another where it traded in part");
        print(what, &records);
    }
}

/// This program's first thread, and whatever it starts from here on, runs on these processors alone.
fn pin(processors: &str) {
    let arguments = ["-c", "-p", processors, &std::process::id().to_string()];
    assert!(Command::new("taskset").args(arguments).stdout(Stdio::null()).status().unwrap().success(), "taskset");
}

/// One run of the service.
fn measure(spin: bool, pause: Duration, orders: usize, is_apart: bool) -> Vec<LatencyTrace> {
    let speed = SPEED.to_string();
    let arguments = ["--speed", speed.as_str(), "--seed", "7", "--start", "2024-03-01"];
    let changed = json!({
        "limits": {"max_reference_age_ns": 600 * 1_000_000_000_i64},
        "journal": {"segment_bytes": 16_777_216, "reserve_bytes": 1_048_576},
        "spin": spin,
    });
    let mut rig = Rig::with(&arguments, &json!({"speed": SPEED}), &changed);
    if is_apart {
        pin("1-1023");
    }
    rig.start();
    if is_apart {
        pin("0");
    }
    rig.wait_until_ready();
    let clock = MarketClock::of(&rig);
    let mut last = EntryId::default();
    for (round, target_lots) in TARGETS.into_iter().cycle().take(orders).enumerate() {
        let bar_close_ns = clock.now_ns() - BEHIND_NS + round as i64;
        let bar_close_ns = bar_close_ns - bar_close_ns.rem_euclid(1_000_000);
        rig.signal("BTC/USDT", target_lots, bar_close_ns, signal_entry(bar_close_ns, 1));
        rig.end_of_bar(bar_close_ns);
        last = rig.await_fill(last);
        thread::sleep(pause);
    }
    assert_eq!(rig.stop(), Some(0), "{}", rig.log());
    records(&rig)
}

impl Rig {
    /// Waits until an order is filled; where that stands in its stream.
    fn await_fill(&mut self, after: EntryId) -> EntryId {
        let (clock, executions, mut after) = (Monotonic::new(), self.stream("executions"), after);
        let deadline = Instant::now() + rig::PATIENCE;
        while Instant::now() < deadline {
            let batch = self.bus.read(&executions, after, 100, Duration::from_secs(1), clock).unwrap();
            for entry in batch.entries() {
                after = entry.id;
                match Message::decode(entry.message().unwrap()).unwrap() {
                    Message::OrderExecution(message) if message.state == OrderState::Filled => return after,
                    Message::RiskUpdate(message) => panic!("no order: {}", message.text),
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
        let body: Value =
            serde_json::from_str(&ureq::get(&url).call().unwrap().body_mut().read_to_string().unwrap()).unwrap();
        Self { market_ns: body["serverTime"].as_i64().unwrap() * 1_000_000, asked: Instant::now() }
    }

    fn now_ns(&self) -> i64 {
        self.market_ns + self.asked.elapsed().as_nanos() as i64 * SPEED
    }
}

fn records(rig: &Rig) -> Vec<LatencyTrace> {
    let mut files = fs::read_dir(rig.account().join("hops")).unwrap();
    let bytes = fs::read(files.next().unwrap().unwrap().path()).unwrap();
    bytes.chunks_exact(RECORD_BYTES).map(|record| LatencyTrace::decode(record.try_into().unwrap())).collect()
}

fn print(title: &str, records: &[LatencyTrace]) {
    println!("{title}");
    println!("{:<16}{:>8}{:>10}{:>10}{:>10}", "hop", "n", "p50", "p99", "p99.9");
    for (place, stage) in STAGES.iter().enumerate() {
        let mut spans: Vec<u64> = records.iter().filter_map(|record| record.spans()[place]).collect();
        spans.sort_unstable();
        let at = |per_mille: usize| {
            // A percentile needs as many orders as stand beyond it.
            let beyond = spans.len() * (1_000 - per_mille) / 1_000;
            let value = spans.get(spans.len() - 1 - beyond).filter(|_| beyond > 0);
            value.map_or_else(|| "-".to_owned(), |ns| format!("{:.1}", *ns as f64 / 1e3))
        };
        println!("{stage:<16}{:>8}{:>10}{:>10}{:>10}", spans.len(), at(500), at(990), at(999));
    }
}

fn machine() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let cores = thread::available_parallelism().map_or(0, usize::from);
    format!("{}, {cores} cores", model.unwrap_or("unknown processor"))
}
