//! A tree that flushes and carries out plans with made-up tables, after checking each plan as the engine does.

use std::collections::BTreeSet;
use std::sync::Arc;

use aura_policies::facts::{LevelFacts, OutputRun, Plan, RunFacts, TableFacts, TreeShape};
use bytes::Bytes;

use crate::SplitMix64;

pub(crate) const KEYS: u64 = 1 << 20;

pub(crate) struct Tree {
    pub(crate) shape: TreeShape,
    next_id: u64,
    sequence: u64,
}

fn key(number: u64) -> Bytes {
    Bytes::copy_from_slice(&number.to_be_bytes())
}

fn number(key: &[u8]) -> u64 {
    u64::from_be_bytes(key.try_into().expect("keys have 8 bytes"))
}

impl Tree {
    pub(crate) fn new(base_bytes: u64, level0_runs_trigger: u32) -> Self {
        let shape = TreeShape {
            levels: vec![LevelFacts::default()],
            level0_runs_trigger,
            base_bytes,
            busy: BTreeSet::new(),
        };
        Self {
            shape,
            next_id: 0,
            sequence: 0,
        }
    }

    fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn table(&mut self, smallest: u64, largest: u64, bytes: u64) -> Arc<TableFacts> {
        self.sequence += 1;
        Arc::new(TableFacts {
            id: self.id(),
            bytes,
            entries: bytes,
            deletions: 0,
            separated_bytes: 0,
            smallest: key(smallest),
            largest: key(largest),
            sequence_min: self.sequence,
            sequence_max: self.sequence,
        })
    }

    /// Adds a run of one table to level 0, over a random key range.
    pub(crate) fn flush(&mut self, random: &mut SplitMix64, bytes: u64) {
        let (a, b) = (random.below(KEYS), random.below(KEYS));
        let table = self.table(a.min(b), a.max(b), bytes);
        let id = self.id();
        self.shape.levels[0].runs.insert(
            0,
            RunFacts {
                id,
                tables: vec![table],
            },
        );
    }

    fn inputs(&self, plan: &Plan) -> Result<Vec<(usize, usize, Arc<TableFacts>)>, String> {
        let mut inputs = Vec::new();
        for input in &plan.inputs {
            let runs = self
                .shape
                .levels
                .get(input.level)
                .map_or(&[][..], |level| &level.runs);
            let position = runs
                .iter()
                .position(|run| run.id == input.run)
                .ok_or("an input run is not in its level")?;
            for id in &input.tables {
                let table = runs[position].tables.iter().find(|table| table.id == *id);
                let table = table.ok_or("an input table is not in its run")?;
                if self.shape.busy.contains(id) {
                    return Err(format!("table {id} is busy"));
                }
                inputs.push((input.level, position, Arc::clone(table)));
            }
        }
        let ids: BTreeSet<u64> = inputs.iter().map(|(_, _, table)| table.id).collect();
        let newest_first = inputs.is_sorted_by_key(|(level, run, _)| (*level, *run));
        match (inputs.is_empty(), ids.len() == inputs.len(), newest_first) {
            (true, _, _) => Err("a plan without inputs".to_owned()),
            (_, false, _) => Err("a table is named twice".to_owned()),
            (_, _, false) => Err("the inputs are not newest first".to_owned()),
            (false, true, true) => Ok(inputs),
        }
    }

    /// Whether the plan keeps newer data above older: no input may cross a table that stays and overlaps those crossing.
    pub(crate) fn check(&self, plan: &Plan) -> Result<(), String> {
        let inputs = self.inputs(plan)?;
        let named: BTreeSet<u64> = inputs.iter().map(|(_, _, table)| table.id).collect();
        let runs = self
            .shape
            .levels
            .get(plan.level)
            .map_or(&[][..], |level| &level.runs);
        // Places count double so that a new run has one before the first run of its level.
        let target = match plan.run {
            OutputRun::New => (plan.level, 0),
            OutputRun::Into(id) => {
                let position = runs
                    .iter()
                    .position(|run| run.id == id)
                    .ok_or("the output run is not in its level")?;
                (plan.level, 2 * position + 1)
            }
        };
        for (level, facts) in self.shape.levels.iter().enumerate() {
            for (position, run) in facts.runs.iter().enumerate() {
                let place = (level, 2 * position + 1);
                for staying in run.tables.iter().filter(|table| !named.contains(&table.id)) {
                    let crosses = |(level, position, _): &&(usize, usize, Arc<TableFacts>)| {
                        let from = (*level, 2 * position + 1);
                        place == target
                            || (from < place && place < target)
                            || (target < place && place < from)
                    };
                    let crossing = || inputs.iter().filter(crosses).map(|(_, _, table)| table);
                    let (smallest, largest) = (
                        crossing().map(|table| &table.smallest).min(),
                        crossing().map(|table| &table.largest).max(),
                    );
                    if smallest.zip(largest).is_some_and(|(smallest, largest)| {
                        staying.overlaps_range(smallest, largest)
                    }) {
                        return Err(format!(
                            "inputs cross or meet table {}, which stays",
                            staying.id
                        ));
                    }
                }
            }
        }
        Ok(())
    }

    /// Carries out a lawful plan: as many bytes come out as go in, cut into tables of a quarter of the base.
    pub(crate) fn apply(&mut self, plan: &Plan) {
        let inputs = self.inputs(plan).expect("the plan was checked");
        let named: BTreeSet<u64> = inputs.iter().map(|(_, _, table)| table.id).collect();
        let bytes: u64 = inputs.iter().map(|(_, _, table)| table.bytes).sum();
        let smallest = inputs
            .iter()
            .map(|(_, _, table)| number(&table.smallest))
            .min()
            .expect("inputs");
        let largest = inputs
            .iter()
            .map(|(_, _, table)| number(&table.largest))
            .max()
            .expect("inputs");

        let span = largest - smallest + 1;
        let pieces = bytes
            .div_ceil((self.shape.base_bytes / 4).max(1))
            .clamp(1, span);
        let cut = |total: u64, piece: u64| {
            (u128::from(total) * u128::from(piece) / u128::from(pieces)) as u64
        };
        let output: Vec<_> = (0..pieces)
            .map(|piece| {
                let (from, to) = (
                    smallest + cut(span, piece),
                    smallest + cut(span, piece + 1) - 1,
                );
                self.table(from, to, cut(bytes, piece + 1) - cut(bytes, piece))
            })
            .collect();

        for level in &mut self.shape.levels {
            for run in &mut level.runs {
                run.tables.retain(|table| !named.contains(&table.id));
            }
        }
        if self.shape.levels.len() <= plan.level {
            self.shape
                .levels
                .resize(plan.level + 1, LevelFacts::default());
        }
        let id = self.id();
        let runs = &mut self.shape.levels[plan.level].runs;
        match plan.run {
            OutputRun::New => runs.insert(0, RunFacts { id, tables: output }),
            OutputRun::Into(id) => {
                let run = runs
                    .iter_mut()
                    .find(|run| run.id == id)
                    .expect("the plan was checked");
                run.tables.extend(output);
                run.tables.sort_by(|a, b| a.smallest.cmp(&b.smallest));
            }
        }
        for level in &mut self.shape.levels {
            level.runs.retain(|run| !run.tables.is_empty());
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
