//! Warm flush: what a flush writes enters the cache; what a compaction writes waits to be asked for.
//!
//! Source: RocksDB, `prepopulate_block_cache = kFlushOnly`. Dead blocks leave at once.
//! State: none.
//! Cost: one insertion into the cache for each block flushed.
//! Invariants: an output block enters if and only if it comes from a memtable.
//! Weak where: recent writes are not read soon; each flushed block then costs a useful one its place.

use super::{Asks, Build, OutputBlock, Warming};
use crate::entry::{Entry, NoParams, describe, params};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "warm-flush",
    about: "what a flush writes enters the cache (RocksDB, prepopulate_block_cache = kFlushOnly)",
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
