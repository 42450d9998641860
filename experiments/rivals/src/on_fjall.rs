//! fjall: an LSM tree in Rust, with or without key-value separation.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aura_engine::env::Clock;
use aura_engine::{
    Batch, CacheStats, Compression, Counts, Cursor, Direction, Engine, EngineConfig, Key, Metrics,
    Range, Result, Value, Write,
};
use aura_experiments::config::{BadSetting, TargetRules, TrialConfig};
use aura_experiments::record::{FileIo, Measures};
use aura_experiments::trial::{Audit, Opening, Target, TargetDef};
use aura_workloads::Step;
use fjall::compaction::Leveled;
use fjall::config::{
    BlockSizePolicy, BloomConstructionPolicy, CompressionPolicy, FilterPolicy, FilterPolicyEntry,
};
use fjall::{
    CompressionType, Database, Iter, Keyspace, KeyspaceCreateOptions, KvSeparationOptions,
    PersistMode, Readable,
};

use crate::common::{self, Closed};
use crate::tally::{ScanTally, Tally};

const NAME: &str = "fjall";

pub(crate) const TARGET: TargetDef = TargetDef::of::<OnFjall>(
    TargetRules {
        name: NAME,
        about: "fjall, an LSM tree in Rust; engine.value_log.separation turns its blob files on.",
        settings: Some(&[
            "cache.size",
            "compaction.jobs",
            "compaction.layout",
            "compaction.level0_trigger",
            "memtable",
            "table.block",
            "table.compression",
            "table.filter",
            "table.size",
            "value_log.compression",
            "value_log.file",
            "value_log.gc_high",
            "value_log.separation",
            "wal.sync",
        ]),
        options: &[],
        check,
    },
    Measures {
        metrics: Some(&[
            "read.found_ratio",
            "read.found",
            "read.not_found",
            "write.amplification",
            "device.write_bytes",
            "device.page_cache_ratio",
            "space.amplification",
            "space.disk_bytes",
            "cache.hit_ratio",
            "cache.index_hit_ratio",
            "cache.filter_hit_ratio",
            "cache.settled_hit_ratio",
            "cache.used_bytes",
            "filter.probes",
            "memory.memtable_bytes",
            "memory.cache_bytes",
            "compaction.count",
        ]),
        writes_of_process: true,
    },
);

/// The keyspace of a trial's records.
const KEYSPACE: &str = "records";

/// The longest key of fjall, a byte shorter than AuraDB's.
const KEY_BYTES_MAX: usize = 65_535;

/// The least that fjall allows its journals; it is not what memtables may take.
const JOURNAL_BYTES_MIN: u64 = 64 << 20;

/// Nanoseconds between two looks at the background, and how many must find it at rest: fjall plans
/// its next compaction after the last one has ended.
const LOOKS_APART_NANOS: u64 = 5_000_000;
const LOOKS_AT_REST: u32 = 5;

/// A database of fjall that trials can run on.
#[derive(Clone)]
pub struct OnFjall {
    shared: Arc<Shared>,
}

struct Shared {
    database: Database,
    records: Keyspace,
    /// Whether each write is synced before it returns.
    is_synced: bool,
    directory: PathBuf,
    clock: Arc<dyn Clock>,
    tally: Arc<Tally>,
    closed: Closed,
}

fn check(config: &TrialConfig) -> Result<(), BadSetting> {
    if config.world.io == Some(FileIo::Direct) {
        return Err(BadSetting {
            key: "world.io".to_owned(),
            message: format!("`{NAME}` reads by way of the page cache only"),
        });
    }
    let steps = config.workload.phases.iter();
    if steps
        .clone()
        .any(|phase| phase.step == Some(Step::DropCaches))
    {
        return Err(BadSetting {
            key: "workload.phases".to_owned(),
            message: format!("the cache of `{NAME}` cannot be emptied: no step \"drop-caches\""),
        });
    }
    options(&config.engine).map(drop)
}

