//! A venue with a bad line: it trades correctly and tells late, twice, out of order, or not at all.

use std::collections::BTreeMap;

use sapphire_core::engine::{Config, Execution, FeeSide};
use sapphire_core::instrument::{Asset, Instrument, InstrumentId, Side, fee};
use sapphire_core::orders::{ClientOrderId, Fill, Order, Report, ReportKind};
use sapphire_core::risk::Limits;

pub const USDT: Asset = Asset(0);
pub const FEE_RATE: i64 = 100_000;
pub const MID_TICKS: i64 = 5_000_000;

pub fn instrument(index: u16) -> Instrument {
    Instrument {
        base: Asset(index + 1),
        quote: USDT,
        tick_atoms: 1_000_000,
        lot_atoms: 1_000,
        min_lots: 1,
        max_lots: 900_000_000,
        min_ticks: 1,
        max_ticks: 100_000_000,
        min_notional_atoms: 500_000_000,
    }
}

/// An engine that trades so many instruments there, without limits.
pub fn config(symbols: u16) -> Config {
    Config {
        instruments: (0..symbols).map(instrument).collect(),
        quote: USDT,
        assets: usize::from(symbols) + 1,
        releases: 1,
        account_tag: 1,
        fee_rate: FEE_RATE,
        fee_side: FeeSide::Received,
        execution: Execution::default(),
        limits: Limits::open(usize::from(symbols), 1),
    }
}

/// What becomes of an order.
#[derive(Clone, Copy, Debug)]
pub enum Fate {
    /// It never arrives.
    Lost,
    /// It is refused.
    Refused,
    /// It trades this many hundredths, in one to three trades.
    Traded(u8, u8),
}

/// The venue and the reports that have not been read yet.
pub struct RoughVenue {
    pub balances: Vec<i128>,
    pub unread: Vec<Report>,
    /// The true history of each order that arrived.
    emitted: BTreeMap<ClientOrderId, Vec<Report>>,
    /// Every trade in the order in which it happened.
    pub trades: Vec<(Order, Fill)>,
}

impl RoughVenue {
    pub fn new(cash_atoms: i128, assets: usize) -> Self {
        let mut balances = vec![0; assets];
        balances[0] = cash_atoms;
        Self { balances, unread: Vec::new(), emitted: BTreeMap::new(), trades: Vec::new() }
    }

    pub fn held_atoms(&self, instrument: InstrumentId) -> i128 {
        self.balances[instrument.0 as usize + 1]
    }

    /// Works on an immediate-or-cancel order.
    pub fn place(&mut self, order: &Order, fate: Fate) {
        let report = |kind| Report { order: order.id, kind };
        let history = match fate {
            Fate::Lost => return,
            Fate::Refused => vec![report(ReportKind::Rejected { venue_code: -2010 })],
            Fate::Traded(hundredths, trades) => {
                let mut history = vec![report(ReportKind::Accepted { venue_order: order.id.sequence })];
                let total = order.lots * i64::from(hundredths.min(100)) / 100;
                let mut executed_lots = 0;
                for left in (1..=i64::from(trades.clamp(1, 3))).rev() {
                    let lots = (total - executed_lots) / left;
                    if lots > 0 {
                        executed_lots += lots;
                        history.push(report(ReportKind::Trade { fill: self.trade(order, lots), executed_lots }));
                    }
                }
                if executed_lots < order.lots {
                    history.push(report(ReportKind::Expired { executed_lots }));
                }
                history
            }
        };
        self.unread.extend(&history);
        self.emitted.insert(order.id, history);
    }

    fn trade(&mut self, order: &Order, lots: i64) -> Fill {
        let rules = instrument(order.instrument.0);
        let quote_atoms = rules.notional(order.ticks, lots);
        let base_atoms = rules.base_atoms(lots);
        let base = rules.base.0 as usize;
        let (fee_asset, fee_atoms) = match order.side {
            Side::Buy => (rules.base, fee(base_atoms, FEE_RATE)),
            Side::Sell => (USDT, fee(quote_atoms, FEE_RATE)),
        };
        self.balances[base] += i128::from(order.side.sign()) * base_atoms;
        self.balances[0] -= i128::from(order.side.sign()) * quote_atoms;
        self.balances[fee_asset.0 as usize] -= fee_atoms;
        let trade = self.trades.len() as u64 + 1;
        let fill = Fill { trade, ticks: order.ticks, lots, quote_atoms, fee_asset, fee_atoms };
        self.trades.push((*order, fill));
        fill
    }

    /// Tells everything about an order again, or that it is not known.
    pub fn query(&mut self, order: ClientOrderId, conclusive: bool) {
        match self.emitted.get(&order) {
            Some(history) => self.unread.extend(history),
            None => self.unread.push(Report { order, kind: ReportKind::NotFound { conclusive } }),
        }
    }

    /// The answer to a cancel: an immediate-or-cancel order is never there any more.
    pub fn cancel(&mut self, order: ClientOrderId) {
        self.unread.push(Report { order, kind: ReportKind::CancelRejected { venue_code: -2011 } });
    }
}
