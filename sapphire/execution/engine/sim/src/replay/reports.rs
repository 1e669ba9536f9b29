//! What a venue did, as the reports that its client gets.
//!
//! Invariant: each trade once, cumulative quantities, one end for each order.

use sapphire_core::orders::{ClientOrderId, Fill, Report, ReportKind};
use sapphire_core::venue::{AccountId, OrderId, Outcome, Rejection};

/// A client's orders at the venue that have not ended, and what they have executed.
#[derive(Debug)]
pub(super) struct Reporter {
    account: AccountId,
    executed: Vec<(ClientOrderId, i64)>,
}

impl Reporter {
    pub(super) fn new(account: AccountId) -> Self {
        Self { account, executed: Vec::new() }
    }

    /// An order was sent.
    pub(super) fn open(&mut self, order: ClientOrderId) {
        self.executed.push((order, 0));
    }

    /// The venue refused an order.
    pub(super) fn rejected(&mut self, id: OrderId, rejection: Rejection, reports: &mut Vec<Report>) {
        if let Some((order, _)) = self.end(id) {
            reports.push(Report { order, kind: ReportKind::Rejected { venue_code: venue_code(rejection) } });
        }
    }

    /// The venue did something; what it did with others' orders alone is not told.
    pub(super) fn emit(&mut self, outcome: &Outcome, reports: &mut Vec<Report>) {
        let mut emit = |order, kind| reports.push(Report { order, kind });
        match outcome {
            Outcome::Accepted(id) => emit(client_id(*id), ReportKind::Accepted { venue_order: id.0 }),
            Outcome::Canceled(id) => {
                if let Some((order, executed_lots)) = self.end(*id) {
                    emit(order, ReportKind::Canceled { executed_lots });
                }
            }
            Outcome::Expired(id, _) => {
                if let Some((order, executed_lots)) = self.end(*id) {
                    emit(order, ReportKind::Expired { executed_lots });
                }
            }
            Outcome::Traded(trade) => {
                for party in [&trade.taker, &trade.maker].into_iter().filter(|party| party.account == self.account) {
                    let fill = Fill {
                        trade: trade.number,
                        ticks: trade.ticks,
                        lots: trade.lots,
                        quote_atoms: trade.quote_atoms,
                        fee_asset: party.fee_asset,
                        fee_atoms: party.fee_atoms,
                    };
                    let order = client_id(party.order);
                    let Some(place) = self.executed.iter().position(|(id, _)| *id == order) else { continue };
                    self.executed[place].1 += trade.lots;
                    emit(order, ReportKind::Trade { fill, executed_lots: self.executed[place].1 });
                    if party.complete {
                        self.executed.swap_remove(place);
                    }
                }
            }
        }
    }

    fn end(&mut self, id: OrderId) -> Option<(ClientOrderId, i64)> {
        let order = client_id(id);
        let place = self.executed.iter().position(|(known, _)| *known == order)?;
        Some(self.executed.swap_remove(place))
    }
}

/// A replay has one account and one epoch: the sequence alone names an order.
pub(super) fn venue_id(order: ClientOrderId) -> OrderId {
    OrderId(order.sequence)
}

pub(super) fn client_id(id: OrderId) -> ClientOrderId {
    ClientOrderId { account: super::ACCOUNT_TAG, epoch: super::EPOCH, sequence: id.0 }
}

/// A cancel that found no order.
pub(super) fn cancel_rejected() -> ReportKind {
    ReportKind::CancelRejected { venue_code: venue_code(Rejection::UnknownOrder) }
}

/// Binance's error codes ("Error codes for Binance", -10xx, -11xx and -20xx), as the embedded exchange answers them.
fn venue_code(rejection: Rejection) -> i32 {
    match rejection {
        Rejection::Unknown => -1_121,
        Rejection::Price | Rejection::Quantity | Rejection::Notional => -1_013,
        Rejection::DuplicateId
        | Rejection::InsufficientBalance
        | Rejection::Amount
        | Rejection::WouldTake
        | Rejection::MarketClosed => -2_010,
        Rejection::UnknownOrder => -2_011,
    }
}
