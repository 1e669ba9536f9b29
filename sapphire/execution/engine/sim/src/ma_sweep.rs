//! A sweep over moving-average crosses: what each pair of lengths would have made of one series of closes.
//!
//! A pair is long from the close at which its fast average comes to stand above its slow one to the close at which it
//! no longer does, with all it has, and flat otherwise. One that begins above waits for its first cross.
//!
//! Invariants: an average is the correctly rounded quotient of its window's sum, so that closes that are whole numbers
//! cross exactly where exact arithmetic says; a pair's numbers do not depend on which others are swept with it.
//!
//! Known limitation: a screen. It trades at the very close that it looks at, in fractions of any size, and counts in
//! floating point; the engine's replay is what says how an agent would have traded.

use std::ops::Range;

/// Bars whose averages are held at once: those of a few hundred lengths stay in the cache.
const BARS_AT_ONCE: usize = 1_024;

/// Lengths of the two averages, bars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The shorter one.
    pub fast: usize,
    /// The longer one.
    pub slow: usize,
}

/// What a pair made of the closes, per unit of starting cash.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// Value at the last close, less one.
    pub total_return: f64,
    /// Mean over standard deviation (n - 1) of the returns from close to close, not annualised; NaN where nothing was
    /// traded.
    pub sharpe: f64,
    /// Fees paid.
    pub fees: f64,
    /// Orders: entries and exits.
    pub orders: i64,
    /// Bars that began with a position.
    pub held_bars: i64,
}

/// A sweep that cannot be meant.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum SweepError {
    /// Too few closes to have returns.
    #[error("expected 3 closes or more, got {0}")]
    TooFewCloses(usize),
    /// A close that is no price.
    #[error("expected finite closes above zero, got {close} at row {row}")]
    BadClose {
        /// Where.
        row: usize,
        /// What stands there.
        close: f64,
    },
    /// Lengths that cannot cross.
    #[error("expected 1 <= fast < slow, got fast {} and slow {} in pair {row}", pair.fast, pair.slow)]
    BadPair {
        /// Which.
        row: usize,
        /// Its lengths.
        pair: Pair,
    },
    /// A fee that is none.
    #[error("expected a fee of 0 or more and less than 1, got {0}")]
    BadFee(f64),
}

/// Closes with what every pair needs of them.
#[derive(Debug)]
pub struct Closes {
    prices: Vec<f64>,
    /// Sums of the closes before each bar: the double nearest to it, and what it leaves out.
    sums: Vec<f64>,
    rests: Vec<f64>,
    /// Sums of the simple returns, and of their squares, up to each bar.
    returns: Vec<f64>,
    squares: Vec<f64>,
}

impl Closes {
    /// Takes in the closes of consecutive bars.
    ///
    /// # Errors
    /// [`SweepError::TooFewCloses`], [`SweepError::BadClose`].
    pub fn new(closes: Vec<f64>) -> Result<Self, SweepError> {
        if closes.len() < 3 {
            return Err(SweepError::TooFewCloses(closes.len()));
        }
        if let Some(row) = closes.iter().position(|close| !(close.is_finite() && *close > 0.0)) {
            return Err(SweepError::BadClose { row, close: closes[row] });
        }
        let (mut sums, mut rests) = (vec![0.0], vec![0.0]);
        let (mut sum, mut rest) = (0.0_f64, 0.0_f64);
        for close in &closes {
            let (next, lost) = two_sum(sum, *close);
            (sum, rest) = two_sum(next, rest + lost);
            sums.push(sum);
            rests.push(rest);
        }
        let (mut returns, mut squares) = (vec![0.0], vec![0.0]);
        let (mut total, mut total_squared) = (0.0, 0.0);
        for bar in 1..closes.len() {
            let change = closes[bar] / closes[bar - 1] - 1.0;
            total += change;
            total_squared += change * change;
            returns.push(total);
            squares.push(total_squared);
        }
        Ok(Self { prices: closes, sums, rests, returns, squares })
    }

