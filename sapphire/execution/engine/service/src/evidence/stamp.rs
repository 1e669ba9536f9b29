//! What files look like from outside: enough to know that a verdict on them may have become another.
//!
//! Invariant: a change after a settled stamp was taken makes another stamp. One that is not settled, because a file
//! changed just before it was taken, says nothing: the clock of a file system ticks every few milliseconds, and a
//! second change within one tick does not show.
//!
//! Known limitation: bytes changed on the disk behind the file system's back are not seen until something else changes.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::clock::wall_ns;

/// A file that changed longer ago than any file system's clock ticks, with room for a clock that lags.
const SETTLED_NS: i64 = 1_000_000_000;

/// Path, inode, size, and the times of the last change, of everything in some folders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    seen: Vec<(PathBuf, u64, u64, i64, i64)>,
    settled: bool,
}

impl Stamp {
    /// Of everything in `folders`, whether it is there or not.
    #[must_use]
    pub fn of(folders: &[PathBuf]) -> Self {
        let mut seen = Vec::new();
        for folder in folders {
            look(folder, &mut seen);
        }
        seen.sort_unstable();
        let last = seen.iter().map(|(.., modified, changed)| *modified.max(changed)).max();
        Self { seen, settled: last.is_none_or(|last| wall_ns().saturating_sub(last) > SETTLED_NS) }
    }

    /// What was found when this stamp was taken is still so, if `now` is the stamp of now.
    pub fn still(&self, now: &Self) -> bool {
        self.settled && self.seen == now.seen
    }
}

fn look(path: &Path, seen: &mut Vec<(PathBuf, u64, u64, i64, i64)>) {
    let time = |seconds: i64, nanoseconds: i64| seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds);
    // what a link points to counts as well as the link
    for metadata in [fs::symlink_metadata(path), fs::metadata(path)].into_iter().flatten() {
        let modified = time(metadata.mtime(), metadata.mtime_nsec());
        let changed = time(metadata.ctime(), metadata.ctime_nsec());
        seen.push((path.to_owned(), metadata.ino(), metadata.size(), modified, changed));
    }
    if fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir()) {
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            look(&entry.path(), seen);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_taken_right_after_a_change_says_nothing() {
        let folder = std::env::temp_dir().join(format!("sapphire-stamp-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("file"), "one").unwrap();
        let folders = [folder.clone()];
        let early = Stamp::of(&folders);
        assert!(!early.still(&Stamp::of(&folders)));
        std::thread::sleep(std::time::Duration::from_millis(1_100));
        let late = Stamp::of(&folders);
        assert!(late.still(&Stamp::of(&folders)));
        fs::write(folder.join("file"), "two").unwrap();
        assert!(!late.still(&Stamp::of(&folders)));
        fs::remove_dir_all(&folder).unwrap();
        assert!(Stamp::of(&folders).still(&Stamp::of(&folders)), "nothing there is settled");
    }
}
