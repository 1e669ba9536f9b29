//! Manifest: everything that decides, named by its sha256, as `sapphire.domain.releases` reads it.
//!
//! Invariant: a key that is missing or unknown, a value of another form and another format are refused.

use std::collections::BTreeSet;

use super::canonical::{Map, Value, read_canonical};
use super::error::{BadValue, EvidenceError, Fault};
use super::is_sha256;

/// Name of the manifest in the release's folder.
pub(super) const MANIFEST_FILE: &str = "manifest.json";

const FORMAT: &str = "RELEASE@2";
/// Where an agent has prompts or asks models.
const FORMAT_3: &str = "RELEASE@3";
const MAX_NAME: usize = 63;
const KEYS: [&str; 12] = [
    "agents",
    "engine_version",
    "execution",
    "format",
    "interval",
    "limits",
    "lock_sha256",
    "name",
    "pooling",
    "sizing",
    "universe",
    "when_views_stop",
];
const AGENT_KEYS: [&str; 15] = [
    "arrays_sha256",
    "calibration_sha256",
    "card_sha256",
    "class",
    "feature_version",
    "golden_inputs_sha256",
    "golden_outputs_sha256",
    "horizon_ns",
    "max_age_ns",
    "modules",
    "name",
    "parameters",
    "prompt_version",
    "source_sha256",
    "warmup",
];
const AGENT_KEYS_3: [&str; 17] = [
    "arrays_sha256",
    "artefacts",
    "calibration_sha256",
    "card_sha256",
    "class",
    "feature_version",
    "golden_inputs_sha256",
    "golden_outputs_sha256",
    "horizon_ns",
    "max_age_ns",
    "modules",
    "name",
    "parameters",
    "prompt_version",
    "prompts",
    "source_sha256",
    "warmup",
];
const ARTEFACT_KEYS: [&str; 9] =
    ["adapter", "dtype", "knowledge_cutoff", "licence", "published", "repository", "revision", "runtime", "sha256"];
const MAX_PROMPT_NAME: usize = 100;
const SIZING_KEYS: [&str; 3] = ["class", "parameters", "source_sha256"];
const MAX_STOP_BARS: i64 = 10_000;
const STOP_KEYS: [&str; 2] = ["hold_bars", "reduce_bars"];
const FILES: [(&str, &str); 6] = [
    ("source_sha256", "source.py"),
    ("arrays_sha256", "arrays.safetensors"),
    ("card_sha256", "card.json"),
    ("calibration_sha256", "calibration.safetensors"),
    ("golden_inputs_sha256", "golden_inputs.safetensors"),
    ("golden_outputs_sha256", "golden_outputs.json"),
];
const OPTIONAL: [&str; 2] = ["arrays_sha256", "calibration_sha256"];

/// What of a manifest admission needs.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Manifest {
    name: String,
    files: Vec<(String, String)>,
    limits: Map,
}

