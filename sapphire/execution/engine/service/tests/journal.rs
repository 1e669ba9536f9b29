//! The journal's promises: what was written is there after any end of the process, and nothing else is.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

mod journal_keeper;

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use journal_keeper::{
    Act, JournalKeeper, OPTIONS, RELEASE, SECOND_NS, Scratch, Seen, T, VenueReport, run_config, slot,
};
use proptest::prelude::*;
use sapphire_core::engine::{Body, Event};
use sapphire_core::journal::Decoder;
use sapphire_core::risk::{Command, TradingState};
use sapphire_service::entry::{Entry, RunConfig, Source};
use sapphire_service::events::EntryId;
use sapphire_service::fold::{FoldFault, Nobody};
use sapphire_service::journal::{Journal, JournalFailure, JournalOptions, Recovered, Standing};

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let target = || prop_oneof![2 => (0_i64..40_000).prop_map(Some), 1 => Just(None)];
    let emitted = prop_oneof![
        2 => Just(VenueReport::Accepted),
        4 => (1_u8..=100).prop_map(VenueReport::Traded),
        2 => Just(VenueReport::Expired),
        1 => Just(VenueReport::Unanswered),
        1 => Just(VenueReport::NeverThere),
    ];
    let command = prop_oneof![Just(Command::Halt), Just(Command::Reduce), Just(Command::Resume)];
    let act = prop_oneof![
        3 => (target(), target()).prop_map(|(btc, eth)| Act::Bar([btc, eth])),
        8 => emitted.prop_map(Act::Report),
        3 => (1_i64..20).prop_map(Act::Wait),
        1 => command.prop_map(Act::Command),
        1 => Just(Act::Pass),
    ];
    prop::collection::vec(act, 1..60)
}

/// A journal of `acts`, whole and closed.
fn written(acts: &[Act]) -> (Scratch, Seen) {
    let folder = Scratch::new();
    let mut keeper = JournalKeeper::open(&folder.0);
    for act in acts {
        keeper.act(act).unwrap();
    }
    (folder, keeper.seen)
}

fn recover(folder: &Scratch) -> Result<(Seen, Recovered), JournalFailure> {
    let mut seen = Seen::default();
    let (_, recovered) = Journal::open(&folder.0, &run_config(), RELEASE, &OPTIONS, T, &mut seen)?;
    Ok((seen, recovered))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn what_was_written_folds_to_the_same_engine(acts in acts(), restarts in prop::collection::vec(0_usize..60, 0..3)) {
        let folder = Scratch::new();
        let mut keeper = JournalKeeper::open(&folder.0);
        for (place, act) in acts.iter().enumerate() {
            if restarts.contains(&place) {
                let (state, cursor, live) = (keeper.state(), keeper.cursor, keeper.live.clone());
                let before = keeper.seen.0.len();
                let JournalKeeper { journal, seen, .. } = keeper;
                drop(journal);
                keeper = JournalKeeper::open(&folder.0);
                prop_assert_eq!(&keeper.seen.0[..before], &seen.0[..]);
                prop_assert_ne!(keeper.state(), state, "the engine knows the new epoch");
                prop_assert_eq!(keeper.cursor, cursor);
                keeper.live.splice(0..0, live);
            }
            keeper.act(act).unwrap();
        }
        let (state, cursor, steps) = (keeper.state(), keeper.cursor, keeper.journal.steps());
        let JournalKeeper { journal, seen, .. } = keeper;
        drop(journal);
        let (folded, recovered) = recover(&folder).unwrap();
        prop_assert_eq!(folded, seen);
        prop_assert_eq!(format!("{:?}", recovered.engine), state);
        prop_assert_eq!((recovered.cursor, recovered.steps), (cursor, steps));
        prop_assert_eq!(recovered.releases.len(), 1);
        prop_assert!(!recovered.was_torn && !recovered.is_new_run);
    }

    #[test]
    fn a_journal_cut_anywhere_in_its_last_file_recovers_to_what_was_whole(
        acts in acts(), place in any::<prop::sample::Index>(), has_room: bool,
    ) {
        let (folder, seen) = written(&acts);
        let segments = folder.segments();
        let last = segments.last().unwrap();
        let length = fs::metadata(last).unwrap().len();
        let cut = place.index(length as usize + 1) as u64;
        let file = OpenOptions::new().write(true).open(last).unwrap();
        file.set_len(cut).unwrap();
        if has_room {
            file.set_len(OPTIONS.segment_bytes).unwrap();
        }
        let only = segments.len() == 1;
        let (folded, recovered) = recover(&folder).unwrap();
        prop_assert!(folded.0.len() <= seen.0.len());
        prop_assert_eq!(&folded.0[..], &seen.0[..folded.0.len()]);
        prop_assert_eq!(folded.0.len() == seen.0.len() || cut < length, true);
        prop_assert!(!recovered.is_new_run || only, "{} of {length}", cut);
        // What was recovered is a journal again.
        let (again, recovered) = recover(&folder).unwrap();
        prop_assert_eq!(again, folded);
        prop_assert!(!recovered.was_torn);
    }

    #[test]
    fn a_changed_byte_is_named_and_refused(
        acts in acts(), file in any::<prop::sample::Index>(), place in any::<prop::sample::Index>(), bit in 0_u8..8,
    ) {
        let (folder, seen) = written(&acts);
        let segments = folder.segments();
        let path = file.get(&segments);
        let mut bytes = fs::read(path).unwrap();
        let place = place.index(bytes.len());
        bytes[place] ^= 1 << bit;
        fs::write(path, &bytes).unwrap();
        match recover(&folder) {
            Err(JournalFailure::Damaged { path: named, .. } | JournalFailure::Inconsistent { path: named, .. }) => {
                prop_assert_eq!(&named, path);
            }
            // The last record of all may as well have been torn.
            Ok((folded, recovered)) => {
                prop_assert!(recovered.was_torn && Some(path) == segments.last());
                prop_assert!(seen.0.len() - folded.0.len() <= 1);
            }
            Err(other) => prop_assert!(false, "{}", other),
        }
    }
}

