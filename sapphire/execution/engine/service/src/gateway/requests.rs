//! Requests of the WebSocket API: signed, framed and ready for one write.
//!
//! Invariant: what is signed is every parameter but the signature, as `name=value` in the order of the names, in the
//! very text that is sent. Buffers are kept, so that composing allocates nothing after the first few requests.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io::Write as _;

use sapphire_core::amounts::{Atoms, is_holdable};
use sapphire_core::decimal::push_atoms;
use sapphire_core::instrument::{Instrument, Side};
use sapphire_core::orders::{ClientOrderId, Order};
use sapphire_core::venue::TimeInForce;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Data, OpCode};

use super::errors::NotSent;
use super::settings::VenueSettings;
use super::sign::Signer;

/// Room for the longest request.
const ROOM: usize = 1_024;

/// `id` of the subscription's request.
pub(super) const SUBSCRIBE_ID: &str = "subscribe";

/// What a request's `id` says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequestId {
    Place(ClientOrderId),
    Cancel(ClientOrderId),
    Subscribe,
}

impl RequestId {
    /// Reads an answer's `id`; none for one that is not ours.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text == SUBSCRIBE_ID {
            return Some(Self::Subscribe);
        }
        match text.split_at_checked(1)? {
            ("p", order) => order.parse().ok().map(Self::Place),
            ("c", order) => order.parse().ok().map(Self::Cancel),
            _ => None,
        }
    }
}

/// How a value stands in JSON.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Number,
}

/// Composes requests.
#[derive(Debug)]
pub(super) struct Composer {
    signer: Signer,
    /// `{"apiKey":"..."`, where all parameters begin.
    beginning: Vec<u8>,
    window: Vec<u8>,
    signed: Vec<u8>,
    json: Vec<u8>,
    value: Vec<u8>,
    frame: Vec<u8>,
    masks: Masks,
}

