//! Admission: whether a release may trade.
//!
//! A release comes in whole and with a permit that holds, or not at all: its manifest has the digest it is named by,
//! every file is the manifest's to the last byte, the chain of its evidence verifies and was not cut back, and its
//! signed gate reports, judged again, open the stage now under what the deployment pins (see `permits`). A report that
//! permits live admits to paper; one that permits paper does not admit to live. None of the release's code runs.
//!
//! Invariant: the verdict is that of `sapphire.serving.admit` for the same bytes, but for the release's own limits,
//! which this admission reads and Python's does not: a limit that the gate does not have, or cannot mean, is refused.
//!
//! Known limitation: names of classes beyond ASCII are judged by letters and digits, not by the tables of Python's
//! identifiers.

use std::path::{Path, PathBuf};

use sapphire_core::risk::LimitSet;

use crate::clock::wall_ns;
use crate::events::ReleaseDigest;

mod anchors;
mod canonical;
mod command;
mod error;
mod files;
mod key;
mod limits;
mod manifest;
mod number;
mod permits;
mod records;
mod report;
mod revocations;
mod stamp;
mod trust;

pub use command::{EvidenceArguments, command};
pub use error::{EvidenceError, Fault};
pub use stamp::Stamp;
pub use trust::{PerStage, TrustSettings};

use permits::{Asked, permitted};
use records::Records;
use revocations::Revocations;

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

    /// The stage of that name.
    fn named(text: &str) -> Option<Self> {
        [Self::Paper, Self::Live].into_iter().find(|stage| stage.as_str() == text)
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
    pub limits: LimitSet,
    /// What the report that it stands on permits.
    pub permits: Stage,
    /// When that ends, by wall time.
    pub valid_until_ns: i64,
    /// Whether that report marks it: an edge was not shown.
    pub skill_failed: bool,
}

/// Admission of one account.
#[derive(Clone, Debug)]
pub struct Admission {
    home: PathBuf,
    stage: Stage,
    trust: TrustSettings,
}

impl Admission {
    /// An admission that looks into the state folder `home` for what a release needs at `stage`, and goes by `trust`.
    #[must_use]
    pub fn new(home: impl Into<PathBuf>, stage: Stage, trust: TrustSettings) -> Self {
        Self { home: home.into(), stage, trust }
    }

    /// Whether the release may trade now.
    ///
    /// # Errors
    /// [`EvidenceError`]: a file that is missing, changed or foreign; no evidence, no report, or one that does not
    /// verify or does not open the stage; a permit that is no more; a limit of its own that cannot be meant.
    pub fn verdict(&self, release: &ReleaseDigest) -> Result<Admitted, EvidenceError> {
        self.verdict_at(release, wall_ns())
    }

    /// Whether the release may trade at a moment of wall time.
    ///
    /// # Errors
    /// As [`Admission::verdict`].
    pub fn verdict_at(&self, release: &ReleaseDigest, at_ns: i64) -> Result<Admitted, EvidenceError> {
        let digest = release.to_string();
        let manifest = files::verified(&self.release_folder(&digest), &digest)?;
        self.admitted(&digest, &manifest, at_ns).map_err(|error| error.of(manifest.name()))
    }

    /// A release's name and its own limits, whether it may trade or not.
    ///
    /// # Errors
    /// [`EvidenceError`]: its files do not verify, or a limit of its own that cannot be meant.
    pub fn limits(&self, release: &ReleaseDigest) -> Result<(String, LimitSet), EvidenceError> {
        let digest = release.to_string();
        let manifest = files::verified(&self.release_folder(&digest), &digest)?;
        Ok((manifest.name().to_owned(), limits::read(&manifest)?))
    }

    /// What the files that a verdict stands on look like now; another one means that the verdict can be another.
    pub fn stamp(&self, release: &ReleaseDigest) -> Stamp {
        let digest = release.to_string();
        let [_, revoked] = revocations::files(self.trust.folder(), &self.home);
        let mut paths = vec![self.release_folder(&digest), self.evidence_folder(&digest), self.home.join("keys")];
        paths.extend([self.trust.folder().to_owned(), self.trust.key.clone(), revoked]);
        Stamp::of(&paths)
    }

    fn admitted(&self, digest: &str, manifest: &manifest::Manifest, at_ns: i64) -> Result<Admitted, EvidenceError> {
        let records = Records::verified(&self.evidence_folder(digest), digest)?;
        let trust = self.trust.load(&self.home)?;
        let keys = self.trust.folder();
        anchors::check(&anchors::file(keys, &self.home), digest, &records.heads())?;
        let reports = records.reports()?;
        let revocations = Revocations::known(&revocations::files(keys, &self.home), &trust.key)?;
        let asked = Asked { digest, name: manifest.name(), stage: self.stage, at_ns };
        let report = permitted(&reports, &trust, asked, &revocations)?;
        let (name, limits) = (manifest.name().to_owned(), limits::read(manifest)?);
        let (valid_until_ns, skill_failed) = (report.valid_until_ns, report.skill_failed);
        Ok(Admitted { name, limits, permits: report.target, valid_until_ns, skill_failed })
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
