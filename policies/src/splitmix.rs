//! SplitMix64: the mixing function of this crate, and the generator of random choices.
//!
//! Policies that choose at random draw from a generator of their own, seeded by the engine, so that
//! a run of the engine can be repeated.
//!
//! Source: Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014.

const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// A bijection that spreads what varies in `hash` over all bits.
#[inline]
pub fn remix(hash: u64) -> u64 {
    let z = hash.wrapping_add(GAMMA);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number in [0, 1) from the upper 53 bits of `mixed`.
#[inline]
pub fn unit(mixed: u64) -> f64 {
    (mixed >> 11) as f64 / (1_u64 << 53) as f64
}

/// A seeded generator: the same seed gives the same numbers on every machine.
///
/// ```
/// use aura_policies::splitmix::SplitMix64;
///
/// let mut draws = SplitMix64::new(7);
/// let die = 1 + draws.below(6);
/// assert!((1..=6).contains(&die));
/// assert_eq!(SplitMix64::new(7).below(6), die - 1);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct SplitMix64(u64);

impl SplitMix64 {
    /// The generator with this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    #[inline]
    pub fn draw(&mut self) -> u64 {
        let drawn = remix(self.0);
        self.0 = self.0.wrapping_add(GAMMA);
        drawn
    }

    /// A number below `bound`.
    #[inline]
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.draw()) * bound as u128) >> 64) as usize
    }

    /// A number in [0, 1).
    pub fn fraction(&mut self) -> f64 {
        unit(self.draw())
    }

    /// True with this probability.
    #[inline]
    pub fn chance(&mut self, probability: f64) -> bool {
        unit(self.draw()) < probability
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_the_published_one() {
        let mut draws = SplitMix64::new(1_234_567);
        let drawn = [(); 3].map(|()| draws.draw());
        assert_eq!(
            drawn,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
    }

    #[test]
    fn chances_come_true_as_often_as_they_should() {
        let mut draws = SplitMix64::new(7);
        let drawn = (0..100_000).filter(|_| draws.chance(0.25)).count();
        assert!(
            (24_500..25_500).contains(&drawn),
            "{drawn} of 100,000 at 0.25"
        );
        assert!(!draws.chance(0.0) && draws.chance(1.0));
    }
}
