//! The planner that every layout shares: from run limits, capacities and the tree's shape to the most urgent merge.
//!
//! Source: the flexible LSM-tree of Yu et al., "Learning to Optimize LSM-trees" (RusKey), PACMMOD 1(2), 2023, with the
//! K_i of Dayan and Idreos, "Dostoevsky", SIGMOD 2018; scores and the debt estimate after RocksDB's version_set.cc.
//!
//! - Level 0 is due at `level0_runs_trigger` runs, and all of it merges into level 1.
//! - A level of one run (K = 1) is due above its capacity; a level of several at its capacity, or above K runs.
//! - Between two levels of one run each, one table moves at a time, the one the picker names. All other moves take
//!   whole levels. A level of too many runs that is under its capacity is merged into one run where it is.
//! - Data that arrives goes into the newest run of its level if K = 1 or the run stays within C / K, else into a new run.
//! - The most urgent level is tried first: runs / trigger, bytes / C or runs / K. No plan names a busy table.
//!
//! Every plan moves data down a level or lowers a level's run count, so that plans end when writes do.

use crate::facts::{
    LevelFacts, OutputRun, Plan, PlanInput, Reason, RunFacts, TableFacts, TreeShape,
};
use crate::layout::Layout;
use crate::picker::{Candidates, Picker};

/// See [`Layout::plan`].
pub(super) fn plan<L: Layout + ?Sized>(
    layout: &L,
    tree: &TreeShape,
    picker: &mut dyn Picker,
) -> Option<Plan> {
    let limits = Limits {
        layout,
        tree,
        deepest: tree.deepest(),
    };
    let mut due: Vec<Due> = (0..tree.levels.len())
        .filter_map(|level| limits.due(level, limits.idle_bytes(level)))
        .collect();
    // The sort is stable: of equal scores, the shallower level comes first.
    due.sort_by(|a, b| b.score.total_cmp(&a.score));
    due.iter().find_map(|due| match due.work {
        Work::MergeHere => limits.merge_here(due),
        Work::MoveTable => limits.move_table(due, picker),
        Work::MoveLevel => limits.move_level(due),
    })
}

/// See [`Layout::debt_bytes`]. Each byte counts once, as it is read and then written.
pub(super) fn debt_bytes<L: Layout + ?Sized>(layout: &L, tree: &TreeShape) -> u64 {
    let limits = Limits {
        layout,
        tree,
        deepest: tree.deepest(),
    };
    let (mut debt, mut arriving) = (0_u64, 0_u64);
    // Past the deepest level only what arrives can be due, and in 64 steps every capacity has outgrown it.
    for level in 0..=limits.deepest + u64::BITS as usize {
        if level > limits.deepest && arriving == 0 {
            break;
        }
        let bytes = limits.level(level).bytes().saturating_add(arriving);
        let Some(due) = limits.due(level, bytes) else {
            arriving = 0;
            continue;
        };
        let (moved, rewritten) = match due.work {
            Work::MergeHere => (0, bytes),
            Work::MoveLevel => (
                bytes,
                limits.filling(level + 1, bytes).map_or(0, RunFacts::bytes),
            ),
            Work::MoveTable => {
                // A part of the level meets the same part of the next.
                let excess = bytes - limits.capacity_bytes(level);
                let share = excess as f64 / bytes as f64;
                (
                    excess,
                    (limits.level(level + 1).bytes() as f64 * share) as u64,
                )
            }
        };
        debt = debt.saturating_add(moved).saturating_add(rewritten);
        arriving = moved;
    }
    debt
}

/// See [`super::plan_everything`].
pub(super) fn plan_everything(tree: &TreeShape) -> Option<Plan> {
    let target = tree.deepest().max(1);
    let inputs: Vec<PlanInput> = (0..tree.levels.len())
        .flat_map(|level| whole_level(tree, level))
        .collect();
    let in_shape = inputs.len() == 1 && inputs[0].level == target;
    if inputs.is_empty() || in_shape {
        return None;
    }
    Some(Plan {
        inputs,
        level: target,
        run: OutputRun::New,
        reason: Reason::Manual,
    })
}

/// A level that needs work.
struct Due {
    level: usize,
    score: f64,
    reason: Reason,
    work: Work,
}

enum Work {
    /// All runs of the level into one.
    MergeHere,
    /// One table into the next level.
    MoveTable,
    /// All runs into the next level.
    MoveLevel,
}

/// A tree with the limits its layout and agent set.
struct Limits<'a, L: ?Sized> {
    layout: &'a L,
    tree: &'a TreeShape,
    deepest: usize,
}

