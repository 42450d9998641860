//! Key hash: all values of a key go to one queue.
//!
//! Source: the hash partitions of HashKV (Chan et al., ATC 2018), where a partition is a group of
//! segments.
//! State: none.
//! Cost: O(1).
//! Invariants: a key keeps its queue while the number of queues stays the same.
//! Weak where: a few keys get most of the writes, since their queue is the bottleneck.

use super::{Build, Placement, ValueFacts};
use crate::entry::{Entry, NoParams, describe, params};
use crate::splitmix::remix;

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "key-hash",
    about: "all values of a key go to one queue (after HashKV, ATC 2018)",
    params: describe::<NoParams>,
    build: |spec| params::<NoParams>(spec).map(|NoParams {}| Box::new(KeyHash) as _),
};

struct KeyHash;

impl Placement for KeyHash {
    fn queue(&self, value: &ValueFacts, queues: u32) -> u32 {
        // Mixed again, so that the choice is independent of other uses of the hash.
        ((u128::from(remix(value.key_hash)) * u128::from(queues)) >> 64) as u32
    }
}