#[test]
fn writing_an_event_takes_no_memory() {
    let folder = Scratch::new();
    let mut journal =
        Journal::open(&folder.0, &run_config(), RELEASE, &JournalOptions::default(), T, &mut Nobody).unwrap().0;
    let event = Event { market_ns: T, body: Body::EndOfBar { bar_close_ns: T } };
    let entry = Entry::Event { event, source: Source::Bus(EntryId { ms: 1, seq: 65_535 }) };
    let mut write = || {
        journal.append(&entry, T, 1).unwrap();
        journal.outputs([7; 32]);
    };
    (0..10).for_each(|_| write());
    assert_eq!(allocation_counter::measure(|| (0..1_000).for_each(|_| write())).count_total, 0);
}

#[test]
fn a_file_that_is_missing_is_missed() {
    let (folder, _) = written(&vec![Act::Bar([Some(100), Some(100)]); 40]);
    let segments = folder.segments();
    assert!(segments.len() > 3, "{segments:?}");
    fs::remove_file(&segments[1]).unwrap();
    let failure = recover(&folder).unwrap_err();
    let JournalFailure::Inconsistent { path, .. } = &failure else { panic!("{failure}") };
    assert_eq!(path, &segments[2]);
}

#[test]
fn a_file_that_was_cut_in_its_beginning_never_was() {
    let folder = Scratch::new();
    let mut keeper = JournalKeeper::open(&folder.0);
    keeper.bar([Some(100), None]).unwrap();
    let epoch = keeper.journal.epoch();
    let JournalKeeper { journal, seen, .. } = keeper;
    drop(journal);
    drop(JournalKeeper::open(&folder.0));
    for cut in [0, 1, 9, 55, 56, 57, 90, 200] {
        for room in [0, 4_000] {
            let copy = folder.copy();
            let path = copy.segments().pop().unwrap();
            let mut bytes = fs::read(&path).unwrap();
            bytes.truncate(cut);
            bytes.resize(cut + room, 0);
            fs::write(&path, bytes).unwrap();
            let (again, recovered) = recover(&copy).unwrap();
            assert_eq!(again, seen, "{cut} {room}");
            assert!(recovered.was_torn && recovered.epoch == epoch + 2, "{cut} {room}");
        }
    }
}

#[test]
fn a_file_that_lost_its_last_record_whole_is_missed_by_the_next() {
    let folder = Scratch::new();
    JournalKeeper::open(&folder.0).bar([Some(100), None]).unwrap();
    JournalKeeper::open(&folder.0).bar([Some(200), None]).unwrap();
    let segments = folder.segments();
    let bytes = fs::read(&segments[0]).unwrap();
    let (_, mut decoder) = Decoder::new(&bytes).unwrap();
    let mut ends = Vec::new();
    while decoder.next().is_some() {
        ends.push(decoder.offset());
    }
    fs::write(&segments[0], &bytes[..ends[ends.len() - 2]]).unwrap();
    let failure = recover(&folder).unwrap_err();
    let JournalFailure::Inconsistent { path, .. } = &failure else { panic!("{failure}") };
    assert_eq!(path, &segments[1]);
}

