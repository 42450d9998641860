//! LinUCB: for each arm a linear model of its cost in the mix, and an allowance for what the model
//! does not know.
//!
//! Source: Li et al., "A Contextual-Bandit Approach to Personalized News Article Recommendation",
//! WWW 2010, disjoint models; their inverses by the formula of Sherman and Morrison.
//! State: for each arm four weights and a matrix of 4x4.
//! Cost: O(arms) a window.
//! Invariants: with a mix it has met before it plays what was best then. Each arm begins with what
//! the analytic cost model says, less `optimism`, so that arms that could be the best are tried.
//! Weak where: costs are not linear in the shares; then mixes teach each other what is wrong.

use serde_json::json;

use super::Build;
use super::analytic::{Tree, nominal};
use super::bandit::{Bandit, Common, Known, Learner, least, open};
use super::file::{AgentFile, Learning};
use super::setting::Setting;
use crate::PolicySpec;
use crate::entry::{Entry, bad, describe, in_range, params};
use crate::facts::{TreeShape, WindowStats};
use crate::mix::Mix;
use crate::recursive::Recursive;

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "linucb",
    about: "a linear model of each layout's cost in the mix, begun by the analytic one (LinUCB)",
    params: describe::<Params>,
    build: |_seed, spec: &PolicySpec| {
        let params: Params = params(spec)?;
        let mut common = Common::check(spec, params.ratio, params.level0_max, params.windows)?;
        common.learn = params.learn;
        in_range(spec, "explore", params.explore, 0.0..=10.0)?;
        in_range(spec, "optimism", params.optimism, 0.0..=10.0)?;
        let settings = Setting::arms(&common.bounds);
        let scales: [f64; 2] = [params.ratio.into(), params.level0_max.into()];
        let weights = open(spec, params.model, &FEATURES, &scales)?;
        let saved = weights.map(|weights| restored(&weights, settings.len()));
        let learner = LinUcb {
            explore: if params.learn { params.explore } else { 0.0 },
            optimism: params.optimism,
            ratio: params.ratio,
            scales,
            settings,
            arms: saved
                .transpose()
                .map_err(|message| bad(spec, super::SAVED, &message))?
                .unwrap_or_default(),
        };
        Ok(Box::new(Bandit::new(common, learner)))
    },
};

#[derive(Debug, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Params {
    /// T: the layout's ratio, the largest run limit (2 to 100).
    ratio: u32,
    /// The largest trigger of level 0 (1 to 64), below the number of runs that slows writers down.
    level0_max: u32,
    /// Windows of a play (1 to 1000). If there are several, the first after a change does not
    /// count.
    windows: u32,
    /// The weight of what is not known (0 to 10), in logarithms of costs.
    explore: f64,
    /// How much cheaper each arm is expected than the analytic model says (0 to 10), in logarithms.
    optimism: f64,
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
            windows: 2,
            explore: 0.1,
            optimism: 0.1,
            learn: true,
            model: Learning::default(),
        }
    }
}

/// The context.
const FEATURES: [&str; 4] = ["1", "writes", "scans", "empty"];

/// Numbers of an arm in a file: its weights, and the inverse of its matrix.
const SAVED_NUMBERS: usize = 4 + 16;

fn context(mix: &Mix) -> [f64; 4] {
    [1.0, mix.writes, mix.scans, mix.empty]
}

fn restored(numbers: &[f64], arms: usize) -> Result<Vec<Recursive<4>>, String> {
    if numbers.len() != arms * SAVED_NUMBERS {
        let expected = arms * SAVED_NUMBERS;
        return Err(format!("has {} weights, not {expected}", numbers.len()));
    }
    let arm = |numbers: &[f64]| {
        let weights = std::array::from_fn(|at| numbers[at]);
        let row = |row: usize| std::array::from_fn(|column| numbers[4 + 4 * row + column]);
        Recursive::of(weights, std::array::from_fn(row))
    };
    Ok(numbers.chunks(SAVED_NUMBERS).map(arm).collect())
}

struct LinUcb {
    explore: f64,
    optimism: f64,
    ratio: u32,
    scales: [f64; 2],
    settings: Vec<Setting>,
    /// A model of the standing of each arm; none before the first window.
    arms: Vec<Recursive<4>>,
}

/// The mixes at which arms are given what the analytic model says: one kind alone, two kinds in
/// equal parts, all alike.
fn mixes() -> Vec<Mix> {
    let mut mixes = Vec::new();
    for kinds in 1..16_u32 {
        let count = f64::from(kinds.count_ones());
        let share = |kind: u32| f64::from((kinds >> kind) & 1) / count;
        mixes.push(Mix {
            empty: share(0),
            hits: share(1),
            scans: share(2),
            writes: share(3),
        });
    }
    mixes
}

