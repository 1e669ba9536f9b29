//! A journal as JSON lines: one object for each thing that happened, in order.
//!
//! Invariant: everything in a row follows from the fold; money and 64-bit numbers are text. A fill is a trade that was
//! counted, a report is whatever came, counted or not.

use std::io::{self, Write};

use sapphire_core::amounts::Atoms;
use sapphire_core::engine::{Body, Engine, Event, Output, Signal, SignalId};
use sapphire_core::orders::{Order, OrderState, ReleaseId, Report, ReportKind};
use sapphire_core::risk::{Cause, Command, Denial};
use serde_json::{Map, Value, json};

use super::fields::{holdings, money_as_text, side, time_in_force};
use super::walk::Listener;
use super::window::{Place, Waiting, Window};
use crate::entry::{Begin, SlotTaken, Source};
use crate::events::ReleaseDigest;
use crate::fold::{Audience, Fold, Step};
use crate::latched::command_text;
use crate::units::Units;

/// Writes rows.
pub(super) struct Rows<'a> {
    out: &'a mut dyn Write,
    failure: Option<io::Error>,
    /// Lots traded of the reported order before the report.
    filled_before: i64,
    /// What the account held before the event.
    held: Held,
    /// Close of the last bar whose end was given.
    ended_bar_ns: i64,
    /// Close of the first bar whose end was given.
    first_bar_ns: Option<i64>,
    /// What is asked for; everything where nothing is.
    window: Option<Window>,
    waiting: Waiting,
    /// The run has sent an order.
    has_orders: bool,
    /// Market time of the last event.
    now_ns: i64,
}

/// Cash and positions.
#[derive(Default)]
struct Held {
    cash_atoms: Atoms,
    /// Atoms by instrument.
    atoms: Vec<Atoms>,
}

impl<'a> Rows<'a> {
    pub(super) fn new(window: Option<Window>, out: &'a mut dyn Write) -> Self {
        Self {
            out,
            failure: None,
            filled_before: 0,
            held: Held::default(),
            ended_bar_ns: i64::MIN,
            first_bar_ns: None,
            window,
            waiting: Waiting::default(),
            has_orders: false,
            now_ns: i64::MIN,
        }
    }

    /// A row of the event that is emitted now.
    fn write(&mut self, kind: &str, mut row: Value) {
        if let Some(fields) = row.as_object_mut() {
            fields.insert("kind".into(), kind.into());
        }
        match self.place(kind) {
            Place::Kept => self.put(&row),
            place => self.waiting.keep(place, row),
        }
    }

    fn put(&mut self, row: &Value) {
        if self.failure.is_none() {
            self.failure = writeln!(self.out, "{row}").err();
        }
    }

    /// Where a row of this kind belongs that is written now.
    fn place(&self, kind: &str) -> Place {
        let Some(window) = self.window else { return Place::Kept };
        let place = match kind {
            "run" | "end" => return Place::Kept,
            "state" | "end_of_bar" if window.has_close(self.ended_bar_ns) => return Place::Kept,
            "state" | "end_of_bar" if self.ended_bar_ns < window.begin_ns => Place::Early,
            "state" | "end_of_bar" => Place::Late,
            _ => window.place(self.now_ns),
        };
        // What the account began with, and under what, is part of every day.
        let is_kept = kind == "epoch" || kind == "release" || (kind == "adjusted" && !self.has_orders);
        if place == Place::Early && is_kept { Place::Kept } else { place }
    }

    /// Whether nothing of this event is asked for.
    fn passes_over(&self, step: &Step<'_>) -> bool {
        let Some(window) = self.window else { return false };
        let place = window.place(self.now_ns);
        let is_kept = matches!(step.event.body, Body::Epoch { .. } | Body::EndOfBar { .. }) || !self.has_orders;
        self.waiting.drops(place) && !is_kept
    }

