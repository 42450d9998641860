//! The cache: data blocks, values of the value log, rows, and as the settings say the tables' indexes and filters.
//!
//! Shards, each a map, a byte budget, an eviction policy, an admission policy and one lock. An object of a file is known
//! by the file and its offset there, a row by its user key. A shard keeps its objects in numbered slots; the eviction
//! policy orders slot numbers and the shard does the rest (see [`aura_policies::cache`] for the contract). A hit costs one
//! lock of one shard, one probe of its table and no allocation; what it returns shares the memory held.
//!
//! The budget of a shard covers the objects, `ENTRY_OVERHEAD_BYTES` for each, the metadata of both policies, and its
//! part of the indexes and filters that tables keep pinned in memory.
//!
//! Nobody ever holds two shards' locks, and nothing waits or reads a file under one: an eviction, a change of policy, a
//! flush that forgets rows and a compaction that drops blocks hold a reader up for no longer than one shard's turn.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use aura_policies::cache::BlockKind;
use bytes::Bytes;
use bytesize::ByteSize;
use serde::Serialize;

use crate::config::{CacheConfig, Metadata, Rows};
use crate::error::{Error, Result};
use crate::sync::lock;

mod inputs;
mod object;
mod observe;
mod shard;

#[cfg(test)]
mod tests;

pub(crate) use inputs::Inputs;
pub(crate) use object::{BlockId, CacheKey, Object, RowPlace, encode_row, row_content};
pub(crate) use observe::Observer;
pub use observe::{CacheEvent, CacheObserver, Caller};
use shard::{InsertOrigin, Policies, Shard};

/// The cache's state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CacheStats {
    /// Bytes that the objects held are charged with, bookkeeping for each included.
    pub used_bytes: u64,
    /// Bytes that objects, metadata and what is pinned may take together.
    pub capacity_bytes: u64,
    /// Objects held.
    pub entries: u64,
    /// Objects that have entered.
    pub inserts: u64,
    /// Objects that left for another one, or because the budget shrank.
    pub evictions: u64,
    /// Objects that were offered and stayed outside: too large, or refused by a policy.
    pub rejected: u64,
    /// Blocks that entered because a flush or a compaction wrote them, not because anybody asked.
    pub warmed: u64,
    /// Objects dropped because a compaction has replaced their table. Rows that a write has made old do not count.
    pub dead: u64,
    /// Bytes of the metadata of the eviction and admission policies.
    pub metadata_bytes: u64,
    /// Bytes of the tables' indexes and filters that are kept outside the eviction order and charged to the budget.
    pub pinned_bytes: u64,
}

impl CacheStats {
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

/// Shards with one budget between them.
struct Pool {
    shards: Vec<Mutex<Shard>>,
}

/// The part of `total` that falls on `index` of `count`.
fn part(total: u64, index: usize, count: usize) -> u64 {
    let (index, count) = (index as u64, count as u64);
    total / count + u64::from(index < total % count)
}

impl Pool {
    /// The shard that `hash` belongs to. Its middle bits choose, for the map looks at the two ends.
    fn shard(&self, hash: u64) -> MutexGuard<'_, Shard> {
        let index = (u64::from((hash >> 16) as u32) * self.shards.len() as u64) >> 32;
        lock(&self.shards[index as usize])
    }
}

/// Builds the policies of the shards of a pool of `bytes` bytes. Those that draw lots draw them from `seed`.
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
    let shard = |index: usize| {
        let (capacity, seed) = (part(bytes, index, shards), seed.wrapping_add(index as u64));
        let eviction = aura_policies::cache::build(&config.eviction, capacity, seed)
            .map_err(named("cache.eviction"))?;
        let admission = aura_policies::admission::build(&config.admission, capacity, seed)
            .map_err(named("cache.admission"))?;
        Ok((
            capacity,
            Policies {
                eviction,
                admission,
            },
        ))
    };
    (0..shards).map(shard).collect()
}

/// Bytes of the pools: of all objects, or of all but the metadata and of the metadata alone.
fn pool_bytes(config: &CacheConfig) -> [u64; 2] {
    let size = config.size.as_u64();
    let metadata = match config.metadata {
        Metadata::Priority => (size as f64 * config.metadata_share) as u64,
        Metadata::Pinned | Metadata::Normal => 0,
    };
    [size - metadata.min(size), metadata.min(size)]
}

