//! Cache eviction: who leaves?
//!
//! The mechanism owns the objects, their bytes and the map from keys to *slots*; a policy orders slot numbers. Contract:
//! on a miss the mechanism calls [`Eviction::admit`] once; if admitted, [`Eviction::evict`] until the object fits, then
//! [`Eviction::on_insert`]. A slot is inserted only when absent, and hit or removed only when present. `on_remove` is
//! for objects that died (their table was compacted away), so that a policy can tell dying from being evicted.

use crate::entry::{Entry, Family, PolicyError, PolicySpec};

mod arc;
mod lru;
mod sieve;

/// A place in the cache, reused after its object left. The numbers are dense from 0.
pub type Slot = u32;

/// What a policy sees of an object that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// The object's identity, hashed: what a ghost list remembers.
    pub key: u64,
    /// Bytes the object is charged with; at least 1.
    pub bytes: u64,
}

/// The replacement order of one cache shard.
pub trait Eviction: Send {
    /// News of a miss, and the question whether the missing object may enter. Asked once a miss, before `evict`.
    fn admit(&mut self, _incoming: &Access) -> bool {
        true
    }

    /// Names a held slot to give up for `incoming`, and forgets it. Called only when a slot is held.
    fn evict(&mut self, incoming: &Access) -> Slot;

    /// `incoming` now lies in `slot`.
    fn on_insert(&mut self, slot: Slot, incoming: &Access);

    /// The object in `slot` was asked for.
    fn on_hit(&mut self, slot: Slot);

    /// The object in `slot` is gone for another reason than `evict`.
    fn on_remove(&mut self, slot: Slot);

    /// Bytes of memory the policy itself uses.
    fn metadata_bytes(&self) -> u64;

    /// Checks the policy's structures against the slots held. O(slots); for tests.
    ///
    /// # Errors
    /// A sentence that names the broken invariant.
    fn audit(&self, held: &[Slot]) -> Result<(), String>;
}

/// Makes a policy for a shard of `capacity` bytes; a policy that draws lots draws them from `seed`.
pub type Build = fn(capacity: u64, seed: u64, spec: &PolicySpec) -> Result<Box<dyn Eviction>, PolicyError>;

/// The family.
pub const FAMILY: Family<Build> = Family {
    name: "cache",
    question: "who leaves the cache?",
    default: "lru",
    entries: &[&arc::ENTRY, &lru::ENTRY, &sieve::ENTRY],
};

/// Builds the policy that `spec` names.
///
/// # Errors
/// An unknown name or parameter, or a value out of range.
pub fn build(spec: &PolicySpec, capacity: u64, seed: u64) -> Result<Box<dyn Eviction>, PolicyError> {
    let entry: &Entry<Build> = FAMILY.find(spec)?;
    (entry.build)(capacity, seed, spec)
}

/// Whether `listed`, the slots a policy orders, are the slots `held`, each once.
fn check_held(mut listed: Vec<Slot>, held: &[Slot]) -> Result<(), String> {
    let mut held = held.to_vec();
    listed.sort_unstable();
    held.sort_unstable();
    if listed == held { Ok(()) } else { Err(format!("the policy orders slots {listed:?}, held are {held:?}")) }
}
