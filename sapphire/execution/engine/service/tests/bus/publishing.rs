//! What is handed over is on the bus once, in order, whatever happens to the server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use sapphire_service::bus::{Batch, Bus, BusError, Written};
use sapphire_service::bus_writer::{BusWriter, Outgoing};
use sapphire_service::clock::Monotonic;
use sapphire_service::events::EntryId;

use crate::messages::{START_NS, settled};
use crate::valkey::Valkey;

const LONG: Duration = Duration::from_secs(60);

const DEAD_LETTERS: &str = "dead-letters:embedded:paper";

fn at(ms: u64) -> EntryId {
    EntryId { ms, seq: 1 }
}

fn outgoing(ms: u64) -> Outgoing {
    Outgoing { stream: "executions".into(), entry: Some(at(ms)), bytes: settled(START_NS + ms as i64, 1) }
}

fn all(bus: &mut Bus, stream: &str) -> Vec<(EntryId, Vec<u8>)> {
    let mut found = Vec::new();
    let mut after = EntryId::default();
    loop {
        let batch = bus.read(stream, after, 1_000, Duration::from_millis(1), Monotonic::new()).unwrap();
        if batch.is_empty() {
            return found;
        }
        found.extend(batch.entries().map(|entry| (entry.id, entry.message().unwrap_or_default().to_vec())));
        after = found.last().unwrap().0;
    }
}

#[test]
fn the_same_entry_again_is_success_and_another_under_its_id_an_error() {
    let valkey = Valkey::start();
    let mut bus = valkey.bus();
    let message = settled(START_NS, 1);
    assert_eq!(bus.publish("s", at(5), &message), Ok(Written::New));
    assert_eq!(bus.publish("s", at(5), &message), Ok(Written::Already));
    assert_eq!(bus.publish("s", at(5), &settled(START_NS, 99)), Ok(Written::Already), "said again later");
    let taken = BusError::Taken { stream: "s".to_owned(), entry: at(5) };
    assert_eq!(bus.publish("s", at(5), &settled(START_NS + 1, 1)), Err(taken));
    assert_eq!(bus.publish("s", at(7), &message), Ok(Written::New));
    let passed = BusError::Passed { stream: "s".to_owned(), entry: at(6) };
    assert_eq!(bus.publish("s", at(6), &message), Err(passed));
    assert_eq!(bus.publish("s", at(5), &message), Ok(Written::Already), "wherever the stream is by now");
    let never = BusError::Passed { stream: "new".to_owned(), entry: EntryId::default() };
    assert_eq!(bus.publish("new", EntryId::default(), &message), Err(never));
    assert_eq!(all(&mut bus, "s"), [(at(5), message.clone()), (at(7), message)]);
}

#[test]
fn the_last_entry_and_one_by_its_id_are_found() {
    let valkey = Valkey::start();
    let mut bus = valkey.bus();
    let only = |batch: Batch| batch.entries().map(|entry| entry.id).collect::<Vec<_>>();
    assert!(bus.last("s").unwrap().is_empty());
    for ms in [3, 4, 9] {
        bus.publish("s", at(ms), b"x").unwrap();
    }
    assert_eq!(only(bus.last("s").unwrap()), [at(9)]);
    assert_eq!(only(bus.entry("s", at(4)).unwrap()), [at(4)]);
    assert!(bus.entry("s", at(5)).unwrap().is_empty());
}

#[test]
fn a_server_that_refuses_is_an_error_and_no_address_shows_its_password() {
    let valkey = Valkey::start();
    let stop = Arc::new(AtomicBool::new(false));
    let mut bus = valkey.bus();
    bus.append("list", None, &[("m", b"x")]).unwrap();
    assert!(bus.connect().is_ok());
    let wrong = valkey.url().replace("127.0.0.1", "nobody:s3cret@127.0.0.1");
    let mut stranger = Bus::new(&wrong, Arc::clone(&stop)).unwrap();
    let refused = stranger.connect().unwrap_err();
    assert!(matches!(&refused, BusError::Refused { .. }), "{refused}");
    for text in [refused.to_string(), format!("{stranger:?}"), format!("{refused:?}")] {
        assert!(!text.contains("s3cret"), "{text}");
    }
    let bad = Bus::new("http://u:s3cret@h", stop).unwrap_err();
    assert!(bad == BusError::BadAddress && !bad.to_string().contains("s3cret"));
}

#[test]
fn reading_blocks_until_something_comes() {
    let valkey = Valkey::start();
    let (mut reader, mut writer) = (valkey.bus(), valkey.bus());
    writer.connect().unwrap();
    let clock = Monotonic::new();
    let reading = thread::spawn(move || {
        let batch = reader.read("s", EntryId::default(), 10, Duration::from_secs(5), clock).unwrap();
        (batch.received_ns, batch.entries().count())
    });
    thread::sleep(Duration::from_millis(300));
    let written_ns = clock.now_ns();
    writer.publish("s", at(1), b"x").unwrap();
    let (received_ns, count) = reading.join().unwrap();
    assert_eq!(count, 1);
    assert!(received_ns > written_ns && received_ns - written_ns < 200_000_000, "{}", received_ns - written_ns);
    let began = Instant::now();
    assert!(writer.read("s", at(1), 10, Duration::from_millis(200), clock).unwrap().is_empty());
    assert!(began.elapsed() >= Duration::from_millis(190));
}

