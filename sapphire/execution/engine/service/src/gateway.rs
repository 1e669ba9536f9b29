//! The way to a Binance-compatible spot venue.
//!
//! In: approved orders, cancels and questions of the trader loop; the venue's user stream, answers and best prices.
//! Out: requests on the venue's socket; events in the trader loop's mailbox.
//! Never: decides anything; sends an order that the gate has not approved; sends one twice; shows a secret.
//!
//! The trader loop's own thread signs, frames and writes orders (`Gateway::place`); three threads do the rest: one
//! reads the socket of orders and keeps it connected, one asks by REST, one reads the stream of best prices (not in
//! lock-step). Each has a channel of its own.
//!
//! Invariants:
//! * Every request and question ends in exactly one closing event: a place in `Acknowledged` or in a report `Rejected`
//!   or `Unanswered`; a cancel and a query in `Answered`; references in `References { asked: true }` (without quotes
//!   when there was no answer; in lock-step it is asked until there is one); the time in `VenueTime`; a round in
//!   `Reconciled`. Or its connection is lost first, and `Gateway::heard` names its order then.
//! * What is counted as outstanding is counted on the trader loop's thread, from the events that the trader loop has
//!   taken. So nothing is outstanding only when every closing event has been heard.
//! * A request that was refused with `NotSent` cannot be at the venue.
//!
//! Known limitations: plain TCP only; one account; limit orders (an order of life GTC, IOC, FOK or post-only).

use std::hint;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread;

use sapphire_core::instrument::{InstrumentId, Side};
use sapphire_core::orders::{ClientOrderId, Order, ReleaseId, ReportKind};
use sapphire_core::risk::Approved;
use sapphire_core::venue::TimeInForce;

use crate::clock::{ClockMode, Monotonic};
use crate::events::Venue;
use crate::mailbox::Channel;

mod answers;
mod errors;
mod fees;
mod market_data;
mod pending;
mod questions;
/// What to ask the venue so that our orders and its orders are the same.
pub mod reconcile;
mod reports;
mod requests;
mod rest;
mod rest_client;
mod rules;
mod settings;
mod shared;
mod sign;
mod socket;
mod transport;
mod user_data;
mod venue_time;
mod weights;

pub use errors::{GatewayError, NotSent};
pub use fees::{Commission, commission};
pub use reconcile::{Horizon, LiveOrder};
pub use rules::{SymbolRules, VenueRules, exchange_info};
pub use settings::{DrainControl, RECV_WINDOW_MS, Secret, VenueSettings};
pub use weights::{LimitKind, RateLimit, Usage};

use market_data::MarketData;
use pending::{Pending, Request};
use questions::{Questions, TIME, server_time_ns};
use reports::Reports;
use requests::Composer;
use rest::SignedHttp;
use rest_client::{Question, RestClient};
use shared::Shared;
use user_data::UserData;
use venue_time::VenueTime;
use weights::{Purpose, Weights};

/// Questions that may wait for the asking thread.
const QUESTIONS: usize = 1_024;
/// Weight of a place, and of a cancel.
const WEIGHT: u32 = 1;
/// How long a place or cancel may stay unanswered where time does not stand, wall time.
const PATIENCE_NS: i64 = 5_000_000_000;

/// The channels of the gateway's threads.
#[derive(Debug)]
pub struct Channels {
    /// What the venue sends by itself and answers on the socket: orders, cancels, connections.
    pub user_data: Channel,
    /// What it answers to questions by REST.
    pub rest_client: Channel,
    /// The stream of best prices; silent in lock-step.
    pub market_data: Channel,
}

/// Whose orders are ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Tag of the account in order ids.
    pub account_tag: u16,
    /// Epoch of this process.
    pub epoch: u32,
}

/// When a request was framed and written, of the process's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamps {
    /// Signed and framed.
    pub framed_ns: i64,
    /// The system has taken it.
    pub written_ns: i64,
}

