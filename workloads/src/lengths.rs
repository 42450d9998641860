//! Lengths drawn from a range: of values in bytes, and of scans in records.

use std::fmt;
use std::ops::RangeInclusive;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::bytes::{Bytes, bytes, parsed};
use crate::distributions::{GrayZipfian, TrueZipf, YCSB_THETA};
use crate::laws::Law;
use crate::seed::Generator;

/// A size: constant, or drawn from a range.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Length {
    /// Always this size: a number of bytes, or a text such as `"64KiB"`.
    Constant(#[schemars(with = "Bytes")] u64),
    /// Drawn for each value.
    Range(LengthRange),
}

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LengthVisitor)
    }
}

struct LengthVisitor;

impl<'de> Visitor<'de> for LengthVisitor {
    type Value = Length;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(
            "a number of bytes, a size such as \"64KiB\", or a table { min, max, distribution }",
        )
    }

    fn visit_u64<E>(self, bytes: u64) -> Result<Length, E> {
        Ok(Length::Constant(bytes))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Length, E> {
        parsed(text).map(Length::Constant)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Length, A::Error> {
        LengthRange::deserialize(MapAccessDeserializer::new(map)).map(Length::Range)
    }
}

/// The range of a size.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LengthRange {
    /// The smallest size.
    #[serde(deserialize_with = "bytes")]
    #[schemars(with = "Bytes")]
    pub min: u64,
    /// The largest size, at least `min`.
    #[serde(deserialize_with = "bytes")]
    #[schemars(with = "Bytes")]
    pub max: u64,
    /// How sizes spread between them. Default uniform.
    #[serde(default)]
    pub distribution: LengthDistribution,
}

impl Length {
    /// The smallest and the largest size.
    pub fn range(self) -> RangeInclusive<u64> {
        match self {
            Self::Constant(bytes) => bytes..=bytes,
            Self::Range(range) => range.min..=range.max,
        }
    }

    /// Draws lengths of it.
    pub(crate) fn lengths(self) -> Lengths {
        match self {
            Self::Constant(bytes) => Lengths::new(bytes, bytes, LengthDistribution::Uniform),
            Self::Range(range) => Lengths::new(range.min, range.max, range.distribution),
        }
    }
}

/// How lengths spread over their range.
///
/// Draws of the laws with parameters are rounded; those below the range count as its smallest
/// length, those above as its largest. Those of `generalized-pareto` follow db_bench's rule
/// instead: they are rounded up, and one above the range wraps: it counts modulo the largest
/// length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum LengthDistribution {
    /// Every length is equally likely.
    #[default]
    Uniform,
    /// Short lengths are likelier: YCSB's zipfian over the lengths, the shortest first.
    Zipfian,
    /// Zipf's law over the lengths, exact, the shortest first.
    Zipf {
        /// The skew (above 0, at most 10).
        theta: f64,
    },
    /// The logarithm of a length is normal: many small values and few large ones.
    Lognormal {
        /// Half of the lengths are below (above 0).
        median: f64,
        /// The standard deviation of the natural logarithm (above 0, at most 10).
        sigma: f64,
    },
    /// A power law: the tail that key-value sizes in production often have.
    Pareto {
        /// The smallest length drawn (above 0).
        scale: f64,
        /// The tail's exponent: the smaller, the heavier (above 0, at most 1000).
        shape: f64,
    },
    /// Gamma: a hump with an exponential tail.
    Gamma {
        /// The coefficient of variation is 1 / sqrt(shape) (above 0, at most 1000).
        shape: f64,
        /// The mean is shape * scale (above 0).
        scale: f64,
    },
    /// Weibull: exponential at shape 1, heavier below, narrower above.
    Weibull {
        /// The exponent (above 0, at most 1000).
        shape: f64,
        /// About 63 % of the lengths are below (above 0).
        scale: f64,
    },
    /// The generalised Pareto of RocksDB's `mixgraph`: a length exceeds x with probability (1 + k
    /// (x - theta) / sigma)^(-1 / k).
    GeneralizedPareto {
        /// The tail: exponential at 0, without a mean from 1 on (0 to 100).
        k: f64,
        /// The scale (above 0).
        sigma: f64,
        /// The smallest length drawn (at least 0; db_bench's default is 0).
        theta: f64,
    },
}

