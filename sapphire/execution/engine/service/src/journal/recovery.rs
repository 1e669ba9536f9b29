//! What a start finds: the last run, folded, and what a run under another configuration had closed.

use std::fs;
use std::path::Path;

use sapphire_core::risk::Command;

use super::JournalFailure;
use super::folder::file_failure;
use super::reading::{self, Found};
use crate::entry::{Begin, Entry, Resume, RunConfig, Source};
use crate::events::ReleaseDigest;
use crate::fold::{Audience, Fold, Nobody};

/// What a run that ended under another configuration had closed.
pub(super) type Carried = Vec<(Command, Source)>;

/// Reads the journal, folds its last run, and cuts off what is torn. A run under another configuration than `run` is
/// not gone on with, and nobody hears of it: only what it had closed is carried over.
///
/// Known limitation: a run that another engine decided is not folded, and what it had closed is not known.
pub(super) fn recover(
    account: &Path,
    run: &RunConfig,
    audience: &mut dyn Audience,
) -> Result<(Found, Option<Fold>, Carried), JournalFailure> {
    let mut fold: Option<Fold> = None;
    let (mut other, mut is_whole): (Option<Fold>, bool) = (None, true);
    let found = reading::read(account, &mut |read| {
        if !read.is_of_last_run {
            return Ok(());
        }
        let failure = |source| JournalFailure::Fold { path: read.file.path.clone(), source };
        if let Entry::Begin(begin) = &read.entry {
            if begin.run == *run {
                fold = Some(Fold::begin(run, read.file.epoch).map_err(failure)?);
            } else {
                other = Fold::begin(&begin.run, read.file.epoch).ok();
            }
        }
        if let Some(fold) = &mut fold {
            return fold.take(read.file.epoch, &read.entry, read.outputs, audience).map_err(failure);
        }
        if let Some(before) = other.as_mut().filter(|_| is_whole)
            && let Err(fault) = before.take(read.file.epoch, &read.entry, read.outputs, &mut Nobody)
        {
            tracing::warn!(%fault, "the run before does not fold further: what it had closed by here is carried over");
            is_whole = false;
        }
        Ok(())
    })?;
    let carried = other.map(|before| before.latched().carried(before.run(), run)).unwrap_or_default();
    for path in &found.empty {
        fs::remove_file(path).map_err(file_failure(path))?;
    }
    // An archived file ends with its last record.
    if let Some((path, end)) = found.end.as_ref().filter(|(path, _)| path.exists()) {
        let cut = fs::OpenOptions::new().write(true).open(path).and_then(|file| {
            file.set_len(*end)?;
            file.sync_all()
        });
        cut.map_err(file_failure(path))?;
    }
    Ok((found, fold, carried))
}

pub(super) fn next_epoch(last: Option<u32>, wall_ns: i64) -> Result<u32, JournalFailure> {
    let seconds = (wall_ns / 1_000_000_000).max(1).cast_unsigned();
    let epoch = last.map_or(seconds, |last| seconds.max(u64::from(last) + 1));
    u32::try_from(epoch).map_err(|_| JournalFailure::Epoch(epoch))
}

/// The first entry of a start: it goes on after the last run's `steps`, or begins a run.
pub(super) fn first_entry(
    (run, release): (&RunConfig, ReleaseDigest),
    found: &Found,
    steps: Option<u64>,
    wall_ns: i64,
) -> Entry {
    let release = Some(release);
    match (found.last.clone(), steps) {
        (Some(follows), Some(steps)) => Entry::Resume(Resume { follows, steps, release, wall_ns }),
        (follows, _) => Entry::Begin(Box::new(Begin { run: run.clone(), follows, release, wall_ns })),
    }
}