fn compression(key: &str, compression: Compression) -> Result<CompressionType, BadSetting> {
    match compression {
        Compression::None => Ok(CompressionType::None),
        Compression::Lz4 => Ok(CompressionType::Lz4),
        Compression::Zstd | Compression::Snappy => Err(BadSetting {
            key: key.to_owned(),
            message: format!("`{NAME}` compresses by \"lz4\" or \"none\""),
        }),
    }
}

/// The settings of the keyspace. The README says why each is what it is.
fn options(engine: &EngineConfig) -> Result<KeyspaceCreateOptions, BadSetting> {
    let table = &engine.table;
    let block = u32::try_from(table.block.as_u64()).unwrap_or(u32::MAX);
    let filter = match common::filter_bits(engine, NAME)? {
        Some(bits) => FilterPolicyEntry::Bloom(BloomConstructionPolicy::BitsPerKey(bits as f32)),
        None => FilterPolicyEntry::None,
    };
    let level0 = u8::try_from(engine.compaction.level0_trigger).unwrap_or(u8::MAX);
    // Level 1 has the size of as many tables as start a merge of level 0: it is no setting.
    let leveled = Leveled::default()
        .with_l0_threshold(level0)
        .with_table_target_size(table.size.as_u64())
        .with_level_ratio_policy(vec![common::level_ratio(engine, NAME)? as f32]);
    Ok(KeyspaceCreateOptions::default()
        .max_memtable_size(engine.memtable.as_u64())
        .data_block_size_policy(BlockSizePolicy::all(block))
        .data_block_compression_policy(CompressionPolicy::all(compression(
            "engine.table.compression",
            table.compression,
        )?))
        .filter_policy(FilterPolicy::all(filter))
        .compaction_strategy(Arc::new(leveled))
        // A synced write is handed to the system by the sync.
        .manual_journal_persist(common::is_synced(engine, NAME)?)
        .with_kv_separation(separation(engine)?))
}

fn separation(engine: &EngineConfig) -> Result<Option<KvSeparationOptions>, BadSetting> {
    let values = &engine.value_log;
    let codec = compression("engine.value_log.compression", values.compression)?;
    let from = common::separated_from(engine, NAME)?;
    Ok(from.map(|bytes| {
        KvSeparationOptions::default()
            .separation_threshold(u32::try_from(bytes).unwrap_or(u32::MAX))
            .file_target_size(values.file.as_u64())
            .compression(codec)
            .staleness_threshold(values.gc_high as f32)
            .age_cutoff(1.0)
    }))
}

impl OnFjall {
    fn open_in(opening: &Opening<'_>) -> fjall::Result<Arc<Shared>> {
        let engine = &opening.settings;
        // What cannot be obeyed was refused when the config was checked.
        let options = options(engine).unwrap_or_default();
        let database = Database::builder(opening.directory)
            .cache_size(engine.cache.size.as_u64())
            .worker_threads(engine.compaction.jobs as usize + 1)
            .max_journaling_size(JOURNAL_BYTES_MIN.max(8 * engine.memtable.as_u64()))
            .journal_compression(CompressionType::None)
            .open()?;
        let records = database.keyspace(KEYSPACE, || options)?;
        Ok(Arc::new(Shared {
            database,
            records,
            is_synced: common::is_synced(engine, NAME).unwrap_or(true),
            directory: opening.directory.to_owned(),
            clock: opening.env.clock.clone(),
            tally: Arc::default(),
            closed: Closed::default(),
        }))
    }

    fn opened(&self) -> Result<&Shared> {
        self.shared.closed.check()?;
        Ok(&self.shared)
    }

    /// The open database, if it takes a key.
    fn opened_for(&self, key: &[u8]) -> Result<&Shared> {
        let shared = self.opened()?;
        if key.len() > KEY_BYTES_MAX {
            let message = format!("a key has at most {KEY_BYTES_MAX} bytes");
            return Err(common::failed("use", &shared.directory, message));
        }
        Ok(shared)
    }
}

impl Shared {
    fn fails(&self, action: &'static str) -> impl Fn(fjall::Error) -> aura_engine::Error {
        move |error| common::failed(action, &self.directory, error)
    }

