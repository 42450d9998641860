//! Images: keys as numbers, which models compute with.
//!
//! The *image* of a key is the 8 bytes after the common prefix of all keys in the table, as a
//! big-endian number, padded with zeros. Images are ordered like their keys, but different keys may
//! have equal images: *ties*.

pub(super) use crate::storage::{common_prefix, head as image};

/// Collects the images of sorted keys. Their common prefix is known only after the last key.
///
/// Each image is taken after the common prefix so far. When the prefix gets shorter, the earlier
/// images lack the bytes that it lost. Those bytes are the same in all these keys, so `finish` puts
/// them in front of the old images.
#[derive(Default)]
pub(crate) struct Images {
    first: Option<Vec<u8>>,
    prefix: usize,
    values: Vec<u64>,
    /// The lengths of the prefix, each with the first image that used it.
    epochs: Vec<(usize, usize)>,
}

impl Images {
    /// Includes a key in the common prefix without adding its image. The key is not below the
    /// previous ones.
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

    /// Adds the image of a key, which is not below the previous ones.
    pub(crate) fn push(&mut self, key: &[u8]) {
        self.note(key);
        self.values.push(image(&key[self.prefix..]));
    }

    /// Returns the images after the common prefix of all keys.
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
