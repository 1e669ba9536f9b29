//! An account whose journal is kept: an engine, its journal, and what it decided.

#![allow(dead_code, reason = "each test file uses its part")]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sapphire_core::engine::{Balances, Body, Engine, Event, Execution, FeeSide, Output, Outputs, Signal};
use sapphire_core::instrument::{Asset, InstrumentId, Side, fee};
use sapphire_core::orders::{Fill, Order, ReleaseId, Report, ReportKind};
use sapphire_core::risk::LimitSet;
use sapphire_service::entry::{Entry, LimitRules, Listing, RunConfig, SlotTaken, Source};
use sapphire_service::events::{EntryId, ReleaseDigest};
use sapphire_service::fold::{Audience, Step};
use sapphire_service::journal::{Journal, JournalFailure, JournalOptions, Recovered};

/// What the account trades.
pub const RELEASE: ReleaseDigest = ReleaseDigest([0xab; 32]);
pub const USDT: Asset = Asset(0);
pub const UNIT: i128 = 100_000_000;
pub const SECOND_NS: i64 = 1_000_000_000;
pub const HOUR_NS: i64 = 3_600 * SECOND_NS;
/// 2024-01-01T00:00Z.
pub const T: i64 = 1_704_067_200_000_000_000;
pub const FEE_RATE: i64 = 100_000;
pub const SYMBOLS: [&str; 2] = ["BTC/USDT", "ETH/USDT"];

/// Small files, so that a short run has many.
pub const OPTIONS: JournalOptions = JournalOptions {
    segment_bytes: 8_192,
    reserve_bytes: 4_096,
    max_sync_lag: Duration::from_secs(5),
    archives: false,
};

/// A folder of its own that goes with the test.
pub struct Scratch(pub PathBuf);

