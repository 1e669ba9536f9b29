//! What the service counts and measures, as Prometheus reads it.
//!
//! Invariant: a counter only rises, and nothing here makes the trader loop wait: it stores numbers, other threads read
//! them.

use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use hdrhistogram::Histogram;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use sapphire_core::engine::Refusal;
use sapphire_core::risk::{DenialCode, TradingState};

use crate::latency_trace::STAGES;

/// Upper ends of the exported buckets, nanoseconds.
const BUCKETS_NS: [u64; 16] = [
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    100_000_000,
    1_000_000_000,
    10_000_000_000,
];

/// Longest span that a histogram tells from a longer one: ten minutes.
const LONGEST_NS: u64 = 600_000_000_000;

const NS_PER_SECOND: f64 = 1e9;

/// What the text is served as.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A counter or gauge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// Orders sent.
    Orders,
    /// Trades booked.
    Fills,
    /// Cancels sent.
    Cancels,
    /// Questions asked about orders.
    Queries,
    /// Orders that the way to the venue did not take.
    NotSent,
    /// Signals that came.
    Signals,
    /// Entries that were no messages.
    DeadLetters,
    /// Connections to the venue, the first included.
    Connections,
    /// Reconciliation rounds completed.
    Reconciliations,
    /// Open orders at the venue that nobody knew.
    Orphans,
    /// Balances that a snapshot changed.
    Adjustments,
    /// Reports that fit no order.
    UnmatchedReports,
    /// Hop records that found their queue full.
    TracesLost,
    /// Messages that were published.
    Published,
    /// Messages that the bus has another form of.
    PublishConflicts,
    /// Records written to the journal.
    JournalWritten,
    /// Records synced to the disk.
    JournalSynced,
    /// 0 flowing, 1 lagging, 2 only the reserve is left, 3 closed.
    JournalState,
    /// 0 active, 1 reducing, 2 halted.
    TradingState,
    /// The connection to the venue stands.
    Connected,
    /// It takes signals.
    Ready,
    /// Epoch of the process.
    Epoch,
    /// Events so far in this run.
    Step,
    /// Market time.
    MarketTime,
    /// Events that wait for the trader loop, from the bus.
    IntakeDepth,
    /// Events that wait for the trader loop, from the venue.
    VenueDepth,
    /// Facts that wait to become messages.
    EventPublisherDepth,
}

/// All figures: the name, whether it only rises, and what it says.
const FIGURES: [(Figure, &str, bool, &str); 27] = [
    (Figure::Orders, "orders_total", true, "Orders sent"),
    (Figure::Fills, "fills_total", true, "Trades booked"),
    (Figure::Cancels, "cancels_total", true, "Cancels sent"),
    (Figure::Queries, "queries_total", true, "Questions asked about orders"),
    (Figure::NotSent, "not_sent_total", true, "Orders that the way to the venue did not take"),
    (Figure::Signals, "signals_total", true, "Signals that came"),
    (Figure::DeadLetters, "dead_letters_total", true, "Entries of the bus that were refused unread"),
    (Figure::Connections, "connections_total", true, "Connections to the venue, the first included"),
    (Figure::Reconciliations, "reconciliations_total", true, "Reconciliation rounds completed"),
    (Figure::Orphans, "orphans_total", true, "Open orders at the venue that nobody knew, taken out"),
    (Figure::Adjustments, "adjustments_total", true, "Balances that a snapshot of the venue changed"),
    (Figure::UnmatchedReports, "odd_reports_total", true, "Reports that fit no order"),
    (Figure::TracesLost, "hops_lost_total", true, "Latency traces that found their queue full"),
    (Figure::Published, "published_total", true, "Messages handed to the bus"),
    (Figure::PublishConflicts, "publish_conflicts_total", true, "Messages of which the bus has another form"),
    (Figure::JournalWritten, "journal_written", false, "Last record written to the journal"),
    (Figure::JournalSynced, "journal_synced", false, "Last record synced to the disk"),
    (Figure::JournalState, "journal_state", false, "0 flowing, 1 lagging, 2 only the reserve is left, 3 closed"),
    (Figure::TradingState, "trading_state", false, "0 active, 1 reducing, 2 halted"),
    (Figure::Connected, "connected", false, "1 while the connection to the venue stands"),
    (Figure::Ready, "ready", false, "1 while signals are taken"),
    (Figure::Epoch, "epoch", false, "Epoch of the process"),
    (Figure::Step, "step", false, "Events applied in this run"),
    (Figure::MarketTime, "market_time_ns", false, "Market time, UTC nanoseconds"),
    (Figure::IntakeDepth, "queue_intake", false, "Events from the bus that wait for the trader loop"),
    (Figure::VenueDepth, "queue_venue", false, "Events from the venue that wait for the trader loop"),
    (Figure::EventPublisherDepth, "queue_herald", false, "Facts that wait to become messages"),
];