    /// What each pair made of them, with `fee` (a fraction of the traded value) on every order.
    ///
    /// # Errors
    /// [`SweepError::BadPair`], [`SweepError::BadFee`].
    pub fn sweep(&self, pairs: &[Pair], fee: f64) -> Result<Vec<Outcome>, SweepError> {
        check(pairs, fee)?;
        let mut lengths: Vec<usize> = pairs.iter().flat_map(|pair| [pair.fast, pair.slow]).collect();
        lengths.sort_unstable();
        lengths.dedup();
        let place = |length| lengths.binary_search(&length).unwrap_or_default();
        let places: Vec<(usize, usize)> = pairs.iter().map(|pair| (place(pair.fast), place(pair.slow))).collect();
        let mut accounts = vec![Account::new(); pairs.len()];
        let mut averages = vec![[0.0; BARS_AT_ONCE]; lengths.len()];
        for first in (0..self.prices.len()).step_by(BARS_AT_ONCE) {
            let bars = first..self.prices.len().min(first + BARS_AT_ONCE);
            for (length, averages) in lengths.iter().zip(&mut averages) {
                self.average(*length, bars.clone(), averages);
            }
            for ((pair, (fast, slow)), account) in pairs.iter().zip(&places).zip(&mut accounts) {
                let from = bars.start.max(pair.slow - 1);
                let within = from.saturating_sub(bars.start).min(bars.len())..bars.len();
                let sides = averages[*fast][within.clone()].iter().zip(&averages[*slow][within]);
                for (bar, (fast, slow)) in (from..).zip(sides) {
                    let above = if fast > slow { Side::Above } else { Side::NotAbove };
                    if above != account.side {
                        account.turn(self, bar, above, fee);
                    }
                }
            }
        }
        Ok(accounts.into_iter().map(|account| account.outcome(self)).collect())
    }

    /// The averages of one length at `bars`; those before the first full window are left as they are.
    fn average(&self, length: usize, bars: Range<usize>, averages: &mut [f64]) {
        let from = bars.start.max(length - 1);
        if from >= bars.end {
            return;
        }
        let (after, before) = (from + 1..bars.end + 1, from + 1 - length..bars.end + 1 - length);
        let sums = self.sums[after.clone()].iter().zip(&self.sums[before.clone()]);
        let rests = self.rests[after].iter().zip(&self.rests[before]);
        for ((average, sums), rests) in averages[from - bars.start..].iter_mut().zip(sums).zip(rests) {
            *average = ((sums.0 - sums.1) + (rests.0 - rests.1)) / length as f64;
        }
    }
}

/// Refuses what [`Closes::sweep`] would refuse, before anything is swept.
///
/// # Errors
/// [`SweepError::BadPair`], [`SweepError::BadFee`].
pub fn check(pairs: &[Pair], fee: f64) -> Result<(), SweepError> {
    if !(0.0..1.0).contains(&fee) {
        return Err(SweepError::BadFee(fee));
    }
    let bad = pairs.iter().position(|pair| pair.fast < 1 || pair.fast >= pair.slow);
    bad.map_or(Ok(()), |row| Err(SweepError::BadPair { row, pair: pairs[row] }))
}

/// Where the fast average stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Unknown,
    NotAbove,
    Above,
}

/// One pair's account; it begins with a cash of one.
#[derive(Clone, Debug)]
struct Account {
    side: Side,
    cash: f64,
    /// Bar of the entry, and what was bought.
    held: Option<(usize, f64)>,
    /// Sum of the returns, and of their squares.
    returns: f64,
    squares: f64,
    fees: f64,
    orders: i64,
    held_bars: i64,
}

impl Account {
    fn new() -> Self {
        let (returns, squares, fees) = (0.0, 0.0, 0.0);
        Self { side: Side::Unknown, cash: 1.0, held: None, returns, squares, fees, orders: 0, held_bars: 0 }
    }

