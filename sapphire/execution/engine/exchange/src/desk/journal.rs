//! The journal's files: one per start of the process, in a folder that one process holds.
//!
//! Invariant: an entry is in the file before it is applied: one `write(2)`, and the page cache outlives the process.
//! `fdatasync` follows in groups on another thread. An entry that could not be written whole is cut off again, so that
//! a full disk refuses a request and damages nothing; if even that fails the journal stays closed.
//!
//! Known limitation: files grow as they are written; nothing is reserved.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sapphire_core::journal::{Decoder, Encoder, FIRST_SEQUENCE, Header, JournalError, JournalKind};
use sha2::{Digest, Sha256};

use super::command::{Command, Entry};
use super::start::StartError;
use crate::settings::Genesis;

/// Writes that one `fdatasync` waits for.
const GROUP: Duration = Duration::from_millis(4);

const LOCK: &str = "lock";

/// A journal that could not be read, or an entry that could not be written.
#[derive(Debug, thiserror::Error)]
pub enum JournalFailure {
    /// A file or the folder.
    #[error("{}: {source}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another exchange has the folder.
    #[error("journal folder {} is in use\n  expected: a folder of our own\n  got:      one that another exchange holds\n  next:     end it, or give another --journal folder", .0.display())]
    Held(PathBuf),
    /// A file that does not decode.
    #[error("{}: {source}", .path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        source: JournalError,
    },
    /// Files that decode and do not fit together.
    #[error("{}: {reason}; restore the folder from a copy", .path.display())]
    Inconsistent {
        /// Which.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// An entry could not be written; the journal is as it was before.
    #[error("{}: {source} (entry {sequence}, nothing of it is kept)", .path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// The entry.
        sequence: u64,
        /// Why.
        source: io::Error,
    },
    /// An earlier failure left the file in doubt.
    #[error("{}: an earlier write or sync failed and could not be undone; restart the exchange", .0.display())]
    Closed(PathBuf),
    /// An entry did not encode.
    #[error("an entry of the journal does not encode: {0}")]
    Encode(String),
}

/// How far the journal is written and synced.
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
}

impl Watermarks {
    pub(crate) fn written(&self) -> u64 {
        self.shared.written.load(Ordering::Acquire)
    }

    pub(crate) fn synced(&self) -> u64 {
        self.shared.synced.load(Ordering::Acquire)
    }
}

/// A journal folder that this process holds.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    _lock: File,
}

/// What earlier starts wrote.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// Epoch and number of records of the last file that has records.
    pub(crate) last: Option<(u64, u64)>,
    /// The last epoch, with records or without.
    last_epoch: Option<u64>,
    config_digest: [u8; 32],
    /// A torn record or file was cut off.
    pub(crate) was_torn: bool,
}

/// Takes an entry in, with the market time it was applied at.
pub(crate) trait Reader {
    /// Takes the next entry, oldest first.
    fn take(&mut self, market_ns: i64, entry: &Entry) -> Result<(), StartError>;
}

