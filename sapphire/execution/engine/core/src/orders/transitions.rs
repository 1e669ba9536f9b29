//! The states of an order and the transitions between them.
//!
//! Invariant: what `next` does not list cannot happen, and a state that it keeps is listed as well.

/// Where an order is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OrderState {
    /// Made, not yet checked.
    Initialized,
    /// Our own gate refused it; the venue never heard of it.
    Denied,
    /// Sent; the venue has not answered.
    Submitted,
    /// The venue has it.
    Accepted,
    /// Traded in part and still alive.
    PartiallyFilled,
    /// We asked for its end and wait for the answer.
    PendingCancel,
    /// Traded whole.
    Filled,
    /// Ended by us.
    Canceled,
    /// Ended by the venue.
    Expired,
    /// The venue refused it, or never had it.
    Rejected,
    /// An answer is overdue: it may or may not be at the venue, which is being asked.
    Unresolved,
}

impl OrderState {
    /// All states.
    pub const ALL: [Self; 11] = [
        Self::Initialized,
        Self::Denied,
        Self::Submitted,
        Self::Accepted,
        Self::PartiallyFilled,
        Self::PendingCancel,
        Self::Filled,
        Self::Canceled,
        Self::Expired,
        Self::Rejected,
        Self::Unresolved,
    ];

    /// No further trade is expected.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Denied | Self::Filled | Self::Canceled | Self::Expired | Self::Rejected)
    }

    /// The state's name in messages and tables.
    pub fn text(self) -> &'static str {
        match self {
            Self::Initialized => "INITIALIZED",
            Self::Denied => "DENIED",
            Self::Submitted => "SUBMITTED",
            Self::Accepted => "ACCEPTED",
            Self::PartiallyFilled => "PARTIALLY_FILLED",
            Self::PendingCancel => "PENDING_CANCEL",
            Self::Filled => "FILLED",
            Self::Canceled => "CANCELED",
            Self::Expired => "EXPIRED",
            Self::Rejected => "REJECTED",
            Self::Unresolved => "UNRESOLVED",
        }
    }
}

/// What can happen to an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transition {
    /// Our gate refused it.
    Deny,
    /// It was sent.
    Submit,
    /// The venue took it in.
    Accept,
    /// The venue refused it.
    Reject,
    /// It traded, and something is left.
    Fill,
    /// It traded, and nothing is left.
    FillLast,
    /// We asked for its end.
    RequestCancel,
    /// Our cancel ended it.
    Cancel,
    /// The venue ended it.
    Expire,
    /// Our cancel was refused.
    CancelReject,
    /// The answer that was due did not come.
    Silence,
    /// The venue never had it, and never will.
    NotFound,
}

impl Transition {
    /// All transitions.
    pub const ALL: [Self; 12] = [
        Self::Deny,
        Self::Submit,
        Self::Accept,
        Self::Reject,
        Self::Fill,
        Self::FillLast,
        Self::RequestCancel,
        Self::Cancel,
        Self::Expire,
        Self::CancelReject,
        Self::Silence,
        Self::NotFound,
    ];
}

/// The state after `transition`, or none where the transition is not legal.
///
/// `before_cancel` is the state in which the cancel was asked for: where a refused cancel leads back to.
#[must_use]
pub fn next(from: OrderState, transition: Transition, before_cancel: OrderState) -> Option<OrderState> {
    match (from, transition) {
        (OrderState::Initialized, Transition::Deny) => Some(OrderState::Denied),
        (OrderState::Initialized, Transition::Submit) => Some(OrderState::Submitted),
        (OrderState::Initialized | OrderState::Denied, _) => None,
        _ if from.is_final() => after_the_end(from, transition),
        _ => while_alive(from, transition, before_cancel),
    }
}

