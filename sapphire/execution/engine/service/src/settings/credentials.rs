//! Keys and tokens, and files that only their owner may read.
//!
//! Invariant: a file that others can read is refused, and what a secret file holds is in no error.

use std::fmt;
use std::path::Path;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sapphire_endpoint::secret_files::PRIVATE;
use sapphire_endpoint::{SecretFileError, Tokens};
use serde::Deserialize;

use super::{SettingError, parse_json};

/// Keys and tokens. None of them is ever printed.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    /// Key at the venue.
    pub api_key: String,
    /// Its secret.
    pub api_secret: String,
    /// Token of the embedded exchange's control plane; one that reads is enough.
    #[serde(default)]
    pub venue_control_token: Option<String>,
    /// Token of our own control API that acts.
    pub service_token: String,
    /// Token of our own control API that reads.
    pub service_read_token: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Credentials(...)")
    }
}

/// Keys at the venue alone.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VenueKeys {
    api_key: String,
    api_secret: String,
    #[serde(default)]
    venue_control_token: Option<String>,
}

/// Tokens of our own control API alone.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ServiceTokens {
    service_token: String,
    service_read_token: String,
}

impl Credentials {
    /// Reads the file with the keys, and the one with the tokens where they are not in the same.
    ///
    /// # Errors
    /// A file that others may read, or that is not of this form; tokens of the control API that are empty or the same.
    pub fn read(path: &Path, tokens: Option<&Path>) -> Result<Self, SettingError> {
        let read = match tokens {
            None => {
                let keys = "api_key, api_secret, venue_control_token, service_token, service_read_token";
                read_secret_json(path, "credentials", keys)?
            }
            Some(tokens) => {
                let VenueKeys { api_key, api_secret, venue_control_token } =
                    read_secret_json(path, "credentials", "api_key, api_secret, venue_control_token")?;
                let ServiceTokens { service_token, service_read_token } =
                    read_secret_json(tokens, "service tokens", "service_token, service_read_token")?;
                Self { api_key, api_secret, venue_control_token, service_token, service_read_token }
            }
        };
        read.tokens()?;
        Ok(read)
    }

    /// The tokens of our own control API.
    ///
    /// # Errors
    /// One of them is empty, or they are the same.
    pub fn tokens(&self) -> Result<Tokens, SettingError> {
        Tokens::new(&self.service_read_token, &self.service_token).map_err(|error| {
            let what = "service_token and service_read_token of the credentials do not fit";
            SettingError::new(what, &error.to_string(), "others, not shown", "draw both anew")
        })
    }
}

/// The text of a file that others cannot read.
///
/// # Errors
/// No such file, one that others can read, or one that is no text. What stands there is not shown.
pub(crate) fn read_secret(path: &Path, what: &str) -> Result<String, SettingError> {
    let named = format!("{what} {}", path.display());
    sapphire_endpoint::read_secret(path).map_err(|error| match error {
        SecretFileError::Unreadable { source, .. } => {
            SettingError::new(&named, "a readable file", source.kind(), "name it in the settings file")
        }
        SecretFileError::Open { got, .. } => {
            SettingError::new(&named, PRIVATE, got, &format!("chmod 600 {}", path.display()))
        }
    })
}

/// The address of the bus with the password of its user, where that is in a file.
///
/// # Errors
/// As [`read_secret`]; an empty file; an address that names no user, or has a password of its own.
pub(crate) fn bus_address(url: &str, password: Option<&Path>) -> Result<String, SettingError> {
    let Some(path) = password else { return Ok(url.to_owned()) };
    let wrong = |what, expected, got: &str| SettingError::new(what, expected, got, "correct it in the settings file");
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    match rest.rsplit_once('@') {
        None => Err(wrong("bus_url, whose password is in a file", "valkey://USER@HOST:PORT/DB", "no user")),
        Some((user, _)) if user.is_empty() || user.contains(':') => {
            Err(wrong("bus_url, whose password is in a file", "valkey://USER@HOST:PORT/DB", "a password in it too"))
        }
        Some((user, host)) => {
            let text = read_secret(path, "password of the bus")?;
            let text = text.trim();
            if text.is_empty() {
                return Err(wrong("the password of the bus", "one in its file", "an empty file"));
            }
            Ok(format!("{scheme}://{user}:{}@{host}", utf8_percent_encode(text, NON_ALPHANUMERIC)))
        }
    }
}

