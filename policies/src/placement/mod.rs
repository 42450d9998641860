//! Placement: which queue of the value log does a value go to?
//!
//! The value log has several queues, each with a file that it appends to. Queues are written in parallel; and values that
//! share a queue share files, so that what dies together may be put together.

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

/// A placement policy: asked once a separated value, by any thread.
pub trait Placement: Send + Sync {
    /// The queue, less than `queues`, which is at least 1.
    fn queue(&self, value: &ValueFacts, queues: u32) -> u32;
}

/// Makes a policy.
pub type Build = fn(spec: &PolicySpec) -> Result<Box<dyn Placement>, PolicyError>;

/// The family.
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
/// # Errors
/// An unknown name or parameter, or a value out of range.
pub fn build(spec: &PolicySpec) -> Result<Box<dyn Placement>, PolicyError> {
    let entry = FAMILY.find(spec)?;
    (entry.build)(spec)
}
