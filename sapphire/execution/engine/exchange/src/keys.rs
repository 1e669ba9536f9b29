//! API keys, their secrets and the tokens of the control plane.
//!
//! Invariant: drawn from the operating system's randomness once, kept beside the journal in a file only its owner can
//! read, and written there before anything depends on them; or given in a file that was made beforehand, and then kept
//! nowhere else. Nothing here is ever logged; `Debug` hides it.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustc_hash::{FxHashMap, FxHashSet};
use sapphire_core::venue::AccountId;
use sapphire_endpoint::{SecretFileError, Tokens};
use serde::{Deserialize, Serialize};

mod given;

pub use given::GivenKeys;

const FILE: &str = "keys.json";
const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// Length of Binance's keys and secrets.
const LENGTH: usize = 64;

/// One API key.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its account.
    pub account: AccountId,
    /// What its requests are signed with.
    pub secret: String,
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ApiKey").field("account", &self.account).finish_non_exhaustive()
    }
}

/// A key and its secret, as its owner gets them.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// `X-MBX-APIKEY`.
    pub api_key: String,
    /// What requests are signed with.
    pub api_secret: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Credentials").finish_non_exhaustive()
    }
}

/// Why keys could not be read, kept or drawn.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file could not be read or written.
    #[error("{}: {source}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not what this exchange writes.
    #[error("{}: expected the keys of an exchange, got {reason}; restore the file, the journal cannot be used without it", .path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What it holds instead.
        reason: String,
    },
    /// The file of given keys is not there, or others can read it.
    #[error(transparent)]
    Given(#[from] SecretFileError),
    /// The file of given keys does not fit.
    #[error("the keys in {} do not fit\n  expected: {expected}\n  got:      {got}\n  next:     sapphire secrets make", .path.display())]
    GivenForm {
        /// Which.
        path: PathBuf,
        /// What was expected.
        expected: &'static str,
        /// What came, without a secret.
        got: String,
    },
    /// The operating system has no randomness.
    #[error("the operating system gave no random bytes: {0}")]
    Random(getrandom::Error),
}

#[derive(Serialize, Deserialize)]
struct Kept {
    control_token: String,
    /// None in files from before there was one.
    #[serde(default)]
    control_read_token: Option<String>,
    keys: Vec<KeptKey>,
}

#[derive(Clone, Serialize, Deserialize)]
struct KeptKey {
    account: u32,
    api_key: String,
    api_secret: String,
}

/// All keys; cloned handles see each other's.
#[derive(Clone)]
pub struct Keyring {
    shared: Arc<Shared>,
}

struct Shared {
    folder: Option<PathBuf>,
    /// Kept beside the journal.
    drawn: Tokens,
    control: Tokens,
    /// API keys that are in a file of their own and not kept beside the journal.
    given: FxHashSet<String>,
    keys: RwLock<FxHashMap<String, Arc<ApiKey>>>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Keyring").finish_non_exhaustive()
    }
}

impl Keyring {
    /// The keys kept in a folder, or a fresh ring with fresh control tokens. Without a folder nothing is kept. Tokens
    /// that are given are those that count.
    ///
    /// # Errors
    /// [`KeyError`] when the file is damaged or cannot be read or written.
    pub fn open(folder: Option<&Path>, given: Option<&GivenKeys>) -> Result<Self, KeyError> {
        let kept = folder.map(read).transpose()?.flatten();
        let kept = match kept {
            Some(kept) => kept,
            None => Kept { control_token: draw()?, control_read_token: None, keys: Vec::new() },
        };
        let is_fresh = kept.control_read_token.is_none();
        let reads = kept.control_read_token.map_or_else(draw, Ok)?;
        let drawn = Tokens::new(&reads, &kept.control_token).map_err(|error| KeyError::Damaged {
            path: folder.map_or_else(PathBuf::new, |folder| folder.join(FILE)),
            reason: format!("control tokens that do not fit: {error}"),
        })?;
        let keys = kept.keys.into_iter().map(|key| {
            let (account, secret) = (AccountId(key.account), key.api_secret);
            (key.api_key, Arc::new(ApiKey { account, secret }))
        });
        let given_keys = given.into_iter().flat_map(|given| {
            std::iter::once(&given.development).chain(given.accounts.values()).map(|pair| pair.api_key.clone())
        });
        let shared = Shared {
            folder: folder.map(Path::to_path_buf),
            control: given.map_or_else(|| drawn.clone(), |given| given.control.clone()),
            drawn,
            given: given_keys.collect(),
            keys: RwLock::new(keys.collect()),
        };
        let ring = Self { shared: Arc::new(shared) };
        if is_fresh {
            ring.keep(None)?;
        }
        Ok(ring)
    }

