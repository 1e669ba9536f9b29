//! The `exchange` binary.
//!
//! Its first line on stdout is one JSON object that says where it is; everything else goes to stderr. It ends on
//! SIGTERM, SIGINT or the control plane's word with exit code 0, refuses to start with 1, and with 2 on wrong usage.

#![forbid(unsafe_code)]

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use sapphire_endpoint::health::{Probe, require_well};
use sapphire_endpoint::{Listening, listen, log_to_stderr};
use sapphire_exchange::connections::{Connections, serve};
use sapphire_exchange::control::{ControlPlane, router as control_router};
use sapphire_exchange::matching::api::MatchingHandle;
use sapphire_exchange::matching::{OpenMatching, open};
use sapphire_exchange::protocol;
use sapphire_exchange::settings::{Arguments, EXAMPLE};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// SIGXFSZ on Linux. Caught, so that a file at its size limit is an error of one write and not the end of us.
const SIGXFSZ: i32 = 25;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The embedded exchange: a market behind Binance's REST and WebSocket API.
///
/// Its first line on stdout is one JSON object: `url`, `ws_url`, `control_url`, `control_token`, `control_read_token`,
/// `api_key` and `api_secret` of a funded development account; with `--keys` the three addresses alone. Everything else
/// goes to stderr.
#[derive(Debug, Parser)]
#[command(name = "exchange", version, after_help = EXAMPLE, args_conflicts_with_subcommands = true)]
struct CommandLine {
    #[command(flatten)]
    arguments: Arguments,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Whether an exchange is well, as its own probes say: exit code 0 or 1
    Health {
        /// Its control plane, such as `http://127.0.0.1:8081`
        #[arg(long, value_name = "URL")]
        control_url: String,
        /// Whether it is fit to be asked; else whether it works at all
        #[arg(long)]
        ready: bool,
    },
}

fn main() -> ExitCode {
    let CommandLine { arguments, verb } = CommandLine::parse();
    // One exchange is one venue: its parts have no other identity.
    let _ = log_to_stderr("exchange");
    let done = match verb {
        Some(Verb::Health { control_url, ready }) => {
            let probe = if ready { Probe::Ready } else { Probe::Live };
            require_well(&control_url, probe).map_err(Failure::from)
        }
        None => run(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A closed stderr is no reason to fail differently.
            let _ = writeln!(std::io::stderr(), "exchange: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let _entered = runtime.enter();
    let _caught = signal(SignalKind::from_raw(SIGXFSZ))?;
    let listen_on = |port| listen(&arguments.bind, arguments.host.as_deref(), port);
    let venue = listen_on(arguments.port)?;
    let control = listen_on(arguments.control_port)?;
    let matching = open(arguments)?;
    // Before anybody knows that we are here: from the first line on a signal is a request, not an accident.
    let signals = [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?];
    announce(&matching, &venue, &control, arguments.keys.is_some())?;
    runtime.block_on(trade(
        matching,
        TcpListener::from_std(venue.socket)?,
        TcpListener::from_std(control.socket)?,
        signals,
    ))
}

/// The first line on stdout. Keys that were given are known to who gave them, and are not told.
fn announce(
    matching: &OpenMatching,
    venue: &Listening,
    control: &Listening,
    has_given_keys: bool,
) -> Result<(), Failure> {
    let mut line = json!({
        "url": venue.url("http"),
        "ws_url": venue.url("ws"),
        "control_url": control.url("http"),
    });
    if !has_given_keys {
        line["control_token"] = json!(matching.keys.control_tokens().act());
        line["control_read_token"] = json!(matching.keys.control_tokens().read());
        line["api_key"] = json!(matching.development.api_key);
        line["api_secret"] = json!(matching.development.api_secret);
    }
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{line}")?;
    stdout.flush()?;
    Ok(())
}

async fn trade(
    matching: OpenMatching,
    venue: TcpListener,
    control: TcpListener,
    signals: [Signal; 2],
) -> Result<(), Failure> {
    let OpenMatching { handle, keys, shutdown, thread, .. } = matching;
    let shutdown = Arc::new(shutdown);
    let connections = Connections::of(venue.local_addr()?);
    let control_connections = Connections::of(control.local_addr()?);
    let plane = ControlPlane {
        matching: handle.clone(),
        keys,
        connections: connections.clone(),
        shutdown: Arc::clone(&shutdown),
    };
    let venue = tokio::spawn(serve(venue, protocol::router(handle.clone()), connections, handle.shutdown()));
    let control = tokio::spawn(serve(control, control_router(plane), control_connections, handle.shutdown()));
    let desk_died = end_of_day(&shutdown, &handle, signals).await;
    tracing::info!("shutting down");
    shutdown.send_replace(true);
    venue.await?;
    control.await?;
    if desk_died {
        return Err("the matching service ended unexpectedly; what it said is above".into());
    }
    handle.stop().await;
    thread.join().map_err(|_| "the matching service ended in a panic")?;
    Ok(())
}

/// Waits for a reason to end; whether it is that the matching service has died.
async fn end_of_day(shutdown: &watch::Sender<bool>, handle: &MatchingHandle, signals: [Signal; 2]) -> bool {
    let [mut terminate, mut interrupt] = signals;
    let mut emitted = shutdown.subscribe();
    tokio::select! {
        _ = terminate.recv() => false,
        _ = interrupt.recv() => false,
        _ = emitted.wait_for(|ending| *ending) => false,
        () = handle.ended() => true,
    }
}
