//! Amounts of an asset in whole atoms, and what of them an account can hold.
//!
//! Invariant: an amount that is let in is at most [`MAX_ATOMS`](crate::amounts::MAX_ATOMS) either way. A sum of a
//! billion of them, a price of an [`i64`] of atoms times a fee rate, and the products of money with one of `1e8` then
//! fit 128 bits, so nothing that is computed from them wraps, and nothing is cut to fit: what is larger is refused
//! where it comes in.
//!
//! Why 128 bits: a venue keeps eight decimals of every asset, so a coarser atom would cut fees differently than the
//! venue, and 64 bits of atoms are 92 billion units, which a coin at half a millionth of a dollar passes for 50,000
//! dollars.

/// Atoms (1e-8) of one asset.
pub type Atoms = i128;

/// The most of one asset that is held, paid or valued here: 10^20 units, twenty digits before the point.
pub const MAX_ATOMS: Atoms = 10_i128.pow(28);

/// Whether an amount can be held, or owed.
pub fn is_holdable(atoms: Atoms) -> bool {
    atoms.unsigned_abs() <= MAX_ATOMS.unsigned_abs()
}

/// `amount * numerator / denominator`, exact and then truncated toward zero; zero where the denominator is.
///
/// # Panics
/// When the result does not fit: never for `|numerator| <= |denominator|`.
pub fn share(amount: Atoms, numerator: Atoms, denominator: Atoms) -> Atoms {
    if denominator == 0 {
        return 0;
    }
    if let Some(product) = amount.checked_mul(numerator) {
        return product / denominator;
    }
    let is_negative = (amount < 0) ^ (numerator < 0) ^ (denominator < 0);
    let product = wide_product(amount.unsigned_abs(), numerator.unsigned_abs());
    let whole = wide_quotient(product, denominator.unsigned_abs());
    assert!(whole <= i128::MAX.unsigned_abs(), "a share of {amount} that is larger than any amount");
    let whole = whole.cast_signed();
    if is_negative { -whole } else { whole }
}

/// The product of two numbers: its upper and its lower 128 bits.
fn wide_product(one: u128, other: u128) -> (u128, u128) {
    const HALF: u32 = 64;
    let halves = |number: u128| (number >> HALF, number & u128::from(u64::MAX));
    let ((one_upper, one_lower), (other_upper, other_lower)) = (halves(one), halves(other));
    let lowest = one_lower * other_lower;
    let (first, second) = (one_upper * other_lower, one_lower * other_upper);
    let (first_upper, first_lower) = halves(first);
    let (second_upper, second_lower) = halves(second);
    let middle = (lowest >> HALF) + first_lower + second_lower;
    let lower = (middle << HALF) | (lowest & u128::from(u64::MAX));
    (one_upper * other_upper + first_upper + second_upper + (middle >> HALF), lower)
}

/// Long division, bit by bit: it is asked for only where a product is wider than 128 bits.
///
/// # Panics
/// When the quotient is wider than 128 bits.
fn wide_quotient((mut rest, mut lower): (u128, u128), denominator: u128) -> u128 {
    assert!(rest < denominator, "a quotient wider than 128 bits");
    for _ in 0..u128::BITS {
        let carried = rest >> (u128::BITS - 1) == 1;
        rest = (rest << 1) | (lower >> (u128::BITS - 1));
        lower <<= 1;
        if carried || rest >= denominator {
            rest = rest.wrapping_sub(denominator);
            lower |= 1;
        }
    }
    lower
}

#[cfg(test)]
mod tests {
    use super::*;
    use num_bigint::BigInt;
    use proptest::prelude::*;

    #[test]
    fn a_share_is_cut_toward_zero() {
        assert_eq!((share(10, 1, 3), share(-10, 1, 3), share(10, 0, 0)), (3, -3, 0));
        assert_eq!(share(MAX_ATOMS, MAX_ATOMS - 1, MAX_ATOMS), MAX_ATOMS - 1);
    }

    #[test]
    fn what_can_be_held_ends_at_twenty_digits() {
        assert!(is_holdable(MAX_ATOMS) && is_holdable(-MAX_ATOMS));
        assert!(!is_holdable(MAX_ATOMS + 1) && !is_holdable(i128::MIN));
    }

    proptest! {
        #[test]
        fn a_share_is_that_of_unbounded_integers(amount: i128, one: i128, other: i128) {
            let (numerator, denominator) =
                if one.unsigned_abs() <= other.unsigned_abs() { (one, other) } else { (other, one) };
            prop_assume!(denominator != 0 && amount != i128::MIN);
            let exact = BigInt::from(amount) * BigInt::from(numerator) / BigInt::from(denominator);
            prop_assert_eq!(BigInt::from(share(amount, numerator, denominator)), exact);
        }
    }
}
