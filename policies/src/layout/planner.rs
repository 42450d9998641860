//! The planner that every layout shares: from run limits, capacities and the tree's shape to the
//! most urgent compaction.
//!
//! Source: the flexible LSM-tree of Yu et al., "Learning to Optimize LSM-trees" (RusKey), PACMMOD
//! 1(2), 2023, with the K_i of Dayan and Idreos, "Dostoevsky", SIGMOD 2018. Scores and the estimate
//! of debt follow RocksDB's version_set.cc.
//!
//! - Level 0 is due at `level0_runs_trigger` runs. All of it merges into level 1.
//! - A level with K = 1 is due above its capacity. A level with K > 1 is due at its capacity, or
//!   above K runs.
//! - Between two levels with K = 1, one table moves at a time; the picker chooses it. All other
//!   moves take whole levels. A level below its capacity with too many runs is merged into one run
//!   in place.
//! - Data moves to the level below, or to the one that [`Layout::next_level`] names.
//! - Data that arrives in a level joins its newest run if K = 1 or if that run stays within C / K.
//!   Otherwise it starts a new run.
//! - The most urgent level is tried first. Its score is runs / trigger for level 0, and the larger
//!   of bytes / C and runs / K for the others. No plan names a busy table.
//! - Before all that, a table that is overdue by the picker's word moves on, the shallowest first.
//!   In the deepest level it is rewritten in place, unless a snapshot needs its oldest tombstone:
//!   nothing lies below, so that the merge drops its tombstones.
//! - After all that, a table moves on that is overdue for look-ups in vain, if an older table
//!   overlaps it. In the deepest level its run merges with the older ones.
//!
//! Every plan moves data down a level, lowers a level's number of runs or drops tombstones, so
//! planning ends when writes end. A table that a merge wrote was not asked yet.

use crate::facts::{
    LevelFacts, OutputRun, Plan, PlanInput, Reason, RunFacts, TableFacts, TableId, TreeShape,
};
use crate::layout::Layout;
use crate::layout::deadline::Overdue;
use crate::picker::{Candidates, Picker};

/// Plans by the rules of this module: the default of [`Layout::plan`].
pub(super) fn plan<L: Layout + ?Sized>(
    layout: &L,
    tree: &TreeShape,
    picker: &dyn Picker,
) -> Option<Plan> {
    let limits = Limits::new(layout, tree);
    let overdue = Overdue::new(tree, picker);
    let mut due: Vec<Due> = (0..tree.levels.len())
        .filter_map(|level| limits.due(level, limits.idle_bytes(level)))
        .collect();
    // The sort is stable: of equal scores, the shallower level comes first.
    due.sort_by(|a, b| b.score.total_cmp(&a.score));
    let late = (0..tree.levels.len()).filter_map(|level| limits.overdue(level, &overdue));
    let late: Vec<Due> = late.collect();
    let order = match overdue.come_first() {
        true => [late, due],
        false => [due, late],
    };
    order.into_iter().flatten().find_map(|due| match due.work {
        Work::MergeInPlace => limits.merge_in_place(&due),
        Work::RewriteTable => limits.rewrite_table(&due, &overdue),
        Work::MoveTable => limits.move_table(&due, &overdue),
        Work::MoveLevel => limits.move_level(&due),
    })
}

/// Merges some levels; [`super::plan_merge`] says how.
pub(super) fn plan_merge(tree: &TreeShape, from: usize, to: usize, reason: Reason) -> Option<Plan> {
    let levels = from..to.saturating_add(1).min(tree.levels.len());
    let inputs: Vec<PlanInput> = levels.flat_map(|level| whole_level(tree, level)).collect();
    let in_shape = inputs.len() == 1 && inputs[0].level == to;
    if to == 0 || inputs.is_empty() || in_shape {
        return None;
    }
    Some(Plan {
        inputs,
        level: to,
        run: OutputRun::New,
        reason,
        picked: None,
    })
}

/// A level that needs work.
pub(super) struct Due {
    pub(super) level: usize,
    score: f64,
    pub(super) reason: Reason,
    pub(super) work: Work,
}

pub(super) enum Work {
    /// All runs of the level become one.
    MergeInPlace,
    /// One table is rewritten in its level.
    RewriteTable,
    /// One table goes to the next level.
    MoveTable,
    /// All runs go to the next level.
    MoveLevel,
}

/// What goes to the next level.
struct Moving<'a> {
    inputs: Vec<PlanInput>,
    tables: Vec<&'a TableFacts>,
    picked: Option<TableId>,
}

/// A tree with the limits that its layout and its agent set.
pub(super) struct Limits<'a, L: ?Sized> {
    layout: &'a L,
    tree: &'a TreeShape,
    pub(super) deepest: usize,
}

impl<'a, L: Layout + ?Sized> Limits<'a, L> {
    pub(super) fn new(layout: &'a L, tree: &'a TreeShape) -> Self {
        Self {
            layout,
            tree,
            deepest: tree.deepest(),
        }
    }

