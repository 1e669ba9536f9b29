//! The execution service: signals in, orders through the risk gate, a journal of everything.
//!
//! In: signals and steps of the lock-step from the bus, reports from the venue, an operator's words.
//! Out: orders on the venue's socket, messages about them on the bus, a journal that folds to the same engine again.
//! Never: an order that is not in the journal, or from a release without evidence.

#![forbid(unsafe_code)]

/// The bus.
pub mod bus;
/// What an account's journal says.
pub mod chronicle;
/// The clocks of the process.
pub mod clock;
/// The control API.
pub mod control;
/// The thread that owns everything that trades.
pub mod desk;
/// What the journal is made of.
pub mod entry;
/// Whether a release may trade.
pub mod evidence;
/// From entries to the engine.
pub mod fold;
/// The way to the venue.
pub mod gateway;
/// When each order passed where.
pub mod hops;
/// Words on their way to the desk.
pub mod inbox;
/// From the bus to the desk.
pub mod intake;
/// The journal of an account.
pub mod journal;
/// Who set what passes, when and why.
pub mod latched;
/// The order of a step.
pub mod lockstep;
/// Counts and measures.
pub mod metrics;
/// From the desk to the bus.
pub mod publisher;
/// The settings file.
pub mod settings;
/// Who may signal.
pub mod signal_key;
/// How a service begins and ends.
pub mod start;
/// Names of the bus's streams.
pub mod streams;
/// Numbers as people read them.
pub mod units;
/// What threads tell the desk.
pub mod words;
