//! What the exchange was asked for, and what that means.
//!
//! Invariant: a genesis holds everything that decides a market; two exchanges with the same genesis and the same
//! requests are the same to the last digit. It is the first record of a journal, and a restart under another is
//! refused.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{ArgGroup, Parser};
use sapphire_core::amounts::Atoms;
use sapphire_core::decimal::parse_atoms;
use sapphire_core::instrument::ATOMS_PER_UNIT;
use sapphire_core::venue::FeeRates;
use sapphire_endpoint::LOCAL;
use sapphire_sim::feed::GENERATOR_VERSION;
use serde::{Deserialize, Serialize};

/// Binance spot's regular rate, 0.1 % for maker and taker (its fee schedule, VIP 0 without BNB discount), in 1e-8.
pub const FEES: FeeRates = FeeRates { maker: 100_000, taker: 100_000 };

/// Where a generated market in lock-step begins when nobody says: 2024-01-01T00:00Z.
const LOCKSTEP_START_NS: i64 = 1_704_067_200_000_000_000;

/// What the development account holds when nobody says: so many atoms of USDT, or of the first symbol's quote asset
/// where none is priced in USDT.
const FUND: (&str, Atoms) = ("USDT", 100_000 * ATOMS_PER_UNIT as Atoms);

/// Travel time of requests in lock-step when nobody says: between machines of one region.
const LATENCY_MS: [u32; 2] = [5, 25];

const NS_PER_MS: i64 = 1_000_000;

/// What the help ends with.
pub const EXAMPLE: &str =
    "Example:\n  exchange --port 8080 --symbols BTCUSDT,ETHUSDT --seed 7 --lockstep --journal state/exchange";

/// The embedded exchange: a market behind Binance's REST and WebSocket API.
///
/// Its first line on stdout is one JSON object: `url`, `ws_url`, `control_url`, `control_token`, `control_read_token`,
/// `api_key` and `api_secret` of a funded development account; with `--keys` the three addresses alone. Everything else
/// goes to stderr.
#[derive(Clone, Debug, Parser)]
#[command(name = "exchange", version, after_help = EXAMPLE)]
#[command(group(ArgGroup::new("pace").args(["speed", "lockstep"])))]
pub struct Arguments {
    /// Address of this machine to listen on, or a name of it; 0.0.0.0 or :: for all
    #[arg(long, value_name = "ADDRESS", default_value = LOCAL)]
    pub bind: String,
    /// Name or address by which others reach this machine (what is bound when nothing is said)
    #[arg(long, value_name = "NAME")]
    pub host: Option<String>,
    /// Port of the REST and WebSocket API; 0 chooses a free one
    #[arg(long, default_value_t = 0)]
    pub port: u16,
    /// Port of the control plane; 0 chooses a free one
    #[arg(long, default_value_t = 0)]
    pub control_port: u16,
    /// Symbols, as BTCUSDT or BTC/USDT
    #[arg(long, value_delimiter = ',', default_values_t = ["BTCUSDT".to_owned(), "ETHUSDT".to_owned()])]
    pub symbols: Vec<String>,
    /// Market time runs so many times as fast as the machine's clock (1 when nothing is said)
    #[arg(long, value_parser = speed)]
    pub speed: Option<f64>,
    /// Market time stands until the control plane advances it
    #[arg(long)]
    pub lockstep: bool,
    /// What the generated market, the synthetic liquidity's orders and delays are made from
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Folder of candles to run on (BTCUSDT-5m.csv and so on) instead of a generated market; rules.json in it says by
    /// which ticks and lots, else the generated market's are taken
    #[arg(long, value_name = "FOLDER")]
    pub candles: Option<PathBuf>,
    /// Where market time begins, such as 2024-01-01 or 2024-01-01T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = instant_ns)]
    pub start: Option<i64>,
    /// Folder of the journal; without one nothing survives the process
    #[arg(long, value_name = "FOLDER")]
    pub journal: Option<PathBuf>,
    /// Shortest and longest travel time of a request in lock-step, milliseconds (5 and 25 when nothing is said)
    #[arg(long, num_args = 2, value_names = ["MIN", "MAX"], requires = "lockstep")]
    pub latency_ms: Option<Vec<u32>>,
    /// What the development account is opened with, such as USDT=100000; may be given more than once
    #[arg(long, value_name = "ASSET=AMOUNT", value_parser = fund)]
    pub fund: Vec<(String, Atoms)>,
    /// An account beside the development account, with books of its own, that is opened at the first start; may be given
    /// more than once
    #[arg(long, value_name = "NAME:ASSET=AMOUNT,...", value_parser = opening)]
    pub account: Vec<AccountOpening>,
    /// File with the control plane's tokens and the accounts' API keys, made beforehand and read by nobody else; what it
    /// names is neither drawn nor told (drawn, kept beside the journal and told on the first line when nothing is said)
    #[arg(long, value_name = "FILE")]
    pub keys: Option<PathBuf>,
}

