//! Stream names: `btcusdt@depth@100ms`, `!miniTicker@arr`.

use sapphire_core::instrument::InstrumentId;

use crate::matching::api::{Catalog, Interval};

/// How often a stream of the book speaks, market nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateSpeed {
    /// Every 100 ms, as the matching service cuts its diffs.
    Fast,
    /// Every second.
    Slow,
}

/// What a stream sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// `@depth`: changed levels.
    Depth(UpdateSpeed),
    /// `@depth5`, `@depth10`, `@depth20`: the best levels.
    Levels(usize, UpdateSpeed),
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
    /// What it sends.
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

    /// Whether it is about one symbol.
    pub fn is_about(&self, instrument: InstrumentId) -> bool {
        self.instrument.is_none_or(|own| own == instrument)
    }
}

fn parse_topic(topic: &str) -> Option<Topic> {
    let (topic, update_speed) = match topic.split_once('@') {
        Some((topic, "100ms")) => (topic, Some(UpdateSpeed::Fast)),
        Some((topic, "1000ms")) => (topic, Some(UpdateSpeed::Slow)),
        Some(_) => return None,
        None => (topic, None),
    };
    if let Some(levels) = topic.strip_prefix("depth") {
        let update_speed = update_speed.unwrap_or(UpdateSpeed::Slow);
        return match levels {
            "" => Some(Topic::Depth(update_speed)),
            "5" => Some(Topic::Levels(5, update_speed)),
            "10" => Some(Topic::Levels(10, update_speed)),
            "20" => Some(Topic::Levels(20, update_speed)),
            _ => None,
        };
    }
    match (topic, update_speed) {
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
        assert_eq!(parse_topic("depth"), Some(Topic::Depth(UpdateSpeed::Slow)));
        assert_eq!(parse_topic("depth@100ms"), Some(Topic::Depth(UpdateSpeed::Fast)));
        assert_eq!(parse_topic("depth20@100ms"), Some(Topic::Levels(20, UpdateSpeed::Fast)));
        assert_eq!(parse_topic("kline_1M"), Interval::parse("1M").map(Topic::Kline));
        assert_eq!(parse_topic("trade"), Some(Topic::Trade));
        for wrong in ["", "depth7", "depth@250ms", "trade@100ms", "kline_1s", "kline", "Trade", "miniticker"] {
            assert_eq!(parse_topic(wrong), None, "{wrong:?}");
        }
    }
}