    /// Syncs the journal, if every write is to be.
    fn sync(&self) -> Result<()> {
        if self.is_synced {
            let synced = self.database.persist(PersistMode::SyncData);
            synced.map_err(self.fails("sync"))?;
        }
        Ok(())
    }

    /// The keys of a range: fjall has no deletes of ranges.
    fn keys(&self, range: Range) -> Result<Vec<Key>> {
        if common::is_empty(&range) {
            return Ok(Vec::new());
        }
        let rows = self.records.range((range.start, range.end));
        let keys = rows.map(|row| row.key().map(Key::from));
        keys.collect::<fjall::Result<_>>()
            .map_err(self.fails("scan"))
    }

    /// What a batch leaves of each key: a value, or nothing. fjall gives all writes of a batch one
    /// version, so that a key must not be written twice.
    fn last_writes(&self, batch: Batch) -> Result<BTreeMap<Key, Option<Value>>> {
        let mut last = BTreeMap::new();
        for write in batch.into_writes() {
            match write {
                Write::Put { key, value } => {
                    self.tally.put(key.len() + value.len());
                    last.insert(key, Some(value));
                }
                Write::Delete { key } => {
                    self.tally.delete(key.len());
                    last.insert(key, None);
                }
                Write::DeleteRange(range) => {
                    let in_range = |key: &Key| range.after_start(key) && range.before_end(key);
                    for (key, value) in &mut last {
                        if in_range(key) {
                            *value = None;
                        }
                    }
                    let stored = self.keys(range)?;
                    last.extend(stored.into_iter().map(|key| (key, None)));
                }
            }
        }
        Ok(last)
    }

    fn is_at_rest(&self) -> bool {
        let database = &self.database;
        database.outstanding_flushes() == 0
            && database.active_compactions() == 0
            && self.records.sealed_memtable_count() == 0
    }
}

impl Engine for OnFjall {
    type Scan = Rows;

    async fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        common::check_key(key)?;
        let shared = self.opened_for(key)?;
        let found = shared.records.get(key).map_err(shared.fails("read"))?;
        shared.tally.get(found.as_ref().map(|value| value.len()));
        Ok(found.map(Value::from))
    }

    async fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        common::check_put(key, value)?;
        let shared = self.opened_for(key)?;
        let put = shared.records.insert(key, value);
        put.map_err(shared.fails("write"))?;
        shared.tally.put(key.len() + value.len());
        shared.sync()
    }

    async fn delete(&self, key: &[u8]) -> Result<()> {
        common::check_key(key)?;
        let shared = self.opened_for(key)?;
        shared.records.remove(key).map_err(shared.fails("write"))?;
        shared.tally.delete(key.len());
        shared.sync()
    }

    async fn delete_range(&self, range: Range) -> Result<()> {
        common::check_range(&range)?;
        let mut batch = Batch::new();
        batch.delete_range(&range)?;
        self.write(batch).await
    }

    async fn write(&self, batch: Batch) -> Result<()> {
        let shared = self.opened()?;
        let mut writes = shared.database.batch();
        for (key, value) in shared.last_writes(batch)? {
            self.opened_for(&key)?;
            match value {
                Some(value) => writes.insert(&shared.records, key, value),
                None => writes.remove(&shared.records, key),
            }
        }
        writes.commit().map_err(shared.fails("write"))?;
        shared.sync()
    }

    fn scan(&self, range: Range, direction: Direction) -> Rows {
        let rows = match self.opened() {
            Ok(_) if common::is_empty(&range) => Ok(None),
            Ok(shared) => {
                // The keyspace itself would show later writes as well.
                let now = shared.database.snapshot();
                Ok(Some(now.range(&shared.records, (range.start, range.end))))
            }
            Err(error) => Err(error),
        };
        Rows {
            rows,
            direction,
            left: usize::MAX,
            directory: self.shared.directory.clone(),
            tally: ScanTally::new(&self.shared.tally),
        }
    }

    async fn flush(&self) -> Result<()> {
        let shared = self.opened()?;
        shared
            .records
            .rotate_memtable_and_wait()
            .map_err(shared.fails("flush"))
    }

    async fn compact(&self) -> Result<()> {
        self.flush().await?;
        let shared = self.opened()?;
        shared
            .records
            .major_compact()
            .map_err(shared.fails("compact"))
    }

    async fn close(&self) -> Result<()> {
        if self.shared.closed.close() {
            let synced = self.shared.database.persist(PersistMode::SyncAll);
            synced.map_err(self.shared.fails("sync"))?;
        }
        Ok(())
    }
}

