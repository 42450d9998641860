//! Compaction layout: how many sorted runs may a level hold, and which merge is due?
//!
//! Every level i >= 1 has a capacity C_i = base * ratio^(i-1) and a run limit K_i, which counts the
//! run being filled, with 1 <= K_i <= T. K = 1 is leveling, K = T is tiering. A layout answers K_i.
//! The shared planner in `planner.rs` derives the plan from K, C and the tree; a layout of another
//! kind may override `plan`.

use crate::entry::in_range;
use crate::facts::{Plan, Reason, TreeShape};
use crate::family::{Family, Registered};
use crate::picker::Picker;
use crate::{PolicyError, PolicySpec};

mod deadline;
mod debt;
mod planner;

mod bush;
mod dynamic;
mod flexible;
mod fluid;
mod lazy_leveled;
mod leveled;
mod moose;
mod tiered;
mod universal;

/// A data layout: how many sorted runs each level may hold.
pub trait Layout: Send + Sync {
    /// T: how many times larger each level is than the one above, at most. No level may be allowed
    /// more runs.
    fn ratio(&self) -> u32;

    /// K_i: how many runs `level` (>= 1) may hold in a tree whose deepest level is `deepest`.
    fn runs_max(&self, level: usize, deepest: usize) -> u32;

    /// The most urgent compaction; `None` if the tree is in shape. It changes nothing: ask again,
    /// and the plan is the same. O(tables).
    fn plan(&self, tree: &TreeShape, picker: &dyn Picker) -> Option<Plan> {
        planner::plan(self, tree, picker)
    }

    /// Bytes that compactions must still read and write until the tree is in shape, deadlines of
    /// `picker` included. It is more than 0 exactly if a compaction is due. O(tables).
    fn debt_bytes(&self, tree: &TreeShape, picker: &dyn Picker) -> u64 {
        debt::debt_bytes(self, tree, picker)
    }

    /// The level that data of `level` moves to; a deeper one. Levels between the two are empty.
    fn next_level(&self, _tree: &TreeShape, level: usize) -> usize {
        level + 1
    }

    /// C_i in bytes: the capacity of `level` (>= 1).
    fn capacity_bytes(&self, tree: &TreeShape, level: usize) -> u64 {
        let steps = u32::try_from(level.saturating_sub(1)).unwrap_or(u32::MAX);
        tree.base_bytes
            .saturating_mul(u64::from(self.ratio()).saturating_pow(steps))
    }
}

/// How a layout is built.
pub type Build = fn(spec: &PolicySpec) -> Result<Box<dyn Layout>, PolicyError>;

/// The layouts.
pub static FAMILY: Family<Build> = Family {
    name: "layout",
    question: "how many runs may a level hold?",
    default: "leveled",
    built_in: &[
        &bush::ENTRY,
        &dynamic::ENTRY,
        &flexible::ENTRY,
        &fluid::ENTRY,
        &lazy_leveled::ENTRY,
        &leveled::ENTRY,
        &moose::ENTRY,
        &tiered::ENTRY,
        &universal::ENTRY,
    ],
    probe: |build, spec| build(spec).map(drop),
    registered: Registered::new(),
};

/// Builds the layout that `spec` names.
///
/// ```
/// use aura_policies::facts::TreeShape;
/// use aura_policies::{PolicySpec, layout, picker};
///
/// let tree: TreeShape = "
///     base 100
///     trigger 2
///     L0  9[5-6]=1
///     L0  8[3-4]=1
///     L1  1[0-2]=10  2[4]=10  3[7-9]=10
/// "
/// .parse()?;
/// let leveled = layout::build(&PolicySpec::named("leveled"))?;
/// let picker = picker::build(&picker::FAMILY.default_spec())?;
/// let plan = leveled.plan(&tree, &*picker).expect("level 0 is full");
/// assert_eq!(plan.inputs.len(), 3, "both runs of level 0, and table 2, which they overlap");
/// assert_eq!(plan.level, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`PolicyError`] for an unknown name or parameter, or a value out of range.
pub fn build(spec: &PolicySpec) -> Result<Box<dyn Layout>, PolicyError> {
    let entry = FAMILY.find(spec)?;
    (entry.build)(spec)
}

/// The plan that merges every table into one run of the deepest level, at least level 1; `None` if
/// the tree is empty or one such run already. It ignores `tree.busy`: let running compactions end
/// first. O(tables).
pub fn plan_everything(tree: &TreeShape) -> Option<Plan> {
    planner::plan_merge(tree, 0, tree.deepest().max(1), Reason::Manual)
}

/// The plan that merges every table of the levels `from..=to` into one run of level `to`; `None` if
/// there is nothing to merge: no table, one such run already, or `to` is 0. It ignores `tree.busy`,
/// as [`plan_everything`] does. O(tables).
///
/// ```
/// use aura_policies::facts::{Reason, TreeShape};
/// use aura_policies::layout::plan_merge;
///
/// let tree: TreeShape = "
///     L0  9[5-6]=1
///     L1  2[4]=10
///     L1  1[0-2]=10
///     L2  3[0-9]=90
/// "
/// .parse()?;
/// let plan = plan_merge(&tree, 0, 1, Reason::Agent).expect("three runs");
/// assert_eq!((plan.inputs.len(), plan.level), (3, 1));
/// assert_eq!(plan_merge(&tree, 2, 2, Reason::Agent), None, "one run already");
/// # Ok::<(), aura_policies::facts::DrawingError>(())
/// ```
pub fn plan_merge(tree: &TreeShape, from: usize, to: usize, reason: Reason) -> Option<Plan> {
    planner::plan_merge(tree, from, to, reason)
}

/// The ratio of every layout where a config says nothing, so that their defaults compare.
const RATIO_DEFAULT: u32 = 10;

fn check_ratio(spec: &PolicySpec, ratio: u32) -> Result<(), PolicyError> {
    in_range(spec, "ratio", ratio, 2..=100).map(drop)
}

/// The parameters of a layout that follows from its ratio alone.
#[derive(Debug, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct RatioParams {
    /// T: how many times larger each level is than the one above (2 to 100).
    ratio: u32,
}

impl Default for RatioParams {
    fn default() -> Self {
        Self {
            ratio: RATIO_DEFAULT,
        }
    }
}
