//! How large the journal's files are, and how long the disk may take.

use std::time::Duration;

use super::JournalFailure;

/// Sizes and patience.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalOptions {
    /// Size of a file, made in full.
    pub segment_bytes: u64,
    /// Size of the reserve.
    pub reserve_bytes: u64,
    /// How long the disk may lag behind before the journal says so.
    pub max_sync_lag: Duration,
    /// Whether closed files are compressed and verified, and the plain ones removed.
    pub archives: bool,
}

impl Default for JournalOptions {
    /// 4 MiB, 1 MiB, 1 s, archived.
    fn default() -> Self {
        Self { segment_bytes: 4 << 20, reserve_bytes: 1 << 20, max_sync_lag: Duration::from_secs(1), archives: true }
    }
}

/// Smallest file that holds a header, a run's beginning and something more.
const LEAST_BYTES: u64 = 4_096;

impl JournalOptions {
    pub(super) fn check(&self) -> Result<(), JournalFailure> {
        for (name, bytes) in [("segment_bytes", self.segment_bytes), ("reserve_bytes", self.reserve_bytes)] {
            if bytes < LEAST_BYTES {
                let expected = format!("journal.{name}: expected {LEAST_BYTES} or more, got {bytes}");
                return Err(JournalFailure::Settings(expected));
            }
        }
        Ok(())
    }
}
