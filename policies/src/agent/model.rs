//! Model: the layout that an analytic cost model says is cheapest for the mix at hand.
//!
//! Source: Huynh et al., "Endure: A Robust Tuning Paradigm for LSM Trees Under Workload
//! Uncertainty", PVLDB 15(8), 2022: nominal tuning for the window's mix, or robust tuning against
//! all mixes within a Kullback-Leibler divergence `robust` of it.
//! State: the smoothed mix and the last choice.
//! Cost: O(T * levels) a window in which the mix moved; times 80 if robust.
//! Invariants: it does not look at what anything cost. With `robust = 0` the choice is the nominal
//! one. It moves only where that saves at least the share `gain`.
//! Weak where: the device, the caches or the filters are not as the model believes: a scan of
//! cached blocks costs no page.

use super::analytic::{Tree, robust};
use super::merges;
use super::setting::{Bounds, Hand, Setting};
use super::{Agent, Build, Decision};
use crate::PolicySpec;
use crate::entry::{Entry, describe, in_range, params};
use crate::facts::{TreeShape, WindowStats};
use crate::mix::{Mix, Watch};
use crate::referee::Referee;

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "model",
    about: "the cheapest layout by an analytic cost model, nominal or robust (Endure, PVLDB 2022)",
    params: describe::<Params>,
    build: |_seed, spec: &PolicySpec| {
        let params: Params = params(spec)?;
        let bounds = Bounds::check(spec, params.ratio, params.level0_max)?;
        in_range(spec, "bits", params.bits, 0.0..=32.0)?;
        in_range(spec, "write_price", params.write_price, 0.0..=1000.0)?;
        in_range(spec, "robust", params.robust, 0.0..=10.0)?;
        in_range(spec, "gain", params.gain, 0.0..=1.0)?;
        Ok(Box::new(Model {
            bounds,
            gain: params.gain,
            rho: params.robust,
            known: Tree {
                ratio: f64::from(params.ratio),
                levels: 1,
                bits: params.bits,
                monkey: params.monkey,
                entries: 32.0,
                rows: 16.0,
                write_price: params.write_price,
            },
            chosen: None,
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
    /// Bits of filter a key (0 to 32).
    bits: f64,
    /// Whether filters are allocated by level as Monkey does, rather than uniformly.
    monkey: bool,
    /// The price of a page written, where a page read costs 1 (0 to 1000).
    write_price: f64,
    /// How far the mix may be from the expected one, as a Kullback-Leibler divergence (0 to 10).
    robust: f64,
    /// The share of the cost that a change must save (0 to 1).
    gain: f64,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            ratio: 10,
            level0_max: 8,
            bits: 10.0,
            monkey: false,
            write_price: 1.0,
            robust: 0.0,
            gain: 0.02,
        }
    }
}

struct Model {
    bounds: Bounds,
    gain: f64,
    rho: f64,
    known: Tree,
    chosen: Option<Chosen>,
    watch: Watch,
    referee: Referee,
    hand: Hand,
}

/// A choice, with the mix and the number of levels that it was made for.
struct Chosen {
    setting: Setting,
    mix: Mix,
    levels: usize,
}

/// The change of a share below which a choice is not reconsidered.
const STEADY: f64 = 0.01;

impl Model {
    fn choose(&self, mix: &Mix) -> Setting {
        let cost = |setting: &Setting| robust(mix, &self.known.costs(setting), self.rho);
        let mut best: Option<(f64, Setting)> = None;
        for setting in self.layouts() {
            let cost = cost(&setting);
            if best.is_none_or(|(least, _)| cost < least) {
                best = Some((cost, setting));
            }
        }
        let (least, best) = best.unwrap_or((0.0, Setting::uniform(1, &self.bounds)));
        match &self.chosen {
            Some(last) if cost(&last.setting) * (1.0 - self.gain) <= least => last.setting,
            _ => best,
        }
    }

    /// Every limit for all levels, and lazy leveling by it, with each trigger of level 0.
    fn layouts(&self) -> impl Iterator<Item = Setting> {
        let Bounds { ratio, level0_max } = self.bounds;
        (1..=ratio).flat_map(move |runs| {
            let lasts = if runs == 1 { vec![1] } else { vec![runs, 1] };
            lasts.into_iter().flat_map(move |last| {
                let triggers = [1, 2, 4, 8, 16, 32, 64].into_iter();
                triggers
                    .filter(move |level0| *level0 <= level0_max)
                    .map(move |level0| Setting { runs, last, level0 })
            })
        })
    }
}

impl Agent for Model {
    fn step(&mut self, window: &WindowStats, tree: &TreeShape) -> Vec<Decision> {
        self.hand.begin(window);
        self.watch.see(window);
        if self.referee.judge(window).is_none() {
            return Vec::new();
        }
        self.known = self.known.seen(window, tree);
        let mix = self.watch.mix();
        let levels = self.known.levels;
        let setting = match &self.chosen {
            Some(it) if it.levels == levels && it.mix.distance(&mix) < STEADY => it.setting,
            _ => {
                let setting = self.choose(&mix);
                self.chosen = Some(Chosen {
                    setting,
                    mix,
                    levels,
                });
                setting
            }
        };
        self.hand.set(setting, tree, "cheapest-by-model");
        merges::for_reads(&mut self.hand, window, tree, &self.watch, &self.referee);
        self.hand.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::Action;

    /// The limits that the model asks for in a window of this mix, and the trigger of level 0.
    fn chosen(robust: f64, scans: u64, writes: u64) -> (u32, u32) {
        let spec = PolicySpec::named("model").with("robust", robust);
        let mut agent = (ENTRY.build)(0, &spec).unwrap();
        let window = WindowStats {
            scans,
            scan_rows: 16 * scans,
            writes,
            user_write_bytes: 100 * writes,
            ..WindowStats::default()
        };
        let tree = "L1 1[1-9]=1\nL2 2[1-9]=1".parse().unwrap();
        let decisions = agent.step(&window, &tree);
        let runs = decisions.iter().find_map(|it| match it.action {
            Action::SetRuns { level: 1, runs, .. } => Some(runs),
            _ => None,
        });
        let level0 = decisions.iter().find_map(|it| match it.action {
            Action::SetLevel0Trigger { runs } => Some(runs),
            _ => None,
        });
        (runs.expect("a limit"), level0.expect("a trigger"))
    }

    #[test]
    fn writes_get_tiering_and_scans_leveling() {
        assert_eq!(chosen(0.0, 0, 1000), (10, 8));
        assert_eq!(chosen(0.0, 900, 100), (1, 1));
    }

    #[test]
    fn a_mix_that_may_be_another_gets_fewer_runs() {
        let (nominal, _) = chosen(0.0, 10, 990);
        let (robust, _) = chosen(1.0, 10, 990);
        assert!(robust < nominal, "{robust} {nominal}");
    }

    #[test]
    fn parameters_out_of_range_are_refused() {
        for (name, value) in [("robust", -1.0), ("bits", 33.0), ("gain", 2.0)] {
            assert!((ENTRY.build)(0, &PolicySpec::named("model").with(name, value)).is_err());
        }
    }
}