#[derive(Debug)]
struct Span {
    histogram: Histogram<u64>,
    sum_ns: u128,
}

/// Every number of the service.
#[derive(Debug)]
pub struct Metrics {
    figures: [AtomicI64; FIGURES.len()],
    denials: [AtomicU64; DenialCode::ALL.len()],
    refusals: [AtomicU64; Refusal::ALL.len()],
    spans: Mutex<Vec<Span>>,
    identity: Vec<(&'static str, String)>,
}

impl Metrics {
    /// All zero, each to be shown with what the service is: names and values, such as its account.
    #[must_use]
    pub fn new(identity: &[(&'static str, &str)]) -> Self {
        let bounds: Histogram<u64> =
            Histogram::new_with_bounds(1, LONGEST_NS, 3).unwrap_or_else(|_| unreachable!("the bounds are sound"));
        let span = || Span { histogram: bounds.clone(), sum_ns: 0 };
        Self {
            figures: std::array::from_fn(|_| AtomicI64::new(0)),
            denials: std::array::from_fn(|_| AtomicU64::new(0)),
            refusals: std::array::from_fn(|_| AtomicU64::new(0)),
            spans: Mutex::new(STAGES.iter().map(|_| span()).collect()),
            identity: identity.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(),
        }
    }

    /// Adds to a counter.
    pub fn add(&self, figure: Figure, count: i64) {
        self.figures[figure as usize].fetch_add(count, Ordering::Relaxed);
    }

    /// Sets a gauge.
    pub fn set(&self, figure: Figure, value: i64) {
        self.figures[figure as usize].store(value, Ordering::Relaxed);
    }

    /// A figure as it stands.
    pub fn get(&self, figure: Figure) -> i64 {
        self.figures[figure as usize].load(Ordering::Relaxed)
    }

    /// Counts a denial.
    pub fn denied(&self, code: DenialCode) {
        if let Some(place) = DenialCode::ALL.iter().position(|known| *known == code) {
            self.denials[place].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts a refused signal.
    pub fn refused(&self, reason: Refusal) {
        if let Some(place) = Refusal::ALL.iter().position(|known| *known == reason) {
            self.refusals[place].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Notes what passes.
    pub fn trading(&self, state: TradingState) {
        self.set(Figure::TradingState, state as i64);
    }

    /// Takes in the spans of an order, in the order of [`STAGES`].
    pub fn latency_trace(&self, spans: &[Option<u64>; STAGES.len()]) {
        let mut known = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        for (span, nanoseconds) in known.iter_mut().zip(spans) {
            if let Some(nanoseconds) = *nanoseconds {
                span.histogram.saturating_record(nanoseconds.clamp(1, LONGEST_NS));
                span.sum_ns += u128::from(nanoseconds);
            }
        }
    }

    /// Count, and nanoseconds at each of `quantiles`, of a stage by its place in [`STAGES`].
    pub fn quantiles(&self, stage: usize, quantiles: &[f64]) -> (u64, Vec<u64>) {
        let known = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(span) = known.get(stage) else { return (0, Vec::new()) };
        (span.histogram.len(), quantiles.iter().map(|quantile| span.histogram.value_at_quantile(*quantile)).collect())
    }

    /// The text of the whole.
    ///
    /// # Errors
    /// None that is known: writing to a string does not fail.
    pub fn render(&self) -> Result<String, fmt::Error> {
        let labels = self.identity.iter().map(|(name, value)| ((*name).into(), value.clone().into()));
        let mut registry = Registry::with_prefix_and_labels("sapphire", labels);
        for (figure, name, rises, help) in FIGURES {
            let value = self.get(figure);
            if rises {
                registry.register(counted(name), help, ConstCounter::new(value.cast_unsigned()));
            } else {
                registry.register(name, help, ConstGauge::new(value));
            }
        }
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let denials = DenialCode::ALL.iter().map(|code| code.text()).zip(self.denials.iter().map(count)).collect();
        registry.register("denials", "Orders that the gate refused, by code", Counts { label: "code", rows: denials });
        let refusals = Refusal::ALL.iter().map(|reason| reason.text()).zip(self.refusals.iter().map(count)).collect();
        registry.register(
            "refusals",
            "Signals that were refused, by reason",
            Counts { label: "reason", rows: refusals },
        );
        registry.register("hop_seconds", "Time that orders took from stage to stage", self.stage_spans());
        let mut text = String::with_capacity(16_384);
        encode(&mut text, &registry)?;
        Ok(text)
    }

    fn stage_spans(&self) -> StageSpans {
        let known = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        let ends = BUCKETS_NS.into_iter().chain([u64::MAX]);
        let rows = known.iter().map(|span| {
            let mut below = 0;
            let buckets = ends.clone().map(|end_ns| {
                let is_last = end_ns == u64::MAX;
                let upto = if is_last { span.histogram.len() } else { span.histogram.count_between(0, end_ns) };
                let within = upto - below;
                below = upto;
                (if is_last { f64::INFINITY } else { end_ns as f64 / NS_PER_SECOND }, within)
            });
            let (sum, count) = (span.sum_ns as f64 / NS_PER_SECOND, span.histogram.len());
            StageSpan { sum, count, buckets: buckets.collect() }
        });
        StageSpans(rows.collect())
    }
}

/// A counter for each of several labels.
#[derive(Debug)]
struct Counts {
    label: &'static str,
    rows: Vec<(&'static str, u64)>,
}

impl EncodeMetric for Counts {
    fn encode(&self, mut encoder: MetricEncoder) -> Result<(), fmt::Error> {
        for (name, count) in &self.rows {
            encoder.encode_family(&[(self.label, *name)])?.encode_counter::<NoLabelSet, _, u64>(count, None)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Counter
    }
}

/// Each stage, in the order of [`STAGES`].
#[derive(Debug)]
struct StageSpans(Vec<StageSpan>);

/// Seconds and counts of one stage: in all, and by the ends of buckets.
#[derive(Debug)]
struct StageSpan {
    sum: f64,
    count: u64,
    buckets: Vec<(f64, u64)>,
}

impl EncodeMetric for StageSpans {
    fn encode(&self, mut encoder: MetricEncoder) -> Result<(), fmt::Error> {
        for (stage, StageSpan { sum, count, buckets }) in STAGES.iter().zip(&self.0) {
            encoder.encode_family(&[("hop", *stage)])?.encode_histogram::<NoLabelSet>(*sum, *count, buckets, None)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

/// A counter's name without the ending that every counter gets.
fn counted(name: &str) -> &str {
    name.strip_suffix("_total").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_stands_in_its_own_place() {
        for (place, (figure, ..)) in FIGURES.iter().enumerate() {
            assert_eq!(*figure as usize, place);
        }
    }

    #[test]
    fn buckets_are_cumulative_and_codes_are_counted() {
        let metrics = Metrics::new(&[]);
        let mut spans = [None; STAGES.len()];
        for nanoseconds in [900, 20_000, 40_000, 20_000_000_000] {
            spans[7] = Some(nanoseconds);
            metrics.latency_trace(&spans);
        }
        metrics.denied(DenialCode::Collar);
        metrics.refused(Refusal::Late);
        metrics.add(Figure::Orders, 4);
        let text = metrics.render().unwrap();
        for expected in [
            "sapphire_orders_total 4",
            "sapphire_denials_total{code=\"COLLAR\"} 1",
            "sapphire_refusals_total{reason=\"LATE\"} 1",
            "sapphire_hop_seconds_bucket{le=\"0.000001\",hop=\"signal_to_wire\"} 1",
            "sapphire_hop_seconds_bucket{le=\"0.00005\",hop=\"signal_to_wire\"} 3",
            "sapphire_hop_seconds_bucket{le=\"10.0\",hop=\"signal_to_wire\"} 3",
            "sapphire_hop_seconds_bucket{le=\"+Inf\",hop=\"signal_to_wire\"} 4",
        ] {
            assert!(text.lines().any(|line| line == expected), "{expected}\n{text}");
        }
        assert_eq!(metrics.quantiles(7, &[0.5]).0, 4);
        let second = Metrics::new(&[("venue", "embedded"), ("account", "second")]).render().unwrap();
        assert!(second.contains("sapphire_orders_total{venue=\"embedded\",account=\"second\"} 0"), "{second}");
        assert!(second.contains("sapphire_denials_total{venue=\"embedded\",account=\"second\",code="), "{second}");
    }
}
