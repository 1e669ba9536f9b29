//! The bytes of an output: a tag, then its fields in order. Numbers are little-endian, names are the stable texts with
//! their length before them, so a sequence of outputs reads in one way only.

use super::{Output, SignalId};
use crate::amounts::Atoms;
use crate::instrument::Side;
use crate::orders::{ClientOrderId, Order, OrderState, Report, ReportKind};
use crate::risk::Denial;
use crate::venue::TimeInForce;

pub(super) fn encode(output: &Output, bytes: &mut Vec<u8>) {
    let mut writer = Writer(bytes);
    match output {
        Output::Place(approved) => writer.tag(1).order(approved.order()),
        Output::Cancel { order, instrument } => writer.tag(2).id(*order).number(instrument.0),
        Output::Query { order, instrument } => writer.tag(3).id(*order).number(instrument.0),
        Output::SignalRefused { signal, reason } => writer.tag(4).signal(signal).text(reason.text()),
        Output::Denied { order, denial } => writer.tag(5).order(order).denial(denial),
        Output::TargetReached { signal, held_lots } => writer.tag(6).signal(signal).number(*held_lots),
        Output::TargetExpired { signal, remaining_lots, cause } => {
            writer.tag(7).signal(signal).number(*remaining_lots).text(cause.text())
        }
        Output::Trading { state, cause } => writer.tag(8).text(state.text()).text(cause.text()),
        Output::Adjusted { asset, atoms } => writer.tag(9).number(asset.0).atoms(*atoms),
        Output::NotHoldable { asset, atoms } => writer.tag(14).number(asset.0).atoms(*atoms),
        Output::BalancesSkipped { as_of_ns } => writer.tag(10).number(*as_of_ns),
        Output::Unmatched { report, state } => writer.tag(11).report(report).text(state.map_or("", OrderState::text)),
        Output::Overfilled { order, lots } => writer.tag(12).id(*order).number(*lots),
        Output::WakeAt(wake_ns) => writer.tag(13).number(*wake_ns),
    };
}

struct Writer<'a>(&'a mut Vec<u8>);

impl Writer<'_> {
    fn tag(&mut self, tag: u8) -> &mut Self {
        self.0.push(tag);
        self
    }

    fn number(&mut self, number: impl Into<i64>) -> &mut Self {
        self.0.extend_from_slice(&number.into().to_le_bytes());
        self
    }

    fn atoms(&mut self, atoms: Atoms) -> &mut Self {
        self.0.extend_from_slice(&atoms.to_le_bytes());
        self
    }

    fn id(&mut self, id: ClientOrderId) -> &mut Self {
        self.number(id.account).number(id.epoch).number(id.sequence.cast_signed())
    }

    fn signal(&mut self, signal: &SignalId) -> &mut Self {
        self.number(signal.release.0).number(signal.instrument.0).number(signal.bar_close_ns)
    }

    fn order(&mut self, order: &Order) -> &mut Self {
        let side = match order.side {
            Side::Buy => 0,
            Side::Sell => 1,
        };
        let time_in_force = match order.time_in_force {
            TimeInForce::GoodTillCancel => 0,
            TimeInForce::ImmediateOrCancel => 1,
            TimeInForce::FillOrKill => 2,
            TimeInForce::PostOnly => 3,
        };
        self.id(order.id).number(order.instrument.0).number(order.release.0).number(order.bar_close_ns);
        self.number(side).number(order.ticks).number(order.lots).number(time_in_force)
    }

    fn denial(&mut self, denial: &Denial) -> &mut Self {
        self.text(denial.code.text()).text(denial.level.text()).atoms(denial.value).atoms(denial.limit)
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.number(text.len() as i64);
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    fn report(&mut self, report: &Report) -> &mut Self {
        self.id(report.order);
        match report.kind {
            ReportKind::Accepted { venue_order } => self.tag(0).number(venue_order.cast_signed()),
            ReportKind::Rejected { venue_code } => self.tag(1).number(venue_code),
            ReportKind::Trade { fill, executed_lots } => {
                self.tag(2).number(fill.trade.cast_signed()).number(fill.ticks).number(fill.lots);
                self.atoms(fill.quote_atoms).number(fill.fee_asset.0).atoms(fill.fee_atoms).number(executed_lots)
            }
            ReportKind::Canceled { executed_lots } => self.tag(3).number(executed_lots),
            ReportKind::Expired { executed_lots } => self.tag(4).number(executed_lots),
            ReportKind::CancelRejected { venue_code } => self.tag(5).number(venue_code),
            ReportKind::NotFound { conclusive } => self.tag(6).number(conclusive),
            ReportKind::Unanswered => self.tag(7),
        }
    }
}
