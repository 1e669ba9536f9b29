//! Kills, cuts, damage and full disks.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use serde_json::{Value, json};

use crate::venue::{Exchange, LOCKSTEP, SECOND_NS, START_NS, Scratch};

/// Deterministic choices (xorshift64*, Vigna 2016).
struct Draws(u64);

impl Draws {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % bound
    }
}

/// One thing that a client does; doing it again after a kill is harmless.
#[derive(Clone, Debug)]
enum Act {
    Place { client_id: String, side: &'static str, kind: u64, ticks: i64, quantity: String },
    Cancel { client_id: String },
    Advance { to_ns: i64 },
}

fn acts(seed: u64) -> Vec<Act> {
    let mut draws = Draws(seed);
    let mut now_ns = START_NS;
    let mut placed = 0;
    let mut acts = Vec::new();
    for _ in 0..40 {
        match draws.below(10) {
            0..=4 => {
                placed += 1;
                acts.push(Act::Place {
                    client_id: format!("act-{placed}"),
                    side: if draws.below(3) == 0 { "SELL" } else { "BUY" },
                    kind: draws.below(3),
                    ticks: draws.below(400) as i64 - 250,
                    quantity: format!("0.{:02}", 1 + draws.below(90)),
                });
            }
            5 if placed > 0 => acts.push(Act::Cancel { client_id: format!("act-{}", 1 + draws.below(placed)) }),
            _ => {
                now_ns += (1 + draws.below(20_000) as i64) * 1_000_000;
                acts.push(Act::Advance { to_ns: now_ns });
            }
        }
    }
    acts.push(Act::Advance { to_ns: now_ns + 60 * SECOND_NS });
    acts
}

fn request(exchange: &Exchange, act: &Act) -> Option<(&'static str, String)> {
    match act {
        Act::Place { client_id, side, kind, ticks, quantity } => {
            let head = format!("symbol=BTCUSDT&side={side}&newClientOrderId={client_id}&quantity={quantity}");
            let price = exchange.near("BTCUSDT", *ticks);
            let terms = match kind {
                0 => "type=MARKET".to_owned(),
                1 => format!("type=LIMIT&timeInForce=GTC&price={price}"),
                _ => format!("type=LIMIT&timeInForce=IOC&price={price}"),
            };
            Some(("POST", format!("{head}&{terms}")))
        }
        Act::Cancel { client_id } => {
            Some(("DELETE", format!("symbol=BTCUSDT&origClientOrderId={client_id}&newClientOrderId=no-{client_id}")))
        }
        Act::Advance { .. } => None,
    }
}

/// The request got through: refused or not, the exchange has answered it.
fn was_heard(exchange: &Exchange, act: &Act, before: &Value) -> bool {
    match act {
        Act::Place { client_id, .. } => {
            let query = format!("symbol=BTCUSDT&origClientOrderId={client_id}");
            exchange.signed("GET", "/api/v3/order", &query).0 == 200
        }
        Act::Cancel { .. } => exchange.state() != *before,
        Act::Advance { .. } => false,
    }
}

fn do_it(exchange: &Exchange, act: &Act) {
    if let Act::Advance { to_ns } = act {
        exchange.advance_all(*to_ns);
    } else if let Some((method, parameters)) = request(exchange, act) {
        let (status, answer) = exchange.signed(method, "/api/v3/order", &parameters);
        assert!(status < 500, "{answer}");
    }
}

fn with_journal(folder: &Scratch) -> Vec<&str> {
    [&LOCKSTEP[..], &["--journal", folder.text(), "--fund", "USDT=1000000", "--fund", "BTC=5"]].concat()
}

/// Sends a request and kills the exchange while it is on its way.
fn kill_during(exchange: Exchange, act: &Act, delay_us: u64) {
    let Some((method, parameters)) = request(&exchange, act) else { return exchange.kill() };
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            // Whether it got through is what the next start tells.
            let _ = exchange.try_signed(method, "/api/v3/order", &parameters);
        });
        std::thread::sleep(Duration::from_micros(delay_us));
        let killed = std::process::Command::new("kill").args(["-9", &exchange.pid().to_string()]).status().unwrap();
        assert!(killed.success());
        sender.join().unwrap();
    });
    exchange.kill();
}

