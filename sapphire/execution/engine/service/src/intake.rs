//! What comes in from the bus: signals with their end markers, and the steps of lock-step.
//!
//! Invariant: every entry of the release's signals after the cursor becomes an event, in the stream's order, exactly
//! once in the life of the process: a signal, an end of bar, or, once it is kept among the dead letters, a dead letter.
//! Before the first signal of a release comes admission's verdict on it. The cursor itself is the trader loop's, in its
//! journal.
//!
//! What the account's coordinator did not sign, or signed for a bar that is not over, is taken out of the stream: its
//! id may lie in the far future, where it would keep the coordinator from writing and this cursor from hearing it.
//!
//! Known limitation: an entry that is buried just before the process dies is buried again after it. A release whose
//! files change is judged again after the next end of bar, before the signals that follow it, or after a second without
//! entries, whichever comes first.

use std::collections::HashMap;
use std::thread;
use std::time::Duration;

use sapphire_core::instrument::InstrumentId;

use crate::bus::{Bus, BusError, Entry, MESSAGE_FIELD};
use crate::bus_writer::{bury, insist};
use crate::clock::{Monotonic, ShownTime};
use crate::events::{EntryId, Intake, ReleaseDigest, TraderEvent};
use crate::evidence::Admission;
use crate::mailbox::{Channel, TraderGone};
use crate::signal_key::SignalKey;
use crate::streams::Streams;

mod reading;
mod releases;
mod steps;

pub use steps::StepIntake;

use reading::Reading;
use releases::Releases;

/// How long a read blocks before the thread looks whether the process is ending.
const BLOCK: Duration = Duration::from_secs(1);

/// How long a read blocks after an end of bar: the trader loop works on that now, and files are looked at when it has.
const AFTER_BAR: Duration = Duration::from_millis(1);

/// Pause before the trader loop is looked at again for market time.
const UNTIL_KNOWN: Duration = Duration::from_millis(2);

const NS_PER_MS: i64 = 1_000_000;

const STRANGER: &str = "expected an entry that the account's coordinator signed, got another";

/// Entries in one answer at most.
const BATCH: usize = 256;

/// Why an intake thread ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// The process is ending.
    #[error("the process is ending")]
    Stopped,
    /// Nobody listens any more.
    #[error(transparent)]
    TraderGone(#[from] TraderGone),
}

/// Reads the signals of the account's release. One thread runs it.
#[derive(Debug)]
pub struct SignalIntake {
    bus: Bus,
    cursor: EntryId,
    channel: Channel,
    symbols: HashMap<Box<str>, InstrumentId>,
    releases: Releases,
    ground: IntakeGround,
    /// A bar has ended since the files were looked at.
    owes_look: bool,
    clock: Monotonic,
}

/// What entries are held against.
#[derive(Clone, Debug)]
pub struct IntakeGround {
    /// The account's streams.
    pub streams: Streams,
    /// The release that it trades: nothing of another one is taken.
    pub release: ReleaseDigest,
    /// Who may signal.
    pub key: SignalKey,
    /// Market time as the trader loop knows it.
    pub time: ShownTime,
    /// Length of a bar: the coordinator's clock may be ahead by so much.
    pub interval_ns: i64,
}

impl SignalIntake {
    /// An intake that goes on after `cursor`. `symbols` are the instruments' names in the order of their ids.
    #[must_use]
    pub fn new(
        bus: Bus,
        cursor: EntryId,
        channel: Channel,
        symbols: &[String],
        admission: Admission,
        ground: IntakeGround,
        clock: Monotonic,
    ) -> Self {
        let symbols = symbols.iter().enumerate();
        let symbols = symbols.map(|(id, name)| (name.as_str().into(), InstrumentId(id as u16))).collect();
        Self { bus, cursor, channel, symbols, releases: Releases::new(admission), ground, owes_look: false, clock }
    }

    /// Admission's verdict on each of the releases that traded before: for the trader loop to take before it does
    /// anything.
    pub fn judge(&mut self, traded: &[ReleaseDigest]) -> Vec<Intake> {
        self.releases.judge(traded)
    }

    /// Reads until the process ends or nobody listens.
    pub fn run(mut self) -> Ended {
        loop {
            if let Err(ended) = self.round() {
                return ended;
            }
        }
    }

    fn round(&mut self) -> Result<(), Ended> {
        let (after, clock) = (self.cursor, self.clock);
        let block = if self.owes_look { AFTER_BAR } else { BLOCK };
        let batch = ended(insist(|| self.bus.read(&self.ground.streams.signals, after, BATCH, block, clock)))?;
        if batch.is_empty() {
            return self.look_again();
        }
        for entry in batch.entries() {
            if self.take(&entry, batch.received_ns)? {
                self.cursor = entry.id;
            }
        }
        Ok(())
    }

    /// Whether the entry is done with; one that was thrown out was never there.
    fn take(&mut self, entry: &Entry<'_>, received_ns: i64) -> Result<bool, Ended> {
        let key = &self.ground.key;
        let Some((message, _)) = entry.tagged().filter(|(message, tag)| key.vouches(entry.id, message, tag)) else {
            return self.throw_out(entry, STRANGER);
        };
        let reading = reading::read(message);
        let parsed_ns = self.clock.now_ns();
        let place_ns = i64::try_from(entry.id.ms).unwrap_or(i64::MAX).saturating_mul(NS_PER_MS);
        let close_ns = reading.as_ref().map_or(place_ns, Reading::bar_close_ns);
        if close_ns.max(place_ns).saturating_sub(self.market_ns()?) > self.ground.interval_ns {
            return self.throw_out(entry, "expected a bar that is over, got one of the future");
        }
        self.pass_on(entry, reading, (received_ns, parsed_ns))?;
        Ok(true)
    }

