//! The journal between processes: killed, held by another, on a disk that is full.
//!
//! The other process is this test binary once more, running [`a_keeper_does_what_it_is_asked`] on the folder that its
//! environment names.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

mod journal_keeper;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use journal_keeper::{JournalKeeper, OPTIONS, RELEASE, Scratch, Seen, T, VenueReport, run_config};
use sapphire_core::engine::{Body, Signal};
use sapphire_core::instrument::InstrumentId;
use sapphire_core::orders::ReleaseId;
use sapphire_core::risk::Command as Operator;
use sapphire_service::entry::Source;
use sapphire_service::events::EntryId;
use sapphire_service::journal::{Journal, JournalFailure, JournalOptions};

const FOLDER: &str = "SAPPHIRE_TEST_ACCOUNT_FOLDER";

/// Files are larger than [`DISK_BYTES`] and the reserve is not: a full disk, as far as new files are concerned.
const SIZES: JournalOptions = JournalOptions { segment_bytes: 32_768, reserve_bytes: 8_192, ..OPTIONS };
const DISK_BYTES: u64 = 24_576;

/// A signal of this size fits the small disk once, and twice it does not fit a file.
const LONG: &str = "long 18000";

#[test]
fn a_keeper_does_what_it_is_asked() {
    let mut answers = Vec::new();
    if let Ok(folder) = std::env::var(FOLDER) {
        return converse(Path::new(&folder), std::io::stdin().lock(), &mut std::io::stdout());
    }
    let folder = Scratch::new();
    converse(&folder.0, &b"look\nbar\ntrade\nhalt\n"[..], &mut answers);
    let answers = String::from_utf8(answers).unwrap();
    assert_eq!(answers, "> ok 4 Flowing\n> ok 4 Flowing\n> ok 9 Flowing\n> ok 10 Flowing\n> ok 11 Flowing\n");
}

/// One answer for the start and one for each line: how it went, the steps so far, how the journal stands.
fn converse(folder: &Path, commands: impl BufRead, out: &mut dyn Write) {
    let mut answer = |text: String| {
        writeln!(out, "> {text}").unwrap();
        out.flush().unwrap();
    };
    let mut keeper = match JournalKeeper::open_with(folder, &run_config(), &SIZES, T) {
        Ok((keeper, _)) => keeper,
        Err(failure) => return answer(format!("failed {failure}").replace('\n', " ")),
    };
    let mut answer = |keeper: &JournalKeeper, done: Result<(), JournalFailure>| {
        let text = match done {
            Ok(()) => "ok",
            Err(JournalFailure::OnlyReserve(_)) => "reserved",
            Err(JournalFailure::Full(_)) => "full",
            Err(JournalFailure::Write { .. }) => "unwritten",
            Err(other) => panic!("{other}"),
        };
        answer(format!("{text} {} {:?}", keeper.journal.steps(), keeper.journal.standing()));
    };
    answer(&keeper, Ok(()));
    for command in commands.lines().map_while(Result::ok) {
        match command.as_str() {
            "look" => answer(&keeper, Ok(())),
            "run" => run(&mut keeper, &mut |keeper| {
                answer(keeper, Ok(()));
                true
            }),
            command => {
                let done = on_command(&mut keeper, command);
                answer(&keeper, done);
            }
        }
    }
}

fn on_command(keeper: &mut JournalKeeper, command: &str) -> Result<(), JournalFailure> {
    match command {
        "bar" => keeper.bar([Some(1_000), Some(1_000)]),
        "trade" => keeper.report(VenueReport::Traded(1)),
        "settle" => {
            while keeper.journal.watermarks().synced < keeper.journal.watermarks().written {
                std::thread::yield_now();
            }
            Ok(())
        }
        "halt" => {
            let source = Source::Guard { why: "no room".to_owned() };
            keeper.apply(Body::Command(Operator::Halt), source).map(drop)
        }
        "resume" => {
            let source = Source::Operator { who: "desk".to_owned() };
            keeper.apply(Body::Command(Operator::Resume), source).map(drop)
        }
        long if long.starts_with("long ") => {
            let (release, instrument, bar_close_ns) = (ReleaseId(0), InstrumentId(u16::MAX), keeper.now_ns);
            let signal = Signal { release, instrument, target_lots: 1, bar_close_ns, time_to_live_ns: 1 };
            let source = Source::Unlisted { entry: EntryId::default(), symbol: "X".repeat(long[5..].parse().unwrap()) };
            keeper.apply(Body::Signal(signal), source).map(drop)
        }
        other => panic!("{other}"),
    }
}

