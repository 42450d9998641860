//! Self-tuning: which setting of the running engine changes next, within the operator's ranges?
//!
//! A self-tuner sees one window of operations after another, with the engine's memory and its
//! knobs, and answers with at most one proposal. It carries nothing out and judges nothing: the
//! engine checks the range, applies the change, watches what windows cost by the
//! [referee](crate::referee), and keeps it or takes it back. What became of a proposal is in the
//! facts of a later window ([`Judgement`](crate::facts::Judgement)).
//!
//! A self-tuner of one's own needs one method. This one gives level 0 more runs while all is
//! writes:
//!
//! ```
//! use aura_policies::PolicySpec;
//! use aura_policies::entry::{Entry, NoParams, describe, params};
//! use aura_policies::facts::{Knob, KnobFacts, Standing, TuningFacts, WindowStats};
//! use aura_policies::self_tuner::{self, Change, Proposal, SelfTuner};
//!
//! struct Lazy;
//!
//! impl SelfTuner for Lazy {
//!     fn step(&mut self, facts: &TuningFacts) -> Option<Proposal> {
//!         let trigger = facts.knob(Knob::Level0Trigger)?;
//!         let is_due = facts.standing == Standing::Free && trigger.value < trigger.most;
//!         let value = trigger.value + 1.0;
//!         let change = Change::Set { knob: Knob::Level0Trigger, value };
//!         let writes = facts.window.write_share() > 0.9;
//!         (is_due && writes).then(|| Proposal::new(change, "all-writes"))
//!     }
//! }
//!
//! static LAZY: Entry<self_tuner::Build> = Entry {
//!     name: "lazy",
//!     about: "level 0 gets more runs while all is writes",
//!     params: describe::<NoParams>,
//!     build: |_seed, spec| params::<NoParams>(spec).map(|_| Box::new(Lazy) as _),
//! };
//!
//! self_tuner::FAMILY.register(&LAZY)?;
//! let mut lazy = self_tuner::build(&PolicySpec::named("lazy"), 7)?;
//! let facts = TuningFacts {
//!     window: WindowStats { writes: 1000, ..WindowStats::default() },
//!     knobs: vec![KnobFacts { knob: Knob::Level0Trigger, value: 4.0, least: 1.0, most: 8.0 }],
//!     ..TuningFacts::default()
//! };
//! let proposal = lazy.step(&facts).expect("a proposal");
//! assert_eq!(proposal.change, Change::Set { knob: Knob::Level0Trigger, value: 5.0 });
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::facts::{Knob, KnobFacts, TuningFacts};
use crate::family::{Family, PROBE_SEED, Registered};
use crate::{PolicyError, PolicySpec};

mod hill_climb;
mod limiter;
mod memory;
mod none;
mod random;

/// A change that a self-tuner proposes.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
pub enum Change {
    /// Sets a knob to a value in its range. What counts bytes, runs or bits is rounded down.
    Set {
        /// The knob.
        knob: Knob,
        /// Its new value.
        value: f64,
    },
    /// Takes memory from one of memtables and cache, and then gives it to the other.
    Shift {
        /// The knob that loses it.
        from: Knob,
        /// The knob that gets it.
        to: Knob,
        /// Bytes, for all memtables together.
        bytes: u64,
    },
}

/// A change, and why the self-tuner proposes it.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Proposal {
    /// What to change.
    #[serde(flatten)]
    pub change: Change,
    /// Why, in a few words that are the same whenever the reason is.
    pub reason: &'static str,
}

impl Proposal {
    /// Proposes `change` because of `reason`.
    pub fn new(change: Change, reason: &'static str) -> Self {
        Self { change, reason }
    }
}

/// Proposes changes of a running engine's settings, at most one after each window of operations.
pub trait SelfTuner: Send {
    /// Returns what to change after the window of `facts`, if anything. It is asked after every
    /// window, also when nothing can be carried out
    /// ([`TuningFacts::standing`](crate::facts::TuningFacts)), so that it may learn.
    fn step(&mut self, facts: &TuningFacts) -> Option<Proposal>;

    /// Whether `step` can ever propose. If not, the engine need not measure windows.
    fn is_active(&self) -> bool {
        true
    }

    /// Whether it needs to know what caches of other sizes would hold. If not, the engine keeps no
    /// ghost cache.
    fn asks_for_ghost(&self) -> bool {
        false
    }
}

/// How a self-tuner is built; random choices are drawn from `seed`.
pub type Build = fn(seed: u64, spec: &PolicySpec) -> Result<Box<dyn SelfTuner>, PolicyError>;

/// The self-tuners.
pub static FAMILY: Family<Build> = Family {
    name: "self-tuner",
    question: "which setting of the running engine changes next?",
    default: "none",
    built_in: &[
        &hill_climb::ENTRY,
        &limiter::ENTRY,
        &memory::ENTRY,
        &none::ENTRY,
        &random::ENTRY,
    ],
    probe: |build, spec| build(PROBE_SEED, spec).map(drop),
    registered: Registered::new(),
};

/// Builds the self-tuner that `spec` names; random choices are drawn from `seed`.
///
/// ```
/// use aura_policies::{PolicySpec, self_tuner};
///
/// let none = self_tuner::build(&PolicySpec::named("none"), 7)?;
/// assert!(!none.is_active());
/// # Ok::<(), aura_policies::PolicyError>(())
/// ```
///
/// # Errors
/// [`PolicyError`] for an unknown name or parameter, or a value out of range.
pub fn build(spec: &PolicySpec, seed: u64) -> Result<Box<dyn SelfTuner>, PolicyError> {
    let entry = FAMILY.find(spec)?;
    (entry.build)(seed, spec)
}

/// Bytes that each unit of a memory knob stands for: a memtable's setting is taken by each of them.
fn weight(knob: Knob, facts: &TuningFacts) -> f64 {
    match knob {
        Knob::Memtable => facts.memory.memtables.max(1) as f64,
        _ => 1.0,
    }
}

/// Bytes that can go from one memory knob to the other, at most `wanted`: neither leaves its range.
fn shiftable(from: &KnobFacts, to: &KnobFacts, wanted: f64, facts: &TuningFacts) -> u64 {
    let spare = (from.value - from.least) * weight(from.knob, facts);
    let room = (to.most - to.value) * weight(to.knob, facts);
    // A float that is negative or no number becomes 0.
    wanted.min(spare).min(room) as u64
}
