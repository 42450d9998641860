//! One change of the set of live files, and the version that it produces.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aura_policies::facts::{RunId, TableFacts, TableId};

use super::{Run, Version};
use crate::ranges::{RangeTombstone, SweptSpan};
use crate::storage::Sequence;
use crate::table::Table;
use crate::values::{Extents, Garbage, ValueFacts, ValueFile, ValueFileState};
use crate::wal::LogPart;

/// A table that joins a run. A run that does not exist yet becomes the newest of its level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AddedTable {
    /// Its level.
    pub(crate) level: usize,
    /// Its run.
    pub(crate) run: RunId,
    /// The table.
    pub(crate) facts: Arc<TableFacts>,
}

/// One change. It is applied and logged as a whole or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Edit {
    /// Logs with a smaller number hold only writes that are in tables.
    pub(crate) wal_min: Option<u64>,
    /// All files and runs have smaller numbers.
    pub(crate) next_number: Option<u64>,
    /// Every write up to this sequence number is in the tables and range tombstones, and no later
    /// one.
    pub(crate) sequence: Option<Sequence>,
    /// Parts of logs that are known to be on the device.
    pub(crate) logs_durable: Vec<LogPart>,
    /// Tables that leave, with their levels.
    pub(crate) removed: Vec<(usize, TableId)>,
    /// Tables that join.
    pub(crate) added: Vec<AddedTable>,
    /// Run limits that an agent set, by level; 0 returns to the layout's limit.
    pub(crate) runs_max: Vec<(usize, u32)>,
    /// Value files that were created.
    pub(crate) values_opened: Vec<u64>,
    /// Value files that will not grow any more, with their bytes. Every frame is durable, and
    /// referenced by a table or garbage.
    pub(crate) values_sealed: Vec<(u64, u64)>,
    /// Value files that may still grow, with the end of their accounted frames: every frame before
    /// it is referenced by a table or garbage.
    pub(crate) values_accounted: Vec<(u64, u64)>,
    /// Value files whose live frames were copied, with the file on disk that holds them now. Their
    /// garbage is gone.
    pub(crate) values_moved: Vec<(u64, u64)>,
    /// Parts of value files that became garbage.
    pub(crate) values_dead: Garbage,
    /// Value files that hold only garbage and are removed.
    pub(crate) values_removed: Vec<u64>,
    /// Range tombstones that may hide something in a table.
    pub(crate) ranges_added: Vec<RangeTombstone>,
    /// Range tombstones that no longer hide anything.
    pub(crate) ranges_removed: BTreeSet<Sequence>,
    /// For each table, the sequence number up to which range tombstones hide nothing in it.
    pub(crate) table_swept: Vec<(TableId, Sequence)>,
}

impl Edit {
    /// Adds the consequences for range tombstones to a change of `version`'s tables.
    ///
    /// `fresh` tombstones join, and tombstones leave if no table needs them or newer ones serve as
    /// well. Tables that join have been swept up to `swept`; tables that only move keep what they
    /// had. `snapshots` are the snapshots held, in order; they must be read after `version`.
    ///
    /// The result stays right when other edits are applied first: those move entries between
    /// tables, and add no entry that a tombstone of `version` or `fresh` hides.
    pub(crate) fn retire_ranges(
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
        let mut spans = Vec::new();
        let removed: BTreeSet<TableId> = self.removed.iter().map(|(_, id)| *id).collect();
        for (_, table) in version.tables() {
            let facts = table.facts();
            if !removed.contains(&facts.id) {
                spans.push(SweptSpan::new(facts, swept_of(facts.id).unwrap_or(0)));
            }
        }
        for added in &self.added {
            let swept = swept_of(added.facts.id).unwrap_or(swept);
            self.table_swept.push((added.facts.id, swept));
            spans.push(SweptSpan::new(&added.facts, swept));
        }
        let spent = ranges.spent(&spans, snapshots);
        let needed = fresh.iter().filter(|it| !spent.contains(&it.sequence));
        self.ranges_added = needed.cloned().collect();
        let known = version.ranges.sequences();
        self.ranges_removed = spent.intersection(&known).copied().collect();
    }

