//! A split database as its users see it.

use std::path::PathBuf;
use std::sync::Arc;

use super::Split;
use super::log::SplitCounts;
use super::moment::Pair;
use super::open::Opening;
use super::parts::Halves;
use super::scan::SplitScan;
use crate::admin::verify::VerifyReport;
use crate::config::EngineConfig;
use crate::db::api::{AuraEngine, Engine};
use crate::env::{BoxFuture, Env, join_all};
use crate::error::Result;
use crate::metrics::{
    Event, EventListener, Health, Metrics, Reading, Span, Telemetry, TimedOperation, Window,
};
use crate::models::IndexRegistry;
use crate::recovery::RecoveryReport;
use crate::state::{Length, Lifecycle, in_task};
use crate::storage::{Batch, Direction, Range, Value};

/// Opens a split database in a directory: two engines under one log.
///
/// Each key belongs to one of two sides, by its hash. Each side has settings, a cache, memtables,
/// compactions and an I/O limit of its own; one log makes a batch over both atomic.
///
/// ```
/// use aura_engine::env::memory::MemoryWorld;
/// use aura_engine::{Batch, Engine, EngineConfig, SplitBuilder};
/// use bytesize::ByteSize;
///
/// let world = MemoryWorld::new(2).expect("threads");
/// world.block_on(async {
///     let usual = EngineConfig::default();
///     let mut tried = usual.clone();
///     tried.cache.size = ByteSize::mib(1);
///     let builder = SplitBuilder::new(world.env(), "/db").sides([usual, tried]);
///     let engine = builder.open().await?;
///     let mut batch = Batch::new();
///     batch.put(b"apple", b"red")?;
///     batch.put(b"banana", b"yellow")?;
///     batch.put(b"cherry", b"black")?;
///     engine.write(batch).await?;
///     assert_eq!(engine.get(b"banana").await?.as_deref(), Some(&b"yellow"[..]));
///     let puts = engine.sides().map(|side| side.metrics().counts.puts);
///     assert_eq!(puts.iter().sum::<u64>(), 3);
///     engine.close().await
/// })?;
/// # Ok::<(), aura_engine::Error>(())
/// ```
pub struct SplitBuilder {
    opening: Opening,
}

impl SplitBuilder {
    /// Prepares a split database in `directory` of the world `env`, with default settings on both
    /// sides.
    pub fn new(env: Env, directory: impl Into<PathBuf>) -> Self {
        Self {
            opening: Opening {
                env,
                directory: directory.into(),
                configs: [EngineConfig::default(), EngineConfig::default()],
                hash_seed: None,
                telemetry: [Telemetry::default(), Telemetry::default()],
            },
        }
    }

    /// Takes other settings for the sides. Each budget in them is that of one side: the cache, the
    /// memtable, the I/O limit, the open files. `wal.sync` is about the one log, and must be equal.
    #[must_use]
    pub fn sides(mut self, configs: [EngineConfig; 2]) -> Self {
        self.opening.configs = configs;
        self
    }

    /// Divides the keys by another seed of the hash, in a new directory. An existing one must have
    /// that seed. Without this call it is 0, or what the directory says. The highest bit does not
    /// count.
    #[must_use]
    pub fn hash_seed(mut self, seed: u64) -> Self {
        self.opening.hash_seed = Some(seed);
        self
    }

    /// Takes other settings of what each side observes of itself.
    #[must_use]
    pub fn telemetry(mut self, telemetry: [Telemetry; 2]) -> Self {
        self.opening.telemetry = telemetry;
        self
    }

    /// Opens the directory, creating it if it is not there; recovers what a crash left.
    ///
    /// Dropping the future leaves the directory as the end of the process would.
    ///
    /// # Errors
    /// [`Error::Split`](crate::Error::Split) for a database that is not split, a side, or other
    /// halves; settings out of range, a directory in use, I/O errors, and corruption with file and
    /// offset.
    pub async fn open(self) -> Result<SplitEngine> {
        let split = self.opening.open().await?;
        Ok(SplitEngine {
            handle: Arc::new(Handle { split }),
        })
    }
}

