use super::*;
use crate::instrument::{Asset, InstrumentId, Side};
use crate::orders::{Fill, ReleaseId};
use crate::venue::TimeInForce;
use proptest::prelude::*;

const ID: ClientOrderId = ClientOrderId { account: 1, epoch: 1, sequence: 1 };

fn order(lots: i64) -> Order {
    Order {
        id: ID,
        instrument: InstrumentId(0),
        release: ReleaseId(0),
        bar_close_ns: 0,
        side: Side::Buy,
        ticks: 10,
        lots,
        time_in_force: TimeInForce::ImmediateOrCancel,
    }
}

fn sent(lots: i64) -> OrderTable {
    let mut table = OrderTable::with_capacity(4);
    table.open(order(lots), 0);
    table.act(ID, Transition::Submit, 0);
    table
}

fn report(kind: ReportKind) -> Report {
    Report { order: ID, kind }
}

fn trade(trade: u64, lots: i64, executed_lots: i64) -> Report {
    let fill = Fill { trade, ticks: 10, lots, quote_atoms: (lots * 10).into(), fee_asset: Asset(0), fee_atoms: 0 };
    report(ReportKind::Trade { fill, executed_lots })
}

fn state(table: &OrderTable) -> Option<OrderState> {
    table.get(ID).map(|tracked| tracked.state)
}

#[test]
fn a_trade_told_after_the_cancel_still_counts() {
    let mut table = sent(5);
    table.apply(&report(ReportKind::Canceled { executed_lots: 3 }), 1);
    let tracked = table.get(ID).unwrap();
    assert_eq!((tracked.in_flight_lots(), tracked.is_settled()), (3, false));
    table.apply(&trade(1, 3, 3), 2);
    let tracked = table.get(ID).unwrap();
    assert_eq!((tracked.state, tracked.filled_lots, tracked.is_settled()), (OrderState::Canceled, 3, true));
}

#[test]
fn silence_is_neither_life_nor_death() {
    let mut table = sent(5);
    table.apply(&report(ReportKind::Unanswered), 1);
    table.apply(&report(ReportKind::NotFound { conclusive: false }), 2);
    assert_eq!(state(&table), Some(OrderState::Unresolved));
    assert_eq!(table.get(ID).unwrap().in_flight_lots(), 5);
    table.apply(&report(ReportKind::NotFound { conclusive: true }), 3);
    assert_eq!(state(&table), Some(OrderState::Rejected));
    table.apply(&trade(1, 5, 5), 4);
    assert_eq!(state(&table), Some(OrderState::Filled));
}

#[test]
fn a_refused_cancel_leads_back() {
    let mut table = sent(5);
    table.act(ID, Transition::RequestCancel, 1);
    table.apply(&trade(1, 2, 2), 2);
    table.apply(&report(ReportKind::CancelRejected { venue_code: -2011 }), 3);
    assert_eq!(state(&table), Some(OrderState::PartiallyFilled));
}

#[test]
fn tombstones_last_a_day() {
    let mut table = sent(5);
    table.apply(&trade(1, 5, 5), 10);
    table.prune(9 + TOMBSTONE_NS);
    assert_eq!(table.apply(&trade(1, 5, 5), 11), Applied::Repeated);
    table.prune(10 + TOMBSTONE_NS);
    assert_eq!(table.apply(&trade(1, 5, 5), 12), Applied::Unknown);
}

#[test]
fn a_tombstone_that_misses_trades_is_kept() {
    let mut table = sent(5);
    table.apply(&report(ReportKind::Expired { executed_lots: 5 }), 0);
    table.prune(TOMBSTONE_NS);
    assert_eq!(table.len(), 1);
    table.apply(&trade(1, 5, 5), TOMBSTONE_NS);
    table.prune(2 * TOMBSTONE_NS);
    assert!(table.is_empty());
}

/// An order's true history: its trades, and its end when something was left.
fn history() -> impl Strategy<Value = (i64, Vec<Report>)> {
    (prop::collection::vec(1_i64..20, 0..6), 0_i64..20, any::<bool>()).prop_map(|(lots, rest, by_venue)| {
        let executed: i64 = lots.iter().sum();
        let mut reports = vec![report(ReportKind::Accepted { venue_order: 70 })];
        let mut cumulative = 0;
        for (number, lots) in lots.iter().enumerate() {
            cumulative += lots;
            reports.push(trade(number as u64, *lots, cumulative));
        }
        let rest = if executed == 0 { rest + 1 } else { rest };
        if rest > 0 && by_venue {
            reports.push(report(ReportKind::Expired { executed_lots: executed }));
        } else if rest > 0 {
            reports.push(report(ReportKind::Canceled { executed_lots: executed }));
        }
        (executed + rest, reports)
    })
}

/// The history told late, out of order and more than once, with false alarms in between.
fn emitted() -> impl Strategy<Value = (i64, Vec<Report>, Vec<Report>)> {
    history().prop_flat_map(|(lots, reports)| {
        let copies = prop::collection::vec(0..reports.len(), 0..6);
        let alarms = prop::collection::vec(any::<bool>(), 0..3);
        let truth = reports.clone();
        (copies, alarms)
            .prop_map(move |(copies, alarms)| {
                let again: Vec<Report> = copies.iter().map(|copy| reports[*copy]).collect();
                let alarms = alarms.iter().map(|silent| {
                    report(if *silent { ReportKind::Unanswered } else { ReportKind::NotFound { conclusive: false } })
                });
                reports.iter().copied().chain(again).chain(alarms).collect::<Vec<Report>>()
            })
            .prop_shuffle()
            .prop_map(move |emitted| (lots, truth.clone(), emitted))
    })
}

proptest! {
    #[test]
    fn the_order_of_reports_does_not_matter((lots, truth, emitted) in emitted()) {
        let (mut straight, mut crooked) = (sent(lots), sent(lots));
        for report in &truth {
            straight.apply(report, 1);
        }
        let mut before = 0;
        for report in &emitted {
            crooked.apply(report, 1);
            let tracked = crooked.get(ID).unwrap();
            prop_assert!(tracked.filled_lots <= tracked.executed_lots && before <= tracked.executed_lots);
            before = tracked.executed_lots;
        }
        let summary = |table: &OrderTable| {
            let tracked = table.get(ID).unwrap();
            (tracked.state, tracked.filled_lots, tracked.filled_quote, tracked.executed_lots, tracked.is_settled())
        };
        prop_assert_eq!(summary(&straight), summary(&crooked));
        prop_assert!(summary(&crooked).4);
    }

    #[test]
    fn a_wrong_verdict_loses_no_trade((lots, truth, mut emitted) in emitted(), place in 0_usize..20) {
        emitted.insert(place.min(emitted.len()), report(ReportKind::NotFound { conclusive: true }));
        let (mut straight, mut crooked) = (sent(lots), sent(lots));
        for report in &truth {
            straight.apply(report, 1);
        }
        for report in &emitted {
            crooked.apply(report, 1);
        }
        let (straight, crooked) = (straight.get(ID).unwrap(), crooked.get(ID).unwrap());
        prop_assert_eq!(straight.filled_lots, crooked.filled_lots);
        prop_assert_eq!(straight.filled_quote, crooked.filled_quote);
        prop_assert!(crooked.is_settled());
    }
}
