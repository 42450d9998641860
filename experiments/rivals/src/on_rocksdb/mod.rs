//! RocksDB, with or without blob files.

mod counts;
mod scan;
mod settings;

use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aura_engine::{
    Batch, Counts, Direction, Engine, KEY_BYTES_MAX, Key, Metrics, Range, Result, Value, Write,
};
use aura_experiments::config::{TargetOption, TargetRules};
use aura_experiments::record::Measures;
use aura_experiments::trial::{Audit, Opening, Target, TargetDef};
use rocksdb::{
    BottommostLevelCompaction, Cache, CompactOptions, DB, DBPinnableSlice, Options, ReadOptions,
    WaitForCompactOptions, WriteBatch, WriteOptions,
};

use crate::common::{self, Closed};
use crate::tally::Tally;

pub(crate) use scan::Rows;

const NAME: &str = "rocksdb";

/// A value of at least as many bytes is dearer to copy than to lend.
const LENT_BYTES_MIN: usize = 4 << 10;

pub(crate) const TARGET: TargetDef = TargetDef::of::<OnRocksDb>(
    TargetRules {
        name: NAME,
        about: "RocksDB; engine.value_log.separation turns its blob files (BlobDB) on.",
        settings: Some(settings::OBEYED),
        options: &[
            TargetOption {
                name: settings::CACHE,
                about: "the kind of block cache: \"hyper-clock\" (default) or \"lru\"",
            },
            TargetOption {
                name: "*",
                about: "any option of RocksDB by its name there, such as compaction_style = \
                        \"kCompactionStyleUniversal\"; a table of options is written as in its \
                        files, \"{size_ratio=2;}\"",
            },
        ],
        check: settings::check,
    },
    Measures {
        metrics: Some(counts::GIVEN),
        writes_of_process: false,
    },
);

/// A database of RocksDB that trials can run on.
#[derive(Clone)]
pub struct OnRocksDb {
    shared: Arc<Shared>,
}

/// What the clones share. The directory is released when the last of them is gone.
struct Shared {
    db: DB,
    /// They hold the statistics.
    options: Options,
    cache: Cache,
    cache_bytes: usize,
    read: ReadOptions,
    write: WriteOptions,
    directory: PathBuf,
    tally: Arc<Tally>,
    closed: Closed,
    /// Whether a large value was read: from then on values are lent and not copied.
    lends: AtomicBool,
}

impl Shared {
    fn fails(&self, action: &'static str) -> impl Fn(rocksdb::Error) -> aura_engine::Error {
        move |error| common::failed(action, &self.directory, error)
    }
}

self_cell::self_cell!(
    /// A value that stays where RocksDB has it, with the database.
    struct LentValue {
        owner: Arc<Shared>,
        #[covariant]
        dependent: MaybePinned,
    }
);

type MaybePinned<'a> = Option<DBPinnableSlice<'a>>;

impl AsRef<[u8]> for LentValue {
    fn as_ref(&self) -> &[u8] {
        self.borrow_dependent().as_deref().unwrap_or_default()
    }
}

/// The range's start (included) and its end (excluded); `None` if no key lies in it.
fn half_open(range: Range) -> Option<(Key, Key)> {
    let after = |key: Key| Key::from([&key[..], &[0]].concat());
    let start = match range.start {
        Bound::Unbounded => Key::new(),
        Bound::Included(start) => start,
        Bound::Excluded(start) => after(start),
    };
    let end = match range.end {
        Bound::Included(end) => after(end),
        Bound::Excluded(end) => end,
        // Above every key that there can be.
        Bound::Unbounded => Key::from(vec![u8::MAX; KEY_BYTES_MAX + 1]),
    };
    (start < end).then_some((start, end))
}

impl OnRocksDb {
    fn opened(&self) -> Result<&Shared> {
        self.shared.closed.check()?;
        Ok(&self.shared)
    }

    /// Reads a value without a copy of it.
    fn lent(&self, key: &[u8]) -> Result<Option<Value>> {
        let found = LentValue::try_new(self.shared.clone(), |shared| {
            shared.db.get_pinned_opt(key, &shared.read)
        });
        let found = found.map_err(self.shared.fails("read"))?;
        let length = found.borrow_dependent().as_ref().map(|value| value.len());
        self.shared.tally.get(length);
        Ok(length.map(|_| Value::from_owner(found)))
    }
}

impl Engine for OnRocksDb {
    type Scan = Rows;

