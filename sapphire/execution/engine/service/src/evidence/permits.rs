//! Whether a release may trade at a stage now, as `sapphire.domain.permits` decides it.
//!
//! Invariant: the answer is Python's for the same reports, trust, time and revocations;
//! `tests/reference/golden/permits.json` holds both to it.

use super::Stage;
use super::error::{EvidenceError, Fault, short};
use super::report::{GateReport, PROMOTER_IDENTITY};
use super::revocations::Revocations;
use super::trust::Trust;

/// How far this clock may be behind the signer's.
const CLOCK_SLACK_NS: i64 = 300_000_000_000;

/// A gate report as it stands in the record of a release.
#[derive(Clone, Debug)]
pub(super) struct RecordedReport {
    pub(super) data: Vec<u8>,
    pub(super) signature: Vec<u8>,
    /// sha256 of the line of the record before its own.
    pub(super) before: String,
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    /// The release's digest and name.
    pub(super) digest: &'a str,
    pub(super) name: &'a str,
    pub(super) stage: Stage,
    /// Wall time.
    pub(super) at_ns: i64,
}

/// The report that a release stands on; `reports` are all of its record, oldest first.
pub(super) fn permitted(
    reports: &[RecordedReport],
    trust: &Trust,
    asked: Asked<'_>,
    revocations: &Revocations,
) -> Result<GateReport, EvidenceError> {
    revocations.refuse(asked.digest, asked.name)?;
    check_order(reports, trust, asked.digest)?;
    let mut found = None;
    for recorded in reports.iter().rev() {
        let report = recorded.verify(trust, asked.digest)?;
        if report.revocations > revocations.sequence() {
            return Err(EvidenceError::new(Fault::Lists, "the list of revocations goes back")
                .expected(format!(
                    "the {} revocations that {}'s report knows of, or more",
                    report.revocations, report.name
                ))
                .got(revocations.sequence().to_string())
                .next("restore the list beside the trusted key, or that in the state folder"));
        }
        if !report.permits && closes(&report, asked.stage, trust) {
            return Err(found.unwrap_or_else(|| refused(&report, asked.stage)));
        }
        if report.permits && asked.stage.enough().contains(&report.target) {
            match check_open(&report, trust, asked) {
                Ok(()) => return Ok(report),
                Err(refusal) => found = found.or(Some(refusal)),
            }
        }
    }
    let (digest, stage) = (short(asked.digest), asked.stage.as_str());
    Err(found.unwrap_or_else(|| {
        EvidenceError::new(Fault::NoReport, format!("release {} {digest} has no gate report for {stage}", asked.name))
            .expected("a signed report that permits it")
            .got("none")
            .next(format!("sapphire gates {digest} --to {stage}"))
    }))
}

impl RecordedReport {
    /// The report, if the trusted key signed it, for this release, at this place of the record.
    fn verify(&self, trust: &Trust, digest: &str) -> Result<GateReport, EvidenceError> {
        trust.key.check(&self.data, &self.signature, "a gate report")?;
        let report = GateReport::parse(&self.data)?;
        for (what, expected, got) in [
            ("the key that signs", trust.key.id().as_str(), report.signer.as_str()),
            ("the authority of its key", &trust.authority, &report.authority),
            ("the release", digest, &report.manifest_digest),
            ("its place in the record", &self.before, &report.record_head),
        ] {
            if expected != got {
                return Err(differs(&report, what, expected, got));
            }
        }
        Ok(report)
    }
}

/// Refuse a report that does not open a stage now.
fn check_open(report: &GateReport, trust: &Trust, asked: Asked<'_>) -> Result<(), EvidenceError> {
    let target = report.target.as_str();
    let pinned = trust.policies.of(report.target);
    if !pinned.contains(&report.policy_digest) {
        let pinned: Vec<_> = pinned.iter().map(|digest| short(digest)).collect();
        return Err(differs(report, "the policy", &pinned.join(", "), &report.policy_digest));
    }
    let missing: Vec<_> = trust.required.of(report.target).difference(&report.passed).map(String::as_str).collect();
    if !missing.is_empty() {
        let what = format!("the gate report of {} does not show what {target} requires", report.name);
        return Err(EvidenceError::new(Fault::NotPermitted, what)
            .expected(format!("{} among the measures that passed", missing.join(", ")))
            .got("none of them")
            .next(format!("ask for it in mlflow/gates/{target}.yaml; {}", again(report))));
    }
    if asked.stage == Stage::Live && trust.authority != PROMOTER_IDENTITY {
        let what = format!("the gate report of {} has no authority to open live", report.name);
        return Err(EvidenceError::new(Fault::NotPermitted, what)
            .expected(format!("a report signed by the {PROMOTER_IDENTITY}"))
            .got(trust.authority.as_str())
            .next("live is opened by a deployment that names its promoter's key, as trust.key in the settings"));
    }
    if asked.at_ns >= report.valid_until_ns {
        let what = format!("the permit of {} for {target} has ended", report.name);
        return Err(EvidenceError::new(Fault::Closed, what)
            .expected(format!("a moment before {} ns", report.valid_until_ns))
            .got(format!("{} ns", asked.at_ns))
            .next(again(report)));
    }
    if report.issued_ns > asked.at_ns.saturating_add(CLOCK_SLACK_NS) {
        let what = format!("the gate report of {} is of the future", report.name);
        return Err(EvidenceError::new(Fault::NotPermitted, what)
            .expected(format!("a report made by {} ns", asked.at_ns))
            .got(format!("{} ns", report.issued_ns))
            .next("the clock of this machine"));
    }
    Ok(())
}

