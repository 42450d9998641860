//! The figures of an open engine: its counters, with the state of its tree at one moment.

use super::Db;
use crate::compaction::ValueLogState;
use crate::index::IndexUse;
use crate::metrics::{LevelState, Metrics};
use crate::models::{IndexRegistry, report};

impl Db {
    /// The registry of models.
    pub(super) fn index_registry(&self) -> IndexRegistry {
        let now = self.core.env().clock.now();
        report(&self.tree.load().version, self.core.index_book(), now)
    }

    /// A copy of the counters and the tree's state.
    pub(super) fn metrics(&self) -> Metrics {
        let state = self.tree.load();
        let mut metrics = Metrics {
            counts: self.core.counters().counts(),
            cache: self.core.cache().stats(),
            memtable_bytes: state.memtable_bytes(),
            memory_peak_bytes: self.core.note_memory(state.memtable_bytes()),
            wal_file_bytes: state
                .memtables()
                .map(|memtable| memtable.logged_bytes())
                .sum(),
            range_tombstones: state.ranges().tombstones(),
            debt_bytes: self.scheduler.debt_bytes(),
            ..Metrics::default()
        };
        metrics
            .levels
            .resize(state.version.levels.len(), LevelState::default());
        for (level, figures) in state.version.levels.iter().zip(&mut metrics.levels) {
            figures.runs = level.runs.len() as u64;
        }
        for (level, table) in state.version.tables() {
            let facts = table.facts();
            let index = table.index_report();
            let figures = &mut metrics.levels[level];
            figures.tables += 1;
            figures.bytes += facts.bytes;
            figures.entries += facts.entries;
            metrics.index_bytes += table.index_bytes();
            metrics.fence_bytes += index.fence_bytes;
            metrics.model_tables += u64::from(index.used == IndexUse::Model);
            metrics.model_segments += index.segments;
            metrics.filter_bytes += table.filter_bytes();
        }
        // A file that cannot be measured counts for nothing.
        for file in state.version.values_on_disk().values() {
            metrics.value_file_bytes += file.bytes().unwrap_or(0);
            metrics.value_files += 1;
        }
        metrics.value_garbage_bytes =
            ValueLogState::of(&state.version).map_or(0, |log| log.garbage_bytes);
        metrics
    }
}
