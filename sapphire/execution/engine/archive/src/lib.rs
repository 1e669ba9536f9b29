//! Closed files at rest: compressed, verified by reading back, and only then in the plain file's place.
//!
//! Invariant: at every moment the plain file is there whole, or an archive of the same bytes that was read back and
//! verified, or both. What reads one takes the plain file first. An archive lies beside its plain file under the same
//! name with `.zst`; one that is being written has `.zst.new` and is nothing yet.
//!
//! Known limitation: archives are read whole into memory; files are some megabytes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use sapphire_core::journal::{Decoder, JournalError};

mod archiver;

pub use archiver::Archiver;

/// What the name of an archive has behind that of its plain file.
pub const SUFFIX: &str = ".zst";

const UNFINISHED: &str = ".zst.new";

/// Compression: three times as slow as the fastest, and a journal is half hashes, which nothing makes smaller.
const LEVEL: i32 = 3;

/// Why a file stays plain. It is unchanged then.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// A file or its folder.
    #[error("{}: {source}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A journal that does not verify, record by record.
    #[error("{}: {source}; it stays as it is", .path.display())]
    Journal {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        source: JournalError,
    },
    /// What was read back is not what was written.
    #[error(
        "the archive of {} does not read back\n  expected: {expected}\n  got:      {got}\n  next:     check the disk; the plain file stays",
        .path.display()
    )]
    Differs {
        /// Which.
        path: PathBuf,
        /// Digest of the plain file.
        expected: String,
        /// Digest of what was read back.
        got: String,
    },
}

/// What a file is, as far as checking it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// A closed segment of a journal: each record's checksum and the chain of hashes are checked before and after.
    Journal,
    /// Bytes.
    Bytes,
}

/// Where the archive of a plain file lies.
#[must_use]
pub fn archive_of(plain: &Path) -> PathBuf {
    with(plain, SUFFIX)
}

/// The name of the plain file that a name of a folder is of: its own, or an archive's; none for an unfinished one.
#[must_use]
pub fn plain_name(name: &str) -> Option<&str> {
    (!name.ends_with(UNFINISHED)).then(|| name.strip_suffix(SUFFIX).unwrap_or(name))
}

/// The bytes of a file, plain or archived.
///
/// # Errors
/// Neither is there, or the archive is damaged.
pub fn read(plain: &Path) -> io::Result<Vec<u8>> {
    match fs::read(plain) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => read_archive(&archive_of(plain)),
        read => read,
    }
}

/// Fills `head` with the first bytes of a file, plain or archived.
///
/// # Errors
/// Neither is there or as long, or the archive is damaged.
pub fn read_head(plain: &Path, head: &mut [u8]) -> io::Result<()> {
    match File::open(plain) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            zstd::Decoder::new(File::open(archive_of(plain))?)?.read_exact(head)
        }
        opened => opened?.read_exact(head),
    }
}

/// Puts a verified archive in the place of a closed file. What an archiving that was cut off has left is replaced.
///
/// # Errors
/// [`ArchiveError`]; then the plain file is there as it was.
pub fn archive(plain: &Path, content: Content) -> Result<(), ArchiveError> {
    archive_with(plain, content, &mut |_| Ok(()))
}

/// A moment at which an archiving may be cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    Begun,
    Written,
    Verified,
    Named,
    Removed,
}

fn archive_with(
    plain: &Path,
    content: Content,
    at: &mut dyn FnMut(Moment) -> io::Result<()>,
) -> Result<(), ArchiveError> {
    let failure = |path: &Path| {
        let path = path.to_owned();
        move |source| ArchiveError::File { path, source }
    };
    let verify = |bytes: &[u8]| match content {
        Content::Journal => whole(bytes).map_err(|source| ArchiveError::Journal { path: plain.into(), source }),
        Content::Bytes => Ok(()),
    };
    let bytes = fs::read(plain).map_err(failure(plain))?;
    verify(&bytes)?;
    let (archive, unfinished) = (archive_of(plain), with(plain, UNFINISHED));
    write(&unfinished, &bytes, at).map_err(failure(&unfinished))?;
    at(Moment::Written).map_err(failure(&unfinished))?;
    let back = read_archive(&unfinished).map_err(failure(&unfinished))?;
    let (expected, got) = (blake3::hash(&bytes), blake3::hash(&back));
    if expected != got {
        let (expected, got) = (expected.to_string(), got.to_string());
        return Err(ArchiveError::Differs { path: plain.into(), expected, got });
    }
    verify(&back)?;
    at(Moment::Verified).map_err(failure(&unfinished))?;
    fs::rename(&unfinished, &archive).and_then(|()| sync_folder(plain)).map_err(failure(&archive))?;
    at(Moment::Named).map_err(failure(&archive))?;
    fs::remove_file(plain).and_then(|()| sync_folder(plain)).map_err(failure(plain))?;
    at(Moment::Removed).map_err(failure(plain))
}

fn write(path: &Path, bytes: &[u8], at: &mut dyn FnMut(Moment) -> io::Result<()>) -> io::Result<()> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    let mut encoder = zstd::Encoder::new(file, LEVEL)?;
    encoder.include_checksum(true)?;
    let (first, rest) = bytes.split_at(bytes.len() / 2);
    encoder.write_all(first)?;
    at(Moment::Begun)?;
    encoder.write_all(rest)?;
    encoder.finish()?.sync_all()
}

fn read_archive(path: &Path) -> io::Result<Vec<u8>> {
    zstd::decode_all(File::open(path)?)
}

/// Whether bytes are a header and whole records, and nothing but room behind them.
fn whole(bytes: &[u8]) -> Result<(), JournalError> {
    let (_, decoder) = Decoder::new(bytes)?;
    for record in decoder {
        record?;
    }
    Ok(())
}

fn sync_folder(of: &Path) -> io::Result<()> {
    File::open(of.parent().unwrap_or(Path::new(".")))?.sync_all()
}

fn with(plain: &Path, suffix: &str) -> PathBuf {
    let mut name = plain.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests;
