//! Compaction agents: should the layout change as the workload changes?
//!
//! An agent sees one window of operations after another and the shape of the tree, and answers with
//! actions. A run limit that it sets overrides the layout's
//! ([`LevelFacts::runs_max`](crate::facts::LevelFacts)).
//!
//! Each agent is one file. What they share: `cost.rs` compares the costs of windows, `setting.rs`
//! holds layouts and the hand that asks for them, `merges.rs` finds merges that reads pay for,
//! `analytic.rs` is the cost model, `bandit.rs` the loop of all bandits, and `file.rs` the form of
//! saved agents.
//!
//! An agent of one's own needs one method. This one keeps level 0 at one run while reads dominate:
//!
//! ```
//! use aura_policies::agent::{self, Action, Agent, Decision};
//! use aura_policies::entry::{Entry, NoParams, describe, params};
//! use aura_policies::facts::{TreeShape, WindowStats};
//! use aura_policies::PolicySpec;
//!
//! #[derive(Default)]
//! struct Tidy {
//!     /// The trigger of level 0 that was configured.
//!     configured: Option<u32>,
//! }
//!
//! impl Agent for Tidy {
//!     fn step(&mut self, window: &WindowStats, tree: &TreeShape) -> Vec<Decision> {
//!         let configured = *self.configured.get_or_insert(tree.level0_runs_trigger);
//!         let (runs, reason) = match window.write_share() {
//!             share if share < 0.3 => (1, "reads-dominate"),
//!             _ => (configured, "writes-matter"),
//!         };
//!         if runs == tree.level0_runs_trigger {
//!             return Vec::new();
//!         }
//!         vec![Decision::new(Action::SetLevel0Trigger { runs }, reason)]
//!     }
//! }
//!
//! static TIDY: Entry<agent::Build> = Entry {
//!     name: "tidy",
//!     about: "level 0 has one run while reads dominate",
//!     params: describe::<NoParams>,
//!     build: |_seed, spec| params::<NoParams>(spec).map(|_| Box::new(Tidy::default()) as _),
//! };
//!
//! agent::FAMILY.register(&TIDY)?;
//! let mut tidy = agent::build(&PolicySpec::named("tidy"), 7)?;
//! let reads = WindowStats { gets: 1000, ..WindowStats::default() };
//! let tree = "trigger 4".parse()?;
//! let decisions = tidy.step(&reads, &tree);
//! assert_eq!(decisions[0].action, Action::SetLevel0Trigger { runs: 1 });
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::facts::{TreeShape, WindowStats};
use crate::family::{Family, PROBE_SEED, Registered};
use crate::{PolicyError, PolicySpec};

mod analytic;
mod bandit;
mod cost;
mod draws;
mod file;
mod merges;
mod net;
mod propagation;
mod setting;

mod arce;
mod ddpg;
mod fit;
mod guard;
mod hill_climb;
mod linucb;
mod model;
mod none;
mod q_step;
mod random;
mod read_triggered;
mod schedule;
mod sliding_window_ucb;
mod thompson;
mod ucb1;

pub use file::AgentFile;

/// The parameter that takes a saved agent: an [`AgentFile`] as JSON. A program that opens a
/// database hands in what [`Agent::save`] gave, or what a file holds; in experiments it may be the
/// file's path.
pub const SAVED: &str = "model";

/// How a level that holds more runs than a new limit comes to keep it (Yu et al., RusKey, PACMMOD
/// 1(2), 2023).
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    serde::Deserialize,
    serde::Serialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Transition {
    /// Nothing is rewritten at once. The run being filled gets the new capacity C_i / K_i; the
    /// others stay beyond the limit until the level is next merged.
    #[default]
    Flexible,
    /// The limit waits until the level has next been emptied.
    Lazy,
    /// The level's runs are merged at once if there are more than the limit.
    Greedy,
}

