//! Lengths drawn from a range: of values in bytes, and of scans in records.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::distributions::{GrayZipfian, YCSB_THETA};
use crate::seed::Generator;

/// How lengths spread over their range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LengthDistribution {
    /// Every length is equally likely.
    #[default]
    Uniform,
    /// Short ones are likelier: YCSB's zipfian over the lengths, shortest first.
    Zipfian,
}

/// A sampler of lengths in `min..=max`.
#[derive(Clone, Debug)]
pub struct Lengths {
    min: u64,
    span: u64,
    zipfian: Option<GrayZipfian>,
}

impl Lengths {
    /// Lengths from `min` to `max`, both included; a `max` below `min` counts as `min`.
    pub fn new(min: u64, max: u64, distribution: LengthDistribution) -> Self {
        let span = max.saturating_sub(min) + 1;
        let zipfian = match distribution {
            LengthDistribution::Uniform => None,
            LengthDistribution::Zipfian => Some(GrayZipfian::new(span, YCSB_THETA)),
        };
        Self { min, span, zipfian }
    }

    /// One length. A constant one costs no draw.
    pub fn draw(&mut self, generator: &mut Generator) -> u64 {
        if self.span == 1 {
            return self.min;
        }
        let above = match &mut self.zipfian {
            None => generator.below(self.span),
            Some(zipfian) => zipfian.draw(generator),
        };
        self.min + above
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
        assert_eq!(
            Lengths::new(8, 8, LengthDistribution::Zipfian).draw(&mut generator),
            8
        );
    }
}
