//! Universal: sorted runs of any size in the order of their age, merged when neighbours are alike.
//!
//! Source: RocksDB's universal compaction (UniversalCompactionPicker), with the stop style of the
//! total size. Once there are as many runs as level 0's trigger, these are tried in order: if the
//! runs but the oldest have `size_amplification` percent of its bytes, everything is merged; from
//! the newest run on, the first neighbours are merged of which each is at most `size_ratio` percent
//! larger than the newer ones together; if there are more than `runs`, the newest are merged.
//! Variant: level 0 takes flushes only. So all of level 0 goes into a merge or no run of it, the
//! result becomes a run of level 1, and `runs` counts those below level 0, as an agent's limit for
//! level 1 does. Level 0 merges at its trigger in any case. RocksDB also spreads the runs over
//! levels, so that some can merge beside others; here they share level 1, and one merge runs at a
//! time.
//! State: none.
//! Cost: each entry is rewritten about log(data / memtable) times; a read looks at every run. A
//! plan takes O(tables + runs x merge_width).
//! Invariants: when nothing is due, at most `runs` runs lie below level 0, and fewer than the
//! trigger in it. While a merge runs, nothing else does.
//! Weak where: latency or space must be even: from time to time everything is merged at once, with
//! room for a second copy, and flushes wait in level 0 meanwhile.

use crate::PolicySpec;
use crate::entry::{Entry, describe, in_range, params};
use crate::facts::{OutputRun, Plan, PlanInput, Reason, RunFacts, RunId, TableFacts, TreeShape};
use crate::layout::deadline::Overdue;
use crate::layout::planner::whole_level;
use crate::layout::{Build, Layout};
use crate::picker::Picker;

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "universal",
    about: "neighbouring runs of like size merge (RocksDB's universal compaction)",
    params: describe::<Params>,
    build: |spec: &PolicySpec| {
        let found: Params = params(spec)?;
        in_range(spec, "runs", found.runs, 1..=100)?;
        in_range(spec, "size_ratio", found.size_ratio, 0..=10_000)?;
        in_range(spec, "merge_width_min", found.merge_width_min, 2..=100)?;
        let widths = found.merge_width_min..=1_000;
        in_range(spec, "merge_width_max", found.merge_width_max, widths)?;
        in_range(
            spec,
            "size_amplification",
            found.size_amplification,
            1..=1_000_000,
        )?;
        Ok(Box::new(Universal(found)))
    },
};

#[derive(Debug, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Params {
    /// The most sorted runs below level 0 (1 to 100).
    runs: u32,
    /// How many percent larger a run may be than the newer ones that merge with it (0 to 10,000).
    size_ratio: u32,
    /// The fewest runs that merge for their size (2 to 100).
    merge_width_min: u32,
    /// The most runs that merge for their size (merge_width_min to 1,000).
    merge_width_max: u32,
    /// Bytes in all runs but the oldest, in percent of those in the oldest, at which everything
    /// merges (1 to 1,000,000).
    size_amplification: u32,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            runs: 8,
            size_ratio: 1,
            merge_width_min: 2,
            merge_width_max: 1_000,
            size_amplification: 200,
        }
    }
}

struct Universal(Params);

/// Level 0, or a run below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sorted {
    bytes: u64,
    /// Runs: more than one only in level 0.
    runs: usize,
    is_level0: bool,
}

/// Neighbours that merge: from the newest to the one after the oldest.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Merge {
    from: usize,
    to: usize,
    reason: Reason,
}

/// The limits of one tree.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// Runs of level 0 at which it merges.
    trigger: usize,
    /// Runs allowed below level 0.
    runs: usize,
}

impl Universal {
    fn limits(&self, tree: &TreeShape) -> Limits {
        let of_agent = tree.levels.get(1).and_then(|level| level.runs_max);
        let runs = of_agent.unwrap_or(self.0.runs).clamp(1, self.0.runs);
        Limits {
            trigger: tree.level0_runs_trigger.max(1) as usize,
            runs: runs as usize,
        }
    }

