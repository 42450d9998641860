//! The analytic cost of a layout, in pages a device moves for an operation.
//!
//! The K-hybrid form of Huynh et al., "Endure" (PVLDB 15(8), 2022), with the limits K_i of Dayan
//! and Idreos ("Dostoevsky", SIGMOD 2018), for any limits. Level 0 with a trigger of t runs holds
//! (t - 1) / 2 on average, and merges t memtables at a time into a level of T memtables. With t = 1
//! the form is Endure's. False positives are held to at most 1.

use super::setting::Setting;
use crate::facts::{TreeShape, WindowStats};
use crate::mix::Mix;

/// Bytes of a page: the unit in which devices are read.
const PAGE_BYTES: f64 = 4096.0;

/// What the form needs to know of a tree.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tree {
    /// T.
    pub(super) ratio: f64,
    /// L, at least 1.
    pub(super) levels: usize,
    /// Bits of filter a key.
    pub(super) bits: f64,
    /// Whether filters are allocated by Monkey rather than uniformly.
    pub(super) monkey: bool,
    /// B: entries a page.
    pub(super) entries: f64,
    /// Rows of a scan.
    pub(super) rows: f64,
    /// The price of a page written, where one read costs 1.
    pub(super) write_price: f64,
}

impl Tree {
    /// `self` with levels, entries and rows as the tree and the window have them. What the window
    /// does not show stays.
    pub(super) fn seen(mut self, window: &WindowStats, tree: &TreeShape) -> Self {
        self.levels = tree.deepest().max(1);
        if window.writes > 0 && window.user_write_bytes > 0 {
            let entry = window.user_write_bytes as f64 / window.writes as f64;
            self.entries = (PAGE_BYTES / entry).max(1.0);
        }
        if window.scans > 0 {
            self.rows = window.scan_rows as f64 / window.scans as f64;
        }
        self
    }

    /// p_i: how often a filter of level `level` passes an absent key. Level 0 has that of level 1.
    fn false_positives(&self, level: usize) -> f64 {
        let uniform = libm::exp(-self.bits * std::f64::consts::LN_2 * std::f64::consts::LN_2);
        if !self.monkey {
            return uniform;
        }
        let below = (self.levels + 1).saturating_sub(level.max(1)) as f64;
        let boost = libm::pow(self.ratio, self.ratio / (self.ratio - 1.0) - below);
        (uniform * boost).min(1.0)
    }

    /// What an operation of each kind costs under `setting`, in the order of [`Mix::shares`].
    pub(super) fn costs(&self, setting: &Setting) -> [f64; 4] {
        let level0 = f64::from(setting.level0.saturating_sub(1)) / 2.0;
        let limit = |level| f64::from(setting.limit(level, self.levels));
        let mut runs = level0;
        let mut needless = level0 * self.false_positives(0);
        let (mut hit, mut entries) = (0.0, 0.0);
        let mut rewrites = 0.0;
        let mut size = 1.0;
        for level in 1..=self.levels {
            let passed = self.false_positives(level);
            hit += size * (1.0 + needless + (limit(level) - 1.0) / 2.0 * passed);
            entries += size;
            needless += limit(level) * passed;
            runs += limit(level);
            let above = if level == 1 { setting.level0 } else { 1 };
            let ratio = (self.ratio / f64::from(above)).max(1.0);
            rewrites += (ratio - 1.0 + limit(level)) / (2.0 * limit(level));
            size *= self.ratio;
        }
        let scan = runs + self.rows / self.entries;
        let write = (1.0 + self.write_price) / self.entries * rewrites;
        [needless, hit / entries, scan, write]
    }
}

/// The expected cost of an operation of `mix`.
pub(super) fn nominal(mix: &Mix, costs: &[f64; 4]) -> f64 {
    mix.shares()
        .iter()
        .zip(costs)
        .map(|(share, cost)| share * cost)
        .sum()
}

/// The worst expected cost over all mixes within a Kullback-Leibler divergence of `rho` from `mix`.
///
/// Endure's dual: the least over lambda of rho * lambda + lambda * ln(sum of w_i e^(c_i / lambda)),
/// in which the multiplier eta already has its closed form. It is convex in lambda. 40 steps of
/// a ternary search on a logarithmic scale.
pub(super) fn robust(mix: &Mix, costs: &[f64; 4], rho: f64) -> f64 {
    if rho <= 0.0 {
        return nominal(mix, costs);
    }
    let parts = || mix.shares().into_iter().zip(*costs);
    let met = || parts().filter(|(share, _)| *share > 0.0).map(|it| it.1);
    let most = met().fold(0.0, f64::max);
    let least = met().fold(most, f64::min);
    if most <= least {
        return most;
    }
    let dual = |log: f64| {
        let lambda = (most - least) * libm::exp(log);
        // The largest cost stands outside the sum: no power overflows.
        let sum: f64 = parts()
            .map(|(share, cost)| share * libm::exp(((cost - most) / lambda).min(0.0)))
            .sum();
        rho * lambda + most + lambda * libm::log(sum.max(f64::MIN_POSITIVE))
    };
    let (mut low, mut high) = (-7.0, 7.0);
    for _ in 0..40 {
        let third = (high - low) / 3.0;
        if dual(low + third) <= dual(high - third) {
            high -= third;
        } else {
            low += third;
        }
    }
    dual(f64::midpoint(low, high)).min(most)
}

