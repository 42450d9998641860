//! Minimum overlap: the table whose move rewrites the least of the next level for each byte moved.
//!
//! Source: RocksDB's kMinOverlappingRatio; Sarkar et al., "Constructing and Analyzing the LSM Compaction Design Space",
//! PVLDB 14(11), 2021 (least overlap with the parent level).
//! State: none.
//! Cost: O(tables of the level + of the next), once a partial compaction.
//! Invariants: no candidate has a smaller ratio of overlapping bytes to own bytes; of equal ones, the smallest key wins.
//! Weak where: a skewed queue leaves dead data in the tables that overlap most; deletions wait as long.

use super::{Build, Candidates, Picker};
use crate::entry::{Entry, NoParams, describe, params};
use crate::facts::TableFacts;

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "min-overlap",
    about: "the smallest overlap with the next level for each byte moved (RocksDB's kMinOverlappingRatio)",
    params: describe::<NoParams>,
    build: |spec| params::<NoParams>(spec).map(|NoParams {}| Box::new(MinOverlap) as _),
};

struct MinOverlap;

impl Picker for MinOverlap {
    fn pick(&mut self, candidates: &Candidates<'_>) -> usize {
        let overlap_bytes = |table: &TableFacts| -> u64 {
            candidates
                .next
                .overlapping(&table.smallest, &table.largest)
                .iter()
                .map(|below| below.bytes)
                .sum()
        };
        // (overlapping bytes, own bytes) of the best so far; its ratio is compared by cross products, exactly.
        let mut best = (0, u128::MAX, 1);
        for (index, table) in candidates.tables.iter().enumerate() {
            let (overlap, own) = (
                u128::from(overlap_bytes(table)),
                u128::from(table.bytes.max(1)),
            );
            if best.1 == u128::MAX || overlap * best.2 < best.1 * own {
                best = (index, overlap, own);
            }
        }
        best.0
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{run, table};
    use super::*;

    #[test]
    fn the_smallest_ratio_wins_and_the_first_of_equals() {
        let next = run(&[
            table(10, 0, 9, 100),
            table(11, 10, 19, 60),
            table(12, 30, 39, 50),
        ]);
        let tables = [
            table(1, 0, 5, 100),
            table(2, 11, 12, 100),
            table(3, 18, 35, 200),
            table(4, 36, 37, 50),
        ];
        let pick = |tables: &[&TableFacts]| {
            MinOverlap.pick(&Candidates {
                level: 1,
                tables,
                next: &next,
            })
        };
        let [a, b, c, d] = &tables;
        // Ratios: 1.0, 0.6, 0.55, 1.0.
        assert_eq!(pick(&[a, b, c, d]), 2);
        assert_eq!(pick(&[a, b, d]), 1);
        assert_eq!(pick(&[a, d]), 0);
    }
}
