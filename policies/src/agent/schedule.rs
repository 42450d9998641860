//! Schedule: takes given actions at given operation counts.
//!
//! Source: the oracle of the literature on learned tuning: an expert who knows the phases of a
//! workload writes down the best layout for each, and how the tree comes to it.
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
    about: "run limits, level-0 triggers and merges at given operation counts, as an oracle would",
    params: describe::<Params>,
    build: |_seed, spec: &PolicySpec| {
        let Params { steps } = params(spec)?;
        let mut actions = Vec::with_capacity(steps.len());
        for step in steps {
            let action = step.action().map_err(|what| {
                let message = format!("{what}: {step:?}");
                bad(spec, "steps", &message)
            })?;
            actions.push((step.at_operations, action));
        }
        if !actions.is_sorted_by_key(|(at, _)| *at) {
            return Err(bad(spec, "steps", "must be in the order of at_operations"));
        }
        Ok(Box::new(Schedule { actions, taken: 0 }))
    },
};

#[derive(Debug, Default, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Params {
    /// The steps, in the order of at_operations (operations since the database was opened): tables
    /// { at_operations, level, runs, transition } for the run limit of a level (from level 1 on),
    /// which is kept in a "flexible" (the default), "lazy" or "greedy" way; { at_operations,
    /// level0_trigger } for the runs that start a merge of level 0; { at_operations, merge =
    /// { from, to } } for a merge of these levels into one run of the deeper one.
    steps: Vec<Step>,
}

#[derive(Clone, Copy, Debug, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Step {
    at_operations: u64,
    level: Option<usize>,
    runs: Option<u32>,
    transition: Option<Transition>,
    level0_trigger: Option<u32>,
    merge: Option<Levels>,
}

#[derive(Clone, Copy, Debug, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Levels {
    from: usize,
    to: usize,
}

impl Step {
    /// What the step does, or what is wrong with it.
    fn action(&self) -> Result<Action, &'static str> {
        match *self {
            Self {
                level: Some(level),
                runs: Some(runs),
                transition,
                level0_trigger: None,
                merge: None,
                ..
            } if level > 0 && runs > 0 => Ok(Action::SetRuns {
                level,
                runs,
                transition: transition.unwrap_or_default(),
            }),
            Self {
                level: None,
                runs: None,
                transition: None,
                level0_trigger: Some(runs),
                merge: None,
                ..
            } if runs > 0 => Ok(Action::SetLevel0Trigger { runs }),
            Self {
                level: None,
                runs: None,
                transition: None,
                level0_trigger: None,
                merge: Some(Levels { from, to }),
                ..
            } if from <= to && to > 0 => Ok(Action::Merge { from, to }),
            _ => Err(
                "a step is a level and its runs, a level0_trigger, or a merge from a level to \
                      one that is not above it; all but `from` are at least 1",
            ),
        }
    }
}

struct Schedule {
    actions: Vec<(u64, Action)>,
    taken: usize,
}

impl Agent for Schedule {
    fn step(&mut self, window: &WindowStats, _tree: &TreeShape) -> Vec<Decision> {
        let waiting = &self.actions[self.taken..];
        let due = waiting.partition_point(|(at, _)| *at <= window.operations_total);
        self.taken += due;
        let actions = waiting[..due].iter().map(|(_, action)| action.clone());
        actions
            .map(|action| Decision::new(action, "scheduled"))
            .collect()
    }

    fn is_active(&self) -> bool {
        !self.actions.is_empty()
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
    fn a_step_may_set_the_trigger_or_merge() {
        let mut agent = build(json!([
            { "at_operations": 1, "level0_trigger": 1 },
            { "at_operations": 1, "merge": { "from": 0, "to": 2 } },
            { "at_operations": 2, "level": 1, "runs": 3, "transition": "greedy" },
        ]))
        .unwrap();
        let window = WindowStats {
            operations_total: 2,
            ..Default::default()
        };
        let decisions = agent.step(&window, &TreeShape::default());
        let actions: Vec<Action> = decisions.into_iter().map(|it| it.action).collect();
        let expected = [
            Action::SetLevel0Trigger { runs: 1 },
            Action::Merge { from: 0, to: 2 },
            Action::SetRuns {
                level: 1,
                runs: 3,
                transition: Transition::Greedy,
            },
        ];
        assert_eq!(actions, expected);
    }

    #[test]
    fn bad_steps_are_refused() {
        assert!(build(json!([{ "at_operations": 1, "level": 0, "runs": 1 }])).is_err());
        assert!(build(json!([{ "at_operations": 1, "level": 1, "runs": 0 }])).is_err());
        assert!(build(json!([{ "at_operations": 1, "level": 1, "runs": 1, "run": 1 }])).is_err());
        assert!(build(json!([{ "at_operations": 1, "level0_trigger": 0 }])).is_err());
        assert!(build(json!([{ "at_operations": 1, "level0_trigger": 1, "runs": 1 }])).is_err());
        assert!(build(json!([{ "at_operations": 1, "merge": { "from": 2, "to": 1 } }])).is_err());
        assert!(build(json!([{ "at_operations": 1, "merge": { "from": 0, "to": 0 } }])).is_err());
        assert!(build(json!([{ "at_operations": 1 }])).is_err());
        let late = json!({ "at_operations": 2, "level": 1, "runs": 1 });
        let early = json!({ "at_operations": 1, "level": 1, "runs": 1 });
        assert!(build(json!([late, early])).is_err());
    }
}