    /// The fast average has come to another side.
    fn turn(&mut self, closes: &Closes, bar: usize, to: Side, fee: f64) {
        let from = std::mem::replace(&mut self.side, to);
        match (from, to, self.held) {
            (Side::NotAbove, Side::Above, _) => self.enter(bar, closes.prices[bar], fee),
            (Side::Above, Side::NotAbove, Some(held)) => self.leave(closes, held, bar, fee),
            _ => {}
        }
    }

    fn enter(&mut self, bar: usize, close: f64, fee: f64) {
        let bought = self.cash / (close * (1.0 + fee));
        self.earn(1.0 / (1.0 + fee) - 1.0);
        self.fees += bought * close * fee;
        self.held = Some((bar, bought));
        self.orders += 1;
    }

    fn leave(&mut self, closes: &Closes, (entered, bought): (usize, f64), bar: usize, fee: f64) {
        let close = closes.prices[bar];
        self.carry(closes, entered, bar - 1);
        self.earn(close / closes.prices[bar - 1] * (1.0 - fee) - 1.0);
        self.fees += bought * close * fee;
        self.cash = bought * close * (1.0 - fee);
        self.held_bars += (bar - entered) as i64;
        self.held = None;
        self.orders += 1;
    }

    /// The returns of the bars after `entered` up to `bar`, all held.
    fn carry(&mut self, closes: &Closes, entered: usize, bar: usize) {
        self.returns += closes.returns[bar] - closes.returns[entered];
        self.squares += closes.squares[bar] - closes.squares[entered];
    }

    fn earn(&mut self, change: f64) {
        self.returns += change;
        self.squares += change * change;
    }

    fn outcome(mut self, closes: &Closes) -> Outcome {
        let last = closes.prices.len() - 1;
        let mut value = self.cash;
        if let Some((entered, bought)) = self.held {
            self.carry(closes, entered, last);
            self.held_bars += (last - entered) as i64;
            value = bought * closes.prices[last];
        }
        let count = last as f64;
        let mean = self.returns / count;
        let variance = (self.squares - count * mean * mean) / (count - 1.0);
        Outcome {
            total_return: value - 1.0,
            sharpe: if self.orders == 0 { f64::NAN } else { mean / variance.sqrt() },
            fees: self.fees,
            orders: self.orders,
            held_bars: self.held_bars,
        }
    }
}

