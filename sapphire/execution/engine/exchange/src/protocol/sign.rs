//! Who sent a request: HMAC-SHA256 over the bytes as they were sent.
//!
//! Invariant: nothing is decoded, re-encoded or re-ordered before it is checked. For REST the signed bytes are the
//! query followed by the body, with nothing between them, without the `signature` pair wherever it stands. For the
//! WebSocket API they are `name=value` pairs in alphabetical order, each value in the text in which it came.

use hmac::{Hmac, Mac};
use sha2::Sha256;

/// The name of the parameter that is not signed.
pub const SIGNATURE: &str = "signature";

/// Bytes of a query or body without its signature.
pub fn without_signature(part: &[u8]) -> Vec<u8> {
    let signed = part.split(|byte| *byte == b'&').filter(|pair| !is_signature(pair));
    signed.collect::<Vec<_>>().join(&b'&')
}

/// The bytes that a WebSocket API request signs: all parameters but the signature, by name.
pub fn sorted_payload<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<u8> {
    let mut pairs: Vec<_> = pairs.filter(|(name, _)| *name != SIGNATURE).collect();
    pairs.sort_unstable();
    let pairs: Vec<String> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&").into_bytes()
}

/// Whether `signature` (hexadecimal, either case) is that of the payload's parts under the secret. Takes the same time
/// for every wrong signature.
pub fn verify(secret: &[u8], parts: &[&[u8]], signature: &str) -> bool {
    let Some(tag) = from_hex(signature) else { return false };
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else { return false };
    for part in parts {
        mac.update(part);
    }
    mac.verify_slice(&tag).is_ok()
}

fn is_signature(pair: &[u8]) -> bool {
    pair.strip_prefix(SIGNATURE.as_bytes()).is_some_and(|rest| rest.first() == Some(&b'='))
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text.chars().map(|digit| digit.to_digit(16).map(|value| value as u8)).collect();
    let digits = digits?;
    (digits.len() % 2 == 0).then(|| digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Key and payloads of the venue's own documentation ("SIGNED Endpoint Examples for POST /api/v3/order" and
    /// "SIGNED request example (HMAC)").
    const SECRET: &[u8] = b"NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j";
    const WHOLE: &str = "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000\
                         &timestamp=1499827319559";
    const WHOLE_SIGNATURE: &str = "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71";

    fn rest(query: &str, body: &str, signature: &str) -> bool {
        let (query, body) = (without_signature(query.as_bytes()), without_signature(body.as_bytes()));
        verify(SECRET, &[&query, &body], signature)
    }

    #[test]
    fn the_documented_query_verifies() {
        assert!(rest(&format!("{WHOLE}&signature={WHOLE_SIGNATURE}"), "", WHOLE_SIGNATURE));
    }

    #[test]
    fn the_documented_body_verifies() {
        assert!(rest("", &format!("{WHOLE}&signature={WHOLE_SIGNATURE}"), WHOLE_SIGNATURE));
    }

    #[test]
    fn query_and_body_are_joined_without_a_separator() {
        let query = "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC";
        let body = "quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559";
        let signature = "0fd168b8ddb4876a0358a8d14d0c9f3da0e9b20c5d52b2a00fcf7d1c602f9a77";
        assert!(rest(query, &format!("{body}&signature={signature}"), signature));
        assert!(!rest(&format!("{query}&"), body, signature));
    }

    #[test]
    fn the_documented_websocket_request_verifies() {
        let pairs = [
            ("symbol", "BTCUSDT"),
            ("side", "SELL"),
            ("type", "LIMIT"),
            ("timeInForce", "GTC"),
            ("quantity", "0.01000000"),
            ("price", "52000.00"),
            ("newOrderRespType", "ACK"),
            ("recvWindow", "100"),
            ("timestamp", "1645423376532"),
            ("apiKey", "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"),
            ("signature", "cc15477742bd704c29492d96c7ead9414dfd8e0ec4a00f947bb5bb454ddbd08a"),
        ];
        let payload = sorted_payload(pairs.into_iter());
        assert!(verify(SECRET, &[&payload], pairs[10].1));
    }

    #[test]
    fn the_signature_may_stand_anywhere_and_in_either_case() {
        let upper = WHOLE_SIGNATURE.to_uppercase();
        let middle = WHOLE.replacen("&side", &format!("&signature={upper}&side"), 1);
        assert!(rest(&middle, "", &upper));
        assert!(rest(&format!("signature={upper}&{WHOLE}"), "", &upper));
    }

    #[test]
    fn anything_changed_is_refused() {
        assert!(!rest(&WHOLE.replace("price=0.1", "price=0.2"), "", WHOLE_SIGNATURE));
        assert!(!rest(&format!("{WHOLE}&signatures=1"), "", WHOLE_SIGNATURE));
        assert!(!rest(WHOLE, "", &WHOLE_SIGNATURE[1..]));
        assert!(!rest(WHOLE, "", "zz"));
        assert!(!rest(WHOLE, "", ""));
    }
}
