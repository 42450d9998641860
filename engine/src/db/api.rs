//! The engine as its users see it.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Db;
use super::open::{Extras, open, open_read_only};
use crate::admin::checkpoint::CheckpointReport;
use crate::admin::repair::{RepairReport, repair};
use crate::admin::verify::VerifyReport;
use crate::cache::{CacheObserver, Observer};
use crate::config::EngineConfig;
use crate::env::Env;
use crate::error::Result;
use crate::metrics::{
    Event, EventListener, Health, Metrics, Reading, Span, Telemetry, TimedOperation, Window,
};
use crate::models::IndexRegistry;
use crate::read::{Scan, Snapshot};
use crate::recovery::RecoveryReport;
use crate::storage::{Batch, Direction, Key, Range, Value};

/// An ordered key-value store. AuraDB implements it, and so can what it is compared with.
///
/// Every future may be dropped at any poll, by a timeout or by `select!`. Its own write, flush,
/// merge, checkpoint, change of settings or closing may then happen all the same, whole; it has no
/// other effect. Work that others depend on goes on in tasks of the engine.
///
/// Keys are 1 B to 64 KiB, values up to 256 MiB; every method refuses others with a typed error and
/// no effect.
///
/// ```
/// use aura_engine::{Cursor, Direction, Engine, EngineBuilder, Range, Result};
/// use aura_engine::env::memory::MemoryWorld;
///
/// /// Counts the rows of any engine.
/// async fn rows<E: Engine>(engine: &E) -> Result<usize> {
///     let mut scan = engine.scan(Range::all(), Direction::Forward);
///     let mut rows = 0;
///     while Cursor::next(&mut scan).await?.is_some() {
///         rows += 1;
///     }
///     Ok(rows)
/// }
///
/// # let world = MemoryWorld::new(2).expect("threads");
/// # world.block_on(async {
/// let engine = EngineBuilder::new(world.env(), "/db").open().await?;
/// engine.put(b"key", b"value").await?;
/// assert_eq!(rows(&engine).await?, 1);
/// # engine.close().await
/// # })?;
/// # Ok::<(), aura_engine::Error>(())
/// ```
pub trait Engine: Send + Sync + 'static {
    /// The rows of a scan, one after the other.
    type Scan: Cursor;

    /// The value of `key`, or None. Shares the memory it was read from.
    fn get(&self, key: &[u8]) -> impl Future<Output = Result<Option<Value>>> + Send;

    /// Sets `key` to `value`; visible, and as durable as the sync policy says, when it returns.
    fn put(&self, key: &[u8], value: &[u8]) -> impl Future<Output = Result<()>> + Send;

    /// Removes `key`; removing what is not there is no error.
    fn delete(&self, key: &[u8]) -> impl Future<Output = Result<()>> + Send;

    /// Removes every key of `range`, in one write whatever their number; a range without keys is no
    /// error.
    fn delete_range(&self, range: Range) -> impl Future<Output = Result<()>> + Send;

    /// Commits the writes of `batch` together: all are visible and recovered, or none.
    fn write(&self, batch: Batch) -> impl Future<Output = Result<()>> + Send;

    /// The rows of `range`, as of now.
    fn scan(&self, range: Range, direction: Direction) -> Self::Scan;

    /// Writes what is in memory to tables.
    fn flush(&self) -> impl Future<Output = Result<()>> + Send;

    /// Merges everything into one sorted run.
    fn compact(&self) -> impl Future<Output = Result<()>> + Send;

    /// Waits for background work, makes every write durable and releases the directory. Later calls
    /// fail. It may be called again, and returns the same result once the directory is released.
    fn close(&self) -> impl Future<Output = Result<()>> + Send;
}

/// Rows in key order, which are asked for one by one.
pub trait Cursor: Send + 'static {
    /// The next row; None at the end, and after an error.
    fn next(&mut self) -> impl Future<Output = Result<Option<(Key, Value)>>> + Send;

    /// Returns at most `rows` rows.
    #[must_use]
    fn limit(self, rows: usize) -> Self;
}

/// Opens an engine in a directory, with the settings it is given.
pub struct EngineBuilder {
    env: Env,
    directory: PathBuf,
    config: EngineConfig,
    extras: Extras,
}