    /// What the event itself says.
    fn emit(&mut self, step: &Step<'_>) {
        match &step.event.body {
            Body::Epoch { epoch } => self.write("epoch", stamped(step, json!({ "epoch": epoch }))),
            Body::Verdict { release, ok } => {
                self.write("verdict", stamped(step, json!({ "release": release_of(step, *release), "ok": ok })));
            }
            Body::Signal(signal) => self.write("signal", stamped(step, signal_row(step, signal))),
            Body::EndOfBar { bar_close_ns } => self.bar(step, *bar_close_ns),
            Body::Report(report) => self.report(step, report),
            Body::Limits { .. } | Body::Bbo { .. } | Body::Balances(_) | Body::Timer | Body::Command(_) => {}
        }
    }

    /// A bar's end, once, with what was held when it came.
    fn bar(&mut self, step: &Step<'_>, bar_close_ns: i64) {
        if bar_close_ns <= self.ended_bar_ns {
            return;
        }
        self.ended_bar_ns = bar_close_ns;
        self.first_bar_ns.get_or_insert(bar_close_ns);
        if let Some(window) = self.window {
            for row in self.waiting.closed(window, bar_close_ns) {
                self.put(&row);
            }
        }
        let held = self.held.atoms.iter().zip(&step.run.instruments);
        let positions: Map<String, Value> = held
            .map(|(atoms, listing)| {
                let lots = atoms / Atoms::from(listing.lot_atoms.max(1));
                (listing.symbol.clone(), json!({ "atoms": atoms.to_string(), "lots": lots.to_string() }))
            })
            .collect();
        let state = json!({
            "bar_close_ns": bar_close_ns.to_string(),
            "cash_quote_atoms": self.held.cash_atoms.to_string(),
            "positions": positions,
        });
        self.write("state", stamped(step, state));
        self.write("end_of_bar", stamped(step, json!({ "bar_close_ns": bar_close_ns.to_string() })));
    }

    fn report(&mut self, step: &Step<'_>, report: &Report) {
        let tracked = step.engine.orders().get(report.order);
        let mut row = report_row(&report.kind);
        row.insert("order".into(), report.order.to_string().into());
        row.insert("state".into(), tracked.map(|tracked| tracked.state).map(OrderState::text).into());
        let is_unmatched = step.outputs.iter().any(|output| matches!(output, Output::Unmatched { .. }));
        row.insert("odd".into(), is_unmatched.into());
        self.write("report", stamped(step, row.into()));
        let (ReportKind::Trade { fill, .. }, Some(tracked)) = (report.kind, tracked) else { return };
        if tracked.filled_lots == self.filled_before {
            return;
        }
        let row = json!({
            "order": report.order.to_string(),
            "symbol": step.run.symbol(tracked.order.instrument),
            "side": side(tracked.order.side),
            "trade": fill.trade.to_string(),
            "ticks": fill.ticks.to_string(),
            "lots": fill.lots.to_string(),
            "quote_atoms": fill.quote_atoms.to_string(),
            "fee_asset": step.run.asset_name(fill.fee_asset),
            "fee_atoms": fill.fee_atoms.to_string(),
        });
        self.write("fill", stamped(step, row));
    }

