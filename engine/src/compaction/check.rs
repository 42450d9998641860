//! Whether a compaction plan is lawful.
//!
//! Think of all runs in the order of their age: level 0 from its newest run to its oldest, then
//! level 1, and so on. A read asks them in this order and takes the first answer, so moving a table
//! may not carry it past another table that can hold the same keys, unless that one moves along.

use std::collections::BTreeSet;
use std::sync::Arc;

use aura_policies::facts::{OutputRun, Plan, TableFacts, TableId, TreeShape};

/// Checks `plan` against `tree`.
///
/// # Errors
/// The rule it breaks, in a sentence.
pub(crate) fn check(tree: &TreeShape, plan: &Plan) -> Result<(), String> {
    let inputs = resolve(tree, plan)?;
    let ids: BTreeSet<TableId> = inputs.iter().map(|(_, table)| table.id).collect();
    if ids.len() != inputs.len() {
        return Err("it names a table twice".to_owned());
    }
    let smallest = inputs
        .iter()
        .map(|(_, table)| &table.smallest)
        .min()
        .ok_or("it reads no table")?;
    let largest = inputs
        .iter()
        .map(|(_, table)| &table.largest)
        .max()
        .ok_or("it reads no table")?;
    let target = target_position(tree, plan)?;
    for (position, run) in positions(tree) {
        for other in run.iter().filter(|table| !ids.contains(&table.id)) {
            if position == target.at && target.joins && other.overlaps_range(smallest, largest) {
                return Err(format!(
                    "the output would overlap table {} of the run it joins",
                    other.id
                ));
            }
            let crossed = inputs.iter().find(|(from, input)| {
                // A new run stands just before the run that has its place now.
                let passed = if *from <= target.at {
                    *from < position && position < target.at
                } else {
                    (target.at < position || (!target.joins && target.at == position))
                        && position < *from
                };
                passed && input.overlaps(other)
            });
            if let Some((_, input)) = crossed {
                return Err(format!(
                    "table {} would pass table {}, which can hold the same keys",
                    input.id, other.id
                ));
            }
        }
    }
    Ok(())
}

/// A place in the order of age: (level, run).
type Place = (usize, usize);

/// Every run with its place.
fn positions(tree: &TreeShape) -> impl Iterator<Item = (Place, &Vec<Arc<TableFacts>>)> {
    tree.levels.iter().enumerate().flat_map(|(level, facts)| {
        facts
            .runs
            .iter()
            .enumerate()
            .map(move |(run, it)| ((level, run), &it.tables))
    })
}

struct Target {
    at: Place,
    joins: bool,
}

fn target_position(tree: &TreeShape, plan: &Plan) -> Result<Target, String> {
    if plan.level == 0 {
        return Err("level 0 takes flushes only".to_owned());
    }
    match plan.run {
        OutputRun::New => Ok(Target {
            at: (plan.level, 0),
            joins: false,
        }),
        OutputRun::Into(id) => {
            let runs = tree
                .levels
                .get(plan.level)
                .map_or(&[][..], |level| &level.runs);
            let run = runs.iter().position(|run| run.id == id);
            let run = run.ok_or_else(|| format!("level {} has no run {id}", plan.level))?;
            Ok(Target {
                at: (plan.level, run),
                joins: true,
            })
        }
    }
}

/// The tables a plan names, with their places.
fn resolve(tree: &TreeShape, plan: &Plan) -> Result<Vec<(Place, Arc<TableFacts>)>, String> {
    let mut tables = Vec::new();
    for input in &plan.inputs {
        let runs = tree
            .levels
            .get(input.level)
            .map_or(&[][..], |level| &level.runs);
        let run = runs.iter().position(|run| run.id == input.run);
        let run = run.ok_or_else(|| format!("level {} has no run {}", input.level, input.run))?;
        for id in &input.tables {
            if tree.busy.contains(id) {
                return Err(format!("table {id} is read by a running compaction"));
            }
            let table = runs[run].tables.iter().find(|table| table.id == *id);
            let table = table.ok_or_else(|| {
                format!(
                    "run {} of level {} has no table {id}",
                    input.run, input.level
                )
            })?;
            tables.push(((input.level, run), table.clone()));
        }
    }
    Ok(tables)
}

#[cfg(test)]
mod tests {
    use aura_policies::facts::{LevelFacts, PlanInput, Reason, RunFacts};
    use bytes::Bytes;

    use super::*;

    fn table(id: u64, keys: &str) -> Arc<TableFacts> {
        let (smallest, largest) = keys.split_once('-').unwrap();
        Arc::new(TableFacts {
            id,
            bytes: 100,
            entries: 10,
            deletions: 0,
            separated_bytes: 0,
            smallest: Bytes::copy_from_slice(smallest.as_bytes()),
            largest: Bytes::copy_from_slice(largest.as_bytes()),
            sequence_min: 0,
            sequence_max: 0,
        })
    }

