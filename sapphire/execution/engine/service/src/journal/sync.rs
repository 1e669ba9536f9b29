//! The thread that brings what is written to the disk, and makes files ready.
//!
//! Invariant: an entry counts as synced only when every file it may stand in has been synced since it was written,
//! older files first. A file that is done is synced, then cut to its records. The reserve is made before the spare, so
//! a spare means that there is a reserve.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use sapphire_archive::{Archiver, Content};

use super::folder::{Folder, allocate, sync_folder};

/// Writes that one `fdatasync` waits for: with the call itself, 5 ms on a disk that is well.
const GROUP: Duration = Duration::from_millis(4);

/// Pause before a full disk is asked again for room.
const RETRY: Duration = Duration::from_secs(1);

/// Where the ready files are and how large.
#[derive(Clone, Debug)]
pub(super) struct Stock {
    journal: PathBuf,
    spare: PathBuf,
    reserve: PathBuf,
    spare_bytes: u64,
    reserve_bytes: u64,
}

/// What both threads see.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Entries written and synced, counted from the start of the process.
    written: AtomicU64,
    synced: AtomicU64,
    failed: AtomicBool,
    has_spare: AtomicBool,
    files: Mutex<Files>,
}

/// A file that takes no more records.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) file: Arc<File>,
    /// Where its records end.
    pub(super) length: u64,
    /// Where it lies, when another file follows it.
    pub(super) closed: Option<PathBuf>,
}

#[derive(Debug, Default)]
struct Files {
    current: Option<Arc<File>>,
    /// Files that are done.
    done: Vec<Done>,
    spare: Option<File>,
    reserve: Option<File>,
    /// A file has got a name since the folder was synced.
    named: bool,
}

impl Stock {
    pub(super) fn new(folder: &Folder, spare_bytes: u64, reserve_bytes: u64) -> Self {
        let (spare, reserve) = (folder.spare(), folder.reserve());
        Self { journal: folder.journal().into(), spare, reserve, spare_bytes, reserve_bytes }
    }

    /// The reserve of an earlier start, or a new one.
    pub(super) fn take_reserve(&self) -> io::Result<File> {
        let kept = File::options().read(true).write(true).open(&self.reserve);
        let kept = kept.and_then(|file| Ok((file.metadata()?.len() == self.reserve_bytes, file)));
        match kept {
            Ok((true, file)) => Ok(file),
            _ => allocate(&self.reserve, self.reserve_bytes),
        }
    }