fn read_secret_json<T: serde::de::DeserializeOwned>(path: &Path, what: &str, keys: &str) -> Result<T, SettingError> {
    parse_json(&read_secret(path, what)?, &format!("{what} {}", path.display()), keys)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::PathBuf;

    fn written(name: &str, text: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("sapphire-{name}-{}", std::process::id()));
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    #[test]
    fn tokens_may_be_in_a_file_of_their_own() {
        let keys = written("venue-keys", r#"{"api_key": "k", "api_secret": "hush"}"#);
        let tokens = written("service-tokens", r#"{"service_token": "t", "service_read_token": "r"}"#);
        let read = Credentials::read(&keys, Some(&tokens)).unwrap();
        assert_eq!((read.api_secret.as_str(), read.service_token.as_str()), ("hush", "t"));
        assert!(Credentials::read(&keys, None).unwrap_err().to_string().contains("missing field"));
        assert!(Credentials::read(&tokens, Some(&keys)).unwrap_err().to_string().contains("unknown field"));
        fs::set_permissions(&tokens, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(Credentials::read(&keys, Some(&tokens)).unwrap_err().to_string().contains("chmod 600"));
        for path in [keys, tokens] {
            fs::remove_file(path).unwrap();
        }
    }

    #[test]
    fn the_bus_s_password_comes_from_its_file() {
        let path = written("bus-password", "a/b:c\n");
        let address = |url: &str| bus_address(url, Some(&path)).map_err(|error| error.to_string());
        let url = "valkey://service%3Apaper@valkey:6379/0";
        assert_eq!(address(url).unwrap(), "valkey://service%3Apaper:a%2Fb%3Ac@valkey:6379/0");
        assert_eq!(bus_address("valkey://u:p@v/0", None).unwrap(), "valkey://u:p@v/0");
        assert!(address("valkey://valkey:6379/0").unwrap_err().contains("no user"));
        let twice = address("valkey://u:secret@valkey:6379/0").unwrap_err();
        assert!(twice.contains("a password in it too") && !twice.contains("secret"), "{twice}");
        fs::write(&path, "\n").unwrap();
        assert!(address(url).unwrap_err().contains("an empty file"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(address(url).unwrap_err().contains("chmod 600"));
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn keys_that_others_can_read_are_refused_and_never_shown() {
        let path = std::env::temp_dir().join(format!("sapphire-credentials-{}", std::process::id()));
        fs::write(&path, r#"{"api_key": "k", "api_secret": "hush", "service_token": 5}"#).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let open = Credentials::read(&path, None).unwrap_err();
        assert!(open.to_string().contains("chmod 600"), "{open}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let bad = Credentials::read(&path, None).unwrap_err().to_string();
        assert!(bad.contains("line 1") && !bad.contains("hush"), "{bad}");
        fs::write(&path, r#"{"api_key": "k", "api_secret": "hush", "service_token": "t"}"#).unwrap();
        let older = Credentials::read(&path, None).unwrap_err().to_string();
        assert!(older.contains("missing field") && older.contains("service_read_token"), "{older}");
        let both = |reads: &str| {
            format!(
                r#"{{"api_key": "k", "api_secret": "hush", "service_token": "t", "service_read_token": "{reads}"}}"#
            )
        };
        for reads in ["", "t"] {
            fs::write(&path, both(reads)).unwrap();
            let same = Credentials::read(&path, None).unwrap_err().to_string();
            assert!(same.contains("two tokens that differ") && !same.contains("hush"), "{same}");
        }
        fs::write(&path, both("r")).unwrap();
        let read = Credentials::read(&path, None).unwrap();
        assert_eq!(format!("{read:?} {}", read.api_secret), "Credentials(...) hush");
        fs::remove_file(&path).unwrap();
    }
}
