//! The settings file of a service, and the credentials beside it.
//!
//! Invariant: a field that this version does not know is refused. What is optional has the core's default.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use sapphire_core::engine::Execution;
use sapphire_endpoint::LOCAL;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::clock::ClockMode;
use crate::entry::LimitRules;
use crate::events::ReleaseDigest;
use crate::evidence::{Stage, TrustSettings};
use crate::streams;

mod credentials;

pub use credentials::Credentials;
pub(crate) use credentials::{bus_address, read_secret};

/// How many releases an account can meet in its life.
pub const RELEASE_SLOTS: u16 = 64;

const SPEEDS: std::ops::RangeInclusive<f64> = 0.001..=1e6;

/// A setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}\n  expected: {expected}\n  got:      {got}\n  next:     {next}")]
pub struct SettingError {
    /// What is wrong.
    pub what: String,
    /// What was expected.
    pub expected: String,
    /// What came.
    pub got: String,
    /// What to do.
    pub next: String,
}

impl SettingError {
    fn new(what: &str, expected: &str, got: impl fmt::Display, next: &str) -> Self {
        Self { what: what.into(), expected: expected.into(), got: got.to_string(), next: next.into() }
    }
}

/// Everything that `service run` is given.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Name of the account.
    pub account: String,
    /// Its tag in order ids.
    pub account_tag: u16,
    /// sha256 of the manifest of the release that it trades; no signal of another one is taken.
    pub release: ReleaseDigest,
    /// What a release's evidence has to permit.
    pub stage: Stage,
    /// Where releases and evidence are.
    pub home: PathBuf,
    /// Which key, policies and measures its admission goes by; the key is not in `home`.
    pub trust: TrustSettings,
    /// The account's own folder.
    pub folder: PathBuf,
    /// "BTC/USDT".
    pub symbols: Vec<String>,
    /// The asset that cash is in.
    pub quote: String,
    /// Length of a bar, "5m".
    pub interval: String,
    /// Where the venue is.
    pub venue: VenueAddress,
    /// The file with the keys.
    pub credentials: PathBuf,
    /// The file with the two tokens of the control API, where they are not among the keys.
    #[serde(default)]
    pub service_tokens: Option<PathBuf>,
    /// The bus; with its user and password it is in a file that only its owner can read.
    pub bus_url: String,
    /// The file with the password of the bus's user, where the address has none.
    #[serde(default)]
    pub bus_password: Option<PathBuf>,
    /// The file with the key of the account's signals, which its coordinator has too.
    pub signal_key: PathBuf,
    /// How market time runs.
    pub clock: ClockSetting,
    /// The account's limits.
    #[serde(default)]
    pub limits: LimitRules,
    /// How targets are worked.
    #[serde(default)]
    pub execution: Execution,
    /// Address of this machine that the control API listens on, or a name of it; 0.0.0.0 or :: for all.
    #[serde(default = "local")]
    pub bind: String,
    /// Name or address by which others reach it; what is bound where there is none.
    #[serde(default)]
    pub host: Option<String>,
    /// Port of the control API; 0 chooses a free one.
    #[serde(default)]
    pub port: u16,
    /// The journal's files.
    #[serde(default)]
    pub journal: JournalSetting,
    /// The thread that trades looks for its next event again and again instead of sleeping: it is 10 to 30 us sooner at
    /// work and takes a processor. For machines that have one to spare; on others it keeps the rest of the service from
    /// working.
    #[serde(default)]
    pub spin: bool,
}

fn local() -> String {
    LOCAL.to_owned()
}

/// Where the venue is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VenueAddress {
    /// Its name in streams and metrics.
    pub name: String,
    /// REST.
    pub rest_url: String,
    /// WebSocket.
    pub ws_url: String,
    /// Control plane of the embedded exchange.
    #[serde(default)]
    pub control_url: Option<String>,
}

/// How market time runs: `{"lockstep": true}` or `{"speed": 60.0}`.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockSetting {
    #[serde(default)]
    lockstep: bool,
    speed: Option<f64>,
}

impl ClockSetting {
    /// The mode that it names.
    ///
    /// # Errors
    /// Both or neither, or a speed out of range.
    pub fn clock_mode(&self) -> Result<ClockMode, SettingError> {
        match (self.lockstep, self.speed) {
            (true, None) => Ok(ClockMode::Lockstep),
            (false, Some(speed)) if SPEEDS.contains(&speed) => Ok(ClockMode::Speed(speed)),
            _ => Err(SettingError::new(
                "the clock does not fit",
                "{\"lockstep\": true} or {\"speed\": a number from 0.001 to 1000000}",
                format!("{self:?}"),
                "give one of the two",
            )),
        }
    }
}

