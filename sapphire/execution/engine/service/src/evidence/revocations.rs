//! Releases that were closed for good: a signed list beside the trusted key and in the state folder.
//!
//! Invariant: a release that either copy names is revoked; of two copies one begins with the other.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::canonical::{Map, Value, read_canonical};
use super::error::{EvidenceError, Fault, short};
use super::is_sha256;
use super::key::{TrustedKey, from_hex};

const FILE: &str = "revocations.signed";
const FORMAT: &str = "REVOCATIONS@1";
const KEYS: [&str; 5] = ["at_ns", "manifest_digest", "name", "who", "why"];

/// What was revoked, oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Revocations(Vec<Map>);

/// Where the list is.
pub(super) fn files(keys: &Path, home: &Path) -> [PathBuf; 2] {
    [keys.join(FILE), home.join("evidence").join(FILE)]
}

impl Revocations {
    /// What the lists in `files` say together, each verified.
    pub(super) fn known(files: &[PathBuf], key: &TrustedKey) -> Result<Self, EvidenceError> {
        let mut lists = Vec::new();
        for path in files {
            match fs::read(path) {
                Ok(data) => lists.push(Self::verified(&data, key)?),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(unreadable(&error.to_string())),
            }
        }
        Self::longest(&lists)
    }

    /// What several copies of one list say together.
    pub(super) fn longest(lists: &[Self]) -> Result<Self, EvidenceError> {
        let most = lists.iter().max_by_key(|list| list.0.len()).cloned().unwrap_or_default();
        if lists.iter().any(|list| !most.0.starts_with(&list.0)) {
            return Err(EvidenceError::new(Fault::Lists, "two lists of revocations differ")
                .expected("one that begins with the other")
                .got("two others")
                .next("restore the list beside the trusted key from a backup"));
        }
        Ok(most)
    }

    /// How many there are.
    pub(super) fn sequence(&self) -> i64 {
        i64::try_from(self.0.len()).unwrap_or(i64::MAX)
    }

    /// Refuse a release that was revoked.
    pub(super) fn refuse(&self, digest: &str, name: &str) -> Result<(), EvidenceError> {
        let text = |entry: &Map, key: &str| entry.get(key).and_then(Value::text).unwrap_or_default().to_owned();
        let Some(found) = self.0.iter().find(|entry| text(entry, "manifest_digest") == digest) else { return Ok(()) };
        Err(EvidenceError::new(Fault::Closed, format!("release {name} {} was revoked", short(digest)))
            .expected("a release that was not")
            .got(format!("{} ({})", text(found, "why"), text(found, "who")))
            .next("sapphire rollback goes back to the champion before it; a revocation is for good"))
    }

    /// The list in a file's content, if it was signed by this key.
    pub(super) fn verified(data: &[u8], key: &TrustedKey) -> Result<Self, EvidenceError> {
        let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
        let (signed, rest) = (&data[..end], data.get(end + 1..).unwrap_or_default());
        let signature = from_hex(rest).ok_or_else(|| unreadable("a signature of other digits"))?;
        let list = Self::read(signed).ok_or_else(|| unreadable("another list"))?;
        key.check(signed, &signature, "the list of revocations")?;
        Ok(list)
    }

    fn read(signed: &[u8]) -> Option<Self> {
        let value = read_canonical(signed, "list of revocations").ok()?;
        let map = value.map().filter(|map| map.keys().eq(["format", "revoked"]))?;
        if map["format"].text() != Some(FORMAT) {
            return None;
        }
        map["revoked"].list()?.iter().map(entry).collect::<Option<Vec<_>>>().map(Self)
    }
}

fn entry(value: &Value) -> Option<Map> {
    let map = value.map().filter(|map| map.keys().eq(KEYS))?;
    let timed = matches!(&map["at_ns"], Value::Number(number) if number.is_count() || number.whole() == Some(0));
    let words = ["name", "who", "why"].iter().all(|key| map[*key].text().is_some_and(|text| !text.trim().is_empty()));
    let of_release = map["manifest_digest"].text().is_some_and(is_sha256);
    (timed && words && of_release).then(|| map.clone())
}

fn unreadable(got: &str) -> EvidenceError {
    EvidenceError::new(Fault::Lists, "the list of revocations does not read")
        .expected(format!("one line of {FORMAT} and one with its signature"))
        .got(got)
        .next("restore it from a backup")
}
