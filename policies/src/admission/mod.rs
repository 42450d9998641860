//! Cache admission: who enters?
//!
//! The mechanism tells an admission policy every request, and asks it twice on a miss: whether the object may enter at
//! all ([`Admission::admit`]), and, when that costs another its place, which of the two is worth more
//! ([`Admission::contest`]). With sizes, one object may cost several others their places: it must win against each in
//! turn, and those it has won against are gone even if it loses to a later one. Any admission goes with any eviction.

use crate::cache::Access;
use crate::family::{Family, PROBE_CAPACITY_BYTES, PROBE_SEED, Registered};
use crate::{PolicyError, PolicySpec};

mod adaptsize;
mod always;
mod doorkeeper;
mod partial_scan;
mod size_threshold;
mod tinylfu;

/// The gate of one cache shard.
pub trait Admission: Send {
    /// The object was asked for and is held.
    fn on_hit(&mut self, _asked: &Access) {}

    /// The object was asked for and is not held: may it enter? Asked once a miss.
    fn admit(&mut self, incoming: &Access) -> bool;

    /// Whether `incoming` may take the place of `victim`, which the eviction policy has named.
    fn contest(&mut self, _incoming: &Access, _victim: &Access) -> bool {
        true
    }

    /// Bytes of memory the policy itself uses.
    fn metadata_bytes(&self) -> u64;
}

/// How an admission policy is made.
pub struct Build {
    /// Whether it decides by the objects' sizes, so that a trace without sizes says nothing to it.
    pub needs_sizes: bool,
    /// Makes the policy for a shard of `capacity` bytes; None where everybody enters. One that draws lots draws them from
    /// `seed`.
    #[expect(clippy::type_complexity, reason = "one signature, used once")]
    pub make: fn(
        capacity: u64,
        seed: u64,
        spec: &PolicySpec,
    ) -> Result<Option<Box<dyn Admission>>, PolicyError>,
}

/// The family.
pub static FAMILY: Family<Build> = Family {
    name: "admission",
    question: "who enters the cache?",
    default: "always",
    built_in: &[
        &adaptsize::ENTRY,
        &always::ENTRY,
        &doorkeeper::ENTRY,
        &partial_scan::ENTRY,
        &size_threshold::ENTRY,
        &tinylfu::ENTRY,
    ],
    probe: |build, spec| (build.make)(PROBE_CAPACITY_BYTES, PROBE_SEED, spec).map(drop),
    registered: Registered::new(),
};

/// Builds the policy that `spec` names; None where everybody enters.
///
/// # Errors
/// An unknown name or parameter, or a value out of range.
pub fn build(
    spec: &PolicySpec,
    capacity: u64,
    seed: u64,
) -> Result<Option<Box<dyn Admission>>, PolicyError> {
    let entry = FAMILY.find(spec)?;
    (entry.build.make)(capacity, seed, spec)
}
