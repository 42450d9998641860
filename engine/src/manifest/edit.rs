//! One change of the set of live files, and how it makes a version out of the one before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aura_policies::facts::{RunId, TableFacts, TableId};

use super::{Run, Version};
use crate::ranges::RangeTombstone;
use crate::storage::Sequence;
use crate::table::Table;
use crate::values::{Extents, Garbage, ValueFacts, ValueFile, ValueFileState};
use crate::wal::LogPart;

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
    /// Every write up to this one is in the tables and range tombstones, none after it is.
    pub(crate) sequence: Option<Sequence>,
    /// How far logs are known to be on the device.
    pub(crate) logs_durable: Vec<LogPart>,
    /// Tables that leave, with their level.
    pub(crate) removed: Vec<(usize, TableId)>,
    /// Tables that join.
    pub(crate) added: Vec<AddedTable>,
    /// Run limits that an agent has set; 0 takes the layout's again.
    pub(crate) runs_max: Vec<(usize, u32)>,
    /// Value files that are created.
    pub(crate) values_opened: Vec<u64>,
    /// Value files that never grow again, with their bytes: all is durable, and pointed at by tables or garbage.
    pub(crate) values_sealed: Vec<(u64, u64)>,
    /// Value files that may still grow, and up to where their frames are pointed at by tables, or garbage.
    pub(crate) values_settled: Vec<(u64, u64)>,
    /// Value files whose live frames were copied, and the file on disk that holds them now. What was garbage is gone.
    pub(crate) values_moved: Vec<(u64, u64)>,
    /// Parts of value files that became garbage.
    pub(crate) values_dead: Garbage,
    /// Value files that hold only garbage.
    pub(crate) values_removed: Vec<u64>,
    /// Range tombstones that may hide something in a table.
    pub(crate) ranges_added: Vec<RangeTombstone>,
    /// Range tombstones that hide nothing any more.
    pub(crate) ranges_removed: BTreeSet<Sequence>,
    /// Tables with the version up to which no range tombstone hides anything in them.
    pub(crate) table_swept: Vec<(TableId, Sequence)>,
}

impl Edit {
    /// Adds to a change of `version`'s tables what it means for the range tombstones, `fresh` ones included: which join, and
    /// which leave because no table needs them or newer ones serve as well. The tables that join have been swept up to
    /// `swept`, those that only move up to what they were. `snapshots` are held, in order; they were read after `version`
    /// was.
    ///
    /// It stays right when other edits come first: they move entries between tables, and add none that a tombstone of
    /// `version` or `fresh` hides.
    pub(crate) fn settle_ranges(
        &mut self,
        version: &Version,
        fresh: &[RangeTombstone],
        swept: Sequence,
        snapshots: &[Sequence],
    ) {
        let ranges = version.ranges.changed(fresh, &BTreeSet::new());
        if ranges.is_empty() {
            return;
        }
        let swept_of = |id: TableId| version.swept.get(&id).copied();
        for added in &self.added {
            self.table_swept
                .push((added.facts.id, swept_of(added.facts.id).unwrap_or(swept)));
        }
        let removed: BTreeSet<TableId> = self.removed.iter().map(|(_, id)| *id).collect();
        let stay = version
            .tables()
            .map(|(_, table)| table.facts())
            .filter(|facts| !removed.contains(&facts.id));
        let stay = stay.map(|facts| (facts, swept_of(facts.id).unwrap_or(0)));
        let join = self
            .added
            .iter()
            .map(|added| &added.facts)
            .zip(self.table_swept.iter().map(|(_, swept)| *swept));
        // A tombstone hides nothing in a table all of which is newer.
        let applied = stay
            .chain(join)
            .map(|(it, swept)| (&it.smallest, &it.largest, swept.max(it.sequence_min)));
        let spent = ranges.spent(applied, snapshots);
        self.ranges_added = fresh
            .iter()
            .filter(|it| !spent.contains(&it.sequence))
            .cloned()
            .collect();
        self.ranges_removed = spent
            .intersection(&version.ranges.sequences())
            .copied()
            .collect();
    }

    /// The version after this change. `tables` and `values` hold the files that join, open; value files by their number on
    /// disk.
    ///
    /// # Errors
    /// What is said of value files and cannot be.
    pub(crate) fn apply(
        &self,
        before: &Version,
        tables: &BTreeMap<TableId, Arc<Table>>,
        values: &BTreeMap<u64, Arc<ValueFile>>,
    ) -> Result<Version, String> {
        let mut after = before.clone();
        let deepest = self
            .added
            .iter()
            .map(|table| table.level)
            .chain(self.runs_max.iter().map(|(level, _)| *level))
            .max();
        let levels = deepest.map_or(0, |level| level + 1).max(after.levels.len());
        after.levels.resize_with(levels, Default::default);
        for (level, id) in &self.removed {
            for run in &mut after.levels[*level].runs {
                if run.tables.iter().any(|table| table.facts().id == *id) {
                    Arc::make_mut(run)
                        .tables
                        .retain(|table| table.facts().id != *id);
                }
            }
        }
        for added in &self.added {
            let runs = &mut after.levels[added.level].runs;
            let at = runs
                .iter()
                .position(|run| run.id == added.run)
                .unwrap_or_else(|| {
                    runs.insert(
                        0,
                        Arc::new(Run {
                            id: added.run,
                            tables: Vec::new(),
                        }),
                    );
                    0
                });
            let run = Arc::make_mut(&mut runs[at]);
            let place = run
                .tables
                .partition_point(|table| table.facts().smallest < added.facts.smallest);
            run.tables.insert(place, tables[&added.facts.id].clone());
        }
        for level in &mut after.levels {
            level.runs.retain(|run| !run.tables.is_empty());
        }
        for (level, runs) in &self.runs_max {
            after.levels[*level].runs_max = (*runs > 0).then_some(*runs);
        }
        self.apply_values(&mut after.value_files, values)?;
        self.apply_ranges(&mut after);
        Ok(after)
    }

