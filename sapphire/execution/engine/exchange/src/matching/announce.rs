//! The matching service's bounded streams.
//!
//! Invariant: a subscriber that falls behind by a whole buffer is sent so and gets nothing more. While market time is
//! being advanced the matching service gives readers time to catch up, but not for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sapphire_core::instrument::InstrumentId;
use sapphire_core::venue::AccountId;
use tokio::sync::broadcast;

use super::api::{MarketUpdate, Subscription, UserEvent};

/// Events a subscriber may be behind.
pub(crate) const BUFFER: usize = 8_192;

/// From here on an advance waits for its readers.
const CROWDED: usize = BUFFER / 2;

/// How long an advance waits for a reader that does not read.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often it looks.
const GLANCE: Duration = Duration::from_micros(200);

/// One stream; clones send to the same subscribers.
#[derive(Clone, Debug)]
pub(crate) struct Stream<T> {
    sender: broadcast::Sender<Arc<T>>,
    /// A reader had its time and did not read: nobody waits for this stream until it has been read again.
    is_given_up: Arc<AtomicBool>,
}

impl<T> Stream<T> {
    pub(crate) fn new() -> Self {
        Self { sender: broadcast::channel(BUFFER).0, is_given_up: Arc::default() }
    }

    /// The events from now on.
    pub(crate) fn subscribe(&self) -> Subscription<T> {
        Subscription::new(self.sender.subscribe())
    }

    /// Somebody listens.
    pub(crate) fn is_heard(&self) -> bool {
        self.sender.receiver_count() > 0
    }

    /// Sends to whoever listens; `make` runs only when somebody does.
    pub(crate) fn send(&self, make: impl FnOnce() -> T) {
        if self.is_heard() {
            // Fails only when the last listener left in between.
            let _ = self.sender.send(Arc::new(make()));
        }
    }

    /// Waits until the readers have caught up or have had their time.
    pub(crate) fn let_catch_up(&self) {
        self.let_catch_up_for(PATIENCE);
    }

    fn let_catch_up_for(&self, patience: Duration) {
        let is_crowded = || self.sender.len() > CROWDED && self.is_heard();
        if !is_crowded() {
            self.is_given_up.store(false, Ordering::Relaxed);
            return;
        }
        if self.is_given_up.load(Ordering::Relaxed) {
            return;
        }
        let deadline = Instant::now() + patience;
        while is_crowded() && Instant::now() < deadline {
            std::thread::sleep(GLANCE);
        }
        self.is_given_up.store(is_crowded(), Ordering::Relaxed);
    }
}

/// Streams of accounts and of instruments.
#[derive(Debug)]
pub(crate) struct Channels {
    users: Vec<Stream<UserEvent>>,
    market: Arc<[Stream<MarketUpdate>]>,
}

impl Channels {
    pub(crate) fn new(instruments: usize) -> Self {
        Self { users: Vec::new(), market: (0..instruments).map(|_| Stream::new()).collect() }
    }

    pub(crate) fn open_account(&mut self) {
        self.users.push(Stream::new());
    }

    pub(crate) fn market_streams(&self) -> Arc<[Stream<MarketUpdate>]> {
        Arc::clone(&self.market)
    }

    pub(crate) fn subscribe_user(&self, account: AccountId) -> Option<Subscription<UserEvent>> {
        self.users.get(account.0 as usize).map(Stream::subscribe)
    }

    pub(crate) fn user(&self, event: UserEvent) {
        if let Some(stream) = self.users.get(event.account.0 as usize) {
            stream.send(|| event);
        }
    }

    pub(crate) fn market(&self, instrument: InstrumentId, make: impl FnOnce() -> MarketUpdate) {
        if let Some(stream) = self.market.get(instrument.0 as usize) {
            stream.send(make);
        }
    }

    pub(crate) fn is_heard(&self, instrument: InstrumentId) -> bool {
        self.market.get(instrument.0 as usize).is_some_and(Stream::is_heard)
    }

    pub(crate) fn let_readers_catch_up(&self) {
        self.market.iter().for_each(Stream::let_catch_up);
        self.users.iter().for_each(Stream::let_catch_up);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matching::api::SubscriptionEnd;

    #[tokio::test]
    async fn a_slow_subscriber_is_cut_off_and_never_skips_in_silence() {
        let stream = Stream::<u64>::new();
        let mut quick = stream.subscribe();
        let mut slow = stream.subscribe();
        for number in 0..(BUFFER as u64 + 3) {
            stream.send(|| number);
            assert_eq!(quick.next().await.as_deref(), Ok(&number));
        }
        assert!(matches!(slow.next().await, Err(SubscriptionEnd::TooSlow { missed }) if missed >= 3));
        drop(stream);
        assert_eq!(quick.next().await, Err(SubscriptionEnd::Closed));
    }

    #[test]
    fn an_advance_waits_for_a_reader_but_not_for_one_that_left() {
        let stream = Stream::<u64>::new();
        let reading = stream.subscribe();
        (0..=CROWDED as u64).for_each(|number| stream.send(|| number));
        let reader = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(30));
            drop(reading);
        });
        let began = Instant::now();
        stream.let_catch_up();
        assert!(began.elapsed() >= Duration::from_millis(25) && began.elapsed() < PATIENCE);
        reader.join().unwrap();
    }

    #[tokio::test]
    async fn a_reader_that_does_not_read_is_waited_for_once() {
        let stream = Stream::<u64>::new();
        let mut stuck = stream.subscribe();
        (0..=CROWDED as u64).for_each(|number| stream.send(|| number));
        let patience = Duration::from_millis(40);
        for expected in [patience, Duration::ZERO] {
            let began = Instant::now();
            stream.let_catch_up_for(patience);
            let waited = began.elapsed();
            assert!(waited >= expected && waited < expected + patience, "{waited:?}");
        }
        // It reads again, so it is waited for again.
        stuck.next().await.unwrap();
        stream.let_catch_up_for(patience);
        assert!(!stream.is_given_up.load(Ordering::Relaxed));
    }
}
