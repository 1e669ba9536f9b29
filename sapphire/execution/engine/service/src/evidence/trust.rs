//! What the deployment trusts: the key, what it proves, the pinned policies and the measures that each stage requires.
//!
//! Invariant: the key does not lie in the state folder that it judges; each stage has a pinned policy and a required
//! measure.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::error::{EvidenceError, Fault};
use super::key::{TrustedKey, read_key};
use super::report::{LAPTOP_KEY, PROMOTER_IDENTITY};
use super::{Stage, is_sha256};

/// What the settings say of it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustSettings {
    /// File of the public key.
    pub key: PathBuf,
    /// What a signature by it proves.
    pub authority: String,
    /// The digests of the pinned policies.
    pub policies: PerStage,
    /// The measures, `integrity.captured_source`, that a report has to show as passed.
    pub required: PerStage,
}

/// Something of each stage.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PerStage {
    /// For paper.
    pub paper: BTreeSet<String>,
    /// For live.
    pub live: BTreeSet<String>,
}

impl PerStage {
    /// What there is for one.
    #[must_use]
    pub fn of(&self, stage: Stage) -> &BTreeSet<String> {
        match stage {
            Stage::Paper => &self.paper,
            Stage::Live => &self.live,
        }
    }
}

impl TrustSettings {
    /// What is wrong with it, in words.
    ///
    /// # Errors
    /// The first thing.
    pub fn check(&self) -> Result<(), String> {
        if ![LAPTOP_KEY, PROMOTER_IDENTITY].contains(&self.authority.as_str()) {
            return Err(format!("authority: expected {LAPTOP_KEY} or {PROMOTER_IDENTITY}, got {}", self.authority));
        }
        for stage in [Stage::Paper, Stage::Live] {
            let (pinned, required) = (self.policies.of(stage), self.required.of(stage));
            if pinned.is_empty() || !pinned.iter().all(|digest| is_sha256(digest)) {
                return Err(format!("policies.{}: expected one digest or more, got {pinned:?}", stage.as_str()));
            }
            if required.is_empty() {
                return Err(format!("required.{}: expected one measure or more, got none", stage.as_str()));
            }
        }
        Ok(())
    }

    /// The folder that the key is in, with what belongs to it.
    pub(super) fn folder(&self) -> &Path {
        self.key.parent().unwrap_or(&self.key)
    }

    /// What the doors of a state folder verify with.
    pub(super) fn load(&self, home: &Path) -> Result<Trust, EvidenceError> {
        let old = home.join("keys");
        if ["promoter.ed25519", "promoter.ed25519.pub"].iter().any(|name| old.join(name).exists()) {
            return Err(EvidenceError::new(Fault::Key, "this state folder keeps the key that judges it")
                .expected("the promoter's key in the user's configuration folder")
                .got(format!("keys of an earlier version in {}", old.display()))
                .next(format!("remove {}, then make each gate report again", old.display())));
        }
        if real(&self.key).starts_with(real(home)) {
            let what = "the trusted key lies in the state folder that it judges";
            return Err(EvidenceError::new(Fault::Key, what)
                .expected(format!("a key outside {}", home.display()))
                .got(self.key.display().to_string())
                .next("name another in the settings, as trust.key"));
        }
        let key = read_key(&self.key)?;
        let (policies, required) = (self.policies.clone(), self.required.clone());
        Ok(Trust { key, authority: self.authority.clone(), policies, required })
    }
}

/// What is trusted, read.
#[derive(Clone, Debug)]
pub(super) struct Trust {
    pub(super) key: TrustedKey,
    pub(super) authority: String,
    pub(super) policies: PerStage,
    pub(super) required: PerStage,
}

/// A path without links, as far as it is there.
pub(super) fn real(path: &Path) -> PathBuf {
    let above = || Some(path.parent()?.canonicalize().ok()?.join(path.file_name()?));
    path.canonicalize().ok().or_else(above).unwrap_or_else(|| path.to_owned())
}
