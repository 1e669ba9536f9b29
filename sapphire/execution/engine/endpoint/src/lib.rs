//! Where a binary listens, by what name others reach it, who may ask it what, how it logs, and whether it is well.
//!
//! In: settings as text, files with secrets. Out: a bound socket with the address that is told to others, what a token
//! permits, log lines. Never: an answer over HTTP, or anything that a market is made of.

#![forbid(unsafe_code)]

pub mod health;
pub mod listening;
pub mod log;
pub mod secret_files;
pub mod sockets;
pub mod tokens;

pub use listening::{ListenError, Listening, listen};
pub use log::{LogIdentity, log_to_stderr};
pub use secret_files::{SecretFileError, read_secret};
pub use tokens::{Access, TokenError, Tokens};

/// Where a binary listens when nobody says: only this machine reaches it.
pub const LOCAL: &str = "127.0.0.1";
