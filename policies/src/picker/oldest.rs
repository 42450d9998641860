//! Oldest: the table whose newest entry is the oldest, so that data untouched longest moves down first.
//!
//! Source: RocksDB's kOldestLargestSeqFirst ("oldest largest sequence number first").
//! State: none.
//! Cost: O(tables of the level), once a partial compaction.
//! Invariants: no candidate has a smaller largest sequence number; of equal ones, the smallest key wins.
//! Weak where: updates are uniform: it does not look at what the move rewrites.

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
    fn pick(&mut self, candidates: &Candidates<'_>) -> usize {
        let tables = candidates.tables.iter().enumerate();
        tables
            .min_by_key(|(_, table)| table.sequence_max)
            .map_or(0, |(index, _)| index)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{run, table};
    use super::*;

    #[test]
    fn the_smallest_of_the_largest_sequence_numbers_wins() {
        let mut tables = [table(1, 0, 9, 1), table(2, 10, 19, 1), table(3, 20, 29, 1)];
        for (table, sequence_max) in tables.iter_mut().zip([30, 20, 20]) {
            table.sequence_max = sequence_max;
        }
        let [a, b, c] = &tables;
        assert_eq!(
            Oldest.pick(&Candidates {
                level: 1,
                tables: &[a, b, c],
                next: &run(&[])
            }),
            1
        );
    }
}
