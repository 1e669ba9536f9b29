//! What an account's journal holds: looked at, checked, folded again, printed as rows.
//!
//! Invariant: nothing is changed, and no lock is taken, so a journal can be read while its service writes it; what is
//! being written at that moment is not there yet.
//!
//! Known limitation: a run can be folded only by the engine that decided it; runs of other engines are passed over, and
//! counted.

use std::io::{self, Write};
use std::path::Path;

use serde_json::{Value, json};

mod fields;
mod lines;
mod rows;
mod walk;
mod window;

use lines::Names;
use rows::Rows;
use walk::{Walked, walk};
pub use window::Window;

use crate::entry::Entry;
use crate::fold::{Audience, Difference, Fold, FoldFault, Step};
use crate::journal::JournalFailure;
use crate::journal::reading::{Found, read};

/// For whom it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// People.
    Text,
    /// Programs: JSON, stable keys, nothing else.
    Json,
}

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As it should.
    Good,
    /// What was printed says what is wrong.
    Bad,
}

/// Why the journal cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum JournalReaderFailure {
    /// The journal cannot be read, or not to its end.
    #[error(transparent)]
    Journal(#[from] JournalFailure),
    /// What was found could not be written out.
    #[error("the output could not be written: {0}")]
    Output(#[from] io::Error),
}

/// Writes one line for each entry. Runs of this engine are folded on the way, because an order is named by the step
/// that made it; an entry that does not fold is shown all the same.
///
/// # Errors
/// [`JournalReaderFailure`]; the lines before it are written.
pub fn show(account: &Path, form: Form, out: &mut dyn Write) -> Result<Outcome, JournalReaderFailure> {
    let (mut step, mut names, mut fold) = (0_u64, Names::default(), None);
    read(account, &mut |read| {
        step = match &read.entry {
            Entry::Begin(_) => 0,
            Entry::Event { .. } => step + 1,
            _ => step,
        };
        names.learn(&read.entry);
        if let Entry::Begin(begin) = &read.entry {
            fold = Fold::begin(&begin.run, read.file.epoch).ok();
        }
        match form {
            Form::Text => writeln!(out, "{}", lines::line(&read, step, &names))?,
            Form::Json => writeln!(out, "{}", lines::row(&read, step, &names))?,
        }
        let folded = fold
            .as_mut()
            .is_some_and(|fold: &mut Fold| fold.take(read.file.epoch, &read.entry, read.outputs, &mut names).is_ok());
        if !folded {
            fold = None;
        }
        Ok::<(), JournalReaderFailure>(())
    })?;
    Ok(Outcome::Good)
}

/// Checks every record and every file against the one before it, and says what there is.
///
/// # Errors
/// [`JournalReaderFailure`] when the journal cannot be looked at; damage is [`Outcome::Bad`].
pub fn verify(account: &Path, form: Form, out: &mut dyn Write) -> Result<Outcome, JournalReaderFailure> {
    let mut events = 0_u64;
    let mut epochs = Vec::new();
    let found = read(account, &mut |read| {
        events += u64::from(matches!(read.entry, Entry::Event { .. }));
        if epochs.last() != Some(&read.file.epoch) {
            epochs.push(read.file.epoch);
        }
        Ok::<(), JournalFailure>(())
    });
    let reason = match found {
        Ok(found) => {
            print_row(out, form, &verified(&found, events, &epochs))?;
            return Ok(Outcome::Good);
        }
        Err(failure @ JournalFailure::File { .. }) => return Err(failure.into()),
        Err(failure) => failure.to_string(),
    };
    print_row(out, form, &json!({ "ok": false, "reason": reason }))?;
    Ok(Outcome::Bad)
}

fn verified(found: &Found, events: u64, epochs: &[u32]) -> Value {
    json!({
        "ok": true,
        "files": found.files,
        "records": found.records,
        "runs": found.runs,
        "epochs": epochs.len(),
        "last_epoch": epochs.last(),
        "events": events,
        "torn": found.is_torn,
    })
}

/// Folds every run of this engine again and compares the outputs of each step with what was recorded.
///
/// # Errors
/// [`JournalReaderFailure`] when the journal cannot be read; a step that differs is [`Outcome::Bad`], and printed.
pub fn replay(account: &Path, form: Form, out: &mut dyn Write) -> Result<Outcome, JournalReaderFailure> {
    let mut replayed = Replayed::default();
    let walked = walk(account, &mut replayed);
    let Replayed { steps, digest, runs } = replayed;
    match walked {
        Ok(Walked { passed_over, .. }) if runs == 0 && passed_over > 0 => {
            let reason = "every run was decided by another engine; replay it with that one";
            print_row(
                out,
                form,
                &json!({ "identical": false, "reason": reason, "runs_of_other_engines": passed_over }),
            )?;
            Ok(Outcome::Bad)
        }
        Ok(Walked { passed_over, compared }) => {
            let row = json!({
                "identical": true, "steps": steps, "compared": compared, "runs": runs,
                "runs_of_other_engines": passed_over, "digest": digest.unwrap_or_default(),
            });
            print_row(out, form, &row)?;
            Ok(Outcome::Good)
        }
        Err(JournalReaderFailure::Journal(JournalFailure::Fold { source, path })) => {
            print_row(out, form, &differs(&source, &path))?;
            Ok(Outcome::Bad)
        }
        Err(failure) => Err(failure),
    }
}

fn differs(fault: &FoldFault, path: &Path) -> Value {
    let file = path.display().to_string();
    match fault {
        FoldFault::Differs(difference) => {
            let Difference { step, event, outputs, recorded, folded, engine } = difference.as_ref();
            json!({
                "identical": false, "step": step, "event": event, "outputs": outputs, "recorded": recorded,
                "folded": folded, "engine": engine, "file": file,
            })
        }
        other => json!({ "identical": false, "reason": other.to_string(), "file": file }),
    }
}

/// Writes everything that happened as JSON lines, run by run; of a window, where one is given, what happened in it, and
/// of the rest what a day needs to be read alone (`Window`).
///
/// # Errors
/// [`JournalReaderFailure`]; the rows before it are written.
pub fn export(account: &Path, window: Option<Window>, out: &mut dyn Write) -> Result<Outcome, JournalReaderFailure> {
    walk(account, &mut Rows::new(window, out))?;
    Ok(Outcome::Good)
}

/// Says the closes of the first and the last bar of the last run, without folding it.
///
/// # Errors
/// [`JournalReaderFailure`] when the journal cannot be read.
pub fn bars(account: &Path, form: Form, out: &mut dyn Write) -> Result<Outcome, JournalReaderFailure> {
    let found = crate::journal::reading::bars(account)?;
    let text = |close: Option<i64>| close.map(|close_ns| close_ns.to_string());
    let row = json!({
        "first_bar_close_ns": text(found.map(|(first, _)| first)),
        "last_bar_close_ns": text(found.map(|(_, last)| last)),
    });
    print_row(out, form, &row)?;
    Ok(Outcome::Good)
}

/// One object: a line of JSON, or a line for each key.
fn print_row(out: &mut dyn Write, form: Form, row: &Value) -> io::Result<()> {
    if form == Form::Json {
        return writeln!(out, "{row}");
    }
    for (key, value) in row.as_object().into_iter().flatten() {
        match value {
            Value::String(text) => writeln!(out, "{key:22} {text}")?,
            other => writeln!(out, "{key:22} {other}")?,
        }
    }
    Ok(())
}

/// What a replay has come to.
#[derive(Debug, Default)]
struct Replayed {
    steps: u64,
    runs: u64,
    /// Of the last run.
    digest: Option<String>,
}

impl Audience for Replayed {
    fn after(&mut self, _: &Step<'_>) {
        self.steps += 1;
    }
}

impl walk::Listener for Replayed {
    fn end(&mut self, fold: &Fold) {
        self.runs += 1;
        self.digest = Some(blake3::Hash::from_bytes(fold.digest()).to_string());
    }
}
