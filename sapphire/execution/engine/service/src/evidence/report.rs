//! Gate reports, as `sapphire.domain.evidence` reads them: no field is trusted that the numbers do not bear out.
//!
//! Invariant: each row's verdict is made again from its need and its value, and the permission from the rows; a report
//! that says anything else, or anything more, is refused.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use super::Stage;
use super::canonical::{Map, Value, read_canonical};
use super::error::{BadValue, EvidenceError, Fault, short};
use super::is_sha256;

const FORMAT: &str = "GATES@2";
const EDGE_GATES: [&str; 2] = ["skill", "cost"];
const KEYS: [&str; 20] = [
    "authority",
    "data",
    "engine_version",
    "evidence_digest",
    "format",
    "issued_ns",
    "ledger_head",
    "manifest_digest",
    "name",
    "permits",
    "policy_digest",
    "record_head",
    "revocations",
    "rows",
    "sequence",
    "signer",
    "skill_failed",
    "target",
    "trials",
    "valid_until_ns",
];
const ROW_KEYS: [&str; 7] = ["gate", "measure", "needs", "note", "passed", "refuses", "value"];

/// What a laptop's key proves.
pub(super) const LAPTOP_KEY: &str = "laptop key file: proves integrity, not authority";
/// What the promoter's proves.
pub(super) const PROMOTER_IDENTITY: &str = "promoter identity";

/// What of a report admission needs.
#[derive(Clone, Debug)]
pub(super) struct GateReport {
    pub(super) name: String,
    pub(super) manifest_digest: String,
    pub(super) policy_digest: String,
    pub(super) record_head: String,
    pub(super) signer: String,
    pub(super) authority: String,
    pub(super) target: Stage,
    pub(super) sequence: i64,
    pub(super) issued_ns: i64,
    pub(super) valid_until_ns: i64,
    pub(super) revocations: i64,
    /// Whether every row that refuses has passed.
    pub(super) permits: bool,
    pub(super) skill_failed: bool,
    /// The measures, `integrity.captured_source`, that passed, and those that did not.
    pub(super) passed: BTreeSet<String>,
    pub(super) failed: BTreeSet<String>,
}

impl GateReport {
    /// The report whose canonical JSON is `data`.
    pub(super) fn parse(data: &[u8]) -> Result<Self, EvidenceError> {
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
        let (name, target) = (&report.name, report.target.as_str());
        let permits = if report.permits { target } else { "None" };
        Err(EvidenceError::new(Fault::Report, format!("the gate report of {name} says what its numbers do not"))
            .expected(format!("permits {permits}, skill_failed {}, and each row's own verdict", report.skill_failed))
            .got(wrong.join("\n"))
            .next(format!("sapphire gates {} --to {target} makes a report again", short(&report.manifest_digest))))
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
    for key in ["evidence_digest", "ledger_head"] {
        digest(key)?;
    }
    let (manifest_digest, policy_digest) = (digest("manifest_digest")?, digest("policy_digest")?);
    let (record_head, signer) = (digest("record_head")?, digest("signer")?);
    let name = word("name")?;
    for key in ["data", "engine_version"] {
        word(key)?;
    }
    let target = text("target", &|text| Stage::named(text).is_some(), "paper or live")?;
    let target = Stage::named(&target).unwrap_or(Stage::Paper);
    let authorities = [LAPTOP_KEY, PROMOTER_IDENTITY];
    let authority = text("authority", &|text| authorities.contains(&text), &authorities.join(" or "))?;
    let count = |key: &str, least: i64| {
        let value = field(key)?;
        let found = if let Value::Number(number) = value { number.whole() } else { None };
        let expected = format!("a whole number from {least} to {}", i64::MAX);
        let what = format!("{key} of a gate report");
        found.filter(|count| *count >= least).ok_or_else(|| BadValue::new(what, expected, format!("{value:?}")))
    };
    count("trials", 1)?;
    let (sequence, issued_ns, revocations) = (count("sequence", 1)?, count("issued_ns", 0)?, count("revocations", 0)?);
    let valid_until_ns = count("valid_until_ns", issued_ns.saturating_add(1))?;
    let [passed, failed] = [true, false]
        .map(|passed| rows.iter().filter(|row| row.passed == passed).map(Row::name).collect::<BTreeSet<_>>());
    if passed.len() + failed.len() < rows.len() || !passed.is_disjoint(&failed) {
        let what = "a gate report answers a measure twice";
        return Err(BadValue::new(what, "each measure once", format!("{} rows", rows.len())));
    }
    if !rows.iter().any(|row| row.refuses) {
        return Err(BadValue::new("a gate report that could refuse nothing", "at least one gate", "none"));
    }
    let permits = rows.iter().filter(|row| row.refuses).all(|row| row.passed);
    let skill_failed = rows.iter().any(|row| EDGE_GATES.contains(&row.gate.as_str()) && !row.passed);

    let wrong = unfounded(map, &rows, permits.then_some(target), skill_failed);
    let report = GateReport {
        name,
        manifest_digest,
        policy_digest,
        record_head,
        signer,
        authority,
        target,
        sequence,
        issued_ns,
        valid_until_ns,
        revocations,
        permits,
        skill_failed,
        passed,
        failed,
    };
    Ok((report, wrong))
}

/// What a report says that its rows do not bear out.
fn unfounded(map: &Map, rows: &[Row], permits: Option<Stage>, skill_failed: bool) -> Vec<String> {
    let mut wrong: Vec<_> = map.keys().filter(|key| !KEYS.contains(&key.as_str())).cloned().collect();
    let stated = permits.map_or(Value::Null, |target| Value::Text(target.as_str().to_owned()));
    for (key, expected) in [("permits", stated), ("skill_failed", Value::Bool(skill_failed))] {
        if map.get(key) != Some(&expected) {
            wrong.push(format!("{key} {:?}", map.get(key)));
        }
    }
    for (place, row) in rows.iter().enumerate() {
        wrong.extend(row.wrong.iter().map(|each| format!("row {place} ({}): {each}", row.measure)));
    }
    wrong
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
    fn name(&self) -> String {
        format!("{}.{}", self.gate, self.measure)
    }

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
