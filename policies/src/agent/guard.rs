//! Guard: any agent within an operator's bounds, and the configured layout while the agent's loss
//! could exceed a share.
//!
//! Source: conservative bandits (Wu et al., "Conservative Bandits", ICML 2016): play the baseline
//! unless the accumulated loss stays within a share of the baseline's cost even if the next window
//! goes as badly as the agent's worst. Bounds and the hold switch are what operators asked
//! CockroachDB and RocksDB for.
//! State: the agent; the usual cost of the baseline in each mix; what was lost so far; the limits
//! that the agent wants.
//! Cost: that of the agent, and O(levels) a window.
//! Invariants: no limit above `runs_max` and no trigger above `level0_max` is passed on. In each
//! mix the baseline is measured for `windows` windows first. The accumulated cost stays within 1 +
//! `loss` of the baseline's, as measured, but for one window worse than any before.
//! Weak where: the baseline's cost drifts while the agent acts (values grow): the guard then takes
//! drift for loss, and measures the baseline again. Measuring costs what the baseline costs.

use std::collections::BTreeMap;

use super::setting::{Bounds, Hand};
use super::{Action, Agent, Build, Decision};
use crate::PolicySpec;
use crate::entry::{Entry, bad, describe, in_range, params};
use crate::facts::{Outcome, TreeShape, WindowStats};
use crate::mix::{BUCKETS, Mix};
use crate::referee::Referee;

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "guard",
    about: "another agent within bounds; the configured layout while it could lose too much",
    params: describe::<Params>,
    build: |seed, spec: &PolicySpec| {
        let params: Params = params(spec)?;
        in_range(spec, "runs_max", params.runs_max, 1..=100)?;
        in_range(spec, "level0_max", params.level0_max, 1..=64)?;
        in_range(spec, "loss", params.loss, 0.0..=10.0)?;
        in_range(spec, "windows", params.windows, 1..=10_000)?;
        if params.fallback.is_empty()
            || params.fallback.iter().any(|runs| !(1..=100).contains(runs))
        {
            return Err(bad(spec, "fallback", "must hold limits from 1 to 100"));
        }
        let inner = super::build(&params.agent, seed);
        let inner = inner.map_err(|error| bad(spec, "agent", &error.to_string()))?;
        Ok(Box::new(Guard {
            inner,
            configured_trigger: None,
            wanted: Wanted::default(),
            passed: Vec::new(),
            acting: false,
            baselines: [Usual::default(); BUCKETS],
            ledger: Ledger::new(params.loss),
            referee: Referee::default(),
            params,
        }))
    },
};

#[derive(Debug, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Params {
    /// The agent that is guarded.
    agent: PolicySpec,
    /// The largest run limit that the agent may set (1 to 100).
    runs_max: u32,
    /// The largest trigger of level 0 that the agent may set (1 to 64).
    level0_max: u32,
    /// Whether everything stays as it is: the agent is neither asked nor obeyed.
    hold: bool,
    /// The share by which the accumulated cost may exceed the configured layout's (0 to 10).
    loss: f64,
    /// Windows in which the configured layout is measured in each mix (1 to 10000).
    windows: u32,
    /// Run limits of levels 1, 2, ... of the configured layout (1 to 100 each). The last holds for
    /// all deeper levels.
    fallback: Vec<u32>,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            agent: super::FAMILY.default_spec(),
            runs_max: 10,
            level0_max: 8,
            hold: false,
            loss: 0.05,
            windows: 10,
            fallback: vec![1],
        }
    }
}

/// The cost of a window under the configured layout.
#[derive(Clone, Copy, Debug, Default)]
struct Usual {
    mean: f64,
    windows: f64,
}

/// What was spent, in windows of the baseline.
#[derive(Debug)]
struct Ledger {
    loss: f64,
    /// Windows so far, each of which allows a share of loss.
    windows: f64,
    /// Cost beyond the baseline's, in windows of the baseline; negative if the agent has gained.
    lost: f64,
    /// The most that one window has lost.
    worst: f64,
}

/// More times the usual cost than a layout explains: the baseline is then measured again.
const FACTOR_MAX: f64 = 3.0;

/// What a window is expected to lose at worst before one has lost more.
const WORST_MIN: f64 = 0.25;

impl Ledger {
    fn new(loss: f64) -> Self {
        Self {
            loss,
            windows: 0.0,
            lost: 0.0,
            worst: WORST_MIN,
        }
    }

