//! Placing, cancelling and looking up orders.

use sapphire_core::amounts::Atoms;
use sapphire_core::instrument::Side;
use sapphire_core::venue::AccountId;

use crate::matching::api::{
    CancelAll, CancelOrder, MAX_CLIENT_ORDER_ID, MAX_ROWS, OrderKind, OrderRef, OrdersQuery, PlaceOrder, TimeInForce,
};
use crate::protocol::call::{Answer, Call};
use crate::protocol::errors::{CLIENT_ID_RANGE, Refusal};
use crate::protocol::params::Params;
use crate::protocol::payload::orders::{Canceled, NewOrder, OrderRow, Rates, ResponseType, SELF_TRADE_PREVENTION};
use serde::Serialize;

/// Rows of a list whose request names no limit.
const DEFAULT_ROWS: usize = 500;
/// Longest window of `allOrders` and `myTrades`.
pub const LONGEST_WINDOW_HOURS: i64 = 24;

/// Parameters of a new order.
pub const NEW_ORDER: &[&str] = &[
    "symbol",
    "side",
    "type",
    "timeInForce",
    "quantity",
    "quoteOrderQty",
    "price",
    "newClientOrderId",
    "newOrderRespType",
    "selfTradePreventionMode",
    "stopPrice",
    "trailingDelta",
    "icebergQty",
];

/// Parameters of a new order's test.
pub const TEST_ORDER: &[&str] = &[
    "symbol",
    "side",
    "type",
    "timeInForce",
    "quantity",
    "quoteOrderQty",
    "price",
    "newClientOrderId",
    "newOrderRespType",
    "selfTradePreventionMode",
    "stopPrice",
    "trailingDelta",
    "icebergQty",
    "computeCommissionRates",
];

/// `POST order` and `order.place`.
pub async fn place(call: &Call<'_>) -> Result<Answer, Refusal> {
    let account = call.account()?;
    let (order, response) = new_order(call, account)?;
    let symbol = call.info(order.instrument)?;
    let count = call.protocol.limits.order(account, call.protocol.now_ms())?;
    let ack = call.matching().place_order(order).await?;
    let answer = Answer::of(&NewOrder::of(call.catalog(), symbol, &ack, response))?;
    Ok(Answer { orders: Some(count), ..answer })
}

/// `POST order/test` and `order.test`.
pub async fn test(call: &Call<'_>) -> Result<Answer, Refusal> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Commissions {
        standard_commission_for_order: Rates,
        tax_commission_for_order: Rates,
    }
    let account = call.account()?;
    let (order, _) = new_order(call, account)?;
    call.matching().test_order(order).await?;
    if !call.params.flag("computeCommissionRates")? {
        return Ok(Answer::empty());
    }
    let account = call.matching().account(account).await?;
    Answer::of(&Commissions {
        standard_commission_for_order: Rates::of(&account),
        tax_commission_for_order: Rates::none(),
    })
}

/// Weight of an order's test.
pub fn test_weight(params: &Params) -> u32 {
    if params.flag("computeCommissionRates") == Ok(true) { 20 } else { 1 }
}

/// `DELETE order` and `order.cancel`.
pub async fn cancel(call: &Call<'_>) -> Result<Answer, Refusal> {
    let account = call.account()?;
    let (instrument, symbol) = call.symbol()?;
    let order = order_ref(call.params)?;
    let cancel_client_order_id = client_order_id(call.params)?;
    let ack = call.matching().cancel_order(CancelOrder { account, instrument, order, cancel_client_order_id }).await?;
    Answer::of(&Canceled::of(symbol, &ack))
}

/// `DELETE openOrders` and `openOrders.cancelAll`.
pub async fn cancel_all(call: &Call<'_>) -> Result<Answer, Refusal> {
    let account = call.account()?;
    let (instrument, symbol) = call.symbol()?;
    let acks = call.matching().cancel_all(CancelAll { account, instrument }).await?;
    Answer::of(&acks.iter().map(|ack| Canceled::of(symbol, ack)).collect::<Vec<_>>())
}

/// `GET order` and `order.status`.
pub async fn status(call: &Call<'_>) -> Result<Answer, Refusal> {
    let account = call.account()?;
    let (instrument, symbol) = call.symbol()?;
    let order = call.matching().order(account, instrument, order_ref(call.params)?).await?;
    Answer::of(&OrderRow::of(symbol, &order))
}

/// `GET openOrders` and `openOrders.status`.
pub async fn open_orders(call: &Call<'_>) -> Result<Answer, Refusal> {
    let account = call.account()?;
    let instrument = match call.params.optional("symbol")? {
        Some(_) => Some(call.symbol()?.0),
        None => None,
    };
    let orders = call.matching().open_orders(account, instrument).await?;
    let mut rows = Vec::with_capacity(orders.len());
    for order in &orders {
        rows.push(OrderRow::of(call.info(order.instrument)?, order));
    }
    Answer::of(&rows)
}

/// Weight of the open orders of one symbol or of all.
pub fn open_orders_weight(params: &Params) -> u32 {
    if params.get("symbol").is_some() { 6 } else { 80 }
}

/// `GET allOrders` and `allOrders`.
pub async fn all_orders(call: &Call<'_>) -> Result<Answer, Refusal> {
    let account = call.account()?;
    let (instrument, symbol) = call.symbol()?;
    let (start_ns, end_ns) = window(call)?;
    let query = OrdersQuery {
        account,
        instrument,
        from_order_id: call.params.integer("orderId")?.map(i64::unsigned_abs),
        start_ns,
        end_ns,
        limit: call.params.limit(DEFAULT_ROWS, MAX_ROWS)?,
    };
    let orders = call.matching().all_orders(query).await?;
    Answer::of(&orders.iter().map(|order| OrderRow::of(symbol, order)).collect::<Vec<_>>())
}

