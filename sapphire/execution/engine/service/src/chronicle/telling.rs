//! An entry in one line.

use sapphire_core::engine::Body;
use serde_json::{Value, json};

use crate::entry::{Entry, Source};
use crate::journal::reading::Read;

/// For people: where it stands, when it was, what it says.
pub(super) fn line(read: &Read<'_>, step: u64) -> String {
    let at = format!("{}/{:<3} {:>8}", read.file.epoch, read.file.number, read.record);
    let (kind, detail) = (kind(&read.entry), detail(&read.entry));
    let number = if matches!(read.entry, Entry::Event { .. }) { step.to_string() } else { String::new() };
    format!("{at} {number:>8} {:>19} {:<12} {kind:<12} {detail}", read.market_ns, source(&read.entry))
}

/// For programs.
pub(super) fn row(read: &Read<'_>, step: u64) -> Value {
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
        "detail": detail(&read.entry),
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
            Body::Reference { .. } => "reference",
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

fn detail(entry: &Entry) -> String {
    match entry {
        Entry::Begin(begin) => {
            let symbols: Vec<&str> = begin.run.instruments.iter().map(|listing| listing.symbol.as_str()).collect();
            format!("account {} on {}, {}", begin.run.account, symbols.join(" "), begin.run.engine)
        }
        Entry::Resume(resume) => format!("after {} steps", resume.steps),
        Entry::Continue(follows) => format!("after {} records of segment {}", follows.records, follows.segment),
        Entry::Release(slot) => format!("slot {} {} {}", slot.slot, slot.digest, slot.name),
        Entry::Passed(entry) => entry.to_string(),
        Entry::Event { event, .. } => format!("{:?}", event.body),
    }
}
