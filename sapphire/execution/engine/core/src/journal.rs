//! The framing of a journal: bytes that say themselves whether they are whole.
//!
//! A journal is a `Header` and records. A record is, little-endian: marker (1 byte), length of the payload (4),
//! sequence (8), market time (8), monotonic time (8), kind (1), hash of the record before (32, BLAKE3; of the header
//! for the first), payload, CRC-32C of all that (4). Zeros after the last record are room kept free.
//!
//! Invariant: a journal cut off anywhere decodes to its whole records and a `JournalError::TornTail` (nothing, at a
//! boundary); a byte changed before the last record is `JournalError::Damaged`. The difference is whether a whole
//! record follows the broken one.
//!
//! Known limitation: a machine that loses power may write later pages before earlier ones, which reads as damage.

/// Bytes of an encoded [`Header`].
pub const HEADER_LEN: usize = 56;

/// Bytes of a record around its payload.
pub const RECORD_OVERHEAD: usize = PAYLOAD_AT + CRC_LEN;

/// Largest payload, 16 MiB: a length beyond it is no length.
pub const MAX_PAYLOAD: usize = 1 << 24;

/// The first record's sequence.
pub const FIRST_SEQUENCE: u64 = 1;

const MAGIC: [u8; 8] = *b"SAPPHJNL";
/// 2: amounts of an asset have 128 bits.
const VERSION: u16 = 2;
const MARKER: u8 = 0xa5;
const LENGTH_AT: usize = 1;
const SEQUENCE_AT: usize = 5;
const MARKET_AT: usize = 13;
const MONOTONIC_AT: usize = 21;
const KIND_AT: usize = 29;
const BEFORE_AT: usize = 30;
const PAYLOAD_AT: usize = 62;
const CRC_LEN: usize = 4;

/// Whose journal it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JournalKind {
    /// The embedded exchange's.
    Exchange,
    /// The execution service's.
    Service,
}

/// What a journal begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whose it is.
    pub kind: JournalKind,
    /// Which start of the process wrote it.
    pub epoch: u64,
    /// Digest of the configuration that its records were applied under.
    pub config_digest: [u8; 32],
}

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Counts from [`FIRST_SEQUENCE`] without gaps.
    pub sequence: u64,
    /// Market time, UTC nanoseconds.
    pub market_ns: i64,
    /// Monotonic time of the writing process, nanoseconds.
    pub monotonic_ns: i64,
    /// What the payload is, as its writer numbers it.
    pub kind: u8,
    /// The entry itself.
    pub payload: &'a [u8],
}

/// Why a journal could not be read further, or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// Shorter than a header, or nothing but free room: the process died while it made the file.
    #[error("journal header is incomplete: expected {HEADER_LEN} bytes, got {got}; nothing was recorded in it")]
    TornHeader {
        /// Bytes there are.
        got: usize,
    },
    /// Not a journal, or its header is damaged.
    #[error("this is no journal, or its header is damaged; restore the file from a copy")]
    NotAJournal,
    /// Written by another version of the engine.
    #[error(
        "journal version {got} is not the {VERSION} that this engine reads; replay it with the engine that wrote it"
    )]
    Version {
        /// Its version.
        got: u16,
    },
    /// The last record is incomplete: the process or machine died while it was written. Cut the file at `offset`.
    #[error("record {sequence} at byte {offset} is incomplete and the last; cut the journal there")]
    TornTail {
        /// The record that is not there.
        sequence: u64,
        /// Where the whole records end.
        offset: usize,
    },
    /// A record is broken and others follow it, or it is whole and does not belong here.
    #[error("record {sequence} at byte {offset} is damaged ({damage}); restore the file from a copy")]
    Damaged {
        /// The record.
        sequence: u64,
        /// Where it begins.
        offset: usize,
        /// What is wrong with it.
        damage: Damage,
    },
    /// A payload above [`MAX_PAYLOAD`] was to be written.
    #[error("payload of {got} bytes is above the {MAX_PAYLOAD} that a record holds")]
    TooLarge {
        /// Its size.
        got: usize,
    },
}

/// What is wrong with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// Its bytes changed.
    #[error("its bytes do not fit its checksum, and whole records follow")]
    Checksum,
    /// It has another record's number.
    #[error("it carries sequence {0}")]
    Sequence(u64),
    /// It was not written after the record before it.
    #[error("it does not follow the record before it")]
    Chain,
}

/// Writes records.
#[derive(Clone, Debug)]
pub struct Encoder {
    next: u64,
    before: [u8; 32],
}

impl Encoder {
    /// Begins a journal: its header goes to the end of `out`.
    pub fn new(header: &Header, out: &mut Vec<u8>) -> Self {
        let start = out.len();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.push(match header.kind {
            JournalKind::Exchange => 1,
            JournalKind::Service => 2,
        });
        out.push(0);
        out.extend_from_slice(&header.epoch.to_le_bytes());
        out.extend_from_slice(&header.config_digest);
        let crc = crc32c::crc32c(&out[start..]);
        out.extend_from_slice(&crc.to_le_bytes());
        Self { next: FIRST_SEQUENCE, before: digest(&out[start..]) }
    }

    /// The sequence that the next record gets.
    pub fn next_sequence(&self) -> u64 {
        self.next
    }

    /// Hash of the last record, or of the header before the first: what a journal in several files names the end of
    /// one by.
    pub fn last_hash(&self) -> [u8; 32] {
        self.before
    }

