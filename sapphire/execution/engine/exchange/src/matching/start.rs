//! From a folder and settings to a running matching service.
//!
//! Invariant: a matching service that starts on a journal is in the state of the matching service that wrote it, to the
//! last digit, or it does not start.

use std::sync::Arc;

use sapphire_core::venue::AccountId;
use tokio::sync::{mpsc, watch};

use super::actor::Actor;
use super::api::{Ask, MatchingHandle};
use super::command::{Command, Entry};
use super::journal::{Folder, JournalFailure, JournalFile, Kept, Reader};
use super::{MatchingService, rules};
use crate::clock::{ClockMode, MarketClock, wall_ns};
use crate::floor::{Floor, FloorError};
use crate::keys::{Credentials, GivenKeys, KeyError, Keyring};
use crate::settings::{Arguments, FEES, Genesis, SettingError, iso};

/// Requests that may wait for the matching service.
const WAITING: usize = 1_024;

/// The development account: the first client.
const DEVELOPMENT: AccountId = AccountId(1);

/// Why the exchange did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Symbols or candles.
    #[error(transparent)]
    Floor(#[from] FloorError),
    /// A setting.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// A setting that the engine cannot run.
    #[error("{0}")]
    Genesis(String),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalFailure),
    /// Keys.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// The journal replays to something else than what was put out when it was written.
    #[error(
        "the journal's entry {entry} does not replay\n  expected: outputs {expected:016x} before it\n  got:      {got:016x}\n  next:     run the version of the exchange that wrote it"
    )]
    Replay {
        /// Which entry, from 1.
        entry: usize,
        /// Digest as written.
        expected: u64,
        /// Digest now.
        got: u64,
    },
    /// What the development account begins with.
    #[error("--fund does not fit: {0}")]
    Fund(String),
    /// An account that cannot be opened.
    #[error("--account {name} cannot be opened: {why}")]
    Account {
        /// Its name.
        name: String,
        /// Why.
        why: String,
    },
    /// The system.
    #[error("{0}")]
    System(#[from] std::io::Error),
}

/// A matching service that runs.
#[derive(Debug)]
pub struct OpenMatching {
    /// The way to it.
    pub handle: MatchingHandle,
    /// Keys of the development account.
    pub development: Credentials,
    /// The token of the control plane is here.
    pub keys: Keyring,
    /// Set to true to tell everybody that the end is near.
    pub shutdown: watch::Sender<bool>,
    /// The matching service's thread.
    pub thread: std::thread::JoinHandle<()>,
}

/// Starts the matching service: reads the journal, folds it, opens the accounts that are asked for and not there yet.
///
/// # Errors
/// [`StartError`]; nothing runs then.
pub fn open(arguments: &Arguments) -> Result<OpenMatching, StartError> {
    let floor = Floor::lay_out(&arguments.symbols, arguments.seed, arguments.candles.as_deref(), arguments.lockstep)?;
    let folder = arguments.journal.as_deref().map(Folder::hold).transpose()?;
    let symbols: Vec<String> = floor.catalog.symbols().iter().map(|info| info.symbol.clone()).collect();
    let fresh = arguments.genesis(symbols.clone(), floor.candles.clone(), floor.first_ns, wall_ns())?;
    rules::check_genesis(&fresh).map_err(StartError::Genesis)?;
    floor.check_start(fresh.start_ns)?;
    let mut fold = Fold::new(&floor, |kept| arguments.agree_with(kept, &symbols, &fresh));
    let kept = folder.as_ref().map_or_else(|| Ok(Kept::default()), |folder| folder.read(&mut fold))?;
    if kept.was_torn {
        tracing::warn!("the journal ended in an incomplete record; it was cut off");
    }
    let matching = fold.matching.unwrap_or_else(|| MatchingService::new(fresh.clone(), &floor));
    let given = arguments.keys.as_deref().map(GivenKeys::read).transpose()?;
    let keys = Keyring::open(arguments.journal.as_deref(), given.as_ref())?;
    keys.keep_below(matching.next_account())?;
    let journal = folder.as_ref().map(|folder| folder.begin(&kept, matching.genesis(), wall_ns())).transpose()?;
    let mut actor = Actor::new(matching, journal, folder, keys.clone());
    actor.record_start(kept.last)?;
    let development = development(&mut actor, &keys, arguments, given.as_ref())?;
    open_accounts(&mut actor, &keys, arguments, given.as_ref())?;
    run(actor, development, keys, arguments)
}