impl<'a, L: Layout + ?Sized> Limits<'a, L> {
    fn level(&self, level: usize) -> &'a LevelFacts {
        static EMPTY: LevelFacts = LevelFacts {
            runs: Vec::new(),
            runs_max: None,
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

    /// C_i; never 0, or a tree would be due for ever.
    fn capacity_bytes(&self, level: usize) -> u64 {
        self.layout.capacity_bytes(self.tree, level).max(1)
    }

    /// K_i: the agent's if it has set one, else the layout's.
    fn runs_max(&self, level: usize) -> u32 {
        let asked = self.level(level).runs_max;
        let runs = asked.unwrap_or_else(|| self.layout.runs_max(level, self.deepest.max(level)));
        runs.clamp(1, self.layout.ratio().max(1))
    }

    /// Bytes of `level` that no running compaction moves or rewrites: what is on its way must not be asked for twice.
    fn idle_bytes(&self, level: usize) -> u64 {
        let tables = self.runs(level).flat_map(|run| &run.tables);
        tables
            .filter(|table| !self.tree.busy.contains(&table.id))
            .map(|table| table.bytes)
            .sum()
    }

    /// Whether `level`, with `bytes` in it, needs work.
    fn due(&self, level: usize, bytes: u64) -> Option<Due> {
        let runs = self.runs(level).count();
        if level == 0 {
            let trigger = self.tree.level0_runs_trigger.max(1) as usize;
            let score = runs as f64 / trigger as f64;
            let due = Due {
                level,
                score,
                reason: Reason::Level0Runs,
                work: Work::MoveLevel,
            };
            return (runs >= trigger).then_some(due);
        }
        let (capacity, runs_max) = (self.capacity_bytes(level), self.runs_max(level));
        let over_runs = runs > runs_max as usize;
        let over_bytes = if runs_max == 1 {
            bytes > capacity
        } else {
            bytes >= capacity
        };
        let work = match (over_runs, over_bytes) {
            (false, false) => return None,
            (true, false) if bytes < capacity => Work::MergeHere,
            _ if runs_max == 1 && runs <= 1 && self.runs_max(level + 1) == 1 => Work::MoveTable,
            _ => Work::MoveLevel,
        };
        let score = (bytes as f64 / capacity as f64).max(runs as f64 / f64::from(runs_max));
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

    /// The run of `level` that `bytes` more go into; None when they start a new one.
    fn filling(&self, level: usize, bytes: u64) -> Option<&'a RunFacts> {
        let newest = self.runs(level).next()?;
        let runs_max = self.runs_max(level);
        let fits = || {
            newest.bytes().saturating_add(bytes) <= self.capacity_bytes(level) / u64::from(runs_max)
        };
        (runs_max == 1 || fits()).then_some(newest)
    }

    fn merge_here(&self, due: &Due) -> Option<Plan> {
        let newest = self.runs(due.level).next()?;
        let inputs = whole_level(self.tree, due.level);
        self.checked(Plan {
            inputs,
            level: due.level,
            run: OutputRun::Into(newest.id),
            reason: due.reason,
        })
    }

    fn move_level(&self, due: &Due) -> Option<Plan> {
        let tables: Vec<&TableFacts> = self
            .runs(due.level)
            .flat_map(|run| &run.tables)
            .map(AsRef::as_ref)
            .collect();
        let bytes = tables.iter().map(|table| table.bytes).sum();
        self.arrive(due, whole_level(self.tree, due.level), &tables, bytes)
    }

    fn move_table(&self, due: &Due, picker: &mut dyn Picker) -> Option<Plan> {
        let run = self.runs(due.level).next()?;
        let empty = RunFacts::default();
        let next = self.runs(due.level + 1).next().unwrap_or(&empty);
        let idle = |table: &TableFacts| !self.tree.busy.contains(&table.id);
        let movable = |table: &&TableFacts| {
            idle(table)
                && next
                    .overlapping(&table.smallest, &table.largest)
                    .iter()
                    .all(|below| idle(below))
        };
        let tables: Vec<&TableFacts> = run
            .tables
            .iter()
            .map(AsRef::as_ref)
            .filter(movable)
            .collect();
        if tables.is_empty() {
            return None;
        }
        let picked = picker.pick(&Candidates {
            level: due.level,
            tables: &tables,
            next,
        });
        let table = *tables.get(picked)?;
        let input = PlanInput {
            level: due.level,
            run: run.id,
            tables: vec![table.id],
        };
        self.arrive(due, vec![input], &[table], table.bytes)
    }

    /// The plan that brings `inputs` one level down.
    fn arrive(
        &self,
        due: &Due,
        mut inputs: Vec<PlanInput>,
        tables: &[&TableFacts],
        bytes: u64,
    ) -> Option<Plan> {
        let level = due.level + 1;
        let run = match self.filling(level, bytes) {
            None => OutputRun::New,
            Some(newest) => {
                let smallest = tables.iter().map(|table| &table.smallest).min()?;
                let largest = tables.iter().map(|table| &table.largest).max()?;
                let overlapping = newest.overlapping(smallest, largest);
                if !overlapping.is_empty() {
                    let tables = overlapping.iter().map(|table| table.id).collect();
                    inputs.push(PlanInput {
                        level,
                        run: newest.id,
                        tables,
                    });
                }
                OutputRun::Into(newest.id)
            }
        };
        self.checked(Plan {
            inputs,
            level,
            run,
            reason: due.reason,
        })
    }

    /// The plan, unless it names a busy table.
    fn checked(&self, plan: Plan) -> Option<Plan> {
        let busy = plan
            .inputs
            .iter()
            .flat_map(|input| &input.tables)
            .any(|table| self.tree.busy.contains(table));
        (!busy).then_some(plan)
    }
}

/// Every table of `level` as inputs, the newest run first.
fn whole_level(tree: &TreeShape, level: usize) -> Vec<PlanInput> {
    let runs = tree.levels[level]
        .runs
        .iter()
        .filter(|run| !run.tables.is_empty());
    runs.map(|run| PlanInput {
        level,
        run: run.id,
        tables: run.tables.iter().map(|table| table.id).collect(),
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use crate::entry::PolicySpec;

    type Table = (u64, u8, u8, u64);

    /// A tree with a base of 100 B and a trigger of 2, whose levels are runs of tables `(id, smallest, largest, bytes)`;
    /// a run has the number of its first table.
    fn tree(levels: &[&[&[Table]]]) -> TreeShape {
        let table = |&(id, smallest, largest, bytes): &Table| {
            let (smallest, largest) = (Bytes::from(vec![smallest]), Bytes::from(vec![largest]));
            let (entries, sequence_max) = (bytes, id);
            Arc::new(TableFacts {
                id,
                bytes,
                entries,
                deletions: 0,
                separated_bytes: 0,
                smallest,
                largest,
                sequence_min: 0,
                sequence_max,
            })
        };
        let run = |tables: &&[Table]| RunFacts {
            id: tables[0].0,
            tables: tables.iter().map(table).collect(),
        };
        let level = |runs: &&[&[_]]| LevelFacts {
            runs: runs.iter().map(run).collect(),
            runs_max: None,
        };
        let levels = levels.iter().map(level).collect();
        TreeShape {
            levels,
            level0_runs_trigger: 2,
            base_bytes: 100,
            ..TreeShape::default()
        }
    }

    fn layout(ratio: u32, runs: u32) -> Box<dyn Layout> {
        let spec = PolicySpec::named("flexible")
            .with("ratio", ratio)
            .with("runs", vec![runs]);
        crate::layout::build(&spec).expect("the layout builds")
    }

    fn plan_for(layout: &dyn Layout, tree: &TreeShape) -> Option<Plan> {
        let picker = &crate::picker::FAMILY.default_spec();
        layout.plan(
            tree,
            &mut *crate::picker::build(picker).expect("the picker builds"),
        )
    }

    fn input(level: usize, run: u64, tables: &[u64]) -> PlanInput {
        PlanInput {
            level,
            run,
            tables: tables.to_vec(),
        }
    }

    #[test]
    fn level_0_goes_into_the_run_being_filled_with_what_it_overlaps() {
        let tree = tree(&[
            &[&[(9, 5, 6, 1)], &[(8, 3, 4, 1)]],
            &[&[(1, 0, 2, 10), (2, 4, 4, 10), (3, 7, 9, 10)]],
        ]);
        let plan = plan_for(&*layout(4, 1), &tree).expect("level 0 is due");
        assert_eq!(
            plan.inputs,
            [input(0, 9, &[9]), input(0, 8, &[8]), input(1, 1, &[2])]
        );
        assert_eq!(
            (plan.level, plan.run, plan.reason),
            (1, OutputRun::Into(1), Reason::Level0Runs)
        );
    }

    #[test]
    fn a_run_is_filled_up_to_its_share_of_the_capacity() {
        // C / K = 25 B.
        for (bytes, run) in [(13, OutputRun::Into(1)), (14, OutputRun::New)] {
            let tree = tree(&[&[&[(9, 5, 6, bytes)], &[(8, 3, 4, 2)]], &[&[(1, 0, 2, 10)]]]);
            assert_eq!(
                plan_for(&*layout(4, 4), &tree).map(|plan| plan.run),
                Some(run)
            );
        }
    }

    #[test]
    fn a_level_of_too_many_runs_under_its_capacity_is_merged_where_it_is() {
        let mut tree = tree(&[&[], &[&[(3, 0, 9, 30)], &[(2, 0, 9, 30)], &[(1, 0, 9, 30)]]]);
        let layout = layout(4, 4);
        assert_eq!(plan_for(&*layout, &tree), None);
        tree.levels[1].runs_max = Some(2);
        let plan = plan_for(&*layout, &tree).expect("the agent allows two runs");
        assert_eq!(
            plan.inputs,
            [input(1, 3, &[3]), input(1, 2, &[2]), input(1, 1, &[1])]
        );
        assert_eq!(
            (plan.level, plan.run, plan.reason),
            (1, OutputRun::Into(3), Reason::LevelRuns)
        );
        assert_eq!(layout.debt_bytes(&tree), 90);
    }

    #[test]
    fn one_table_moves_only_from_a_level_of_one_run() {
        let mut one = tree(&[&[], &[&[(1, 0, 3, 60), (2, 5, 9, 60)]], &[&[(5, 0, 4, 50)]]]);
        let plan = plan_for(&*layout(4, 1), &one).expect("120 B of 100 B");
        assert_eq!(
            (plan.inputs, plan.run),
            (vec![input(1, 1, &[2])], OutputRun::Into(5))
        );
        // 20 B of 120 B are too many, and the same share of the next level is rewritten.
        assert_eq!(layout(4, 1).debt_bytes(&one), 20 + 50 * 20 / 120);
        one.busy.insert(1);
        assert_eq!(
            plan_for(&*layout(4, 1), &one),
            None,
            "once table 1 is gone, 60 B remain"
        );

        let two = tree(&[
            &[],
            &[&[(2, 0, 9, 60)], &[(1, 0, 3, 60)]],
            &[&[(5, 0, 4, 50), (6, 20, 30, 50)]],
        ]);
        let plan = plan_for(&*layout(4, 1), &two).expect("120 B of 100 B");
        assert_eq!(
            plan.inputs,
            [input(1, 2, &[2]), input(1, 1, &[1]), input(2, 5, &[5])]
        );
    }

    #[test]
    fn the_most_urgent_idle_work_comes_first() {
        let mut tree = tree(&[
            &[&[(9, 0, 1, 1)], &[(8, 0, 1, 1)]],
            &[&[(1, 0, 3, 60), (2, 5, 9, 90)]],
            &[&[(5, 0, 3, 700), (6, 5, 9, 400)]],
        ]);
        let level =
            |tree: &TreeShape| plan_for(&*layout(4, 1), tree).map(|plan| plan.inputs[0].level);
        assert_eq!(
            level(&tree),
            Some(2),
            "level 2 is at 2.75 of its capacity, level 1 at 1.5, level 0 at its trigger"
        );
        tree.busy.insert(6);
        assert_eq!(level(&tree), Some(2), "table 5 can still move");
        tree.busy.insert(5);
        assert_eq!(
            level(&tree),
            Some(0),
            "tables 1 and 2 would meet busy ones, and none of them counts as idle work"
        );
        tree.busy.insert(1);
        assert_eq!(level(&tree), None);
    }

    #[test]
    fn debt_goes_down_with_the_data() {
        let shape = tree(&[
            &[&[(9, 0, 9, 80)], &[(8, 0, 9, 80)]],
            &[&[(1, 0, 9, 90)]],
            &[&[(5, 0, 9, 390)]],
        ]);
        // Level 0: 160 B meet 90 B. Level 1 then has 250 B, 150 B too many, which meet 234 B of 390 B. Level 2 then has
        // 540 B, 140 B too many, and there is nothing below.
        assert_eq!(layout(4, 1).debt_bytes(&shape), 250 + 150 + 234 + 140);
        assert_eq!(
            layout(4, 1).debt_bytes(&tree(&[&[&[(9, 0, 9, 80)]], &[&[(1, 0, 9, 100)]]])),
            0
        );
    }
}
