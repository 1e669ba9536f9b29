//! Market time that moves at the control plane's word.

use serde_json::{Value, json};

use crate::venue::{Exchange, LOCKSTEP, SECOND_NS, START_NS};

fn place(exchange: &Exchange, side: &str, terms: &str) -> Value {
    let parameters = format!("symbol=BTCUSDT&side={side}&{terms}");
    let (status, order) = exchange.signed("POST", "/api/v3/order", &parameters);
    assert_eq!(status, 200, "{order}");
    order
}

fn order(exchange: &Exchange, id: &Value) -> Value {
    let (status, order) = exchange.signed("GET", "/api/v3/order", &format!("symbol=BTCUSDT&orderId={id}"));
    assert_eq!(status, 200, "{order}");
    order
}

#[test]
fn an_order_is_pending_until_it_arrives_and_the_advance_ends_there() {
    let exchange = Exchange::start(&LOCKSTEP);
    let (_, time) = exchange.get("/api/v3/time");
    assert_eq!(time["serverTime"], START_NS / 1_000_000);
    let placed = place(&exchange, "BUY", "type=MARKET&quantity=0.01");
    assert_eq!(placed["status"], "PENDING_NEW");
    assert_eq!(placed["fills"].as_array().map_or(0, Vec::len), 0);
    assert_eq!(order(&exchange, &placed["orderId"])["status"], "PENDING_NEW");
    let (now_ns, events) = exchange.advance(START_NS + 60 * SECOND_NS);
    assert!((5_000_000..=25_000_000).contains(&(now_ns - START_NS)), "between the shortest and longest delay");
    assert!(events >= 2, "acknowledged and filled: {events}");
    let filled = order(&exchange, &placed["orderId"]);
    assert_eq!(filled["status"], "FILLED");
    assert_eq!(filled["executedQty"], "0.01000000");
    let (now_ns, events) = exchange.advance(START_NS + 60 * SECOND_NS);
    assert_eq!((now_ns, events), (START_NS + 60 * SECOND_NS, 0), "nothing more to see");
}

#[test]
fn an_advance_wakes_whoever_wants_to_be_woken() {
    let exchange = Exchange::start(&LOCKSTEP);
    let wake_ns = START_NS + 17 * SECOND_NS;
    let body = json!({
        "to_ns": (START_NS + 60 * SECOND_NS).to_string(),
        "wake_at_ns": [(START_NS + 40 * SECOND_NS).to_string(), wake_ns, START_NS - 1],
    });
    let (status, answer) = exchange.control("advance", &body);
    assert_eq!((status, answer["now_ns"].as_str()), (200, Some(wake_ns.to_string().as_str())), "{answer}");
    let (status, answer) = exchange.control("advance", &json!({"to_ns": START_NS.to_string()}));
    assert_eq!(status, 409, "time does not go back: {answer}");
}

/// A little trading, the same every time.
fn trade(exchange: &Exchange) -> Value {
    for round in 0..6 {
        let offset = round * 37 - 90;
        let price = exchange.near("BTCUSDT", offset);
        place(exchange, "BUY", &format!("type=LIMIT&timeInForce=GTC&quantity=0.05&price={price}"));
        place(exchange, "BUY", "type=MARKET&quoteOrderQty=250");
        exchange.advance_all(START_NS + (round + 1) * 20 * SECOND_NS);
    }
    let price = exchange.near("BTCUSDT", 5_000);
    place(exchange, "SELL", &format!("type=LIMIT_MAKER&quantity=0.01&price={price}"));
    exchange.advance_all(START_NS + 300 * SECOND_NS);
    exchange.state()
}

#[test]
fn the_same_seed_gives_the_same_fills() {
    let first = trade(&Exchange::start(&LOCKSTEP));
    let fills = first["accounts"][0]["fills"].as_u64().unwrap();
    assert!(fills >= 6, "{fills} fills");
    assert_eq!(trade(&Exchange::start(&LOCKSTEP)), first);
    let other = ["--lockstep", "--seed", "8", "--start", "2024-03-01"];
    assert_ne!(trade(&Exchange::start(&other))["accounts"], first["accounts"]);
}

#[test]
fn money_goes_in_and_out_and_accounts_are_apart() {
    let exchange = Exchange::start(&LOCKSTEP);
    let asked = json!({"name": "second", "fund": {"BTC": "1.5"}, "taker": "0.0004"});
    let (status, opened) = exchange.control("accounts", &asked);
    assert_eq!((status, &opened["account"]), (200, &json!(2)), "{opened}");
    assert_ne!(opened["api_key"].as_str().unwrap(), exchange.text("api_key"));
    let refused = [
        (asked, 409, "already"),
        (json!({"name": "", "fund": {}}), 400, "letters"),
        (json!({"name": "a b"}), 400, "letters"),
        (json!({"name": "x".repeat(33)}), 400, "letters"),
        (json!({"fund": {}}), 400, "name"),
        (json!({"name": "third", "fund": {"XYZ": "1"}}), 400, "assets"),
        (json!({"name": "third", "fund": {"USDT": "-1"}}), 400, "begins with"),
        (json!({"name": "third", "fund": {"USDT": "1e3"}}), 400, "decimal"),
    ];
    for (body, status, word) in refused {
        let answer = exchange.control("accounts", &body);
        assert!(answer.0 == status && answer.1["error"].as_str().unwrap().contains(word), "{body}: {answer:?}");
    }
    let deposit = |amount: &str| exchange.control("deposit", &json!({"account": 2, "asset": "USDT", "amount": amount}));
    assert_eq!(deposit("100.5"), (200, json!({"free": "100.50000000", "locked": "0.00000000"})));
    assert_eq!(deposit("-0.5"), (200, json!({"free": "100.00000000", "locked": "0.00000000"})));
    assert_eq!(deposit("-100.1").0, 400);
    assert_eq!(deposit("0.000000001").0, 400);
    let unknown = exchange.control("deposit", &json!({"account": 2, "asset": "XYZ", "amount": "1"}));
    assert_eq!(unknown.0, 400);
    let state = exchange.state();
    assert_eq!(state["accounts"].as_array().unwrap().len(), 2, "what is refused opens nothing");
    assert_eq!((&state["accounts"][1]["name"], &state["accounts"][0]["name"]), (&json!("second"), &Value::Null));
    assert_eq!(state["accounts"][1]["balances"]["BTC"]["free"], "150000000");
    assert_eq!(state["accounts"][0]["balances"]["BTC"]["free"], "0");
}