    /// A fresh pair, not yet anybody's.
    ///
    /// # Errors
    /// [`KeyError::Random`].
    pub fn draw() -> Result<Credentials, KeyError> {
        Ok(Credentials { api_key: draw()?, api_secret: draw()? })
    }

    /// Gives a pair to an account: kept first, valid then.
    ///
    /// # Errors
    /// [`KeyError::File`] when it could not be kept; the pair is not valid then.
    pub fn add(&self, account: AccountId, credentials: &Credentials) -> Result<(), KeyError> {
        let key = Arc::new(ApiKey { account, secret: credentials.api_secret.clone() });
        self.keep(Some((&credentials.api_key, &key)))?;
        self.write().insert(credentials.api_key.clone(), key);
        Ok(())
    }

    /// Gives a pair that was given to an account that there is already: it has no other one then.
    pub fn replace(&self, account: AccountId, credentials: &Credentials) {
        let key = Arc::new(ApiKey { account, secret: credentials.api_secret.clone() });
        let mut keys = self.write();
        keys.retain(|_, key| key.account != account);
        keys.insert(credentials.api_key.clone(), key);
    }

    /// Takes a pair back whose account did not come to be. The file forgets it at the next start.
    pub fn forget(&self, api_key: &str) {
        self.write().remove(api_key);
    }

    /// Drops keys of accounts from `next` on: a start that died before it could open them left them.
    ///
    /// # Errors
    /// [`KeyError::File`] when the file could not be written.
    pub fn keep_below(&self, next: AccountId) -> Result<(), KeyError> {
        let before = self.write().len();
        self.write().retain(|_, key| key.account < next);
        if self.write().len() == before { Ok(()) } else { self.keep(None) }
    }

    /// The account and secret of a key.
    pub fn get(&self, api_key: &str) -> Option<Arc<ApiKey>> {
        self.shared.keys.read().unwrap_or_else(PoisonError::into_inner).get(api_key).cloned()
    }

    /// A pair of an account: the one a restart shows again.
    pub fn of(&self, account: AccountId) -> Option<Credentials> {
        let keys = self.shared.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.iter().filter(|(_, key)| key.account == account).map(|(api_key, key)| credentials(api_key, key)).next()
    }

