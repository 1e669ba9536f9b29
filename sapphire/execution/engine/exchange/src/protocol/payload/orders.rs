//! Orders, fills and accounts, as requests are answered.

use serde::Serialize;

use super::{ms, price, quantity, side};
use crate::matching::api::{AccountView, CancelAck, Catalog, FillView, OrderAck, OrderView, SymbolInfo};
use sapphire_core::decimal::atoms_text;

/// The one mode of self-trade prevention: a resting order that would trade with its own account expires.
pub const SELF_TRADE_PREVENTION: &str = "EXPIRE_MAKER";

/// `orderListId` of an order that belongs to no list.
const NO_LIST: i64 = -1;

/// How much a new order's answer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseType {
    /// Ids alone.
    Ack,
    /// The order.
    Result,
    /// The order and its fills.
    Full,
}

/// Answer of a new order.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewOrder<'a> {
    symbol: &'a str,
    order_id: u64,
    order_list_id: i64,
    client_order_id: &'a str,
    transact_time: i64,
    #[serde(flatten)]
    state: Option<State>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fills: Option<Vec<Fill<'a>>>,
}

/// What an order asked for and what became of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct State {
    price: String,
    orig_qty: String,
    executed_qty: String,
    orig_quote_order_qty: String,
    /// The venue's spelling.
    cummulative_quote_qty: String,
    status: &'static str,
    time_in_force: &'static str,
    #[serde(rename = "type")]
    order_type: &'static str,
    side: &'static str,
    working_time: i64,
    self_trade_prevention_mode: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Fill<'a> {
    price: String,
    qty: String,
    commission: String,
    commission_asset: &'a str,
    trade_id: u64,
}

impl State {
    fn of(symbol: &SymbolInfo, order: &OrderView) -> Self {
        Self {
            price: price(&symbol.instrument, order.price_ticks),
            orig_qty: quantity(&symbol.instrument, order.quantity_lots),
            executed_qty: quantity(&symbol.instrument, order.executed_lots),
            orig_quote_order_qty: atoms_text(order.quote_order_atoms),
            cummulative_quote_qty: atoms_text(order.executed_quote_atoms),
            status: order.status.name(),
            time_in_force: order.time_in_force.name(),
            order_type: order.order_type.name(),
            side: side(order.side),
            working_time: order.working_ns.map_or(-1, ms),
            self_trade_prevention_mode: SELF_TRADE_PREVENTION,
        }
    }
}

impl<'a> NewOrder<'a> {
    /// Answer to an accepted order.
    pub fn of(catalog: &'a Catalog, symbol: &'a SymbolInfo, ack: &'a OrderAck, response: ResponseType) -> Self {
        let fill = |fill: &FillView| Fill {
            price: price(&symbol.instrument, fill.ticks),
            qty: quantity(&symbol.instrument, fill.lots),
            commission: atoms_text(fill.commission_atoms),
            commission_asset: catalog.asset_name(fill.commission_asset),
            trade_id: fill.trade_id,
        };
        Self {
            symbol: &symbol.symbol,
            order_id: ack.order.order_id,
            order_list_id: NO_LIST,
            client_order_id: &ack.order.client_order_id,
            transact_time: ms(ack.transact_ns),
            state: (response != ResponseType::Ack).then(|| State::of(symbol, &ack.order)),
            fills: (response == ResponseType::Full).then(|| ack.fills.iter().map(fill).collect()),
        }
    }
}

/// Answer of a cancel.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Canceled<'a> {
    symbol: &'a str,
    orig_client_order_id: &'a str,
    order_id: u64,
    order_list_id: i64,
    client_order_id: &'a str,
    transact_time: i64,
    #[serde(flatten)]
    state: State,
}

impl<'a> Canceled<'a> {
    /// Answer to an accepted cancel.
    pub fn of(symbol: &'a SymbolInfo, ack: &'a CancelAck) -> Self {
        Self {
            symbol: &symbol.symbol,
            orig_client_order_id: &ack.order.client_order_id,
            order_id: ack.order.order_id,
            order_list_id: NO_LIST,
            client_order_id: &ack.cancel_client_order_id,
            transact_time: ms(ack.transact_ns),
            state: State::of(symbol, &ack.order),
        }
    }
}

/// A row of the order queries.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderRow<'a> {
    symbol: &'a str,
    order_id: u64,
    order_list_id: i64,
    client_order_id: &'a str,
    #[serde(flatten)]
    state: State,
    stop_price: String,
    iceberg_qty: String,
    time: i64,
    update_time: i64,
    is_working: bool,
}

