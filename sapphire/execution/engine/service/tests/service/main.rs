//! The service as a process: the real exchange, a real Valkey, and a conductor.

#![allow(clippy::unwrap_used, clippy::expect_used)] // A test says by its panic what is wrong.

#[path = "../bus/home.rs"]
#[allow(dead_code, reason = "shared with the tests of the bus")]
mod home;
#[path = "../bus/valkey.rs"]
#[allow(dead_code, reason = "shared with the tests of the bus")]
mod valkey;
#[path = "../gateway/venue.rs"]
#[allow(dead_code, reason = "shared with the tests of the gateway")]
mod venue;

mod addresses;
mod conductor;
mod disk;
mod halts;
mod kills;
mod paced;
mod parity;
mod refusals;
mod rig;
mod runs;
mod slow_disk;
