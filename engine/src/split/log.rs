//! The log of a split database: records of both sides, in files that follow one another.
//!
//! The files are those of [`crate::wal`]. A file that is long enough is synced and closed, and the
//! next one follows it. A closed file is removed once both sides have in tables what it holds: the
//! memtables that took writes when it was closed, and those before them, are gone. That the logs
//! begin later is first made durable in the marker: a crash may bring a removed name back, and then
//! the order of the files would have a hole.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::format::SplitMarker;
use super::parts::Parts;
use crate::config::SyncPolicy;
use crate::db::api::AuraEngine;
use crate::directory::{FileKind, Files, SPLIT};
use crate::env::{BoxFuture, CpuWork, Env};
use crate::error::{Error, Result};
use crate::state::Lifecycle;
use crate::storage::Sequence;
use crate::sync::lock;
use crate::values::DurableValues;
use crate::wal::format::Record;
use crate::wal::{LogPart, WalWriter};
use crate::write::{LogAbove, Request};

/// Closed logs after which a side that still needs the oldest is flushed.
const CLOSED_MAX: usize = 2;

/// What the log of a split database counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct SplitCounts {
    /// Batches committed.
    pub batches: u64,
    /// Groups in which they were committed.
    pub groups: u64,
    /// Bytes appended to the log.
    pub log_bytes: u64,
    /// Syncs of the log.
    pub log_syncs: u64,
    /// Log files closed because they were long enough.
    pub logs_closed: u64,
    /// Closed log files that both sides needed no more.
    pub logs_removed: u64,
    /// Flushes of a side because it kept old log files from being removed.
    pub flushes_for_log: u64,
}

/// The counters behind [`SplitCounts`].
#[derive(Default)]
struct Counters {
    batches: AtomicU64,
    groups: AtomicU64,
    log_bytes: AtomicU64,
    log_syncs: AtomicU64,
    logs_closed: AtomicU64,
    logs_removed: AtomicU64,
    flushes_for_log: AtomicU64,
}

fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

/// The file that records are appended to.
struct Writing {
    wal: WalWriter,
    /// The largest sequence number given out. The log's numbers are its own: each side numbers its
    /// entries by itself.
    sequence: Sequence,
    /// When it was last synced, in nanoseconds of the clock.
    synced_at: u64,
}

/// A file that takes no more records.
struct ClosedLog {
    number: u64,
    /// The memtable of each side that took writes when it was closed.
    memtables: [u64; 2],
}

impl ClosedLog {
    /// Whether a side has writes of this log that are in no table.
    fn is_needed_by(&self, side: usize, sides: &[AuraEngine; 2]) -> bool {
        let oldest = sides[side].oldest_memtable();
        oldest.is_some_and(|oldest| oldest <= self.memtables[side])
    }

    fn is_needed(&self, sides: &[AuraEngine; 2]) -> bool {
        (0..2).any(|side| self.is_needed_by(side, sides))
    }
}

/// The log of both sides.
pub(super) struct SharedLog {
    env: Env,
    directory: PathBuf,
    hash_seed: u64,
    lifecycle: Arc<Lifecycle>,
    /// Held by who appends or syncs, across waits for the device, and never while a side is waited
    /// for: a side that seals asks for it. None while the old logs are replayed.
    writing: tokio::sync::Mutex<Option<Writing>>,
    /// The closed files, the oldest first. A leaf.
    closed: Mutex<VecDeque<ClosedLog>>,
    /// Held while files are removed.
    removing: tokio::sync::Mutex<()>,
    counters: Counters,
}

/// Replaces the marker in `directory`. It is durable when this returns.
pub(super) async fn write_marker(env: &Env, directory: &Path, marker: SplitMarker) -> Result<()> {
    let files = Files::of(env);
    let replacement = files
        .write_replacement(directory, SPLIT, &marker.encode())
        .await?;
    replacement.sync().await?;
    replacement.put_in_place()?;
    files.sync_directory(directory).await
}