    async fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        common::check_key(key)?;
        let shared = self.opened()?;
        if shared.lends.load(Ordering::Relaxed) {
            return self.lent(key);
        }
        let found = shared.db.get_pinned_opt(key, &shared.read);
        let found = found.map_err(shared.fails("read"))?;
        shared.tally.get(found.as_ref().map(|value| value.len()));
        if found.as_ref().is_some_and(|it| it.len() >= LENT_BYTES_MIN) {
            shared.lends.store(true, Ordering::Relaxed);
        }
        Ok(found.map(|value| Value::copy_from_slice(&value)))
    }

    async fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        common::check_put(key, value)?;
        let shared = self.opened()?;
        let put = shared.db.put_opt(key, value, &shared.write);
        put.map_err(shared.fails("write"))?;
        shared.tally.put(key.len() + value.len());
        Ok(())
    }

    async fn delete(&self, key: &[u8]) -> Result<()> {
        common::check_key(key)?;
        let shared = self.opened()?;
        let deleted = shared.db.delete_opt(key, &shared.write);
        deleted.map_err(shared.fails("write"))?;
        shared.tally.delete(key.len());
        Ok(())
    }

    async fn delete_range(&self, range: Range) -> Result<()> {
        common::check_range(&range)?;
        let mut batch = Batch::new();
        batch.delete_range(&range)?;
        self.write(batch).await
    }

    async fn write(&self, batch: Batch) -> Result<()> {
        let shared = self.opened()?;
        let mut writes = WriteBatch::default();
        for write in batch.into_writes() {
            match write {
                Write::Put { key, value } => {
                    shared.tally.put(key.len() + value.len());
                    writes.put(key, value);
                }
                Write::Delete { key } => {
                    shared.tally.delete(key.len());
                    writes.delete(key);
                }
                Write::DeleteRange(range) => {
                    if let Some((start, end)) = half_open(range) {
                        writes.delete_range(start, end);
                    }
                }
            }
        }
        let written = shared.db.write_opt(writes, &shared.write);
        written.map_err(shared.fails("write"))
    }

    fn scan(&self, range: Range, direction: Direction) -> Rows {
        Rows::of(&self.shared, range, direction)
    }

    async fn flush(&self) -> Result<()> {
        let shared = self.opened()?;
        shared.db.flush().map_err(shared.fails("flush"))
    }

    async fn compact(&self) -> Result<()> {
        let shared = self.opened()?;
        let mut options = CompactOptions::default();
        options.set_bottommost_level_compaction(BottommostLevelCompaction::Force);
        shared
            .db
            .compact_range_opt(None::<&[u8]>, None::<&[u8]>, &options);
        Ok(())
    }

    async fn close(&self) -> Result<()> {
        if self.shared.closed.close() {
            let synced = self.shared.db.flush_wal(true);
            synced.map_err(self.shared.fails("sync"))?;
            self.shared.db.cancel_all_background_work(true);
        }
        Ok(())
    }
}

impl Target for OnRocksDb {
    async fn open(opening: Opening<'_>) -> Result<Self> {
        let directory = opening.directory;
        let (options, cache) = settings::options(opening.config, &opening.settings)
            .map_err(|bad| aura_engine::Error::config(&bad.key, bad.message))?;
        let db = DB::open(&options, directory);
        let mut write = WriteOptions::default();
        write.set_sync(common::is_synced(&opening.settings, NAME).unwrap_or(true));
        Ok(Self {
            shared: Arc::new(Shared {
                db: db.map_err(|error| common::failed("open", directory, error))?,
                options,
                cache,
                cache_bytes: settings::bytes(opening.settings.cache.size),
                read: ReadOptions::default(),
                write,
                directory: directory.to_owned(),
                tally: Arc::default(),
                closed: Closed::default(),
                lends: AtomicBool::new(false),
            }),
        })
    }

    fn metrics(&self) -> Metrics {
        counts::metrics(&self.shared)
    }

    fn counts(&self) -> Counts {
        counts::counts(&self.shared)
    }

    async fn wait_idle(&self) -> Result<()> {
        let shared = self.opened()?;
        let waited = shared
            .db
            .wait_for_compact(&WaitForCompactOptions::default());
        waited.map_err(shared.fails("compact"))
    }

    fn drop_cache(&self) {
        // The step is accepted with the LRU cache only, which evicts at once.
        let mut cache = self.shared.cache.clone();
        cache.set_capacity(0);
        cache.set_capacity(self.shared.cache_bytes);
    }

    async fn audit(&self) -> Result<Audit> {
        // Blocks carry checksums, which the scan checks.
        Ok(Audit {
            reachable_bytes: common::reachable_bytes(self).await?,
            disk_bytes: common::disk_bytes(&self.shared.directory, is_data)?,
            problems: Vec::new(),
        })
    }
}

/// Whether a file is a table, a blob file or a log: RocksDB keeps its diary beside them.
fn is_data(path: &Path) -> bool {
    path.extension()
        .is_some_and(|it| it == "sst" || it == "blob" || it == "log")
}
