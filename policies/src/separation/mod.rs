//! Key-value separation: does this value go to the value log?

use crate::family::{Family, Registered};
use crate::{PolicyError, PolicySpec};

mod never;
mod threshold;

/// A separation policy: asked once a put, before the WAL is written.
pub trait Separation: Send + Sync {
    /// Whether a value of `value_bytes` under a key of `key_bytes` goes to the value log.
    fn separate(&self, key_bytes: usize, value_bytes: usize) -> bool;
}

/// Makes a policy.
pub type Build = fn(spec: &PolicySpec) -> Result<Box<dyn Separation>, PolicyError>;

/// The family.
pub static FAMILY: Family<Build> = Family {
    name: "separation",
    question: "does this value go to the value log?",
    default: "never",
    built_in: &[&never::ENTRY, &threshold::ENTRY],
    probe: |build, spec| build(spec).map(drop),
    registered: Registered::new(),
};

/// Builds the policy that `spec` names.
///
/// # Errors
/// An unknown name or parameter, or a value out of range.
pub fn build(spec: &PolicySpec) -> Result<Box<dyn Separation>, PolicyError> {
    let entry = FAMILY.find(spec)?;
    (entry.build)(spec)
}