/// An account to open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountOpening {
    /// Its name.
    pub name: String,
    /// What it begins with.
    pub funds: Vec<(String, Atoms)>,
}

/// Everything that decides a market.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Genesis {
    /// Venue symbols in the order of their indices.
    pub symbols: Vec<String>,
    /// Version of the generated market's path; 1 in journals that do not say.
    #[serde(default = "first_generator")]
    pub generator: u32,
    /// Seed of path, synthetic liquidity and delays.
    pub seed: u64,
    /// Where market time began, UTC nanoseconds.
    pub start_ns: i64,
    /// Time stands until it is advanced.
    pub is_lockstep: bool,
    /// Market time is the machine's time.
    pub is_live_paced: bool,
    /// Shortest travel time.
    pub min_latency_ns: i64,
    /// Longest travel time.
    pub max_latency_ns: i64,
    /// SHA-256 of each symbol's candles; empty on a generated market.
    pub candles: BTreeMap<String, String>,
}

/// Of journals from before the version was written.
const fn first_generator() -> u32 {
    1
}

/// A setting that does not fit.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{setting} does not fit\n  expected: {expected}\n  got:      {got}\n  next:     {next}")]
pub struct SettingError {
    /// Which.
    pub setting: &'static str,
    /// What was expected.
    pub expected: String,
    /// What came.
    pub got: String,
    /// What to do.
    pub next: &'static str,
}

impl Arguments {
    /// The genesis of a fresh market; `candles` are digests of the files, `first_ns` is where a recorded market can
    /// begin, `wall_ns` is the machine's time.
    ///
    /// # Errors
    /// A latency whose ends are the wrong way round.
    pub fn genesis(
        &self,
        symbols: Vec<String>,
        candles: BTreeMap<String, String>,
        first_ns: Option<i64>,
        wall_ns: i64,
    ) -> Result<Genesis, SettingError> {
        let [shortest, longest] = self.latency()?;
        let is_live_paced = !self.lockstep && self.is_wall_speed() && self.start.is_none() && candles.is_empty();
        let fallback_ns = match first_ns {
            Some(first_ns) => first_ns,
            None if self.lockstep => LOCKSTEP_START_NS,
            None => wall_ns,
        };
        Ok(Genesis {
            symbols,
            generator: GENERATOR_VERSION,
            seed: self.seed,
            start_ns: self.start.unwrap_or(fallback_ns),
            is_lockstep: self.lockstep,
            is_live_paced,
            min_latency_ns: i64::from(shortest) * NS_PER_MS,
            max_latency_ns: i64::from(longest) * NS_PER_MS,
            candles,
        })
    }

    /// Checks that a kept market is the one that these arguments ask for. A start that nobody names is the kept one.
    ///
    /// # Errors
    /// The first setting that differs.
    pub fn agree_with(&self, kept: &Genesis, symbols: &[String], fresh: &Genesis) -> Result<(), SettingError> {
        let differs = |setting, expected: String, got: String| {
            let next = "start it with the journal's setting, or give another --journal folder";
            Err(SettingError { setting, expected: format!("{expected}, as in the journal"), got, next })
        };
        if kept.symbols != symbols {
            return differs("--symbols", kept.symbols.join(","), symbols.join(","));
        }
        if kept.seed != self.seed {
            return differs("--seed", kept.seed.to_string(), self.seed.to_string());
        }
        if kept.generator != fresh.generator && kept.candles.is_empty() && fresh.candles.is_empty() {
            let version = |genesis: &Genesis| format!("version {} of the generated market", genesis.generator);
            return differs("the journal's market", version(kept), version(fresh));
        }
        if kept.is_lockstep != self.lockstep {
            let word = |lockstep| if lockstep { "--lockstep" } else { "--speed" }.to_owned();
            return differs("--lockstep", word(kept.is_lockstep), word(self.lockstep));
        }
        if (kept.min_latency_ns, kept.max_latency_ns) != (fresh.min_latency_ns, fresh.max_latency_ns) {
            let text = |genesis: &Genesis| {
                format!("{} {}", genesis.min_latency_ns / NS_PER_MS, genesis.max_latency_ns / NS_PER_MS)
            };
            return differs("--latency-ms", text(kept), text(fresh));
        }
        if kept.candles != fresh.candles {
            let text = |genesis: &Genesis| match genesis.candles.len() {
                0 => "a generated market".to_owned(),
                _ => format!("candles with digests {:?}", genesis.candles),
            };
            return differs("--candles", text(kept), text(fresh));
        }
        if self.start.is_some_and(|start_ns| start_ns != kept.start_ns) {
            return differs("--start", iso(kept.start_ns), iso(fresh.start_ns));
        }
        Ok(())
    }

