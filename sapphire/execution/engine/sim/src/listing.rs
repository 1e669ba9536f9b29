//! What the generated market lists: trading rules, listing dates and the character of each symbol.
//!
//! A listing's first rules are those of Binance spot in 2024 (`exchangeInfo`: `PRICE_FILTER`, `LOT_SIZE`, `NOTIONAL`),
//! with a tick one or two decades finer where Binance's was above a basis point of the start price; what becomes of
//! them is in [`reviewed`](crate::listing::TradingRules::reviewed). Listing dates are those of the pairs' first candles
//! there. Start price, volatility, beta and volume are declared round numbers of the right order, not history: the
//! generated market is nobody's past.

use sapphire_core::decimal::atoms_text;
use sapphire_core::instrument::{ATOMS_PER_UNIT, Asset, Instrument};

/// Annualised volatility of the market factor.
pub const MARKET_VOLATILITY: f64 = 0.45;

/// The smallest order value of all pairs, quote atoms: 5 USDT.
pub const MIN_NOTIONAL_ATOMS: i64 = 500_000_000;

/// The largest limit order, lots: that of Binance's BTCUSDT.
const MAX_LOTS: i64 = 900_000_000;

/// The highest price, quote atoms for a lot (100 USDT). The largest order at the highest price is worth 9e18 atoms,
/// which an `i64` holds.
const MAX_LOT_VALUE_ATOMS: i64 = 100 * ATOMS_PER_UNIT;

/// A review leaves a tick alone while the price is at least this many ticks (a basis point)...
const LEAST_TICKS: f64 = 10_000.0;

/// ...and otherwise makes it so fine that it is at least this many.
const FINE_TICKS: f64 = 100_000.0;

/// A review leaves a lot alone while it is worth at most the smallest order...
const LARGEST_LOT_ATOMS: f64 = 5.0 * ATOMS_PER_UNIT as f64;

/// ...and otherwise makes it worth at most this.
const SMALL_LOT_ATOMS: f64 = 0.5 * ATOMS_PER_UNIT as f64;

/// A symbol's price step and quantity step; its other rules follow from them.
///
/// Invariant: both are powers of ten, and from review to review they only become finer, so that what fitted once fits
/// for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TradingRules {
    /// Quote atoms of one tick in the price of one base unit.
    pub tick_atoms: i64,
    /// Base atoms of one lot.
    pub lot_atoms: i64,
}

impl TradingRules {
    /// The rules as the engine has them, with the dense indices that the assets have in a market.
    #[must_use]
    pub fn instrument(&self, base: Asset, quote: Asset) -> Instrument {
        Instrument {
            base,
            quote,
            tick_atoms: self.tick_atoms,
            lot_atoms: self.lot_atoms,
            min_lots: 1,
            max_lots: MAX_LOTS,
            min_ticks: 1,
            max_ticks: MAX_LOT_VALUE_ATOMS * (ATOMS_PER_UNIT / self.lot_atoms) / self.tick_atoms,
            min_notional_atoms: MIN_NOTIONAL_ATOMS.into(),
        }
    }

    /// The rules after a review at this price (quote atoms), which looks at nothing later; none where a venue has no
    /// rules for it (no tick of whole atoms below a basis point, or no lot worth less than the smallest order), and the
    /// symbol is delisted.
    ///
    /// A tick or lot that is changed has at least a factor of ten to its next change.
    #[must_use]
    pub fn reviewed(&self, price_atoms: f64) -> Option<Self> {
        let mut rules = *self;
        if price_atoms < LEAST_TICKS * rules.tick_atoms as f64 {
            while rules.tick_atoms > 1 && price_atoms < FINE_TICKS * rules.tick_atoms as f64 {
                rules.tick_atoms /= 10;
            }
        }
        if rules.lot_value(price_atoms) > LARGEST_LOT_ATOMS {
            while rules.lot_atoms > 1 && rules.lot_value(price_atoms) > SMALL_LOT_ATOMS {
                rules.lot_atoms /= 10;
            }
        }
        let fits =
            price_atoms >= LEAST_TICKS * rules.tick_atoms as f64 && rules.lot_value(price_atoms) <= LARGEST_LOT_ATOMS;
        fits.then_some(rules)
    }

    /// Whether what fits `other` fits these as well: its steps are whole numbers of ours.
    #[must_use]
    pub fn hold(&self, other: &Self) -> bool {
        let divides = |ours: i64, theirs: i64| ours > 0 && theirs % ours == 0;
        divides(self.tick_atoms, other.tick_atoms) && divides(self.lot_atoms, other.lot_atoms)
    }