/// A matching service in the making: entries in, state out.
pub(super) struct Fold<'a, F> {
    floor: &'a Floor,
    /// Whether the kept market is the one that is wanted.
    admit: F,
    pub(super) matching: Option<MatchingService>,
    entries: usize,
}

impl<'a, F: Fn(&Genesis) -> Result<(), SettingError>> Fold<'a, F> {
    pub(super) fn new(floor: &'a Floor, admit: F) -> Self {
        Self { floor, admit, matching: None, entries: 0 }
    }
}

impl<F: Fn(&Genesis) -> Result<(), SettingError>> Reader for Fold<'_, F> {
    fn take(&mut self, market_ns: i64, entry: &Entry) -> Result<(), StartError> {
        self.entries += 1;
        if let Command::Begin(genesis) = &entry.command {
            (self.admit)(genesis)?;
            self.matching = Some(MatchingService::new(genesis.clone(), self.floor));
        }
        let Some(matching) = &mut self.matching else { return Ok(()) };
        let (expected, got) = (entry.outputs_before, matching.digest());
        if expected != got {
            return Err(StartError::Replay { entry: self.entries, expected, got });
        }
        matching.apply(market_ns, &entry.command);
        Ok(())
    }
}

/// The keys of the development account, which is opened and funded at the first start.
fn development(
    actor: &mut Actor,
    keys: &Keyring,
    arguments: &Arguments,
    given: Option<&GivenKeys>,
) -> Result<Credentials, StartError> {
    if actor.matching().next_account() != DEVELOPMENT {
        if let Some(given) = given {
            keys.replace(DEVELOPMENT, &given.development);
        }
        if let Some(credentials) = keys.of(DEVELOPMENT) {
            return Ok(credentials);
        }
        let credentials = Keyring::draw()?;
        keys.add(DEVELOPMENT, &credentials)?;
        return Ok(credentials);
    }
    let credentials = given.map_or_else(Keyring::draw, |given| Ok(given.development.clone()))?;
    let catalog = Arc::clone(actor.matching().catalog());
    let quotes: Vec<&str> = catalog.symbols().iter().map(|info| info.quote_asset.as_str()).collect();
    let opened = actor.open_account(None, &credentials, FEES, &arguments.funds(&quotes));
    opened.map_err(|error| StartError::Fund(error.to_string()))?;
    Ok(credentials)
}

/// The other accounts: those that are asked for and not there yet are opened, and each has the key that is given for it.
fn open_accounts(
    actor: &mut Actor,
    keys: &Keyring,
    arguments: &Arguments,
    given: Option<&GivenKeys>,
) -> Result<(), StartError> {
    for opening in &arguments.account {
        let name = &opening.name;
        let pair = given.map(|given| given.account(name)).transpose()?;
        if actor.matching().account_named(name).is_ok() {
            continue;
        }
        let credentials = pair.cloned().map_or_else(Keyring::draw, Ok)?;
        let opened = actor.open_account(Some(name), &credentials, FEES, &opening.funds);
        opened.map_err(|error| StartError::Account { name: name.clone(), why: error.to_string() })?;
    }
    for (name, pair) in given.into_iter().flat_map(GivenKeys::accounts) {
        if let Ok(account) = actor.matching().account_named(name) {
            keys.replace(account, pair);
        } else {
            tracing::warn!(name, "there are keys for an account that nobody asked to open");
        }
    }
    Ok(())
}