/// Whether a report that permits nothing closes what was permitted before at a stage.
fn closes(refusal: &GateReport, stage: Stage, trust: &Trust) -> bool {
    let every = refusal.target == Stage::Paper || stage == Stage::Live;
    every || !trust.required.of(stage).is_disjoint(&refusal.failed)
}

/// Refuse a record in which the numbers of the reports for a target do not rise; those by other keys have none.
fn check_order(reports: &[RecordedReport], trust: &Trust, digest: &str) -> Result<(), EvidenceError> {
    let mut last = [0, 0];
    for report in reports.iter().filter_map(|recorded| recorded.verify(trust, digest).ok()) {
        let before = std::mem::replace(&mut last[usize::from(report.target == Stage::Live)], report.sequence);
        if report.sequence <= before {
            let target = report.target.as_str();
            let what = format!("the gate reports of {} for {target} are out of order", report.name);
            return Err(EvidenceError::new(Fault::Report, what)
                .expected(format!("a number above {before}"))
                .got(report.sequence.to_string())
                .next("restore the evidence from a backup"));
        }
    }
    Ok(())
}

fn refused(report: &GateReport, stage: Stage) -> EvidenceError {
    let (stage, target) = (stage.as_str(), report.target.as_str());
    let failed: Vec<_> = report.failed.iter().map(String::as_str).collect();
    EvidenceError::new(Fault::Closed, format!("the gate report of {} does not permit {stage}", report.name))
        .expected(format!("permits {stage}"))
        .got(format!("permits nothing (asked for {target}; failed: {})", failed.join(", ")))
        .next(format!("sapphire gates {} --to {stage}", short(&report.manifest_digest)))
}

fn differs(report: &GateReport, what: &str, expected: &str, got: &str) -> EvidenceError {
    let brief = |text: &str| if super::is_sha256(text) { short(text).to_owned() } else { text.to_owned() };
    let target = report.target.as_str();
    EvidenceError::new(Fault::Report, format!("the gate report of {} is of another: {what} differs", report.name))
        .expected(brief(expected))
        .got(brief(got))
        .next(format!("sapphire gates RELEASE --to {target} makes a report of what is there now"))
}

fn again(report: &GateReport) -> String {
    let (digest, target) = (short(&report.manifest_digest), report.target.as_str());
    format!("sapphire gates {digest} --to {target} measures and signs again")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde::Deserialize;

    use super::*;
    use crate::evidence::key::{TrustedKey, from_hex};
    use crate::evidence::trust::PerStage;

    #[derive(Deserialize)]
    struct Vector {
        name: String,
        stage: Stage,
        at_ns: i64,
        release: String,
        trust: TrustOf,
        reports: Vec<ReportOf>,
        revocations: Vec<String>,
        admits: bool,
        closed: bool,
        why: Option<String>,
    }

    #[derive(Deserialize)]
    struct TrustOf {
        public_key: String,
        authority: String,
        policies: PerStage,
        required: PerStage,
    }

    #[derive(Deserialize)]
    struct ReportOf {
        report: String,
        signature: String,
        before: String,
    }

    fn verdict(vector: &Vector) -> Result<GateReport, EvidenceError> {
        let bytes = |text: &str| from_hex(text.as_bytes()).unwrap();
        let trust = &vector.trust;
        let trust = Trust {
            key: TrustedKey::of(bytes(&trust.public_key).try_into().unwrap()),
            authority: trust.authority.clone(),
            policies: trust.policies.clone(),
            required: trust.required.clone(),
        };
        let recorded = |each: &ReportOf| RecordedReport {
            data: each.report.clone().into_bytes(),
            signature: bytes(&each.signature),
            before: each.before.clone(),
        };
        let reports: Vec<_> = vector.reports.iter().map(recorded).collect();
        let lists = vector.revocations.iter().map(|list| Revocations::verified(list.as_bytes(), &trust.key));
        let revocations = Revocations::longest(&lists.collect::<Result<Vec<_>, _>>()?)?;
        let asked = Asked { digest: &vector.release, name: "trend", stage: vector.stage, at_ns: vector.at_ns };
        permitted(&reports, &trust, asked, &revocations)
    }

    #[test]
    fn each_golden_vector_has_the_verdict_that_python_gave() {
        let text = include_str!("../../../../../../tests/reference/golden/permits.json");
        let vectors: Vec<Vector> = serde_json::from_str(text).unwrap();
        for vector in &vectors {
            let (admits, why, closed) = match verdict(vector) {
                Ok(_) => (true, None, false),
                Err(error) => (false, Some(error.what.to_string()), error.fault == Fault::Closed),
            };
            assert_eq!((admits, why, closed), (vector.admits, vector.why.clone(), vector.closed), "{}", vector.name);
        }
        let verdicts: BTreeSet<_> = vectors.iter().map(|vector| (vector.admits, vector.closed)).collect();
        assert_eq!(verdicts.len(), 3, "admitted, closed and refused");
    }
}
