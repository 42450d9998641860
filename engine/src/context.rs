//! What a read carries with it: where to look things up, whose CPU it uses, and what it counted on the way.

use std::io;
use std::mem;
use std::path::Path;

use bytes::Bytes;
use serde::Serialize;

use crate::cache::BlockCache;
use crate::env::{Clock, File, Work};
use crate::error::{Error, Result};

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
    /// Reads of the device.
    pub device_reads: u64,
    /// Bytes of those reads.
    pub device_read_bytes: u64,
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
        self.device_reads += other.device_reads;
        self.device_read_bytes += other.device_read_bytes;
    }
}

/// Carried through one read, or one job that reads.
pub(crate) struct ReadContext<'a> {
    /// Where blocks and values are looked up first.
    pub cache: &'a BlockCache,
    /// Whom CPU work is charged to.
    pub clock: &'a dyn Clock,
    /// CPU work not yet charged.
    pub work: Work,
    /// What was done.
    pub stats: ReadStats,
    /// Nanoseconds that the work charged so far takes in a simulation.
    pub charged_nanos: u64,
    /// Whether what is read from the device enters the cache.
    pub fill_cache: bool,
}

impl<'a> ReadContext<'a> {
    /// A read that has done nothing yet and fills the cache.
    pub(crate) fn new(cache: &'a BlockCache, clock: &'a dyn Clock) -> Self {
        Self { cache, clock, work: Work::default(), stats: ReadStats::default(), charged_nanos: 0, fill_cache: true }
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
    pub(crate) async fn read(&mut self, file: &dyn File, path: &Path, offset: u64, bytes: usize) -> Result<Bytes> {
        self.work.system_calls += 1;
        self.charge();
        self.stats.device_reads += 1;
        self.stats.device_read_bytes += bytes as u64;
        match file.read_at(offset, bytes).await {
            Ok(data) => Ok(data),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(Error::corruption(path, offset, format!("the file ends before the {bytes} bytes that lie here")))
            }
            Err(error) => Err(Error::io("read", path, error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_cover_every_counter() {
        let one: ReadStats = ReadStats {
            memtable_hits: 1,
            tables_probed: 2,
            filter_probes: 3,
            filter_negatives: 4,
            filter_false_positives: 5,
            index_lookups: 6,
            index_probes: 7,
            model_fallbacks: 8,
            block_hits: 9,
            block_misses: 10,
            value_hits: 11,
            value_misses: 12,
            device_reads: 13,
            device_read_bytes: 14,
        };
        let mut sum = one;
        sum.add(&one);
        let doubled = |value: &serde_json::Value| value.as_u64().unwrap() * 2;
        let (one, sum) = (serde_json::to_value(one).unwrap(), serde_json::to_value(sum).unwrap());
        for (name, value) in one.as_object().unwrap() {
            assert_eq!(sum[name].as_u64().unwrap(), doubled(value), "{name}");
        }
    }
}
