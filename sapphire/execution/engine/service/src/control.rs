//! The control API: what an operator asks of the trader loop.
//!
//! In: HTTP with one of two bearer tokens.
//! Out: `Ask`s to the trader loop, answered by it; metrics and health without asking it.
//! Never: an answer from old copies where the trader loop is asked; a token in a log; an act with the token that reads.
//!
//! A halt does not wait in a queue: its handler raises the `KillSwitch`, which the trader loop reads before every
//! order.
//!
//! | path | body | answer |
//! | --- | --- | --- |
//! | `GET /livez` | | `{"live": true}` once the trader loop has answered, or 503; no token needed |
//! | `GET /readyz` | | `{"ready": true}`, or 503; no token needed |
//! | `GET /metrics` | | Prometheus text, no token needed |
//! | `GET /state`, `/positions` | | the account as the engine has it |
//! | `GET /orders`, `/fills` | `?limit=N` | the latest, oldest first |
//! | `POST /halt`, `/reduce`, `/resume`, `/flatten` | `{"reason": "…", "by": "…"}` | the trading state then |
//! | `POST /close` | `{"symbol": "…", "reason": "…", "by": "…"}` | the same |
//!
//! A GET takes either token, a POST the acting one (`service_token`). `by` is kept in the journal with the reason; left
//! out, it is the name of the token. A flatten sells all that is held, a close all of one symbol; no signal is taken
//! for what is closed before a resume.
//!
//! Money and 64-bit numbers are text. In `/state` a release stands `open`, `reduces only` (its permit is no more, or it
//! may hold nothing) or `refused`.

use std::net::TcpListener;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use sapphire_core::risk::Command;
use sapphire_endpoint::{Access, Tokens};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::events::TraderEvent;
use crate::latched::who;
use crate::mailbox::Channel;
use crate::metrics::{CONTENT_TYPE, Figure, Metrics};
use crate::trader::blotter::Blotter;

mod questions;

pub use questions::{Answer, Ask, KillSwitch, Question};

/// How long an answer of the trader loop may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Longest reason that is kept, bytes.
const MAX_REASON: usize = 200;

/// Longest name of who gives a command, bytes.
const MAX_BY: usize = 60;

/// Who gives a command when the request does not say: whoever has that token.
const BY: &str = "service_token";

/// Rows that are given when nobody says how many.
const ROWS: usize = 1_000;

/// SIGXFSZ on Linux. Caught, so that a file at its size limit is an error of one write and not the end of us.
const SIGXFSZ: i32 = 25;

/// What the control API works on.
#[derive(Clone)]
pub struct ControlPlane {
    /// The way to the trader loop.
    pub trader: Arc<Mutex<Channel>>,
    /// Read by the trader loop before every order.
    pub switch: Arc<KillSwitch>,
    /// Numbers.
    pub metrics: Arc<Metrics>,
    /// Orders and fills.
    pub blotter: Arc<Blotter>,
    /// Who may ask, and who may act.
    pub tokens: Tokens,
}

/// The thread of the control API.
#[derive(Debug)]
pub struct ControlApi {
    end: watch::Sender<bool>,
    thread: JoinHandle<std::io::Result<()>>,
}

