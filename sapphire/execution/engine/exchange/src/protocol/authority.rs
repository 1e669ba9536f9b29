//! The gate: a signed request is let through when its key, signature and time are good, in that order.

use std::sync::Arc;

use super::Protocol;
use super::errors::Refusal;
use super::params::Params;
use super::sign::{self, SIGNATURE};
use super::timing::{self, Clocks};
use crate::keys::ApiKey;

/// Length of the venue's API keys.
const KEY_LENGTH: usize = 64;

impl Protocol {
    /// Checks a request signed over `parts`.
    ///
    /// # Errors
    /// -2014 for a key that cannot be one, -1102 without time or signature, -2015 for an unknown key, -1022 for a wrong
    /// signature, then those of [`timing::check`].
    pub(super) fn authorise(
        &self,
        api_key: Option<&str>,
        params: &Params,
        parts: &[&[u8]],
    ) -> Result<Arc<ApiKey>, Refusal> {
        let api_key = api_key.filter(|key| is_key(key)).ok_or_else(Refusal::bad_key_format)?;
        let timestamp = params.text("timestamp")?;
        let signature = params.text(SIGNATURE)?;
        let key = self.matching.key(api_key).ok_or_else(Refusal::unknown_key)?;
        // The venue takes text that is percent-encoded before it is signed, and nothing else.
        let is_ascii = parts.iter().all(|part| part.is_ascii());
        if !is_ascii || !sign::verify(key.secret.as_bytes(), parts, signature) {
            return Err(Refusal::bad_signature());
        }
        timing::check(timestamp, params.optional("recvWindow")?, self.clocks())?;
        Ok(key)
    }

    fn clocks(&self) -> Clocks {
        Clocks { market_us: self.matching.now_ns().div_euclid(1000), wall_us: self.matching.wall_ns().div_euclid(1000) }
    }
}

fn is_key(text: &str) -> bool {
    text.len() == KEY_LENGTH && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}
