//! The steps of lock-step: where market time stands.
//!
//! Invariant: the first event is the last step there is, which a part that died may not have finished; every later one
//! follows in order, none left out.

use sapphire_core::messages::Message;

use super::{BATCH, BLOCK, Ended, ended, refuse};
use crate::bus::{Bus, Entry};
use crate::bus_writer::insist;
use crate::clock::Monotonic;
use crate::events::{EntryId, Step, TraderEvent};
use crate::mailbox::Channel;
use crate::streams::Streams;

/// Reads the account's steps. One thread runs it.
#[derive(Debug)]
pub struct StepIntake {
    bus: Bus,
    streams: Streams,
    channel: Channel,
    clock: Monotonic,
}

impl StepIntake {
    /// An intake that begins with the last step there is.
    #[must_use]
    pub fn new(bus: Bus, streams: Streams, channel: Channel, clock: Monotonic) -> Self {
        Self { bus, streams, channel, clock }
    }

    /// Reads until the process ends or nobody listens.
    pub fn run(mut self) -> Ended {
        match self.read() {
            Err(ended) => ended,
            Ok(never) => match never {},
        }
    }

    fn read(&mut self) -> Result<std::convert::Infallible, Ended> {
        let mut cursor = EntryId::default();
        let mut batch = ended(insist(|| self.bus.last(&self.streams.lockstep)))?;
        loop {
            for entry in batch.entries() {
                self.take(&entry)?;
                cursor = entry.id;
            }
            let clock = self.clock;
            batch = ended(insist(|| self.bus.read(&self.streams.lockstep, cursor, BATCH, BLOCK, clock)))?;
        }
    }

    fn take(&mut self, entry: &Entry<'_>) -> Result<(), Ended> {
        match read_step(entry) {
            Ok(step) => Ok(self.channel.send(TraderEvent::Step(step))?),
            Err(why) => refuse(&mut self.bus, &self.streams.dead_letters, &self.streams.lockstep, entry, &why),
        }
    }
}

fn read_step(entry: &Entry<'_>) -> Result<Step, String> {
    let bytes = entry.message().ok_or_else(super::reading::no_message)?;
    let advanced = match Message::decode(bytes).map_err(|error| error.to_string())? {
        Message::Advanced(advanced) => advanced,
        other => return Err(format!("expected ADVANCED@1, got {}", other.schema_id())),
    };
    let number = advanced.envelope.sequence;
    // the answer goes under the same id, so a step under another one could not be answered
    if (EntryId { ms: number, seq: 1 }) != entry.id {
        return Err(format!("expected step {number} as entry {number}-1, got it as {}", entry.id));
    }
    Ok(Step {
        number,
        message_id: advanced.envelope.message_id.as_str().to_owned(),
        now_ns: advanced.now_ns,
        bar_close_ns: advanced.bar_close_ns,
        account_events: advanced.account_events,
    })
}
