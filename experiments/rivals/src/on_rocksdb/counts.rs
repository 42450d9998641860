//! What RocksDB counts, as the counters that mean the same.

use aura_engine::{CacheStats, Counts, LevelState, Metrics};
use rocksdb::properties;
use rocksdb::statistics::Ticker;

use super::Shared;

/// The metrics that these counters give.
pub(super) const GIVEN: &[&str] = &[
    "read.found_ratio",
    "read.found",
    "read.not_found",
    "write.amplification",
    "write.amplification_tables",
    "device.write_bytes",
    "device.page_cache_ratio",
    "space.amplification",
    "space.disk_bytes",
    "cache.hit_ratio",
    "cache.value_hit_ratio",
    "cache.index_hit_ratio",
    "cache.filter_hit_ratio",
    "cache.settled_hit_ratio",
    "cache.used_bytes",
    "filter.false_positive_ratio",
    "filter.probes",
    "memtable.hit_ratio",
    "memory.memtable_bytes",
    "memory.cache_bytes",
    "memory.total_bytes",
    "compaction.write_bytes",
    "compaction.read_bytes",
    "compaction.count",
    "value_log.garbage_ratio",
    "tree.runs",
    "tree.levels",
    "stall.time_ratio",
    "debt.bytes",
    "debt.charged_bytes",
    "debt.deferred_ratio",
    "wal.syncs",
];

/// The counters. O(threads).
pub(super) fn counts(shared: &Shared) -> Counts {
    let ticker = |ticker| shared.options.get_ticker_count(ticker);
    let passed = ticker(Ticker::BloomFilterFullPositive);
    let wrong = passed.saturating_sub(ticker(Ticker::BloomFilterFullTruePositive));
    let stopped = ticker(Ticker::BloomFilterUseful);
    let mut counts = Counts {
        memtable_hits: ticker(Ticker::MemtableHit),
        wal_bytes: ticker(Ticker::WalFileBytes),
        wal_syncs: ticker(Ticker::WalFileSynced),
        // Flushes and compactions write blob files, too; RocksDB counts these bytes with theirs.
        // It counts them apart as well, but at other moments: no difference of the two is sound.
        flush_bytes: ticker(Ticker::FlushWriteBytes),
        compaction_read_bytes: ticker(Ticker::CompactReadBytes),
        compaction_write_bytes: ticker(Ticker::CompactWriteBytes),
        block_hits: ticker(Ticker::BlockCacheDataHit),
        block_misses: ticker(Ticker::BlockCacheDataMiss),
        index_hits: ticker(Ticker::BlockCacheIndexHit),
        index_misses: ticker(Ticker::BlockCacheIndexMiss),
        filter_hits: ticker(Ticker::BlockCacheFilterHit),
        filter_misses: ticker(Ticker::BlockCacheFilterMiss),
        value_hits: ticker(Ticker::BlobDbCacheHit),
        value_misses: ticker(Ticker::BlobDbCacheMiss),
        filter_negatives: stopped,
        filter_false_positives: wrong,
        filter_probes: stopped + passed,
        stall_nanos: ticker(Ticker::StallMicros) * 1000,
        ..Counts::default()
    };
    shared.tally.fill(&mut counts);
    counts
}

/// The counters and the state. O(tables).
pub(super) fn metrics(shared: &Shared) -> Metrics {
    let number = |name: &str| {
        let value = shared.db.property_int_value(name);
        value.ok().flatten().unwrap_or_default()
    };
    let memtable_bytes = number(properties::SIZE_ALL_MEM_TABLES.as_str());
    let unflushed = number(properties::CUR_SIZE_ALL_MEM_TABLES.as_str());
    let stats = shared
        .db
        .property_value(properties::CFSTATS_NO_FILE_HISTOGRAM);
    let stats = stats.ok().flatten().unwrap_or_default();
    Metrics {
        counts: Counts {
            compactions: compactions(&stats).unwrap_or_default(),
            ..counts(shared)
        },
        cache: CacheStats {
            used_bytes: shared.cache.get_usage() as u64,
            capacity_bytes: shared.cache_bytes as u64,
            ..CacheStats::default()
        },
        levels: levels(shared),
        memtable_bytes,
        value_file_bytes: number("rocksdb.total-blob-file-size"),
        value_garbage_bytes: number("rocksdb.live-blob-file-garbage-size"),
        // What it has still to flush, and what it says it has to compact.
        debt_bytes: unflushed + number(properties::ESTIMATE_PENDING_COMPACTION_BYTES.as_str()),
        ..Metrics::default()
    }
}

fn levels(shared: &Shared) -> Vec<LevelState> {
    let mut levels: Vec<LevelState> = Vec::new();
    for file in shared.db.live_files().unwrap_or_default() {
        let level = usize::try_from(file.level).unwrap_or_default();
        if levels.len() <= level {
            levels.resize(level + 1, LevelState::default());
        }
        let state = &mut levels[level];
        state.tables += 1;
        // Tables of level 0 overlap; each other level is one run.
        state.runs = if level == 0 { state.tables } else { 1 };
        state.bytes += file.size as u64;
        state.entries += file.num_entries;
    }
    levels
}

/// Compactions into levels below level 0, from the table of statistics: what is counted for level 0
/// are flushes. `None` if the table has no such column.
///
/// ```text
/// Level    Files   Size     Score ... Comp(cnt) ...
///   L0      2/0    1.20 MB   0.5  ...         9 ...
///  Sum      8/0   21.20 MB   0.0  ...        14 ...
/// ```
fn compactions(stats: &str) -> Option<u64> {
    let mut lines = stats
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    let header = lines.find(|words| words.first() == Some(&"Level"))?;
    let column = header.iter().position(|word| *word == "Comp(cnt)")?;
    let mut of_level0 = 0;
    for words in lines {
        // A size is two words.
        let count = words
            .get(column + 1)
            .and_then(|word| word.parse::<u64>().ok());
        match words.first() {
            Some(&"L0") => of_level0 = count?,
            Some(&"Sum") => return Some(count?.saturating_sub(of_level0)),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compactions_are_counted_from_the_table_of_statistics() {
        let table = "\n** Compaction Stats [default] **\n\
            Level    Files   Size     Score Read(GB) Comp(sec) Comp(cnt) Avg(sec)\n\
            -----------------------------------------------------------------\n\
            \x20 L0      2/0    1.20 MB   0.5      0.0      0.10         9    0.011\n\
            \x20 L6      6/0   20.00 MB   0.0      0.0      0.30         5    0.060\n\
            \x20Sum      8/0   21.20 MB   0.0      0.0      0.40        14    0.028\n\
            \x20Int      0/0    0.00 KB   0.0      0.0      0.00         0    0.000\n";
        assert_eq!(compactions(table), Some(5));
        assert_eq!(compactions(&table.replace("Comp(cnt)", "Jobs")), None);
        assert_eq!(compactions(""), None);
    }
}
