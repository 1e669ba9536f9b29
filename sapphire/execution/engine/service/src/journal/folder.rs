//! An account's folder: held by one process, with the files of its journal.
//!
//! Invariant: who has a [`Folder`] has it alone; the lock goes with the process, however that ends.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate};
use sapphire_archive::plain_name;

use super::JournalFailure;

const LOCK: &str = "lock";
const JOURNAL: &str = "journal";
const SPARE: &str = "spare";
const RESERVE: &str = "reserve";

/// A folder that this process holds.
#[derive(Debug)]
pub(super) struct Folder {
    journal: PathBuf,
    _lock: File,
}

/// One file of the journal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SegmentFile {
    pub(crate) epoch: u32,
    /// Within the epoch, from 1.
    pub(crate) number: u32,
    pub(crate) path: PathBuf,
}

impl Folder {
    /// Makes or takes an account's folder, for its owner only.
    pub(super) fn hold(account: &Path) -> Result<Self, JournalFailure> {
        let lock_path = account.join(LOCK);
        let journal = account.join(JOURNAL);
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(&journal).map_err(file_failure(&journal))?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let lock = options.open(&lock_path).map_err(file_failure(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(JournalFailure::Held { folder: account.into(), holder: holder(&lock) });
            }
            Err(TryLockError::Error(source)) => return Err(JournalFailure::File { path: lock_path, source }),
        }
        sign(&lock).map_err(file_failure(&lock_path))?;
        Ok(Self { journal, _lock: lock })
    }

    pub(super) fn journal(&self) -> &Path {
        &self.journal
    }

    pub(super) fn segment(&self, epoch: u32, number: u32) -> PathBuf {
        self.journal.join(format!("service-{epoch:010}-{number:05}.journal"))
    }

    pub(super) fn spare(&self) -> PathBuf {
        self.journal.join(SPARE)
    }

    pub(super) fn reserve(&self) -> PathBuf {
        self.journal.join(RESERVE)
    }
}

/// The journal's files below an account's folder, oldest first; an archived one by the name of its plain file.
///
/// A file that is archived meanwhile has one name or the other in each look, so two looks that agree have missed none.
pub(crate) fn segments(account: &Path) -> Result<Vec<SegmentFile>, JournalFailure> {
    let mut before = look(account)?;
    loop {
        let files = look(account)?;
        if files == before {
            return Ok(files);
        }
        before = files;
    }
}

fn look(account: &Path) -> Result<Vec<SegmentFile>, JournalFailure> {
    let journal = account.join(JOURNAL);
    let failure = file_failure(&journal);
    let mut files = Vec::new();
    for entry in fs::read_dir(&journal).map_err(&failure)? {
        let name = entry.map_err(&failure)?.file_name();
        let Some(plain) = name.to_str().and_then(plain_name) else { continue };
        let path = journal.join(plain);
        files.extend(numbers(plain).map(|(epoch, number)| SegmentFile { epoch, number, path }));
    }
    files.sort();
    files.dedup();
    Ok(files)
}

fn numbers(name: &str) -> Option<(u32, u32)> {
    let (epoch, number) = name.strip_prefix("service-")?.strip_suffix(".journal")?.split_once('-')?;
    Some((epoch.parse().ok()?, number.parse().ok()?))
}

/// A file of `bytes` zeros that the disk has room for, whatever happens to the rest of it; nothing of it is left when
/// there is none.
pub(super) fn allocate(path: &Path, bytes: u64) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create(true).truncate(true).mode(0o600).open(path)?;
    let made = match fallocate(&file, FallocateFlags::empty(), 0, bytes) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::OPNOTSUPP) => fill(&file, bytes),
        Err(error) => Err(error.into()),
    };
    match made.and_then(|()| file.sync_all()) {
        Ok(()) => Ok(file),
        Err(error) => {
            fs::remove_file(path)?;
            Err(error)
        }
    }
}

/// For a file system that cannot reserve.
fn fill(mut file: &File, bytes: u64) -> io::Result<()> {
    io::copy(&mut io::repeat(0).take(bytes), &mut file).map(drop)
}

pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

pub(super) fn file_failure(path: &Path) -> impl Fn(io::Error) -> JournalFailure + use<> {
    let path = path.to_owned();
    move |source| JournalFailure::File { path: path.clone(), source }
}

/// Writes who holds the lock into it.
fn sign(mut lock: &File) -> io::Result<()> {
    lock.set_len(0)?;
    writeln!(lock, "{}", std::process::id())
}

/// Who holds the lock, as far as it says.
fn holder(mut lock: &File) -> String {
    let mut text = String::new();
    match lock.read_to_string(&mut text) {
        Ok(_) if !text.trim().is_empty() => format!("process {}", text.trim()),
        _ => "another process".to_owned(),
    }
}