    /// A window of the agent cost `ratio` times the baseline's.
    fn book(&mut self, ratio: f64) {
        self.windows += 1.0;
        self.lost += ratio - 1.0;
        self.worst = self.worst.max(ratio - 1.0);
    }

    /// A window of the baseline itself.
    fn rest(&mut self) {
        self.windows += 1.0;
    }

    /// Whether one more window of the agent stays within the share even if it is the worst.
    fn affords(&self) -> bool {
        self.lost + self.worst <= self.loss * (self.windows + 1.0)
    }
}

/// What the agent has asked for and the bounds allow.
#[derive(Debug, Default)]
struct Wanted {
    limits: BTreeMap<usize, u32>,
    level0: Option<u32>,
    /// Whether writers are slowed down.
    slowed: bool,
}

struct Guard {
    params: Params,
    inner: Box<dyn Agent>,
    /// The trigger before the first change.
    configured_trigger: Option<u32>,
    wanted: Wanted,
    /// Which of the last decisions were the agent's.
    passed: Vec<bool>,
    /// Whether the agent's limits are in force.
    acting: bool,
    baselines: [Usual; BUCKETS],
    ledger: Ledger,
    referee: Referee,
}

/// The guard's own decisions, whose bounds are the engine's.
fn own_hand() -> Hand {
    Hand::new(Bounds {
        ratio: u32::MAX,
        level0_max: u32::MAX,
    })
}

impl Guard {
    /// Books a window. Returns whether the agent may act in the next one.
    fn judge(&mut self, window: &WindowStats) -> bool {
        let (Some(judged), Some(mix)) = (self.referee.judge(window), Mix::of(window)) else {
            return self.acting;
        };
        let usual = &mut self.baselines[mix.bucket()];
        let enough = f64::from(self.params.windows);
        if self.acting && usual.windows > 0.0 {
            let ratio = judged.cost / usual.mean;
            self.ledger.book(ratio.min(FACTOR_MAX));
            if ratio > FACTOR_MAX {
                *usual = Usual::default();
            }
        } else if !self.acting {
            usual.windows = (usual.windows + 1.0).min(enough);
            usual.mean += (judged.cost - usual.mean) / usual.windows;
            self.ledger.rest();
        }
        usual.windows >= enough && self.ledger.affords()
    }

    /// Within bounds; remembers limits and the trigger for when the agent acts again.
    fn bounded(&mut self, mut decision: Decision) -> Decision {
        match &mut decision.action {
            Action::SetRuns { level, runs, .. } => {
                *runs = (*runs).min(self.params.runs_max);
                self.wanted.limits.insert(*level, *runs);
            }
            Action::SetLevel0Trigger { runs } => {
                *runs = (*runs).min(self.params.level0_max);
                self.wanted.level0 = Some(*runs);
            }
            Action::SetWriteRate { bytes } => self.wanted.slowed = *bytes > 0,
            _ => {}
        }
        decision
    }

    /// The agent's step, which hears of its own decisions alone.
    fn ask(&mut self, window: &WindowStats, tree: &TreeShape) -> Vec<Decision> {
        let of_agent = self.passed.iter().zip(&window.outcomes);
        let outcomes: Vec<Outcome> = of_agent
            .filter(|(of_agent, _)| **of_agent)
            .map(|(_, outcome)| *outcome)
            .collect();
        let seen = WindowStats {
            outcomes,
            ..window.clone()
        };
        let decisions = self.inner.step(&seen, tree);
        decisions.into_iter().map(|it| self.bounded(it)).collect()
    }

    /// Asks for what the agent wanted when it last acted.
    fn resume(&self, tree: &TreeShape) -> Vec<Decision> {
        let mut hand = own_hand();
        for (level, runs) in &self.wanted.limits {
            hand.set_runs(*level, *runs, tree, "agent-resumes");
        }
        if let Some(runs) = self.wanted.level0 {
            hand.set_level0(runs, tree, "agent-resumes");
        }
        hand.finish()
    }

    /// Asks for the configured layout, wherever the agent has changed it.
    fn fall_back(&mut self, tree: &TreeShape) -> Vec<Decision> {
        let mut hand = own_hand();
        for level in self.wanted.limits.keys() {
            let at = level.saturating_sub(1).min(self.params.fallback.len() - 1);
            let runs = self.params.fallback[at];
            hand.set_runs(*level, runs, tree, "loss-could-exceed");
        }
        if let Some(runs) = self.configured_trigger.filter(|runs| *runs > 0)
            && self.wanted.level0.is_some()
        {
            hand.set_level0(runs, tree, "loss-could-exceed");
        }
        if std::mem::take(&mut self.wanted.slowed) {
            hand.push(Action::SetWriteRate { bytes: 0 }, "loss-could-exceed");
        }
        hand.finish()
    }
}

