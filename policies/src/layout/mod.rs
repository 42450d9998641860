//! Compaction layout: how many runs may a level hold, and which merge is due?
//!
//! Every level i >= 1 has a capacity C_i = base * ratio^(i-1) and a run limit K_i (the run being filled included,
//! 1 <= K_i <= T). K = 1 is leveling, K = T tiering. A layout answers K_i; the plan that follows from K, C and the tree
//! is worked out by the shared planner in `planner.rs`, which a layout of another kind may replace by overriding `plan`.

use crate::entry::in_range;
use crate::facts::{Plan, TreeShape};
use crate::family::{Family, Registered};
use crate::picker::Picker;
use crate::{PolicyError, PolicySpec};

mod planner;

mod flexible;
mod leveled;
mod tiered;

/// A data layout.
pub trait Layout: Send + Sync {
    /// T: how many times larger each level is than the one above.
    fn ratio(&self) -> u32;

    /// K_i: how many runs `level` (>= 1) may hold in a tree whose deepest level is `deepest`.
    fn runs_max(&self, level: usize, deepest: usize) -> u32;

    /// The most urgent compaction, or None when the tree is in shape. Pure; O(tables).
    fn plan(&self, tree: &TreeShape, picker: &dyn Picker) -> Option<Plan> {
        planner::plan(self, tree, picker)
    }

    /// Bytes that must still be read and written by compactions until the tree is in shape. O(tables).
    fn debt_bytes(&self, tree: &TreeShape) -> u64 {
        planner::debt_bytes(self, tree)
    }

    /// C_i in bytes: the capacity of `level` (>= 1).
    fn capacity_bytes(&self, tree: &TreeShape, level: usize) -> u64 {
        let steps = u32::try_from(level.saturating_sub(1)).unwrap_or(u32::MAX);
        tree.base_bytes
            .saturating_mul(u64::from(self.ratio()).saturating_pow(steps))
    }
}

/// Makes a layout.
pub type Build = fn(spec: &PolicySpec) -> Result<Box<dyn Layout>, PolicyError>;

/// The family.
pub static FAMILY: Family<Build> = Family {
    name: "layout",
    question: "how many runs may a level hold?",
    default: "leveled",
    built_in: &[&flexible::ENTRY, &leveled::ENTRY, &tiered::ENTRY],
    probe: |build, spec| build(spec).map(drop),
    registered: Registered::new(),
};

/// Builds the policy that `spec` names.
///
/// # Errors
/// An unknown name or parameter, or a value out of range.
pub fn build(spec: &PolicySpec) -> Result<Box<dyn Layout>, PolicyError> {
    let entry = FAMILY.find(spec)?;
    (entry.build)(spec)
}

/// The plan that merges every table into one run of the deepest level (level 1 at least); None when the tree is such a
/// run already, or empty. It looks past `tree.busy`: the caller lets running compactions end first. O(tables).
pub fn plan_everything(tree: &TreeShape) -> Option<Plan> {
    planner::plan_everything(tree)
}

/// The ratio that every layout takes when a config says nothing, so that their defaults compare.
const RATIO_DEFAULT: u32 = 10;

fn check_ratio(spec: &PolicySpec, ratio: u32) -> Result<(), PolicyError> {
    in_range(spec, "ratio", ratio, 2..=100).map(drop)
}
