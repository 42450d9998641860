//! Non-decreasing numbers in few bits: one line for every 128 numbers, and each number's distance
//! from its line.
//!
//! The offsets of blocks, and the ranks of their first entries, grow almost evenly. So the
//! distances have few bits, and no bits if all entries have one size. The numbers are stored
//! exactly. A number takes 24 B / 128 and the bits of the largest distance in its frame. It is
//! frame-of-reference coding with a slope.

/// Numbers that share a line.
const FRAME: usize = 128;

struct Frame {
    /// The line's value at the first number, lowered so that no distance is negative. It may wrap
    /// around.
    base: u64,
    slope: u64,
    /// The index of the frame's first word in `words`.
    word: u32,
    /// Bits of each distance.
    width: u8,
}

/// Packed non-decreasing numbers.
#[derive(Default)]
pub(super) struct Packed {
    count: usize,
    frames: Vec<Frame>,
    words: Vec<u64>,
}

impl Packed {
    /// Packs non-decreasing numbers.
    pub(super) fn new(values: &[u64]) -> Self {
        let mut packed = Self {
            count: values.len(),
            frames: Vec::with_capacity(values.len().div_ceil(FRAME)),
            words: Vec::new(),
        };
        for chunk in values.chunks(FRAME) {
            packed.push(chunk);
        }
        packed.words.shrink_to_fit();
        packed
    }

    fn push(&mut self, chunk: &[u64]) {
        let first = chunk[0];
        let last = chunk[chunk.len() - 1];
        let slope = (last - first) / (chunk.len() as u64 - 1).max(1);
        // Number and line are both within the range of the chunk, so their difference fits.
        let distances = chunk
            .iter()
            .enumerate()
            .map(|(at, value)| i128::from(*value) - i128::from(first + slope * at as u64));
        let least = distances.clone().min().unwrap_or(0);
        let most = distances.clone().max().unwrap_or(0);
        let width = 64 - ((most - least) as u64).leading_zeros();
        let word = self.words.len();
        self.words
            .resize(word + (chunk.len() * width as usize).div_ceil(64), 0);
        for (at, distance) in distances.enumerate().filter(|_| width > 0) {
            let bits = (distance - least) as u64;
            let bit = at * width as usize;
            let into = word + bit / 64;
            let shift = bit % 64;
            self.words[into] |= bits << shift;
            if shift + width as usize > 64 {
                self.words[into + 1] |= bits >> (64 - shift);
            }
        }
        let base = first.wrapping_add(least as u64);
        self.frames.push(Frame {
            base,
            slope,
            word: word as u32,
            width: width as u8,
        });
    }

    /// Returns the number of numbers.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Returns number `index`, which must exist.
    #[inline]
    pub(super) fn get(&self, index: usize) -> u64 {
        debug_assert!(index < self.count);
        let frame = &self.frames[index / FRAME];
        let at = index % FRAME;
        let line = frame.base.wrapping_add(frame.slope * at as u64);
        if frame.width == 0 {
            return line;
        }
        let width = usize::from(frame.width);
        let word = frame.word as usize + at * width / 64;
        let shift = at * width % 64;
        let mut bits = self.words[word] >> shift;
        if shift + width > 64 {
            bits |= self.words[word + 1] << (64 - shift);
        }
        line.wrapping_add(bits & (u64::MAX >> (64 - width)))
    }

    /// Returns the last index below `end` whose number is at most `value`; 0 if there is no such
    /// index.
    ///
    /// It searches outwards from `guess` in steps that double: O(log of the distance).
    pub(super) fn floor(&self, value: u64, end: usize, guess: usize) -> usize {
        let last = end - 1;
        let guess = guess.min(last);
        let mut lo = guess;
        let mut hi = guess;
        let mut step = 1;
        if self.get(guess) <= value {
            loop {
                hi = (lo + step).min(last + 1);
                if hi > last || self.get(hi) > value {
                    break;
                }
                lo = hi;
                step *= 2;
            }
        } else {
            loop {
                lo = hi.saturating_sub(step);
                if lo == 0 || self.get(lo) <= value {
                    break;
                }
                hi = lo;
                step *= 2;
            }
        }
        // The result is in `lo..hi`, or 0.
        while hi - lo > 1 {
            let middle = lo + (hi - lo) / 2;
            if self.get(middle) <= value {
                lo = middle
            } else {
                hi = middle
            }
        }
        lo
    }

    /// Returns the bytes of memory in use.
    pub(super) fn memory_bytes(&self) -> u64 {
        (size_of_val(&self.frames[..]) + size_of_val(&self.words[..])) as u64
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_xoshiro::Xoshiro256PlusPlus;

    use super::*;

    fn check(values: &[u64], chance: &mut Xoshiro256PlusPlus, label: &str) {
        let packed = Packed::new(values);
        assert_eq!(packed.len(), values.len(), "{label}");
        let read: Vec<u64> = (0..packed.len()).map(|index| packed.get(index)).collect();
        assert_eq!(read, values, "{label}");
        for _ in 0..200 {
            let near = values[chance.random_range(0..values.len())];
            let value = [
                near,
                near.saturating_sub(1),
                near.saturating_add(1),
                chance.random(),
            ][chance.random_range(0..4)];
            let end = chance.random_range(1..=values.len());
            let expected = values[..end]
                .partition_point(|stored| *stored <= value)
                .saturating_sub(1);
            let guess = chance.random_range(0..values.len() + 3);
            assert_eq!(
                packed.floor(value, end, guess),
                expected,
                "{label}: {value} of {end} from {guess}"
            );
        }
    }

    #[test]
    fn every_non_decreasing_sequence_reads_back() {
        let seed = 3;
        let mut chance = Xoshiro256PlusPlus::seed_from_u64(seed);
        for round in 0..400 {
            let count = chance.random_range(1..700);
            let step = 1 << chance.random_range(0..52);
            let mut sum = chance.random_range(0..1u64 << 60);
            let steps = (0..count).map(|_| match chance.random_range(0..50) {
                0 => 0,
                1 => step,
                _ => chance.random_range(0..step),
            });
            let mut values: Vec<u64> = steps
                .map(|by| {
                    sum += by;
                    sum
                })
                .collect();
            if round % 7 == 0 {
                values[0] = 0;
                values[count - 1] = u64::MAX;
            }
            check(&values, &mut chance, &format!("seed {seed}, round {round}"));
        }
    }

    #[test]
    fn evenly_spaced_numbers_take_a_fifth_of_a_byte() {
        let values: Vec<u64> = (0..4097).map(|block| 4109 * block).collect();
        let packed = Packed::new(&values);
        assert!(
            packed.memory_bytes() * 5 <= values.len() as u64,
            "{} B",
            packed.memory_bytes()
        );
        check(&values, &mut Xoshiro256PlusPlus::seed_from_u64(1), "even");
    }

    #[test]
    fn blocks_of_about_4_kib_take_less_than_two_bytes_each() {
        let mut chance = Xoshiro256PlusPlus::seed_from_u64(8);
        let mut sum = 0;
        let values: Vec<u64> = (0..4096)
            .map(|_| {
                sum += chance.random_range(3_990..4_100u64);
                sum
            })
            .collect();
        assert!(
            Packed::new(&values).memory_bytes() < 2 * 4096,
            "{} B",
            Packed::new(&values).memory_bytes()
        );
    }
}