impl ControlApi {
    /// Serves on a listener that is bound already. SIGTERM and SIGINT ask the trader loop to stop.
    ///
    /// # Errors
    /// A thread or runtime that cannot be made.
    pub fn start(listener: TcpListener, plane: ControlPlane) -> std::io::Result<Self> {
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (end, ended) = watch::channel(false);
        let signals = {
            let _entered = runtime.enter();
            let caught = signal(SignalKind::from_raw(SIGXFSZ))?;
            [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?, caught]
        };
        let thread = Builder::new().name("control".into()).spawn(move || {
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                tokio::spawn(stop_on(signals, plane.clone()));
                let mut ended = ended;
                let over = async move {
                    let _ = ended.wait_for(|over| *over).await;
                };
                axum::serve(listener, router(plane)).with_graceful_shutdown(over).await
            })
        })?;
        Ok(Self { end, thread })
    }

    /// Ends it: answers that are under way are given a moment.
    pub fn finish(self) {
        self.end.send_replace(true);
        // A client that keeps its connection open must not keep the process.
        for _ in 0..50 {
            if self.thread.is_finished() {
                let _ = self.thread.join();
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

async fn stop_on(signals: [tokio::signal::unix::Signal; 3], plane: ControlPlane) {
    let [mut terminate, mut interrupt, _caught] = signals;
    loop {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("asked to stop");
        let _ = ask(&plane, Question::Stop).await;
    }
}

/// The routes.
pub fn router(plane: ControlPlane) -> Router {
    let reading = Router::new()
        .route("/state", get(|plane| question(plane, Question::State)))
        .route("/positions", get(|plane| question(plane, Question::Positions)))
        .route("/orders", get(orders))
        .route("/fills", get(fills))
        .route_layer(from_fn_with_state(plane.clone(), reads));
    let acting = Router::new()
        .route("/halt", post(halt))
        .route("/reduce", post(|plane, body| command(plane, body, Command::Reduce)))
        .route("/resume", post(|plane, body| command(plane, body, Command::Resume)))
        .route("/flatten", post(|plane, body| command(plane, body, Command::Flatten)))
        .route("/close", post(close))
        .route_layer(from_fn_with_state(plane.clone(), acts));
    reading
        .merge(acting)
        .route("/livez", get(live))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(plane)
}

/// A refusal.
#[derive(Debug)]
struct Refused(StatusCode, String);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(json!({"error": self.1}))).into_response()
    }
}

type Reply = Result<Json<Value>, Refused>;

async fn reads(State(plane): State<ControlPlane>, request: Request, next: Next) -> Response {
    admit(&plane, Access::Read, request, next).await
}

async fn acts(State(plane): State<ControlPlane>, request: Request, next: Next) -> Response {
    admit(&plane, Access::Act, request, next).await
}

async fn admit(plane: &ControlPlane, wanted: Access, request: Request, next: Next) -> Response {
    let given = request.headers().get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
    let refusal = match plane.tokens.access(given) {
        Some(access) if access >= wanted => return next.run(request).await,
        Some(_) => Refused(
            StatusCode::FORBIDDEN,
            format!(
                "{} acts; expected: the acting token; got: the one that only reads; next: give service_token of the \
                 credentials file",
                request.uri().path()
            ),
        ),
        None => Refused(
            StatusCode::UNAUTHORIZED,
            "expected: Authorization: Bearer TOKEN; got: none, or another; next: read service_read_token, or \
             service_token to act, in the credentials file"
                .into(),
        ),
    };
    refusal.into_response()
}

async fn question(State(plane): State<ControlPlane>, question: Question) -> Reply {
    ask(&plane, question).await.map(Json)
}

