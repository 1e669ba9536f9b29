//! What the generated market lists: venue rules, listing dates and the character of each symbol.
//!
//! Tick, lot and minimum value are those of Binance spot (`exchangeInfo`: `PRICE_FILTER`, `LOT_SIZE`, `NOTIONAL`);
//! listing dates are those of the pairs' first candles there. Start price, volatility, beta and volume are declared
//! round numbers of the right order, not history: the generated market is nobody's past.

use sapphire_core::instrument::{Asset, Instrument};

/// Annualised volatility of the market factor.
pub const MARKET_VOLATILITY: f64 = 0.45;

/// One symbol of the generated market.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Listing {
    /// Venue symbol, `BTCUSDT`.
    pub symbol: &'static str,
    /// Asset bought and sold.
    pub base: &'static str,
    /// Asset it is priced in.
    pub quote: &'static str,
    /// Price step, decimal text.
    pub tick: &'static str,
    /// Quantity step, decimal text.
    pub lot: &'static str,
    /// Smallest order value in the quote asset, decimal text.
    pub min_notional: &'static str,
    /// Open time of the first minute, UTC nanoseconds.
    pub listed_ns: i64,
    /// First price, ticks.
    pub start_ticks: i64,
    /// Quote atoms per tick.
    pub tick_atoms: i64,
    /// Base atoms per lot.
    pub lot_atoms: i64,
    /// Largest limit order, lots.
    pub max_lots: i64,
    /// Lowest price, ticks.
    pub min_ticks: i64,
    /// Highest price, ticks.
    pub max_ticks: i64,
    /// Smallest order value, quote atoms.
    pub min_notional_atoms: i64,
    /// Standard deviation of a year's log return.
    pub annual_volatility: f64,
    /// Log return per log return of the market factor.
    pub market_beta: f64,
    /// Lots traded in a minute of average variance.
    pub minute_lots: i64,
}

