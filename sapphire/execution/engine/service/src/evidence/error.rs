//! Refusals of admission: what went wrong, what was expected, what came, what to do next.

use std::fmt;

const SHORT: usize = 12;

/// What kind of refusal it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No release there, or another one, or its manifest cannot be read.
    Release,
    /// A file of the release is missing, changed or foreign.
    Files,
    /// A limit of its own that the gate does not have, or that cannot be meant.
    Limits,
    /// No evidence of it.
    NoEvidence,
    /// The record of its evidence, or a file of it, does not verify.
    Evidence,
    /// No report for the stage.
    NoReport,
    /// No key to verify with.
    Key,
    /// The signature does not verify.
    Signature,
    /// The report says what its numbers do not, or is of another release, key or place in the record.
    Report,
    /// The report does not open the stage: another policy, a measure that is missing, no authority, of the future.
    NotPermitted,
    /// The list of revocations, or what is known of how far the record had come, does not verify.
    Lists,
    /// The permit is no more: refused later, revoked, or past its end.
    Closed,
}

/// Why a release is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvidenceError {
    /// The kind.
    pub fault: Fault,
    /// The release's name, where its manifest could be read.
    pub name: Option<Box<str>>,
    /// What went wrong, one line.
    pub what: Box<str>,
    /// What would have been right.
    pub expected: Box<str>,
    /// What came instead.
    pub got: Box<str>,
    /// What the reader can do now.
    pub next: Box<str>,
}

impl EvidenceError {
    pub(super) fn new(fault: Fault, what: impl Into<Box<str>>) -> Self {
        let (name, expected, got, next) = (None, Box::default(), Box::default(), Box::default());
        Self { fault, name, what: what.into(), expected, got, next }
    }

    pub(super) fn expected(self, expected: impl Into<Box<str>>) -> Self {
        Self { expected: expected.into(), ..self }
    }

    pub(super) fn got(self, got: impl Into<Box<str>>) -> Self {
        Self { got: got.into(), ..self }
    }

    pub(super) fn next(self, next: impl Into<Box<str>>) -> Self {
        Self { next: next.into(), ..self }
    }

    pub(super) fn of(self, name: &str) -> Self {
        Self { name: Some(name.into()), ..self }
    }
}

impl std::error::Error for EvidenceError {}

impl fmt::Display for EvidenceError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.what)?;
        let lines = [("expected:", &self.expected), ("got:", &self.got), ("next:", &self.next)];
        lines.into_iter().filter(|(_, text)| !text.is_empty()).try_for_each(|(label, text)| {
            let text = text.replace('\n', "\n            ");
            write!(out, "\n  {label:<10}{text}")
        })
    }
}

/// A value that is of another form than it should be; who reads it says of what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BadValue {
    pub(super) what: String,
    pub(super) expected: String,
    pub(super) got: String,
}

impl BadValue {
    pub(super) fn new(what: impl Into<String>, expected: impl Into<String>, got: impl Into<String>) -> Self {
        Self { what: what.into(), expected: expected.into(), got: got.into() }
    }

    pub(super) fn refuse(self, fault: Fault) -> EvidenceError {
        EvidenceError::new(fault, self.what).expected(self.expected).got(self.got)
    }
}

/// The first digits of a digest.
pub(super) fn short(digest: &str) -> &str {
    digest.get(..SHORT).unwrap_or(digest)
}
