//! Randomness as a function: the same seed and counters give the same numbers, in any order of asking.

/// A well-mixed number from a seed and counters (the finaliser of `SplitMix64`: Steele, Lea, Flood 2014).
pub fn mix(seed: u64, counters: &[u64]) -> u64 {
    counters.iter().fold(finalise(seed), |state, counter| finalise(state ^ finalise(*counter)))
}

fn finalise(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A uniform number in (0, 1), never its ends.
pub fn uniform(seed: u64, counters: &[u64]) -> f64 {
    ((mix(seed, counters) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
}

/// A stable number for a symbol (FNV-1a), so that a market does not depend on the order of its symbols.
pub fn symbol_key(symbol: &str) -> u64 {
    symbol.bytes().fold(0xcbf2_9ce4_8422_2325, |key, byte| (key ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uniforms_are_uniform() {
        let n = 20_000_u64;
        let mean = (0..n).map(|i| uniform(7, &[1, i])).sum::<f64>() / n as f64;
        let second = (0..n).map(|i| uniform(7, &[1, i]) * uniform(7, &[1, i + 1])).sum::<f64>() / n as f64;
        assert!((mean - 0.5).abs() < 0.01, "{mean}");
        assert!((second - 0.25).abs() < 0.01, "{second}");
    }
}
