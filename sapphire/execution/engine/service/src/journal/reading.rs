//! Reading a journal from its first file to its last.
//!
//! Invariant: each file follows the one before it, to the hash of its last record; a record that is damaged, a file
//! that is missing and one that does not belong are named. Only the last file may end in a torn record. Nothing is
//! changed. Archived files are read as plain ones.

use std::path::{Path, PathBuf};

use sapphire_core::engine::Body;
use sapphire_core::journal::{Decoder, FIRST_SEQUENCE, HEADER_LEN, Header, JournalError, JournalKind};

use super::JournalFailure;
use super::folder::{SegmentFile, file_failure, segments};
use crate::entry::{Entry, Predecessor};

/// A record as it was read.
#[derive(Debug)]
pub(crate) struct Read<'a> {
    pub(crate) file: &'a SegmentFile,
    /// Number of the record in its file.
    pub(crate) record: u64,
    pub(crate) market_ns: i64,
    pub(crate) monotonic_ns: i64,
    /// Digest of the outputs of the event before.
    pub(crate) outputs: Option<[u8; 32]>,
    pub(crate) entry: Entry,
    /// It belongs to the last run of the folder.
    pub(crate) is_of_last_run: bool,
}

/// What there is.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) files: u64,
    pub(crate) records: u64,
    pub(crate) runs: u64,
    /// The last file with records.
    pub(crate) last: Option<Predecessor>,
    /// The last epoch that a file is named after.
    pub(crate) last_epoch: Option<u32>,
    /// Digest of the last run's configuration.
    pub(crate) config_digest: Option<[u8; 32]>,
    /// Files at the end without a whole record: the process died while it made them.
    pub(crate) empty: Vec<PathBuf>,
    /// The last file, and where its records end.
    pub(crate) end: Option<(PathBuf, u64)>,
    /// A record at the end is incomplete.
    pub(crate) is_torn: bool,
}

