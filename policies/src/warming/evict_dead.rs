//! Evict dead: the blocks of replaced tables leave when the compaction ends. New blocks enter when
//! they are requested.
//!
//! Source: common practice (RocksDB erases a deleted file's blocks), and the baseline that warming
//! has to beat.
//! State: none.
//! Cost: one cache look-up for each block of a replaced table.
//! Invariants: no output block enters. After a compaction no block of its inputs is held, except
//! one that a reader of an older version is inserting at that moment.
//! Weak where: the inputs were hot, since every hot block is read from the device once more.

use super::{Build, Warming};
use crate::entry::{Entry, NoParams, describe, params};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "evict-dead",
    about: "blocks of replaced tables leave at once; new blocks enter when requested",
    params: describe::<NoParams>,
    build: |spec| params::<NoParams>(spec).map(|NoParams {}| Box::new(EvictDead) as _),
};

struct EvictDead;

impl Warming for EvictDead {}
