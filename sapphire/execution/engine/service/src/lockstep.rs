//! What is done at a step of the lock-step, in which order.
//!
//! A step is worked on in the order of `sim::replay`, so that positions equal the replay's in every lot: everything the
//! venue told the account up to now is read, fresh references are fetched, then references, reports and the timer are
//! applied; at the close of a bar the account's state goes out and the bar's signals come in; when every request is
//! answered and everything is published, the step is settled.
//!
//! Invariants: a step that has been worked on in part is worked on again from the start, and what was done already is
//! found done; while a step's reports are being waited for, none is applied. No I/O and no clock: the trader loop
//! carries out each `Act` and says what it sees in a `View`.

use std::time::Duration;

use crate::events::{EntryId, Step};

/// How long the user stream may take to report what the exchange has sent to the account. Then it is asked.
const READ_PATIENCE_NS: i64 = 200_000_000;

/// Number of a bar's end marker within its millisecond.
const END_OF_BAR: u64 = 65_535;

/// What the trader loop is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Ask the venue for everything; say [`Lockstep::reconciling`].
    Reconcile,
    /// Ask for fresh references; say [`Lockstep::priced`] when they are there.
    AskReferences,
    /// Apply references, the reports that are held, and the timer where it is due.
    Apply,
    /// Publish the account's state at this close; signals up to the bar's end marker may come in.
    PublishState(i64),
    /// Hand over everything that is to be published; say [`Lockstep::flushing`].
    Flush,
    /// Publish that this step is settled.
    Settle(Step),
}

/// How things stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// Monotonic time.
    pub now_ns: i64,
    /// The connection to the venue stands.
    pub is_connected: bool,
    /// Requests that wait for an answer.
    pub outstanding: usize,
    /// Where the signals have been read to.
    pub cursor: EntryId,
    /// The last flush that is complete.
    pub flushed: u64,
    /// The last round of reconciliation is long ago.
    pub is_check_due: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Waits for the user stream, since then.
    Reading(i64),
    /// Asks instead, in this round (none: not begun).
    Reconciling(Option<u32>),
    /// Waits for references.
    Pricing,
    Priced,
    Applied,
    /// Waits for the end of the bar.
    Signals,
    /// Waits for answers; whether the venue's word on everything was taken at this step.
    Answering(bool),
    /// Compares with the venue before it settles.
    Checking(Option<u32>),
    /// Waits for the bus (none: not handed over).
    Flushing(Option<u64>),
}

#[derive(Clone, Debug)]
struct Work {
    step: Step,
    phase: Phase,
}

/// The step that is worked on.
#[derive(Debug, Default)]
pub struct Lockstep {
    work: Option<Work>,
    /// The account's last event that was read; none when it is not known, as after a new connection.
    read: Option<u64>,
    /// What the venue did while there was no connection has not been asked for.
    is_blind: bool,
    settled: u64,
}

impl Lockstep {
    /// Nothing has been read; `settled` is the last step that was answered before the process began.
    #[must_use]
    pub fn new(settled: u64) -> Self {
        Self { is_blind: true, settled, ..Self::default() }
    }

    /// Begins to work on a step.
    pub fn begin(&mut self, step: Step, now_ns: i64) {
        self.work = Some(Work { step, phase: Phase::Reading(now_ns) });
    }

    /// No step is worked on.
    pub fn is_idle(&self) -> bool {
        self.work.is_none()
    }

    /// The step that is worked on.
    pub fn step(&self) -> Option<&Step> {
        self.work.as_ref().map(|work| &work.step)
    }

    /// Reports are to be kept: time stands elsewhere, or what came before them has not come yet.
    pub fn holds_reports(&self) -> bool {
        let phase = self.work.as_ref().map(|work| work.phase);
        !matches!(
            phase,
            Some(Phase::Applied | Phase::Signals | Phase::Answering(_) | Phase::Checking(_) | Phase::Flushing(_))
        )
    }

    /// The user stream brought an event of the account. One without a number follows the one before.
    pub fn heard(&mut self, event: Option<u64>) {
        self.read = match (event, self.read) {
            (Some(event), read) => Some(read.unwrap_or(0).max(event)),
            (None, read) => read.map(|read| read + 1),
        };
    }

    /// The connection broke: what is sent now is not heard.
    pub fn lost(&mut self) {
        (self.read, self.is_blind) = (None, true);
    }

    /// Everything was asked for before the first step.
    pub fn caught_up(&mut self) {
        self.is_blind = false;
    }

    /// The round that [`Act::Reconcile`] asked for.
    pub fn reconciling(&mut self, round: u32) {
        let phase = self.work.as_mut().map(|work| &mut work.phase);
        if let Some(Phase::Reconciling(place) | Phase::Checking(place)) = phase {
            *place = Some(round);
        }
    }

