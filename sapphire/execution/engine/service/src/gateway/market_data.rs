//! The thread that keeps the stream of best prices, where market time runs by itself.
//!
//! Invariants: at each connect the clock and the prices are asked by REST first, so nothing that was missed is
//! believed. A quote's time is never ahead of the venue's clock. What came within [`INTERVAL`] is emitted together, the
//! latest of each symbol; the last is emitted as well.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sapphire_core::instrument::InstrumentId;
use serde::Deserialize;
use tungstenite::Message;
use tungstenite::protocol::WebSocket;

use super::answers::quote;
use super::questions::Questions;
use super::shared::BackOff;
use super::socket::{self, Wire};
use super::transport::Transport;
use super::weights::Purpose;
use crate::events::{Quote, TraderEvent, Venue};
use crate::mailbox::{Channel, TraderGone};

/// How often quotes go to the trader loop, at most.
const INTERVAL: Duration = Duration::from_millis(20);
/// A venue pings every 20 s; a minute without a frame is a dead connection.
const SILENCE: Duration = Duration::from_secs(60);
/// Weight of a connection.
const WEIGHT: u32 = 2;

/// A message of a combined stream.
#[derive(Debug, Deserialize)]
struct Combined<'a> {
    #[serde(borrow)]
    data: Option<Ticker<'a>>,
}

/// `bookTicker`.
#[derive(Debug, Deserialize)]
struct Ticker<'a> {
    s: &'a str,
    b: &'a str,
    a: &'a str,
}

/// The thread of the stream.
#[derive(Debug)]
pub(super) struct MarketData {
    ask: Questions,
    host: String,
    channel: Channel,
    /// The latest that was not emitted, by instrument.
    latest: Vec<Option<Quote>>,
}

impl MarketData {
    pub(super) fn new(ask: Questions, host: String, channel: Channel) -> Self {
        let latest = vec![None; ask.rules.symbols.len()];
        Self { ask, host, channel, latest }
    }

    /// Works until the gateway or the trader loop ends.
    pub(super) fn run(mut self) {
        let mut back_off = BackOff::new();
        while !self.ask.shared.is_over() && !self.channel.is_abandoned() {
            match self.connect() {
                Ok((socket, quotes)) => {
                    back_off = BackOff::new();
                    let ended = self.emit(quotes).and_then(|()| self.listen(socket));
                    match ended {
                        Ok(why) => tracing::warn!(why, "the stream of best prices broke"),
                        Err(TraderGone) => return,
                    }
                }
                Err(why) => tracing::warn!(why, "no stream of best prices; it is tried again"),
            }
            self.ask.shared.sleep(back_off.next());
        }
    }

    fn connect(&mut self) -> Result<(WebSocket<Wire>, Vec<Quote>), String> {
        let shared = &self.ask.shared;
        let now_ns = shared.market_ns();
        shared.weights().count_anyway(Purpose::Question, WEIGHT, now_ns);
        let names: Vec<String> =
            self.ask.rules.symbols.iter().map(|symbol| format!("{}@bookTicker", symbol.name.to_lowercase())).collect();
        let path = format!("/stream?streams={}", names.join("/"));
        let socket = socket::connect(&self.host, &path, Arc::new(Transport::default()))?;
        socket.get_ref().set_patience(INTERVAL).map_err(|error| error.to_string())?;
        let time = self.ask.time().map_err(|error| error.to_string())?;
        let quotes = self.ask.quotes(time.market_ns).map_err(|error| error.to_string())?;
        Ok((socket, quotes))
    }

    /// Reads until the connection ends; why it did.
    fn listen(&mut self, mut socket: WebSocket<Wire>) -> Result<String, TraderGone> {
        let (mut heard, mut emitted) = (Instant::now(), Instant::now());
        loop {
            match socket.read() {
                Ok(message) => {
                    heard = Instant::now();
                    self.ask.shared.hear_market_data();
                    if let Err(why) = self.take(&message) {
                        return Ok(why);
                    }
                }
                Err(error) if socket::is_pause(&error) => {}
                Err(error) => return Ok(error.to_string()),
            }
            if emitted.elapsed() >= INTERVAL {
                emitted = Instant::now();
                let quotes: Vec<Quote> = self.latest.iter_mut().filter_map(Option::take).collect();
                self.emit(quotes)?;
            }
            if heard.elapsed() > SILENCE || self.ask.shared.is_over() {
                return Ok("nothing was heard for a minute".to_owned());
            }
        }
    }

    fn take(&mut self, message: &Message) -> Result<(), String> {
        let text = match message {
            Message::Text(text) => text.as_str(),
            Message::Close(_) => return Err("the venue closed it".to_owned()),
            _ => return Ok(()),
        };
        let read: Combined<'_> = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let Some(ticker) = read.data else { return Ok(()) };
        let Some(instrument) = self.ask.rules.instrument(ticker.s) else { return Ok(()) };
        let as_of_ns = self.ask.shared.market_ns();
        let quote =
            quote(&self.ask.rules, instrument, ticker.b, ticker.a, as_of_ns).map_err(|error| error.to_string())?;
        self.keep(instrument, quote);
        Ok(())
    }

    fn keep(&mut self, instrument: InstrumentId, quote: Option<Quote>) {
        if let Some(place) = self.latest.get_mut(instrument.0 as usize) {
            *place = quote;
        }
    }

    fn emit(&mut self, quotes: Vec<Quote>) -> Result<(), TraderGone> {
        if quotes.is_empty() {
            return Ok(());
        }
        self.channel.send(TraderEvent::Venue(Venue::References { quotes, asked: false }))
    }
}