impl Learner for LinUcb {
    fn believe(&mut self, window: &WindowStats, tree: &TreeShape) {
        if !self.arms.is_empty() {
            return;
        }
        let known = Tree {
            ratio: f64::from(self.ratio),
            levels: 1,
            bits: 10.0,
            monkey: false,
            entries: 32.0,
            rows: 16.0,
            write_price: 1.0,
        };
        let known = known.seen(window, tree);
        let costs: Vec<[f64; 4]> = self.settings.iter().map(|it| known.costs(it)).collect();
        self.arms = vec![Recursive::new([0.0; 4], 10.0); costs.len()];
        for mix in mixes() {
            let logs = costs
                .iter()
                .map(|cost| libm::log(nominal(&mix, cost).max(1e-6)));
            let logs: Vec<f64> = logs.collect();
            let usual = logs.iter().sum::<f64>() / logs.len() as f64;
            for (arm, log) in self.arms.iter_mut().zip(&logs) {
                // Half of what the model says, so that what is seen soon outweighs it.
                let standing = 0.5 * (log - usual) - self.optimism;
                arm.learn(&context(&mix), standing, 1.0);
            }
        }
        for arm in &mut self.arms {
            *arm = Recursive::new(*arm.weights(), 1.0);
        }
    }

    fn choose(&mut self, arms: usize, mix: &Mix) -> usize {
        let context = context(mix);
        least(arms.min(self.arms.len()), |arm| {
            let model = &self.arms[arm];
            model.predict(&context) - self.explore * model.spread(&context).sqrt()
        })
    }

    fn known(&self, arm: usize, mix: &Mix) -> Known {
        let context = context(mix);
        self.arms.get(arm).map_or((0.0, 0.0), |model| {
            // A spread of 1 / n is that of n windows of this mix.
            let windows = 1.0 / model.spread(&context).max(1e-6) - 1.0;
            (model.predict(&context), windows.max(0.0))
        })
    }

    fn learn(&mut self, arm: usize, mix: &Mix, standing: f64) {
        if let Some(model) = self.arms.get_mut(arm) {
            model.learn(&context(mix), standing, 1.0);
        }
    }

    fn saved(&self) -> Option<AgentFile> {
        let mut numbers = Vec::new();
        for arm in &self.arms {
            numbers.extend(arm.weights());
            numbers.extend(arm.inverse().iter().flatten());
        }
        let parameters = json!({ "explore": self.explore, "optimism": self.optimism });
        let file = AgentFile::new("linucb", &FEATURES, &self.scales, parameters, numbers);
        (!self.arms.is_empty()).then_some(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::setting::Bounds;

    fn bandit() -> LinUcb {
        let settings = Setting::arms(&Bounds {
            ratio: 10,
            level0_max: 8,
        });
        LinUcb {
            explore: 0.1,
            optimism: 0.1,
            ratio: 10,
            scales: [10.0, 8.0],
            settings,
            arms: Vec::new(),
        }
    }

    const READS: Mix = Mix {
        empty: 0.0,
        hits: 0.2,
        scans: 0.7,
        writes: 0.1,
    };

    const WRITES: Mix = Mix {
        empty: 0.0,
        hits: 0.1,
        scans: 0.0,
        writes: 0.9,
    };

    #[test]
    fn it_begins_with_what_the_model_says() {
        let mut bandit = bandit();
        bandit.believe(&WindowStats::default(), &TreeShape::default());
        let arms = bandit.settings.len();
        let reads = bandit.choose(arms, &READS);
        let writes = bandit.choose(arms, &WRITES);
        assert!(
            bandit.settings[reads].runs <= 2,
            "{:?}",
            bandit.settings[reads]
        );
        assert!(
            bandit.settings[writes].runs >= 5,
            "{:?}",
            bandit.settings[writes]
        );
    }

    #[test]
    fn a_mix_that_returns_finds_what_was_learned() {
        let mut bandit = bandit();
        bandit.believe(&WindowStats::default(), &TreeShape::default());
        let arms = bandit.settings.len();
        // Arm 2 is best for reads and arm 3 for writes, against what the model says.
        for _ in 0..2 {
            for (mix, best) in [(READS, 2), (WRITES, 3)] {
                for _ in 0..60 {
                    let arm = bandit.choose(arms, &mix);
                    let standing = if arm == best { -0.5 } else { 0.5 };
                    bandit.learn(arm, &mix, standing);
                }
            }
        }
        assert_eq!(bandit.choose(arms, &READS), 2);
        assert_eq!(bandit.choose(arms, &WRITES), 3);
        let file = bandit.saved().expect("it has learned");
        let again = restored(&file.weights, arms).unwrap();
        assert_eq!(again[2].weights(), bandit.arms[2].weights());
    }
}
