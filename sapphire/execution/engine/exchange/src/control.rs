//! The control plane: its own port, two bearer tokens, JSON.
//!
//! In: commands of the conductor, the supervisor and tests. Out: where market time stands, state, keys.
//! Never: on the venue's port; never without a token, but for probes and metrics. What changes nothing is answered to
//! the token that reads (`control_read_token`), everything to the one that acts (`control_token`).
//!
//! | path | body | answer |
//! | --- | --- | --- |
//! | `GET /livez` | | `{"live": true}` once the matching service has answered, or 503; no token needed |
//! | `GET /readyz` | | `{"ready": true}`, or 503 where the matching service does not answer at once; no token needed |
//! | `GET /metrics` | | Prometheus text, no token needed |
//! | `GET /control/state?full=true` | | the state; with `full` every order and fill |
//! | `POST /control/advance` | `{"to_ns": "…", "wake_at_ns": ["…"]}` | `{"now_ns": "…", "events": n, "sequences": {"1": n}}` |
//! | `POST /control/deposit` | `{"account": 1, "asset": "USDT", "amount": "100.5"}` | `{"free": "…", "locked": "…"}` |
//! | `POST /control/accounts` | `{"name": "second", "fund": {"USDT": "1000"}, "maker": "0.001", "taker": "0.001"}` | `{"account": 2, "api_key": …, "api_secret": …}` |
//! | `GET /control/accounts/second` | | the same again, for who lost the answer; acts |
//! | `POST /control/drain` | `{"wait_ms": 2000}` | `{"drained": true, "open": n, "closing": [addresses]}`; reads |
//! | `POST /control/shutdown` | | `{"stopping": true}` |
//!
//! Numbers of money and time are text in both directions; plain integers are taken as well.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use sapphire_core::amounts::Atoms;
use sapphire_core::decimal::atoms_text;
use sapphire_core::venue::{AccountId, FeeRates};
use sapphire_endpoint::Access;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::connections::Connections;
use crate::keys::{Credentials, Keyring};
use crate::matching::api::{Ask, MatchingError, MatchingHandle};
use crate::matching::control::{Control, Figures};
use crate::metrics::{CONTENT_TYPE, render};
use crate::settings::{FEES, atoms};

/// How long the matching service may take before it counts as hung.
const LIVE_WITHIN: Duration = Duration::from_secs(10);

/// How long the matching service may take while it is fit to be asked.
const READY_WITHIN: Duration = Duration::from_secs(1);

/// How long a drain waits when nobody says.
const DRAIN_MS: u64 = 2_000;

/// How long a drain waits at most.
const LONGEST_DRAIN_MS: u64 = 60_000;

/// What the control plane works on.
#[derive(Clone, Debug)]
pub struct ControlPlane {
    /// The matching service.
    pub matching: MatchingHandle,
    /// Where the tokens are.
    pub keys: Keyring,
    /// The venue's connections.
    pub connections: Connections,
    /// Set to true to end the exchange.
    pub shutdown: Arc<watch::Sender<bool>>,
}

/// The control plane's routes.
pub fn router(plane: ControlPlane) -> Router {
    let reading = Router::new()
        .route("/control/state", get(state))
        .route("/control/drain", post(drain))
        .route_layer(from_fn_with_state(plane.clone(), reads));
    let acting = Router::new()
        .route("/control/advance", post(advance))
        .route("/control/deposit", post(deposit))
        .route("/control/accounts", post(open_account))
        .route("/control/accounts/{name}", get(find_account))
        .route("/control/shutdown", post(shutdown))
        .route_layer(from_fn_with_state(plane.clone(), acts));
    reading
        .merge(acting)
        .route("/livez", get(live))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(plane)
}

/// A refusal of the control plane.
#[derive(Debug)]
struct Refused(StatusCode, String);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(json!({"error": self.1}))).into_response()
    }
}

impl From<MatchingError> for Refused {
    fn from(error: MatchingError) -> Self {
        let status = match &error {
            MatchingError::Clock(_) | MatchingError::NameTaken(_) => StatusCode::CONFLICT,
            MatchingError::Journal(_) => StatusCode::INSUFFICIENT_STORAGE,
            MatchingError::Closed => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        };
        Self(status, error.to_string())
    }
}

