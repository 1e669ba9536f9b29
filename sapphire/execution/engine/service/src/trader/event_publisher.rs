//! The thread that makes messages of what the trader loop emits and hands them to the bus writer.
//!
//! Invariant: messages go out in the order of the facts, and the trader loop never waits for the bus: a fact that finds
//! the queue full is not published, and none after it, until the next start, which publishes everything from the
//! journal that the bus does not have. So the stream of executions has no hole.
//!
//! Known limitation: the state of an account and the end of a step are not in the journal as such; after a kill they
//! are made again from what is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use sapphire_core::messages::{Message, PartState};

use super::TraderFailure;
use super::blotter::Blotter;
use super::emitting::EmittedFact;
use super::messages::{AccountFact, MessageBuilder, SettledFact, Unpublishable, account_entry, step_entry};
use crate::bus::BusError;
use crate::bus_writer::{BusWriter, BusWriterGone, Outgoing};
use crate::clock::wall_ns;
use crate::events::{EntryId, ReleaseDigest};
use crate::mailbox::{Channel, Mailbox, Waker};
use crate::metrics::{Figure, Metrics};
use crate::streams::Streams;

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
    Fact(EmittedFact),
    Seat(ReleaseDigest),
    Account(Box<AccountFact>),
    Settled(Box<SettledFact>),
    Flush(u64),
    Ready,
}

/// The trader loop's end.
#[derive(Debug)]
pub struct EventPublisher {
    channel: Channel<Note>,
    flushed: Arc<AtomicU64>,
    flushes: u64,
    /// A fact was not published.
    has_gap: bool,
}

/// The thread, to be waited for.
#[derive(Debug)]
pub struct EventPublisherThread(JoinHandle<()>);

/// What the thread works with.
#[derive(Debug)]
pub struct Tools {
    /// Names.
    pub message_builder: MessageBuilder,
    /// The way to the bus.
    pub bus_writer: BusWriter,
    /// For the control API.
    pub blotter: Arc<Blotter>,
    /// Numbers.
    pub metrics: Arc<Metrics>,
    /// Wakes the trader loop when a flush is complete.
    pub waker: Waker,
    /// Where the control API listens.
    pub address: String,
}

impl EventPublisher {
    /// Starts the thread. `unpublished` is what the journal has and the bus may not have.
    ///
    /// # Errors
    /// The machine gives no thread.
    pub fn start(tools: Tools, unpublished: Vec<EmittedFact>) -> std::io::Result<(Self, EventPublisherThread)> {
        let (mailbox, mut channels) = Mailbox::with_room(1, ROOM);
        let channel = channels.pop().ok_or_else(|| std::io::Error::other("a mailbox without a channel"))?;
        let flushed = Arc::new(AtomicU64::new(0));
        let done = Arc::clone(&flushed);
        let thread = Builder::new().name("event-publisher".into()).spawn(move || {
            let room =
                Room { tools, flushed: done, state: (PartState::Starting, wall_ns()), beats: 0, last_beat: None };
            room.work(mailbox, unpublished);
        })?;
        Ok((Self { channel, flushed, flushes: 0, has_gap: false }, EventPublisherThread(thread)))
    }

    /// Emits a fact.
    pub(super) fn emit(&mut self, emitted: EmittedFact) -> Result<(), TraderFailure> {
        self.hand_over(Note::Fact(emitted))
    }

    /// A release took the next slot.
    pub(super) fn seat(&mut self, digest: ReleaseDigest) -> Result<(), TraderFailure> {
        self.hand_over(Note::Seat(digest))
    }

    /// What the account holds at a close.
    pub(super) fn account(&mut self, fact: AccountFact) -> Result<(), TraderFailure> {
        self.hand_over(Note::Account(Box::new(fact)))
    }

    /// A step is done.
    pub(super) fn settled(&mut self, fact: SettledFact) -> Result<(), TraderFailure> {
        self.hand_over(Note::Settled(Box::new(fact)))
    }

    /// Signals are taken from now on.
    pub(super) fn ready(&mut self) -> Result<(), TraderFailure> {
        self.hand_over(Note::Ready)
    }

    /// Asks for everything emitted so far to be confirmed by the bus; the number that [`EventPublisher::flushed`] shows
    /// then.
    pub(super) fn flush(&mut self) -> Result<u64, TraderFailure> {
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
        self.channel.waiting()
    }

