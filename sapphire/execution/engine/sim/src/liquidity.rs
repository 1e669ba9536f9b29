//! The synthetic liquidity: a pure function from a minute's candle to the orders around it.
//!
//! Twelve times a minute the synthetic liquidity renews four levels a side around a point of the candle's path and lets
//! a small market order trade at that point. Invariant: the same (seed, symbol, candle) gives the same orders; quotes
//! never cross and satisfy the instrument's rules; the first step is at the candle's open, the last at its close, high
//! and low lie between, and with nobody else in the book the synthetic liquidity's trades print exactly the candle's
//! open, high, low and close, at a tenth of its volume.
//!
//! Known limitation: uncalibrated. Spreads, depths and sizes are of the order measured on recorded books, not fitted
//! to them; quotes do not react to what clients do.

use sapphire_core::instrument::{ATOMS_PER_UNIT, Instrument, Side};

use crate::candle::{Candle, MINUTE_NS};
use crate::hash::{mix, symbol_key, uniform};

/// Renewals a minute.
pub const STEPS_PER_MINUTE: usize = 12;

/// Time between two renewals.
pub const STEP_NS: i64 = MINUTE_NS / STEPS_PER_MINUTE as i64;

/// Of a candle's volume, one part in this many is traded by the synthetic liquidity's own market orders.
const TAKER_PART: i64 = 10;

/// Distance of each level from the one before it, in hundredths of a basis point of the price; at least a tick.
const GAPS: [i64; 3] = [50, 150, 400];

/// Size of each level, in twelfths of the candle's volume.
const DEPTHS: [f64; 4] = [1.0, 1.5, 3.0, 6.0];

/// A level never holds less than this many times the instrument's minimum value.
const FLOOR_NOTIONALS: i128 = 50;

/// Keeps these draws apart from those of other users of the same seed.
const LIQUIDITY_STREAM: u64 = 0x686f_7573;

/// A resting order of the synthetic liquidity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote {
    /// Where it stands.
    pub side: Side,
    /// Its price.
    pub ticks: i64,
    /// Its size.
    pub lots: i64,
}

/// A market order of the synthetic liquidity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taker {
    /// Buy or sell.
    pub side: Side,
    /// Its size.
    pub lots: i64,
}

/// One renewal: all earlier quotes go, these come, then the taker trades.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiquidityStep {
    /// When, UTC nanoseconds.
    pub time_ns: i64,
    /// Bids and asks, best first on each side.
    pub quotes: Vec<Quote>,
    /// The market order, where the candle has volume for one.
    pub taker: Option<Taker>,
}

/// The synthetic liquidity in one symbol.
#[derive(Clone, Copy, Debug)]
pub struct SyntheticLiquidity {
    key: u64,
    instrument: Instrument,
}

impl SyntheticLiquidity {
    /// The synthetic liquidity of a seed in one symbol.
    #[must_use]
    pub fn new(seed: u64, symbol: &str, instrument: Instrument) -> Self {
        Self { key: mix(seed, &[LIQUIDITY_STREAM, symbol_key(symbol)]), instrument }
    }

    /// The orders of one minute, in time order.
    #[must_use]
    pub fn steps(&self, candle: &Candle) -> Vec<LiquidityStep> {
        let key = mix(self.key, &[candle.open_ns as u64]);
        let path = self.path(key, candle);
        (0..STEPS_PER_MINUTE)
            .map(|step| {
                let point = path[step];
                let draws = Draws { key, step: step as u64 };
                let side = draws.side(point - path[step.saturating_sub(1)]);
                let lots = self.taken(candle, step);
                let quotes = self.quotes(draws, point, side, candle.volume, lots);
                LiquidityStep {
                    time_ns: candle.open_ns + step as i64 * STEP_NS,
                    quotes,
                    taker: (lots > 0 && self.has_room(point)).then_some(Taker { side, lots }),
                }
            })
            .collect()
    }

    /// How many trades the minute's market orders make with nobody else in the book: what [`SyntheticLiquidity::steps`]
    /// would print, without making the orders.
    #[must_use]
    pub fn prints(&self, candle: &Candle) -> u64 {
        let taking = (0..STEPS_PER_MINUTE).filter(|step| self.taken(candle, *step) > 0);
        if self.has_room(candle.low) {
            return taking.count() as u64;
        }
        let path = self.path(mix(self.key, &[candle.open_ns as u64]), candle);
        taking.filter(|step| self.has_room(path[*step])).count() as u64
    }

    /// Lots that a step's market order takes.
    fn taken(&self, candle: &Candle, step: usize) -> i64 {
        let traded = candle.volume / TAKER_PART;
        let lots = (share(traded, step + 1) - share(traded, step)).min(self.instrument.max_lots / 2);
        if lots < self.instrument.min_lots { 0 } else { lots }
    }

    /// Whether an order at this price can reach the instrument's minimum value.
    fn has_room(&self, ticks: i64) -> bool {
        let rules = &self.instrument;
        rules.is_worth_an_order(ticks.clamp(rules.min_ticks, rules.max_ticks), rules.max_lots)
    }

