//! One file of the journal, open for writing.
//!
//! Invariant: what is behind the last whole record is zeros: an entry that could not be written whole is erased again.
//! Where even that fails the file is in doubt, and nothing more is written to it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use sapphire_core::journal::{Encoder, Header, JournalKind};

use super::JournalFailure;
use crate::entry::{Entry, Predecessor};

/// An entry with what stands beside it in the journal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamped<'a> {
    pub(super) entry: &'a Entry,
    /// Digest of the outputs of the event before.
    pub(super) outputs: Option<[u8; 32]>,
    pub(super) market_ns: i64,
    pub(super) monotonic_ns: i64,
}

/// Which file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) epoch: u32,
    pub(super) number: u32,
    pub(super) config_digest: [u8; 32],
}

#[derive(Debug)]
pub(super) struct Segment {
    name: Name,
    path: PathBuf,
    file: Arc<File>,
    encoder: Encoder,
    offset: u64,
    capacity: u64,
    records: u64,
    in_doubt: bool,
    payload: Vec<u8>,
    bytes: Vec<u8>,
}

impl Segment {
    /// Begins a file of `capacity` zeros with its header and first entry, in one write.
    pub(super) fn begin(
        name: Name,
        path: PathBuf,
        file: File,
        capacity: u64,
        first: &Stamped<'_>,
    ) -> Result<Self, JournalFailure> {
        let (epoch, config_digest) = (u64::from(name.epoch), name.config_digest);
        let mut header = Vec::new();
        let encoder = Encoder::new(&Header { kind: JournalKind::Service, epoch, config_digest }, &mut header);
        let mut segment = Self {
            name,
            path,
            file: Arc::new(file),
            encoder,
            offset: 0,
            capacity,
            records: 0,
            in_doubt: false,
            payload: Vec::with_capacity(512),
            bytes: Vec::with_capacity(1_024),
        };
        if segment.write_behind(&header, first)? {
            return Ok(segment);
        }
        Err(JournalFailure::TooLarge { bytes: segment.bytes.len(), capacity })
    }

    /// Writes one entry; whether there was room for it.
    pub(super) fn write(&mut self, stamped: &Stamped<'_>) -> Result<bool, JournalFailure> {
        self.write_behind(&[], stamped)
    }

    fn write_behind(&mut self, before: &[u8], stamped: &Stamped<'_>) -> Result<bool, JournalFailure> {
        if self.in_doubt {
            return Err(JournalFailure::Closed(self.path.clone()));
        }
        self.payload.clear();
        let encode = |error: &dyn ToString| JournalFailure::Encode(error.to_string());
        stamped.entry.encode(stamped.outputs, &mut self.payload).map_err(|error| encode(&error))?;
        self.bytes.clear();
        self.bytes.extend_from_slice(before);
        let Stamped { entry, market_ns, monotonic_ns, .. } = *stamped;
        let mut encoder = self.encoder.clone();
        encoder
            .encode(market_ns, monotonic_ns, entry.kind(), &self.payload, &mut self.bytes)
            .map_err(|error| encode(&error))?;
        let length = self.bytes.len() as u64;
        if self.offset + length > self.capacity {
            return Ok(false);
        }
        if let Err(source) = self.file.write_all_at(&self.bytes, self.offset) {
            self.in_doubt = self.erase(length).is_err();
            return Err(JournalFailure::Write { path: self.path.clone(), record: self.records + 1, source });
        }
        self.encoder = encoder;
        self.offset += length;
        self.records += 1;
        Ok(true)
    }

    /// Takes back what a write that failed has left behind the last record.
    fn erase(&mut self, length: u64) -> io::Result<()> {
        self.bytes.clear();
        self.bytes.resize(length as usize, 0);
        self.file.write_all_at(&self.bytes, self.offset).or_else(|_| {
            self.capacity = self.offset;
            self.file.set_len(self.offset)
        })
    }

    pub(super) fn name(&self) -> Name {
        self.name
    }

    pub(super) fn file(&self) -> &Arc<File> {
        &self.file
    }

    pub(super) fn path(&self) -> &PathBuf {
        &self.path
    }

    /// A write failed and could not be undone.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.in_doubt
    }

    /// Bytes of the entry that was written or refused last.
    pub(super) fn last_size(&self) -> usize {
        self.bytes.len()
    }

    /// Where the records end.
    pub(super) fn length(&self) -> u64 {
        self.offset
    }

    /// What the next file says it follows.
    pub(super) fn follows(&self) -> Predecessor {
        Predecessor {
            epoch: self.name.epoch,
            segment: self.name.number,
            records: self.records,
            hash: blake3::Hash::from_bytes(self.encoder.last_hash()).to_string(),
        }
    }
}
