//! Moose: capacities and run limits of each level, chosen for the data that the tree will hold.
//!
//! Source: Liu et al., "Structural Designs Meet Optimality: Exploring Optimized LSM-tree Structures
//! in a Colossal Configuration Space", PACMMOD 2(3), 2024. With level i holding N_i, which is r_i
//! times the level above, n_i = k x sqrt(r_i) runs lie on the best curve of updates against range
//! reads; capacities then have the least sum of sqrt(r_i), found by dynamic programming.
//! Variant: capacities are whole multiples of the base, which stands for what level 0 holds. The
//! search for k under a given mix of operations is left to the user, or to `aura tune`.
//! State: the capacities and limits.
//! Cost: at level i each entry is rewritten about r_i / n_i times, and a read looks at n_i runs.
//! Building takes O(m^3) for m = (1 - last) x data.
//! Invariants: capacities never fall from level to level. The last has `last` of the data, those
//! above together at most the rest. Deeper levels, which more data needs, repeat the last ratio and
//! limit.
//! Weak where: the data is much less than planned for: most of it lies in runs of the shallow
//! levels; much more data than planned for: what is below the plan is not the best.

use crate::PolicySpec;
use crate::entry::{Entry, describe, in_range, params};
use crate::facts::TreeShape;
use crate::layout::{Build, Layout};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "moose",
    about: "sizes and runs of each level by dynamic programming (Moose, PACMMOD 2024)",
    params: describe::<Params>,
    build: |spec: &PolicySpec| {
        let Params { data, last, k } = params(spec)?;
        in_range(spec, "data", data, 2..=400)?;
        in_range(spec, "last", last, 0.5..=0.95)?;
        in_range(spec, "k", k, 0.1..=10.0)?;
        Ok(Box::new(Moose::new(data as usize, last, k)))
    },
};

#[derive(Debug, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Params {
    /// The bytes that the tree is planned for, in multiples of the base (2 to 400).
    data: u32,
    /// The share of them in the last level (0.5 to 0.95).
    last: f64,
    /// How many runs a level holds for the square root of its ratio (0.1 to 10): fewer are better
    /// for reads, more for writes.
    k: f64,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            data: 100,
            last: 0.8,
            k: 1.0,
        }
    }
}

/// One level below level 0.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Level {
    /// Its capacity, in multiples of the base.
    size: usize,
    runs: u32,
}

struct Moose {
    levels: Vec<Level>,
    /// The last level.
    last: Level,
    /// How many times larger each deeper level is than the one above.
    last_ratio: u64,
    ratio: u32,
}

impl Moose {
    fn new(data: usize, last: f64, k: f64) -> Self {
        let last_size = ((data as f64 * last).round() as usize).clamp(1, data);
        let mut sizes = inner_sizes(data - last_size, last_size);
        sizes.push(last_size);
        let mut levels = Vec::new();
        let mut above = 1;
        let mut ratio_max = 2;
        for size in sizes {
            let ratio = size as f64 / above as f64;
            let runs = ((k * ratio.sqrt()).round() as u32).max(1);
            ratio_max = ratio_max.max(size.div_ceil(above) as u32).max(runs);
            levels.push(Level { size, runs });
            above = size;
        }
        let last = levels[levels.len() - 1];
        let above = levels.iter().rev().nth(1).map_or(1, |level| level.size);
        Self {
            last,
            last_ratio: (last.size.div_ceil(above) as u64).max(2),
            levels,
            ratio: ratio_max,
        }
    }
}

