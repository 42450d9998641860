//! The settings of RocksDB: from the shared section `engine`, and from `target_options`. The README
//! says why each is what it is.

use aura_engine::{Compression, EngineConfig};
use aura_experiments::config::{BadSetting, TrialConfig};
use aura_experiments::record::FileIo;
use aura_workloads::Step;
use bytesize::ByteSize;
use rocksdb::statistics::StatsLevel;
use rocksdb::{BlockBasedOptions, Cache, DBCompressionType, LogLevel, LruCacheOptions, Options};

use super::NAME;
use crate::common;

/// The keys of `engine` that have a counterpart.
pub(super) const OBEYED: &[&str] = &[
    "cache.size",
    "compaction.base",
    "compaction.jobs",
    "compaction.layout",
    "compaction.level0_slowdown",
    "compaction.level0_stop",
    "compaction.level0_trigger",
    "memtable",
    "memtables_sealed_max",
    "table.block",
    "table.compression",
    "table.filter",
    "table.size",
    "value_log.compression",
    "value_log.file",
    "value_log.gc_high",
    "value_log.separation",
    "wal.sync",
];

/// The option that is not one of RocksDB's: the kind of its cache.
pub(super) const CACHE: &str = "cache";

/// Bytes that a file may have that are not handed to the device yet: as its tuning guide advises,
/// so that a large file is not written back all at once.
const BYTES_PER_SYNC: u64 = 1 << 20;

/// The newest format of tables.
const FORMAT_VERSION: i32 = 7;

/// Refuses what RocksDB cannot obey.
pub(super) fn check(config: &TrialConfig) -> Result<(), BadSetting> {
    let drops = |step: Option<Step>| step == Some(Step::DropCaches);
    let mut phases = config.workload.phases.iter();
    if phases.any(|phase| drops(phase.step)) && !is_lru(config)? {
        return Err(bad_option(
            CACHE,
            "only \"lru\" can be emptied, as a step \"drop-caches\" wants",
        ));
    }
    options(config, &config.engine).map(drop)
}

fn bad_option(name: &str, message: impl Into<String>) -> BadSetting {
    BadSetting {
        key: format!("target_options.{name}"),
        message: message.into(),
    }
}

fn is_lru(config: &TrialConfig) -> Result<bool, BadSetting> {
    match config
        .target_options
        .get(CACHE)
        .map(|kind| kind.as_str().unwrap_or_default())
    {
        None | Some("hyper-clock") => Ok(false),
        Some("lru") => Ok(true),
        Some(_) => Err(bad_option(CACHE, "must be \"hyper-clock\" or \"lru\"")),
    }
}

/// A size as RocksDB takes it.
pub(super) fn bytes(size: ByteSize) -> usize {
    usize::try_from(size.as_u64()).unwrap_or(usize::MAX)
}

/// A count as RocksDB takes it.
fn count(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// All options, with the cache in them.
pub(super) fn options(
    config: &TrialConfig,
    engine: &EngineConfig,
) -> Result<(Options, Cache), BadSetting> {
    let cache = cache(config, engine)?;
    let mut options = Options::default();
    options.create_if_missing(true);
    set_memory(&mut options, engine);
    set_tree(&mut options, engine)?;
    set_tables(&mut options, engine, &cache)?;
    set_blobs(&mut options, engine, &cache)?;
    set_files(&mut options, config);
    common::is_synced(engine, NAME)?;
    for (name, value) in &config.target_options {
        if name != CACHE {
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), ToOwned::to_owned);
            options = options
                .get_options_from_string(format!("{name}={text}"))
                .map_err(|error| bad_option(name, error.to_string()))?;
        }
    }
    Ok((options, cache))
}

fn cache(config: &TrialConfig, engine: &EngineConfig) -> Result<Cache, BadSetting> {
    let size = bytes(engine.cache.size);
    Ok(if is_lru(config)? {
        let mut options = LruCacheOptions::default();
        options.set_capacity(size);
        Cache::new_lru_cache_opts(&options)
    } else {
        // Its table grows as it needs to.
        Cache::new_hyper_clock_cache(size, 0)
    })
}