type Answer = Result<Json<Value>, Refused>;

/// The matching service's figures, if it answers in time.
async fn figures(plane: &ControlPlane, patience: Duration) -> Result<Figures, Refused> {
    let late = |_| {
        Refused(StatusCode::SERVICE_UNAVAILABLE, format!("the matching service did not answer within {patience:?}"))
    };
    let figures = plane.matching.ask(|reply| Ask::Control(Control::Figures(reply)));
    Ok(tokio::time::timeout(patience, figures).await.map_err(late)??)
}

async fn live(State(plane): State<ControlPlane>) -> Answer {
    figures(&plane, LIVE_WITHIN).await.map(|_| Json(json!({"live": true})))
}

async fn ready(State(plane): State<ControlPlane>) -> Answer {
    figures(&plane, READY_WITHIN).await.map(|_| Json(json!({"ready": true})))
}

async fn metrics(State(plane): State<ControlPlane>) -> Result<impl IntoResponse, Refused> {
    let figures = figures(&plane, LIVE_WITHIN).await?;
    let text = render(&figures, plane.connections.count());
    let text = text.map_err(|error| Refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text))
}

async fn reads(State(plane): State<ControlPlane>, request: Request, next: Next) -> Response {
    admit(&plane, Access::Read, request, next).await
}

async fn acts(State(plane): State<ControlPlane>, request: Request, next: Next) -> Response {
    admit(&plane, Access::Act, request, next).await
}

async fn admit(plane: &ControlPlane, wanted: Access, request: Request, next: Next) -> Response {
    let given = request.headers().get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
    let refusal = match plane.keys.control_tokens().access(given) {
        Some(access) if access >= wanted => return next.run(request).await,
        Some(_) => Refused(
            StatusCode::FORBIDDEN,
            format!("{} acts: expected the control_token, got the token that only reads", request.uri().path()),
        ),
        None => Refused(
            StatusCode::UNAUTHORIZED,
            "expected Authorization: Bearer with the control_token of the exchange's first line, or the \
             control_read_token to look"
                .into(),
        ),
    };
    refusal.into_response()
}

#[derive(Deserialize)]
struct StateQuery {
    #[serde(default)]
    full: bool,
}

async fn state(State(plane): State<ControlPlane>, Query(query): Query<StateQuery>) -> Answer {
    let full = query.full;
    Ok(Json(plane.matching.ask(|reply| Ask::Control(Control::State { full, reply })).await?))
}

#[derive(Deserialize)]
struct AdvanceBody {
    to_ns: Number,
    #[serde(default)]
    wake_at_ns: Vec<Number>,
}

async fn advance(State(plane): State<ControlPlane>, body: Bytes) -> Answer {
    let body: AdvanceBody = parse(&body)?;
    let to_ns = body.to_ns.0;
    let wake_at = body.wake_at_ns.into_iter().map(|number| number.0).collect();
    let advanced = plane.matching.ask(|reply| Ask::Control(Control::Advance { to_ns, wake_at, reply })).await?;
    let sequences: BTreeMap<String, u64> =
        advanced.sequences.into_iter().map(|(account, sequence)| (account.0.to_string(), sequence)).collect();
    Ok(Json(json!({"now_ns": advanced.now_ns.to_string(), "events": advanced.events, "sequences": sequences})))
}

#[derive(Deserialize)]
struct DepositBody {
    account: u32,
    asset: String,
    amount: String,
}

async fn deposit(State(plane): State<ControlPlane>, body: Bytes) -> Answer {
    let DepositBody { account, asset, amount } = parse(&body)?;
    let (account, atoms) = (AccountId(account), amount_of("amount", &amount)?);
    let balance = plane.matching.ask(|reply| Ask::Control(Control::Deposit { account, asset, atoms, reply })).await?;
    Ok(Json(json!({"free": atoms_text(balance.free_atoms), "locked": atoms_text(balance.locked_atoms)})))
}

