//! The cache of table blocks and value-log values: shards, each a map, a byte budget and a lock.
//!
//! An object is known by the file it lies in and its offset there. A shard keeps its objects in numbered slots; the
//! eviction policy orders slot numbers and the shard does the rest (see [`aura_policies::cache`] for their contract).
//! A hit costs one lock of one shard, one probe of its table and no allocation; what it returns shares the memory held.
//!
//! The budget of a shard covers the objects, [`ENTRY_OVERHEAD_BYTES`] for each, and the policy's own metadata.

use std::sync::{Mutex, MutexGuard, PoisonError};

use aura_policies::cache::{Access, Eviction, Removal, Slot};
use bytes::Bytes;
use hashbrown::HashTable;
use serde::Serialize;

use crate::config::CacheConfig;
use crate::error::{Error, Result};

/// What an object costs beside its bytes: its slot (56 B), its place in the map (about 9 B at the usual load) and in
/// the free list (4 B), the shared header of its `Bytes` (24 B), and what an allocator adds to two allocations.
pub(crate) const ENTRY_OVERHEAD_BYTES: u64 = 128;

/// The address of an object. Tables and value files draw on one series of numbers, so that it is unique.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BlockId {
    /// The file's number.
    pub file: u64,
    /// Where in the file it starts.
    pub offset: u64,
}

