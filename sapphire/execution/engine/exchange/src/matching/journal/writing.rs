//! Writing the journal: one file after the other, and the thread that syncs them.
//!
//! Invariant: a file is closed only once the next one has its first record, which says what it follows.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sapphire_archive::{Archiver, Content};
use sapphire_core::journal::{Encoder, FIRST_SEQUENCE, Header, JournalKind};

use super::{JournalFailure, name};
use crate::matching::command::{Command, Entry};

/// Writes that one `fdatasync` waits for.
const GROUP: Duration = Duration::from_millis(4);

/// A file that is longer is closed, and the next one begun.
pub(super) const SEGMENT_BYTES: u64 = 4 << 20;

/// How far the journal is written and synced: records since the start of the process, whose epoch it is.
#[derive(Clone, Debug)]
pub(crate) struct Watermarks {
    pub(crate) epoch: u64,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    written: AtomicU64,
    synced: AtomicU64,
    failed: AtomicBool,
    files: Mutex<Files>,
}

#[derive(Debug, Default)]
struct Files {
    current: Option<Arc<File>>,
    /// Files that another one follows.
    closed: Vec<(Arc<File>, PathBuf)>,
}

impl Shared {
    fn files(&self) -> MutexGuard<'_, Files> {
        // Nothing that is done under the lock can leave the files half changed.
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watermarks {
    pub(crate) fn written(&self) -> u64 {
        self.shared.written.load(Ordering::Acquire)
    }

    pub(crate) fn synced(&self) -> u64 {
        self.shared.synced.load(Ordering::Acquire)
    }
}

/// One file, open for writing.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) path: PathBuf,
    file: Arc<File>,
    encoder: Encoder,
    epoch: u64,
    config_digest: [u8; 32],
    offset: u64,
}

impl Segment {
    /// Begins the file of an epoch; nothing is left of one that could not be begun.
    pub(super) fn begin(folder: &Path, epoch: u64, config_digest: [u8; 32]) -> Result<Self, JournalFailure> {
        let path = folder.join(name(epoch));
        let failure = |source| JournalFailure::File { path: path.clone(), source };
        let mut bytes = Vec::new();
        let encoder = Encoder::new(&Header { kind: JournalKind::Exchange, epoch, config_digest }, &mut bytes);
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(&path).map_err(failure)?;
        let begun = file
            .write_all_at(&bytes, 0)
            .and_then(|()| file.sync_all())
            .and_then(|()| File::open(folder).and_then(|folder| folder.sync_all()));
        if let Err(source) = begun {
            fs::remove_file(&path).map_err(failure)?;
            return Err(failure(source));
        }
        let offset = bytes.len() as u64;
        Ok(Self { path, file: Arc::new(file), encoder, epoch, config_digest, offset })
    }

    /// Records written to it.
    fn records(&self) -> u64 {
        self.encoder.next_sequence() - FIRST_SEQUENCE
    }
}

/// The open journal of this start.
#[derive(Debug)]
pub(crate) struct JournalFile {
    segment: Segment,
    /// Records in the files of this start that are closed.
    closed_records: u64,
    segment_bytes: u64,
    /// Where this file ends; later than that where the next one could not be begun.
    full_at: u64,
    buffer: Vec<u8>,
    began: Instant,
    is_closed: bool,
    marks: Watermarks,
    nudge: Option<SyncSender<()>>,
    syncer: Option<JoinHandle<()>>,
}

impl JournalFile {
    pub(super) fn new(segment: Segment, segment_bytes: u64, archiver: Archiver) -> Result<Self, JournalFailure> {
        let shared = Arc::new(Shared::default());
        shared.files().current = Some(Arc::clone(&segment.file));
        let (nudge, nudged) = sync_channel(1);
        let marks = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("journal-sync".into());
        let syncer = thread.spawn(move || sync_in_groups(&marks, &nudged, &archiver));
        let syncer = syncer.map_err(|source| JournalFailure::File { path: segment.path.clone(), source })?;
        Ok(Self {
            marks: Watermarks { epoch: segment.epoch, shared },
            segment,
            closed_records: 0,
            segment_bytes,
            full_at: segment_bytes,
            buffer: Vec::new(),
            began: Instant::now(),
            is_closed: false,
            nudge: Some(nudge),
            syncer: Some(syncer),
        })
    }

    pub(crate) fn watermarks(&self) -> &Watermarks {
        &self.marks
    }