/// Shards for `bytes` bytes: one for every 4 MiB, at most 16.
fn shards_for(bytes: u64) -> usize {
    (bytes / (4 << 20)).clamp(1, 16) as usize
}

/// The cache.
pub(crate) struct BlockCache {
    /// All objects, or with a reserved share for metadata, the others.
    main: Pool,
    /// Indexes and filters, where they have a share of their own.
    metadata: Option<Pool>,
    /// What it is set to now. Held while that changes.
    settings: Mutex<CacheConfig>,
    /// Bytes of the budget, to see without a lock that the cache is off.
    size: AtomicU64,
    pinned_bytes: AtomicU64,
    /// How indexes and filters are kept.
    placement: Metadata,
    /// Which rows are kept.
    rows: Rows,
    /// Changes when rows may have become old: see [`crate::read`].
    row_epoch: AtomicU64,
    seed: u64,
    /// Is told of look-ups.
    pub(crate) observer: Option<Observer>,
}

impl BlockCache {
    /// An empty cache. Policies that draw lots draw them from `seed`.
    ///
    /// # Errors
    /// [`Error::Policy`] where a policy cannot be built.
    pub(crate) fn new(config: &CacheConfig, seed: u64) -> Result<Self> {
        let pool = |bytes: u64, shards: usize| {
            let policies = policies(config, bytes, shards, seed)?;
            let shards = policies
                .into_iter()
                .map(|(capacity, policies)| Mutex::new(Shard::new(capacity, policies)));
            Ok(Pool {
                shards: shards.collect(),
            })
        };
        let [main, metadata] = pool_bytes(config);
        let shards = if config.shards == 0 {
            shards_for(main)
        } else {
            config.shards as usize
        };
        let has_metadata = config.metadata == Metadata::Priority;
        let metadata = has_metadata
            .then(|| pool(metadata, shards_for(metadata).min(shards)))
            .transpose()?;
        Ok(Self {
            main: pool(main, shards)?,
            metadata,
            settings: Mutex::new(config.clone()),
            size: AtomicU64::new(config.size.as_u64()),
            pinned_bytes: AtomicU64::new(0),
            placement: config.metadata,
            rows: config.rows,
            row_epoch: AtomicU64::new(0),
            seed,
            observer: None,
        })
    }

    /// How indexes and filters are kept.
    pub(crate) fn placement(&self) -> Metadata {
        self.placement
    }

    /// Which rows are kept.
    pub(crate) fn rows(&self) -> Rows {
        self.rows
    }

