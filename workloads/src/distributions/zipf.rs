//! Zipf's law: rank k of n is drawn with a probability proportional to k^-theta.
//!
//! Source: Hörmann and Derflinger, "Rejection-inversion to generate variates from monotone discrete
//! distributions", ACM TOMACS 6(3), 1996. The area under the continuous curve is inverted, and the
//! small error of rounding to an integer is rejected. It is exact for every theta above 0, 1
//! included.
//! State: six numbers, whatever n.
//! Cost: O(1); under 1.1 tries a draw on average.

use crate::seed::Generator;

/// Draws ranks 0 (the hottest) to n - 1, by Zipf's law.
///
/// ```
/// use aura_workloads::{Seed, TrueZipf};
///
/// let zipf = TrueZipf::new(1_000_000, 0.99);
/// let mut generator = Seed(7).generator();
/// assert!(zipf.draw(&mut generator) < 1_000_000);
/// ```
#[derive(Clone, Debug)]
pub struct TrueZipf {
    n: f64,
    theta: f64,
    /// The area up to half a unit beyond the last rank, and down to the edge of the first.
    area_last: f64,
    area_first: f64,
    /// A rank within this distance above the drawn abscissa is accepted without a test.
    squeeze: f64,
}

impl TrueZipf {
    /// Draws from `n` ranks, at least one, with exponent `theta` above 0.
    pub fn new(n: u64, theta: f64) -> Self {
        let mut zipf = Self {
            n: n.max(1) as f64,
            theta,
            area_last: 0.0,
            area_first: 0.0,
            squeeze: 0.0,
        };
        zipf.area_last = zipf.area(zipf.n + 0.5);
        zipf.area_first = zipf.area(1.5) - 1.0;
        zipf.squeeze = 2.0 - zipf.area_inverse(zipf.area(2.5) - zipf.weight(2.0));
        zipf
    }

    /// Draws a rank.
    pub fn draw(&self, generator: &mut Generator) -> u64 {
        loop {
            let area = self.area_last + generator.unit() * (self.area_first - self.area_last);
            let x = self.area_inverse(area);
            let rank = libm::round(x).clamp(1.0, self.n);
            if rank - x <= self.squeeze || area >= self.area(rank + 0.5) - self.weight(rank) {
                return rank as u64 - 1;
            }
        }
    }

    fn weight(&self, x: f64) -> f64 {
        libm::exp(-self.theta * libm::log(x))
    }

    /// The integral of t^-theta from 1 to x, written so that theta = 1 needs no exception.
    fn area(&self, x: f64) -> f64 {
        let log = libm::log(x);
        expm1_ratio((1.0 - self.theta) * log) * log
    }

    fn area_inverse(&self, area: f64) -> f64 {
        // Rounding may carry this below -1, where the logarithm ends.
        let t = (area * (1.0 - self.theta)).max(-1.0);
        libm::exp(log1p_ratio(t) * area)
    }
}

/// (e^x - 1) / x, and its limit at 0.
fn expm1_ratio(x: f64) -> f64 {
    if x.abs() > 1e-8 {
        libm::expm1(x) / x
    } else {
        1.0 + x / 2.0
    }
}

/// ln(1 + x) / x, and its limit at 0.
fn log1p_ratio(x: f64) -> f64 {
    if x.abs() > 1e-8 {
        libm::log1p(x) / x
    } else {
        1.0 - x / 2.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;

    /// Chi-square of the draws for each theta against the law, computed by summation.
    #[test]
    fn follows_the_law() {
        const N: usize = 100;
        const DRAWS: u32 = 400_000;
        for theta in [0.1, 0.5, 0.99, 1.0, 1.2, 1.9] {
            let zipf = TrueZipf::new(N as u64, theta);
            let mut generator = Seed(11).generator();
            let mut counts = [0_u32; N];
            for _ in 0..DRAWS {
                counts[zipf.draw(&mut generator) as usize] += 1;
            }
            let weights: Vec<f64> = (1..=N).map(|rank| (rank as f64).powf(-theta)).collect();
            let total: f64 = weights.iter().sum();
            let chi_square: f64 = std::iter::zip(counts, weights)
                .map(|(count, weight)| {
                    let expected = f64::from(DRAWS) * weight / total;
                    (f64::from(count) - expected).powi(2) / expected
                })
                .sum();
            let degrees = (N - 1) as f64;
            let bound = degrees + 4.5 * (2.0 * degrees).sqrt();
            assert!(
                chi_square < bound,
                "theta {theta}: chi-square {chi_square} of {degrees}"
            );
        }
    }

    #[test]
    fn ends_of_the_range() {
        let mut generator = Seed(5).generator();
        let one = TrueZipf::new(1, 0.99);
        let many = TrueZipf::new(1 << 40, 0.01);
        for _ in 0..1000 {
            assert_eq!(one.draw(&mut generator), 0);
            assert!(many.draw(&mut generator) < 1 << 40);
        }
    }
}
