//! Numbers as canonical JSON spells them, and their order.
//!
//! Invariant: whole numbers and others are two kinds, as they are to Python; comparing them is exact, never through a
//! rounding.

use std::cmp::Ordering;

/// Python reads no longer whole number from text.
const MAX_DIGITS: usize = 4_300;

/// Python writes exponents from here on up.
const LARGEST_PLAIN: i32 = 16;

/// And from here on down.
const SMALLEST_PLAIN: i32 = -4;

/// A number.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Number {
    /// Whole, as it is spelled.
    Whole(String),
    /// Any other, finite.
    Real(f64),
}

impl Number {
    /// The number whose canonical spelling is `text`.
    pub(super) fn read(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        if digits.bytes().all(|byte| byte.is_ascii_digit()) {
            let one_spelling = digits == "0" || digits.starts_with(|first: char| first != '0');
            let sound = !digits.is_empty() && one_spelling && text != "-0" && digits.len() <= MAX_DIGITS;
            return sound.then(|| Self::Whole(text.to_owned()));
        }
        let number: f64 = text.parse().ok()?;
        (number.is_finite() && spelled(number) == text).then_some(Self::Real(number))
    }

    /// How it stands to another.
    pub(super) fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Real(one), Self::Real(other)) => one.partial_cmp(other),
            (Self::Whole(one), Self::Whole(other)) => Some(compare_whole(one, other)),
            (Self::Whole(one), Self::Real(other)) => Some(compare_mixed(one, *other)),
            (Self::Real(one), Self::Whole(other)) => Some(compare_mixed(other, *one).reverse()),
        }
    }

    /// The whole number, where it fits 64 bits.
    pub(super) fn whole(&self) -> Option<i64> {
        self.wide().and_then(|number| number.try_into().ok())
    }

    /// The whole number, where it fits 128 bits.
    pub(super) fn wide(&self) -> Option<i128> {
        match self {
            Self::Whole(text) => text.parse().ok(),
            Self::Real(_) => None,
        }
    }

    /// Whole and above zero, however large.
    pub(super) fn is_count(&self) -> bool {
        matches!(self, Self::Whole(text) if text != "0" && !text.starts_with('-'))
    }
}

impl std::fmt::Display for Number {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Whole(text) => out.write_str(text),
            Self::Real(number) => out.write_str(&spelled(*number)),
        }
    }
}

fn compare_whole(one: &str, other: &str) -> Ordering {
    let magnitude = |one: &str, other: &str| one.len().cmp(&other.len()).then_with(|| one.cmp(other));
    match (one.strip_prefix('-'), other.strip_prefix('-')) {
        (None, None) => magnitude(one, other),
        (Some(one), Some(other)) => magnitude(other, one),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
    }
}

fn compare_mixed(whole: &str, real: f64) -> Ordering {
    let below = real.trunc();
    // formatting is exact at any size; a zero keeps its sign there
    let text = if below == 0.0 { "0".to_owned() } else { format!("{below:.0}") };
    compare_whole(whole, &text).then_with(|| below.partial_cmp(&real).unwrap_or(Ordering::Equal))
}

/// The shortest digits that read back as `number`, laid out as Python does.
fn spelled(number: f64) -> String {
    let sign = if number.is_sign_negative() { "-" } else { "" };
    let scientific = format!("{:e}", number.abs());
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let point = exponent.parse::<i32>().unwrap_or(0) + 1;
    if !(SMALLEST_PLAIN + 1..=LARGEST_PLAIN).contains(&point) {
        let power = point - 1;
        let mark = if power < 0 { '-' } else { '+' };
        let (first, rest) = digits.split_at(1);
        let dot = if rest.is_empty() { "" } else { "." };
        return format!("{sign}{first}{dot}{rest}e{mark}{:02}", power.abs());
    }
    if point <= 0 {
        return format!("{sign}0.{}{digits}", "0".repeat(point.unsigned_abs() as usize));
    }
    let before = point as usize;
    if digits.len() <= before {
        return format!("{sign}{digits}{}.0", "0".repeat(before - digits.len()));
    }
    format!("{sign}{}.{}", &digits[..before], &digits[before..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_spelled_as_python_spells_them() {
        let texts = [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (0.1, "0.1"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1.5e-7, "1.5e-07"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (123_456_789_012_345_680.0, "1.2345678901234568e+17"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (-123.456, "-123.456"),
        ];
        for (number, text) in texts {
            assert_eq!(spelled(number), text);
        }
    }

    #[test]
    fn other_spellings_are_no_numbers() {
        for text in ["", "-", "-0", "01", "+1", "1.", ".5", "1.50", "1e5", "1E+16", "1e+016", "1e999", "NaN", "inf"] {
            assert_eq!(Number::read(text), None, "{text}");
        }
    }

    #[test]
    fn whole_numbers_and_others_compare_exactly() {
        let compare =
            |one: &str, other: &str| Number::read(one).unwrap().compare(&Number::read(other).unwrap()).unwrap();
        assert_eq!(compare("9007199254740993", "9007199254740992.0"), Ordering::Greater);
        assert_eq!(compare("1", "1.0"), Ordering::Equal);
        assert_eq!(compare("0", "-0.5"), Ordering::Greater);
        assert_eq!(compare("-1", "-0.5"), Ordering::Less);
        assert_eq!(compare("-1", "-1.5"), Ordering::Greater);
        assert_eq!(compare("0.5", "0"), Ordering::Greater);
        assert_eq!(compare("-10", "-9"), Ordering::Less);
        assert_eq!(compare(&"9".repeat(400), "1.7976931348623157e+308"), Ordering::Greater);
    }

    proptest! {
        #[test]
        fn what_is_spelled_reads_back(number in proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL) {
            prop_assert_eq!(Number::read(&spelled(number)), Some(Number::Real(number)));
        }

        #[test]
        fn order_is_that_of_the_numbers(one: i64, other: i64) {
            let read = |number: i64| Number::read(&number.to_string()).unwrap();
            prop_assert_eq!(read(one).compare(&read(other)), Some(one.cmp(&other)));
            let real = Number::Real(other as f64);
            prop_assert_eq!(read(one).compare(&real), Some(i128::from(one).cmp(&(other as f64 as i128))));
        }
    }
}
