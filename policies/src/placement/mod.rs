//! Placement: which queue of the value log does a value go to?
//!
//! The value log has several queues, each with a file that it appends to. Queues are written in
//! parallel. Values that share a queue share files, so a policy can keep values together that die
//! together.

use crate::family::{Family, Registered};
use crate::{PolicyError, PolicySpec};

mod key_hash;
mod round_robin;
mod size_class;

/// What is known of a value that goes to the value log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ValueFacts {
    /// Its key, hashed.
    pub key_hash: u64,
    /// Its bytes, uncompressed.
    pub bytes: u64,
    /// How many values went to the value log before it.
    pub number: u64,
}

/// Chooses the queue of each separated value. Any thread may ask.
pub trait Placement: Send + Sync {
    /// Returns the queue, below `queues`, which is at least 1.
    fn queue(&self, value: &ValueFacts, queues: u32) -> u32;
}

/// How a placement policy is built.
pub type Build = fn(spec: &PolicySpec) -> Result<Box<dyn Placement>, PolicyError>;

/// The placement policies.
pub static FAMILY: Family<Build> = Family {
    name: "placement",
    question: "which queue of the value log does a value go to?",
    default: "round-robin",
    built_in: &[&key_hash::ENTRY, &round_robin::ENTRY, &size_class::ENTRY],
    probe: |build, spec| build(spec).map(drop),
    registered: Registered::new(),
};

/// Builds the policy that `spec` names.
///
/// ```
/// use aura_policies::PolicySpec;
/// use aura_policies::placement::{self, ValueFacts};
///
/// let policy = placement::build(&PolicySpec::named("round-robin"))?;
/// let value = ValueFacts { number: 5, ..ValueFacts::default() };
/// assert_eq!(policy.queue(&value, 4), 1);
/// # Ok::<(), aura_policies::PolicyError>(())
/// ```
///
/// # Errors
/// [`PolicyError`] for an unknown name or parameter, or a value out of range.
pub fn build(spec: &PolicySpec) -> Result<Box<dyn Placement>, PolicyError> {
    let entry = FAMILY.find(spec)?;
    (entry.build)(spec)
}
