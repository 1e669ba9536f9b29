//! Bounded channels with one sender each, and the one thread that reads them all.
//!
//! Invariant: what one channel carries comes out in the order it went in, and nothing is dropped: a full channel makes
//! its sender wait. The reader blocks while there is nothing to read, after it has looked for as long as it was told
//! to.
//!
//! Known limitation: channels are served in turn, so events of different channels have no order among each other.

use std::hint;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, OnceLock};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use rtrb::{Consumer, Producer, PushError, RingBuffer};

use crate::events::TraderEvent;

/// Room of a channel where nobody says otherwise.
const CHANNEL_ROOM: usize = 1_024;

/// How long a sender sleeps before it looks again whether there is room.
const FULL_PAUSE: Duration = Duration::from_micros(50);

/// How long a reader waits for an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// In all.
    pub timeout: Duration,
    /// Looking again and again, without giving up the processor, before it sleeps.
    pub spin: Duration,
}

impl From<Duration> for Patience {
    /// Asleep from the start.
    fn from(timeout: Duration) -> Self {
        Self { timeout, spin: Duration::ZERO }
    }
}

/// The reader is gone; nothing that is sent would be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the trader loop has ended")]
pub struct TraderGone;

#[derive(Debug, Default)]
struct Bell {
    parked: AtomicBool,
    /// Somebody wants the reader to look around.
    nudged: AtomicBool,
    reader: OnceLock<Thread>,
}

impl Bell {
    fn ring(&self) {
        fence(Ordering::SeqCst);
        if self.parked.swap(false, Ordering::SeqCst)
            && let Some(reader) = self.reader.get()
        {
            reader.unpark();
        }
    }
}

/// Ends the reader's wait without an event.
#[derive(Clone, Debug)]
pub struct Waker(Arc<Bell>);

impl Waker {
    /// The reader's present or next wait ends at once.
    pub fn wake(&self) {
        self.0.nudged.store(true, Ordering::SeqCst);
        self.0.ring();
    }
}

/// The sender's end of a bell. It rings a last time when the sender goes.
#[derive(Debug)]
struct Rope(Arc<Bell>);

impl Drop for Rope {
    fn drop(&mut self) {
        self.0.ring();
    }
}

/// The sending end of a channel.
#[derive(Debug)]
pub struct Channel<T = TraderEvent> {
    // In this order: the reader is rung for when the ring is abandoned already.
    ring: Producer<T>,
    bell: Rope,
}

impl<T> Channel<T> {
    /// Sends; waits while the channel is full.
    ///
    /// # Errors
    /// [`TraderGone`].
    pub fn send(&mut self, event: T) -> Result<(), TraderGone> {
        let mut event = event;
        loop {
            match self.try_send(event) {
                Ok(()) => return Ok(()),
                Err(_) if self.ring.is_abandoned() => return Err(TraderGone),
                Err(back) => event = back,
            }
            thread::sleep(FULL_PAUSE);
        }
    }

    /// Sends if there is room.
    ///
    /// # Errors
    /// The event, where there is none or nobody reads any more.
    pub fn try_send(&mut self, event: T) -> Result<(), T> {
        if self.ring.is_abandoned() {
            return Err(event);
        }
        self.ring.push(event).map_err(|PushError::Full(event)| event)?;
        self.bell.0.ring();
        Ok(())
    }

    /// Nobody reads any more.
    pub fn is_abandoned(&self) -> bool {
        self.ring.is_abandoned()
    }

    /// Events that wait in it.
    pub fn waiting(&self) -> usize {
        self.ring.buffer().capacity() - self.ring.slots()
    }
}

/// The reading end of all channels. One thread reads it, from the first time on.
#[derive(Debug)]
pub struct Mailbox<T = TraderEvent> {
    channels: Vec<Consumer<T>>,
    bell: Arc<Bell>,
    turn: usize,
}

impl<T> Mailbox<T> {
    /// A mailbox with so many channels.
    #[must_use]
    pub fn new(channels: usize) -> (Self, Vec<Channel<T>>) {
        Self::with_room(channels, CHANNEL_ROOM)
    }

    /// A mailbox with so many channels, each with room for so many events.
    #[must_use]
    pub fn with_room(channels: usize, room: usize) -> (Self, Vec<Channel<T>>) {
        let bell = Arc::new(Bell::default());
        let (senders, readers) = (0..channels)
            .map(|_| {
                let (ring, reader) = RingBuffer::new(room);
                (Channel { ring, bell: Rope(Arc::clone(&bell)) }, reader)
            })
            .unzip();
        (Self { channels: readers, bell, turn: 0 }, senders)
    }

    /// The next event, waiting for it as long as `timeout`.
    pub fn next(&mut self, timeout: Duration) -> Option<T> {
        self.next_if(timeout.into(), |_, _| true)
    }

    /// The next event that `admits`, asked with the channel's number, lets in; a channel whose first event it does not
    /// let in keeps its words.
    pub fn next_if(&mut self, patience: Patience, admits: impl Fn(usize, &T) -> bool) -> Option<T> {
        if let Some(event) = self.poll(&admits) {
            return Some(event);
        }
        if patience.timeout.is_zero() {
            return None;
        }
        let began = Instant::now();
        let deadline = began + patience.timeout;
        while began.elapsed() < patience.spin.min(patience.timeout) {
            hint::spin_loop();
            let event = self.poll(&admits);
            if event.is_some() || self.bell.nudged.swap(false, Ordering::SeqCst) {
                return event;
            }
        }
        self.bell.reader.get_or_init(thread::current);
        loop {
            self.bell.parked.store(true, Ordering::SeqCst);
            fence(Ordering::SeqCst);
            let event = self.poll(&admits);
            let is_nudged = self.bell.nudged.swap(false, Ordering::SeqCst);
            let left = deadline.saturating_duration_since(Instant::now());
            if event.is_some() || is_nudged || left.is_zero() || self.is_over() {
                self.bell.parked.store(false, Ordering::SeqCst);
                return event;
            }
            thread::park_timeout(left);
        }
    }

