//! Orders and balances, as their owner is sent: the events of the user data stream.
//!
//! Known limitations: an order that expired because it would have traded with its own account is reported without the
//! fields that describe the prevented match; a cancel that travelled and found nothing to cancel is not reported, for
//! the venue has no such event (the order's own last report says how it ended).

use serde::Serialize;

use super::orders::SELF_TRADE_PREVENTION;
use super::{ms, price, quantity, side};
use crate::matching::api::{BalanceView, Catalog, Execution, ExecutionReport, SymbolInfo, UserEvent, UserEventKind};
use sapphire_core::decimal::atoms_text;

/// The JSON of an event; none for what the venue does not report.
pub fn event(catalog: &Catalog, event: &UserEvent) -> Option<String> {
    let json = match &event.kind {
        UserEventKind::Execution(report) => {
            let symbol = catalog.symbol(report.order.instrument)?;
            serde_json::to_string(&ExecutionEvent::of(catalog, symbol, event, report))
        }
        UserEventKind::AccountPosition(balances) => {
            serde_json::to_string(&PositionEvent::of(catalog, event.time_ns, balances))
        }
        UserEventKind::BalanceUpdate { asset, delta_atoms } => serde_json::to_string(&BalanceEvent {
            e: "balanceUpdate",
            E: ms(event.time_ns),
            a: catalog.asset_name(*asset),
            d: atoms_text(*delta_atoms),
            T: ms(event.time_ns),
        }),
        UserEventKind::CancelRejected { .. } => return None,
    };
    json.ok()
}

#[derive(Debug, Serialize)]
#[expect(non_snake_case, reason = "the venue's field names differ by case alone")]
struct ExecutionEvent<'a> {
    e: &'static str,
    E: i64,
    s: &'a str,
    c: &'a str,
    S: &'static str,
    o: &'static str,
    f: &'static str,
    q: String,
    p: String,
    P: String,
    F: String,
    g: i64,
    C: &'a str,
    x: &'static str,
    X: &'static str,
    r: &'static str,
    i: u64,
    l: String,
    z: String,
    L: String,
    n: String,
    N: Option<&'a str>,
    T: i64,
    t: i64,
    I: u64,
    w: bool,
    m: bool,
    M: bool,
    O: i64,
    Z: String,
    Y: String,
    Q: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    W: Option<i64>,
    V: &'static str,
}

impl<'a> ExecutionEvent<'a> {
    fn of(catalog: &'a Catalog, symbol: &'a SymbolInfo, event: &UserEvent, report: &'a ExecutionReport) -> Self {
        let order = &report.order;
        let instrument = &symbol.instrument;
        let fill = match &report.execution {
            Execution::Trade(fill) => Some(fill),
            _ => None,
        };
        let reason = match &report.execution {
            Execution::Rejected(refusal) => refusal.name(),
            _ => "NONE",
        };
        let (client_id, original_id) = match &report.cancel_client_order_id {
            Some(cancel) => (cancel.as_str(), order.client_order_id.as_str()),
            None => (order.client_order_id.as_str(), ""),
        };
        Self {
            e: "executionReport",
            E: ms(event.time_ns),
            s: &symbol.symbol,
            c: client_id,
            S: side(order.side),
            o: order.order_type.name(),
            f: order.time_in_force.name(),
            q: quantity(instrument, order.quantity_lots),
            p: price(instrument, order.price_ticks),
            P: atoms_text(0),
            F: atoms_text(0),
            g: -1,
            C: original_id,
            x: execution_name(&report.execution),
            X: order.status.name(),
            r: reason,
            i: order.order_id,
            l: quantity(instrument, fill.map_or(0, |fill| fill.lots)),
            z: quantity(instrument, order.executed_lots),
            L: price(instrument, fill.map_or(0, |fill| fill.ticks)),
            n: fill.map_or_else(|| "0".to_owned(), |fill| atoms_text(fill.commission_atoms)),
            N: fill.map(|fill| catalog.asset_name(fill.commission_asset)),
            T: ms(event.time_ns),
            t: fill.and_then(|fill| i64::try_from(fill.trade_id).ok()).unwrap_or(-1),
            I: event.sequence,
            w: report.is_on_book,
            m: fill.is_some_and(|fill| fill.is_maker),
            M: false,
            O: ms(order.time_ns),
            Z: atoms_text(order.executed_quote_atoms),
            Y: atoms_text(fill.map_or(0, |fill| fill.quote_atoms)),
            Q: atoms_text(order.quote_order_atoms),
            W: order.working_ns.map(ms),
            V: SELF_TRADE_PREVENTION,
        }
    }
}

fn execution_name(execution: &Execution) -> &'static str {
    match execution {
        Execution::New => "NEW",
        Execution::Trade(_) => "TRADE",
        Execution::Canceled => "CANCELED",
        Execution::Rejected(_) => "REJECTED",
        Execution::Expired => "EXPIRED",
        Execution::TradePrevention => "TRADE_PREVENTION",
    }
}

#[derive(Debug, Serialize)]
#[expect(non_snake_case, reason = "the venue's field names differ by case alone")]
struct PositionEvent<'a> {
    e: &'static str,
    E: i64,
    u: i64,
    B: Vec<PositionRow<'a>>,
}

#[derive(Debug, Serialize)]
struct PositionRow<'a> {
    a: &'a str,
    f: String,
    l: String,
}

impl<'a> PositionEvent<'a> {
    fn of(catalog: &'a Catalog, time_ns: i64, balances: &[BalanceView]) -> Self {
        let row = |balance: &BalanceView| PositionRow {
            a: catalog.asset_name(balance.asset),
            f: atoms_text(balance.free_atoms),
            l: atoms_text(balance.locked_atoms),
        };
        Self { e: "outboundAccountPosition", E: ms(time_ns), u: ms(time_ns), B: balances.iter().map(row).collect() }
    }
}

#[derive(Debug, Serialize)]
#[expect(non_snake_case, reason = "the venue's field names differ by case alone")]
struct BalanceEvent<'a> {
    e: &'static str,
    E: i64,
    a: &'a str,
    d: String,
    T: i64,
}
