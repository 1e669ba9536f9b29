//! Folds the runs of a journal, one after the other.

use std::io;
use std::path::Path;

use super::JournalReaderFailure;
use crate::entry::{Begin, Entry, RunConfig, SlotTaken};
use crate::events::ReleaseDigest;
use crate::fold::{Audience, Fold};
use crate::journal::JournalFailure;
use crate::journal::reading::read;

/// Who hears of more than steps.
pub(super) trait Listener: Audience {
    /// A run begins.
    fn begin(&mut self, begin: &Begin) {
        let _ = begin;
    }

    /// A process starts, and trades a release from here on; journals of before it was written do not say which.
    fn start(&mut self, epoch: u32, release: Option<ReleaseDigest>, wall_ns: i64) {
        let _ = (epoch, release, wall_ns);
    }

    /// A release takes a slot.
    fn seat(&mut self, slot: &SlotTaken) {
        let _ = slot;
    }

    /// A run is over, or the journal is.
    fn end(&mut self, fold: &Fold);

    /// What went wrong while it listened.
    fn failure(&mut self) -> Option<io::Error> {
        None
    }
}

/// How far it went.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Walked {
    /// Runs that another engine decided.
    pub(super) passed_over: u64,
    /// Steps whose outputs were compared with what was recorded.
    pub(super) compared: u64,
}

/// Folds every run of this engine, and lets `listener` hear of it.
pub(super) fn walk<L: Listener>(account: &Path, listener: &mut L) -> Result<Walked, JournalReaderFailure> {
    let mut walked = Walked::default();
    let mut fold: Option<Fold> = None;
    let mut steps_compared = 0;
    read(account, &mut |read| {
        let path = &read.file.path;
        let fault = |source| JournalFailure::Fold { path: path.clone(), source };
        let epoch = read.file.epoch;
        if let Entry::Begin(begin) = &read.entry {
            fold.take().inspect(|fold| listener.end(fold));
            steps_compared = 0;
            if begin.run.engine == RunConfig::ENGINE {
                fold = Some(Fold::begin(&begin.run, epoch).map_err(fault)?);
                listener.begin(begin);
            } else {
                walked.passed_over += 1;
            }
        }
        let Some(fold) = &mut fold else { return Ok(()) };
        let (steps, has_digest) = (fold.steps(), read.outputs.is_some());
        fold.take(epoch, &read.entry, read.outputs, listener).map_err(fault)?;
        if has_digest && steps > steps_compared {
            (steps_compared, walked.compared) = (steps, walked.compared + 1);
        }
        match &read.entry {
            Entry::Begin(begin) => listener.start(epoch, begin.release, begin.wall_ns),
            Entry::Resume(resume) => listener.start(epoch, resume.release, resume.wall_ns),
            Entry::Release(slot) => listener.seat(slot),
            _ => {}
        }
        listener.failure().map_or(Ok(()), |error| Err(JournalReaderFailure::Output(error)))
    })?;
    fold.inspect(|fold| listener.end(fold));
    listener.failure().map_or(Ok(walked), |error| Err(error.into()))
}