#[test]
fn a_kill_anywhere_changes_nothing() {
    for seed in [11, 12] {
        let acts = acts(seed);
        let whole_folder = Scratch::new();
        let whole = Exchange::start(&with_journal(&whole_folder));
        for act in &acts {
            do_it(&whole, act);
        }
        let expected = whole.state();

        let folder = Scratch::new();
        let mut draws = Draws(seed + 1_000);
        let mut exchange = Exchange::start(&with_journal(&folder));
        let keys = exchange.first_line["api_secret"].clone();
        let (mut kills, mut in_flight) = (0, 0);
        for act in &acts {
            let before = exchange.state();
            let travels = before["travelling"].as_u64().unwrap() > 0;
            // With an order in flight more often than not.
            if draws.below(if travels { 3 } else { 8 }) == 0 {
                kills += 1;
                in_flight += usize::from(travels);
                kill_during(exchange, act, draws.below(4_000));
                exchange = Exchange::start(&with_journal(&folder));
                assert_eq!(exchange.first_line["api_secret"], keys, "the key outlives the process");
                if was_heard(&exchange, act, &before) {
                    continue;
                }
                assert_eq!(exchange.state(), before, "what was not heard changed nothing");
            }
            do_it(&exchange, act);
        }
        assert!(kills >= 4 && in_flight >= 1, "{kills} kills, {in_flight} with an order in flight");
        assert_eq!(exchange.state(), expected, "seed {seed}, {kills} kills");
        assert!(expected["accounts"][0]["fills"].as_u64().unwrap() > 3, "{expected}");
    }
}

fn buy(exchange: &Exchange) -> (u16, Value) {
    exchange.signed("POST", "/api/v3/order", "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.01")
}

#[test]
fn a_torn_tail_is_cut_at_every_byte() {
    let folder = Scratch::new();
    let exchange = Exchange::start(&with_journal(&folder));
    assert_eq!(buy(&exchange).0, 200);
    let before = exchange.state();
    let length = std::fs::metadata(&folder.journals()[0]).unwrap().len();
    assert_eq!(buy(&exchange).0, 200);
    exchange.kill();
    let path = folder.journals()[0].clone();
    let whole = std::fs::read(&path).unwrap();
    for cut in [1, 4, 60, whole.len() - length as usize - 1] {
        // The start before has archived the file and begun another.
        for file in folder.journals() {
            std::fs::remove_file(file).unwrap();
        }
        std::fs::write(&path, &whole[..whole.len() - cut]).unwrap();
        let exchange = Exchange::start(&with_journal(&folder));
        assert_eq!(exchange.state(), before, "{cut} bytes cut");
        // Where it is by now, or archived.
        assert_eq!(sapphire_archive::read(&path).unwrap().len() as u64, length);
        let ended = exchange.end("TERM");
        assert!(ended.stderr.contains("incomplete record"), "{}", ended.stderr);
    }
}

#[test]
fn damage_before_the_end_is_refused() {
    let folder = Scratch::new();
    let exchange = Exchange::start(&with_journal(&folder));
    for _ in 0..3 {
        assert_eq!(buy(&exchange).0, 200);
    }
    exchange.kill();
    let path = folder.journals()[0].clone();
    let whole = std::fs::read(&path).unwrap();
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    for place in [10, 70, whole.len() / 2] {
        file.write_all_at(&[whole[place] ^ 0x10], place as u64).unwrap();
        let failed = Exchange::try_start(&with_journal(&folder)).err().expect("the journal is damaged");
        assert_eq!(failed.code, Some(1));
        assert!(failed.stderr.contains("damaged"), "byte {place}: {}", failed.stderr);
        assert!(failed.stderr.contains(path.to_str().unwrap()), "{}", failed.stderr);
        file.write_all_at(&whole, 0).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), whole, "a refused journal is left as it is");
    }
    Exchange::start(&with_journal(&folder)).kill();
}

#[test]
fn a_missing_epoch_is_refused() {
    let folder = Scratch::new();
    for _ in 0..3 {
        let exchange = Exchange::start(&with_journal(&folder));
        assert_eq!(buy(&exchange).0, 200);
        exchange.kill();
    }
    // The first two are archived some time after the next start.
    let files = folder.journals_and_archives();
    assert_eq!(files.len(), 3, "one file per start");
    for form in [&files[1], &sapphire_archive::archive_of(&files[1])] {
        if form.exists() {
            std::fs::remove_file(form).unwrap();
        }
    }
    let failed = Exchange::try_start(&with_journal(&folder)).err().expect("an epoch is missing");
    assert!(failed.stderr.contains("follows"), "{}", failed.stderr);
}

#[test]
fn a_start_that_died_early_is_no_obstacle() {
    const HEADER: usize = 56;
    let folder = Scratch::new();
    let mut expected = None;
    // Killed while it made the file, before it wrote the first record, and in the middle of that.
    for keep in [0, HEADER - 1, HEADER, HEADER + 9] {
        let exchange = Exchange::start(&with_journal(&folder));
        assert_eq!(buy(&exchange).0, 200);
        expected = Some(exchange.state());
        exchange.kill();
        Exchange::start(&with_journal(&folder)).kill();
        let last = folder.journals().pop().unwrap();
        let whole = std::fs::read(&last).unwrap();
        std::fs::write(&last, &whole[..keep]).unwrap();
        let exchange = Exchange::start(&with_journal(&folder));
        assert_eq!(Some(exchange.state()), expected, "{keep} bytes of the last file");
        exchange.kill();
    }
    assert_eq!(expected.unwrap()["accounts"][0]["orders"], 4);
}

