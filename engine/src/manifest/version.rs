//! The set of live files at one moment: [`Version`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aura_policies::facts::{LevelFacts, RunFacts, RunId, TableId, TreeShape};

use super::Edit;
use crate::error::Result;
use crate::ranges::RangeSet;
use crate::storage::Sequence;
use crate::table::Table;
use crate::values::{ValueFile, ValueFileState};

/// A sorted run.
#[derive(Clone)]
pub(crate) struct Run {
    /// Its number.
    pub(crate) id: RunId,
    /// Its tables, in key order.
    pub(crate) tables: Vec<Arc<Table>>,
}

impl Run {
    /// The table that can hold `key`, if there is one. O(log tables).
    pub(crate) fn table_for(&self, key: &[u8]) -> Option<&Arc<Table>> {
        let at = self
            .tables
            .partition_point(|table| *table.facts().largest < *key);
        self.tables
            .get(at)
            .filter(|table| *table.facts().smallest <= *key)
    }

    /// The facts that policies see.
    pub(crate) fn facts(&self) -> RunFacts {
        RunFacts {
            id: self.id,
            tables: self
                .tables
                .iter()
                .map(|table| table.facts().clone())
                .collect(),
        }
    }
}

/// One level.
#[derive(Clone, Default)]
pub(crate) struct Level {
    /// Its runs, the newest first.
    pub(crate) runs: Vec<Arc<Run>>,
    /// The run limit that an agent has set.
    pub(crate) runs_max: Option<u32>,
}

/// The live files at one moment.
#[derive(Clone, Default)]
pub(crate) struct Version {
    /// The levels.
    pub(crate) levels: Vec<Level>,
    /// The value files, by the number that pointers name.
    pub(crate) value_files: BTreeMap<u64, ValueFileState>,
    /// The range tombstones that may hide something in a table.
    pub(crate) ranges: Arc<RangeSet>,
    /// Of tables, the version up to which no range tombstone hides anything in them; 0 of others.
    pub(crate) swept: BTreeMap<TableId, Sequence>,
}

impl Version {
    /// Every table with its level, the newest data first.
    pub(crate) fn tables(&self) -> impl Iterator<Item = (usize, &Arc<Table>)> {
        self.levels.iter().enumerate().flat_map(|(level, it)| {
            it.runs
                .iter()
                .flat_map(move |run| run.tables.iter().map(move |table| (level, table)))
        })
    }

    /// The value files that `edit` has touched and that hold nothing but garbage now.
    pub(crate) fn values_without_frames(&self, edit: &Edit) -> Result<Vec<u64>> {
        let sealed = edit.values_sealed.iter().map(|(file, _)| file);
        let touched: BTreeSet<&u64> = sealed.chain(edit.values_dead.keys()).collect();
        let mut without = Vec::new();
        for state in touched
            .into_iter()
            .filter_map(|file| self.value_files.get(file))
        {
            if state.is_sealed() && state.live_bytes()? == 0 {
                without.push(state.number);
            }
        }
        Ok(without)
    }

    /// The value files on disk that `after` does not use any more.
    pub(crate) fn values_gone(&self, after: &Self) -> Vec<Arc<ValueFile>> {
        let used: BTreeSet<u64> = after
            .value_files
            .values()
            .map(|state| state.file.number)
            .collect();
        self.values_on_disk()
            .into_iter()
            .filter(|(number, _)| !used.contains(number))
            .map(|(_, file)| file.clone())
            .collect()
    }

    /// The value files on disk, each once.
    pub(crate) fn values_on_disk(&self) -> BTreeMap<u64, &Arc<ValueFile>> {
        self.value_files
            .values()
            .map(|state| (state.file.number, &state.file))
            .collect()
    }

    /// The shape that policies see. O(tables).
    pub(crate) fn shape(&self, level0_runs_trigger: u32, base_bytes: u64) -> TreeShape {
        let level = |level: &Level| LevelFacts {
            runs: level.runs.iter().map(|run| run.facts()).collect(),
            runs_max: level.runs_max,
        };
        TreeShape {
            levels: self.levels.iter().map(level).collect(),
            level0_runs_trigger,
            base_bytes,
            busy: Default::default(),
        }
    }
}
