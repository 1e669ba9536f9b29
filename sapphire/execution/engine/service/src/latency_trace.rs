//! When each order passed where: one record per order in a side file, and the same into histograms.
//!
//! In: `LatencyTrace`s of the trader loop, one per order, when the venue has acknowledged it (or never will).
//! Out: `hops/EPOCH.bin` in the account's folder, records of `RECORD_BYTES`, and [`crate::metrics`]; files of earlier
//! starts are archived.
//! Never: on the trader loop's thread, and never in the way of an order: a record that finds the queue full is counted.
//!
//! Known limitation: the file is written, not synced; its last records can be lost with the machine. The journal is
//! what must not be.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use sapphire_archive::{Archiver, Content};
use sapphire_core::orders::ClientOrderId;

use crate::mailbox::{Channel, Mailbox};
use crate::metrics::Metrics;

/// Bytes of one record.
pub const RECORD_BYTES: usize = 96;

const ROOM: usize = 4_096;

/// How long the writer waits before it looks whether anybody is left to write for.
const PATIENCE: Duration = Duration::from_millis(500);

/// One order's way, monotonic nanoseconds but for `market_ns` and `bar_close_ns`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LatencyTrace {
    /// The order.
    pub order: ClientOrderId,
    /// Market time at which it was decided.
    pub market_ns: i64,
    /// The bytes of the event that triggered it came.
    pub received_ns: i64,
    /// That event was understood.
    pub parsed_ns: i64,
    /// The trader loop took it.
    pub taken_ns: i64,
    /// It is in the journal.
    pub journalled_ns: i64,
    /// The engine has decided.
    pub decided_ns: i64,
    /// The request is signed and framed.
    pub framed_ns: i64,
    /// The kernel has it.
    pub written_ns: i64,
    /// The venue has answered; 0 when it has not.
    pub acknowledged_ns: i64,
    /// Close of the bar that the order serves.
    pub bar_close_ns: i64,
}

/// What is measured of it, by the label of the histogram.
pub const STAGES: [&str; 8] =
    ["parse", "queue", "journal", "decide", "frame", "write", "acknowledge", "signal_to_wire"];

impl LatencyTrace {
    /// The record's bytes, little-endian: account, nothing, epoch, sequence, then the times.
    #[must_use]
    pub fn encode(&self) -> [u8; RECORD_BYTES] {
        let mut bytes = [0; RECORD_BYTES];
        bytes[..2].copy_from_slice(&self.order.account.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.order.epoch.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.order.sequence.to_le_bytes());
        for (place, time_ns) in bytes[16..].chunks_exact_mut(8).zip(self.times()) {
            place.copy_from_slice(&time_ns.to_le_bytes());
        }
        bytes
    }

    /// The record of those bytes.
    #[must_use]
    pub fn decode(bytes: &[u8; RECORD_BYTES]) -> Self {
        let number = |place: usize| {
            let mut eight = [0; 8];
            eight.copy_from_slice(&bytes[place..place + 8]);
            i64::from_le_bytes(eight)
        };
        let time = |index: usize| number(16 + 8 * index);
        let account = u16::from_le_bytes([bytes[0], bytes[1]]);
        let epoch = u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
        Self {
            order: ClientOrderId { account, epoch, sequence: number(8).cast_unsigned() },
            market_ns: time(0),
            received_ns: time(1),
            parsed_ns: time(2),
            taken_ns: time(3),
            journalled_ns: time(4),
            decided_ns: time(5),
            framed_ns: time(6),
            written_ns: time(7),
            acknowledged_ns: time(8),
            bar_close_ns: time(9),
        }
    }

    fn times(&self) -> [i64; 10] {
        [
            self.market_ns,
            self.received_ns,
            self.parsed_ns,
            self.taken_ns,
            self.journalled_ns,
            self.decided_ns,
            self.framed_ns,
            self.written_ns,
            self.acknowledged_ns,
            self.bar_close_ns,
        ]
    }

    /// Nanoseconds by the order of [`STAGES`]; none for a stage that was not passed.
    #[must_use]
    pub fn spans(&self) -> [Option<u64>; STAGES.len()] {
        // The venue's answer can be read before the call that wrote the request returns.
        let span = |from: i64, to: i64| (from > 0 && to > 0).then_some((to - from).max(0).cast_unsigned());
        [
            span(self.received_ns, self.parsed_ns),
            span(self.parsed_ns, self.taken_ns),
            span(self.taken_ns, self.journalled_ns),
            span(self.journalled_ns, self.decided_ns),
            span(self.decided_ns, self.framed_ns),
            span(self.framed_ns, self.written_ns),
            span(self.written_ns, self.acknowledged_ns),
            span(self.received_ns, self.written_ns),
        ]
    }
}