#[expect(clippy::match_same_arms, reason = "a table has a line for each transition and its reason")]
fn while_alive(from: OrderState, transition: Transition, before_cancel: OrderState) -> Option<OrderState> {
    use OrderState as S;
    let to = match (from, transition) {
        (S::Submitted | S::Unresolved, Transition::Accept) => S::Accepted,
        (S::Submitted | S::Unresolved, Transition::Reject | Transition::NotFound) => S::Rejected,
        (S::Accepted | S::PartiallyFilled, Transition::Fill) => S::PartiallyFilled,
        (_, Transition::FillLast) => S::Filled,
        (_, Transition::Cancel) => S::Canceled,
        (_, Transition::Expire) => S::Expired,
        (_, Transition::Silence) => S::Unresolved,

        // The acknowledgement and the trade travel on two channels: the trade overtook.
        (S::Submitted | S::Unresolved, Transition::Fill) => S::PartiallyFilled,
        (S::Accepted | S::PartiallyFilled, Transition::Accept) => from,
        // The venue worked on the order while our cancel travelled.
        (S::PendingCancel, Transition::Accept | Transition::Fill) => from,
        (S::PendingCancel, Transition::Reject | Transition::NotFound) => S::Rejected,
        (S::PendingCancel, Transition::CancelReject) => before_cancel,
        // The answer to an earlier cancel, repeated.
        (_, Transition::CancelReject) => from,
        // A cancel may be sent for an order that nobody can find, but it stays one that is asked for.
        (S::Unresolved, Transition::RequestCancel) => from,
        (_, Transition::RequestCancel) => S::PendingCancel,
        _ => return None,
    };
    Some(to)
}

#[expect(clippy::match_same_arms, reason = "a table has a line for each transition and its reason")]
fn after_the_end(from: OrderState, transition: Transition) -> Option<OrderState> {
    use OrderState as S;
    let to = match (from, transition) {
        // The trade happened before the end and was told after it: the money has moved.
        (S::Canceled | S::Expired, Transition::FillLast) => S::Filled,
        (S::Canceled | S::Expired, Transition::Fill) => from,
        // More than was asked for. The venue is the truth for quantity.
        (S::Filled, Transition::Fill | Transition::FillLast) => from,
        // The refusal was wrong, or an order given up as never arrived did arrive: it lives.
        (S::Rejected, Transition::Accept) => S::Accepted,
        (S::Rejected, Transition::Fill) => S::PartiallyFilled,
        (S::Rejected, Transition::FillLast) => S::Filled,
        (S::Rejected, Transition::Cancel) => S::Canceled,
        (S::Rejected, Transition::Expire) => S::Expired,
        (S::Rejected, Transition::Reject) => from,
        // Late echoes. An order ended by both sides at once keeps the end that was told first.
        (_, Transition::Accept | Transition::Cancel | Transition::Expire) => from,
        (_, Transition::RequestCancel | Transition::CancelReject | Transition::Silence | Transition::NotFound) => from,
        _ => return None,
    };
    Some(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn legal(from: OrderState) -> Vec<(Transition, OrderState)> {
        Transition::ALL
            .into_iter()
            .filter_map(|transition| Some((transition, next(from, transition, OrderState::Accepted)?)))
            .collect()
    }

    #[test]
    fn a_denied_order_has_no_future() {
        assert_eq!(legal(OrderState::Denied), []);
    }

    #[test]
    fn only_our_own_hand_moves_an_order_that_was_not_sent() {
        let expected = [(Transition::Deny, OrderState::Denied), (Transition::Submit, OrderState::Submitted)];
        assert_eq!(legal(OrderState::Initialized), expected);
    }

    #[test]
    fn trades_apply_in_every_state_that_the_venue_can_know() {
        for state in OrderState::ALL {
            let known = !matches!(state, OrderState::Initialized | OrderState::Denied);
            for transition in [Transition::Fill, Transition::FillLast] {
                assert_eq!(next(state, transition, OrderState::Accepted).is_some(), known, "{state:?} {transition:?}");
            }
        }
    }

    #[test]
    fn an_order_the_venue_holds_is_never_rejected() {
        for state in [OrderState::Accepted, OrderState::PartiallyFilled, OrderState::Filled, OrderState::Canceled] {
            assert_eq!(next(state, Transition::Reject, OrderState::Accepted), None, "{state:?}");
        }
    }

    #[test]
    fn a_final_state_is_left_only_for_more_truth() {
        for state in OrderState::ALL.into_iter().filter(|state| state.is_final()) {
            for (transition, to) in legal(state) {
                let revived =
                    state == OrderState::Rejected || (transition, to) == (Transition::FillLast, OrderState::Filled);
                assert!(to == state || revived, "{state:?} {transition:?} {to:?}");
            }
        }
    }

    #[test]
    fn there_are_as_many_transitions_as_were_drawn() {
        let transitions: usize = OrderState::ALL.into_iter().map(|state| legal(state).len()).sum();
        assert_eq!(transitions, 85);
    }
}
