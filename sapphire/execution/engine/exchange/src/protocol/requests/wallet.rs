//! What clients ask beside the spot API, answered with the truth: the coins of the account, no margin, no futures.

use std::future::{Ready, ready};

use serde::Serialize;

use crate::protocol::call::{Answer, Call};
use crate::protocol::errors::Refusal;
use sapphire_core::decimal::atoms_text;

/// `system/status`: up.
pub fn status(_: &Call<'_>) -> Ready<Result<Answer, Refusal>> {
    #[derive(Serialize)]
    struct Status {
        status: u8,
        msg: &'static str,
    }
    ready(Answer::of(&Status { status: 0, msg: "normal" }))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "the venue's fields")]
struct Row<'a> {
    coin: &'a str,
    name: &'a str,
    deposit_all_enable: bool,
    withdraw_all_enable: bool,
    trading: bool,
    is_legal_money: bool,
    free: String,
    locked: String,
    freeze: String,
    withdrawing: String,
    ipoing: String,
    ipoable: String,
    storage: String,
    network_list: [&'static str; 0],
}

/// `capital/config/getall`: every coin of the exchange, on no network.
pub async fn coins(call: &Call<'_>) -> Result<Answer, Refusal> {
    let account = call.matching().account(call.account()?).await?;
    let zero = || atoms_text(0);
    let coins = account.balances.iter().map(|balance| {
        let name = call.catalog().asset_name(balance.asset);
        Row {
            coin: name,
            name,
            deposit_all_enable: false,
            withdraw_all_enable: false,
            trading: true,
            is_legal_money: false,
            free: atoms_text(balance.free_atoms),
            locked: atoms_text(balance.locked_atoms),
            freeze: zero(),
            withdrawing: zero(),
            ipoing: zero(),
            ipoable: zero(),
            storage: zero(),
            network_list: [],
        }
    });
    Answer::of(&coins.collect::<Vec<_>>())
}

/// `asset/tradeFee`: what the account pays, by symbol.
pub async fn fees(call: &Call<'_>) -> Result<Answer, Refusal> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Fee<'a> {
        symbol: &'a str,
        maker_commission: String,
        taker_commission: String,
    }
    let account = call.matching().account(call.account()?).await?;
    let only = match call.params.optional("symbol")? {
        Some(_) => Some(call.symbol()?.0),
        None => None,
    };
    let instruments = call.catalog().instruments().filter(|instrument| only.is_none_or(|only| only == *instrument));
    let mut fees = Vec::new();
    for instrument in instruments {
        fees.push(Fee {
            symbol: &call.info(instrument)?.symbol,
            maker_commission: atoms_text(account.fees.maker),
            taker_commission: atoms_text(account.fees.taker),
        });
    }
    Answer::of(&fees)
}

/// `margin/allPairs` and `margin/isolated/allPairs`: there is no margin.
pub fn no_pairs(_: &Call<'_>) -> Ready<Result<Answer, Refusal>> {
    ready(Answer::of(&[(); 0]))
}

/// `exchangeInfo` of the futures venues: there are no futures.
pub fn no_futures(call: &Call<'_>) -> Ready<Result<Answer, Refusal>> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Futures {
        timezone: &'static str,
        server_time: i64,
        rate_limits: [(); 0],
        exchange_filters: [(); 0],
        assets: [(); 0],
        symbols: [(); 0],
    }
    ready(Answer::of(&Futures {
        timezone: "UTC",
        server_time: call.protocol.now_ms(),
        rate_limits: [],
        exchange_filters: [],
        assets: [],
        symbols: [],
    }))
}
