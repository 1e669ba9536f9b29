//! What is on the bus comes to the trader loop once, in order, and what cannot be read is kept.

use std::collections::VecDeque;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use sapphire_core::instrument::InstrumentId;
use sapphire_core::risk::LimitSet;
use sapphire_service::bus::Bus;
use sapphire_service::clock::{ClockMode, MarketTime, Monotonic, ShownTime};
use sapphire_service::events::{EntryId, Intake, ReleaseDigest, Step, TraderEvent};
use sapphire_service::evidence::{Admission, Stage};
use sapphire_service::intake::{Ended, IntakeGround, SignalIntake, StepIntake, last_signed};
use sapphire_service::mailbox::Mailbox;
use serde_json::json;

use crate::home::Home;
use crate::messages::{BAR_NS, START_NS, advanced, settled, signal};
use crate::valkey::{Valkey, publish_signed, signal_key, streams};

/// Where market time stands.
const LAST_BAR: i64 = 300;

/// Whose steps are read; any release does.
const STEPS: ReleaseDigest = ReleaseDigest([0xab; 32]);

const DEAD_LETTERS: &str = "dead-letters:embedded:paper";
const LONG: Duration = Duration::from_secs(60);
const QUIET: Duration = Duration::from_millis(200);

/// The events that an intake sends, and the thread it runs on.
struct Listener {
    mailbox: Mailbox<TraderEvent>,
    /// What was said before it ran.
    judged: VecDeque<Intake>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Ended>>,
}

impl Listener {
    fn to_signals(valkey: &Valkey, home: &Home, cursor: EntryId, known: &[ReleaseDigest]) -> Self {
        let (mailbox, mut channels) = Mailbox::new(1);
        let stop = Arc::new(AtomicBool::new(false));
        let (bus, channel) = (valkey.bus_until(&stop), channels.pop().unwrap());
        let symbols = ["BTC/USDT", "ETH/USDT"].map(str::to_owned);
        let trust = serde_json::from_value(home.trust()).unwrap();
        let admission = Admission::new(home.path(), Stage::Paper, trust);
        let time = ShownTime::default();
        let mut now = MarketTime::new(ClockMode::Lockstep, 0);
        now.stand_at(START_NS + LAST_BAR * BAR_NS);
        time.show(now);
        let (streams, release) = (streams(&home.digest), home.digest);
        let key = signal_key(&streams);
        let against = IntakeGround { streams, release, key, time, interval_ns: BAR_NS };
        let mut intake = SignalIntake::new(bus, cursor, channel, &symbols, admission, against, Monotonic::new());
        let judged = intake.judge(known).into();
        Self { mailbox, judged, stop, thread: Some(thread::spawn(move || intake.run())) }
    }

    fn to_steps(valkey: &Valkey) -> Self {
        let (mailbox, mut channels) = Mailbox::new(1);
        let stop = Arc::new(AtomicBool::new(false));
        let (bus, channel) = (valkey.bus_until(&stop), channels.pop().unwrap());
        let intake = StepIntake::new(bus, streams(&STEPS), channel, Monotonic::new());
        Self { mailbox, judged: VecDeque::new(), stop, thread: Some(thread::spawn(move || intake.run())) }
    }

    fn next(&mut self) -> Intake {
        if let Some(event) = self.judged.pop_front() {
            return event;
        }
        match self.mailbox.next(LONG) {
            Some(TraderEvent::Intake(event)) => event,
            other => panic!("{other:?}"),
        }
    }

    fn step(&mut self) -> Step {
        match self.mailbox.next(LONG) {
            Some(TraderEvent::Step(step)) => step,
            other => panic!("{other:?}"),
        }
    }

    fn end(mut self) -> Ended {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap()
    }
}

/// The position of the k-th signal of a bar, and of its end.
fn place(bar: i64, k: u64) -> EntryId {
    EntryId { ms: ((START_NS + bar * BAR_NS) / 1_000_000) as u64, seq: k + 1 }
}

fn end_of(bar: i64) -> EntryId {
    place(bar, 65_534)
}

fn publish_bar(bus: &mut Bus, home: &Home, bar: i64) {
    let (release, close_ns) = (home.digest.to_string(), START_NS + bar * BAR_NS);
    let streams = &streams(&home.digest);
    publish_signed(bus, streams, place(bar, 0), &signal(&release, "BTC/USDT", close_ns, 100 + bar));
    publish_signed(bus, streams, place(bar, 1), &signal(&release, "ETH/USDT", close_ns, -bar));
    publish_signed(bus, streams, end_of(bar), &settled(close_ns, 3));
}