    /// The merge that is due among `sorted`, the newest first.
    fn due(&self, sorted: &[Sorted], limits: Limits) -> Option<Merge> {
        let runs: usize = sorted.iter().map(|it| it.runs).sum();
        let level0_runs = sorted.first().filter(|it| it.is_level0);
        let level0_runs = level0_runs.map_or(0, |it| it.runs);
        let is_full = level0_runs >= limits.trigger;
        if runs >= limits.trigger {
            let for_size = self.for_space(sorted).or_else(|| self.for_ratio(sorted));
            // Level 0 must not wait for a merge below it.
            if for_size.as_ref().is_some_and(|it| it.from == 0 || !is_full) {
                return for_size;
            }
        }
        let first = usize::from(level0_runs > 0);
        let below = sorted.len() - first;
        if is_full {
            let over = (below + 1).saturating_sub(limits.runs);
            return Some(Merge {
                from: 0,
                to: first + over,
                reason: Reason::Level0Runs,
            });
        }
        (below > limits.runs).then(|| Merge {
            from: first,
            to: first + below - limits.runs + 1,
            reason: Reason::LevelRuns,
        })
    }

    /// Everything, if what is newer than the oldest run has too many bytes.
    fn for_space(&self, sorted: &[Sorted]) -> Option<Merge> {
        let (oldest, newer) = sorted.split_last()?;
        let bytes: u128 = newer.iter().map(|it| u128::from(it.bytes)).sum();
        let allowed = u128::from(oldest.bytes) * u128::from(self.0.size_amplification);
        let is_due = !newer.is_empty() && bytes * 100 >= allowed;
        is_due.then_some(Merge {
            from: 0,
            to: sorted.len(),
            reason: Reason::LevelBytes,
        })
    }

    /// The first neighbours, from the newest on, that are alike enough.
    fn for_ratio(&self, sorted: &[Sorted]) -> Option<Merge> {
        let widths = self.0.merge_width_min as usize..=self.0.merge_width_max as usize;
        let percent = 100 + u128::from(self.0.size_ratio);
        (0..sorted.len()).find_map(|from| {
            let mut bytes = u128::from(sorted[from].bytes);
            let mut runs = sorted[from].runs;
            let mut to = from + 1;
            while let Some(next) = sorted.get(to) {
                if runs >= *widths.end() || bytes * percent < u128::from(next.bytes) * 100 {
                    break;
                }
                bytes += u128::from(next.bytes);
                runs += next.runs;
                to += 1;
            }
            (runs >= *widths.start()).then_some(Merge {
                from,
                to,
                reason: Reason::LevelRuns,
            })
        })
    }
}

/// The runs of a tree that hold tables, the newest first; level 0 is one.
struct Units<'a> {
    tree: &'a TreeShape,
    sorted: Vec<Sorted>,
    /// Where the runs below level 0 lie.
    below: Vec<(usize, &'a RunFacts)>,
}

impl<'a> Units<'a> {
    fn of(tree: &'a TreeShape) -> Self {
        let mut sorted = Vec::new();
        let mut below = Vec::new();
        let runs = |level: usize| tree.levels[level].runs.iter();
        let held = |run: &&RunFacts| !run.tables.is_empty();
        if !tree.levels.is_empty() {
            let runs: Vec<&RunFacts> = runs(0).filter(held).collect();
            if !runs.is_empty() {
                sorted.push(Sorted {
                    bytes: runs.iter().map(|run| run.bytes()).sum(),
                    runs: runs.len(),
                    is_level0: true,
                });
            }
        }
        for level in 1..tree.levels.len() {
            for run in runs(level).filter(held) {
                sorted.push(Sorted {
                    bytes: run.bytes(),
                    runs: 1,
                    is_level0: false,
                });
                below.push((level, run));
            }
        }
        Self {
            tree,
            sorted,
            below,
        }
    }

    /// Where the unit at `index` lies; `None` for level 0.
    fn place(&self, index: usize) -> Option<(usize, &'a RunFacts)> {
        let level0 = self.sorted.len() - self.below.len();
        let below = index.checked_sub(level0)?;
        self.below.get(below).copied()
    }

