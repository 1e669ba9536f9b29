//! What a binary logs: on a terminal lines for people, else one JSON object a line, as the Python parts write them.
//!
//! ```text
//! {"time":"2026-11-30T11:05:36.123456Z","level":"INFO","part":"service","message":"...","account":"paper"}
//! ```
//!
//! Invariant: a line that was written before the binary knew who it is lacks that and nothing else.

use std::fmt;
use std::io::{self, IsTerminal as _};
use std::sync::{Arc, OnceLock};

use serde_json::{Map, Value};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Names and values that each line carries, such as the account.
pub type Identity = Vec<(&'static str, String)>;

/// Where a binary says who it is, once it knows.
#[derive(Clone, Debug, Default)]
pub struct LogIdentity(Arc<OnceLock<Identity>>);

impl LogIdentity {
    /// Every line from here on carries this; what was said first stays.
    pub fn set(&self, identity: Identity) {
        let _ = self.0.set(identity);
    }
}

/// Logs to stderr from here on; `RUST_LOG` says how much, else what is of interest to whoever runs it.
///
/// # Panics
/// Where something logs already: it is called once, first of all.
#[must_use]
pub fn log_to_stderr(part: &'static str) -> LogIdentity {
    let identity = LogIdentity::default();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    if io::stderr().is_terminal() {
        lines.init();
    } else {
        lines.with_ansi(false).event_format(JsonLine { part, identity: identity.clone() }).init();
    }
    identity
}

struct JsonLine {
    part: &'static str,
    identity: LogIdentity,
}

impl<S, N> FormatEvent<S, N> for JsonLine
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let (mut time, mut message) = (String::new(), String::new());
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        context.format_fields(Writer::new(&mut message), event)?;
        let mut line = Map::new();
        let known = [("time", time), ("level", event.metadata().level().to_string()), ("part", self.part.to_owned())];
        line.extend(known.map(|(key, value)| (key.to_owned(), Value::from(value))));
        line.insert("message".to_owned(), message.into());
        if let Some(identity) = self.identity.0.get() {
            line.extend(identity.iter().map(|(key, value)| ((*key).to_owned(), Value::from(value.as_str()))));
        }
        writeln!(out, "{}", Value::Object(line))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().map_or(Ok(0), |mut kept| kept.write(bytes))
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_is_one_object_with_what_the_part_is_and_the_fields_in_its_message() {
        let (kept, identity) = (Kept::default(), LogIdentity::default());
        let writer = kept.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .event_format(JsonLine { part: "service", identity: identity.clone() })
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!("begins");
            identity.set(vec![("account", "second".to_owned())]);
            tracing::warn!(error = "a \"quote\"\nand a line", "the bus is away");
        });
        let text = String::from_utf8(kept.0.lock().map(|kept| kept.clone()).unwrap_or_default()).unwrap_or_default();
        let lines: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert_eq!((&lines[0]["message"], &lines[0]["account"]), (&Value::from("begins"), &Value::Null));
        assert_eq!(lines[1]["account"], "second");
        assert_eq!((&lines[1]["level"], &lines[1]["part"]), (&Value::from("WARN"), &Value::from("service")));
        let message = lines[1]["message"].as_str().unwrap_or_default();
        assert!(message.starts_with("the bus is away") && message.contains("quote"), "{message}");
        assert!(lines[1]["time"].as_str().is_some_and(|time| time.ends_with('Z')));
    }
}
