//! The cache. It holds data blocks, values of the value log, rows, and, if so configured, the
//! tables' indexes and filters.
//!
//! The cache consists of shards, as in LevelDB and RocksDB. A shard has a map, a byte budget, an
//! eviction policy, an admission policy and one lock. A part of a file is identified by the file's
//! number and its offset, a row by its user key. A shard keeps its objects in numbered slots. The
//! eviction policy orders slot numbers, and the shard does the rest (the contract is in
//! [`aura_policies::cache`]). A hit takes one shard's lock, probes its map once and allocates
//! nothing. The object that it returns shares the cache's memory.
//!
//! The budget of a shard covers its objects, `ENTRY_OVERHEAD_BYTES` for each of them, the metadata
//! of both policies, and its part of the indexes and filters that tables keep pinned in memory. The
//! policies know the capacity less what is pinned, and learn of it whenever that changes.
//!
//! No thread holds two shards' locks at once, and no thread waits or reads a file under one. So an
//! eviction, a change of policy, a flush that drops rows, or a compaction that drops blocks delays
//! a reader by at most the work on one shard.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use aura_policies::cache::BlockKind;
use bytes::Bytes;
use bytesize::ByteSize;
use serde::Serialize;

use crate::config::{CacheConfig, Metadata, Rows};
use crate::error::{Error, Result};
use crate::sync::lock;

mod ghost;
mod inputs;
mod object;
mod observe;
mod shard;

#[cfg(test)]
mod tests;

pub(crate) use ghost::GhostCache;
pub(crate) use inputs::Inputs;
pub(crate) use object::{BlockId, CacheKey, Object, RowPlace, encode_row, row_content};
pub(crate) use observe::Observer;
pub use observe::{CacheEvent, CacheObserver, Caller};
use shard::{InsertOrigin, Policies, Shard};

/// The state of the cache and its counters since the engine was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CacheStats {
    /// Bytes charged for the objects in the cache, including the bookkeeping for each.
    pub used_bytes: u64,
    /// The budget in bytes: for objects, policy metadata and pinned bytes together.
    pub capacity_bytes: u64,
    /// Objects in the cache.
    pub entries: u64,
    /// Objects inserted.
    pub inserts: u64,
    /// Objects evicted to make room for another one, or because the budget shrank.
    pub evictions: u64,
    /// Objects offered but not inserted, because they were too large or a policy refused them.
    pub rejected: u64,
    /// Blocks inserted when a flush or a compaction wrote them, before any read asked for them.
    pub warmed: u64,
    /// Objects dropped because a compaction replaced their table. Rows that a write made stale do
    /// not count.
    pub dead: u64,
    /// Bytes of the metadata of the eviction and admission policies.
    pub metadata_bytes: u64,
    /// Bytes of pinned indexes and filters. They are outside the eviction order but charged to the
    /// budget.
    pub pinned_bytes: u64,
}

impl CacheStats {
    /// Returns the bytes charged to the budget.
    pub fn memory_bytes(&self) -> u64 {
        self.used_bytes + self.metadata_bytes + self.pinned_bytes
    }

    /// Adds the numbers of another shard.
    fn add(&mut self, other: &Self) {
        self.used_bytes += other.used_bytes;
        self.capacity_bytes += other.capacity_bytes;
        self.entries += other.entries;
        self.inserts += other.inserts;
        self.evictions += other.evictions;
        self.rejected += other.rejected;
        self.warmed += other.warmed;
        self.dead += other.dead;
        self.metadata_bytes += other.metadata_bytes;
        self.pinned_bytes += other.pinned_bytes;
    }
}

/// Shards that divide one budget.
struct Pool {
    shards: Vec<Mutex<Shard>>,
}

/// Returns the share of `total` that shard `index` of `count` gets.
fn part(total: u64, index: usize, count: usize) -> u64 {
    let index = index as u64;
    let count = count as u64;
    total / count + u64::from(index < total % count)
}

impl Pool {
    /// Locks the shard that `hash` belongs to. The middle bits select it, because the map uses both
    /// ends.
    fn shard(&self, hash: u64) -> MutexGuard<'_, Shard> {
        let index = (u64::from((hash >> 16) as u32) * self.shards.len() as u64) >> 32;
        lock(&self.shards[index as usize])
    }
}

