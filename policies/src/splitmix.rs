//! SplitMix64: the one mixing function of the crate, and the lots that policies draw.
//!
//! Source: Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014.

const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// A bijection that spreads what varies in `hash` over all bits.
#[inline]
pub(crate) fn remix(hash: u64) -> u64 {
    let z = hash.wrapping_add(GAMMA);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number of 0.0 to 1.0, the latter excluded, from the upper 53 bits of `mixed`.
#[inline]
pub(crate) fn unit(mixed: u64) -> f64 {
    (mixed >> 11) as f64 / (1_u64 << 53) as f64
}

/// The generator: the same lots from the same seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SplitMix64(u64);

impl SplitMix64 {
    /// The stream of `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    #[inline]
    pub(crate) fn draw(&mut self) -> u64 {
        let drawn = remix(self.0);
        self.0 = self.0.wrapping_add(GAMMA);
        drawn
    }

    /// A number less than `bound`.
    #[inline]
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.draw()) * bound as u128) >> 64) as usize
    }

    /// A number in [0, 1).
    pub(crate) fn fraction(&mut self) -> f64 {
        unit(self.draw())
    }

    /// True with `probability`.
    #[inline]
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        unit(self.draw()) < probability
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_the_published_one() {
        let mut lots = SplitMix64::new(1_234_567);
        let drawn = [(); 3].map(|()| lots.draw());
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
    fn lots_fall_as_often_as_asked_for() {
        let mut lots = SplitMix64::new(7);
        let drawn = (0..100_000).filter(|_| lots.chance(0.25)).count();
        assert!(
            (24_500..25_500).contains(&drawn),
            "{drawn} of 100,000 at 0.25"
        );
        assert!(!lots.chance(0.0) && lots.chance(1.0));
    }
}
