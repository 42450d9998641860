//! Keys in the order in which a file has them, each once: what a workload inserts.

use std::cmp::Ordering;
use std::fmt;

use xxhash_rust::xxh3::Xxh3Default;

use super::{Keys, StringKeys};

/// Distinct keys in the order of their first appearance in a file.
///
/// ```
/// use aura_workloads::keyset::KeyFormat;
///
/// let keys = KeyFormat::Lines.read_in_order(&b"pear\napple\npear\n"[..])?;
/// assert_eq!((keys.len(), keys.duplicates()), (2, 1));
/// let mut key = Vec::new();
/// keys.copy(1, &mut key);
/// assert_eq!(key, b"apple");
/// # Ok::<(), aura_workloads::keyset::KeySetError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct FileKeys {
    keys: Keys,
    duplicates: u64,
    longest: usize,
    digest: u128,
}

impl FileKeys {
    /// Keeps the first of equal keys.
    pub(super) fn of(keys: Keys) -> Self {
        let given = keys.len();
        let keys = match keys {
            Keys::Numbers(numbers) => Keys::Numbers(distinct_numbers(numbers)),
            Keys::Strings(strings) => Keys::Strings(distinct_strings(strings)),
        };
        let longest = match &keys {
            Keys::Numbers(_) => size_of::<u64>(),
            Keys::Strings(strings) => strings.iter().map(<[u8]>::len).max().unwrap_or(0),
        };
        let mut file_keys = Self {
            duplicates: (given - keys.len()) as u64,
            longest,
            keys,
            digest: 0,
        };
        file_keys.digest = file_keys.computed_digest();
        file_keys
    }

    /// How many distinct keys there are.
    pub fn len(&self) -> u64 {
        self.keys.len() as u64
    }

    /// Whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Keys that were left out because they were there already.
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// Bytes of the longest key.
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// XXH3 of all keys and their lengths, in order.
    pub fn digest(&self) -> u128 {
        self.digest
    }

    /// Replaces the contents of `key` by the key at a place: a string as it is, a number as eight
    /// bytes, the highest first, so that keys sort as numbers do. Panics past the end, like a
    /// slice.
    pub fn copy(&self, place: u64, key: &mut Vec<u8>) {
        key.clear();
        match &self.keys {
            Keys::Numbers(numbers) => key.extend(numbers[place as usize].to_be_bytes()),
            Keys::Strings(strings) => key.extend_from_slice(strings.get(place as usize)),
        }
    }

    fn computed_digest(&self) -> u128 {
        let mut hasher = Xxh3Default::new();
        let mut key = Vec::new();
        for place in 0..self.len() {
            self.copy(place, &mut key);
            hasher.update(&(key.len() as u64).to_le_bytes());
            hasher.update(&key);
        }
        hasher.digest128()
    }
}

impl fmt::Debug for FileKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} keys, {:032x}", self.len(), self.digest)
    }
}

fn distinct_numbers(numbers: Vec<u64>) -> Vec<u64> {
    if numbers.is_sorted_by(|one, next| one < next) {
        return numbers;
    }
    let firsts = firsts(numbers.len(), |one, other| {
        numbers[one].cmp(&numbers[other])
    });
    let kept = firsts.into_iter().map(|place| numbers[place]);
    kept.collect()
}

fn distinct_strings(strings: StringKeys) -> StringKeys {
    if strings.iter().is_sorted_by(|one, next| one < next) {
        return strings;
    }
    let firsts = firsts(strings.len(), |one, other| {
        strings.get(one).cmp(strings.get(other))
    });
    firsts.into_iter().map(|place| strings.get(place)).collect()
}

/// The places, in order, of all keys that equal no earlier one. O(n log n).
fn firsts(count: usize, compare: impl Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut sorted: Vec<usize> = (0..count).collect();
    sorted.sort_unstable_by(|&one, &other| compare(one, other).then(one.cmp(&other)));
    // Of equal keys the first place comes first.
    sorted.dedup_by(|later, earlier| compare(*later, *earlier).is_eq());
    sorted.sort_unstable();
    sorted
}
