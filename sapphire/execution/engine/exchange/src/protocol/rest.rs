//! REST: one HTTP request to one endpoint, with the limits' headers on every answer.
//!
//! Parameters stand in the query, in a form body under any content type, or in both; a signature is checked over the
//! bytes of both as they came.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::body::to_bytes;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::response::{IntoResponse, Response};

use super::Protocol;
use super::call::{Answer, Call, Endpoint, Security};
use super::endpoints;
use super::errors::Refusal;
use super::params::Params;
use super::sign::without_signature;

/// Longest form body; the venue's longest requests are a fraction of it.
const LONGEST_BODY: usize = 64 * 1024;

const API_KEY: HeaderName = HeaderName::from_static("x-mbx-apikey");
const USED_WEIGHT: HeaderName = HeaderName::from_static("x-mbx-used-weight-1m");
const ORDERS_10S: HeaderName = HeaderName::from_static("x-mbx-order-count-10s");
const ORDERS_1D: HeaderName = HeaderName::from_static("x-mbx-order-count-1d");

/// Answers a request to any path that is not a socket's.
pub async fn answer(State(protocol): State<Arc<Protocol>>, request: Request) -> Response {
    let address = address(request.extensions());
    let (parts, body) = request.into_parts();
    let body = match to_bytes(body, LONGEST_BODY).await {
        Ok(_) if parts.method == Method::GET => String::new(),
        Ok(body) => String::from_utf8_lossy(&body).into_owned(),
        Err(_) => return Refusal::unknown_characters().into_response(),
    };
    let query = parts.uri.query().unwrap_or_default();
    let Some(endpoint) = endpoints::by_path(&parts.method, parts.uri.path()) else {
        return limited(&protocol, address, 1, Refusal::not_found());
    };
    let params = match Params::from_http(query, &body) {
        Ok(params) => params,
        Err(refusal) => return limited(&protocol, address, 1, refusal),
    };
    let (used, charged) = protocol.charge(address, (endpoint.weight)(&params));
    let answer = match charged {
        Ok(()) => respond(&protocol, endpoint, &parts, &params, &body).await,
        Err(refusal) => Err(refusal),
    };
    let mut response = match answer {
        Ok(answer) => {
            let orders = answer.orders;
            let mut response =
                ([(header::CONTENT_TYPE, "application/json;charset=UTF-8")], answer.json).into_response();
            if let Some(orders) = orders {
                response.headers_mut().insert(ORDERS_10S, HeaderValue::from(orders.in_10s));
                response.headers_mut().insert(ORDERS_1D, HeaderValue::from(orders.in_1d));
            }
            response
        }
        Err(refusal) => refusal.into_response(),
    };
    response.headers_mut().insert(USED_WEIGHT, HeaderValue::from(used));
    response
}

async fn respond(
    protocol: &Protocol,
    endpoint: &Endpoint,
    parts: &Parts,
    params: &Params,
    body: &str,
) -> Result<Answer, Refusal> {
    let is_signed = endpoint.security == Security::Signed;
    let caller = if is_signed {
        let query = without_signature(parts.uri.query().unwrap_or_default().as_bytes());
        let body = without_signature(body.as_bytes());
        Some(protocol.authorise(api_key(&parts.headers), params, &[&query, &body])?.account)
    } else {
        None
    };
    params.check_known(endpoint.takes, is_signed)?;
    (endpoint.answer)(&Call { protocol, params, caller }).await
}

fn limited(protocol: &Protocol, address: IpAddr, weight: u32, refusal: Refusal) -> Response {
    let (used, charged) = protocol.charge(address, weight);
    let mut response = charged.err().unwrap_or(refusal).into_response();
    response.headers_mut().insert(USED_WEIGHT, HeaderValue::from(used));
    response
}

fn api_key(headers: &HeaderMap) -> Option<&str> {
    headers.get(API_KEY).and_then(|value| value.to_str().ok())
}

/// The address of a client; without connection info all clients share one.
pub fn address(extensions: &Extensions) -> IpAddr {
    let connected = extensions.get::<ConnectInfo<SocketAddr>>();
    connected.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(address)| address.ip())
}
