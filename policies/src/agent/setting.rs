//! A layout of the whole tree as agents see it, and the hand that brings the tree there.

use std::collections::BTreeMap;

use super::merges::{Candidate, runs_of};
use super::{Action, Decision, Transition};
use crate::PolicyError;
use crate::PolicySpec;
use crate::entry::in_range;
use crate::facts::{Outcome, TreeShape, WindowStats};

/// Levels that a run limit may be asked for.
const LEVELS_MAX: usize = 64;

/// Windows that an agent waits for the tree to take the shape of a setting.
pub(super) const PATIENCE: u32 = 40;

/// Windows in which a merge of unchanged levels is not asked for again.
const MERGE_WINDOWS: u32 = 8;

/// What bounds a setting.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// T: the layout's ratio, the largest run limit.
    pub(super) ratio: u32,
    /// The largest trigger of level 0.
    pub(super) level0_max: u32,
}

impl Bounds {
    /// Bounds from the parameters `ratio` and `level0_max`, which most agents have.
    pub(super) fn check(
        spec: &PolicySpec,
        ratio: u32,
        level0_max: u32,
    ) -> Result<Self, PolicyError> {
        Ok(Self {
            ratio: in_range(spec, "ratio", ratio, 2..=100)?,
            level0_max: in_range(spec, "level0_max", level0_max, 1..=64)?,
        })
    }
}

/// A layout: run limits and the trigger of level 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    /// K of all levels but the last.
    pub(super) runs: u32,
    /// K of the last level.
    pub(super) last: u32,
    /// The trigger of level 0.
    pub(super) level0: u32,
}

impl Setting {
    /// One limit for all levels. Level 0's trigger follows: the next power of two, within bounds,
    /// so that level 0 holds about as many runs as the other levels may.
    pub(super) fn uniform(runs: u32, bounds: &Bounds) -> Self {
        Self {
            runs,
            last: runs,
            level0: runs.next_power_of_two().min(bounds.level0_max),
        }
    }

    /// K of `level` in a tree whose deepest level is `deepest`.
    pub(super) fn limit(&self, level: usize, deepest: usize) -> u32 {
        if level >= deepest {
            self.last
        } else {
            self.runs
        }
    }

    /// Whether no level holds more runs than this layout allows it.
    pub(super) fn holds(&self, tree: &TreeShape) -> bool {
        let deepest = tree.deepest().max(1);
        (1..=deepest).all(|level| runs_of(tree, level) <= self.limit(level, deepest) as usize)
    }

    /// A few layouts that differ: K of 1, 2, the root of T, T / 2 and T, lazy leveling, and
    /// leveling with a level 0 of four runs.
    pub(super) fn arms(bounds: &Bounds) -> Vec<Self> {
        let ratio = bounds.ratio;
        let root = f64::from(ratio).sqrt().round() as u32;
        let mut arms = Vec::new();
        for runs in [1, 2, root, ratio / 2, ratio] {
            let arm = Self::uniform(runs.clamp(1, ratio), bounds);
            if !arms.contains(&arm) {
                arms.push(arm);
            }
        }
        let lazy = Self {
            last: 1,
            ..Self::uniform(ratio, bounds)
        };
        let leveled = Self {
            level0: bounds.level0_max.min(4),
            ..Self::uniform(1, bounds)
        };
        for arm in [lazy, leveled] {
            if !arms.contains(&arm) {
                arms.push(arm);
            }
        }
        arms
    }
}

/// Asks for what differs, once, and hears what was refused.
#[derive(Debug)]
pub(super) struct Hand {
    /// Largest limits that are believed possible: a refusal lowers them.
    ceiling: Bounds,
    asked: BTreeMap<usize, u32>,
    level0: Option<u32>,
    /// The last merge, and the windows since it was asked for.
    merged: Option<(Candidate, u32)>,
    sent: Vec<Action>,
    decisions: Vec<Decision>,
}

