//! Several treatments over many blocks, by ranks: is any different, and which are?
//!
//! Friedman's test asks whether the mean ranks differ by more than chance, in the form of Iman and
//! Davenport, which is less cautious. Two treatments differ if their mean ranks are further apart
//! than Nemenyi's critical difference. Values are ranked within a block, and never compared between
//! blocks, so that blocks may have other scales.
//!
//! Source: Demšar, "Statistical Comparisons of Classifiers over Multiple Data Sets", JMLR 2006
//! (3.2.2 and its critical values); Iman and Davenport 1980; Conover 1999 for ties.

use statrs::distribution::{Continuous, ContinuousCDF, FisherSnedecor, Normal};

use super::LEVEL;

/// The least number of blocks for which ranks are tested: with fewer, even one order in all of them
/// says next to nothing.
pub const BLOCKS_MIN: usize = 5;

/// The number of blocks from which the tests' approximations are good (Demšar).
pub const BLOCKS_GOOD: usize = 10;

/// What ranks say of treatments.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranks {
    /// The mean rank of each treatment; 1 is the best.
    pub means: Vec<f64>,
    /// Blocks.
    pub blocks: usize,
    /// The p-value of the treatments' being alike.
    pub p: f64,
    /// Treatments whose mean ranks are further apart differ, at a level of 5 % for all pairs.
    pub critical_difference: f64,
}

impl Ranks {
    /// Ranks `blocks` of one value for each treatment; `higher` says that more is better. `None`
    /// with fewer than [`BLOCKS_MIN`] blocks or three treatments, or if blocks differ in length.
    ///
    /// Takes O(blocks x treatments x log treatments).
    pub fn of(blocks: &[Vec<f64>], higher: bool) -> Option<Self> {
        let treatments = blocks.first()?.len();
        let is_whole = |block: &Vec<f64>| {
            block.len() == treatments && block.iter().all(|value| !value.is_nan())
        };
        if blocks.len() < BLOCKS_MIN || treatments < 3 || !blocks.iter().all(is_whole) {
            return None;
        }
        let (n, k) = (blocks.len() as f64, treatments as f64);
        let mut sums = vec![0.0; treatments];
        let mut squares = 0.0;
        let middle = f64::midpoint(k, 1.0);
        for block in blocks {
            for (sum, rank) in sums.iter_mut().zip(ranks(block, higher)) {
                *sum += rank;
                squares += (rank - middle).powi(2);
            }
        }
        let between: f64 = sums.iter().map(|sum| (sum - n * middle).powi(2)).sum();
        // Without ties this is Friedman's statistic; ties make the sum of squares smaller.
        let chi_squared = if squares > 0.0 {
            (k - 1.0) * between / squares
        } else {
            0.0
        };
        Some(Self {
            means: sums.iter().map(|sum| sum / n).collect(),
            blocks: blocks.len(),
            p: friedman_p(chi_squared, n, k),
            critical_difference: nemenyi(treatments) * (k * (k + 1.0) / (6.0 * n)).sqrt(),
        })
    }

    /// Whether two treatments, by their places, are distinguished.
    pub fn differ(&self, one: usize, other: usize) -> bool {
        self.p < LEVEL && (self.means[one] - self.means[other]).abs() > self.critical_difference
    }
}

/// The p-value of Iman and Davenport's form of Friedman's statistic.
fn friedman_p(chi_squared: f64, blocks: f64, treatments: f64) -> f64 {
    let most = blocks * (treatments - 1.0);
    if chi_squared >= most {
        // One order in all blocks.
        return 0.0;
    }
    let f = (blocks - 1.0) * chi_squared / (most - chi_squared);
    let freedom = treatments - 1.0;
    FisherSnedecor::new(freedom, freedom * (blocks - 1.0)).map_or(1.0, |it| it.sf(f))
}

/// The ranks of a block's values, from 1 for the best; equal values share the mean of their ranks.
fn ranks(block: &[f64], higher: bool) -> Vec<f64> {
    let mut order: Vec<usize> = (0..block.len()).collect();
    order.sort_by(|a, b| {
        let ascending = block[*a].total_cmp(&block[*b]);
        if higher {
            ascending.reverse()
        } else {
            ascending
        }
    });
    let mut ranks = vec![0.0; block.len()];
    let mut place = 0;
    for tied in order.chunk_by(|a, b| block[*a] == block[*b]) {
        let rank = place as f64 + f64::midpoint(1.0, tied.len() as f64);
        for treatment in tied {
            ranks[*treatment] = rank;
        }
        place += tied.len();
    }
    ranks
}