impl Scratch {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("sapphire-journal-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    /// The files of the journal, oldest first.
    pub fn segments(&self) -> Vec<PathBuf> {
        let files = std::fs::read_dir(self.0.join("journal")).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<PathBuf> = files.filter(|path| path.extension().is_some()).collect();
        files.sort();
        files
    }

    /// Another folder with the same files.
    pub fn copy(&self) -> Self {
        let copy = Self::new();
        std::fs::create_dir(copy.0.join("journal")).unwrap();
        for path in self.segments() {
            std::fs::copy(&path, copy.0.join("journal").join(path.file_name().unwrap())).unwrap();
        }
        copy
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

pub fn run_config() -> RunConfig {
    let listing = |symbol: &str| Listing {
        symbol: symbol.to_owned(),
        base: symbol[..3].to_owned(),
        tick_atoms: 1_000_000,
        lot_atoms: 1_000,
        min_lots: 1,
        max_lots: 900_000_000,
        min_ticks: 1,
        max_ticks: 100_000_000,
        min_notional_atoms: 5 * UNIT,
    };
    RunConfig {
        engine: RunConfig::ENGINE.to_owned(),
        account: "paper".to_owned(),
        account_tag: 7,
        stage: "paper".to_owned(),
        interval: "1h".to_owned(),
        quote: "USDT".to_owned(),
        assets: ["USDT", "BTC", "ETH"].map(str::to_owned).to_vec(),
        instruments: SYMBOLS.map(listing).to_vec(),
        releases: 4,
        fee_rate: FEE_RATE,
        fee_side: FeeSide::Received,
        execution: Execution::default(),
        limits: LimitRules {
            account: LimitSet { max_order_atoms: Some(6_000 * UNIT), ..LimitSet::default() },
            ..LimitRules::default()
        },
    }
}

/// What a fold led to, step by step.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Seen(pub Vec<(u64, Event, [u8; 32])>);

impl Audience for Seen {
    fn after(&mut self, step: &Step<'_>) {
        self.0.push((step.number, step.event.clone(), step.outputs.digest()));
    }
}

/// One thing that happens to an account.
#[derive(Clone, Debug)]
pub enum Act {
    /// A bar closes with these targets.
    Bar([Option<i64>; 2]),
    /// A report of the venue about an order on the way.
    Report(VenueReport),
    /// Time passes.
    Wait(i64),
    /// An operator speaks.
    Command(sapphire_core::risk::Command),
    /// A dead letter is passed over.
    Pass,
}

/// What the venue reports.
#[derive(Clone, Copy, Debug)]
pub enum VenueReport {
    Accepted,
    Traded(u8),
    Expired,
    Unanswered,
    NeverThere,
}

/// An account whose journal is kept.
pub struct JournalKeeper {
    pub journal: Journal,
    pub engine: Engine,
    pub seen: Seen,
    pub cursor: EntryId,
    pub now_ns: i64,
    pub trades: u64,
    pub live: Vec<(Order, i64)>,
}

impl JournalKeeper {
    pub fn open(folder: &Path) -> Self {
        Self::open_with(folder, &run_config(), &OPTIONS, T).unwrap().0
    }

    /// Opens the journal; the engine learns of the epoch, a release has evidence and there is cash.
    pub fn open_with(
        folder: &Path,
        run: &RunConfig,
        options: &JournalOptions,
        wall_ns: i64,
    ) -> Result<(Self, bool), JournalFailure> {
        let mut seen = Seen::default();
        let (journal, recovered) = Journal::open(folder, run, RELEASE, options, wall_ns, &mut seen)?;
        let Recovered { engine, cursor, releases, epoch, was_torn, is_new_run, .. } = recovered;
        let now_ns = engine.now_ns().max(T);
        let mut keeper = Self { journal, engine, seen, cursor, now_ns, trades: 0, live: Vec::new() };
        keeper.apply(Body::Epoch { epoch }, Source::Start)?;
        if releases.is_empty() {
            keeper.journal.append(&slot(0), now_ns, 0)?;
            let limits = LimitSet { max_orders_per_minute: Some(50), ..LimitSet::default() };
            keeper.apply(Body::Limits { release: ReleaseId(0), limits }, Source::Start)?;
            keeper.apply(Body::Verdict { release: ReleaseId(0), ok: true }, Source::Start)?;
        }
        if is_new_run {
            let holdings = vec![(USDT, 10_000 * UNIT)];
            keeper.apply(Body::Balances(Balances { as_of_ns: now_ns, holdings }), Source::Venue)?;
        }
        Ok((keeper, was_torn))
    }

    /// Journal first, then the engine.
    pub fn apply(&mut self, body: Body, source: Source) -> Result<Vec<Output>, JournalFailure> {
        let event = Event { market_ns: self.now_ns, body };
        let cursor = source.cursor();
        let entry = Entry::Event { event, source };
        let number = self.journal.append(&entry, self.now_ns, 1)?;
        let Entry::Event { event, .. } = entry else { unreachable!() };
        let mut out = Outputs::default();
        self.engine.step(&event, &mut out);
        self.journal.outputs(out.digest());
        self.seen.0.push((number, event, out.digest()));
        self.cursor = self.cursor.max(cursor.unwrap_or_default());
        let outputs: Vec<Output> = out.drain().collect();
        for output in &outputs {
            if let Output::Place(approved) = output {
                self.live.push((*approved.order(), 0));
            }
        }
        Ok(outputs)
    }

    pub fn quote(&mut self) -> Result<(), JournalFailure> {
        for (index, ticks) in [(0, 5_000_000), (1, 250_000)] {
            let (instrument, as_of_ns) = (InstrumentId(index), self.now_ns);
            let (bid_ticks, ask_ticks) = (ticks, ticks + 10);
            self.apply(Body::Bbo { instrument, bid_ticks, ask_ticks, as_of_ns }, Source::Venue)?;
        }
        Ok(())
    }

    pub fn signal(&mut self, index: u16, target_lots: i64) -> Result<Vec<Output>, JournalFailure> {
        let entry = EntryId { ms: (self.now_ns / 1_000_000).cast_unsigned(), seq: u64::from(index) + 1 };
        let (instrument, bar_close_ns) = (InstrumentId(index), self.now_ns);
        let signal = Signal { release: ReleaseId(0), instrument, target_lots, bar_close_ns, time_to_live_ns: HOUR_NS };
        self.apply(Body::Signal(signal), Source::Bus(entry))
    }

    pub fn bar(&mut self, targets: [Option<i64>; 2]) -> Result<(), JournalFailure> {
        self.now_ns += HOUR_NS;
        self.quote()?;
        for (index, target) in targets.into_iter().enumerate() {
            if let Some(lots) = target {
                self.signal(index as u16, lots)?;
            }
        }
        let entry = EntryId { ms: (self.now_ns / 1_000_000).cast_unsigned(), seq: 65_535 };
        self.apply(Body::EndOfBar { bar_close_ns: self.now_ns }, Source::Bus(entry))?;
        Ok(())
    }

    /// A report about the oldest order on the way.
    pub fn report(&mut self, emitted: VenueReport) -> Result<(), JournalFailure> {
        let Some((order, executed)) = self.live.first().copied() else { return Ok(()) };
        let lots = match emitted {
            VenueReport::Traded(hundredths) => {
                (order.lots * i64::from(hundredths) / 100).clamp(1, order.lots - executed)
            }
            _ => 0,
        };
        let executed_lots = executed + lots;
        let kind = match emitted {
            VenueReport::Accepted => ReportKind::Accepted { venue_order: order.id.sequence },
            VenueReport::Traded(_) => ReportKind::Trade { fill: self.fill(&order, lots), executed_lots },
            VenueReport::Expired => ReportKind::Expired { executed_lots },
            VenueReport::Unanswered => ReportKind::Unanswered,
            VenueReport::NeverThere => ReportKind::NotFound { conclusive: true },
        };
        self.live[0].1 = executed_lots;
        if matches!(emitted, VenueReport::Expired | VenueReport::NeverThere) || executed_lots == order.lots {
            self.live.remove(0);
        }
        self.apply(Body::Report(Report { order: order.id, kind }), Source::Venue)?;
        Ok(())
    }

    fn fill(&mut self, order: &Order, lots: i64) -> Fill {
        self.trades += 1;
        let rules = run_config().engine_config().unwrap().instruments[usize::from(order.instrument.0)];
        let quote_atoms = rules.notional(order.ticks, lots);
        let (fee_asset, received) = match order.side {
            Side::Buy => (rules.base, rules.base_atoms(lots)),
            Side::Sell => (USDT, quote_atoms),
        };
        let (trade, ticks) = (u64::from(order.id.epoch) * 1_000 + self.trades, order.ticks);
        Fill { trade, ticks, lots, quote_atoms, fee_asset, fee_atoms: fee(received, FEE_RATE) }
    }

    pub fn act(&mut self, act: &Act) -> Result<(), JournalFailure> {
        match act {
            Act::Bar(targets) => self.bar(*targets),
            Act::Report(emitted) => self.report(*emitted),
            Act::Wait(seconds) => {
                self.now_ns += seconds * SECOND_NS;
                self.quote()?;
                self.apply(Body::Timer, Source::Clock).map(drop)
            }
            Act::Command(command) => {
                self.apply(Body::Command(*command), Source::Operator { who: "desk".to_owned() }).map(drop)
            }
            Act::Pass => {
                let entry = EntryId { seq: self.cursor.seq + 1, ..self.cursor };
                self.journal.append(&Entry::Passed(entry), self.now_ns, 1)?;
                self.cursor = entry;
                Ok(())
            }
        }
    }

    /// Everything that the engine is, in words.
    pub fn state(&self) -> String {
        format!("{:?}", self.engine)
    }
}

pub fn slot(slot: u16) -> Entry {
    let digest = RELEASE;
    Entry::Release(SlotTaken { slot, digest, name: "paper.trend@1".to_owned() })
}
