//! A release's own limits: the fields of a branch of the gate's tree, by their names.
//!
//! Invariant: a name that the gate does not have refuses the release; a limit that would not be held is none.

use sapphire_core::amounts::Atoms;
use sapphire_core::risk::{LimitSet, Limits};

use super::canonical::Value;
use super::error::{BadValue, EvidenceError, Fault};
use super::manifest::Manifest;

const NAMES: &str = "max_exposure_atoms, max_open_atoms, max_order_atoms, max_orders_per_minute, max_orders_per_second";

/// The branch that the manifest's limits make; none of them where it names none.
pub(super) fn read(manifest: &Manifest) -> Result<LimitSet, EvidenceError> {
    limit_set(manifest).map_err(|error| {
        error
            .refuse(Fault::Limits)
            .next("submit the study again with limits that the engine has; see core::risk::LimitSet")
    })
}

fn limit_set(manifest: &Manifest) -> Result<LimitSet, BadValue> {
    let mut limit_set = LimitSet::default();
    let name = manifest.name();
    for (key, value) in manifest.limits() {
        let here = format!("limit {key} of release {name}");
        match key.as_str() {
            "max_order_atoms" => limit_set.max_order_atoms = whole(&here, value)?,
            "max_exposure_atoms" => limit_set.max_exposure_atoms = whole(&here, value)?,
            "max_open_atoms" => limit_set.max_open_atoms = whole(&here, value)?,
            "max_orders_per_second" => limit_set.max_orders_per_second = rate(&here, value)?,
            "max_orders_per_minute" => limit_set.max_orders_per_minute = rate(&here, value)?,
            _ => {
                return Err(BadValue::new(
                    format!("release {name} has a limit that the gate does not have"),
                    NAMES,
                    key,
                ));
            }
        }
    }
    // the gate itself says which numbers can be meant
    match (Limits { account: limit_set, ..Limits::open(0, 0) }).fault() {
        Some(fault) => Err(BadValue::new(
            format!("a limit of release {name} cannot be meant"),
            "limits that the gate can hold",
            fault,
        )),
        None => Ok(limit_set),
    }
}

fn whole(here: &str, value: &Value) -> Result<Option<Atoms>, BadValue> {
    match value {
        Value::Null => Ok(None),
        Value::Number(number) if number.wide().is_some() => Ok(number.wide()),
        _ => Err(BadValue::new(here, "a whole number below 2^64, or null for none", format!("{value:?}"))),
    }
}

fn rate(here: &str, value: &Value) -> Result<Option<u32>, BadValue> {
    whole(here, value)?
        .map(u32::try_from)
        .transpose()
        .map_err(|_| BadValue::new(here, "a number of orders, 0 or more, or null for none", format!("{value:?}")))
}
