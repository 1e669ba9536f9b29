//! What the account pays.

use serde::Deserialize;

use super::answers::atoms;
use super::errors::GatewayError;
use super::questions::{TIME, server_time_ns};
use super::rest::{SignedHttp, Verb};
use super::settings::VenueSettings;

const NS_PER_MS: i64 = 1_000_000;

/// Fee rates of an account, 1e-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commission {
    /// Of an order that rested.
    pub maker: i64,
    /// Of an order that took.
    pub taker: i64,
}

/// What the account pays for a symbol (standard, special and tax together).
///
/// # Errors
/// [`GatewayError::Key`] for a wrong key; others see [`GatewayError`].
pub fn commission(settings: &VenueSettings, symbol: &str) -> Result<Commission, GatewayError> {
    const WHAT: &str = "the fees of the account";
    let http = SignedHttp::new(settings)?;
    let market_ns = server_time_ns(&http.open.get(TIME, "/api/v3/time", "")?, &http.open.base)?;
    let query = format!("symbol={}", symbol.replace('/', ""));
    let reply = http.ask(Verb::Get, WHAT, "/api/v3/account/commission", &query, market_ns / NS_PER_MS)?;
    let fees: Fees = reply.read(WHAT, &http.open.base)?;
    let parts = [Some(fees.standard_commission), fees.special_commission, fees.tax_commission];
    let mut sum = Commission { maker: 0, taker: 0 };
    for part in parts.into_iter().flatten() {
        sum.maker += atoms(&part.maker)?;
        sum.taker += atoms(&part.taker)?;
    }
    Ok(sum)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the venue's field names")]
struct Fees {
    standard_commission: Rates,
    special_commission: Option<Rates>,
    tax_commission: Option<Rates>,
}

#[derive(Debug, Deserialize)]
struct Rates {
    maker: String,
    taker: String,
}