impl Folder {
    /// Makes or takes the folder, for its owner only.
    pub(crate) fn hold(path: &Path) -> Result<Self, JournalFailure> {
        let failure = |source| JournalFailure::File { path: path.into(), source };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failure)?;
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let lock = options.open(path.join(LOCK)).map_err(failure)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.into(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(JournalFailure::Held(path.into())),
            Err(TryLockError::Error(source)) => Err(failure(source)),
        }
    }

    /// Hands all epochs to a reader; a torn tail of the last is cut off its file.
    pub(crate) fn read(&self, reader: &mut dyn Reader) -> Result<Kept, StartError> {
        let mut kept = Kept::default();
        let files = self.files()?;
        for (index, (epoch, path)) in files.iter().enumerate() {
            let is_last = index + 1 == files.len();
            let bytes = fs::read(path).map_err(|source| JournalFailure::File { path: path.clone(), source })?;
            if is_last && let Err(JournalError::TornHeader { .. }) = Decoder::new(&bytes) {
                fs::remove_file(path).map_err(|source| JournalFailure::File { path: path.clone(), source })?;
                kept.was_torn = true;
                break;
            }
            let whole = read_file(path, *epoch, &bytes, &mut kept, reader)?;
            if whole < bytes.len() {
                if !is_last {
                    let reason = "its tail is torn and a later file follows".to_owned();
                    return Err(JournalFailure::Inconsistent { path: path.clone(), reason }.into());
                }
                cut(path, whole).map_err(|source| JournalFailure::File { path: path.clone(), source })?;
                kept.was_torn = true;
            }
        }
        Ok(kept)
    }

    /// Begins the file of a new epoch.
    pub(crate) fn begin(&self, kept: &Kept, genesis: &Genesis, wall_ns: i64) -> Result<JournalFile, JournalFailure> {
        let seconds = (wall_ns / 1_000_000_000).max(0) as u64;
        let epoch = kept.last_epoch.map_or(seconds, |last| seconds.max(last + 1));
        let path = self.path.join(name(epoch));
        let failure = |source| JournalFailure::File { path: path.clone(), source };
        let header = Header { kind: JournalKind::Exchange, epoch, config_digest: config_digest(genesis) };
        let mut bytes = Vec::new();
        let encoder = Encoder::new(&header, &mut bytes);
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(&path).map_err(failure)?;
        file.write_all_at(&bytes, 0).map_err(failure)?;
        file.sync_all().map_err(failure)?;
        File::open(&self.path).and_then(|folder| folder.sync_all()).map_err(failure)?;
        let offset = bytes.len() as u64;
        JournalFile::new(path, file, encoder, offset, epoch)
    }

    fn files(&self) -> Result<Vec<(u64, PathBuf)>, JournalFailure> {
        let failure = |source| JournalFailure::File { path: self.path.clone(), source };
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(failure)? {
            let path = entry.map_err(failure)?.path();
            let number = path.file_name().and_then(|name| name.to_str()).and_then(epoch_of);
            files.extend(number.map(|epoch| (epoch, path)));
        }
        files.sort();
        Ok(files)
    }
}

fn name(epoch: u64) -> String {
    format!("exchange-{epoch:012}.journal")
}

fn epoch_of(name: &str) -> Option<u64> {
    name.strip_prefix("exchange-")?.strip_suffix(".journal")?.parse().ok()
}

fn config_digest(genesis: &Genesis) -> [u8; 32] {
    // A genesis is plain data, so it always has a text; an empty one would be refused at the next start.
    Sha256::digest(serde_json::to_vec(genesis).unwrap_or_default()).into()
}

fn cut(path: &Path, length: usize) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    file.set_len(length as u64)?;
    file.sync_all()
}

/// Hands one file to the reader; where its whole records end.
fn read_file(
    path: &Path,
    epoch: u64,
    bytes: &[u8],
    kept: &mut Kept,
    reader: &mut dyn Reader,
) -> Result<usize, StartError> {
    let damaged = |source| JournalFailure::Damaged { path: path.into(), source };
    let inconsistent = |reason: String| JournalFailure::Inconsistent { path: path.into(), reason };
    let (header, mut decoder) = Decoder::new(bytes).map_err(damaged)?;
    if header.kind != JournalKind::Exchange || header.epoch != epoch {
        return Err(inconsistent(format!("expected the exchange's epoch {epoch}, got {header:?}")).into());
    }
    let mut records = 0;
    let mut whole = decoder.offset();
    while let Some(record) = decoder.next() {
        let record = match record {
            Ok(record) => record,
            Err(JournalError::TornTail { .. }) => break,
            Err(error) => return Err(damaged(error).into()),
        };
        let entry: Entry = serde_json::from_slice(record.payload)
            .map_err(|error| inconsistent(format!("record {} does not parse: {error}", record.sequence)))?;
        if record.sequence == FIRST_SEQUENCE {
            check_first(&entry, &header, kept).map_err(inconsistent)?;
        }
        reader.take(record.market_ns, &entry)?;
        records = record.sequence;
        whole = decoder.offset();
    }
    kept.last_epoch = Some(epoch);
    if records > 0 {
        kept.last = Some((epoch, records));
    }
    // Zeros behind the last record are room, not a torn record.
    let is_room = bytes[whole..].iter().all(|byte| *byte == 0);
    Ok(if is_room { bytes.len() } else { whole })
}

