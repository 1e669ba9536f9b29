//! An entry in one line.

use std::collections::HashMap;

use sapphire_core::engine::Body;
use sapphire_core::instrument::InstrumentId;
use sapphire_core::orders::{ClientOrderId, ReleaseId, Report, ReportKind};
use sapphire_core::risk::{Command, LimitSet};
use serde_json::{Value, json};

use crate::entry::{Entry, RunConfig, Source};
use crate::events::ReleaseDigest;
use crate::fold::{Audience, Step};
use crate::journal::reading::Read;
use crate::units::{Units, instant};

/// What the numbers of a run stand for, as far as it has been read.
#[derive(Debug, Default)]
pub(super) struct Names {
    run: Option<RunConfig>,
    releases: Vec<String>,
    orders: HashMap<ClientOrderId, InstrumentId>,
}

impl Names {
    /// Learns the names that an entry brings.
    pub(super) fn learn(&mut self, entry: &Entry) {
        match entry {
            Entry::Begin(begin) => *self = Self { run: Some(begin.run.clone()), ..Self::default() },
            Entry::Release(slot) => self.releases.push(format!("{} {}", slot.name, short(&slot.digest.to_string()))),
            _ => {}
        }
    }

    fn release(&self, release: ReleaseId) -> &str {
        self.releases.get(usize::from(release.0)).map_or("a release without evidence", String::as_str)
    }

    fn instrument(&self, order: ClientOrderId) -> Option<InstrumentId> {
        self.orders.get(&order).copied()
    }
}

/// Orders are made by steps, and no entry names them: the fold shows of which instrument each is.
impl Audience for Names {
    fn after(&mut self, step: &Step<'_>) {
        self.orders.extend(step.engine.live_orders().map(|tracked| (tracked.order.id, tracked.order.instrument)));
    }
}

fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

/// For people: where it stands, when it was, what it holds.
pub(super) fn line(read: &Read<'_>, step: u64, names: &Names) -> String {
    let at = format!("{}/{:<3} {:>8}", read.file.epoch, read.file.number, read.record);
    let (kind, detail) = (kind(&read.entry), detail(&read.entry, names));
    let number = if matches!(read.entry, Entry::Event { .. }) { step.to_string() } else { String::new() };
    format!("{at} {number:>8} {:>19} {:<12} {kind:<12} {detail}", read.market_ns, source(&read.entry))
}

/// For programs.
pub(super) fn row(read: &Read<'_>, step: u64, names: &Names) -> Value {
    let is_event = matches!(read.entry, Entry::Event { .. });
    json!({
        "epoch": read.file.epoch,
        "segment": read.file.number,
        "record": read.record,
        "step": is_event.then(|| step.to_string()),
        "market_ns": read.market_ns.to_string(),
        "monotonic_ns": read.monotonic_ns.to_string(),
        "source": source(&read.entry),
        "kind": kind(&read.entry),
        "detail": detail(&read.entry, names),
        "outputs_before": read.outputs.map(|digest| blake3::Hash::from_bytes(digest).to_string()),
    })
}

fn kind(entry: &Entry) -> &'static str {
    match entry {
        Entry::Begin(_) => "begin",
        Entry::Resume(_) => "resume",
        Entry::Continue(_) => "continue",
        Entry::Release(_) => "release",
        Entry::Passed(_) => "passed",
        Entry::Event { event, .. } => match &event.body {
            Body::Epoch { .. } => "epoch",
            Body::Verdict { .. } => "verdict",
            Body::Limits { .. } => "limits",
            Body::Signal(_) => "signal",
            Body::EndOfBar { .. } => "end_of_bar",
            Body::Bbo { .. } => "reference",
            Body::Report(_) => "report",
            Body::Balances(_) => "balances",
            Body::Timer => "timer",
            Body::Command(_) => "command",
        },
    }
}

fn source(entry: &Entry) -> String {
    let Entry::Event { source, .. } = entry else { return "journal".into() };
    match source {
        Source::Bus(entry) | Source::Unlisted { entry, .. } => format!("bus {entry}"),
        Source::Venue => "venue".into(),
        Source::Clock => "clock".into(),
        Source::Operator { who } => format!("operator {who}"),
        Source::Step(number) => format!("step {number}"),
        Source::Start => "start".into(),
        Source::Guard { why } => format!("guard {why}"),
    }
}

/// What is traded from a start on, where it says so.
fn release(release: Option<&ReleaseDigest>) -> String {
    release.map(|release| format!(", trades release {release}")).unwrap_or_default()
}

fn detail(entry: &Entry, names: &Names) -> String {
    match entry {
        Entry::Begin(begin) => {
            let symbols: Vec<&str> = begin.run.instruments.iter().map(|listing| listing.symbol.as_str()).collect();
            let traded = release(begin.release.as_ref());
            format!("account {} on {}, {}{traded}", begin.run.account, symbols.join(" "), begin.run.engine)
        }
        Entry::Resume(resume) => format!("after {} steps{}", resume.steps, release(resume.release.as_ref())),
        Entry::Continue(follows) => format!("after {} records of segment {}", follows.records, follows.segment),
        Entry::Release(slot) => format!("{} takes slot {}: {}", slot.name, slot.slot, slot.digest),
        Entry::Passed(entry) => format!("entry {entry} of the bus is no signal"),
        Entry::Event { event, .. } => match &names.run {
            Some(run) => describe_event(&event.body, Units(run), names),
            None => format!("{:?}", event.body),
        },
    }
}

