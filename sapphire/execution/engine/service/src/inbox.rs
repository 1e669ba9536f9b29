//! Bounded lanes with one sender each, and the one thread that reads them all.
//!
//! Invariant: what one lane carries comes out in the order it went in, and nothing is dropped: a full lane makes its
//! sender wait. The reader blocks while there is nothing to read, after it has looked for as long as it was told to.
//!
//! Known limitation: lanes are served in turn, so words of different lanes have no order among each other.

use std::hint;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, OnceLock};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use rtrb::{Consumer, Producer, PushError, RingBuffer};

use crate::words::Word;

/// Room of a lane where nobody says otherwise.
const LANE: usize = 1_024;

/// How long a sender sleeps before it looks again whether there is room.
const FULL_PAUSE: Duration = Duration::from_micros(50);

/// How long a reader waits for a word.
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
#[error("the desk has ended")]
pub struct DeskGone;

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

/// Ends the reader's wait without a word.
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

/// The sending end of a lane.
#[derive(Debug)]
pub struct Lane<T = Word> {
    // In this order: the reader is rung for when the ring is abandoned already.
    ring: Producer<T>,
    bell: Rope,
}

impl<T> Lane<T> {
    /// Sends; waits while the lane is full.
    ///
    /// # Errors
    /// [`DeskGone`].
    pub fn send(&mut self, word: T) -> Result<(), DeskGone> {
        let mut word = word;
        loop {
            match self.try_send(word) {
                Ok(()) => return Ok(()),
                Err(_) if self.ring.is_abandoned() => return Err(DeskGone),
                Err(back) => word = back,
            }
            thread::sleep(FULL_PAUSE);
        }
    }

    /// Sends if there is room.
    ///
    /// # Errors
    /// The word, where there is none or nobody reads any more.
    pub fn try_send(&mut self, word: T) -> Result<(), T> {
        if self.ring.is_abandoned() {
            return Err(word);
        }
        self.ring.push(word).map_err(|PushError::Full(word)| word)?;
        self.bell.0.ring();
        Ok(())
    }

    /// Nobody reads any more.
    pub fn is_abandoned(&self) -> bool {
        self.ring.is_abandoned()
    }

    /// Words that wait in it.
    pub fn waiting(&self) -> usize {
        self.ring.buffer().capacity() - self.ring.slots()
    }
}

/// The reading end of all lanes. One thread reads it, from the first time on.
#[derive(Debug)]
pub struct Inbox<T = Word> {
    lanes: Vec<Consumer<T>>,
    bell: Arc<Bell>,
    turn: usize,
}

impl<T> Inbox<T> {
    /// An inbox with so many lanes.
    #[must_use]
    pub fn new(lanes: usize) -> (Self, Vec<Lane<T>>) {
        Self::with_room(lanes, LANE)
    }

    /// An inbox with so many lanes, each with room for so many words.
    #[must_use]
    pub fn with_room(lanes: usize, room: usize) -> (Self, Vec<Lane<T>>) {
        let bell = Arc::new(Bell::default());
        let (senders, readers) = (0..lanes)
            .map(|_| {
                let (ring, reader) = RingBuffer::new(room);
                (Lane { ring, bell: Rope(Arc::clone(&bell)) }, reader)
            })
            .unzip();
        (Self { lanes: readers, bell, turn: 0 }, senders)
    }

    /// The next word, waiting for it as long as `timeout`.
    pub fn next(&mut self, timeout: Duration) -> Option<T> {
        self.next_if(timeout.into(), |_, _| true)
    }

    /// The next word that `admits`, asked with the lane's number, lets in; a lane whose first word it does not let in
    /// keeps its words.
    pub fn next_if(&mut self, patience: Patience, admits: impl Fn(usize, &T) -> bool) -> Option<T> {
        if let Some(word) = self.poll(&admits) {
            return Some(word);
        }
        if patience.timeout.is_zero() {
            return None;
        }
        let began = Instant::now();
        let deadline = began + patience.timeout;
        while began.elapsed() < patience.spin.min(patience.timeout) {
            hint::spin_loop();
            let word = self.poll(&admits);
            if word.is_some() || self.bell.nudged.swap(false, Ordering::SeqCst) {
                return word;
            }
        }
        self.bell.reader.get_or_init(thread::current);
        loop {
            self.bell.parked.store(true, Ordering::SeqCst);
            fence(Ordering::SeqCst);
            let word = self.poll(&admits);
            let is_nudged = self.bell.nudged.swap(false, Ordering::SeqCst);
            let left = deadline.saturating_duration_since(Instant::now());
            if word.is_some() || is_nudged || left.is_zero() || self.is_over() {
                self.bell.parked.store(false, Ordering::SeqCst);
                return word;
            }
            thread::park_timeout(left);
        }
    }

    /// What ends a wait of the reader.
    #[must_use]
    pub fn waker(&self) -> Waker {
        Waker(Arc::clone(&self.bell))
    }

