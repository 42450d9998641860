//! Key-value separation: does this value go to the value log?

use crate::family::{Family, Registered};
use crate::{PolicyError, PolicySpec};

mod never;
mod threshold;

/// Decides which values are separated from their keys.
pub trait Separation: Send + Sync {
    /// Whether a value of `value_bytes` under a key of `key_bytes` goes to the value log. Asked
    /// once a put, before the write-ahead log is written.
    fn separate(&self, key_bytes: usize, value_bytes: usize) -> bool;
}

/// How a separation policy is built.
pub type Build = fn(spec: &PolicySpec) -> Result<Box<dyn Separation>, PolicyError>;

/// The separation policies.
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
/// ```
/// use aura_policies::{PolicySpec, separation};
///
/// let spec = PolicySpec::named("threshold").with("bytes", 4096);
/// let policy = separation::build(&spec)?;
/// let key_bytes = 16;
/// assert!(policy.separate(key_bytes, 4096));
/// assert!(!policy.separate(key_bytes, 4095));
/// # Ok::<(), aura_policies::PolicyError>(())
/// ```
///
/// # Errors
/// [`PolicyError`] for an unknown name or parameter, or a value out of range.
pub fn build(spec: &PolicySpec) -> Result<Box<dyn Separation>, PolicyError> {
    let entry = FAMILY.find(spec)?;
    (entry.build)(spec)
}