/// The journal's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JournalSetting {
    /// Size of a segment.
    pub segment_bytes: u64,
    /// Room that is kept for halts, cancels and fills when the disk is full.
    pub reserve_bytes: u64,
}

impl Default for JournalSetting {
    fn default() -> Self {
        Self { segment_bytes: 4 << 20, reserve_bytes: 1 << 20 }
    }
}

impl Settings {
    /// Reads and checks a settings file.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn read(path: &Path) -> Result<Self, SettingError> {
        let settings: Self = read_json(path, "settings file", "compare it with the README's example")?;
        settings.check()?;
        Ok(settings)
    }

    /// The bus with its user's password.
    ///
    /// # Errors
    /// A file that is not there, that others can read, or that is empty; an address that names no user for it, or has a
    /// password of its own.
    pub fn bus_address(&self) -> Result<String, SettingError> {
        bus_address(&self.bus_url, self.bus_password.as_deref())
    }

    /// What this service is: on its metrics and in each line of its log.
    pub fn identity(&self) -> Vec<(&'static str, String)> {
        vec![
            ("venue", self.venue.name.clone()),
            ("account", self.account.clone()),
            ("release", self.release.to_string()),
        ]
    }

    fn check(&self) -> Result<(), SettingError> {
        self.clock.clock_mode()?;
        self.interval_ns()?;
        let wrong = |what: &str, expected: &str, got: &dyn fmt::Debug| {
            Err(SettingError::new(what, expected, format!("{got:?}"), "correct it in the settings file"))
        };
        let is_name =
            |text: &str| !text.is_empty() && text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_graphic());
        if let Err(wrong_trust) = self.trust.check() {
            return wrong(
                "what admission trusts does not fit",
                "a key, its authority, policies, measures",
                &wrong_trust,
            );
        }
        for (what, text) in [("the account's name", &self.account), ("the venue's name", &self.venue.name)] {
            if let Err(error) = streams::name(text) {
                return wrong(&format!("{what} does not fit"), error.expected, text);
            }
        }
        if self.symbols.is_empty() || self.symbols.len() > usize::from(u16::MAX) {
            return wrong("the account trades nothing", "one symbol or more", &self.symbols);
        }
        for (place, symbol) in self.symbols.iter().enumerate() {
            let quoted = symbol.split_once('/').is_some_and(|(base, quote)| is_name(base) && quote == self.quote);
            if !quoted {
                return wrong("a symbol does not fit", &format!("BASE/{}", self.quote), symbol);
            }
            if self.symbols[..place].contains(symbol) {
                return wrong("a symbol stands there twice", "each symbol once", symbol);
            }
        }
        if let Some(unknown) = self.limits.symbols.keys().find(|symbol| !self.symbols.contains(symbol)) {
            return wrong("a limit is for a symbol that the account does not trade", "one of its symbols", unknown);
        }
        Ok(())
    }

    /// Length of a bar.
    ///
    /// # Errors
    /// An interval that nobody knows.
    pub fn interval_ns(&self) -> Result<i64, SettingError> {
        const MINUTE_NS: i64 = 60_000_000_000;
        let (digits, unit) = self.interval.split_at(self.interval.len().saturating_sub(1));
        let minutes = match unit {
            "m" => Some(1),
            "h" => Some(60),
            "d" => Some(1_440),
            _ => None,
        };
        let count = digits.parse::<i64>().ok().filter(|count| (1..=10_000).contains(count));
        minutes.zip(count).map(|(minutes, count)| minutes * count * MINUTE_NS).ok_or_else(|| {
            SettingError::new(
                "the interval does not fit",
                "minutes, hours or days such as 5m, 1h, 1d",
                &self.interval,
                "correct it in the settings file",
            )
        })
    }
}

fn read_json<T: DeserializeOwned>(path: &Path, what: &str, next: &str) -> Result<T, SettingError> {
    let named = format!("{what} {}", path.display());
    let text = fs::read_to_string(path).map_err(|error| SettingError::new(&named, "a readable file", error, next))?;
    parse_json(&text, &named, next)
}