/// The way to the venue, as the trader loop holds it. Its threads end when it is dropped.
#[derive(Debug)]
pub struct Gateway {
    shared: Arc<Shared>,
    rules: VenueRules,
    identity: Identity,
    composer: Composer,
    questions: SyncSender<Question>,
    pending: Pending,
    /// The last order that was written.
    sequence: u64,
    rounds: u32,
    connections: u32,
    is_connected: bool,
}

impl Gateway {
    /// Checks the addresses, asks the venue's clock and whether it knows our key, and begins to connect;
    /// [`Venue::Connected`] says when the user stream is subscribed. From then on it reconnects by itself, with
    /// back-off, for ever.
    ///
    /// # Errors [`GatewayError::Address`], [`GatewayError::Key`], [`GatewayError::Unreachable`]: the venue has to be
    /// there at the start.
    pub fn start(
        settings: &VenueSettings,
        rules: &VenueRules,
        identity: Identity,
        channels: Channels,
        clock: Monotonic,
    ) -> Result<Self, GatewayError> {
        let host = socket::address("ws_url", &settings.ws_url, "ws")?;
        check(settings)?;
        let http = SignedHttp::new(settings)?;
        let market_ns = server_time_ns(&http.open.get(TIME, "/api/v3/time", "")?, &http.open.base)?;
        let time = VenueTime::new(settings.clock_mode, market_ns, clock.now_ns());
        let shared = Arc::new(Shared::new(settings, clock, time, Weights::new(&rules.limits)));
        let ask = Questions::new(Arc::clone(&shared), http, rules.clone());
        // A wrong key is reported here, not by a connection that never stands.
        ask.balances(market_ns)?;
        let reports = Reports { rules: rules.clone(), account_tag: identity.account_tag };
        let (questions, mailbox) = sync_channel(QUESTIONS);
        if !shared.is_lockstep() {
            let ask = Questions::new(Arc::clone(&shared), SignedHttp::new(settings)?, rules.clone());
            let market_data = MarketData::new(ask, host.clone(), channels.market_data);
            spawn("market-data", move || market_data.run())?;
        }
        let user_data = UserData::new(Arc::clone(&shared), host, reports, channels.user_data);
        let rest_client = RestClient::new(ask, mailbox, channels.rest_client);
        let gateway = Self {
            composer: Composer::new(settings),
            shared,
            rules: rules.clone(),
            identity,
            questions,
            pending: Pending::new(),
            sequence: 0,
            rounds: 0,
            connections: 0,
            is_connected: false,
        };
        spawn("rest-client", move || rest_client.run())?;
        spawn("user-data", move || user_data.run())?;
        Ok(gateway)
    }

    /// Signs, frames and writes an order with one write. No allocation after the first few.
    ///
    /// # Errors
    /// [`NotSent`]: the venue never had it.
    pub fn place(&mut self, approved: &Approved, market_ns: i64, stamps: &mut Stamps) -> Result<(), NotSent> {
        let order = approved.order();
        let symbol = self.rules.symbol(order.instrument).ok_or(NotSent::Unwritable)?;
        self.pending.room()?;
        let timestamp_ms = self.shared.time.timestamp_ms(market_ns);
        let frame = self.composer.place(order, &symbol.name, &symbol.instrument, timestamp_ms)?;
        stamps.framed_ns = self.shared.clock.now_ns();
        self.shared.weights().charge(Purpose::Order, WEIGHT, market_ns)?;
        let connection = self.shared.transport.send(frame)?;
        stamps.written_ns = self.shared.clock.now_ns();
        self.sequence = self.sequence.max(if order.id.epoch == self.identity.epoch { order.id.sequence } else { 0 });
        self.pending.sent(Request::Place, order.id, connection, stamps.written_ns);
        Ok(())
    }

