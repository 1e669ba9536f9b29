//! Operations per second of the venue: matching, balances and fees, without journal or network.
//!
//! `cargo run --release -p sapphire-core --example matching_bench`
//!
//! Of the operations 47 % cancel a standing order, 50 % add a limit order within 50 ticks of the price, 3 % cross the
//! spread, over a book of some 5,000 orders. They are drawn once, against a venue that runs along, so that every cancel
//! names an order that stands; the clock runs over the same list on a fresh venue, five times.

use std::hint::black_box;
use std::time::Instant;

use sapphire_core::instrument::{Asset, Instrument, InstrumentId, Side};
use sapphire_core::venue::{AccountId, AccountKind, FeeRates, NewOrder, OrderId, Outcome, Terms, TimeInForce, Venue};

const OPERATIONS: usize = 1_000_000;
const RUNS: usize = 5;
/// Orders that stand before the clock runs.
const BOOK: usize = 5_000;
const ACCOUNTS: u32 = 8;
const INSTRUMENT: InstrumentId = InstrumentId(0);
const MIDDLE: i64 = 6_000_000;
const RULES: Instrument = Instrument {
    base: Asset(0),
    quote: Asset(1),
    tick_atoms: 1_000_000,
    lot_atoms: 1_000,
    min_lots: 1,
    max_lots: 900_000_000,
    min_ticks: 1,
    max_ticks: 100_000_000,
    min_notional_atoms: 500_000_000,
};

#[derive(Clone, Copy)]
enum Operation {
    Submit(NewOrder),
    Cancel(AccountId, OrderId),
}

fn main() {
    let (book, operations) = draw();
    let cancels = operations.iter().filter(|operation| matches!(operation, Operation::Cancel(..))).count();
    let mut rates = Vec::new();
    let (mut trades, mut standing) = (0, 0);
    for _ in 0..RUNS {
        let mut venue = venue();
        let mut out = Vec::with_capacity(64);
        for operation in &book {
            apply(&mut venue, *operation, &mut out);
        }
        let start = Instant::now();
        trades = 0;
        for operation in &operations {
            out.clear();
            apply(&mut venue, *operation, &mut out);
            trades += out.iter().filter(|outcome| matches!(outcome, Outcome::Traded(_))).count();
        }
        rates.push(OPERATIONS as f64 / start.elapsed().as_secs_f64());
        black_box(&venue);
        standing = venue.book(INSTRUMENT).map_or(0, sapphire_core::book::Book::len);
    }
    rates.sort_by(f64::total_cmp);
    println!(
        "matching: {:.2} M operations/s, median of {RUNS} runs (lowest {:.2}, highest {:.2})",
        rates[RUNS / 2] / 1e6,
        rates[0] / 1e6,
        rates[RUNS - 1] / 1e6
    );
    println!(
        "  n = {OPERATIONS}: {cancels} cancels, {} orders, {trades} trades; {ACCOUNTS} client accounts, 1 instrument, {standing} orders standing at the end",
        OPERATIONS - cancels
    );
    println!("  {}", machine());
}

fn venue() -> Venue {
    let mut venue = Venue::new(vec![RULES], 2);
    for _ in 0..ACCOUNTS {
        let account = venue.open_account(AccountKind::Client, FeeRates { maker: 75_000, taker: 100_000 });
        for asset in [Asset(0), Asset(1)] {
            // Nobody runs out: a hundredth of what a balance holds.
            assert!(venue.deposit(account, asset, i128::from(i64::MAX) / 100).is_ok());
        }
    }
    venue
}

fn apply(venue: &mut Venue, operation: Operation, out: &mut Vec<Outcome>) {
    let done = match operation {
        Operation::Submit(order) => venue.submit(order, out).is_ok(),
        Operation::Cancel(account, id) => venue.cancel(account, id, out).is_ok(),
    };
    assert!(done, "an operation was refused: the mix is not the one that is claimed");
}

/// The orders that stand at the start, then the operations that are timed.
fn draw() -> (Vec<Operation>, Vec<Operation>) {
    let mut venue = venue();
    let mut draws = Draws(0x9e37_79b9_7f4a_7c15);
    let mut standing: Vec<NewOrder> = Vec::new();
    let mut operations = Vec::with_capacity(BOOK + OPERATIONS);
    let mut out = Vec::new();
    while operations.len() < BOOK + OPERATIONS {
        let kind = if operations.len() < BOOK { 50 } else { draws.below(100) };
        let operation = if kind < 47 {
            let order = take_standing(&mut standing, &venue, &mut draws);
            Operation::Cancel(order.account, order.id)
        } else {
            let order = order(&mut draws, operations.len() as u64 + 1, kind >= 97);
            standing.push(order);
            Operation::Submit(order)
        };
        out.clear();
        apply(&mut venue, operation, &mut out);
        operations.push(operation);
    }
    let timed = operations.split_off(BOOK);
    (operations, timed)
}

fn take_standing(orders: &mut Vec<NewOrder>, venue: &Venue, draws: &mut Draws) -> NewOrder {
    loop {
        let order = orders.swap_remove(draws.below(orders.len() as u64) as usize);
        if venue.order(order.id).is_some() {
            return order;
        }
    }
}

fn order(draws: &mut Draws, id: u64, crosses: bool) -> NewOrder {
    let side = if draws.below(2) == 0 { Side::Buy } else { Side::Sell };
    let away = 1 + draws.below(50) as i64;
    let (ticks, time_in_force) = if crosses {
        (MIDDLE + side.sign() * away, TimeInForce::ImmediateOrCancel)
    } else {
        (MIDDLE - side.sign() * away, TimeInForce::GoodTillCancel)
    };
    let lots = 100 + draws.below(if crosses { 1_300 } else { 2_000 }) as i64;
    let terms = Terms::Limit { ticks, lots, time_in_force };
    let account = AccountId(draws.below(u64::from(ACCOUNTS)) as u32);
    NewOrder { id: OrderId(id), account, instrument: INSTRUMENT, side, terms }
}

/// xorshift64 (Marsaglia 2003).
struct Draws(u64);

impl Draws {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

fn machine() -> String {
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")).and_then(|line| line.split_once(':'));
    let count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    format!(
        "{}, {count} cores, load average {}",
        model.map_or("unknown processor", |(_, name)| name.trim()),
        load.split(' ').next().unwrap_or("unknown")
    )
}
