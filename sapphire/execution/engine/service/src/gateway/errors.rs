//! What can go wrong on the way to the venue.
//!
//! Invariant: no message holds a secret: a request's query, which carries the signature, is never part of one.

/// The gateway cannot work, or a question got no usable answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GatewayError {
    /// An address that is none, or of a kind that is not spoken.
    #[error(
        "{setting} does not fit\n  expected: {expected}\n  got:      {got}\n  \
         next:     correct the venue's address in the settings file"
    )]
    Address {
        /// Which setting.
        setting: &'static str,
        /// What fits.
        expected: &'static str,
        /// What came.
        got: String,
    },
    /// A name that nobody has.
    #[error(
        "{setting} has no address\n  expected: a name that this machine can look up\n  got:      {host}: {why}\n  \
         next:     correct the venue's address in the settings file, or see /etc/hosts and the name service"
    )]
    Unresolved {
        /// Which setting.
        setting: &'static str,
        /// Host and port.
        host: String,
        /// What the system said.
        why: String,
    },
    /// The venue knows the key or the signature not.
    #[error(
        "the venue refused our key\n  expected: a key and secret that {venue} knows\n  got:      {code} {message}\n  \
         next:     check api_key and api_secret in the credentials file"
    )]
    Key {
        /// Its address.
        venue: String,
        /// Its code.
        code: i32,
        /// Its words.
        message: String,
    },
    /// Nobody answered, or the connection broke; what became of the request is not known.
    #[error(
        "the venue did not answer {what}\n  expected: an answer from {venue}\n  got:      {why}\n  \
         next:     see whether the exchange runs; the service asks again by itself"
    )]
    Unreachable {
        /// What was asked.
        what: &'static str,
        /// Its address.
        venue: String,
        /// What the system said.
        why: String,
    },
    /// The venue refused a question.
    #[error("the venue refused {what}: {status}, code {code}, {message}")]
    Refused {
        /// What was asked.
        what: &'static str,
        /// HTTP status.
        status: u16,
        /// Its code; zero when it gave none.
        code: i32,
        /// Its words.
        message: String,
    },
    /// An answer that cannot be taken as it is: another form, or a number that is no whole number of ticks, lots or
    /// atoms.
    #[error("the venue's answer cannot be used\n  expected: {expected}\n  got:      {got}\n  next:     {next}")]
    Unreadable {
        /// What would fit.
        expected: String,
        /// What came.
        got: String,
        /// What to do.
        next: &'static str,
    },
    /// The venue does not list a symbol.
    #[error(
        "the venue does not trade {symbol}\n  expected: a symbol that it lists\n  \
         next:     correct the symbols in the settings file"
    )]
    Unlisted {
        /// Which.
        symbol: String,
    },
    /// The system gave us no thread.
    #[error("no thread for the gateway's {name}: {why}")]
    Thread {
        /// Which.
        name: &'static str,
        /// What the system said.
        why: String,
    },
    /// Our own count says that the venue would refuse it.
    #[error("{what} was not asked: the request weight of this minute is used up")]
    Limited {
        /// What was to be asked.
        what: &'static str,
    },
}

impl GatewayError {
    pub(super) fn unreadable(expected: impl Into<String>, got: impl Into<String>) -> Self {
        let next = "compare the venue's API version with the one this service speaks (spot, /api/v3)";
        Self::Unreadable { expected: expected.into(), got: got.into(), next }
    }
}

/// Why a request was not sent. The venue never had it: it was not written, or not written whole on a connection that
/// was then closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum NotSent {
    /// There is no connection.
    #[error("there is no connection to the venue")]
    NotConnected,
    /// The system took only a part of it, or nothing; the connection was closed.
    #[error("the connection broke while the request was written")]
    WriteFailed,
    /// Our own count says that the venue would refuse it.
    #[error("the venue's limit is used up")]
    RateLimited,
    /// The venue told us to stop for a while.
    #[error("the venue does not take requests from us for a while")]
    Blocked,
    /// As many requests wait for an answer as there is room for.
    #[error("too many requests wait for an answer")]
    Busy,
    /// A number of it does not fit the venue's text.
    #[error("a number of the order cannot be written")]
    Unwritable,
    /// The gateway has ended.
    #[error("the gateway has ended")]
    Ended,
}

impl NotSent {
    /// All reasons.
    pub const ALL: [Self; 7] = [
        Self::NotConnected,
        Self::WriteFailed,
        Self::RateLimited,
        Self::Blocked,
        Self::Busy,
        Self::Unwritable,
        Self::Ended,
    ];

    /// The stable code of it in messages and metrics.
    pub fn code(self) -> &'static str {
        match self {
            Self::NotConnected => "NOT_CONNECTED",
            Self::WriteFailed => "WRITE_FAILED",
            Self::RateLimited => "VENUE_RATE_LIMIT",
            Self::Blocked => "VENUE_BLOCKED",
            Self::Busy => "TOO_MANY_UNANSWERED",
            Self::Unwritable => "UNWRITABLE",
            Self::Ended => "GATEWAY_ENDED",
        }
    }
}
