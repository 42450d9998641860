//! Hill climbing: one run more or less, and the better of the two stays.
//!
//! Source: the plainest search there is; the hand-written baseline of every study of tuning.
//! State: the limit, the direction, and the mean cost of the step before.
//! Cost: O(levels) a window.
//! Invariants: the limit moves by at most one, and only after `windows` windows; it stays between 1
//! and T. Level 0's trigger follows it. A change of the mix ends the step and forgets its cost.
//! Weak where: costs are noisier than one step changes them, phases are short (T steps of `windows`
//! windows cross the range), or a lower hill lies behind a valley.

use super::merges;
use super::setting::{Bounds, Hand, Setting};
use super::{Agent, Build, Decision};
use crate::PolicySpec;
use crate::entry::{Entry, describe, in_range, params};
use crate::facts::{TreeShape, WindowStats};
use crate::mix::Watch;
use crate::referee::Referee;

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "hill-climb",
    about: "one run more or less for some windows, and the better stays",
    params: describe::<Params>,
    build: |_seed, spec: &PolicySpec| {
        let params: Params = params(spec)?;
        let bounds = Bounds::check(spec, params.ratio, params.level0_max)?;
        in_range(spec, "windows", params.windows, 1..=1000)?;
        in_range(spec, "start", params.start, 1..=params.ratio)?;
        Ok(Box::new(HillClimb {
            bounds,
            windows: params.windows,
            runs: params.start,
            up: true,
            age: 0,
            sum: 0.0,
            before: None,
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
    /// Windows of a step (1 to 1000). If there are several, the first does not count.
    windows: u32,
    /// The run limit of the first step (1 to ratio).
    start: u32,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            ratio: 10,
            level0_max: 8,
            windows: 3,
            start: 1,
        }
    }
}

struct HillClimb {
    bounds: Bounds,
    windows: u32,
    runs: u32,
    up: bool,
    /// Windows of this step so far.
    age: u32,
    /// Logarithms of their costs, summed.
    sum: f64,
    /// The mean logarithm of the step before.
    before: Option<f64>,
    watch: Watch,
    referee: Referee,
    hand: Hand,
}

impl HillClimb {
    /// Whether a step is over with `log`, and what it cost.
    fn take(&mut self, log: f64) -> Option<f64> {
        self.age += 1;
        let counts = self.windows == 1 || self.age > 1;
        self.sum += if counts { log } else { 0.0 };
        let counted = (self.windows - 1).max(1);
        (self.age >= self.windows).then(|| self.sum / f64::from(counted))
    }

    fn begin_step(&mut self) {
        self.age = 0;
        self.sum = 0.0;
    }

    fn climb(&mut self, cost: f64) {
        let is_worse = self.before.is_some_and(|before| cost > before);
        let at_end = self.runs == if self.up { self.bounds.ratio } else { 1 };
        if is_worse || at_end {
            self.up = !self.up;
        }
        // The limit that was left is measured again: what it cost before may be stale.
        self.before = Some(cost);
        self.runs = if self.up {
            (self.runs + 1).min(self.bounds.ratio)
        } else {
            (self.runs - 1).max(1)
        };
        self.begin_step();
    }
}

impl Agent for HillClimb {
    fn step(&mut self, window: &WindowStats, tree: &TreeShape) -> Vec<Decision> {
        self.hand.begin(window);
        if self.watch.see(window) {
            self.before = None;
            self.begin_step();
        }
        if let Some(judged) = self.referee.judge(window)
            && let Some(cost) = self.take(judged.log)
        {
            self.climb(cost);
        }
        let setting = Setting::uniform(self.runs, &self.bounds);
        self.hand.set(setting, tree, "climb");
        merges::for_reads(&mut self.hand, window, tree, &self.watch, &self.referee);
        self.hand.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::Action;

    /// Steps with the costs of a hill whose top is at four runs, without noise.
    #[test]
    fn it_stays_around_the_top() {
        let spec = PolicySpec::named("hill-climb").with("windows", 1);
        let mut agent = (ENTRY.build)(0, &spec).unwrap();
        let mut runs = 1_i64;
        let mut seen = Vec::new();
        for _ in 0..40 {
            let window = WindowStats {
                writes: 1000,
                device_write_bytes: 100_000 + 10_000 * (runs - 4).unsigned_abs(),
                ..WindowStats::default()
            };
            let before = runs;
            for decision in agent.step(&window, &TreeShape::default()) {
                if let Action::SetRuns { runs: asked, .. } = decision.action {
                    runs = i64::from(asked);
                }
            }
            assert!((runs - before).abs() <= 1);
            seen.push(runs);
        }
        assert!(
            seen[10..].iter().all(|runs| (3..=5).contains(runs)),
            "{seen:?}"
        );
    }
}
