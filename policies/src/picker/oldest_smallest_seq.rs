//! Oldest smallest sequence: the table whose oldest entry is the oldest, so that each key range
//! moves down in turn.
//!
//! Source: RocksDB's kOldestSmallestSeqFirst ("oldest smallest sequence number first").
//! State: none.
//! Cost: O(tables of the level) a partial compaction.
//! Invariants: no candidate has a smaller smallest sequence number; of equal ones, the smallest key
//! wins.
//! Weak where: updates are skewed: a hot range that holds one old entry moves down although it is
//! about to be overwritten. `oldest` asks for the newest entry instead.

use super::{Build, Candidates, Picker};
use crate::entry::{Entry, NoParams, describe, params};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "oldest-smallest-seq",
    about: "the table with the oldest entry moves first (RocksDB's kOldestSmallestSeqFirst)",
    params: describe::<NoParams>,
    build: |spec| params::<NoParams>(spec).map(|NoParams {}| Box::new(OldestSmallestSeq) as _),
};

struct OldestSmallestSeq;

impl Picker for OldestSmallestSeq {
    fn pick(&self, candidates: &Candidates<'_>) -> usize {
        let tables = candidates.tables.iter().enumerate();
        tables
            .min_by_key(|(_, table)| table.sequence_min)
            .map_or(0, |(index, _)| index)
    }
}
