//! `service evidence`: admission's verdict on one release, for scripts and for the test that it is Python's.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use super::{Admission, Stage, TrustSettings};
use crate::clock::wall_ns;
use crate::events::ReleaseDigest;

/// What `service evidence` is asked.
#[derive(Clone, Debug, clap::Args)]
pub struct EvidenceArguments {
    /// The state folder, `$SAPPHIRE_HOME`.
    #[arg(long)]
    pub home: PathBuf,
    /// The release, by the 64 digits of its digest.
    #[arg(long)]
    pub release: ReleaseDigest,
    /// What it should be good for.
    #[arg(long, value_enum)]
    pub stage: Stage,
    /// What is trusted: a file with what stands as `trust` in the settings.
    #[arg(long, value_parser = read_trust)]
    pub trust: TrustSettings,
    /// The moment, in UTC nanoseconds; now unless given.
    #[arg(long)]
    pub at_ns: Option<i64>,
}

fn read_trust(path: &str) -> Result<TrustSettings, String> {
    let data = fs::read(path).map_err(|error| error.to_string())?;
    let trust: TrustSettings = serde_json::from_slice(&data).map_err(|error| error.to_string())?;
    trust.check()?;
    Ok(trust)
}

/// Writes the verdict as one JSON line `{"ok", "name", "reason"}`; whether the release is admitted. The process ends
/// with 0 if so and with 1 if not.
///
/// # Errors
/// The line could not be written.
pub fn command(arguments: &EvidenceArguments, out: &mut impl Write) -> io::Result<bool> {
    let admission = Admission::new(&arguments.home, arguments.stage, arguments.trust.clone());
    let verdict = admission.verdict_at(&arguments.release, arguments.at_ns.unwrap_or_else(wall_ns));
    let line = match &verdict {
        Ok(admitted) => serde_json::json!({"ok": true, "name": admitted.name, "reason": null}),
        Err(error) => serde_json::json!({"ok": false, "name": error.name, "reason": error.to_string()}),
    };
    writeln!(out, "{line}")?;
    Ok(verdict.is_ok())
}
