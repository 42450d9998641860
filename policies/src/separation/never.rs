//! Never: every value stays with its key.
//!
//! Source: the classic LSM-tree, the baseline of key-value separation.
//! State: none.
//! Cost: O(1).
//! Invariants: always false.
//! Weak where: values are large, since each compaction rewrites them.

use super::{Build, Separation};
use crate::entry::{Entry, NoParams, describe, params};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "never",
    about: "every value stays with its key",
    params: describe::<NoParams>,
    build: |spec| params::<NoParams>(spec).map(|NoParams {}| Box::new(Never) as _),
};

struct Never;

impl Separation for Never {
    fn separate(&self, _key_bytes: usize, _value_bytes: usize) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_is_separated() {
        assert!(!Never.separate(0, usize::MAX));
    }
}