/// Hands every record to `take`, oldest first.
pub(crate) fn read<E: From<JournalFailure>>(
    account: &Path,
    take: &mut dyn FnMut(Read<'_>) -> Result<(), E>,
) -> Result<Found, E> {
    let mut files = segments(account)?;
    let mut found = Found { last_epoch: files.last().map(|file| file.epoch), ..Found::default() };
    while let Some(last) = files.pop() {
        if has_records(&last)? {
            files.push(last);
            break;
        }
        found.is_torn = true;
        found.empty.push(last.path);
    }
    let last_run = first_of_last_run(&files)?;
    for (place, file) in files.iter().enumerate() {
        let bytes = sapphire_archive::read(&file.path).map_err(file_failure(&file.path))?;
        let end = read_file(file, &bytes, place >= last_run, &mut found, take)?;
        // Zeros behind the last record are room, not a torn record.
        let is_torn = bytes[end..].iter().any(|byte| *byte != 0);
        if is_torn && place + 1 < files.len() {
            return Err(inconsistent(&file.path, "its last record is torn and a later file follows").into());
        }
        found.is_torn |= is_torn;
        found.end = Some((file.path.clone(), end as u64));
    }
    Ok(found)
}

/// Closes of the first and the last bar whose end the last run was given; none where it was given none. Only the
/// files at both ends are read.
pub(crate) fn bars(account: &Path) -> Result<Option<(i64, i64)>, JournalFailure> {
    let mut files = segments(account)?;
    while let Some(last) = files.pop() {
        if has_records(&last)? {
            files.push(last);
            break;
        }
    }
    let of_run = &files[first_of_last_run(&files)?..];
    let mut first = None;
    for file in of_run {
        first = ended_bars(file)?.first().copied();
        if first.is_some() {
            break;
        }
    }
    let mut last = None;
    for file in of_run.iter().rev() {
        last = ended_bars(file)?.iter().max().copied();
        if last.is_some() {
            break;
        }
    }
    Ok(first.zip(last))
}

/// Closes of the bars whose end a file holds.
fn ended_bars(file: &SegmentFile) -> Result<Vec<i64>, JournalFailure> {
    let bytes = sapphire_archive::read(&file.path).map_err(file_failure(&file.path))?;
    let (_, decoder) = Decoder::new(&bytes).map_err(damaged(&file.path))?;
    let mut closes = Vec::new();
    for record in decoder {
        let record = match record {
            Ok(record) => record,
            Err(JournalError::TornTail { .. }) => break,
            Err(error) => return Err(damaged(&file.path)(error)),
        };
        let (entry, _) = Entry::decode(record.kind, record.payload)
            .map_err(|error| inconsistent(&file.path, format!("record {}: {error}", record.sequence)))?;
        if let Entry::Event { event, .. } = entry
            && let Body::EndOfBar { bar_close_ns } = event.body
        {
            closes.push(bar_close_ns);
        }
    }
    Ok(closes)
}

fn inconsistent(path: &Path, reason: impl Into<String>) -> JournalFailure {
    JournalFailure::Inconsistent { path: path.into(), reason: reason.into() }
}

fn damaged(path: &Path) -> impl Fn(JournalError) -> JournalFailure + use<> {
    let path = path.to_owned();
    move |source| JournalFailure::Damaged { path: path.clone(), source }
}

/// Whether the last file has a whole record.
fn has_records(file: &SegmentFile) -> Result<bool, JournalFailure> {
    let bytes = sapphire_archive::read(&file.path).map_err(file_failure(&file.path))?;
    match Decoder::new(&bytes) {
        Err(JournalError::TornHeader { .. }) => Ok(false),
        // A header that was cut while it was written, and room.
        Err(JournalError::NotAJournal) if bytes[HEADER_LEN..].iter().all(|byte| *byte == 0) => Ok(false),
        Err(error) => Err(damaged(&file.path)(error)),
        // A damaged first record is found again, and named, when the file is read.
        Ok((_, mut decoder)) => Ok(!matches!(decoder.next(), None | Some(Err(JournalError::TornTail { .. })))),
    }
}

/// The files of a run stand together and carry its configuration's digest.
fn first_of_last_run(files: &[SegmentFile]) -> Result<usize, JournalFailure> {
    let mut first = files.len();
    let mut of_run = None;
    for (place, file) in files.iter().enumerate().rev() {
        let mut head = [0; HEADER_LEN];
        sapphire_archive::read_head(&file.path, &mut head).map_err(file_failure(&file.path))?;
        let (header, _) = Decoder::new(&head).map_err(damaged(&file.path))?;
        if *of_run.get_or_insert(header.config_digest) != header.config_digest {
            break;
        }
        first = place;
    }
    Ok(first)
}

/// Hands one file's records to `take`; where the whole ones end.
fn read_file<E: From<JournalFailure>>(
    file: &SegmentFile,
    bytes: &[u8],
    is_of_last_run: bool,
    found: &mut Found,
    take: &mut dyn FnMut(Read<'_>) -> Result<(), E>,
) -> Result<usize, E> {
    let (header, mut decoder) = Decoder::new(bytes).map_err(damaged(&file.path))?;
    if header.kind != JournalKind::Service || header.epoch != u64::from(file.epoch) {
        let got = format!("expected the service's epoch {}, got {:?} {}", file.epoch, header.kind, header.epoch);
        return Err(inconsistent(&file.path, got).into());
    }
    found.files += 1;
    let mut records = 0;
    let mut end = decoder.offset();
    while let Some(record) = decoder.next() {
        let record = match record {
            Ok(record) => record,
            Err(JournalError::TornTail { .. }) => break,
            Err(error) => return Err(damaged(&file.path)(error).into()),
        };
        let (entry, outputs) = Entry::decode(record.kind, record.payload)
            .map_err(|error| inconsistent(&file.path, format!("record {}: {error}", record.sequence)))?;
        if record.sequence == FIRST_SEQUENCE {
            check_first(file, &entry, &header, found).map_err(|reason| inconsistent(&file.path, reason))?;
        } else if matches!(entry, Entry::Begin(_) | Entry::Resume(_) | Entry::Continue(_)) {
            let reason = format!("record {} begins a file and is not the first", record.sequence);
            return Err(inconsistent(&file.path, reason).into());
        }
        records = record.sequence;
        end = decoder.offset();
        let (market_ns, monotonic_ns) = (record.market_ns, record.monotonic_ns);
        take(Read { file, record: records, market_ns, monotonic_ns, outputs, entry, is_of_last_run })?;
    }
    let hash = blake3::Hash::from_bytes(decoder.encoder().last_hash()).to_string();
    found.records += records;
    found.last = Some(Predecessor { epoch: file.epoch, segment: file.number, records, hash });
    Ok(end)
}

/// A file says what it follows: nothing, the end of an earlier epoch, or the end of the file before it in its epoch.
fn check_first(file: &SegmentFile, entry: &Entry, header: &Header, found: &mut Found) -> Result<(), String> {
    let follows = match entry {
        Entry::Begin(begin) => {
            found.config_digest = Some(begin.run.digest());
            found.runs += 1;
            begin.follows.as_ref()
        }
        Entry::Resume(resume) => Some(&resume.follows),
        Entry::Continue(follows) => Some(follows),
        Entry::Release(_) | Entry::Passed(_) | Entry::Event { .. } => {
            return Err("its first record does not say what it follows".into());
        }
    };
    if follows != found.last.as_ref() {
        return Err(format!("it follows {follows:?}, and {:?} stands before it", found.last));
    }
    let is_next = match (entry, &found.last) {
        (Entry::Continue(_), Some(last)) => file.epoch == last.epoch && file.number == last.segment + 1,
        (_, Some(last)) => file.epoch > last.epoch && file.number == 1,
        (_, None) => file.number == 1,
    };
    if !is_next {
        return Err(format!("its name does not follow {:?}", found.last));
    }
    if found.config_digest == Some(header.config_digest) {
        return Ok(());
    }
    Err("its header belongs to another run".into())
}