    /// What was to be asked could not be: it is to be asked again.
    pub fn put_off(&mut self, now_ns: i64) {
        let Some(work) = self.work.as_mut() else { return };
        work.phase = match work.phase {
            Phase::Reconciling(None) | Phase::Pricing => Phase::Reading(now_ns),
            Phase::Checking(None) => Phase::Answering(false),
            phase => phase,
        };
    }

    /// A round is complete.
    pub fn reconciled(&mut self, round: u32) {
        let Some(work) = self.work.as_mut() else { return };
        match work.phase {
            Phase::Reconciling(Some(asked)) if asked == round => {
                self.read = Some(self.read.unwrap_or(0).max(work.step.account_events));
                self.is_blind = false;
                work.phase = Phase::Reading(i64::MAX);
            }
            Phase::Checking(Some(asked)) if asked == round => work.phase = Phase::Answering(true),
            _ => {}
        }
    }

    /// The references that were asked for are there.
    pub fn priced(&mut self) {
        if let Some(work) = self.work.as_mut().filter(|work| work.phase == Phase::Pricing) {
            work.phase = Phase::Priced;
        }
    }

    /// The flush that [`Act::Flush`] asked for.
    pub fn flushing(&mut self, token: u64) {
        if let Some(work) = self.work.as_mut().filter(|work| work.phase == Phase::Flushing(None)) {
            work.phase = Phase::Flushing(Some(token));
        }
    }

    /// The last step that was settled.
    pub fn settled(&self) -> u64 {
        self.settled
    }

    /// How long until something is to be done although nothing comes.
    pub fn patience(&self, now_ns: i64) -> Option<Duration> {
        match self.work.as_ref()?.phase {
            Phase::Reading(since_ns) => {
                let left_ns = since_ns.saturating_add(READ_PATIENCE_NS).saturating_sub(now_ns).max(0);
                Some(Duration::from_nanos(left_ns.cast_unsigned()))
            }
            _ => None,
        }
    }

    /// What is to be done now; none while something is waited for.
    pub fn next(&mut self, view: &View) -> Option<Act> {
        let work = self.work.as_mut()?;
        let events = work.step.account_events;
        let is_read = self.read.is_some_and(|read| read >= events) || events == 0;
        match work.phase {
            Phase::Reading(since_ns) if view.is_connected => {
                if is_read && !self.is_blind {
                    work.phase = Phase::Pricing;
                    return Some(Act::AskReferences);
                }
                let is_patient = since_ns.saturating_add(READ_PATIENCE_NS) > view.now_ns;
                if is_patient && !self.is_blind && self.read.is_some() {
                    return None;
                }
                work.phase = Phase::Reconciling(None);
                Some(Act::Reconcile)
            }
            Phase::Priced => {
                work.phase = Phase::Applied;
                Some(Act::Apply)
            }
            Phase::Applied => {
                if let Some(close_ns) = work.step.bar_close_ns {
                    work.phase = Phase::Signals;
                    return Some(Act::PublishState(close_ns));
                }
                work.phase = Phase::Answering(true);
                self.next(view)
            }
            Phase::Signals if has_ended(work.step.bar_close_ns, view.cursor) => {
                work.phase = Phase::Answering(false);
                self.next(view)
            }
            Phase::Answering(is_checked) if view.outstanding == 0 => {
                if view.is_check_due && view.is_connected && !is_checked {
                    work.phase = Phase::Checking(None);
                    return Some(Act::Reconcile);
                }
                work.phase = Phase::Flushing(None);
                Some(Act::Flush)
            }
            Phase::Flushing(Some(token)) if token <= view.flushed => {
                self.settled = self.settled.max(work.step.number);
                self.work.take().map(|work| Act::Settle(work.step))
            }
            _ => None,
        }
    }
}

