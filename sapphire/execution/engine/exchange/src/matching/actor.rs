//! The matching service's thread: one request after the other, each in the journal before it is carried out.
//!
//! At a speed the thread sleeps until a request comes, a liquidity step is due or a diff has to be cut; an idle
//! exchange wakes every five seconds of market time.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use sapphire_core::amounts::Atoms;
use sapphire_core::venue::{AccountId, FeeRates};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::api::{Ask, BalanceView, CancelAck, CancelAll, CancelOrder, MatchingError, OrderAck, PlaceOrder, Reply};
use super::command::{Command, Entry};
use super::control::{Advanced, Control};
use super::journal::{Folder, JournalFailure};
use super::start::Journal;
use super::{Applied, MatchingService};
use crate::clock::{ClockMode, MarketClock};
use crate::keys::{Credentials, Keyring};

/// How long the matching service waits after the journal refused the passage of time.
const RETRY: Duration = Duration::from_millis(500);

/// A matching service, its journal and its keys.
#[derive(Debug)]
pub(super) struct Actor {
    matching: MatchingService,
    journal: Journal,
    /// Held as long as the journal is written.
    _folder: Option<Folder>,
    keys: Keyring,
    /// The journal refuses, and it was said.
    is_stuck: bool,
}

impl Actor {
    pub(super) fn new(matching: MatchingService, journal: Journal, folder: Option<Folder>, keys: Keyring) -> Self {
        Self { matching, journal, _folder: folder, keys, is_stuck: false }
    }

    pub(super) fn matching(&self) -> &MatchingService {
        &self.matching
    }

    /// The first record of this epoch.
    pub(super) fn record_start(&mut self, last: Option<(u64, u64)>) -> Result<(), JournalFailure> {
        let command = match last {
            Some((epoch_before, records_before)) => Command::Resume { epoch_before, records_before },
            None => Command::Begin(self.matching.genesis().clone()),
        };
        self.write(self.matching.now_ns(), &command)
    }

    /// Answers requests until it is sent to stop or nobody can ask any more.
    pub(super) async fn run(mut self, mut inbox: mpsc::Receiver<Ask>, clock: Arc<MarketClock>) {
        loop {
            let ask = match self.wait(&clock) {
                None => Ok(inbox.recv().await),
                Some(wait) => timeout_at(Instant::now() + wait, inbox.recv()).await,
            };
            self.keep_time(&clock);
            let Ok(ask) = ask else { continue };
            let Some(ask) = ask else { return };
            if self.answer(ask, &clock).is_break() {
                return;
            }
            clock.publish(self.matching.now_ns());
        }
    }

    fn wait(&self, clock: &MarketClock) -> Option<Duration> {
        if clock.clock_mode() == ClockMode::Lockstep {
            return None;
        }
        let next_ns = self.matching.next_instant().into_iter().chain(self.matching.next_cut_ns()).min()?;
        let wait = clock.wait_until(next_ns)?;
        Some(if self.is_stuck { wait.max(RETRY) } else { wait })
    }

    /// Lets market time pass up to the clock's, as far as the journal has it.
    fn keep_time(&mut self, clock: &MarketClock) {
        if clock.clock_mode() == ClockMode::Lockstep {
            return;
        }
        let now_ns = clock.now_ns();
        if self.matching.is_due(now_ns) {
            match self.carry_out(now_ns, &Command::Tick) {
                Ok(_) => self.is_stuck = false,
                Err(error) if !self.is_stuck => {
                    self.is_stuck = true;
                    tracing::error!(%error, "market time stands until the journal can be written again");
                }
                Err(_) => {}
            }
        }
        self.matching.cut_on_time(now_ns);
        if !self.is_stuck {
            self.matching.close_candles(now_ns);
        }
    }

    /// Market time of a request that comes now. It stands where the journal stopped it.
    fn now_ns(&self, clock: &MarketClock) -> i64 {
        if self.is_stuck { self.matching.now_ns() } else { clock.now_ns().max(self.matching.now_ns()) }
    }

    fn write(&mut self, market_ns: i64, command: &Command) -> Result<(), JournalFailure> {
        let Some(journal) = &mut self.journal else { return Ok(()) };
        let entry = Entry { outputs_before: self.matching.digest(), command: command.clone() };
        journal.append(market_ns, &entry)
    }

    /// Into the journal, then into the market.
    fn carry_out(&mut self, market_ns: i64, command: &Command) -> Result<Applied, MatchingError> {
        self.write(market_ns, command).map_err(|failure| {
            tracing::error!(%failure, "a command was not carried out");
            MatchingError::Journal(failure.to_string())
        })?;
        Ok(self.matching.apply(market_ns, command))
    }

    /// A command at a time between two liquidity steps, or at the time that stands.
    fn at(&self, clock: &MarketClock) -> i64 {
        let now_ns = match clock.clock_mode() {
            ClockMode::Lockstep => self.matching.now_ns(),
            ClockMode::Live | ClockMode::Speed(_) => self.now_ns(clock),
        };
        // A liquidity step that fell due since the last look belongs to the next look, not before this
        // command.
        self.matching.next_instant().map_or(now_ns, |next_ns| now_ns.min(next_ns - 1).max(self.matching.now_ns()))
    }

