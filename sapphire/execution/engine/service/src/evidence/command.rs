//! `service evidence`: the door's verdict on one release, for scripts and for the test that it is Python's.

use std::io::{self, Write};
use std::path::PathBuf;

use super::{Door, Stage};
use crate::words::ReleaseDigest;

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
}

/// Writes the verdict as one JSON line `{"ok", "name", "reason"}`; whether the release is admitted. The process ends with
/// 0 if so and with 1 if not.
///
/// # Errors
/// The line could not be written.
pub fn command(arguments: &EvidenceArguments, out: &mut impl Write) -> io::Result<bool> {
    let verdict = Door::new(&arguments.home, arguments.stage).verdict(&arguments.release);
    let line = match &verdict {
        Ok(admitted) => serde_json::json!({"ok": true, "name": admitted.name, "reason": null}),
        Err(error) => serde_json::json!({"ok": false, "name": error.name, "reason": error.to_string()}),
    };
    writeln!(out, "{line}")?;
    Ok(verdict.is_ok())
}