impl Manifest {
    /// The manifest whose canonical JSON is `data`.
    pub(super) fn parse(data: &[u8]) -> Result<Self, EvidenceError> {
        read(data).map_err(|error| error.refuse(Fault::Release))
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Path in the release's folder and sha256 of every file but the manifest.
    pub(super) fn files(&self) -> &[(String, String)] {
        &self.files
    }

    /// Its own limits, as they stand there.
    pub(super) fn limits(&self) -> &Map {
        &self.limits
    }
}

fn read(data: &[u8]) -> Result<Manifest, BadValue> {
    let value = read_canonical(data, MANIFEST_FILE)?;
    let map = entries(MANIFEST_FILE, &value, &KEYS)?;
    let third = match map["format"].text() {
        Some(FORMAT) => false,
        Some(FORMAT_3) => true,
        _ => {
            let expected = format!("{FORMAT} or {FORMAT_3}");
            return Err(bad(format!("{MANIFEST_FILE} has another format"), &expected, &map["format"]));
        }
    };
    let universe = items("universe", &map["universe"])?;
    let agents = items("agents", &map["agents"])?;
    let mut files = Vec::new();
    let mut names = Vec::new();
    for (place, agent) in agents.iter().enumerate() {
        let (name, its) = read_agent(place, agent, third)?;
        names.push(Value::Text(name));
        files.extend(its);
    }
    let sizing = entries(&format!("sizing in {MANIFEST_FILE}"), &map["sizing"], &SIZING_KEYS)?;
    let of_sizing = "sizing of a release";
    check_text(of_sizing, "class", &sizing["class"])?;
    mapping(of_sizing, "parameters", &sizing["parameters"])?;
    check_sha256(of_sizing, "source_sha256", &sizing["source_sha256"], false)?;

    let name = read_name("release", "", &map["name"])?;
    let here = format!("release '{name}'");
    check_distinct(&here, "universe", universe)?;
    check_distinct(&here, "agents", &names)?;
    check_text(&here, "interval", &map["interval"])?;
    check_text(&here, "engine_version", &map["engine_version"])?;
    check_sha256(&here, "lock_sha256", &map["lock_sha256"], false)?;
    if (map["pooling"] == Value::Null) != (agents.len() == 1) {
        let expected = "how the agents are pooled where there are several, None where there is one";
        return Err(bad(format!("pooling of {here}"), expected, &map["pooling"]));
    }
    if map["pooling"] != Value::Null {
        mapping(&here, "pooling", &map["pooling"])?;
    }
    mapping(&here, "execution", &map["execution"])?;
    let stop = entries("the rule for views that stop", &map["when_views_stop"], &STOP_KEYS)?;
    for key in STOP_KEYS {
        let bars = if let Value::Number(number) = &stop[key] { number.whole() } else { None };
        if !bars.is_some_and(|bars| (0..=MAX_STOP_BARS).contains(&bars)) {
            let what = format!("{key} of the rule for views that stop");
            return Err(bad(what, "a whole number of bars, 0 to 10000", &stop[key]));
        }
    }
    let limits = mapping(&here, "limits", &map["limits"])?.clone();
    Ok(Manifest { name, files, limits })
}

/// An agent's name and its files.
fn read_agent(place: usize, value: &Value, third: bool) -> Result<(String, Vec<(String, String)>), BadValue> {
    let keys: &[&str] = if third { &AGENT_KEYS_3 } else { &AGENT_KEYS };
    let map = entries(&format!("agent {place} in {MANIFEST_FILE}"), value, keys)?;
    let name = read_name("agent", " of a release", &map["name"])?;
    let here = format!("agent '{name}' of a release");
    mapping(&here, "parameters", &map["parameters"])?;
    if !map["class"].text().is_some_and(is_identifier) {
        return Err(bad(format!("class of {here}"), "the name of a class", &map["class"]));
    }
    for (key, _) in FILES {
        check_sha256(&here, key, &map[key], OPTIONAL.contains(&key))?;
    }
    check_text(&here, "feature_version", &map["feature_version"])?;
    if map["prompt_version"] != Value::Null {
        check_text(&here, "prompt_version", &map["prompt_version"])?;
    }
    for key in ["horizon_ns", "warmup", "max_age_ns"] {
        if !matches!(&map[key], Value::Number(number) if number.is_count()) {
            return Err(bad(format!("{key} of {here}"), "a whole number above zero", &map[key]));
        }
    }
    let file = |(key, file): (&str, &str)| Some((format!("agents/{name}/{file}"), map[key].text()?.to_owned()));
    let mut files: Vec<_> = FILES.into_iter().filter_map(file).collect();
    for (path, digest) in mapping(&here, "modules", &map["modules"])? {
        if !is_module(path) {
            let expected = "a path by packages, desk/averages.py";
            return Err(bad(format!("module of {here}"), expected, &Value::Text(path.clone())));
        }
        check_sha256(&here, &format!("module {path}"), digest, false)?;
        files.push((format!("agents/{name}/modules/{path}"), digest.text().unwrap_or_default().to_owned()));
    }
    if third {
        for (file, digest) in mapping(&here, "prompts", &map["prompts"])? {
            if !is_prompt(file) {
                let expected = "a file's name, qwen-1.md";
                return Err(bad(format!("prompt of {here}"), expected, &Value::Text(file.clone())));
            }
            check_sha256(&here, &format!("prompt {file}"), digest, false)?;
            files.push((format!("agents/{name}/prompts/{file}"), digest.text().unwrap_or_default().to_owned()));
        }
        for artefact in items(&format!("artefacts of {here}"), &map["artefacts"])? {
            let named = entries(&format!("an artefact of {here}"), artefact, &ARTEFACT_KEYS)?;
            check_sha256(&here, "sha256 of an artefact", &named["sha256"], false)?;
            check_text(&here, "repository of an artefact", &named["repository"])?;
        }
    }
    Ok((name, files))
}

/// Whether `name` is that of a file in the folder of prompts, and nothing that leads out of it.
fn is_prompt(name: &str) -> bool {
    let first = name.chars().next().is_some_and(|letter| letter.is_ascii_alphanumeric());
    let rest = name.chars().all(|letter| letter.is_ascii_alphanumeric() || "._-".contains(letter));
    first && rest && name.len() <= MAX_PROMPT_NAME
}

/// Whether `path` is that of a module by its packages: nothing that leads out of the release's folder.
fn is_module(path: &str) -> bool {
    path.strip_suffix(".py").is_some_and(|names| names.split('/').all(is_identifier))
}

/// `value` as a map with exactly these keys, which are sorted.
fn entries<'a>(here: &str, value: &'a Value, keys: &[&str]) -> Result<&'a Map, BadValue> {
    let Some(map) = value.map() else {
        return Err(bad(format!("{here} is not an object"), &keys.join(", "), value));
    };
    let missing = keys.iter().filter(|key| !map.contains_key(**key)).map(|key| format!("no {key}"));
    let unknown = map.keys().filter(|key| !keys.contains(&key.as_str())).map(|key| format!("unknown {key}"));
    let wrong: Vec<_> = missing.chain(unknown).collect();
    if wrong.is_empty() {
        return Ok(map);
    }
    Err(BadValue::new(format!("{here} has other keys"), keys.join(", "), wrong.join(", ")))
}

