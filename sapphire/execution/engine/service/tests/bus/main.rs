//! The service's way to and from the bus, on a real Valkey server.

#![allow(clippy::unwrap_used, clippy::expect_used)] // A test says by its panic what is wrong.

mod home;
mod intake;
mod messages;
mod publishing;
mod valkey;
