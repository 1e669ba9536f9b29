//! A journal cut anywhere is a torn tail; a journal changed anywhere before its last record is damage.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use sapphire_core::journal::{
    Damage, Decoder, Encoder, FIRST_SEQUENCE, HEADER_LEN, Header, JournalError, JournalKind, MAX_PAYLOAD,
    RECORD_OVERHEAD,
};

const HEADER: Header = Header { kind: JournalKind::Exchange, epoch: 1_700_000_000, config_digest: [7; 32] };

/// An entry as it was written: market time, monotonic time, kind, payload.
type Entry = (i64, i64, u8, Vec<u8>);

fn entries(most: usize) -> impl Strategy<Value = Vec<Entry>> {
    // Payloads of markers and zeros are the hardest to tell from framing.
    let byte = prop_oneof![Just(0xa5_u8), Just(0_u8), any::<u8>()];
    let payload = prop::collection::vec(byte, 0..90);
    prop::collection::vec((any::<i64>(), any::<i64>(), any::<u8>(), payload), 1..most)
}

/// The journal of `entries`, and where each record begins; the last is its end.
fn written(entries: &[Entry]) -> (Vec<u8>, Vec<usize>) {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&HEADER, &mut bytes);
    let mut starts = vec![bytes.len()];
    for (market_ns, monotonic_ns, kind, payload) in entries {
        encoder.encode(*market_ns, *monotonic_ns, *kind, payload, &mut bytes).unwrap();
        starts.push(bytes.len());
    }
    (bytes, starts)
}

/// The entries that decode, and what ended them.
fn read(bytes: &[u8]) -> (Vec<Entry>, Option<JournalError>) {
    let (header, decoder) = Decoder::new(bytes).unwrap();
    assert_eq!(header, HEADER);
    let mut entries = Vec::new();
    for (number, record) in decoder.enumerate() {
        match record {
            Ok(record) => {
                assert_eq!(record.sequence, FIRST_SEQUENCE + number as u64);
                entries.push((record.market_ns, record.monotonic_ns, record.kind, record.payload.to_vec()));
            }
            Err(error) => return (entries, Some(error)),
        }
    }
    (entries, None)
}

proptest! {
    #[test]
    fn what_is_written_is_read(entries in entries(20), room in 0_usize..300) {
        let (mut bytes, _) = written(&entries);
        bytes.resize(bytes.len() + room, 0);
        prop_assert_eq!(read(&bytes), (entries, None));
    }

    #[test]
    fn a_cut_anywhere_is_a_torn_tail(entries in entries(5)) {
        let (bytes, starts) = written(&entries);
        for cut in HEADER_LEN..=bytes.len() {
            let whole = starts.iter().rposition(|start| *start <= cut).unwrap();
            let torn = JournalError::TornTail { sequence: FIRST_SEQUENCE + whole as u64, offset: starts[whole] };
            let expected = (entries[..whole].to_vec(), (cut > starts[whole]).then_some(torn));
            prop_assert_eq!(read(&bytes[..cut]), expected);
        }
    }

    #[test]
    fn a_change_before_the_last_record_is_damage(entries in entries(5), change in 1_u8..) {
        let (mut bytes, starts) = written(&entries);
        for place in HEADER_LEN..bytes.len() {
            let broken = starts.iter().rposition(|start| *start <= place).unwrap();
            bytes[place] ^= change;
            let (found, error) = read(&bytes);
            bytes[place] ^= change;
            prop_assert_eq!(&found, &entries[..broken]);
            let (sequence, offset) = (FIRST_SEQUENCE + broken as u64, starts[broken]);
            let expected = if broken + 1 == entries.len() {
                JournalError::TornTail { sequence, offset }
            } else {
                JournalError::Damaged { sequence, offset, damage: Damage::Checksum }
            };
            prop_assert_eq!(error, Some(expected));
        }
    }

    #[test]
    fn a_journal_goes_on_where_it_was_cut(entries in entries(8), more in entries(8), cut: prop::sample::Index) {
        let (mut bytes, _) = written(&entries);
        bytes.truncate(HEADER_LEN + cut.index(bytes.len() - HEADER_LEN + 1));
        let (_, mut decoder) = Decoder::new(&bytes).unwrap();
        let kept = decoder.by_ref().flatten().count();
        let mut encoder = decoder.encoder();
        let end = decoder.offset();
        bytes.truncate(end);
        for (market_ns, monotonic_ns, kind, payload) in &more {
            encoder.encode(*market_ns, *monotonic_ns, *kind, payload, &mut bytes).unwrap();
        }
        let expected: Vec<Entry> = entries[..kept].iter().chain(&more).cloned().collect();
        prop_assert_eq!(read(&bytes), (expected, None));
    }

    #[test]
    fn a_changed_header_is_refused(place in 0..HEADER_LEN, change in 1_u8..) {
        let (mut bytes, _) = written(&[]);
        bytes[place] ^= change;
        prop_assert_eq!(Decoder::new(&bytes).unwrap_err(), JournalError::NotAJournal);
    }
}