    /// Appends one record to `out`; its sequence.
    ///
    /// # Errors
    /// [`JournalError::TooLarge`]; then nothing is appended.
    pub fn encode(
        &mut self,
        market_ns: i64,
        monotonic_ns: i64,
        kind: u8,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<u64, JournalError> {
        if payload.len() > MAX_PAYLOAD {
            return Err(JournalError::TooLarge { got: payload.len() });
        }
        let (start, sequence) = (out.len(), self.next);
        out.reserve(RECORD_OVERHEAD + payload.len());
        out.push(MARKER);
        out.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        out.extend_from_slice(&sequence.to_le_bytes());
        out.extend_from_slice(&market_ns.to_le_bytes());
        out.extend_from_slice(&monotonic_ns.to_le_bytes());
        out.push(kind);
        out.extend_from_slice(&self.before);
        out.extend_from_slice(payload);
        let crc = crc32c::crc32c(&out[start..]);
        out.extend_from_slice(&crc.to_le_bytes());
        self.before = digest(&out[start..]);
        self.next += 1;
        Ok(sequence)
    }
}

/// Reads records, in order, until the end or the first error.
#[derive(Clone, Debug)]
pub struct Decoder<'a> {
    bytes: &'a [u8],
    offset: usize,
    next: u64,
    before: [u8; 32],
    ended: bool,
}

impl<'a> Decoder<'a> {
    /// Reads the header of a journal and stands before its first record.
    ///
    /// # Errors
    /// [`JournalError::TornHeader`], [`JournalError::NotAJournal`] or [`JournalError::Version`].
    pub fn new(bytes: &'a [u8]) -> Result<(Header, Self), JournalError> {
        let Some(head) = bytes.get(..HEADER_LEN) else { return Err(JournalError::TornHeader { got: bytes.len() }) };
        if bytes.iter().all(|byte| *byte == 0) {
            return Err(JournalError::TornHeader { got: 0 });
        }
        let checksum = crc32c::crc32c(&head[..HEADER_LEN - CRC_LEN]).to_le_bytes();
        if head[..8] != MAGIC || head[HEADER_LEN - CRC_LEN..] != checksum {
            return Err(JournalError::NotAJournal);
        }
        let version = u16::from_le_bytes([head[8], head[9]]);
        if version != VERSION {
            return Err(JournalError::Version { got: version });
        }
        let kind = match head[10] {
            1 => JournalKind::Exchange,
            2 => JournalKind::Service,
            _ => return Err(JournalError::NotAJournal),
        };
        let header = Header { kind, epoch: u64::from_le_bytes(array(head, 12)), config_digest: array(head, 20) };
        Ok((header, Self { bytes, offset: HEADER_LEN, next: FIRST_SEQUENCE, before: digest(head), ended: false }))
    }

    /// Where the records read so far end: what a torn tail is cut to.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// An encoder that continues after the records read so far.
    #[must_use]
    pub fn encoder(&self) -> Encoder {
        Encoder { next: self.next, before: self.before }
    }

    fn read(&mut self) -> Option<Result<Record<'a>, JournalError>> {
        let (sequence, offset) = (self.next, self.offset);
        let rest = &self.bytes[offset..];
        if rest.iter().all(|byte| *byte == 0) {
            return None;
        }
        let damaged = |damage| Some(Err(JournalError::Damaged { sequence, offset, damage }));
        let Some(whole) = whole_record(rest) else {
            return if record_follows(rest, sequence) {
                damaged(Damage::Checksum)
            } else {
                Some(Err(JournalError::TornTail { sequence, offset }))
            };
        };
        let found = u64::from_le_bytes(array(whole, SEQUENCE_AT));
        if found != sequence {
            return damaged(Damage::Sequence(found));
        }
        if whole[BEFORE_AT..PAYLOAD_AT] != self.before {
            return damaged(Damage::Chain);
        }
        self.offset += whole.len();
        self.next += 1;
        self.before = digest(whole);
        Some(Ok(Record {
            sequence,
            market_ns: i64::from_le_bytes(array(whole, MARKET_AT)),
            monotonic_ns: i64::from_le_bytes(array(whole, MONOTONIC_AT)),
            kind: whole[KIND_AT],
            payload: &whole[PAYLOAD_AT..whole.len() - CRC_LEN],
        }))
    }
}

impl<'a> Iterator for Decoder<'a> {
    type Item = Result<Record<'a>, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let read = self.read();
        self.ended = !matches!(read, Some(Ok(_)));
        read
    }
}

/// The record that `bytes` begins with, if all of it is there and unchanged.
fn whole_record(bytes: &[u8]) -> Option<&[u8]> {
    if bytes.len() < RECORD_OVERHEAD || bytes[0] != MARKER {
        return None;
    }
    let length = u32::from_le_bytes(array(bytes, LENGTH_AT)) as usize;
    if length > MAX_PAYLOAD {
        return None;
    }
    let whole = bytes.get(..RECORD_OVERHEAD + length)?;
    let (body, checksum) = whole.split_at(whole.len() - CRC_LEN);
    (crc32c::crc32c(body).to_le_bytes() == checksum).then_some(whole)
}

/// Whether a whole record with a later sequence stands anywhere behind the broken one that `bytes` begins with.
fn record_follows(bytes: &[u8], sequence: u64) -> bool {
    let most = sequence.saturating_add((bytes.len() / RECORD_OVERHEAD) as u64);
    (1..bytes.len().saturating_sub(RECORD_OVERHEAD - 1)).any(|start| {
        let tail = &bytes[start..];
        tail[0] == MARKER
            && (sequence + 1..=most).contains(&u64::from_le_bytes(array(tail, SEQUENCE_AT)))
            && whole_record(tail).is_some()
    })
}

fn digest(bytes: &[u8]) -> [u8; 32] {
    *blake3::hash(bytes).as_bytes()
}

/// `N` bytes from `start`, which the caller knows to be there.
fn array<const N: usize>(bytes: &[u8], start: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[start..start + N]);
    array
}
