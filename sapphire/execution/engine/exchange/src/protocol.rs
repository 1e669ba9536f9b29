//! The protocol: Binance's spot API in text, the matching service's integers behind it.
//!
//! In: HTTP requests, WebSocket API requests and stream subscriptions of unmodified clients.
//! Out: the venue's JSON, its errors word for word, its limits and headers.
//! Never: holds trading state; every answer comes from the matching service.
//!
//! REST and the WebSocket API share one table of endpoints (`endpoints`), so a rule about a request is written once.
//! Known limitations: spot only; orders on stop prices, order lists, cancel-replace and margin are absent and refused
//! as the venue refuses what a symbol does not support.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;

use crate::matching::api::MatchingHandle;

mod authority;
mod call;
mod endpoints;
mod errors;
mod exchange_info;
mod limits;
mod params;
mod payload;
mod requests;
mod rest;
mod sign;
mod socket;
mod streams;
mod timing;
mod ws_api;

use limits::Limits;

/// What every connection shares.
#[derive(Debug)]
struct Protocol {
    matching: MatchingHandle,
    limits: Limits,
}

impl Protocol {
    /// The venue's time, ms.
    fn now_ms(&self) -> i64 {
        payload::ms(self.matching.now_ns())
    }

    /// Charges weight to an address at the venue's time.
    fn charge(&self, address: IpAddr, weight: u32) -> (u32, Result<(), errors::Refusal>) {
        self.limits.charge(address, weight, self.now_ms())
    }
}

/// Everything a client of the exchange can reach: `/api/v3`, `/sapi/v1`, `/ws-api/v3` and the stream sockets.
///
/// Serve it with `into_make_service_with_connect_info::<SocketAddr>()`: limits are kept per address.
pub fn router(matching: MatchingHandle) -> Router {
    let protocol = Arc::new(Protocol { matching, limits: Limits::default() });
    Router::new().merge(ws_api::router()).merge(streams::router()).fallback(rest::answer).with_state(protocol)
}