#[test]
fn a_record_taken_out_or_put_in_is_damage() {
    let entries: Vec<Entry> = (0..4).map(|number| (number, number, 1, vec![number as u8; 9])).collect();
    let (bytes, starts) = written(&entries);
    let without = [&bytes[..starts[1]], &bytes[starts[2]..]].concat();
    let expected = JournalError::Damaged { sequence: 2, offset: starts[1], damage: Damage::Sequence(3) };
    assert_eq!(read(&without).1, Some(expected));
    let (other, _) = written(&[(9, 9, 9, vec![9; 9]), (1, 1, 1, vec![1; 9])]);
    let foreign = [&bytes[..starts[1]], &other[starts[1]..starts[2]]].concat();
    let expected = JournalError::Damaged { sequence: 2, offset: starts[1], damage: Damage::Chain };
    assert_eq!(read(&foreign).1, Some(expected));
}

#[test]
fn an_incomplete_header_holds_nothing() {
    let (bytes, _) = written(&[]);
    for got in 0..HEADER_LEN {
        assert_eq!(Decoder::new(&bytes[..got]).unwrap_err(), JournalError::TornHeader { got });
    }
    assert_eq!(Decoder::new(&[0; 4096]).unwrap_err(), JournalError::TornHeader { got: 0 });
    assert_eq!(read(&bytes), (Vec::new(), None));
}

#[test]
fn another_version_is_named() {
    let mut bytes = Vec::new();
    Encoder::new(&HEADER, &mut bytes);
    // 1 wrote amounts in 64 bits.
    for version in [1_u16, 9] {
        bytes[8..10].copy_from_slice(&version.to_le_bytes());
        let checksum = crc32c::crc32c(&bytes[..HEADER_LEN - 4]).to_le_bytes();
        bytes[HEADER_LEN - 4..].copy_from_slice(&checksum);
        assert_eq!(Decoder::new(&bytes).unwrap_err(), JournalError::Version { got: version });
    }
}

#[test]
fn a_payload_has_a_largest_size() {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&HEADER, &mut bytes);
    let refused = encoder.encode(0, 0, 0, &vec![0; MAX_PAYLOAD + 1], &mut bytes);
    assert_eq!(refused, Err(JournalError::TooLarge { got: MAX_PAYLOAD + 1 }));
    assert_eq!(bytes.len(), HEADER_LEN);
    assert_eq!(encoder.encode(0, 0, 0, &vec![0; MAX_PAYLOAD], &mut bytes), Ok(FIRST_SEQUENCE));
    assert_eq!(bytes.len(), HEADER_LEN + RECORD_OVERHEAD + MAX_PAYLOAD);
}

/// The bytes of one record, written down: another reader of the format can be checked against them.
#[test]
fn the_format_is_this() {
    let (bytes, starts) = written(&[(1, 2, 3, vec![0xff])]);
    let record = &bytes[starts[0]..];
    assert_eq!(record[..5], [0xa5, 1, 0, 0, 0]);
    assert_eq!(record[5..13], 1_u64.to_le_bytes());
    assert_eq!(record[13..21], 1_i64.to_le_bytes());
    assert_eq!(record[21..29], 2_i64.to_le_bytes());
    assert_eq!(record[29], 3);
    assert_eq!(record[30..62], *blake3::hash(&bytes[..HEADER_LEN]).as_bytes());
    assert_eq!(record[62], 0xff);
    assert_eq!(record[63..], crc32c::crc32c(&record[..63]).to_le_bytes());
}
