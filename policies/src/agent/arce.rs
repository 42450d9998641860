//! Arce: each window the merge whose gain most exceeds its price, with no limits on levels.
//!
//! Source: after ArceKV ("ElasticLSM", PVLDB 19(5), 2026): merges within a level, into the next, or
//! of levels i..j at once are scored by the gain of fewer runs over a horizon minus the price of
//! the merge; stalls are a rule apart. A search, not a learner.
//! State: the smoothed mix; the write rate in force.
//! Cost: O(tables + levels^2) a window.
//! Invariants: a merge is asked for only if its score is above 0, at most one a window. Limits are
//! T and level 0's trigger is `level0_max`, so that only this search merges for reads. Writers are
//! slowed down above `stall_runs` runs and released at or below it.
//! Weak where: the mix changes faster than a merge pays, or reads do not see runs (cached, or
//! behind good filters): then it merges little, and the layout is tiering.

use super::cost::cost_of_a_run;
use super::merges;
use super::setting::{Bounds, Hand, Setting};
use super::{Action, Agent, Build, Decision};
use crate::PolicySpec;
use crate::entry::{Entry, describe, in_range, params};
use crate::facts::{TreeShape, WindowStats};
use crate::mix::Watch;
use crate::referee::Referee;

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "arce",
    about: "the merge whose gain most exceeds its price; stalls apart (ArceKV, PVLDB 2026)",
    params: describe::<Params>,
    build: |_seed, spec: &PolicySpec| {
        let params: Params = params(spec)?;
        let bounds = Bounds::check(spec, params.ratio, params.level0_max)?;
        in_range(spec, "horizon", params.horizon, 0.0..=1e6)?;
        in_range(spec, "stall_rate", params.stall_rate, 64 << 10..)?;
        Ok(Box::new(Arce {
            horizon: params.horizon,
            stall_runs: params.stall_runs as usize,
            stall_rate: params.stall_rate,
            is_slow: false,
            lazy: Setting::uniform(bounds.ratio, &bounds),
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
    /// The trigger of level 0 (1 to 64), below the number of runs that slows writers down.
    level0_max: u32,
    /// M: windows over which fewer runs are a gain (0 to 1000000); 0 for as long again as the mix
    /// has lasted.
    horizon: f64,
    /// c: runs in total above which writers are slowed down; 0 for never.
    stall_runs: u32,
    /// k: bytes a second that writers may write above that number (65536 or more).
    stall_rate: u64,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            ratio: 10,
            level0_max: 8,
            horizon: 0.0,
            stall_runs: 0,
            stall_rate: 16 << 20,
        }
    }
}

struct Arce {
    horizon: f64,
    stall_runs: usize,
    stall_rate: u64,
    is_slow: bool,
    lazy: Setting,
    watch: Watch,
    referee: Referee,
    hand: Hand,
}

impl Arce {
    fn stall(&mut self, runs: usize) {
        let is_slow = self.stall_runs > 0 && runs > self.stall_runs;
        if is_slow != self.is_slow {
            self.is_slow = is_slow;
            let (bytes, reason) = if is_slow {
                (self.stall_rate, "too-many-runs")
            } else {
                (0, "few-runs")
            };
            self.hand.push(Action::SetWriteRate { bytes }, reason);
        }
    }
}

impl Agent for Arce {
    fn step(&mut self, window: &WindowStats, tree: &TreeShape) -> Vec<Decision> {
        self.hand.begin(window);
        self.watch.see(window);
        self.referee.judge(window);
        self.hand.set(self.lazy, tree, "no-limits");
        let runs = merges::runs(tree);
        let windows = match self.horizon {
            0.0 => self.watch.windows_left(window),
            windows => windows,
        };
        let value = cost_of_a_run(window, runs) * windows;
        if let Some(merge) = merges::best(tree, value, self.referee.price()) {
            self.hand.merge(merge, "best-score");
        }
        self.stall(runs);
        self.hand.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(level0: u64) -> TreeShape {
        let runs: String = (0..level0)
            .map(|id| format!("L0 {}[1-9]=100000\n", id + 10))
            .collect();
        format!("trigger 8\n{runs}L1 1[1-9]=1000000\nL2 2[1-9]=10000000")
            .parse()
            .unwrap()
    }

    fn scans(scans: u64) -> WindowStats {
        WindowStats {
            scans,
            writes: 1000 - scans,
            device_write_bytes: 1_000_000,
            device_read_bytes: scans * 20_000,
            ..WindowStats::default()
        }
    }

    fn actions(agent: &mut dyn Agent, window: &WindowStats, tree: &TreeShape) -> Vec<Action> {
        let decisions = agent.step(window, tree);
        decisions.into_iter().map(|it| it.action).collect()
    }

    #[test]
    fn it_merges_deeper_the_more_is_scanned() {
        let merge = |share| {
            let spec = PolicySpec::named("arce").with("horizon", 3.0);
            let mut agent = (ENTRY.build)(0, &spec).unwrap();
            let actions = actions(&mut *agent, &scans(share), &tree(4));
            actions.into_iter().find_map(|action| match action {
                Action::Merge { from, to } => Some((from, to)),
                _ => None,
            })
        };
        assert_eq!(merge(0), None);
        assert_eq!(merge(1000), Some((0, 1)));
        let spec = PolicySpec::named("arce").with("horizon", 1000.0);
        let mut agent = (ENTRY.build)(0, &spec).unwrap();
        let long = actions(&mut *agent, &scans(1000), &tree(4));
        assert!(long.contains(&Action::Merge { from: 0, to: 2 }), "{long:?}");
    }

    #[test]
    fn writers_are_slowed_down_once_and_released_once() {
        let spec = PolicySpec::named("arce")
            .with("stall_runs", 5)
            .with("stall_rate", 1 << 20);
        let mut agent = (ENTRY.build)(0, &spec).unwrap();
        let mut rates = Vec::new();
        for level0 in [1, 6, 6, 3, 3] {
            for action in actions(&mut *agent, &scans(0), &tree(level0)) {
                if let Action::SetWriteRate { bytes } = action {
                    rates.push((level0, bytes));
                }
            }
        }
        assert_eq!(rates, [(6, 1 << 20), (3, 0)]);
    }
}