    /// Words that wait, by lane.
    pub fn waiting(&self) -> impl Iterator<Item = usize> {
        self.lanes.iter().map(Consumer::slots)
    }

    /// Every sender is gone and nothing waits.
    pub fn is_over(&self) -> bool {
        self.lanes.iter().all(|lane| lane.is_abandoned() && lane.is_empty())
    }

    fn poll(&mut self, admits: &impl Fn(usize, &T) -> bool) -> Option<T> {
        let count = self.lanes.len();
        for place in (self.turn..self.turn + count).map(|place| place % count) {
            let lane = &mut self.lanes[place];
            if lane.peek().is_ok_and(|word| admits(place, word)) {
                self.turn = place + 1;
                return lane.pop().ok();
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
    fn every_word_of_every_lane_comes_out_in_its_order() {
        let (mut inbox, lanes) = Inbox::<(usize, u32)>::with_room(3, 4);
        let senders: Vec<_> = lanes
            .into_iter()
            .enumerate()
            .map(|(place, mut lane)| thread::spawn(move || (0..2_000).try_for_each(|word| lane.send((place, word)))))
            .collect();
        let mut next = [0; 3];
        for _ in 0..6_000 {
            let (place, word) = inbox.next(LONG).unwrap();
            assert_eq!(word, next[place]);
            next[place] += 1;
        }
        for sender in senders {
            assert_eq!(sender.join().unwrap(), Ok(()));
        }
        assert!(inbox.is_over() && inbox.next(Duration::ZERO).is_none());
    }

    #[test]
    fn a_reader_that_sleeps_is_woken() {
        let (mut inbox, mut lanes) = Inbox::<u32>::new(1);
        let reader = thread::spawn(move || inbox.next(LONG));
        thread::sleep(Duration::from_millis(20));
        lanes[0].send(7).unwrap();
        let began = Instant::now();
        assert_eq!(reader.join().unwrap(), Some(7));
        assert!(began.elapsed() < LONG / 2);
    }

    #[test]
    fn a_reader_that_looks_again_and_again_finds_words_and_gives_up_in_time() {
        let (mut inbox, mut lanes) = Inbox::<u32>::new(1);
        let awake = Patience { timeout: LONG, spin: LONG };
        let waker = inbox.waker();
        let reader = thread::spawn(move || {
            let words = (inbox.next_if(awake, |_, _| true), inbox.next_if(awake, |_, _| true));
            let began = Instant::now();
            let short = Patience { timeout: Duration::from_millis(5), spin: LONG };
            (words, inbox.next_if(short, |_, _| true), began.elapsed())
        });
        thread::sleep(Duration::from_millis(5));
        lanes[0].send(7).unwrap();
        thread::sleep(Duration::from_millis(5));
        waker.wake();
        let (words, late, took) = reader.join().unwrap();
        assert_eq!((words, late), ((Some(7), None), None));
        assert!(took >= Duration::from_millis(5) && took < LONG / 2, "{took:?}");
    }

    #[test]
    fn a_reader_can_be_woken_without_a_word() {
        let (mut inbox, _lanes) = Inbox::<u32>::new(1);
        let waker = inbox.waker();
        let began = Instant::now();
        waker.wake();
        assert_eq!(inbox.next(LONG), None);
        assert!(began.elapsed() < LONG / 2);
    }

    #[test]
    fn a_lane_that_is_not_let_in_keeps_its_words_and_holds_no_other_up() {
        let (mut inbox, mut lanes) = Inbox::<u32>::new(2);
        lanes[0].send(1).unwrap();
        lanes[1].send(2).unwrap();
        lanes[1].send(3).unwrap();
        assert_eq!(inbox.next_if(Duration::ZERO.into(), |lane, _| lane == 1), Some(2));
        assert_eq!(inbox.next_if(Duration::ZERO.into(), |lane, _| lane == 1), Some(3));
        assert_eq!(inbox.next_if(Duration::from_millis(1).into(), |lane, _| lane == 1), None);
        assert_eq!(inbox.next(Duration::ZERO), Some(1));
    }

    #[test]
    fn a_reader_learns_that_nobody_sends_and_is_not_held_up_by_one_of_two() {
        let (mut inbox, mut lanes) = Inbox::<u32>::new(2);
        let last = lanes.pop();
        let reader = thread::spawn(move || inbox.next(LONG));
        thread::sleep(Duration::from_millis(20));
        drop(last);
        thread::sleep(Duration::from_millis(20));
        assert!(!reader.is_finished(), "one is left");
        let began = Instant::now();
        drop(lanes);
        assert_eq!(reader.join().unwrap(), None);
        assert!(began.elapsed() < LONG / 2);
    }

    #[test]
    fn a_sender_learns_that_nobody_reads() {
        let (inbox, mut lanes) = Inbox::<u32>::new(1);
        drop(inbox);
        assert_eq!(lanes[0].send(1), Err(DeskGone));
    }
}
