//! Warm flush: every block that a flush writes enters the cache. Blocks that a compaction writes
//! enter when they are requested, and dead blocks leave at once.
//!
//! Source: RocksDB, `prepopulate_block_cache = kFlushOnly`.
//! State: none.
//! Cost: one insertion into the cache for each block flushed.
//! Invariants: an output block enters if and only if it comes from a memtable.
//! Weak where: recent writes are not read soon, since each flushed block then evicts a useful one.

use super::{Asks, Build, OutputBlock, Warming};
use crate::entry::{Entry, NoParams, describe, params};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "warm-flush",
    about: "every block that a flush writes enters (RocksDB, prepopulate_block_cache = kFlushOnly)",
    params: describe::<NoParams>,
    build: |spec| params::<NoParams>(spec).map(|NoParams {}| Box::new(WarmFlush) as _),
};

struct WarmFlush;

impl Warming for WarmFlush {
    fn asks(&self) -> Asks {
        Asks::Outputs
    }

    fn warms(&self, block: &OutputBlock) -> bool {
        block.from_flush
    }
}
