//! A seeded permutation of 0..n that needs no table.
//!
//! Rounds of reversible steps (multiply by an odd number, add, xor with the own upper half) permute
//! the numbers of b bits, where 2^b is the next power of two. A number that falls outside 0..n goes
//! on along its cycle until it is inside, which keeps it a permutation (Black and Rogaway, "Ciphers
//! with Arbitrary Finite Domains", 2002).
//! Cost: under two walks of three rounds on average.

use crate::seed::Seed;

const ROUNDS: usize = 3;

/// A bijection of `0..n`; the same for the same seed.
#[derive(Clone, Debug)]
pub struct Permutation {
    n: u64,
    mask: u64,
    shift: u32,
    rounds: [Round; ROUNDS],
}

#[derive(Clone, Copy, Debug)]
struct Round {
    odd: u64,
    add: u64,
}

impl Permutation {
    /// The permutation of `0..n` of this seed.
    pub fn new(n: u64, seed: Seed) -> Self {
        let bits = u64::BITS - n.saturating_sub(1).leading_zeros();
        let mut generator = seed.generator();
        let mut round = || Round {
            odd: generator.bits() | 1,
            add: generator.bits(),
        };
        let mask = 1_u64.checked_shl(bits).map_or(u64::MAX, |power| power - 1);
        Self {
            n,
            mask,
            shift: bits.div_ceil(2).max(1),
            rounds: [round(), round(), round()],
        }
    }

    /// The image of `number`. Numbers outside `0..n` are their own image.
    pub fn apply(&self, number: u64) -> u64 {
        if number >= self.n {
            return number;
        }
        let mut x = self.step(number);
        while x >= self.n {
            x = self.step(x);
        }
        x
    }

    fn step(&self, mut x: u64) -> u64 {
        for round in &self.rounds {
            x = x.wrapping_mul(round.odd).wrapping_add(round.add) & self.mask;
            x ^= x >> self.shift;
        }
        x
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_a_bijection() {
        for n in [
            1, 2, 3, 4, 5, 7, 8, 9, 100, 127, 128, 129, 1000, 4097, 65_536,
        ] {
            for seed in 0..4 {
                let permutation = Permutation::new(n, Seed(seed));
                let mut seen = vec![false; n as usize];
                for number in 0..n {
                    let image = permutation.apply(number) as usize;
                    assert!(!seen[image], "n {n}, seed {seed}: {image} twice");
                    seen[image] = true;
                }
                assert_eq!(permutation.apply(n), n);
            }
        }
    }

    #[test]
    fn spreads_the_first_numbers_and_depends_on_the_seed() {
        const N: u64 = 1_000_000;
        let one = Permutation::new(N, Seed(1));
        let two = Permutation::new(N, Seed(2));
        let mut tenths = [0_u32; 10];
        for number in 0..1000 {
            tenths[(one.apply(number) * 10 / N) as usize] += 1;
        }
        assert!(
            tenths.iter().all(|count| (50..200).contains(count)),
            "{tenths:?}"
        );
        let equal = (0..1000)
            .filter(|&number| one.apply(number) == two.apply(number))
            .count();
        assert!(equal < 5, "{equal}");
    }
}
