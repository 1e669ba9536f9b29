//! The record of a release's evidence: `records.jsonl` and the files that it names, as the registry keeps them.
//!
//! Invariant: every line holds the sha256 of the line before, every file that of its line; one that differs refuses
//! all. A last line without an end was being written when its writer died: it is not read.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::canonical::{Value, read_canonical};
use super::error::{EvidenceError, Fault, short};
use super::key::from_hex;
use super::number::Number;
use super::permits::RecordedReport;
use super::{file_name, is_sha256, sha256_of};

const FILE: &str = "records.jsonl";
const FIRST: &str = "0000000000000000000000000000000000000000000000000000000000000000";
const KEYS: [&str; 5] = ["at_ns", "before", "facts", "files", "kind"];

struct Record {
    kind: String,
    files: BTreeMap<String, String>,
    before: String,
    head: String,
}

/// Every record of a release in order.
pub(super) struct Records {
    folder: PathBuf,
    records: Vec<Record>,
}

impl Records {
    /// The records in `folder`, the chain and each file verified.
    pub(super) fn verified(folder: &Path, digest: &str) -> Result<Self, EvidenceError> {
        let path = folder.join(FILE);
        if !path.is_file() {
            return Err(EvidenceError::new(Fault::NoEvidence, format!("no evidence of release {}", short(digest)))
                .expected(format!("a record in {}", path.display()))
                .got("none")
                .next("study.submit(agent) measures a release and registers it"));
        }
        let data = fs::read(&path).map_err(|error| damaged(&path, 1, "a file that can be read", &error.to_string()))?;
        let records = chain(&path, &data)?;
        for record in &records {
            for (name, sha256) in &record.files {
                check_file(&folder.join(name), sha256)?;
            }
        }
        Ok(Self { folder: folder.to_owned(), records })
    }

    /// The digest of each line.
    pub(super) fn heads(&self) -> Vec<&str> {
        self.records.iter().map(|record| record.head.as_str()).collect()
    }

    /// Every signed report, oldest first; signatures are for the caller to verify.
    pub(super) fn reports(&self) -> Result<Vec<RecordedReport>, EvidenceError> {
        let reports = self.records.iter().filter(|record| record.kind == "report");
        let read = |record: &Record| {
            let signature = from_hex(&self.file(record, ".sig")?).unwrap_or_default();
            Ok(RecordedReport { data: self.file(record, ".json")?, signature, before: record.before.clone() })
        };
        reports.map(read).collect()
    }

    fn file(&self, record: &Record, ending: &str) -> Result<Vec<u8>, EvidenceError> {
        let mut named = record.files.iter().filter(|(name, _)| name.ends_with(ending));
        if let (Some((name, sha256)), None) = (named.next(), named.next()) {
            return check_file(&self.folder.join(name), sha256);
        }
        let what = format!("a record of release {} names other files", short(&file_name(&self.folder)));
        let got: Vec<_> = record.files.keys().map(String::as_str).collect();
        Err(EvidenceError::new(Fault::Evidence, what)
            .expected(format!("one file that ends with {ending}"))
            .got(got.join(", "))
            .next("restore the evidence from a backup"))
    }
}

fn chain(path: &Path, data: &[u8]) -> Result<Vec<Record>, EvidenceError> {
    let whole = data.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let mut head = FIRST.to_owned();
    let mut records = Vec::new();
    for (place, line) in lines(&data[..whole]).enumerate() {
        let record = read_line(path, place + 1, line)?;
        if record.before != head {
            let expected = format!("the digest of the line before, {}", short(&head));
            let got = record.before.get(..12).unwrap_or(&record.before);
            return Err(damaged(path, place + 1, &expected, got));
        }
        head.clone_from(&record.head);
        records.push(record);
    }
    Ok(records)
}

/// Lines without their ends, which are `\n`, `\r\n` or `\r`, as Python splits bytes.
fn lines(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = data;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(rest.len());
        let (line, ending) = rest.split_at(end);
        let length = if ending.starts_with(b"\r\n") { 2 } else { ending.len().min(1) };
        rest = &ending[length..];
        Some(line)
    })
}

fn read_line(path: &Path, line: usize, data: &[u8]) -> Result<Record, EvidenceError> {
    let value = read_canonical(data, &format!("line {line} of {FILE}"))
        .map_err(|error| damaged(path, line, &error.expected, &error.got))?;
    let got = || String::from_utf8_lossy(data).chars().take(60).collect::<String>();
    let keyed = value.map().filter(|map| map.keys().eq(KEYS.iter()));
    let map = keyed.ok_or_else(|| damaged(path, line, &format!("the keys {}", KEYS.join(", ")), &got()))?;
    // a truth value is a whole number to Python
    let timed = matches!(map["at_ns"], Value::Number(Number::Whole(_)) | Value::Bool(_));
    let parts = (map["before"].text(), map["facts"].map(), map["files"].map(), map["kind"].text());
    let (Some(before), Some(_), Some(named), Some(kind)) = parts else {
        return Err(damaged(path, line, "values of a record", &got()));
    };
    if !timed {
        return Err(damaged(path, line, "values of a record", &got()));
    }
    let mut files = BTreeMap::new();
    for (name, sha256) in named {
        let beside = !name.contains('/') && name != ".";
        match sha256.text().filter(|text| is_sha256(text) && beside) {
            Some(sha256) => files.insert(name.clone(), sha256.to_owned()),
            None => {
                return Err(damaged(
                    path,
                    line,
                    "names of files beside it and their sha256",
                    &format!("{name}: {sha256:?}"),
                ));
            }
        };
    }
    Ok(Record { kind: kind.to_owned(), files, before: before.to_owned(), head: sha256_of(data) })
}

fn damaged(path: &Path, line: usize, expected: &str, got: &str) -> EvidenceError {
    let folder = path.parent().unwrap_or(path);
    let release = file_name(folder);
    let what = format!("the evidence of release {} does not verify at line {line} of {FILE}", short(&release));
    EvidenceError::new(Fault::Evidence, what)
        .expected(expected)
        .got(got)
        .next(format!("restore {} from a backup, or submit the study again into an empty folder", folder.display()))
}

fn check_file(path: &Path, sha256: &str) -> Result<Vec<u8>, EvidenceError> {
    let got = match fs::read(path) {
        Ok(data) => match sha256_of(&data) {
            found if found == sha256 => return Ok(data),
            found => format!("sha256 {}", short(&found)),
        },
        Err(_) => "no file that can be read".to_owned(),
    };
    let folder = path.parent().unwrap_or(path);
    let (name, release) = (file_name(path), file_name(folder));
    let what = format!("{name} of the evidence of release {} is not what was recorded", short(&release));
    Err(EvidenceError::new(Fault::Evidence, what)
        .expected(format!("sha256 {}", short(sha256)))
        .got(got)
        .next(format!("restore {} from a backup", folder.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_where_python_ends_them() {
        let split = |data: &'static [u8]| lines(data).collect::<Vec<_>>();
        assert_eq!(split(b"a\nb\r\nc\rd\n"), [b"a", b"b", b"c", b"d"]);
        assert_eq!(split(b"\n\n"), [b"", b""]);
        assert!(split(b"").is_empty());
    }
}
