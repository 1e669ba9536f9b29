//! Signatures: HMAC-SHA256 of what is sent, in hexadecimal.
//!
//! Invariant: the secret is in the key state alone and is never shown.

use std::fmt;

use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::settings::Secret;

/// Length of a signature's text.
pub(super) const SIGNATURE_LENGTH: usize = 64;

/// Signs under one secret, after a beginning that it has taken in already.
#[derive(Clone)]
pub(super) struct Signer(Hmac<Sha256>);

impl fmt::Debug for Signer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Signer(hidden)")
    }
}

impl Signer {
    /// A signer whose every text begins with `beginning`.
    pub(super) fn new(secret: &Secret, beginning: &[u8]) -> Self {
        // HMAC takes a key of any length.
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(secret.reveal().as_bytes())
            .unwrap_or_else(|_| <Hmac<Sha256> as Mac>::new(&hmac::digest::Key::<Hmac<Sha256>>::default()));
        mac.update(beginning);
        Self(mac)
    }

    /// The signature of the beginning and `rest`.
    pub(super) fn sign(&self, rest: &[u8]) -> [u8; SIGNATURE_LENGTH] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let tag = self.0.clone().chain_update(rest).finalize().into_bytes();
        let mut text = [0; SIGNATURE_LENGTH];
        for (pair, byte) in text.chunks_exact_mut(2).zip(tag) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Key and payload of the venue's own documentation ("SIGNED Endpoint Examples for POST /api/v3/order").
    const SECRET: &str = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j";
    const WHOLE: &[u8] = b"symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000\
                           &timestamp=1499827319559";

    #[test]
    fn the_documented_signature_wherever_it_is_cut() {
        for cut in [0, 1, 7, 64, WHOLE.len()] {
            let signer = Signer::new(&Secret::new(SECRET), &WHOLE[..cut]);
            let signature = signer.sign(&WHOLE[cut..]);
            assert_eq!(&signature, b"c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71");
            assert!(!format!("{signer:?}").contains("Nhq"));
        }
    }
}
