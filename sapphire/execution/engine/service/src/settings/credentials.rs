//! Keys and tokens, and files that only their owner may read.
//!
//! Invariant: a file that others can read is refused, and what a secret file holds is in no error.

use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use sapphire_endpoint::Tokens;
use serde::Deserialize;

use super::{SettingError, read_json};

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

impl Credentials {
    /// Reads the file with the keys.
    ///
    /// # Errors
    /// A file that others may read, or that is not of this form; tokens of the control API that are empty or the same.
    pub fn read(path: &Path) -> Result<Self, SettingError> {
        require_owner_only(path, "credentials")?;
        let keys = "api_key, api_secret, venue_control_token, service_token, service_read_token";
        let read: Self = read_json(path, "credentials", keys)?;
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

/// The text of a file that only its owner can read.
///
/// # Errors
/// No such file, one that others can read, or one that is no text. What stands there is not shown.
pub(crate) fn read_secret(path: &Path, what: &str) -> Result<String, SettingError> {
    require_owner_only(path, what)?;
    let named = format!("{what} {}", path.display());
    fs::read_to_string(path)
        .map_err(|error| SettingError::new(&named, "a readable file", error.kind(), "see its rights"))
}

fn require_owner_only(path: &Path, what: &str) -> Result<(), SettingError> {
    let named = || format!("{what} {}", path.display());
    let metadata = fs::metadata(path)
        .map_err(|error| SettingError::new(&named(), "a file", error, "name it in the settings file"))?;
    let mode = metadata.permissions().mode() & 0o777;
    let others = mode & 0o077;
    if others == 0 {
        return Ok(());
    }
    let next = format!("chmod 600 {}", path.display());
    Err(SettingError::new(&named(), "a file that only its owner can read (0600)", format!("{mode:04o}"), &next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_others_can_read_are_refused_and_never_shown() {
        let path = std::env::temp_dir().join(format!("sapphire-credentials-{}", std::process::id()));
        fs::write(&path, r#"{"api_key": "k", "api_secret": "hush", "service_token": 5}"#).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let open = Credentials::read(&path).unwrap_err();
        assert!(open.to_string().contains("chmod 600"), "{open}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let bad = Credentials::read(&path).unwrap_err().to_string();
        assert!(bad.contains("line 1") && !bad.contains("hush"), "{bad}");
        fs::write(&path, r#"{"api_key": "k", "api_secret": "hush", "service_token": "t"}"#).unwrap();
        let older = Credentials::read(&path).unwrap_err().to_string();
        assert!(older.contains("missing field") && older.contains("service_read_token"), "{older}");
        let both = |reads: &str| {
            format!(
                r#"{{"api_key": "k", "api_secret": "hush", "service_token": "t", "service_read_token": "{reads}"}}"#
            )
        };
        for reads in ["", "t"] {
            fs::write(&path, both(reads)).unwrap();
            let same = Credentials::read(&path).unwrap_err().to_string();
            assert!(same.contains("two tokens that differ") && !same.contains("hush"), "{same}");
        }
        fs::write(&path, both("r")).unwrap();
        let read = Credentials::read(&path).unwrap();
        assert_eq!(format!("{read:?} {}", read.api_secret), "Credentials(...) hush");
        fs::remove_file(&path).unwrap();
    }
}