#[test]
fn another_market_is_not_continued() {
    let folder = Scratch::new();
    Exchange::start(&with_journal(&folder)).kill();
    let refused = |arguments: &[&str], word: &str| {
        let arguments = [arguments, &["--journal", folder.text()]].concat();
        let failed = Exchange::try_start(&arguments).err().expect("another market");
        assert!(failed.stderr.contains(word) && failed.stderr.contains("journal"), "{}", failed.stderr);
    };
    refused(&["--lockstep", "--seed", "8", "--start", "2024-03-01"], "--seed");
    refused(&["--lockstep", "--seed", "7", "--start", "2024-03-02"], "--start");
    refused(&["--lockstep", "--seed", "7", "--symbols", "BTCUSDT"], "--symbols");
    refused(&["--seed", "7"], "--lockstep");
    refused(&["--lockstep", "--seed", "7", "--latency-ms", "1", "2"], "--latency-ms");
    let kept = ["--lockstep", "--seed", "7", "--journal", folder.text()];
    assert_eq!(
        Exchange::start(&kept).state()["start_ns"],
        START_NS.to_string(),
        "a start nobody names is the kept one"
    );
}

#[test]
fn a_full_disk_refuses_requests_and_damages_nothing() {
    let folder = Scratch::new();
    let arguments = with_journal(&folder);
    let exchange = Exchange::start_with_small_disk(8, &arguments);
    let mut placed = 0;
    let (before, refused) = loop {
        let before = exchange.state();
        let (status, answer) = buy(&exchange);
        if status != 200 {
            assert!(status >= 500, "{status} {answer}");
            break (before, answer);
        }
        placed += 1;
        assert!(placed < 100, "the disk never filled up");
    };
    assert!(placed > 3, "{placed} orders, {refused}");
    assert_eq!(exchange.state(), before, "a refused request changed nothing");
    let (status, answer) = exchange.control("advance", &json!({"to_ns": (START_NS + SECOND_NS).to_string()}));
    assert_eq!(status, 507, "{answer}");
    assert!(answer["error"].as_str().unwrap().contains("journal"), "{answer}");
    assert_eq!(exchange.state(), before);
    assert_eq!(exchange.get("/api/v3/time").0, 200, "questions are still answered");
    let ended = exchange.end("KILL");
    assert!(ended.stderr.contains("File too large"), "{}", ended.stderr);

    let exchange = Exchange::start(&arguments);
    assert_eq!(exchange.state(), before, "nothing of the refused requests was kept");
    assert_eq!(buy(&exchange).0, 200, "with room again it goes on");
}

#[test]
fn at_a_speed_what_was_answered_outlives_a_kill() {
    let folder = Scratch::new();
    let arguments = ["--speed", "200", "--seed", "7", "--start", "2024-03-01", "--journal", folder.text()];
    let mut exchange = Exchange::start(&arguments);
    let mut answers: Vec<Value> = Vec::new();
    for _ in 0..3 {
        for _ in 0..4 {
            let (status, answer) = buy(&exchange);
            assert_eq!((status, &answer["status"]), (200, &json!("FILLED")), "{answer}");
            answers.push(answer);
            std::thread::sleep(Duration::from_millis(20));
        }
        exchange.kill();
        exchange = Exchange::start(&arguments);
        let time_ms = exchange.get("/api/v3/time").1["serverTime"].as_i64().unwrap();
        assert!(time_ms >= answers.last().unwrap()["transactTime"].as_i64().unwrap());
        let (_, trades) = exchange.signed("GET", "/api/v3/myTrades", "symbol=BTCUSDT");
        let mut fills = 0;
        for answer in &answers {
            let id = &answer["orderId"];
            let (_, order) = exchange.signed("GET", "/api/v3/order", &format!("symbol=BTCUSDT&orderId={id}"));
            for key in ["clientOrderId", "status", "executedQty", "cummulativeQuoteQty", "price", "side"] {
                assert_eq!(order[key], answer[key], "{key}");
            }
            for fill in answer["fills"].as_array().unwrap() {
                fills += 1;
                let found = trades.as_array().unwrap().iter().find(|trade| trade["id"] == fill["tradeId"]);
                let found = found.unwrap_or_else(|| panic!("{fill} is lost"));
                assert_eq!((&found["price"], &found["qty"]), (&fill["price"], &fill["qty"]));
            }
        }
        assert_eq!(trades.as_array().unwrap().len(), fills, "and nothing twice");
    }
}