impl Listing {
    /// The listing's rules, with the dense indices that its assets have in a market.
    #[must_use]
    pub fn instrument(&self, base: Asset, quote: Asset) -> Instrument {
        Instrument {
            base,
            quote,
            tick_atoms: self.tick_atoms,
            lot_atoms: self.lot_atoms,
            min_lots: 1,
            max_lots: self.max_lots,
            min_ticks: self.min_ticks,
            max_ticks: self.max_ticks,
            min_notional_atoms: self.min_notional_atoms.into(),
        }
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

/// The smallest order value of all pairs: 5 USDT.
const MIN_NOTIONAL: (&str, i64) = ("5", 500_000_000);

const LISTINGS: [Listing; 8] = [
    Listing {
        symbol: "BTCUSDT",
        base: "BTC",
        quote: "USDT",
        tick: "0.01",
        lot: "0.00001",
        min_notional: MIN_NOTIONAL.0,
        listed_ns: 1_502_942_400 * SECOND_NS, // 2017-08-17T04:00Z
        start_ticks: 4_200_000,
        tick_atoms: 1_000_000,
        lot_atoms: 1_000,
        max_lots: 900_000_000,
        min_ticks: 1,
        max_ticks: 100_000_000,
        min_notional_atoms: MIN_NOTIONAL.1,
        annual_volatility: 0.50,
        market_beta: 0.98,
        minute_lots: 1_500_000,
    },
    Listing {
        symbol: "ETHUSDT",
        base: "ETH",
        quote: "USDT",
        tick: "0.01",
        lot: "0.0001",
        min_notional: MIN_NOTIONAL.0,
        listed_ns: 1_502_942_400 * SECOND_NS, // 2017-08-17T04:00Z
        start_ticks: 240_000,
        tick_atoms: 1_000_000,
        lot_atoms: 10_000,
        max_lots: 90_000_000,
        min_ticks: 1,
        max_ticks: 100_000_000,
        min_notional_atoms: MIN_NOTIONAL.1,
        annual_volatility: 0.65,
        market_beta: 1.15,
        minute_lots: 1_500_000,
    },
    Listing {
        symbol: "BNBUSDT",
        base: "BNB",
        quote: "USDT",
        tick: "0.01",
        lot: "0.001",
        min_notional: MIN_NOTIONAL.0,
        listed_ns: 1_509_940_440 * SECOND_NS, // 2017-11-06T03:54Z
        start_ticks: 31_000,
        tick_atoms: 1_000_000,
        lot_atoms: 100_000,
        max_lots: 900_000_000,
        min_ticks: 1,
        max_ticks: 10_000_000,
        min_notional_atoms: MIN_NOTIONAL.1,
        annual_volatility: 0.60,
        market_beta: 1.00,
        minute_lots: 150_000,
    },
    Listing {
        symbol: "SOLUSDT",
        base: "SOL",
        quote: "USDT",
        tick: "0.01",
        lot: "0.001",
        min_notional: MIN_NOTIONAL.0,
        listed_ns: 1_597_125_600 * SECOND_NS, // 2020-08-11T06:00Z
        start_ticks: 9_500,
        tick_atoms: 1_000_000,
        lot_atoms: 100_000,
        max_lots: 90_000_000,
        min_ticks: 1,
        max_ticks: 1_000_000,
        min_notional_atoms: MIN_NOTIONAL.1,
        annual_volatility: 0.85,
        market_beta: 1.40,
        minute_lots: 2_000_000,
    },
    Listing {
        symbol: "XRPUSDT",
        base: "XRP",
        quote: "USDT",
        tick: "0.0001",
        lot: "0.1",
        min_notional: MIN_NOTIONAL.0,
        listed_ns: 1_525_421_460 * SECOND_NS, // 2018-05-04T08:11Z
        start_ticks: 5_500,
        tick_atoms: 10_000,
        lot_atoms: 10_000_000,
        max_lots: 92_224_490,
        min_ticks: 1,
        max_ticks: 100_000_000,
        min_notional_atoms: MIN_NOTIONAL.1,
        annual_volatility: 0.75,
        market_beta: 1.20,
        minute_lots: 2_500_000,
    },
    Listing {
        symbol: "ADAUSDT",
        base: "ADA",
        quote: "USDT",
        tick: "0.0001",
        lot: "0.1",
        min_notional: MIN_NOTIONAL.0,
        listed_ns: 1_523_937_600 * SECOND_NS, // 2018-04-17T04:00Z
        start_ticks: 5_000,
        tick_atoms: 10_000,
        lot_atoms: 10_000_000,
        max_lots: 9_000_000,
        min_ticks: 1,
        max_ticks: 10_000_000,
        min_notional_atoms: MIN_NOTIONAL.1,
        annual_volatility: 0.80,
        market_beta: 1.35,
        minute_lots: 1_000_000,
    },
    Listing {
        symbol: "AVAXUSDT",
        base: "AVAX",
        quote: "USDT",
        tick: "0.01",
        lot: "0.01",
        min_notional: MIN_NOTIONAL.0,
        listed_ns: 1_600_756_200 * SECOND_NS, // 2020-09-22T06:30Z
        start_ticks: 3_400,
        tick_atoms: 1_000_000,
        lot_atoms: 1_000_000,
        max_lots: 9_022_100,
        min_ticks: 1,
        max_ticks: 10_000_000,
        min_notional_atoms: MIN_NOTIONAL.1,
        annual_volatility: 0.90,
        market_beta: 1.50,
        minute_lots: 120_000,
    },
    Listing {
        symbol: "DOGEUSDT",
        base: "DOGE",
        quote: "USDT",
        tick: "0.00001",
        lot: "1",
        min_notional: MIN_NOTIONAL.0,
        listed_ns: 1_562_328_000 * SECOND_NS, // 2019-07-05T12:00Z
        start_ticks: 8_500,
        tick_atoms: 1_000,
        lot_atoms: 100_000_000,
        max_lots: 9_000_000,
        min_ticks: 1,
        max_ticks: 100_000_000,
        min_notional_atoms: MIN_NOTIONAL.1,
        annual_volatility: 0.90,
        market_beta: 1.45,
        minute_lots: 1_500_000,
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use sapphire_core::instrument::ATOMS_PER_UNIT;

    fn atoms(decimal: &str) -> i64 {
        let (whole, part) = decimal.split_once('.').unwrap_or((decimal, ""));
        whole.parse::<i64>().unwrap() * ATOMS_PER_UNIT + format!("{part:0<8}").parse::<i64>().unwrap()
    }

    #[test]
    fn the_texts_and_the_integers_agree() {
        for listing in listings() {
            assert_eq!(atoms(listing.tick), listing.tick_atoms, "{}", listing.symbol);
            assert_eq!(atoms(listing.lot), listing.lot_atoms, "{}", listing.symbol);
            assert_eq!(atoms(listing.min_notional), listing.min_notional_atoms, "{}", listing.symbol);
            assert_eq!(listing.symbol, format!("{}{}", listing.base, listing.quote));
            assert!((listing.min_ticks..listing.max_ticks).contains(&listing.start_ticks));
            assert!(listing.market_beta * MARKET_VOLATILITY < listing.annual_volatility, "{}", listing.symbol);
        }
    }

    #[test]
    fn a_listing_is_found_by_either_name() {
        assert_eq!(listing("BTC/USDT"), listing("BTCUSDT"));
        assert_eq!(listing("BTCUSDT").map(Listing::pair).as_deref(), Some("BTC/USDT"));
        assert_eq!(listing("BT/CUSDT"), None);
    }
}