    /// What followed from it.
    fn decided(&mut self, step: &Step<'_>) {
        for output in step.outputs {
            match output {
                Output::Place(approved) => self.write("order", stamped(step, order_row(step, approved.order()))),
                Output::Denied { order, denial } => {
                    self.write("denied", stamped(step, denied_row(step, order, denial)));
                }
                Output::TargetReached { signal, held_lots } => {
                    let row = json!({ "outcome": "REACHED", "held_lots": held_lots.to_string() });
                    self.write("target", stamped(step, target_row(step, signal, row)));
                }
                Output::TargetExpired { signal, remaining_lots, cause } => {
                    let lots = remaining_lots.to_string();
                    let row = json!({ "outcome": "EXPIRED", "remaining_lots": lots, "cause": cause.text() });
                    self.write("target", stamped(step, target_row(step, signal, row)));
                }
                Output::Trading { state, cause } => {
                    let by = match step.source {
                        Source::Operator { who: by } | Source::Guard { why: by } => Some(by),
                        _ => None,
                    };
                    let command = match &step.event.body {
                        Body::Command(command) if *cause == Cause::Command => Some(*command),
                        _ => None,
                    };
                    let symbol = match command {
                        Some(Command::Close(instrument)) => step.run.symbol(instrument),
                        _ => None,
                    };
                    let row = json!({
                        "state": state.text(), "cause": cause.text(), "by": by, "command": command.map(command_text),
                        "symbol": symbol,
                    });
                    self.write("trading", stamped(step, row));
                }
                Output::Adjusted { asset, atoms } => {
                    let row = json!({ "asset": step.run.asset_name(*asset), "atoms": atoms.to_string() });
                    self.write("adjusted", stamped(step, row));
                }
                Output::NotHoldable { asset, atoms } => {
                    let row = json!({ "asset": step.run.asset_name(*asset), "atoms": atoms.to_string() });
                    self.write("not_holdable", stamped(step, row));
                }
                // A refusal stands in the row of its signal, an odd report in that of the report; the rest changes
                // nothing that is held or traded.
                Output::SignalRefused { .. }
                | Output::Unmatched { .. }
                | Output::Cancel { .. }
                | Output::Query { .. }
                | Output::BalancesSkipped { .. }
                | Output::Overfilled { .. }
                | Output::WakeAt(_) => {}
            }
        }
    }
}

impl Audience for Rows<'_> {
    fn before(&mut self, engine: &Engine, event: &Event) {
        match &event.body {
            Body::Report(report) => {
                self.filled_before = engine.orders().get(report.order).map_or(0, |tracked| tracked.filled_lots);
            }
            Body::EndOfBar { .. } => {
                let ledger = engine.ledger();
                let atoms = ledger.positions().iter().map(|position| position.atoms).collect();
                self.held = Held { cash_atoms: ledger.cash_atoms(), atoms };
            }
            _ => {}
        }
    }

    fn after(&mut self, step: &Step<'_>) {
        self.now_ns = step.engine.now_ns();
        if !self.passes_over(step) {
            self.emit(step);
            self.decided(step);
        }
        self.has_orders |= step.outputs.iter().any(|output| matches!(output, Output::Place(_)));
    }
}

impl Listener for Rows<'_> {
    fn begin(&mut self, begin: &Begin) {
        self.ended_bar_ns = i64::MIN;
        (self.first_bar_ns, self.has_orders, self.now_ns) = (None, false, i64::MIN);
        self.waiting = Waiting::default();
        let config = serde_json::to_value(&begin.run).map(money_as_text).unwrap_or_default();
        self.write("run", json!({ "config": config, "wall_ns": begin.wall_ns.to_string() }));
    }

    fn start(&mut self, epoch: u32, release: Option<ReleaseDigest>, wall_ns: i64) {
        self.write("start", json!({ "epoch": epoch, "release": release, "wall_ns": wall_ns.to_string() }));
    }

    fn seat(&mut self, slot: &SlotTaken) {
        self.write("release", json!({ "slot": slot.slot, "digest": slot.digest, "name": slot.name }));
    }

    fn end(&mut self, fold: &Fold) {
        for row in self.waiting.end() {
            self.put(&row);
        }
        let digest = blake3::Hash::from_bytes(fold.digest()).to_string();
        let last = self.first_bar_ns.map(|_| self.ended_bar_ns.to_string());
        let row = json!({
            "steps": fold.steps().to_string(),
            "digest": digest,
            "first_bar_close_ns": self.first_bar_ns.map(|close_ns| close_ns.to_string()),
            "last_bar_close_ns": last,
            "holdings": holdings(fold),
        });
        self.write("end", row);
    }

    fn failure(&mut self) -> Option<io::Error> {
        self.failure.take()
    }
}

/// The row with its step and market time.
fn stamped(step: &Step<'_>, mut row: Value) -> Value {
    if let Some(fields) = row.as_object_mut() {
        fields.insert("step".into(), step.number.to_string().into());
        fields.insert("market_ns".into(), step.engine.now_ns().to_string().into());
    }
    row
}

