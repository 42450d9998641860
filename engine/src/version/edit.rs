//! One change of the set of live files, and how it makes a version out of the one before.

use std::collections::BTreeMap;
use std::sync::Arc;

use aura_policies::facts::{RunId, TableFacts, TableId};

use super::{Run, ValueFileState, Version};
use crate::sst::Table;
use crate::storage::Sequence;
use crate::vlog::ValueFile;

/// A table that joins a run. A run that is not there yet becomes the newest of its level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AddedTable {
    /// Its level.
    pub(crate) level: usize,
    /// Its run.
    pub(crate) run: RunId,
    /// The table.
    pub(crate) facts: Arc<TableFacts>,
}

/// One change. Applied and logged whole or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Edit {
    /// Logs with a smaller number hold nothing that is not in a table.
    pub(crate) wal_min: Option<u64>,
    /// No file or run has this number or a larger one.
    pub(crate) next_number: Option<u64>,
    /// The largest sequence number in any table.
    pub(crate) sequence: Option<Sequence>,
    /// Tables that leave, with their level.
    pub(crate) removed: Vec<(usize, TableId)>,
    /// Tables that join.
    pub(crate) added: Vec<AddedTable>,
    /// Run limits that an agent has set; 0 takes the layout's again.
    pub(crate) runs_max: Vec<(usize, u32)>,
    /// Value files that are created.
    pub(crate) values_opened: Vec<u64>,
    /// Value files that are full, with their bytes.
    pub(crate) values_sealed: Vec<(u64, u64)>,
    /// Bytes of value files that became garbage.
    pub(crate) values_garbage: Vec<(u64, u64)>,
    /// Value files that hold only garbage.
    pub(crate) values_removed: Vec<u64>,
}

impl Edit {
    /// The version after this change. `tables` and `values` hold the files that join, open.
    ///
    /// The edits of a manifest and of a running engine go through here alike, so that what is read back is what was.
    pub(crate) fn apply(
        &self,
        before: &Version,
        tables: &BTreeMap<TableId, Arc<Table>>,
        values: &BTreeMap<u64, Arc<ValueFile>>,
    ) -> Version {
        let mut after = before.clone();
        let deepest =
            self.added.iter().map(|table| table.level).chain(self.runs_max.iter().map(|(level, _)| *level)).max();
        let levels = deepest.map_or(0, |level| level + 1).max(after.levels.len());
        after.levels.resize_with(levels, Default::default);
        for (level, id) in &self.removed {
            for run in &mut after.levels[*level].runs {
                if run.tables.iter().any(|table| table.facts().id == *id) {
                    Arc::make_mut(run).tables.retain(|table| table.facts().id != *id);
                }
            }
        }
        for added in &self.added {
            let runs = &mut after.levels[added.level].runs;
            let at = runs.iter().position(|run| run.id == added.run).unwrap_or_else(|| {
                runs.insert(0, Arc::new(Run { id: added.run, tables: Vec::new() }));
                0
            });
            let run = Arc::make_mut(&mut runs[at]);
            let place = run.tables.partition_point(|table| table.facts().smallest < added.facts.smallest);
            run.tables.insert(place, tables[&added.facts.id].clone());
        }
        for level in &mut after.levels {
            level.runs.retain(|run| !run.tables.is_empty());
        }
        for (level, runs) in &self.runs_max {
            after.levels[*level].runs_max = (*runs > 0).then_some(*runs);
        }
        self.apply_values(&mut after.value_files, values);
        after
    }

    /// What differs between two edits that each make a whole state out of nothing; None where they make the same files
    /// live.
    pub(crate) fn difference(&self, other: &Self) -> Option<String> {
        let normal = |edit: &Self| {
            let mut edit = edit.clone();
            (edit.wal_min, edit.next_number, edit.sequence) = (None, None, None);
            // In a run tables stand in the order of their keys, whatever the order in which they joined.
            let mut runs: BTreeMap<usize, Vec<RunId>> = BTreeMap::new();
            for table in &edit.added {
                let runs = runs.entry(table.level).or_default();
                if !runs.contains(&table.run) {
                    runs.push(table.run);
                }
            }
            edit.added.sort_by_key(|table| table.facts.id);
            edit.runs_max.retain(|(_, runs)| *runs > 0);
            edit.values_garbage.retain(|(_, bytes)| *bytes > 0);
            (edit, runs)
        };
        let ((one, one_runs), (two, two_runs)) = (normal(self), normal(other));
        let apart = |what: &str, one: String, two: String| Some(format!("{what}: it states {one}, in force is {two}"));
        for (stated, live) in one.added.iter().zip(&two.added) {
            if stated != live {
                return apart("tables", format!("{stated:?}"), format!("{live:?}"));
            }
        }
        if one.added.len() != two.added.len() {
            return apart("tables", one.added.len().to_string(), two.added.len().to_string());
        }
        if one_runs != two_runs {
            return apart("runs by level", format!("{one_runs:?}"), format!("{two_runs:?}"));
        }
        (one != two).then(|| format!("its value files or limits of runs are not those in force: {one:?}, {two:?}"))
    }

    fn apply_values(&self, files: &mut BTreeMap<u64, ValueFileState>, values: &BTreeMap<u64, Arc<ValueFile>>) {
        for number in &self.values_opened {
            let file = values[number].clone();
            files.insert(*number, ValueFileState { file, sealed_bytes: None, garbage_bytes: 0 });
        }
        for (number, bytes) in &self.values_sealed {
            if let Some(state) = files.get_mut(number) {
                state.sealed_bytes = Some(*bytes);
            }
        }
        for (number, bytes) in &self.values_garbage {
            if let Some(state) = files.get_mut(number) {
                state.garbage_bytes += bytes;
            }
        }
        for number in &self.values_removed {
            files.remove(number);
        }
    }
}
