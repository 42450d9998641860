//! Most tombstones: the table with the most tombstones moves first, so that they and what they hide
//! leave the tree early.
//!
//! Source: Sarkar et al., "Constructing and Analyzing the LSM Compaction Design Space", PVLDB
//! 14(11), 2021 (tombstone density); Lethe, SIGMOD 2020, picks so where no deadline has passed.
//! State: none.
//! Cost: O(tables of the level and of the next) a partial compaction.
//! Invariants: no candidate holds more tombstones; of equal ones, the least overlap with the next
//! level wins, as in `min-overlap`, and then the smallest key.
//! Weak where: few entries are deleted: it is then `min-overlap`, but for the tables that hold a
//! stray tombstone, which move whatever they rewrite.

use std::cmp::Reverse;

use super::min_overlap::OverlapRatio;
use super::{Build, Candidates, Picker};
use crate::entry::{Entry, NoParams, describe, params};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "most-tombstones",
    about: "the table with the most tombstones moves first (Sarkar et al., PVLDB 2021)",
    params: describe::<NoParams>,
    build: |spec| params::<NoParams>(spec).map(|NoParams {}| Box::new(MostTombstones) as _),
};

struct MostTombstones;

impl Picker for MostTombstones {
    fn pick(&self, candidates: &Candidates<'_>) -> usize {
        let tables = candidates.tables.iter().map(|table| {
            let overlap = OverlapRatio::of(table, candidates);
            (Reverse(table.deletions), overlap)
        });
        // Of equal ones, `min_by` returns the first.
        tables
            .enumerate()
            .min_by(|(_, a), (_, b)| a.0.cmp(&b.0).then_with(|| a.1.cmp(&b.1)))
            .map_or(0, |(index, _)| index)
    }
}
