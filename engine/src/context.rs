//! What a read carries with it: where to look things up, whose CPU it uses, and what it counted on the way.

use std::io;
use std::mem;
use std::path::Path;
use std::sync::Arc;

use aura_policies::cache::BlockKind;
use bytes::Bytes;
use serde::Serialize;

use crate::cache::{BlockCache, CacheEvent, CacheKey, Caller, Inputs, Object};
use crate::env::{Clock, CpuWork, File};
use crate::error::{Error, Result};

/// Levels whose hits and misses are counted apart.
pub const LEVELS_COUNTED: usize = 8;

/// What a read did, in counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ReadStats {
    /// Point reads that a memtable answered.
    pub memtable_hits: u64,
    /// Tables asked for a key, their filters included.
    pub tables_probed: u64,
    /// Filters asked.
    pub filter_probes: u64,
    /// Filters that ruled their table out.
    pub filter_negatives: u64,
    /// Filters that let a key pass which their table does not hold (or holds only in versions newer than asked for).
    pub filter_false_positives: u64,
    /// Look-ups in a table's index.
    pub index_lookups: u64,
    /// Data blocks examined by those look-ups; one each is the least for a key that is there.
    pub index_probes: u64,
    /// Tables opened whose model could not be read, so that fence pointers serve.
    pub model_fallbacks: u64,
    /// Data blocks that the cache held.
    pub block_hits: u64,
    /// Data blocks that it did not hold.
    pub block_misses: u64,
    /// Value-log values that the cache held.
    pub value_hits: u64,
    /// Value-log values that it did not hold.
    pub value_misses: u64,
    /// Tables' indexes that the cache held. Those pinned in memory are not looked up.
    pub index_hits: u64,
    /// Tables' indexes that it did not hold: each was read and parsed again.
    pub index_misses: u64,
    /// Tables' filters that the cache held. Those pinned in memory are not looked up.
    pub filter_hits: u64,
    /// Tables' filters that it did not hold: each was read and parsed again.
    pub filter_misses: u64,
    /// Point reads that a key-value row answered.
    pub key_value_hits: u64,
    /// Point reads that looked for a key-value row and found none.
    pub key_value_misses: u64,
    /// Point reads that a key-pointer row led to the block.
    pub key_pointer_hits: u64,
    /// Point reads that looked for a key-pointer row and found none.
    pub key_pointer_misses: u64,
    /// The part of all those hits that scans caused.
    pub scan_hits: u64,
    /// The part of all those misses that scans caused.
    pub scan_misses: u64,
    /// Reads of the device.
    pub device_reads: u64,
    /// Bytes of those reads.
    pub device_read_bytes: u64,
    /// Hits on data blocks, indexes and filters by the level of their table; the last one counts all deeper levels, too.
    pub level_hits: [u64; LEVELS_COUNTED],
    /// The misses of the same.
    pub level_misses: [u64; LEVELS_COUNTED],
}

impl ReadStats {
    /// Adds what another read did.
    pub fn add(&mut self, other: &Self) {
        self.memtable_hits += other.memtable_hits;
        self.tables_probed += other.tables_probed;
        self.filter_probes += other.filter_probes;
        self.filter_negatives += other.filter_negatives;
        self.filter_false_positives += other.filter_false_positives;
        self.index_lookups += other.index_lookups;
        self.index_probes += other.index_probes;
        self.model_fallbacks += other.model_fallbacks;
        self.block_hits += other.block_hits;
        self.block_misses += other.block_misses;
        self.value_hits += other.value_hits;
        self.value_misses += other.value_misses;
        self.index_hits += other.index_hits;
        self.index_misses += other.index_misses;
        self.filter_hits += other.filter_hits;
        self.filter_misses += other.filter_misses;
        self.key_value_hits += other.key_value_hits;
        self.key_value_misses += other.key_value_misses;
        self.key_pointer_hits += other.key_pointer_hits;
        self.key_pointer_misses += other.key_pointer_misses;
        self.scan_hits += other.scan_hits;
        self.scan_misses += other.scan_misses;
        self.device_reads += other.device_reads;
        self.device_read_bytes += other.device_read_bytes;
        for level in 0..LEVELS_COUNTED {
            self.level_hits[level] += other.level_hits[level];
            self.level_misses[level] += other.level_misses[level];
        }
    }

    /// The counter of hits, or of misses, of objects of that kind.
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

/// Carried through one read, or one job that reads.
pub(crate) struct ReadContext<'a> {
    /// Where blocks and values are looked up first.
    pub cache: &'a Arc<BlockCache>,
    /// Whom CPU work is charged to.
    pub clock: &'a dyn Clock,
    /// CPU work not yet charged.
    pub work: CpuWork,
    /// What was done.
    pub stats: ReadStats,
    /// Nanoseconds that the work charged so far takes in a simulation.
    pub charged_nanos: u64,
    /// Whether what is read from the device enters the cache.
    pub fill_cache: bool,
    /// Who reads. What reads in the background takes from the cache, but is no news to it.
    pub caller: Caller,
    /// The level of the table that is read, where one is.
    pub level: Option<u8>,
    /// Objects that the scan has asked for; 0 for a point read.
    pub scanned: u32,
    /// What a compaction has read and a warming policy may want to know of; None where none does.
    pub inputs: Option<Inputs>,
}