    /// The merge of the newest unit with an overdue table and of all that are older.
    fn overdue(&self, overdue: &Overdue<'_>) -> Option<Merge> {
        let is_overdue = |index: &usize| match self.place(*index) {
            None => {
                let mut tables = self.tree.levels[0].runs.iter().flat_map(|run| &run.tables);
                tables.any(|it| overdue.is_overdue(0, it))
            }
            Some((level, run)) => run.tables.iter().any(|it| overdue.is_overdue(level, it)),
        };
        let to = self.sorted.len();
        let from = (0..to).find(is_overdue)?;
        let reason = Reason::Deadline;
        Some(Merge { from, to, reason })
    }

    /// The overdue tables of a merge of one run below level 0: each is rewritten alone.
    fn rewritten(&self, merge: &Merge, overdue: &Overdue<'_>) -> Vec<&'a TableFacts> {
        let alone = merge.reason == Reason::Deadline && merge.to == merge.from + 1;
        let Some((level, run)) = self.place(merge.from).filter(|_| alone) else {
            return Vec::new();
        };
        let tables = run.tables.iter().map(AsRef::as_ref);
        tables
            .filter(|table| overdue.is_overdue(level, table))
            .collect()
    }

    fn plan(&self, merge: &Merge) -> Plan {
        let mut inputs = Vec::new();
        let mut target: Option<(usize, RunId)> = None;
        for index in merge.from..merge.to {
            match self.place(index) {
                None => inputs.extend(whole_level(self.tree, 0)),
                Some((level, run)) => {
                    inputs.push(PlanInput {
                        level,
                        run: run.id,
                        tables: run.tables.iter().map(|table| table.id).collect(),
                    });
                    target = Some((level, run.id));
                }
            }
        }
        let (level, run) = match target {
            Some((level, run)) => (level, OutputRun::Into(run)),
            None => (1, OutputRun::New),
        };
        Plan {
            inputs,
            level,
            run,
            reason: merge.reason,
            picked: None,
        }
    }
}

impl Layout for Universal {
    /// Runs have no ratio: this is the most that an agent may allow.
    fn ratio(&self) -> u32 {
        self.0.runs
    }

    fn runs_max(&self, _level: usize, _deepest: usize) -> u32 {
        self.0.runs
    }

    fn capacity_bytes(&self, _tree: &TreeShape, _level: usize) -> u64 {
        u64::MAX
    }

    fn plan(&self, tree: &TreeShape, picker: &dyn Picker) -> Option<Plan> {
        let units = Units::of(tree);
        let overdue = Overdue::new(tree, picker);
        let due = || self.due(&units.sorted, self.limits(tree));
        let late = || units.overdue(&overdue);
        let merge = match overdue.come_first() {
            true => late().or_else(due)?,
            false => due().or_else(late)?,
        };
        let mut plan = units.plan(&merge);
        if let Some(table) = units.rewritten(&merge, &overdue).first() {
            plan.inputs[0].tables = vec![table.id];
        }
        let mut tables = plan.inputs.iter().flat_map(|input| &input.tables);
        let is_busy = tables.any(|table| tree.busy.contains(table));
        (!is_busy).then_some(plan)
    }

    /// Every merge to come, as if it dropped nothing.
    fn debt_bytes(&self, tree: &TreeShape, picker: &dyn Picker) -> u64 {
        let units = Units::of(tree);
        let limits = self.limits(tree);
        let overdue = Overdue::new(tree, picker);
        let mut late = units.overdue(&overdue);
        let mut debt = 0_u64;
        let rewritten = late.as_ref().map(|it| units.rewritten(it, &overdue));
        if let Some(tables) = rewritten.filter(|tables| !tables.is_empty()) {
            debt = tables.iter().map(|table| table.bytes).sum();
            late = None;
        }
        let mut sorted = units.sorted;
        while let Some(merge) = late.take().or_else(|| self.due(&sorted, limits)) {
            let merged = &sorted[merge.from..merge.to];
            let bytes = merged.iter().map(|it| it.bytes).sum();
            debt = debt.saturating_add(bytes);
            let run = Sorted {
                bytes,
                runs: 1,
                is_level0: false,
            };
            sorted.splice(merge.from..merge.to, [run]);
        }
        debt
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        trigger: 4,
        runs: 4,
    };