/// The double nearest to `a + b`, and what it leaves out, exactly (Knuth, The Art of Computer Programming 2, 4.2.2).
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let back = sum - a;
    (sum, (a - (sum - back)) + (b - back))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, bar by bar: averages by exact integers, one account of equity per bar.
    fn slowly(closes: &[i64], pair: Pair, fee: f64) -> Outcome {
        let sum = |bar: usize, length: usize| closes[bar + 1 - length..=bar].iter().sum::<i64>();
        let (mut cash, mut held, mut was_above) = (1.0, 0.0, None);
        let (mut fees, mut orders, mut held_bars, mut equity) = (0.0, 0, 0, Vec::new());
        for (bar, close) in closes.iter().enumerate() {
            let close = *close as f64;
            held_bars += i64::from(held > 0.0);
            if bar + 1 >= pair.slow {
                let above = sum(bar, pair.fast) * pair.slow as i64 > sum(bar, pair.slow) * pair.fast as i64;
                if was_above == Some(false) && above {
                    held = cash / (close * (1.0 + fee));
                    (cash, fees, orders) = (0.0, fees + held * close * fee, orders + 1);
                } else if was_above == Some(true) && !above && held > 0.0 {
                    (cash, fees, orders) = (held * close * (1.0 - fee), fees + held * close * fee, orders + 1);
                    held = 0.0;
                }
                was_above = Some(above);
            }
            equity.push(cash + held * close);
        }
        let returns: Vec<f64> = equity.windows(2).map(|pair| pair[1] / pair[0] - 1.0).collect();
        let mean = returns.iter().sum::<f64>() / returns.len() as f64;
        let squares: f64 = returns.iter().map(|each| (each - mean).powi(2)).sum();
        let sharpe = if orders == 0 { f64::NAN } else { mean / (squares / (returns.len() as f64 - 1.0)).sqrt() };
        Outcome { total_return: equity[equity.len() - 1] - 1.0, sharpe, fees, orders, held_bars }
    }

    fn near(one: f64, other: f64) -> bool {
        (one - other).abs() <= 1e-9 * (1.0 + other.abs()) || (one.is_nan() && other.is_nan())
    }

    proptest! {
        #[test]
        fn a_sweep_is_the_definition_for_every_pair(
            steps in prop::collection::vec(-3_i64..4, 3..90),
            pairs in prop::collection::vec((1_usize..8, 1_usize..12), 1..6),
            fee in 0.0..0.02,
        ) {
            // Small steps, so that averages are often equal.
            let closes: Vec<i64> = steps.iter().scan(300, |close, step| { *close += step; Some(*close) }).collect();
            let pairs: Vec<Pair> = pairs.iter().map(|(fast, more)| Pair { fast: *fast, slow: fast + more }).collect();
            let swept = Closes::new(closes.iter().map(|close| *close as f64).collect()).unwrap();
            for (pair, outcome) in pairs.iter().zip(swept.sweep(&pairs, fee).unwrap()) {
                let expected = slowly(&closes, *pair, fee);
                prop_assert_eq!((outcome.orders, outcome.held_bars), (expected.orders, expected.held_bars));
                prop_assert!(near(outcome.total_return, expected.total_return), "{outcome:?} {expected:?}");
                prop_assert!(near(outcome.fees, expected.fees), "{outcome:?} {expected:?}");
                // Below 1e-6 of deviation the two ways of summing squares differ by rounding.
                prop_assert!((outcome.sharpe - expected.sharpe).abs() < 1e-6 || near(outcome.sharpe, expected.sharpe));
            }
        }
    }

    #[test]
    fn what_lies_across_the_pieces_is_whole() {
        // A saw of 7 bars up and 7 down over more than two pieces.
        let closes: Vec<i64> =
            (0..2_500).map(|bar| 1_000 + [0, 1, 2, 3, 4, 5, 6, 7, 6, 5, 4, 3, 2, 1][bar % 14]).collect();
        let swept = Closes::new(closes.iter().map(|close| *close as f64).collect()).unwrap();
        for pair in [Pair { fast: 2, slow: 5 }, Pair { fast: 3, slow: 1_030 }, Pair { fast: 1_500, slow: 2_400 }] {
            let outcome = swept.sweep(&[pair], 0.001).unwrap()[0];
            let expected = slowly(&closes, pair, 0.001);
            assert_eq!((outcome.orders, outcome.held_bars), (expected.orders, expected.held_bars), "{pair:?}");
            assert!(near(outcome.total_return, expected.total_return), "{outcome:?} {expected:?}");
        }
    }

    #[test]
    fn a_length_beyond_the_closes_never_trades() {
        let outcome = Closes::new(vec![1.0, 2.0, 3.0]).unwrap().sweep(&[Pair { fast: 1, slow: 4 }], 0.0).unwrap()[0];
        assert_eq!((outcome.orders, outcome.total_return), (0, 0.0));
        assert!(outcome.sharpe.is_nan());
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        assert_eq!(Closes::new(vec![1.0, 2.0]).unwrap_err(), SweepError::TooFewCloses(2));
        let bad = Closes::new(vec![1.0, 0.0, 2.0]).unwrap_err();
        assert_eq!(bad.to_string(), "expected finite closes above zero, got 0 at row 1");
        let closes = Closes::new(vec![1.0, 2.0, 3.0]).unwrap();
        let pairs = [Pair { fast: 1, slow: 2 }, Pair { fast: 2, slow: 2 }];
        let bad = closes.sweep(&pairs, 0.0).unwrap_err();
        assert_eq!(bad.to_string(), "expected 1 <= fast < slow, got fast 2 and slow 2 in pair 1");
        assert_eq!(closes.sweep(&pairs[..1], 1.0).unwrap_err(), SweepError::BadFee(1.0));
    }
}
