//! Evict dead: the blocks of replaced tables leave when the compaction ends; new blocks wait to be asked for.
//!
//! Source: the common practice (RocksDB erases a deleted file's blocks); the baseline that warming has to beat.
//! State: none.
//! Cost: one cache look-up for each block of a replaced table.
//! Invariants: no output block enters; after a compaction no block of its inputs is held, but for one that a reader of an
//! older version is bringing in at that moment.
//! Weak where: what was hot in the inputs is cold in the outputs, and every hot block is read from the device once more.

use super::{Build, Warming};
use crate::entry::{Entry, NoParams, describe, params};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "evict-dead",
    about: "blocks of replaced tables leave at once, new ones wait to be asked for",
    params: describe::<NoParams>,
    build: |spec| params::<NoParams>(spec).map(|NoParams {}| Box::new(EvictDead) as _),
};

struct EvictDead;

impl Warming for EvictDead {}
