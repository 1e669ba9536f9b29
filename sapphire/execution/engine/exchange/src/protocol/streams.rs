//! The stream sockets: public events of symbols, raw or combined, on every path that the venue's clients use.
//!
//! A raw socket (`/ws`) sends events as they are, a combined one (`/stream`) wraps each with the name of its stream.
//! ccxt numbers its sockets (`/stream/ws/17`); such a number is no stream.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use sapphire_core::instrument::InstrumentId;
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval_at, sleep_until};

use super::Protocol;
use super::errors::Refusal;
use super::params::Params;
use super::payload::market::Depth;
use super::socket::{self, Beat, Ending, Feeds, Heart, PING_EVERY};
use crate::matching::api::{Interval, KlineUpdate, MarketUpdate};

mod command;
mod name;
mod outbox;
mod traffic;

use command::{Command, Mistake};
use name::{Stream, Topic};
use outbox::Outbox;
use traffic::Traffic;

/// Streams that one socket may have (the venue's documentation).
const MOST_STREAMS: usize = 1024;
/// Longest message of a client: a SUBSCRIBE of all its streams.
const LONGEST_MESSAGE: usize = 64 * 1024;

/// The sockets' paths.
pub fn router() -> Router<Arc<Protocol>> {
    Router::new()
        .route("/ws", any(open_raw))
        .route("/ws/{*streams}", any(open_raw_with))
        .route("/stream", any(open_combined))
        .route("/stream/ws", any(open_raw))
        .route("/stream/ws/{*streams}", any(open_raw_with))
        .route("/stream/stream", any(open_combined))
}

async fn open_raw(State(protocol): State<Arc<Protocol>>, upgrade: WebSocketUpgrade) -> Response {
    open(protocol, upgrade, "", Envelope::Raw).await
}

async fn open_raw_with(
    State(protocol): State<Arc<Protocol>>,
    Path(streams): Path<String>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let is_number = streams.bytes().all(|byte| byte.is_ascii_digit());
    open(protocol, upgrade, if is_number { "" } else { &streams }, Envelope::Raw).await
}

async fn open_combined(
    State(protocol): State<Arc<Protocol>>,
    RawQuery(query): RawQuery,
    upgrade: WebSocketUpgrade,
) -> Response {
    match Params::from_http(query.as_deref().unwrap_or_default(), "") {
        Ok(params) => open(protocol, upgrade, params.get("streams").unwrap_or_default(), Envelope::Combined).await,
        Err(refusal) => refusal.into_response(),
    }
}

/// Opens a socket whose streams run before the client hears that it is open, so that it misses nothing from there on.
async fn open(protocol: Arc<Protocol>, upgrade: WebSocketUpgrade, names: &str, envelope: Envelope) -> Response {
    let names: Vec<String> = names.split('/').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    let mut session = Session { protocol, envelope, outbox: Outbox::default(), feeds: Feeds::new() };
    if session.subscribe(names).await.is_err() {
        return Refusal::bad_value("streams").into_response();
    }
    upgrade.max_message_size(LONGEST_MESSAGE).on_upgrade(|socket| session.run(socket))
}

/// Whether events carry the name of their stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Envelope {
    Raw,
    Combined,
}

/// What a socket listens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Source {
    Market(InstrumentId),
    Kline(InstrumentId, Interval),
}

/// What it hears.
#[derive(Debug)]
enum Event {
    Market(InstrumentId, Arc<MarketUpdate>),
    Kline(Arc<KlineUpdate>),
}

/// One connection.
struct Session {
    protocol: Arc<Protocol>,
    envelope: Envelope,
    outbox: Outbox,
    feeds: Feeds<Source, Event>,
}

