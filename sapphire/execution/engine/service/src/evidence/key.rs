//! The key that is trusted here, and what was signed by it.
//!
//! Known limitation: a key or a signature point of small order, which no key generator makes, is refused here and not
//! by Python.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use ed25519_dalek::{Signature, VerifyingKey};

use super::error::{EvidenceError, Fault, short};
use super::sha256_of;

const PUBLIC_BYTES: usize = 32;

/// A public key that signatures are verified with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TrustedKey([u8; PUBLIC_BYTES]);

/// The public key in a file.
pub(super) fn read_key(path: &Path) -> Result<TrustedKey, EvidenceError> {
    let data = fs::read(path).map_err(|error| {
        let none = error.kind() == ErrorKind::NotFound;
        let what = if none { "no promoter key to verify with" } else { "the promoter key cannot be read" };
        EvidenceError::new(Fault::Key, what)
            .expected(format!("a public key in {}", path.display()))
            .got(if none { "none".to_owned() } else { error.to_string() })
            .next("sapphire gates RELEASE --to paper makes the key when it first signs")
    })?;
    let bytes = from_hex(&data).and_then(|bytes| bytes.try_into().ok());
    bytes.map(TrustedKey).ok_or_else(|| {
        EvidenceError::new(Fault::Key, format!("{} is no public key", path.display()))
            .expected("64 hexadecimal digits")
            .got(format!("{} bytes of others", data.len()))
            .next("restore it from a backup, or make the gate reports again")
    })
}

impl TrustedKey {
    #[cfg(test)]
    pub(super) fn of(bytes: [u8; PUBLIC_BYTES]) -> Self {
        Self(bytes)
    }

    /// What it is called in a report: the sha256 of its bytes.
    pub(super) fn id(&self) -> String {
        sha256_of(&self.0)
    }

    /// Refuse a signature that is not by this key over these bytes.
    pub(super) fn check(&self, signed: &[u8], signature: &[u8], what: &str) -> Result<(), EvidenceError> {
        let verified = || {
            let key = VerifyingKey::from_bytes(&self.0).ok()?;
            key.verify_strict(signed, &Signature::from_slice(signature).ok()?).ok()
        };
        verified().ok_or_else(|| {
            let bytes = signed.len();
            EvidenceError::new(Fault::Signature, format!("the signature of {what} does not verify"))
                .expected(format!("a signature by key {} over these {bytes} bytes", short(&self.id())))
                .got("what was signed, its signature or the key is another")
                .next("sapphire gates RELEASE --to TARGET makes and signs a report again")
        })
    }
}

/// Bytes spelled in hexadecimal digits, pair by pair, spaces between pairs allowed: what Python's `bytes.fromhex`
/// takes.
pub(super) fn from_hex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let mut bytes = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_ascii_start();
        // Python counts the vertical tab among the spaces, Rust does not
        if let Some(after) = rest.strip_prefix(b"\x0b") {
            rest = after;
            continue;
        }
        match rest {
            [] => return Some(bytes),
            [high, low, after @ ..] => {
                bytes.push(digit(*high)? << 4 | digit(*low)?);
                rest = after;
            }
            [_] => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_of_digits_are_read_as_python_reads_them() {
        assert_eq!(from_hex(b" 0aFF\n\x0b01 "), Some(vec![0x0a, 0xff, 0x01]));
        assert_eq!(from_hex(b""), Some(Vec::new()));
        for text in [b"0".as_slice(), b"0 a", b"0g", b"\xc3\xa9"] {
            assert_eq!(from_hex(text), None);
        }
    }
}
