//! Spatially hashed sampling: some keys with all their requests, the others not at all.
//!
//! A key is kept if its hash lies below the rate's share of all hashes. A cache with the rate's
//! share of the capacity then behaves like the whole one. The misses of the whole are the sample's
//! divided by the rate. The miss ratio is that over the requests of the whole trace, which are
//! counted and not estimated. (This is the paper's adjustment: a few hot keys make many requests,
//! nearly all hits. Whether they are in the sample changes its requests much, but its misses
//! little.)
//!
//! Source: Waldspurger et al., "Efficient MRC Construction with SHARDS", FAST 2015; for policies
//! other than LRU, Waldspurger et al., "Cache Modeling and Optimization using Miniature
//! Simulations", ATC 2017.
//! Error: keys are drawn independently, so parts of the sample ([`Sample::bucket`]) are samples
//! themselves, and how much they differ says how far the whole one may be off. Neither covers what
//! a small cache does otherwise than a large one, which matters if it holds fewer than some hundred
//! objects.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Which keys are kept.
///
/// ```
/// use aura_workloads::trace::Sample;
///
/// let sample = Sample::new(0.1, 7).expect("a rate above 0 and at most 1");
/// let kept = (0..100_000).filter(|key| sample.keeps(*key)).count();
/// assert!((9_500..10_500).contains(&kept));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    rate: f64,
    below: u64,
    seed: u64,
}

/// Which keys a trace holds, of those of what it was recorded from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Kept {
    /// Their share.
    pub(super) rate: f64,
    /// Whether they are those that [`Sample`] keeps with [`Sample::SEED`].
    pub(super) is_by_hash: bool,
}

impl Default for Kept {
    /// All keys.
    fn default() -> Self {
        Self::by_hash(1.0)
    }
}

impl Kept {
    pub(super) fn by_hash(rate: f64) -> Self {
        let is_by_hash = true;
        Self { rate, is_by_hash }
    }

    /// Chosen by a recorder in a way of its own.
    pub(super) fn by_others(rate: f64) -> Self {
        let is_by_hash = rate >= 1.0;
        Self { rate, is_by_hash }
    }

    /// What a sample of them holds.
    pub(super) fn sampled(self, sample: Option<Sample>) -> Self {
        let Some(sample) = sample else {
            return self;
        };
        Self {
            rate: self.rate * sample.rate,
            is_by_hash: self.is_by_hash && sample.seed == Sample::SEED,
        }
    }
}

impl Sample {
    /// The seed by which keys are chosen where nobody asks for another: by recorders, by
    /// `workload.trace.sample`, and in `.aurat` files that say so.
    pub const SEED: u64 = 1;

    /// Keeps the share `rate` of the keys, chosen by `seed`; `None` if the rate is not above 0 and
    /// at most 1.
    pub fn new(rate: f64, seed: u64) -> Option<Self> {
        // 2^64 as a float. The conversion back saturates.
        (rate > 0.0 && rate <= 1.0).then_some(Self {
            rate,
            below: (rate * 18_446_744_073_709_551_616.0) as u64,
            seed,
        })
    }

    /// The share of the keys that is kept.
    pub fn rate(self) -> f64 {
        self.rate
    }

    /// This sample of a trace that is itself a sample. If both are by hash and [`Sample::SEED`],
    /// the trace has keys of low hashes only, and the bound is lower by as much; otherwise they are
    /// independent.
    #[must_use]
    pub(super) fn within(self, recorded: Kept) -> Self {
        if self.seed != Self::SEED || !recorded.is_by_hash {
            return self;
        }
        let share = Self::new(self.rate * recorded.rate, self.seed);
        Self {
            below: share.map_or(self.below, |share| share.below),
            ..self
        }
    }

    /// Whether a key is kept.
    #[inline]
    pub fn keeps(self, key: u64) -> bool {
        self.below == u64::MAX || xxh3_64_with_seed(&key.to_le_bytes(), self.seed) < self.below
    }

    /// The part of a sample that a key belongs to, of `parts`. It depends on the key alone, and is
    /// independent of whether a sample keeps the key.
    pub fn bucket(key: u64, parts: u64) -> u64 {
        let hash = xxh3_64_with_seed(&key.to_le_bytes(), BUCKET_SEED);
        // The upper half of a product: all parts are equally likely.
        ((u128::from(hash) * u128::from(parts)) >> 64) as u64
    }
}

/// A seed that no sample is likely to have.
const BUCKET_SEED: u64 = 0x51a7_0e5b_9c33_d6f1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_kept_and_the_seed_decides() {
        let [one, other] = [1, 2].map(|seed| Sample::new(0.1, seed).expect("a rate"));
        let kept = |sample: Sample| (0..100_000).filter(|key| sample.keeps(*key)).count();
        assert!(kept(one).abs_diff(10_000) < 400 && kept(other).abs_diff(10_000) < 400);
        assert!((0..1000).any(|key| one.keeps(key) != other.keeps(key)));
        let all = Sample::new(1.0, 3).expect("a rate");
        assert!((0..1000).all(|key| all.keeps(key)));
        for bad in [0.0, -0.1, 1.01, f64::NAN] {
            assert_eq!(Sample::new(bad, 0), None, "{bad}");
        }
    }

    #[test]
    fn a_sample_of_a_recorded_sample_keeps_its_share_of_that() {
        for seed in [Sample::SEED, 9] {
            let recorded = Sample::new(0.2, Sample::SEED).expect("a rate");
            let again = Sample::new(0.5, seed)
                .expect("a rate")
                .within(Kept::by_hash(0.2));
            let kept: Vec<u64> = (0..100_000).filter(|key| recorded.keeps(*key)).collect();
            let both = kept.iter().filter(|key| again.keeps(**key)).count();
            assert!(both.abs_diff(10_000) < 400, "seed {seed}: {both}");
            assert_eq!(again.rate(), 0.5);
        }
    }

    #[test]
    fn buckets_are_equally_full_in_every_sample() {
        for seed in 1..5 {
            let sample = Sample::new(0.3, seed).expect("a rate");
            let mut counts = [0; 8];
            for key in (0..100_000).filter(|key| sample.keeps(*key)) {
                counts[Sample::bucket(key, 8) as usize] += 1;
            }
            assert!(
                counts.iter().all(|count| (3400..4100).contains(count)),
                "{counts:?}"
            );
        }
    }
}
