//! The journal's files, in a folder that one process holds: each start begins one, and so does a file that is full.
//!
//! Invariant: an entry is in the file before it is applied: one `write(2)`, and the page cache outlives the process.
//! `fdatasync` follows in groups on another thread. An entry that could not be written whole is cut off again, so that
//! a full disk refuses a request and damages nothing; if even that fails the journal stays closed. A file beyond
//! 4 MiB is followed by one of the next epoch, and archived (`sapphire_archive`) once it is synced.
//!
//! Known limitation: files grow as they are written; nothing is reserved. A start reads all of them.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use sapphire_archive::{Archiver, Content, plain_name};
use sapphire_core::journal::{Decoder, FIRST_SEQUENCE, Header, JournalError, JournalKind};
use sha2::{Digest, Sha256};

use super::command::{Command, Entry};
use super::start::StartError;
use crate::settings::Genesis;

mod writing;

pub(crate) use writing::{JournalFile, Watermarks};
use writing::{SEGMENT_BYTES, Segment};

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
            let bytes =
                sapphire_archive::read(path).map_err(|source| JournalFailure::File { path: path.clone(), source })?;
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

    /// Begins the file of a new epoch; those before it are archived.
    pub(crate) fn begin(&self, kept: &Kept, genesis: &Genesis, wall_ns: i64) -> Result<JournalFile, JournalFailure> {
        self.begin_with(kept, genesis, wall_ns, SEGMENT_BYTES)
    }

    fn begin_with(
        &self,
        kept: &Kept,
        genesis: &Genesis,
        wall_ns: i64,
        segment_bytes: u64,
    ) -> Result<JournalFile, JournalFailure> {
        let seconds = (wall_ns / 1_000_000_000).max(0) as u64;
        let epoch = kept.last_epoch.map_or(seconds, |last| seconds.max(last + 1));
        let segment = Segment::begin(&self.path, epoch, config_digest(genesis))?;
        let failure = |source| JournalFailure::File { path: self.path.clone(), source };
        let archiver = Archiver::start().map_err(failure)?;
        for (_, path) in self.files()? {
            if path != segment.path && path.exists() {
                archiver.add(path, Content::Journal);
            }
        }
        JournalFile::new(segment, segment_bytes, archiver)
    }

    fn files(&self) -> Result<Vec<(u64, PathBuf)>, JournalFailure> {
        let failure = |source| JournalFailure::File { path: self.path.clone(), source };
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(failure)? {
            let name = entry.map_err(failure)?.file_name();
            let Some(plain) = name.to_str().and_then(plain_name) else { continue };
            files.extend(epoch_of(plain).map(|epoch| (epoch, self.path.join(plain))));
        }
        files.sort();
        files.dedup();
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

#[cfg(test)]
mod tests;
