//! The real binary, over real HTTP.

#![allow(clippy::unwrap_used, clippy::expect_used)] // A test says by its panic what is wrong.

mod closing;
mod durability;
mod lockstep;
mod recorded;
mod sockets;
mod venue;
