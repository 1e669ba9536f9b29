//! The journal of an account: everything that its engine is given, before it is given.
//!
//! Invariant: an entry is in the file before it is applied: one `write(2)`, and the page cache outlives the process.
//! `fdatasync` follows in groups on another thread. An entry that could not be written whole is erased again. Files are
//! made in full before they are needed; when there is no room for the next, a reserve is left, which takes only what
//! stops, ends or reports (`Entry::is_essential`). Closed files are archived (`sapphire_archive`) beside all that. One
//! process has the folder. A run is all that was written under one `RunConfig`; the epoch rises with every start,
//! whatever the run.
//!
//! Known limitations: a start reads the whole journal. A file system that copies on write (btrfs, ZFS) may run out of
//! room inside a file that was made in full; then the write fails, and is erased or the journal closes.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sapphire_archive::{Archiver, Content};
use sapphire_core::engine::Engine;
use sapphire_core::risk::Command;

mod failure;
mod folder;
mod options;
pub(crate) mod reading;
mod recovery;
mod segment;
mod sync;

pub use failure::JournalFailure;
use folder::{Folder, allocate, file_failure};
pub use options::JournalOptions;
use recovery::{first_entry, next_epoch, recover};
use segment::{Name, Segment, Stamped};
use sync::{Done, Shared, Stock, Syncer};

use crate::entry::{Entry, RunConfig, Source};
use crate::events::{EntryId, ReleaseDigest};
use crate::fold::{Audience, Fold, KnownRelease, Traded};
use crate::latched::Latched;

/// How far the journal is written and synced: entries since the start of the process, the first one being its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watermarks {
    /// Written: they outlive the process.
    pub written: u64,
    /// Synced: they outlive the machine's power.
    pub synced: u64,
}

/// Whether trading may go on, as far as the journal is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// All is well.
    Flowing,
    /// The disk has lagged behind for this long, more than allowed: reduce, and halt when it stays.
    Lagging(Duration),
    /// Only the reserve is left: halt. [`Journal::append`] takes nothing but what is essential until there is room.
    Reserve,
    /// Nothing is written any more: halt, and end the process.
    Closed,
}

/// What an account's journal holds, as its last run left it.
#[derive(Debug)]
pub struct Recovered {
    /// The engine: the fold of the run.
    pub engine: Engine,
    /// Events of the run so far.
    pub steps: u64,
    /// Where the signals of the release that is traded now have been read to.
    pub cursor: EntryId,
    /// The last step of the lock-step that an event came from; 0 when none did.
    pub lockstep: u64,
    /// What the numbers of this run's steps are published on top of.
    pub published_from: u64,
    /// Releases by slot.
    pub releases: Vec<KnownRelease>,
    /// The releases that the run traded, oldest first; the last is traded now.
    pub traded: Vec<Traded>,
    /// Who set what passes.
    pub latched: Latched,
    /// What the run before had closed, to be applied to this one first: a new run opens nothing by itself.
    pub carried: Vec<(Command, Source)>,
    /// This start's epoch. The engine does not know it yet: the first event is to be its `Body::Epoch`.
    pub epoch: u32,
    /// The run begins with this start.
    pub is_new_run: bool,
    /// A record that was being written when the process died was cut off.
    pub was_torn: bool,
}

/// An account's journal, held by this process.
#[derive(Debug)]
pub struct Journal {
    folder: Folder,
    stock: Stock,
    options: JournalOptions,
    shared: Arc<Shared>,
    syncer: Syncer,
    segment: Segment,
    epoch: u32,
    steps: u64,
    entries: u64,
    /// Digest of the last event's outputs.
    outputs: Option<[u8; 32]>,
    on_reserve: bool,
    /// An entry that was not synced when it was written, and when that was.
    mark: (u64, Instant),
}