/// A change that an agent asks for. The engine checks its range and carries it out.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(tag = "action", rename_all = "kebab-case")]
pub enum Action {
    /// Sets the run limit of `level`, at least 1, to `runs`, from 1 to the layout's ratio.
    SetRuns {
        /// The level.
        level: usize,
        /// Its new run limit K_i.
        runs: u32,
        /// What becomes of the runs that the level holds.
        transition: Transition,
    },
    /// Sets the number of runs at which level 0 is merged into level 1: at least 1, and below the
    /// number at which writers are slowed down.
    SetLevel0Trigger {
        /// Runs in level 0.
        runs: u32,
    },
    /// Merges all runs of the levels `from..=to` into one run of level `to`, at least 1, as soon as
    /// no compaction is at work there. Nothing to do if they are one such run already.
    Merge {
        /// The shallowest level that is read.
        from: usize,
        /// The deepest level that is read; its run is the output.
        to: usize,
    },
    /// Replaces the picker.
    SetPicker {
        /// The new picker.
        picker: PolicySpec,
    },
    /// Sets the bits a key in the filters of new tables of `level`: 0 (no filter), or 1 to 32.
    SetFilterBits {
        /// The level.
        level: usize,
        /// Bits a key.
        bits: f64,
    },
    /// Lets writers through at `bytes` bytes a second, 64 KiB or more, or slower where the engine
    /// itself slows them down; 0 lets them through as the engine would.
    SetWriteRate {
        /// Bytes a second.
        bytes: u64,
    },
    /// Begins no compaction that the layout proposes until the next window ends, unless writers
    /// would be slowed down, or somebody waits until nothing is left to do.
    Hold,
}

/// An action, and why the agent asks for it.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Decision {
    /// What to do.
    #[serde(flatten)]
    pub action: Action,
    /// Why, in a few words that are the same whenever the reason is.
    pub reason: &'static str,
}

impl Decision {
    /// Asks for `action` because of `reason`.
    pub fn new(action: Action, reason: &'static str) -> Self {
        Self { action, reason }
    }
}

/// Decides once a window of operations what changes in the tree.
pub trait Agent: Send {
    /// Returns what to do after `window`, in this order.
    fn step(&mut self, window: &WindowStats, tree: &TreeShape) -> Vec<Decision>;

    /// Whether `step` can ever act. If not, the engine need not measure windows.
    fn is_active(&self) -> bool {
        true
    }

    /// What the agent has learned, as an [`AgentFile`] that its parameter `model` takes; `None` if
    /// it learns nothing that lasts.
    fn save(&self) -> Option<serde_json::Value> {
        None
    }
}

/// How an agent is built; random choices are drawn from `seed`.
pub type Build = fn(seed: u64, spec: &PolicySpec) -> Result<Box<dyn Agent>, PolicyError>;

/// The compaction agents.
pub static FAMILY: Family<Build> = Family {
    name: "agent",
    question: "should the layout change as the workload changes?",
    default: "none",
    built_in: &[
        &arce::ENTRY,
        &ddpg::ENTRY,
        &fit::ENTRY,
        &guard::ENTRY,
        &hill_climb::ENTRY,
        &linucb::ENTRY,
        &model::ENTRY,
        &none::ENTRY,
        &q_step::ENTRY,
        &random::ENTRY,
        &read_triggered::ENTRY,
        &schedule::ENTRY,
        &sliding_window_ucb::ENTRY,
        &thompson::ENTRY,
        &ucb1::ENTRY,
    ],
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
/// let decisions = agent.step(&window, &TreeShape::default());
/// let transition = agent::Transition::Flexible;
/// let expected = agent::Action::SetRuns { level: 1, runs: 4, transition };
/// assert_eq!(decisions[0].action, expected);
/// # Ok::<(), aura_policies::PolicyError>(())
/// ```
///
/// # Errors
/// [`PolicyError`] for an unknown name or parameter, or a value out of range.
pub fn build(spec: &PolicySpec, seed: u64) -> Result<Box<dyn Agent>, PolicyError> {
    let entry = FAMILY.find(spec)?;
    (entry.build)(seed, spec)
}