/// The sizes of the levels between level 0, of size 1, and the last that make the sum of the square
/// roots of all ratios least. They never fall, and take `total` at most. O(total^3).
fn inner_sizes(total: usize, last: usize) -> Vec<usize> {
    /// The best way to a level of some size, when some total is taken.
    #[derive(Clone, Copy)]
    struct Way {
        cost: f64,
        /// The size of the level above; 0 if that is level 0.
        above: usize,
    }
    let cost = |above: usize, size: usize| (size as f64 / above as f64).sqrt();
    // By the total taken and the size of the deepest of the levels so far.
    let mut ways: Vec<Vec<Option<Way>>> = vec![vec![None; total + 1]; total + 1];
    let mut best = (cost(1, last), 0, 0);
    for taken in 1..=total {
        for size in 1..=taken.min(last) {
            let before = taken - size;
            let mut way = (before == 0).then(|| Way {
                cost: cost(1, size),
                above: 0,
            });
            for (above, upto) in ways[before].iter().enumerate().take(size + 1).skip(1) {
                let Some(upto) = upto else { continue };
                let sum = upto.cost + cost(above, size);
                if way.is_none_or(|way| sum < way.cost) {
                    way = Some(Way { cost: sum, above });
                }
            }
            ways[taken][size] = way;
            if let Some(way) = way
                && way.cost + cost(size, last) < best.0
            {
                best = (way.cost + cost(size, last), taken, size);
            }
        }
    }
    let (_, mut taken, mut size) = best;
    let mut sizes = Vec::new();
    while size > 0 {
        sizes.push(size);
        let above = ways[taken][size].map_or(0, |way| way.above);
        taken -= size;
        size = above;
    }
    sizes.reverse();
    sizes
}

impl Layout for Moose {
    fn ratio(&self) -> u32 {
        self.ratio
    }

    fn runs_max(&self, level: usize, _deepest: usize) -> u32 {
        let planned = self.levels.get(level.saturating_sub(1));
        planned.unwrap_or(&self.last).runs
    }

    fn capacity_bytes(&self, tree: &TreeShape, level: usize) -> u64 {
        let planned = self.levels.get(level.saturating_sub(1));
        let size = planned.unwrap_or(&self.last).size as u64;
        let deeper = u32::try_from(level.saturating_sub(self.levels.len())).unwrap_or(u32::MAX);
        tree.base_bytes
            .saturating_mul(size)
            .saturating_mul(self.last_ratio.saturating_pow(deeper))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(sizes: &[usize], last: usize) -> f64 {
        let below = sizes.iter().chain([&last]);
        let above = [1].iter().chain(sizes);
        let ratios = above.zip(below).map(|(a, b)| *b as f64 / *a as f64);
        ratios.map(f64::sqrt).sum()
    }

    /// The least cost of all ways to put up to `levels` more below `sizes`.
    fn exhaustive(sizes: &mut Vec<usize>, total: usize, levels: usize, last: usize) -> f64 {
        let mut least = cost(sizes, last);
        if levels == 0 {
            return least;
        }
        let from = sizes.last().copied().unwrap_or(1);
        for size in from..=total.min(last) {
            sizes.push(size);
            least = least.min(exhaustive(sizes, total - size, levels - 1, last));
            sizes.pop();
        }
        least
    }

    #[test]
    fn the_sizes_are_the_best_of_all() {
        for (total, last) in [
            (0, 8),
            (1, 3),
            (5, 20),
            (20, 80),
            (24, 60),
            (30, 570),
            (28, 28),
        ] {
            let found = inner_sizes(total, last);
            assert!(found.is_sorted() && found.iter().sum::<usize>() <= total);
            let best = exhaustive(&mut Vec::new(), total, 4, last);
            let cost = cost(&found, last);
            assert!((cost - best).abs() < 1e-9, "{found:?}: {cost}, not {best}");
        }
    }

    /// Worked by hand: sqrt(9) + sqrt(80 / 9) is the least sum that 20 multiples allow; the limits
    /// are 3 and 2.98.
    #[test]
    fn the_default_has_two_levels_and_grows_beyond_the_plan() {
        let layout = (ENTRY.build)(&PolicySpec::named("moose")).unwrap();
        let tree: TreeShape = "base 10".parse().unwrap();
        let capacities = [1, 2, 3, 4].map(|level| layout.capacity_bytes(&tree, level));
        assert_eq!(capacities, [90, 800, 7_200, 64_800]);
        assert_eq!([1, 2, 3].map(|level| layout.runs_max(level, 3)), [3, 3, 3]);
        assert_eq!(layout.ratio(), 9);
        assert_eq!(layout.capacity_bytes(&tree, 100), u64::MAX);
    }

    #[test]
    fn parameters_out_of_range_are_refused() {
        for (name, value) in [("data", 1.0), ("last", 0.4), ("last", 0.96), ("k", 0.0)] {
            assert!((ENTRY.build)(&PolicySpec::named("moose").with(name, value)).is_err());
        }
        assert!((ENTRY.build)(&PolicySpec::named("moose").with("data", 401)).is_err());
    }
}