impl EngineBuilder {
    /// Prepares an engine in `directory` of the world `env`, with default settings.
    pub fn new(env: Env, directory: impl Into<PathBuf>) -> Self {
        Self {
            env,
            directory: directory.into(),
            config: EngineConfig::default(),
            extras: Extras::default(),
        }
    }

    /// Takes other settings.
    #[must_use]
    pub fn config(mut self, config: EngineConfig) -> Self {
        self.config = config;
        self
    }

    /// Reports the workload's look-ups in the cache to `observer`. `rate` is the fraction of
    /// objects to sample, from 0 to 1: every look-up of a sampled object is reported, no others.
    #[must_use]
    pub fn cache_observer(mut self, observer: Arc<dyn CacheObserver>, rate: f64) -> Self {
        self.extras.observer = Some(Observer::new(observer, rate));
        self
    }

    /// Takes other settings of what the engine observes of itself.
    #[must_use]
    pub fn telemetry(mut self, telemetry: Telemetry) -> Self {
        self.extras.telemetry = telemetry;
        self
    }

    /// Opens the directory, creating it if it is not there; recovers what a crash left.
    ///
    /// Dropping the future leaves the directory as the end of the process would: it can be opened
    /// again at once, and nothing that was acknowledged is lost.
    ///
    /// # Errors
    /// Settings out of range, a directory in use, I/O errors, a newer format, and corruption with
    /// file and offset.
    pub async fn open(self) -> Result<AuraEngine> {
        let db = open(self.env, self.directory, self.config, self.extras).await?;
        Ok(AuraEngine::new(db))
    }

    /// Opens the directory to read what it holds now, and changes nothing in it: it may lie on a
    /// full disk or on media that cannot be written. Writes, flushes, merges, checkpoints and
    /// changes of settings fail with [`Error::ReadOnly`](crate::Error::ReadOnly).
    ///
    /// Engines that would write to the directory are kept out meanwhile. If one has it open
    /// already, the state of one moment is read beside it; a file that is read for the first time
    /// after that engine has removed it is reported as missing, and the directory is to be opened
    /// again.
    ///
    /// What the logs hold is kept in memory, at most the bytes of the logs and the overhead of
    /// memtables.
    ///
    /// # Errors
    /// Settings out of range, a directory without a database, I/O errors, a newer format, and
    /// corruption with file and offset.
    pub async fn open_read_only(self) -> Result<AuraEngine> {
        let db = open_read_only(self.env, self.directory, self.config, self.extras).await?;
        Ok(AuraEngine::new(db))
    }
}

impl EngineBuilder {
    /// Keeps what is sound of a damaged database that nobody has open, and reports what is lost.
    /// Files that are damaged or no longer needed move to `lost/` inside the directory; nothing is
    /// deleted. If nothing is wrong, nothing is changed.
    ///
    /// Without the manifest the tree is put together from all tables found. Among them may be some
    /// that a compaction had replaced and a crash kept from being removed: a key that was deleted
    /// may be there again. Range deletes are lost with the manifest, except those that are still in
    /// the logs: keys that they removed may be there again, too.
    ///
    /// # Errors
    /// Settings out of range, a directory that is not there, in use, or no database, a newer
    /// format, and I/O errors.
    pub async fn repair(self) -> Result<RepairReport> {
        repair(&self.env, &self.directory, &self.config, false).await
    }

    /// Says what [`repair`](Self::repair) would do, and changes nothing.
    ///
    /// # Errors
    /// Those of [`repair`](Self::repair).
    pub async fn plan_repair(self) -> Result<RepairReport> {
        repair(&self.env, &self.directory, &self.config, true).await
    }
}

/// An open AuraDB engine. Clones share it; dropping the last one stops its background work, and
/// `close` waits for that.
#[derive(Clone)]
pub struct AuraEngine {
    handle: Arc<Handle>,
}

struct Handle {
    db: Arc<Db>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.db.abandon();
    }
}

impl AuraEngine {
    pub(super) fn new(db: Arc<Db>) -> Self {
        Self {
            handle: Arc::new(Handle { db }),
        }
    }

    pub(super) fn db(&self) -> &Db {
        &self.handle.db
    }

    /// The engine, for calls that go on in a task.
    pub(super) fn shared(&self) -> &Arc<Db> {
        &self.handle.db
    }

    /// The state of this moment, readable for as long as it is held.
    pub fn snapshot(&self) -> Snapshot {
        self.db().reader.snapshot()
    }

