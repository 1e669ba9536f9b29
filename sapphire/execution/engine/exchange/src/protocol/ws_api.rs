//! The WebSocket API: the endpoints of REST as JSON requests on one socket, and the user data stream beside them.
//!
//! Requests of one socket are answered one after the other, in the order in which they came, so two orders sent in a
//! row reach the matching service in that row. Known limitation: no session log-on, which needs Ed25519 keys; every
//! signed request carries its own signature.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::any;
use axum::{RequestExt, response::IntoResponse};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::time::{MissedTickBehavior, interval_at};

use super::Protocol;
use super::call::{Answer, Call, Security};
use super::endpoints;
use super::errors::{ErrorBody, Refusal};
use super::limits::{Allowance, OrderCount};
use super::params::Params;
use super::payload::{ms, user};
use super::rest;
use super::sign::sorted_payload;
use super::socket::{self, Beat, Ending, Feeds, Heart, PING_EVERY};
use crate::matching::api::UserEvent;
use sapphire_core::venue::AccountId;

/// Weight of a connection and of a subscription.
const SMALL_WEIGHT: u32 = 2;
/// Longest request.
const LONGEST_MESSAGE: usize = 64 * 1024;

/// The socket's path.
pub fn router() -> Router<Arc<Protocol>> {
    Router::new().route("/ws-api/v3", any(open))
}

async fn open(State(protocol): State<Arc<Protocol>>, request: Request) -> Response {
    let address = rest::address(request.extensions());
    let query = request.uri().query().unwrap_or_default().to_owned();
    let (_, charged) = protocol.charge(address, SMALL_WEIGHT);
    let hides_limits = Params::from_http(&query, "").map(|params| params.get("returnRateLimits") == Some("false"));
    let (upgrade, hides_limits) = match (charged, hides_limits) {
        (Ok(()), Ok(hides_limits)) => match request.extract::<WebSocketUpgrade, _>().await {
            Ok(upgrade) => (upgrade, hides_limits),
            Err(rejection) => return rejection.into_response(),
        },
        (Err(refusal), _) | (_, Err(refusal)) => return refusal.into_response(),
    };
    upgrade.max_message_size(LONGEST_MESSAGE).on_upgrade(move |socket| async move {
        let session = Session {
            protocol,
            address,
            shows_limits: !hides_limits,
            feeds: Feeds::new(),
            users: BTreeMap::new(),
            next_id: 0,
        };
        session.run(socket).await;
    })
}

/// One connection.
struct Session {
    protocol: Arc<Protocol>,
    address: IpAddr,
    shows_limits: bool,
    feeds: Feeds<u64, (u64, Arc<UserEvent>)>,
    /// Accounts by subscription id.
    users: BTreeMap<u64, AccountId>,
    /// The next subscription's id; one is never used again, so late events find nobody.
    next_id: u64,
}

/// A request as it comes.
#[derive(Deserialize)]
struct Incoming {
    id: Box<RawValue>,
    method: String,
    #[serde(default)]
    params: BTreeMap<String, Box<RawValue>>,
}

/// A response as it goes.
#[derive(Serialize)]
struct Outgoing<'a> {
    id: &'a RawValue,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorBody<'a>>,
    #[serde(rename = "rateLimits", skip_serializing_if = "Option::is_none")]
    rate_limits: Option<Vec<Allowance>>,
}

/// What a request came to.
struct Outcome {
    answer: Result<Answer, Refusal>,
    used_weight: u32,
    shows_limits: bool,
    /// Events to send behind the response.
    then: Vec<String>,
}