#[cfg(test)]
mod tests {
    use super::super::setting::Bounds;
    use super::*;

    fn tree() -> Tree {
        Tree {
            ratio: 10.0,
            levels: 3,
            bits: 10.0,
            monkey: false,
            entries: 32.0,
            rows: 16.0,
            write_price: 1.0,
        }
    }

    fn uniform(runs: u32) -> Setting {
        let level0_max = 1;
        Setting::uniform(
            runs,
            &Bounds {
                ratio: 10,
                level0_max,
            },
        )
    }

    #[test]
    fn leveling_writes_t_halves_a_level_and_tiering_with_one_run_less_writes_once() {
        let [_, _, scan, write] = tree().costs(&uniform(1));
        assert!((write - 2.0 / 32.0 * 3.0 * 5.0).abs() < 1e-12, "{write}");
        assert_eq!(scan, 3.0 + 0.5);
        let [_, _, scan, write] = tree().costs(&uniform(9));
        assert!((write - 2.0 / 32.0 * 3.0).abs() < 1e-12, "{write}");
        assert_eq!(scan, 27.5);
    }

    #[test]
    fn reads_grow_and_writes_fall_with_the_limit() {
        for monkey in [false, true] {
            let tree = Tree { monkey, ..tree() };
            for runs in 1..10 {
                let [less, more] = [runs, runs + 1].map(|runs| tree.costs(&uniform(runs)));
                for kind in 0..3 {
                    assert!(less[kind] < more[kind], "{kind}: {less:?} {more:?}");
                }
                assert!(less[3] > more[3], "{less:?} {more:?}");
            }
        }
    }

    #[test]
    fn filters_hardly_pass_absent_keys() {
        let [empty, hit, ..] = tree().costs(&uniform(1));
        let expected = 3.0 * 0.008_193_9;
        assert!((empty - expected).abs() < 1e-5, "{empty}");
        assert!((1.0..1.02).contains(&hit), "{hit}");
        let [monkey, ..] = Tree {
            monkey: true,
            ..tree()
        }
        .costs(&uniform(1));
        assert!(monkey < empty, "Monkey's is the better allocation");
        let none = Tree {
            bits: 0.0,
            ..tree()
        };
        assert_eq!(none.costs(&uniform(1))[0], 3.0, "each run is searched");
    }

    #[test]
    fn the_worst_mix_costs_more_the_further_it_may_be() {
        let mix = Mix {
            empty: 0.1,
            hits: 0.2,
            scans: 0.1,
            writes: 0.6,
        };
        for setting in [uniform(1), uniform(5)] {
            let costs = tree().costs(&setting);
            let mut last = robust(&mix, &costs, 0.0);
            assert_eq!(last, nominal(&mix, &costs));
            for rho in [0.01, 0.25, 1.0, 2.0, 4.0] {
                let worst = robust(&mix, &costs, rho);
                assert!(worst > last - 1e-9, "{rho}: {last} {worst}");
                last = worst;
            }
            assert!((last - costs[2]).abs() < 1e-3, "in the end all are scans");
        }
    }

    /// The dual against its primal: a mix on the border of the ball, found by bisection over the
    /// exponential family in which the worst mix lies.
    #[test]
    fn the_dual_is_the_primal() {
        let mix = Mix {
            empty: 0.25,
            hits: 0.25,
            scans: 0.25,
            writes: 0.25,
        };
        let costs = [1.0, 2.0, 5.0, 3.0];
        let tilted = |theta: f64| {
            let weights = [0, 1, 2, 3].map(|i| mix.shares()[i] * (theta * costs[i]).exp());
            let sum: f64 = weights.iter().sum();
            weights.map(|weight| weight / sum)
        };
        let divergence =
            |w: [f64; 4]| -> f64 { (0..4).map(|i| w[i] * (w[i] / mix.shares()[i]).ln()).sum() };
        let (mut low, mut high) = (0.0, 50.0);
        for _ in 0..100 {
            let middle = f64::midpoint(low, high);
            if divergence(tilted(middle)) < 0.25 {
                low = middle;
            } else {
                high = middle;
            }
        }
        let primal: f64 = (0..4).map(|i| tilted(low)[i] * costs[i]).sum();
        let dual = robust(&mix, &costs, 0.25);
        assert!((primal - dual).abs() < 1e-6, "{primal} {dual}");
    }
}
