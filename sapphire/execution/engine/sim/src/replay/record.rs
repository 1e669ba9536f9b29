//! What a replay writes down.

use sapphire_core::amounts::Atoms;
use sapphire_core::engine::{EndCause, Refusal, SignalId};
use sapphire_core::instrument::{Asset, InstrumentId, Side};
use sapphire_core::orders::{Fill, Order, OrderState, Tracked};
use sapphire_core::risk::{Cause, Denial, TradingState};

/// A trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FillRow {
    /// When.
    pub time_ns: i64,
    /// Sequence of the order.
    pub order: u64,
    /// Of what.
    pub instrument: InstrumentId,
    /// Buy or sell.
    pub side: Side,
    /// What moved.
    pub fill: Fill,
}

/// An order and what became of it. Rows are in the order of their sequences, which count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderRow {
    /// What was asked for.
    pub order: Order,
    /// When it was sent, or denied.
    pub sent_ns: i64,
    /// When it came to the exchange; none for a denied one.
    pub arrives_ns: Option<i64>,
    /// When it ended.
    pub ended_ns: Option<i64>,
    /// Its state at the end of the replay.
    pub state: OrderState,
    /// Lots traded.
    pub filled_lots: i64,
    /// Quote atoms traded.
    pub filled_quote: Atoms,
}

/// A denied order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DenialRow {
    /// When.
    pub time_ns: i64,
    /// Sequence of the order.
    pub order: u64,
    /// Why.
    pub denial: Denial,
}

/// A refused signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefusalRow {
    /// When.
    pub time_ns: i64,
    /// Which.
    pub signal: SignalId,
    /// Why.
    pub reason: Refusal,
}

/// How a target ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetRow {
    /// When.
    pub time_ns: i64,
    /// Which.
    pub signal: SignalId,
    /// Whole lots held (reached) or lots that were missing (not reached).
    pub lots: i64,
    /// Why it ended unreached; none when it was reached.
    pub cause: Option<EndCause>,
}

/// The account at the close of a bar, every position marked at the symbol's last close.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BarState {
    /// Close of the bar.
    pub close_ns: i64,
    /// Cash and positions, quote atoms.
    pub equity_quote_atoms: Atoms,
    /// Cash, quote atoms.
    pub cash_quote_atoms: Atoms,
    /// Base atoms by instrument.
    pub position_atoms: Vec<Atoms>,
}

/// Everything that happened.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Record {
    /// Trades.
    pub fills: Vec<FillRow>,
    /// Orders.
    pub orders: Vec<OrderRow>,
    /// Denied orders.
    pub denials: Vec<DenialRow>,
    /// Refused signals.
    pub refusals: Vec<RefusalRow>,
    /// Targets reached and ended.
    pub targets: Vec<TargetRow>,
    /// Changes of the trading state.
    pub trading: Vec<(i64, TradingState, Cause)>,
    /// The account at each bar's close.
    pub bars: Vec<BarState>,
    /// Fees paid, atoms by asset.
    pub fees: Vec<(Asset, Atoms)>,
    /// BLAKE3 of every decision of the engine, in order and with its time. Two replays that decide alike have one.
    pub digest: [u8; 32],
}

impl Record {
    /// The digest in hexadecimal.
    #[must_use]
    pub fn digest_text(&self) -> String {
        blake3::Hash::from(self.digest).to_string()
    }

    pub(super) fn open(&mut self, order: &Order, sent_ns: i64, arrives_ns: Option<i64>) {
        let state = if arrives_ns.is_some() { OrderState::Submitted } else { OrderState::Denied };
        let ended_ns = if arrives_ns.is_some() { None } else { Some(sent_ns) };
        let row = OrderRow { order: *order, sent_ns, arrives_ns, ended_ns, state, filled_lots: 0, filled_quote: 0 };
        self.orders.push(row);
    }

    /// Copies what the engine knows about an order into its row.
    pub(super) fn update(&mut self, tracked: &Tracked) {
        let place = self.orders.binary_search_by_key(&tracked.order.id.sequence, |row| row.order.id.sequence);
        if let Some(row) = place.ok().and_then(|place| self.orders.get_mut(place)) {
            row.state = tracked.state;
            row.ended_ns = tracked.ended_ns;
            row.filled_lots = tracked.filled_lots;
            row.filled_quote = tracked.filled_quote;
        }
    }
}
