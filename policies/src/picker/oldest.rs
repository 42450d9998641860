//! Oldest: the table whose newest entry is the oldest, so that data untouched longest moves down
//! first.
//!
//! Source: RocksDB's kOldestLargestSeqFirst ("oldest largest sequence number first").
//! State: none.
//! Cost: O(tables of the level) a partial compaction.
//! Invariants: no candidate has a smaller largest sequence number; of equal ones, the smallest key
//! wins.
//! Weak where: updates are uniform, since it ignores what the move rewrites.

use super::{Build, Candidates, Picker};
use crate::entry::{Entry, NoParams, describe, params};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "oldest",
    about: "the data untouched longest moves first (RocksDB's kOldestLargestSeqFirst)",
    params: describe::<NoParams>,
    build: |spec| params::<NoParams>(spec).map(|NoParams {}| Box::new(Oldest) as _),
};

struct Oldest;

impl Picker for Oldest {
    fn pick(&self, candidates: &Candidates<'_>) -> usize {
        let tables = candidates.tables.iter().enumerate();
        tables
            .min_by_key(|(_, table)| table.sequence_max)
            .map_or(0, |(index, _)| index)
    }
}
