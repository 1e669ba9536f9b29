//! Orders that the way to the venue did not take.
//!
//! They never left, so nobody has to be asked: the engine is given reports that they are not there, and sends again
//! what is still wanted.
//! Invariant: it is given them only after what kept an order back may have changed (another
//! connection, some wall time, or in lock-step another step), so that orders which cannot leave are not made over and
//! over.

use sapphire_core::orders::{ClientOrderId, Report, ReportKind};

use super::Trader;
use crate::clock::ClockMode;
use crate::gateway::NotSent;

/// Wall time before an order that a limit kept back is let go.
const PAUSE_NS: i64 = 1_000_000_000;

/// What an order waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    /// A connection after this one.
    Connection(u32),
    /// Monotonic time.
    Until(i64),
    /// A step of the lock-step after this one: limits are of market time, and that stands.
    Step(u64),
}

/// The orders and what they wait for.
#[derive(Debug, Default)]
pub(super) struct Unsent {
    waiting: Vec<(ClientOrderId, Wait)>,
}

impl Unsent {
    /// Orders that wait for a connection: a step is not over before it is there.
    pub(super) fn unconnected(&self) -> usize {
        self.waiting.iter().filter(|(_, wait)| matches!(wait, Wait::Connection(_))).count()
    }
}

impl Trader {
    /// An order was not sent.
    pub(super) fn keep_unsent(&mut self, order: ClientOrderId, why: NotSent) {
        let wait = match why {
            // It cannot be sent to the venue at all, now or later: the engine waits until something else changes.
            NotSent::Unwritable => {
                let kind = ReportKind::Rejected { venue_code: 0 };
                return self.pending.push_back(Report { order, kind });
            }
            NotSent::NotConnected | NotSent::WriteFailed | NotSent::Ended => {
                Wait::Connection(self.gateway.connections())
            }
            NotSent::RateLimited | NotSent::Blocked | NotSent::Busy if self.clock_mode == ClockMode::Lockstep => {
                Wait::Step(self.lockstep.step().map_or(self.lockstep.settled(), |step| step.number))
            }
            NotSent::RateLimited | NotSent::Blocked | NotSent::Busy => Wait::Until(self.clock.now_ns() + PAUSE_NS),
        };
        self.unsent.waiting.push((order, wait));
    }

    /// Lets go of the orders whose wait is over.
    pub(super) fn release_unsent(&mut self) {
        if self.unsent.waiting.is_empty() {
            return;
        }
        let (connections, now_ns) = (self.gateway.connections(), self.clock.now_ns());
        let step = self.lockstep.step().map_or(0, |step| step.number);
        let pending = &mut self.pending;
        self.unsent.waiting.retain(|(order, wait)| {
            let is_over = match wait {
                Wait::Connection(before) => connections > *before,
                Wait::Until(until_ns) => now_ns >= *until_ns,
                Wait::Step(before) => step > *before,
            };
            if is_over {
                let kind = ReportKind::NotFound { conclusive: true };
                pending.push_back(Report { order: *order, kind });
            }
            !is_over
        });
    }
}