    pub(super) fn level(&self, level: usize) -> &'a LevelFacts {
        static EMPTY: LevelFacts = LevelFacts {
            runs: Vec::new(),
            runs_max: None,
            runs_inherited: 0,
        };
        self.tree.levels.get(level).unwrap_or(&EMPTY)
    }

    /// The runs of `level` that hold a table, the newest first.
    fn runs(&self, level: usize) -> impl Iterator<Item = &'a RunFacts> + use<'a, L> {
        self.level(level)
            .runs
            .iter()
            .filter(|run| !run.tables.is_empty())
    }

    /// C_i, and at least 1: with a capacity of 0 a level would be due for ever.
    pub(super) fn capacity_bytes(&self, level: usize) -> u64 {
        self.layout.capacity_bytes(self.tree, level).max(1)
    }

    /// K_i: the agent's if it has set one, else the layout's.
    fn runs_max(&self, level: usize) -> u32 {
        let of_agent = self.level(level).runs_max;
        let runs = of_agent.unwrap_or_else(|| self.layout.runs_max(level, self.deepest.max(level)));
        runs.clamp(1, self.layout.ratio().max(1))
    }

    /// Bytes of `level` that no running compaction moves or rewrites: what is on its way down must
    /// not be counted twice.
    fn idle_bytes(&self, level: usize) -> u64 {
        let tables = self.runs(level).flat_map(|run| &run.tables);
        tables
            .filter(|table| !self.is_busy(table.id))
            .map(|table| table.bytes)
            .sum()
    }

    /// The level that data of `level` moves to.
    pub(super) fn next_level(&self, level: usize) -> usize {
        self.layout.next_level(self.tree, level).max(level + 1)
    }

    /// The tables of `level` that are overdue.
    pub(super) fn overdue_tables(
        &self,
        level: usize,
        overdue: &Overdue<'_>,
    ) -> impl Iterator<Item = &'a TableFacts> {
        let tables = self.runs(level).flat_map(|run| &run.tables);
        tables
            .map(AsRef::as_ref)
            .filter(move |table| overdue.is_overdue(level, table))
    }

    /// The work that the overdue tables of `level` need.
    pub(super) fn overdue(&self, level: usize, overdue: &Overdue<'_>) -> Option<Due> {
        if !overdue.are_possible() {
            return None;
        }
        self.overdue_tables(level, overdue).next()?;
        let runs = self.runs(level).count();
        let work = match (level == self.deepest && level > 0, runs) {
            (true, 1) => Work::RewriteTable,
            (true, _) => Work::MergeInPlace,
            _ if level > 0 && self.moves_tables(level, runs) => Work::MoveTable,
            _ => Work::MoveLevel,
        };
        Some(Due {
            level,
            score: f64::INFINITY,
            reason: Reason::Deadline,
            work,
        })
    }

    /// Whether single tables move out of `level` (>= 1), which holds `runs`.
    fn moves_tables(&self, level: usize, runs: usize) -> bool {
        self.runs_max(level) == 1 && runs <= 1 && self.runs_max(self.next_level(level)) == 1
    }

    fn is_busy(&self, table: TableId) -> bool {
        self.tree.busy.contains(&table)
    }

    /// The work that `level` needs when it holds `bytes`.
    pub(super) fn due(&self, level: usize, bytes: u64) -> Option<Due> {
        let runs = self.runs(level).count();
        if level == 0 {
            let trigger = self.tree.level0_runs_trigger.max(1) as usize;
            let due = Due {
                level,
                score: runs as f64 / trigger as f64,
                reason: Reason::Level0Runs,
                work: Work::MoveLevel,
            };
            return (runs >= trigger).then_some(due);
        }
        let capacity = self.capacity_bytes(level);
        let runs_max = self.runs_max(level);
        let runs_allowed = runs_max.saturating_add(self.level(level).runs_inherited);
        let over_runs = runs > runs_allowed as usize;
        let over_bytes = if runs_max == 1 {
            bytes > capacity
        } else {
            bytes >= capacity
        };
        let work = match (over_runs, over_bytes) {
            (false, false) => return None,
            (true, false) if bytes < capacity => Work::MergeInPlace,
            _ if self.moves_tables(level, runs) => Work::MoveTable,
            _ => Work::MoveLevel,
        };
        let score = (bytes as f64 / capacity as f64).max(runs as f64 / f64::from(runs_allowed));
        let reason = if over_bytes {
            Reason::LevelBytes
        } else {
            Reason::LevelRuns
        };
        Some(Due {
            level,
            score,
            reason,
            work,
        })
    }

    /// The run of `level` that `bytes` more join; `None` if they start a new run.
    pub(super) fn filling(&self, level: usize, bytes: u64) -> Option<&'a RunFacts> {
        let newest = self.runs(level).next()?;
        let runs_max = self.runs_max(level);
        let run_bytes = self.capacity_bytes(level) / u64::from(runs_max);
        let joins = runs_max == 1 || newest.bytes().saturating_add(bytes) <= run_bytes;
        joins.then_some(newest)
    }

    fn merge_in_place(&self, due: &Due) -> Option<Plan> {
        let newest = self.runs(due.level).next()?;
        self.unless_busy(Plan {
            inputs: whole_level(self.tree, due.level),
            level: due.level,
            run: OutputRun::Into(newest.id),
            reason: due.reason,
            picked: None,
        })
    }

    fn move_level(&self, due: &Due) -> Option<Plan> {
        let tables = self.runs(due.level).flat_map(|run| &run.tables);
        let moving = Moving {
            inputs: whole_level(self.tree, due.level),
            tables: tables.map(AsRef::as_ref).collect(),
            picked: None,
        };
        self.move_down(due, moving)
    }

    /// Has an overdue table rewritten in its place.
    fn rewrite_table(&self, due: &Due, overdue: &Overdue<'_>) -> Option<Plan> {
        let run = self.runs(due.level).next()?;
        let tables = self.overdue_tables(due.level, overdue);
        let tables: Vec<&TableFacts> = tables.filter(|table| !self.is_busy(table.id)).collect();
        let table = self.pick(due.level, &tables, &RunFacts::default(), overdue.picker())?;
        Some(Plan {
            inputs: vec![PlanInput {
                level: due.level,
                run: run.id,
                tables: vec![table.id],
            }],
            level: due.level,
            run: OutputRun::Into(run.id),
            reason: due.reason,
            picked: Some(table.id),
        })
    }

    /// The picker's choice among `tables`; `None` if there is no table.
    fn pick<'t>(
        &self,
        level: usize,
        tables: &[&'t TableFacts],
        next: &RunFacts,
        picker: &dyn Picker,
    ) -> Option<&'t TableFacts> {
        if tables.is_empty() {
            return None;
        }
        let picked = picker.pick(&Candidates {
            level,
            tables,
            next,
            tree: self.tree,
        });
        tables.get(picked).copied()
    }

    fn move_table(&self, due: &Due, overdue: &Overdue<'_>) -> Option<Plan> {
        let run = self.runs(due.level).next()?;
        let empty = RunFacts::default();
        let next = self
            .runs(self.next_level(due.level))
            .next()
            .unwrap_or(&empty);
        let is_late = due.reason == Reason::Deadline;
        let movable = |table: &&TableFacts| {
            let below = next.overlapping(&table.smallest, &table.largest);
            !self.is_busy(table.id)
                && !below.iter().any(|below| self.is_busy(below.id))
                && (!is_late || overdue.is_overdue(due.level, table))
        };
        let tables = run.tables.iter().map(AsRef::as_ref);
        let tables: Vec<&TableFacts> = tables.filter(movable).collect();
        let table = self.pick(due.level, &tables, next, overdue.picker())?;
        let input = PlanInput {
            level: due.level,
            run: run.id,
            tables: vec![table.id],
        };
        let moving = Moving {
            inputs: vec![input],
            tables: vec![table],
            picked: Some(table.id),
        };
        self.move_down(due, moving)
    }

    /// The plan that brings `moving` one level down.
    fn move_down(&self, due: &Due, moving: Moving<'_>) -> Option<Plan> {
        let Moving {
            mut inputs,
            tables,
            picked,
        } = moving;
        let level = self.next_level(due.level);
        let bytes = tables.iter().map(|table| table.bytes).sum();
        let run = match self.filling(level, bytes) {
            None => OutputRun::New,
            Some(newest) => {
                let smallest = tables.iter().map(|table| &table.smallest).min()?;
                let largest = tables.iter().map(|table| &table.largest).max()?;
                let overlapping = newest.overlapping(smallest, largest);
                if !overlapping.is_empty() {
                    inputs.push(PlanInput {
                        level,
                        run: newest.id,
                        tables: overlapping.iter().map(|table| table.id).collect(),
                    });
                }
                OutputRun::Into(newest.id)
            }
        };
        self.unless_busy(Plan {
            inputs,
            level,
            run,
            reason: due.reason,
            picked,
        })
    }

    /// `plan`, unless it names a busy table.
    fn unless_busy(&self, plan: Plan) -> Option<Plan> {
        let mut tables = plan.inputs.iter().flat_map(|input| &input.tables);
        let busy = tables.any(|table| self.is_busy(*table));
        (!busy).then_some(plan)
    }
}

/// Every table of `level` as inputs, the newest run first.
pub(super) fn whole_level(tree: &TreeShape, level: usize) -> Vec<PlanInput> {
    let mut inputs = Vec::new();
    for run in &tree.levels[level].runs {
        if !run.tables.is_empty() {
            inputs.push(PlanInput {
                level,
                run: run.id,
                tables: run.tables.iter().map(|table| table.id).collect(),
            });
        }
    }
    inputs
}
