//! How far the record of each release had come, kept beside the trusted key by whoever signs.
//!
//! Invariant: a record that is shorter than its anchor, or has another line there, is refused; one without is not.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::canonical::{Value, read_canonical};
use super::error::{EvidenceError, Fault, short};
use super::trust::real;
use super::{is_sha256, sha256_of};

const FOLDER: &str = "anchors";
const DIGITS: usize = 16;

/// The file of a state folder.
pub(super) fn file(keys: &Path, home: &Path) -> PathBuf {
    let named = sha256_of(real(home).as_os_str().as_bytes());
    keys.join(FOLDER).join(format!("{}.json", &named[..DIGITS]))
}

/// Refuse a record, by the digests of its lines, that does not go on from where it was.
pub(super) fn check(path: &Path, digest: &str, heads: &[&str]) -> Result<(), EvidenceError> {
    let data = match fs::read(path) {
        Ok(data) => data,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unreadable(path, &error.to_string())),
    };
    let anchors = read_canonical(&data, "anchors").map_err(|error| unreadable(path, &error.got))?;
    let anchors = anchors.map().ok_or_else(|| unreadable(path, "another value"))?;
    let read: Option<Vec<_>> = anchors.iter().map(|(release, value)| Some((release, anchor(value)?))).collect();
    let read = read.ok_or_else(|| unreadable(path, "another value"))?;
    let Some((_, (lines, head))) = read.into_iter().find(|(release, _)| *release == digest) else { return Ok(()) };
    if heads.get(lines - 1) == Some(&head) {
        return Ok(());
    }
    Err(EvidenceError::new(Fault::Lists, format!("the evidence of release {} was cut back", short(digest)))
        .expected(format!("line {lines} with digest {}, as {} says", short(head), path.display()))
        .got(format!("{} lines, another there or none", heads.len()))
        .next("restore the evidence from a backup"))
}

fn anchor(value: &Value) -> Option<(usize, &str)> {
    let [Value::Number(lines), Value::Text(head)] = value.list()? else { return None };
    let lines = lines.whole().and_then(|lines| usize::try_from(lines).ok()).filter(|lines| *lines > 0)?;
    is_sha256(head).then_some((lines, head))
}

fn unreadable(path: &Path, got: &str) -> EvidenceError {
    EvidenceError::new(Fault::Lists, "the anchors of this state folder do not read")
        .expected(format!("release to number of lines and digest in {}", path.display()))
        .got(got)
        .next("restore it from a backup")
}