impl Target for OnFjall {
    async fn open(opening: Opening<'_>) -> Result<Self> {
        let failed = |error| common::failed("open", opening.directory, error);
        let shared = Self::open_in(&opening).map_err(failed)?;
        Ok(Self { shared })
    }

    fn metrics(&self) -> Metrics {
        let Shared {
            database, tally, ..
        } = &*self.shared;
        let read = self.shared.records.metrics();
        let misses = |loads: usize, cached: usize| loads.saturating_sub(cached) as u64;
        let [data, index, filter] = [
            (
                read.data_block_load_count(),
                read.data_block_load_cached_count(),
            ),
            (
                read.index_block_load_count(),
                read.index_block_load_cached_count(),
            ),
            (
                read.filter_block_load_count(),
                read.filter_block_load_cached_count(),
            ),
        ];
        let mut counts = Counts {
            block_hits: data.1 as u64,
            block_misses: misses(data.0, data.1),
            index_hits: index.1 as u64,
            index_misses: misses(index.0, index.1),
            filter_hits: filter.1 as u64,
            filter_misses: misses(filter.0, filter.1),
            filter_probes: read.filter_queries() as u64,
            compactions: database.compactions_completed() as u64,
            ..Counts::default()
        };
        tally.fill(&mut counts);
        let memtable_bytes = database.write_buffer_size();
        Metrics {
            counts,
            cache: CacheStats {
                used_bytes: database.cache_size(),
                capacity_bytes: database.cache_capacity(),
                ..CacheStats::default()
            },
            memtable_bytes,
            // What it has still to flush. It does not estimate what it has to compact.
            debt_bytes: memtable_bytes,
            ..Metrics::default()
        }
    }

    async fn wait_idle(&self) -> Result<()> {
        let shared = self.opened()?;
        let mut at_rest = 0;
        while at_rest < LOOKS_AT_REST {
            at_rest = if shared.is_at_rest() { at_rest + 1 } else { 0 };
            shared.clock.sleep(LOOKS_APART_NANOS).await;
        }
        Ok(())
    }

    fn drop_cache(&self) {
        // No such step is accepted.
    }

    async fn audit(&self) -> Result<Audit> {
        Ok(Audit {
            reachable_bytes: common::reachable_bytes(self).await?,
            disk_bytes: common::disk_bytes(&self.shared.directory, |_: &Path| true)?,
            problems: Vec::new(),
        })
    }
}

/// The rows of a range, as of the call of `scan`.
pub struct Rows {
    /// `None` if there are no rows.
    rows: Result<Option<Iter>>,
    direction: Direction,
    left: usize,
    directory: PathBuf,
    tally: ScanTally,
}

impl Cursor for Rows {
    async fn next(&mut self) -> Result<Option<(Key, Value)>> {
        if self.left == 0 {
            return Ok(None);
        }
        let iter = match &mut self.rows {
            Ok(Some(iter)) => iter,
            Ok(None) => return Ok(None),
            Err(error) => {
                let error = error.clone();
                self.rows = Ok(None);
                return Err(error);
            }
        };
        let row = match self.direction {
            Direction::Forward => iter.next(),
            Direction::Reverse => iter.next_back(),
        };
        let Some(row) = row else {
            self.rows = Ok(None);
            return Ok(None);
        };
        match row.into_inner() {
            Ok((key, value)) => {
                self.left -= 1;
                self.tally.row(value.len());
                Ok(Some((Key::from(key), Value::from(value))))
            }
            Err(error) => {
                self.rows = Ok(None);
                Err(common::failed("scan", &self.directory, error))
            }
        }
    }

    fn limit(mut self, rows: usize) -> Self {
        self.left = self.left.min(rows);
        self
    }
}
