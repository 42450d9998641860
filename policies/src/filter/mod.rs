//! Table filter: can this table hold the key, and how many bits is the answer worth?

use bytes::Bytes;

use crate::family::{Family, Registered};
use crate::{PolicyError, PolicySpec};

mod bloom;
mod none;

/// What a filter policy sees of the table being built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilterFacts {
    /// The level the table goes to.
    pub level: usize,
    /// The deepest level of the tree.
    pub deepest: usize,
}

/// How a table's filter is made.
pub trait FilterPolicy: Send + Sync {
    /// The encoded filter over the 64-bit hashes of a table's distinct keys; None for a table without one. O(n).
    fn build(&self, hashes: &[u64], facts: &FilterFacts) -> Option<Vec<u8>>;
}

/// A filter: no false negative, ever.
pub trait Filter: Send + Sync {
    /// False only if no key with this hash was built in. Never panics.
    fn may_contain(&self, hash: u64) -> bool;

    /// Bytes of memory it uses.
    fn memory_bytes(&self) -> u64;
}

/// How a filter kind is made and read back.
pub struct Build {
    /// Makes the policy.
    pub policy: fn(spec: &PolicySpec) -> Result<Box<dyn FilterPolicy>, PolicyError>,
    /// Reads back a filter that the policy encoded; None when the bytes are not one.
    pub decode: fn(bytes: Bytes) -> Option<Box<dyn Filter>>,
}

/// The family.
pub static FAMILY: Family<Build> = Family {
    name: "filter",
    question: "how many bits, and of which kind, say whether a table can hold a key?",
    default: "bloom",
    built_in: &[&bloom::ENTRY, &none::ENTRY],
    probe: |build, spec| (build.policy)(spec).map(drop),
    registered: Registered::new(),
};

/// Builds the policy that `spec` names.
///
/// # Errors
/// An unknown name or parameter, or a value out of range.
pub fn build(spec: &PolicySpec) -> Result<Box<dyn FilterPolicy>, PolicyError> {
    let entry = FAMILY.find(spec)?;
    (entry.build.policy)(spec)
}

/// Reads back a filter of the kind `name`; None when the kind is unknown or the bytes are not a filter of it.
pub fn decode(name: &str, bytes: Bytes) -> Option<Box<dyn Filter>> {
    let entry = FAMILY.get(name)?;
    (entry.build.decode)(bytes)
}