/// The end marker of a bar has been read.
fn has_ended(bar_close_ns: Option<i64>, cursor: EntryId) -> bool {
    bar_close_ns.is_none_or(|close_ns| {
        let marker = EntryId { ms: (close_ns / 1_000_000).max(0).cast_unsigned(), seq: END_OF_BAR };
        cursor >= marker
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOSE_NS: i64 = 1_704_067_500_000_000_000;

    fn step(bar_close_ns: Option<i64>, account_events: u64) -> Step {
        Step { number: 3, message_id: "m".into(), now_ns: CLOSE_NS, bar_close_ns, account_events }
    }

    fn view() -> View {
        View {
            now_ns: 0,
            is_connected: true,
            outstanding: 0,
            cursor: EntryId::default(),
            flushed: 0,
            is_check_due: false,
        }
    }

    /// A lock-step that has read `read` events.
    fn seeing(read: u64) -> Lockstep {
        Lockstep { read: Some(read), ..Lockstep::default() }
    }

    #[test]
    fn a_close_is_worked_on_in_the_order_of_the_replay() {
        let mut lockstep = seeing(5);
        lockstep.begin(step(Some(CLOSE_NS), 7), 0);
        assert!(lockstep.next(&view()).is_none() && lockstep.holds_reports(), "two events are missing");
        lockstep.heard(Some(6));
        lockstep.heard(None);
        assert_eq!(lockstep.next(&view()), Some(Act::AskReferences));
        assert!(lockstep.next(&view()).is_none() && lockstep.holds_reports());
        lockstep.priced();
        assert_eq!(lockstep.next(&view()), Some(Act::Apply));
        assert!(!lockstep.holds_reports());
        assert_eq!(lockstep.next(&view()), Some(Act::PublishState(CLOSE_NS)));
        assert_eq!(lockstep.next(&view()), None);
        let ended = View { cursor: EntryId { ms: 1_704_067_500_000, seq: END_OF_BAR }, ..view() };
        assert_eq!(lockstep.next(&View { outstanding: 1, ..ended }), None);
        assert_eq!(lockstep.next(&ended), Some(Act::Flush));
        lockstep.flushing(4);
        assert_eq!(lockstep.next(&View { flushed: 3, ..ended }), None);
        assert_eq!(lockstep.next(&View { flushed: 4, ..ended }), Some(Act::Settle(step(Some(CLOSE_NS), 7))));
        assert!(lockstep.is_idle() && lockstep.holds_reports());
        assert_eq!(lockstep.settled(), 3);
    }

    #[test]
    fn what_the_stream_does_not_tell_in_time_is_asked_for() {
        let mut lockstep = seeing(5);
        lockstep.begin(step(None, 7), 0);
        assert_eq!(lockstep.patience(150_000_000), Some(Duration::from_millis(50)));
        let late = View { now_ns: READ_PATIENCE_NS, ..view() };
        assert_eq!(lockstep.next(&late), Some(Act::Reconcile));
        lockstep.reconciling(9);
        lockstep.reconciled(8);
        assert_eq!(lockstep.next(&late), None);
        lockstep.reconciled(9);
        assert_eq!(lockstep.next(&late), Some(Act::AskReferences));
    }

    #[test]
    fn after_a_lost_connection_everything_is_asked_for_before_anything_is_applied() {
        let mut lockstep = seeing(7);
        lockstep.lost();
        lockstep.begin(step(None, 7), 0);
        assert_eq!(lockstep.next(&View { is_connected: false, ..view() }), None);
        assert_eq!(lockstep.next(&view()), Some(Act::Reconcile));
        lockstep.reconciling(1);
        lockstep.reconciled(1);
        assert_eq!(lockstep.next(&view()), Some(Act::AskReferences));
    }

    #[test]
    fn what_could_not_be_asked_is_asked_again() {
        let mut lockstep = seeing(7);
        lockstep.begin(step(None, 7), 0);
        assert_eq!(lockstep.next(&view()), Some(Act::AskReferences));
        lockstep.put_off(0);
        assert_eq!(lockstep.next(&view()), Some(Act::AskReferences));
        lockstep.lost();
        lockstep.begin(step(None, 7), 0);
        assert_eq!(lockstep.next(&view()), Some(Act::Reconcile));
        lockstep.put_off(0);
        assert_eq!(lockstep.next(&view()), Some(Act::Reconcile));
    }

    #[test]
    fn a_bar_whose_end_was_read_before_a_kill_is_not_waited_for_again() {
        let mut lockstep = seeing(0);
        let ended = View { cursor: EntryId { ms: 1_704_067_500_000, seq: END_OF_BAR }, ..view() };
        lockstep.begin(step(Some(CLOSE_NS), 0), 0);
        lockstep.next(&ended);
        lockstep.priced();
        assert_eq!(lockstep.next(&ended), Some(Act::Apply));
        assert_eq!(lockstep.next(&ended), Some(Act::PublishState(CLOSE_NS)));
        assert_eq!(lockstep.next(&ended), Some(Act::Flush));
    }

    #[test]
    fn now_and_then_a_close_is_compared_with_the_venue() {
        let mut lockstep = seeing(0);
        let due = View { is_check_due: true, cursor: EntryId { ms: u64::MAX, seq: 0 }, ..view() };
        lockstep.begin(step(Some(CLOSE_NS), 0), 0);
        lockstep.next(&due);
        lockstep.priced();
        lockstep.next(&due);
        lockstep.next(&due);
        assert_eq!(lockstep.next(&due), Some(Act::Reconcile));
        lockstep.reconciling(2);
        assert_eq!(lockstep.next(&due), None);
        lockstep.reconciled(2);
        assert_eq!(lockstep.next(&due), Some(Act::Flush));
    }
}