impl Composer {
    pub(super) fn new(settings: &VenueSettings) -> Self {
        let key = settings.api_key.reveal();
        let mut beginning = Vec::with_capacity(ROOM);
        beginning.extend_from_slice(format!(r#","params":{{"apiKey":"{key}""#).as_bytes());
        Self {
            signer: Signer::new(&settings.api_secret, format!("apiKey={key}").as_bytes()),
            beginning,
            window: settings.window_ms().to_string().into_bytes(),
            signed: Vec::with_capacity(ROOM),
            json: Vec::with_capacity(ROOM),
            value: Vec::with_capacity(64),
            frame: Vec::with_capacity(ROOM),
            masks: Masks::new(),
        }
    }

    /// The frame of `order.place`.
    pub(super) fn place(
        &mut self,
        order: &Order,
        symbol: &str,
        instrument: &Instrument,
        timestamp_ms: i64,
    ) -> Result<&[u8], NotSent> {
        let price = instrument.price_atoms(order.ticks);
        let quantity = instrument.base_atoms(order.lots);
        if !is_holdable(price) || !is_holdable(quantity) {
            return Err(NotSent::Unwritable);
        }
        self.begin(b'p', order.id, "order.place");
        self.order_id("newClientOrderId", order.id);
        self.param("newOrderRespType", b"ACK", Form::Text);
        self.amount("price", price);
        self.amount("quantity", quantity);
        self.window();
        self.param("side", if order.side == Side::Buy { b"BUY" } else { b"SELL" }, Form::Text);
        self.param("symbol", symbol.as_bytes(), Form::Text);
        let (kind, time_in_force): (&[u8], &[u8]) = match order.time_in_force {
            TimeInForce::GoodTillCancel => (b"LIMIT", b"GTC"),
            TimeInForce::ImmediateOrCancel => (b"LIMIT", b"IOC"),
            TimeInForce::FillOrKill => (b"LIMIT", b"FOK"),
            TimeInForce::PostOnly => (b"LIMIT_MAKER", b""),
        };
        if !time_in_force.is_empty() {
            self.param("timeInForce", time_in_force, Form::Text);
        }
        self.number("timestamp", timestamp_ms);
        self.param("type", kind, Form::Text);
        Ok(self.end())
    }

    /// The frame of `order.cancel`.
    pub(super) fn cancel(&mut self, order: ClientOrderId, symbol: &str, timestamp_ms: i64) -> &[u8] {
        self.begin(b'c', order, "order.cancel");
        self.order_id("origClientOrderId", order);
        self.window();
        self.param("symbol", symbol.as_bytes(), Form::Text);
        self.number("timestamp", timestamp_ms);
        self.end()
    }

    /// The frame of `userDataStream.subscribe.signature`.
    pub(super) fn subscribe(&mut self, timestamp_ms: i64) -> &[u8] {
        self.signed.clear();
        self.json.clear();
        self.json.extend_from_slice(br#"{"id":""#);
        self.json.extend_from_slice(SUBSCRIBE_ID.as_bytes());
        self.json.extend_from_slice(br#"","method":"userDataStream.subscribe.signature""#);
        self.json.extend_from_slice(&self.beginning);
        self.window();
        self.number("timestamp", timestamp_ms);
        self.end()
    }

    fn begin(&mut self, mark: u8, order: ClientOrderId, method: &str) {
        self.signed.clear();
        self.json.clear();
        self.json.extend_from_slice(br#"{"id":""#);
        self.json.push(mark);
        push(&mut self.json, format_args!("{order}"));
        self.json.extend_from_slice(br#"","method":""#);
        self.json.extend_from_slice(method.as_bytes());
        self.json.push(b'"');
        self.json.extend_from_slice(&self.beginning);
    }

    /// Appends a parameter. Names come in their order; values need no escape.
    fn param(&mut self, name: &str, value: &[u8], form: Form) {
        self.signed.push(b'&');
        self.signed.extend_from_slice(name.as_bytes());
        self.signed.push(b'=');
        self.signed.extend_from_slice(value);
        self.json.extend_from_slice(b",\"");
        self.json.extend_from_slice(name.as_bytes());
        self.json.extend_from_slice(if form == Form::Text { b"\":\"" } else { b"\":" });
        self.json.extend_from_slice(value);
        if form == Form::Text {
            self.json.push(b'"');
        }
    }

    fn with_value(&mut self, name: &str, form: Form, write: impl FnOnce(&mut Vec<u8>)) {
        let mut value = std::mem::take(&mut self.value);
        value.clear();
        write(&mut value);
        self.param(name, &value, form);
        self.value = value;
    }

    fn order_id(&mut self, name: &str, order: ClientOrderId) {
        self.with_value(name, Form::Text, |value| push(value, format_args!("{order}")));
    }

    fn amount(&mut self, name: &str, atoms: Atoms) {
        self.with_value(name, Form::Text, |value| push_atoms(value, atoms));
    }

    fn number(&mut self, name: &str, number: i64) {
        self.with_value(name, Form::Number, |value| push(value, format_args!("{number}")));
    }

    fn window(&mut self) {
        let window = std::mem::take(&mut self.window);
        self.param("recvWindow", &window, Form::Number);
        self.window = window;
    }

    /// Signs and frames.
    fn end(&mut self) -> &[u8] {
        let signature = self.signer.sign(&self.signed);
        self.json.extend_from_slice(br#","signature":""#);
        self.json.extend_from_slice(&signature);
        self.json.extend_from_slice(br#""}}"#);
        let mask = self.masks.next();
        let header = FrameHeader { opcode: OpCode::Data(Data::Text), mask: Some(mask), ..FrameHeader::default() };
        self.frame.clear();
        // Writing into memory does not fail.
        let _ = header.format(self.json.len() as u64, &mut self.frame);
        self.frame.extend(self.json.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        &self.frame
    }
}

fn push(text: &mut Vec<u8>, value: std::fmt::Arguments<'_>) {
    // Writing into memory does not fail.
    let _ = text.write_fmt(value);
}

/// Masks that nobody outside can foretell: a keyed hash of a counter.
#[derive(Debug)]
struct Masks {
    key: RandomState,
    count: u64,
}

impl Masks {
    fn new() -> Self {
        Self { key: RandomState::new(), count: 0 }
    }

    fn next(&mut self) -> [u8; 4] {
        self.count += 1;
        (self.key.hash_one(self.count) as u32).to_le_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ClockMode;
    use crate::gateway::settings::{RECV_WINDOW_MS, Secret};
    use hmac::{Hmac, Mac};
    use proptest::prelude::*;
    use sapphire_core::instrument::{Asset, InstrumentId};
    use sapphire_core::orders::ReleaseId;
    use serde_json::Value;

    const BTC_USDT: Instrument = Instrument {
        base: Asset(0),
        quote: Asset(1),
        tick_atoms: 1_000_000,
        lot_atoms: 1_000,
        min_lots: 1,
        max_lots: 900_000_000,
        min_ticks: 1,
        max_ticks: 100_000_000,
        min_notional_atoms: 500_000_000,
    };

    fn composer() -> Composer {
        Composer::new(&VenueSettings {
            rest_url: String::new(),
            ws_url: String::new(),
            api_key: Secret::new("KEY"),
            api_secret: Secret::new("SECRET"),
            clock_mode: ClockMode::Speed(1.0),
            control: None,
            recv_window_ms: RECV_WINDOW_MS,
        })
    }

    fn order(ticks: i64, lots: i64, time_in_force: TimeInForce) -> Order {
        Order {
            id: ClientOrderId { account: 1, epoch: 2, sequence: 3 },
            instrument: InstrumentId(0),
            release: ReleaseId(0),
            bar_close_ns: 0,
            side: Side::Sell,
            ticks,
            lots,
            time_in_force,
        }
    }

    /// The request in a frame, read by the library that servers use.
    fn unframed(frame: &[u8]) -> Value {
        let mut cursor = std::io::Cursor::new(frame);
        let (header, length) = FrameHeader::parse(&mut cursor).unwrap().unwrap();
        let mask = header.mask.expect("a client masks");
        let body = &frame[cursor.position() as usize..];
        assert!(header.is_final && body.len() as u64 == length);
        let text: Vec<u8> = body.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
        serde_json::from_slice(&text).unwrap()
    }

    /// The signature is that of the parameters in the order of their names, as the venue checks it.
    fn assert_signed(request: &Value) {
        let mut params = request["params"].as_object().unwrap().clone();
        let signature = params.remove("signature").unwrap();
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let mut pairs: Vec<String> = params.iter().map(|(name, value)| format!("{name}={}", text(value))).collect();
        pairs.sort();
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(b"SECRET").unwrap();
        mac.update(pairs.join("&").as_bytes());
        assert_eq!(signature, format!("{:x}", mac.finalize().into_bytes()));
    }

    #[test]
    fn an_order_stands_as_it_was_approved() {
        let mut composer = composer();
        let frame =
            composer.place(&order(6_400_050, 123, TimeInForce::ImmediateOrCancel), "BTCUSDT", &BTC_USDT, 77).unwrap();
        let request = unframed(frame);
        assert_signed(&request);
        let expected = serde_json::json!({
            "apiKey": "KEY", "newClientOrderId": "sap-0001-00000002-3", "newOrderRespType": "ACK",
            "price": "64000.50000000", "quantity": "0.00123000", "recvWindow": 5000, "side": "SELL",
            "signature": request["params"]["signature"], "symbol": "BTCUSDT", "timeInForce": "IOC", "timestamp": 77,
            "type": "LIMIT",
        });
        assert_eq!(request["params"], expected);
        assert_eq!((&request["id"], &request["method"]), (&"psap-0001-00000002-3".into(), &"order.place".into()));
        let made = unframed(composer.place(&order(1, 1, TimeInForce::PostOnly), "BTCUSDT", &BTC_USDT, 77).unwrap());
        assert_signed(&made);
        assert_eq!((&made["params"]["type"], &made["params"]["timeInForce"]), (&"LIMIT_MAKER".into(), &Value::Null));
        let coarse = Instrument { tick_atoms: i64::MAX, ..BTC_USDT };
        let refused = composer.place(&order(i64::MAX, 1, TimeInForce::FillOrKill), "BTCUSDT", &coarse, 77);
        assert_eq!(refused, Err(NotSent::Unwritable));
    }

    #[test]
    fn cancels_and_the_subscription_are_signed_as_well() {
        let mut composer = composer();
        let id = ClientOrderId { account: 0xffff, epoch: u32::MAX, sequence: u64::MAX };
        let cancel = unframed(composer.cancel(id, "ETHUSDT", 5));
        assert_signed(&cancel);
        assert_eq!(cancel["params"]["origClientOrderId"], id.to_string());
        let subscribe = unframed(composer.subscribe(5));
        assert_signed(&subscribe);
        assert_eq!(subscribe["params"].as_object().unwrap().len(), 4);
    }

    #[test]
    fn answers_find_their_request() {
        let id = ClientOrderId { account: 1, epoch: 2, sequence: 3 };
        assert_eq!(RequestId::parse(&format!("p{id}")), Some(RequestId::Place(id)));
        assert_eq!(RequestId::parse(&format!("c{id}")), Some(RequestId::Cancel(id)));
        assert_eq!(RequestId::parse("subscribe"), Some(RequestId::Subscribe));
        for text in ["", "p", "x", "pweb_1", "\u{e9}"] {
            assert_eq!(RequestId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn composing_takes_no_memory() {
        let mut composer = composer();
        let mut longest = || {
            let order = order(100_000_000, 900_000_000, TimeInForce::ImmediateOrCancel);
            composer.place(&order, "BTCUSDT", &BTC_USDT, i64::MAX).unwrap();
            composer.cancel(order.id, "BTCUSDT", i64::MAX);
        };
        longest();
        assert_eq!(allocation_counter::measure(|| (0..100).for_each(|_| longest())).count_total, 0);
    }

    proptest! {
        #[test]
        fn every_order_is_signed_over_what_is_sent(
            ticks in 1_i64..100_000_000,
            lots in 1_i64..900_000_000,
            ms in 0_i64..,
        ) {
            let mut composer = composer();
            let request = unframed(
                composer.place(&order(ticks, lots, TimeInForce::ImmediateOrCancel), "BTCUSDT", &BTC_USDT, ms).unwrap(),
            );
            assert_signed(&request);
            let atoms = |name: &str| sapphire_core::decimal::parse_atoms(request["params"][name].as_str().unwrap());
            prop_assert_eq!((atoms("price"), atoms("quantity")), (Ok(i128::from(ticks) * 1_000_000), Ok(i128::from(lots) * 1_000)));
        }
    }
}
