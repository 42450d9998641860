//! The tree of seeds, and the one generator.
//!
//! Every random decision has a seed that is derived from the root by names: phase, client, purpose.
//! A new consumer takes a new name and leaves all other draws alone. The generator is xoshiro256++
//! (Blackman and Vigna, 2019), fixed by its name, because a library's "standard" generator may
//! change with a version. So may its samplers: those of YCSB's distributions are written in this
//! crate, and those that come from rand_distr have golden draws in `tests/laws.rs`.

use rand_xoshiro::rand_core::{Rng, SeedableRng};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A node of the tree of seeds. Users give the root.
///
/// ```
/// use aura_workloads::Seed;
///
/// let keys = Seed(7).child("phase").child("run").numbered(3).child("key");
/// let mut generator = keys.generator();
/// assert!(generator.below(100) < 100);
/// assert!(generator.unit() < 1.0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Seed(pub u64);

impl Seed {
    /// The seed of the consumer `name` below this node (XXH3 of the name, keyed by this seed).
    #[must_use]
    pub fn child(self, name: &str) -> Self {
        Self(xxh3_64_with_seed(name.as_bytes(), self.0))
    }

    /// The seed of consumer `number` below this node.
    #[must_use]
    pub fn numbered(self, number: u64) -> Self {
        Self(xxh3_64_with_seed(&number.to_le_bytes(), self.0))
    }

    /// A generator that starts at this seed.
    pub fn generator(self) -> Generator {
        Generator(rand_xoshiro::Xoshiro256PlusPlus::seed_from_u64(self.0))
    }
}

/// xoshiro256++ with the few draws that workloads need.
#[derive(Clone, Debug)]
pub struct Generator(rand_xoshiro::Xoshiro256PlusPlus);

impl Generator {
    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// The generator itself, for the samplers of rand_distr.
    pub(crate) fn bit_source(&mut self) -> &mut impl Rng {
        &mut self.0
    }

    /// A multiple of 2^-53 in [0, 1).
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    /// A number in `0..n` without bias; 0 if `n` is 0. (Lemire, "Fast Random Integer Generation in
    /// an Interval", 2019: one multiplication, and a division only if the low half is below `n`.)
    pub fn below(&mut self, n: u64) -> u64 {
        loop {
            let product = u128::from(self.bits()) * u128::from(n);
            let low = product as u64;
            if low >= n || low >= n.wrapping_neg().checked_rem(n).unwrap_or(0) {
                return (product >> 64) as u64;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// These draws define every published result. Those after the seed were computed by another
    /// program, from the published algorithms.
    #[test]
    fn golden_draws() {
        let seed = Seed(42)
            .child("phase")
            .child("run")
            .numbered(3)
            .child("key");
        let mut generator = seed.generator();
        let drawn: Vec<u64> = (0..4).map(|_| generator.bits()).collect();
        assert_eq!(seed, Seed(8_850_495_788_557_590_530));
        assert_eq!(
            drawn,
            [
                6_157_732_315_683_991_744,
                5_772_008_405_373_979_087,
                5_430_360_168_555_460_828,
                332_902_108_893_117_903
            ]
        );
        assert_eq!(
            (0..6).map(|_| generator.below(1000)).collect::<Vec<_>>(),
            [923, 176, 495, 167, 221, 999]
        );
        assert_eq!(generator.unit().to_bits(), 0x3FED_A348_3060_0410);
    }

    #[test]
    fn siblings_differ_and_below_covers_its_range() {
        let root = Seed(1);
        assert_ne!(root.child("key"), root.child("value"));
        assert_ne!(root.numbered(0), root.numbered(1));
        assert_ne!(root.child("key"), Seed(2).child("key"));

        let mut generator = root.generator();
        let mut seen = [0_u32; 7];
        for _ in 0..7000 {
            seen[generator.below(7) as usize] += 1;
        }
        assert!(
            seen.iter().all(|&count| count.abs_diff(1000) < 150),
            "{seen:?}"
        );
        assert_eq!(generator.below(0), 0);
        assert_eq!(generator.below(1), 0);
    }
}