/// Draws lengths in `min..=max`.
///
/// ```
/// use aura_workloads::{LengthDistribution, Lengths, Seed};
///
/// let law = LengthDistribution::Lognormal { median: 400.0, sigma: 1.0 };
/// let mut lengths = Lengths::new(1, 65_536, law);
/// let mut generator = Seed(7).child("value").generator();
/// let small = (0..10_000).filter(|_| lengths.draw(&mut generator) < 400).count();
/// assert!((4_800..5_200).contains(&small));
/// ```
#[derive(Clone, Debug)]
pub struct Lengths {
    min: u64,
    span: u64,
    law: Spread,
}

#[derive(Clone, Debug)]
enum Spread {
    Uniform,
    Zipfian(GrayZipfian),
    Zipf(TrueZipf),
    /// `None` where the parameters are out of range.
    Law(Option<Law>),
    /// Rounded up, and modulo the largest length above it.
    Wrapped(Option<Law>),
}

impl Lengths {
    /// Lengths from `min` to `max`, both included. A `max` below `min` counts as `min`. A law whose
    /// parameters are out of range draws `min` only.
    pub fn new(min: u64, max: u64, distribution: LengthDistribution) -> Self {
        let span = max.saturating_sub(min) + 1;
        let law = match distribution {
            LengthDistribution::Uniform => Spread::Uniform,
            LengthDistribution::Zipfian => Spread::Zipfian(GrayZipfian::new(span, YCSB_THETA)),
            LengthDistribution::Zipf { theta } => Spread::Zipf(TrueZipf::new(span, theta)),
            LengthDistribution::Lognormal { median, sigma } => {
                Spread::Law(Law::lognormal(median, sigma))
            }
            LengthDistribution::Pareto { scale, shape } => Spread::Law(Law::pareto(scale, shape)),
            LengthDistribution::Gamma { shape, scale } => Spread::Law(Law::gamma(shape, scale)),
            LengthDistribution::Weibull { shape, scale } => Spread::Law(Law::weibull(shape, scale)),
            LengthDistribution::GeneralizedPareto { k, sigma, theta } => {
                Spread::Wrapped(Law::generalized_pareto(k, sigma, theta))
            }
        };
        Self { min, span, law }
    }

