//! Value bytes: cheap to make, as compressible as declared, and checkable without being stored.
//!
//! ```text
//!   0        8                               128                             256
//!   +--------+-----------------+-------------+-----------------+-------------+---
//!   |version | random          | zeros       | random          | zeros       | ...
//!   +--------+-----------------+-------------+-----------------+-------------+---
//!    little   <-- (1 - compressibility) -->
//!    endian        of each 128-byte stripe
//! ```
//!
//! The random bytes follow from the key number and the version, which the value itself carries. A
//! reader can check that a value was written for its key, and in which version. Values shorter than
//! [`CHECKED_MIN`] carry no version; they follow from the key number alone.
//!
//! A compressor leaves about (1 - compressibility) of the bytes, and a few bytes a stripe.
//!
//! The random words are wyrand's (a counter, multiplied and folded; Wang Yi's wyhash, public
//! domain): one multiplication for eight bytes. A pool of random bytes, as in `db_bench`, would
//! repeat itself inside large values.
//!
//! ```
//! use aura_workloads::values;
//!
//! let mut value = Vec::new();
//! values::fill(&mut value, 1000, 17, 5, 0.5);
//! assert_eq!(values::version_of(&value, 17, 0.5), Some(5));
//! value[999] ^= 1;
//! assert_eq!(values::version_of(&value, 17, 0.5), None, "it is damaged");
//! ```

use crate::seed::Seed;

/// The shortest value that carries its version.
pub const CHECKED_MIN: usize = 16;

const STRIPE: usize = 128;
const VERSION: usize = 8;

/// Replaces the contents of `value` by `length` bytes: `version` of the key `number`.
/// `compressibility` is 0 to 1.
pub fn fill(value: &mut Vec<u8>, length: usize, number: u64, version: u64, compressibility: f64) {
    // Only growth needs filler: the bytes kept are overwritten below.
    value.resize(length, 0);
    let mut words = Words::of(number, version, length);
    for (index, stripe) in value.chunks_mut(STRIPE).enumerate() {
        fill_stripe(stripe, index, length, &mut words, version, compressibility);
    }
}

/// The version of the key `number` that `value` is; `None` if [`fill`] did not make it for this key
/// and compressibility. The version of a value shorter than [`CHECKED_MIN`] is 0.
pub fn version_of(value: &[u8], number: u64, compressibility: f64) -> Option<u64> {
    let version = stated_version(value);
    let mut words = Words::of(number, version, value.len());
    let mut expected = [0_u8; STRIPE];
    for (index, stripe) in value.chunks(STRIPE).enumerate() {
        let expected = &mut expected[..stripe.len()];
        fill_stripe(
            expected,
            index,
            value.len(),
            &mut words,
            version,
            compressibility,
        );
        if expected != stripe {
            return None;
        }
    }
    Some(version)
}

/// The version that a value of [`fill`] states; 0 if it is shorter than [`CHECKED_MIN`].
pub fn stated_version(value: &[u8]) -> u64 {
    match value.first_chunk::<VERSION>() {
        Some(&version) if value.len() >= CHECKED_MIN => u64::from_le_bytes(version),
        _ => 0,
    }
}

fn fill_stripe(
    stripe: &mut [u8],
    index: usize,
    length: usize,
    words: &mut Words,
    version: u64,
    compressibility: f64,
) {
    let random = stripe.len() - (stripe.len() as f64 * compressibility.clamp(0.0, 1.0)) as usize;
    let (random, zeros) = stripe.split_at_mut(random);
    words.write(random);
    // Checked first, because filling nothing is a call, too.
    if !zeros.is_empty() {
        zeros.fill(0);
    }
    if index == 0 && length >= CHECKED_MIN {
        stripe[..VERSION].copy_from_slice(&version.to_le_bytes());
    }
}

/// The random words of one value.
struct Words(u64);

impl Words {
    fn of(number: u64, version: u64, length: usize) -> Self {
        let version = if length >= CHECKED_MIN { version } else { 0 };
        Self(Seed(number).numbered(version).0)
    }

    /// Fills `bytes` with the next words, the last of them cut to the room left.
    fn write(&mut self, bytes: &mut [u8]) {
        // A copy, so that the counter stays in a register.
        let mut counter = self.0;
        let mut next = || {
            counter = counter.wrapping_add(0xA076_1D64_78BD_642F);
            let product = u128::from(counter) * u128::from(counter ^ 0xE703_7ED1_A0B4_28DB);
            (product as u64 ^ (product >> 64) as u64).to_le_bytes()
        };
        let (whole, rest) = bytes.as_chunks_mut();
        for word in whole {
            *word = next();
        }
        if !rest.is_empty() {
            rest.copy_from_slice(&next()[..rest.len()]);
        }
        self.0 = counter;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(length: usize, number: u64, version: u64, compressibility: f64) -> Vec<u8> {
        let mut value = b"stale bytes of the value before".to_vec();
        fill(&mut value, length, number, version, compressibility);
        value
    }

    #[test]
    fn a_value_knows_its_key_and_version() {
        for length in [0, 1, 7, 15, 16, 100, 128, 129, 1000, 5000] {
            for compressibility in [0.0, 0.3, 0.5, 1.0] {
                let value = filled(length, 17, 99, compressibility);
                assert_eq!(value.len(), length);
                let version = if length >= CHECKED_MIN { 99 } else { 0 };
                assert_eq!(
                    version_of(&value, 17, compressibility),
                    Some(version),
                    "{length}"
                );
            }
        }
    }

    #[test]
    fn another_key_or_a_flipped_bit_is_noticed() {
        let value = filled(300, 17, 99, 0.5);
        assert_eq!(version_of(&value, 18, 0.5), None);
        assert_eq!(version_of(&value[..299], 17, 0.4), None);
        for at in 0..value.len() {
            let mut damaged = value.clone();
            damaged[at] ^= 4;
            assert_eq!(version_of(&damaged, 17, 0.5), None, "byte {at}");
        }
        assert_eq!(
            version_of(b"x", 17, 0.5).is_some(),
            filled(1, 17, 0, 0.5) == b"x"
        );
    }

    #[test]
    fn versions_differ_everywhere_but_repeat_exactly() {
        let one = filled(4096, 1, 1, 0.0);
        let two = filled(4096, 1, 2, 0.0);
        assert_eq!(one, filled(4096, 1, 1, 0.0));
        let equal = std::iter::zip(&one, &two).filter(|(a, b)| a == b).count();
        assert!(equal < 64, "{equal} of 4096 bytes are equal");
    }

    #[test]
    fn compresses_as_declared() {
        for compressibility in [0.0, 0.25, 0.5, 0.75] {
            for (length, count) in [(100, 160), (16_384, 1), (4 << 20, 1)] {
                let mut block = Vec::new();
                for number in 0..count {
                    let version = Seed(number).generator().bits();
                    block.extend(filled(length, number, version, compressibility));
                }
                let stored = zstd::bulk::compress(&block, 1).unwrap().len() as f64;
                let left = stored / block.len() as f64;
                let error = left - (1.0 - compressibility);
                assert!(
                    (-0.01..0.06).contains(&error),
                    "{compressibility}, {length}: {left}"
                );
            }
        }
    }
}