    /// Levels of runs of tables; run numbers are 10 * level + place.
    fn tree(levels: &[&[&[(u64, &str)]]]) -> TreeShape {
        let run = |level: usize, (at, tables): (usize, &&[(u64, &str)])| RunFacts {
            id: (10 * level + at) as u64,
            tables: tables.iter().map(|(id, keys)| table(*id, keys)).collect(),
        };
        let level = |(number, runs): (usize, &&[&[(u64, &str)]])| LevelFacts {
            runs: runs.iter().enumerate().map(|it| run(number, it)).collect(),
            runs_max: None,
        };
        TreeShape {
            levels: levels.iter().enumerate().map(level).collect(),
            ..TreeShape::default()
        }
    }

    fn plan(inputs: &[(usize, u64, &[u64])], level: usize, run: OutputRun) -> Plan {
        let input = |(level, run, tables): &(usize, u64, &[u64])| PlanInput {
            level: *level,
            run: *run,
            tables: tables.to_vec(),
        };
        Plan {
            inputs: inputs.iter().map(input).collect(),
            level,
            run,
            reason: Reason::Manual,
            picked: None,
        }
    }

    #[test]
    fn lawful_plans_pass() {
        let tree = tree(&[
            &[&[(1, "a-m")], &[(2, "c-z")]],
            &[&[(3, "a-f"), (4, "g-z")], &[(5, "a-z")]],
        ]);
        let all = plan(
            &[(0, 0, &[1]), (0, 1, &[2]), (1, 10, &[3, 4])],
            1,
            OutputRun::Into(10),
        );
        assert_eq!(check(&tree, &all), Ok(()));
        let new_run = plan(&[(0, 0, &[1]), (0, 1, &[2])], 1, OutputRun::New);
        assert_eq!(check(&tree, &new_run), Ok(()));
        let oldest_first = plan(&[(0, 1, &[2])], 1, OutputRun::New);
        assert_eq!(check(&tree, &oldest_first), Ok(()));
        let whole_level = plan(&[(1, 10, &[3, 4]), (1, 11, &[5])], 2, OutputRun::New);
        assert_eq!(check(&tree, &whole_level), Ok(()));
    }

    #[test]
    fn passing_a_table_with_the_same_keys_is_refused() {
        let tree = tree(&[
            &[&[(1, "a-m")], &[(2, "c-z")]],
            &[&[(3, "a-f"), (4, "g-z")], &[(5, "a-z")]],
        ]);
        let newest_first = plan(&[(0, 0, &[1])], 1, OutputRun::New);
        assert!(
            check(&tree, &newest_first)
                .unwrap_err()
                .contains("table 1 would pass table 2")
        );
        let past_a_run = plan(&[(1, 10, &[3])], 2, OutputRun::New);
        assert!(
            check(&tree, &past_a_run)
                .unwrap_err()
                .contains("would pass table 5")
        );
        let upwards = plan(&[(1, 11, &[5])], 1, OutputRun::New);
        assert!(
            check(&tree, &upwards)
                .unwrap_err()
                .contains("table 5 would pass table 3")
        );
        let into_older = plan(&[(0, 1, &[2]), (1, 11, &[5])], 1, OutputRun::Into(11));
        assert!(
            check(&tree, &into_older)
                .unwrap_err()
                .contains("would pass table")
        );
    }

    #[test]
    fn overlapping_a_run_that_is_joined_is_refused() {
        let tree = tree(&[
            &[&[(1, "a-c")], &[(2, "x-z")]],
            &[&[(3, "a-b"), (4, "g-h"), (5, "x-y")]],
        ]);
        let gap = plan(
            &[(0, 0, &[1]), (0, 1, &[2]), (1, 10, &[3, 5])],
            1,
            OutputRun::Into(10),
        );
        assert!(check(&tree, &gap).unwrap_err().contains("overlap table 4"));
    }

    #[test]
    fn plans_that_name_what_is_not_there_are_refused() {
        let mut tree = tree(&[&[&[(1, "a-m")]], &[&[(3, "a-f")]]]);
        assert!(check(&tree, &plan(&[], 1, OutputRun::New)).is_err());
        assert!(check(&tree, &plan(&[(0, 0, &[9])], 1, OutputRun::New)).is_err());
        assert!(check(&tree, &plan(&[(0, 7, &[1])], 1, OutputRun::New)).is_err());
        assert!(check(&tree, &plan(&[(0, 0, &[1, 1])], 1, OutputRun::New)).is_err());
        assert!(check(&tree, &plan(&[(0, 0, &[1])], 1, OutputRun::Into(99))).is_err());
        assert!(check(&tree, &plan(&[(0, 0, &[1])], 0, OutputRun::New)).is_err());
        tree.busy.insert(1);
        assert!(
            check(&tree, &plan(&[(0, 0, &[1])], 1, OutputRun::New))
                .unwrap_err()
                .contains("running")
        );
    }
}