impl Hand {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            ceiling: bounds,
            asked: BTreeMap::new(),
            level0: None,
            merged: None,
            sent: Vec::new(),
            decisions: Vec::new(),
        }
    }

    /// Begins a window: hears what became of the last decisions.
    pub(super) fn begin(&mut self, window: &WindowStats) {
        let sent = std::mem::take(&mut self.sent);
        for (action, outcome) in sent.into_iter().zip(&window.outcomes) {
            match (action, outcome) {
                (Action::SetRuns { level, runs, .. }, Outcome::Refused) => {
                    self.asked.remove(&level);
                    self.ceiling.ratio = self.ceiling.ratio.min(runs.saturating_sub(1)).max(1);
                }
                (Action::SetLevel0Trigger { runs }, Outcome::Refused) => {
                    self.level0 = None;
                    let below = runs.saturating_sub(1);
                    self.ceiling.level0_max = self.ceiling.level0_max.min(below).max(1);
                }
                _ => {}
            }
        }
        if let Some((_, windows)) = &mut self.merged {
            *windows += 1;
        }
    }

    /// Asks for the limit `runs` of `level`, unless it holds or was asked for.
    pub(super) fn set_runs(
        &mut self,
        level: usize,
        runs: u32,
        tree: &TreeShape,
        reason: &'static str,
    ) {
        let runs = runs.clamp(1, self.ceiling.ratio);
        let known = tree.levels.get(level).and_then(|level| level.runs_max);
        if self.asked.get(&level).copied().or(known) != Some(runs) {
            let transition = Transition::Flexible;
            self.push(
                Action::SetRuns {
                    level,
                    runs,
                    transition,
                },
                reason,
            );
        }
        self.asked.insert(level, runs);
    }

    /// Asks for the trigger of level 0, unless it holds or was asked for.
    pub(super) fn set_level0(&mut self, runs: u32, tree: &TreeShape, reason: &'static str) {
        let runs = runs.clamp(1, self.ceiling.level0_max);
        if self.level0.unwrap_or(tree.level0_runs_trigger) != runs {
            self.push(Action::SetLevel0Trigger { runs }, reason);
        }
        self.level0 = Some(runs);
    }

    /// Asks for `setting`. Ask again each window: a level that is new gets its limit.
    pub(super) fn set(&mut self, setting: Setting, tree: &TreeShape, reason: &'static str) {
        let deepest = tree.deepest().max(1);
        for level in 1..=deepest.min(LEVELS_MAX) {
            self.set_runs(level, setting.limit(level, deepest), tree, reason);
        }
        self.set_level0(setting.level0, tree, reason);
    }

    /// Asks for a merge, unless it was asked for and the levels are as they were.
    pub(super) fn merge(&mut self, merge: Candidate, reason: &'static str) {
        let is_waiting =
            |(last, windows): (Candidate, u32)| last == merge && windows < MERGE_WINDOWS;
        if !self.merged.is_some_and(is_waiting) {
            self.merged = Some((merge, 0));
            let Candidate { from, to, .. } = merge;
            self.push(Action::Merge { from, to }, reason);
        }
    }

    /// Asks for anything else.
    pub(super) fn push(&mut self, action: Action, reason: &'static str) {
        self.decisions.push(Decision::new(action, reason));
    }

    /// Ends a window: what was asked for, in order.
    pub(super) fn finish(&mut self) -> Vec<Decision> {
        let decisions = std::mem::take(&mut self.decisions);
        self.sent = decisions.iter().map(|it| it.action.clone()).collect();
        decisions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds {
        ratio: 10,
        level0_max: 8,
    };

    fn tree() -> TreeShape {
        "trigger 4\nL0 1[1]=1\nL1 2[1-9]=9\nL2 3[1-9]=90"
            .parse()
            .unwrap()
    }

    fn limits(decisions: &[Decision]) -> Vec<(usize, u32)> {
        let limit = |decision: &Decision| match decision.action {
            Action::SetRuns { level, runs, .. } => (level, runs),
            Action::SetLevel0Trigger { runs } => (0, runs),
            ref other => panic!("{other:?}"),
        };
        decisions.iter().map(limit).collect()
    }

    #[test]
    fn a_setting_is_asked_for_once_and_a_new_level_gets_its_limit() {
        let mut hand = Hand::new(BOUNDS);
        let lazy = Setting {
            last: 1,
            ..Setting::uniform(10, &BOUNDS)
        };
        hand.set(lazy, &tree(), "x");
        assert_eq!(limits(&hand.finish()), [(1, 10), (2, 1), (0, 8)]);
        hand.begin(&WindowStats::default());
        hand.set(lazy, &tree(), "x");
        assert_eq!(hand.finish(), []);
        let deeper: TreeShape = format!("{}\nL3 4[1-9]=900", tree()).parse().unwrap();
        hand.set(lazy, &deeper, "x");
        assert_eq!(limits(&hand.finish()), [(2, 10), (3, 1)]);
    }

    #[test]
    fn a_refused_limit_is_asked_for_lower() {
        let mut hand = Hand::new(BOUNDS);
        hand.set_runs(1, 10, &tree(), "x");
        let mut asked = limits(&hand.finish());
        for _ in 0..4 {
            hand.begin(&WindowStats {
                outcomes: vec![Outcome::Refused],
                ..WindowStats::default()
            });
            hand.set_runs(1, 10, &tree(), "x");
            asked.extend(limits(&hand.finish()));
        }
        assert_eq!(asked, [(1, 10), (1, 9), (1, 8), (1, 7), (1, 6)]);
    }

    #[test]
    fn arms_differ_and_are_in_bounds() {
        for ratio in [2, 3, 4, 6, 10, 100] {
            for level0_max in [1, 2, 8] {
                let bounds = Bounds { ratio, level0_max };
                let arms = Setting::arms(&bounds);
                assert!((2..=7).contains(&arms.len()), "{arms:?}");
                for (at, arm) in arms.iter().enumerate() {
                    assert!(!arms[..at].contains(arm), "{arms:?}");
                    assert!(arm.runs.max(arm.last) <= ratio && arm.runs.min(arm.last) >= 1);
                    assert!((1..=level0_max).contains(&arm.level0));
                }
            }
        }
    }
}
