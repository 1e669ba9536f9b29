//! The deterministic heart of the engine.
//!
//! Everything here is a pure function of its inputs: no I/O, no clock, no randomness, no async. Time comes in as
//! nanoseconds, randomness as a seed, and the same inputs give the same outputs on every machine.

#![forbid(unsafe_code)]

/// Amounts of an asset, wide enough for any coin.
pub mod amounts;
/// Price-time priority for one instrument.
pub mod book;
/// Decimal text and atoms.
pub mod decimal;
/// Decisions: signals, references and reports in, orders out.
pub mod engine;
/// Ticks, lots, atoms and the products between them.
pub mod instrument;
/// The framing of journals.
pub mod journal;
/// The messages of the wire, generated from `sapphire/domain/messages.py`.
pub mod messages;
/// The client's side of orders: states, legal transitions, trades counted once.
pub mod orders;
/// What an account holds: cash, positions, fees, to the atom.
pub mod positions;
/// The gate that every order passes: limits, trading state, loss latch.
pub mod risk;
/// The venue: accounts, balances to the atom, and the life of an order in its book.
pub mod venue;
