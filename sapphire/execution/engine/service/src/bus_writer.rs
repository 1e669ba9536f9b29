//! The thread that writes to the bus what the trader loop emits.
//!
//! Invariant: entries are written in the order in which they were handed over, and none is dropped: while the bus is
//! away they wait, and the trader loop waits once the queue is full. An entry counts as confirmed when the server has
//! it. One that can never be written, because another message stands under its id or the stream is past it, is kept in
//! `dead-letters`, counted as refused, and passed over.
//!
//! Known limitation: what is in the queue when the process dies is gone; the trader loop publishes it again from its
//! journal, and ids that are made of the facts make that harmless.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::bus::{Bus, BusError, MESSAGE_FIELD};
use crate::events::EntryId;
use crate::mailbox::{Channel, Mailbox, TraderGone};

/// How long the thread sleeps before it looks whether its sender is gone.
const IDLE: Duration = Duration::from_secs(1);

/// Pause before a server that refuses (a right that is missing) is asked again.
const REFUSED_PAUSE: Duration = Duration::from_secs(1);

/// An entry on its way to the bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The stream.
    pub stream: Arc<str>,
    /// Its id; none where the server numbers (heartbeats).
    pub entry: Option<EntryId>,
    /// The message.
    pub bytes: Vec<u8>,
}

/// The bus writer has ended; nothing that is handed over would be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bus writer has ended")]
pub struct BusWriterGone;

#[derive(Debug, Default)]
struct Progress {
    confirmed: AtomicU64,
    refused: AtomicU64,
    lock: Mutex<Option<BusError>>,
    changed: Condvar,
}

impl Progress {
    fn held(&self) -> MutexGuard<'_, Option<BusError>> {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settle(&self, refused: Option<BusError>) {
        let mut held = self.held();
        if refused.is_some() {
            self.refused.fetch_add(1, Ordering::Relaxed);
            *held = refused;
        }
        self.confirmed.fetch_add(1, Ordering::Release);
        self.changed.notify_all();
    }
}

/// How far publishing has come, for whoever shows it.
#[derive(Clone, Debug)]
pub struct Watermark(Arc<Progress>);

impl Watermark {
    /// Entries that are done with, in the order they were handed over.
    pub fn confirmed(&self) -> u64 {
        self.0.confirmed.load(Ordering::Acquire)
    }

    /// Those among them that could not be written and are in `dead-letters`.
    pub fn refused(&self) -> u64 {
        self.0.refused.load(Ordering::Relaxed)
    }

    /// Why the last of those was refused.
    pub fn last_refusal(&self) -> Option<BusError> {
        self.0.held().clone()
    }
}

/// The trader loop's end: hands entries over and knows which are written.
#[derive(Debug)]
pub struct BusWriter {
    channel: Channel<Outgoing>,
    handed: u64,
    progress: Arc<Progress>,
    thread: JoinHandle<Result<(), BusError>>,
}

impl BusWriter {
    /// Starts the thread, with room for so many entries between it and the trader loop; what cannot be written goes to
    /// the stream `dead_letters`.
    ///
    /// # Errors
    /// The machine gives no thread.
    pub fn start(bus: Bus, dead_letters: &Arc<str>, room: usize) -> io::Result<Self> {
        let (mailbox, mut channels) = Mailbox::with_room(1, room);
        let progress = Arc::new(Progress::default());
        let channel = channels.pop().ok_or_else(|| io::Error::other("a mailbox without a channel"))?;
        let (shared, dead_letters) = (Arc::clone(&progress), Arc::clone(dead_letters));
        let work = move || write(bus, mailbox, &dead_letters, &shared);
        let thread = thread::Builder::new().name("bus-writer".to_owned()).spawn(work)?;
        Ok(Self { channel, handed: 0, progress, thread })
    }

    /// Hands an entry over; waits while the queue is full. Gives its number: it is written once as many are confirmed.
    ///
    /// # Errors
    /// [`BusWriterGone`].
    pub fn send(&mut self, outgoing: Outgoing) -> Result<u64, BusWriterGone> {
        self.channel.send(outgoing).map_err(|TraderGone| BusWriterGone)?;
        self.handed += 1;
        Ok(self.handed)
    }

