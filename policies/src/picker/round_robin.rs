//! Round robin: a cursor goes through each level's key space, again and again.
//!
//! Source: LevelDB's compact_pointer_; RocksDB's kRoundRobin.
//! State: for each level, the smallest key of the table that was moved last.
//! Cost: O(log tables of the level) a partial compaction.
//! Invariants: the choice is the first table that begins after the cursor, or the first of all if
//! there is no other.
//! Weak where: some key ranges are hotter than others, since each is moved equally often. The
//! cursors are lost when the database is closed.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{Build, Candidates, Picker};
use crate::entry::{Entry, NoParams, describe, params};
use crate::facts::TableFacts;

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "round-robin",
    about: "a cursor through each level's key space (LevelDB; RocksDB's kRoundRobin)",
    params: describe::<NoParams>,
    build: |spec| params::<NoParams>(spec).map(|NoParams {}| Box::new(RoundRobin::default()) as _),
};

#[derive(Default)]
struct RoundRobin {
    cursors: BTreeMap<usize, Bytes>,
}

impl Picker for RoundRobin {
    fn pick(&self, candidates: &Candidates<'_>) -> usize {
        let tables = candidates.tables;
        let after = match self.cursors.get(&candidates.level) {
            Some(cursor) => tables.partition_point(|table| table.smallest <= *cursor),
            None => 0,
        };
        if after < tables.len() { after } else { 0 }
    }

    fn on_moved(&mut self, level: usize, table: &TableFacts) {
        self.cursors.insert(level, table.smallest.clone());
    }
}
