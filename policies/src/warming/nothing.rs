//! Nothing: a compaction does not touch the cache. Blocks of replaced tables stay until they are
//! evicted.
//!
//! Source: what a cache keyed by file does by itself (LevelDB); the null policy of this family.
//! State: none.
//! Cost: none; the bytes of dead blocks are lost to live ones until eviction finds them.
//! Invariants: no output block enters, and no dead block leaves early.
//! Weak where: compactions are frequent compared with the cache's turnover, since much of the cache
//! is then dead.

use super::{Build, Warming};
use crate::entry::{Entry, NoParams, describe, params};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "nothing",
    about: "dead blocks stay until they are evicted; new blocks enter when requested",
    params: describe::<NoParams>,
    build: |spec| params::<NoParams>(spec).map(|NoParams {}| Box::new(Nothing) as _),
};

struct Nothing;

impl Warming for Nothing {
    fn drops_dead(&self) -> bool {
        false
    }
}
