//! Round robin: each value goes to the next queue.
//!
//! Source: the default of RocksDB's blob direct write (2026), where queues are called partitions.
//! State: none; the mechanism numbers the values.
//! Cost: O(1).
//! Invariants: of any successive values, the queues get numbers that differ by at most one.
//! Weak where: sizes differ much, since queues get equal numbers of values, not equal bytes. Hot
//! and cold values share files.

use super::{Build, Placement, ValueFacts};
use crate::entry::{Entry, NoParams, describe, params};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "round-robin",
    about: "each value goes to the next queue (RocksDB's blob direct write)",
    params: describe::<NoParams>,
    build: |spec| params::<NoParams>(spec).map(|NoParams {}| Box::new(RoundRobin) as _),
};

struct RoundRobin;

impl Placement for RoundRobin {
    fn queue(&self, value: &ValueFacts, queues: u32) -> u32 {
        (value.number % u64::from(queues.max(1))) as u32
    }
}
