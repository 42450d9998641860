//! Keys as numbers.
//!
//! The *image* of a key is the 8 bytes after the longest prefix that all keys of the table share, as a big-endian number,
//! padded with zeros: a map that keeps the order but not always the difference.

pub(super) use crate::storage::{common_prefix, head as image};

/// Collects the images of sorted keys whose common prefix is known only after the last.
///
/// Each image is taken after the prefix shared so far. When that gets shorter, the images before become, in the end,
/// the bytes by which it did, then as much of the old image as fits: all the bytes needed are still there.
#[derive(Default)]
pub(crate) struct Images {
    first: Option<Vec<u8>>,
    prefix: usize,
    values: Vec<u64>,
    /// From which image on which length of the prefix was used.
    epochs: Vec<(usize, usize)>,
}

impl Images {
    /// Takes a key not below those before into the common prefix, and no image of it.
    pub(crate) fn note(&mut self, key: &[u8]) {
        let first = self.first.get_or_insert_with(|| {
            self.prefix = key.len();
            self.epochs.push((0, key.len()));
            key.to_vec()
        });
        let shared = common_prefix(&first[..self.prefix], key);
        if shared < self.prefix {
            self.prefix = shared;
            self.epochs.push((self.values.len(), shared));
        }
    }

    /// Adds the image of a key not below those before.
    pub(crate) fn push(&mut self, key: &[u8]) {
        self.note(key);
        self.values.push(image(&key[self.prefix..]));
    }

    /// The images after the prefix that all keys share.
    pub(crate) fn finish(mut self) -> Vec<u64> {
        let mut end = self.values.len();
        let first = self.first.unwrap_or_default();
        for (start, prefix) in self.epochs.into_iter().rev() {
            let bits = 8 * (prefix - self.prefix);
            let lead = image(&first[self.prefix..prefix]);
            if bits > 0 {
                for value in &mut self.values[start..end] {
                    *value = lead | value.checked_shr(bits as u32).unwrap_or(0);
                }
            }
            end = start;
        }
        self.values
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_xoshiro::Xoshiro256PlusPlus;

    use super::*;

    #[test]
    fn images_are_those_after_the_final_prefix_however_it_shrank() {
        let seed = 5;
        let mut chance = Xoshiro256PlusPlus::seed_from_u64(seed);
        for round in 0..2_000 {
            let mut keys: Vec<Vec<u8>> = (0..chance.random_range(1..40))
                .map(|_| {
                    (0..chance.random_range(1..30))
                        .map(|_| chance.random_range(0..2u8) * 0xff)
                        .collect()
                })
                .collect();
            keys.sort();
            // Every key, or every third alone.
            for step in [1, 3] {
                let mut images = Images::default();
                for (at, key) in keys.iter().enumerate() {
                    if at % step == 0 {
                        images.push(key)
                    } else {
                        images.note(key)
                    }
                }
                let prefix = common_prefix(&keys[0], &keys[keys.len() - 1]);
                let expected: Vec<u64> = keys
                    .iter()
                    .step_by(step)
                    .map(|key| image(&key[prefix..]))
                    .collect();
                assert!(expected.is_sorted(), "seed {seed}, round {round}");
                assert_eq!(
                    images.finish(),
                    expected,
                    "seed {seed}, round {round}: {keys:?}"
                );
            }
        }
    }

    #[test]
    fn short_suffixes_are_padded() {
        assert_eq!(image(b""), 0);
        assert_eq!(image(&[1, 2]), 0x0102_0000_0000_0000);
        assert_eq!(image(&[1, 2, 3, 4, 5, 6, 7]), 0x0102_0304_0506_0700);
        assert_eq!(image(&[1, 2, 3, 4, 5, 6, 7, 8, 9]), 0x0102_0304_0506_0708);
    }
}
