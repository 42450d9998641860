//! How far the ratios of a sample may be off.
//!
//! The sampled keys are divided at random into buckets, and each bucket is replayed in a cache of
//! its own with its part of the room. So each is a small sample of the whole trace, and the spread
//! of their estimates holds all that varies from sample to sample: which keys were drawn, how much
//! the misses and bytes of keys differ, and how much room the drawn ones leave each other. A
//! formula over the misses of keys leaves the last one out, and its 95 % intervals hold the truth
//! in 85 to 90 % of the cases. Two replays of the sample are the price.
//!
//! Source: random groups, as in Wolter, "Introduction to Variance Estimation" (2007), chapter 2.
//! Weak where a cache holds few sampled objects: then the small cache itself differs from the large
//! one, and no spread shows that.

use aura_workloads::trace::Sample;

use super::RatioError;
use super::replay::Missed;
use crate::stats::{CONFIDENCE, Estimate};

/// The most buckets. More of them make the interval no narrower.
const BUCKETS_MAX: usize = 8;

/// The least number of buckets: Student's factor is 3.2 there, and grows fast below.
const BUCKETS_MIN: usize = 4;

/// The objects that the cache of a bucket should hold at least.
const OBJECTS_MIN: usize = 16;

/// How many buckets a cache of `capacity` that holds `objects` is divided into.
pub(super) fn buckets_for(capacity: u64, objects: usize) -> usize {
    let most = usize::try_from(capacity).unwrap_or(usize::MAX);
    let fitting = objects / OBJECTS_MIN;
    fitting.clamp(BUCKETS_MIN, BUCKETS_MAX).min(most).max(1)
}

/// The bucket of each of `keys`.
pub(super) fn bucket_of_each(keys: &[u64], count: usize) -> Vec<u8> {
    let bucket = |key: &u64| Sample::bucket(*key, count as u64) as u8;
    keys.iter().map(bucket).collect()
}

/// What each bucket missed.
pub(super) struct Buckets {
    pub(super) rate: f64,
    pub(super) missed: Vec<Missed>,
}

impl Buckets {
    /// The error of a ratio that is the sum of `part` over all sampled keys, divided by the rate
    /// and by the known `whole`. A single bucket says nothing: the ratio may be any from 0 to 1.
    pub(super) fn error(&self, part: fn(&Missed) -> u64, whole: f64) -> RatioError {
        let count = self.missed.len() as f64;
        let ratio = |missed: &Missed| part(missed) as f64 * count / (self.rate * whole.max(1.0));
        let ratios: Vec<f64> = self.missed.iter().map(ratio).collect();
        // The share that was kept is known, which would make the error smaller by the square root
        // of the rest. It is left out: intervals were too narrow with it.
        match Estimate::of(&ratios) {
            Some(spread) => RatioError {
                standard: spread.sd / count.sqrt(),
                half_width: spread.half_width(CONFIDENCE),
            },
            None => RatioError {
                standard: 1.0,
                half_width: 1.0,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missed(requests: u64) -> Missed {
        Missed {
            requests,
            ..Missed::default()
        }
    }

    #[test]
    fn the_error_is_that_of_the_mean_of_the_buckets() {
        let buckets = Buckets {
            rate: 0.1,
            missed: [8, 10, 12, 10].map(missed).to_vec(),
        };
        // Ratios of 0.32, 0.4, 0.48 and 0.4; Student's factor for three degrees is 3.182.
        let error = buckets.error(|missed| missed.requests, 1000.0);
        let expected = (0.0128_f64 / 3.0).sqrt() / 2.0;
        assert!((error.standard - expected).abs() < 1e-12, "{error:?}");
        assert!(
            (error.half_width / error.standard - 3.182).abs() < 1e-3,
            "{error:?}"
        );
    }

    #[test]
    fn a_small_cache_has_few_buckets() {
        assert_eq!(buckets_for(1_000_000, 10_000), 8);
        assert_eq!(buckets_for(1_000_000, 100), 6);
        assert_eq!(buckets_for(1_000_000, 5), 4);
        assert_eq!(buckets_for(3, 3), 3);
    }
}