    /// Returns the version after this change. `tables` and `values` hold the files that join,
    /// already open; value files are keyed by their number on disk.
    ///
    /// # Errors
    /// A description of the first inconsistent change of a value file.
    pub(crate) fn apply(
        &self,
        before: &Version,
        tables: &BTreeMap<TableId, Arc<Table>>,
        values: &BTreeMap<u64, Arc<ValueFile>>,
    ) -> Result<Version, String> {
        let mut after = before.clone();
        let added_levels = self.added.iter().map(|table| table.level);
        let limited_levels = self.runs_max.iter().map(|(level, _)| *level);
        let deepest = added_levels.chain(limited_levels).max();
        let levels = deepest.map_or(0, |level| level + 1);
        let levels = levels.max(after.levels.len());
        after.levels.resize_with(levels, Default::default);
        for (level, id) in &self.removed {
            for run in &mut after.levels[*level].runs {
                let is_removed = |table: &Arc<Table>| table.facts().id == *id;
                if run.tables.iter().any(is_removed) {
                    let tables = &mut Arc::make_mut(run).tables;
                    tables.retain(|table| !is_removed(table));
                }
            }
        }
        for added in &self.added {
            let runs = &mut after.levels[added.level].runs;
            let known = runs.iter().position(|run| run.id == added.run);
            if known.is_none() {
                let run = Run {
                    id: added.run,
                    tables: Vec::new(),
                };
                runs.insert(0, Arc::new(run));
            }
            let at = known.unwrap_or(0);
            let run = Arc::make_mut(&mut runs[at]);
            let smallest = &added.facts.smallest;
            let is_before = |table: &Arc<Table>| table.facts().smallest < *smallest;
            let place = run.tables.partition_point(is_before);
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

    /// Adds the fields that create value file `number` with these facts.
    pub(crate) fn add_value_file(&mut self, number: u64, facts: &ValueFacts) {
        self.values_opened.push(number);
        match facts.sealed_bytes {
            Some(bytes) => self.values_sealed.push((number, bytes)),
            None => self.values_accounted.push((number, facts.accounted)),
        }
        if facts.physical != number {
            self.values_moved.push((number, facts.physical));
        }
        if facts.dead.bytes() > 0 {
            let dead = facts.dead.ranges().to_vec();
            self.values_dead.insert(number, dead);
        }
    }

    /// Compares two edits that each create a whole state. Returns how this one differs from
    /// `other`, the state in force, or `None` if they make the same files live.
    pub(crate) fn difference(&self, other: &Self) -> Option<String> {
        let stated = WholeState::of(self);
        let live = WholeState::of(other);
        if stated.edit.added != live.edit.added {
            return Some(differing_tables(&stated.edit.added, &live.edit.added));
        }
        if stated.runs != live.runs {
            return Some(format!(
                "by level it states the runs {:?}, but {:?} are in force",
                stated.runs, live.runs
            ));
        }
        if stated.edit.ranges_added != live.edit.ranges_added
            || stated.edit.table_swept != live.edit.table_swept
        {
            let what = "its range tombstones, or the tables swept by them, are not those in force";
            return Some(what.to_owned());
        }
        if stated.edit != live.edit {
            return Some("its value files or run limits are not those in force".to_owned());
        }
        None
    }

    fn apply_ranges(&self, version: &mut Version) {
        if !self.ranges_added.is_empty() || !self.ranges_removed.is_empty() {
            let changed = version
                .ranges
                .changed(&self.ranges_added, &self.ranges_removed);
            version.ranges = Arc::new(changed);
        }
        for (_, table) in &self.removed {
            version.swept.remove(table);
        }
        version.swept.extend(self.table_swept.iter().copied());
        if version.ranges.is_empty() {
            // Future tombstones are newer than all entries that this map is about.
            version.swept.clear();
        }
    }

    fn apply_values(
        &self,
        states: &mut BTreeMap<u64, ValueFileState>,
        files: &BTreeMap<u64, Arc<ValueFile>>,
    ) -> Result<(), String> {
        let mut facts = BTreeMap::new();
        for (number, state) in &*states {
            facts.insert(*number, state.facts.clone());
        }
        self.change_values(&mut facts)?;
        let mut after = BTreeMap::new();
        for (number, facts) in facts {
            let file = match states.get(&number) {
                Some(state) if state.file.number == facts.physical => state.file.clone(),
                _ => files[&facts.physical].clone(),
            };
            let state = ValueFileState {
                number,
                facts,
                file,
            };
            after.insert(number, state);
        }
        *states = after;
        Ok(())
    }

    /// Applies the changes to the facts of value files.
    ///
    /// # Errors
    /// A description of the first inconsistent change.
    pub(crate) fn change_values(
        &self,
        files: &mut BTreeMap<u64, ValueFacts>,
    ) -> Result<(), String> {
        for file in &self.values_opened {
            files.insert(*file, ValueFacts::opened(*file));
        }
        for (file, physical) in &self.values_moved {
            let facts = facts_of(files, *file)?;
            facts.physical = *physical;
            facts.dead = Arc::default();
        }
        for (file, bytes) in &self.values_sealed {
            facts_of(files, *file)?.sealed_bytes = Some(*bytes);
        }
        for (file, bytes) in &self.values_accounted {
            facts_of(files, *file)?.accounted = *bytes;
        }
        for (file, extents) in &self.values_dead {
            let dead: &mut Extents = Arc::make_mut(&mut facts_of(files, *file)?.dead);
            if !dead.add(extents.clone()) {
                return Err(format!(
                    "an edit books an extent of value file {file} as garbage for the second time"
                ));
            }
        }
        files.retain(|file, _| !self.values_removed.contains(file));
        Ok(())
    }
}

/// Finds the facts of a value file that an edit changes.
fn facts_of(files: &mut BTreeMap<u64, ValueFacts>, file: u64) -> Result<&mut ValueFacts, String> {
    let facts = files.get_mut(&file);
    facts.ok_or_else(|| format!("an edit names value file {file}, which does not exist"))
}

/// An edit that creates a whole state, in a form that can be compared.
struct WholeState {
    /// The edit, with tables in the order of their numbers.
    edit: Edit,
    /// The runs of each level, in the order in which they join.
    runs: BTreeMap<usize, Vec<RunId>>,
}

impl WholeState {
    fn of(edit: &Edit) -> Self {
        let mut edit = edit.clone();
        edit.wal_min = None;
        edit.next_number = None;
        edit.sequence = None;
        edit.logs_durable.clear();
        // Tables of a run are ordered by their keys, in whatever order they joined.
        let mut runs: BTreeMap<usize, Vec<RunId>> = BTreeMap::new();
        for table in &edit.added {
            let runs = runs.entry(table.level).or_default();
            if !runs.contains(&table.run) {
                runs.push(table.run);
            }
        }
        edit.added.sort_by_key(|table| table.facts.id);
        edit.runs_max.retain(|(_, runs)| *runs > 0);
        Self { edit, runs }
    }
}

/// Describes the first difference of two lists of tables.
fn differing_tables(stated: &[AddedTable], live: &[AddedTable]) -> String {
    for (stated, live) in stated.iter().zip(live) {
        if stated != live {
            return format!("it states {stated:?}, but {live:?} is in force");
        }
    }
    let stated = stated.len();
    let live = live.len();
    format!("it states {stated} tables, but {live} are in force")
}
