//! Dynamic: leveled, with capacities that are counted from the bytes of the last level upwards.
//!
//! Source: RocksDB's level_compaction_dynamic_level_bytes; Dong et al., "Optimizing Space
//! Amplification in RocksDB", CIDR 2017.
//! Variant: with S bytes in the last level L, level i has the capacity S / T^(L - i), as in
//! RocksDB, but at most base x T^(i - 1), and without a least capacity of the base. So every
//! capacity, and what is owed for it, grows continuously with S, also where RocksDB changes its
//! base level. Level 0 merges into the shallowest level that holds data or whose capacity is above
//! base / T; data in levels above that moves down like any other excess.
//! State: none.
//! Cost: as `leveled`; a capacity takes O(tables of the last level).
//! Invariants: K_i = 1 for every level. The last level has no capacity. Unless data shrinks, levels
//! above the last hold at most S / (T - 1) bytes together.
//! Weak where: data shrinks or moves to other keys: capacities shrink at once, and levels above
//! move down although nothing was written; only a few levels are in use: level 0 merges into a
//! large one.

use crate::PolicySpec;
use crate::entry::{Entry, describe, in_range, params};
use crate::facts::{LevelFacts, TreeShape};
use crate::layout::{Build, Layout, RATIO_DEFAULT, check_ratio};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "dynamic",
    about: "leveled, sized from the last level up (RocksDB's level_compaction_dynamic_level_bytes)",
    params: describe::<Params>,
    build: |spec: &PolicySpec| {
        let Params { ratio, levels } = params(spec)?;
        check_ratio(spec, ratio)?;
        in_range(spec, "levels", levels, 1..=16)?;
        Ok(Box::new(Dynamic {
            ratio,
            levels: levels as usize,
        }))
    },
};

#[derive(Debug, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Params {
    /// T: how many times larger each level is than the one above (2 to 100).
    ratio: u32,
    /// L: the number of the last level, which is filled first (1 to 16).
    levels: u32,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            ratio: RATIO_DEFAULT,
            levels: 6,
        }
    }
}

struct Dynamic {
    ratio: u32,
    levels: usize,
}

impl Dynamic {
    /// The last level: deeper than configured only in a tree that another layout made.
    fn last(&self, tree: &TreeShape) -> usize {
        tree.deepest().max(self.levels)
    }
}

impl Layout for Dynamic {
    fn ratio(&self) -> u32 {
        self.ratio
    }

    fn runs_max(&self, _level: usize, _deepest: usize) -> u32 {
        1
    }

    fn capacity_bytes(&self, tree: &TreeShape, level: usize) -> u64 {
        let last = self.last(tree);
        if level >= last {
            return u64::MAX;
        }
        let ratio = u64::from(self.ratio);
        let power = |steps: usize| ratio.saturating_pow(u32::try_from(steps).unwrap_or(u32::MAX));
        let last_bytes = tree.levels.get(last).map_or(0, LevelFacts::bytes);
        let upwards = last_bytes / power(last - level);
        let downwards = tree
            .base_bytes
            .saturating_mul(power(level.saturating_sub(1)));
        upwards.min(downwards).max(1)
    }

    fn next_level(&self, tree: &TreeShape, level: usize) -> usize {
        if level > 0 {
            return level + 1;
        }
        let last = self.last(tree);
        let least = tree.base_bytes / u64::from(self.ratio);
        let holds_data = |level: usize| tree.levels.get(level).is_some_and(|it| it.bytes() > 0);
        (1..last)
            .find(|level| holds_data(*level) || self.capacity_bytes(tree, *level) > least.max(1))
            .unwrap_or(last)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::picker;

    /// A tree of base 100 whose last level, the fourth, holds `bytes`.
    fn tree(bytes: u64) -> TreeShape {
        let drawing = format!("base 100\nL4 1[0-9]={bytes}");
        drawing.parse().unwrap()
    }

    fn layout() -> Box<dyn Layout> {
        let spec = PolicySpec::named("dynamic").with("ratio", 10);
        (ENTRY.build)(&spec.with("levels", 4)).unwrap()
    }

    /// Worked by hand: level i has S / 10^(4 - i), at most 100 x 10^(i - 1).
    #[test]
    fn capacities_follow_from_the_last_level_up_to_those_of_leveled() {
        for (bytes, capacities, base) in [
            (0, [1, 1, 1], 4),
            (100, [1, 1, 10], 4),
            (110, [1, 1, 11], 3),
            (1_000, [1, 10, 100], 3),
            (5_000, [5, 50, 500], 2),
            (50_000, [50, 500, 5_000], 1),
            (100_000, [100, 1_000, 10_000], 1),
            (900_000, [100, 1_000, 10_000], 1),
        ] {
            let tree = tree(bytes);
            let layout = layout();
            let found = [1, 2, 3].map(|level| layout.capacity_bytes(&tree, level));
            assert_eq!(found, capacities, "{bytes}");
            assert_eq!(layout.capacity_bytes(&tree, 4), u64::MAX);
            assert_eq!(layout.next_level(&tree, 0), base, "{bytes}");
            assert_eq!(layout.next_level(&tree, 2), 3);
        }
    }

    #[test]
    fn level_0_does_not_pass_data() {
        let tree: TreeShape = "base 100\nL2 2[0-9]=5\nL4 1[0-9]=100".parse().unwrap();
        assert_eq!(layout().next_level(&tree, 0), 2);
    }

    /// From 90 to 200,000 bytes, the base level goes from 4 to 1, and nothing is owed all at once.
    /// A byte of capacity is up to ten bytes of the last level that are rewritten.
    #[test]
    fn what_is_owed_does_not_jump_when_the_base_level_changes() {
        let layout = layout();
        let picker = picker::build(&picker::FAMILY.default_spec()).unwrap();
        let mut before = None;
        let mut bases = BTreeSet::new();
        for bytes in (90..200_000_u64).step_by(7) {
            let levels = "L2 2[0-9]=150\nL3 3[0-9]=1900";
            let tree: TreeShape = format!("base 100\n{levels}\nL4 1[0-9]={bytes}")
                .parse()
                .unwrap();
            let emptied = format!("base 100\nL4 1[0-9]={bytes}").parse().unwrap();
            bases.insert(layout.next_level(&emptied, 0));
            let debt = layout.debt_bytes(&tree, &*picker);
            if let Some(before) = before.replace(debt) {
                assert!(debt.abs_diff(before) < 60, "{bytes}: {before}, then {debt}");
            }
        }
        assert_eq!(bases, BTreeSet::from([1, 2, 3, 4]));
    }

    #[test]
    fn parameters_out_of_range_are_refused() {
        for (name, value) in [("ratio", 1), ("levels", 0), ("levels", 17)] {
            assert!((ENTRY.build)(&PolicySpec::named("dynamic").with(name, value)).is_err());
        }
    }
}