    /// Writes one entry.
    pub(crate) fn append(&mut self, market_ns: i64, entry: &Entry) -> Result<(), JournalFailure> {
        if self.segment.offset >= self.full_at {
            self.turn(market_ns, entry.outputs_before);
        }
        self.write(market_ns, entry)
    }

    fn write(&mut self, market_ns: i64, entry: &Entry) -> Result<(), JournalFailure> {
        let segment = &mut self.segment;
        if self.is_closed || self.marks.shared.failed.load(Ordering::Acquire) {
            return Err(JournalFailure::Closed(segment.path.clone()));
        }
        let payload = serde_json::to_vec(entry).map_err(|error| JournalFailure::Encode(error.to_string()))?;
        let monotonic_ns = i64::try_from(self.began.elapsed().as_nanos()).unwrap_or(i64::MAX);
        let mut encoder = segment.encoder.clone();
        self.buffer.clear();
        let sequence = encoder.encode(market_ns, monotonic_ns, entry.command.kind(), &payload, &mut self.buffer);
        let sequence = sequence.map_err(|error| JournalFailure::Encode(error.to_string()))?;
        if let Err(source) = segment.file.write_all_at(&self.buffer, segment.offset) {
            self.is_closed = segment.file.set_len(segment.offset).is_err();
            return Err(JournalFailure::Write { path: segment.path.clone(), sequence, source });
        }
        segment.encoder = encoder;
        segment.offset += self.buffer.len() as u64;
        self.marks.shared.written.store(self.closed_records + sequence, Ordering::Release);
        self.nudge();
        Ok(())
    }

    /// Goes on in the file of the next epoch; where it cannot be begun, this one grows on and is tried again later.
    fn turn(&mut self, market_ns: i64, outputs_before: u64) {
        let before = &self.segment;
        let command = Command::Resume { epoch_before: before.epoch, records_before: before.records() };
        let folder = before.path.parent().unwrap_or(Path::new("."));
        let next = match Segment::begin(folder, before.epoch + 1, before.config_digest) {
            Ok(next) => next,
            Err(error) => {
                tracing::warn!(%error, "the journal's next file could not be begun; this one grows on");
                self.full_at = before.offset + self.segment_bytes;
                return;
            }
        };
        let (records, path) = (before.records(), next.path.clone());
        // What is written to the next file counts as synced only once that one is.
        let shared = Arc::clone(&self.marks.shared);
        let mut files = shared.files();
        let before = std::mem::replace(&mut self.segment, next);
        self.closed_records += records;
        if let Err(error) = self.write(market_ns, &Entry { outputs_before, command }) {
            tracing::warn!(%error, "the journal's next file could not be begun; the one before grows on");
            self.closed_records -= records;
            self.full_at = before.offset + self.segment_bytes;
            self.segment = before;
            if let Err(error) = fs::remove_file(&path) {
                tracing::error!(%error, "an empty file of the journal stays");
            }
            return;
        }
        self.full_at = self.segment_bytes;
        files.current = Some(Arc::clone(&self.segment.file));
        files.closed.push((before.file, before.path));
    }

    fn nudge(&self) {
        if let Some(nudge) = &self.nudge {
            // Full means that a sync is about to happen anyway.
            let (Ok(()) | Err(TrySendError::Full(()) | TrySendError::Disconnected(()))) = nudge.try_send(());
        }
    }
}

impl Drop for JournalFile {
    /// Everything written is synced before the file is let go.
    fn drop(&mut self) {
        self.nudge.take();
        if let Some(syncer) = self.syncer.take() {
            // A panic there has been reported by its own thread.
            let _ = syncer.join();
        }
    }
}

fn sync_in_groups(shared: &Shared, nudged: &Receiver<()>, archiver: &Archiver) {
    loop {
        let is_last = nudged.recv().is_err();
        if !is_last {
            std::thread::sleep(GROUP);
        }
        if let Err(error) = sync(shared, archiver) {
            shared.failed.store(true, Ordering::Release);
            tracing::error!(%error, "the journal could not be synced; nothing more is accepted");
            return;
        }
        if is_last {
            return;
        }
    }
}

/// Syncs what is written, older files first; those that are closed are archived.
fn sync(shared: &Shared, archiver: &Archiver) -> io::Result<()> {
    let written = shared.written.load(Ordering::Acquire);
    let (closed, current) = {
        let mut files = shared.files();
        (std::mem::take(&mut files.closed), files.current.clone())
    };
    for (file, path) in closed {
        file.sync_all()?;
        archiver.add(path, Content::Journal);
    }
    current.map_or(Ok(()), |file| file.sync_data())?;
    shared.synced.store(written, Ordering::Release);
    Ok(())
}
