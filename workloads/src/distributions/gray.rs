//! YCSB's zipfian generator: Gray's approximation of Zipf's law, over a number of items that may
//! grow.
//!
//! Source: Gray et al., "Quickly Generating Billion-Record Synthetic Databases", SIGMOD 1994, as in
//! YCSB `ZipfianGenerator`. It is not exact: of 1,000 items the third comes 17 % too often. Use
//! [`TrueZipf`](super::TrueZipf) if the law itself matters.
//! Cost: a logarithm and an exponential a draw; a power when the number of items has grown.

use crate::seed::Generator;

/// The skew that is fixed in YCSB.
pub(crate) const YCSB_THETA: f64 = 0.99;

/// Draws 0 (the likeliest), 1, 2, ... below the number of items.
#[derive(Clone, Debug)]
pub struct GrayZipfian {
    items: u64,
    zeta: Zeta,
    zeta_items: f64,
    zeta_two: f64,
    alpha: f64,
    eta: f64,
    eta_numerator: f64,
}

impl GrayZipfian {
    /// Draws from `items`, with exponent `theta`, which must not be 1.
    pub fn new(items: u64, theta: f64) -> Self {
        Self::with_zeta(items, theta, Zeta::new(theta).at(items))
    }

    /// Draws from `items` with a given zeta(`items`), which is not computed. YCSB does this for its
    /// 10^10 items.
    pub fn with_zeta(items: u64, theta: f64, zeta_items: f64) -> Self {
        let mut zipfian = Self {
            items,
            zeta: Zeta::new(theta),
            zeta_items,
            zeta_two: 1.0 + libm::pow(0.5, theta),
            alpha: 1.0 / (1.0 - theta),
            eta: 0.0,
            // YCSB keeps the value for the first number of items, even after growth.
            eta_numerator: 1.0 - libm::pow(2.0 / items as f64, 1.0 - theta),
        };
        zipfian.eta = zipfian.eta_numerator / (1.0 - zipfian.zeta_two / zeta_items);
        zipfian
    }

    /// Draws an item; 0 if there are no items.
    pub fn draw(&mut self, generator: &mut Generator) -> u64 {
        let u = generator.unit();
        let at = u * self.zeta_items;
        let item = if at < 1.0 {
            0
        } else if at < self.zeta_two {
            1
        } else {
            // The base is positive, so a logarithm and an exponential do, for half the cost of a
            // power.
            let power = libm::exp(self.alpha * libm::log(self.eta * u - self.eta + 1.0));
            (self.items as f64 * power) as u64
        };
        item.min(self.items.saturating_sub(1))
    }

    /// Draws one of `items`. A smaller number than before is ignored, as in YCSB.
    pub fn draw_growing(&mut self, generator: &mut Generator, items: u64) -> u64 {
        if items > self.items {
            self.items = items;
            self.zeta_items = self.zeta.at(items);
            self.eta = self.eta_numerator / (1.0 - self.zeta_two / self.zeta_items);
        }
        self.draw(generator)
    }
}

/// zeta(n), the sum of i^-theta for i in 1..=n, in constant time: the first terms are summed, the
/// rest comes from the Euler-Maclaurin formula. The error is below 1e-13, less than that of a
/// summation.
#[derive(Clone, Debug)]
struct Zeta {
    theta: f64,
    /// The part that does not depend on n.
    constant: f64,
}

/// Terms that are summed: enough for the fourth correction to be the last that matters.
const ZETA_SUMMED: u64 = 32;

impl Zeta {
    fn new(theta: f64) -> Self {
        let mut zeta = Self {
            theta,
            constant: 0.0,
        };
        zeta.constant = zeta.summed(ZETA_SUMMED) - zeta.smooth(ZETA_SUMMED);
        zeta
    }

    fn at(&self, n: u64) -> f64 {
        if n <= ZETA_SUMMED {
            self.summed(n)
        } else {
            self.constant + self.smooth(n)
        }
    }

    fn summed(&self, n: u64) -> f64 {
        (1..=n).map(|i| libm::pow(i as f64, -self.theta)).sum()
    }

    /// The integral, half of the last term, and the corrections with Bernoulli numbers, all at n.
    fn smooth(&self, n: u64) -> f64 {
        let n = n as f64;
        let t = self.theta;
        let term = libm::pow(n, -t);
        let square = n * n;
        let first = -t / 12.0 / n;
        let second = t * (t + 1.0) * (t + 2.0) / 720.0 / (square * n);
        let third = -t * (t + 1.0) * (t + 2.0) * (t + 3.0) * (t + 4.0) / 30_240.0;
        term * (n / (1.0 - t) + 0.5 + first + second + third / (square * square * n))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;

    #[test]
    fn zeta_is_the_sum() {
        let zeta = Zeta::new(YCSB_THETA);
        for (n, known) in [
            (1_000, 7.729),
            (1_000_000, 15.392),
            (10_000_000, 18.066),
            (100_000_000, 20.803),
        ] {
            assert!(
                (zeta.at(n) - known).abs() < 5e-4,
                "zeta({n}) = {}",
                zeta.at(n)
            );
        }
        assert!(
            (zeta.at(SCRAMBLED) - 26.469_028_201_783_02).abs() < 1e-7,
            "{}",
            zeta.at(SCRAMBLED)
        );
        for n in [1, 2, 31, 32, 33, 100, 5_000] {
            let difference = zeta.at(n) - zeta.summed(n);
            assert!(
                difference.abs() < 1e-12,
                "zeta({n}) differs by {difference}"
            );
        }
    }

    const SCRAMBLED: u64 = 10_000_000_000;

    #[test]
    fn constants_are_those_of_ycsb() {
        let zipfian = GrayZipfian::new(1000, YCSB_THETA);
        for (ours, theirs) in [
            (zipfian.alpha, 99.999_999_999_999_91),
            (zipfian.zeta_items, 7.728_953_217_284_729),
            (zipfian.eta, 0.074_806_086_706_898_05),
            (zipfian.zeta_two, 1.503_477_775_028_359_4),
        ] {
            assert!(
                (ours / theirs - 1.0).abs() < 1e-12,
                "{ours}, YCSB has {theirs}"
            );
        }
    }

    #[test]
    fn few_items_stay_in_range() {
        let mut generator = Seed(1).generator();
        for items in 0..6 {
            let mut zipfian = GrayZipfian::new(items, YCSB_THETA);
            for grown in items..items + 5 {
                for _ in 0..200 {
                    let drawn = zipfian.draw_growing(&mut generator, grown);
                    assert!(drawn < grown.max(1), "{drawn} of {grown}, from {items}");
                }
            }
        }
    }
}
