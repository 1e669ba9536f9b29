//! What an order is worth, and whether that is within an instrument's bounds and a limit set's bounds: arithmetic.

use super::{AccountView, Denial, DenialCode, Exposure, Level, LimitSet};
use crate::amounts::{Atoms, MAX_ATOMS, is_holdable};
use crate::instrument::{Instrument, Side};
use crate::orders::Order;

/// The value of an order that is within the instrument's bounds and leaves what an account can hold.
pub(super) fn bounds(order: &Order, instrument: &Instrument, account: &AccountView) -> Result<Atoms, Denial> {
    let within = |code, value: Atoms, least: Atoms, most: Atoms| match value {
        value if value < least => Err(Denial::order(code, value, least)),
        value if value > most => Err(Denial::order(code, value, most)),
        _ => Ok(()),
    };
    let (ticks, lots, base) = (order.ticks.into(), order.lots.into(), instrument.base_atoms(order.lots));
    within(DenialCode::Price, ticks, instrument.min_ticks.into(), instrument.max_ticks.into())?;
    within(DenialCode::Quantity, lots, instrument.min_lots.into(), instrument.max_lots.into())?;
    let value = instrument.checked_notional(order.ticks, order.lots);
    let value = value.ok_or_else(|| Denial::order(DenialCode::Amount, base, MAX_ATOMS))?;
    let after = match order.side {
        Side::Buy => account.held_atoms + base,
        Side::Sell => account.cash_atoms + value,
    };
    if !is_holdable(after) {
        return Err(Denial::order(DenialCode::Amount, after, MAX_ATOMS));
    }
    within(DenialCode::MinNotional, value, instrument.min_notional_atoms, MAX_ATOMS)?;
    Ok(value)
}

/// What is held cannot be valued, for this reason.
pub(super) fn unvalued(code: DenialCode, level: Level, max_reference_age_ns: i64) -> Denial {
    let limit = if code == DenialCode::Amount { MAX_ATOMS } else { max_reference_age_ns.into() };
    Denial { code, level, value: 0, limit }
}

pub(super) fn size(
    limit_set: &LimitSet,
    level: Level,
    value: Atoms,
    side: Side,
    exposure: &Exposure,
) -> Result<(), Denial> {
    let check = |code, value: Atoms, limit: Option<Atoms>| match limit {
        Some(limit) if value > limit => Err(Denial { code, level, value, limit }),
        _ => Ok(()),
    };
    check(DenialCode::OrderNotional, value, limit_set.max_order_atoms)?;
    if side == Side::Buy
        && let Some(limit) = limit_set.max_exposure_atoms
    {
        let held = exposure.held_atoms.map_err(|code| Denial { code, level, value: 0, limit })?;
        check(DenialCode::Exposure, held + exposure.buying_atoms + value, Some(limit))?;
    }
    check(DenialCode::OpenOrders, exposure.buying_atoms + exposure.selling_atoms + value, limit_set.max_open_atoms)
}
