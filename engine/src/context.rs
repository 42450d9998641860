//! The context of a read: the cache to use, the clock that CPU work is charged to, and the counters
//! of what the read did.
//!
//! Each operation owns its context and adds its counters to the engine's at the end, so reads share
//! no counter while they work. CPU work is charged before each device read, so that a simulation
//! orders the two correctly.

use std::mem;
use std::sync::Arc;

use aura_policies::cache::BlockKind;
use bytes::Bytes;
use serde::Serialize;

use crate::cache::{BlockCache, CacheEvent, CacheKey, Caller, Inputs, Object};
use crate::config::IndexReads;
use crate::directory::NamedFile;
use crate::env::{Clock, CpuWork};
use crate::error::Result;

pub use aura_policies::facts::LEVELS_COUNTED;

/// Names every counter of reads once. Hands the names to the macro `$define`, after what the caller
/// adds: [`ReadStats`] comes from them here, and the engine's sums of them in `metrics.rs`.
macro_rules! with_read_counters {
    ($define:ident { $($more:tt)* }) => {
        $define! {
            { $($more)* }
            {
                /// Point reads that a memtable answered.
                memtable_hits,
                /// Tables searched by point reads, including those that their filter ruled out.
                tables_probed,
                /// Filters probed.
                filter_probes,
                /// Filter probes that ruled the table out.
                filter_negatives,
                /// Filter probes that passed a key of which the table holds no version, or only
                /// versions that the read may not see.
                filter_false_positives,
                /// Look-ups in the indexes of tables.
                index_lookups,
                /// Data blocks examined by those look-ups. A key that the table holds needs at
                /// least one.
                index_probes,
                /// Look-ups in the indexes of tables that a model answered.
                model_lookups,
                /// Tables opened with an unreadable model, which use fence pointers instead.
                model_fallbacks,
                /// Data blocks found in the cache.
                block_hits,
                /// Data blocks not found in the cache.
                block_misses,
                /// Values of the value log found in the cache.
                value_hits,
                /// Values of the value log not found in the cache.
                value_misses,
                /// Indexes of tables found in the cache. Pinned indexes are not looked up.
                index_hits,
                /// Indexes of tables not found in the cache. Each was read and parsed again.
                index_misses,
                /// Filters of tables found in the cache. Pinned filters are not looked up.
                filter_hits,
                /// Filters of tables not found in the cache. Each was read and parsed again.
                filter_misses,
                /// Point reads that a key-value row answered.
                key_value_hits,
                /// Point reads that looked for a key-value row and did not find one.
                key_value_misses,
                /// Point reads that a key-pointer row led to the right block.
                key_pointer_hits,
                /// Point reads that looked for a key-pointer row and did not find one.
                key_pointer_misses,
                /// Cache hits of scans. The counters by kind include them.
                scan_hits,
                /// Cache misses of scans. The counters by kind include them.
                scan_misses,
                /// Reads of the device.
                device_reads,
                /// Bytes read from the device.
                device_read_bytes,
            }
            {
                /// Hits on data blocks, indexes and filters by the level of the table. The last
                /// counter includes all deeper levels.
                level_hits,
                /// Misses on data blocks, indexes and filters by the level of the table. The last
                /// counter includes all deeper levels.
                level_misses,
                /// Tables searched by point reads that held no version of the key which the read
                /// may see, by level. The last counter includes all deeper levels.
                level_fruitless,
            }
        }
    };
}

pub(crate) use with_read_counters;