    /// Prices at the steps: open, then by way of high and low, in an order that the draws decide, to close.
    fn path(&self, key: u64, candle: &Candle) -> [i64; STEPS_PER_MINUTE] {
        let inner = STEPS_PER_MINUTE as u64 - 2;
        let first = mix(key, &[0, 1]) % inner;
        let second = (first + 1 + mix(key, &[0, 2]) % (inner - 1)) % inner;
        let (early, late) = (first.min(second) as usize + 1, first.max(second) as usize + 1);
        let rising = candle.close >= candle.open;
        let (turn, back) = if rising { (candle.low, candle.high) } else { (candle.high, candle.low) };
        let anchors = [(0, candle.open), (early, turn), (late, back), (STEPS_PER_MINUTE - 1, candle.close)];
        let mut path = [candle.open; STEPS_PER_MINUTE];
        for pair in anchors.windows(2) {
            let ((from, start), (to, end)) = (pair[0], pair[1]);
            for (step, price) in path.iter_mut().enumerate().take(to + 1).skip(from) {
                let straight = start + (end - start) * (step - from) as i64 / (to - from) as i64;
                let reach = if step == from || step == to { 0 } else { (candle.high - candle.low) / 4 };
                let stray = (uniform(key, &[step as u64, 3]) * (2 * reach + 1) as f64) as i64 - reach;
                *price = (straight + stray).clamp(candle.low, candle.high);
            }
        }
        path.map(|ticks| ticks.clamp(self.instrument.min_ticks, self.instrument.max_ticks))
    }

    /// Four levels a side; the side that the taker meets has its best price at `point`.
    fn quotes(&self, draws: Draws, point: i64, taker: Side, volume: i64, met: i64) -> Vec<Quote> {
        let spread = draws.spread(point);
        let (bid, ask) = match taker {
            Side::Buy => (point - spread, point),
            Side::Sell => (point, point + spread),
        };
        let mut quotes = Vec::with_capacity(2 * DEPTHS.len());
        for (side, best) in [(Side::Buy, bid), (Side::Sell, ask)] {
            let mut ticks = best;
            for (level, depth) in DEPTHS.iter().enumerate() {
                if let Some(gap) = level.checked_sub(1).map(|gap| GAPS[gap]) {
                    let wide = scaled(point, gap, draws.half_to_three_halves(side, level, 4));
                    ticks -= side.sign() * wide.max(1);
                }
                let share = volume as f64 / STEPS_PER_MINUTE as f64 * depth;
                let wanted = (share * draws.half_to_three_halves(side, level, 5)) as i64;
                let meets_taker = level == 0 && side != taker;
                let least = if meets_taker { met } else { 0 };
                quotes.extend(self.quote(side, ticks, wanted.saturating_add(least)));
            }
        }
        quotes
    }

    /// A quote of at least the floor, unless the instrument has no room for it.
    fn quote(&self, side: Side, ticks: i64, wanted: i64) -> Option<Quote> {
        let rules = &self.instrument;
        if !(rules.min_ticks..=rules.max_ticks).contains(&ticks) {
            return None;
        }
        let lot_price = i128::from(ticks) * i128::from(rules.tick_atoms) * i128::from(rules.lot_atoms);
        let floor = rules.min_notional_atoms * FLOOR_NOTIONALS * i128::from(ATOMS_PER_UNIT) / lot_price + 1;
        let floor = floor.min(i128::from(rules.max_lots)) as i64;
        let lots = wanted.max(floor).clamp(rules.min_lots, rules.max_lots);
        rules.is_worth_an_order(ticks, lots).then_some(Quote { side, ticks, lots })
    }
}

/// The draws of one step.
#[derive(Clone, Copy)]
struct Draws {
    key: u64,
    step: u64,
}

impl Draws {
    /// The taker goes where the price goes, and either way when it stands.
    fn side(self, change: i64) -> Side {
        match change {
            1.. => Side::Buy,
            0 if mix(self.key, &[self.step, 1]) & 1 == 0 => Side::Buy,
            _ => Side::Sell,
        }
    }

    /// One tick most of the time (0.88 on recorded spot books), else up to about a basis point more.
    fn spread(self, point: i64) -> i64 {
        let draw = uniform(self.key, &[self.step, 2]);
        if draw < 0.88 { 1 } else { 1 + scaled(point, 100, (draw - 0.88) / 0.12) }
    }

    fn half_to_three_halves(self, side: Side, level: usize, what: u64) -> f64 {
        let place = level as u64 * 2 + u64::from(side == Side::Buy);
        0.5 + uniform(self.key, &[self.step, what, place])
    }
}

/// `part` hundredths of a basis point of a price, times `factor`, in whole ticks.
fn scaled(ticks: i64, part: i64, factor: f64) -> i64 {
    (ticks as f64 * part as f64 / 1e6 * factor) as i64
}

