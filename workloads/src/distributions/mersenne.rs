//! The Mersenne Twister of 64 bits (mt19937-64), by which db_bench spreads ranks over keys.
//!
//! Source: Nishimura, "Tables of 64-bit Mersenne twisters", ACM TOMACS 10(4), 2000. It is C++'s
//! `std::mt19937_64`.
//! State: 312 words. They are filled in as they are needed, so that the first number takes half of
//! them: the one number that `mixgraph` takes of each seed.
//! Cost: some 300 ns for the first number, 2 ns for one after the 312th.

const WORDS: usize = 312;
const MIDDLE: usize = 156;
const MATRIX: u64 = 0xB502_6F5A_A966_19E9;
const UPPER: u64 = 0xFFFF_FFFF_8000_0000;
const MULTIPLIER: u64 = 6_364_136_223_846_793_005;

/// The generator of one seed.
#[derive(Clone, Debug)]
pub(super) struct MersenneTwister {
    words: [u64; WORDS],
    /// Words that follow from the seed so far.
    filled: usize,
    at: usize,
}

impl MersenneTwister {
    pub(super) fn new(seed: u64) -> Self {
        let mut words = [0; WORDS];
        words[0] = seed;
        Self {
            words,
            filled: 1,
            at: 0,
        }
    }

    /// The next number.
    pub(super) fn draw(&mut self) -> u64 {
        let at = self.at;
        self.fill((at + MIDDLE + 1).min(WORDS));
        let next = self.words[(at + 1) % WORDS];
        let mixed = (self.words[at] & UPPER) | (next & !UPPER);
        let odd = if mixed & 1 == 1 { MATRIX } else { 0 };
        let word = self.words[(at + MIDDLE) % WORDS] ^ (mixed >> 1) ^ odd;
        self.words[at] = word;
        self.at = (at + 1) % WORDS;
        tempered(word)
    }

    fn fill(&mut self, end: usize) {
        while self.filled < end {
            let last = self.words[self.filled - 1];
            let spread = (last ^ (last >> 62)).wrapping_mul(MULTIPLIER);
            self.words[self.filled] = spread.wrapping_add(self.filled as u64);
            self.filled += 1;
        }
    }
}

fn tempered(mut word: u64) -> u64 {
    word ^= (word >> 29) & 0x5555_5555_5555_5555;
    word ^= (word << 17) & 0x71D6_7FFF_EDA6_0000;
    word ^= (word << 37) & 0xFFF7_EEE0_0000_0000;
    word ^ (word >> 43)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers of C++'s `std::mt19937_64`; the 10,000th of its default seed is in its standard.
    #[test]
    fn numbers_are_those_of_the_standard_library_of_cpp() {
        let mut twister = MersenneTwister::new(5489);
        let numbers: Vec<u64> = (0..10_000).map(|_| twister.draw()).collect();
        assert_eq!(
            numbers[..2],
            [14_514_284_786_278_117_030, 4_620_546_740_167_642_908]
        );
        assert_eq!(numbers[9_999], 9_981_545_732_273_789_042);
        for (seed, first) in [
            (0, 2_947_667_278_772_165_694),
            (1, 2_469_588_189_546_311_528),
            (u64::MAX, 478_026_398_904_862_820),
        ] {
            assert_eq!(MersenneTwister::new(seed).draw(), first, "seed {seed}");
        }
    }
}