fn run(
    actor: Actor,
    development: Credentials,
    keys: Keyring,
    arguments: &Arguments,
) -> Result<OpenMatching, StartError> {
    let matching = actor.matching();
    let genesis = matching.genesis();
    let clock_mode = match (genesis.is_lockstep, genesis.is_live_paced && arguments.is_wall_speed()) {
        (true, _) => ClockMode::Lockstep,
        (_, true) => ClockMode::Live,
        _ => ClockMode::Speed(arguments.rate()),
    };
    let clock = Arc::new(MarketClock::starting_at(clock_mode, matching.now_ns()));
    tracing::info!(
        symbols = %genesis.symbols.join(","),
        market = matching.catalog().source().name(),
        ?clock_mode,
        now = %iso(matching.now_ns()),
        "the matching service is open"
    );
    let (asks, inbox) = mpsc::channel::<Ask>(WAITING);
    let (shutdown, closing) = watch::channel(false);
    let handle = MatchingHandle {
        asks,
        catalog: Arc::clone(matching.catalog()),
        clock: Arc::clone(&clock),
        keys: keys.clone(),
        market: matching.channels().market_streams(),
        charts: matching.charts().clone(),
        shutdown: closing,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let thread = std::thread::Builder::new().name("matching".into());
    let thread = thread.spawn(move || runtime.block_on(actor.run(inbox, clock)))?;
    Ok(OpenMatching { handle, development, keys, shutdown, thread })
}

/// A file that an epoch is written to, or none.
pub(super) type Journal = Option<JournalFile>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matching::api::{Interval, MarketUpdate};
    use crate::matching::control::Control;
    use clap::Parser as _;
    use sapphire_core::instrument::InstrumentId;

    const HOUR_NS: i64 = 3_600_000_000_000;

    /// A client that reads is never cut off, however far an advance goes, and sees everything once and in order.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_reader_misses_nothing_of_a_long_advance() {
        let matching = open(&Arguments::parse_from(["exchange", "--lockstep", "--seed", "7"])).unwrap();
        let handle = matching.handle.clone();
        let mut events = handle.subscribe_market(InstrumentId(0)).unwrap();
        let mut klines = handle.subscribe_klines(InstrumentId(0), Interval::parse("1h").unwrap()).await.unwrap();
        let candles = tokio::spawn(async move {
            let mut closed = Vec::new();
            while let Ok(event) = klines.next().await {
                closed.extend(event.kline.closed.then_some(event.kline));
            }
            closed
        });
        let reader = tokio::spawn(async move {
            let (mut trades, mut diffs, mut tickers) = (Vec::new(), Vec::new(), 0);
            while let Ok(event) = events.next().await {
                match &*event {
                    MarketUpdate::Trade(trade) => trades.push(trade.trade_id),
                    MarketUpdate::Depth(diff) => diffs.push((diff.first_update_id, diff.last_update_id)),
                    MarketUpdate::Ticker(_) => tickers += 1,
                    MarketUpdate::AggTrade(_) | MarketUpdate::BookTicker(_) => {}
                }
            }
            (trades, diffs, tickers)
        });
        let to_ns = handle.now_ns() + 6 * HOUR_NS;
        let advance = |reply| Ask::Control(Control::Advance { to_ns, wake_at: vec![], reply });
        let advanced = handle.ask(advance).await.unwrap();
        assert_eq!((advanced.now_ns, handle.now_ns()), (to_ns, to_ns));
        handle.stop().await;
        matching.thread.join().unwrap();
        drop(handle);
        drop(matching.handle);
        let (trades, diffs, tickers) = reader.await.unwrap();
        assert!(trades.len() > 6 * 700 && tickers > 6 * 700, "{} trades, {tickers} tickers", trades.len());
        assert!(trades.windows(2).all(|pair| pair[1] == pair[0] + 1), "trade ids are contiguous");
        assert!(diffs.windows(2).all(|pair| pair[1].0 == pair[0].1 + 1), "diffs are contiguous");
        assert_eq!(candles.await.unwrap().len(), 6);
    }
}
