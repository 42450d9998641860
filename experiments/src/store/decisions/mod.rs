//! The decision log: what agents and self-tuners decided, each decision with what followed.
//!
//! A trial keeps the windows that its agent saw, and the steps of its self-tuner, in
//! `decisions.jsonl`. `read.rs` takes decisions out of it, `effect.rs` adds what windows cost
//! before and after each, and `table.rs` gathers the decisions of all trials of a run in
//! `decisions.parquet`.

mod effect;
mod read;
mod table;

#[cfg(test)]
mod tests;

use serde::Serialize;

use crate::names::named_enum;

pub(super) use read::read_decisions;
pub(super) use table::{DecisionRow, decisions_parquet, rows_of_trial};

named_enum! {
    /// Who decided.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
    pub enum Maker {
        /// A compaction agent.
        Agent = "agent",
        /// A self-tuner, and the engine as its judge.
        SelfTuner = "self-tuner",
    }
}

/// One decision: what was asked for, what became of it, and what windows cost around it.
#[derive(Clone, Debug, PartialEq)]
pub struct Decided {
    /// Who decided.
    pub maker: Maker,
    /// The phase.
    pub phase: String,
    /// The number of the window that it follows.
    pub window: u64,
    /// Operations since the database was opened; `None` of a self-tuner, which does not say.
    pub operations: Option<u64>,
    /// Nanoseconds since the phase began.
    pub at_nanos: u64,
    /// The kind of action, as events name it; `None` where settings came back and none was watched.
    pub action: Option<String>,
    /// The level, of a merge the shallowest.
    pub level: Option<u64>,
    /// What is set: runs, bits a key, bytes a second, a knob's value; of a merge the deepest level.
    pub value: Option<f64>,
    /// What the log last set in that place.
    pub previous: Option<f64>,
    /// The transition, the picker or the knob.
    pub detail: Option<String>,
    /// Why.
    pub reason: String,
    /// What became of it: `done`, `unchanged` or `refused` of an agent's; of a self-tuner's the
    /// step, such as `applied` or `undone`.
    pub outcome: String,
    /// What an operation cost before it.
    pub cost_before: Option<f64>,
    /// What an operation cost after it.
    pub cost_after: Option<f64>,
    /// Windows over which the cost after it was measured; `None` of a self-tuner, which does not
    /// say.
    pub effect_windows: Option<u64>,
}

/// An agent's decision that was carried out.
const DONE: &str = "done";

/// A decision that was not possible.
const REFUSED: &str = "refused";

impl Decided {
    /// The cost after the decision over that before it; `None` unless both are known.
    pub fn cost_ratio(&self) -> Option<f64> {
        let before = self.cost_before.filter(|cost| *cost > 0.0)?;
        Some(self.cost_after? / before)
    }

    /// Whether it was not possible.
    pub fn is_refused(&self) -> bool {
        self.outcome == REFUSED
    }

    /// Whether it changed something, or asked the background for work.
    pub fn is_done(&self) -> bool {
        self.maker == Maker::Agent && self.outcome == DONE
    }
}
