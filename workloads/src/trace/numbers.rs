//! Numbers for keys: dense from 0, in the order in which keys come.
//!
//! A trace of millions of objects spends most of its loading here, waiting for memory. So the table
//! is small, and keys are numbered in batches: first the places of all keys of a batch are read,
//! which the processor does side by side, then each key is looked up in what is now cached.
//!
//! ```text
//!   slots: open addressing, linear probing, 8 bytes each      keys: by number
//!     lower half of the hash | number + 1; 0 if empty     ->    compared before a match counts
//! ```
//!
//! Cost: 8 bytes an object for its key and 11 to 16 for its slot, with no second table while it
//! grows: the slots are made again from the keys.

use super::{Result, TraceError};

/// Keys that are looked up side by side: more than a processor can wait for at once.
pub(super) const BATCH: usize = 64;

const SLOTS_MIN: usize = 256;

/// What is known of a key before it is looked up.
#[derive(Clone, Copy, Default)]
struct Probe {
    hash: u64,
    /// The first slot with its tag, or the first empty one.
    slot: usize,
    entry: u64,
    /// The key of that slot.
    key: u64,
}

/// Keys by number, and numbers by key.
pub(super) struct Numbers {
    keys: Vec<u64>,
    slots: Vec<u64>,
}

impl Numbers {
    pub(super) fn new() -> Self {
        Self {
            keys: Vec::new(),
            slots: vec![0; SLOTS_MIN],
        }
    }

    /// The keys, by number.
    pub(super) fn into_keys(self) -> Vec<u64> {
        self.keys
    }

    /// The number of `key`; `None` if it has none.
    pub(super) fn find(&self, key: u64) -> Option<u32> {
        let hash = mixed(key);
        let mut slot = self.home(hash);
        loop {
            let entry = self.slots[slot];
            if entry == 0 {
                return None;
            }
            if has_tag(entry, hash) && self.keys[number_of(entry) as usize] == key {
                return Some(number_of(entry));
            }
            slot = self.after(slot);
        }
    }

    /// Appends the numbers of at most [`BATCH`] keys to `numbers`. A key that has none gets the
    /// next.
    pub(super) fn number_all(&mut self, keys: &[u64], numbers: &mut Vec<u32>) -> Result<()> {
        self.make_room(keys.len());
        let mut probes = [Probe::default(); BATCH];
        for (probe, &key) in probes.iter_mut().zip(keys) {
            probe.hash = mixed(key);
            probe.slot = self.home(probe.hash);
        }
        for probe in &mut probes[..keys.len()] {
            probe.entry = self.slots[probe.slot];
            while probe.entry != 0 && !has_tag(probe.entry, probe.hash) {
                probe.slot = self.after(probe.slot);
                probe.entry = self.slots[probe.slot];
            }
        }
        for probe in &mut probes[..keys.len()] {
            if probe.entry != 0 {
                probe.key = self.keys[number_of(probe.entry) as usize];
            }
        }
        for (probe, &key) in probes.iter().zip(keys) {
            let is_found = probe.entry != 0 && probe.key == key;
            numbers.push(match is_found {
                true => number_of(probe.entry),
                // A key before it in the batch may have taken the slot.
                false => self.number_from(probe, key)?,
            });
        }
        Ok(())
    }

    /// The number of a key whose slot is not before that of `probe`.
    fn number_from(&mut self, probe: &Probe, key: u64) -> Result<u32> {
        let mut slot = probe.slot;
        loop {
            let entry = self.slots[slot];
            if entry == 0 {
                break;
            }
            if has_tag(entry, probe.hash) && self.keys[number_of(entry) as usize] == key {
                return Ok(number_of(entry));
            }
            slot = self.after(slot);
        }
        // The last number stands for no object wherever objects are counted.
        let number = u32::try_from(self.keys.len()).unwrap_or(u32::MAX);
        if number == u32::MAX {
            return Err(TraceError::TooManyObjects);
        }
        self.slots[slot] = entry(probe.hash, number);
        self.keys.push(key);
        Ok(number)
    }

    /// Makes room for `more` keys, so that at most three of four slots are full.
    fn make_room(&mut self, more: usize) {
        let keys = self.keys.len() + more;
        if keys * 4 <= self.slots.len() * 3 {
            return;
        }
        let slots = self.slots.len() / 2 * 3;
        // The old slots go before the new ones come.
        self.slots = Vec::new();
        self.slots = vec![0; slots.max(keys * 2)];
        for number in 0..self.keys.len() {
            let hash = mixed(self.keys[number]);
            let mut slot = self.home(hash);
            while self.slots[slot] != 0 {
                slot = self.after(slot);
            }
            self.slots[slot] = entry(hash, number as u32);
        }
    }

    /// The slot where the search for a hash begins: its share of all slots.
    #[inline]
    fn home(&self, hash: u64) -> usize {
        ((u128::from(hash) * self.slots.len() as u128) >> 64) as usize
    }

    #[inline]
    fn after(&self, slot: usize) -> usize {
        let next = slot + 1;
        if next == self.slots.len() { 0 } else { next }
    }
}

#[inline]
fn entry(hash: u64, number: u32) -> u64 {
    (hash << 32) | (u64::from(number) + 1)
}

#[inline]
fn has_tag(entry: u64, hash: u64) -> bool {
    (entry >> 32) as u32 == hash as u32
}

#[inline]
fn number_of(entry: u64) -> u32 {
    (entry as u32).wrapping_sub(1)
}

/// A hash good enough for a table that is never iterated: both halves of a product with an odd
/// constant, twice.
#[inline]
fn mixed(key: u64) -> u64 {
    let folded = |value: u64, by: u64| {
        let product = u128::from(value) * u128::from(by);
        (product >> 64) as u64 ^ product as u64
    };
    let once = folded(key ^ 0x9E37_79B9_7F4A_7C15, 0xD6E8_FEB8_6659_FD93);
    folded(once ^ key.rotate_left(32), 0xA076_1D64_78BD_642F)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::seed::Seed;

    #[test]
    fn numbers_are_those_of_a_map() {
        let mut generator = Seed(3).child("keys").generator();
        let mut keys = Vec::new();
        for at in 0..50_000_u64 {
            keys.push(match at % 4 {
                // Repeated within a batch and beyond it, dense, far apart, and the ends.
                0 => generator.bits() % 3000,
                1 => at,
                2 => generator.bits(),
                _ => [0, u64::MAX, at << 32][(at / 4 % 3) as usize],
            });
        }
        let mut numbers = Numbers::new();
        let mut found = Vec::new();
        for batch in keys.chunks(BATCH) {
            numbers.number_all(batch, &mut found).expect("few keys");
        }
        let mut known = BTreeMap::new();
        for (at, key) in keys.iter().enumerate() {
            let next = known.len() as u32;
            assert_eq!(found[at], *known.entry(*key).or_insert(next), "key {key}");
        }
        for (key, number) in &known {
            assert_eq!(numbers.find(*key), Some(*number));
        }
        assert_eq!(numbers.find(0x1234_5678_9abc), None);
        assert!(numbers.slots.len() < 2 * known.len() + 2 * BATCH + SLOTS_MIN);
        let by_number: BTreeMap<u32, u64> = known.iter().map(|(key, at)| (*at, *key)).collect();
        assert!(numbers.into_keys().into_iter().eq(by_number.into_values()));
    }
}
