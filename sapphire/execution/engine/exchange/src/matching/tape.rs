//! The public tape of one symbol: trades and their aggregates.
//!
//! Invariant: trade ids and aggregate ids are contiguous; an aggregate is what one taker traded at one price at one
//! instant. Trades between liquidity orders are on it like any others.
//!
//! Known limitation: it reaches back 20,000 trades; what is older is gone for queries.

use std::collections::VecDeque;

use sapphire_core::instrument::Side;
use sapphire_core::venue::{OrderId, Trade};

use super::api::{AggTrade, AggTradesQuery, MAX_ROWS, PublicTrade, TradesQuery};

/// Trades kept: a day of the synthetic liquidity's (17,280) and some of the clients'.
pub(crate) const KEPT: usize = 20_000;

/// The tape of one symbol.
#[derive(Debug, Default)]
pub(crate) struct Tape {
    trades: VecDeque<PublicTrade>,
    aggregates: VecDeque<AggTrade>,
    /// The taker whose aggregate may still grow.
    open: Option<(OrderId, AggTrade)>,
    last_aggregate: u64,
}

impl Tape {
    /// Prints a trade; the aggregate that it ended comes back.
    pub(crate) fn print(&mut self, trade: &Trade, time_ns: i64) -> (PublicTrade, Option<AggTrade>) {
        let buyer_is_maker = trade.taker_side == Side::Sell;
        let Trade { number, ticks, lots, quote_atoms, .. } = *trade;
        let public = PublicTrade { trade_id: number, ticks, lots, quote_atoms, time_ns, buyer_is_maker };
        keep(&mut self.trades, public);
        if let Some((taker, aggregate)) = &mut self.open
            && *taker == trade.taker.order
            && aggregate.ticks == ticks
            && aggregate.time_ns == time_ns
        {
            aggregate.lots += lots;
            aggregate.last_trade_id = number;
            return (public, None);
        }
        let ended = self.flush();
        self.last_aggregate += 1;
        let aggregate = AggTrade {
            agg_id: self.last_aggregate,
            ticks,
            lots,
            first_trade_id: number,
            last_trade_id: number,
            time_ns,
            buyer_is_maker,
        };
        self.open = Some((trade.taker.order, aggregate));
        (public, ended)
    }

    /// Ends the aggregate that may still grow: the instant is over.
    pub(crate) fn flush(&mut self) -> Option<AggTrade> {
        let (_, aggregate) = self.open.take()?;
        keep(&mut self.aggregates, aggregate);
        Some(aggregate)
    }

    /// The last trade.
    pub(crate) fn last(&self) -> Option<&PublicTrade> {
        self.trades.back()
    }

    /// First and last trade id at or after a time.
    pub(crate) fn ids_since(&self, from_ns: i64) -> Option<(u64, u64)> {
        let place = self.trades.partition_point(|trade| trade.time_ns < from_ns);
        Some((self.trades.get(place)?.trade_id, self.trades.back()?.trade_id))
    }

    /// First and last trade id in `[from_ns, to_ns)`.
    pub(crate) fn ids_within(&self, from_ns: i64, to_ns: i64) -> Option<(u64, u64)> {
        let first = self.trades.partition_point(|trade| trade.time_ns < from_ns);
        let end = self.trades.partition_point(|trade| trade.time_ns < to_ns);
        (first < end).then(|| (self.trades[first].trade_id, self.trades[end - 1].trade_id))
    }

    pub(crate) fn trades(&self, query: &TradesQuery) -> Vec<PublicTrade> {
        let limit = query.limit.min(MAX_ROWS);
        let first = match query.from_id {
            Some(id) => self.trades.partition_point(|trade| trade.trade_id < id),
            None => self.trades.len().saturating_sub(limit),
        };
        self.trades.iter().skip(first).take(limit).copied().collect()
    }

    pub(crate) fn aggregates(&self, query: &AggTradesQuery) -> Vec<AggTrade> {
        let limit = query.limit.min(MAX_ROWS);
        let rows = &self.aggregates;
        let end = query.end_ns.map_or(rows.len(), |end_ns| rows.partition_point(|row| row.time_ns <= end_ns));
        let first = match (query.from_id, query.start_ns) {
            (Some(id), _) => rows.partition_point(|row| row.agg_id < id),
            (None, Some(start_ns)) => rows.partition_point(|row| row.time_ns < start_ns),
            (None, None) => end.saturating_sub(limit),
        };
        rows.iter().take(end).skip(first).take(limit).copied().collect()
    }
}

fn keep<T>(ring: &mut VecDeque<T>, row: T) {
    if ring.len() == KEPT {
        ring.pop_front();
    }
    ring.push_back(row);
}

#[cfg(test)]
mod tests {
    use super::*;
    use sapphire_core::instrument::{Asset, InstrumentId};
    use sapphire_core::venue::{AccountId, Party};

    fn trade(number: u64, taker: u64, ticks: i64) -> Trade {
        let party = |order| Party {
            order: OrderId(order),
            account: AccountId(1),
            fee_asset: Asset(0),
            fee_atoms: 0,
            complete: true,
        };
        Trade {
            number,
            instrument: InstrumentId(0),
            ticks,
            lots: 2,
            quote_atoms: (2 * ticks).into(),
            taker_side: Side::Sell,
            taker: party(taker),
            maker: party(900 + number),
        }
    }

    #[test]
    fn one_taker_at_one_price_is_one_aggregate() {
        let mut tape = Tape::default();
        assert_eq!(tape.print(&trade(1, 50, 100), 10).1, None);
        assert_eq!(tape.print(&trade(2, 50, 100), 10).1, None);
        let ended = tape.print(&trade(3, 50, 99), 10).1.unwrap();
        assert_eq!((ended.agg_id, ended.first_trade_id, ended.last_trade_id, ended.lots), (1, 1, 2, 4));
        assert!(ended.buyer_is_maker);
        assert_eq!(tape.flush().map(|aggregate| aggregate.agg_id), Some(2));
        tape.print(&trade(4, 50, 99), 11);
        assert_eq!(tape.flush().map(|aggregate| aggregate.agg_id), Some(3), "another instant");
    }

    #[test]
    fn queries_page_by_id_and_time_and_the_ring_is_bounded() {
        let mut tape = Tape::default();
        for number in 1..=(KEPT as u64 + 5) {
            tape.print(&trade(number, number, 100), number as i64);
            tape.flush();
        }
        let ask = |from_id, limit| {
            let rows = tape.trades(&TradesQuery { instrument: InstrumentId(0), from_id, limit });
            rows.iter().map(|row| row.trade_id).collect::<Vec<_>>()
        };
        let last = KEPT as u64 + 5;
        assert_eq!(ask(None, 2), [last - 1, last]);
        assert_eq!(ask(Some(0), 1), [6], "the oldest kept");
        assert_eq!(ask(Some(last), 10), [last]);
        let query = AggTradesQuery {
            instrument: InstrumentId(0),
            from_id: None,
            start_ns: Some(100),
            end_ns: Some(102),
            limit: 10,
        };
        assert_eq!(tape.aggregates(&query).iter().map(|row| row.agg_id).collect::<Vec<_>>(), [100, 101, 102]);
        assert_eq!(tape.ids_since(last as i64), Some((last, last)));
        assert_eq!(tape.ids_since(last as i64 + 1), None);
    }
}