async fn ask(plane: &ControlPlane, question: Question) -> Result<Value, Refused> {
    let (ask, answer) = Ask::new(question);
    let unavailable = |text: &str| Refused(StatusCode::SERVICE_UNAVAILABLE, text.to_owned());
    let sent = plane.trader.lock().unwrap_or_else(PoisonError::into_inner).try_send(TraderEvent::Ask(ask));
    sent.map_err(|_| unavailable("the trader loop takes no questions: it is ending, or too many wait; ask again"))?;
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(Ok(answer)) => answer.map_err(|text| Refused(StatusCode::CONFLICT, text)),
        Ok(Err(_)) => Err(unavailable("the trader loop has ended")),
        Err(_) => Err(unavailable("the trader loop did not answer within 10 s; see its log")),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CommandBody {
    reason: String,
    by: Option<String>,
    symbol: Option<String>,
}

/// By whom and why, and of which symbol where that is asked for.
fn reason(body: &Bytes, wants_symbol: bool) -> Result<(String, Option<String>), Refused> {
    let symbol = if wants_symbol { "\"symbol\": \"BTC/USDT\", " } else { "" };
    let expected = format!(
        "expected: {{{symbol}\"reason\": \"why, a line of 1 to 200 characters\"}}, and by whom where that is to be \
         kept: \"by\", 1 to 60 characters of a line without a colon"
    );
    let refused = |got: String| Refused(StatusCode::BAD_REQUEST, format!("{expected}; got: {got}; next: say why"));
    let CommandBody { reason, by, symbol } =
        serde_json::from_slice(body).map_err(|error| refused(error.to_string()))?;
    if !is_line(&reason, MAX_REASON) {
        return Err(refused(format!("{} bytes, or more than a line", reason.len())));
    }
    if by.as_deref().is_some_and(|by| !is_name(by)) {
        return Err(refused(format!("by {:?}", by.unwrap_or_default())));
    }
    if symbol.is_some() != wants_symbol {
        return Err(refused(if wants_symbol { "no symbol".to_owned() } else { "a symbol".to_owned() }));
    }
    Ok((who(by.as_deref().unwrap_or(BY), &reason), symbol))
}

/// Text that does not look like two lines of the journal.
fn is_line(text: &str, longest: usize) -> bool {
    (1..=longest).contains(&text.len()) && !text.chars().any(char::is_control)
}

fn is_name(by: &str) -> bool {
    is_line(by, MAX_BY) && !by.contains(':')
}

/// By whom and why, as far as that can be read: for what is applied in any case.
fn readable(body: &Bytes) -> String {
    let given: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |key: &str| given[key].as_str().unwrap_or_default();
    let by = Some(text("by")).filter(|by| is_name(by)).unwrap_or(BY);
    who(by, Some(text("reason")).filter(|why| is_line(why, MAX_REASON)).unwrap_or("no reason given"))
}

async fn command(State(plane): State<ControlPlane>, body: Bytes, command: Command) -> Reply {
    let (who, _) = reason(&body, false)?;
    ask(&plane, Question::Command { command, who, halt: 0 }).await.map(Json)
}

async fn close(State(plane): State<ControlPlane>, body: Bytes) -> Reply {
    let (who, symbol) = reason(&body, true)?;
    ask(&plane, Question::Close { symbol: symbol.unwrap_or_default(), who }).await.map(Json)
}

/// A halt is applied whatever else is wrong with the request: the reason may be missing.
async fn halt(State(plane): State<ControlPlane>, body: Bytes) -> Reply {
    let halt = plane.switch.halt();
    let who = readable(&body);
    ask(&plane, Question::Command { command: Command::Halt, who, halt }).await.map(Json)
}

#[derive(Deserialize)]
struct Rows {
    limit: Option<usize>,
}

async fn orders(State(plane): State<ControlPlane>, Query(rows): Query<Rows>) -> Json<Value> {
    Json(plane.blotter.orders(rows.limit.unwrap_or(ROWS)))
}

async fn fills(State(plane): State<ControlPlane>, Query(rows): Query<Rows>) -> Json<Value> {
    Json(plane.blotter.fills(rows.limit.unwrap_or(ROWS)))
}

/// A trader loop that hangs is not alive, however well this thread is.
async fn live(State(plane): State<ControlPlane>) -> Reply {
    ask(&plane, Question::Live).await.map(Json)
}

async fn ready(State(plane): State<ControlPlane>) -> Response {
    if plane.metrics.get(Figure::Ready) == 1 {
        return Json(json!({"ready": true})).into_response();
    }
    let connected = plane.metrics.get(Figure::Connected) == 1;
    (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"ready": false, "connected": connected}))).into_response()
}

async fn metrics(State(plane): State<ControlPlane>) -> Result<impl IntoResponse, Refused> {
    let text = plane.metrics.render();
    let text = text.map_err(|error| Refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailbox::Mailbox;

    #[test]
    fn a_service_whose_trader_loop_takes_nothing_is_not_alive() {
        let (_nobody_reads, mut channels) = Mailbox::new(1);
        let mut channel = channels.pop().unwrap();
        while channel.try_send(TraderEvent::Ask(Ask::new(Question::Live).0)).is_ok() {}
        let plane = ControlPlane {
            trader: Arc::new(Mutex::new(channel)),
            switch: Arc::default(),
            metrics: Arc::new(Metrics::new(&[])),
            blotter: Arc::default(),
            tokens: Tokens::new("look", "move").unwrap(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let api = ControlApi::start(listener, plane).unwrap();
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let status = |path: &str| agent.get(format!("{url}{path}")).call().unwrap().status().as_u16();
        assert_eq!((status("/livez"), status("/readyz"), status("/metrics")), (503, 503, 200));
        api.finish();
    }
}
