//! Read-triggered: a table that is asked in vain often enough moves on though its level is not
//! full, so that one table answers where two were asked.
//!
//! Source: RocksDB's read-triggered compaction (11.2); LevelDB's seek compaction and Pebble's read
//! sampling are kin. Moving a byte down reads and writes it and the F bytes below it: 2 (1 + F)
//! bytes. A look-up in vain that a cache of hit ratio h does not answer reads a block of B bytes.
//! So the move has paid for itself at r = 2 (1 + F) / ((1 - h) B) look-ups in vain a byte: with F =
//! 10, B = 4096 and h = 0.5, at 0.011.
//! Variant: every look-up is counted, none is sampled, and looked at when a window of point reads
//! ends. Only a table that overlaps an older one is overdue: where nothing lies below, nothing is
//! spared.
//! State: none; the engine counts look-ups of each table anyway.
//! Cost: O(tables x log tables) a plan, times the runs; O(tables of the level and of the next) a
//! partial compaction.
//! Invariants: no table is moved for reads before it was asked in vain `reads_per_byte` times a
//! byte; a table that a merge wrote begins at nothing. Of the candidates, the one with the most
//! look-ups in vain a byte wins among those beyond it; if there is no such table, the least overlap
//! with the next level wins.
//! Weak where: filters hold, since few look-ups pass them; scans, which ask every run, are not
//! counted as in vain. A layout that moves whole levels moves all of a level for one table of it.

use super::min_overlap::least_overlap;
use super::{Asks, Build, Candidates, Picker, Waiting};
use crate::PolicySpec;
use crate::entry::{Entry, describe, in_range, params};
use crate::facts::TableFacts;

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "read-triggered",
    about: "what is read in vain often enough moves on; else the least overlap (RocksDB 11.2)",
    params: describe::<Params>,
    build: |spec: &PolicySpec| {
        let Params { reads_per_byte } = params(spec)?;
        in_range(spec, "reads_per_byte", reads_per_byte, 1e-9..=1e9)?;
        Ok(Box::new(ReadTriggered { reads_per_byte }))
    },
};

#[derive(Debug, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Params {
    /// Look-ups in vain for each byte of a table at which it moves on (0.000000001 to 1000000000).
    reads_per_byte: f64,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            reads_per_byte: 0.01,
        }
    }
}

struct ReadTriggered {
    reads_per_byte: f64,
}

impl ReadTriggered {
    /// Look-ups in vain for each byte, if they are enough.
    fn due(&self, table: &TableFacts, misses: u64) -> Option<f64> {
        let of_byte = misses as f64 / table.bytes.max(1) as f64;
        (of_byte >= self.reads_per_byte).then_some(of_byte)
    }
}

impl Picker for ReadTriggered {
    fn pick(&self, candidates: &Candidates<'_>) -> usize {
        let reads = &candidates.tree.reads;
        let due = candidates
            .tables
            .iter()
            .enumerate()
            .filter_map(|(index, table)| {
                let misses = reads.get(&table.id)?.misses;
                Some((self.due(table, misses)?, index))
            });
        // Of equal ones, the first.
        let most = due.reduce(|most, next| if next.0 > most.0 { next } else { most });
        most.map_or_else(|| least_overlap(candidates), |(_, index)| index)
    }

    fn asks(&self) -> Asks {
        Asks::Misses
    }

    fn is_overdue(&self, waiting: &Waiting<'_>) -> bool {
        self.due(waiting.table, waiting.misses).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_out_of_range_are_refused() {
        let build = |value: f64| {
            let spec = PolicySpec::named("read-triggered").with("reads_per_byte", value);
            (ENTRY.build)(&spec)
        };
        assert!(build(0.0).is_err());
        assert!(build(-1.0).is_err());
        assert!(build(1e10).is_err());
        assert!(build(1e-9).is_ok());
    }
}
