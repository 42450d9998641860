//! Schedule: sets run limits at given operation counts.
//!
//! Source: the oracle of the literature on learned tuning: an expert who knows the phases of a
//! workload writes down the best layout for each.
//! State: the list of steps, and how many were taken.
//! Cost: O(steps taken) a window.
//! Invariants: steps are taken in order and once each, in the first window that ends at or after
//! their operation count.
//! Weak where: the workload is not known in advance.

use super::{Action, Agent, Build, Decision, Transition};
use crate::PolicySpec;
use crate::entry::{Entry, bad, describe, params};
use crate::facts::{TreeShape, WindowStats};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "schedule",
    about: "run limits set at given operation counts, as an oracle would",
    params: describe::<Params>,
    build: |_seed, spec: &PolicySpec| {
        let Params { steps } = params(spec)?;
        if let Some(step) = steps.iter().find(|step| step.level == 0 || step.runs == 0) {
            let message = format!("level and runs must be at least 1, not {step:?}");
            return Err(bad(spec, "steps", &message));
        }
        if !steps.is_sorted_by_key(|step| step.at_operations) {
            return Err(bad(spec, "steps", "must be in the order of at_operations"));
        }
        Ok(Box::new(Schedule { steps, taken: 0 }))
    },
};

#[derive(Debug, Default, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Params {
    /// The steps, in the order of at_operations: tables { at_operations (operations since the
    /// database was opened), level (at least 1), runs (the level's new run limit, at least 1) }.
    steps: Vec<Step>,
}

#[derive(Clone, Copy, Debug, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Step {
    at_operations: u64,
    level: usize,
    runs: u32,
}

struct Schedule {
    steps: Vec<Step>,
    taken: usize,
}

impl Agent for Schedule {
    fn step(&mut self, window: &WindowStats, _tree: &TreeShape) -> Vec<Decision> {
        let waiting = &self.steps[self.taken..];
        let due = waiting.partition_point(|step| step.at_operations <= window.operations_total);
        self.taken += due;
        waiting[..due]
            .iter()
            .map(|step| {
                let action = Action::SetRuns {
                    level: step.level,
                    runs: step.runs,
                    transition: Transition::Flexible,
                };
                Decision::new(action, "scheduled")
            })
            .collect()
    }

    fn is_active(&self) -> bool {
        !self.steps.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn build(steps: serde_json::Value) -> Result<Box<dyn Agent>, crate::PolicyError> {
        (ENTRY.build)(0, &PolicySpec::named("schedule").with("steps", steps))
    }

    #[test]
    fn each_step_is_taken_once_and_in_order() {
        let mut agent = build(json!([
            { "at_operations": 10, "level": 1, "runs": 4 },
            { "at_operations": 10, "level": 2, "runs": 1 },
            { "at_operations": 30, "level": 1, "runs": 2 },
        ]))
        .unwrap();
        let mut at = |operations_total| {
            let window = WindowStats {
                operations_total,
                ..Default::default()
            };
            let decisions = agent.step(&window, &TreeShape::default());
            let limit = |decision: Decision| match decision.action {
                Action::SetRuns { level, runs, .. } => (level, runs),
                other => panic!("{other:?}"),
            };
            decisions.into_iter().map(limit).collect::<Vec<_>>()
        };
        assert_eq!(at(9), []);
        assert_eq!(at(20), [(1, 4), (2, 1)]);
        assert_eq!(at(29), []);
        assert_eq!(at(30), [(1, 2)]);
        assert_eq!(at(90), []);
    }

    #[test]
    fn bad_steps_are_refused() {
        assert!(build(json!([{ "at_operations": 1, "level": 0, "runs": 1 }])).is_err());
        assert!(build(json!([{ "at_operations": 1, "level": 1, "runs": 0 }])).is_err());
        assert!(build(json!([{ "at_operations": 1, "level": 1, "runs": 1, "run": 1 }])).is_err());
        let late = json!({ "at_operations": 2, "level": 1, "runs": 1 });
        let early = json!({ "at_operations": 1, "level": 1, "runs": 1 });
        assert!(build(json!([late, early])).is_err());
    }
}