/// `startTime` and `endTime`, at most a day apart.
pub fn window(call: &Call<'_>) -> Result<(Option<i64>, Option<i64>), Refusal> {
    const HOUR_NS: i64 = 3_600_000_000_000;
    let (start_ns, end_ns) = (call.time_ns("startTime")?, call.end_ns("endTime")?);
    match (start_ns, end_ns) {
        (Some(start), Some(end)) if end.saturating_sub(start) >= LONGEST_WINDOW_HOURS * HOUR_NS + 1_000_000 => {
            Err(Refusal::more_than_hours(LONGEST_WINDOW_HOURS))
        }
        window => Ok(window),
    }
}

fn new_order(call: &Call<'_>, account: AccountId) -> Result<(PlaceOrder, ResponseType), Refusal> {
    let params = call.params;
    let (instrument, _) = call.symbol()?;
    let side = match params.text("side")? {
        "BUY" => Side::Buy,
        "SELL" => Side::Sell,
        _ => return Err(Refusal::bad_side()),
    };
    let order_type = params.text("type")?;
    let kind = order_kind(params, order_type)?;
    if params.optional("selfTradePreventionMode")?.is_some_and(|mode| mode != SELF_TRADE_PREVENTION) {
        return Err(Refusal::bad_value("selfTradePreventionMode"));
    }
    let response = match params.optional("newOrderRespType")? {
        Some("ACK") => ResponseType::Ack,
        Some("RESULT") => ResponseType::Result,
        Some("FULL") => ResponseType::Full,
        Some(_) => return Err(Refusal::bad_value("newOrderRespType")),
        None if order_type == "LIMIT_MAKER" => ResponseType::Ack,
        None => ResponseType::Full,
    };
    let client_order_id = client_order_id(params)?;
    Ok((PlaceOrder { account, instrument, side, kind, client_order_id }, response))
}

fn order_kind(params: &Params, order_type: &str) -> Result<OrderKind, Refusal> {
    let unsupported = |what| Err(Refusal::new_order(what));
    let kind = match order_type {
        "LIMIT" => {
            let time_in_force = time_in_force(params.text("timeInForce")?)?;
            let (quantity_atoms, price_atoms) = (amount(params, "quantity")?, amount(params, "price")?);
            without(params, &["quoteOrderQty", "stopPrice", "trailingDelta"])?;
            OrderKind::Limit { price_atoms, quantity_atoms, time_in_force }
        }
        "LIMIT_MAKER" => {
            let (quantity_atoms, price_atoms) = (amount(params, "quantity")?, amount(params, "price")?);
            without(params, &["timeInForce", "quoteOrderQty", "stopPrice", "trailingDelta"])?;
            OrderKind::LimitMaker { price_atoms, quantity_atoms }
        }
        "MARKET" => {
            without(params, &["price", "timeInForce", "stopPrice", "trailingDelta", "icebergQty"])?;
            match (params.decimal("quantity")?, params.decimal("quoteOrderQty")?) {
                (Some(_), Some(_)) => return Err(Refusal::bad_combination()),
                (Some(quantity_atoms), None) => OrderKind::Market { quantity_atoms },
                (None, Some(quote_atoms)) => OrderKind::MarketQuote { quote_atoms },
                (None, None) => return Err(Refusal::either("quantity", "quoteOrderQty")),
            }
        }
        "STOP_LOSS" => return unsupported("Stop loss orders are not supported for this symbol."),
        "STOP_LOSS_LIMIT" => return unsupported("Stop loss limit orders are not supported for this symbol."),
        "TAKE_PROFIT" => return unsupported("Take profit orders are not supported for this symbol."),
        "TAKE_PROFIT_LIMIT" => return unsupported("Take profit limit orders are not supported for this symbol."),
        _ => return Err(Refusal::bad_order_type()),
    };
    if params.optional("icebergQty")?.is_some() {
        return unsupported("Iceberg orders are not supported for this symbol.");
    }
    Ok(kind)
}

fn amount(params: &Params, name: &'static str) -> Result<Atoms, Refusal> {
    params.text(name)?;
    params.decimal(name)?.ok_or_else(|| Refusal::mandatory(name))
}

fn without(params: &Params, names: &[&str]) -> Result<(), Refusal> {
    match names.iter().find(|name| params.get(name).is_some()) {
        Some(name) => Err(Refusal::not_required(name)),
        None => Ok(()),
    }
}

fn time_in_force(text: &str) -> Result<TimeInForce, Refusal> {
    match text {
        "GTC" => Ok(TimeInForce::Gtc),
        "IOC" => Ok(TimeInForce::Ioc),
        "FOK" => Ok(TimeInForce::Fok),
        _ => Err(Refusal::bad_time_in_force()),
    }
}

fn order_ref(params: &Params) -> Result<OrderRef, Refusal> {
    let id = params.integer("orderId")?.map(i64::unsigned_abs);
    match (id, params.optional("origClientOrderId")?) {
        (Some(id), Some(client)) => Ok(OrderRef::Both(id, client.to_owned())),
        (Some(id), None) => Ok(OrderRef::Id(id)),
        (None, Some(client)) => Ok(OrderRef::Client(client.to_owned())),
        (None, None) => Err(Refusal::either("origClientOrderId", "orderId")),
    }
}

fn client_order_id(params: &Params) -> Result<Option<String>, Refusal> {
    let Some(id) = params.optional("newClientOrderId")? else { return Ok(None) };
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if id.len() > MAX_CLIENT_ORDER_ID || !id.bytes().all(legal) {
        return Err(Refusal::illegal("newClientOrderId", CLIENT_ID_RANGE));
    }
    Ok(Some(id.to_owned()))
}
