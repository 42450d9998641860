//! How a stream spells its keys: by number, or as a file lists them.

use std::sync::Arc;

use crate::distributions::Permutation;
use crate::keys::{KeyOrder, KeySpace};
use crate::keyset::FileKeys;
use crate::seed::Seed;

/// Spells the keys of a stream.
#[derive(Clone, Debug)]
pub(crate) enum KeyNames {
    /// By their numbers.
    Spelt {
        space: KeySpace,
        /// No record has this number or a larger one.
        numbers: u64,
    },
    /// Keys of a file.
    Listed {
        keys: Arc<FileKeys>,
        /// The place in the file of each key number; `None` if they are equal.
        places: Option<Permutation>,
    },
}

impl KeyNames {
    pub(crate) fn new(space: &KeySpace, numbers: u64, keys: Option<&Arc<FileKeys>>) -> Self {
        let Some(keys) = keys else {
            return Self::Spelt {
                space: space.clone(),
                numbers,
            };
        };
        // As in the order by a hash, every seed inserts the keys in the same order.
        let seed = Seed(0).child("key-file");
        let is_scattered = space.order == KeyOrder::Hashed;
        Self::Listed {
            places: is_scattered.then(|| Permutation::new(keys.len(), seed)),
            keys: keys.clone(),
        }
    }

    /// Replaces the contents of `key` by the spelling of `number`. Returns false if the file has no
    /// key of that number.
    pub(crate) fn render(&self, number: u64, key: &mut Vec<u8>) -> bool {
        match self {
            Self::Spelt { space, .. } => space.render(number, key),
            Self::Listed { keys, .. } if number >= keys.len() => return false,
            Self::Listed { keys, places } => {
                let place = places.as_ref().map_or(number, |it| it.apply(number));
                keys.copy(place, key);
            }
        }
        true
    }

    /// Replaces the contents of `key` by a key that is never inserted and lies right behind the one
    /// of that number, or anywhere among the keys. Returns false if there is no key of that number.
    pub(crate) fn render_absent(&self, number: u64, key: &mut Vec<u8>) -> bool {
        match self {
            Self::Spelt { space, numbers } => {
                space.render_absent(number, *numbers, key);
                true
            }
            Self::Listed { keys, .. } => {
                let is_there = self.render(number, key);
                // Longer than every key of the file.
                key.resize(keys.longest() + 1, 0);
                is_there
            }
        }
    }
}
