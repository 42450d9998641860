//! The set of live files at one moment: the tables of each run of each level, and the value files.
//!
//! A [`Version`] is immutable and shared: a reader that holds one keeps its files. LevelDB
//! introduced versions, edits and the manifest in this form.

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
    /// Returns the table that may hold `key`, if there is one. O(log tables).
    pub(crate) fn table_for(&self, key: &[u8]) -> Option<&Arc<Table>> {
        let largest_is_below = |table: &Arc<Table>| *table.facts().largest < *key;
        let at = self.tables.partition_point(largest_is_below);
        let table = self.tables.get(at)?;
        (*table.facts().smallest <= *key).then_some(table)
    }

    /// Returns the facts that policies see.
    pub(crate) fn facts(&self) -> RunFacts {
        let tables = self.tables.iter();
        RunFacts {
            id: self.id,
            tables: tables.map(|table| table.facts().clone()).collect(),
        }
    }
}

/// One level.
#[derive(Clone, Default)]
pub(crate) struct Level {
    /// Its runs, newest first.
    pub(crate) runs: Vec<Arc<Run>>,
    /// The run limit that an agent has set, if any.
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
    /// For each table, the sequence number up to which range tombstones hide nothing in it. A
    /// missing table has 0.
    pub(crate) swept: BTreeMap<TableId, Sequence>,
}

impl Version {
    /// Iterates over all tables with their levels, newest data first.
    pub(crate) fn tables(&self) -> impl Iterator<Item = (usize, &Arc<Table>)> {
        self.levels.iter().enumerate().flat_map(|(level, it)| {
            it.runs
                .iter()
                .flat_map(move |run| run.tables.iter().map(move |table| (level, table)))
        })
    }

    /// Returns the value files that `edit` touched and that hold only garbage now.
    pub(crate) fn values_without_frames(&self, edit: &Edit) -> Result<Vec<u64>> {
        let sealed = edit.values_sealed.iter().map(|(file, _)| file);
        let touched: BTreeSet<&u64> = sealed.chain(edit.values_dead.keys()).collect();
        let mut without = Vec::new();
        for file in touched {
            let Some(state) = self.value_files.get(file) else {
                continue;
            };
            if state.is_sealed() && state.live_bytes()? == 0 {
                without.push(state.number);
            }
        }
        Ok(without)
    }

    /// Returns the value files on disk that `after` no longer uses.
    pub(crate) fn values_gone(&self, after: &Self) -> Vec<Arc<ValueFile>> {
        let used = after.values_on_disk();
        let mut gone = Vec::new();
        for (number, file) in self.values_on_disk() {
            if !used.contains_key(&number) {
                gone.push(file.clone());
            }
        }
        gone
    }

    /// Returns the value files on disk by their numbers, each once.
    pub(crate) fn values_on_disk(&self) -> BTreeMap<u64, &Arc<ValueFile>> {
        let files = self.value_files.values().map(|state| &state.file);
        files.map(|file| (file.number, file)).collect()
    }

    /// Returns the shape that policies see. O(tables).
    pub(crate) fn shape(&self, level0_runs_trigger: u32, base_bytes: u64) -> TreeShape {
        let level = |level: &Level| LevelFacts {
            runs: level.runs.iter().map(|run| run.facts()).collect(),
            runs_max: level.runs_max,
            runs_inherited: 0,
        };
        TreeShape {
            levels: self.levels.iter().map(level).collect(),
            level0_runs_trigger,
            base_bytes,
            ..TreeShape::default()
        }
    }
}
