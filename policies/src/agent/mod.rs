//! Compaction agents: should the layout change as the workload changes?

use crate::facts::{TreeShape, WindowStats};
use crate::family::{Family, PROBE_SEED, Registered};
use crate::{PolicyError, PolicySpec};

mod none;
mod schedule;

/// What an agent may do; the engine checks the range and carries it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub enum Action {
    /// Let `level` (>= 1) hold at most `runs` runs (>= 1) from now on, by the flexible transition: nothing is
    /// rewritten at once, the run being filled takes the new capacity C_i / K_i.
    SetRuns {
        /// The level.
        level: usize,
        /// Its new run limit K_i.
        runs: u32,
    },
}

/// An agent: asked once a window of operations.
pub trait Agent: Send {
    /// The actions to take after `window`.
    fn step(&mut self, window: &WindowStats, tree: &TreeShape) -> Vec<Action>;

    /// Whether `step` can ever act: an engine need not gather windows for one that cannot.
    fn is_active(&self) -> bool {
        true
    }
}

/// Makes an agent; one that draws lots draws them from `seed`.
pub type Build = fn(seed: u64, spec: &PolicySpec) -> Result<Box<dyn Agent>, PolicyError>;

/// The family.
pub static FAMILY: Family<Build> = Family {
    name: "agent",
    question: "should the layout change as the workload changes?",
    default: "none",
    built_in: &[&none::ENTRY, &schedule::ENTRY],
    probe: |build, spec| build(PROBE_SEED, spec).map(drop),
    registered: Registered::new(),
};

/// Builds the policy that `spec` names.
///
/// # Errors
/// An unknown name or parameter, or a value out of range.
pub fn build(spec: &PolicySpec, seed: u64) -> Result<Box<dyn Agent>, PolicyError> {
    let entry = FAMILY.find(spec)?;
    (entry.build)(seed, spec)
}
