//! Two bearer tokens: one reads, the other acts as well.
//!
//! Invariant: neither is empty and they differ, so nobody acts with what was given for reading. How long a comparison
//! takes does not tell where two tokens differ, and `Debug` shows none.

use std::fmt;

/// What a token permits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Looking.
    Read,
    /// Looking and acting.
    Act,
}

/// Tokens that cannot be told apart, or that everybody has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected two tokens that differ, neither of them empty")]
pub struct TokenError;

/// The tokens of one control API.
#[derive(Clone, PartialEq, Eq)]
pub struct Tokens {
    read: Box<str>,
    act: Box<str>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Tokens(...)")
    }
}

impl Tokens {
    /// One that reads and one that acts.
    ///
    /// # Errors
    /// One is empty, or they are the same.
    pub fn new(read: &str, act: &str) -> Result<Self, TokenError> {
        if read.is_empty() || act.is_empty() || read == act {
            return Err(TokenError);
        }
        Ok(Self { read: read.into(), act: act.into() })
    }

    /// The one that reads.
    #[must_use]
    pub fn read(&self) -> &str {
        &self.read
    }

    /// The one that acts.
    #[must_use]
    pub fn act(&self) -> &str {
        &self.act
    }

    /// What the content of an `Authorization` header permits; nothing where it has neither token.
    #[must_use]
    pub fn access(&self, authorization: Option<&[u8]>) -> Option<Access> {
        let given = authorization?.strip_prefix(b"Bearer ")?;
        let (reads, acts) = (is_same(given, self.read.as_bytes()), is_same(given, self.act.as_bytes()));
        if acts { Some(Access::Act) } else { reads.then_some(Access::Read) }
    }
}

/// Compares without telling by the time it takes where the two differ.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_token_permits_its_own_and_nothing_else_does() {
        let tokens = Tokens::new("look", "move").unwrap();
        let access = |header: &str| tokens.access(Some(header.as_bytes()));
        assert_eq!((access("Bearer look"), access("Bearer move")), (Some(Access::Read), Some(Access::Act)));
        for header in ["", "look", "Bearer ", "Bearer", "Bearer lookk", "Bearer loo", "bearer look", "Basic move"] {
            assert_eq!(access(header), None, "{header}");
        }
        assert_eq!(tokens.access(None), None);
        assert_eq!(format!("{tokens:?}"), "Tokens(...)");
    }

    #[test]
    fn tokens_that_everybody_has_are_refused() {
        for (read, act) in [("", "a"), ("a", ""), ("", ""), ("a", "a")] {
            assert_eq!(Tokens::new(read, act), Err(TokenError));
        }
    }
}
