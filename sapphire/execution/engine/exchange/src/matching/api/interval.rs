//! The venue's candle intervals and where each candle starts.
//!
//! Invariant: the candle that holds an instant starts at or before it and ends after it. Weeks start on Monday, months
//! on their first day, everything else at whole multiples of the interval since 1970, in UTC.
//!
//! Known limitation: the smallest candle of a feed is a minute, so `1s` is not an interval here.

const MINUTE_NS: i64 = 60_000_000_000;
const HOUR_NS: i64 = 60 * MINUTE_NS;
const DAY_NS: i64 = 24 * HOUR_NS;
/// 1970-01-01 was a Thursday; the first Monday came four days later.
const MONDAY_NS: i64 = 4 * DAY_NS;

/// A candle interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Interval {
    text: &'static str,
    length: Length,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Length {
    Fixed { span_ns: i64, start_ns: i64 },
    Month,
}

const fn fixed(text: &'static str, span_ns: i64) -> Interval {
    Interval { text, length: Length::Fixed { span_ns, start_ns: 0 } }
}

impl Interval {
    /// All intervals, shortest first.
    pub const ALL: [Self; 15] = [
        fixed("1m", MINUTE_NS),
        fixed("3m", 3 * MINUTE_NS),
        fixed("5m", 5 * MINUTE_NS),
        fixed("15m", 15 * MINUTE_NS),
        fixed("30m", 30 * MINUTE_NS),
        fixed("1h", HOUR_NS),
        fixed("2h", 2 * HOUR_NS),
        fixed("4h", 4 * HOUR_NS),
        fixed("6h", 6 * HOUR_NS),
        fixed("8h", 8 * HOUR_NS),
        fixed("12h", 12 * HOUR_NS),
        fixed("1d", DAY_NS),
        fixed("3d", 3 * DAY_NS),
        Self { text: "1w", length: Length::Fixed { span_ns: 7 * DAY_NS, start_ns: MONDAY_NS } },
        Self { text: "1M", length: Length::Month },
    ];

    /// The interval of a name such as `15m`; names tell `1m` from `1M`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|interval| interval.text == text)
    }

    /// Its name.
    pub fn text(&self) -> &'static str {
        self.text
    }

    /// Start of the candle that holds `at_ns`.
    pub fn open_ns(&self, at_ns: i64) -> i64 {
        match self.length {
            Length::Fixed { span_ns, start_ns } => at_ns - (at_ns - start_ns).rem_euclid(span_ns),
            Length::Month => {
                let (year, month) = month_of(at_ns.div_euclid(DAY_NS));
                day_of(year, month) * DAY_NS
            }
        }
    }

    /// End of the candle that starts at `open_ns`; the next one starts there.
    pub fn end_ns(&self, open_ns: i64) -> i64 {
        match self.length {
            Length::Fixed { span_ns, .. } => open_ns + span_ns,
            Length::Month => {
                let (year, month) = month_of(open_ns.div_euclid(DAY_NS));
                let (year, month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
                day_of(year, month) * DAY_NS
            }
        }
    }

    /// Start of the candle `count` candles before the one that starts at `open_ns`.
    pub fn back_ns(&self, open_ns: i64, count: i64) -> i64 {
        match self.length {
            Length::Fixed { span_ns, .. } => open_ns - span_ns.saturating_mul(count),
            Length::Month => {
                let (year, month) = month_of(open_ns.div_euclid(DAY_NS));
                let months = year * 12 + month - 1 - count;
                day_of(months.div_euclid(12), months.rem_euclid(12) + 1) * DAY_NS
            }
        }
    }
}

/// Year and month (1 to 12) of a day since 1970, in the proleptic Gregorian calendar (Hinnant, "`chrono`-Compatible
/// Low-Level Date Algorithms").
fn month_of(day: i64) -> (i64, i64) {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month)
}

/// Days from 1970 to the first of a month (the inverse of [`month_of`]).
fn day_of(year: i64, month: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let from_march = (month + 9) % 12;
    let day_of_year = (153 * from_march + 2) / 5;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND_NS: i64 = 1_000_000_000;
    /// 2024-02-29T13:37:42Z, a Thursday.
    const LEAP_NS: i64 = 1_709_213_862 * SECOND_NS;

    fn open(text: &str) -> i64 {
        Interval::parse(text).unwrap().open_ns(LEAP_NS) / SECOND_NS
    }

    #[test]
    fn candles_start_where_the_venue_starts_them() {
        assert_eq!(open("1m"), 1_709_213_820);
        assert_eq!(open("4h"), 1_709_208_000);
        assert_eq!(open("1d"), 1_709_164_800);
        assert_eq!(open("1w"), 1_708_905_600, "Monday 2024-02-26");
        assert_eq!(open("1M"), 1_706_745_600, "2024-02-01");
    }

    #[test]
    fn a_leap_february_has_29_days() {
        let month = Interval::parse("1M").unwrap();
        let february = month.open_ns(LEAP_NS);
        assert_eq!((month.end_ns(february) - february) / DAY_NS, 29);
        assert_eq!(month.back_ns(february, 12) / SECOND_NS, 1_675_209_600, "2023-02-01");
    }

    #[test]
    fn names_are_exact() {
        for text in ["", "1", "1s", "1H", "60m", "1D", " 1m"] {
            assert_eq!(Interval::parse(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn candles_tile_time(at_s in 0_i64..4_000_000_000, which in 0_usize..Interval::ALL.len(), back in 0_i64..1000) {
            let interval = Interval::ALL[which];
            let open = interval.open_ns(at_s * SECOND_NS);
            prop_assert!(open <= at_s * SECOND_NS && at_s * SECOND_NS < interval.end_ns(open));
            prop_assert_eq!(interval.open_ns(open), open);
            prop_assert_eq!(interval.open_ns(interval.end_ns(open)), interval.end_ns(open));
            prop_assert_eq!(interval.back_ns(interval.end_ns(open), 1), open);
            let earlier = interval.back_ns(open, back);
            prop_assert_eq!(interval.open_ns(earlier), earlier);
        }
    }
}