impl Journal {
    /// Takes an account's folder, folds its last run when that is under `run` (anything else begins a new run), and
    /// begins a new epoch: the last one and one, or the machine's time in seconds if that is more. What it begins with
    /// names `release`, which is traded from here on. `audience` sees every step of the fold, so that what had been
    /// decided can be published again.
    ///
    /// # Errors
    /// [`JournalFailure`]: a folder that another process holds, damage, a fold that differs from what was recorded, or
    /// no room.
    pub fn open(
        account: &Path,
        run: &RunConfig,
        release: ReleaseDigest,
        options: &JournalOptions,
        wall_ns: i64,
        audience: &mut dyn Audience,
    ) -> Result<(Self, Recovered), JournalFailure> {
        options.check()?;
        let fresh = Fold::begin(run, 0).map_err(|fault| JournalFailure::Settings(fault.to_string()))?;
        let folder = Folder::hold(account)?;
        let (found, recovered, carried) = recover(account, run, audience)?;
        let epoch = next_epoch(found.last_epoch, wall_ns)?;
        let is_new_run = recovered.is_none();
        let mut fold = recovered.unwrap_or(fresh);
        let first = first_entry((run, release), &found, (!is_new_run).then(|| fold.steps()), wall_ns);
        fold.trade(release, wall_ns);
        let published_from = if is_new_run { first.published_from() } else { fold.published_from() };

        let stock = Stock::new(&folder, options.segment_bytes, options.reserve_bytes);
        stock.clear_spare().map_err(file_failure(&folder.spare()))?;
        let reserve = stock.take_reserve().map_err(|source| match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => JournalFailure::Full(folder.journal().into()),
            _ => JournalFailure::File { path: folder.reserve(), source },
        })?;
        let shared = Shared::new(Some(reserve));
        let name = Name { epoch, number: 1, config_digest: run.digest() };
        let market_ns = fold.engine().now_ns().max(0);
        let first = Stamped { entry: &first, outputs: fold.last_outputs(), market_ns, monotonic_ns: 0 };
        let (segment, on_reserve) = begin_segment(&folder, &stock, &shared, options, name, &first)?;
        segment.file().sync_all().map_err(file_failure(segment.path()))?;
        folder::sync_folder(folder.journal()).map_err(file_failure(folder.journal()))?;
        shared.turn_to(segment.file(), None);
        let archiver = if options.archives { Some(archiver_of(account, segment.path())?) } else { None };
        let syncer =
            Syncer::start(Arc::clone(&shared), stock.clone(), archiver).map_err(file_failure(folder.journal()))?;
        let (steps, cursor, lockstep) = (fold.steps(), fold.cursor(), fold.lockstep());
        let mut journal = Self {
            folder,
            stock,
            options: *options,
            shared,
            syncer,
            segment,
            epoch,
            steps,
            entries: 0,
            outputs: None,
            on_reserve,
            mark: (0, Instant::now()),
        };
        journal.note_written();
        journal.syncer.nudge();
        let (was_torn, latched, traded) = (found.is_torn, fold.latched().clone(), fold.traded().to_vec());
        let (engine, releases) = fold.into_engine();
        let recovered = Recovered {
            engine,
            steps,
            cursor,
            lockstep,
            published_from,
            releases,
            traded,
            latched,
            carried,
            epoch,
            is_new_run,
            was_torn,
        };
        Ok((journal, recovered))
    }

    /// Writes one entry, before it is applied; how many events the run has with it: the number of this step when the
    /// entry is an event. `monotonic_ns` is of the process's clock.
    ///
    /// # Errors
    /// [`JournalFailure::OnlyReserve`] and [`JournalFailure::Full`] when there is no room, [`JournalFailure::Write`]
    /// when nothing of it is kept, [`JournalFailure::Closed`] when nothing more is written. In none of them the entry
    /// may be applied.
    pub fn append(&mut self, entry: &Entry, market_ns: i64, monotonic_ns: i64) -> Result<u64, JournalFailure> {
        if self.shared.has_failed() {
            return Err(JournalFailure::Closed(self.segment.path().clone()));
        }
        if self.on_reserve && self.shared.has_spare() {
            self.turn(market_ns, monotonic_ns)?;
        }
        let may_go = |journal: &Self| {
            if journal.on_reserve && !entry.is_essential() {
                return Err(JournalFailure::OnlyReserve(journal.folder.journal().into()));
            }
            Ok(())
        };
        may_go(self)?;
        let stamped = Stamped { entry, outputs: self.outputs, market_ns, monotonic_ns };
        let is_written = match self.segment.write(&stamped) {
            // Nothing of it is kept: a file that has no room after all is left for the next.
            Err(JournalFailure::Write { .. }) if !self.on_reserve && !self.segment.is_in_doubt() => false,
            written => written?,
        };
        if !is_written {
            self.turn(market_ns, monotonic_ns)?;
            may_go(self)?;
            let stamped = Stamped { outputs: self.outputs, ..stamped };
            if !self.segment.write(&stamped)? {
                let (bytes, capacity) = (self.segment.last_size(), self.options.segment_bytes);
                return Err(JournalFailure::TooLarge { bytes, capacity });
            }
        }
        self.outputs = None;
        self.note_written();
        let is_event = matches!(entry, Entry::Event { .. });
        if !is_event {
            self.syncer.nudge();
        }
        self.steps += u64::from(is_event);
        Ok(self.steps)
    }

    /// Leaves the reserve when there is room again, although nothing is to be written.
    ///
    /// # Errors
    /// A file that was made cannot be begun.
    pub fn leave_reserve(&mut self, market_ns: i64, monotonic_ns: i64) -> Result<(), JournalFailure> {
        if self.on_reserve && self.shared.has_spare() { self.turn(market_ns, monotonic_ns) } else { Ok(()) }
    }

    /// Notes the digest of what the last event led to; it travels in the next entry. Only now the thread that syncs is
    /// woken for the event, because what it led to is on its way.
    pub fn outputs(&mut self, digest: [u8; 32]) {
        self.outputs = Some(digest);
        self.syncer.nudge();
    }

    /// How far it is written and synced.
    pub fn watermarks(&self) -> Watermarks {
        // In this order: what is synced is written.
        let synced = self.shared.synced();
        Watermarks { written: self.shared.written(), synced }
    }

    /// Whether trading may go on, as far as the journal is concerned.
    pub fn standing(&self) -> Standing {
        let lag = self.sync_lag();
        if self.shared.has_failed() || self.segment.is_in_doubt() {
            Standing::Closed
        } else if self.on_reserve {
            Standing::Reserve
        } else if lag > self.options.max_sync_lag {
            Standing::Lagging(lag)
        } else {
            Standing::Flowing
        }
    }

    /// Whether only the reserve is left.
    pub fn is_on_reserve(&self) -> bool {
        self.on_reserve
    }

    /// For how long at most the oldest entry that is not synced has waited.
    pub fn sync_lag(&self) -> Duration {
        if self.shared.synced() < self.entries { self.mark.1.elapsed() } else { Duration::ZERO }
    }

    /// This start's epoch.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Events of the run so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    fn note_written(&mut self) {
        self.entries += 1;
        if self.mark.0 <= self.shared.synced() {
            self.mark = (self.entries, Instant::now());
        }
        self.shared.note_written(self.entries);
    }

    /// Goes on in the next file: the one made ready, one made now, or the reserve.
    fn turn(&mut self, market_ns: i64, monotonic_ns: i64) -> Result<(), JournalFailure> {
        if self.on_reserve && !self.shared.has_spare() {
            return Err(JournalFailure::Full(self.folder.journal().into()));
        }
        let before = self.segment.name();
        let name = Name { number: before.number + 1, ..before };
        let entry = Entry::Continue(self.segment.follows());
        let first = Stamped { entry: &entry, outputs: self.outputs, market_ns, monotonic_ns };
        let (segment, on_reserve) =
            begin_segment(&self.folder, &self.stock, &self.shared, &self.options, name, &first)?;
        let (file, length) = (Arc::clone(self.segment.file()), self.segment.length());
        self.shared.turn_to(segment.file(), Some(Done { file, length, closed: Some(self.segment.path().clone()) }));
        (self.segment, self.on_reserve, self.outputs) = (segment, on_reserve, None);
        self.note_written();
        self.syncer.nudge();
        Ok(())
    }
}