    /// Waits until nothing is left to flush, compact or collect. The active memtable is not
    /// flushed.
    ///
    /// # Errors
    /// The failure that stopped background work.
    pub async fn wait_idle(&self) -> Result<()> {
        self.db().scheduler.wait_idle().await
    }

    /// Empties the cache, as after opening the database: what is read next comes from its files.
    /// Pinned indexes and filters stay, and policies keep what they have learned. O(objects).
    pub fn drop_cache(&self) {
        self.db().core.cache().clear();
    }

    /// A copy of the counters and the tree's state. O(tables).
    pub fn metrics(&self) -> Metrics {
        self.db().metrics()
    }

    /// Describes the index of every table: what it is, what was measured when it was built and what
    /// was observed of it since; with the sums of each level, over tables that are gone too.
    /// O(tables).
    pub fn index_registry(&self) -> IndexRegistry {
        self.db().index_registry()
    }

    /// Takes writes again after a failure that stopped them, once its cause is mended: there is
    /// room on the disk again, for one. Writes that failed have then not happened. Does nothing if
    /// writes are taken.
    ///
    /// Nothing of the files that were being written is trusted: the manifest is begun again, and
    /// what is in memory is written to new tables. Writers wait meanwhile. The wait for the tables
    /// may take as long as flushing the memtables.
    ///
    /// # Errors
    /// [`Error::Poisoned`](crate::Error::Poisoned) if the failure cannot be mended while the engine
    /// runs: damage, a lost task, or a failed sync of values. I/O errors, if the cause is not
    /// mended. Either way writes are refused as before.
    pub async fn resume(&self) -> Result<()> {
        self.shared().resume().await
    }

    /// What opening the directory found and did.
    pub fn recovery(&self) -> RecoveryReport {
        self.db().recovery.clone()
    }

    /// All that the engine says of itself now: counters, state, and how long operations took.
    /// O(tables).
    pub fn reading(&self) -> Reading {
        self.db().reading()
    }

    /// Takes a reading, and returns what the engine did in the window that ends with it. Without
    /// [`Telemetry::watch`] the readings are those that this method and [`health`](Self::health)
    /// take: ask once a second for windows of ten seconds. O(tables).
    pub fn window(&self, span: Span) -> Window {
        self.db().window(span)
    }

    /// Takes a reading, and judges the engine's health by the rules of [`Telemetry::health`].
    /// O(tables).
    ///
    /// ```
    /// # use aura_engine::{Engine, EngineBuilder, Health, env::memory::MemoryWorld};
    /// # let world = MemoryWorld::new(2).expect("threads");
    /// # world.block_on(async {
    /// let engine = EngineBuilder::new(world.env(), "/db").open().await?;
    /// assert_eq!(engine.health(), Health::Ok);
    /// # engine.close().await
    /// # })?;
    /// # Ok::<(), aura_engine::Error>(())
    /// ```
    pub fn health(&self) -> Health {
        self.db().observe()
    }

    /// Listens to the events of the engine from now on. The listener has room for `capacity`
    /// events; if it is slower, the oldest are dropped and counted.
    pub fn subscribe(&self, capacity: usize) -> EventListener {
        self.db().core.counters().listen(capacity)
    }

    /// Takes the events since the last call. Of those that nobody takes, the last
    /// [`Telemetry::events`] are kept.
    pub fn take_events(&self) -> Vec<Event> {
        self.db().core.counters().take_events()
    }

    /// The settings in force.
    pub fn config(&self) -> Arc<EngineConfig> {
        self.db().core.config_to_keep()
    }

    /// Changes settings of the running engine: those of [`CHANGEABLE`](crate::CHANGEABLE). Calls
    /// that run see the old ones or the new ones; no answer depends on which.
    ///
    /// ```
    /// # use aura_engine::{Engine, EngineBuilder, env::memory::MemoryWorld};
    /// # use bytesize::ByteSize;
    /// # let world = MemoryWorld::new(2).expect("threads");
    /// # world.block_on(async {
    /// let engine = EngineBuilder::new(world.env(), "/db").open().await?;
    /// let change = engine.reconfigure(|config| config.cache.size = ByteSize::mib(1));
    /// change.await?;
    /// assert_eq!(engine.config().cache.size, ByteSize::mib(1));
    /// let fixed = engine.reconfigure(|config| config.value_log.queues = 2).await;
    /// assert!(fixed.expect_err("fixed").to_string().starts_with("setting value_log.queues: "));
    /// # engine.close().await
    /// # })?;
    /// # Ok::<(), aura_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) for a fixed setting or a value out of range,
    /// [`Error::Policy`](crate::Error::Policy), or I/O errors; then nothing has changed.
    pub async fn reconfigure(
        &self,
        change: impl FnOnce(&mut EngineConfig) + Send + 'static,
    ) -> Result<()> {
        self.shared().reconfigure(change).await
    }