/// Builds the policies of the shards of a pool of `bytes` bytes, each with its shard's capacity.
///
/// Policies that make random choices derive them from `seed`.
fn policies(
    config: &CacheConfig,
    bytes: u64,
    shards: usize,
    seed: u64,
) -> Result<Vec<(u64, Policies)>> {
    let named = |key: &'static str| {
        move |source| Error::Policy {
            key: key.to_owned(),
            source,
        }
    };
    let mut all = Vec::with_capacity(shards);
    for index in 0..shards {
        let capacity = part(bytes, index, shards);
        let seed = seed.wrapping_add(index as u64);
        let eviction = aura_policies::cache::build(&config.eviction, capacity, seed)
            .map_err(named("cache.eviction"))?;
        let admission = aura_policies::admission::build(&config.admission, capacity, seed)
            .map_err(named("cache.admission"))?;
        let policies = Policies {
            eviction,
            admission,
        };
        all.push((capacity, policies));
    }
    Ok(all)
}

/// The budgets of the two pools, in bytes.
struct PoolBytes {
    /// For all objects; if metadata has a share of its own, for all others.
    main: u64,
    /// For indexes and filters; 0 if they have no share of their own.
    metadata: u64,
}

impl PoolBytes {
    /// Divides the configured size.
    fn new(config: &CacheConfig) -> Self {
        let size = config.size.as_u64();
        let metadata = match config.metadata {
            Metadata::Priority => (size as f64 * config.metadata_share) as u64,
            Metadata::Pinned | Metadata::Normal => 0,
        };
        let metadata = metadata.min(size);
        Self {
            main: size - metadata,
            metadata,
        }
    }
}

/// Returns the number of shards for `bytes` bytes: one for every 4 MiB, from 1 to 16.
fn shards_for(bytes: u64) -> usize {
    (bytes / (4 << 20)).clamp(1, 16) as usize
}

/// The cache of one engine.
pub(crate) struct BlockCache {
    /// All objects; if metadata has a share of its own, all others.
    main: Pool,
    /// Indexes and filters. None if they have no share of their own.
    metadata: Option<Pool>,
    /// The current settings. The lock is held while they change.
    settings: Mutex<CacheConfig>,
    /// The budget in bytes. An atomic, so that a reader sees without a lock whether the cache is
    /// off.
    size: AtomicU64,
    pinned_bytes: AtomicU64,
    /// Where indexes and filters are kept.
    placement: Metadata,
    /// Which rows are kept.
    rows: Rows,
    /// Increases whenever rows may have become stale: see [`crate::read`].
    row_epoch: AtomicU64,
    seed: u64,
    /// Receives the look-ups. None if there is no observer.
    pub(crate) observer: Option<Observer>,
    /// What caches of other sizes would hold. None unless somebody asks for it.
    pub(crate) ghost: Option<GhostCache>,
}

impl BlockCache {
    /// Creates an empty cache. Policies that make random choices derive them from `seed`.
    ///
    /// # Errors
    /// [`Error::Policy`] if a policy cannot be built.
    pub(crate) fn new(config: &CacheConfig, seed: u64) -> Result<Self> {
        let pool = |bytes: u64, count: usize| -> Result<Pool> {
            let mut shards = Vec::with_capacity(count);
            for (capacity, policies) in policies(config, bytes, count, seed)? {
                shards.push(Mutex::new(Shard::new(capacity, policies)));
            }
            Ok(Pool { shards })
        };
        let bytes = PoolBytes::new(config);
        let shards = if config.shards == 0 {
            shards_for(bytes.main)
        } else {
            config.shards as usize
        };
        let metadata = if config.metadata == Metadata::Priority {
            let count = shards_for(bytes.metadata).min(shards);
            Some(pool(bytes.metadata, count)?)
        } else {
            None
        };
        Ok(Self {
            main: pool(bytes.main, shards)?,
            metadata,
            settings: Mutex::new(config.clone()),
            size: AtomicU64::new(config.size.as_u64()),
            pinned_bytes: AtomicU64::new(0),
            placement: config.metadata,
            rows: config.rows,
            row_epoch: AtomicU64::new(0),
            seed,
            observer: None,
            ghost: None,
        })
    }