impl Session {
    async fn run(mut self, mut socket: WebSocket) {
        let ending = self.serve(&mut socket).await;
        if ending == Ending::Shutdown {
            let text = format!(r#"{{"e":"serverShutdown","E":{}}}"#, self.protocol.now_ms());
            socket::send(&mut socket, Message::Text(text.into())).await;
        }
        if let Some((code, reason)) = ending.frame() {
            socket::close(socket, code, reason).await;
        }
    }

    async fn serve(&mut self, socket: &mut WebSocket) -> Ending {
        let mut heart = Heart::new(Instant::now());
        let mut traffic = Traffic::default();
        let mut pings = interval_at(tokio::time::Instant::now() + PING_EVERY, PING_EVERY);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut shutdown = self.protocol.matching.shutdown();
        loop {
            let deadline = self.outbox.deadline();
            let outcome = tokio::select! {
                message = socket.recv() => match message {
                    Some(Ok(Message::Close(_)) | Err(_)) | None => Err(Ending::Gone),
                    Some(Ok(message)) => {
                        let now = Instant::now();
                        if let Message::Pong(payload) = &message {
                            heart.pong(payload, now);
                        }
                        if traffic.allows(now) { self.hear(socket, message).await } else { Err(Ending::TooMany) }
                    }
                },
                event = self.feeds.next() => match event {
                    Ok(event) => self.emit(socket, &event).await,
                    Err(end) => Err(end.into()),
                },
                () = sleep_until(deadline.unwrap_or_else(Instant::now).into()), if deadline.is_some() => {
                    let messages = self.outbox.flush(self.protocol.matching.catalog());
                    self.send(socket, messages).await
                }
                _ = pings.tick() => match heart.beat(Instant::now()) {
                    Beat::Ping(number) => push(socket, Message::Ping(number.to_string().into())).await,
                    Beat::Silent => Err(Ending::Silent),
                    Beat::Old => Err(Ending::Old),
                },
                () = socket::shutting_down(&mut shutdown) => Err(Ending::Shutdown),
            };
            if let Err(ending) = outcome {
                return ending;
            }
        }
    }

    async fn hear(&mut self, socket: &mut WebSocket, message: Message) -> Result<(), Ending> {
        let text = match message {
            Message::Text(text) => text.to_string(),
            Message::Binary(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) => return Ok(()),
        };
        let (id, command) = command::parse(&text);
        let result = match command {
            Ok(command) => self.obey(command).await,
            Err(mistake) => Err(mistake),
        };
        let reply = match result {
            Ok(result) => json!({"result": result, "id": id}),
            Err(mistake) => json!({"error": {"code": mistake.code, "msg": mistake.msg}, "id": id}),
        };
        push(socket, Message::Text(reply.to_string().into())).await
    }

    async fn obey(&mut self, command: Command) -> Result<Value, Mistake> {
        match command {
            Command::Subscribe(names) => {
                self.subscribe(names).await?;
                Ok(Value::Null)
            }
            Command::Unsubscribe(names) => {
                for name in names {
                    self.outbox.end(&name);
                }
                self.drop_unused();
                Ok(Value::Null)
            }
            Command::List => Ok(self.outbox.streams().map(|stream| Value::from(stream.name.as_str())).collect()),
            Command::SetCombined(combined) => {
                self.envelope = if combined { Envelope::Combined } else { Envelope::Raw };
                Ok(Value::Null)
            }
            Command::GetCombined => Ok(Value::Bool(self.envelope == Envelope::Combined)),
        }
    }

    /// Begins all of these streams or none of them.
    async fn subscribe(&mut self, names: Vec<String>) -> Result<(), Mistake> {
        let parse = |name: &String| Stream::parse(name, self.protocol.matching.catalog());
        let streams: Option<Vec<Stream>> = names.iter().map(parse).collect();
        let streams = streams.ok_or_else(|| Mistake::invalid("invalid stream"))?;
        if self.outbox.streams().count() + streams.len() > MOST_STREAMS {
            return Err(Mistake::invalid(&format!("more than {MOST_STREAMS} streams on one connection")));
        }
        for stream in streams {
            for source in sources(&stream, self.protocol.matching.catalog().instruments()) {
                self.listen(source).await.map_err(|_| Mistake::invalid("the exchange is shutting down"))?;
            }
            self.outbox.begin(stream);
        }
        Ok(())
    }

    async fn listen(&mut self, source: Source) -> Result<(), crate::matching::api::MatchingError> {
        if self.feeds.has(&source) {
            return Ok(());
        }
        match source {
            Source::Market(instrument) => {
                let subscription = self.protocol.matching.subscribe_market(instrument)?;
                self.feeds.add(source, subscription, move |update| Event::Market(instrument, update));
            }
            Source::Kline(instrument, interval) => {
                let subscription = self.protocol.matching.subscribe_klines(instrument, interval).await?;
                self.feeds.add(source, subscription, Event::Kline);
            }
        }
        Ok(())
    }

    fn drop_unused(&mut self) {
        let catalog = self.protocol.matching.catalog();
        let used: Vec<Source> =
            self.outbox.streams().flat_map(|stream| sources(stream, catalog.instruments())).collect();
        self.feeds.retain(|source| used.contains(source));
    }

    async fn emit(&mut self, socket: &mut WebSocket, event: &Event) -> Result<(), Ending> {
        let catalog = self.protocol.matching.catalog();
        let messages = match event {
            Event::Market(instrument, update) => self.outbox.market(catalog, *instrument, update, Instant::now()),
            Event::Kline(update) => self.outbox.kline(catalog, update),
        };
        self.send(socket, messages).await
    }

    async fn send(&mut self, socket: &mut WebSocket, messages: Vec<outbox::Message>) -> Result<(), Ending> {
        for message in messages {
            let (stream, json) = match message {
                outbox::Message::Ready { stream, json } => (stream, json),
                outbox::Message::Levels { stream, instrument, levels } => {
                    let matching = &self.protocol.matching;
                    let depth = matching.depth(instrument, levels).await.map_err(|_| Ending::Shutdown)?;
                    let Some(symbol) = matching.catalog().symbol(instrument) else { continue };
                    let Ok(json) = serde_json::to_string(&Depth::of(symbol, &depth)) else { continue };
                    (stream, json)
                }
            };
            let text = match self.envelope {
                Envelope::Raw => json,
                Envelope::Combined => format!(r#"{{"stream":"{}","data":{json}}}"#, self.outbox.name(stream)),
            };
            push(socket, Message::Text(text.into())).await?;
        }
        Ok(())
    }
}

fn sources(stream: &Stream, all: impl Iterator<Item = InstrumentId>) -> Vec<Source> {
    match (stream.topic, stream.instrument) {
        (Topic::Kline(interval), Some(instrument)) => vec![Source::Kline(instrument, interval)],
        (_, Some(instrument)) => vec![Source::Market(instrument)],
        (_, None) => all.map(Source::Market).collect(),
    }
}

async fn push(socket: &mut WebSocket, message: Message) -> Result<(), Ending> {
    if socket::send(socket, message).await { Ok(()) } else { Err(Ending::Gone) }
}