    fn lot_value(&self, price_atoms: f64) -> f64 {
        price_atoms * (self.lot_atoms as f64 / ATOMS_PER_UNIT as f64)
    }

    /// The tick as decimal text, `0.01`.
    #[must_use]
    pub fn tick(&self) -> String {
        shortest(self.tick_atoms)
    }

    /// The lot as decimal text.
    #[must_use]
    pub fn lot(&self) -> String {
        shortest(self.lot_atoms)
    }
}

/// Decimal text of an amount without zeros at its end.
fn shortest(atoms: i64) -> String {
    atoms_text(atoms).trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The smallest order value of all pairs as decimal text.
#[must_use]
pub fn min_notional() -> String {
    shortest(MIN_NOTIONAL_ATOMS)
}

/// One symbol of the generated market.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Listing {
    /// Venue symbol, `BTCUSDT`.
    pub symbol: &'static str,
    /// Asset bought and sold.
    pub base: &'static str,
    /// Asset it is priced in.
    pub quote: &'static str,
    /// Its rules at first.
    pub rules: TradingRules,
    /// Open time of the first minute, UTC nanoseconds.
    pub listed_ns: i64,
    /// First price, quote atoms.
    pub start_atoms: i64,
    /// Standard deviation of a year's log return.
    pub annual_volatility: f64,
    /// Log return per log return of the market factor.
    pub market_beta: f64,
    /// Lots of the first rules that are traded in a minute of average variance, at a price up to the first one.
    pub minute_lots: i64,
}

impl Listing {
    /// Its first rules as the engine has them.
    #[must_use]
    pub fn instrument(&self, base: Asset, quote: Asset) -> Instrument {
        self.rules.instrument(base, quote)
    }

    /// The symbol as people write it, `BTC/USDT`.
    #[must_use]
    pub fn pair(&self) -> String {
        format!("{}/{}", self.base, self.quote)
    }
}

/// All symbols of the generated market.
pub fn listings() -> &'static [Listing] {
    &LISTINGS
}

/// The listing of a symbol, `BTCUSDT` or `BTC/USDT`.
pub fn listing(symbol: &str) -> Option<&'static Listing> {
    LISTINGS.iter().find(|listing| {
        listing.symbol == symbol
            || symbol.split_once('/').is_some_and(|(base, quote)| (listing.base, listing.quote) == (base, quote))
    })
}

const SECOND_NS: i64 = 1_000_000_000;

