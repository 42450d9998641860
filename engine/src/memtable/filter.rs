//! A Bloom filter over the keys of a memtable, so that a read of a key that the memtable does not
//! hold passes no node of it.
//!
//! All bits of a key lie in one 64-bit word: a probe is one load. The words are atomic and only
//! gain bits, so the writer adds keys while readers probe. A key that is found nowhere else in the
//! memtable passes in 1 to 3 % of cases at 16 bits a key.
//!
//! Source: Putze, Sanders and Singler, "Cache-, Hash- and Space-Efficient Bloom Filters", JEA 2009
//! (register-blocked), used as RocksDB uses its memtable filter.

use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of a memtable for each word of its filter: 16 bits or more for an entry of 128 bytes.
const BYTES_A_WORD: u64 = 512;

/// The most words of a filter.
const WORDS_MAX: u64 = 1 << 26;

/// Bits set for a key.
const PROBES: u32 = 4;

/// The keys that a memtable may hold.
pub(super) struct KeyFilter {
    words: Box<[AtomicU64]>,
}

impl KeyFilter {
    /// Creates an empty filter for a memtable of `bytes` bytes.
    pub(super) fn new(bytes: u64) -> Self {
        let words = (bytes / BYTES_A_WORD).clamp(1, WORDS_MAX);
        Self {
            words: (0..words).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Returns the bytes of memory.
    pub(super) fn bytes(&self) -> u64 {
        self.words.len() as u64 * 8
    }

    /// Returns the word of a hash, which its upper bits choose, and the bits that its lower bits
    /// choose.
    fn place(&self, hash: u64) -> (&AtomicU64, u64) {
        let at = ((hash >> 32) * self.words.len() as u64) >> 32;
        let bits = (0..PROBES).map(|probe| 1 << (hash >> (6 * probe) & 63));
        (&self.words[at as usize], bits.fold(0, |all, bit| all | bit))
    }

    /// Adds a key by its hash. One writer at a time.
    pub(super) fn insert(&self, hash: u64) {
        let (word, bits) = self.place(hash);
        // Relaxed is enough: readers synchronize with the sequence number that is published
        // afterwards.
        word.store(word.load(Ordering::Relaxed) | bits, Ordering::Relaxed);
    }

    /// Returns whether a key of this hash may have been added.
    pub(super) fn may_contain(&self, hash: u64) -> bool {
        let (word, bits) = self.place(hash);
        word.load(Ordering::Relaxed) & bits == bits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::hash_key;

    #[test]
    fn it_holds_every_key_added_and_few_others() {
        let filter = KeyFilter::new(1 << 20);
        let hash = |number: u64| hash_key(&number.to_be_bytes());
        let keys = filter.words.len() as u64 * 64 / 16;
        assert!((0..keys).all(|number| !filter.may_contain(hash(number))));
        (0..keys).for_each(|number| filter.insert(hash(number)));
        assert!((0..keys).all(|number| filter.may_contain(hash(number))));
        let passed = (keys..11 * keys).filter(|number| filter.may_contain(hash(*number)));
        let rate = passed.count() as f64 / (10 * keys) as f64;
        assert!((0.005..0.03).contains(&rate), "{rate}");
    }

    #[test]
    fn the_smallest_filter_has_a_word() {
        let filter = KeyFilter::new(0);
        assert_eq!(filter.bytes(), 8);
        filter.insert(u64::MAX);
        assert!(filter.may_contain(u64::MAX));
    }
}