    /// Signs and frames an order that is not sent, so that the next one finds code and data in the processor's caches.
    pub fn rehearse(&mut self, instrument: InstrumentId, market_ns: i64) {
        let Some(symbol) = self.rules.symbol(instrument) else { return };
        let id = ClientOrderId { account: self.identity.account_tag, epoch: self.identity.epoch, sequence: 0 };
        let (side, time_in_force) = (Side::Buy, TimeInForce::ImmediateOrCancel);
        let order =
            Order { id, instrument, release: ReleaseId(0), bar_close_ns: 0, side, ticks: 1, lots: 1, time_in_force };
        let timestamp_ms = self.shared.time.timestamp_ms(market_ns);
        hint::black_box(self.composer.place(&order, &symbol.name, &symbol.instrument, timestamp_ms).is_ok());
    }

    /// Asks for the end of an order, on the same connection.
    ///
    /// # Errors
    /// [`NotSent`]: the venue never had it.
    pub fn cancel(&mut self, order: ClientOrderId, instrument: InstrumentId, market_ns: i64) -> Result<(), NotSent> {
        let symbol = self.rules.symbol(instrument).ok_or(NotSent::Unwritable)?;
        self.pending.room()?;
        let timestamp_ms = self.shared.time.timestamp_ms(market_ns);
        let frame = self.composer.cancel(order, &symbol.name, timestamp_ms);
        self.shared.weights().charge(Purpose::Cancel, WEIGHT, market_ns)?;
        let connection = self.shared.transport.send(frame)?;
        self.pending.sent(Request::Cancel, order, connection, self.shared.clock.now_ns());
        Ok(())
    }

    /// Asks what became of an order that was made at `made_ns` (market time). Answered by its reports, or by
    /// `NotFound`, and then by [`Venue::Answered`].
    ///
    /// # Errors
    /// [`NotSent::Busy`], [`NotSent::Ended`].
    pub fn query(&mut self, order: ClientOrderId, instrument: InstrumentId, made_ns: i64) -> Result<(), NotSent> {
        let is_awaited = self.pending.is_awaited(order);
        self.pending.room()?;
        self.ask(Question::Query { order, instrument, made_ns, is_awaited })?;
        self.pending.asked(order);
        Ok(())
    }

    /// Asks for the best prices of all symbols; they are given as of `market_ns`, the time of the question.
    ///
    /// # Errors
    /// [`NotSent::Busy`], [`NotSent::Ended`].
    pub fn ask_references(&mut self, market_ns: i64) -> Result<(), NotSent> {
        self.stand_at(market_ns);
        self.ask(Question::References { market_ns })?;
        self.pending.questions += 1;
        Ok(())
    }

    /// Asks the venue's clock; asked until it is answered.
    ///
    /// # Errors
    /// [`NotSent::Busy`], [`NotSent::Ended`].
    pub fn ask_time(&mut self) -> Result<(), NotSent> {
        self.ask(Question::Time)?;
        self.pending.questions += 1;
        Ok(())
    }

    /// Begins a round of reconciliation: `live` is every order that the engine holds to be alive. Its number. In
    /// lock-step the balances are as of `market_ns`.
    ///
    /// # Errors
    /// [`NotSent::Busy`], [`NotSent::Ended`].
    pub fn reconcile(&mut self, live: Vec<LiveOrder>, market_ns: i64) -> Result<u32, NotSent> {
        self.stand_at(market_ns);
        let Identity { account_tag, epoch } = self.identity;
        let horizon = Horizon { account_tag, epoch, sequence: self.sequence };
        let (round, awaiting) = (self.rounds + 1, self.pending.awaited());
        self.ask(Question::Reconcile { round, live, awaiting, horizon, market_ns })?;
        self.rounds = round;
        self.pending.questions += 1;
        Ok(round)
    }