/// Generates the counters of one read.
macro_rules! read_stats {
    (
        {}
        { $($(#[$doc:meta])* $name:ident,)* }
        { $($(#[$levels_doc:meta])* $levels:ident,)* }
    ) => {
        /// Counters of what reads did. They cover one read, or the sum of several.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
        pub struct ReadStats {
            $($(#[$doc])* pub $name: u64,)*
            $($(#[$levels_doc])* pub $levels: [u64; LEVELS_COUNTED],)*
        }

        impl ReadStats {
            /// Adds the counters of another read.
            pub fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)*
                $(for (sum, count) in self.$levels.iter_mut().zip(other.$levels) {
                    *sum += count;
                })*
            }
        }
    };
}

with_read_counters! { read_stats {} }

impl ReadStats {
    /// Returns the counter of the hits, or of the misses, on objects of a kind.
    fn look_ups(&mut self, kind: BlockKind, hit: bool) -> &mut u64 {
        match (kind, hit) {
            (BlockKind::Data, true) => &mut self.block_hits,
            (BlockKind::Data, false) => &mut self.block_misses,
            (BlockKind::Index, true) => &mut self.index_hits,
            (BlockKind::Index, false) => &mut self.index_misses,
            (BlockKind::Filter, true) => &mut self.filter_hits,
            (BlockKind::Filter, false) => &mut self.filter_misses,
            (BlockKind::Value, true) => &mut self.value_hits,
            (BlockKind::Value, false) => &mut self.value_misses,
            (BlockKind::KeyValue, true) => &mut self.key_value_hits,
            (BlockKind::KeyValue, false) => &mut self.key_value_misses,
            (BlockKind::KeyPointer, true) => &mut self.key_pointer_hits,
            (BlockKind::KeyPointer, false) => &mut self.key_pointer_misses,
        }
    }
}

/// The context of one read, or of one job that reads.
pub(crate) struct ReadContext<'a> {
    /// The cache that blocks and values are looked up in first.
    pub cache: &'a Arc<BlockCache>,
    /// The clock that CPU work is charged to.
    pub clock: &'a dyn Clock,
    /// CPU work not yet charged.
    pub work: CpuWork,
    /// Counters of what the read did.
    pub stats: ReadStats,
    /// Nanoseconds that the work charged so far takes in a simulation.
    pub charged_nanos: u64,
    /// Whether objects read from the device are offered to the cache.
    pub fill_cache: bool,
    /// How the blocks of a learned index's window are read.
    pub index_reads: IndexReads,
    /// The operation that reads. Background reads may use the cache but do not count as accesses.
    pub caller: Caller,
    /// The level of the table being read. None if it is not a table.
    pub level: Option<u8>,
    /// Objects that the scan has looked up so far; 0 for a point read.
    pub scanned: u32,
    /// The input blocks of a compaction, for its warming policy. None if no policy needs them.
    pub inputs: Option<Inputs>,
}

impl<'a> ReadContext<'a> {
    /// Creates the context of a point read that fills the cache.
    pub(crate) fn new(cache: &'a Arc<BlockCache>, clock: &'a dyn Clock) -> Self {
        Self {
            cache,
            clock,
            work: CpuWork::default(),
            stats: ReadStats::default(),
            charged_nanos: 0,
            fill_cache: true,
            index_reads: IndexReads::Blocks,
            caller: Caller::Get,
            level: None,
            scanned: 0,
            inputs: None,
        }
    }

    /// Makes this the context of a background job, which does not fill the cache and does not count
    /// as an access.
    #[must_use]
    pub(crate) fn in_background(mut self) -> Self {
        self.fill_cache = false;
        self.caller = Caller::Background;
        self
    }

    /// Looks up an object in the cache. Returns the object and its cost.
    ///
    /// If it is missing, the caller reads it and [offers](Self::offer) it.
    pub(crate) fn ask(&mut self, name: &CacheKey<'_>) -> Option<(Object, u32)> {
        self.work.cache_probes += 1;
        if self.caller == Caller::Background {
            return self.cache.peek(name).map(|(object, _)| (object, 0));
        }
        self.scanned += u32::from(self.caller == Caller::Scan);
        let found = self.cache.get(name, self.scanned);
        self.count(name, found.as_ref());
        found
    }

    /// Looks up an object like [`ask`](Self::ask), for a scan. A miss is not counted:
    /// [`pass_by`](Self::pass_by) does that, once it is known who reads the object.
    pub(crate) fn ask_if_held(&mut self, name: &CacheKey<'_>) -> Option<Object> {
        self.work.cache_probes += 1;
        let found = self.cache.get(name, self.scanned + 1)?;
        self.scanned += 1;
        self.count(name, Some(&found));
        Some(found.0)
    }

    /// Counts an object of `bytes` bytes that [`ask_if_held`](Self::ask_if_held) did not find and
    /// that is not offered to the cache.
    pub(crate) fn pass_by(&mut self, name: &CacheKey<'_>, bytes: u64) {
        self.scanned += 1;
        self.count(name, None);
        self.report(name, bytes, 1, false);
    }

    /// Looks up a row, like [`ask`](Self::ask). A row that is not `usable` is dropped and counts as
    /// a miss.
    pub(crate) fn ask_for_row(
        &mut self,
        name: &CacheKey<'_>,
        usable: impl FnOnce(&Object, &mut CpuWork) -> bool,
    ) -> Option<(Object, u32)> {
        self.work.cache_probes += 1;
        let mut found = self.cache.get(name, 0);
        if let Some((object, _)) = &found
            && !usable(object, &mut self.work)
        {
            self.cache.remove(name);
            found = None;
        }
        self.count(name, found.as_ref());
        found
    }

    /// Counts a look-up of the workload, and reports a hit to the observer.
    fn count(&mut self, name: &CacheKey<'_>, found: Option<&(Object, u32)>) {
        let hit = found.is_some();
        *self.stats.look_ups(name.kind, hit) += 1;
        if self.caller == Caller::Scan {
            self.stats.scan_hits += u64::from(hit);
            self.stats.scan_misses += u64::from(!hit);
        }
        if let Some(level) = self.level_of(name.kind) {
            let levels = if hit {
                &mut self.stats.level_hits
            } else {
                &mut self.stats.level_misses
            };
            levels[usize::from(level).min(LEVELS_COUNTED - 1)] += 1;
        }
        if let Some((object, cost)) = found {
            self.report(name, object.bytes(), *cost, true);
        }
    }

    /// Offers the object that the last [`ask`](Self::ask) missed to the cache.
    pub(crate) fn offer(&mut self, name: &CacheKey<'_>, object: &Object, cost: u32) {
        self.report(name, object.bytes(), cost, false);
        if self.fill_cache {
            self.cache.offer(name, object.clone(), cost, self.scanned);
        }
    }

    /// Offers a row found by a read that began at `epoch`. Returns whether the cache holds it
    /// afterwards.
    pub(crate) fn offer_row(
        &mut self,
        name: &CacheKey<'_>,
        row: Bytes,
        cost: u32,
        epoch: u64,
    ) -> bool {
        self.report(name, row.len() as u64, cost, false);
        self.cache.offer_row(name, row, cost, epoch)
    }

    /// Returns the level to count an object under; None for values and rows.
    fn level_of(&self, kind: BlockKind) -> Option<u8> {
        self.level
            .filter(|_| matches!(kind, BlockKind::Data | BlockKind::Index | BlockKind::Filter))
    }

    /// Reports a look-up of the workload to the ghost cache and the observer, if there are any.
    fn report(&mut self, name: &CacheKey<'_>, bytes: u64, cost: u32, hit: bool) {
        if self.caller == Caller::Background {
            return;
        }
        let cache = self.cache;
        let ghost = cache.ghost.as_ref();
        if ghost.is_some_and(|ghost| ghost.look_up(name.hash(), bytes)) {
            self.work.cache_probes += 1;
        }
        let Some(observer) = &cache.observer else {
            return;
        };
        let key = name.hash();
        observer.report(key, || CacheEvent {
            at_ns: self.clock.now(),
            key,
            file: name.place().map(|place| place.file),
            offset: name.place().map(|place| place.offset),
            bytes,
            kind: name.kind,
            level: self.level_of(name.kind),
            caller: self.caller,
            scanned: self.scanned,
            cost,
            hit,
        });
    }

    /// Charges the CPU work done so far to the clock.
    pub(crate) fn charge(&mut self) {
        self.charged_nanos += self.clock.cost_nanos(&self.work);
        self.clock.charge(&mem::take(&mut self.work));
    }

    /// Reads exactly `bytes` bytes at `offset` of `file`.
    ///
    /// The CPU work done so far is charged first, so that a simulation starts the read after it.
    ///
    /// # Errors
    /// [`Error::Corruption`](crate::Error::Corruption) if the file is too short,
    /// [`Error::Io`](crate::Error::Io) if the device fails.
    pub(crate) async fn read(
        &mut self,
        file: &NamedFile,
        offset: u64,
        bytes: usize,
    ) -> Result<Bytes> {
        self.work.system_calls += 1;
        self.charge();
        self.count_device_read(bytes);
        file.read_exactly(offset, bytes, || ends_before(bytes))
            .await
    }

    /// Fills `into` like [`read`](Self::read) if that needs no wait; None if it does.
    pub(crate) fn read_ready(
        &mut self,
        file: &NamedFile,
        offset: u64,
        into: &mut [u8],
    ) -> Option<Result<()>> {
        let bytes = into.len();
        let read = file.read_ready(offset, into, || ends_before(bytes))?;
        self.work.system_calls += 1;
        self.count_device_read(bytes);
        Some(read)
    }

    fn count_device_read(&mut self, bytes: usize) {
        self.stats.device_reads += 1;
        self.stats.device_read_bytes += bytes as u64;
    }
}

/// What is wrong with a file that is too short for a read of `bytes` bytes.
fn ends_before(bytes: usize) -> String {
    format!("the file ends before the {bytes} bytes expected here")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_cover_every_counter() {
        let counted = |first: u64| {
            let mut next = first..;
            let mut one = ReadStats::default();
            for kind in BlockKind::ALL {
                for hit in [true, false] {
                    *one.look_ups(kind, hit) = next.next().unwrap();
                }
            }
            one
        };
        let mut one = ReadStats {
            memtable_hits: 1,
            tables_probed: 2,
            filter_probes: 3,
            filter_negatives: 4,
            filter_false_positives: 5,
            index_lookups: 6,
            index_probes: 7,
            model_fallbacks: 8,
            model_lookups: 11,
            scan_hits: 9,
            scan_misses: 10,
            device_reads: 13,
            device_read_bytes: 14,
            ..counted(20)
        };
        for level in 0..LEVELS_COUNTED {
            one.level_hits[level] = 50 + level as u64;
            one.level_misses[level] = 60 + level as u64;
            one.level_fruitless[level] = 70 + level as u64;
        }
        let mut sum = one;
        sum.add(&one);
        let doubled = |value: &serde_json::Value| match value.as_array() {
            Some(levels) => levels
                .iter()
                .map(|level| 2 * level.as_u64().unwrap())
                .collect::<Vec<_>>()
                .into(),
            None => serde_json::Value::from(2 * value.as_u64().unwrap()),
        };
        let one = serde_json::to_value(one).unwrap();
        let sum = serde_json::to_value(sum).unwrap();
        for (name, value) in one.as_object().unwrap() {
            assert_ne!(*value, 0, "{name} is set");
            assert_eq!(sum[name], doubled(value), "{name}");
        }
    }
}
