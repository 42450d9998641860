//! Compensated size: the largest table moves first, and one with many tombstones counts as larger.
//!
//! Source: RocksDB's kByCompensatedSize and VersionStorageInfo::ComputeCompensatedSizes. If at
//! least half of a table's entries are tombstones, each of those above a half counts as twice the
//! average value.
//! Variant: a table's facts hold no bytes of values, so the average is that of all bytes on disk,
//! keys included, over the entries of the candidates that are not tombstones. Values in the value
//! log count by their pointers.
//! State: none.
//! Cost: O(tables of the level) a partial compaction.
//! Invariants: no candidate has a larger compensated size; of equal ones, the smallest key wins.
//! The compensated size is never below the table's bytes.
//! Weak where: tables have about the same size, as full tables do, and nothing is deleted: it then
//! prefers whichever is largest by a few bytes, whatever the move rewrites.

use std::cmp::Reverse;

use super::{Build, Candidates, Picker};
use crate::entry::{Entry, NoParams, describe, params};
use crate::facts::TableFacts;

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "compensated-size",
    about: "the largest table moves first, tombstones weigh more (RocksDB's kByCompensatedSize)",
    params: describe::<NoParams>,
    build: |spec| params::<NoParams>(spec).map(|NoParams {}| Box::new(CompensatedSize) as _),
};

/// RocksDB's kDeletionWeightOnCompaction.
const DELETION_WEIGHT: u128 = 2;

struct CompensatedSize;

impl Picker for CompensatedSize {
    fn pick(&self, candidates: &Candidates<'_>) -> usize {
        let average_bytes = average_bytes(candidates.tables);
        let tables = candidates.tables.iter().enumerate();
        // Of equal sizes, `min_by_key` returns the first.
        tables
            .min_by_key(|(_, table)| Reverse(compensated_bytes(table, average_bytes)))
            .map_or(0, |(index, _)| index)
    }
}

/// Bytes on disk for each entry that is no tombstone; 0 if there is no such entry.
fn average_bytes(tables: &[&TableFacts]) -> u128 {
    let mut bytes = 0;
    let mut values = 0;
    for table in tables {
        bytes += u128::from(table.bytes);
        values += u128::from(table.entries.saturating_sub(table.deletions));
    }
    bytes.checked_div(values).unwrap_or(0)
}

fn compensated_bytes(table: &TableFacts, average_bytes: u128) -> u128 {
    let deletions = 2 * u128::from(table.deletions);
    let over_half = deletions.saturating_sub(u128::from(table.entries));
    u128::from(table.bytes).saturating_add(
        over_half
            .saturating_mul(average_bytes)
            .saturating_mul(DELETION_WEIGHT),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::key_of_number;

    fn table(bytes: u64, entries: u64, deletions: u64) -> TableFacts {
        TableFacts {
            entries,
            deletions,
            ..TableFacts::sized(1, key_of_number(1), key_of_number(2), bytes)
        }
    }

    /// Worked by hand from RocksDB's formula: size + (2 x deletions - entries) x average x 2.
    #[test]
    fn tombstones_above_a_half_count_as_two_average_values() {
        for (deletions, expected) in [(0, 1000), (49, 1000), (50, 1000), (51, 1080), (100, 5000)] {
            let bytes = compensated_bytes(&table(1000, 100, deletions), 20);
            assert_eq!(bytes, expected, "{deletions} of 100");
        }
    }

    #[test]
    fn nothing_overflows_and_only_tombstones_have_no_average() {
        let most = table(u64::MAX, u64::MAX, u64::MAX);
        assert_eq!(average_bytes(&[&most, &most]), 0);
        assert!(compensated_bytes(&most, u128::MAX) >= u128::from(u64::MAX));
        assert_eq!(average_bytes(&[&table(100, 10, 5), &table(50, 5, 5)]), 30);
    }
}
