//! What has been sent and asked and has not been closed by an event.
//!
//! Invariant: lives on the trader loop's thread and changes only by what the trader loop sends and by the events it has
//! taken, so it cannot run ahead of what the trader loop knows.

use sapphire_core::orders::ClientOrderId;

use super::errors::NotSent;

/// Requests that may wait for an answer.
const ROOM: usize = 1_024;

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    Place,
    Cancel,
    Query,
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    request: Request,
    order: ClientOrderId,
    /// None for a question, which no lost connection takes along.
    connection: Option<u32>,
    since_ns: i64,
    is_overdue: bool,
}

/// Requests without an answer.
#[derive(Debug)]
pub(super) struct Pending {
    sent: Vec<Sent>,
    /// Questions that are about no order.
    pub(super) questions: usize,
    /// Orders that the last call reports.
    pub(super) unanswered: Vec<ClientOrderId>,
}

impl Pending {
    pub(super) fn new() -> Self {
        Self { sent: Vec::with_capacity(ROOM), questions: 0, unanswered: Vec::with_capacity(ROOM) }
    }

    /// Whether one more may be sent.
    pub(super) fn room(&self) -> Result<(), NotSent> {
        if self.sent.len() < ROOM { Ok(()) } else { Err(NotSent::Busy) }
    }

    /// A request was written.
    pub(super) fn sent(&mut self, request: Request, order: ClientOrderId, connection: u32, since_ns: i64) {
        self.sent.push(Sent { request, order, connection: Some(connection), since_ns, is_overdue: false });
    }

    /// A question about an order was asked.
    pub(super) fn asked(&mut self, order: ClientOrderId) {
        self.sent.push(Sent { request: Request::Query, order, connection: None, since_ns: 0, is_overdue: false });
    }

    /// A place was answered.
    pub(super) fn placed(&mut self, order: ClientOrderId) {
        self.close(Request::Place, order);
    }

    /// A query or a cancel was answered.
    pub(super) fn answered(&mut self, order: ClientOrderId) {
        if !self.close(Request::Query, order) {
            self.close(Request::Cancel, order);
        }
    }

    fn close(&mut self, request: Request, order: ClientOrderId) -> bool {
        let place = self.sent.iter().position(|sent| (sent.request, sent.order) == (request, order));
        place.map(|place| self.sent.swap_remove(place)).is_some()
    }

    /// A connection is gone, and with it the answers to what it carried.
    pub(super) fn lost(&mut self, connection: u32) {
        let unanswered = &mut self.unanswered;
        self.sent.retain(|sent| {
            let is_lost = sent.connection.is_some_and(|carried| carried <= connection);
            if is_lost && !unanswered.contains(&sent.order) {
                unanswered.push(sent.order);
            }
            !is_lost
        });
    }

    /// Reports what was sent before `before_ns` and was not reported yet. It stays: the answer may still come.
    pub(super) fn overdue(&mut self, before_ns: i64) {
        for sent in &mut self.sent {
            if sent.connection.is_some() && !sent.is_overdue && sent.since_ns < before_ns {
                sent.is_overdue = true;
                if !self.unanswered.contains(&sent.order) {
                    self.unanswered.push(sent.order);
                }
            }
        }
    }

    /// Its place has not been answered and may still arrive.
    pub(super) fn is_awaited(&self, order: ClientOrderId) -> bool {
        self.sent.iter().any(|sent| (sent.request, sent.order) == (Request::Place, order))
    }

    /// Every order of which that is so.
    pub(super) fn awaited(&self) -> Vec<ClientOrderId> {
        self.sent.iter().filter(|sent| sent.request == Request::Place).map(|sent| sent.order).collect()
    }

    /// How many are not closed, those aside that were reported as overdue.
    pub(super) fn outstanding(&self) -> usize {
        self.sent.iter().filter(|sent| !sent.is_overdue).count() + self.questions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(sequence: u64) -> ClientOrderId {
        ClientOrderId { account: 1, epoch: 1, sequence }
    }

    #[test]
    fn a_lost_connection_takes_its_requests_along_and_no_others() {
        let mut pending = Pending::new();
        pending.sent(Request::Place, id(1), 1, 10);
        pending.sent(Request::Cancel, id(1), 1, 11);
        pending.sent(Request::Place, id(2), 2, 12);
        pending.asked(id(3));
        pending.questions += 1;
        assert_eq!((pending.outstanding(), pending.is_awaited(id(1))), (5, true));
        pending.lost(1);
        assert_eq!(pending.unanswered, [id(1)], "each order once");
        assert_eq!((pending.outstanding(), pending.awaited()), (3, vec![id(2)]));
        pending.placed(id(2));
        pending.answered(id(3));
        assert_eq!(pending.outstanding(), 1);
    }

    #[test]
    fn what_is_overdue_is_told_once_and_may_still_be_answered() {
        let mut pending = Pending::new();
        pending.sent(Request::Place, id(1), 1, 10);
        pending.overdue(10);
        assert_eq!(pending.unanswered, []);
        pending.overdue(11);
        assert_eq!((pending.unanswered.as_slice(), pending.outstanding()), ([id(1)].as_slice(), 0));
        assert!(pending.is_awaited(id(1)), "it may still arrive");
        pending.unanswered.clear();
        pending.overdue(100);
        assert_eq!(pending.unanswered, []);
        pending.placed(id(1));
        assert!(!pending.is_awaited(id(1)));
    }

    #[test]
    fn there_is_an_end_of_room() {
        let mut pending = Pending::new();
        (0..ROOM as u64).for_each(|sequence| pending.sent(Request::Place, id(sequence), 1, 0));
        assert_eq!(pending.room(), Err(NotSent::Busy));
    }
}
