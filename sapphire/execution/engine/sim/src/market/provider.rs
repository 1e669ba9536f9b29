//! The provider of the synthetic liquidity in one symbol: which step comes next, and which was the last.

use std::collections::VecDeque;

use super::Listed;
use crate::candle::{Candle, MINUTE_NS};
use crate::liquidity::{LiquidityStep, SyntheticLiquidity};

/// Minutes that a provider reads from its feed at once.
const READ_AHEAD: usize = 64;

/// The synthetic liquidity's present quotes in one symbol.
#[derive(Debug)]
pub(super) struct LiquidityProvider {
    liquidity: SyntheticLiquidity,
    /// Minutes read from the feed and not begun.
    ahead: VecDeque<Candle>,
    /// Where the feed is read on.
    read_ns: i64,
    steps: std::vec::IntoIter<LiquidityStep>,
    next: Option<LiquidityStep>,
    /// The step that was run last: its quotes stand.
    last: Option<LiquidityStep>,
    /// Trades that its market orders have made with nobody else in the book.
    trades: u64,
    /// When the symbol's market closes; none where it does not, or has.
    ends_ns: Option<i64>,
}

impl LiquidityProvider {
    pub(super) fn new(seed: u64, listed: &Listed, minute_ns: i64) -> Self {
        let liquidity = SyntheticLiquidity::new(seed, &listed.symbol, listed.instrument);
        let mut provider = Self {
            liquidity,
            ahead: VecDeque::new(),
            read_ns: minute_ns,
            steps: Vec::new().into_iter(),
            next: None,
            last: None,
            trades: 0,
            ends_ns: listed.feed.ends_ns(),
        };
        provider.load_next(listed);
        provider
    }

    /// When it acts next: at its next step or, after the last one, at the end of the market.
    pub(super) fn next_ns(&self) -> Option<i64> {
        self.next.as_ref().map(|step| step.time_ns).or(self.ends_ns)
    }

    /// Whether the end of the market has come, which it does once; the synthetic liquidity is gone then.
    pub(super) fn take_end(&mut self, now_ns: i64) -> bool {
        self.ends_ns.take_if(|ends_ns| *ends_ns <= now_ns).is_some()
    }

    /// Takes in that a step was run.
    pub(super) fn ran(&mut self, step: LiquidityStep) {
        self.trades += u64::from(step.taker.is_some());
        self.last = Some(step);
    }

    /// The step that was run last.
    pub(super) fn last(&self) -> Option<&LiquidityStep> {
        self.last.as_ref()
    }

    /// When its quotes were made.
    pub(super) fn quoted_ns(&self) -> Option<i64> {
        self.last.as_ref().map(|step| step.time_ns)
    }

    /// Trades that the synthetic liquidity has made by itself before its last step.
    pub(super) fn trades_before(&self) -> u64 {
        self.trades - u64::from(self.last.as_ref().is_some_and(|step| step.taker.is_some()))
    }

    /// The next step, if its time has come.
    pub(super) fn take_due(&mut self, now_ns: i64) -> Option<LiquidityStep> {
        self.next.take_if(|step| step.time_ns <= now_ns)
    }

    /// Makes the next step ready; a feed without a candle for a minute leaves that minute without liquidity orders.
    pub(super) fn load_next(&mut self, listed: &Listed) {
        self.next = self.steps.next();
        while self.next.is_none() {
            let Some(candle) = self.next_candle(listed) else { return };
            self.begin(&candle);
        }
    }

    fn begin(&mut self, candle: &Candle) {
        self.steps = self.liquidity.steps(candle).into_iter();
        self.next = self.steps.next();
    }

    /// The candle after those begun; none where the feed has ended.
    fn next_candle(&mut self, listed: &Listed) -> Option<Candle> {
        if self.ahead.is_empty() {
            let read = listed.feed.upcoming(self.read_ns, READ_AHEAD);
            self.read_ns = read.last().map_or(self.read_ns, |candle| candle.open_ns + MINUTE_NS);
            self.ahead = read.into();
        }
        self.ahead.pop_front()
    }

    /// Passes over the steps up to `to_ns`: how many trades the synthetic liquidity makes in all of them but the last
    /// with nobody else in the book, and that last step, to be run.
    pub(super) fn skip(&mut self, listed: &Listed, to_ns: i64) -> (u64, Option<LiquidityStep>) {
        let mut steps = SkippedSteps::default();
        while let Some(step) = self.take_due(to_ns) {
            steps.pass(step);
            self.next = self.steps.next();
        }
        if self.next.is_none() {
            let mut held: Option<Candle> = None;
            while let Some(candle) = self.next_candle(listed) {
                if candle.open_ns > to_ns {
                    self.ahead.push_front(candle);
                    break;
                }
                if let Some(whole) = held.replace(candle) {
                    steps.pass_minute(self.liquidity.prints(&whole));
                }
            }
            if let Some(candle) = held {
                self.begin(&candle);
                while let Some(step) = self.take_due(to_ns) {
                    steps.pass(step);
                    self.next = self.steps.next();
                }
            }
            if self.next.is_none() {
                self.load_next(listed);
            }
        }
        self.trades += steps.trades;
        (steps.trades, steps.last)
    }

    /// As [`LiquidityProvider::skip`], but the minutes in between are not read and their trades not counted.
    pub(super) fn jump(&mut self, listed: &Listed, to_ns: i64) -> Option<LiquidityStep> {
        let minute_ns = to_ns - to_ns.rem_euclid(MINUTE_NS);
        let unread = (minute_ns >= self.read_ns).then(|| listed.feed.next_minute(minute_ns)).flatten();
        let mut found = self.ahead.iter().copied().chain(unread);
        let Some(candle) = found.find(|candle| candle.open_ns == minute_ns) else {
            // Within the minute that runs, or in a gap: the last step lies in a minute before.
            return self.skip(listed, to_ns).1;
        };
        self.ahead.retain(|later| later.open_ns > minute_ns);
        self.read_ns = self.read_ns.max(minute_ns + MINUTE_NS);
        self.begin(&candle);
        let mut last = None;
        while let Some(step) = self.take_due(to_ns) {
            last = Some(step);
            self.next = self.steps.next();
        }
        if self.next.is_none() {
            self.load_next(listed);
        }
        last
    }
}

/// Liquidity steps passed over, the last of them kept.
#[derive(Default)]
struct SkippedSteps {
    trades: u64,
    last: Option<LiquidityStep>,
}

impl SkippedSteps {
    fn pass(&mut self, step: LiquidityStep) {
        let before = self.last.replace(step);
        self.trades += u64::from(before.is_some_and(|step| step.taker.is_some()));
    }

    fn pass_minute(&mut self, trades: u64) {
        let before = self.last.take();
        self.trades += trades + u64::from(before.is_some_and(|step| step.taker.is_some()));
    }
}
