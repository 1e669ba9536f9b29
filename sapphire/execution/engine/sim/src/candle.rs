//! One interval of a market, in ticks and lots.

/// Nanoseconds in a minute.
pub const MINUTE_NS: i64 = 60_000_000_000;

/// Open, high, low, close and volume of one interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candle {
    /// Start of the interval, UTC nanoseconds; its end is not part of it.
    pub open_ns: i64,
    /// First price, ticks.
    pub open: i64,
    /// Highest price, ticks.
    pub high: i64,
    /// Lowest price, ticks.
    pub low: i64,
    /// Last price, ticks.
    pub close: i64,
    /// Traded quantity, lots.
    pub volume: i64,
}

impl Candle {
    /// High and low embrace open and close, prices are positive and the volume is not negative.
    pub fn is_sound(&self) -> bool {
        self.low > 0
            && self.low <= self.open.min(self.close)
            && self.high >= self.open.max(self.close)
            && self.volume >= 0
    }

    /// Puts a later candle behind this one.
    pub fn extend(&mut self, later: &Candle) {
        self.high = self.high.max(later.high);
        self.low = self.low.min(later.low);
        self.close = later.close;
        self.volume += later.volume;
    }
}

/// Groups candles in time order into intervals of `interval_ns` that start at multiples of it.
pub fn aggregate(minutes: impl IntoIterator<Item = Candle>, interval_ns: i64) -> Vec<Candle> {
    let mut grouped: Vec<Candle> = Vec::new();
    for minute in minutes {
        let open_ns = minute.open_ns - minute.open_ns.rem_euclid(interval_ns);
        match grouped.last_mut() {
            Some(last) if last.open_ns == open_ns => last.extend(&minute),
            _ => grouped.push(Candle { open_ns, ..minute }),
        }
    }
    grouped
}