impl Agent for Guard {
    fn step(&mut self, window: &WindowStats, tree: &TreeShape) -> Vec<Decision> {
        if self.params.hold {
            return Vec::new();
        }
        let configured = tree.level0_runs_trigger;
        self.configured_trigger.get_or_insert(configured);
        let may_act = self.judge(window);
        let was_acting = std::mem::replace(&mut self.acting, may_act);
        let mut decisions = match (was_acting, may_act) {
            (false, true) => self.resume(tree),
            (true, false) => self.fall_back(tree),
            _ => Vec::new(),
        };
        let own = decisions.len();
        if may_act {
            decisions.extend(self.ask(window, tree));
        }
        self.passed = (0..decisions.len()).map(|at| at >= own).collect();
        decisions
    }

    fn is_active(&self) -> bool {
        !self.params.hold && self.inner.is_active()
    }

    fn save(&self) -> Option<serde_json::Value> {
        self.inner.save()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn window(cost: u64, turn: u64) -> WindowStats {
        WindowStats {
            index: turn,
            operations_total: 1000 * turn,
            writes: 1000,
            device_write_bytes: cost,
            ..WindowStats::default()
        }
    }

    fn guard(spec: PolicySpec) -> Box<dyn Agent> {
        (ENTRY.build)(0, &spec).unwrap()
    }

    /// An agent that asks for nine runs at once, and for three after 40 windows.
    fn guarded() -> PolicySpec {
        let steps = json!([
            { "at_operations": 1, "level": 1, "runs": 9 },
            { "at_operations": 40_000, "level": 1, "runs": 3 },
        ]);
        let agent = json!({ "policy": "schedule", "steps": steps });
        PolicySpec::named("guard").with("agent", agent)
    }

    /// The limit in force after each window, in a world where `cost` is that of a limit.
    fn run(spec: PolicySpec, windows: u64, cost: impl Fn(u32) -> u64) -> Vec<u32> {
        let mut guard = guard(spec);
        let mut runs = 1;
        let mut limits = Vec::new();
        for turn in 1..=windows {
            let decisions = guard.step(&window(cost(runs), turn), &TreeShape::default());
            for decision in decisions {
                if let Action::SetRuns { runs: asked, .. } = decision.action {
                    runs = asked;
                }
            }
            limits.push(runs);
        }
        limits
    }

    #[test]
    fn the_baseline_is_measured_first_and_bounds_hold() {
        let limits = run(guarded().with("runs_max", 5), 60, |_| 1_000_000);
        assert_eq!(limits[..9], [1; 9]);
        assert_eq!(limits[10..39], [5; 29]);
        assert_eq!(limits[40..], [3; 20]);
    }

    #[test]
    fn an_agent_that_loses_is_stopped_before_the_share_is_gone() {
        let worse = |runs| if runs > 5 { 1_200_000 } else { 1_000_000 };
        for loss in [0.02, 0.05, 0.2] {
            let limits = run(guarded().with("loss", loss), 400, worse);
            let mut spent = 0;
            for (at, runs) in limits.iter().enumerate() {
                spent += worse(*runs);
                let baseline = 1_000_000.0 * (at + 1) as f64;
                let allowed = baseline * (1.0 + loss) + 200_000.0;
                assert!(spent as f64 <= allowed, "{loss}, window {at}: {spent}");
            }
            assert!(limits.contains(&9), "it was tried");
        }
    }

    #[test]
    fn a_held_guard_does_nothing_and_bad_parameters_are_refused() {
        let mut held = guard(guarded().with("hold", true));
        assert!(!held.is_active());
        for turn in 0..50 {
            assert_eq!(held.step(&window(1, turn), &TreeShape::default()), []);
        }
        for (name, value) in [
            ("agent", json!("no such agent")),
            ("fallback", json!([])),
            ("fallback", json!([0])),
            ("loss", json!(-0.1)),
        ] {
            let spec = PolicySpec::named("guard").with(name, value);
            assert!((ENTRY.build)(0, &spec).is_err(), "{name}");
        }
    }
}
