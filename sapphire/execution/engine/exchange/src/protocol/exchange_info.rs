//! `exchangeInfo`: the rules of every symbol, from the same integers that the matching service checks orders against.

use sapphire_core::amounts::MAX_ATOMS;
use sapphire_core::instrument::InstrumentId;
use serde::Serialize;

use super::call::Call;
use super::errors::Refusal;
use super::limits::Allowance;
use super::payload::orders::SELF_TRADE_PREVENTION;
use super::payload::{price, quantity};
use crate::matching::api::{MAX_OPEN_ORDERS, OrderType, SymbolInfo};
use sapphire_core::decimal::atoms_text;

/// Parameters of `exchangeInfo`.
pub const TAKES: &[&str] = &["symbol", "symbols", "permissions", "showPermissionSets", "symbolStatus"];

/// The answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answered<'a> {
    timezone: &'static str,
    server_time: i64,
    rate_limits: Vec<Allowance>,
    exchange_filters: [(); 0],
    symbols: Vec<Listing<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "the venue's fields")]
struct Listing<'a> {
    symbol: &'a str,
    status: &'static str,
    base_asset: &'a str,
    base_asset_precision: u8,
    quote_asset: &'a str,
    quote_precision: u8,
    quote_asset_precision: u8,
    base_commission_precision: u8,
    quote_commission_precision: u8,
    order_types: [&'static str; 3],
    iceberg_allowed: bool,
    oco_allowed: bool,
    oto_allowed: bool,
    quote_order_qty_market_allowed: bool,
    allow_trailing_stop: bool,
    cancel_replace_allowed: bool,
    is_spot_trading_allowed: bool,
    is_margin_trading_allowed: bool,
    filters: Vec<Filter>,
    permissions: [&'static str; 0],
    #[serde(skip_serializing_if = "Option::is_none")]
    permission_sets: Option<[[&'static str; 1]; 1]>,
    default_self_trade_prevention_mode: &'static str,
    allowed_self_trade_prevention_modes: [&'static str; 1],
}

/// A rule of a symbol. The matching service enforces what is published here and publishes what it enforces.
#[derive(Debug, Serialize)]
#[serde(tag = "filterType")]
enum Filter {
    #[serde(rename = "PRICE_FILTER", rename_all = "camelCase")]
    Price { min_price: String, max_price: String, tick_size: String },
    #[serde(rename = "LOT_SIZE", rename_all = "camelCase")]
    LotSize { min_qty: String, max_qty: String, step_size: String },
    #[serde(rename = "MARKET_LOT_SIZE", rename_all = "camelCase")]
    MarketLotSize { min_qty: String, max_qty: String, step_size: String },
    #[serde(rename = "NOTIONAL", rename_all = "camelCase")]
    Notional {
        min_notional: String,
        apply_min_to_market: bool,
        max_notional: String,
        apply_max_to_market: bool,
        avg_price_mins: u8,
    },
    #[serde(rename = "MAX_NUM_ORDERS", rename_all = "camelCase")]
    MaxNumOrders { max_num_orders: usize },
}

impl Filter {
    fn of(symbol: &SymbolInfo) -> Vec<Self> {
        let rules = &symbol.instrument;
        let (least, most, step) =
            (quantity(rules, rules.min_lots), quantity(rules, rules.max_lots), quantity(rules, 1));
        vec![
            Self::Price {
                min_price: price(rules, rules.min_ticks),
                max_price: price(rules, rules.max_ticks),
                tick_size: price(rules, 1),
            },
            Self::LotSize { min_qty: least.clone(), max_qty: most.clone(), step_size: step.clone() },
            Self::MarketLotSize { min_qty: least, max_qty: most, step_size: step },
            Self::Notional {
                min_notional: atoms_text(rules.min_notional_atoms),
                apply_min_to_market: true,
                // What an account can hold at most; there is no lower bound from above.
                max_notional: atoms_text(MAX_ATOMS),
                apply_max_to_market: false,
                avg_price_mins: 0,
            },
            Self::MaxNumOrders { max_num_orders: MAX_OPEN_ORDERS },
        ]
    }
}

/// The symbols that a request asks for.
///
/// # Errors
/// Those of [`Call::instruments`]; -1128 for symbols together with permissions, -1122 for a status that is none.
pub fn selected(call: &Call<'_>) -> Result<Vec<InstrumentId>, Refusal> {
    let (mut instruments, _) = call.instruments()?;
    let names_symbols = call.params.get("symbol").is_some() || call.params.get("symbols").is_some();
    if let Some(permissions) = call.params.optional("permissions")? {
        if names_symbols {
            return Err(Refusal::bad_combination());
        }
        if !has_spot(permissions) {
            instruments.clear();
        }
    }
    if let Some(status) = call.params.optional("symbolStatus")? {
        if names_symbols {
            return Err(Refusal::bad_combination());
        }
        if !["TRADING", "HALT", "BREAK"].contains(&status) {
            return Err(Refusal::bad(-1122, "Invalid symbolStatus."));
        }
        let now_ns = call.matching().now_ns();
        instruments.retain(|instrument| call.info(*instrument).is_ok_and(|info| status_of(info, now_ns) == status));
    }
    Ok(instruments)
}

impl<'a> Answered<'a> {
    /// The rules of these symbols.
    pub fn of(call: &Call<'a>, instruments: Vec<InstrumentId>) -> Self {
        let sets = call.params.get("showPermissionSets") != Some("false");
        let now_ns = call.matching().now_ns();
        let symbols = instruments.into_iter().filter_map(|instrument| call.catalog().symbol(instrument));
        let mut rate_limits = vec![Allowance::weight(None)];
        rate_limits.extend(Allowance::orders(None));
        Self {
            timezone: "UTC",
            server_time: call.protocol.now_ms(),
            rate_limits,
            exchange_filters: [],
            symbols: symbols.map(|info| Listing::of(info, now_ns, sets)).collect(),
        }
    }
}

impl<'a> Listing<'a> {
    fn of(info: &'a SymbolInfo, now_ns: i64, sets: bool) -> Self {
        /// Decimals of every asset: an atom is 1e-8.
        const DECIMALS: u8 = 8;
        Self {
            symbol: &info.symbol,
            status: status_of(info, now_ns),
            base_asset: &info.base_asset,
            base_asset_precision: DECIMALS,
            quote_asset: &info.quote_asset,
            quote_precision: DECIMALS,
            quote_asset_precision: DECIMALS,
            base_commission_precision: DECIMALS,
            quote_commission_precision: DECIMALS,
            order_types: OrderType::ALL.map(OrderType::name),
            iceberg_allowed: false,
            oco_allowed: false,
            oto_allowed: false,
            quote_order_qty_market_allowed: true,
            allow_trailing_stop: false,
            cancel_replace_allowed: false,
            is_spot_trading_allowed: true,
            is_margin_trading_allowed: false,
            filters: Filter::of(info),
            permissions: [],
            permission_sets: sets.then_some([["SPOT"]]),
            default_self_trade_prevention_mode: SELF_TRADE_PREVENTION,
            allowed_self_trade_prevention_modes: [SELF_TRADE_PREVENTION],
        }
    }
}

fn status_of(info: &SymbolInfo, now_ns: i64) -> &'static str {
    if info.is_open(now_ns) { "TRADING" } else { "BREAK" }
}

/// `SPOT`, or a JSON list with it.
fn has_spot(permissions: &str) -> bool {
    let list: Option<Vec<String>> = serde_json::from_str(permissions).ok();
    list.map_or(permissions == "SPOT", |list| list.iter().any(|permission| permission == "SPOT"))
}
