//! A lawful plan with the tables it names, and the tables that are dropped without a plan.

use std::collections::BTreeSet;
use std::sync::Arc;

use aura_policies::facts::{
    OutputRun, Plan, PlanInput, Reason, RunId, TableFacts, TableId, TreeShape,
};

use crate::limiter::Priority;
use crate::manifest::{Run, Version};
use crate::ranges::RangeSet;
use crate::storage::Sequence;
use crate::table::Table;

/// What becomes of the tables a job names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JobKind {
    /// They are merged into new ones.
    Merge,
    /// They change their level unchanged: they come from one run above and overlap no other table.
    Move,
    /// They are dropped unread: range tombstones hide all of them.
    Drop,
}

/// A compaction to do.
pub(crate) struct Job {
    /// What is done.
    pub(crate) kind: JobKind,
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
    /// The range tombstones in force when it begins.
    pub(crate) ranges: Arc<RangeSet>,
}

impl Job {
    /// Looks up what a lawful plan names.
    pub(crate) fn new(version: &Version, plan: &Plan) -> Self {
        let ids: Vec<TableId> = plan
            .inputs
            .iter()
            .flat_map(|input| input.tables.iter().copied())
            .collect();
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
                let (named, rest): (Vec<_>, Vec<_>) = run
                    .tables
                    .iter()
                    .cloned()
                    .partition(|table| ids.contains(&table.facts().id));
                if !named.is_empty() {
                    inputs.push((
                        level,
                        Arc::new(Run {
                            id: run.id,
                            tables: named,
                        }),
                    ));
                }
                if after_target && !rest.is_empty() {
                    below.push(Arc::new(Run {
                        id: run.id,
                        tables: rest,
                    }));
                }
            }
        }
        // A manual compaction must rewrite, not move, to drop what range tombstones hide.
        let sweeps = plan.reason == Reason::Manual && !version.ranges.is_empty();
        let moves = inputs.len() == 1 && inputs[0].0 < plan.level && !sweeps;
        let kind = if moves { JobKind::Move } else { JobKind::Merge };
        Self {
            kind,
            inputs,
            level: plan.level,
            run: target,
            reason: plan.reason,
            below,
            ranges: version.ranges.clone(),
        }
    }

    /// The tables that range tombstones hide from everybody, the holders of snapshots included, and
    /// that point at no value. Tables of `busy_levels` stay. None if there is no such table.
    /// O(tables) if there are range tombstones.
    pub(crate) fn drop_hidden(
        version: &Version,
        busy_levels: &BTreeSet<usize>,
        oldest_snapshot: impl FnOnce() -> Sequence,
    ) -> Option<Self> {
        let ranges = version.ranges.clone();
        if ranges.is_empty() {
            return None;
        }
        let oldest = oldest_snapshot();
        let is_hidden = |facts: &TableFacts| {
            facts.separated_bytes == 0
                && ranges.covering(&facts.smallest, &facts.largest, oldest) > facts.sequence_max
        };
        let mut inputs = Vec::new();
        for (level, it) in version
            .levels
            .iter()
            .enumerate()
            .filter(|(level, _)| !busy_levels.contains(level))
        {
            for run in &it.runs {
                let hidden: Vec<_> = run
                    .tables
                    .iter()
                    .filter(|table| is_hidden(table.facts()))
                    .cloned()
                    .collect();
                if !hidden.is_empty() {
                    inputs.push((
                        level,
                        Arc::new(Run {
                            id: run.id,
                            tables: hidden,
                        }),
                    ));
                }
            }
        }
        let level = inputs.first()?.0;
        Some(Self {
            kind: JobKind::Drop,
            inputs,
            level,
            run: None,
            reason: Reason::Manual,
            below: Vec::new(),
            ranges,
        })
    }

    /// The tables that are read.
    pub(crate) fn tables(&self) -> impl Iterator<Item = (usize, &Arc<Table>)> {
        self.inputs
            .iter()
            .flat_map(|(level, run)| run.tables.iter().map(move |table| (*level, table)))
    }

    /// Bytes of those tables.
    pub(crate) fn bytes(&self) -> u64 {
        self.tables().map(|(_, table)| table.facts().bytes).sum()
    }

    /// Its priority when I/O is limited.
    pub(crate) fn priority(&self) -> Priority {
        if self.inputs.iter().any(|(level, _)| *level == 0) {
            Priority::Level0
        } else {
            Priority::Deep
        }
    }

    /// Whether no older version of `key` can lie outside the merge.
    pub(crate) fn nothing_below(&self, key: &[u8]) -> bool {
        self.below.iter().all(|run| run.table_for(key).is_none())
    }
}

/// The plan that merges a tree that is one run already once more, to drop what range tombstones
/// hide; None if the tree is empty.
pub(super) fn plan_again(shape: &TreeShape) -> Option<Plan> {
    let (level, run) = shape
        .levels
        .iter()
        .enumerate()
        .find_map(|(level, it)| Some((level, it.runs.first()?)))?;
    let input = PlanInput {
        level,
        run: run.id,
        tables: run.tables.iter().map(|table| table.id).collect(),
    };
    Some(Plan {
        inputs: vec![input],
        level,
        run: OutputRun::New,
        reason: Reason::Manual,
        picked: None,
    })
}
