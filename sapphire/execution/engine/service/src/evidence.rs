//! The door: whether a release may trade.
//!
//! A release comes in whole and with a signed gate report, or not at all: its manifest has the digest it is named by,
//! every file is the manifest's to the last byte, the chain of its evidence verifies, the last gate report for the stage
//! is signed by the key that is trusted here, and its own numbers, judged again, permit the stage. A report that permits
//! live admits to paper; one that permits paper does not admit to live. None of the release's code runs.
//!
//! Invariant: the verdict is that of `sapphire.serving.admit` for the same bytes, but for the release's own limits, which
//! this door reads and Python does not: a limit that the gate does not have, or cannot mean, is refused.
//!
//! Known limitation: as in Python, a chain cannot tell that its newest lines were cut off. Names of classes beyond ASCII
//! are judged by letters and digits, not by the tables of Python's identifiers.

use std::path::{Path, PathBuf};

use sapphire_core::risk::Branch;

use crate::words::ReleaseDigest;

mod canonical;
mod command;
mod error;
mod files;
mod key;
mod limits;
mod manifest;
mod number;
mod records;
mod report;
mod stamp;

pub use command::{EvidenceArguments, command};
pub use error::{EvidenceError, Fault};
pub use stamp::Stamp;

use key::trusted_key;
use records::Records;

/// What a release is asked to be good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// An account on a simulated venue.
    Paper,
    /// An account with money.
    Live,
}

impl Stage {
    /// As it stands in a report.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Paper => "paper",
            Self::Live => "live",
        }
    }

    /// Stages whose permission is enough for this one, in the order they are looked for.
    fn enough(self) -> &'static [Self] {
        match self {
            Self::Paper => &[Self::Paper, Self::Live],
            Self::Live => &[Self::Live],
        }
    }
}

/// A release that may trade.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// Its name.
    pub name: String,
    /// Its own limits; they only tighten the account's.
    pub limits: Branch,
    /// What the report that it stands on permits.
    pub permits: Stage,
    /// Whether that report marks it: an edge was not shown.
    pub skill_failed: bool,
}

/// The door of one account.
#[derive(Clone, Debug)]
pub struct Door {
    home: PathBuf,
    stage: Stage,
}

impl Door {
    /// A door that looks into the state folder `home` for what a release needs at `stage`.
    #[must_use]
    pub fn new(home: impl Into<PathBuf>, stage: Stage) -> Self {
        Self { home: home.into(), stage }
    }

    /// Whether the release may trade.
    ///
    /// # Errors
    /// [`EvidenceError`]: a file that is missing, changed or foreign; no evidence, no report, or one that does not
    /// verify or does not permit the stage; a limit of its own that cannot be meant.
    pub fn verdict(&self, release: &ReleaseDigest) -> Result<Admitted, EvidenceError> {
        let digest = release.to_string();
        let manifest = files::verified(&self.release_folder(&digest), &digest)?;
        self.admitted(&digest, &manifest).map_err(|error| error.of(manifest.name()))
    }

    /// What the files that a verdict stands on look like now; another one means that the verdict can be another.
    pub fn stamp(&self, release: &ReleaseDigest) -> Stamp {
        let digest = release.to_string();
        Stamp::of(&[self.release_folder(&digest), self.evidence_folder(&digest), self.home.join("keys")])
    }

    fn admitted(&self, digest: &str, manifest: &manifest::Manifest) -> Result<Admitted, EvidenceError> {
        let mut refusals = Vec::new();
        for &target in self.stage.enough() {
            let records = Records::verified(&self.evidence_folder(digest), digest)?;
            let Some(signed) = records.report(target)? else { continue };
            let report = trusted_key(&self.home).and_then(|key| signed.verify(&key, digest, target));
            match report {
                Ok(report) => {
                    let (name, limits) = (manifest.name().to_owned(), limits::read(manifest)?);
                    return Ok(Admitted { name, limits, permits: target, skill_failed: report.skill_failed() });
                }
                Err(refusal) => refusals.push(refusal),
            }
        }
        Err(refusals.into_iter().next().unwrap_or_else(|| self.no_report(digest, manifest.name())))
    }

    fn no_report(&self, digest: &str, name: &str) -> EvidenceError {
        let (short, stage) = (error::short(digest), self.stage.as_str());
        EvidenceError::new(Fault::NoReport, format!("release {name} {short} has no gate report for {stage}"))
            .expected(format!("a signed report in {}", self.evidence_folder(digest).display()))
            .got("none")
            .next(format!("sapphire gates {short} --to {stage}"))
    }

    fn release_folder(&self, digest: &str) -> PathBuf {
        self.home.join("releases").join(digest)
    }

    fn evidence_folder(&self, digest: &str) -> PathBuf {
        self.home.join("evidence").join(digest)
    }
}

/// sha256 in 64 hexadecimal digits.
fn sha256_of(data: &[u8]) -> String {
    use sha2::Digest;

    ReleaseDigest(sha2::Sha256::digest(data).into()).to_string()
}

/// Whether `text` is 64 lower-case hexadecimal digits.
fn is_sha256(text: &str) -> bool {
    text.parse::<ReleaseDigest>().is_ok()
}

/// The last part of a path as text, for messages.
fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
