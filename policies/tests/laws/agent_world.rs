//! A world with a closed form, in which agents are tried.
//!
//! In a mix with a share g of reads, a window under the run limit K costs g K + (1 - g) T / K, with
//! 5 % of noise. The number of runs follows K by at most 3 (1 - g) a window, as it does in a tree
//! that is changed by writes alone. The best limit is about the root of (1 - g) T / g.

use aura_policies::PolicySpec;
use aura_policies::agent::{Action, Agent, build};
use aura_policies::facts::{
    Latency, LevelFacts, Outcome, RunFacts, TableFacts, TreeShape, WindowStats, key_of_number,
};
use aura_policies::splitmix::SplitMix64;

pub(crate) const RATIO: u32 = 10;

/// Operations of a window.
pub(crate) const OPERATIONS: u64 = 10_000;

/// Nanoseconds of a cost of 1.
pub(crate) const UNIT: f64 = 1000.0;

/// What an agent is shown of a window, where it is not the truth.
#[derive(Clone, Copy)]
pub(crate) struct Shown {
    /// The factor on all costs, as after a change of value size.
    pub(crate) scale: f64,
    /// The cost of an operation, if it is not the true one.
    pub(crate) instead: Option<f64>,
    pub(crate) debt_bytes: u64,
}

pub(crate) const TRUE: Shown = Shown {
    scale: 1.0,
    instead: None,
    debt_bytes: 0,
};

pub(crate) struct World {
    limit: u32,
    trigger: u32,
    pub(crate) runs: f64,
    windows: u64,
    outcomes: Vec<Outcome>,
    /// Merges that were asked for.
    pub(crate) merges: u32,
    noise: SplitMix64,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            limit: 1,
            trigger: 1,
            runs: 1.0,
            windows: 0,
            outcomes: Vec::new(),
            merges: 0,
            noise: SplitMix64::new(seed ^ 0xabcd),
        }
    }

    /// About normal, with a standard deviation of 5 %, around 1.
    fn noise(&mut self) -> f64 {
        let sum: f64 = (0..12).map(|_| self.noise.fraction()).sum();
        1.0 + 0.05 * (sum - 6.0)
    }

    pub(crate) fn tree(&self) -> TreeShape {
        let run = |id: u64| RunFacts {
            id,
            tables: vec![TableFacts::sized(id, key_of_number(0), key_of_number(9), 1 << 20).into()],
        };
        let level = LevelFacts {
            runs_inherited: 0,
            runs: (1..=self.runs.round() as u64).map(run).collect(),
            runs_max: Some(self.limit),
        };
        TreeShape {
            levels: vec![LevelFacts::default(), level],
            level0_runs_trigger: self.trigger,
            base_bytes: 1 << 20,
            ..TreeShape::default()
        }
    }

    /// Lives through a window with this share of reads, and returns it with its true cost.
    pub(crate) fn window(&mut self, reads: f64, shown: &Shown) -> (WindowStats, f64) {
        let target = f64::from(self.limit);
        let most = 3.0 * (1.0 - reads);
        self.runs += (target - self.runs).clamp(-most, most);
        let read = self.runs * self.noise();
        let write = f64::from(RATIO) / target * self.noise();
        let cost = reads * read + (1.0 - reads) * write;
        let factor = UNIT * shown.scale * shown.instead.map_or(1.0, |instead| instead / cost);
        let scans = (reads * OPERATIONS as f64).round() as u64;
        let writes = OPERATIONS - scans;
        let latency = |count: u64, cost: f64| Latency {
            count,
            nanos: (count as f64 * cost * factor) as u64,
            p99_nanos: 0,
        };
        self.windows += 1;
        let window = WindowStats {
            index: self.windows - 1,
            operations_total: self.windows * OPERATIONS,
            scans,
            scan_misses: scans,
            block_misses: scans,
            writes,
            user_write_bytes: 4096 * writes,
            scan_latency: latency(scans, read),
            write_latency: latency(writes, write),
            device_write_bytes: 1 << 20,
            debt_bytes: shown.debt_bytes,
            outcomes: std::mem::take(&mut self.outcomes),
            ..WindowStats::default()
        };
        (window, cost)
    }

    pub(crate) fn step(&mut self, agent: &mut dyn Agent, window: &WindowStats) {
        for decision in agent.step(window, &self.tree()) {
            match decision.action {
                Action::SetRuns { level: 1, runs, .. } => {
                    assert!((1..=RATIO).contains(&runs), "{runs}");
                    self.limit = runs;
                }
                Action::SetRuns { .. } => panic!("the tree has one level: {decision:?}"),
                Action::SetLevel0Trigger { runs } => self.trigger = runs,
                Action::Merge { from: 1, to: 1 } => {
                    self.merges += 1;
                    self.runs = 1.0;
                }
                other => panic!("not for this tree: {other:?}"),
            }
            self.outcomes.push(Outcome::Done);
        }
    }
}

/// The limits after each window of phases of (share of reads, windows), and the true costs. `shown`
/// says what is shown of a window, by its number and the limit in force.
pub(crate) fn run(
    spec: &PolicySpec,
    seed: u64,
    phases: &[(f64, usize)],
    mut shown: impl FnMut(usize, u32) -> Shown,
) -> (Vec<u32>, Vec<f64>) {
    let mut agent = build(spec, seed).expect("it builds");
    let mut world = World::new(seed);
    let (mut limits, mut costs) = (Vec::new(), Vec::new());
    for (reads, windows) in phases {
        for _ in 0..*windows {
            let shown = shown(limits.len(), world.limit);
            let (window, cost) = world.window(*reads, &shown);
            world.step(&mut *agent, &window);
            limits.push(world.limit);
            costs.push(cost);
        }
    }
    (limits, costs)
}

pub(crate) fn cost(reads: f64, runs: u32) -> f64 {
    reads * f64::from(runs) + (1.0 - reads) * f64::from(RATIO) / f64::from(runs)
}

pub(crate) fn best(reads: f64) -> u32 {
    (1..=RATIO)
        .min_by(|a, b| cost(reads, *a).total_cmp(&cost(reads, *b)))
        .expect("there are limits")
}

/// The share of limits within one of the best.
pub(crate) fn near(limits: &[u32], reads: f64) -> f64 {
    let best = best(reads);
    let near = limits.iter().filter(|runs| runs.abs_diff(best) <= 1);
    near.count() as f64 / limits.len() as f64
}