    /// Takes note of an event of the gateway's threads; call it with each, in the order in which they are taken from
    /// the mailbox. On [`Venue::Lost`] it returns the orders whose place or cancel has become unanswered by that;
    /// otherwise nothing.
    pub fn heard(&mut self, event: &Venue) -> &[ClientOrderId] {
        self.pending.unanswered.clear();
        match event {
            Venue::Connected { connection } => {
                self.connections = *connection;
                self.is_connected = true;
            }
            Venue::Lost { connection, .. } => {
                self.is_connected = false;
                self.pending.lost(*connection);
            }
            Venue::Acknowledged { order, .. } => self.pending.placed(*order),
            Venue::Report { report, event: None, .. }
                if matches!(report.kind, ReportKind::Rejected { .. } | ReportKind::Unanswered) =>
            {
                self.pending.placed(report.order);
            }
            Venue::Answered { order } => self.pending.answered(*order),
            Venue::References { asked: true, .. } | Venue::VenueTime { .. } | Venue::Reconciled { .. } => {
                self.pending.questions = self.pending.questions.saturating_sub(1);
            }
            Venue::Report { .. } | Venue::Other { .. } | Venue::References { .. } | Venue::Balances(_) => {}
        }
        &self.pending.unanswered
    }

    /// Orders whose place or cancel should have been answered by now (monotonic); each is emitted once. Never any in
    /// lock-step.
    pub fn overdue(&mut self, now_ns: i64) -> &[ClientOrderId] {
        self.pending.unanswered.clear();
        if !self.shared.is_lockstep() {
            self.pending.overdue(now_ns - PATIENCE_NS);
        }
        &self.pending.unanswered
    }

    /// The events heard say that the connection stands.
    pub fn is_connected(&self) -> bool {
        self.is_connected
    }

    /// Requests and questions whose closing event has not been heard.
    pub fn outstanding(&self) -> usize {
        self.pending.outstanding()
    }

    /// Connections so far.
    pub fn connections(&self) -> u32 {
        self.connections
    }

    /// When the stream of best prices was heard last (monotonic): any frame counts, pings as well. None before the
    /// first and in lock-step.
    pub fn market_data_heard_ns(&self) -> Option<i64> {
        self.shared.market_data_heard_ns()
    }

    /// How much of each limit is used at `market_ns`.
    pub fn usage(&self, market_ns: i64) -> Vec<Usage> {
        self.shared.weights().usage(market_ns)
    }

    /// In lock-step the trader loop knows best where market time stands.
    fn stand_at(&self, market_ns: i64) {
        if self.shared.is_lockstep() {
            self.shared.time.note(market_ns, self.shared.clock.now_ns());
        }
    }

    fn ask(&self, question: Question) -> Result<(), NotSent> {
        self.questions.try_send(question).map_err(|error| match error {
            TrySendError::Full(_) => NotSent::Busy,
            TrySendError::Disconnected(_) => NotSent::Ended,
        })
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.shared.end();
    }
}

/// What cannot be meant.
fn check(settings: &VenueSettings) -> Result<(), GatewayError> {
    if settings.clock_mode == ClockMode::Lockstep && settings.control.is_none() {
        let expected =
            "the exchange's control address and token: in lock-step only they tell when a lost order is lost";
        return Err(GatewayError::Address { setting: "control_url", expected, got: "none".to_owned() });
    }
    let key = settings.api_key.reveal();
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        let message = "the key is not made of letters and digits".to_owned();
        return Err(GatewayError::Key { venue: settings.rest_url.clone(), code: BAD_KEY_FORMAT, message });
    }
    Ok(())
}

/// The venue's code for a key that cannot be one.
const BAD_KEY_FORMAT: i32 = -2014;

fn spawn(name: &'static str, work: impl FnOnce() + Send + 'static) -> Result<(), GatewayError> {
    let started = thread::Builder::new().name(name.into()).spawn(work);
    let failed = |error: std::io::Error| GatewayError::Thread { name, why: error.to_string() };
    started.map(drop).map_err(failed)
}
