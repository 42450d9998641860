//! Sets of keys to build an index on: read in one of the usual formats, or drawn from a seed.
//!
//! ```text
//!   bytes --KeyFormat::read()--+
//!                              +--> KeySet: sorted and distinct keys, and what was done to them
//!   name:count --keys(seed)----+
//!
//!   bytes --KeyFormat::read_in_order()--> FileKeys: distinct keys in the order of the file
//! ```
//!
//! An index is built on sorted, distinct keys, so every set is brought into that form. What had to
//! be done is reported: a file that was not sorted, or held keys twice, may not be the file that
//! was meant.

mod format;
mod generated;
mod in_order;
mod strings;

pub use format::{KeyFormat, KeySetError};
pub use generated::{GENERATED, GeneratedError, GeneratedKind, GeneratedSet};
pub use in_order::FileKeys;
pub use strings::StringKeys;

/// The most keys of a set: ranks are 32-bit numbers, and the place after the last key is a rank
/// too.
pub const KEYS_MAX: u64 = u32::MAX as u64 - 1;

/// Keys, sorted and distinct.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keys {
    /// 64-bit numbers.
    Numbers(Vec<u64>),
    /// Strings of bytes, in the order of their bytes.
    Strings(StringKeys),
}

impl Keys {
    /// How many keys there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Numbers(keys) => keys.len(),
            Self::Strings(keys) => keys.len(),
        }
    }

    /// Whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Keys, and what had to be done to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySet {
    /// The keys, sorted and distinct.
    pub keys: Keys,
    /// Keys that were left out because they were there already.
    pub duplicates: u64,
    /// Whether they came in order.
    pub sorted: bool,
}

impl KeySet {
    /// A set of numbers, given in any order.
    ///
    /// ```
    /// use aura_workloads::keyset::{KeySet, Keys};
    ///
    /// let set = KeySet::numbers(vec![3, 1, 3]);
    /// assert_eq!(set.keys, Keys::Numbers(vec![1, 3]));
    /// assert_eq!(set.duplicates, 1);
    /// ```
    pub fn numbers(mut keys: Vec<u64>) -> Self {
        let sorted = keys.is_sorted();
        if !sorted {
            keys.sort_unstable();
        }
        let given = keys.len();
        keys.dedup();
        Self {
            duplicates: (given - keys.len()) as u64,
            sorted,
            keys: Keys::Numbers(keys),
        }
    }

    /// A set of strings, given in any order.
    pub fn strings(keys: StringKeys) -> Self {
        let sorted = keys.iter().is_sorted();
        let given = keys.len();
        let keys = keys.into_sorted_distinct(sorted);
        Self {
            duplicates: (given - keys.len()) as u64,
            sorted,
            keys: Keys::Strings(keys),
        }
    }
}
