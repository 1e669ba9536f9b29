//! A market of recorded candles.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::venue::{Exchange, SECOND_NS, START_NS, Scratch};

const HEADER: &str = "open_time_ms,open,high,low,close,volume";

/// Two hours of made-up 5-minute candles.
fn candles(folder: &Scratch, symbol: &str) -> Vec<[String; 5]> {
    let mut text = format!("{HEADER}\n");
    let mut rows = Vec::new();
    for index in 0..24_i64 {
        let open = 60_000 + (index * 7) % 50;
        let close = 60_000 + ((index + 1) * 7) % 50;
        let row = [
            format!("{open}.00000000"),
            format!("{}.50000000", open.max(close) + 3),
            format!("{}.25000000", open.min(close) - 4),
            format!("{close}.00000000"),
            format!("{}.50000000", 100 + index),
        ];
        let open_ms = START_NS / 1_000_000 + index * 300_000;
        writeln!(text, "{open_ms},{}", row.join(",")).unwrap();
        rows.push(row);
    }
    std::fs::write(folder.path().join(format!("{symbol}-5m.csv")), text).unwrap();
    rows
}

#[test]
fn its_candles_are_the_files() {
    let folder = Scratch::new();
    let rows = candles(&folder, "BTCUSDT");
    let arguments = ["--lockstep", "--symbols", "BTC/USDT", "--candles", folder.text()];
    let exchange = Exchange::start(&arguments);
    assert_eq!(exchange.state()["market"], "recorded");
    assert_eq!(exchange.state()["now_ns"], START_NS.to_string(), "it begins where the candles begin");
    exchange.advance_all(START_NS + 3_600 * SECOND_NS);
    let (_, klines) = exchange.get("/api/v3/klines?symbol=BTCUSDT&interval=5m&startTime=0");
    let klines = klines.as_array().unwrap();
    assert_eq!(klines.len(), 13, "twelve closed and the present one");
    for (kline, row) in klines.iter().zip(&rows).take(12) {
        let fields: Vec<&Value> = kline.as_array().unwrap()[1..6].iter().collect();
        let expected: Vec<Value> = row.iter().map(|field| json!(field)).collect();
        assert_eq!(fields, expected.iter().collect::<Vec<_>>());
    }
    assert_eq!(klines[12][1], json!(rows[12][0]), "the present candle has opened");
    assert_eq!(klines[12][2], klines[12][1], "and knows nothing of its high");
}

#[test]
fn a_symbol_without_candles_and_a_wrong_number_are_errors() {
    let folder = Scratch::new();
    candles(&folder, "BTCUSDT");
    let start = |symbols: &str| Exchange::try_start(&["--lockstep", "--symbols", symbols, "--candles", folder.text()]);
    let failed = start("BTCUSDT,ETHUSDT").err().expect("no candles for ETHUSDT");
    assert!(failed.stderr.contains("no candles for ETHUSDT"), "{}", failed.stderr);
    let path = folder.path().join("ETHUSDT-1h.csv");
    let first = START_NS / 1_000_000;
    std::fs::write(&path, format!("{HEADER}\n{first},3000,3001,2999,3000.005,7\n")).unwrap();
    let failed = start("BTCUSDT,ETHUSDT").err().expect("half a tick");
    assert!(failed.stderr.contains("line 2") && failed.stderr.contains("3000.005"), "{}", failed.stderr);
    assert_eq!(failed.code, Some(1));
}

#[test]
fn another_file_is_another_market() {
    let (folder, journal) = (Scratch::new(), Scratch::new());
    candles(&folder, "BTCUSDT");
    let arguments = ["--lockstep", "--symbols", "BTCUSDT", "--candles", folder.text(), "--journal", journal.text()];
    Exchange::start(&arguments).kill();
    let path = folder.path().join("BTCUSDT-5m.csv");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("100.50000000", "101.50000000")).unwrap();
    let failed = Exchange::try_start(&arguments).err().expect("the candles changed");
    assert!(failed.stderr.contains("--candles"), "{}", failed.stderr);
}

/// A coin that the generated market does not list, in ticks that changed, with volumes of no lot.
fn litecoin(folder: &Scratch) -> i64 {
    let mut text = format!("{HEADER}\n");
    for index in 0..48_i64 {
        let digits = if index < 24 { "5" } else { "0" };
        let open_ms = START_NS / 1_000_000 + index * 300_000;
        writeln!(text, "{open_ms},41.1{digits},43.3,40.000000000000004,41.1,887.0549965896").unwrap();
    }
    std::fs::write(folder.path().join("LTCUSDT-5m.csv"), text).unwrap();
    START_NS + 24 * 300 * SECOND_NS
}