#[test]
fn outputs_that_nobody_noted_are_not_compared() {
    let folder = Scratch::new();
    let mut keeper = JournalKeeper::open(&folder.0);
    keeper.bar([Some(1_000), None]).unwrap();
    for body in [Body::Command(Command::Halt), Body::Command(Command::Reduce)] {
        let event = Event { market_ns: keeper.now_ns, body };
        keeper.journal.append(&Entry::Event { event, source: Source::Start }, keeper.now_ns, 1).unwrap();
    }
    drop(keeper);
    let (_, recovered) = recover(&folder).unwrap();
    assert_eq!(recovered.engine.trading_state(), TradingState::Reducing);
}

#[test]
fn the_epoch_rises_whatever_the_clock_says() {
    let folder = Scratch::new();
    let open = |wall_ns| {
        let opened = Journal::open(&folder.0, &run_config(), RELEASE, &OPTIONS, wall_ns, &mut Nobody);
        opened.map(|(_, recovered)| recovered.epoch)
    };
    assert_eq!(open(100 * SECOND_NS).unwrap(), 100);
    assert_eq!(open(50 * SECOND_NS).unwrap(), 101);
    assert_eq!(open(-1).unwrap(), 102);
    let beyond = (i64::from(u32::MAX) + 1) * SECOND_NS;
    assert!(matches!(open(beyond), Err(JournalFailure::Epoch(4_294_967_296))));
    assert_eq!(open(200 * SECOND_NS).unwrap(), 200);
}

#[test]
fn another_configuration_begins_another_run() {
    let folder = Scratch::new();
    let other = RunConfig { fee_rate: 75_000, ..run_config() };
    let open = |run: &RunConfig| {
        let (keeper, _) = JournalKeeper::open_with(&folder.0, run, &OPTIONS, T).unwrap();
        (keeper.journal.epoch(), keeper.seen.0.len())
    };
    // A fresh run has four events, a later start of it adds its epoch.
    let (first, events) = open(&run_config());
    assert_eq!((open(&run_config()), events), ((first + 1, 5), 4));
    assert_eq!(open(&other), (first + 2, 4));
    assert_eq!(open(&other), (first + 3, 5));
    assert_eq!(open(&run_config()), (first + 4, 4), "the run before the last is over");
}

#[test]
fn an_engine_that_decides_otherwise_is_refused_at_its_step() {
    let folder = Scratch::new();
    let mut keeper = JournalKeeper::open(&folder.0);
    keeper.bar([Some(1_000), None]).unwrap();
    let step = keeper.journal.steps();
    keeper.journal.outputs([9; 32]);
    keeper.report(VenueReport::Accepted).unwrap();
    drop(keeper);
    let failure = recover(&folder).unwrap_err();
    let JournalFailure::Fold { source: FoldFault::Differs(difference), .. } = &failure else { panic!("{failure}") };
    assert_eq!((difference.step, difference.recorded.as_str()), (step, "09".repeat(32).as_str()));
    assert!(difference.outputs.contains("Place") && difference.event.contains("EndOfBar"), "{failure}");
}

#[test]
fn a_release_takes_the_next_slot_or_none() {
    let folder = Scratch::new();
    let mut keeper = JournalKeeper::open(&folder.0);
    keeper.journal.append(&slot(2), T, 1).unwrap();
    drop(keeper);
    let failure = recover(&folder).unwrap_err();
    assert!(
        matches!(failure, JournalFailure::Fold { source: FoldFault::Slot { got: 2, expected: 1, .. }, .. }),
        "{failure}"
    );
}

#[test]
fn options_and_settings_that_cannot_be_meant_are_named() {
    let folder = Scratch::new();
    let refused = |run: &RunConfig, options: &JournalOptions| {
        Journal::open(&folder.0, run, RELEASE, options, T, &mut Nobody).map(drop).unwrap_err().to_string()
    };
    let options = JournalOptions { reserve_bytes: 10, ..OPTIONS };
    assert_eq!(refused(&run_config(), &options), "journal.reserve_bytes: expected 4096 or more, got 10");
    let run = RunConfig { quote: "EUR".to_owned(), ..run_config() };
    assert!(refused(&run, &OPTIONS).contains("expected EUR among them"));
    let run = RunConfig { engine: "sapphire-core 0.0.1".to_owned(), ..run_config() };
    assert!(refused(&run, &OPTIONS).contains("got sapphire-core 0.0.1"));
}

