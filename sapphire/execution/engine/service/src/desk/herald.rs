//! The thread that makes messages of what the desk tells and hands them to the publisher.
//!
//! Invariant: messages go out in the order of the facts, and the desk never waits for the bus: a fact that finds the
//! queue full is not told, and none after it, until the next start, which tells everything from the journal that the bus
//! does not have. So the stream of executions has no hole.
//!
//! Known limitation: the state of an account and the end of a step are not in the journal as such; after a kill they are
//! made again from what is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use sapphire_core::messages::{Message, PartState};

use super::DeskFailure;
use super::blotter::Blotter;
use super::messages::{AccountFact, SettledFact, Untellable, Wording, account_entry, step_entry};
use super::telling::Told;
use crate::bus::BusError;
use crate::clock::wall_ns;
use crate::inbox::{Inbox, Lane, Waker};
use crate::metrics::{Figure, Metrics};
use crate::publisher::{Outgoing, Publisher, PublisherGone};
use crate::streams::Streams;
use crate::words::{EntryId, ReleaseDigest};

/// Facts that may wait.
const ROOM: usize = 16_384;

/// Between two heartbeats.
const BEAT: Duration = Duration::from_secs(2);

/// How long the end waits for a bus that does not answer.
const LAST_PATIENCE: Duration = Duration::from_secs(2);

/// What the thread is handed.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "most notes are facts, and nothing is allocated for them")]
enum Note {
    Told(Told),
    Seat(ReleaseDigest),
    Account(Box<AccountFact>),
    Settled(Box<SettledFact>),
    Flush(u64),
    Ready,
}

/// The desk's end.
#[derive(Debug)]
pub struct Herald {
    lane: Lane<Note>,
    flushed: Arc<AtomicU64>,
    flushes: u64,
    /// A fact was not told.
    has_gap: bool,
}

/// The thread, to be waited for.
#[derive(Debug)]
pub struct HeraldThread(JoinHandle<()>);

/// What the thread works with.
#[derive(Debug)]
pub struct Tools {
    /// Names.
    pub wording: Wording,
    /// The way to the bus.
    pub publisher: Publisher,
    /// For the control API.
    pub blotter: Arc<Blotter>,
    /// Numbers.
    pub metrics: Arc<Metrics>,
    /// Wakes the desk when a flush is complete.
    pub waker: Waker,
    /// Where the control API listens.
    pub address: String,
}

impl Herald {
    /// Starts the thread. `untold` is what the journal has told and the bus may not have.
    ///
    /// # Errors
    /// The machine gives no thread.
    pub fn start(tools: Tools, untold: Vec<Told>) -> std::io::Result<(Self, HeraldThread)> {
        let (inbox, mut lanes) = Inbox::with_room(1, ROOM);
        let lane = lanes.pop().ok_or_else(|| std::io::Error::other("an inbox without a lane"))?;
        let flushed = Arc::new(AtomicU64::new(0));
        let done = Arc::clone(&flushed);
        let thread = Builder::new().name("herald".into()).spawn(move || {
            let room =
                Room { tools, flushed: done, state: (PartState::Starting, wall_ns()), beats: 0, last_beat: None };
            room.work(inbox, untold);
        })?;
        Ok((Self { lane, flushed, flushes: 0, has_gap: false }, HeraldThread(thread)))
    }

    /// Tells a fact.
    pub(super) fn tell(&mut self, told: Told) -> Result<(), DeskFailure> {
        self.hand_over(Note::Told(told))
    }

    /// A release took the next slot.
    pub(super) fn seat(&mut self, digest: ReleaseDigest) -> Result<(), DeskFailure> {
        self.hand_over(Note::Seat(digest))
    }

    /// What the account holds at a close.
    pub(super) fn account(&mut self, fact: AccountFact) -> Result<(), DeskFailure> {
        self.hand_over(Note::Account(Box::new(fact)))
    }

    /// A step is done.
    pub(super) fn settled(&mut self, fact: SettledFact) -> Result<(), DeskFailure> {
        self.hand_over(Note::Settled(Box::new(fact)))
    }

    /// Signals are taken from now on.
    pub(super) fn ready(&mut self) -> Result<(), DeskFailure> {
        self.hand_over(Note::Ready)
    }

    /// Asks for everything told so far to be confirmed by the bus; the number that [`Herald::flushed`] shows then.
    pub(super) fn flush(&mut self) -> Result<u64, DeskFailure> {
        self.flushes += 1;
        self.hand_over(Note::Flush(self.flushes))?;
        Ok(self.flushes)
    }

    /// The last flush that is complete.
    pub fn flushed(&self) -> u64 {
        self.flushed.load(Ordering::Acquire)
    }

    /// Facts that wait.
    pub fn waiting(&self) -> usize {
        self.lane.waiting()
    }