    /// The shard of an object.
    fn shard(&self, name: &CacheKey<'_>, hash: u64) -> MutexGuard<'_, Shard> {
        let apart = self
            .metadata
            .as_ref()
            .filter(|_| matches!(name.kind, BlockKind::Index | BlockKind::Filter));
        apart.unwrap_or(&self.main).shard(hash)
    }

    /// The same; None where the cache is off.
    fn shard_if_on(&self, name: &CacheKey<'_>, hash: u64) -> Option<MutexGuard<'_, Shard>> {
        (self.size.load(Ordering::Relaxed) > 0).then(|| self.shard(name, hash))
    }

    /// The object of that name and its cost, if it is held. `scanned` says which object of a scan it is.
    pub(crate) fn get(&self, name: &CacheKey<'_>, scanned: u32) -> Option<(Object, u32)> {
        let hash = name.hash();
        self.shard_if_on(name, hash)?.get(name, hash, scanned)
    }

    /// The object of that name and the hits it has had, if it is held. Policies and counters learn nothing of it.
    pub(crate) fn peek(&self, name: &CacheKey<'_>) -> Option<(Object, u32)> {
        let hash = name.hash();
        self.shard_if_on(name, hash)?.peek(name, hash)
    }

    fn insert(
        &self,
        name: &CacheKey<'_>,
        object: Object,
        cost: u32,
        entrance: InsertOrigin<'_>,
    ) -> bool {
        let hash = name.hash();
        self.shard_if_on(name, hash)
            .is_some_and(|mut shard| shard.insert(name, hash, object, cost, entrance))
    }

    /// Offers the object that `get` has just missed. If somebody else has put it in meanwhile, that one stays.
    pub(crate) fn offer(
        &self,
        name: &CacheKey<'_>,
        object: Object,
        cost: u32,
        scanned: u32,
    ) -> bool {
        self.insert(name, object, cost, InsertOrigin::Miss { scanned })
    }

    /// Offers a row that a read which began at `epoch` has found. Whether it is held now.
    pub(crate) fn offer_row(&self, name: &CacheKey<'_>, row: Bytes, cost: u32, epoch: u64) -> bool {
        let entrance = InsertOrigin::Row {
            epoch: &self.row_epoch,
            expected: epoch,
        };
        self.insert(name, Object::Bytes(row), cost, entrance)
    }

    /// Puts in a data block that was just written.
    pub(crate) fn warm(&self, name: &CacheKey<'_>, block: Bytes) {
        self.insert(name, Object::Bytes(block), 1, InsertOrigin::Warmed);
    }

    /// Puts in the index or filter of a table that was just opened.
    pub(crate) fn put_metadata(&self, name: &CacheKey<'_>, object: Object) {
        self.insert(name, object, 1, InsertOrigin::Opened);
    }

    /// Drops an object that is of no use any more. Does not ask whether the cache is off: a row that has become old must go
    /// even where it is being turned on at this moment.
    pub(crate) fn remove(&self, name: &CacheKey<'_>) {
        let hash = name.hash();
        self.shard(name, hash).remove(name, hash);
    }

    /// Drops the rows of the keys that `is_old` names, shard by shard; as `remove`, even where the cache is off. O(objects).
    pub(crate) fn remove_rows(&self, is_old: impl Fn(&[u8]) -> bool) {
        // Rows never lie in the metadata's share.
        self.main
            .shards
            .iter()
            .for_each(|shard| lock(shard).remove_rows(&is_old));
    }

    /// The number to read before a view is loaded whose rows may be kept; None where no rows are.
    pub(crate) fn row_epoch(&self) -> Option<u64> {
        (self.rows != Rows::None).then(|| self.row_epoch.load(Ordering::Acquire))
    }

    /// From now on no row enters that a read has found which began before.
    pub(crate) fn end_row_epoch(&self) {
        self.row_epoch.fetch_add(1, Ordering::AcqRel);
    }

    /// Charges `bytes` of memory outside the eviction order to the budget, for as long as the answer is held. More than
    /// the budget is no error: then nothing else is held.
    pub(crate) fn pin(self: &Arc<Self>, bytes: u64) -> Pin {
        self.pinned_bytes.fetch_add(bytes, Ordering::AcqRel);
        self.divide_pinned();
        Pin {
            cache: self.clone(),
            bytes,
        }
    }

    fn divide_pinned(&self) {
        let shards = &self.main.shards;
        for (index, shard) in shards.iter().enumerate() {
            let mut shard = lock(shard);
            // Read under the lock: whoever comes last sets what is true last.
            shard.pin(part(
                self.pinned_bytes.load(Ordering::Acquire),
                index,
                shards.len(),
            ));
        }
    }

    /// Takes other settings while readers go on: shard by shard, so that a reader waits for one of them at the most. The
    /// shards stay as many as they are.
    ///
    /// # Errors
    /// [`Error::Policy`] where a policy cannot be built, [`Error::Config`]; then nothing has changed.
    pub(crate) fn reconfigure(&self, next: &CacheConfig) -> Result<()> {
        let mut settings = lock(&self.settings);
        if *next == *settings {
            return Ok(());
        }
        let pools = [Some(&self.main), self.metadata.as_ref()]
            .into_iter()
            .flatten()
            .zip(pool_bytes(next));
        let mut due = Vec::new();
        for (pool, bytes) in pools {
            due.push((pool, policies(next, bytes, pool.shards.len(), self.seed)?));
        }
        // A cache that is turned off is emptied before nobody looks into it any more, one that is turned on after.
        self.size.store(
            self.size.load(Ordering::Relaxed).max(next.size.as_u64()),
            Ordering::Relaxed,
        );
        for (pool, policies) in due {
            for (shard, (capacity, policies)) in pool.shards.iter().zip(policies) {
                lock(shard).replace(capacity, policies);
            }
        }
        self.size.store(next.size.as_u64(), Ordering::Relaxed);
        settings.clone_from(next);
        Ok(())
    }

    /// The sums over the shards. O(shards).
    pub(crate) fn stats(&self) -> CacheStats {
        let mut stats = CacheStats::default();
        let pools = [Some(&self.main), self.metadata.as_ref()];
        for shard in pools.into_iter().flatten().flat_map(|pool| &pool.shards) {
            stats.add(&lock(shard).stats());
        }
        stats.pinned_bytes = self.pinned_bytes.load(Ordering::Acquire);
        stats
    }
}

/// Bytes of the budget that are not the cache's to give.
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
