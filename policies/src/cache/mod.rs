//! Cache eviction: who leaves?
//!
//! The mechanism owns the objects, their bytes and the map from keys to *slots*. A policy orders
//! slot numbers. On a miss the mechanism calls
//!
//! 1. [`Eviction::admit`] once, which may refuse the object;
//! 2. [`Eviction::victim`] and then [`Eviction::on_remove`], until the object fits;
//! 3. [`Eviction::on_insert`].
//!
//! A slot is inserted only while it is absent, and hit or removed only while it is present. An
//! admission policy ([`crate::admission`]) may keep the object out at step 1 and at step 2, even
//! after a victim was named: then nothing more happens, and the victim stays. [`Removal`]
//! distinguishes eviction from death, as when an object's table was compacted away. When the room
//! for objects changes, [`Eviction::resize`] says so.

use crate::family::{Family, PROBE_CAPACITY_BYTES, PROBE_SEED, Registered};
use crate::{PolicyError, PolicySpec};

mod experts;
mod ghosts;
mod heap;
mod key_numbers;
mod learning_rate;
mod queues;
mod ridge;
mod sampling;

mod ac_key;
mod arc;
mod cacheus;
mod car;
mod clock;
mod clock_pro;
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
mod lru_k;
mod mq;
mod random;
mod s3_fifo;
mod sieve;
mod slru;
mod two_queue;
mod w_tinylfu;

/// The number of a place in the cache, used again after its object left. Numbers are dense from 0.
pub type Slot = u32;

/// What a cached object is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BlockKind {
    /// A data block of a table.
    #[default]
    Data,
    /// The index of a table: its fence pointers or its model.
    Index,
    /// The filter of a table.
    Filter,
    /// A value of the value log.
    Value,
    /// A user key with its newest value.
    KeyValue,
    /// A user key with the address of the block that holds it.
    KeyPointer,
}

impl BlockKind {
    /// Every kind, by its number in a trace.
    pub const ALL: [Self; 6] = [
        Self::Data,
        Self::Index,
        Self::Filter,
        Self::Value,
        Self::KeyValue,
        Self::KeyPointer,
    ];
}

/// One request for an object, as policies see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// The object's identity, hashed: what a ghost list remembers.
    pub key: u64,
    /// Bytes that the object is charged with; at least 1.
    pub bytes: u64,
    /// What the object is.
    pub kind: BlockKind,
    /// Device reads that a later hit on the object saves; 1 for a block.
    pub cost: u32,
    /// The position of the object in a scan, from 1; 0 for a point read.
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
    /// It is of no more use to any reader.
    Died,
}

/// The replacement order of one cache shard.
pub trait Eviction: Send {
    /// Reports a miss, and asks whether the missing object may enter. Called once a miss, before
    /// `victim`.
    fn admit(&mut self, _incoming: &Access) -> bool {
        true
    }

    /// Names a held slot to give up for `incoming`. Called only while a slot is held.
    ///
    /// The order may change meanwhile (a hand moves, a queue turns), but the slot is held until
    /// `on_remove`. Asked again before any other event, the policy names it again.
    fn victim(&mut self, incoming: &Access) -> Slot;

    /// `incoming` is now in `slot`.
    fn on_insert(&mut self, slot: Slot, incoming: &Access);

    /// The object in `slot` was requested.
    fn on_hit(&mut self, slot: Slot);

    /// The object in `slot` is gone. If it was evicted, it is the last `victim`.
    fn on_remove(&mut self, slot: Slot, why: Removal);

    /// The policy has `capacity` bytes from now on: those of its shard less what is pinned there.
    ///
    /// What follows from the capacity (segments, windows, ghosts, sketches) becomes what it would
    /// be in a cache built with that capacity. What was learned is kept, as far as there is room
    /// for it; targets that move keep their share. Objects stay held: the mechanism evicts those
    /// that no longer fit, by way of `victim`. A call that changes nothing has no effect. A policy
    /// whose order does not depend on the capacity need not implement it.
    fn resize(&mut self, _capacity: u64) {}

    /// Bytes of memory that the policy itself uses.
    fn metadata_bytes(&self) -> u64;

    /// Checks the policy's structures against the slots held. O(slots); for tests.
    ///
    /// # Errors
    /// A sentence that names the broken invariant.
    fn audit(&self, held: &[Slot]) -> Result<(), String>;
}

/// Builds a policy for a shard of `capacity` bytes; random choices are drawn from `seed`.
pub type Build =
    fn(capacity: u64, seed: u64, spec: &PolicySpec) -> Result<Box<dyn Eviction>, PolicyError>;

/// The eviction policies.
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
        &clock_pro::ENTRY,
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
        &lru_k::ENTRY,
        &mq::ENTRY,
        &random::ENTRY,
        &s3_fifo::ENTRY,
        &sieve::ENTRY,
        &slru::ENTRY,
        &w_tinylfu::ENTRY,
    ],
    probe: |build, spec| build(PROBE_CAPACITY_BYTES, PROBE_SEED, spec).map(drop),
    registered: Registered::new(),
};

/// Builds the policy that `spec` names for a shard of `capacity` bytes; random choices are drawn
/// from `seed`.
///
/// ```
/// use aura_policies::cache::{self, Access, Removal};
/// use aura_policies::PolicySpec;
///
/// let mut lru = cache::build(&PolicySpec::named("lru"), 4096, 7)?;
/// for slot in [0, 1] {
///     let block = Access::sized(u64::from(slot), 2048);
///     assert!(lru.admit(&block));
///     lru.on_insert(slot, &block);
/// }
/// lru.on_hit(0);
/// let incoming = Access::sized(2, 2048);
/// assert!(lru.admit(&incoming));
/// assert_eq!(lru.victim(&incoming), 1, "slot 0 was used later");
/// lru.on_remove(1, Removal::Evicted);
/// lru.on_insert(1, &incoming);
/// # Ok::<(), aura_policies::PolicyError>(())
/// ```
///
/// # Errors
/// [`PolicyError`] for an unknown name or parameter, or a value out of range.
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

/// A target of `bytes` in a cache of `before` bytes, in one of `after` bytes: the same share.
fn same_share(bytes: f64, before: u64, after: u64) -> f64 {
    (bytes / before.max(1) as f64 * after as f64).clamp(0.0, after as f64)
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

/// What the unit tests of policies share.
#[cfg(test)]
mod testing {
    use super::{Access, Eviction, Removal, Slot};

    /// Inserts the objects `0..slots`, of one byte each, into the slots of the same numbers.
    pub(super) fn fill(policy: &mut dyn Eviction, slots: Slot) {
        for slot in 0..slots {
            let access = Access::unit(u64::from(slot));
            assert!(policy.admit(&access));
            policy.on_insert(slot, &access);
        }
    }

    /// Misses `key` in a full cache, puts it into the victim's slot, and returns that slot.
    pub(super) fn replace(policy: &mut dyn Eviction, key: u64) -> Slot {
        let access = Access::unit(key);
        assert!(policy.admit(&access));
        let slot = policy.victim(&access);
        assert_eq!(
            slot,
            policy.victim(&access),
            "asked again, it names the same"
        );
        policy.on_remove(slot, Removal::Evicted);
        policy.on_insert(slot, &access);
        slot
    }
}
