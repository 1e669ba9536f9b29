//! Where candles come from: generated from a seed, or recorded.
//!
//! Invariant: a feed is a value, not a stream; any minute is the same whenever and in whatever order it is asked for.
//! One question costs O(log history), each further minute of the same answer O(1).

use crate::candle::{Candle, MINUTE_NS, aggregate};

mod cascade;
mod generated;
mod normal;
mod periods;
mod recorded;
mod season;
mod volume;

pub use generated::{GeneratedFeed, VERSION as GENERATOR_VERSION};
pub use recorded::{FeedError, RecordedFeed};

/// A source of one-minute candles for one symbol.
#[derive(Clone, Debug)]
pub enum Feed {
    /// Made from a seed; has a history for any time after its listing.
    Generated(GeneratedFeed),
    /// Recorded at a venue; has gaps where the recording has.
    Recorded(RecordedFeed),
}

impl Feed {
    /// Minutes that open in `[from_ns, to_ns)`, in time order.
    #[must_use]
    pub fn minutes(&self, from_ns: i64, to_ns: i64) -> Vec<Candle> {
        match self {
            Self::Generated(feed) => feed.minutes(from_ns, to_ns),
            Self::Recorded(feed) => feed.minutes(from_ns, to_ns),
        }
    }

    /// The first minutes that open at or after `at_or_after_ns`, at most `limit` of them; fewer only where the feed
    /// has a gap or ends, none only where it has ended.
    #[must_use]
    pub fn upcoming(&self, at_or_after_ns: i64, limit: usize) -> Vec<Candle> {
        match self {
            Self::Generated(feed) => feed.upcoming(at_or_after_ns, limit),
            Self::Recorded(feed) => feed.upcoming(at_or_after_ns, limit),
        }
    }

    /// The first minute that opens at or after `at_or_after_ns`; none where the feed has ended.
    #[must_use]
    pub fn next_minute(&self, at_or_after_ns: i64) -> Option<Candle> {
        self.upcoming(at_or_after_ns, 1).first().copied()
    }

    /// When the market of a symbol closes: of a generated one at the end of its minutes, where it is delisted or goes
    /// by rules that this feed is not counted in; of a recorded one, where it was said that it was delisted.
    #[must_use]
    pub fn ends_ns(&self) -> Option<i64> {
        match self {
            Self::Generated(feed) => Some(feed.history_ns().1 + MINUTE_NS),
            Self::Recorded(feed) => feed.ends_ns(),
        }
    }

    /// Candles of `interval_ns`, at multiples of it, that open and close within `[from_ns, to_ns)`. A candle holds
    /// the minutes there are: fewer than its interval at a listing or beside a gap.
    ///
    /// An interval that is not a positive multiple of a minute has no candles.
    #[must_use]
    pub fn candles(&self, from_ns: i64, to_ns: i64, interval_ns: i64) -> Vec<Candle> {
        if interval_ns <= 0 || interval_ns % MINUTE_NS != 0 {
            return Vec::new();
        }
        let from_ns = ceil_to(from_ns, interval_ns);
        let to_ns = to_ns - to_ns.rem_euclid(interval_ns);
        aggregate(self.minutes(from_ns, to_ns), interval_ns)
    }
}

/// The first multiple of `step` at or after `value`, or the last one that an `i64` holds.
fn ceil_to(value: i64, step: i64) -> i64 {
    let beyond = value.rem_euclid(step);
    if beyond == 0 { value } else { value.checked_add(step - beyond).unwrap_or(i64::MAX - i64::MAX % step) }
}