fn items<'a>(here: &str, value: &'a Value) -> Result<&'a [Value], BadValue> {
    value.list().ok_or_else(|| bad(format!("{here} in {MANIFEST_FILE}"), "a list", value))
}

fn mapping<'a>(here: &str, key: &str, value: &'a Value) -> Result<&'a Map, BadValue> {
    value.map().ok_or_else(|| bad(format!("{key} of {here}"), "a mapping", value))
}

fn read_name(kind: &str, ending: &str, value: &Value) -> Result<String, BadValue> {
    let fits = |name: &str| {
        let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let words = name.split(['-', '_']).all(|word| !word.is_empty() && word.bytes().all(letters));
        name.len() <= MAX_NAME && words
    };
    value.text().filter(|name| fits(name)).map(str::to_owned).ok_or_else(|| {
        let expected = format!("1 to {MAX_NAME} small letters and digits, words joined by - or _");
        bad(format!("name of {kind} '{}'{ending}", value.text().unwrap_or("?")), &expected, value)
    })
}

fn check_distinct(here: &str, key: &str, values: &[Value]) -> Result<(), BadValue> {
    let names: BTreeSet<_> = values.iter().filter_map(Value::text).filter(|text| !text.is_empty()).collect();
    if !values.is_empty() && names.len() == values.len() {
        return Ok(());
    }
    Err(BadValue::new(format!("{key} of {here}"), "one or more names, each once", format!("{values:?}")))
}

fn check_text(here: &str, key: &str, value: &Value) -> Result<(), BadValue> {
    match value.text() {
        Some(text) if !text.is_empty() => Ok(()),
        _ => Err(bad(format!("{key} of {here}"), "text", value)),
    }
}

fn check_sha256(here: &str, key: &str, value: &Value, optional: bool) -> Result<(), BadValue> {
    if value.text().is_some_and(is_sha256) || (optional && *value == Value::Null) {
        return Ok(());
    }
    Err(bad(format!("{key} of {here}"), "64 hexadecimal digits", value))
}

fn is_identifier(text: &str) -> bool {
    let letter = |each: char| each == '_' || each.is_alphabetic();
    text.starts_with(letter) && text.chars().all(|each| letter(each) || each.is_numeric())
}

fn bad(what: String, expected: &str, got: &Value) -> BadValue {
    BadValue::new(what, expected, format!("{got:?}"))
}
