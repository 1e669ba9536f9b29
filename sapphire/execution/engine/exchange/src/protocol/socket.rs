//! What both kinds of sockets share: heartbeats, an end of life, and events from many subscriptions in one queue.
//!
//! Invariant: a socket gets every event of its subscriptions in order, or is closed. Nothing is left out in silence: a
//! client that reads too slowly fills the bounded queue, then the matching service's own buffer, and is cut off.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use crate::matching::api::{Subscription, SubscriptionEnd};

/// How often a socket is pinged (the venue's documentation).
pub const PING_EVERY: Duration = Duration::from_secs(20);
/// How long a socket lives without answering (the venue's documentation).
pub const SILENCE: Duration = Duration::from_secs(60);
/// How long a socket lives (the venue's documentation).
pub const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// Events waiting for one socket before its subscriptions have to wait.
const QUEUE: usize = 256;

/// What is due on a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beat {
    /// Send a ping with this payload.
    Ping(u64),
    /// The client has been silent for too long.
    Silent,
    /// The connection has lived its day.
    Old,
}

/// When a socket was opened, pinged and heard from.
#[derive(Debug)]
pub struct Heart {
    opened: Instant,
    heard: Instant,
    pings: u64,
}

impl Heart {
    /// A socket opened now.
    pub fn new(now: Instant) -> Self {
        Self { opened: now, heard: now, pings: 0 }
    }

    /// What is due at a tick.
    pub fn beat(&mut self, now: Instant) -> Beat {
        if now.duration_since(self.opened) >= LIFETIME {
            return Beat::Old;
        }
        if now.duration_since(self.heard) >= SILENCE {
            return Beat::Silent;
        }
        self.pings += 1;
        Beat::Ping(self.pings)
    }

    /// A pong came; only one that answers a ping of ours counts.
    pub fn pong(&mut self, payload: &[u8], now: Instant) {
        let number: Option<u64> = std::str::from_utf8(payload).ok().and_then(|text| text.parse().ok());
        if number.is_some_and(|number| (1..=self.pings).contains(&number)) {
            self.heard = now;
        }
    }
}

/// Sends a message; false when the client is gone or takes none for a whole [`SILENCE`].
pub async fn send(socket: &mut WebSocket, message: Message) -> bool {
    matches!(tokio::time::timeout(SILENCE, socket.send(message)).await, Ok(Ok(())))
}

/// Waits until the exchange begins to shut down.
pub async fn shutting_down(shutdown: &mut watch::Receiver<bool>) {
    // An error says that the exchange is gone already.
    drop(shutdown.wait_for(|is_down| *is_down).await);
}

/// Says why and closes.
pub async fn close(mut socket: WebSocket, code: u16, reason: &'static str) {
    let frame = CloseFrame { code, reason: reason.into() };
    send(&mut socket, Message::Close(Some(frame))).await;
}

/// Why a socket is closed by the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The client went, or its connection broke.
    Gone,
    /// It did not answer pings.
    Silent,
    /// A day has passed.
    Old,
    /// It sent more than it may.
    TooMany,
    /// It reads more slowly than events happen.
    TooSlow,
    /// The exchange shuts down.
    Shutdown,
}

impl Ending {
    /// The close frame's code and reason; none for a client that is gone.
    pub fn frame(self) -> Option<(u16, &'static str)> {
        match self {
            Self::Gone => None,
            Self::Silent => Some((close_code::POLICY, "Pong timeout")),
            Self::Old => Some((close_code::NORMAL, "Connection is 24 hours old")),
            Self::TooMany => Some((close_code::POLICY, "Too many requests")),
            Self::TooSlow => Some((close_code::POLICY, "Client reads too slowly, events were missed")),
            Self::Shutdown => Some((close_code::AWAY, "Server shutdown")),
        }
    }
}

impl From<SubscriptionEnd> for Ending {
    fn from(end: SubscriptionEnd) -> Self {
        match end {
            SubscriptionEnd::TooSlow { .. } => Self::TooSlow,
            SubscriptionEnd::Closed => Self::Shutdown,
        }
    }
}

/// Events of many subscriptions, one after the other.
#[derive(Debug)]
pub struct Feeds<K, E> {
    sender: mpsc::Sender<Result<E, SubscriptionEnd>>,
    receiver: mpsc::Receiver<Result<E, SubscriptionEnd>>,
    tasks: HashMap<K, AbortHandle>,
}

impl<K: Eq + Hash, E: Send + 'static> Feeds<K, E> {
    /// No subscriptions yet.
    pub fn new() -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE);
        Self { sender, receiver, tasks: HashMap::new() }
    }

    /// Whether a subscription of this key runs.
    pub fn has(&self, key: &K) -> bool {
        self.tasks.contains_key(key)
    }

    /// Adds a subscription; `wrap` says whose events they are.
    pub fn add<T: Send + Sync + 'static>(
        &mut self,
        key: K,
        mut subscription: Subscription<T>,
        wrap: impl Fn(Arc<T>) -> E + Send + 'static,
    ) {
        let sender = self.sender.clone();
        let task = tokio::spawn(async move {
            loop {
                let event = subscription.next().await.map(&wrap);
                let is_over = event.is_err();
                if sender.send(event).await.is_err() || is_over {
                    return;
                }
            }
        });
        if let Some(before) = self.tasks.insert(key, task.abort_handle()) {
            before.abort();
        }
    }

    /// Ends a subscription.
    pub fn remove(&mut self, key: &K) {
        if let Some(task) = self.tasks.remove(key) {
            task.abort();
        }
    }

    /// Ends all subscriptions but those that `keep` wants.
    pub fn retain(&mut self, keep: impl Fn(&K) -> bool) {
        self.tasks.retain(|key, task| {
            let kept = keep(key);
            if !kept {
                task.abort();
            }
            kept
        });
    }

    /// The next event of any subscription; waits for ever when there is none.
    ///
    /// # Errors
    /// Why a subscription ended; the socket must be closed.
    pub async fn next(&mut self) -> Result<E, SubscriptionEnd> {
        self.receiver.recv().await.unwrap_or(Err(SubscriptionEnd::Closed))
    }
}

impl<K, E> Drop for Feeds<K, E> {
    fn drop(&mut self) {
        for task in self.tasks.values() {
            task.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_that_answers_lives_a_day() {
        let start = Instant::now();
        let mut heart = Heart::new(start);
        let ticks = LIFETIME.as_secs() / PING_EVERY.as_secs();
        for tick in 1..ticks {
            let now = start + PING_EVERY * tick as u32;
            assert_eq!(heart.beat(now), Beat::Ping(tick));
            heart.pong(tick.to_string().as_bytes(), now);
        }
        assert_eq!(heart.beat(start + LIFETIME), Beat::Old);
    }

    #[test]
    fn a_silent_socket_ends_after_a_minute() {
        let start = Instant::now();
        let mut heart = Heart::new(start);
        assert_eq!(heart.beat(start + PING_EVERY), Beat::Ping(1));
        assert_eq!(heart.beat(start + PING_EVERY * 2), Beat::Ping(2));
        assert_eq!(heart.beat(start + SILENCE), Beat::Silent);
    }

    #[test]
    fn a_pong_that_answers_nothing_does_not_count() {
        let start = Instant::now();
        let mut heart = Heart::new(start);
        heart.beat(start + PING_EVERY);
        for payload in [&b""[..], b"7", b"x"] {
            heart.pong(payload, start + PING_EVERY * 2);
        }
        assert_eq!(heart.beat(start + SILENCE), Beat::Silent);
    }
}
