//! Round robin: a cursor goes through each level's key space, again and again.
//!
//! Source: LevelDB's compact_pointer_; RocksDB's kRoundRobin.
//! State: the last chosen table's smallest key, one a level.
//! Cost: O(log tables of the level), once a partial compaction.
//! Invariants: the choice is the first table that begins after the cursor, or the first of all when there is none.
//! Weak where: some key ranges are hotter than others: each is moved equally often. The cursor starts anew on reopening.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{Build, Candidates, Picker};
use crate::entry::{Entry, NoParams, describe, params};

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
    fn pick(&mut self, candidates: &Candidates<'_>) -> usize {
        let tables = candidates.tables;
        let after = match self.cursors.get(&candidates.level) {
            Some(cursor) => tables.partition_point(|table| table.smallest <= *cursor),
            None => 0,
        };
        let index = if after < tables.len() { after } else { 0 };
        if let Some(table) = tables.get(index) {
            self.cursors
                .insert(candidates.level, table.smallest.clone());
        }
        index
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{run, table};
    use super::*;

    #[test]
    fn each_level_has_its_own_cursor_and_it_wraps() {
        let (a, b, c) = (table(1, 0, 9, 1), table(2, 10, 19, 1), table(3, 20, 29, 1));
        let next = run(&[]);
        let mut picker = RoundRobin::default();
        let mut pick = |level, tables: &[&_]| {
            picker.pick(&Candidates {
                level,
                tables,
                next: &next,
            })
        };
        assert_eq!(pick(1, &[&a, &b, &c]), 0);
        assert_eq!(pick(2, &[&a, &b]), 0);
        assert_eq!(pick(1, &[&b, &c]), 0);
        assert_eq!(pick(1, &[&a, &c]), 1);
        assert_eq!(pick(1, &[&a, &b, &c]), 0);
        assert_eq!(pick(2, &[&a, &b]), 1);
    }
}