impl SharedLog {
    /// The log in `directory`, which takes no record yet. All that is logged is durable.
    pub(super) fn new(
        env: Env,
        directory: PathBuf,
        hash_seed: u64,
        lifecycle: Arc<Lifecycle>,
    ) -> Self {
        Self {
            env,
            directory,
            hash_seed,
            lifecycle,
            writing: tokio::sync::Mutex::new(None),
            closed: Mutex::default(),
            removing: tokio::sync::Mutex::default(),
            counters: Counters::default(),
        }
    }

    /// Begins file `number` after the write `sequence`: from now on history begins with it, since
    /// the sides have everything before it in tables.
    pub(super) async fn begin(&self, number: u64, sequence: Sequence) -> Result<()> {
        let (env, directory) = (&self.env, &self.directory);
        let mut wal = WalWriter::create(env, directory, number, sequence + 1, None).await?;
        wal.sync(&DurableValues::carried()).await?;
        Files::of(env).sync_directory(directory).await?;
        self.mark(number, LogPart::default()).await?;
        *self.writing.lock().await = Some(Writing {
            wal,
            sequence,
            synced_at: env.clock.now(),
        });
        Ok(())
    }

    /// Makes it durable that the logs before `first_log` are needed no more.
    async fn mark(&self, first_log: u64, durable: LogPart) -> Result<()> {
        let marker = SplitMarker {
            hash_seed: self.hash_seed,
            first_log,
            durable,
        };
        write_marker(&self.env, &self.directory, marker).await
    }

    /// Appends the batches of a group, in one append, and syncs them as `policy` asks. Returns
    /// whether a file was closed. Every group before this one has been applied to `sides`.
    pub(super) async fn append(
        &self,
        group: &[Request<Parts>],
        policy: SyncPolicy,
        sides: &[AuraEngine; 2],
    ) -> Result<bool> {
        let mut writing = self.writing.lock().await;
        let writing = writing.as_mut().ok_or(Error::Closed)?;
        let closes = writing.wal.bytes() >= sides.iter().map(AuraEngine::memtable_bytes_max).sum();
        if closes {
            let memtables = [sides[0].newest_memtable(), sides[1].newest_memtable()];
            self.close_file(writing, memtables).await?;
        }
        for request in group {
            let batch = &request.staged.whole;
            let mut record = Record {
                sequence: writing.sequence + 1,
                writes: batch.writes,
                synced: 0,
                body: batch.body.clone(),
            };
            writing.sequence += u64::from(batch.writes);
            writing.wal.stage(&mut record);
        }
        let mut work = CpuWork::default();
        let appended = writing.wal.begin_append(&mut work).await;
        let bytes = writing.wal.end_append(appended)?;
        self.env.clock.charge(&work);
        add(&self.counters.batches, group.len() as u64);
        add(&self.counters.groups, 1);
        add(&self.counters.log_bytes, bytes);
        let since = || self.env.clock.now() - writing.synced_at;
        if policy.is_due(writing.wal.unsynced_bytes(), since) {
            self.sync(writing).await?;
        }
        Ok(closes)
    }

    /// Closes the file and begins the next one. What the old one holds is durable before the new
    /// one is there: recovery is to a prefix.
    async fn close_file(&self, writing: &mut Writing, memtables: [u64; 2]) -> Result<()> {
        self.sync(writing).await?;
        let number = writing.wal.number() + 1;
        let (env, first) = (&self.env, writing.sequence + 1);
        let before = Some(&writing.wal);
        let next = WalWriter::create(env, &self.directory, number, first, before).await?;
        Files::of(env).sync_directory(&self.directory).await?;
        let mut old = std::mem::replace(&mut writing.wal, next);
        old.finish();
        lock(&self.closed).push_back(ClosedLog {
            number: old.number(),
            memtables,
        });
        add(&self.counters.logs_closed, 1);
        Ok(())
    }

    /// Makes everything logged so far durable. A failure stops writes.
    async fn sync(&self, writing: &mut Writing) -> Result<()> {
        if writing.wal.unsynced_bytes() > 0 {
            let synced = writing.wal.sync(&DurableValues::carried()).await;
            synced.inspect_err(|error| self.lifecycle.set_poison(error))?;
            add(&self.counters.log_syncs, 1);
        }
        writing.synced_at = self.env.clock.now();
        Ok(())
    }

