//! Cache admission: who enters?
//!
//! The mechanism reports every request to the admission policy. On a miss it asks twice: whether
//! the object may enter at all ([`Admission::admit`]) and, if another must leave for it, which of
//! the two is worth more ([`Admission::contest`]). A large object may displace several others. It
//! must win against each in turn; those it has won against are gone even if it loses to a later
//! one. Every admission policy works with every eviction policy.

use crate::cache::Access;
use crate::family::{Family, PROBE_CAPACITY_BYTES, PROBE_SEED, Registered};
use crate::{PolicyError, PolicySpec};

mod adaptsize;
mod always;
mod doorkeeper;
mod partial_scan;
mod size_threshold;
mod tinylfu;

/// Decides for one cache shard which objects enter.
pub trait Admission: Send {
    /// The object requested is held.
    fn on_hit(&mut self, _asked: &Access) {}

    /// Whether the object requested, which is not held, may enter. Asked once a miss.
    fn admit(&mut self, incoming: &Access) -> bool;

    /// Whether `incoming` may take the place of `victim`, which the eviction policy has named.
    fn contest(&mut self, _incoming: &Access, _victim: &Access) -> bool {
        true
    }

    /// The shard has `capacity` bytes from now on, as in [`crate::cache::Eviction::resize`].
    fn resize(&mut self, _capacity: u64) {}

    /// Bytes of memory that the policy itself uses.
    fn metadata_bytes(&self) -> u64;
}

/// How an admission policy is built.
pub struct Build {
    /// Whether it decides by the objects' sizes. Without sizes, such a policy has nothing to go by.
    pub needs_sizes: bool,
    /// Builds the policy for a shard of `capacity` bytes; `None` if every object enters. Random
    /// choices are drawn from `seed`.
    #[expect(clippy::type_complexity, reason = "one signature, used once")]
    pub make: fn(
        capacity: u64,
        seed: u64,
        spec: &PolicySpec,
    ) -> Result<Option<Box<dyn Admission>>, PolicyError>,
}

/// The admission policies.
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

/// Builds the policy that `spec` names for a shard of `capacity` bytes; `None` if every object
/// enters. Random choices are drawn from `seed`.
///
/// ```
/// use aura_policies::cache::Access;
/// use aura_policies::{PolicySpec, admission};
///
/// let spec = PolicySpec::named("size-threshold").with("bytes_max", 4096);
/// let mut policy = admission::build(&spec, 1 << 20, 7)?.expect("it does not admit every object");
/// assert!(policy.admit(&Access::sized(1, 4096)));
/// assert!(!policy.admit(&Access::sized(2, 4097)));
/// assert!(admission::build(&PolicySpec::named("always"), 1 << 20, 7)?.is_none());
/// # Ok::<(), aura_policies::PolicyError>(())
/// ```
///
/// # Errors
/// [`PolicyError`] for an unknown name or parameter, or a value out of range.
pub fn build(
    spec: &PolicySpec,
    capacity: u64,
    seed: u64,
) -> Result<Option<Box<dyn Admission>>, PolicyError> {
    let entry = FAMILY.find(spec)?;
    (entry.build.make)(capacity, seed, spec)
}
