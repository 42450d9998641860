//! A plan that was found lawful, with the tables it names.

use std::sync::Arc;

use aura_policies::facts::{OutputRun, Plan, Reason, RunId, TableId};

use crate::limiter::Priority;
use crate::sst::Table;
use crate::version::{Run, Version};

/// A compaction to do.
pub(crate) struct Job {
    /// What is read: a run each, cut down to the tables of the plan, the newest first.
    pub(crate) inputs: Vec<(usize, Arc<Run>)>,
    /// The level the output goes to.
    pub(crate) level: usize,
    /// The run the output joins; None for a new one.
    pub(crate) run: Option<RunId>,
    /// Why.
    pub(crate) reason: Reason,
    /// Runs that may hold older versions of the keys that are merged.
    below: Vec<Arc<Run>>,
}

impl Job {
    /// Looks up what a lawful plan names.
    pub(crate) fn new(version: &Version, plan: &Plan) -> Self {
        let ids: Vec<TableId> = plan.inputs.iter().flat_map(|input| input.tables.iter().copied()).collect();
        let target = match plan.run {
            OutputRun::Into(id) => Some(id),
            OutputRun::New => None,
        };
        let mut inputs = Vec::new();
        let mut below = Vec::new();
        // Everything at or after the output's place in the order of age is older than the output.
        let mut after_target = false;
        for (level, it) in version.levels.iter().enumerate() {
            after_target |= level > plan.level || (level == plan.level && target.is_none());
            for run in &it.runs {
                after_target |= level == plan.level && target == Some(run.id);
                let (named, rest): (Vec<_>, Vec<_>) =
                    run.tables.iter().cloned().partition(|table| ids.contains(&table.facts().id));
                if !named.is_empty() {
                    inputs.push((level, Arc::new(Run { id: run.id, tables: named })));
                }
                if after_target && !rest.is_empty() {
                    below.push(Arc::new(Run { id: run.id, tables: rest }));
                }
            }
        }
        Self { inputs, level: plan.level, run: target, reason: plan.reason, below }
    }

    /// The tables that are read.
    pub(crate) fn tables(&self) -> impl Iterator<Item = (usize, &Arc<Table>)> {
        self.inputs.iter().flat_map(|(level, run)| run.tables.iter().map(move |table| (*level, table)))
    }

    /// Bytes of those tables.
    pub(crate) fn bytes(&self) -> u64 {
        self.tables().map(|(_, table)| table.facts().bytes).sum()
    }

    /// Whether the tables can change their level as they are: they come from one run above and meet none they overlap.
    pub(crate) fn is_move(&self) -> bool {
        self.inputs.len() == 1 && self.inputs[0].0 < self.level
    }

    /// Who it goes before when I/O is limited.
    pub(crate) fn priority(&self) -> Priority {
        if self.inputs.iter().any(|(level, _)| *level == 0) { Priority::Level0 } else { Priority::Deep }
    }

    /// Whether no older version of `key` can lie outside the merge.
    pub(crate) fn nothing_below(&self, key: &[u8]) -> bool {
        self.below.iter().all(|run| run.table_for(key).is_none())
    }
}
