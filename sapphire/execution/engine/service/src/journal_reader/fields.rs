//! What stands in rows: names and numbers as every reader takes them.

use sapphire_core::instrument::Side;
use sapphire_core::venue::TimeInForce;
use serde_json::{Map, Value};

use crate::fold::Fold;

/// What is held at the end, atoms by asset.
pub(super) fn holdings(fold: &Fold) -> Map<String, Value> {
    let (ledger, run) = (fold.engine().ledger(), fold.run());
    let positions = ledger.positions().iter().zip(&run.instruments);
    let mut held: Map<String, Value> =
        positions.map(|(position, listing)| (listing.base.clone(), position.atoms.to_string().into())).collect();
    held.insert(run.quote.clone(), ledger.cash_atoms().to_string().into());
    held
}

pub(super) fn side(side: Side) -> &'static str {
    match side {
        Side::Buy => "BUY",
        Side::Sell => "SELL",
    }
}

/// As Binance and our messages name them.
pub(super) fn time_in_force(time_in_force: TimeInForce) -> &'static str {
    match time_in_force {
        TimeInForce::GoodTillCancel => "GTC",
        TimeInForce::ImmediateOrCancel => "IOC",
        TimeInForce::FillOrKill => "FOK",
        TimeInForce::PostOnly => "GTX",
    }
}

/// Numbers of money and of time become text, by the unit in their names.
pub(super) fn money_as_text(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let is_wide =
                |key: &str| ["_atoms", "_ns", "_lots", "_ticks", "fee_rate"].iter().any(|unit| key.ends_with(unit));
            let fields = fields.into_iter().map(|(key, value)| match value {
                Value::Number(number) if is_wide(&key) => (key, number.to_string().into()),
                other => (key, money_as_text(other)),
            });
            Value::Object(fields.collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(money_as_text).collect()),
        other => other,
    }
}