#[derive(Deserialize)]
struct AccountBody {
    name: String,
    #[serde(default)]
    fund: BTreeMap<String, String>,
    maker: Option<String>,
    taker: Option<String>,
}

async fn open_account(State(plane): State<ControlPlane>, body: Bytes) -> Answer {
    let body: AccountBody = parse(&body)?;
    let name = body.name;
    let funds = body.fund.iter().map(|(asset, amount)| Ok((asset.clone(), amount_of(asset, amount)?)));
    let funds = funds.collect::<Result<Vec<_>, Refused>>()?;
    let rate = |name, given: Option<String>, usual| given.map_or(Ok(usual), |text| rate_of(name, &text));
    let fees =
        FeeRates { maker: rate("maker", body.maker, FEES.maker)?, taker: rate("taker", body.taker, FEES.taker)? };
    let credentials = Keyring::draw().map_err(|error| Refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    let given = credentials.clone();
    let open = |reply| Ask::Control(Control::OpenAccount { name, credentials: given, fees, funds, reply });
    let account = plane.matching.ask(open).await?;
    Ok(account_answer(account, credentials))
}

async fn find_account(State(plane): State<ControlPlane>, Path(name): Path<String>) -> Answer {
    let account = plane.matching.ask(|reply| Ask::Control(Control::FindAccount { name, reply })).await?;
    let credentials = plane.keys.of(account).ok_or(MatchingError::UnknownAccount)?;
    Ok(account_answer(account, credentials))
}

fn account_answer(account: AccountId, credentials: Credentials) -> Json<Value> {
    let Credentials { api_key, api_secret } = credentials;
    Json(json!({"account": account.0, "api_key": api_key, "api_secret": api_secret}))
}

#[derive(Default, Deserialize)]
struct DrainBody {
    wait_ms: Option<u64>,
}

async fn drain(State(plane): State<ControlPlane>, body: Bytes) -> Answer {
    let body: DrainBody = if body.is_empty() { DrainBody::default() } else { parse(&body)? };
    let patience = Duration::from_millis(body.wait_ms.unwrap_or(DRAIN_MS).min(LONGEST_DRAIN_MS));
    let drained = plane.connections.drain(patience).await;
    let drained = drained.map_err(|error| Refused(StatusCode::SERVICE_UNAVAILABLE, error.to_string()))?;
    // What those connections handed to the matching service is carried out before this is answered.
    plane.matching.prices(Vec::new()).await?;
    Ok(Json(json!({"drained": drained.is_drained, "open": drained.open, "closing": drained.closing})))
}

async fn shutdown(State(plane): State<ControlPlane>) -> Answer {
    plane.shutdown.send_replace(true);
    Ok(Json(json!({"stopping": true})))
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refused> {
    serde_json::from_slice(body)
        .map_err(|error| Refused(StatusCode::BAD_REQUEST, format!("the body does not fit: {error}")))
}

/// An `i64` as text or as a number.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "NumberText")]
struct Number(i64);

#[derive(Deserialize)]
#[serde(untagged)]
enum NumberText {
    Text(String),
    Number(i64),
}

impl TryFrom<NumberText> for Number {
    type Error = String;

    fn try_from(number: NumberText) -> Result<Self, String> {
        match number {
            NumberText::Number(number) => Ok(Self(number)),
            NumberText::Text(text) => {
                text.parse().map(Self).map_err(|_| format!("expected whole nanoseconds, got {text}"))
            }
        }
    }
}

fn rate_of(name: &str, rate: &str) -> Result<i64, Refused> {
    let wrong = |_| Refused(StatusCode::BAD_REQUEST, format!("expected {name} as a rate, such as 0.001, got {rate}"));
    i64::try_from(amount_of(name, rate)?).map_err(wrong)
}

fn amount_of(name: &str, amount: &str) -> Result<Atoms, Refused> {
    let wrong = || format!("expected {name} as a decimal with at most 8 decimals, got {amount}");
    atoms(amount).ok_or_else(|| Refused(StatusCode::BAD_REQUEST, wrong()))
}