/// Entry, instrument, target and close of a signal; entry and close of an end of bar.
fn facts(event: &Intake) -> (EntryId, Option<(Option<u16>, i64)>, i64) {
    match event {
        Intake::Signal { entry, instrument, target_lots, bar_close_ns, time_to_live_ns, .. } => {
            assert_eq!(*time_to_live_ns, BAR_NS);
            (*entry, Some((instrument.map(|InstrumentId(id)| id), *target_lots)), *bar_close_ns)
        }
        Intake::EndOfBar { entry, bar_close_ns, .. } => (*entry, None, *bar_close_ns),
        other => panic!("{other:?}"),
    }
}

fn expect_bar(listener: &mut Listener, bar: i64) {
    let close_ns = START_NS + bar * BAR_NS;
    assert_eq!(facts(&listener.next()), (place(bar, 0), Some((Some(0), 100 + bar)), close_ns));
    assert_eq!(facts(&listener.next()), (place(bar, 1), Some((Some(1), -bar)), close_ns));
    assert_eq!(facts(&listener.next()), (end_of(bar), None, close_ns));
}

fn verdict(event: Intake) -> Result<LimitSet, String> {
    match event {
        Intake::Release { name, verdict, .. } => {
            assert_eq!(name, "trend");
            verdict
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn signals_come_with_the_verdict_on_their_release_before_them() {
    let (valkey, home) = (Valkey::start(), Home::new(&json!({"max_order_atoms": 5, "max_orders_per_second": null})));
    let mut bus = valkey.bus();
    let mut listener = Listener::to_signals(&valkey, &home, EntryId::default(), &[]);
    publish_bar(&mut bus, &home, 1);
    let limits = LimitSet { max_order_atoms: Some(5), ..LimitSet::default() };
    assert_eq!(verdict(listener.next()), Ok(limits));
    expect_bar(&mut listener, 1);
    let stranger = "1".repeat(64);
    let (streams, own) = (streams(&home.digest), home.digest.to_string());
    publish_signed(&mut bus, &streams, place(2, 0), &signal(&stranger, "BTC/USDT", START_NS, 1));
    assert_eq!(listener.next(), Intake::DeadLetter { entry: place(2, 0) });
    let kept = bus.last(&streams.dead_letters).unwrap();
    let why = String::from_utf8_lossy(kept.entries().next().unwrap().field("why").unwrap()).into_owned();
    assert_eq!(why, format!("expected a signal of release {own}, got one of {stranger}"));
    publish_signed(&mut bus, &streams, place(2, 1), &signal(&own, "DOGE/USDT", START_NS, 1));
    match listener.next() {
        Intake::Signal { instrument: None, symbol, received_ns, parsed_ns, .. } => {
            assert_eq!(symbol, "DOGE/USDT");
            assert!(0 < received_ns && received_ns < parsed_ns);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(listener.end(), Ended::Stopped);
}

#[test]
fn a_release_is_judged_again_when_its_files_have_changed() {
    let (valkey, home) = (Valkey::start(), Home::new(&json!({})));
    let mut bus = valkey.bus();
    let mut listener = Listener::to_signals(&valkey, &home, EntryId::default(), &[home.digest]);
    assert_eq!(
        verdict(listener.next()),
        Ok(LimitSet::default()),
        "what the journal knows is asked before anything comes"
    );
    publish_bar(&mut bus, &home, 1);
    expect_bar(&mut listener, 1);
    fs::write(home.source(), "changed").unwrap();
    let why = verdict(listener.next()).unwrap_err();
    assert!(why.contains("source.py") && why.contains("expected:") && why.contains("next:"), "{why}");
    fs::write(home.source(), "source.py").unwrap();
    assert_eq!(verdict(listener.next()), Ok(LimitSet::default()));
    home.report(false);
    let reduce = LimitSet { max_exposure_atoms: Some(0), ..LimitSet::default() };
    assert_eq!(verdict(listener.next()), Ok(reduce), "a release that traded keeps the right to reduce");
    home.report(true);
    assert_eq!(verdict(listener.next()), Ok(LimitSet::default()));
    home.revoke();
    assert_eq!(verdict(listener.next()), Ok(reduce));
    publish_bar(&mut bus, &home, 2);
    expect_bar(&mut listener, 2);
    assert_eq!(listener.mailbox.next(QUIET), None, "a verdict that stands is sent once");
    listener.end();
}

#[test]
fn a_permit_that_ends_leaves_the_right_to_reduce_to_who_traded_and_nothing_to_others() {
    let (valkey, home) = (Valkey::start(), Home::new(&json!({"max_open_atoms": 5})));
    home.report(false);
    home.report_for(true, Duration::from_secs(3));
    let mut listener = Listener::to_signals(&valkey, &home, EntryId::default(), &[home.digest]);
    let own = LimitSet { max_open_atoms: Some(5), ..LimitSet::default() };
    assert_eq!(verdict(listener.next()), Ok(own));
    assert_eq!(verdict(listener.next()), Ok(LimitSet { max_exposure_atoms: Some(0), ..own }));
    let mut bus = valkey.bus();
    let mut newcomer = Listener::to_signals(&valkey, &home, EntryId::default(), &[]);
    publish_bar(&mut bus, &home, 1);
    assert!(verdict(newcomer.next()).unwrap_err().contains("has ended"));
    let mut again = Listener::to_signals(&valkey, &home, EntryId::default(), &[home.digest]);
    assert_eq!(verdict(again.next()), Ok(LimitSet { max_exposure_atoms: Some(0), ..own }), "after a restart as well");
    for each in [listener, newcomer, again] {
        each.end();
    }
}

#[test]
fn a_change_before_the_end_of_a_bar_holds_for_the_next() {
    let (valkey, home) = (Valkey::start(), Home::new(&json!({})));
    let mut bus = valkey.bus();
    let mut listener = Listener::to_signals(&valkey, &home, EntryId::default(), &[home.digest]);
    verdict(listener.next()).unwrap();
    fs::remove_file(home.source()).unwrap();
    publish_signed(&mut bus, &streams(&home.digest), end_of(1), &settled(START_NS + BAR_NS, 3));
    publish_bar(&mut bus, &home, 2);
    let before: Vec<_> =
        std::iter::from_fn(|| Some(listener.next()).filter(|event| !matches!(event, Intake::Signal { .. }))).collect();
    let refused = |event: &Intake| matches!(event, Intake::Release { verdict: Err(_), .. });
    assert!(before.len() == 2 && before.iter().any(refused), "{before:?}");
    listener.end();
}

#[test]
fn what_cannot_be_read_is_kept_and_only_the_cursor_moves() {
    let (valkey, home) = (Valkey::start(), Home::new(&json!({})));
    let mut bus = valkey.bus();
    let good = signal(&home.digest.to_string(), "BTC/USDT", START_NS, 1);
    let text = String::from_utf8(good.clone()).unwrap();
    let bad: Vec<(Vec<u8>, &str)> = vec![
        (b"\xff no message".to_vec(), "bad field"),
        (text.replace("HFT_SIGNAL@1", "HFT_SIGNAL@9").into_bytes(), "unknown schema"),
        (advanced(3, None), "got ADVANCED@1"),
        (signal("trend@1", "BTC/USDT", START_NS, 1), "64 hexadecimal digits"),
        (text.replace("\"target_lots\":\"1\"", "\"target_lots\":\"1.5\"").into_bytes(), "target_lots"),
        (text.replace("\"time_to_live_ns\"", "\"extra\":1,\"time_to_live_ns\"").into_bytes(), "unknown field"),
        (format!("{text}{}", " ".repeat(70_000)).into_bytes(), "at most 65536 bytes"),
    ];
    let mut ids = Vec::new();
    for (k, (bytes, _)) in bad.iter().enumerate() {
        ids.push(place(1, k as u64));
        publish_signed(&mut bus, &streams(&home.digest), place(1, k as u64), bytes);
    }
    let mut listener = Listener::to_signals(&valkey, &home, EntryId::default(), &[]);
    for id in &ids {
        assert_eq!(listener.next(), Intake::DeadLetter { entry: *id });
    }
    assert_eq!(listener.mailbox.next(QUIET), None);
    listener.end();

    let kept = bus.read(DEAD_LETTERS, EntryId::default(), 100, Duration::from_millis(1), Monotonic::new()).unwrap();
    let kept: Vec<_> = kept.entries().collect();
    assert_eq!(kept.len(), bad.len());
    let field = |entry: usize, name: &str| String::from_utf8_lossy(kept[entry].field(name).unwrap()).into_owned();
    for (k, (bytes, why)) in bad.iter().enumerate() {
        assert_eq!(kept[k].field("m"), Some(bytes.as_slice()));
        assert!(field(k, "why").contains(why), "{}", field(k, "why"));
        assert_eq!(field(k, "from"), format!("{} {}", streams(&home.digest).signals, ids[k]));
    }
}

/// Where an entry stands, its fields, and why it is not taken.
type Unwelcome = (EntryId, Vec<(&'static str, Vec<u8>)>, &'static str);

/// What a stranger, or a coordinator whose clock is wrong, can write.
fn unwelcome(home: &Home) -> Vec<Unwelcome> {
    let (release, close_ns) = (home.digest.to_string(), START_NS + 2 * BAR_NS);
    let good = signal(&release, "BTC/USDT", close_ns, 1);
    let tagged = |entry: EntryId, message: &[u8]| {
        let tag = signal_key(&streams(&home.digest)).tag(entry, message).into_bytes();
        vec![("m", message.to_vec()), ("hmac", tag)]
    };
    let huge = EntryId { ms: u64::MAX - 1, seq: 7 };
    let far_ns = START_NS + (LAST_BAR + 2) * BAR_NS;
    let far = EntryId { ms: (far_ns / 1_000_000) as u64, seq: 65_535 };
    let (unsigned, elsewhere, future) = ("coordinator signed", "coordinator signed", "one of the future");
    let mut other = tagged(place(2, 0), &good);
    other[1].1 = sapphire_service::signal_key::SignalKey::new(&[1; 32], &streams(&home.digest).signals)
        .tag(place(2, 0), &good)
        .into_bytes();
    let mut more = tagged(place(2, 0), &good);
    more.push(("n", b"x".to_vec()));
    vec![
        (place(2, 0), vec![("m", good.clone())], unsigned),
        (place(2, 0), vec![("x", good.clone())], unsigned),
        (place(2, 0), more, unsigned),
        (place(2, 0), other, unsigned),
        (place(2, 1), tagged(place(2, 0), &good), elsewhere),
        (huge, vec![("m", settled(i64::MAX, 3))], unsigned),
        (huge, tagged(huge, &good), future),
        (far, tagged(far, &settled(far_ns, 3)), future),
        (place(2, 0), tagged(place(2, 0), &settled(far_ns, 3)), future),
    ]
}

#[test]
fn what_is_not_the_coordinators_leaves_the_stream_as_it_was() {
    let (valkey, home) = (Valkey::start(), Home::new(&json!({})));
    let mut bus = valkey.bus();
    let mut listener = Listener::to_signals(&valkey, &home, EntryId::default(), &[home.digest]);
    verdict(listener.next()).unwrap();
    publish_bar(&mut bus, &home, 1);
    expect_bar(&mut listener, 1);
    let (unwelcome, signals) = (unwelcome(&home), streams(&home.digest).signals);
    for (entry, fields, _) in &unwelcome {
        let fields: Vec<(&str, &[u8])> = fields.iter().map(|(name, value)| (*name, value.as_slice())).collect();
        bus.append(&signals, Some(*entry), &fields).unwrap();
        assert_eq!(listener.next(), Intake::Thrown, "{entry}");
        // The next one could not be written if the stream did not begin again behind the last bar.
        while bus.last(&signals).unwrap().entries().next().unwrap().id != end_of(1) {
            thread::sleep(Duration::from_millis(1));
        }
    }
    publish_bar(&mut bus, &home, 2);
    expect_bar(&mut listener, 2);
    listener.end();
    let kept = bus.read(DEAD_LETTERS, EntryId::default(), 100, Duration::from_millis(1), Monotonic::new()).unwrap();
    let whys: Vec<_> =
        kept.entries().map(|entry| String::from_utf8_lossy(entry.field("why").unwrap()).into_owned()).collect();
    assert_eq!(whys.len(), unwelcome.len());
    assert!(whys.iter().zip(&unwelcome).all(|(why, (_, _, part))| why.contains(part)), "{whys:?}");
}

#[test]
fn a_new_run_begins_behind_the_last_entry_that_the_coordinator_signed() {
    let (valkey, home) = (Valkey::start(), Home::new(&json!({})));
    let (mut bus, streams) = (valkey.bus(), streams(&home.digest));
    assert_eq!(last_signed(&mut bus, &streams, &signal_key(&streams)), Ok(EntryId::default()));
    publish_bar(&mut bus, &home, 1);
    for seq in [5, 6] {
        bus.append(&streams.signals, Some(EntryId { ms: u64::MAX - 1, seq }), &[("m", b"{}")]).unwrap();
    }
    assert_eq!(last_signed(&mut bus, &streams, &signal_key(&streams)), Ok(end_of(1)));
    publish_bar(&mut bus, &home, 2);
    let kept = bus.read(DEAD_LETTERS, EntryId::default(), 9, Duration::from_millis(1), Monotonic::new()).unwrap();
    assert_eq!(kept.entries().count(), 2);
}

#[test]
fn a_late_restart_goes_on_after_its_cursor() {
    let (valkey, home) = (Valkey::start(), Home::new(&json!({})));
    let mut bus = valkey.bus();
    (1..=3).for_each(|bar| publish_bar(&mut bus, &home, bar));
    let mut listener = Listener::to_signals(&valkey, &home, place(2, 1), &[]);
    assert_eq!(facts(&listener.next()), (end_of(2), None, START_NS + 2 * BAR_NS));
    assert_eq!(verdict(listener.next()), Ok(LimitSet::default()));
    expect_bar(&mut listener, 3);
    assert_eq!(listener.mailbox.next(QUIET), None);
    listener.end();
}

#[test]
fn a_server_killed_while_signals_come_loses_and_doubles_none() {
    const BARS: i64 = LAST_BAR;
    let (mut valkey, home) = (Valkey::start(), Home::new(&json!({})));
    let mut listener = Listener::to_signals(&valkey, &home, EntryId::default(), &[home.digest]);
    verdict(listener.next()).unwrap();
    let mut bus = valkey.bus();
    let writing = thread::spawn(move || {
        (1..=BARS).for_each(|bar| publish_bar(&mut bus, &home, bar));
        home
    });
    for bar in 1..=BARS {
        if bar % 100 == 50 {
            valkey.kill();
            thread::sleep(Duration::from_millis(60));
            valkey.revive();
        }
        expect_bar(&mut listener, bar);
    }
    let _home = writing.join().unwrap();
    assert_eq!(listener.mailbox.next(QUIET), None);
    listener.end();
}

#[test]
fn steps_begin_with_the_last_one_and_leave_none_out() {
    let valkey = Valkey::start();
    let mut bus = valkey.bus();
    let (at, lockstep) = (|ms| EntryId { ms, seq: 1 }, streams(&STEPS).lockstep);
    for number in 1..=4 {
        bus.publish(&lockstep, at(number), &advanced(number, None)).unwrap();
    }
    let mut listener = Listener::to_steps(&valkey);
    let last = listener.step();
    let (number, now_ns) = (4, START_NS + 4);
    let message_id = "test-ADVANCED@1-4".to_owned();
    assert_eq!(last, Step { number, message_id, now_ns, bar_close_ns: None, account_events: 40 });
    bus.publish(&lockstep, at(5), &settled(START_NS, 3)).unwrap();
    bus.publish(&lockstep, at(6), &advanced(7, None)).unwrap();
    for number in 8..=600 {
        bus.publish(&lockstep, at(number), &advanced(number, Some(START_NS))).unwrap();
    }
    for number in 8..=600 {
        let step = listener.step();
        assert_eq!((step.number, step.bar_close_ns), (number, Some(START_NS)));
    }
    let dead = bus.read(DEAD_LETTERS, EntryId::default(), 10, Duration::from_millis(1), Monotonic::new()).unwrap();
    let from: Vec<_> =
        dead.entries().map(|entry| String::from_utf8_lossy(entry.field("from").unwrap()).into_owned()).collect();
    assert_eq!(from, [format!("{lockstep} 5-1"), format!("{lockstep} 6-1")]);
    assert_eq!(listener.end(), Ended::Stopped);
}

#[test]
fn an_intake_ends_when_nobody_listens() {
    let (valkey, home) = (Valkey::start(), Home::new(&json!({})));
    let mut listener = Listener::to_signals(&valkey, &home, EntryId::default(), &[]);
    publish_bar(&mut valkey.bus(), &home, 1);
    listener.next();
    let thread = listener.thread.take().unwrap();
    drop(listener);
    publish_bar(&mut valkey.bus(), &home, 2);
    assert!(matches!(thread.join().unwrap(), Ended::TraderGone(_)));
}