    /// Level 0 of `level0` runs of 10 bytes, and runs of these bytes below it.
    fn sorted(level0: usize, below: &[u64]) -> Vec<Sorted> {
        let below = below.iter().map(|bytes| Sorted {
            bytes: *bytes,
            runs: 1,
            is_level0: false,
        });
        let level0 = (level0 > 0).then_some(Sorted {
            bytes: 10 * level0 as u64,
            runs: level0,
            is_level0: true,
        });
        level0.into_iter().chain(below).collect()
    }

    fn due(params: Params, sorted: &[Sorted]) -> Option<(usize, usize, Reason)> {
        let merge = Universal(params).due(sorted, LIMITS)?;
        Some((merge.from, merge.to, merge.reason))
    }

    /// Worked by hand from the rules at the head of this file.
    #[test]
    fn space_comes_first_then_alike_neighbours_then_the_number_of_runs() {
        let params = || Params {
            size_amplification: 50,
            ..Params::default()
        };
        let due = |level0, below: &[u64]| due(params(), &sorted(level0, below));
        assert_eq!(
            due(1, &[30, 1_000]),
            None,
            "three runs are below the trigger"
        );
        // 499 bytes are less than 50 % of 1,000; with 500 everything merges.
        assert_eq!(due(1, &[100, 389, 1_000]), None);
        assert_eq!(due(1, &[100, 390, 1_000]), Some((0, 4, Reason::LevelBytes)));
        // 101 % of 10 is below 100, and 101 % of 100 is 101.
        assert_eq!(due(1, &[100, 101, 1_000]), Some((1, 3, Reason::LevelRuns)));
        assert_eq!(due(1, &[100, 102, 1_000]), None);
        // All of 10 + 10 + 20 join, since each is as large as those before together.
        assert_eq!(due(1, &[10, 20, 900]), Some((0, 3, Reason::LevelRuns)));
        // Two runs of level 0 are alike and become a run of level 1.
        assert_eq!(due(2, &[500, 2_000]), Some((0, 1, Reason::LevelRuns)));
        // Five runs below level 0 are one too many: the newest two merge.
        let many = [100, 200, 1_000, 5_000, 25_000];
        assert_eq!(due(0, &many), Some((0, 2, Reason::LevelRuns)));
        assert_eq!(due(1, &many), Some((1, 3, Reason::LevelRuns)));
    }

    #[test]
    fn level_0_merges_at_its_trigger_with_as_many_runs_as_are_too_many() {
        let params = || Params {
            merge_width_min: 5,
            ..Params::default()
        };
        let due = |below: &[u64]| due(params(), &sorted(4, below));
        assert_eq!(due(&[100, 1_000]), Some((0, 1, Reason::Level0Runs)));
        let full = [100, 1_000, 9_000, 99_000];
        assert_eq!(due(&full), Some((0, 2, Reason::Level0Runs)));
        assert_eq!(due(&[]), Some((0, 1, Reason::Level0Runs)));
    }

    #[test]
    fn no_more_runs_merge_than_the_width_allows() {
        let params = Params {
            merge_width_max: 3,
            ..Params::default()
        };
        let sorted = sorted(0, &[10, 10, 10, 10, 10, 100]);
        assert_eq!(due(params, &sorted), Some((0, 3, Reason::LevelRuns)));
    }

    #[test]
    fn parameters_out_of_range_are_refused() {
        for (name, value) in [
            ("runs", 0),
            ("size_ratio", 10_001),
            ("merge_width_min", 1),
            ("merge_width_max", 1),
            ("size_amplification", 0),
        ] {
            assert!((ENTRY.build)(&PolicySpec::named("universal").with(name, value)).is_err());
        }
    }
}
