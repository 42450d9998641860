//! Stall control: how fast may writers go while the background is behind?
//!
//! The mechanism measures how far the background is behind, and asks before each group of writes.
//! The answer is to go on, to go at a rate, or to wait. Waiting for a sealed memtable's flush is no
//! question to a policy: memory depends on it, so writers always wait when
//! `memtables_sealed_max` memtables wait for their flush and the active one is full.
//!
//! A policy of one's own needs one method. This one slows down for debt alone:
//!
//! ```
//! use aura_policies::PolicySpec;
//! use aura_policies::entry::{Entry, NoParams, describe, params};
//! use aura_policies::stall::{self, Cause, Decision, StallControl, StallFacts, Zone};
//!
//! struct Debt;
//!
//! impl StallControl for Debt {
//!     fn decide(&self, facts: &StallFacts) -> Decision {
//!         match facts.debt {
//!             Zone::Free => Decision::Go,
//!             Zone::Slow { .. } | Zone::Stop => {
//!                 Decision::Slow { cause: Cause::Debt, rate: 1 << 20 }
//!             }
//!         }
//!     }
//! }
//!
//! static DEBT: Entry<stall::Build> = Entry {
//!     name: "debt",
//!     about: "1 MiB a second while there is debt",
//!     params: describe::<NoParams>,
//!     build: |spec| params::<NoParams>(spec).map(|_| Box::new(Debt) as _),
//! };
//!
//! stall::FAMILY.register(&DEBT)?;
//! let debt = stall::build(&PolicySpec::named("debt"))?;
//! assert_eq!(debt.decide(&StallFacts::default()), Decision::Go);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::family::{Family, Registered};
use crate::{PolicyError, PolicySpec};

mod none;
mod rocksdb;
mod smooth;
mod stop_only;

/// What writers are slowed down or stopped for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// Sealed memtables wait for their flush.
    Memtables,
    /// Level 0 holds many runs.
    Level0Runs,
    /// The background owes many bytes.
    Debt,
    /// Much of the value log is garbage.
    Garbage,
}

/// Where a measure stands between the settings that bound it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Zone {
    /// Below the point where the settings let slowing down begin.
    #[default]
    Free,
    /// From that point on.
    Slow {
        /// How far it is beyond that point, in the measure's unit; less than `span`.
        over: u64,
        /// How far the stop is beyond that point.
        span: u64,
    },
    /// At the stop, or beyond it.
    Stop,
}

/// How far the background is behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct StallFacts {
    /// Runs in level 0.
    pub level0: Zone,
    /// Bytes of debt.
    pub debt: Zone,
    /// The garbage in the value log, in millionths of it, while it is collected.
    pub garbage: Zone,
    /// Bytes that flushes and compactions owe, and collections while they run.
    pub debt_bytes: u64,
    /// Sealed memtables that wait for their flush.
    pub memtables_sealed: u64,
    /// Sealed memtables that may wait.
    pub memtables_sealed_max: u64,
    /// Grows when a memtable is sealed, and when a flush, a compaction or a collection has ended.
    pub changes: u64,
}

impl StallFacts {
    /// The measures that the settings give a stop, in the order in which they are looked at.
    pub fn zones(&self) -> [(Cause, Zone); 3] {
        [
            (Cause::Level0Runs, self.level0),
            (Cause::Debt, self.debt),
            (Cause::Garbage, self.garbage),
        ]
    }

    /// The first measure that is at its stop.
    pub fn stopped_by(&self) -> Option<Cause> {
        let mut zones = self.zones().into_iter();
        zones.find_map(|(cause, zone)| (zone == Zone::Stop).then_some(cause))
    }
}

/// What writers do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "decision", rename_all = "kebab-case")]
pub enum Decision {
    /// They go on.
    Go,
    /// They go on at a rate.
    Slow {
        /// What they are slowed down for.
        cause: Cause,
        /// Bytes a second, at least 1.
        rate: u64,
    },
    /// They wait until the decision is another one. The mechanism does not obey while the cause is
    /// [`Zone::Free`]: nothing might ever end it.
    Stop {
        /// What they wait for.
        cause: Cause,
    },
}

/// Decides how fast writers go. Any thread may ask.
pub trait StallControl: Send + Sync {
    /// Returns what writers do. Asking again with equal facts gives the same answer.
    fn decide(&self, facts: &StallFacts) -> Decision;
}

/// How a stall control is built.
pub type Build = fn(spec: &PolicySpec) -> Result<Box<dyn StallControl>, PolicyError>;

/// The stall controls.
pub static FAMILY: Family<Build> = Family {
    name: "stall",
    question: "how fast may writers go while the background is behind?",
    default: "smooth",
    built_in: &[
        &none::ENTRY,
        &rocksdb::ENTRY,
        &smooth::ENTRY,
        &stop_only::ENTRY,
    ],
    probe: |build, spec| build(spec).map(drop),
    registered: Registered::new(),
};

/// Builds the stall control that `spec` names.
///
/// ```
/// use aura_policies::PolicySpec;
/// use aura_policies::stall::{self, Cause, Decision, StallFacts, Zone};
///
/// let smooth = stall::build(&PolicySpec::named("smooth").with("rate", 1_000_000))?;
/// let half_way = StallFacts { level0: Zone::Slow { over: 8, span: 16 }, ..StallFacts::default() };
/// let expected = Decision::Slow { cause: Cause::Level0Runs, rate: 500_000 };
/// assert_eq!(smooth.decide(&half_way), expected);
/// # Ok::<(), aura_policies::PolicyError>(())
/// ```
///
/// # Errors
/// [`PolicyError`] for an unknown name or parameter, or a value out of range.
pub fn build(spec: &PolicySpec) -> Result<Box<dyn StallControl>, PolicyError> {
    let entry = FAMILY.find(spec)?;
    (entry.build)(spec)
}

/// The range of rates that writers may be slowed down to, in bytes a second. The least is
/// RocksDB's.
const RATES: std::ops::RangeInclusive<u64> = 16 << 10..=1 << 40;