impl<'a> ReadContext<'a> {
    /// A read that has done nothing yet and fills the cache.
    pub(crate) fn new(cache: &'a Arc<BlockCache>, clock: &'a dyn Clock) -> Self {
        Self {
            cache,
            clock,
            work: CpuWork::default(),
            stats: ReadStats::default(),
            charged_nanos: 0,
            fill_cache: true,
            caller: Caller::Get,
            level: None,
            scanned: 0,
            inputs: None,
        }
    }

    /// The same for a job of the engine's own: the cache is neither filled, nor told, nor counted.
    #[must_use]
    pub(crate) fn in_background(mut self) -> Self {
        (self.fill_cache, self.caller) = (false, Caller::Background);
        self
    }

    /// Looks an object up in the cache; where it is not there, it is to be read and [offered](Self::offer). Returns its
    /// cost, too.
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

    /// As [`Self::ask`], for a row that counts as missing, and leaves, where it is not `usable`.
    pub(crate) fn ask_for_row(
        &mut self,
        name: &CacheKey<'_>,
        usable: impl FnOnce(&Object, &mut CpuWork) -> bool,
    ) -> Option<(Object, u32)> {
        self.work.cache_probes += 1;
        let mut found = self.cache.get(name, 0);
        if found
            .as_ref()
            .is_some_and(|(object, _)| !usable(object, &mut self.work))
        {
            self.cache.remove(name);
            found = None;
        }
        self.count(name, found.as_ref());
        found
    }

    /// Counts a look-up of the workload; tells of it, if it was a hit.
    fn count(&mut self, name: &CacheKey<'_>, found: Option<&(Object, u32)>) {
        let hit = found.is_some();
        *self.stats.look_ups(name.kind, hit) += 1;
        if self.caller == Caller::Scan {
            *(if hit {
                &mut self.stats.scan_hits
            } else {
                &mut self.stats.scan_misses
            }) += 1;
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
            self.tell(name, object, *cost, true);
        }
    }

    /// Brings in what the last [`Self::ask`] has missed.
    pub(crate) fn offer(&mut self, name: &CacheKey<'_>, object: &Object, cost: u32) {
        self.tell(name, object, cost, false);
        if self.fill_cache {
            self.cache.offer(name, object.clone(), cost, self.scanned);
        }
    }

    /// As [`Self::offer`], for a row found by a read that began at `epoch`. Whether it is held now.
    pub(crate) fn offer_row(
        &mut self,
        name: &CacheKey<'_>,
        row: Bytes,
        cost: u32,
        epoch: u64,
    ) -> bool {
        self.tell(name, &Object::Bytes(row.clone()), cost, false);
        self.cache.offer_row(name, row, cost, epoch)
    }

    fn level_of(&self, kind: BlockKind) -> Option<u8> {
        self.level
            .filter(|_| matches!(kind, BlockKind::Data | BlockKind::Index | BlockKind::Filter))
    }

    /// Tells the observer, if there is one.
    fn tell(&self, name: &CacheKey<'_>, object: &Object, cost: u32, hit: bool) {
        let Some(observer) = self
            .cache
            .observer
            .as_ref()
            .filter(|_| self.caller != Caller::Background)
        else {
            return;
        };
        let key = name.hash();
        observer.tell(key, || CacheEvent {
            at_ns: self.clock.now(),
            key,
            file: name.place().map(|place| place.file),
            offset: name.place().map(|place| place.offset),
            bytes: object.bytes(),
            kind: name.kind,
            level: self.level_of(name.kind),
            caller: self.caller,
            scanned: self.scanned,
            cost,
            hit,
        });
    }

    /// Charges the work done so far.
    pub(crate) fn charge(&mut self) {
        self.charged_nanos += self.clock.cost_nanos(&self.work);
        self.clock.charge(&mem::take(&mut self.work));
    }

    /// Reads exactly `bytes` bytes at `offset` of `file`, which lies at `path`. The work done so far is charged first,
    /// so that a simulation starts the read after it.
    ///
    /// # Errors
    /// [`Error::Corruption`] where the file ends before, [`Error::Io`] where the device fails.
    pub(crate) async fn read(
        &mut self,
        file: &dyn File,
        path: &Path,
        offset: u64,
        bytes: usize,
    ) -> Result<Bytes> {
        self.work.system_calls += 1;
        self.charge();
        self.stats.device_reads += 1;
        self.stats.device_read_bytes += bytes as u64;
        match file.read_at(offset, bytes).await {
            Ok(data) => Ok(data),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(Error::corruption(
                path,
                offset,
                format!("the file ends before the {bytes} bytes that lie here"),
            )),
            Err(error) => Err(Error::io("read", path, error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [BlockKind; 6] = [
        BlockKind::Data,
        BlockKind::Index,
        BlockKind::Filter,
        BlockKind::Value,
        BlockKind::KeyValue,
        BlockKind::KeyPointer,
    ];

    #[test]
    fn sums_cover_every_counter() {
        let counted = |first: u64| {
            let mut next = first..;
            let mut one = ReadStats::default();
            for kind in KINDS {
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
            scan_hits: 9,
            scan_misses: 10,
            device_reads: 13,
            device_read_bytes: 14,
            ..counted(20)
        };
        for level in 0..LEVELS_COUNTED {
            (one.level_hits[level], one.level_misses[level]) =
                (50 + level as u64, 60 + level as u64);
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
        let (one, sum) = (
            serde_json::to_value(one).unwrap(),
            serde_json::to_value(sum).unwrap(),
        );
        for (name, value) in one.as_object().unwrap() {
            assert_ne!(*value, 0, "{name} is set");
            assert_eq!(sum[name], doubled(value), "{name}");
        }
    }
}