impl Drop for Journal {
    /// Everything written is synced, and the last file cut to its records, before the folder is let go.
    fn drop(&mut self) {
        let (file, length) = (Arc::clone(self.segment.file()), self.segment.length());
        self.syncer.end(Done { file, length, closed: None });
    }
}

/// What archives closed files, begun with those that earlier starts left plain.
fn archiver_of(account: &Path, current: &Path) -> Result<Archiver, JournalFailure> {
    let archiver = Archiver::start().map_err(file_failure(account))?;
    for file in folder::segments(account)? {
        if file.path != current && file.path.exists() {
            archiver.add(file.path, Content::Journal);
        }
    }
    Ok(archiver)
}

/// Begins a file where there is room for one; whether it is the reserve.
fn begin_segment(
    folder: &Folder,
    stock: &Stock,
    shared: &Shared,
    options: &JournalOptions,
    name: Name,
    first: &Stamped<'_>,
) -> Result<(Segment, bool), JournalFailure> {
    let path = folder.segment(name.epoch, name.number);
    let failure = file_failure(&path);
    let taken = match shared.take_spare(stock, &path).map_err(&failure)? {
        Some(spare) => Ok(spare),
        None => allocate(&path, options.segment_bytes).map(|file| (file, options.segment_bytes)),
    };
    let (file, capacity, on_reserve) = match taken {
        Ok((file, capacity)) => (file, capacity, false),
        Err(error) => {
            tracing::error!(%error, "no room for the journal's next file; the reserve is taken");
            let reserve = shared.take_reserve(stock, &path).map_err(&failure)?;
            let (file, capacity) = reserve.ok_or_else(|| JournalFailure::Full(folder.journal().into()))?;
            (file, capacity, true)
        }
    };
    Ok((Segment::begin(name, path, file, capacity, first)?, on_reserve))
}