/// An open split database. Clones share it; dropping the last one stops its background work, and
/// `close` waits for that.
///
/// A batch over both sides is visible and recovered whole or not at all. Writers of both sides wait
/// for the background of either. After a failure, of a side too, no write is taken until the
/// database is opened again.
#[derive(Clone)]
pub struct SplitEngine {
    handle: Arc<Handle>,
}

struct Handle {
    split: Arc<Split>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.split.abandon();
    }
}

impl SplitEngine {
    fn split(&self) -> &Arc<Split> {
        &self.handle.split
    }

    /// The two sides.
    pub fn sides(&self) -> [SplitSide; 2] {
        self.split()
            .sides
            .clone()
            .map(|engine| SplitSide { engine })
    }

    /// The number of the side that `key` belongs to: 0 or 1.
    pub fn side_of(&self, key: &[u8]) -> usize {
        self.split().halves.side_of(key)
    }

    /// The state of this moment, readable for as long as it is held. Each batch is in it whole, or
    /// not at all.
    pub fn snapshot(&self) -> SplitSnapshot {
        let split = self.split();
        SplitSnapshot {
            halves: split.halves,
            lifecycle: split.lifecycle.clone(),
            pair: split.published.pair(),
        }
    }

    /// What the log that both sides share counts since the database was opened.
    pub fn counts(&self) -> SplitCounts {
        self.split().log.counts()
    }

    /// Bytes of the log files on disk. O(files).
    ///
    /// # Errors
    /// I/O errors.
    pub fn log_bytes(&self) -> Result<u64> {
        self.split().log.bytes()
    }

    /// What opening the directory found in the logs.
    pub fn recovery(&self) -> RecoveryReport {
        self.split().recovery.clone()
    }

    /// Waits until nothing is left to flush, compact or collect on either side. The active
    /// memtables are not flushed.
    ///
    /// # Errors
    /// The failure that stopped background work.
    pub async fn wait_idle(&self) -> Result<()> {
        self.on_both(|side| async move { side.wait_idle().await })
            .await
    }

    /// Empties the caches of both sides. O(objects).
    pub fn drop_cache(&self) {
        self.split().sides.iter().for_each(AuraEngine::drop_cache);
    }

    /// Does `work` on both sides at the same time.
    async fn on_both<F>(&self, work: impl Fn(AuraEngine) -> F) -> Result<()>
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let both = self.split().sides.iter().cloned();
        let both = both.map(|side| -> BoxFuture<'static, Result<()>> { Box::pin(work(side)) });
        join_all(both.collect()).await.into_iter().collect()
    }

    /// Commits a batch, which is an operation of the kind `operation` on the sides that it touches.
    async fn commit(&self, operation: TimedOperation, batch: Batch) -> Result<()> {
        let split = self.split();
        let writes = batch.len() as u32;
        let parts = split.halves.divide(batch.into_body(), writes);
        let parts = parts.expect("a batch is well formed");
        let touched = [parts.sides[0].is_some(), parts.sides[1].is_some()];
        let begin = |side: usize| touched[side].then(|| split.sides[side].begin(operation));
        let timings = [begin(0), begin(1)];
        let committed = split.commit(parts).await;
        for (side, timing) in split.sides.iter().zip(&timings) {
            timing.iter().for_each(|timing| side.end(timing));
        }
        committed
    }
}

impl Engine for SplitEngine {
    type Scan = SplitScan;