    /// Returns where indexes and filters are kept.
    pub(crate) fn placement(&self) -> Metadata {
        self.placement
    }

    /// Returns which rows are kept.
    pub(crate) fn rows(&self) -> Rows {
        self.rows
    }

    /// Locks the shard of an object.
    fn shard(&self, name: &CacheKey<'_>, hash: u64) -> MutexGuard<'_, Shard> {
        let is_metadata = matches!(name.kind, BlockKind::Index | BlockKind::Filter);
        match &self.metadata {
            Some(metadata) if is_metadata => metadata.shard(hash),
            _ => self.main.shard(hash),
        }
    }

    /// Locks the shard of an object; None if the cache is off.
    fn shard_if_on(&self, name: &CacheKey<'_>, hash: u64) -> Option<MutexGuard<'_, Shard>> {
        (self.size.load(Ordering::Relaxed) > 0).then(|| self.shard(name, hash))
    }

    /// Returns the object and its cost, if the cache holds it, and reports the hit to the policies.
    ///
    /// `scanned` is the object's position in a scan, from 1; 0 for a point read.
    pub(crate) fn get(&self, name: &CacheKey<'_>, scanned: u32) -> Option<(Object, u32)> {
        let hash = name.hash();
        self.shard_if_on(name, hash)?.get(name, hash, scanned)
    }

    /// Returns the object and the number of its hits, if the cache holds it. Does not count as an
    /// access.
    pub(crate) fn peek(&self, name: &CacheKey<'_>) -> Option<(Object, u32)> {
        let hash = name.hash();
        self.shard_if_on(name, hash)?.peek(name, hash)
    }

    /// Offers an object to its shard. Returns whether the cache holds it afterwards.
    fn insert(
        &self,
        name: &CacheKey<'_>,
        object: Object,
        cost: u32,
        origin: InsertOrigin<'_>,
    ) -> bool {
        let hash = name.hash();
        self.shard_if_on(name, hash)
            .is_some_and(|mut shard| shard.insert(name, hash, object, cost, origin))
    }

    /// Offers the object that `get` has just missed. Returns whether the cache holds it afterwards.
    ///
    /// If another thread has inserted the object meanwhile, that copy stays.
    pub(crate) fn offer(
        &self,
        name: &CacheKey<'_>,
        object: Object,
        cost: u32,
        scanned: u32,
    ) -> bool {
        self.insert(name, object, cost, InsertOrigin::Miss { scanned })
    }

    /// Offers a row found by a read that began at `epoch`. Returns whether the cache holds it
    /// afterwards.
    pub(crate) fn offer_row(&self, name: &CacheKey<'_>, row: Bytes, cost: u32, epoch: u64) -> bool {
        let origin = InsertOrigin::Row {
            epoch: &self.row_epoch,
            expected: epoch,
        };
        self.insert(name, Object::Bytes(row), cost, origin)
    }

    /// Inserts a data block that was just written.
    pub(crate) fn warm(&self, name: &CacheKey<'_>, block: Bytes) {
        self.insert(name, Object::Bytes(block), 1, InsertOrigin::Warmed);
    }

    /// Inserts the index or filter of a table that was just opened.
    pub(crate) fn put_metadata(&self, name: &CacheKey<'_>, object: Object) {
        self.insert(name, object, 1, InsertOrigin::Opened);
    }

    /// Drops an object that no read can use any more.
    ///
    /// It works on a cache that is off, too: a stale row must go even if the cache is being turned
    /// on at this moment.
    pub(crate) fn remove(&self, name: &CacheKey<'_>) {
        let hash = name.hash();
        self.shard(name, hash).remove(name, hash);
        if let Some(ghost) = &self.ghost {
            ghost.remove(hash);
        }
    }

    /// Drops the rows whose keys satisfy `is_stale`, shard by shard. O(objects).
    ///
    /// Like [`remove`](Self::remove), it works on a cache that is off, too.
    pub(crate) fn remove_rows(&self, is_stale: impl Fn(&[u8]) -> bool) {
        // Rows are never in the metadata pool.
        for shard in &self.main.shards {
            lock(shard).remove_rows(&is_stale);
        }
    }

    /// Drops all objects, shard by shard. O(objects).
    pub(crate) fn clear(&self) {
        for shard in &self.main.shards {
            lock(shard).clear();
        }
        for shard in self.metadata.iter().flat_map(|pool| &pool.shards) {
            lock(shard).clear();
        }
    }

    /// Returns the row epoch, which a read must load before its read state; None if the cache keeps
    /// no rows.
    pub(crate) fn row_epoch(&self) -> Option<u64> {
        (self.rows != Rows::None).then(|| self.row_epoch.load(Ordering::Acquire))
    }

    /// Ends the row epoch: rows found by reads that began before this call are no longer inserted.
    pub(crate) fn end_row_epoch(&self) {
        self.row_epoch.fetch_add(1, Ordering::AcqRel);
    }

    /// Charges `bytes` of memory outside the eviction order to the budget until the returned guard
    /// is dropped.
    ///
    /// More bytes than the budget has are accepted; then the cache holds no objects.
    pub(crate) fn pin(self: &Arc<Self>, bytes: u64) -> Pin {
        self.pinned_bytes.fetch_add(bytes, Ordering::AcqRel);
        self.divide_pinned();
        Pin {
            cache: self.clone(),
            bytes,
        }
    }

    /// Divides the pinned bytes among the shards of the main pool.
    fn divide_pinned(&self) {
        let shards = &self.main.shards;
        for (index, shard) in shards.iter().enumerate() {
            let mut shard = lock(shard);
            // Read under the lock, so that the last caller installs the latest total.
            let total = self.pinned_bytes.load(Ordering::Acquire);
            shard.pin(part(total, index, shards.len()));
        }
    }

    /// Changes the settings while readers continue. The number of shards does not change. Policies
    /// that are named as before stay and learn their new room.
    ///
    /// It changes one shard after the other, so a reader waits for at most one shard.
    ///
    /// # Errors
    /// [`Error::Policy`] if a policy cannot be built, or [`Error::Config`]; then nothing has
    /// changed.
    pub(crate) fn reconfigure(&self, next: &CacheConfig) -> Result<()> {
        let mut settings = lock(&self.settings);
        if *next == *settings {
            return Ok(());
        }
        let bytes = PoolBytes::new(next);
        let keeps_policies =
            next.eviction == settings.eviction && next.admission == settings.admission;
        let policies_of = |pool: &Pool, bytes| policies(next, bytes, pool.shards.len(), self.seed);
        let mut changes = vec![(&self.main, policies_of(&self.main, bytes.main)?)];
        if let Some(pool) = &self.metadata {
            changes.push((pool, policies_of(pool, bytes.metadata)?));
        }
        // Readers must find the cache on while shards hold objects. So the size grows before the
        // shards change, and shrinks after.
        let largest = self.size.load(Ordering::Relaxed).max(next.size.as_u64());
        self.size.store(largest, Ordering::Relaxed);
        for (pool, policies) in changes {
            for (shard, (capacity, policies)) in pool.shards.iter().zip(policies) {
                if keeps_policies {
                    lock(shard).resize(capacity);
                } else {
                    lock(shard).replace(capacity, policies);
                }
            }
        }
        self.size.store(next.size.as_u64(), Ordering::Relaxed);
        settings.clone_from(next);
        Ok(())
    }

    /// Returns the sums over all shards. O(shards).
    pub(crate) fn stats(&self) -> CacheStats {
        let mut stats = CacheStats::default();
        for shard in &self.main.shards {
            stats.add(&lock(shard).stats());
        }
        if let Some(metadata) = &self.metadata {
            for shard in &metadata.shards {
                stats.add(&lock(shard).stats());
            }
        }
        stats.pinned_bytes = self.pinned_bytes.load(Ordering::Acquire);
        stats
    }
}

/// A charge to the cache's budget for memory outside the cache. Dropping it ends the charge.
pub(crate) struct Pin {
    cache: Arc<BlockCache>,
    bytes: u64,
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.cache
            .pinned_bytes
            .fetch_sub(self.bytes, Ordering::AcqRel);
        self.cache.divide_pinned();
    }
}

/// A cache that holds nothing: what is checked comes from the device.
pub(crate) fn no_cache() -> Result<Arc<BlockCache>> {
    let cache = CacheConfig {
        size: ByteSize(0),
        ..CacheConfig::default()
    };
    Ok(Arc::new(BlockCache::new(&cache, 0)?))
}
