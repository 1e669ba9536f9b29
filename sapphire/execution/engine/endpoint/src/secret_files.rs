//! Files with keys and tokens.
//!
//! Invariant: a file that others can read is refused, and what a file holds is in no error. A file passes that is the
//! reader's own and nobody else's, or root's with at most its group reading, as a cluster mounts it into a container.
//! The twin is `sapphire/telemetry/secret_files.py`.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// What a file with a secret has to be.
pub const PRIVATE: &str = "a file that only its owner can read (0600), or root's that at most its group reads (0440)";

const BY_OTHERS: u32 = 0o077;
const BUT_GROUP_READS: u32 = 0o037;
const ROOT: u32 = 0;

/// Why a file with a secret is not read.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// There is none, or it cannot be read.
    #[error("{}\n  expected: a readable file\n  got:      {}\n  next:     put it there, or name another", .path.display(), .source.kind())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others can read it.
    #[error("others can read {}\n  expected: {PRIVATE}\n  got:      {got}\n  next:     chmod 600 {}", .path.display(), .path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// Its rights.
        got: String,
    },
}

/// The text of a file that others cannot read.
///
/// # Errors
/// [`SecretFileError`].
pub fn read_secret(path: &Path) -> Result<String, SecretFileError> {
    let unreadable = |source| SecretFileError::Unreadable { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(unreadable)?;
    let told = file.metadata().map_err(unreadable)?;
    if let Some(got) = what_is_open(told.uid(), told.mode(), rustix::process::geteuid().as_raw()) {
        return Err(SecretFileError::Open { path: path.to_owned(), got });
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(unreadable)?;
    Ok(text)
}

/// Why a file of `owner` with these rights is open to others than `reader`; nothing where it is not.
fn what_is_open(owner: u32, mode: u32, reader: u32) -> Option<String> {
    let mode = mode & 0o7777;
    match owner {
        own if own == reader => (mode & BY_OTHERS != 0).then(|| format!("{mode:04o}")),
        ROOT => (mode & BUT_GROUP_READS != 0).then(|| format!("root's {mode:04o}")),
        other => Some(format!("{mode:04o} of user {other}, read by user {reader}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    const READER: u32 = 10_001;
    const OTHER: u32 = 10_002;

    #[test]
    fn own_files_and_root_s_that_the_group_reads_are_private() {
        for (owner, mode) in
            [(READER, 0o600), (READER, 0o400), (ROOT, 0o440), (ROOT, 0o640), (ROOT, 0o400), (ROOT, 0o600)]
        {
            assert_eq!(what_is_open(owner, 0o100_000 | mode, READER), None, "{owner} {mode:o}");
        }
    }

    #[test]
    fn what_others_read_or_write_is_open() {
        for (owner, mode, said) in [
            (READER, 0o640, "0640"),
            (READER, 0o440, "0440"),
            (READER, 0o604, "0604"),
            (ROOT, 0o444, "root's 0444"),
            (ROOT, 0o460, "root's 0460"),
            (ROOT, 0o660, "root's 0660"),
            (ROOT, 0o441, "root's 0441"),
            (OTHER, 0o600, "0600 of user 10002"),
            (OTHER, 0o440, "0440 of user 10002"),
        ] {
            let told = what_is_open(owner, 0o100_000 | mode, READER).unwrap_or_default();
            assert!(told.starts_with(said), "{owner} {mode:o}: {told}");
        }
        assert_eq!(what_is_open(ROOT, 0o640, ROOT).as_deref(), Some("0640"), "root's own are as anybody's own");
    }

    #[test]
    fn a_refusal_does_not_show_what_the_file_holds() {
        let path = std::env::temp_dir().join(format!("sapphire-secret-{}", std::process::id()));
        fs::write(&path, "hush").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let told = read_secret(&path).unwrap_err().to_string();
        assert!(told.contains("others can read") && told.contains("chmod 600") && !told.contains("hush"), "{told}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(read_secret(&path).unwrap(), "hush");
        fs::write(&path, b"hush\xff").unwrap();
        let told = read_secret(&path).unwrap_err().to_string();
        assert!(told.contains("a readable file") && !told.contains("hush"), "{told}");
        fs::remove_file(&path).unwrap();
        assert!(read_secret(&path).unwrap_err().to_string().contains("not found"));
    }
}