    /// How many times as fast as the machine's clock.
    pub fn rate(&self) -> f64 {
        self.speed.unwrap_or(1.0)
    }

    /// Market time runs as fast as the machine's clock.
    pub fn is_wall_speed(&self) -> bool {
        !self.lockstep && (self.rate() - 1.0).abs() < f64::EPSILON
    }

    /// What the development account begins with, on a market of these quote assets.
    pub fn funds(&self, quotes: &[&str]) -> Vec<(String, Atoms)> {
        if !self.fund.is_empty() {
            return self.fund.clone();
        }
        let asset = if quotes.contains(&FUND.0) { FUND.0 } else { quotes.first().copied().unwrap_or(FUND.0) };
        vec![(asset.to_owned(), FUND.1)]
    }

    fn latency(&self) -> Result<[u32; 2], SettingError> {
        if !self.lockstep {
            return Ok([0, 0]);
        }
        match self.latency_ms.as_deref() {
            None => Ok(LATENCY_MS),
            Some([shortest, longest]) if shortest <= longest => Ok([*shortest, *longest]),
            Some(other) => Err(SettingError {
                setting: "--latency-ms",
                expected: "the shortest and then the longest travel time".into(),
                got: format!("{other:?}"),
                next: "exchange the two",
            }),
        }
    }
}

/// A point of time as people write it.
pub fn iso(time_ns: i64) -> String {
    let since = Duration::from_nanos(time_ns.max(0) as u64);
    humantime::format_rfc3339(UNIX_EPOCH + since).to_string()
}

/// A point of time as people write it: a day, or a day and a time in UTC.
///
/// # Errors
/// What was expected.
pub fn instant_ns(text: &str) -> Result<i64, String> {
    let whole = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    // Minutes are enough for people: 2024-01-01T12:00Z.
    let whole = if whole.len() == 17 { whole.replace('Z', ":00Z") } else { whole };
    let wrong = |_| format!("expected a UTC time such as 2024-01-01 or 2024-01-01T12:00:00Z, got {text}");
    let time: SystemTime = humantime::parse_rfc3339_weak(&whole).map_err(wrong)?;
    let since = time.duration_since(UNIX_EPOCH).map_err(|_| "expected a time after 1970".to_owned())?;
    i64::try_from(since.as_nanos()).map_err(|_| "expected a time before 2262".to_owned())
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if speed > 0.0 && speed <= 1e6 => Ok(speed),
        _ => Err(format!("expected a number above 0 and up to 1000000, got {text}")),
    }
}

fn fund(text: &str) -> Result<(String, Atoms), String> {
    let expected = || format!("expected ASSET=AMOUNT with at most 8 decimals, such as USDT=100000, got {text}");
    let (asset, amount) = text.split_once('=').ok_or_else(expected)?;
    let atoms = atoms(amount).filter(|atoms| *atoms >= 0 && !asset.is_empty()).ok_or_else(expected)?;
    Ok((asset.to_owned(), atoms))
}

fn opening(text: &str) -> Result<AccountOpening, String> {
    let expected = || format!("expected NAME:ASSET=AMOUNT,..., such as second:USDT=50000,BTC=1, got {text}");
    let (name, funds) = text.split_once(':').filter(|(name, _)| !name.is_empty()).ok_or_else(expected)?;
    let funds = funds.split(',').map(fund).collect::<Result<Vec<_>, String>>().map_err(|_| expected())?;
    Ok(AccountOpening { name: name.to_owned(), funds })
}