    /// Removes the spare of an earlier start.
    pub(super) fn clear_spare(&self) -> io::Result<()> {
        match fs::remove_file(&self.spare) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

impl Shared {
    pub(super) fn new(reserve: Option<File>) -> Arc<Self> {
        let files = Mutex::new(Files { reserve, ..Files::default() });
        Arc::new(Self { files, ..Self::default() })
    }

    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    pub(super) fn synced(&self) -> u64 {
        self.synced.load(Ordering::Acquire)
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    pub(super) fn has_spare(&self) -> bool {
        self.has_spare.load(Ordering::Acquire)
    }

    pub(super) fn note_written(&self, entries: u64) {
        self.written.store(entries, Ordering::Release);
    }

    /// Names the spare `path` and hands it out; none where there is none.
    pub(super) fn take_spare(&self, stock: &Stock, path: &Path) -> io::Result<Option<(File, u64)>> {
        let mut files = self.files();
        let taken = take(&mut files.spare, &stock.spare, path)?;
        self.has_spare.store(files.spare.is_some(), Ordering::Release);
        Ok(taken.map(|file| (file, stock.spare_bytes)))
    }

    /// Names the reserve `path` and hands it out; none where it is used up.
    pub(super) fn take_reserve(&self, stock: &Stock, path: &Path) -> io::Result<Option<(File, u64)>> {
        let taken = take(&mut self.files().reserve, &stock.reserve, path)?;
        Ok(taken.map(|file| (file, stock.reserve_bytes)))
    }

    /// From here entries go to `file`; the one before it, if any, is done.
    pub(super) fn turn_to(&self, file: &Arc<File>, done: Option<Done>) {
        let mut files = self.files();
        files.current = Some(Arc::clone(file));
        files.done.extend(done);
        files.named = true;
    }

    /// No entry follows.
    fn end(&self, done: Done) {
        let mut files = self.files();
        files.current = None;
        files.done.push(done);
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        // Nothing that is done under the lock can leave the files half changed.
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sync(&self, stock: &Stock, archiver: Option<&Archiver>) -> io::Result<()> {
        let written = self.written();
        let (done, current, named) = {
            let mut files = self.files();
            (std::mem::take(&mut files.done), files.current.clone(), std::mem::take(&mut files.named))
        };
        for Done { file, length, closed } in done {
            file.sync_data()?;
            file.set_len(length)?;
            file.sync_all()?;
            if let (Some(archiver), Some(path)) = (archiver, closed) {
                archiver.add(path, Content::Journal);
            }
        }
        if named {
            sync_folder(&stock.journal)?;
        }
        current.map_or(Ok(()), |file| file.sync_data())?;
        self.synced.store(written, Ordering::Release);
        Ok(())
    }

    /// Makes what is missing of reserve and spare.
    fn renew(&self, stock: &Stock) -> io::Result<()> {
        if self.files().reserve.is_none() {
            let reserve = allocate(&stock.reserve, stock.reserve_bytes)?;
            self.files().reserve = Some(reserve);
        }
        if !self.has_spare() {
            let spare = allocate(&stock.spare, stock.spare_bytes)?;
            self.files().spare = Some(spare);
            self.has_spare.store(true, Ordering::Release);
        }
        Ok(())
    }
}

fn take(place: &mut Option<File>, from: &Path, to: &Path) -> io::Result<Option<File>> {
    if place.is_some() {
        fs::rename(from, to)?;
    }
    Ok(place.take())
}

/// The thread, from the side of who writes.
#[derive(Debug)]
pub(super) struct Syncer {
    shared: Arc<Shared>,
    nudge: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Syncer {
    /// Starts it; files that are done go to the archiver, where there is one.
    pub(super) fn start(shared: Arc<Shared>, stock: Stock, archiver: Option<Archiver>) -> io::Result<Self> {
        let (nudge, nudged) = sync_channel(1);
        let seen = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("journal-sync".into());
        let thread = thread.spawn(move || run(&seen, &stock, &nudged, archiver.as_ref()))?;
        Ok(Self { shared, nudge: Some(nudge), thread: Some(thread) })
    }

    /// Something was written.
    pub(super) fn nudge(&self) {
        if let Some(nudge) = &self.nudge {
            // Full means that a sync is about to happen anyway.
            let (Ok(()) | Err(TrySendError::Full(()) | TrySendError::Disconnected(()))) = nudge.try_send(());
        }
    }

    /// Syncs everything and cuts the last file, then lets the thread end.
    pub(super) fn end(&mut self, last: Done) {
        self.shared.end(last);
        self.nudge.take();
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported by its own thread.
            let _ = thread.join();
        }
    }
}

fn run(shared: &Shared, stock: &Stock, nudged: &Receiver<()>, archiver: Option<&Archiver>) {
    loop {
        let is_full =
            shared.renew(stock).inspect_err(|error| tracing::warn!(%error, "no room for the journal's next file"));
        let heard = if is_full.is_err() {
            nudged.recv_timeout(RETRY)
        } else {
            nudged.recv().map_err(|_| RecvTimeoutError::Disconnected)
        };
        let is_last = heard == Err(RecvTimeoutError::Disconnected);
        if heard == Ok(()) {
            std::thread::sleep(GROUP);
        }
        if let Err(error) = shared.sync(stock, archiver) {
            shared.failed.store(true, Ordering::Release);
            tracing::error!(%error, "the journal could not be synced; nothing more is accepted");
            return;
        }
        if is_last {
            // What was kept free is given back; the reserve stays for the next start.
            if let Err(error) = stock.clear_spare() {
                tracing::warn!(%error, "the journal's spare file stays");
            }
            return;
        }
    }
}