#[test]
fn the_disk_follows_and_a_lag_is_told() {
    let folder = Scratch::new();
    let options = JournalOptions { max_sync_lag: Duration::ZERO, ..OPTIONS };
    let (mut keeper, _) = JournalKeeper::open_with(&folder.0, &run_config(), &options, T).unwrap();
    for _ in 0..3 {
        // A test that is held up between the two lines may come too late to see it: once in a hundred is enough.
        let lags = (0..100).any(|_| {
            keeper.apply(Body::Timer, Source::Clock).unwrap();
            matches!(keeper.journal.standing(), Standing::Lagging(_))
        });
        assert!(lags, "not synced within no time at all");
        let begun = Instant::now();
        while keeper.journal.watermarks().synced < keeper.journal.watermarks().written {
            assert!(begun.elapsed() < Duration::from_secs(10), "never synced");
            std::thread::yield_now();
        }
        assert_eq!((keeper.journal.standing(), keeper.journal.sync_lag()), (Standing::Flowing, Duration::ZERO));
    }
}

#[test]
fn files_are_made_in_full_and_left_without_room() {
    let folder = Scratch::new();
    let mut keeper = JournalKeeper::open(&folder.0);
    let last = |folder: &Scratch| fs::metadata(folder.segments().last().unwrap()).unwrap().len();
    assert_eq!(last(&folder), OPTIONS.segment_bytes);
    while folder.segments().len() < 3 {
        keeper.act(&Act::Wait(1)).unwrap();
    }
    assert_eq!(last(&folder), OPTIONS.segment_bytes);
    drop(keeper);
    for path in folder.segments() {
        let bytes = fs::read(&path).unwrap();
        assert!(bytes.len() < OPTIONS.segment_bytes as usize, "{}", path.display());
    }
    assert!(!folder.0.join("journal/spare").exists());
    assert_eq!(fs::metadata(folder.0.join("journal/reserve")).unwrap().len(), OPTIONS.reserve_bytes);
}

#[test]
fn bytes_behind_the_last_record_are_cut_off() {
    let (folder, seen) = written(&[Act::Bar([Some(100), None])]);
    let path = folder.segments().pop().unwrap();
    let length = fs::metadata(&path).unwrap().len();
    OpenOptions::new().write(true).open(&path).unwrap().write_all_at(&[0xa5; 40], length).unwrap();
    let (again, recovered) = recover(&folder).unwrap();
    assert_eq!((again, recovered.was_torn), (seen, true));
    assert_eq!(fs::metadata(&path).unwrap().len(), length);
}

/// Closed files are archived beside the writer; a start, a check and a replay read them as they read plain ones, and an
/// archive that was changed is named.
#[test]
fn archived_files_are_read_as_plain_ones() {
    let folder = Scratch::new();
    let options = JournalOptions { archives: true, ..OPTIONS };
    let (mut keeper, _) = JournalKeeper::open_with(&folder.0, &run_config(), &options, T).unwrap();
    for bar in 1..=60 {
        keeper.bar([Some(1_000 * (bar % 7)), None]).unwrap();
    }
    let JournalKeeper { journal, seen, .. } = keeper;
    let archives = || {
        let names = fs::read_dir(folder.0.join("journal")).unwrap();
        let mut names: Vec<_> = names.map(|entry| entry.unwrap().path()).collect();
        names.retain(|path| path.extension().is_some_and(|extension| extension == "zst"));
        names.sort();
        names
    };
    let began = Instant::now();
    while archives().len() < 2 {
        assert!(began.elapsed() < Duration::from_secs(20), "nothing is archived");
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(journal);
    let mut again = Seen::default();
    let (journal, recovered) = Journal::open(&folder.0, &run_config(), RELEASE, &options, T, &mut again).unwrap();
    assert_eq!((again.0.len() as u64, &again.0), (recovered.steps, &seen.0));
    drop(journal);
    let mut out = Vec::new();
    sapphire_service::journal_reader::verify(&folder.0, sapphire_service::journal_reader::Form::Json, &mut out)
        .unwrap();
    assert!(String::from_utf8(out).unwrap().contains("\"ok\":true"));

    let first = &archives()[0];
    let mut bytes = fs::read(first).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(first, bytes).unwrap();
    let refused = Journal::open(&folder.0, &run_config(), RELEASE, &options, T, &mut Nobody).unwrap_err();
    assert!(matches!(refused, JournalFailure::File { .. }), "{refused}");
}
