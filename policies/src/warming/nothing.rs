//! Nothing: a compaction leaves the cache as it is. Blocks of replaced tables stay until they are evicted.
//!
//! Source: what a cache keyed by file does by itself (LevelDB); the null of the family.
//! State: none.
//! Cost: none; the dead blocks' bytes are lost to live ones until eviction finds them.
//! Invariants: no output block enters, no dead block leaves early.
//! Weak where: compactions are frequent against the cache's turnover, so that much of it is dead.

use super::{Build, Warming};
use crate::entry::{Entry, NoParams, describe, params};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "nothing",
    about: "dead blocks stay until they are evicted, new ones wait to be asked for",
    params: describe::<NoParams>,
    build: |spec| params::<NoParams>(spec).map(|NoParams {}| Box::new(Nothing) as _),
};

struct Nothing;

impl Warming for Nothing {
    fn drops_dead(&self) -> bool {
        false
    }
}