    fn hand_over(&mut self, note: Note) -> Result<(), TraderFailure> {
        if self.has_gap && matches!(note, Note::Fact(_)) {
            return Ok(());
        }
        if self.channel.is_abandoned() {
            return Err(TraderFailure::EventPublisherGone);
        }
        if self.channel.try_send(note).is_err() && !self.has_gap {
            self.has_gap = true;
            tracing::error!(
                "the bus is away and {ROOM} facts wait: no more is published until the next start, which publishes it from the journal"
            );
        }
        Ok(())
    }
}

impl EventPublisherThread {
    /// Waits for the thread; the trader loop's end has to be dropped before.
    pub fn finish(self) {
        if self.0.join().is_err() {
            tracing::error!("the thread that publishes ended in a panic");
        }
    }
}

/// Nothing more can be published.
enum Over {
    Bus,
}

impl From<BusWriterGone> for Over {
    fn from(_: BusWriterGone) -> Self {
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
    fn work(mut self, mut mailbox: Mailbox<Note>, unpublished: Vec<EmittedFact>) {
        if self.listen(&mut mailbox, unpublished).is_err() {
            tracing::error!("the bus writer has ended");
            return;
        }
        self.state = (PartState::Stopping, wall_ns());
        self.last_beat = None;
        let _ = self.beat();
        let Tools { bus_writer, .. } = self.tools;
        // What a bus that does not answer has not taken is emitted again at the next start.
        if bus_writer.flush(LAST_PATIENCE)
            && let Err(error) = bus_writer.close()
            && error != BusError::Stopped
        {
            tracing::error!(%error, "the bus writer ended");
        }
    }

    fn listen(&mut self, mailbox: &mut Mailbox<Note>, unpublished: Vec<EmittedFact>) -> Result<(), Over> {
        self.beat()?;
        for emitted in unpublished {
            self.publish(&emitted)?;
        }
        loop {
            match mailbox.next(BEAT / 4) {
                Some(note) => self.take(note)?,
                None if mailbox.is_over() => return Ok(()),
                None => {}
            }
            self.beat()?;
        }
    }

    fn take(&mut self, note: Note) -> Result<(), Over> {
        match note {
            Note::Fact(emitted) => {
                self.tools.blotter.note(&emitted, &self.tools.message_builder);
                self.publish(&emitted)
            }
            Note::Seat(digest) => {
                self.tools.message_builder.seat(digest);
                Ok(())
            }
            Note::Account(fact) => {
                let message = self.tools.message_builder.account(&fact, wall_ns());
                self.send(|streams| &streams.states, Some(account_entry(fact.bar_close_ns)), message)
            }
            Note::Settled(fact) => {
                let message = self.tools.message_builder.settled(&fact, wall_ns());
                self.send(|streams| &streams.settled, Some(step_entry(fact.number)), message)
            }
            Note::Flush(token) => {
                while !self.tools.bus_writer.flush(BEAT) {
                    if self.tools.bus_writer.is_over() {
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

    fn publish(&mut self, emitted: &EmittedFact) -> Result<(), Over> {
        let message = self.tools.message_builder.message(emitted, wall_ns());
        self.send(|streams| &streams.executions, Some(self.tools.message_builder.entry(emitted)), message)
    }

    fn send(
        &mut self,
        stream: impl Fn(&Streams) -> &Arc<str>,
        entry: Option<EntryId>,
        message: Result<Message, Unpublishable>,
    ) -> Result<(), Over> {
        let stream = Arc::clone(stream(self.tools.message_builder.streams()));
        let bytes = match message.map(|message| message.encode()) {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(error)) => {
                tracing::error!(%stream, ?entry, %error, "a message could not be written");
                return Ok(());
            }
            Err(error) => {
                tracing::error!(%stream, ?entry, %error, "a fact could not be published");
                return Ok(());
            }
        };
        self.tools.bus_writer.send(Outgoing { stream, entry, bytes })?;
        self.tools.metrics.add(Figure::Published, 1);
        self.tools.metrics.set(Figure::PublishConflicts, self.tools.bus_writer.watermark().refused().cast_signed());
        Ok(())
    }

    fn beat(&mut self) -> Result<(), Over> {
        if self.last_beat.is_some_and(|last| last.elapsed() < BEAT) {
            return Ok(());
        }
        self.last_beat = Some(Instant::now());
        self.beats += 1;
        let message = self.tools.message_builder.heartbeat(self.state, &self.tools.address, self.beats, wall_ns());
        self.send(|streams| &streams.heartbeats, None, message)
    }
}
