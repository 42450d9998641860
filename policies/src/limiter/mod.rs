//! I/O limiter: how many bytes a second may the background move?
//!
//! The mechanism is a token bucket: it grants slices to the jobs that wait, the most urgent first.
//! The policy says at which rate, within the limit that the settings give, and how often work that
//! is less urgent gets its turn nevertheless. Where there is no limit, nobody is asked.
//!
//! A policy of one's own needs one method. This one leaves users half of the limit while they use
//! any of it:
//!
//! ```
//! use aura_policies::PolicySpec;
//! use aura_policies::entry::{Entry, NoParams, describe, params};
//! use aura_policies::limiter::{self, LimiterFacts, RateControl, Watch};
//!
//! struct Half;
//!
//! impl RateControl for Half {
//!     fn watch(&self) -> Option<Watch> {
//!         Some(Watch { period_nanos: 10_000_000, periods: 1 })
//!     }
//!
//!     fn rate(&mut self, facts: &LimiterFacts) -> u64 {
//!         if facts.user_bytes > 0 { facts.limit / 2 } else { facts.limit }
//!     }
//! }
//!
//! static HALF: Entry<limiter::Build> = Entry {
//!     name: "half",
//!     about: "half of the limit while users use any of it",
//!     params: describe::<NoParams>,
//!     build: |spec| params::<NoParams>(spec).map(|_| Box::new(Half) as _),
//! };
//!
//! limiter::FAMILY.register(&HALF)?;
//! let mut half = limiter::build(&PolicySpec::named("half"))?;
//! let facts = LimiterFacts { limit: 1000, user_bytes: 1, ..LimiterFacts::default() };
//! assert_eq!(half.rate(&facts), 500);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::family::{Family, Registered};
use crate::{PolicyError, PolicySpec};

mod auto_tuned;
mod fixed;
mod silk;

pub(crate) use auto_tuned::{Step, step_for};

/// How a policy watches the background.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watch {
    /// The length of a period, in nanoseconds: the time in which work that waits counts once.
    pub period_nanos: u64,
    /// Periods between two decisions, at least.
    pub periods: u32,
}

/// What happened since the last decision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct LimiterFacts {
    /// The most that the settings allow, in bytes a second; above 0.
    pub limit: u64,
    /// The rate in force, in bytes a second.
    pub rate: u64,
    /// Nanoseconds since the last decision; above 0.
    pub nanos: u64,
    /// Periods since the last decision, rounded up.
    pub periods: u64,
    /// Periods since then in which work had to wait for the limit.
    pub drained: u64,
    /// Bytes that users' reads and writes moved from and to files.
    pub user_bytes: u64,
    /// Bytes that were granted to the background.
    pub background_bytes: u64,
}

/// Decides the rate of the background's I/O.
pub trait RateControl: Send {
    /// The rate to begin with, when the settings allow `limit` bytes a second.
    fn start(&self, limit: u64) -> u64 {
        limit
    }

    /// How the background is watched; None if the rate never changes.
    fn watch(&self) -> Option<Watch> {
        None
    }

    /// Returns the rate from now on, in bytes a second. The mechanism keeps it within the limit,
    /// and at 64 KiB or more.
    fn rate(&mut self, facts: &LimiterFacts) -> u64;

    /// Of this many slices, work that waits gets at least one, however urgent other work is; at
    /// least 2.
    fn turn(&self) -> u32 {
        TURN
    }
}

/// How often less urgent work gets its turn: RocksDB's fairness.
const TURN: u32 = 10;

/// How a limiter is built.
pub type Build = fn(spec: &PolicySpec) -> Result<Box<dyn RateControl>, PolicyError>;

/// The limiters.
pub static FAMILY: Family<Build> = Family {
    name: "limiter",
    question: "how many bytes a second may the background move?",
    default: "fixed",
    built_in: &[&auto_tuned::ENTRY, &fixed::ENTRY, &silk::ENTRY],
    probe: |build, spec| build(spec).map(drop),
    registered: Registered::new(),
};

/// Builds the limiter that `spec` names.
///
/// ```
/// use aura_policies::PolicySpec;
/// use aura_policies::limiter::{self, LimiterFacts};
///
/// let mut silk = limiter::build(&PolicySpec::named("silk").with("reserve", 0.0))?;
/// let facts = LimiterFacts {
///     limit: 100_000_000,
///     rate: 100_000_000,
///     nanos: 1_000_000_000,
///     periods: 1,
///     user_bytes: 30_000_000,
///     ..LimiterFacts::default()
/// };
/// assert_eq!(silk.rate(&facts), 70_000_000);
/// # Ok::<(), aura_policies::PolicyError>(())
/// ```
///
/// # Errors
/// [`PolicyError`] for an unknown name or parameter, or a value out of range.
pub fn build(spec: &PolicySpec) -> Result<Box<dyn RateControl>, PolicyError> {
    let entry = FAMILY.find(spec)?;
    (entry.build)(spec)
}
