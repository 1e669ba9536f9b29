//! What the venue says when it refuses: code, message and HTTP status, word for word.
//!
//! Invariant: clients match on these texts, so a message is written here and nowhere else. Sources: the venue's
//! "Error codes" page and the observed answers of its spot API.

use std::borrow::Cow;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// Legal range that the venue names for decimal parameters.
pub const DECIMAL_RANGE: &str = r"^([0-9]{1,20})(\.[0-9]{1,20})?$";
/// Legal range that the venue names for whole numbers.
pub const INTEGER_RANGE: &str = "^[0-9]{1,20}$";
/// Legal range that the venue names for client order ids.
pub const CLIENT_ID_RANGE: &str = "^[a-zA-Z0-9-_]{1,36}$";
/// Legal range that the venue names for symbols.
pub const SYMBOL_RANGE: &str = "^[A-Z0-9-_.]{1,20}$";
/// Legal range that the venue names for lists of symbols.
pub const SYMBOLS_RANGE: &str = r#"^\[("[A-Z0-9-_.]{1,20}"(,"[A-Z0-9-_.]{1,20}"){0,}){0,1}\]$"#;

/// A refused request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status, or the `status` field of the WebSocket API.
    pub status: StatusCode,
    /// The venue's code.
    pub code: i32,
    /// The venue's words.
    pub msg: Cow<'static, str>,
    /// When to come back, for limits on request weight.
    pub retry: Option<Retry>,
}

/// When a limited client may come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// The venue's time, ms.
    pub now_ms: i64,
    /// When the limit is lifted, ms.
    pub at_ms: i64,
}

impl Retry {
    /// Whole seconds to wait, at least one.
    pub fn seconds(&self) -> i64 {
        ((self.at_ms - self.now_ms + 999) / 1000).max(1)
    }
}

/// The JSON of an error, as REST answers it and as the WebSocket API nests it.
#[derive(Debug, Serialize)]
pub struct ErrorBody<'a> {
    /// The venue's code.
    pub code: i32,
    /// The venue's words.
    pub msg: &'a str,
    /// When to come back; the WebSocket API only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<RetryData>,
}

/// When to come back, in the WebSocket API's words.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RetryData {
    /// The venue's time, ms.
    pub server_time: i64,
    /// When the limit is lifted, ms.
    pub retry_after: i64,
}

impl Refusal {
    /// A refusal with HTTP status 400.
    pub fn bad(code: i32, msg: impl Into<Cow<'static, str>>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code, msg: msg.into(), retry: None }
    }

    fn with(status: StatusCode, code: i32, msg: impl Into<Cow<'static, str>>) -> Self {
        Self { status, ..Self::bad(code, msg) }
    }

