//! Who may signal: the key that an account's coordinator and its engine share.
//!
//! Invariant: an entry counts only where its tag is the HMAC-SHA256 of the stream's name (venue, account, release), the
//! entry's own id and the message under this key, so neither another account's signal nor one that was copied to
//! another place is taken. The key is read from a file that only its owner can read, and is never shown.

use std::fmt;
use std::path::Path;

use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::events::EntryId;
use crate::settings::{SettingError, read_secret};

/// The field that an entry's tag is in.
pub const TAG_FIELD: &str = "hmac";

const FORM: &[u8] = b"SIGNAL@2";
const KEY_BYTES: usize = 32;

/// The key of an account's signals, ready to verify.
#[derive(Clone)]
pub struct SignalKey(Hmac<Sha256>);

impl fmt::Debug for SignalKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("SignalKey(hidden)")
    }
}

impl SignalKey {
    /// Reads the key for a stream of signals: a file with 64 hexadecimal digits.
    ///
    /// # Errors
    /// A file that is not there, that others can read, or that holds something else.
    pub fn read(path: &Path, stream: &str) -> Result<Self, SettingError> {
        let text = read_secret(path, "signal key")?;
        let key = hex(text.trim().as_bytes()).filter(|key| key.len() == KEY_BYTES).ok_or_else(|| SettingError {
            what: format!("signal key {}", path.display()),
            expected: "64 hexadecimal digits".to_owned(),
            got: "something else".to_owned(),
            next: "sapphire up writes it; coordinator and service read the same one".to_owned(),
        })?;
        Ok(Self::new(&key, stream))
    }

    /// The key for a stream of signals.
    #[must_use]
    pub fn new(key: &[u8], stream: &str) -> Self {
        // HMAC takes a key of any length.
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(key)
            .unwrap_or_else(|_| <Hmac<Sha256> as Mac>::new(&hmac::digest::Key::<Hmac<Sha256>>::default()));
        mac.update(FORM);
        mac.update(b"\0");
        mac.update(stream.as_bytes());
        mac.update(b"\0");
        Self(mac)
    }

    /// The tag of a message at its place, in hexadecimal digits.
    pub fn tag(&self, entry: EntryId, message: &[u8]) -> String {
        format!("{:x}", self.of(entry, message).finalize().into_bytes())
    }

    /// The tag is that of this message at this place. It takes as long for a wrong one.
    pub fn vouches(&self, entry: EntryId, message: &[u8], tag: &[u8]) -> bool {
        hex(tag).is_some_and(|tag| self.of(entry, message).verify_slice(&tag).is_ok())
    }

    fn of(&self, entry: EntryId, message: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        mac.update(&entry.ms.to_be_bytes());
        mac.update(&entry.seq.to_be_bytes());
        mac.update(message);
        mac
    }
}

/// The bytes that lower-case hexadecimal digits spell.
fn hex(digits: &[u8]) -> Option<Vec<u8>> {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let pairs = digits.chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return None;
    }
    pairs.map(|pair| Some(value(pair[0])? << 4 | value(pair[1])?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn vectors() -> Value {
        serde_json::from_str(include_str!("../../../../../tests/reference/golden/signal_tags.json")).unwrap()
    }

    #[test]
    fn each_golden_vector_has_the_tag_that_python_gave() {
        let vectors = vectors();
        let vectors = vectors.as_array().unwrap();
        assert!(vectors.len() >= 4);
        for vector in vectors {
            let text = |name: &str| vector[name].as_str().unwrap();
            let key = SignalKey::new(&hex(text("key").as_bytes()).unwrap(), text("stream"));
            let (entry, message) = (text("entry").parse().unwrap(), text("message").as_bytes());
            assert_eq!(key.tag(entry, message), text("tag"));
            assert!(key.vouches(entry, message, text("tag").as_bytes()));
        }
    }

    #[test]
    fn another_key_account_place_message_or_tag_is_not_vouched_for() {
        let entry = EntryId { ms: 5, seq: 1 };
        let key = SignalKey::new(&[7; 32], "paper");
        let tag = key.tag(entry, b"{}");
        assert!(key.vouches(entry, b"{}", tag.as_bytes()));
        assert!(!SignalKey::new(&[8; 32], "paper").vouches(entry, b"{}", tag.as_bytes()));
        assert!(!SignalKey::new(&[7; 32], "paper2").vouches(entry, b"{}", tag.as_bytes()));
        assert!(!key.vouches(EntryId { ms: 5, seq: 2 }, b"{}", tag.as_bytes()));
        assert!(!key.vouches(entry, b"{ }", tag.as_bytes()));
        for wrong in ["", "0", &tag[..62], &tag.to_uppercase(), &format!("{tag}00"), "not hexadecimal"] {
            assert!(!key.vouches(entry, b"{}", wrong.as_bytes()), "{wrong}");
        }
        assert_eq!(format!("{key:?}"), "SignalKey(hidden)");
    }
}
