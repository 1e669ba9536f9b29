//! Gate reports, as `sapphire.domain.evidence` reads them: no field is trusted that the numbers do not bear out.
//!
//! Invariant: each row's verdict is made again from its need and its value, and the permission from the rows; a report
//! that says anything else, or anything more, is refused.

use std::cmp::Ordering;

use super::Stage;
use super::canonical::{Map, Value, read_canonical};
use super::error::{BadValue, EvidenceError, Fault, short};
use super::is_sha256;
use super::key::TrustedKey;

const FORMAT: &str = "GATES@1";
const AUTHORITIES: [&str; 2] = ["laptop key file: proves integrity, not authority", "promoter identity"];
const EDGE_GATES: [&str; 2] = ["skill", "cost"];
const KEYS: [&str; 14] = [
    "authority",
    "data",
    "engine_version",
    "evidence_digest",
    "format",
    "ledger_head",
    "manifest_digest",
    "name",
    "permits",
    "policy_digest",
    "rows",
    "signer",
    "skill_failed",
    "target",
];
const ROW_KEYS: [&str; 7] = ["gate", "measure", "needs", "note", "passed", "refuses", "value"];

/// A gate report as it was signed.
pub(super) struct SignedReport {
    pub(super) data: Vec<u8>,
    pub(super) signature: Vec<u8>,
}

/// What of a report the door needs.
#[derive(Debug)]
pub(super) struct GateReport {
    name: String,
    manifest_digest: String,
    target: String,
    signer: String,
    permits: bool,
    skill_failed: bool,
}

impl SignedReport {
    /// The report, if it was signed by this key, is of this release and opens this target.
    pub(super) fn verify(&self, key: &TrustedKey, digest: &str, target: Stage) -> Result<GateReport, EvidenceError> {
        key.check(&self.data, &self.signature)?;
        let report = GateReport::parse(&self.data)?;
        report.same("the key that signs", &key.id(), &report.signer)?;
        report.same("the release", digest, &report.manifest_digest)?;
        let target = target.as_str();
        if report.permits && report.target == target {
            return Ok(report);
        }
        let permits = if report.permits { report.target.as_str() } else { "nothing" };
        let what = format!("the gate report of {} does not permit {target}", report.name);
        Err(EvidenceError::new(Fault::NotPermitted, what)
            .expected(format!("permits {target}"))
            .got(format!("permits {permits} (asked for {})", report.target))
            .next(format!("sapphire gates {} --to {target}", short(&report.manifest_digest))))
    }
}

impl GateReport {
    pub(super) fn skill_failed(&self) -> bool {
        self.skill_failed
    }

    /// The report whose canonical JSON is `data`.
    fn parse(data: &[u8]) -> Result<Self, EvidenceError> {
        let refused = |error: BadValue| error.refuse(Fault::Report);
        let value = read_canonical(data, "gate report").map_err(refused)?;
        let format = value.map().and_then(|map| map.get("format")).and_then(Value::text);
        let Some(map) = value.map().filter(|_| format == Some(FORMAT)) else {
            return Err(refused(BadValue::new(
                "not a gate report",
                format!("format {FORMAT}"),
                format.unwrap_or("another"),
            )));
        };
        let (report, wrong) = read(map).map_err(refused)?;
        if wrong.is_empty() {
            return Ok(report);
        }
        let (name, target) = (&report.name, &report.target);
        let permits = if report.permits { target } else { "None" };
        Err(EvidenceError::new(Fault::Report, format!("the gate report of {name} says what its numbers do not"))
            .expected(format!("permits {permits}, skill_failed {}, and each row's own verdict", report.skill_failed))
            .got(wrong.join("\n"))
            .next(format!("sapphire gates {} --to {target} makes a report again", short(&report.manifest_digest))))
    }

    fn same(&self, what: &str, expected: &str, got: &str) -> Result<(), EvidenceError> {
        if expected == got {
            return Ok(());
        }
        let refused = format!("the gate report of {} is of another: {what} differs", self.name);
        Err(EvidenceError::new(Fault::Report, refused)
            .expected(short(expected))
            .got(short(got))
            .next(format!("sapphire gates RELEASE --to {} makes a report of what is there now", self.target)))
    }
}

/// The report, and what in it its own numbers do not bear out.
fn read(map: &Map) -> Result<(GateReport, Vec<String>), BadValue> {
    let field =
        |key: &str| map.get(key).ok_or_else(|| BadValue::new(format!("gate report lacks {key}"), KEYS.join(", "), ""));
    let rows = field("rows")?.list().unwrap_or_default();
    let rows = rows.iter().map(Row::read).collect::<Result<Vec<_>, _>>()?;
    let text = |key: &str, fits: &dyn Fn(&str) -> bool, expected: &str| {
        let value = field(key)?;
        let found = value.text().filter(|text| fits(text)).map(str::to_owned);
        found.ok_or_else(|| BadValue::new(format!("{key} of a gate report"), expected, format!("{value:?}")))
    };
    let digest = |key: &str| text(key, &is_sha256, "64 hexadecimal digits");
    let word = |key: &str| text(key, &|text| !text.is_empty(), "text");
    let (manifest_digest, signer) = (digest("manifest_digest")?, digest("signer")?);
    for key in ["policy_digest", "evidence_digest", "ledger_head"] {
        digest(key)?;
    }
    let name = word("name")?;
    for key in ["data", "engine_version"] {
        word(key)?;
    }
    let target = text("target", &|text| text == "paper" || text == "live", "paper or live")?;
    text("authority", &|text| AUTHORITIES.contains(&text), &AUTHORITIES.join(" or "))?;
    if !rows.iter().any(|row| row.refuses) {
        return Err(BadValue::new("a gate report that could refuse nothing", "at least one gate", "none"));
    }
    let permits = rows.iter().filter(|row| row.refuses).all(|row| row.passed);
    let skill_failed = rows.iter().any(|row| EDGE_GATES.contains(&row.gate.as_str()) && !row.passed);

    let mut wrong: Vec<_> = map.keys().filter(|key| !KEYS.contains(&key.as_str())).cloned().collect();
    let stated = if permits { Value::Text(target.clone()) } else { Value::Null };
    for (key, expected) in [("permits", stated), ("skill_failed", Value::Bool(skill_failed))] {
        if map.get(key) != Some(&expected) {
            wrong.push(format!("{key} {:?}", map.get(key)));
        }
    }
    for (place, row) in rows.iter().enumerate() {
        wrong.extend(row.wrong.iter().map(|each| format!("row {place} ({}): {each}", row.measure)));
    }
    Ok((GateReport { name, manifest_digest, target, signer, permits, skill_failed }, wrong))
}

