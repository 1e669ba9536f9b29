//! What a martingale's prices must look like, each number with its standard error over independent seeds.
//!
//! Let `r` be the simple returns over a base step. Of a martingale they have mean 0 and are uncorrelated, whatever
//! their variance does, so a sum of `q` of them has `q` times their mean square: the variance ratio (Lo and `MacKinlay`
//! 1988) is one. Sums and not compounded returns, whose mean square grows faster than time in any martingale of prices.
//! Paths of different seeds are independent, so the error needs no assumption about variance within a path: it is the
//! deviation of a seed's number over the root of the number of seeds.

/// An estimate that is `expected` of a martingale.
#[derive(Clone, Copy, Debug)]
pub struct Estimate {
    pub value: f64,
    pub expected: f64,
    /// Standard error.
    pub error: f64,
}

impl Estimate {
    /// Standard errors away from what is expected.
    pub fn z(&self) -> f64 {
        (self.value - self.expected) / self.error
    }

    /// The sum of `tops` over that of `bottoms`, one of each a seed.
    fn ratio(tops: &[f64], bottoms: &[f64], expected: f64) -> Self {
        let seeds = tops.len() as f64;
        let bottom = bottoms.iter().sum::<f64>() / seeds;
        let value = tops.iter().sum::<f64>() / seeds / bottom;
        let gaps: Vec<f64> = tops.iter().zip(bottoms).map(|(top, bottom)| top - expected * bottom).collect();
        let mean = gaps.iter().sum::<f64>() / seeds;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / (seeds - 1.0);
        Self { value, expected, error: (variance / seeds).sqrt() / bottom }
    }
}

/// Mean square of the sums of `steps` base returns over that of `steps` base returns on their own.
pub fn variance_ratio(paths: &[Vec<f64>], steps: usize) -> Estimate {
    let (tops, bottoms): (Vec<f64>, Vec<f64>) = paths
        .iter()
        .map(|path| {
            let returns = returns(path, 1);
            let whole = &returns[..returns.len() / steps * steps];
            let sums: Vec<f64> = whole.chunks(steps).map(|chunk| chunk.iter().sum()).collect();
            (squares(&sums), squares(whole))
        })
        .unzip();
    Estimate::ratio(&tops, &bottoms, 1.0)
}

/// Correlation of the sum of `steps` base returns with the sum of the next `steps`, both about 0.
pub fn correlation_with_the_next(paths: &[Vec<f64>], steps: usize) -> Estimate {
    let (tops, bottoms): (Vec<f64>, Vec<f64>) = paths
        .iter()
        .map(|path| {
            let sums: Vec<f64> = returns(path, 1).chunks_exact(steps).map(|chunk| chunk.iter().sum()).collect();
            let products = sums.windows(2).map(|pair| pair[0] * pair[1]).sum::<f64>();
            (products, f64::midpoint(squares(&sums[1..]), squares(&sums[..sums.len() - 1])))
        })
        .unzip();
    Estimate::ratio(&tops, &bottoms, 0.0)
}

/// Mean simple return over `steps`.
pub fn mean_return(paths: &[Vec<f64>], steps: usize) -> Estimate {
    let (tops, bottoms): (Vec<f64>, Vec<f64>) = paths
        .iter()
        .map(|path| {
            let returns = returns(path, steps);
            (returns.iter().sum::<f64>() / returns.len() as f64, 1.0)
        })
        .unzip();
    Estimate::ratio(&tops, &bottoms, 0.0)
}

fn returns(path: &[f64], steps: usize) -> Vec<f64> {
    let every: Vec<f64> = path.iter().copied().step_by(steps).collect();
    every.windows(2).map(|pair| pair[1] / pair[0] - 1.0).collect()
}

fn squares(values: &[f64]) -> f64 {
    values.iter().map(|value| value * value).sum()
}