/// What the first `steps` steps get of `total`.
fn share(total: i64, steps: usize) -> i64 {
    (i128::from(total) * steps as i128 / STEPS_PER_MINUTE as i128) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listing::listings;
    use proptest::prelude::*;
    use sapphire_core::instrument::Asset;
    use sapphire_core::venue::{AccountKind, FeeRates, NewOrder, OrderId, Outcome, Terms, TimeInForce, Trade, Venue};

    fn candles() -> impl Strategy<Value = Candle> {
        let price = 20_i64..5_000_000;
        (0_i64..1_000_000, price, 0_i64..20_000, 0_i64..20_000, 0_i64..20_000, 0_i64..50_000_000).prop_map(
            |(minute, low, to_open, to_close, above, volume)| {
                let (open, close) = (low + to_open, low + to_close);
                Candle { open_ns: minute * MINUTE_NS, open, high: open.max(close) + above, low, close, volume }
            },
        )
    }

    fn liquidities() -> impl Strategy<Value = SyntheticLiquidity> {
        (any::<u64>(), 0..listings().len()).prop_map(|(seed, which)| {
            let listing = &listings()[which];
            SyntheticLiquidity::new(seed, listing.symbol, listing.rules.instrument(Asset(0), Asset(1)))
        })
    }

    /// What the synthetic liquidity's orders trade with nobody else there.
    fn trades(liquidity: &SyntheticLiquidity, steps: &[LiquidityStep]) -> Vec<Trade> {
        let mut venue = Venue::new(vec![liquidity.instrument], 2);
        let account = venue.open_account(AccountKind::Liquidity, FeeRates::default());
        let (mut out, mut next, mut standing) = (Vec::new(), 0, Vec::new());
        for step in steps {
            venue.remove_all(standing.drain(..));
            let mut submit = |side, terms, out: &mut Vec<Outcome>| {
                next += 1;
                let instrument = sapphire_core::instrument::InstrumentId(0);
                venue.submit(NewOrder { id: OrderId(next), account, instrument, side, terms }, out).unwrap();
                OrderId(next)
            };
            for quote in &step.quotes {
                let time_in_force = TimeInForce::PostOnly;
                let terms = Terms::Limit { ticks: quote.ticks, lots: quote.lots, time_in_force };
                standing.push(submit(quote.side, terms, &mut out));
            }
            if let Some(taker) = step.taker {
                submit(taker.side, Terms::Market { lots: taker.lots }, &mut out);
            }
        }
        out.into_iter()
            .filter_map(|outcome| if let Outcome::Traded(trade) = outcome { Some(trade) } else { None })
            .collect()
    }

    proptest! {
        /// Submitted as post-only, so that a quote that crossed would be refused.
        #[test]
        fn with_nobody_else_the_synthetic_liquidity_prints_the_candle(liquidity in liquidities(), candle in candles()) {
            let trades = trades(&liquidity, &liquidity.steps(&candle));
            prop_assert_eq!(trades.len() as u64, liquidity.prints(&candle));
            let wanted = candle.volume / TAKER_PART;
            let listed = candle.high <= liquidity.instrument.max_ticks;
            if listed && wanted >= STEPS_PER_MINUTE as i64 && wanted < liquidity.instrument.max_lots {
                let prices: Vec<i64> = trades.iter().map(|trade| trade.ticks).collect();
                prop_assert_eq!(prices.first(), Some(&candle.open));
                prop_assert_eq!(prices.last(), Some(&candle.close));
                prop_assert_eq!(prices.iter().max(), Some(&candle.high));
                prop_assert_eq!(prices.iter().min(), Some(&candle.low));
                prop_assert_eq!(trades.iter().map(|trade| trade.lots).sum::<i64>(), wanted);
            }
        }

        #[test]
        fn steps_are_a_function_of_the_candle(liquidity in liquidities(), candle in candles()) {
            let steps = liquidity.steps(&candle);
            prop_assert_eq!(&steps, &liquidity.steps(&candle));
            prop_assert_eq!(steps.len(), STEPS_PER_MINUTE);
            for (number, step) in steps.iter().enumerate() {
                prop_assert_eq!(step.time_ns, candle.open_ns + number as i64 * 5_000_000_000);
                let value = |quote: &Quote| liquidity.instrument.notional(quote.ticks, quote.lots);
                let least = step.quotes.iter().map(value).min();
                prop_assert!(least >= Some(liquidity.instrument.min_notional_atoms));
                for side in [Side::Buy, Side::Sell] {
                    let prices: Vec<i64> =
                        step.quotes.iter().filter(|quote| quote.side == side).map(|quote| quote.ticks).collect();
                    prop_assert!(prices.windows(2).all(|pair| (pair[1] - pair[0]) * side.sign() < 0));
                    prop_assert!(prices.len() <= DEPTHS.len());
                }
            }
        }
    }

    #[test]
    fn at_the_lowest_price_there_are_only_asks() {
        let listing = &listings()[0];
        let liquidity = SyntheticLiquidity::new(1, listing.symbol, listing.rules.instrument(Asset(0), Asset(1)));
        let candle = Candle { open_ns: 0, open: 1, high: 1, low: 1, close: 1, volume: 100_000 };
        let steps = liquidity.steps(&candle);
        assert!(steps.iter().flat_map(|step| &step.quotes).all(|quote| quote.ticks >= 1));
        assert_eq!(trades(&liquidity, &steps).len() as u64, liquidity.prints(&candle));
    }
}
