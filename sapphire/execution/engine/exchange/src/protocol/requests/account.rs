//! Balances, fills, fees and limits of an account.

use std::future::{Ready, ready};

use serde::Serialize;

use super::orders::window;
use crate::matching::api::{FillsQuery, MAX_ROWS};
use crate::protocol::call::{Answer, Call};
use crate::protocol::errors::Refusal;
use crate::protocol::limits::Allowance;
use crate::protocol::params::Params;
use crate::protocol::payload::orders::{Holdings, MyTradeRow, Rates, Zeros};

/// Rows of a list whose request names no limit.
const DEFAULT_ROWS: usize = 500;

/// `account` and `account.status`.
pub async fn account(call: &Call<'_>) -> Result<Answer, Refusal> {
    let zeros = if call.params.flag("omitZeroBalances")? { Zeros::Omitted } else { Zeros::Shown };
    let account = call.matching().account(call.account()?).await?;
    Answer::of(&Holdings::of(call.catalog(), &account, zeros))
}

/// `myTrades`.
pub async fn my_trades(call: &Call<'_>) -> Result<Answer, Refusal> {
    let account = call.account()?;
    let (instrument, symbol) = call.symbol()?;
    let (start_ns, end_ns) = window(call)?;
    let order_id = call.params.integer("orderId")?.map(i64::unsigned_abs);
    let from_trade_id = call.params.integer("fromId")?.map(i64::unsigned_abs);
    let is_timed = start_ns.is_some() || end_ns.is_some();
    if is_timed && (order_id.is_some() || from_trade_id.is_some()) {
        return Err(Refusal::bad_combination());
    }
    let limit = call.params.limit(DEFAULT_ROWS, MAX_ROWS)?;
    let query = FillsQuery { account, instrument, order_id, from_trade_id, start_ns, end_ns, limit };
    let fills = call.matching().my_trades(query).await?;
    Answer::of(&fills.iter().map(|fill| MyTradeRow::of(call.catalog(), symbol, fill)).collect::<Vec<_>>())
}

/// Weight of `myTrades`.
pub fn my_trades_weight(params: &Params) -> u32 {
    if params.get("orderId").is_some() { 5 } else { 20 }
}

/// `account/commission` and `account.commission`.
pub async fn commission(call: &Call<'_>) -> Result<Answer, Refusal> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Fees<'a> {
        symbol: &'a str,
        standard_commission: Rates,
        tax_commission: Rates,
    }
    let (_, symbol) = call.symbol()?;
    let account = call.matching().account(call.account()?).await?;
    Answer::of(&Fees {
        symbol: &symbol.symbol,
        standard_commission: Rates::of(&account),
        tax_commission: Rates::none(),
    })
}

/// `rateLimit/order` and `account.rateLimits.orders`.
pub fn order_limits(call: &Call<'_>) -> Ready<Result<Answer, Refusal>> {
    let count = call.account().map(|account| call.protocol.limits.orders(account, call.protocol.now_ms()));
    ready(count.and_then(|count| Answer::of(&Allowance::orders(Some(count)))))
}
