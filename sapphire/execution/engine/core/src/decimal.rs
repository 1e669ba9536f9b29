//! Decimal text and integers: the only place where a number of the wire becomes atoms and back, at the venue and at its
//! clients.
//!
//! Invariant: what is written has eight decimals and reads back to the same atoms; what is read is exact or refused,
//! never rounded.

use crate::amounts::{Atoms, is_holdable};
use crate::instrument::ATOMS_PER_UNIT;

/// Digits after the point in everything the wire writes; one atom is the last of them.
const DECIMALS: usize = 8;

/// Longest whole or fractional part that is read: what an account can hold has as many digits.
const MOST_DIGITS: usize = 20;

const ATOMS: i128 = ATOMS_PER_UNIT as i128;

/// Why a text is not an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// Not digits with at most one point between them.
    #[error("not a plain decimal number")]
    Illegal,
    /// More than eight decimals that are not zero.
    #[error("more than eight decimals")]
    TooPrecise,
    /// Larger than an account can hold.
    #[error("too large")]
    TooLarge,
}

/// Atoms of a decimal text such as `64123.45`.
///
/// # Errors
/// See [`DecimalError`]; a sign, an exponent or white space is illegal.
pub fn parse_atoms(text: &str) -> Result<Atoms, DecimalError> {
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (text, None),
    };
    for digits in [Some(whole), fraction].into_iter().flatten() {
        if digits.is_empty() || digits.len() > MOST_DIGITS || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(DecimalError::Illegal);
        }
    }
    let fraction = fraction.unwrap_or_default();
    let (kept, rest) = fraction.split_at(fraction.len().min(DECIMALS));
    if rest.bytes().any(|byte| byte != b'0') {
        return Err(DecimalError::TooPrecise);
    }
    let padding = 10_i128.pow((DECIMALS - kept.len()) as u32);
    let atoms = digits(whole) * ATOMS + digits(kept) * padding;
    if is_holdable(atoms) { Ok(atoms) } else { Err(DecimalError::TooLarge) }
}

/// The text of an amount, eight decimals.
pub fn atoms_text(atoms: impl Into<i128>) -> String {
    let atoms: i128 = atoms.into();
    let sign = if atoms < 0 { "-" } else { "" };
    let atoms = atoms.unsigned_abs();
    let unit = ATOMS.unsigned_abs();
    format!("{sign}{}.{:08}", atoms / unit, atoms % unit)
}

/// Appends the text of an amount, eight decimals, without another allocation once `text` has room.
pub fn push_atoms(text: &mut Vec<u8>, atoms: Atoms) {
    /// Digits of the largest number and its point.
    const LONGEST: usize = 40;
    if atoms < 0 {
        text.push(b'-');
    }
    let mut digits = [b'0'; LONGEST];
    let (mut rest, mut place) = (atoms.unsigned_abs(), LONGEST);
    while rest > 0 || LONGEST - place < DECIMALS + 2 {
        place -= 1;
        if LONGEST - place == DECIMALS + 1 {
            digits[place] = b'.';
        } else {
            digits[place] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
    }
    text.extend_from_slice(&digits[place..]);
}

/// At most forty digits of one number as an integer; the empty text is zero.
fn digits(text: &str) -> i128 {
    text.bytes().fold(0, |value, byte| value * 10 + i128::from(byte - b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_becomes_atoms_exactly() {
        assert_eq!(parse_atoms("64123.45"), Ok(6_412_345_000_000));
        assert_eq!(parse_atoms("0.00000001"), Ok(1));
        assert_eq!(parse_atoms("007"), Ok(700_000_000));
        assert_eq!(parse_atoms("1.0000000000"), Ok(100_000_000));
    }

    #[test]
    fn what_is_not_an_amount_is_refused() {
        for text in ["", ".", "1.", ".5", "-1", "+1", "1e3", " 1", "1,0", "NaN", "1.2.3", "123456789012345678901"] {
            assert_eq!(parse_atoms(text), Err(DecimalError::Illegal), "{text:?}");
        }
        assert_eq!(parse_atoms("0.000000001"), Err(DecimalError::TooPrecise));
        assert_eq!(parse_atoms("99999999999999999999.99999999"), Ok(crate::amounts::MAX_ATOMS - 1));
    }

    #[test]
    fn amounts_are_written_with_eight_decimals() {
        assert_eq!(atoms_text(0_i64), "0.00000000");
        assert_eq!(atoms_text(-1_i64), "-0.00000001");
        assert_eq!(atoms_text(6_412_345_000_000_i64), "64123.45000000");
        for atoms in [0, 1, -1, i128::MAX, i128::MIN] {
            let mut text = Vec::new();
            push_atoms(&mut text, atoms);
            assert_eq!(text, atoms_text(atoms).into_bytes());
        }
    }

    proptest! {
        #[test]
        fn text_and_back_is_the_same(atoms in 0_i128..crate::amounts::MAX_ATOMS) {
            prop_assert_eq!(parse_atoms(&atoms_text(atoms)), Ok(atoms));
        }

        #[test]
        fn both_ways_of_writing_agree(atoms: i128) {
            let mut text = b"q=".to_vec();
            push_atoms(&mut text, atoms);
            prop_assert_eq!(String::from_utf8(text), Ok(format!("q={}", atoms_text(atoms))));
        }
    }
}