/// Memtables, and the threads that empty them.
fn set_memory(options: &mut Options, engine: &EngineConfig) {
    options.set_write_buffer_size(bytes(engine.memtable));
    options.set_max_write_buffer_number(count(engine.memtables_sealed_max) + 1);
    // One flush beside the compactions.
    options.set_max_background_jobs(count(engine.compaction.jobs) + 1);
}

/// The shape of the tree.
fn set_tree(options: &mut Options, engine: &EngineConfig) -> Result<(), BadSetting> {
    let compaction = &engine.compaction;
    options.set_level_compaction_dynamic_level_bytes(true);
    options.set_max_bytes_for_level_base(common::base_bytes(engine));
    options.set_max_bytes_for_level_multiplier(common::level_ratio(engine, NAME)?);
    options.set_target_file_size_base(engine.table.size.as_u64());
    options.set_level_zero_file_num_compaction_trigger(count(compaction.level0_trigger));
    options.set_level_zero_slowdown_writes_trigger(count(compaction.level0_slowdown));
    options.set_level_zero_stop_writes_trigger(count(compaction.level0_stop));
    Ok(())
}

/// Blocks, filters and indexes: all of them in the cache, so that it is all the memory there is.
fn set_tables(
    options: &mut Options,
    engine: &EngineConfig,
    cache: &Cache,
) -> Result<(), BadSetting> {
    let mut tables = BlockBasedOptions::default();
    tables.set_format_version(FORMAT_VERSION);
    tables.set_block_size(bytes(engine.table.block));
    tables.set_block_cache(cache);
    tables.set_cache_index_and_filter_blocks(true);
    tables.set_cache_index_and_filter_blocks_with_high_priority(true);
    tables.set_pin_l0_filter_and_index_blocks_in_cache(true);
    if let Some(bits) = common::filter_bits(engine, NAME)? {
        tables.set_bloom_filter(bits, false);
    }
    options.set_block_based_table_factory(&tables);
    options.set_compression_type(compression(engine.table.compression));
    Ok(())
}

/// Blob files, if values are separated.
fn set_blobs(
    options: &mut Options,
    engine: &EngineConfig,
    cache: &Cache,
) -> Result<(), BadSetting> {
    let Some(from) = common::separated_from(engine, NAME)? else {
        return Ok(());
    };
    let values = &engine.value_log;
    options.set_enable_blob_files(true);
    options.set_min_blob_size(from);
    options.set_blob_file_size(values.file.as_u64());
    options.set_blob_compression_type(compression(values.compression));
    options.set_enable_blob_gc(true);
    options.set_blob_gc_force_threshold(values.gc_high);
    options.set_blob_cache(cache);
    Ok(())
}

fn compression(codec: Compression) -> DBCompressionType {
    match codec {
        Compression::None => DBCompressionType::None,
        Compression::Lz4 => DBCompressionType::Lz4,
        Compression::Zstd => DBCompressionType::Zstd,
        Compression::Snappy => DBCompressionType::Snappy,
    }
}

/// How files are read and written, and what is counted and noted meanwhile.
fn set_files(options: &mut Options, config: &TrialConfig) {
    options.set_max_open_files(-1);
    options.set_bytes_per_sync(BYTES_PER_SYNC);
    options.set_avoid_unnecessary_blocking_io(true);
    if config.world.io == Some(FileIo::Direct) {
        options.set_use_direct_reads(true);
        options.set_use_direct_io_for_flush_and_compaction(true);
    }
    options.enable_statistics();
    // Counters, which AuraDB has as well, and no clock.
    options.set_statistics_level(StatsLevel::ExceptHistogramOrTimers);
    options.set_stats_dump_period_sec(0);
    options.set_stats_persist_period_sec(0);
    options.set_log_level(LogLevel::Warn);
}