const LISTINGS: [Listing; 8] = [
    Listing {
        symbol: "BTCUSDT",
        base: "BTC",
        quote: "USDT",
        rules: TradingRules { tick_atoms: 1_000_000, lot_atoms: 1_000 },
        listed_ns: 1_502_942_400 * SECOND_NS, // 2017-08-17T04:00Z
        start_atoms: 4_200_000_000_000,
        annual_volatility: 0.50,
        market_beta: 0.98,
        minute_lots: 1_500_000,
    },
    Listing {
        symbol: "ETHUSDT",
        base: "ETH",
        quote: "USDT",
        rules: TradingRules { tick_atoms: 1_000_000, lot_atoms: 10_000 },
        listed_ns: 1_502_942_400 * SECOND_NS, // 2017-08-17T04:00Z
        start_atoms: 240_000_000_000,
        annual_volatility: 0.65,
        market_beta: 1.15,
        minute_lots: 1_500_000,
    },
    Listing {
        symbol: "BNBUSDT",
        base: "BNB",
        quote: "USDT",
        rules: TradingRules { tick_atoms: 1_000_000, lot_atoms: 100_000 },
        listed_ns: 1_509_940_440 * SECOND_NS, // 2017-11-06T03:54Z
        start_atoms: 31_000_000_000,
        annual_volatility: 0.60,
        market_beta: 1.00,
        minute_lots: 150_000,
    },
    Listing {
        symbol: "SOLUSDT",
        base: "SOL",
        quote: "USDT",
        rules: TradingRules { tick_atoms: 100_000, lot_atoms: 100_000 },
        listed_ns: 1_597_125_600 * SECOND_NS, // 2020-08-11T06:00Z
        start_atoms: 9_500_000_000,
        annual_volatility: 0.85,
        market_beta: 1.40,
        minute_lots: 2_000_000,
    },
    Listing {
        symbol: "XRPUSDT",
        base: "XRP",
        quote: "USDT",
        rules: TradingRules { tick_atoms: 1_000, lot_atoms: 10_000_000 },
        listed_ns: 1_525_421_460 * SECOND_NS, // 2018-05-04T08:11Z
        start_atoms: 55_000_000,
        annual_volatility: 0.75,
        market_beta: 1.20,
        minute_lots: 2_500_000,
    },
    Listing {
        symbol: "ADAUSDT",
        base: "ADA",
        quote: "USDT",
        rules: TradingRules { tick_atoms: 1_000, lot_atoms: 10_000_000 },
        listed_ns: 1_523_937_600 * SECOND_NS, // 2018-04-17T04:00Z
        start_atoms: 50_000_000,
        annual_volatility: 0.80,
        market_beta: 1.35,
        minute_lots: 1_000_000,
    },
    Listing {
        symbol: "AVAXUSDT",
        base: "AVAX",
        quote: "USDT",
        rules: TradingRules { tick_atoms: 100_000, lot_atoms: 1_000_000 },
        listed_ns: 1_600_756_200 * SECOND_NS, // 2020-09-22T06:30Z
        start_atoms: 3_400_000_000,
        annual_volatility: 0.90,
        market_beta: 1.50,
        minute_lots: 120_000,
    },
    Listing {
        symbol: "DOGEUSDT",
        base: "DOGE",
        quote: "USDT",
        rules: TradingRules { tick_atoms: 100, lot_atoms: 100_000_000 },
        listed_ns: 1_562_328_000 * SECOND_NS, // 2019-07-05T12:00Z
        start_atoms: 8_500_000,
        annual_volatility: 0.90,
        market_beta: 1.45,
        minute_lots: 1_500_000,
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sapphire_core::amounts::Atoms;

    #[test]
    fn every_listing_begins_with_rules_that_a_review_leaves_alone() {
        for listing in listings() {
            assert_eq!(listing.rules.reviewed(listing.start_atoms as f64), Some(listing.rules), "{}", listing.symbol);
            assert_eq!(listing.start_atoms % listing.rules.tick_atoms, 0, "{}", listing.symbol);
            assert_eq!(listing.symbol, format!("{}{}", listing.base, listing.quote));
            assert!(listing.market_beta * MARKET_VOLATILITY < listing.annual_volatility, "{}", listing.symbol);
        }
    }

    #[test]
    fn a_listing_is_found_by_either_name() {
        assert_eq!(listing("BTC/USDT"), listing("BTCUSDT"));
        assert_eq!(listing("BTCUSDT").map(Listing::pair).as_deref(), Some("BTC/USDT"));
        assert_eq!(listing("BT/CUSDT"), None);
    }

    #[test]
    fn steps_are_written_as_people_write_them() {
        let rules = listing("BTCUSDT").unwrap().rules;
        assert_eq!((rules.tick(), rules.lot(), min_notional()), ("0.01".into(), "0.00001".into(), "5".into()));
        let whole = TradingRules { tick_atoms: 1, lot_atoms: 100_000_000 };
        assert_eq!((whole.tick(), whole.lot()), ("0.00000001".into(), "1".into()));
    }

    #[test]
    fn a_price_without_rules_is_delisted() {
        let rules = listing("DOGEUSDT").unwrap().rules;
        assert_eq!(rules.reviewed(10_000.0), Some(TradingRules { tick_atoms: 1, ..rules }));
        assert_eq!(rules.reviewed(9_999.0), None);
        assert_eq!(rules.reviewed(6e16), None);
    }

    proptest! {
        /// Prices from a hundredth of a cent to a hundred million, in any order.
        #[test]
        fn reviewed_rules_fit_the_price_and_hold_the_ones_before(
            which in 0..listings().len(), powers in prop::collection::vec(4.0..16.0_f64, 1..20),
        ) {
            let mut rules = listings()[which].rules;
            for power in powers {
                let price_atoms = 10_f64.powf(power);
                let next = rules.reviewed(price_atoms).unwrap();
                prop_assert!(next.hold(&rules));
                prop_assert!(price_atoms >= 10_000.0 * next.tick_atoms as f64);
                let instrument = next.instrument(Asset(0), Asset(1));
                let ticks = price_atoms / next.tick_atoms as f64;
                prop_assert!(ticks * 20.0 <= instrument.max_ticks as f64 && instrument.min_ticks == 1);
                let lot = instrument.notional(ticks as i64, 1);
                prop_assert!(lot <= instrument.min_notional_atoms);
                // The largest order at the highest price is held, not cut.
                let largest = instrument.notional(instrument.max_ticks, instrument.max_lots);
                let most = Atoms::from(i64::MAX);
                prop_assert!(largest < most && largest > most / 3);
                prop_assert_eq!(next.reviewed(price_atoms), Some(next));
                rules = next;
            }
        }
    }
}
