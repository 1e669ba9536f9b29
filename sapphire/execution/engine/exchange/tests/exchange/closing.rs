//! A market that ends while the exchange runs at a speed.

use std::time::{Duration, Instant, UNIX_EPOCH};

use sapphire_sim::feed::GeneratedFeed;
use sapphire_sim::listing::listing;

use crate::venue::{Exchange, SECOND_NS};

/// Half a minute of market time before the rules of ADA change, under the first seed under which they do.
fn start_near_the_end() -> (Exchange, i64) {
    let ada = listing("ADAUSDT").unwrap();
    let end = |seed| Some((seed, GeneratedFeed::new(seed, ada, ada.listed_ns).rules_end_ns()?));
    let (seed, ends_ns) = (1_u64..).find_map(end).unwrap();
    let start = UNIX_EPOCH + Duration::from_nanos((ends_ns - 30 * SECOND_NS) as u64);
    let (seed, start) = (seed.to_string(), humantime::format_rfc3339_seconds(start).to_string());
    let arguments =
        ["--symbols", "ADAUSDT,BTCUSDT", "--seed", &seed, "--start", &start, "--speed", "10", "--fund", "USDT=100000"];
    (Exchange::start(&arguments), ends_ns)
}

fn status(exchange: &Exchange, symbol: &str) -> String {
    let (_, info) = exchange.get(&format!("/api/v3/exchangeInfo?symbol={symbol}"));
    info["symbols"][0]["status"].as_str().unwrap().to_owned()
}

fn time_ns(exchange: &Exchange) -> i64 {
    exchange.get("/api/v3/time").1["serverTime"].as_i64().unwrap() * 1_000_000
}

#[test]
fn a_symbol_breaks_at_its_end_and_the_clock_goes_on() {
    let (exchange, ends_ns) = start_near_the_end();
    assert_eq!(status(&exchange, "ADAUSDT"), "TRADING");
    let (_, depth) = exchange.get("/api/v3/depth?symbol=ADAUSDT&limit=5");
    let bid = depth["bids"][0][0].as_str().unwrap();
    let price = format!("{:.4}", bid.parse::<f64>().unwrap() / 2.0);
    let limit = format!("symbol=ADAUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1000&price={price}");
    let (code, order) = exchange.signed("POST", "/api/v3/order", &limit);
    assert_eq!((code, order["status"].as_str()), (200, Some("NEW")), "{order}");

    let deadline = Instant::now() + Duration::from_secs(20);
    while status(&exchange, "ADAUSDT") == "TRADING" {
        assert!(Instant::now() < deadline, "{} of {ends_ns}", time_ns(&exchange));
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(time_ns(&exchange) >= ends_ns);
    assert_eq!((status(&exchange, "ADAUSDT").as_str(), status(&exchange, "BTCUSDT").as_str()), ("BREAK", "TRADING"));
    let (_, broken) = exchange.get("/api/v3/exchangeInfo?symbolStatus=BREAK");
    assert_eq!(broken["symbols"].as_array().map(Vec::len), Some(1));
    for path in ["/api/v3/order", "/api/v3/order/test"] {
        for terms in [limit.as_str(), "symbol=ADAUSDT&side=BUY&type=MARKET&quoteOrderQty=100"] {
            let (code, refused) = exchange.signed("POST", path, terms);
            assert_eq!((code, refused["code"].as_i64()), (400, Some(-2010)), "{refused}");
            assert_eq!(refused["msg"], "Market is closed.");
        }
    }
    let ours = format!("symbol=ADAUSDT&orderId={}", order["orderId"]);
    assert_eq!(exchange.signed("GET", "/api/v3/order", &ours).1["status"], "EXPIRED");
    let (_, account) = exchange.signed("GET", "/api/v3/account", "omitZeroBalances=true");
    assert_eq!(
        (&account["balances"][0]["free"], &account["balances"][0]["locked"]),
        (&"100000.00000000".into(), &"0.00000000".into())
    );
    let (_, depth) = exchange.get("/api/v3/depth?symbol=ADAUSDT&limit=5");
    assert_eq!((depth["bids"].as_array().map(Vec::len), depth["asks"].as_array().map(Vec::len)), (Some(0), Some(0)));
    let (code, bought) =
        exchange.signed("POST", "/api/v3/order", "symbol=BTCUSDT&side=BUY&type=MARKET&quoteOrderQty=100");
    assert_eq!((code, bought["status"].as_str()), (200, Some("FILLED")), "{bought}");
}