fn signal_row(step: &Step<'_>, signal: &Signal) -> Value {
    let refused = step.outputs.iter().find_map(|output| match output {
        Output::SignalRefused { reason, .. } => Some(reason.text()),
        _ => None,
    });
    let (entry, unlisted) = match step.source {
        Source::Bus(entry) => (Some(entry), None),
        Source::Unlisted { entry, symbol } => (Some(entry), Some(symbol.as_str())),
        _ => (None, None),
    };
    json!({
        "entry": entry,
        "release": release_of(step, signal.release),
        "symbol": unlisted.or_else(|| step.run.symbol(signal.instrument)),
        "target_lots": signal.target_lots.to_string(),
        "bar_close_ns": signal.bar_close_ns.to_string(),
        "time_to_live_ns": signal.time_to_live_ns.to_string(),
        "refused": refused,
    })
}

fn order_row(step: &Step<'_>, order: &Order) -> Value {
    json!({
        "order": order.id.to_string(),
        "release": release_of(step, order.release),
        "symbol": step.run.symbol(order.instrument),
        "side": side(order.side),
        "ticks": order.ticks.to_string(),
        "lots": order.lots.to_string(),
        "time_in_force": time_in_force(order.time_in_force),
        "bar_close_ns": order.bar_close_ns.to_string(),
    })
}

fn denied_row(step: &Step<'_>, order: &Order, denial: &Denial) -> Value {
    let mut row = order_row(step, order);
    let reason = [
        ("code", denial.code.text().into()),
        ("level", denial.level.text().into()),
        ("value", denial.value.to_string().into()),
        ("limit", denial.limit.to_string().into()),
        ("text", Units(step.run).denial(order, denial).into()),
    ];
    if let Some(fields) = row.as_object_mut() {
        fields.extend(reason.map(|(key, value): (&str, Value)| (key.to_owned(), value)));
    }
    row
}

/// `held_lots` and `cause` or `remaining_lots` are null where they do not apply.
fn target_row(step: &Step<'_>, signal: &SignalId, outcome: Value) -> Value {
    let mut row = json!({
        "release": release_of(step, signal.release),
        "symbol": step.run.symbol(signal.instrument),
        "bar_close_ns": signal.bar_close_ns.to_string(),
        "held_lots": null,
        "remaining_lots": null,
        "cause": null,
    });
    if let (Some(fields), Value::Object(outcome)) = (row.as_object_mut(), outcome) {
        fields.extend(outcome);
    }
    row
}

/// What a report says; what it does not say is null.
fn report_row(kind: &ReportKind) -> Map<String, Value> {
    let venue_order = match kind {
        ReportKind::Accepted { venue_order } => Some(venue_order.to_string()),
        _ => None,
    };
    let (text, executed_lots, venue_code, conclusive) = match kind {
        ReportKind::Accepted { .. } => ("ACCEPTED", None, None, None),
        ReportKind::Rejected { venue_code } => ("REJECTED", None, Some(venue_code), None),
        ReportKind::Trade { executed_lots, .. } => ("TRADE", Some(executed_lots), None, None),
        ReportKind::Canceled { executed_lots } => ("CANCELED", Some(executed_lots), None, None),
        ReportKind::Expired { executed_lots } => ("EXPIRED", Some(executed_lots), None, None),
        ReportKind::CancelRejected { venue_code } => ("CANCEL_REJECTED", None, Some(venue_code), None),
        ReportKind::NotFound { conclusive } => ("NOT_FOUND", None, None, Some(conclusive)),
        ReportKind::Unanswered => ("UNANSWERED", None, None, None),
    };
    let fields: [(&str, Value); 5] = [
        ("report", text.into()),
        ("venue_order", venue_order.into()),
        ("executed_lots", executed_lots.map(i64::to_string).into()),
        ("venue_code", venue_code.copied().into()),
        ("conclusive", conclusive.copied().into()),
    ];
    fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn release_of(step: &Step<'_>, release: ReleaseId) -> Option<String> {
    step.releases.get(usize::from(release.0)).map(|known| known.digest.to_string())
}
