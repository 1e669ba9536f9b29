//! Numbers as people read them: ticks, lots and atoms with the asset that they are of.
//!
//! Invariant: exact, in plain digits; only zeros at the end are left out.

use sapphire_core::amounts::Atoms;
use sapphire_core::decimal::atoms_text;
use sapphire_core::instrument::{Asset, InstrumentId};
use sapphire_core::orders::Order;
use sapphire_core::risk::{Denial, DenialCode};

use crate::entry::{Listing, RunConfig};

const SECOND_NS: i64 = 1_000_000_000;

/// Names and steps of a run.
#[derive(Clone, Copy, Debug)]
pub struct Units<'a>(pub &'a RunConfig);

impl Units<'_> {
    /// "12345.6 USDT".
    #[must_use]
    pub fn quote(&self, atoms: Atoms) -> String {
        format!("{} {}", plain(atoms), self.0.quote)
    }

    /// "0.5 BTC".
    #[must_use]
    pub fn amount(&self, asset: Asset, atoms: Atoms) -> String {
        format!("{} {}", plain(atoms), self.0.asset_name(asset).unwrap_or("of an unknown asset"))
    }

    /// "0.5 BTC"; lots of what is not traded here stay lots.
    #[must_use]
    pub fn quantity(&self, instrument: InstrumentId, lots: impl Into<Atoms>) -> String {
        let lots = lots.into();
        match self.listing(instrument) {
            Some(listing) => format!("{} {}", plain(lots * Atoms::from(listing.lot_atoms)), listing.base),
            None => format!("{lots} lots"),
        }
    }

    /// "64250.1 USDT".
    #[must_use]
    pub fn price(&self, instrument: InstrumentId, ticks: impl Into<Atoms>) -> String {
        let ticks = ticks.into();
        match self.listing(instrument) {
            Some(listing) => self.quote(ticks * Atoms::from(listing.tick_atoms)),
            None => format!("{ticks} ticks"),
        }
    }

    /// Name of an instrument.
    #[must_use]
    pub fn symbol(&self, instrument: InstrumentId) -> &str {
        self.0.symbol(instrument).unwrap_or("an unknown symbol")
    }

    /// Why an order was refused, where in the tree, and the value that met the limit, in their unit:
    /// "EXPOSURE (account): 12345.67 USDT, limit 10000 USDT".
    #[must_use]
    pub fn denial(&self, order: &Order, denial: &Denial) -> String {
        let Denial { code, level, value, limit } = denial;
        let head = format!("{} ({})", code.text(), level.text());
        let instrument = order.instrument;
        let pair = |text: &dyn Fn(Atoms) -> String| format!("{head}: {}, limit {}", text(*value), text(*limit));
        match code {
            DenialCode::Halted | DenialCode::Reducing | DenialCode::Unknown | DenialCode::NoReference => head,
            DenialCode::Duplicate => format!("{head}: number {value}, the last one was {limit}"),
            DenialCode::LossLatch => format!("{head}: equity {}, floor {}", self.quote(*value), self.quote(*limit)),
            DenialCode::StaleReference => pair(&|ns| format!("{} old", seconds(ns))),
            DenialCode::Price | DenialCode::SelfTrade => pair(&|ticks| self.price(instrument, ticks)),
            DenialCode::Quantity | DenialCode::Oversell => pair(&|lots| self.quantity(instrument, lots)),
            DenialCode::Collar => pair(&|bps| format!("{bps} bps")),
            DenialCode::Amount => pair(&|atoms| format!("{} units", plain(atoms))),
            DenialCode::RateSecond | DenialCode::RateMinute => pair(&|orders| format!("{orders} orders")),
            DenialCode::MinNotional
            | DenialCode::InsufficientCash
            | DenialCode::OrderNotional
            | DenialCode::Exposure
            | DenialCode::OpenOrders => pair(&|atoms| self.quote(atoms)),
        }
    }

    fn listing(&self, instrument: InstrumentId) -> Option<&Listing> {
        self.0.instruments.get(usize::from(instrument.0))
    }
}

/// Atoms of 1e-8 in plain digits, without zeros at the end.
#[must_use]
pub fn plain(atoms: Atoms) -> String {
    let text = atoms_text(atoms);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// "2024-03-01T05:00:00Z": UTC, with as many decimals as there are.
#[must_use]
pub fn instant(time_ns: i64) -> String {
    let (seconds, nanos) = (time_ns.div_euclid(SECOND_NS), time_ns.rem_euclid(SECOND_NS));
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = date(days);
    let fraction = if nanos == 0 { String::new() } else { format!(".{nanos:09}").trim_end_matches('0').to_owned() };
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}

fn seconds(ns: Atoms) -> String {
    format!("{} s", plain(ns / 10))
}

/// Year, month and day of a day since 1970 (Howard Hinnant, `civil_from_days`).
fn date(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_read_as_dates() {
        let cases = [
            (0, "1970-01-01T00:00:00Z"),
            (1_709_251_199_000_000_000, "2024-02-29T23:59:59Z"),
            (1_704_067_200_005_000_000, "2024-01-01T00:00:00.005Z"),
            (4_107_542_400_000_000_000, "2100-03-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59.999999999Z"),
        ];
        for (time_ns, text) in cases {
            assert_eq!(instant(time_ns), text);
        }
    }

    #[test]
    fn amounts_lose_nothing_but_zeros() {
        let cases = [(0, "0"), (150_000_000, "1.5"), (-1, "-0.00000001"), (10_000_000_000, "100")];
        for (atoms, text) in cases {
            assert_eq!(plain(atoms), text);
        }
    }
}