fn rules(folder: &Scratch, fine: &str, changed_ns: i64) {
    let from = humantime::format_rfc3339(std::time::UNIX_EPOCH + std::time::Duration::from_nanos(changed_ns as u64));
    let text = format!(
        r#"{{"format": "sapphire-rules-1", "rules": [
            {{"symbol": "LTC/USDT", "tick": "{fine}", "lot": "0.001", "min_notional": "10", "source": "venue"}},
            {{"symbol": "LTC/USDT", "from": "{from}", "tick": "0.1", "lot": "0.01", "min_notional": "5"}}]}}"#
    );
    std::fs::write(folder.path().join("rules.json"), text).unwrap();
}

fn filters(exchange: &Exchange) -> (Value, Value, Value) {
    let (_, info) = exchange.get("/api/v3/exchangeInfo");
    let filters = info["symbols"][0]["filters"].as_array().unwrap().clone();
    let of = |kind: &str, key: &str| filters.iter().find(|filter| filter["filterType"] == kind).unwrap()[key].clone();
    (of("PRICE_FILTER", "tickSize"), of("LOT_SIZE", "stepSize"), of("NOTIONAL", "minNotional"))
}

#[test]
fn a_coin_of_the_candles_trades_by_the_rules_beside_them() {
    let folder = Scratch::new();
    let changed_ns = litecoin(&folder);
    let arguments = ["--lockstep", "--symbols", "LTC/USDT", "--candles", folder.text()];
    let failed = Exchange::try_start(&arguments).err().expect("no rules");
    assert!(failed.stderr.contains("no trading rules of LTC/USDT"), "{}", failed.stderr);
    rules(&folder, "0.1", changed_ns);
    let failed = Exchange::try_start(&arguments).err().expect("half a tick of then");
    assert!(failed.stderr.contains("line 2") && failed.stderr.contains("41.15"), "{}", failed.stderr);
    rules(&folder, "0.01", changed_ns);
    let exchange = Exchange::start(&arguments);
    assert_eq!(filters(&exchange), (json!("0.01000000"), json!("0.00100000"), json!("10.00000000")));
    exchange.advance_all(START_NS + 900 * SECOND_NS);
    let (_, klines) = exchange.get("/api/v3/klines?symbol=LTCUSDT&interval=5m&startTime=0&limit=1");
    assert_eq!(klines[0][3], json!("40.00000000"), "noise is the decimal that it stands for");
    assert_eq!(klines[0][5], json!("887.05400000"), "a volume is cut to whole lots");
    drop(exchange);
    // One that begins later goes by the rules of later, and so does its past.
    let start = humantime::format_rfc3339(std::time::UNIX_EPOCH + std::time::Duration::from_nanos(changed_ns as u64))
        .to_string();
    let later = Exchange::start(&[&arguments[..], &["--start", &start]].concat());
    assert_eq!(filters(&later), (json!("0.10000000"), json!("0.01000000"), json!("5.00000000")));
    later.advance_all(changed_ns + 900 * SECOND_NS);
    let (_, klines) = later.get("/api/v3/klines?symbol=LTCUSDT&interval=5m&startTime=0&limit=1");
    assert_eq!(klines[0][0], json!(changed_ns / 1_000_000));
}

#[test]
fn a_coin_whose_candles_end_before_the_others_is_delisted() {
    let folder = Scratch::new();
    candles(&folder, "BTCUSDT");
    let first = START_NS / 1_000_000;
    let row = |minutes: i64| format!("{},3000,3001,2999,3000,7\n", first + minutes * 60_000);
    std::fs::write(folder.path().join("ETHUSDT-5m.csv"), format!("{HEADER}\n{}{}", row(0), row(5))).unwrap();
    let arguments = ["--lockstep", "--symbols", "BTCUSDT,ETHUSDT", "--candles", folder.text()];
    let exchange = Exchange::start(&arguments);
    let status = |exchange: &Exchange| exchange.get("/api/v3/exchangeInfo").1["symbols"][1]["status"].clone();
    assert_eq!(status(&exchange), json!("TRADING"));
    exchange.advance_all(START_NS + 900 * SECOND_NS);
    assert_eq!(status(&exchange), json!("BREAK"));
    let failed = Exchange::try_start(&[&arguments[..], &["--start", "2024-03-01T01:00:00Z"]].concat());
    let failed = failed.err().expect("it has ended before");
    assert!(failed.stderr.contains("no candles of ETHUSDT when the market begins"), "{}", failed.stderr);
}
