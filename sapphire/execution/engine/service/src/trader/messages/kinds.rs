//! The core's kinds as the messages name them.

use sapphire_core::messages::{OrderState, Side, TimeInForce, TradingState};
use sapphire_core::orders::{self, Order};
use sapphire_core::{instrument, risk, venue};

pub(super) fn side(order: &Order) -> Side {
    match order.side {
        instrument::Side::Buy => Side::Buy,
        instrument::Side::Sell => Side::Sell,
    }
}

pub(super) fn time_in_force(given: venue::TimeInForce) -> TimeInForce {
    match given {
        venue::TimeInForce::GoodTillCancel => TimeInForce::Gtc,
        venue::TimeInForce::ImmediateOrCancel => TimeInForce::Ioc,
        venue::TimeInForce::FillOrKill => TimeInForce::Fok,
        venue::TimeInForce::PostOnly => TimeInForce::Gtx,
    }
}

pub(super) fn trading_state(state: risk::TradingState) -> TradingState {
    match state {
        risk::TradingState::Active => TradingState::Active,
        risk::TradingState::Reducing => TradingState::Reducing,
        risk::TradingState::Halted => TradingState::Halted,
    }
}

pub(super) fn order_state(state: orders::OrderState) -> OrderState {
    use orders::OrderState as S;
    match state {
        S::Initialized => OrderState::Initialized,
        S::Denied => OrderState::Denied,
        S::Submitted => OrderState::Submitted,
        S::Accepted => OrderState::Accepted,
        S::PartiallyFilled => OrderState::PartiallyFilled,
        S::PendingCancel => OrderState::PendingCancel,
        S::Filled => OrderState::Filled,
        S::Canceled => OrderState::Canceled,
        S::Expired => OrderState::Expired,
        S::Rejected => OrderState::Rejected,
        S::Unresolved => OrderState::Unresolved,
    }
}
