//! Fence: a binary search over the engine's own block index, which has the first key of every
//! block, and no model.
//!
//! Source: the index block of every LSM engine since LevelDB; the baseline of learned indexes.
//! State: none here; the engine keeps the fence keys.
//! Cost: no training; a look-up takes O(log blocks) key comparisons.
//! Invariants: always `Trained::Fence`.
//! Weak where: keys are many and so regular that a few lines find them with less memory.

use super::{Build, IndexPolicy, Trained};
use crate::entry::{Entry, NoParams, describe, params};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "fence",
    about: "binary search over the first key of every block",
    params: describe::<NoParams>,
    build: Build {
        policy: |spec| params::<NoParams>(spec).map(|NoParams {}| Box::new(Fence) as _),
        decode: |_bytes| None,
    },
};

struct Fence;

impl IndexPolicy for Fence {
    fn wants_images(&self) -> bool {
        false
    }

    fn train(&self, _images: &[u64]) -> Trained {
        Trained::Fence
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_wants_no_model() {
        assert_eq!(Fence.train(&[1, 2, 3]), Trained::Fence);
    }
}
