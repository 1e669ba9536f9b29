//! Keys and tokens in a file that was made beforehand, so that those who need one of them can have it before an exchange
//! was ever started.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use rustc_hash::FxHashSet;
use sapphire_endpoint::{Tokens, read_secret};
use serde::Deserialize;

use super::{Credentials, KeyError, LENGTH};

/// Keys and tokens that were made beforehand: whoever is named there has these and no others.
pub struct GivenKeys {
    path: PathBuf,
    pub(super) control: Tokens,
    /// Of the development account.
    pub development: Credentials,
    pub(super) accounts: BTreeMap<String, Credentials>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GivenFile {
    control_token: String,
    control_read_token: String,
    development: GivenPair,
    #[serde(default)]
    accounts: BTreeMap<String, GivenPair>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GivenPair {
    api_key: String,
    api_secret: String,
}

impl From<GivenPair> for Credentials {
    fn from(pair: GivenPair) -> Self {
        Self { api_key: pair.api_key, api_secret: pair.api_secret }
    }
}

impl fmt::Debug for GivenKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("GivenKeys").field("path", &self.path).finish_non_exhaustive()
    }
}

impl GivenKeys {
    /// Reads the file.
    ///
    /// # Errors
    /// [`KeyError::Given`] and [`KeyError::GivenForm`]; what stands in the file is not shown.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let wrong = |expected, got: String| KeyError::GivenForm { path: path.to_owned(), expected, got };
        let text = read_secret(path)?;
        let file: GivenFile = serde_json::from_str(&text).map_err(|error| {
            let form = "control_token, control_read_token, development and accounts, each key with api_key, api_secret";
            wrong(form, format!("something else at line {} column {}", error.line(), error.column()))
        })?;
        let control = Tokens::new(&file.control_read_token, &file.control_token)
            .map_err(|error| wrong("control_token and control_read_token that fit", error.to_string()))?;
        let accounts: BTreeMap<String, Credentials> =
            file.accounts.into_iter().map(|(name, pair)| (name, pair.into())).collect();
        let given = Self { path: path.to_owned(), control, development: file.development.into(), accounts };
        let all = || std::iter::once(("development", &given.development)).chain(given.accounts());
        let mut seen = FxHashSet::default();
        for (name, pair) in all() {
            let fits = |text: &str| text.len() == LENGTH && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
            if !fits(&pair.api_key) || !fits(&pair.api_secret) {
                let expected = "api_key and api_secret of 64 letters and digits, as the venue's are";
                return Err(wrong(expected, format!("others for {name}")));
            }
            if !seen.insert(pair.api_key.as_str()) {
                return Err(wrong("an api_key of its own for each account", format!("one twice, for {name}")));
            }
        }
        Ok(given)
    }

    /// The pair of an account.
    ///
    /// # Errors
    /// [`KeyError::GivenForm`]: the file names no such account.
    pub fn account(&self, name: &str) -> Result<&Credentials, KeyError> {
        self.accounts.get(name).ok_or_else(|| KeyError::GivenForm {
            path: self.path.clone(),
            expected: "a key for each account that is opened",
            got: format!("none for {name}"),
        })
    }

    /// Accounts beside the development account, with their pairs.
    pub fn accounts(&self) -> impl Iterator<Item = (&str, &Credentials)> {
        self.accounts.iter().map(|(name, pair)| (name.as_str(), pair))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{FILE, Keyring};
    use super::*;
    use sapphire_core::venue::AccountId;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("sapphire-keys-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn given(folder: &Path, text: &str) -> Result<GivenKeys, KeyError> {
        let path = folder.join("exchange-keys.json");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        GivenKeys::read(&path)
    }

    fn file(development: &str, second: &str) -> String {
        let pair = |key: &str| format!(r#"{{"api_key": "{}", "api_secret": "{}"}}"#, key.repeat(64), "s".repeat(64));
        format!(
            r#"{{"control_token": "act", "control_read_token": "look", "development": {}, "accounts": {{"second": {}}}}}"#,
            pair(development),
            pair(second)
        )
    }

    #[test]
    fn given_keys_count_and_are_kept_nowhere_else() {
        let folder = folder("given");
        let before = Keyring::open(Some(&folder), None).unwrap();
        let drawn = Keyring::draw().unwrap();
        before.add(AccountId(1), &drawn).unwrap();
        let keys = given(&folder, &file("d", "e")).unwrap();
        let ring = Keyring::open(Some(&folder), Some(&keys)).unwrap();
        assert_eq!((ring.control_tokens().act(), ring.control_tokens().read()), ("act", "look"));
        ring.replace(AccountId(1), &keys.development);
        assert_eq!(ring.of(AccountId(1)), Some(keys.development.clone()));
        assert!(ring.get(&drawn.api_key).is_none(), "a key of before opens nothing any more");
        ring.add(AccountId(2), keys.account("second").unwrap()).unwrap();
        ring.add(AccountId(3), &Keyring::draw().unwrap()).unwrap();
        let kept = fs::read_to_string(folder.join(FILE)).unwrap();
        assert!(!kept.contains("dddd") && !kept.contains("eeee") && !kept.contains(r#""act""#), "{kept}");
        assert!(keys.account("third").unwrap_err().to_string().contains("none for third"));
        let again = Keyring::open(Some(&folder), None).unwrap();
        assert_eq!(again.control_tokens(), before.control_tokens(), "those that were drawn stay beside the journal");
        assert!(again.of(AccountId(2)).is_none() && again.of(AccountId(3)).is_some());
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn given_keys_that_do_not_fit_are_refused_and_not_shown() {
        let folder = folder("given-badly");
        let refused = |text: &str| given(&folder, text).unwrap_err().to_string();
        for text in
            ["", "{}", r#"{"control_token": "hush"}"#, &file("d", "e").replace("second\"", "second\": 1, \"x\"")]
        {
            let told = refused(text);
            assert!(told.contains("control_token, control_read_token") && !told.contains("hush"), "{told}");
        }
        assert!(refused(&file("d", "d")).contains("one twice, for second"));
        assert!(refused(&file("-", "e")).contains("others for development"));
        assert!(refused(&file("d", "e").replace("look", "act")).contains("two tokens that differ"));
        let path = folder.join("exchange-keys.json");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(GivenKeys::read(&path).unwrap_err().to_string().contains("others can read"));
        let shown = format!("{:?}", given(&folder, &file("d", "e")).unwrap());
        assert!(!shown.contains("dddd") && !shown.contains("act"), "{shown}");
        fs::remove_dir_all(folder).unwrap();
    }
}