impl BlockId {
    /// A fixed mixture of both halves; files are small numbers and offsets have many trailing zeros.
    fn hash(self) -> u64 {
        let mut mixed = self.file.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ self.offset;
        mixed = (mixed ^ (mixed >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        mixed = (mixed ^ (mixed >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        mixed ^ (mixed >> 32)
    }
}

/// The cache's state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CacheStats {
    /// Bytes that the objects held are charged with, bookkeeping for each included.
    pub used_bytes: u64,
    /// Bytes that objects and metadata may take together.
    pub capacity_bytes: u64,
    /// Objects held.
    pub entries: u64,
    /// Objects that have entered.
    pub inserts: u64,
    /// Objects that left for another one.
    pub evictions: u64,
    /// Bytes of the eviction policy's metadata.
    pub metadata_bytes: u64,
}

struct Held {
    id: BlockId,
    data: Bytes,
}

fn charge(data: &Bytes) -> u64 {
    data.len() as u64 + ENTRY_OVERHEAD_BYTES
}

struct Shard {
    capacity_bytes: u64,
    used_bytes: u64,
    inserts: u64,
    evictions: u64,
    by_id: HashTable<Slot>,
    slots: Vec<Option<Held>>,
    free: Vec<Slot>,
    policy: Box<dyn Eviction>,
}

impl Shard {
    fn new(capacity_bytes: u64, policy: Box<dyn Eviction>) -> Self {
        Self {
            capacity_bytes,
            used_bytes: 0,
            inserts: 0,
            evictions: 0,
            by_id: HashTable::new(),
            slots: Vec::new(),
            free: Vec::new(),
            policy,
        }
    }

    fn find(&self, id: BlockId, hash: u64) -> Option<Slot> {
        let slots = &self.slots;
        self.by_id.find(hash, |slot| held(slots, *slot).is_some_and(|held| held.id == id)).copied()
    }

    fn get(&mut self, id: BlockId, hash: u64) -> Option<Bytes> {
        let slot = self.find(id, hash)?;
        self.policy.on_hit(slot);
        held(&self.slots, slot).map(|held| held.data.clone())
    }

    /// Whether an object of `bytes` more would go over the budget.
    fn over_budget_with(&self, bytes: u64) -> bool {
        self.used_bytes + self.policy.metadata_bytes() + bytes > self.capacity_bytes
    }

    fn insert(&mut self, id: BlockId, hash: u64, data: Bytes) {
        let incoming = Access::sized(hash, charge(&data));
        if incoming.bytes > self.capacity_bytes || self.find(id, hash).is_some() || !self.policy.admit(&incoming) {
            return;
        }
        while self.used_bytes > 0 && self.over_budget_with(incoming.bytes) {
            self.evict(&incoming);
        }
        if self.over_budget_with(incoming.bytes) {
            return;
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            (self.slots.len() - 1) as Slot
        });
        self.slots[slot as usize] = Some(Held { id, data });
        let slots = &self.slots;
        let rehash = |slot: &Slot| held(slots, *slot).map_or(0, |held| held.id.hash());
        self.by_id.insert_unique(hash, slot, rehash);
        self.used_bytes += incoming.bytes;
        self.inserts += 1;
        self.policy.on_insert(slot, &incoming);
        // The policy may have grown its own tables for the new slot.
        while self.used_bytes > 0 && self.over_budget_with(0) {
            self.evict(&incoming);
        }
    }

    fn evict(&mut self, incoming: &Access) {
        let slot = self.policy.victim(incoming);
        self.policy.on_remove(slot, Removal::Evicted);
        self.release(slot);
        self.evictions += 1;
    }

    fn remove(&mut self, id: BlockId, hash: u64) {
        if let Some(slot) = self.find(id, hash) {
            self.policy.on_remove(slot, Removal::Died);
            self.release(slot);
        }
    }

    /// Empties a slot that the policy has forgotten.
    fn release(&mut self, slot: Slot) {
        let left = self.slots.get_mut(slot as usize).and_then(Option::take);
        let left = left.expect("the eviction policy names slots that are held");
        if let Ok(entry) = self.by_id.find_entry(left.id.hash(), |candidate| *candidate == slot) {
            entry.remove();
        }
        self.used_bytes -= charge(&left.data);
        self.free.push(slot);
    }
}

fn held(slots: &[Option<Held>], slot: Slot) -> Option<&Held> {
    slots.get(slot as usize).and_then(Option::as_ref)
}

/// The cache.
pub(crate) struct BlockCache {
    shards: Vec<Mutex<Shard>>,
}

impl BlockCache {
    /// An empty cache. Policies that draw lots draw them from `seed`.
    ///
    /// # Errors
    /// [`Error::Policy`] where the eviction policy cannot be built.
    pub(crate) fn new(config: &CacheConfig, seed: u64) -> Result<Self> {
        let size = config.size.as_u64();
        let shards = match u64::from(config.shards) {
            0 => (size / (4 << 20)).clamp(1, 16),
            shards => shards,
        };
        let shard = |index: u64| {
            let capacity = size / shards + u64::from(index < size % shards);
            let policy = aura_policies::cache::build(&config.eviction, capacity, seed.wrapping_add(index))
                .map_err(|source| Error::Policy { key: "cache.eviction".to_owned(), source })?;
            Ok(Mutex::new(Shard::new(capacity, policy)))
        };
        // A wrong policy is an error in a cache of no bytes, too.
        let shards: Vec<_> = (0..shards).map(shard).collect::<Result<_>>()?;
        Ok(Self { shards: if size == 0 { Vec::new() } else { shards } })
    }

    /// The shard that `hash` belongs to. Its middle bits choose, for the map looks at the two ends.
    fn shard(&self, hash: u64) -> Option<MutexGuard<'_, Shard>> {
        let index = (u64::from((hash >> 16) as u32) * self.shards.len() as u64) >> 32;
        // A panic of another thread inside a shard is that thread's; what the shard holds was read from a file.
        self.shards.get(index as usize).map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The object at `id`, if it is held.
    pub(crate) fn get(&self, id: BlockId) -> Option<Bytes> {
        let hash = id.hash();
        self.shard(hash)?.get(id, hash)
    }

    /// Offers the object that `get` has just missed. Nothing happens if somebody else has put it in meanwhile.
    pub(crate) fn insert(&self, id: BlockId, data: Bytes) {
        let hash = id.hash();
        if let Some(mut shard) = self.shard(hash) {
            shard.insert(id, hash, data);
        }
    }

    /// Drops an object that is dead: its file is gone.
    pub(crate) fn remove(&self, id: BlockId) {
        let hash = id.hash();
        if let Some(mut shard) = self.shard(hash) {
            shard.remove(id, hash);
        }
    }

    /// The sums over the shards. O(shards).
    pub(crate) fn stats(&self) -> CacheStats {
        let mut stats = CacheStats::default();
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            stats.used_bytes += shard.used_bytes;
            stats.capacity_bytes += shard.capacity_bytes;
            stats.entries += shard.by_id.len() as u64;
            stats.inserts += shard.inserts;
            stats.evictions += shard.evictions;
            stats.metadata_bytes += shard.policy.metadata_bytes();
        }
        stats
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use aura_policies::PolicySpec;
    use bytesize::ByteSize;
    use rand::{RngExt, SeedableRng};
    use rand_xoshiro::Xoshiro256PlusPlus;

    use super::*;

    fn cache(policy: &str, bytes: u64, shards: u32) -> BlockCache {
        let config = CacheConfig { size: ByteSize(bytes), shards, eviction: PolicySpec::named(policy) };
        BlockCache::new(&config, 7).unwrap()
    }

    fn policies() -> impl Iterator<Item = &'static str> {
        aura_policies::cache::FAMILY.entries.iter().map(|entry| entry.name)
    }

    /// What an object holds is a function of its address and version, so that a mix-up shows.
    fn object(id: BlockId, version: u64) -> Bytes {
        let bytes = 40 + (id.file * 977 + id.offset * 131) % 3000;
        let mut data = vec![(id.file ^ id.offset) as u8; bytes as usize];
        data[..8].copy_from_slice(&version.to_le_bytes());
        Bytes::from(data)
    }

    #[test]
    fn every_policy_keeps_the_budget_and_gives_back_what_was_put_in() {
        for policy in policies() {
            for shards in [1, 3] {
                let seed = 11;
                let mut chance = Xoshiro256PlusPlus::seed_from_u64(seed);
                let cache = cache(policy, 200 << 10, shards);
                let mut versions: BTreeMap<BlockId, u64> = BTreeMap::new();
                let mut hits = 0;
                for step in 0..60_000u64 {
                    let id = BlockId { file: chance.random_range(0..3), offset: chance.random_range(0..200u64) };
                    match cache.get(id) {
                        Some(data) => {
                            let version = versions.get(&id).copied();
                            assert_eq!(
                                Some(data),
                                version.map(|v| object(id, v)),
                                "{policy}, seed {seed}, step {step}"
                            );
                            hits += 1;
                            if chance.random_range(0..20) == 0 {
                                cache.remove(id);
                                versions.remove(&id);
                                assert_eq!(
                                    cache.get(id),
                                    None,
                                    "{policy}, seed {seed}, step {step}: {id:?} was removed"
                                );
                            }
                        }
                        None => {
                            versions.insert(id, step);
                            cache.insert(id, object(id, step));
                        }
                    }
                    let stats = cache.stats();
                    let used = stats.used_bytes + stats.metadata_bytes;
                    assert!(used <= stats.capacity_bytes, "{policy}, seed {seed}, step {step}: {stats:?}");
                }
                let stats = cache.stats();
                assert!(
                    hits > 5_000 && stats.evictions > 1_000 && stats.entries > 40,
                    "{policy}: {hits} hits, {stats:?}"
                );
                assert!(stats.inserts > stats.evictions, "{policy}: {stats:?}");
            }
        }
    }

    #[test]
    fn an_object_larger_than_its_shard_stays_outside() {
        for policy in policies() {
            let cache = cache(policy, 16 << 10, 1);
            let small = BlockId { file: 1, offset: 0 };
            cache.insert(small, Bytes::from_static(b"small"));
            cache.insert(BlockId { file: 1, offset: 9 }, Bytes::from(vec![0; 16 << 10]));
            assert_eq!(cache.get(small).as_deref(), Some(&b"small"[..]), "{policy}");
            assert_eq!(cache.stats().entries, 1, "{policy}");
        }
    }

    #[test]
    fn putting_an_object_in_twice_keeps_the_first() {
        let cache = cache("lru", 64 << 10, 1);
        let id = BlockId { file: 1, offset: 0 };
        cache.insert(id, Bytes::from_static(b"first"));
        cache.insert(id, Bytes::from_static(b"again"));
        assert_eq!(cache.get(id).as_deref(), Some(&b"first"[..]));
        assert_eq!((cache.stats().entries, cache.stats().inserts), (1, 1));
    }

    #[test]
    fn a_cache_of_no_bytes_is_off_but_its_policy_must_exist() {
        let cache = cache("lru", 0, 4);
        let id = BlockId { file: 1, offset: 0 };
        cache.insert(id, Bytes::from_static(b"x"));
        assert_eq!((cache.get(id), cache.stats()), (None, CacheStats::default()));
        let config = CacheConfig { size: ByteSize(0), shards: 0, eviction: PolicySpec::named("nobody") };
        let error = BlockCache::new(&config, 0).map(drop).unwrap_err();
        assert!(matches!(error, Error::Policy { ref key, .. } if key == "cache.eviction"), "{error}");
    }

    #[test]
    fn the_size_chooses_the_shards() {
        for (mib, shards) in [(1, 1), (4, 1), (9, 2), (64, 16), (1024, 16)] {
            let cache = cache("lru", mib << 20, 0);
            assert_eq!((cache.shards.len(), cache.stats().capacity_bytes), (shards, mib << 20), "{mib} MiB");
        }
    }
}
