//! Stream names: `btcusdt@depth@100ms`, `!miniTicker@arr`.

use sapphire_core::instrument::InstrumentId;

use crate::desk::api::{Catalog, Interval};

/// How often a stream of the book speaks, market nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Every 100 ms, as the desk cuts its diffs.
    Fast,
    /// Every second.
    Slow,
}

/// What a stream tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// `@depth`: changed levels.
    Depth(Pace),
    /// `@depth5`, `@depth10`, `@depth20`: the best levels.
    Levels(usize, Pace),
    /// `@trade`.
    Trade,
    /// `@aggTrade`.
    AggTrade,
    /// `@ticker`.
    Ticker,
    /// `@miniTicker`.
    MiniTicker,
    /// `@bookTicker`.
    BookTicker,
    /// `@kline_1m` and so on.
    Kline(Interval),
    /// `!ticker@arr`.
    AllTickers,
    /// `!miniTicker@arr`.
    AllMiniTickers,
}

/// A stream that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Its name, as the client wrote it.
    pub name: String,
    /// Its symbol; none for all of them.
    pub instrument: Option<InstrumentId>,
    /// What it tells.
    pub topic: Topic,
}

impl Stream {
    /// The stream of a name; none when there is no such stream or symbol. Symbols are lowercase, as the venue has them.
    pub fn parse(name: &str, catalog: &Catalog) -> Option<Self> {
        let (instrument, topic) = match name {
            "!ticker@arr" => (None, Topic::AllTickers),
            "!miniTicker@arr" => (None, Topic::AllMiniTickers),
            _ => {
                let (symbol, topic) = name.split_once('@')?;
                if symbol.bytes().any(|byte| byte.is_ascii_uppercase()) {
                    return None;
                }
                (Some(catalog.instrument(&symbol.to_ascii_uppercase())?), parse_topic(topic)?)
            }
        };
        Some(Self { name: name.to_owned(), instrument, topic })
    }

    /// Whether it tells something of a symbol.
    pub fn is_about(&self, instrument: InstrumentId) -> bool {
        self.instrument.is_none_or(|own| own == instrument)
    }
}

fn parse_topic(topic: &str) -> Option<Topic> {
    let (topic, pace) = match topic.split_once('@') {
        Some((topic, "100ms")) => (topic, Some(Pace::Fast)),
        Some((topic, "1000ms")) => (topic, Some(Pace::Slow)),
        Some(_) => return None,
        None => (topic, None),
    };
    if let Some(levels) = topic.strip_prefix("depth") {
        let pace = pace.unwrap_or(Pace::Slow);
        return match levels {
            "" => Some(Topic::Depth(pace)),
            "5" => Some(Topic::Levels(5, pace)),
            "10" => Some(Topic::Levels(10, pace)),
            "20" => Some(Topic::Levels(20, pace)),
            _ => None,
        };
    }
    match (topic, pace) {
        ("trade", None) => Some(Topic::Trade),
        ("aggTrade", None) => Some(Topic::AggTrade),
        ("ticker", None) => Some(Topic::Ticker),
        ("miniTicker", None) => Some(Topic::MiniTicker),
        ("bookTicker", None) => Some(Topic::BookTicker),
        (topic, None) => Interval::parse(topic.strip_prefix("kline_")?).map(Topic::Kline),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_have_the_venues_names() {
        assert_eq!(parse_topic("depth"), Some(Topic::Depth(Pace::Slow)));
        assert_eq!(parse_topic("depth@100ms"), Some(Topic::Depth(Pace::Fast)));
        assert_eq!(parse_topic("depth20@100ms"), Some(Topic::Levels(20, Pace::Fast)));
        assert_eq!(parse_topic("kline_1M"), Interval::parse("1M").map(Topic::Kline));
        assert_eq!(parse_topic("trade"), Some(Topic::Trade));
        for wrong in ["", "depth7", "depth@250ms", "trade@100ms", "kline_1s", "kline", "Trade", "miniticker"] {
            assert_eq!(parse_topic(wrong), None, "{wrong:?}");
        }
    }
}
