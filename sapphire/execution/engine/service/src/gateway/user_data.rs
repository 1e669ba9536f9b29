//! The thread that keeps the connection of orders: connects, subscribes, reads, and begins again when it breaks.
//!
//! Invariant: `Connected` comes before any event of its connection that the user stream brings after the subscription
//! was answered, `Lost` after all of them, and the two take turns. When `Lost` is sent the socket is closed and nothing
//! can be written on it.

use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tungstenite::Message;
use tungstenite::protocol::WebSocket;

use super::reports::{Came, Frame, Kind, Reports};
use super::requests::Composer;
use super::shared::{BackOff, GLANCE, Shared};
use super::socket::{self, HANDSHAKE, Wire};
use super::weights::Purpose;
use crate::events::{TraderEvent, Venue};
use crate::mailbox::{Channel, TraderGone};

/// The socket of orders.
const PATH: &str = "/ws-api/v3";
/// Weight of a connection, and of a subscription.
const WEIGHT: u32 = 2;
/// A venue pings every 20 s and gives up after a minute; so do we.
const SILENCE: Duration = Duration::from_secs(60);

/// Why a connection ended.
enum End {
    /// It broke; the connection is made again.
    Broken(String),
    /// Nobody listens any more.
    Gone,
}

impl From<TraderGone> for End {
    fn from(_: TraderGone) -> Self {
        Self::Gone
    }
}

/// The reading thread.
#[derive(Debug)]
pub(super) struct UserData {
    shared: Arc<Shared>,
    host: String,
    reports: Reports,
    composer: Composer,
    channel: Channel,
    connection: u32,
    events: Vec<Venue>,
}

impl UserData {
    pub(super) fn new(shared: Arc<Shared>, host: String, reports: Reports, channel: Channel) -> Self {
        let composer = Composer::new(&shared.settings);
        Self { shared, host, reports, composer, channel, connection: 0, events: Vec::with_capacity(4) }
    }

    /// Works until the gateway or the trader loop ends.
    pub(super) fn run(mut self) {
        let mut back_off = BackOff::new();
        while !self.shared.is_over() {
            match self.connect() {
                Ok(socket) => {
                    back_off = BackOff::new();
                    if self.listen(socket).is_err() {
                        return;
                    }
                }
                Err(End::Gone) => return,
                Err(End::Broken(why)) => tracing::warn!(why, "no connection for orders; it is tried again"),
            }
            self.shared.sleep(back_off.next());
        }
    }

    /// A connection whose user stream is subscribed.
    fn connect(&mut self) -> Result<WebSocket<Wire>, End> {
        self.charge();
        let transport = Arc::clone(&self.shared.transport);
        let mut socket = socket::connect(&self.host, PATH, transport).map_err(End::Broken)?;
        let deadline = Instant::now() + HANDSHAKE;
        self.charge();
        let timestamp_ms = self.shared.time.timestamp_ms(self.shared.market_ns());
        let frame = self.composer.subscribe(timestamp_ms);
        socket.get_mut().write_all(frame).map_err(|error| End::Broken(error.to_string()))?;
        loop {
            if Instant::now() > deadline {
                return Err(End::Broken("the subscription was not answered in time".to_owned()));
            }
            match self.read(&mut socket)? {
                Some(Kind::Subscribed(None)) => break,
                Some(Kind::Subscribed(Some((code, message)))) => {
                    return Err(End::Broken(format!("the user stream was refused: {code} {message}")));
                }
                _ => {}
            }
        }
        socket.get_ref().set_patience(GLANCE).map_err(|error| End::Broken(error.to_string()))?;
        Ok(socket)
    }

    /// Opens the transport, reads until the connection ends, and says so.
    fn listen(&mut self, mut socket: WebSocket<Wire>) -> Result<(), TraderGone> {
        let writer = match socket.get_ref().handle() {
            Ok(writer) => writer,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be used");
                return Ok(());
            }
        };
        self.connection += 1;
        let connection = self.connection;
        self.shared.transport.open(connection, writer);
        self.channel.send(TraderEvent::Venue(Venue::Connected { connection }))?;
        let mut heard = Instant::now();
        let why = loop {
            if self.shared.is_over() {
                return Ok(());
            }
            match self.read(&mut socket) {
                Ok(None) if heard.elapsed() > SILENCE => break "the venue has been silent for a minute".to_owned(),
                Ok(None) => {}
                Ok(Some(Kind::Ending(why))) => break why.to_owned(),
                Ok(Some(_)) => heard = Instant::now(),
                Err(End::Broken(why)) => break why,
                Err(End::Gone) => return Err(TraderGone),
            }
        };
        self.shared.transport.close();
        drop(socket);
        self.shared.count_loss();
        self.channel.send(TraderEvent::Venue(Venue::Lost { connection, why }))
    }

    /// Reads one message and passes its words on; none when nothing came in time.
    fn read(&mut self, socket: &mut WebSocket<Wire>) -> Result<Option<Kind>, End> {
        let message = match socket.read() {
            Ok(message) => message,
            Err(error) if socket::is_pause(&error) => return Ok(None),
            Err(error) => return Err(End::Broken(error.to_string())),
        };
        let received_ns = self.shared.clock.now_ns();
        let came = Came { market_ns: self.shared.time.now_ns(received_ns), received_ns };
        let text = match &message {
            Message::Text(text) => text.as_str(),
            Message::Close(frame) => {
                let why = frame.as_ref().map_or("no reason given", |frame| frame.reason.as_str());
                return Err(End::Broken(format!("the venue closed the connection: {why}")));
            }
            _ => return Ok(Some(Kind::Plain)),
        };
        let frame: Frame<'_> = serde_json::from_str(text)
            .map_err(|error| End::Broken(format!("the venue sent a message that cannot be read: {error}")))?;
        let kind = self.reports.take(&frame, came, &mut self.events);
        self.note_limits(&frame, &kind);
        for event in self.events.drain(..) {
            self.channel.send(TraderEvent::Venue(event))?;
        }
        Ok(Some(kind))
    }

    fn note_limits(&self, frame: &Frame<'_>, kind: &Kind) {
        if frame.rate_limits.is_empty() && matches!(kind, Kind::Plain) {
            return;
        }
        let now_ns = self.shared.market_ns();
        let mut weights = self.shared.weights();
        frame.rate_limits.iter().for_each(|reported| weights.correct(reported));
        match kind {
            Kind::Limited(until_ns) => weights.block_until(until_ns.unwrap_or(now_ns)),
            Kind::TooManyOrders => weights.fill_orders(),
            _ => {}
        }
    }

    fn charge(&self) {
        let now_ns = self.shared.market_ns();
        self.shared.weights().count_anyway(Purpose::Question, WEIGHT, now_ns);
    }
}