    fn pass_on(
        &mut self,
        entry: &Entry<'_>,
        reading: Result<Reading, String>,
        (received_ns, parsed_ns): (i64, i64),
    ) -> Result<(), Ended> {
        match reading {
            Ok(Reading::Signal(_, release)) if release != self.ground.release => {
                let why = format!("expected a signal of release {}, got one of {release}", self.ground.release);
                self.bury_letter(entry, &why)
            }
            Ok(Reading::Signal(signal, release)) => {
                if self.owes_look {
                    self.look_again()?;
                }
                if let Some(event) = self.releases.meet(release) {
                    self.channel.send(TraderEvent::Intake(event))?;
                }
                let symbol = signal.symbol.as_str();
                self.channel.send(TraderEvent::Intake(Intake::Signal {
                    entry: entry.id,
                    release,
                    instrument: self.symbols.get(symbol).copied(),
                    symbol: symbol.to_owned(),
                    target_lots: signal.target_lots,
                    bar_close_ns: signal.bar_close_ns,
                    time_to_live_ns: signal.time_to_live_ns,
                    received_ns,
                    parsed_ns,
                }))?;
                Ok(())
            }
            Ok(Reading::EndOfBar(bar_close_ns)) => {
                let end = Intake::EndOfBar { entry: entry.id, bar_close_ns, received_ns, parsed_ns };
                self.channel.send(TraderEvent::Intake(end))?;
                self.owes_look = true;
                Ok(())
            }
            Err(why) => self.bury_letter(entry, &why),
        }
    }

    /// Keeps an entry among the dead letters, and tells the trader loop that it is passed over.
    fn bury_letter(&mut self, entry: &Entry<'_>, why: &str) -> Result<(), Ended> {
        let streams = &self.ground.streams;
        refuse(&mut self.bus, &streams.dead_letters, &streams.signals, entry, why)?;
        self.channel.send(TraderEvent::Intake(Intake::DeadLetter { entry: entry.id }))?;
        Ok(())
    }

    /// Market time, once the trader loop knows it; no signal is taken before.
    fn market_ns(&self) -> Result<i64, Ended> {
        loop {
            if let Some(market_ns) = self.ground.time.at(self.clock.now_ns()) {
                return Ok(market_ns);
            }
            if self.bus.is_stopping() {
                return Err(Ended::Stopped);
            }
            thread::sleep(UNTIL_KNOWN);
        }
    }

    /// Keeps an entry among the dead letters and leaves the stream as if it had not been written.
    fn throw_out(&mut self, entry: &Entry<'_>, why: &str) -> Result<bool, Ended> {
        let streams = &self.ground.streams;
        refuse(&mut self.bus, &streams.dead_letters, &streams.signals, entry, why)?;
        self.channel.send(TraderEvent::Intake(Intake::Thrown))?;
        match self.bus.take_out(&streams.signals, entry.id) {
            Ok(()) => Ok(false),
            Err(BusError::Stopped) => Err(Ended::Stopped),
            Err(refused) => {
                tracing::error!(%refused, entry = %entry.id, "an entry stays in the stream that should not be there");
                Ok(true)
            }
        }
    }

    fn look_again(&mut self) -> Result<(), Ended> {
        self.owes_look = false;
        for event in self.releases.changed() {
            self.channel.send(TraderEvent::Intake(event))?;
        }
        Ok(())
    }
}

/// Where the account's coordinator has written to; what stands behind that is not its own, and is taken out.
///
/// # Errors
/// [`BusError::Refused`], [`BusError::Stopped`].
pub fn last_signed(bus: &mut Bus, streams: &Streams, key: &SignalKey) -> Result<EntryId, BusError> {
    loop {
        let signals = &streams.signals;
        let batch = bus.last(signals)?;
        let Some(entry) = batch.entries().next() else { return Ok(EntryId::default()) };
        if entry.tagged().is_some_and(|(message, tag)| key.vouches(entry.id, message, tag)) {
            return Ok(entry.id);
        }
        let (bytes, from) = (entry.field(MESSAGE_FIELD).unwrap_or_default(), format!("{signals} {}", entry.id));
        bury(bus, &streams.dead_letters, bytes, STRANGER, &from)?;
        bus.take_out(signals, entry.id)?;
    }
}

/// Keeps an entry of `stream` that cannot be read in `dead_letters`.
fn refuse(bus: &mut Bus, dead_letters: &str, stream: &str, entry: &Entry<'_>, why: &str) -> Result<(), Ended> {
    tracing::warn!(stream, entry = %entry.id, why, "an entry cannot be read; it is kept among the dead letters");
    let bytes = entry.field(MESSAGE_FIELD).unwrap_or_default();
    ended(bury(bus, dead_letters, bytes, why, &format!("{stream} {}", entry.id)))
}

/// What a call that is asked until it is answered gave; it ends only with the process.
fn ended<T>(answer: Result<T, BusError>) -> Result<T, Ended> {
    answer.map_err(|_| Ended::Stopped)
}
