//! How fast a client may talk on a stream socket.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Messages (text, ping or pong) that a client may send within a second (the venue's documentation).
const MOST: usize = 5;

/// When the last messages came.
#[derive(Debug, Default)]
pub struct Traffic {
    heard: VecDeque<Instant>,
}

impl Traffic {
    /// Counts a message; false when it is one too many.
    pub fn allows(&mut self, now: Instant) -> bool {
        while self.heard.front().is_some_and(|heard| now.duration_since(*heard) >= Duration::from_secs(1)) {
            self.heard.pop_front();
        }
        self.heard.push_back(now);
        self.heard.len() <= MOST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_a_second_and_no_more() {
        let start = Instant::now();
        let mut traffic = Traffic::default();
        for _ in 0..5 {
            assert!(traffic.allows(start));
        }
        assert!(!traffic.allows(start + Duration::from_millis(999)));
        let mut traffic = Traffic::default();
        assert!((0..60).all(|message| traffic.allows(start + Duration::from_millis(200) * message)));
    }
}
