//! Fit: four coefficients of the cost model, learned from what windows cost.
//!
//! Source: the regression that CAMAL (Yu et al., PACMMOD 2(4), 2024) and AXE (PVLDB 18, 2025) put
//! in place of a general learner: the form of the cost is known, its prices are not. Recursive
//! least squares with forgetting.
//! State: four coefficients with their covariance, the limit in force, the scale of costs.
//! Cost: O(T + levels) a window.
//! Invariants: the limit is the cheapest by the coefficients, or with probability `explore` one
//! step beside it. A limit is learned from and left once the tree holds no more runs than it
//! allows, or after 40 windows. A jump of all costs under an unchanged layout and mix changes the
//! scale, not the choice.
//! Weak where: reads cost the same whatever the runs (the coefficients are then noise), or the true
//! cost has another form, such as a cache that either holds a level or does not.

use serde_json::{Value, json};

use super::file::{AgentFile, Learning};
use super::merges;
use super::setting::{Bounds, Hand, PATIENCE, Setting};
use super::{Agent, Build, Decision, SAVED};
use crate::PolicySpec;
use crate::entry::{Entry, bad, describe, in_range, params};
use crate::facts::{TreeShape, WindowStats};
use crate::mix::{Mix, Watch};
use crate::recursive::Recursive;
use crate::referee::Referee;
use crate::splitmix::SplitMix64;

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "fit",
    about: "coefficients of a cost model by recursive least squares, and the cheapest limit",
    params: describe::<Params>,
    build: |seed, spec: &PolicySpec| {
        let params: Params = params(spec)?;
        let bounds = Bounds::check(spec, params.ratio, params.level0_max)?;
        in_range(spec, "memory", params.memory, 0.5..=1.0)?;
        in_range(spec, "explore", params.explore, 0.0..=1.0)?;
        in_range(spec, "start", params.start, 1..=params.ratio)?;
        let saved = params.model.open("fit", &FEATURES, &[params.ratio.into()]);
        let believed = match saved.map_err(|message| bad(spec, SAVED, &message))? {
            Some(weights) => restored(&weights).map_err(|message| bad(spec, SAVED, &message))?,
            None => [0.0, 0.02, 0.2, 0.2],
        };
        Ok(Box::new(Fit {
            bounds,
            memory: params.memory,
            explore: params.explore,
            learn: params.learn,
            runs: params.start,
            age: 0,
            scale: None,
            believed,
            coefficients: Recursive::new(believed, VARIANCE),
            turn: 0,
            draws: SplitMix64::new(seed),
            watch: Watch::default(),
            referee: Referee::default(),
            hand: Hand::new(bounds),
        }))
    },
};

#[derive(Debug, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Params {
    /// T: the layout's ratio, the largest run limit (2 to 100).
    ratio: u32,
    /// The largest trigger of level 0 (1 to 64), below the number of runs that slows writers down.
    level0_max: u32,
    /// The weight of an example for each window that has passed since (0.5 to 1).
    memory: f64,
    /// The probability of a step beside the cheapest limit (0 to 1).
    explore: f64,
    /// The first run limit (1 to ratio).
    start: u32,
    /// Whether it goes on learning.
    learn: bool,
    /// A saved agent to begin with: its object, or in experiments its file; empty for none.
    model: Learning,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            ratio: 10,
            level0_max: 8,
            memory: 0.97,
            explore: 0.05,
            start: 1,
            learn: true,
            model: Learning::default(),
        }
    }
}

/// What the four coefficients are prices of, for each operation.
const FEATURES: [&str; 4] = ["operation", "hits*K", "(empty+scans)*K", "writes*T/K"];

/// The variance of a coefficient at first, where that of a window's noise is 1.
const VARIANCE: f64 = 4.0;

fn restored(weights: &[f64]) -> Result<[f64; 4], String> {
    let found = weights.len();
    weights
        .try_into()
        .map_err(|_| format!("has {found} weights, not 4"))
}

struct Fit {
    bounds: Bounds,
    memory: f64,
    explore: f64,
    learn: bool,
    runs: u32,
    /// Windows since the limit changed.
    age: u32,
    /// What 1 is in the referee's currency.
    scale: Option<f64>,
    /// The coefficients at first, which are returned to where nothing is seen.
    believed: [f64; 4],
    coefficients: Recursive<4>,
    /// The coefficient that is recalled next.
    turn: usize,
    draws: SplitMix64,
    watch: Watch,
    referee: Referee,
    hand: Hand,
}

impl Fit {
    fn features(&self, mix: &Mix, runs: u32) -> [f64; 4] {
        let k = f64::from(runs);
        let reads = (mix.empty + mix.scans) * k;
        [
            1.0,
            mix.hits * k,
            reads,
            mix.writes * f64::from(self.bounds.ratio) / k,
        ]
    }