/// Bars and trades for as long as is wanted.
fn run(keeper: &mut JournalKeeper, goes_on: &mut dyn FnMut(&JournalKeeper) -> bool) {
    for turn in 0_i64.. {
        keeper.bar([Some(1_000 + turn % 7 * 100), Some(2_000 - turn % 5 * 200)]).unwrap();
        keeper.report(VenueReport::Traded(60)).unwrap();
        keeper.report(VenueReport::Expired).unwrap();
        if !goes_on(keeper) {
            return;
        }
    }
}

/// Another process that holds an account.
struct Other {
    process: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Other {
    /// The signal for a file beyond the limit is ignored, as the service ignores it.
    fn start(folder: &Path, limit: &str) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' XFSZ; exec prlimit --fsize=$0 \"$@\"", limit]);
        command.arg(std::env::current_exe().unwrap());
        command.args(["--exact", "a_keeper_does_what_it_is_asked", "--nocapture", "--test-threads=1"]);
        command.env(FOLDER, folder).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().unwrap();
        let commands = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap());
        Self { process, commands, answers }
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        while self.answers.read_line(&mut line).unwrap() > 0 {
            // The test harness talks on the same channel, and does not end its line.
            if let Some((_, answer)) = line.split_once("> ") {
                return answer.trim_end().to_owned();
            }
            line.clear();
        }
        panic!("the other process has ended");
    }

    fn emit(&mut self, command: &str) -> String {
        writeln!(self.commands, "{command}").unwrap();
        self.answer()
    }

    /// How it went and how the journal stands.
    fn apply(&mut self, command: &str) -> (String, String) {
        let answer = self.emit(command);
        let events: Vec<&str> = answer.split(' ').collect();
        (events[0].to_owned(), events[2].to_owned())
    }

    fn limit(&self, limit: &str) {
        let pid = self.process.id().to_string();
        let status = Command::new("prlimit").args(["--pid", &pid, &format!("--fsize={limit}")]).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Other {
    /// `kill -9`.
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn steps(answer: &str) -> u64 {
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn two_processes_cannot_hold_one_account() {
    let folder = Scratch::new();
    let mut other = Other::start(&folder.0, "unlimited");
    assert_eq!(other.answer(), "ok 4 Flowing");
    let Err(failure) = JournalKeeper::open_with(&folder.0, &run_config(), &SIZES, T) else { panic!("both hold it") };
    let holder = format!("process {}", other.process.id());
    assert!(matches!(&failure, JournalFailure::Held { .. }) && failure.to_string().contains(&holder), "{failure}");
    let third = Other::start(&folder.0, "unlimited").answer();
    assert!(third.starts_with("failed") && third.contains(&holder), "{third}");
    assert_eq!(other.emit("bar"), "ok 9 Flowing", "the holder goes on");
    drop(other);
    JournalKeeper::open_with(&folder.0, &run_config(), &SIZES, T).map(drop).unwrap();
}

#[test]
fn what_was_written_outlives_a_kill() {
    let folder = Scratch::new();
    let mut emitted = 0;
    let mut before = Seen::default();
    for turn in 1..=3 {
        let mut other = Other::start(&folder.0, "unlimited");
        other.answer();
        writeln!(other.commands, "run").unwrap();
        for _ in 0..150 * turn {
            emitted = steps(&other.answer());
        }
        drop(other);
        let mut seen = Seen::default();
        let (journal, recovered) = Journal::open(&folder.0, &run_config(), RELEASE, &SIZES, T, &mut seen).unwrap();
        assert!(recovered.steps >= emitted, "{} of {emitted}", recovered.steps);
        assert_eq!(recovered.steps, seen.0.len() as u64);
        assert_eq!(seen.0[..before.0.len()], before.0[..], "what was there stays as it was");
        before = seen;
        drop(journal);
    }
    // The first life, repeated on another folder, leads to the same outputs.
    let again = Scratch::new();
    let (mut keeper, _) = JournalKeeper::open_with(&again.0, &run_config(), &SIZES, T).unwrap();
    let mut turns = 0;
    run(&mut keeper, &mut |_| {
        turns += 1;
        turns < 150
    });
    assert_eq!(keeper.seen.0[..], before.0[..keeper.seen.0.len()]);
}

#[test]
fn an_entry_that_cannot_be_written_whole_leaves_nothing_behind() {
    let folder = Scratch::new();
    let mut other = Other::start(&folder.0, "unlimited");
    other.answer();
    other.limit(&format!("{DISK_BYTES}:unlimited"));
    // Within the file and beyond the limit: a part of the second is written before the disk says no. It goes whole into
    // the spare where that was made in time, and nowhere otherwise: the reserve does not take it.
    assert_eq!(other.apply("long 14000").0, "ok");
    let before = steps(&other.emit("look"));
    let expected = match other.apply("long 14000").0.as_str() {
        "ok" => before + 1,
        "reserved" => before,
        other => panic!("{other}"),
    };
    assert_eq!(steps(&other.emit("look")), expected);
    assert_eq!(other.apply("halt").0, "ok");
    let emitted = steps(&other.emit("look"));
    drop(other);
    let (_, recovered) = Journal::open(&folder.0, &run_config(), RELEASE, &SIZES, T, &mut Seen::default()).unwrap();
    assert_eq!((recovered.steps, recovered.was_torn), (emitted, false));
}

#[test]
fn a_disk_that_fills_up_still_records_halt_and_fills() {
    let folder = Scratch::new();
    let mut other = Other::start(&folder.0, "unlimited");
    other.answer();
    assert_eq!(other.apply("bar"), ("ok".to_owned(), "Flowing".to_owned()));
    // A spare file is made before anything is synced. It takes one long signal, and the next finds no file.
    assert_eq!(other.apply("settle").0, "ok");
    other.limit(&format!("{DISK_BYTES}:unlimited"));
    let outcomes: Vec<(String, String)> = (0..3).map(|_| other.apply(LONG)).collect();
    let texts: Vec<(&str, &str)> = outcomes.iter().map(|(done, stands)| (done.as_str(), stands.as_str())).collect();
    assert_eq!(texts, [("ok", "Flowing"), ("ok", "Flowing"), ("reserved", "Reserve")]);
    let refused = ("reserved".to_owned(), "Reserve".to_owned());
    let taken = ("ok".to_owned(), "Reserve".to_owned());
    assert_eq!(other.apply("bar"), refused, "no signal, no reference");
    assert_eq!(other.apply("halt"), taken);
    assert_eq!(other.apply("trade"), taken);
    assert_eq!(other.apply("resume"), refused, "not while only the reserve is left");
    // Fills until the reserve is used up; the refusal leaves no trace.
    let mut fills = 0;
    let last = loop {
        let answer = other.emit("trade");
        if !answer.starts_with("ok") {
            break answer;
        }
        fills += 1;
        assert!(fills < 200, "the reserve never ends");
    };
    assert!(last.starts_with("full") && fills > 20, "{fills} fills, {last}");
    // With room again it goes on in a new file, with a new reserve.
    other.limit("unlimited:unlimited");
    let begun = Instant::now();
    while other.apply("trade") != ("ok".to_owned(), "Flowing".to_owned()) {
        assert!(begun.elapsed() < Duration::from_secs(20), "the journal stays on its reserve");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(other.apply("resume"), ("ok".to_owned(), "Flowing".to_owned()));
    let emitted = steps(&other.emit("look"));
    drop(other);
    let mut seen = Seen::default();
    let (_, recovered) = Journal::open(&folder.0, &run_config(), RELEASE, &SIZES, T, &mut seen).unwrap();
    assert_eq!((recovered.steps, recovered.was_torn), (emitted, false));
    let halts = |body: &Body| matches!(body, Body::Command(Operator::Halt));
    assert_eq!(seen.0.iter().filter(|(_, event, _)| halts(&event.body)).count(), 1);
}

#[test]
fn a_start_on_a_full_disk_begins_on_the_reserve() {
    let folder = Scratch::new();
    let mut other = Other::start(&folder.0, "unlimited");
    other.answer();
    let emitted = steps(&other.emit("bar"));
    drop(other);
    let mut other = Other::start(&folder.0, &format!("{DISK_BYTES}:unlimited"));
    assert_eq!(other.answer(), format!("ok {} Reserve", emitted + 1));
    assert_eq!(other.apply("bar").0, "reserved");
    assert_eq!(other.apply("halt").0, "ok");
    drop(other);
    let mut seen = Seen::default();
    let (_, recovered) = Journal::open(&folder.0, &run_config(), RELEASE, &SIZES, T, &mut seen).unwrap();
    assert_eq!(recovered.steps, emitted + 2);
}
