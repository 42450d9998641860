//! Cache eviction: who leaves?
//!
//! The mechanism owns the objects, their bytes and the map from keys to *slots*; a policy orders slot numbers. Contract:
//! on a miss the mechanism calls [`Eviction::admit`] once; if admitted, it asks for a [`Eviction::victim`] and removes it
//! until the object fits, then calls [`Eviction::on_insert`]. A slot is inserted only when absent, and hit or removed only
//! when present. An admission policy (see [`crate::admission`]) may keep the object out at either step, even after a
//! victim was named: then nothing more happens, and the victim stays. [`Removal`] tells being evicted from dying (the
//! object's table was compacted away).

use crate::family::{Family, PROBE_CAPACITY_BYTES, PROBE_SEED, Registered};
use crate::{PolicyError, PolicySpec};

pub mod replay;

mod experts;
mod ghosts;
mod heap;
mod learning_rate;
mod queues;
mod ridge;
mod sampling;

mod ac_key;
mod arc;
mod cacheus;
mod car;
mod clock;
mod fifo;
mod gdsf;
mod hyperbolic;
mod lecar;
mod lfu;
mod lfu_da;
mod lhd;
mod lirs;
mod lrb;
mod lru;
mod s3_fifo;
mod sieve;
mod slru;
mod two_queue;
mod w_tinylfu;

/// A place in the cache, reused after its object left. The numbers are dense from 0.
pub type Slot = u32;

/// What an object is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BlockKind {
    /// A table's data block.
    #[default]
    Data,
    /// A table's index: its fence pointers or its model.
    Index,
    /// A table's filter.
    Filter,
    /// A value of the value log.
    Value,
    /// A user key with its newest value.
    KeyValue,
    /// A user key with the address of the block that holds it.
    KeyPointer,
}

/// What a policy sees of an object that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// The object's identity, hashed: what a ghost list remembers.
    pub key: u64,
    /// Bytes the object is charged with; at least 1.
    pub bytes: u64,
    /// What the object is.
    pub kind: BlockKind,
    /// Device reads that a later hit on the object saves; 1 for a block.
    pub cost: u32,
    /// Which object of a scan this is, from 1; 0 for a point read.
    pub scanned: u32,
}

impl Access {
    /// A point read of an object of `bytes`.
    pub fn sized(key: u64, bytes: u64) -> Self {
        Self {
            key,
            bytes,
            kind: BlockKind::Data,
            cost: 1,
            scanned: 0,
        }
    }

    /// A point read of an object of one byte, for caches that count objects.
    pub fn unit(key: u64) -> Self {
        Self::sized(key, 1)
    }
}

/// Why an object is no longer held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// It was the victim.
    Evicted,
    /// It is of no use to anybody any more.
    Died,
}

/// The replacement order of one cache shard.
pub trait Eviction: Send {
    /// News of a miss, and the question whether the missing object may enter. Asked once a miss, before `victim`.
    fn admit(&mut self, _incoming: &Access) -> bool {
        true
    }

    /// Names a held slot to give up for `incoming`. The order may change meanwhile (a hand moves, a queue turns), but the
    /// slot is held until `on_remove`; asked again before any other event, it is named again. Called only when a slot is
    /// held.
    fn victim(&mut self, incoming: &Access) -> Slot;

    /// `incoming` now lies in `slot`.
    fn on_insert(&mut self, slot: Slot, incoming: &Access);

    /// The object in `slot` was asked for.
    fn on_hit(&mut self, slot: Slot);

    /// The object in `slot` is gone. An evicted one is the last `victim`.
    fn on_remove(&mut self, slot: Slot, why: Removal);

    /// Bytes of memory the policy itself uses.
    fn metadata_bytes(&self) -> u64;

    /// Checks the policy's structures against the slots held. O(slots); for tests.
    ///
    /// # Errors
    /// A sentence that names the broken invariant.
    fn audit(&self, held: &[Slot]) -> Result<(), String>;
}

/// Makes a policy for a shard of `capacity` bytes; a policy that draws lots draws them from `seed`.
pub type Build =
    fn(capacity: u64, seed: u64, spec: &PolicySpec) -> Result<Box<dyn Eviction>, PolicyError>;

/// The family.
pub static FAMILY: Family<Build> = Family {
    name: "cache",
    question: "who leaves the cache?",
    default: "lru",
    built_in: &[
        &two_queue::ENTRY,
        &ac_key::ENTRY,
        &arc::ENTRY,
        &cacheus::ENTRY,
        &car::ENTRY,
        &clock::ENTRY,
        &fifo::ENTRY,
        &gdsf::ENTRY,
        &hyperbolic::ENTRY,
        &lecar::ENTRY,
        &lfu::ENTRY,
        &lfu_da::ENTRY,
        &lhd::ENTRY,
        &lirs::ENTRY,
        &lrb::ENTRY,
        &lru::ENTRY,
        &s3_fifo::ENTRY,
        &sieve::ENTRY,
        &slru::ENTRY,
        &w_tinylfu::ENTRY,
    ],
    probe: |build, spec| build(PROBE_CAPACITY_BYTES, PROBE_SEED, spec).map(drop),
    registered: Registered::new(),
};

/// Builds the policy that `spec` names.
///
/// # Errors
/// An unknown name or parameter, a value out of range, or a capacity too small for the policy.
pub fn build(
    spec: &PolicySpec,
    capacity: u64,
    seed: u64,
) -> Result<Box<dyn Eviction>, PolicyError> {
    let entry = FAMILY.find(spec)?;
    (entry.build)(capacity, seed, spec)
}

/// A share of `capacity` in bytes, rounded down but at least 1, so that something fits in it.
fn share(capacity: u64, of_one: f64) -> u64 {
    ((capacity as f64 * of_one) as u64).max(1)
}

/// Checks that `listed`, the slots that a policy orders, are the slots `held`, each once: what most
/// policies' [`Eviction::audit`] begins with. O(slots log slots).
///
/// # Errors
/// Both lists, if they differ.
pub fn check_held(mut listed: Vec<Slot>, held: &[Slot]) -> Result<(), String> {
    let mut held = held.to_vec();
    listed.sort_unstable();
    held.sort_unstable();
    if listed == held {
        Ok(())
    } else {
        Err(format!(
            "the policy orders slots {listed:?}, held are {held:?}"
        ))
    }
}