    fn hand_over(&mut self, note: Note) -> Result<(), DeskFailure> {
        if self.has_gap && matches!(note, Note::Told(_)) {
            return Ok(());
        }
        if self.lane.is_abandoned() {
            return Err(DeskFailure::HeraldGone);
        }
        if self.lane.try_send(note).is_err() && !self.has_gap {
            self.has_gap = true;
            tracing::error!(
                "the bus is away and {ROOM} facts wait: no more is told until the next start, which tells it from the journal"
            );
        }
        Ok(())
    }
}

impl HeraldThread {
    /// Waits for the thread; the desk's end has to be dropped before.
    pub fn finish(self) {
        if self.0.join().is_err() {
            tracing::error!("the thread that publishes ended in a panic");
        }
    }
}

/// Nothing more can be told.
enum Over {
    Bus,
}

impl From<PublisherGone> for Over {
    fn from(_: PublisherGone) -> Self {
        Self::Bus
    }
}

struct Room {
    tools: Tools,
    flushed: Arc<AtomicU64>,
    state: (PartState, i64),
    beats: u64,
    last_beat: Option<Instant>,
}

impl Room {
    fn work(mut self, mut inbox: Inbox<Note>, untold: Vec<Told>) {
        if self.listen(&mut inbox, untold).is_err() {
            tracing::error!("the publisher has ended");
            return;
        }
        self.state = (PartState::Stopping, wall_ns());
        self.last_beat = None;
        let _ = self.beat();
        let Tools { publisher, .. } = self.tools;
        // What a bus that does not answer has not taken is told again at the next start.
        if publisher.flush(LAST_PATIENCE)
            && let Err(error) = publisher.close()
            && error != BusError::Stopped
        {
            tracing::error!(%error, "the publisher ended");
        }
    }

    fn listen(&mut self, inbox: &mut Inbox<Note>, untold: Vec<Told>) -> Result<(), Over> {
        self.beat()?;
        for told in untold {
            self.publish(&told)?;
        }
        loop {
            match inbox.next(BEAT / 4) {
                Some(note) => self.take(note)?,
                None if inbox.is_over() => return Ok(()),
                None => {}
            }
            self.beat()?;
        }
    }

    fn take(&mut self, note: Note) -> Result<(), Over> {
        match note {
            Note::Told(told) => {
                self.tools.blotter.note(&told, &self.tools.wording);
                self.publish(&told)
            }
            Note::Seat(digest) => {
                self.tools.wording.seat(digest);
                Ok(())
            }
            Note::Account(fact) => {
                let message = self.tools.wording.account(&fact, wall_ns());
                self.send(|streams| &streams.states, Some(account_entry(fact.bar_close_ns)), message)
            }
            Note::Settled(fact) => {
                let message = self.tools.wording.settled(&fact, wall_ns());
                self.send(|streams| &streams.settled, Some(step_entry(fact.number)), message)
            }
            Note::Flush(token) => {
                while !self.tools.publisher.flush(BEAT) {
                    if self.tools.publisher.is_over() {
                        return Err(Over::Bus);
                    }
                }
                self.flushed.store(token, Ordering::Release);
                self.tools.waker.wake();
                Ok(())
            }
            Note::Ready => {
                self.state = (PartState::Ready, wall_ns());
                self.last_beat = None;
                self.beat()
            }
        }
    }

    fn publish(&mut self, told: &Told) -> Result<(), Over> {
        let message = self.tools.wording.told(told, wall_ns());
        self.send(|streams| &streams.executions, Some(self.tools.wording.entry(told)), message)
    }

    fn send(
        &mut self,
        stream: impl Fn(&Streams) -> &Arc<str>,
        entry: Option<EntryId>,
        message: Result<Message, Untellable>,
    ) -> Result<(), Over> {
        let stream = Arc::clone(stream(self.tools.wording.streams()));
        let bytes = match message.map(|message| message.encode()) {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(error)) => {
                tracing::error!(%stream, ?entry, %error, "a message could not be written");
                return Ok(());
            }
            Err(error) => {
                tracing::error!(%stream, ?entry, %error, "a fact could not be told");
                return Ok(());
            }
        };
        self.tools.publisher.send(Outgoing { stream, entry, bytes })?;
        self.tools.metrics.add(Figure::Published, 1);
        self.tools.metrics.set(Figure::PublishConflicts, self.tools.publisher.watermark().refused().cast_signed());
        Ok(())
    }

    fn beat(&mut self) -> Result<(), Over> {
        if self.last_beat.is_some_and(|last| last.elapsed() < BEAT) {
            return Ok(());
        }
        self.last_beat = Some(Instant::now());
        self.beats += 1;
        let message = self.tools.wording.heartbeat(self.state, &self.tools.address, self.beats, wall_ns());
        self.send(|streams| &streams.heartbeats, None, message)
    }
}