    /// What the compaction agent has learned so far, as its parameter `model` takes it: in this
    /// database again, or in another one. `None` if it learns nothing that lasts.
    ///
    /// ```
    /// # use aura_engine::{Engine, EngineBuilder, EngineConfig, env::memory::MemoryWorld};
    /// use aura_policies::PolicySpec;
    ///
    /// # let world = MemoryWorld::new(2).expect("threads");
    /// # world.block_on(async {
    /// let mut config = EngineConfig::default();
    /// config.compaction.agent = PolicySpec::named("fit");
    /// let engine = EngineBuilder::new(world.env(), "/db").config(config.clone()).open().await?;
    /// let learned = engine.learned().await.expect("`fit` learns");
    /// engine.close().await?;
    ///
    /// // Such an object is also what a file of `aura train` holds.
    /// let frozen = PolicySpec::named("fit").with("model", learned.clone()).with("learn", false);
    /// config.compaction.agent = frozen;
    /// let engine = EngineBuilder::new(world.env(), "/db").config(config).open().await?;
    /// assert_eq!(engine.learned().await, Some(learned));
    /// # engine.close().await
    /// # })?;
    /// # Ok::<(), aura_engine::Error>(())
    /// ```
    pub async fn learned(&self) -> Option<serde_json::Value> {
        let agent = self.db().core.policies().agent.clone();
        let agent = agent.lock().await;
        agent.save()
    }

    /// Makes an openable copy of the database in `directory`, which is absent or empty. The copy is
    /// the state at one moment during the call; every write acknowledged before the call is in it.
    /// Files that never change again are shared by hard links if the file system can. Writes go on
    /// meanwhile.
    ///
    /// # Errors
    /// A target that cannot take a checkpoint, and I/O errors.
    pub async fn checkpoint(&self, directory: &Path) -> Result<CheckpointReport> {
        self.shared().checkpoint(directory).await
    }

    /// Checks every checksum, the order of every level and every value pointer, and measures what
    /// can be reached. Reads the whole database.
    ///
    /// # Errors
    /// A closed engine, and I/O errors while the moment to check is taken. Damage is in the report.
    pub async fn verify(&self) -> Result<VerifyReport> {
        self.shared().verify().await
    }
}

impl Engine for AuraEngine {
    type Scan = Scan;

    async fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        let core = &self.db().core;
        let timing = core.begin(TimedOperation::Get);
        let value = self.db().reader.get(key, None).await;
        core.end(&timing);
        value
    }

    async fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        let core = &self.db().core;
        let timing = core.begin(TimedOperation::Put);
        let put = self.db().commits.put(key, value).await;
        core.end(&timing);
        put
    }

    async fn delete(&self, key: &[u8]) -> Result<()> {
        let mut batch = Batch::with_capacity(key.len() + 8);
        batch.delete(key)?;
        self.db().write_timed(TimedOperation::Delete, batch).await
    }

    async fn delete_range(&self, range: Range) -> Result<()> {
        let mut batch = Batch::new();
        batch.delete_range(&range)?;
        self.db().write_timed(TimedOperation::Delete, batch).await
    }

    async fn write(&self, batch: Batch) -> Result<()> {
        self.db().write_timed(TimedOperation::Batch, batch).await
    }

    fn scan(&self, range: Range, direction: Direction) -> Scan {
        self.db().reader.scan(range, direction)
    }

    async fn flush(&self) -> Result<()> {
        self.shared().flush().await
    }

    async fn compact(&self) -> Result<()> {
        self.shared().compact().await
    }

    async fn close(&self) -> Result<()> {
        self.shared().close().await
    }
}

impl Cursor for Scan {
    async fn next(&mut self) -> Result<Option<(Key, Value)>> {
        Scan::next(self).await
    }

    fn limit(self, rows: usize) -> Self {
        Scan::limit(self, rows)
    }
}
