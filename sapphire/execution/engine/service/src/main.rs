//! The `service` binary.
//!
//! `run` prints one JSON object as its first line on stdout; everything else goes to stderr. It ends on SIGTERM or
//! SIGINT with exit code 0, refuses to start or gives up with 1, and with 2 on wrong usage.

#![forbid(unsafe_code)]

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use sapphire_endpoint::health::{Probe, own_url, require_well};
use sapphire_endpoint::{LogIdentity, log_to_stderr};
use sapphire_service::evidence::{self, EvidenceArguments};
use sapphire_service::journal_reader::{self, Form, JournalReaderFailure, Outcome, Window};
use sapphire_service::settings::Settings;
use sapphire_service::start;

/// The execution service of one account.
#[derive(Debug, Parser)]
#[command(name = "service", version, after_help = "Example:\n  service run --config service.json")]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Trades for one account until SIGTERM
    Run {
        /// The settings file
        #[arg(long)]
        config: PathBuf,
    },
    /// Whether the service of a settings file is well, as its own probes say: exit code 0 or 1
    Health {
        /// The settings file
        #[arg(long)]
        config: PathBuf,
        /// Whether it does its work; else whether it works at all
        #[arg(long)]
        ready: bool,
    },
    /// What an account's journal holds
    #[command(subcommand)]
    Journal(JournalVerb),
    /// Whether a release may trade: one line of JSON, exit code 1 when it may not
    Evidence(EvidenceArguments),
}

#[derive(Debug, Subcommand)]
enum JournalVerb {
    /// One line for each entry
    Show(Look),
    /// Checks every record and every file
    Verify(Look),
    /// Folds it again; exit code 1 at the first step that differs
    Replay(Look),
    /// JSON rows of what happened
    Export(Part),
    /// Closes of the first and the last bar
    Bars(Look),
}

#[derive(Args, Debug)]
struct Look {
    /// The account's folder
    folder: PathBuf,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
struct Part {
    /// The account's folder
    folder: PathBuf,
    /// Only what happened from here on, market time in nanoseconds, such as a midnight
    #[arg(long, requires = "end_ns")]
    begin_ns: Option<i64>,
    /// And until here; a bar that closes then is in it
    #[arg(long, requires = "begin_ns")]
    end_ns: Option<i64>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let identity = log_to_stderr("service");
    let done = match arguments.verb {
        Verb::Run { config } => run(&config, &identity),
        Verb::Health { config, ready } => health(&config, ready),
        Verb::Journal(verb) => journal(&verb),
        Verb::Evidence(arguments) => {
            let may = evidence::command(&arguments, &mut io::stdout());
            may.map(|may| if may { ExitCode::SUCCESS } else { ExitCode::FAILURE }).map_err(Into::into)
        }
    };
    done.unwrap_or_else(|error| {
        // A closed stderr is no reason to fail differently.
        let _ = writeln!(io::stderr(), "service: {error}");
        ExitCode::FAILURE
    })
}

type Done = Result<ExitCode, Box<dyn std::error::Error>>;

fn run(config: &std::path::Path, identity: &LogIdentity) -> Done {
    let settings = Settings::read(config)?;
    identity.set(settings.identity());
    start::run(&settings)?;
    Ok(ExitCode::SUCCESS)
}

fn health(config: &std::path::Path, ready: bool) -> Done {
    let settings = Settings::read(config)?;
    let probe = if ready { Probe::Ready } else { Probe::Live };
    require_well(&own_url(&settings.bind, settings.port), probe)?;
    Ok(ExitCode::SUCCESS)
}

fn journal(verb: &JournalVerb) -> Done {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let form = |look: &Look| if look.json { Form::Json } else { Form::Text };
    let outcome = match verb {
        JournalVerb::Show(look) => journal_reader::show(&look.folder, form(look), &mut out),
        JournalVerb::Verify(look) => journal_reader::verify(&look.folder, form(look), &mut out),
        JournalVerb::Replay(look) => journal_reader::replay(&look.folder, form(look), &mut out),
        JournalVerb::Export(part) => {
            let window = part.begin_ns.zip(part.end_ns).map(|(begin_ns, end_ns)| Window { begin_ns, end_ns });
            journal_reader::export(&part.folder, window, &mut out)
        }
        JournalVerb::Bars(look) => journal_reader::bars(&look.folder, form(look), &mut out),
    };
    let flushed = out.flush();
    match outcome {
        // Whoever reads has seen enough.
        Err(JournalReaderFailure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(failure) => Err(failure.into()),
        Ok(outcome) => {
            flushed?;
            Ok(if outcome == Outcome::Good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
    }
}