    /// What `Authorization: Bearer` on the control plane must carry one of.
    pub fn control_tokens(&self) -> &Tokens {
        &self.shared.control
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, FxHashMap<String, Arc<ApiKey>>> {
        self.shared.keys.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes all keys and one more: a new file, synced, in the place of the old.
    fn keep(&self, more: Option<(&String, &Arc<ApiKey>)>) -> Result<(), KeyError> {
        let Some(folder) = &self.shared.folder else { return Ok(()) };
        let guard = self.write();
        let mut keys: Vec<KeptKey> = guard
            .iter()
            .chain(more)
            .filter(|(api_key, _)| !self.shared.given.contains(*api_key))
            .map(|(api_key, key)| KeptKey {
                account: key.account.0,
                api_key: api_key.clone(),
                api_secret: key.secret.clone(),
            })
            .collect();
        keys.sort_by(|one, other| (one.account, &one.api_key).cmp(&(other.account, &other.api_key)));
        let drawn = &self.shared.drawn;
        let kept =
            Kept { control_token: drawn.act().to_owned(), control_read_token: Some(drawn.read().to_owned()), keys };
        let path = folder.join(FILE);
        write(folder, &path, &kept).map_err(|source| KeyError::File { path, source })
    }
}

fn credentials(api_key: &str, key: &ApiKey) -> Credentials {
    Credentials { api_key: api_key.to_owned(), api_secret: key.secret.clone() }
}

fn read(folder: &Path) -> Result<Option<Kept>, KeyError> {
    let path = folder.join(FILE);
    match fs::read(&path) {
        Ok(text) => serde_json::from_slice(&text)
            .map(Some)
            .map_err(|error| KeyError::Damaged { path, reason: format!("a file that does not parse ({error})") }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(KeyError::File { path, source }),
    }
}

fn write(folder: &Path, path: &Path, kept: &Kept) -> io::Result<()> {
    let fresh = folder.join(format!("{FILE}.new"));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    file.write_all(&serde_json::to_vec_pretty(kept)?)?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    File::open(folder)?.sync_all()
}

fn draw() -> Result<String, KeyError> {
    let mut text = String::with_capacity(LENGTH);
    let mut bytes = [0_u8; 2 * LENGTH];
    // Bytes that would favour the first letters are thrown away.
    let fair = 256 - 256 % ALPHABET.len();
    while text.len() < LENGTH {
        getrandom::fill(&mut bytes).map_err(KeyError::Random)?;
        let letters = bytes.iter().map(|byte| usize::from(*byte)).filter(|byte| *byte < fair);
        let missing = LENGTH - text.len();
        text.extend(letters.take(missing).map(|byte| ALPHABET[byte % ALPHABET.len()] as char));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("sapphire-keys-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn a_restart_keeps_keys_and_token_and_only_the_owner_reads_them() {
        let folder = folder("kept");
        let ring = Keyring::open(Some(&folder), None).unwrap();
        let pair = Keyring::draw().unwrap();
        ring.add(AccountId(1), &pair).unwrap();
        let again = Keyring::open(Some(&folder), None).unwrap();
        assert_eq!(again.control_tokens(), ring.control_tokens());
        assert_eq!(again.of(AccountId(1)), Some(pair.clone()));
        assert_eq!(again.get(&pair.api_key).map(|key| key.account), Some(AccountId(1)));
        let mode = fs::metadata(folder.join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_file_from_before_the_reading_token_gets_one_that_stays() {
        let folder = folder("older");
        fs::write(folder.join(FILE), br#"{"control_token": "acts", "keys": []}"#).unwrap();
        let ring = Keyring::open(Some(&folder), None).unwrap();
        assert_eq!((ring.control_tokens().act(), ring.control_tokens().read().len()), ("acts", LENGTH));
        assert_eq!(Keyring::open(Some(&folder), None).unwrap().control_tokens(), ring.control_tokens());
        fs::write(folder.join(FILE), br#"{"control_token": "one", "control_read_token": "one", "keys": []}"#).unwrap();
        assert!(matches!(Keyring::open(Some(&folder), None), Err(KeyError::Damaged { .. })));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn draws_differ_and_are_as_long_as_the_venues() {
        let (one, other) = (draw().unwrap(), draw().unwrap());
        assert_eq!((one.len(), other.len()), (64, 64));
        assert_ne!(one, other);
    }

    #[test]
    fn a_damaged_file_is_refused_and_debug_shows_no_secret() {
        let folder = folder("damaged");
        fs::write(folder.join(FILE), b"{").unwrap();
        assert!(matches!(Keyring::open(Some(&folder), None), Err(KeyError::Damaged { .. })));
        let pair = Credentials { api_key: "K".into(), api_secret: "hidden".into() };
        assert!(!format!("{pair:?}").contains("hidden"));
        fs::remove_dir_all(folder).unwrap();
    }
}
