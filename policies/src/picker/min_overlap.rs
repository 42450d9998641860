//! Minimum overlap: the table whose move rewrites the least of the next level for each byte moved.
//!
//! Source: RocksDB's kMinOverlappingRatio; Sarkar et al., "Constructing and Analyzing the LSM
//! Compaction Design Space", PVLDB 14(11), 2021 (least overlap with the parent level).
//! State: none.
//! Cost: O(tables of the level and of the next) a partial compaction.
//! Invariants: no candidate has a smaller ratio of overlapping bytes to own bytes; of equal ones,
//! the smallest key wins.
//! Weak where: updates are skewed, since dead data stays in the tables that overlap most;
//! tombstones wait as long.

use std::cmp::Ordering;

use super::{Build, Candidates, Picker};
use crate::entry::{Entry, NoParams, describe, params};
use crate::facts::TableFacts;

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "min-overlap",
    about: "the least overlap with the next level for each byte moved (kMinOverlappingRatio)",
    params: describe::<NoParams>,
    build: |spec| params::<NoParams>(spec).map(|NoParams {}| Box::new(MinOverlap) as _),
};

struct MinOverlap;

impl Picker for MinOverlap {
    fn pick(&self, candidates: &Candidates<'_>) -> usize {
        least_overlap(candidates)
    }
}

/// The index of the candidate with the smallest ratio; of equal ones, the first.
pub(super) fn least_overlap(candidates: &Candidates<'_>) -> usize {
    let ratios: Vec<OverlapRatio> = candidates
        .tables
        .iter()
        .map(|table| OverlapRatio::of(table, candidates))
        .collect();
    // Of equal ratios, `min_by` returns the first.
    (0..ratios.len())
        .min_by(|&a, &b| ratios[a].cmp(&ratios[b]))
        .unwrap_or(0)
}

/// Bytes of the next level that a move rewrites, for each byte it moves.
pub(super) struct OverlapRatio {
    overlap_bytes: u64,
    own_bytes: u64,
}

impl OverlapRatio {
    /// That of `table`, one of `candidates`. O(log tables of the next level + overlapping tables).
    pub(super) fn of(table: &TableFacts, candidates: &Candidates<'_>) -> Self {
        let below = candidates.next.overlapping(&table.smallest, &table.largest);
        Self {
            overlap_bytes: below.iter().map(|table| table.bytes).sum(),
            own_bytes: table.bytes.max(1),
        }
    }

    /// Compares by cross products, so that nothing is rounded.
    pub(super) fn cmp(&self, other: &Self) -> Ordering {
        let ours = u128::from(self.overlap_bytes) * u128::from(other.own_bytes);
        let theirs = u128::from(other.overlap_bytes) * u128::from(self.own_bytes);
        ours.cmp(&theirs)
    }
}
