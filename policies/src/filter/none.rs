//! None: no filter. Every table whose key range fits is read.
//!
//! Source: the baseline.
//! State: none.
//! Cost: no memory, and a block read for every sorted run that does not hold the key.
//! Invariants: nothing is encoded, and nothing can be decoded.
//! Weak where: point reads look for keys in more than one sorted run.

use super::{Build, FilterFacts, FilterPolicy};
use crate::entry::{Entry, NoParams, describe, params};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "none",
    about: "no filter",
    params: describe::<NoParams>,
    build: Build {
        policy: |spec| params::<NoParams>(spec).map(|NoParams {}| Box::new(Unfiltered) as _),
        decode: |_bytes| None,
    },
};

struct Unfiltered;

impl FilterPolicy for Unfiltered {
    fn build(&self, _hashes: &[u64], _facts: &FilterFacts) -> Option<Vec<u8>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_builds_nothing() {
        assert_eq!(Unfiltered.build(&[1, 2], &FilterFacts::default()), None);
    }
}