    /// What ends a wait of the reader.
    #[must_use]
    pub fn waker(&self) -> Waker {
        Waker(Arc::clone(&self.bell))
    }

    /// Events that wait, by channel.
    pub fn waiting(&self) -> impl Iterator<Item = usize> {
        self.channels.iter().map(Consumer::slots)
    }

    /// Every sender is gone and nothing waits.
    pub fn is_over(&self) -> bool {
        self.channels.iter().all(|channel| channel.is_abandoned() && channel.is_empty())
    }

    fn poll(&mut self, admits: &impl Fn(usize, &T) -> bool) -> Option<T> {
        let count = self.channels.len();
        for place in (self.turn..self.turn + count).map(|place| place % count) {
            let channel = &mut self.channels[place];
            if channel.peek().is_ok_and(|event| admits(place, event)) {
                self.turn = place + 1;
                return channel.pop().ok();
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(10);

    #[test]
    fn every_event_of_every_channel_comes_out_in_its_order() {
        let (mut mailbox, channels) = Mailbox::<(usize, u32)>::with_room(3, 4);
        let senders: Vec<_> = channels
            .into_iter()
            .enumerate()
            .map(|(place, mut channel)| {
                thread::spawn(move || (0..2_000).try_for_each(|event| channel.send((place, event))))
            })
            .collect();
        let mut next = [0; 3];
        for _ in 0..6_000 {
            let (place, event) = mailbox.next(LONG).unwrap();
            assert_eq!(event, next[place]);
            next[place] += 1;
        }
        for sender in senders {
            assert_eq!(sender.join().unwrap(), Ok(()));
        }
        assert!(mailbox.is_over() && mailbox.next(Duration::ZERO).is_none());
    }

    #[test]
    fn a_reader_that_sleeps_is_woken() {
        let (mut mailbox, mut channels) = Mailbox::<u32>::new(1);
        let reader = thread::spawn(move || mailbox.next(LONG));
        thread::sleep(Duration::from_millis(20));
        channels[0].send(7).unwrap();
        let began = Instant::now();
        assert_eq!(reader.join().unwrap(), Some(7));
        assert!(began.elapsed() < LONG / 2);
    }

    #[test]
    fn a_reader_that_looks_again_and_again_finds_events_and_gives_up_in_time() {
        let (mut mailbox, mut channels) = Mailbox::<u32>::new(1);
        let awake = Patience { timeout: LONG, spin: LONG };
        let waker = mailbox.waker();
        let reader = thread::spawn(move || {
            let events = (mailbox.next_if(awake, |_, _| true), mailbox.next_if(awake, |_, _| true));
            let began = Instant::now();
            let short = Patience { timeout: Duration::from_millis(5), spin: LONG };
            (events, mailbox.next_if(short, |_, _| true), began.elapsed())
        });
        thread::sleep(Duration::from_millis(5));
        channels[0].send(7).unwrap();
        thread::sleep(Duration::from_millis(5));
        waker.wake();
        let (events, late, took) = reader.join().unwrap();
        assert_eq!((events, late), ((Some(7), None), None));
        assert!(took >= Duration::from_millis(5) && took < LONG / 2, "{took:?}");
    }

    #[test]
    fn a_reader_can_be_woken_without_an_event() {
        let (mut mailbox, _lanes) = Mailbox::<u32>::new(1);
        let waker = mailbox.waker();
        let began = Instant::now();
        waker.wake();
        assert_eq!(mailbox.next(LONG), None);
        assert!(began.elapsed() < LONG / 2);
    }

    #[test]
    fn a_channel_that_is_not_let_in_keeps_its_events_and_holds_no_other_up() {
        let (mut mailbox, mut channels) = Mailbox::<u32>::new(2);
        channels[0].send(1).unwrap();
        channels[1].send(2).unwrap();
        channels[1].send(3).unwrap();
        assert_eq!(mailbox.next_if(Duration::ZERO.into(), |channel, _| channel == 1), Some(2));
        assert_eq!(mailbox.next_if(Duration::ZERO.into(), |channel, _| channel == 1), Some(3));
        assert_eq!(mailbox.next_if(Duration::from_millis(1).into(), |channel, _| channel == 1), None);
        assert_eq!(mailbox.next(Duration::ZERO), Some(1));
    }

    #[test]
    fn a_reader_learns_that_nobody_sends_and_is_not_held_up_by_one_of_two() {
        let (mut mailbox, mut channels) = Mailbox::<u32>::new(2);
        let last = channels.pop();
        let reader = thread::spawn(move || mailbox.next(LONG));
        thread::sleep(Duration::from_millis(20));
        drop(last);
        thread::sleep(Duration::from_millis(20));
        assert!(!reader.is_finished(), "one is left");
        let began = Instant::now();
        drop(channels);
        assert_eq!(reader.join().unwrap(), None);
        assert!(began.elapsed() < LONG / 2);
    }

    #[test]
    fn a_sender_learns_that_nobody_reads() {
        let (mailbox, mut channels) = Mailbox::<u32>::new(1);
        drop(mailbox);
        assert_eq!(channels[0].send(1), Err(TraderGone));
    }
}
