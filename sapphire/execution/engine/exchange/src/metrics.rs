//! What the exchange counts, as Prometheus reads it.

use std::fmt;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::matching::control::Figures;

/// What the text is served as.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the venue is called in metrics, as its streams and log lines name it.
const VENUE: &str = "embedded";

/// The text of all figures.
///
/// # Errors
/// None that is known: writing to a string does not fail.
pub fn render(figures: &Figures, connections: usize) -> Result<String, fmt::Error> {
    let venue = [("venue".into(), VENUE.into())].into_iter();
    let mut registry = Registry::with_prefix_and_labels("sapphire_exchange", venue);
    let mut gauge = |name: &str, help: &str, value: i64| registry.register(name, help, ConstGauge::new(value));
    gauge("market_time_ns", "Market time, UTC nanoseconds", figures.now_ns);
    gauge("accounts", "Accounts of clients", count(figures.accounts));
    gauge("open_orders", "Orders of clients that rest", count(figures.open_orders));
    gauge("travelling", "Requests on their way, in lock-step", count(figures.travelling));
    gauge("connections", "Connections to the API", count(connections));
    if let Some((written, synced)) = figures.journal {
        gauge("journal_written", "Last record written to the journal", written as i64);
        gauge("journal_synced", "Last record synced to the disk", synced as i64);
    }
    let mut counter = |name: &str, help: &str, value: u64| registry.register(name, help, ConstCounter::new(value));
    counter("orders", "Orders of clients that were taken", figures.orders as u64);
    counter("fills", "Fills of clients", figures.fills as u64);
    counter("events", "Events that clients were sent", figures.events);
    let mut text = String::with_capacity(2_048);
    encode(&mut text, &registry)?;
    Ok(text)
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
