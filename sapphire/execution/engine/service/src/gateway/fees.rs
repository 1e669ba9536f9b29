//! What the account pays.

use sapphire_core::instrument::RATE_ONE;
use serde::Deserialize;

use super::answers::atoms;
use super::errors::GatewayError;
use super::questions::{TIME, server_time_ns};
use super::rest::{SignedHttp, Verb};
use super::settings::VenueSettings;

const NS_PER_MS: i64 = 1_000_000;

/// Fee rates of an account, 1e-8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commission {
    /// Of an order that rested.
    pub maker: i64,
    /// Of an order that took.
    pub taker: i64,
    /// The asset that fees are taken in at a discount, where the venue has one.
    pub other_asset: Option<String>,
    /// They are taken in it, as long as there is some.
    pub is_in_other: bool,
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
    commission_of(reply.read(WHAT, &http.open.base)?)
}

fn commission_of(fees: Fees) -> Result<Commission, GatewayError> {
    let parts = [Some(fees.standard_commission), fees.special_commission, fees.tax_commission];
    let other = fees.discount.unwrap_or_default();
    let is_in_other = other.asset.is_some() && other.enabled_for_account && other.enabled_for_symbol;
    let mut sum = Commission { maker: 0, taker: 0, other_asset: other.asset, is_in_other };
    for part in parts.into_iter().flatten() {
        sum.maker += rate(&part.maker)?;
        sum.taker += rate(&part.taker)?;
    }
    Ok(sum)
}

/// A rate in 1e-8. More than all of what is traded is none.
fn rate(text: &str) -> Result<i64, GatewayError> {
    let rate = i64::try_from(atoms(text)?).ok().filter(|rate| *rate <= RATE_ONE);
    rate.ok_or_else(|| GatewayError::unreadable("a fee rate of at most 1", text))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fees {
    standard_commission: Rates,
    special_commission: Option<Rates>,
    tax_commission: Option<Rates>,
    discount: Option<Discount>,
}

/// Fees in the venue's own coin.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Discount {
    enabled_for_account: bool,
    enabled_for_symbol: bool,
    #[serde(rename = "discountAsset")]
    asset: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Rates {
    maker: String,
    taker: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(discount: &str) -> Result<Commission, GatewayError> {
        let text = format!(
            r#"{{"symbol":"BTCUSDT","standardCommission":{{"maker":"0.00100000","taker":"0.00100000"}},
                "taxCommission":{{"maker":"0.00000000","taker":"0.00020000"}}{discount}}}"#
        );
        commission_of(serde_json::from_str(&text).unwrap())
    }

    #[test]
    fn the_venues_own_coin_is_named_and_whether_fees_are_taken_in_it() {
        let plain = Commission { maker: 100_000, taker: 120_000, other_asset: None, is_in_other: false };
        assert_eq!(read("").unwrap(), plain);
        for (account, symbol) in [(true, true), (true, false), (false, true)] {
            let discount = format!(
                r#","discount":{{"enabledForAccount":{account},"enabledForSymbol":{symbol},"discountAsset":"BNB",
                    "discount":"0.75000000"}}"#
            );
            let expected =
                Commission { other_asset: Some("BNB".into()), is_in_other: account && symbol, ..plain.clone() };
            assert_eq!(read(&discount).unwrap(), expected);
        }
        assert!(rate("1.00000001").is_err());
    }
}
