//! Random: actions drawn from the seed.
//!
//! Source: the control of every experiment on learning: what an agent that knows nothing loses, and
//! what an engine must bear.
//! State: the generator.
//! Cost: O(1) a window.
//! Invariants: the same seed and the same trees give the same actions.
//! Weak where: anything can be known of what comes.

use super::{Action, Agent, Build, Decision, Transition};
use crate::PolicySpec;
use crate::entry::{Entry, describe, in_range, params};
use crate::facts::{TreeShape, WindowStats};
use crate::picker;
use crate::splitmix::SplitMix64;

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "random",
    about: "any action, drawn from the seed: the control that agents are compared with",
    params: describe::<Params>,
    build: |seed, spec: &PolicySpec| {
        let Params {
            rate,
            runs_max,
            level0_max,
        } = params(spec)?;
        in_range(spec, "rate", rate, 0.0..=1.0)?;
        in_range(spec, "runs_max", runs_max, 1..=100)?;
        in_range(spec, "level0_max", level0_max, 1..=1000)?;
        Ok(Box::new(Random {
            rate,
            runs_max,
            level0_max,
            draws: SplitMix64::new(seed),
        }))
    },
};

#[derive(Debug, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Params {
    /// The share of windows that an action follows (0 to 1).
    rate: f64,
    /// The largest run limit that is drawn, at most the layout's ratio if none is to be refused (1
    /// to 100).
    runs_max: u32,
    /// The largest trigger of level 0 that is drawn, below the engine's level0_slowdown if none is
    /// to be refused (1 to 1000).
    level0_max: u32,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            rate: 0.2,
            runs_max: 10,
            level0_max: 16,
        }
    }
}

/// The slowest rate of writers that is drawn, in bytes a second; the fastest is 1024 times that.
const RATE_MIN: u64 = 1 << 20;

struct Random {
    rate: f64,
    runs_max: u32,
    level0_max: u32,
    draws: SplitMix64,
}

impl Agent for Random {
    fn step(&mut self, _window: &WindowStats, tree: &TreeShape) -> Vec<Decision> {
        if self.draws.fraction() >= self.rate {
            return Vec::new();
        }
        vec![Decision::new(self.action(tree), "drawn")]
    }

    fn is_active(&self) -> bool {
        self.rate > 0.0
    }
}

impl Random {
    /// Any action, on the levels that the tree has and the next one.
    fn action(&mut self, tree: &TreeShape) -> Action {
        let levels = tree.deepest() + 1;
        match self.draws.below(7) {
            0 => Action::SetRuns {
                level: 1 + self.draws.below(levels),
                runs: self.number(self.runs_max),
                transition: self.one_of(&[
                    Transition::Flexible,
                    Transition::Lazy,
                    Transition::Greedy,
                ]),
            },
            1 => Action::SetLevel0Trigger {
                runs: self.number(self.level0_max),
            },
            2 => {
                let to = 1 + self.draws.below(levels);
                let from = self.draws.below(to + 1);
                Action::Merge { from, to }
            }
            3 => Action::SetPicker {
                picker: PolicySpec::named(self.one_of(&picker::FAMILY.names())),
            },
            4 => Action::SetFilterBits {
                level: self.draws.below(levels + 1),
                bits: self.draws.below(17) as f64,
            },
            5 => Action::SetWriteRate {
                bytes: self.one_of(&[0, RATE_MIN]) << self.draws.below(11),
            },
            _ => Action::Hold,
        }
    }

    /// A number from 1 to `max`.
    fn number(&mut self, max: u32) -> u32 {
        1 + self.draws.below(max as usize) as u32
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.draws.below(choices.len())]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn build(rate: f64) -> Box<dyn Agent> {
        let spec = PolicySpec::named("random").with("rate", rate);
        (ENTRY.build)(7, &spec).expect("the rate is in range")
    }

    #[test]
    fn each_kind_of_action_comes_at_the_given_rate() {
        let mut agent = build(0.5);
        let mut kinds = BTreeSet::new();
        let mut actions = 0;
        for _ in 0..1_000 {
            for decision in agent.step(&WindowStats::default(), &TreeShape::default()) {
                let written = serde_json::to_value(&decision).expect("plain data");
                kinds.insert(written["action"].as_str().expect("a name").to_owned());
                actions += 1;
            }
        }
        assert_eq!(kinds.len(), 7, "{kinds:?}");
        assert!((400..600).contains(&actions), "{actions} of 1000 windows");
    }

    #[test]
    fn at_rate_0_it_is_idle() {
        assert!(!build(0.0).is_active());
        assert!(build(1.0).is_active());
    }
}
