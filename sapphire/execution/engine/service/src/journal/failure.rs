//! Why a journal could not be read, or an entry not written.

use std::io;
use std::path::PathBuf;

use sapphire_core::journal::JournalError;

use crate::fold::FoldFault;

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
    /// Another process has the folder.
    #[error(
        "account folder {} is in use\n  expected: a folder that no other service holds\n  got:      one held by {holder}\n  next:     \
         end that process, or give another folder", .folder.display()
    )]
    Held {
        /// Which.
        folder: PathBuf,
        /// By whom.
        holder: String,
    },
    /// A file that does not decode.
    #[error("{}: {source}", .path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong, at which record and byte.
        source: JournalError,
    },
    /// Files that decode and do not fit together.
    #[error("{}: {reason}; read it with the build that wrote it, or restore the folder from a copy", .path.display())]
    Inconsistent {
        /// Which.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// What was read cannot be folded, or folds to something else than was decided.
    #[error("{}: {source}", .path.display())]
    Fold {
        /// The file.
        path: PathBuf,
        /// Why.
        source: FoldFault,
    },
    /// The run's configuration or the journal's options cannot be meant.
    #[error("{0}")]
    Settings(String),
    /// The epoch does not fit its width: the machine's clock is wrong.
    #[error("the machine's clock gives epoch {0}; expected one that fits 32 bits; next: set the clock")]
    Epoch(u64),
    /// An entry could not be written; the journal is as it was before.
    #[error("{}: {source} (record {record}, nothing of it is kept)", .path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// The record.
        record: u64,
        /// Why.
        source: io::Error,
    },
    /// The disk is full and the reserve is kept for what stops, ends or reports. Nothing was written.
    #[error("{}: no room for the journal's next file, and the reserve is kept for halt, cancels and fills; next: free disk space", .0.display())]
    OnlyReserve(PathBuf),
    /// The disk is full and the reserve is used up. Nothing was written.
    #[error("{}: no room for the journal's next file, and the reserve is used up; next: free disk space", .0.display())]
    Full(PathBuf),
    /// An entry does not fit a file.
    #[error(
        "an entry of {bytes} bytes does not fit a file of {capacity}; next: raise journal.segment_bytes and reserve_bytes"
    )]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The file's.
        capacity: u64,
    },
    /// An earlier failure left the file in doubt.
    #[error("{}: an earlier write or sync failed and could not be undone; restart the service", .0.display())]
    Closed(PathBuf),
    /// An entry did not encode.
    #[error("an entry of the journal does not encode: {0}")]
    Encode(String),
}