    fn take(&mut self, mix: &Mix, cost: f64, is_another_mix: bool) {
        let features = self.features(mix, self.runs);
        let expected = self.coefficients.predict(&features).max(1e-3);
        let scale = *self.scale.get_or_insert(cost / expected);
        let surprise = cost / (scale * expected);
        // Noise is no factor of three: values or the device have changed.
        let is_jump = !is_another_mix && self.age > 0 && !(0.33..=3.0).contains(&surprise);
        if is_jump {
            self.scale = Some(cost / expected);
        } else {
            self.coefficients
                .learn(&features, cost / scale, self.memory);
            let at = self.turn;
            self.coefficients
                .recall(at, self.believed[at], VARIANCE, self.memory);
            self.turn = (at + 1) % self.believed.len();
        }
    }

    /// The cheapest limit, which of equal ones is the smallest.
    fn cheapest(&self, mix: &Mix) -> u32 {
        let mut best = (f64::INFINITY, self.runs);
        for runs in 1..=self.bounds.ratio {
            let cost = self.coefficients.predict(&self.features(mix, runs));
            if cost < best.0 {
                best = (cost, runs);
            }
        }
        best.1
    }

    fn choose(&mut self, mix: &Mix) -> (u32, &'static str) {
        let cheapest = self.cheapest(mix);
        let chance = if self.learn { self.explore } else { 0.0 };
        if !self.draws.chance(chance) {
            return (cheapest, "cheapest-by-fit");
        }
        let beside = match self.draws.below(2) {
            0 if cheapest > 1 => cheapest - 1,
            1 if cheapest < self.bounds.ratio => cheapest + 1,
            0 => cheapest + 1,
            _ => cheapest - 1,
        };
        (beside, "explore")
    }
}

impl Agent for Fit {
    fn step(&mut self, window: &WindowStats, tree: &TreeShape) -> Vec<Decision> {
        self.hand.begin(window);
        let is_another_mix = self.watch.see(window);
        let (Some(judged), Some(now)) = (self.referee.judge(window), Mix::of(window)) else {
            return self.hand.finish();
        };
        let setting = Setting::uniform(self.runs, &self.bounds);
        let has_settled = setting.holds(tree) || self.age >= PATIENCE;
        if self.learn && has_settled {
            self.take(&now, judged.cost, is_another_mix);
        }
        self.age = self.age.saturating_add(1);
        let mut reason = "settles";
        if has_settled || is_another_mix {
            let (runs, why) = self.choose(&self.watch.mix());
            reason = why;
            if runs != self.runs {
                self.runs = runs;
                self.age = 0;
            }
        }
        let setting = Setting::uniform(self.runs, &self.bounds);
        self.hand.set(setting, tree, reason);
        merges::for_reads(&mut self.hand, window, tree, &self.watch, &self.referee);
        self.hand.finish()
    }

    fn save(&self) -> Option<Value> {
        let weights = self.coefficients.weights().to_vec();
        let parameters = json!({ "memory": self.memory, "explore": self.explore });
        let scales = [self.bounds.ratio.into()];
        Some(AgentFile::new("fit", &FEATURES, &scales, parameters, weights).into_value())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::Action;

    /// Runs an agent in a world of scans and writes, and returns its limits window by window.
    fn run(spec: &PolicySpec, windows: usize, scale: impl Fn(usize) -> f64) -> Vec<u32> {
        let mut agent = (ENTRY.build)(5, spec).unwrap();
        let mut runs = 1;
        let mut limits = Vec::new();
        for at in 0..windows {
            let cost = 0.5 * f64::from(runs) + 0.5 * 10.0 / f64::from(runs);
            let window = WindowStats {
                scans: 500,
                writes: 500,
                device_write_bytes: (1e6 * cost * scale(at)) as u64,
                ..WindowStats::default()
            };
            for decision in agent.step(&window, &TreeShape::default()) {
                if let Action::SetRuns { runs: asked, .. } = decision.action {
                    runs = asked;
                }
            }
            limits.push(runs);
        }
        limits
    }

    #[test]
    fn it_finds_the_optimum_and_a_scale_does_not_matter() {
        let spec = PolicySpec::named("fit");
        let steady = run(&spec, 200, |_| 1.0);
        let grown = run(&spec, 200, |at| if at < 100 { 1.0 } else { 20.0 });
        for limits in [steady, grown] {
            let near = limits[20..].iter().filter(|runs| (2..=4).contains(*runs));
            assert!(near.count() > 170, "{limits:?}");
        }
    }

    #[test]
    fn a_frozen_agent_does_not_move_once_it_has_chosen() {
        let mut taught = (ENTRY.build)(5, &PolicySpec::named("fit")).unwrap();
        for _ in 0..5 {
            let window = WindowStats {
                writes: 1000,
                device_write_bytes: 1_000_000,
                ..WindowStats::default()
            };
            taught.step(&window, &TreeShape::default());
        }
        let saved = taught.save().expect("a file");
        let spec = PolicySpec::named("fit")
            .with("model", saved.clone())
            .with("learn", false);
        let limits = run(&spec, 100, |at| (at % 7 + 1) as f64);
        assert!(limits.iter().all(|runs| *runs == limits[0]), "{limits:?}");
        assert!(
            (ENTRY.build)(0, &spec.with("ratio", 6)).is_err(),
            "another scale"
        );
    }
}
