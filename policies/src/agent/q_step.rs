//! Q-step: a table of what one run less, as many, or one more is worth, for each mix and limit.
//!
//! Source: Watkins, Q-learning, 1989, with RusKey's actions (Yu et al., PACMMOD 1(2), 2023); each
//! window is also learned from again, as in Dyna (Sutton, 1990), because windows are scarce.
//! State: 5 mixes x T limits x 3 values, and the last 512 windows.
//! Cost: O(replays + levels) a window.
//! Invariants: the limit moves by at most one a window. A step that leaves 1..=T is neither tried
//! nor counted as a future. A window's reward is how far it was below the usual cost of its mix.
//! Weak where: phases are short: each of 3 T entries of a mix wants some windows before it says
//! anything. A table knows nothing of limits it has not tried.

use serde_json::{Value, json};

use super::cost::Baselines;
use super::file::{AgentFile, Learning};
use super::merges;
use super::setting::{Bounds, Hand, Setting};
use super::{Agent, Build, Decision, SAVED};
use crate::PolicySpec;
use crate::entry::{Entry, bad, describe, in_range, params};
use crate::facts::{TreeShape, WindowStats};
use crate::mix::{BUCKETS, Mix, Watch};
use crate::referee::Referee;
use crate::splitmix::SplitMix64;

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "q-step",
    about: "a table of what one run less or more is worth in each mix (Q-learning)",
    params: describe::<Params>,
    build: |seed, spec: &PolicySpec| {
        let params: Params = params(spec)?;
        let bounds = Bounds::check(spec, params.ratio, params.level0_max)?;
        in_range(spec, "rate", params.rate, 0.001..=1.0)?;
        in_range(spec, "discount", params.discount, 0.0..=0.99)?;
        in_range(spec, "explore", params.explore, 0.0..=1.0)?;
        in_range(spec, "start", params.start, 1..=params.ratio)?;
        in_range(spec, "replays", params.replays, 0..=1000)?;
        let scales = [f64::from(params.ratio)];
        let saved = params.model.open("q-step", &FEATURES, &scales);
        let values = saved.map_err(|message| bad(spec, SAVED, &message))?;
        let entries = BUCKETS * params.ratio as usize * STEPS.len();
        if values.as_ref().is_some_and(|it| it.len() != entries) {
            return Err(bad(spec, SAVED, &format!("needs {entries} weights")));
        }
        let table = Table {
            ratio: params.ratio,
            values: values.unwrap_or_else(|| vec![HOPE; entries]),
        };
        Ok(Box::new(QStep {
            bounds,
            rate: params.rate,
            discount: params.discount,
            explore: if params.learn { params.explore } else { 0.0 },
            replays: params.replays,
            learn: params.learn,
            table,
            last: None,
            runs: params.start,
            windows: [0; BUCKETS],
            memory: Vec::new(),
            baselines: Baselines::new(BUCKETS),
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
    /// The share of a surprise that an entry takes (0.001 to 1).
    rate: f64,
    /// The weight of the next window's value, where this window's reward weighs 1 (0 to 0.99).
    discount: f64,
    /// The probability of a random step (0 to 1); 6 times as much in a mix's first windows.
    explore: f64,
    /// The first run limit (1 to ratio).
    start: u32,
    /// Windows remembered that are learned from again, each window (0 to 1000).
    replays: usize,
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
            rate: 0.2,
            discount: 0.8,
            explore: 0.05,
            start: 1,
            replays: 64,
            learn: true,
            model: Learning::default(),
        }
    }
}

const FEATURES: [&str; 3] = ["writes in fifths", "K", "step"];

/// The actions.
const STEPS: [i64; 3] = [0, -1, 1];

/// The value of what was never tried: better than usual, so that it is.
const HOPE: f64 = 0.3;

/// Windows that are remembered.
const MEMORY: usize = 512;

/// A mix and a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    mix: usize,
    runs: u32,
}

/// What followed a step.
#[derive(Clone, Copy, Debug)]
struct Followed {
    state: State,
    step: usize,
    reward: f64,
    next: State,
}

struct Table {
    ratio: u32,
    values: Vec<f64>,
}

impl Table {
    fn at(&self, state: State, step: usize) -> usize {
        let limit = state.mix * self.ratio as usize + (state.runs - 1) as usize;
        limit * STEPS.len() + step
    }

    /// The limit after a step; `None` if it is out of range.
    fn after(&self, runs: u32, step: usize) -> Option<u32> {
        let runs = u32::try_from(i64::from(runs) + STEPS[step]).ok()?;
        (1..=self.ratio).contains(&runs).then_some(runs)
    }

