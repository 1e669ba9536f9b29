//! A part of a run's market time, so that a day can be read without the rest.
//!
//! Invariant: a day's rows are the same however far the run has gone on since. What happens at midnight and after it is
//! the day's that begins; the first day of a run also has what lies before it, the last what lies behind it. Of the
//! rest of the run these are kept: its configuration, starts and releases until then, and what the account began with.

use serde_json::Value;

/// From when to when, market time, UTC nanoseconds; the end is not in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its midnight: the account at the close then is carried over, and kept.
    pub begin_ns: i64,
    /// The next midnight: a bar that closes then is the window's last.
    pub end_ns: i64,
}

/// Where a row belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// To the window, or to what is kept for it.
    Kept,
    /// Before the window; the window's own if no bar closed before it.
    Early,
    /// Behind the window; the window's own if no bar closes behind it.
    Late,
}

/// Rows that wait until it is known whose they are.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    early: Vec<Value>,
    late: Vec<Value>,
    /// A bar has closed at the beginning of the window or before it.
    has_before: bool,
    /// A bar has closed in it or before it.
    has_bars: bool,
    /// A bar has closed behind it.
    is_over: bool,
}

impl Window {
    /// Where something belongs that happened then.
    pub(super) fn place(self, market_ns: i64) -> Place {
        match market_ns {
            before if before < self.begin_ns => Place::Early,
            behind if behind >= self.end_ns => Place::Late,
            _ => Place::Kept,
        }
    }

    /// Whether the account at a bar's close is shown.
    pub(super) fn has_close(self, close_ns: i64) -> bool {
        (self.begin_ns..=self.end_ns).contains(&close_ns)
    }
}

impl Waiting {
    /// Keeps a row until it is known whose it is; what was known to be nobody's is dropped.
    pub(super) fn keep(&mut self, place: Place, row: Value) {
        match place {
            Place::Early if !self.has_bars => self.early.push(row),
            Place::Late if !self.is_over => self.late.push(row),
            Place::Early | Place::Late | Place::Kept => {}
        }
    }

    /// Whether a row of this place would be dropped.
    pub(super) fn drops(&self, place: Place) -> bool {
        match place {
            Place::Early => self.has_bars,
            Place::Late => self.is_over,
            Place::Kept => false,
        }
    }

    /// A bar has closed; rows that are the window's after all.
    pub(super) fn closed(&mut self, window: Window, close_ns: i64) -> Vec<Value> {
        let is_first = !std::mem::replace(&mut self.has_bars, true);
        self.has_before |= close_ns <= window.begin_ns;
        if close_ns > window.end_ns {
            self.is_over = true;
            self.late.clear();
        }
        let early = std::mem::take(&mut self.early);
        if is_first && !self.has_before { early } else { Vec::new() }
    }

    /// The run is over; rows that are the window's after all.
    pub(super) fn end(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.late)
    }
}