/// One measure of one gate, judged again.
struct Row {
    gate: String,
    measure: String,
    refuses: bool,
    passed: bool,
    /// What it says beyond its numbers.
    wrong: Vec<String>,
}

impl Row {
    fn read(value: &Value) -> Result<Self, BadValue> {
        let Some(map) = value.map() else {
            return Err(BadValue::new("a row of a gate report", "an object", format!("{value:?}")));
        };
        for key in ROW_KEYS.into_iter().filter(|key| *key != "passed") {
            if !map.contains_key(key) {
                return Err(BadValue::new(format!("row of a gate report lacks {key}"), ROW_KEYS.join(", "), ""));
            }
        }
        let word = |key: &str| {
            let found = map[key].text().filter(|text| !text.is_empty()).map(str::to_owned);
            let [gate, measure] = ["gate", "measure"].map(|key| map[key].text().unwrap_or("?"));
            let what = format!("row {gate}.{measure} of a gate report");
            found.ok_or_else(|| BadValue::new(what, format!("a {key}"), format!("{:?}", map[key])))
        };
        let (gate, measure) = (word("gate")?, word("measure")?);
        let here = format!("row {gate}.{measure}");
        let (needs, value) = (&map["needs"], &map["value"]);
        if !is_need(needs) {
            let expected = "true, false, a word, or one of {min: x}, {max: x}, {above: x}";
            return Err(BadValue::new(format!("need of {here}"), expected, format!("{needs:?}")));
        }
        if matches!(value, Value::List(_) | Value::Map(_)) {
            let expected = "a finite number, a word, a truth value or None";
            return Err(BadValue::new(format!("value of {here}"), expected, format!("{value:?}")));
        }
        let (Value::Bool(refuses), Value::Text(_)) = (&map["refuses"], &map["note"]) else {
            let expected = "refuses true or false, a note";
            return Err(BadValue::new(format!("{here} of a gate report"), expected, format!("{map:?}")));
        };
        let passed = meets(needs, value);
        let mut wrong: Vec<_> = map.keys().filter(|key| !ROW_KEYS.contains(&key.as_str())).cloned().collect();
        if map.get("passed") != Some(&Value::Bool(passed)) {
            wrong.push(format!("passed {:?}", map.get("passed")));
        }
        Ok(Self { gate, measure, refuses: *refuses, passed, wrong })
    }
}

fn is_need(needs: &Value) -> bool {
    match needs {
        Value::Bool(_) | Value::Text(_) => true,
        Value::Map(map) => {
            let bound = |key: &str| matches!(key, "min" | "max" | "above");
            map.len() == 1 && map.iter().all(|(key, limit)| bound(key) && matches!(limit, Value::Number(_)))
        }
        _ => false,
    }
}

/// Whether `value` is what the gate needs; nothing measured meets nothing.
fn meets(needs: &Value, value: &Value) -> bool {
    match (needs, value) {
        (Value::Bool(needs), Value::Bool(value)) => needs == value,
        (Value::Text(needs), Value::Text(value)) => needs == value,
        (Value::Map(bounds), Value::Number(value)) => bounds.iter().all(|(bound, limit)| {
            let Value::Number(limit) = limit else { return false };
            value.compare(limit).is_some_and(|order| match bound.as_str() {
                "min" => order != Ordering::Less,
                "max" => order != Ordering::Greater,
                _ => order == Ordering::Greater,
            })
        }),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Value {
        read_canonical(text.as_bytes(), "it").unwrap()
    }

    #[test]
    fn nothing_measured_meets_nothing_and_kinds_are_kept_apart() {
        let meets = |needs: &str, has: &str| meets(&value(needs), &value(has));
        assert!(meets(r#"{"min":0.95}"#, "0.95") && !meets(r#"{"min":0.95}"#, "0.41"));
        assert!(meets(r#"{"max":20}"#, "20.0") && !meets(r#"{"above":0.0}"#, "0"));
        assert!(meets(r#""pass""#, r#""pass""#) && meets("true", "true"));
        assert!(!meets("true", "null") && !meets("true", "1") && !meets(r#"{"min":0}"#, "true"));
    }

    #[test]
    fn a_need_is_a_truth_value_a_word_or_one_bound() {
        for needs in ["true", r#""pass""#, r#"{"min":1}"#, r#"{"above":-0.5}"#] {
            assert!(is_need(&value(needs)), "{needs}");
        }
        for needs in ["null", "1", "{}", r#"{"least":1}"#, r#"{"min":true}"#, r#"{"max":2,"min":1}"#, "[]"] {
            assert!(!is_need(&value(needs)), "{needs}");
        }
    }
}