    async fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        self.split().get(key).await
    }

    async fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        let mut batch = Batch::with_capacity(Batch::put_bytes(key.len(), value.len()));
        batch.put(key, value)?;
        self.commit(TimedOperation::Put, batch).await
    }

    async fn delete(&self, key: &[u8]) -> Result<()> {
        let mut batch = Batch::with_capacity(key.len() + 8);
        batch.delete(key)?;
        self.commit(TimedOperation::Delete, batch).await
    }

    async fn delete_range(&self, range: Range) -> Result<()> {
        let mut batch = Batch::new();
        batch.delete_range(&range)?;
        self.commit(TimedOperation::Delete, batch).await
    }

    async fn write(&self, batch: Batch) -> Result<()> {
        self.commit(TimedOperation::Batch, batch).await
    }

    fn scan(&self, range: Range, direction: Direction) -> SplitScan {
        let split = self.split();
        SplitScan::new(&split.published.pair(), &split.lifecycle, range, direction)
    }

    /// Writes what is in the memory of both sides to tables, and removes the log files that are
    /// needed no more.
    async fn flush(&self) -> Result<()> {
        let split = self.split();
        split.check_writable()?;
        self.on_both(|side| async move { side.flush().await })
            .await?;
        let shared = split.clone();
        let shorten = async move { shared.log.remove_unneeded(&shared.sides).await };
        in_task(&split.env, &split.lifecycle, "logs", Length::Short, shorten).await
    }

    async fn compact(&self) -> Result<()> {
        self.split().check_writable()?;
        self.on_both(|side| async move { side.compact().await })
            .await
    }

    async fn close(&self) -> Result<()> {
        self.split().close().await
    }
}

/// A view of a split database at one moment: of both sides, between two batches.
#[derive(Clone)]
pub struct SplitSnapshot {
    halves: Halves,
    lifecycle: Arc<Lifecycle>,
    pair: Arc<Pair>,
}

impl SplitSnapshot {
    /// The value of `key` at the snapshot's moment; None if the key had no value.
    ///
    /// # Errors
    /// Those of [`Engine::get`].
    pub async fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        self.pair[self.halves.side_of(key)].get(key).await
    }

    /// Scans the rows of `range` at the snapshot's moment.
    pub fn scan(&self, range: Range, direction: Direction) -> SplitScan {
        SplitScan::new(&self.pair, &self.lifecycle, range, direction)
    }
}

/// One side of an open split database: to be watched and set, not to be written to.
#[derive(Clone)]
pub struct SplitSide {
    engine: AuraEngine,
}

impl SplitSide {
    /// A copy of the side's counters and the state of its tree. O(tables).
    ///
    /// Its log counters stay 0: see [`SplitEngine::counts`]. What opening found in the logs counts
    /// for no operation of it.
    pub fn metrics(&self) -> Metrics {
        self.engine.metrics()
    }

    /// All that the side says of itself now. O(tables).
    pub fn reading(&self) -> Reading {
        self.engine.reading()
    }

    /// Takes a reading, and returns what the side did in the window that ends with it. O(tables).
    pub fn window(&self, span: Span) -> Window {
        self.engine.window(span)
    }

    /// Takes a reading, and judges the side's health. O(tables).
    pub fn health(&self) -> Health {
        self.engine.health()
    }

    /// Listens to the side's events from now on, with room for `capacity` of them.
    pub fn subscribe(&self, capacity: usize) -> EventListener {
        self.engine.subscribe(capacity)
    }

    /// Takes the side's events since the last call.
    pub fn take_events(&self) -> Vec<Event> {
        self.engine.take_events()
    }

    /// Describes the index of every table of the side. O(tables).
    pub fn index_registry(&self) -> IndexRegistry {
        self.engine.index_registry()
    }

    /// The side's settings in force. `wal.sync` is `never`: the log is not its own.
    pub fn config(&self) -> Arc<EngineConfig> {
        self.engine.config()
    }

    /// Changes settings of the side while it runs, as [`AuraEngine::reconfigure`].
    ///
    /// # Errors
    /// Those of [`AuraEngine::reconfigure`].
    pub async fn reconfigure(
        &self,
        change: impl FnOnce(&mut EngineConfig) + Send + 'static,
    ) -> Result<()> {
        self.engine.reconfigure(change).await
    }

    /// Checks every checksum of the side, the order of every level and every value pointer. The log
    /// is not its own, and is not checked.
    ///
    /// # Errors
    /// Those of [`AuraEngine::verify`].
    pub async fn verify(&self) -> Result<VerifyReport> {
        self.engine.verify().await
    }
}
