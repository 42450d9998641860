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
    use aura_policies::facts::{PlanInput, Reason};

    use super::*;
    use crate::golden::{check_golden, number};

    /// Reads `L1#3`: a level and a run. A run is named by its first table unless the tree says
    /// otherwise.
    fn read_run(word: &str) -> Result<(usize, u64), String> {
        let run = word.strip_prefix('L').and_then(|run| run.split_once('#'));
        let (level, run) = run.ok_or_else(|| format!("`{word}` is not a run such as L1#3"))?;
        Ok((number(level)?, number(run)?))
    }

    /// Reads `L0#1:1 L1#3:3,4 into L1#3`, or `... into L1` for a new run.
    fn read_plan(words: &[&str]) -> Result<Plan, String> {
        let [inputs @ .., "into", target] = words else {
            return Err("a plan ends with `into` and its target".to_owned());
        };
        let mut plan = Plan {
            inputs: Vec::new(),
            level: 0,
            run: OutputRun::New,
            reason: Reason::Manual,
            picked: None,
        };
        for input in inputs {
            let form = || format!("`{input}` is not an input such as L1#3:3,4");
            let (run, tables) = input.split_once(':').ok_or_else(form)?;
            let (level, run) = read_run(run)?;
            let tables = tables.split(',').map(number).collect::<Result<_, _>>()?;
            plan.inputs.push(PlanInput { level, run, tables });
        }
        if target.contains('#') {
            let (level, run) = read_run(target)?;
            plan.level = level;
            plan.run = OutputRun::Into(run);
        } else {
            plan.level = number(target.strip_prefix('L').unwrap_or(target))?;
        }
        Ok(plan)
    }

    /// A case is a tree, as [`TreeShape`] draws it, and plans that begin with `merge`.
    #[test]
    fn golden_plans_are_lawful_or_refused() {
        check_golden("check.txt", |lines| {
            let is_plan = |line: &&&str| line.starts_with("merge");
            let drawing: Vec<&str> = lines.iter().filter(|it| !is_plan(it)).copied().collect();
            let tree: TreeShape = drawing
                .join("\n")
                .parse()
                .map_err(|error| format!("{error}"))?;
            let mut output = String::new();
            for line in lines.iter().filter(is_plan) {
                let words: Vec<&str> = line.split_whitespace().skip(1).collect();
                output += &match check(&tree, &read_plan(&words)?) {
                    Ok(()) => "lawful\n".to_owned(),
                    Err(rule) => format!("refused: {rule}\n"),
                };
            }
            Ok(output)
        });
    }
}