/// Atoms of a plain decimal with at most eight decimals, of as much as an account can hold.
pub fn atoms(text: &str) -> Option<Atoms> {
    match text.strip_prefix('-') {
        Some(digits) => parse_atoms(digits).ok().map(|atoms| -atoms),
        None => parse_atoms(text).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(words: &[&str]) -> Arguments {
        Arguments::try_parse_from([&["exchange"], words].concat()).unwrap()
    }

    fn genesis(arguments: &Arguments) -> Genesis {
        arguments.genesis(arguments.symbols.clone(), BTreeMap::new(), None, 42).unwrap()
    }

    #[test]
    fn times_are_read_as_people_write_them() {
        for text in ["2024-01-01", "2024-01-01T00:00Z", "2024-01-01T00:00:00Z", "2024-01-01 00:00:00"] {
            assert_eq!(instant_ns(text), Ok(LOCKSTEP_START_NS), "{text}");
        }
        assert!(instant_ns("yesterday").is_err());
        assert_eq!(iso(LOCKSTEP_START_NS), "2024-01-01T00:00:00Z");
    }

    #[test]
    fn amounts_are_exact_or_refused() {
        assert_eq!(atoms("100000"), Some(10_000_000_000_000));
        assert_eq!(atoms("0.00000001"), Some(1));
        assert_eq!(atoms("-1.5"), Some(-150_000_000));
        assert_eq!(atoms("99999999999999999999"), Some(9_999_999_999_999_999_999_900_000_000));
        for text in ["", "1.", ".5", "1e3", "0.000000001", "100000000000000000000", "+1"] {
            assert_eq!(atoms(text), None, "{text}");
        }
    }

    #[test]
    fn a_generated_market_at_wall_speed_is_live_paced() {
        assert!(genesis(&arguments(&[])).is_live_paced);
        assert_eq!(genesis(&arguments(&[])).start_ns, 42);
        assert!(!genesis(&arguments(&["--speed", "2"])).is_live_paced);
        assert!(!genesis(&arguments(&["--start", "2024-01-01"])).is_live_paced);
        assert_eq!(genesis(&arguments(&["--lockstep"])).start_ns, LOCKSTEP_START_NS);
    }

    #[test]
    fn another_setting_than_the_journals_is_named() {
        let kept = genesis(&arguments(&["--lockstep", "--seed", "7"]));
        let now = arguments(&["--lockstep", "--seed", "8"]);
        let error = now.agree_with(&kept, &now.symbols, &genesis(&now)).unwrap_err();
        assert_eq!(error.setting, "--seed");
        let now = arguments(&["--lockstep", "--seed", "7", "--latency-ms", "1", "2"]);
        assert_eq!(now.agree_with(&kept, &now.symbols, &genesis(&now)).unwrap_err().setting, "--latency-ms");
        let old = Genesis { generator: 1, ..kept.clone() };
        let same = arguments(&["--lockstep", "--seed", "7"]);
        let error = same.agree_with(&old, &same.symbols, &genesis(&same)).unwrap_err();
        assert!(error.to_string().contains("version 1 of the generated market, as in the journal"), "{error}");
        assert_eq!(same.agree_with(&kept, &same.symbols, &genesis(&same)), Ok(()));
    }

    #[test]
    fn accounts_are_opened_with_their_funds() {
        let told = arguments(&["--account", "second:USDT=50000,BTC=0.5", "--account", "third:USDT=1"]);
        let (one, other) = (50_000 * 100_000_000, 50_000_000);
        let funds = vec![("USDT".to_owned(), one), ("BTC".to_owned(), other)];
        assert_eq!(told.account[0], AccountOpening { name: "second".into(), funds });
        assert_eq!(told.account[1].name, "third");
        for text in ["second", "second:", ":USDT=1", "second:USDT", "second:USDT=-1", "second:USDT=1,"] {
            assert!(Arguments::try_parse_from(["exchange", "--account", text]).is_err(), "{text}");
        }
    }

    #[test]
    fn latency_belongs_to_lockstep() {
        assert!(Arguments::try_parse_from(["exchange", "--latency-ms", "1", "2"]).is_err());
        assert!(Arguments::try_parse_from(["exchange", "--lockstep", "--speed", "2"]).is_err());
        assert!(arguments(&["--lockstep", "--latency-ms", "9", "2"]).latency().is_err());
    }
}
