//! The sign-flip test of a mean of zero.

use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// Up to this many pairs all sign flips are enumerated; beyond, they are drawn.
pub(super) const ENUMERATED_PAIRS_MAX: usize = 20;
const DRAWS: u64 = 100_000;
const DRAWS_SEED: u64 = 0x5167_6e66_6c69_7073;

/// Returns the two-sided sign-flip p-value of a mean of zero: exact up to 20 pairs, from 100,000
/// seeded draws beyond.
pub fn sign_flip_p(sample: &[f64]) -> f64 {
    let observed = sample.iter().sum::<f64>().abs();
    // Sums that are equal on paper may differ in their last bits by the order of adding.
    let tolerance = sample.iter().map(|d| d.abs()).sum::<f64>() * 1e-12;
    let reaches = |sum: f64| sum.abs() >= observed - tolerance;
    if sample.len() <= ENUMERATED_PAIRS_MAX {
        let count = enumerate_flips(sample, reaches);
        return count as f64 / (1_u64 << sample.len()) as f64;
    }
    let mut generator = Xoshiro256PlusPlus::seed_from_u64(DRAWS_SEED);
    let count = (0..DRAWS)
        .filter(|_| reaches(flipped_sum(sample, &mut generator)))
        .count();
    (count + 1) as f64 / (DRAWS + 1) as f64
}

/// The least p-value that `n` pairs can have: drawn flips say no less than one in 100,001.
pub(super) fn least_p(n: usize) -> f64 {
    if n <= ENUMERATED_PAIRS_MAX {
        2.0 / (1_u64 << n) as f64
    } else {
        1.0 / (DRAWS + 1) as f64
    }
}

/// Counts the sums, among all 2^n with flipped signs, that satisfy `reaches`. In Gray code each sum
/// differs from the last in one sign.
fn enumerate_flips(sample: &[f64], reaches: impl Fn(f64) -> bool) -> u64 {
    let mut signed = sample.to_vec();
    let mut sum: f64 = signed.iter().sum();
    let mut count = u64::from(reaches(sum));
    for step in 1..1_u64 << sample.len() {
        let flip = step.trailing_zeros() as usize;
        signed[flip] = -signed[flip];
        sum += 2.0 * signed[flip];
        count += u64::from(reaches(sum));
    }
    count
}

fn flipped_sum(sample: &[f64], generator: &mut impl Rng) -> f64 {
    let mut sum = 0.0;
    for chunk in sample.chunks(64) {
        let mut signs = generator.next_u64();
        for difference in chunk {
            if signs & 1 == 0 {
                sum += *difference;
            } else {
                sum -= *difference;
            }
            signs >>= 1;
        }
    }
    sum
}