/// An event in a line.
fn describe_event(body: &Body, units: Units<'_>, names: &Names) -> String {
    match body {
        Body::Epoch { epoch } => format!("the process starts anew, epoch {epoch}"),
        Body::Verdict { release, ok: true } => format!("the evidence of {} verifies", names.release(*release)),
        Body::Verdict { release, ok: false } => format!("the evidence of {} does not verify", names.release(*release)),
        Body::Limits { release, limits } => {
            format!("limits of {}: {}", names.release(*release), limit_set(limits, units))
        }
        Body::Signal(signal) => format!(
            "{}: hold {} by {} until {}",
            units.symbol(signal.instrument),
            units.quantity(signal.instrument, signal.target_lots),
            names.release(signal.release),
            instant(signal.bar_close_ns.saturating_add(signal.time_to_live_ns)),
        ),
        Body::EndOfBar { bar_close_ns } => format!("all signals of the bar that closed at {}", instant(*bar_close_ns)),
        Body::Bbo { instrument, bid_ticks, ask_ticks, as_of_ns } => format!(
            "{}: {} bid, {} asked, as of {}",
            units.symbol(*instrument),
            units.price(*instrument, *bid_ticks),
            units.price(*instrument, *ask_ticks),
            instant(*as_of_ns),
        ),
        Body::Report(report) => {
            format!("order {}: {}", report.order, describe_report(&report.kind, report, units, names))
        }
        Body::Balances(balances) => {
            let held = balances.holdings.iter().map(|(asset, atoms)| units.amount(*asset, *atoms));
            format!("the venue holds {} as of {}", held.collect::<Vec<_>>().join(", "), instant(balances.as_of_ns))
        }
        Body::Timer => "the time has come that the engine asked for".to_owned(),
        Body::Command(Command::Halt) => "halt: cancel what is on the way, send nothing".to_owned(),
        Body::Command(Command::Reduce) => "reduce: positions only get smaller".to_owned(),
        Body::Command(Command::Resume) => "resume: trade again".to_owned(),
        Body::Command(Command::Flatten) => "flatten: sell everything, take nothing until resumed".to_owned(),
        Body::Command(Command::Close(instrument)) => {
            format!("close {}: sell all of it, take none until resumed", units.symbol(*instrument))
        }
    }
}

/// A report about an order in a line.
fn describe_report(kind: &ReportKind, report: &Report, units: Units<'_>, names: &Names) -> String {
    let instrument = names.instrument(report.order);
    let lots = |lots: i64| match instrument {
        Some(instrument) => units.quantity(instrument, lots),
        None => format!("{lots} lots"),
    };
    match kind {
        ReportKind::Accepted { venue_order } => format!("accepted as the venue's {venue_order}"),
        ReportKind::Rejected { venue_code: 0 } => "not sent: it cannot be said to the venue".to_owned(),
        ReportKind::Rejected { venue_code } => format!("rejected by the venue, code {venue_code}"),
        ReportKind::Trade { fill, executed_lots } => {
            let price = instrument.map_or_else(|| format!("{} ticks", fill.ticks), |of| units.price(of, fill.ticks));
            format!(
                "traded {} at {price}, fee {}, trade {}, {} so far",
                lots(fill.lots),
                units.amount(fill.fee_asset, fill.fee_atoms),
                fill.trade,
                lots(*executed_lots),
            )
        }
        ReportKind::Canceled { executed_lots } => format!("cancelled, {} traded", lots(*executed_lots)),
        ReportKind::Expired { executed_lots } => format!("expired, {} traded", lots(*executed_lots)),
        ReportKind::CancelRejected { venue_code } => format!("its cancel was rejected, code {venue_code}"),
        ReportKind::NotFound { conclusive: true } => "never reached the venue".to_owned(),
        ReportKind::NotFound { conclusive: false } => "not found at the venue yet".to_owned(),
        ReportKind::Unanswered => "no answer came".to_owned(),
    }
}

/// The limits that are set.
fn limit_set(limits: &LimitSet, units: Units<'_>) -> String {
    let worth = [
        ("order", limits.max_order_atoms),
        ("exposure", limits.max_exposure_atoms),
        ("open orders", limits.max_open_atoms),
    ];
    let worth = worth.into_iter().filter_map(|(name, atoms)| Some(format!("{name} {}", units.quote(atoms?))));
    let rates = [("second", limits.max_orders_per_second), ("minute", limits.max_orders_per_minute)];
    let rates = rates.into_iter().filter_map(|(name, rate)| Some(format!("{} orders a {name}", rate?)));
    let set: Vec<String> = worth.chain(rates).collect();
    if set.is_empty() { "none of its own".to_owned() } else { set.join(", ") }
}