impl<'a> OrderRow<'a> {
    /// An order of an account's history.
    pub fn of(symbol: &'a SymbolInfo, order: &'a OrderView) -> Self {
        Self {
            symbol: &symbol.symbol,
            order_id: order.order_id,
            order_list_id: NO_LIST,
            client_order_id: &order.client_order_id,
            state: State::of(symbol, order),
            stop_price: atoms_text(0),
            iceberg_qty: atoms_text(0),
            time: ms(order.time_ns),
            update_time: ms(order.update_ns),
            is_working: order.working_ns.is_some(),
        }
    }
}

/// A row of `myTrades`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MyTradeRow<'a> {
    symbol: &'a str,
    id: u64,
    order_id: u64,
    order_list_id: i64,
    price: String,
    qty: String,
    quote_qty: String,
    commission: String,
    commission_asset: &'a str,
    time: i64,
    is_buyer: bool,
    is_maker: bool,
    is_best_match: bool,
}

impl<'a> MyTradeRow<'a> {
    /// A fill of an account.
    pub fn of(catalog: &'a Catalog, symbol: &'a SymbolInfo, fill: &FillView) -> Self {
        Self {
            symbol: &symbol.symbol,
            id: fill.trade_id,
            order_id: fill.order_id,
            order_list_id: NO_LIST,
            price: price(&symbol.instrument, fill.ticks),
            qty: quantity(&symbol.instrument, fill.lots),
            quote_qty: atoms_text(fill.quote_atoms),
            commission: atoms_text(fill.commission_atoms),
            commission_asset: catalog.asset_name(fill.commission_asset),
            time: ms(fill.time_ns),
            is_buyer: fill.side == sapphire_core::instrument::Side::Buy,
            is_maker: fill.is_maker,
            is_best_match: true,
        }
    }
}

/// Fee rates of an account, as texts of 1.0.
#[derive(Debug, Serialize)]
pub struct Rates {
    maker: String,
    taker: String,
    buyer: String,
    seller: String,
}

impl Rates {
    /// The rates an account pays.
    pub fn of(account: &AccountView) -> Self {
        let (maker, taker) = (atoms_text(account.fees.maker), atoms_text(account.fees.taker));
        Self { maker, taker, buyer: atoms_text(0), seller: atoms_text(0) }
    }

    /// No rates: the exchange takes no tax.
    pub fn none() -> Self {
        let zero = || atoms_text(0);
        Self { maker: zero(), taker: zero(), buyer: zero(), seller: zero() }
    }
}

/// Answer of `account`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "the venue's fields")]
pub struct Holdings<'a> {
    maker_commission: i64,
    taker_commission: i64,
    buyer_commission: i64,
    seller_commission: i64,
    commission_rates: Rates,
    can_trade: bool,
    can_withdraw: bool,
    can_deposit: bool,
    brokered: bool,
    require_self_trade_prevention: bool,
    prevent_sor: bool,
    update_time: i64,
    account_type: &'static str,
    balances: Vec<BalanceRow<'a>>,
    permissions: [&'static str; 1],
    uid: u32,
}

#[derive(Debug, Serialize)]
struct BalanceRow<'a> {
    asset: &'a str,
    free: String,
    locked: String,
}

/// Whether `account` lists assets of which there is nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zeros {
    /// `omitZeroBalances=false`.
    Shown,
    /// `omitZeroBalances=true`.
    Omitted,
}

impl<'a> Holdings<'a> {
    /// An account.
    pub fn of(catalog: &'a Catalog, account: &AccountView, zeros: Zeros) -> Self {
        /// 1e-8 in a basis point, the unit of the old commission fields.
        const RATE_PER_BASIS_POINT: i64 = 10_000;
        let shown = |row: &&crate::matching::api::BalanceView| {
            zeros == Zeros::Shown || row.free_atoms != 0 || row.locked_atoms != 0
        };
        let balance = |row: &crate::matching::api::BalanceView| BalanceRow {
            asset: catalog.asset_name(row.asset),
            free: atoms_text(row.free_atoms),
            locked: atoms_text(row.locked_atoms),
        };
        Self {
            maker_commission: account.fees.maker / RATE_PER_BASIS_POINT,
            taker_commission: account.fees.taker / RATE_PER_BASIS_POINT,
            buyer_commission: 0,
            seller_commission: 0,
            commission_rates: Rates::of(account),
            can_trade: true,
            can_withdraw: false,
            can_deposit: false,
            brokered: false,
            require_self_trade_prevention: false,
            prevent_sor: true,
            update_time: ms(account.update_ns),
            account_type: "SPOT",
            balances: account.balances.iter().filter(shown).map(balance).collect(),
            permissions: ["SPOT"],
            uid: account.account.0,
        }
    }
}