    /// Removes the oldest closed files as far as no side needs them. One that cannot be removed now
    /// is removed by the next opening.
    ///
    /// # Errors
    /// Those of writing the marker; then nothing is removed.
    pub(super) async fn remove_unneeded(&self, sides: &[AuraEngine; 2]) -> Result<()> {
        let _one_at_a_time = self.removing.lock().await;
        let (gone, first, durable) = {
            let writing = self.writing.lock().await;
            let Some(writing) = &*writing else {
                return Ok(());
            };
            // No file is closed meanwhile.
            let closed = lock(&self.closed);
            let unneeded = closed.iter().take_while(|log| !log.is_needed(sides));
            let gone: Vec<u64> = unneeded.map(|log| log.number).collect();
            let next = closed.get(gone.len());
            let first = next.map_or(writing.wal.number(), |log| log.number);
            (gone, first, writing.wal.durable_part())
        };
        if gone.is_empty() {
            return Ok(());
        }
        self.mark(first, durable).await?;
        lock(&self.closed).drain(..gone.len());
        for number in &gone {
            let path = FileKind::Wal.path(&self.directory, *number);
            let _ = self.env.fs.remove(&path);
        }
        add(&self.counters.logs_removed, gone.len() as u64);
        Ok(())
    }

    /// The sides that keep the oldest closed file, if there are too many.
    fn holders(&self, sides: &[AuraEngine; 2]) -> Vec<usize> {
        let closed = lock(&self.closed);
        let oldest = closed.front().filter(|_| closed.len() > CLOSED_MAX);
        let holds = |side: &usize| oldest.is_some_and(|log| log.is_needed_by(*side, sides));
        (0..2).filter(holds).collect()
    }

    /// Removes closed files, and flushes a side that keeps too many of them.
    pub(super) async fn shorten(&self, sides: &[AuraEngine; 2]) -> Result<()> {
        use crate::db::api::Engine as _;
        loop {
            self.remove_unneeded(sides).await?;
            let holders = self.holders(sides);
            if holders.is_empty() {
                return Ok(());
            }
            for side in holders {
                add(&self.counters.flushes_for_log, 1);
                sides[side].flush().await?;
            }
        }
    }

    /// Makes everything logged so far durable, as a timer asks for it.
    pub(super) async fn sync_by_timer(&self) -> Result<()> {
        self.lifecycle.check_open()?;
        self.sync_all().await
    }

    /// Makes everything logged so far durable, and notes in the marker how far that is: damage to
    /// it is not taken for a torn end. For closing, when nothing else uses the log.
    pub(super) async fn close(&self) -> Result<()> {
        self.sync_all().await?;
        let mut writing = self.writing.lock().await;
        let Some(writing) = writing.as_mut() else {
            return Ok(());
        };
        writing.wal.finish();
        let number = writing.wal.number();
        let first = lock(&self.closed).front().map_or(number, |log| log.number);
        self.mark(first, writing.wal.durable_part()).await
    }

    /// What was counted since the database was opened.
    pub(super) fn counts(&self) -> SplitCounts {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.counters;
        SplitCounts {
            batches: get(&counters.batches),
            groups: get(&counters.groups),
            log_bytes: get(&counters.log_bytes),
            log_syncs: get(&counters.log_syncs),
            logs_closed: get(&counters.logs_closed),
            logs_removed: get(&counters.logs_removed),
            flushes_for_log: get(&counters.flushes_for_log),
        }
    }

    /// Bytes of the log files on disk.
    ///
    /// # Errors
    /// I/O errors.
    pub(super) fn bytes(&self) -> Result<u64> {
        let files = Files::of(&self.env);
        let names = files.list(&self.directory)?;
        let logs = names
            .iter()
            .filter(|name| matches!(FileKind::parse(name), Some((FileKind::Wal, _))));
        logs.map(|name| files.open(&self.directory.join(name))?.bytes())
            .sum()
    }
}

impl LogAbove for SharedLog {
    fn sync_all(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async {
            self.lifecycle.check_sound()?;
            match self.writing.lock().await.as_mut() {
                Some(writing) => self.sync(writing).await,
                None => Ok(()),
            }
        })
    }
}
