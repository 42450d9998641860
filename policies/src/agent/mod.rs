//! Compaction agents: should the layout change as the workload changes?
//!
//! An agent sees one window of operations after another and the shape of the tree, and may change a
//! level's run limit. What it sets overrides the layout
//! ([`LevelFacts::runs_max`](crate::facts::LevelFacts)).

use crate::facts::{TreeShape, WindowStats};
use crate::family::{Family, PROBE_SEED, Registered};
use crate::{PolicyError, PolicySpec};

mod none;
mod schedule;

/// A change that an agent asks for. The engine checks its range and carries it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub enum Action {
    /// Sets the run limit of `level` to `runs`, both at least 1, by the flexible transition:
    /// nothing is rewritten at once, and the run being filled gets the new capacity C_i / K_i.
    SetRuns {
        /// The level.
        level: usize,
        /// Its new run limit K_i.
        runs: u32,
    },
}

/// Decides once a window of operations whether the layout changes.
pub trait Agent: Send {
    /// Returns the actions to take after `window`.
    fn step(&mut self, window: &WindowStats, tree: &TreeShape) -> Vec<Action>;

    /// Whether `step` can ever act. If not, the engine need not measure windows.
    fn is_active(&self) -> bool {
        true
    }
}

/// How an agent is built; random choices are drawn from `seed`.
pub type Build = fn(seed: u64, spec: &PolicySpec) -> Result<Box<dyn Agent>, PolicyError>;

/// The compaction agents.
pub static FAMILY: Family<Build> = Family {
    name: "agent",
    question: "should the layout change as the workload changes?",
    default: "none",
    built_in: &[&none::ENTRY, &schedule::ENTRY],
    probe: |build, spec| build(PROBE_SEED, spec).map(drop),
    registered: Registered::new(),
};

/// Builds the agent that `spec` names; random choices are drawn from `seed`.
///
/// ```
/// use aura_policies::facts::{TreeShape, WindowStats};
/// use aura_policies::{PolicySpec, agent};
/// use serde_json::json;
///
/// let steps = json!([{ "at_operations": 1000, "level": 1, "runs": 4 }]);
/// let mut agent = agent::build(&PolicySpec::named("schedule").with("steps", steps), 7)?;
/// let window = WindowStats { operations_total: 1000, ..WindowStats::default() };
/// let actions = agent.step(&window, &TreeShape::default());
/// assert_eq!(actions, [agent::Action::SetRuns { level: 1, runs: 4 }]);
/// # Ok::<(), aura_policies::PolicyError>(())
/// ```
///
/// # Errors
/// [`PolicyError`] for an unknown name or parameter, or a value out of range.
pub fn build(spec: &PolicySpec, seed: u64) -> Result<Box<dyn Agent>, PolicyError> {
    let entry = FAMILY.find(spec)?;
    (entry.build)(seed, spec)
}