    /// The legal steps from a limit.
    fn legal(&self, runs: u32) -> impl Iterator<Item = usize> {
        (0..STEPS.len()).filter(move |step| self.after(runs, *step).is_some())
    }

    /// The legal step of most value, the first of equal ones, and its value.
    fn best(&self, state: State) -> (usize, f64) {
        let mut best = (0, f64::NEG_INFINITY);
        for step in self.legal(state.runs) {
            let value = self.values[self.at(state, step)];
            if value > best.1 {
                best = (step, value);
            }
        }
        best
    }

    fn learn(&mut self, it: &Followed, rate: f64, discount: f64) {
        let future = self.best(it.next).1;
        let at = self.at(it.state, it.step);
        self.values[at] += rate * (it.reward + discount * future - self.values[at]);
    }
}

struct QStep {
    bounds: Bounds,
    rate: f64,
    discount: f64,
    explore: f64,
    replays: usize,
    learn: bool,
    table: Table,
    /// The state and the step that this window follows.
    last: Option<(State, usize)>,
    runs: u32,
    /// Windows of each mix.
    windows: [u32; BUCKETS],
    memory: Vec<Followed>,
    baselines: Baselines,
    draws: SplitMix64,
    watch: Watch,
    referee: Referee,
    hand: Hand,
}

impl QStep {
    fn take(&mut self, next: State, log: f64) {
        let excess = self.baselines.excess(next.mix, log);
        let Some((state, step)) = self.last else {
            return;
        };
        // A window of another mix than the step was meant for says nothing of the step.
        if !self.learn || state.mix != next.mix {
            return;
        }
        let followed = Followed {
            state,
            step,
            reward: (-excess).clamp(-1.0, 1.0),
            next,
        };
        self.table.learn(&followed, self.rate, self.discount);
        if self.memory.len() < MEMORY {
            self.memory.push(followed);
        } else {
            let place = self.draws.below(MEMORY);
            self.memory[place] = followed;
        }
        for _ in 0..self.replays {
            let again = self.memory[self.draws.below(self.memory.len())];
            self.table.learn(&again, self.rate, self.discount);
        }
    }

    fn choose(&mut self, state: State) -> (usize, &'static str) {
        let windows = &mut self.windows[state.mix];
        *windows = windows.saturating_add(1);
        let early = 1.0 + 5.0 * (1.0 - f64::from(*windows) / 100.0).max(0.0);
        if self.draws.chance((self.explore * early).min(1.0)) {
            let legal: Vec<usize> = self.table.legal(state.runs).collect();
            return (legal[self.draws.below(legal.len())], "explore");
        }
        (self.table.best(state).0, "best-step")
    }
}

impl Agent for QStep {
    fn step(&mut self, window: &WindowStats, tree: &TreeShape) -> Vec<Decision> {
        self.hand.begin(window);
        self.watch.see(window);
        let (Some(judged), Some(mix)) = (self.referee.judge(window), Mix::of(window)) else {
            return self.hand.finish();
        };
        let state = State {
            mix: mix.bucket(),
            runs: self.runs,
        };
        self.take(state, judged.log);
        let (step, reason) = self.choose(state);
        self.last = Some((state, step));
        self.runs = self.table.after(self.runs, step).unwrap_or(self.runs);
        let setting = Setting::uniform(self.runs, &self.bounds);
        self.hand.set(setting, tree, reason);
        merges::for_reads(&mut self.hand, window, tree, &self.watch, &self.referee);
        self.hand.finish()
    }

    fn save(&self) -> Option<Value> {
        let parameters = json!({ "rate": self.rate, "discount": self.discount });
        let scales = [f64::from(self.bounds.ratio)];
        let values = self.table.values.clone();
        Some(AgentFile::new("q-step", &FEATURES, &scales, parameters, values).into_value())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_future_counts_legal_steps_only() {
        let mut table = Table {
            ratio: 3,
            values: vec![0.0; BUCKETS * 9],
        };
        let state = State { mix: 0, runs: 3 };
        // One run more than T would be worth most, were it possible.
        let illegal = table.at(state, 2);
        table.values[illegal] = 100.0;
        let less = table.at(state, 1);
        table.values[less] = 1.0;
        assert_eq!(table.best(state), (1, 1.0));
        let followed = Followed {
            state: State { mix: 0, runs: 2 },
            step: 2,
            reward: 0.0,
            next: state,
        };
        table.learn(&followed, 1.0, 0.5);
        assert_eq!(table.values[table.at(followed.state, 2)], 0.5);
    }
}
