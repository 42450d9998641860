//! Bush: the shallower a level, the more runs it gathers, doubly exponentially.
//!
//! Source: Dayan and Idreos, "The Log-Structured Merge-Bush & the Wacky Continuum", SIGMOD 2019.
//! Variant: capacities begin with the base at level 1, so they grow when a level is added, where
//! the paper counts them from the deepest level up. No level gets more than 100 runs.
//! State: none.
//! Cost: each entry is rewritten once a level above the deepest and about T times in it, and there
//! are O(log log N) levels. A read looks at all runs, most of which are in the shallow levels,
//! where filters are cheap.
//! Invariants: with L levels, level i is T^(X^(L - i)) times larger than the one above and holds as
//! many runs; the deepest holds one. X = 1 plans like `lazy-leveled`.
//! Weak where: keys are scanned, or filters are few: then each of the many runs costs a read; space
//! is short while the tree is small, since most data then waits in runs.

use crate::PolicySpec;
use crate::entry::{Entry, describe, in_range, params};
use crate::facts::TreeShape;
use crate::layout::{Build, Layout};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "bush",
    about: "ever more runs towards shallow levels, one in the deepest (LSM-bush, SIGMOD 2019)",
    params: describe::<Params>,
    build: |spec: &PolicySpec| {
        let Params { ratio, growth } = params(spec)?;
        in_range(spec, "ratio", ratio, 2..=RUNS_MAX)?;
        in_range(spec, "growth", growth, 1..=4)?;
        Ok(Box::new(Bush { ratio, growth }))
    },
};

/// The most runs of a level.
const RUNS_MAX: u32 = 100;

#[derive(Debug, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Params {
    /// T: how many times larger the deepest level is than the one above (2 to 100).
    ratio: u32,
    /// X: the power that leads from each level's ratio to that of the level above (1 to 4); 1 is
    /// lazy leveling, 2 the LSM-bush.
    growth: u32,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            ratio: 2,
            growth: 2,
        }
    }
}

struct Bush {
    ratio: u32,
    growth: u32,
}

impl Bush {
    /// How many times larger `level` is than the one above, in a tree of `levels`.
    fn ratio_of(&self, level: usize, levels: usize) -> u64 {
        let above_deepest = u32::try_from(levels.saturating_sub(level)).unwrap_or(u32::MAX);
        let power = self.growth.saturating_pow(above_deepest);
        u64::from(self.ratio).saturating_pow(power)
    }
}

impl Layout for Bush {
    fn ratio(&self) -> u32 {
        RUNS_MAX
    }

    fn runs_max(&self, level: usize, deepest: usize) -> u32 {
        if level >= deepest {
            return 1;
        }
        let runs = self.ratio_of(level, deepest).min(u64::from(RUNS_MAX));
        u32::try_from(runs).unwrap_or(RUNS_MAX)
    }

    fn capacity_bytes(&self, tree: &TreeShape, level: usize) -> u64 {
        let levels = tree.deepest().max(level);
        let ratios = (2..=level).map(|level| self.ratio_of(level, levels));
        ratios.fold(tree.base_bytes, u64::saturating_mul)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(ratio: u32, growth: u32) -> Box<dyn Layout> {
        let spec = PolicySpec::named("bush").with("ratio", ratio);
        (ENTRY.build)(&spec.with("growth", growth)).unwrap()
    }

    /// Ratios of 2, 4, 16 and 256 from the deepest level up.
    #[test]
    fn ratios_and_runs_are_squared_from_level_to_level() {
        let bush = layout(2, 2);
        let runs = |deepest: usize| [1, 2, 3, 4].map(|level| bush.runs_max(level, deepest));
        assert_eq!(runs(1), [1, 1, 1, 1]);
        assert_eq!(runs(3), [16, 4, 1, 1]);
        assert_eq!(runs(4), [100, 16, 4, 1]);
        let tree: TreeShape = "base 10\nL4 1[0-9]=5".parse().unwrap();
        let capacities = [1, 2, 3, 4].map(|level| bush.capacity_bytes(&tree, level));
        assert_eq!(capacities, [10, 160, 640, 1280]);
        assert_eq!(bush.capacity_bytes(&tree, 60), u64::MAX);
    }

    #[test]
    fn parameters_out_of_range_are_refused() {
        for (name, value) in [("ratio", 1), ("ratio", 101), ("growth", 0), ("growth", 5)] {
            assert!((ENTRY.build)(&PolicySpec::named("bush").with(name, value)).is_err());
        }
    }
}