    /// Adds what makes value file `number` one of `facts`.
    pub(crate) fn add_value_file(&mut self, number: u64, facts: &ValueFacts) {
        self.values_opened.push(number);
        match facts.sealed_bytes {
            Some(bytes) => self.values_sealed.push((number, bytes)),
            None => self.values_settled.push((number, facts.settled)),
        }
        if facts.physical != number {
            self.values_moved.push((number, facts.physical));
        }
        if facts.dead.bytes() > 0 {
            self.values_dead
                .insert(number, facts.dead.ranges().to_vec());
        }
    }

    /// What differs between two edits that each make a whole state out of nothing; None where they make the same files
    /// live.
    pub(crate) fn difference(&self, other: &Self) -> Option<String> {
        let normal = |edit: &Self| {
            let mut edit = edit.clone();
            edit.wal_min = None;
            edit.next_number = None;
            edit.sequence = None;
            edit.logs_durable.clear();
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
            (edit, runs)
        };
        let ((one, one_runs), (two, two_runs)) = (normal(self), normal(other));
        if one.added != two.added {
            let differs = one
                .added
                .iter()
                .zip(&two.added)
                .find(|(stated, live)| stated != live);
            let counts = format!(
                "{} tables where {} are in force",
                one.added.len(),
                two.added.len()
            );
            let apart = |(stated, live)| format!("{stated:?} where {live:?} is in force");
            return Some(format!("it states {}", differs.map_or(counts, apart)));
        }
        if one_runs != two_runs {
            return Some(format!(
                "by level it states the runs {one_runs:?} where {two_runs:?} are in force"
            ));
        }
        if (&one.ranges_added, &one.table_swept) != (&two.ranges_added, &two.table_swept) {
            return Some(
                "its range tombstones, or what they were applied to, are not those in force"
                    .to_owned(),
            );
        }
        (one != two).then(|| "its value files or limits of runs are not those in force".to_owned())
    }

    fn apply_ranges(&self, version: &mut Version) {
        if !self.ranges_added.is_empty() || !self.ranges_removed.is_empty() {
            version.ranges = Arc::new(
                version
                    .ranges
                    .changed(&self.ranges_added, &self.ranges_removed),
            );
        }
        for (_, table) in &self.removed {
            version.swept.remove(table);
        }
        version.swept.extend(self.table_swept.iter().copied());
        if version.ranges.is_empty() {
            // What is to come is newer than all that it could tell of.
            version.swept.clear();
        }
    }

    fn apply_values(
        &self,
        states: &mut BTreeMap<u64, ValueFileState>,
        files: &BTreeMap<u64, Arc<ValueFile>>,
    ) -> Result<(), String> {
        let mut facts = states
            .iter()
            .map(|(number, state)| (*number, state.facts.clone()))
            .collect();
        self.change_values(&mut facts)?;
        let state = |(number, facts): (u64, ValueFacts)| {
            let known = states
                .get(&number)
                .filter(|state| state.file.number == facts.physical);
            let file = known.map_or_else(
                || files[&facts.physical].clone(),
                |state| state.file.clone(),
            );
            (
                number,
                ValueFileState {
                    number,
                    facts,
                    file,
                },
            )
        };
        *states = facts.into_iter().map(state).collect();
        Ok(())
    }

    /// Makes the changes to value files. What cannot be is said.
    pub(crate) fn change_values(
        &self,
        files: &mut BTreeMap<u64, ValueFacts>,
    ) -> Result<(), String> {
        files.extend(
            self.values_opened
                .iter()
                .map(|file| (*file, ValueFacts::opened(*file))),
        );
        let unknown = |file: u64| format!("an edit names value file {file}, which is not there");
        for (file, physical) in &self.values_moved {
            let facts = files.get_mut(file).ok_or_else(|| unknown(*file))?;
            (facts.physical, facts.dead) = (*physical, Arc::default());
        }
        for (file, bytes) in &self.values_sealed {
            files
                .get_mut(file)
                .ok_or_else(|| unknown(*file))?
                .sealed_bytes = Some(*bytes);
        }
        for (file, bytes) in &self.values_settled {
            files.get_mut(file).ok_or_else(|| unknown(*file))?.settled = *bytes;
        }
        for (file, parts) in &self.values_dead {
            let dead: &mut Extents =
                Arc::make_mut(&mut files.get_mut(file).ok_or_else(|| unknown(*file))?.dead);
            if !dead.add(parts.clone()) {
                return Err(format!(
                    "an edit books a part of value file {file} as garbage that is garbage already"
                ));
            }
        }
        files.retain(|file, _| !self.values_removed.contains(file));
        Ok(())
    }
}