impl Session {
    async fn run(mut self, mut socket: WebSocket) {
        let mut heart = Heart::new(Instant::now());
        let mut pings = interval_at(tokio::time::Instant::now() + PING_EVERY, PING_EVERY);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut shutdown = self.protocol.matching.shutdown();
        let ending = loop {
            let outcome = tokio::select! {
                message = socket.recv() => match message {
                    Some(Ok(Message::Text(text))) => self.reply(&mut socket, &text).await,
                    Some(Ok(Message::Binary(bytes))) => {
                        self.reply(&mut socket, &String::from_utf8_lossy(&bytes)).await
                    }
                    Some(Ok(Message::Pong(payload))) => {
                        heart.pong(&payload, Instant::now());
                        Ok(())
                    }
                    Some(Ok(Message::Ping(_))) => Ok(()),
                    Some(Ok(Message::Close(_)) | Err(_)) | None => Err(Ending::Gone),
                },
                event = self.feeds.next() => match event {
                    Ok((id, event)) => self.emit(&mut socket, id, &event).await,
                    Err(end) => Err(end.into()),
                },
                _ = pings.tick() => match heart.beat(Instant::now()) {
                    Beat::Ping(number) => push(&mut socket, Message::Ping(number.to_string().into())).await,
                    Beat::Silent => Err(Ending::Silent),
                    Beat::Old => Err(Ending::Old),
                },
                () = socket::shutting_down(&mut shutdown) => Err(Ending::Shutdown),
            };
            if let Err(ending) = outcome {
                break ending;
            }
        };
        if ending == Ending::Shutdown {
            let text = format!(r#"{{"event":{{"e":"serverShutdown","E":{}}}}}"#, self.protocol.now_ms());
            socket::send(&mut socket, Message::Text(text.into())).await;
        }
        if let Some((code, reason)) = ending.frame() {
            socket::close(socket, code, reason).await;
        }
    }

    async fn emit(&mut self, socket: &mut WebSocket, id: u64, event: &UserEvent) -> Result<(), Ending> {
        if !self.users.contains_key(&id) {
            return Ok(());
        }
        match user::event(self.protocol.matching.catalog(), event) {
            Some(json) => push(socket, Message::Text(wrapped(id, &json).into())).await,
            None => Ok(()),
        }
    }

    async fn reply(&mut self, socket: &mut WebSocket, text: &str) -> Result<(), Ending> {
        let incoming = match serde_json::from_str::<Incoming>(text) {
            Ok(incoming) if is_id(incoming.id.get()) => incoming,
            _ => {
                let (used_weight, charged) = self.protocol.charge(self.address, 1);
                let refusal = charged.err().unwrap_or_else(Refusal::invalid_json);
                let shows_limits = self.shows_limits;
                let outcome = Outcome { answer: Err(refusal), used_weight, shows_limits, then: Vec::new() };
                return respond(socket, RawValue::NULL, outcome).await;
            }
        };
        let outcome = self.outcome(&incoming).await;
        respond(socket, &incoming.id, outcome).await
    }

    async fn outcome(&mut self, incoming: &Incoming) -> Outcome {
        let mut shows_limits = self.shows_limits;
        let (weight, params) = match Params::from_json(&incoming.params) {
            Ok(params) => {
                if let Some(shows) = params.get("returnRateLimits") {
                    shows_limits = shows == "true";
                }
                let endpoint = endpoints::by_method(&incoming.method);
                (endpoint.map_or(SMALL_WEIGHT, |endpoint| (endpoint.weight)(&params)), Ok(params))
            }
            Err(refusal) => (1, Err(refusal)),
        };
        let (used_weight, charged) = self.protocol.charge(self.address, weight);
        let mut then = Vec::new();
        let answer = match (charged, params) {
            (Ok(()), Ok(params)) => self.answer(&incoming.method, &params, &mut then).await,
            (Err(refusal), _) | (_, Err(refusal)) => Err(refusal),
        };
        Outcome { answer, used_weight, shows_limits, then }
    }

    async fn answer(&mut self, method: &str, params: &Params, then: &mut Vec<String>) -> Result<Answer, Refusal> {
        match method.strip_prefix("v3/").unwrap_or(method) {
            "userDataStream.subscribe.signature" => self.subscribe(params).await,
            "userDataStream.unsubscribe" => self.unsubscribe(params, then),
            "session.subscriptions" => {
                params.check_known(&[], false)?;
                Answer::of(&self.users.keys().map(|id| Subscribed { subscription_id: *id }).collect::<Vec<_>>())
            }
            _ => {
                let endpoint = endpoints::by_method(method).ok_or_else(Refusal::unknown_method)?;
                let is_signed = endpoint.security == Security::Signed;
                let caller = if is_signed { Some(self.account(params)?) } else { None };
                params.check_known(endpoint.takes, is_signed)?;
                (endpoint.answer)(&Call { protocol: &self.protocol, params, caller }).await
            }
        }
    }

    fn account(&self, params: &Params) -> Result<AccountId, Refusal> {
        let payload = sorted_payload(params.pairs());
        Ok(self.protocol.authorise(params.get("apiKey"), params, &[&payload])?.account)
    }

    async fn subscribe(&mut self, params: &Params) -> Result<Answer, Refusal> {
        let account = self.account(params)?;
        params.check_known(&[], true)?;
        if self.users.values().any(|subscribed| *subscribed == account) {
            return Err(Refusal::subscription_active());
        }
        let subscription = self.protocol.matching.subscribe_user(account).await?;
        let id = self.next_id;
        self.next_id += 1;
        self.users.insert(id, account);
        self.feeds.add(id, subscription, move |event| (id, event));
        Answer::of(&Subscribed { subscription_id: id })
    }

    /// Ends one subscription, or all when none is named; each is sent that its stream ended.
    fn unsubscribe(&mut self, params: &Params, then: &mut Vec<String>) -> Result<Answer, Refusal> {
        params.check_known(&["subscriptionId"], false)?;
        let ids: Vec<u64> = match params.integer("subscriptionId")? {
            Some(id) => vec![id.unsigned_abs()],
            None => self.users.keys().copied().collect(),
        };
        if ids.is_empty() || !ids.iter().all(|id| self.users.contains_key(id)) {
            return Err(Refusal::subscription_inactive());
        }
        for id in ids {
            self.users.remove(&id);
            self.feeds.remove(&id);
            let ended = format!(r#"{{"e":"eventStreamTerminated","E":{}}}"#, ms(self.protocol.matching.now_ns()));
            then.push(wrapped(id, &ended));
        }
        Ok(Answer::empty())
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Subscribed {
    subscription_id: u64,
}

async fn respond(socket: &mut WebSocket, id: &RawValue, outcome: Outcome) -> Result<(), Ending> {
    let is_banned = matches!(&outcome.answer, Err(refusal) if refusal.status.as_u16() == 418);
    let text = response(id, &outcome).map_err(|_| Ending::Gone)?;
    push(socket, Message::Text(text.into())).await?;
    for event in outcome.then {
        push(socket, Message::Text(event.into())).await?;
    }
    if is_banned { Err(Ending::TooMany) } else { Ok(()) }
}

fn response(id: &RawValue, outcome: &Outcome) -> serde_json::Result<String> {
    let orders = outcome.answer.as_ref().ok().and_then(|answer| answer.orders);
    let rate_limits = outcome.shows_limits.then(|| limits(outcome.used_weight, orders));
    match &outcome.answer {
        Ok(answer) => {
            let result = Some(serde_json::from_str::<&RawValue>(&answer.json)?);
            serde_json::to_string(&Outgoing { id, status: 200, result, error: None, rate_limits })
        }
        Err(refusal) => {
            let (status, error) = (refusal.status.as_u16(), Some(refusal.nested()));
            serde_json::to_string(&Outgoing { id, status, result: None, error, rate_limits })
        }
    }
}

fn limits(used_weight: u32, orders: Option<OrderCount>) -> Vec<Allowance> {
    let mut limits = Vec::with_capacity(3);
    if orders.is_some() {
        limits.extend(Allowance::orders(orders));
    }
    limits.push(Allowance::weight(Some(used_weight)));
    limits
}

fn wrapped(id: u64, event: &str) -> String {
    format!(r#"{{"subscriptionId":{id},"event":{event}}}"#)
}

/// A number, a string or null.
fn is_id(raw: &str) -> bool {
    raw == "null" || raw.starts_with(|first: char| first == '"' || first == '-' || first.is_ascii_digit())
}

async fn push(socket: &mut WebSocket, message: Message) -> Result<(), Ending> {
    if socket::send(socket, message).await { Ok(()) } else { Err(Ending::Gone) }
}
