//! Fence pointers: the last key of every block, with binary search.
//!
//! The common prefix of all keys is not stored. The next 8 bytes are numbers in an array of their
//! own, which is searched several comparisons a round. The remaining bytes are compared only among
//! equal numbers. The key heads are those of Graefe and Larson, "B-tree Indexes and CPU
//! Caches", ICDE 2001.

use aura_policies::index::search::partition_point;

use super::images::image;
use super::packed::Packed;
use crate::env::CpuWork;

/// The last keys of a table's blocks.
#[derive(Default)]
pub(crate) struct Fences {
    /// The image of each key.
    heads: Vec<u64>,
    /// The bytes after the images, concatenated; the bytes after the prefix if some key has fewer
    /// than 8 of them.
    tails: Vec<u8>,
    /// The start of each tail in `tails`, and the end of the last.
    ends: Packed,
    /// Bytes of the image that `tails` do not repeat: 8 or 0.
    skip: usize,
}

impl Fences {
    /// Creates the fences from the part of each key after the table's common prefix.
    pub(crate) fn new(suffixes: &[&[u8]]) -> Self {
        let skip = if suffixes.iter().all(|suffix| suffix.len() >= 8) {
            8
        } else {
            0
        };
        let mut tails = Vec::with_capacity(suffixes.iter().map(|suffix| suffix.len() - skip).sum());
        let mut ends = Vec::with_capacity(suffixes.len() + 1);
        ends.push(0);
        for suffix in suffixes {
            tails.extend_from_slice(&suffix[skip..]);
            ends.push(tails.len() as u64);
        }
        Self {
            heads: suffixes.iter().map(|suffix| image(suffix)).collect(),
            tails,
            ends: Packed::new(&ends),
            skip,
        }
    }

    /// Returns whether fence `index` is before the key with this suffix. Their images must be
    /// equal.
    fn is_before(&self, index: usize, suffix: &[u8]) -> bool {
        let tail = &self.tails[self.ends.get(index) as usize..self.ends.get(index + 1) as usize];
        // A key that ends inside the image is before all longer ones.
        suffix.get(self.skip..).is_some_and(|suffix| tail < suffix)
    }

    /// Returns the first fence not before the key with this suffix; the number of fences if all are
    /// before it.
    ///
    /// O(log fences).
    pub(crate) fn search(&self, suffix: &[u8], work: &mut CpuWork) -> usize {
        let image = image(suffix);
        // Charged by its halvings: the comparisons of a round are done side by side.
        work.comparisons += u64::from(self.heads.len().next_power_of_two().ilog2());
        let mut at = partition_point(&self.heads, |head| head < image);
        // Skip the fences with this image that are before the key. There may be many: double the
        // step, then halve.
        let mut end = at;
        let mut step = 1;
        while self.heads.get(end).is_some_and(|head| *head == image) && self.is_before(end, suffix)
        {
            work.comparisons += 1;
            at = end + 1;
            end += step;
            step *= 2;
        }
        let mut end = end.min(self.heads.len());
        while at < end {
            let middle = at + (end - at) / 2;
            work.comparisons += 1;
            if self.heads[middle] == image && self.is_before(middle, suffix) {
                at = middle + 1;
            } else {
                end = middle;
            }
        }
        at
    }

    /// Returns the image of each key.
    pub(crate) fn heads(&self) -> &[u64] {
        &self.heads
    }

    /// Returns the bytes of memory in use.
    pub(crate) fn memory_bytes(&self) -> u64 {
        (size_of_val(&self.heads[..]) + self.tails.len()) as u64 + self.ends.memory_bytes()
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_xoshiro::Xoshiro256PlusPlus;

    use super::*;

    #[test]
    fn the_first_fence_not_before_a_key_is_found_among_keys_of_any_kind() {
        let seed = 9;
        let mut chance = Xoshiro256PlusPlus::seed_from_u64(seed);
        for round in 0..1_500 {
            // Short keys, or keys of at least 8 bytes of which few differ.
            let shortest = [0, 8][round % 2];
            let mut key = || -> Vec<u8> {
                let bytes = shortest + chance.random_range(0..4);
                (0..bytes)
                    .map(|at| if at < 6 { 0 } else { chance.random_range(0..3) })
                    .collect()
            };
            let mut fences: Vec<Vec<u8>> = (0..1 + round % 40).map(|_| key()).collect();
            fences.sort();
            let suffixes: Vec<&[u8]> = fences.iter().map(|fence| &fence[..]).collect();
            let index = Fences::new(&suffixes);
            let questions: Vec<Vec<u8>> = (0..40)
                .map(|_| key())
                .chain(fences.iter().cloned())
                .chain([vec![], vec![0; 3]])
                .collect();
            for key in questions {
                let expected = fences.partition_point(|fence| *fence < key);
                let found = index.search(&key, &mut CpuWork::default());
                assert_eq!(
                    found, expected,
                    "seed {seed}, round {round}: {key:?} among {fences:?}"
                );
            }
        }
    }
}
