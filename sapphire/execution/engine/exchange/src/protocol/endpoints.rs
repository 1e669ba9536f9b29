//! The table of everything that can be asked: paths, names, security, weight and parameters.
//!
//! Weights are those of the venue's documentation; orders are counted besides.

use axum::http::Method;

use super::call::{Endpoint, Security};
use super::exchange_info;
use super::requests::{account, market, orders, wallet};

/// REST's endpoint of a verb and path.
pub fn by_path(method: &Method, path: &str) -> Option<&'static Endpoint> {
    ENDPOINTS
        .iter()
        .find(|endpoint| endpoint.rest.as_ref().is_some_and(|(verb, known)| verb == method && *known == path))
}

/// The WebSocket API's endpoint of a name, which may carry its version (`v3/order.place`).
pub fn by_method(method: &str) -> Option<&'static Endpoint> {
    let name = method.strip_prefix("v3/").unwrap_or(method);
    ENDPOINTS.iter().find(|endpoint| endpoint.method == Some(name))
}

/// One row of the table.
macro_rules! endpoint {
    ($verb:ident $path:literal, $name:expr, $security:ident, $weight:expr, $takes:expr, $answer:path) => {
        Endpoint {
            rest: Some((Method::$verb, $path)),
            method: $name,
            security: Security::$security,
            weight: $weight,
            takes: $takes,
            answer: |call| Box::pin($answer(call)),
        }
    };
}

const TICKER: &[&str] = &["symbol", "symbols"];
const FULL_TICKER: &[&str] = &["symbol", "symbols", "type"];
const KLINES: &[&str] = &["symbol", "interval", "startTime", "endTime", "limit"];
const AGG_TRADES: &[&str] = &["symbol", "fromId", "startTime", "endTime", "limit"];
const ORDER: &[&str] = &["symbol", "orderId", "origClientOrderId"];
const CANCEL: &[&str] = &["symbol", "orderId", "origClientOrderId", "newClientOrderId"];
const ALL_ORDERS: &[&str] = &["symbol", "orderId", "startTime", "endTime", "limit"];
const MY_TRADES: &[&str] = &["symbol", "orderId", "startTime", "endTime", "fromId", "limit"];

#[rustfmt::skip]
static ENDPOINTS: [Endpoint; 30] = [
    endpoint!(GET "/api/v3/ping", Some("ping"), Public, |_| 1, &[], market::ping),
    endpoint!(GET "/api/v3/time", Some("time"), Public, |_| 1, &[], market::time),
    endpoint!(GET "/api/v3/exchangeInfo", Some("exchangeInfo"), Public, |_| 20, exchange_info::TAKES, market::exchange_info),
    endpoint!(GET "/api/v3/depth", Some("depth"), Public, market::depth_weight, &["symbol", "limit"], market::depth),
    endpoint!(GET "/api/v3/trades", Some("trades.recent"), Public, |_| 25, &["symbol", "limit"], market::trades),
    endpoint!(GET "/api/v3/historicalTrades", Some("trades.historical"), Public, |_| 25, &["symbol", "limit", "fromId"], market::historical_trades),
    endpoint!(GET "/api/v3/aggTrades", Some("trades.aggregate"), Public, |_| 4, AGG_TRADES, market::agg_trades),
    endpoint!(GET "/api/v3/klines", Some("klines"), Public, |_| 2, KLINES, market::klines),
    endpoint!(GET "/api/v3/uiKlines", Some("uiKlines"), Public, |_| 2, KLINES, market::klines),
    endpoint!(GET "/api/v3/ticker/24hr", Some("ticker.24hr"), Public, market::ticker_24hr_weight, FULL_TICKER, market::ticker_24hr),
    endpoint!(GET "/api/v3/ticker/price", Some("ticker.price"), Public, market::ticker_weight, TICKER, market::price),
    endpoint!(GET "/api/v3/ticker/bookTicker", Some("ticker.book"), Public, market::ticker_weight, TICKER, market::book_ticker),

    endpoint!(POST "/api/v3/order", Some("order.place"), Signed, |_| 1, orders::NEW_ORDER, orders::place),
    endpoint!(POST "/api/v3/order/test", Some("order.test"), Signed, orders::test_weight, orders::TEST_ORDER, orders::test),
    endpoint!(DELETE "/api/v3/order", Some("order.cancel"), Signed, |_| 1, CANCEL, orders::cancel),
    endpoint!(GET "/api/v3/order", Some("order.status"), Signed, |_| 4, ORDER, orders::status),
    endpoint!(DELETE "/api/v3/openOrders", Some("openOrders.cancelAll"), Signed, |_| 1, &["symbol"], orders::cancel_all),
    endpoint!(GET "/api/v3/openOrders", Some("openOrders.status"), Signed, orders::open_orders_weight, &["symbol"], orders::open_orders),
    endpoint!(GET "/api/v3/allOrders", Some("allOrders"), Signed, |_| 20, ALL_ORDERS, orders::all_orders),

    endpoint!(GET "/api/v3/account", Some("account.status"), Signed, |_| 20, &["omitZeroBalances"], account::account),
    endpoint!(GET "/api/v3/myTrades", Some("myTrades"), Signed, account::my_trades_weight, MY_TRADES, account::my_trades),
    endpoint!(GET "/api/v3/account/commission", Some("account.commission"), Signed, |_| 20, &["symbol"], account::commission),
    endpoint!(GET "/api/v3/rateLimit/order", Some("account.rateLimits.orders"), Signed, |_| 40, &[], account::order_limits),

    endpoint!(GET "/sapi/v1/system/status", None, Public, |_| 1, &[], wallet::status),
    endpoint!(GET "/sapi/v1/capital/config/getall", None, Signed, |_| 10, &[], wallet::coins),
    endpoint!(GET "/sapi/v1/asset/tradeFee", None, Signed, |_| 1, &["symbol"], wallet::fees),
    endpoint!(GET "/sapi/v1/margin/allPairs", None, Signed, |_| 1, &["symbol"], wallet::no_pairs),
    endpoint!(GET "/sapi/v1/margin/isolated/allPairs", None, Signed, |_| 10, &["symbol"], wallet::no_pairs),
    endpoint!(GET "/fapi/v1/exchangeInfo", None, Public, |_| 1, &[], wallet::no_futures),
    endpoint!(GET "/dapi/v1/exchangeInfo", None, Public, |_| 1, &[], wallet::no_futures),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_address_stands_twice() {
        let paths: HashSet<_> = ENDPOINTS.iter().filter_map(|endpoint| endpoint.rest.clone()).collect();
        assert_eq!(paths.len(), ENDPOINTS.len());
        let methods: Vec<_> = ENDPOINTS.iter().filter_map(|endpoint| endpoint.method).collect();
        assert_eq!(methods.iter().collect::<HashSet<_>>().len(), methods.len());
    }

    #[test]
    fn names_may_carry_their_version() {
        assert!(by_method("v3/order.place").is_some_and(|endpoint| endpoint.security == Security::Signed));
        assert!(by_method("v4/order.place").is_none());
        assert!(by_path(&Method::POST, "/api/v3/account").is_none());
    }
}