    fn answer(&mut self, ask: Ask, clock: &MarketClock) -> ControlFlow<()> {
        let now_ns = self.now_ns(clock);
        let matching = &mut self.matching;
        match ask {
            Ask::PlaceOrder(order, reply) => give(reply, self.place(&order, clock)),
            Ask::TestOrder(order, reply) => give(reply, matching.check_place(&order).map(drop)),
            Ask::CancelOrder(cancel, reply) => give(reply, self.cancel(&cancel, clock)),
            Ask::CancelAll(cancel, reply) => give(reply, self.cancel_all(cancel, clock)),
            Ask::QueryOrder(account, symbol, order, reply) => give(reply, matching.order(account, symbol, &order)),
            Ask::OpenOrders(account, symbol, reply) => give(reply, matching.open_orders(account, symbol)),
            Ask::AllOrders(query, reply) => give(reply, matching.all_orders(&query)),
            Ask::MyTrades(query, reply) => give(reply, matching.my_trades(&query)),
            Ask::Account(account, reply) => give(reply, matching.account(account)),
            Ask::Depth(symbol, limit, reply) => give(reply, matching.depth(symbol, limit, now_ns)),
            Ask::Trades(query, reply) => give(reply, matching.trades(&query)),
            Ask::AggTrades(query, reply) => give(reply, matching.agg_trades(&query)),
            Ask::Tickers24h(symbols, reply) => give(reply, matching.tickers(&symbols, now_ns)),
            Ask::BookTickers(symbols, reply) => give(reply, matching.book_tickers(&symbols, now_ns)),
            Ask::Prices(symbols, reply) => give(reply, matching.prices(&symbols)),
            Ask::SubscribeUser(account, reply) => give(reply, matching.subscribe_user(account)),
            Ask::SubscribeKlines(symbol, interval, reply) => give(reply, matching.subscribe_klines(symbol, interval)),
            Ask::Control(control) => return self.control(control, clock),
        }
        ControlFlow::Continue(())
    }

    fn control(&mut self, control: Control, clock: &MarketClock) -> ControlFlow<()> {
        match control {
            Control::Advance { to_ns, wake_at, reply } => {
                let advanced = self.advance(to_ns, &wake_at);
                clock.publish(self.matching.now_ns());
                give(reply, advanced);
            }
            Control::Deposit { account, asset, atoms, reply } => {
                give(reply, self.deposit(account, &asset, atoms, clock));
            }
            Control::OpenAccount { name, credentials, fees, funds, reply } => {
                give(reply, self.open_account(Some(&name), &credentials, fees, &funds));
            }
            Control::FindAccount { name, reply } => give(reply, self.matching.account_named(&name)),
            Control::State { full, reply } => {
                let marks = self.journal.as_ref().map(super::journal::JournalFile::watermarks);
                give(reply, Ok(self.matching.state(full, marks)));
            }
            Control::Figures(reply) => {
                let marks = self.journal.as_ref().map(super::journal::JournalFile::watermarks);
                give(reply, Ok(self.matching.figures(marks)));
            }
            Control::Stop(done) => {
                // The file is synced when it is dropped.
                self.journal.take();
                let _ = done.send(());
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    fn place(&mut self, order: &PlaceOrder, clock: &MarketClock) -> Result<OrderAck, MatchingError> {
        let command = self.matching.check_place(order)?;
        match self.carry_out(self.at(clock), &command)? {
            Applied::Placed(Ok(id)) => self.matching.order_ack(id),
            Applied::Placed(Err(refusal)) => Err(refusal.into()),
            _ => Err(MatchingError::Closed),
        }
    }

    fn cancel(&mut self, cancel: &CancelOrder, clock: &MarketClock) -> Result<CancelAck, MatchingError> {
        let command = self.matching.check_cancel(cancel)?;
        let acks = self.cancels(&command, clock)?;
        acks.into_iter().next().ok_or(MatchingError::UnknownOrder)
    }

    fn cancel_all(&mut self, cancel: CancelAll, clock: &MarketClock) -> Result<Vec<CancelAck>, MatchingError> {
        let command = self.matching.check_cancel_all(cancel)?;
        self.cancels(&command, clock)
    }

    fn cancels(&mut self, command: &Command, clock: &MarketClock) -> Result<Vec<CancelAck>, MatchingError> {
        let Applied::Canceled(sent) = self.carry_out(self.at(clock), command)? else {
            return Err(MatchingError::Closed);
        };
        sent.into_iter().map(|(id, client_id)| self.matching.cancel_ack(id, client_id)).collect()
    }

    fn advance(&mut self, to_ns: i64, wake_at: &[i64]) -> Result<Advanced, MatchingError> {
        let command = self.matching.check_advance(to_ns, wake_at)?;
        match self.carry_out(self.matching.now_ns(), &command)? {
            Applied::Advanced(events) => Ok(self.matching.advanced(events)),
            _ => Err(MatchingError::Closed),
        }
    }

    fn deposit(
        &mut self,
        account: AccountId,
        asset: &str,
        atoms: Atoms,
        clock: &MarketClock,
    ) -> Result<BalanceView, MatchingError> {
        let command = self.matching.check_deposit(account, asset, atoms)?;
        self.carry_out(self.at(clock), &command)?;
        let asset = self.matching.catalog().asset(asset);
        asset.and_then(|asset| self.matching.balance(account, asset)).ok_or(MatchingError::UnknownAccount)
    }

    /// Opens an account whose key is kept first, so that no account is ever without.
    pub(super) fn open_account(
        &mut self,
        name: Option<&str>,
        credentials: &Credentials,
        fees: FeeRates,
        funds: &[(String, Atoms)],
    ) -> Result<AccountId, MatchingError> {
        let command = self.matching.check_account_opening(name, fees, funds)?;
        let account = self.matching.next_account();
        self.keys.add(account, credentials).map_err(|error| MatchingError::Journal(error.to_string()))?;
        match self.carry_out(self.matching.now_ns(), &command) {
            Ok(_) => Ok(account),
            Err(error) => {
                self.keys.forget(&credentials.api_key);
                Err(error)
            }
        }
    }
}

/// Answers; who asked may have left.
fn give<T>(reply: Reply<T>, answer: Result<T, MatchingError>) {
    let _ = reply.send(answer);
}
