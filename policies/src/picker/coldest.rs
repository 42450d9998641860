//! Coldest: the table that is read least for each byte and moment moves first, so that what is read
//! often stays in a shallow level.
//!
//! Source: Sarkar et al., "Constructing and Analyzing the LSM Compaction Design Space", PVLDB
//! 14(11), 2021 (the coldest file).
//! Variant: a read is a look-up or a seek that passed the table's filter. Each table begins with
//! one read in its first microsecond, so that a new table, which nobody could read yet, is not the
//! coldest.
//! State: none; the engine counts look-ups of each table anyway.
//! Cost: O(tables of the level) a partial compaction.
//! Invariants: no candidate has fewer reads for each byte and nanosecond of its life; of equal
//! ones, the smallest key wins.
//! Weak where: reads are uniform, since it ignores what the move rewrites; keys that are read often
//! are written often, since their dead versions stay in the level.

use super::{Asks, Build, Candidates, Picker};
use crate::entry::{Entry, NoParams, describe, params};
use crate::facts::{TableFacts, TableReads};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "coldest",
    about: "the table that is read least for its size and age moves first (Sarkar et al., 2021)",
    params: describe::<NoParams>,
    build: |spec| params::<NoParams>(spec).map(|NoParams {}| Box::new(Coldest) as _),
};

/// The age that is added to that of a table, in nanoseconds.
const YOUTH_NANOS: f64 = 1000.0;

struct Coldest;

impl Picker for Coldest {
    fn pick(&self, candidates: &Candidates<'_>) -> usize {
        let heat = |table: &&TableFacts| {
            let reads = candidates.tree.reads.get(&table.id);
            heat(table.bytes, reads.copied().unwrap_or_default())
        };
        let tables = candidates.tables.iter().map(heat).enumerate();
        // Of equal ones, `min_by` returns the first.
        tables
            .min_by(|(_, a), (_, b)| a.total_cmp(b))
            .map_or(0, |(index, _)| index)
    }

    fn asks(&self) -> Asks {
        Asks::Reads
    }
}

/// Reads for each byte and nanosecond.
fn heat(bytes: u64, reads: TableReads) -> f64 {
    let lookups = reads.lookups as f64 + 1.0;
    lookups / (bytes.max(1) as f64 * (reads.life_nanos as f64 + YOUTH_NANOS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_count_for_each_byte_and_moment() {
        let reads = |lookups, life_nanos| TableReads {
            lookups,
            life_nanos,
            ..TableReads::default()
        };
        let usual = heat(100, reads(1_000, 1_000_000));
        assert!(heat(100, reads(900, 1_000_000)) < usual);
        assert!(heat(200, reads(1_000, 1_000_000)) < usual);
        assert!(heat(100, reads(1_000, 2_000_000)) < usual);
        assert!(
            heat(100, reads(0, 0)) > heat(100, reads(10, 1_000_000)),
            "a new table is not the coldest"
        );
        assert!(heat(0, reads(u64::MAX, u64::MAX)).is_finite());
    }
}
