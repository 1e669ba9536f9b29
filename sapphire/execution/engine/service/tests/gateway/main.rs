//! The gateway against the real exchange.

#![allow(clippy::unwrap_used, clippy::expect_used)] // A test says by its panic what is wrong.

mod clock_mode;
mod faults;
mod lockstep;
mod trader;
mod venue;