    /// One length. If there is only one, nothing is drawn from `generator`.
    pub fn draw(&mut self, generator: &mut Generator) -> u64 {
        if self.span == 1 {
            return self.min;
        }
        match &mut self.law {
            Spread::Uniform => self.min + generator.below(self.span),
            Spread::Zipfian(zipfian) => self.min + zipfian.draw(generator),
            Spread::Zipf(zipf) => self.min + zipf.draw(generator),
            Spread::Law(None) | Spread::Wrapped(None) => self.min,
            // The casts saturate.
            Spread::Law(Some(law)) => {
                let drawn = libm::round(law.draw(generator)) as u64;
                drawn.clamp(self.min, self.min + (self.span - 1))
            }
            Spread::Wrapped(Some(law)) => {
                let drawn = libm::ceil(law.draw(generator)) as u64;
                let max = self.min + (self.span - 1);
                let wrapped = if drawn > max { drawn % max } else { drawn };
                wrapped.max(self.min)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;

    #[test]
    fn lengths_stay_in_range_and_zipfian_prefers_short_ones() {
        let mut generator = Seed(3).generator();
        let mut counts = |distribution| {
            let mut lengths = Lengths::new(10, 19, distribution);
            let mut counts = [0_u32; 10];
            for _ in 0..10_000 {
                counts[(lengths.draw(&mut generator) - 10) as usize] += 1;
            }
            counts
        };
        let uniform = counts(LengthDistribution::Uniform);
        assert!(
            uniform.iter().all(|&count| count.abs_diff(1000) < 200),
            "{uniform:?}"
        );
        let zipfian = counts(LengthDistribution::Zipfian);
        assert!(
            zipfian[0] > 3000 && zipfian[9] > 100 && zipfian[9] < 500,
            "{zipfian:?}"
        );
        // The probability of the shortest of ten is 1 / (1 + 1/2 + ... + 1/10) = 0.341.
        let zipf = counts(LengthDistribution::Zipf { theta: 1.0 });
        assert!(zipf[0].abs_diff(3410) < 200, "{zipf:?}");
        assert_eq!(
            Lengths::new(8, 8, LengthDistribution::Zipfian).draw(&mut generator),
            8
        );
    }

    #[test]
    fn a_law_is_cut_to_its_range() {
        let mut generator = Seed(4).generator();
        let law = LengthDistribution::Pareto {
            scale: 10.0,
            shape: 0.5,
        };
        let mut lengths = Lengths::new(20, 1000, law);
        let drawn: Vec<u64> = (0..10_000).map(|_| lengths.draw(&mut generator)).collect();
        // 1 - (10 / 20.5)^0.5 = 30 % lie below 20.5, and (10 / 999.5)^0.5 = 10 % above 999.5.
        let least = drawn.iter().filter(|length| **length == 20).count();
        let most = drawn.iter().filter(|length| **length == 1000).count();
        assert!(least.abs_diff(3016) < 200, "{least}");
        assert!(most.abs_diff(1000) < 200, "{most}");
        assert!(drawn.iter().all(|length| (20..=1000).contains(length)));
    }

    /// Quantiles from the closed form, and db_bench's rule for integers.
    #[test]
    fn generalised_pareto_is_rounded_up_and_wraps_above_the_largest() {
        let mut generator = Seed(6).generator();
        let mut below = |k: f64, theta: f64, min, max, limit: u64| {
            let law = LengthDistribution::GeneralizedPareto {
                k,
                sigma: 25.45,
                theta,
            };
            let mut lengths = Lengths::new(min, max, law);
            let drawn = (0..20_000).map(|_| lengths.draw(&mut generator));
            drawn.filter(|length| *length <= limit).count() as f64 / 20_000.0
        };
        let share = |x: f64| 1.0 - (1.0 + 0.2615 * x / 25.45).powf(-1.0 / 0.2615);
        // Up to 20: draws of at most 20, as they are rounded up. Up to 10: all that is short.
        for (limit, expected) in [(20, share(20.0)), (10, share(10.0)), (100, share(100.0))] {
            let found = below(0.2615, 0.0, 10, 1 << 40, limit);
            assert!(
                (found - expected).abs() < 0.012,
                "{limit}: {found}, {expected}"
            );
        }
        let found = below(0.2615, 7.0, 1, 1 << 40, 27);
        assert!(
            (found - share(20.0)).abs() < 0.012,
            "moved by theta: {found}"
        );
        let found = below(0.0, 0.0, 1, 1 << 40, 25);
        let expected = 1.0 - (-25.0_f64 / 25.45).exp();
        assert!((found - expected).abs() < 0.012, "exponential: {found}");
        // Of at most 40 bytes: 41 becomes 1, 81 becomes 1, and so on.
        let wrapped =
            (0..2000).map(|turn| share(f64::from(turn * 40 + 5)) - share(f64::from(turn * 40)));
        let found = below(0.2615, 0.0, 0, 40, 5);
        let expected: f64 = wrapped.sum();
        // A multiple of 40 above it becomes 0.
        let zeros: f64 = (2..2000)
            .map(|turn| share(f64::from(turn * 40)) - share(f64::from(turn * 40 - 1)))
            .sum();
        assert!(
            (found - expected - zeros).abs() < 0.012,
            "{found}, {expected}, {zeros}"
        );
    }

    #[test]
    fn parameters_out_of_range_draw_the_smallest_length() {
        let mut generator = Seed(5).generator();
        let law = LengthDistribution::Gamma {
            shape: -1.0,
            scale: 1.0,
        };
        assert_eq!(Lengths::new(5, 9, law).draw(&mut generator), 5);
    }
}