#[test]
fn nothing_is_lost_or_doubled_when_the_server_is_killed_in_the_middle() {
    const COUNT: u64 = 6_000;
    let mut valkey = Valkey::start();
    let mut reader = valkey.bus();
    let reading = thread::spawn(move || {
        let mut found = Vec::new();
        let mut after = EntryId::default();
        while found.len() < COUNT as usize {
            let batch = reader.read("executions", after, 100, Duration::from_millis(500), Monotonic::new()).unwrap();
            found.extend(batch.entries().map(|entry| (entry.id, entry.message().unwrap().to_vec())));
            after = found.last().map_or(after, |(id, _)| *id);
        }
        (found, reader.connects().load(Ordering::Relaxed))
    });
    let mut bus_writer = BusWriter::start(valkey.bus(), &DEAD_LETTERS.into(), 64).unwrap();
    let watermark = bus_writer.watermark();
    let sending = thread::spawn(move || {
        let numbers: Vec<_> = (1..=COUNT).map(|ms| bus_writer.send(outgoing(ms)).unwrap()).collect();
        assert_eq!(numbers, (1..=COUNT).collect::<Vec<_>>());
        assert!(bus_writer.flush(LONG));
        bus_writer
    });
    for part in 1..=3 {
        while watermark.confirmed() < part * COUNT / 4 {
            thread::sleep(Duration::from_micros(200));
        }
        valkey.kill();
        thread::sleep(Duration::from_millis(80));
        valkey.revive();
    }
    let bus_writer = sending.join().unwrap();
    let (found, connects) = reading.join().unwrap();
    let expected: Vec<_> = (1..=COUNT).map(|ms| (at(ms), outgoing(ms).bytes)).collect();
    assert_eq!(found, expected);
    assert_eq!(all(&mut valkey.bus(), "executions"), expected);
    assert_eq!((bus_writer.confirmed(), watermark.refused()), (COUNT, 0));
    assert!(connects >= 4, "the reader was connected {connects} times");
    bus_writer.close().unwrap();
}

#[test]
fn a_queue_that_is_full_waits_for_the_bus_and_tells_so() {
    let mut valkey = Valkey::absent();
    let mut bus_writer = BusWriter::start(valkey.bus(), &DEAD_LETTERS.into(), 4).unwrap();
    // one is in the thread's hand, four in the queue
    let deadline = Instant::now() + LONG;
    let mut handed = 0;
    while handed < 5 {
        assert!(Instant::now() < deadline);
        handed = bus_writer.try_send(outgoing(handed + 1)).unwrap_or(handed);
    }
    assert_eq!(bus_writer.try_send(outgoing(6)), Err(outgoing(6)));
    assert!(!bus_writer.flush(Duration::from_millis(50)));
    assert_eq!((bus_writer.handed(), bus_writer.confirmed(), bus_writer.waiting()), (5, 0, 5));
    valkey.revive();
    bus_writer.send(outgoing(6)).unwrap();
    assert!(bus_writer.flush(LONG));
    assert_eq!(all(&mut valkey.bus(), "executions").len(), 6);
    bus_writer.close().unwrap();
}

#[test]
fn an_entry_that_can_never_be_written_is_kept_aside_and_the_next_go_on() {
    let valkey = Valkey::start();
    let mut bus = valkey.bus();
    bus.publish("executions", at(2), &settled(START_NS, 1)).unwrap();
    let mut bus_writer = BusWriter::start(valkey.bus(), &DEAD_LETTERS.into(), 16).unwrap();
    for ms in 1..=3 {
        bus_writer.send(outgoing(ms)).unwrap();
    }
    bus_writer.send(Outgoing { stream: "heartbeats".into(), entry: None, bytes: settled(START_NS, 4) }).unwrap();
    assert!(bus_writer.flush(LONG));
    let watermark = bus_writer.watermark();
    assert_eq!((watermark.confirmed(), watermark.refused()), (4, 2));
    assert_eq!(watermark.last_refusal(), Some(BusError::Taken { stream: "executions".to_owned(), entry: at(2) }));
    let kept: Vec<_> = all(&mut bus, "executions").into_iter().map(|(id, _)| id).collect();
    assert_eq!((kept, all(&mut bus, "heartbeats").len()), (vec![at(2), at(3)], 1));
    let dead = bus.read(DEAD_LETTERS, EntryId::default(), 10, Duration::from_millis(1), Monotonic::new()).unwrap();
    let dead: Vec<_> =
        dead.entries().map(|entry| ["m", "from"].map(|name| entry.field(name).unwrap().to_vec())).collect();
    let refused = |ms: u64| [outgoing(ms).bytes, format!("executions {}", at(ms)).into_bytes()];
    assert_eq!(dead, [refused(1), refused(2)]);
    bus_writer.close().unwrap();
}

#[test]
fn a_process_that_ends_leaves_a_bus_that_is_away() {
    let valkey = Valkey::absent();
    let stop = Arc::new(AtomicBool::new(false));
    let mut bus_writer = BusWriter::start(valkey.bus_until(&stop), &DEAD_LETTERS.into(), 4).unwrap();
    bus_writer.send(outgoing(1)).unwrap();
    thread::sleep(Duration::from_millis(100));
    stop.store(true, Ordering::Relaxed);
    let began = Instant::now();
    assert_eq!(bus_writer.close(), Err(BusError::Stopped));
    assert!(began.elapsed() < Duration::from_secs(2));
}
