//! The execution service: signals in, orders through the risk gate, a journal of everything.
//!
//! In: signals and steps of the lock-step from the bus, reports from the venue, an operator's commands.
//! Out: orders on the venue's socket, messages about them on the bus, a journal that folds to the same engine again.
//! Never: an order that is not in the journal, or from a release without evidence.

#![forbid(unsafe_code)]

/// The bus.
pub mod bus;
/// From the trader loop to the bus.
pub mod bus_writer;
/// The clocks of the process.
pub mod clock;
/// The control API.
pub mod control;
/// What the journal is made of.
pub mod entry;
/// Events that the trader loop takes.
pub mod events;
/// Whether a release may trade.
pub mod evidence;
/// From entries to the engine.
pub mod fold;
/// The way to the venue.
pub mod gateway;
/// From the bus to the trader loop.
pub mod intake;
/// The journal of an account.
pub mod journal;
/// What an account's journal holds.
pub mod journal_reader;
/// Who set what passes, when and why.
pub mod latched;
/// When each order passed which stage.
pub mod latency_trace;
/// The order of a step.
pub mod lockstep;
/// Events on their way to the trader loop.
pub mod mailbox;
/// Counts and measures.
pub mod metrics;
/// The settings file.
pub mod settings;
/// Who may signal.
pub mod signal_key;
/// How a service begins and ends.
pub mod start;
/// Names of the bus's streams.
pub mod streams;
/// The thread that owns everything that trades.
pub mod trader;
/// Numbers as people read them.
pub mod units;
