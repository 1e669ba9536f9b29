//! Where a binary listens, by what name others reach it, and who may ask it what.
//!
//! In: settings as text. Out: a bound socket with the address that is told to others, and what a token permits.
//! Never: HTTP, or anything that a market is made of.

#![forbid(unsafe_code)]

pub mod listening;
pub mod sockets;
pub mod tokens;

pub use listening::{ListenError, Listening, listen};
pub use tokens::{Access, TokenError, Tokens};

/// Where a binary listens when nobody says: only this machine reaches it.
pub const LOCAL: &str = "127.0.0.1";
