//! Where the venue is and how we sign.

use std::fmt;
use std::net::ToSocketAddrs as _;

use super::errors::GatewayError;
use super::socket::address;
use crate::clock::ClockMode;

/// A text that is never shown: not by `Debug`, not in an error, not in a log.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for those who sign with it or send it.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secret(hidden)")
    }
}

/// The control plane of an embedded exchange, which can say that dead connections are drained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrainControl {
    /// Such as `http://127.0.0.1:1`.
    pub url: String,
    /// Its bearer token.
    pub token: Secret,
}

/// Where the venue is and who we are there.
#[derive(Clone, Debug, PartialEq)]
pub struct VenueSettings {
    /// Such as `http://127.0.0.1:1`.
    pub rest_url: String,
    /// Such as `ws://127.0.0.1:1`; the paths are ours.
    pub ws_url: String,
    /// Names the account.
    pub api_key: Secret,
    /// Signs for it.
    pub api_secret: Secret,
    /// How market time runs. In lock-step no request times out and there is no stream of references.
    pub clock_mode: ClockMode,
    /// Where an embedded exchange says that it is drained. Without one, "not found" is final only when the request's
    /// window has passed by the venue's clock.
    pub control: Option<DrainControl>,
    /// How long after its time a request is still taken, milliseconds of market time at speed 1.
    pub recv_window_ms: u32,
}

/// The venue's own default for `recvWindow`.
pub const RECV_WINDOW_MS: u32 = 5_000;
/// The venue's longest `recvWindow`.
const LONGEST_WINDOW_MS: f64 = 60_000.0;

impl VenueSettings {
    /// How long a request is taken, milliseconds of market time: what the settings say at the speed of the wall, as
    /// much longer as the market is faster, at most the venue's longest.
    pub fn window_ms(&self) -> u32 {
        let speed = if let ClockMode::Speed(speed) = self.clock_mode { speed.max(1.0) } else { 1.0 };
        (f64::from(self.recv_window_ms) * speed).min(LONGEST_WINDOW_MS) as u32
    }

    /// Looks up every address. Later a name may be lost for a while, as the venue may; at the start it is a mistake.
    ///
    /// # Errors
    /// [`GatewayError::Address`], [`GatewayError::Unresolved`].
    pub fn require_addresses(&self) -> Result<(), GatewayError> {
        let control = self.control.as_ref().map(|control| ("control_url", &control.url, "http"));
        let rest = [("rest_url", &self.rest_url, "http"), ("ws_url", &self.ws_url, "ws")];
        for (setting, url, scheme) in rest.into_iter().chain(control) {
            let host = address(setting, url, scheme)?;
            let unresolved =
                |why: std::io::Error| GatewayError::Unresolved { setting, host: host.clone(), why: why.to_string() };
            host.to_socket_addrs().map_err(unresolved)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(clock_mode: ClockMode) -> VenueSettings {
        VenueSettings {
            rest_url: "http://127.0.0.1:1".into(),
            ws_url: "ws://127.0.0.1:1".into(),
            api_key: Secret::new("the-key"),
            api_secret: Secret::new("the-secret"),
            clock_mode,
            control: Some(DrainControl { url: "http://127.0.0.1:2".into(), token: Secret::new("the-token") }),
            recv_window_ms: RECV_WINDOW_MS,
        }
    }

    #[test]
    fn nothing_secret_is_shown() {
        let shown = format!("{:?}", settings(ClockMode::Lockstep));
        assert!(shown.contains("hidden"));
        for secret in ["the-key", "the-secret", "the-token"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }

    #[test]
    fn a_faster_market_has_a_longer_window() {
        assert_eq!(settings(ClockMode::Lockstep).window_ms(), 5_000);
        assert_eq!(settings(ClockMode::Speed(0.5)).window_ms(), 5_000);
        assert_eq!(settings(ClockMode::Speed(4.0)).window_ms(), 20_000);
        assert_eq!(settings(ClockMode::Speed(600.0)).window_ms(), 60_000);
    }
}
