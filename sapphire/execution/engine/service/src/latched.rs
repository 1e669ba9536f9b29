//! Who set what passes, when and why: what a person asks first about an account that does not trade.
//!
//! Invariant: a pure function of the events, so that a start knows what the process before it knew. What a command or a
//! loss has closed stays closed in the next run too, because it is applied again at its beginning.

use std::collections::BTreeMap;

use sapphire_core::engine::{Body, Event, Output, Outputs};
use sapphire_core::instrument::InstrumentId;
use sapphire_core::risk::{Cause, Command, TradingState};

use crate::entry::{RunConfig, Source};

/// A command that was applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Market time.
    pub market_ns: i64,
    /// Which it was: `halt`, `reduce`, `resume`, `flatten`, `close`; `loss` where it was no command.
    pub command: &'static str,
    /// Who gave it.
    pub by: String,
    /// Why.
    pub why: String,
}

/// What passes, and what is closed, with whose words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latched {
    state: Option<(TradingState, Note)>,
    closed: BTreeMap<u16, Note>,
}

impl Latched {
    /// Takes in a step. A command given again while it holds changes nothing: what counts is since when.
    pub fn on_event(&mut self, event: &Event, source: &Source, outputs: &Outputs) {
        for output in outputs {
            let Output::Trading { state, cause } = output else { continue };
            let command = match &event.body {
                Body::Command(command) if *cause == Cause::Command => Some(*command),
                _ => None,
            };
            let note = note(event.market_ns, command, source);
            match command {
                Some(Command::Close(InstrumentId(index))) => {
                    self.closed.entry(index).or_insert(note);
                    continue;
                }
                Some(Command::Resume) => self.closed.clear(),
                _ => {}
            }
            let holds = self
                .state
                .as_ref()
                .is_some_and(|(known, known_note)| known == state && known_note.command == note.command);
            if !holds {
                self.state = Some((*state, note));
            }
        }
    }

    /// The command that set what passes; none where there was none.
    pub fn state(&self) -> Option<&Note> {
        self.state.as_ref().map(|(_, note)| note)
    }

    /// The command that closed an instrument.
    pub fn closed(&self, instrument: InstrumentId) -> Option<&Note> {
        let by_flatten = || self.state().filter(|note| note.command == "flatten");
        self.closed.get(&instrument.0).or_else(by_flatten)
    }

    /// The commands to be applied at the beginning of the run after, so that nothing opens by itself: `from` and `to`
    /// are the runs. A symbol that is not traded any more needs no command.
    pub fn carried(&self, from: &RunConfig, to: &RunConfig) -> Vec<(Command, Source)> {
        let mut commands = Vec::new();
        for (index, note) in &self.closed {
            let symbol = from.symbol(InstrumentId(*index));
            if let Some(instrument) = symbol.and_then(|symbol| to.instrument(symbol)) {
                commands.push((Command::Close(instrument), source(note)));
            }
        }
        match &self.state {
            Some((TradingState::Halted, note)) => commands.push((Command::Halt, source(note))),
            Some((TradingState::Reducing, note)) if note.command == "flatten" => {
                commands.push((Command::Flatten, source(note)));
            }
            Some((TradingState::Reducing, note)) => commands.push((Command::Reduce, source(note))),
            Some((TradingState::Active, _)) | None => {}
        }
        commands
    }
}

/// A command as text.
#[must_use]
pub fn command_text(command: Command) -> &'static str {
    match command {
        Command::Halt => "halt",
        Command::Reduce => "reduce",
        Command::Resume => "resume",
        Command::Flatten => "flatten",
        Command::Close(_) => "close",
    }
}

/// Who gave a command and why, as one text: what [`Source::Operator`] holds.
#[must_use]
pub fn who(by: &str, why: &str) -> String {
    format!("{by}: {why}")
}

fn note(market_ns: i64, command: Option<Command>, source: &Source) -> Note {
    let (by, why) = match (source, command) {
        (Source::Operator { who }, Some(_)) => who.split_once(": ").unwrap_or(("operator", who)),
        (Source::Guard { why }, Some(_)) => ("service", why.as_str()),
        (_, Some(_)) => ("service", ""),
        (_, None) => ("service", "the loss latch fell: equity is below the day's start by more than allowed"),
    };
    Note { market_ns, command: command.map_or("loss", command_text), by: by.to_owned(), why: why.to_owned() }
}

/// Where a command that is applied again came from.
fn source(note: &Note) -> Source {
    if note.by == "service" {
        return Source::Guard { why: note.why.clone() };
    }
    Source::Operator { who: who(&note.by, &note.why) }
}