fn parse_json<T: DeserializeOwned>(text: &str, named: &str, next: &str) -> Result<T, SettingError> {
    // serde names the place, never what stands there, so a secret is not shown.
    serde_json::from_str(text).map_err(|error| {
        let place = format!("line {} column {}: {}", error.line(), error.column(), harmless(&error));
        SettingError::new(named, "JSON of the documented form", place, next)
    })
}

/// What serde says up to the first quoted value.
fn harmless(error: &serde_json::Error) -> String {
    let text = error.to_string();
    if text.starts_with("unknown field") || text.starts_with("missing field") || text.starts_with("expected") {
        text
    } else {
        text.split(['"', '`']).next().unwrap_or_default().trim().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn example() -> Value {
        json!({
            "account": "paper", "account_tag": 1, "release": "ab".repeat(32), "stage": "paper", "home": "h", "folder": "f",
            "trust": {
                "key": "k", "authority": "promoter identity",
                "policies": {"paper": ["c".repeat(64)], "live": ["d".repeat(64)]},
                "required": {"paper": ["integrity.captured_source"], "live": ["parity.paper_days"]},
            },
            "symbols": ["BTC/USDT", "ETH/USDT"], "quote": "USDT", "interval": "5m",
            "venue": {"name": "embedded", "rest_url": "http://127.0.0.1:1", "ws_url": "ws://127.0.0.1:1", "control_url": null},
            "credentials": "c", "bus_url": "valkey://127.0.0.1:2/0", "signal_key": "s", "clock": {"lockstep": true},
            "limits": {"max_daily_loss_bps": 500, "symbols": {"ETH/USDT": {"max_order_atoms": 7}}},
            "execution": {"retry_ns": 9}, "port": 0,
            "journal": {"segment_bytes": 16_777_216, "reserve_bytes": 1_048_576}, "spin": true,
        })
    }

    fn read(value: Value) -> Result<Settings, String> {
        let settings: Settings = serde_json::from_value(value).map_err(|error| error.to_string())?;
        settings.check().map_err(|error| error.to_string())?;
        Ok(settings)
    }

    #[test]
    fn the_example_reads_and_the_rest_is_the_cores_default() {
        let settings = read(example()).unwrap();
        assert_eq!(settings.interval_ns(), Ok(300_000_000_000));
        assert!(settings.spin);
        assert_eq!((settings.bind.as_str(), settings.host, settings.port), (LOCAL, None, 0));
        assert_eq!(settings.clock.clock_mode(), Ok(ClockMode::Lockstep));
        let limits = &settings.limits;
        assert_eq!((limits.max_daily_loss_bps, limits.symbols["ETH/USDT"].max_order_atoms), (Some(500), Some(7)));
        assert_eq!(limits.collar_bps, LimitRules::default().collar_bps);
        assert_eq!(settings.execution, Execution { retry_ns: 9, ..Execution::default() });
    }

    #[test]
    fn what_cannot_be_meant_is_named() {
        let with = |key: &str, value: Value| {
            let mut changed = example();
            changed[key] = value;
            read(changed).unwrap_err()
        };
        assert!(with("surprise", json!(1)).contains("surprise"));
        assert!(with("clock", json!({"lockstep": true, "speed": 2.0})).contains("the clock does not fit"));
        assert!(with("clock", json!({"speed": 0.0})).contains("the clock does not fit"));
        assert!(with("account", json!("second:other")).contains("the account's name does not fit"));
        assert!(with("release", json!("trend@1")).contains("64 hexadecimal digits"));
        assert!(with("symbols", json!(["BTC/EUR"])).contains("BASE/USDT"));
        assert!(with("symbols", json!(["BTC/USDT", "BTC/USDT"])).contains("twice"));
        let trusting = |key: &str, value: Value| {
            let mut changed = example();
            changed["trust"][key] = value;
            read(changed).unwrap_err()
        };
        assert!(trusting("authority", json!("root")).contains("authority: expected laptop key file"));
        assert!(trusting("policies", json!({"paper": [], "live": []})).contains("policies.paper"));
        assert!(trusting("required", json!({"paper": ["a.b"], "live": []})).contains("required.live"));
        assert!(trusting("required", json!({"paper": ["a.b"]})).contains("missing field"));
        assert!(with("interval", json!("5x")).contains("interval"));
        assert!(with("limits", json!({"symbols": {"XRP/USDT": {}}})).contains("XRP/USDT"));
    }
}
