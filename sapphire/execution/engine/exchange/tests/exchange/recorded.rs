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
