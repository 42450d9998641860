//! Warm all: every block that a flush or a compaction writes enters the cache. Dead blocks leave at
//! once.
//!
//! Source: RocksDB, `prepopulate_block_cache = kFlushAndCompaction`.
//! State: none.
//! Cost: one insertion into the cache for each block written.
//! Invariants: every output block is offered to the eviction policy.
//! Weak where: the cache is smaller than the output of a few compactions, which then evict the
//! working set. It wins where the whole database fits.

use super::{Asks, Build, OutputBlock, Warming};
use crate::entry::{Entry, NoParams, describe, params};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "warm-all",
    about: "every block that a flush or a compaction writes enters",
    params: describe::<NoParams>,
    build: |spec| params::<NoParams>(spec).map(|NoParams {}| Box::new(WarmAll) as _),
};

struct WarmAll;

impl Warming for WarmAll {
    fn asks(&self) -> Asks {
        Asks::Outputs
    }

    fn warms(&self, _block: &OutputBlock) -> bool {
        true
    }
}