    /// The body of the WebSocket API's `error` field.
    pub fn nested(&self) -> ErrorBody<'_> {
        let data = self.retry.map(|retry| RetryData { server_time: retry.now_ms, retry_after: retry.at_ms });
        ErrorBody { code: self.code, msg: &self.msg, data }
    }

    /// The exchange is going down; the outcome of the request is not known.
    pub fn unavailable() -> Self {
        let msg = "Internal error; unable to process your request. Please try again.";
        Self::with(StatusCode::SERVICE_UNAVAILABLE, -1001, msg)
    }

    /// Something that should not happen did; the outcome of the request is not known.
    pub fn unknown() -> Self {
        let msg = "An unknown error occurred while processing the request.";
        Self::with(StatusCode::INTERNAL_SERVER_ERROR, -1000, msg)
    }

    /// More weight than one minute allows.
    pub fn too_much_weight(limit: u32, retry: Retry) -> Self {
        let msg = format!(
            "Too much request weight used; current limit is {limit} request weight per 1 MINUTE. \
             Please use WebSocket Streams for live updates to avoid polling the API."
        );
        Self { retry: Some(retry), ..Self::with(StatusCode::TOO_MANY_REQUESTS, -1003, msg) }
    }

    /// Banned for not backing off.
    pub fn banned(retry: Retry) -> Self {
        let msg = format!(
            "Way too much request weight used; IP banned until {}. \
             Please use WebSocket Streams for live updates to avoid bans.",
            retry.at_ms
        );
        Self { retry: Some(retry), ..Self::with(StatusCode::IM_A_TEAPOT, -1003, msg) }
    }

    /// More orders than an interval allows; answered without a time to come back.
    pub fn too_many_orders(limit: u32, interval: &str) -> Self {
        let msg = format!("Too many new orders; current limit is {limit} orders per {interval}.");
        Self::with(StatusCode::TOO_MANY_REQUESTS, -1015, msg)
    }

    /// No such address.
    pub fn not_found() -> Self {
        Self::with(StatusCode::NOT_FOUND, -1099, "Not found, authenticated, or authorized")
    }

    /// No such method of the WebSocket API.
    pub fn unknown_method() -> Self {
        Self::bad(-1020, "This operation is not supported.")
    }

    /// A WebSocket API message that is not a request.
    pub fn invalid_json() -> Self {
        Self::bad(-1135, "Invalid JSON Request")
    }

    /// The account's events already come on this connection.
    pub fn subscription_active() -> Self {
        Self::bad(-2035, "User Data Stream subscription already active.")
    }

    /// No such subscription on this connection.
    pub fn subscription_inactive() -> Self {
        Self::bad(-2036, "User Data Stream subscription not active.")
    }

    /// Not within the window of either clock, and behind.
    pub fn outside_window() -> Self {
        Self::bad(-1021, "Timestamp for this request is outside of the recvWindow.")
    }

    /// More than a second ahead of both clocks.
    pub fn ahead_of_time() -> Self {
        Self::bad(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
    }

    /// The signature is not that of what was sent.
    pub fn bad_signature() -> Self {
        Self::bad(-1022, "Signature for this request is not valid.")
    }

    /// A window longer than a minute.
    pub fn window_too_long() -> Self {
        Self::bad(-1131, "recvWindow must be less than 60000")
    }

    /// No key, or one that cannot be one.
    pub fn bad_key_format() -> Self {
        Self::with(StatusCode::UNAUTHORIZED, -2014, "API-key format invalid.")
    }

    /// A key that the venue does not know.
    pub fn unknown_key() -> Self {
        Self::with(StatusCode::UNAUTHORIZED, -2015, "Invalid API-key, IP, or permissions for action.")
    }

    /// Characters that a parameter may not hold.
    pub fn illegal(name: &str, range: &str) -> Self {
        Self::bad(-1100, format!("Illegal characters found in parameter '{name}'; legal range is '{range}'."))
    }

    /// Text that is not UTF-8.
    pub fn unknown_characters() -> Self {
        Self::bad(-1100, "Illegal characters found in a parameter.")
    }

    /// More parameters than the address takes.
    pub fn too_many_parameters(expected: usize, received: usize) -> Self {
        Self::bad(-1101, format!("Too many parameters; expected '{expected}' and received '{received}'."))
    }

    /// The same parameter twice.
    pub fn duplicate_parameter() -> Self {
        Self::bad(-1101, "Duplicate values for a parameter detected.")
    }

    /// A parameter that must be there is not, or cannot be read.
    pub fn mandatory(name: &str) -> Self {
        Self::bad(-1102, format!("Mandatory parameter '{name}' was not sent, was empty/null, or malformed."))
    }

    /// One of two parameters must be there.
    pub fn either(one: &str, other: &str) -> Self {
        Self::bad(-1102, format!("Param '{one}' or '{other}' must be sent, but both were empty/null!"))
    }

    /// Parameters that the address does not know.
    pub fn unread(read: usize, sent: usize) -> Self {
        Self::bad(
            -1104,
            format!("Not all sent parameters were read; read '{read}' parameter(s) but was sent '{sent}'."),
        )
    }

    /// A parameter without a value.
    pub fn empty(name: &str) -> Self {
        Self::bad(-1105, format!("Parameter '{name}' was empty."))
    }

    /// A parameter that this kind of request does not take.
    pub fn not_required(name: &str) -> Self {
        Self::bad(-1106, format!("Parameter '{name}' sent when not required."))
    }

    /// A number that does not fit.
    pub fn overflow(name: &str) -> Self {
        Self::bad(-1108, format!("Parameter '{name}' overflowed."))
    }

    /// More decimals than the asset has.
    pub fn too_precise(name: &str) -> Self {
        Self::bad(-1111, format!("Parameter '{name}' has too much precision."))
    }

    /// Not a time in force.
    pub fn bad_time_in_force() -> Self {
        Self::bad(-1115, "Invalid timeInForce.")
    }

    /// Not an order type.
    pub fn bad_order_type() -> Self {
        Self::bad(-1116, "Invalid orderType.")
    }

    /// Not a side.
    pub fn bad_side() -> Self {
        Self::bad(-1117, "Invalid side.")
    }

    /// Not an interval of candles.
    pub fn bad_interval() -> Self {
        Self::bad(-1120, "Invalid interval.")
    }

    /// Not a symbol of this venue.
    pub fn bad_symbol() -> Self {
        Self::bad(-1121, "Invalid symbol.")
    }

    /// A window of more than `hours` hours.
    pub fn more_than_hours(hours: i64) -> Self {
        Self::bad(-1127, format!("More than {hours} hours between startTime and endTime."))
    }

    /// Optional parameters that exclude each other.
    pub fn bad_combination() -> Self {
        Self::bad(-1128, "Combination of optional parameters invalid.")
    }

    /// A value that is none of those a parameter takes.
    pub fn bad_value(name: &str) -> Self {
        Self::bad(-1130, format!("Data sent for parameter '{name}' is not valid."))
    }

    /// Not one of the ticker's forms.
    pub fn bad_ticker_type() -> Self {
        Self::bad(-1139, "Invalid ticker type.")
    }

    /// The same symbol twice in a list.
    pub fn repeated_symbol() -> Self {
        Self::bad(-1151, "Symbol is present multiple times in the list.")
    }

    /// A filter of the symbol refuses the order.
    pub fn filter(name: &str) -> Self {
        Self::bad(-1013, format!("Filter failure: {name}"))
    }

    /// The matching engine refuses the order.
    pub fn new_order(msg: &'static str) -> Self {
        Self::bad(-2010, msg)
    }

    /// Nothing to cancel.
    pub fn cancel_unknown() -> Self {
        Self::bad(-2011, "Unknown order sent.")
    }

    /// No such order.
    pub fn no_such_order() -> Self {
        Self::bad(-2013, "Order does not exist.")
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = ErrorBody { code: self.code, msg: &self.msg, data: None };
        let mut response = (self.status, axum::Json(body)).into_response();
        if let Some(retry) = self.retry {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(retry.seconds()));
        }
        response
    }
}