    /// Hands an entry over if there is room.
    ///
    /// # Errors
    /// The entry, where there is none or the thread has ended ([`BusWriter::is_over`]).
    pub fn try_send(&mut self, outgoing: Outgoing) -> Result<u64, Outgoing> {
        self.channel.try_send(outgoing)?;
        self.handed += 1;
        Ok(self.handed)
    }

    /// Entries handed over so far.
    pub fn handed(&self) -> u64 {
        self.handed
    }

    /// Entries that are done with.
    pub fn confirmed(&self) -> u64 {
        self.progress.confirmed.load(Ordering::Acquire)
    }

    /// Entries that wait.
    pub fn waiting(&self) -> u64 {
        self.handed - self.confirmed()
    }

    /// The same numbers for another thread.
    pub fn watermark(&self) -> Watermark {
        Watermark(Arc::clone(&self.progress))
    }

    /// Waits up to `timeout` until all that was handed over is confirmed; whether it is.
    pub fn flush(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let mut held = self.progress.held();
        while self.confirmed() < self.handed {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || self.is_over() {
                return false;
            }
            // in slices, because a thread that ended reports to nobody
            let (again, _) =
                self.progress.changed.wait_timeout(held, left.min(IDLE)).unwrap_or_else(PoisonError::into_inner);
            held = again;
        }
        true
    }

    /// The thread has ended.
    pub fn is_over(&self) -> bool {
        self.thread.is_finished()
    }

    /// Lets the thread write what it has and waits for it. Only the bus's `stop` ends it while the bus is away.
    ///
    /// # Errors
    /// [`BusError::Stopped`] if something was left in the queue.
    pub fn close(self) -> Result<(), BusError> {
        drop(self.channel);
        self.thread.join().unwrap_or(Err(BusError::Stopped))
    }
}

fn write(
    mut bus: Bus,
    mut mailbox: Mailbox<Outgoing>,
    dead_letters: &str,
    progress: &Progress,
) -> Result<(), BusError> {
    loop {
        match mailbox.next(IDLE) {
            Some(outgoing) => {
                let refused = publish(&mut bus, dead_letters, &outgoing)?;
                progress.settle(refused);
            }
            None if mailbox.is_over() => return Ok(()),
            None => {}
        }
    }
}

/// Writes one entry, or keeps it in `dead_letters` and gives the reason.
fn publish(bus: &mut Bus, dead_letters: &str, outgoing: &Outgoing) -> Result<Option<BusError>, BusError> {
    let written = insist(|| match outgoing.entry {
        Some(entry) => bus.publish(&outgoing.stream, entry, &outgoing.bytes).map(drop),
        None => bus.publish_next(&outgoing.stream, &outgoing.bytes),
    });
    let refusal = match written {
        Ok(()) => return Ok(None),
        Err(BusError::Stopped) => return Err(BusError::Stopped),
        Err(refusal) => refusal,
    };
    tracing::error!(stream = %outgoing.stream, %refusal, "an entry could not be published");
    let from = outgoing.entry.map_or_else(String::new, |entry| format!("{} {entry}", outgoing.stream));
    bury(bus, dead_letters, &outgoing.bytes, &refusal.to_string(), &from)?;
    Ok(Some(refusal))
}

/// Keeps refused bytes in `dead_letters`, with the reason and with stream and id where they stood.
///
/// # Errors
/// [`BusError::Stopped`].
pub(crate) fn bury(bus: &mut Bus, dead_letters: &str, bytes: &[u8], why: &str, from: &str) -> Result<(), BusError> {
    insist(|| {
        bus.append(dead_letters, None, &[(MESSAGE_FIELD, bytes), ("why", why.as_bytes()), ("from", from.as_bytes())])
    })
}

/// Asks a server that refuses again and again: a right can be given back.
pub(crate) fn insist<T>(mut ask: impl FnMut() -> Result<T, BusError>) -> Result<T, BusError> {
    loop {
        match ask() {
            Err(refused @ BusError::Refused { .. }) => {
                tracing::error!(%refused, "asking again in a second");
                thread::sleep(REFUSED_PAUSE);
            }
            other => return other,
        }
    }
}
