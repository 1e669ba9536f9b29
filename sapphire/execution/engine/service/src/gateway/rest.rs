//! REST: one question, one answer.
//!
//! Invariant: an error never holds the query, which carries the signature.

use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::errors::GatewayError;
use super::settings::{DrainControl, Secret, VenueSettings};
use super::sign::Signer;
use super::socket::address;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a drain may take on the exchange's side.
const DRAIN_MS: u64 = 2_000;

/// Text as it may stand in a query.
pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// A venue's REST side without a key.
#[derive(Clone, Debug)]
pub(super) struct Http {
    agent: ureq::Agent,
    /// Its address.
    pub(super) base: String,
}

/// An answer, whatever it says.
#[derive(Debug)]
pub(super) struct Reply {
    status: u16,
    body: String,
    /// Weight used in this minute.
    pub(super) used_weight: Option<u32>,
    /// Seconds to stay away.
    pub(super) retry_after_s: Option<u32>,
}

/// The venue's words for a refusal.
#[derive(Debug, Default, Deserialize)]
struct Refusal {
    #[serde(default)]
    code: i32,
    #[serde(default)]
    msg: String,
}

impl Reply {
    /// The answer as what it should be.
    pub(super) fn read<T: DeserializeOwned>(&self, what: &'static str, venue: &str) -> Result<T, GatewayError> {
        if self.status == 200 {
            let form = |error| GatewayError::unreadable(format!("{what} in the venue's form"), format!("{error}"));
            return serde_json::from_str(&self.body).map_err(form);
        }
        let refusal: Refusal = serde_json::from_str(&self.body).unwrap_or_default();
        Err(match refusal.code {
            -2014 | -2015 | -1022 => {
                GatewayError::Key { venue: venue.to_owned(), code: refusal.code, message: refusal.msg }
            }
            code => GatewayError::Refused { what, status: self.status, code, message: refusal.msg },
        })
    }

    /// The venue told us to stop.
    pub(super) fn is_limited(&self) -> bool {
        matches!(self.status, 418 | 429)
    }
}

impl Http {
    pub(super) fn new(base: &str) -> Result<Self, GatewayError> {
        address("rest_url", base, "http")?;
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .max_redirects(0)
            .proxy(None)
            .build()
            .into();
        Ok(Self { agent, base: base.trim_end_matches('/').to_owned() })
    }

    /// A question that anybody may ask.
    pub(super) fn get(&self, what: &'static str, path: &str, query: &str) -> Result<Reply, GatewayError> {
        let request = self.agent.get(self.url(path, query));
        self.reply(what, request.call())
    }

    fn url(&self, path: &str, query: &str) -> String {
        format!("{}{path}?{query}", self.base)
    }

    fn reply(
        &self,
        what: &'static str,
        answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<Reply, GatewayError> {
        let lost =
            |error: &ureq::Error| GatewayError::Unreachable { what, venue: self.base.clone(), why: cause(error) };
        let mut answer = answer.map_err(|error| lost(&error))?;
        let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()?.parse().ok());
        let (used_weight, retry_after_s) = (header("x-mbx-used-weight-1m"), header("retry-after"));
        let status = answer.status().as_u16();
        let body = answer.body_mut().read_to_string().map_err(|error| lost(&error))?;
        Ok(Reply { status, body, used_weight, retry_after_s })
    }
}

/// What a failed request may say: nothing of its address, which holds the signature.
fn cause(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Io(error) => error.to_string(),
        ureq::Error::Timeout(_) => format!("no answer in {} s", PATIENCE.as_secs()),
        ureq::Error::HostNotFound => "no such host".to_owned(),
        ureq::Error::ConnectionFailed => "no connection".to_owned(),
        _ => "not HTTP, or cut short".to_owned(),
    }
}

/// The verbs of signed questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Get,
    Delete,
}

/// A venue's REST side with our key.
#[derive(Debug)]
pub(super) struct SignedHttp {
    /// Without the key.
    pub(super) open: Http,
    key: Secret,
    signer: Signer,
    window_ms: u32,
}

impl SignedHttp {
    pub(super) fn new(settings: &VenueSettings) -> Result<Self, GatewayError> {
        Ok(Self {
            open: Http::new(&settings.rest_url)?,
            key: settings.api_key.clone(),
            signer: Signer::new(&settings.api_secret, b""),
            window_ms: settings.window_ms(),
        })
    }

    /// A question in our name; `query` is encoded and may be empty.
    pub(super) fn ask(
        &self,
        verb: Verb,
        what: &'static str,
        path: &str,
        query: &str,
        timestamp_ms: i64,
    ) -> Result<Reply, GatewayError> {
        let separator = if query.is_empty() { "" } else { "&" };
        let mut query = format!("{query}{separator}recvWindow={}&timestamp={timestamp_ms}", self.window_ms);
        let signature = self.signer.sign(query.as_bytes());
        query.push_str("&signature=");
        query.extend(signature.map(char::from));
        let (url, key) = (self.open.url(path, &query), self.key.reveal());
        let answer = match verb {
            Verb::Get => self.open.agent.get(url).header("x-mbx-apikey", key).call(),
            Verb::Delete => self.open.agent.delete(url).header("x-mbx-apikey", key).call(),
        };
        self.open.reply(what, answer)
    }
}

/// Asks an embedded exchange whether every request of a dead connection has been heard.
pub(super) fn drain(control: &DrainControl, http: &Http) -> Result<bool, GatewayError> {
    #[derive(Deserialize)]
    struct Drained {
        drained: bool,
    }
    const WHAT: &str = "whether it is drained";
    let url = format!("{}/control/drain", control.url.trim_end_matches('/'));
    let bearer = format!("Bearer {}", control.token.reveal());
    let request = http.agent.post(url).header("authorization", bearer).content_type("application/json");
    let reply = http.reply(WHAT, request.send(format!(r#"{{"wait_ms":{DRAIN_MS}}}"#)))?;
    Ok(reply.read::<Drained>(WHAT, &control.url)?.drained)
}