/// The first file begins a market, each later one says which it follows; all belong to one market.
fn check_first(entry: &Entry, header: &Header, kept: &mut Kept) -> Result<(), String> {
    match (&entry.command, kept.last) {
        (Command::Begin(genesis), None) => kept.config_digest = config_digest(genesis),
        (Command::Resume { epoch_before, records_before }, Some(last)) => {
            let follows = (*epoch_before, *records_before);
            if follows != last {
                return Err(format!("it follows {follows:?} (epoch, records), got {last:?} before it"));
            }
        }
        _ => return Err("its first record does not follow what is before it".into()),
    }
    if header.config_digest == kept.config_digest {
        return Ok(());
    }
    Err("its header belongs to another market".into())
}

/// The open file of this epoch.
#[derive(Debug)]
pub(crate) struct JournalFile {
    path: PathBuf,
    file: Arc<File>,
    encoder: Encoder,
    offset: u64,
    buffer: Vec<u8>,
    began: Instant,
    is_closed: bool,
    marks: Watermarks,
    nudge: Option<SyncSender<()>>,
    syncer: Option<JoinHandle<()>>,
}

impl JournalFile {
    fn new(path: PathBuf, file: File, encoder: Encoder, offset: u64, epoch: u64) -> Result<Self, JournalFailure> {
        let file = Arc::new(file);
        let shared = Arc::new(Shared::default());
        let (nudge, nudged) = sync_channel(1);
        let (target, marks) = (Arc::clone(&file), Arc::clone(&shared));
        let thread = std::thread::Builder::new().name("journal-sync".into());
        let syncer = thread.spawn(move || sync_in_groups(&target, &marks, &nudged));
        let syncer = syncer.map_err(|source| JournalFailure::File { path: path.clone(), source })?;
        Ok(Self {
            path,
            file,
            encoder,
            offset,
            buffer: Vec::new(),
            began: Instant::now(),
            is_closed: false,
            marks: Watermarks { epoch, shared },
            nudge: Some(nudge),
            syncer: Some(syncer),
        })
    }

    pub(crate) fn watermarks(&self) -> &Watermarks {
        &self.marks
    }

    /// Writes one entry.
    pub(crate) fn append(&mut self, market_ns: i64, entry: &Entry) -> Result<(), JournalFailure> {
        if self.is_closed || self.marks.shared.failed.load(Ordering::Acquire) {
            return Err(JournalFailure::Closed(self.path.clone()));
        }
        let payload = serde_json::to_vec(entry).map_err(|error| JournalFailure::Encode(error.to_string()))?;
        let monotonic_ns = i64::try_from(self.began.elapsed().as_nanos()).unwrap_or(i64::MAX);
        let mut encoder = self.encoder.clone();
        self.buffer.clear();
        let sequence = encoder.encode(market_ns, monotonic_ns, entry.command.kind(), &payload, &mut self.buffer);
        let sequence = sequence.map_err(|error| JournalFailure::Encode(error.to_string()))?;
        if let Err(source) = self.file.write_all_at(&self.buffer, self.offset) {
            self.is_closed = self.file.set_len(self.offset).is_err();
            return Err(JournalFailure::Write { path: self.path.clone(), sequence, source });
        }
        self.encoder = encoder;
        self.offset += self.buffer.len() as u64;
        self.marks.shared.written.store(sequence, Ordering::Release);
        self.nudge();
        Ok(())
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

fn sync_in_groups(file: &File, shared: &Shared, nudged: &Receiver<()>) {
    loop {
        let is_last = nudged.recv().is_err();
        if !is_last {
            std::thread::sleep(GROUP);
        }
        let written = shared.written.load(Ordering::Acquire);
        match file.sync_data() {
            Ok(()) => shared.synced.store(written, Ordering::Release),
            Err(error) => {
                shared.failed.store(true, Ordering::Release);
                tracing::error!(%error, "the journal could not be synced; nothing more is accepted");
                return;
            }
        }
        if is_last {
            return;
        }
    }
}
