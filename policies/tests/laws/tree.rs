//! A tree of invented tables that flushes and carries out plans, after checking each plan as the
//! engine does.

use std::collections::BTreeSet;
use std::sync::Arc;

use aura_policies::facts::{
    LevelFacts, OutputRun, Plan, RunFacts, TableFacts, TableId, TableReads, TreeShape,
    key_of_number, number_of_key,
};

use crate::SplitMix64;

pub(crate) const KEYS: u64 = 1 << 20;

pub(crate) struct Tree {
    pub(crate) shape: TreeShape,
    next_id: u64,
    /// That of the last write.
    sequence: u64,
}

/// A table that a plan reads.
struct Input {
    level: usize,
    /// The position of its run in the level.
    run: usize,
    table: Arc<TableFacts>,
}

/// Where a run stands among all: a smaller place holds newer data.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    level: usize,
    /// Twice the position of the run, plus 1: a new run stands before the first.
    run: usize,
}

impl Place {
    fn of_run(level: usize, position: usize) -> Self {
        Self {
            level,
            run: 2 * position + 1,
        }
    }

    fn of_new_run(level: usize) -> Self {
        Self { level, run: 0 }
    }
}

impl Tree {
    pub(crate) fn new(base_bytes: u64, level0_runs_trigger: u32) -> Self {
        Self::of(TreeShape {
            levels: vec![LevelFacts::default()],
            level0_runs_trigger,
            base_bytes,
            ..TreeShape::default()
        })
    }

    pub(crate) fn of(shape: TreeShape) -> Self {
        let mut largest = 0;
        for run in shape.levels.iter().flat_map(|level| &level.runs) {
            let tables = run.tables.iter().map(|table| table.id);
            largest = tables.chain([run.id]).fold(largest, u64::max);
        }
        Self {
            sequence: shape.newest_sequence(),
            shape,
            next_id: largest + 1,
        }
    }

    fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id - 1
    }

    fn table(&mut self, smallest: u64, largest: u64, bytes: u64) -> TableFacts {
        let keys = [smallest, largest].map(key_of_number);
        let [smallest, largest] = keys;
        TableFacts::sized(self.id(), smallest, largest, bytes)
    }

    /// Adds a run of one table to level 0, over a random key range.
    pub(crate) fn flush(&mut self, random: &mut SplitMix64, bytes: u64) {
        self.flush_deleting(random, bytes, 0);
    }

    /// Adds a run of one table to level 0, over a random key range. Each of its entries of one byte
    /// has a sequence number; the first `deletions` are tombstones.
    pub(crate) fn flush_deleting(&mut self, random: &mut SplitMix64, bytes: u64, deletions: u64) {
        let a = random.below(KEYS);
        let b = random.below(KEYS);
        let sequence_min = self.sequence + 1;
        self.sequence += bytes;
        let table = TableFacts {
            deletions,
            sequence_min,
            sequence_max: self.sequence,
            ..self.table(a.min(b), a.max(b), bytes)
        };
        let run = RunFacts {
            id: self.id(),
            tables: vec![table.into()],
        };
        self.shape.levels[0].runs.insert(0, run);
    }

    fn runs(&self, level: usize) -> &[RunFacts] {
        self.shape
            .levels
            .get(level)
            .map_or(&[], |level| &level.runs)
    }

    fn inputs(&self, plan: &Plan) -> Result<Vec<Input>, String> {
        let mut inputs = Vec::new();
        for input in &plan.inputs {
            let runs = self.runs(input.level);
            let position = runs.iter().position(|run| run.id == input.run);
            let position = position.ok_or("an input run is not in its level")?;
            for id in &input.tables {
                let table = runs[position].tables.iter().find(|table| table.id == *id);
                let table = table.ok_or("an input table is not in its run")?;
                if self.shape.busy.contains(id) {
                    return Err(format!("table {id} is busy"));
                }
                inputs.push(Input {
                    level: input.level,
                    run: position,
                    table: Arc::clone(table),
                });
            }
        }
        if inputs.is_empty() {
            return Err("a plan without inputs".to_owned());
        }
        if named(&inputs).len() != inputs.len() {
            return Err("a table is named twice".to_owned());
        }
        if !inputs.is_sorted_by_key(|input| (input.level, input.run)) {
            return Err("the inputs are not newest first".to_owned());
        }
        Ok(inputs)
    }

    /// Whether the plan keeps newer data above older: no input may pass a table that stays and
    /// overlaps it.
    pub(crate) fn check(&self, plan: &Plan) -> Result<(), String> {
        let inputs = self.inputs(plan)?;
        let named = named(&inputs);
        let target = match plan.run {
            OutputRun::New => Place::of_new_run(plan.level),
            OutputRun::Into(id) => {
                let position = self.runs(plan.level).iter().position(|run| run.id == id);
                let position = position.ok_or("the output run is not in its level")?;
                Place::of_run(plan.level, position)
            }
        };
        for (level, facts) in self.shape.levels.iter().enumerate() {
            for (position, run) in facts.runs.iter().enumerate() {
                let place = Place::of_run(level, position);
                for staying in &run.tables {
                    if !named.contains(&staying.id) && meets(&inputs, staying, place, target) {
                        return Err(format!(
                            "inputs cross or meet table {}, which stays",
                            staying.id
                        ));
                    }
                }
            }
        }
        let picked_is_read = plan.picked.is_none_or(|picked| named.contains(&picked));
        if !picked_is_read {
            return Err("the picked table is not an input".to_owned());
        }
        Ok(())
    }

    /// Carries out a lawful plan. As many bytes come out as go in, cut into tables of a quarter of
    /// the base. Tombstones stay if a run only moves, a snapshot needs them, or an older table
    /// could hold what they delete. What the inputs of a move were asked in vain counts for each of
    /// its outputs; what a merge wrote was not asked.
    pub(crate) fn apply(&mut self, plan: &Plan) {
        let inputs = self.inputs(plan).expect("the plan was checked");
        let named = named(&inputs);
        let bytes: u64 = inputs.iter().map(|input| input.table.bytes).sum();
        let number = |key: &[u8]| number_of_key(key).expect("keys are numbers");
        let smallest = inputs.iter().map(|input| number(&input.table.smallest));
        let smallest = smallest.min().expect("inputs");
        let largest = inputs.iter().map(|input| number(&input.table.largest));
        let largest = largest.max().expect("inputs");

        let span = largest - smallest + 1;
        let pieces = bytes
            .div_ceil((self.shape.base_bytes / 4).max(1))
            .clamp(1, span);
        let cut = |total: u64, piece: u64| {
            (u128::from(total) * u128::from(piece) / u128::from(pieces)) as u64
        };
        let written = inputs.iter().map(|input| input.table.sequence_min);
        let sequence_min = written.min().expect("inputs");
        let written = inputs.iter().map(|input| input.table.sequence_max);
        let sequence_max = written.max().expect("inputs");
        let oldest_deletion = self.oldest_deletion_after(plan, &inputs);
        let asked = inputs
            .iter()
            .filter_map(|it| self.shape.reads.get(&it.table.id));
        let misses = match self.only_moves(plan, &inputs) {
            true => asked.map(|it| it.misses).sum(),
            false => 0,
        };
        let mut output = Vec::new();
        for piece in 0..pieces {
            let from = smallest + cut(span, piece);
            let to = smallest + cut(span, piece + 1) - 1;
            let bytes = cut(bytes, piece + 1) - cut(bytes, piece);
            let table = TableFacts {
                deletions: u64::from(oldest_deletion.is_some()),
                sequence_min,
                sequence_max,
                ..self.table(from, to, bytes)
            };
            if let Some(sequence) = oldest_deletion {
                self.shape.oldest_deletions.insert(table.id, sequence);
            }
            if misses > 0 {
                let life_nanos = 0;
                let lookups = misses;
                let reads = TableReads {
                    lookups,
                    misses,
                    life_nanos,
                };
                self.shape.reads.insert(table.id, reads);
            }
            output.push(table.into());
        }
        for id in &named {
            self.shape.oldest_deletions.remove(id);
            self.shape.reads.remove(id);
        }

        for level in &mut self.shape.levels {
            for run in &mut level.runs {
                run.tables.retain(|table| !named.contains(&table.id));
            }
        }
        self.place(plan, output);
        for level in &mut self.shape.levels {
            level.runs.retain(|run| !run.tables.is_empty());
        }
    }

    /// Where the output of `plan` goes.
    fn target(&self, plan: &Plan) -> Place {
        match plan.run {
            OutputRun::New => Place::of_new_run(plan.level),
            OutputRun::Into(id) => {
                let position = self.runs(plan.level).iter().position(|run| run.id == id);
                Place::of_run(plan.level, position.expect("the plan was checked"))
            }
        }
    }

    /// Whether `plan` moves tables of one run down and merges nothing.
    fn only_moves(&self, plan: &Plan, inputs: &[Input]) -> bool {
        let first = Place::of_run(inputs[0].level, inputs[0].run);
        let of_one_run = |input: &Input| Place::of_run(input.level, input.run) == first;
        first < self.target(plan) && inputs.iter().all(of_one_run)
    }

    /// The oldest tombstone that a merge of `inputs` writes again, if it writes any.
    fn oldest_deletion_after(&self, plan: &Plan, inputs: &[Input]) -> Option<u64> {
        let named = named(inputs);
        let target = self.target(plan);
        let moves = self.only_moves(plan, inputs);
        let mut older = Vec::new();
        for (level, facts) in self.shape.levels.iter().enumerate() {
            for (position, run) in facts.runs.iter().enumerate() {
                if target <= Place::of_run(level, position) {
                    older.extend(run.tables.iter().filter(|it| !named.contains(&it.id)));
                }
            }
        }
        let stays = |input: &&Input| {
            let snapshot = self.shape.oldest_snapshot;
            let written = self.shape.oldest_deletion(&input.table);
            moves
                || snapshot.is_some_and(|snapshot| written.is_some_and(|it| snapshot < it))
                || older.iter().any(|table| table.overlaps(&input.table))
        };
        let staying = inputs.iter().filter(stays);
        let written = staying.filter_map(|input| self.shape.oldest_deletion(&input.table));
        written.min()
    }

    /// Puts `output` where `plan` wants it.
    fn place(&mut self, plan: &Plan, output: Vec<Arc<TableFacts>>) {
        let levels = &mut self.shape.levels;
        if levels.len() <= plan.level {
            levels.resize(plan.level + 1, LevelFacts::default());
        }
        let id = self.id();
        let runs = &mut self.shape.levels[plan.level].runs;
        match plan.run {
            OutputRun::New => runs.insert(0, RunFacts { id, tables: output }),
            OutputRun::Into(id) => {
                let run = runs.iter_mut().find(|run| run.id == id);
                let run = run.expect("the plan was checked");
                run.tables.extend(output);
                run.tables.sort_by(|a, b| a.smallest.cmp(&b.smallest));
            }
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.shape.levels.iter().map(LevelFacts::bytes).sum()
    }

    pub(crate) fn tables(&self) -> Vec<Arc<TableFacts>> {
        self.shape
            .levels
            .iter()
            .flat_map(|level| &level.runs)
            .flat_map(|run| &run.tables)
            .cloned()
            .collect()
    }
}

fn named(inputs: &[Input]) -> BTreeSet<TableId> {
    inputs.iter().map(|input| input.table.id).collect()
}

/// Whether `staying`, a table of the run at `place`, overlaps the inputs that pass `place` on their
/// way to `target`, or that end there.
fn meets(inputs: &[Input], staying: &TableFacts, place: Place, target: Place) -> bool {
    let mut crossing = Vec::new();
    for input in inputs {
        let from = Place::of_run(input.level, input.run);
        let passes = (from < place && place < target) || (target < place && place < from);
        if passes || place == target {
            crossing.push(&input.table);
        }
    }
    let smallest = crossing.iter().map(|table| &table.smallest).min();
    let largest = crossing.iter().map(|table| &table.largest).max();
    smallest
        .zip(largest)
        .is_some_and(|(smallest, largest)| staying.overlaps_range(smallest, largest))
}
