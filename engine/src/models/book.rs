//! Observations of the indexes of dropped tables, by level and index.

use std::collections::BTreeMap;
use std::sync::Mutex;

use aura_policies::tuner::{KindFacts, Observed};

use super::registry::LevelIndexes;
use crate::index::IndexUse;
use crate::manifest::Version;
use crate::sync::lock;
use crate::table::Table;

/// A level, and an index as in the settings.
type LevelModel = (usize, String);

/// The sums over tables that no longer exist.
#[derive(Default)]
pub(crate) struct IndexBook {
    dead: Mutex<BTreeMap<LevelModel, Observed>>,
}

/// Returns what was observed of one table.
fn observed(table: &Table, now: u64) -> Observed {
    let facts = table.facts();
    let index = table.index_report();
    let lookups = table.lookups().read(now);
    Observed {
        tables: 1,
        models: u64::from(index.used == IndexUse::Model),
        refused: u64::from(index.refusal.is_some()),
        keys: facts.entries,
        blocks: index.blocks,
        table_bytes: facts.bytes,
        index_bytes: index.memory_bytes,
        training_nanos: index.training_nanos,
        life_nanos: lookups.life_nanos,
        found: lookups.found,
        absent: lookups.absent,
        probes: lookups.probes,
    }
}

impl IndexBook {
    /// Adds a table of `level` that a compaction has replaced.
    pub(crate) fn retire(&self, level: usize, table: &Table, now: u64) {
        let kind = (level, table.index_report().parameters.clone());
        lock(&self.dead)
            .entry(kind)
            .or_default()
            .add(&observed(table, now));
    }

    /// Restores the sums of earlier openings of the directory.
    pub(super) fn restore(&self, levels: &[LevelIndexes]) {
        let kinds = levels
            .iter()
            .map(|level| ((level.level, level.kind.index.clone()), level.kind.dead));
        lock(&self.dead).extend(kinds);
    }

    /// Returns the sums of each level and index, in that order.
    pub(crate) fn levels(&self, version: &Version, now: u64) -> Vec<LevelIndexes> {
        let mut sums: BTreeMap<LevelModel, (Observed, Observed)> = lock(&self.dead)
            .iter()
            .map(|(kind, dead)| (kind.clone(), (*dead, Observed::default())))
            .collect();
        for (level, table) in version.tables() {
            let kind = (level, table.index_report().parameters.clone());
            sums.entry(kind).or_default().1.add(&observed(table, now));
        }
        let sum = |((level, index), (dead, live))| LevelIndexes {
            level,
            kind: KindFacts { index, dead, live },
        };
        sums.into_iter().map(sum).collect()
    }
}