/// The thread that writes them.
#[derive(Debug)]
pub struct TraceWriter {
    thread: JoinHandle<io::Result<()>>,
}

impl TraceWriter {
    /// Begins the file of an epoch; what goes into the channel is written until the channel is dropped.
    ///
    /// # Errors
    /// A file that cannot be made.
    pub fn start(folder: &Path, epoch: u32, metrics: Arc<Metrics>) -> io::Result<(Self, Channel<LatencyTrace>)> {
        let folder = folder.join("hops");
        fs::create_dir_all(&folder)?;
        let path = folder.join(format!("{epoch}.bin"));
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        let archiver = archive_others(&folder, &path)?;
        let (mailbox, mut channels) = Mailbox::with_room(1, ROOM);
        let channel = channels.pop().ok_or_else(|| io::Error::other("a mailbox without a channel"))?;
        let thread = Builder::new().name("latency-trace".into()).spawn(move || {
            let written = write(mailbox, file, &metrics);
            drop(archiver);
            written
        })?;
        Ok((Self { thread }, channel))
    }

    /// Waits until everything is written; the channel has to be dropped before.
    ///
    /// # Errors
    /// What could not be written.
    pub fn finish(self) -> io::Result<()> {
        self.thread
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the thread that writes latency traces ended in a panic")))
    }
}

/// Archives the files of earlier starts.
fn archive_others(folder: &Path, current: &Path) -> io::Result<Archiver> {
    let archiver = Archiver::start()?;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path != current && path.extension().is_some_and(|extension| extension == "bin") {
            archiver.add(path, Content::Bytes);
        }
    }
    Ok(archiver)
}

fn write(mut mailbox: Mailbox<LatencyTrace>, mut file: File, metrics: &Metrics) -> io::Result<()> {
    loop {
        match mailbox.next(PATIENCE) {
            Some(record) => {
                metrics.latency_trace(&record.spans());
                file.write_all(&record.encode())?;
            }
            None if mailbox.is_over() => return Ok(()),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_record_survives_its_bytes(account: u16, epoch: u32, sequence: u64, times: [i64; 10]) {
            let record = LatencyTrace {
                order: ClientOrderId { account, epoch, sequence },
                market_ns: times[0], received_ns: times[1], parsed_ns: times[2], taken_ns: times[3],
                journalled_ns: times[4], decided_ns: times[5], framed_ns: times[6], written_ns: times[7],
                acknowledged_ns: times[8], bar_close_ns: times[9],
            };
            prop_assert_eq!(LatencyTrace::decode(&record.encode()), record);
        }
    }

    #[test]
    fn records_are_written_and_measured() {
        let folder = std::env::temp_dir().join(format!("sapphire-hops-{}", std::process::id()));
        let metrics = Arc::new(Metrics::new(&[]));
        let (trace_writer, mut channel) = TraceWriter::start(&folder, 5, Arc::clone(&metrics)).unwrap();
        let order = ClientOrderId { account: 1, epoch: 5, sequence: 1 };
        let record = LatencyTrace {
            order,
            market_ns: 1,
            received_ns: 1_000,
            parsed_ns: 2_000,
            taken_ns: 5_000,
            journalled_ns: 6_000,
            decided_ns: 7_000,
            framed_ns: 9_000,
            written_ns: 13_000,
            acknowledged_ns: 0,
            bar_close_ns: 1,
        };
        channel.send(record).unwrap();
        drop(channel);
        trace_writer.finish().unwrap();
        let bytes = fs::read(folder.join("hops/5.bin")).unwrap();
        assert_eq!(bytes, record.encode());
        let text = metrics.render().unwrap();
        assert!(text.contains("sapphire_hop_seconds_count{hop=\"signal_to_wire\"} 1"), "{text}");
        assert!(text.contains("sapphire_hop_seconds_sum{hop=\"signal_to_wire\"} 0.000012"), "{text}");
        assert!(text.contains("sapphire_hop_seconds_count{hop=\"acknowledge\"} 0"), "{text}");
        fs::remove_dir_all(&folder).unwrap();
    }
}