/// The 95 % quantile of the range of `treatments` standard normal values, over the square root of
/// two: Nemenyi's critical value.
fn nemenyi(treatments: usize) -> f64 {
    let (mut low, mut high) = (0.0, 20.0);
    // The distribution rises from 0 to 1, so halving finds the quantile.
    for _ in 0..50 {
        let middle = f64::midpoint(low, high);
        if range_cdf(middle, treatments) < 1.0 - LEVEL {
            low = middle;
        } else {
            high = middle;
        }
    }
    high / std::f64::consts::SQRT_2
}

/// The chance that the range of `count` standard normal values is at most `range`: the integral,
/// over the largest value, of its density times the chance that the others lie within the range
/// below it. Simpson's rule.
fn range_cdf(range: f64, count: usize) -> f64 {
    const STEPS: usize = 400;
    const REACH: f64 = 8.0;
    let normal = Normal::standard();
    let power = i32::try_from(count - 1).unwrap_or(i32::MAX);
    let density = |largest: f64| {
        let within = normal.cdf(largest) - normal.cdf(largest - range);
        normal.pdf(largest) * within.powi(power)
    };
    let width = 2.0 * REACH / STEPS as f64;
    let weighted = |step: usize| {
        let weight = match step {
            0 | STEPS => 1.0,
            step if step % 2 == 1 => 4.0,
            _ => 2.0,
        };
        weight * density(-REACH + step as f64 * width)
    };
    let sum: f64 = (0..=STEPS).map(weighted).sum();
    count as f64 * sum * width / 3.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn critical_values_are_those_of_demsar_and_of_scipy() {
        let demsar = [
            1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164,
        ];
        let scipy = [(20, 3.543_8), (50, 3.992_3)];
        for (treatments, expected) in (2..).zip(demsar).chain(scipy) {
            let found = nemenyi(treatments);
            assert!((found - expected).abs() < 0.001, "{treatments}: {found}");
        }
    }

    #[test]
    fn ties_are_taken_off_as_scipy_does() {
        let accuracies = [
            [0.763, 0.768, 0.771, 0.798],
            [0.599, 0.591, 0.590, 0.569],
            [0.954, 0.971, 0.968, 0.967],
            [0.628, 0.661, 0.654, 0.657],
            [0.882, 0.888, 0.886, 0.898],
            [0.936, 0.931, 0.916, 0.931],
            [0.661, 0.668, 0.609, 0.685],
            [0.583, 0.583, 0.563, 0.625],
            [0.775, 0.838, 0.866, 0.875],
            [1.000, 1.000, 1.000, 1.000],
            [0.940, 0.962, 0.965, 0.962],
            [0.619, 0.666, 0.614, 0.669],
            [0.972, 0.981, 0.975, 0.975],
            [0.957, 0.978, 0.946, 0.970],
        ];
        let blocks: Vec<Vec<f64>> = accuracies.iter().map(|row| row.to_vec()).collect();
        let ranks = Ranks::of(&blocks, true).expect("fourteen blocks");
        assert_eq!(ranks.means, [44.0, 28.0, 41.0, 27.0].map(|sum| sum / 14.0));
        assert!((ranks.critical_difference - 1.253_5).abs() < 1e-4);
        // friedmanchisquare says 10.952381: F is 4.585890, with 3 and 39 degrees of freedom.
        assert!((ranks.p - 0.007_628_838_7).abs() < 1e-8, "{}", ranks.p);
        assert!(!ranks.differ(0, 3), "1.21 is less than 1.25");
    }

    #[test]
    fn ties_share_a_rank_and_few_blocks_say_nothing() {
        assert_eq!(ranks(&[2.0, 1.0, 2.0, 3.0], false), [2.5, 1.0, 2.5, 4.0]);
        assert_eq!(ranks(&[2.0, 1.0], true), [1.0, 2.0]);
        let block = vec![1.0, 2.0, 3.0];
        assert!(Ranks::of(&vec![block.clone(); BLOCKS_MIN - 1], true).is_none());
        let ranks = Ranks::of(&vec![block; 12], true).expect("enough blocks");
        assert_eq!((ranks.means[2], ranks.p), (1.0, 0.0));
        assert!(ranks.differ(0, 2));
        let alike = Ranks::of(&vec![vec![1.0; 3]; 12], true).expect("enough blocks");
        assert_eq!((alike.p, alike.differ(0, 1)), (1.0, false));
    }
}
