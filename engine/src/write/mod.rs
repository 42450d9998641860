//! THE WRITE PATH: separate -> value log -> WAL -> memtable -> seal.
//!
//! ```text
//! batch ─ stage: large values are framed ─ queue ─ commit group
//! group ─┬─ make room: stall, seal
//!        ├─ values ─▶ value log, so that pointers are final
//!        ├─ records ─▶ WAL ─ sync by policy
//!        └─ entries ─▶ memtable ─ publish
//! ```
//!
//! Writers that arrive while a commit group is being written form the next one. The first of them
//! leads it: it appends everybody's values, then everybody's records in one append, syncs by
//! policy, inserts into the memtable, publishes the last sequence number and answers the others.
//! What a writer can do alone (compressing and framing values) it does before it joins, outside any
//! lock.
//!
//! The order that keeps a crash harmless: value files are synced before the WAL record that points
//! into them is, and nothing is published before its record is as durable as the policy asks. When
//! an append or a sync fails, the end of the log is unknown, so the engine takes no further write
//! until it is reopened.
//!
//! - [`staged`] frames large values; [`group`] commits the writers that wait, as one.
//! - [`log`] is what a group appends to; [`seal`] ends a memtable and its log.
//! - [`stall`] makes writers wait when the background cannot keep up.

mod group;
mod log;
mod seal;
mod staged;
mod stall;

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;

use self::group::{CommitQueue, LEADING, Request};
pub(crate) use self::log::Log;
use self::staged::Staged;
use crate::compaction::Scheduler;
use crate::config::SyncPolicy;
use crate::env::CpuWork;
use crate::error::{Error, Result};
use crate::state::{Core, Lifecycle, Tree};
use crate::storage::{Batch, check_key, check_value};
use crate::sync::lock;

/// The writers that wait, and the logs they are written to.
pub(crate) struct CommitPipeline {
    core: Arc<Core>,
    tree: Arc<Tree>,
    lifecycle: Arc<Lifecycle>,
    scheduler: Arc<Scheduler>,
    /// Whether each commit waits for the device (`wal.sync = "always"`).
    syncs_always: bool,
    /// Writers waiting for the next commit group. Held for a few steps.
    queue: Mutex<CommitQueue>,
    /// Values separated since the engine was opened.
    separated: AtomicU64,
    /// Held by the leader of a commit group, and while a moment between two groups is taken.
    log: tokio::sync::Mutex<Log>,
}

impl CommitPipeline {
    /// A pipeline that goes on with `log`.
    pub(crate) fn new(
        core: Arc<Core>,
        tree: Arc<Tree>,
        lifecycle: Arc<Lifecycle>,
        scheduler: Arc<Scheduler>,
        log: Log,
    ) -> Self {
        Self {
            syncs_always: core.config().wal.sync == SyncPolicy::Always,
            core,
            tree,
            lifecycle,
            scheduler,
            queue: Mutex::new(CommitQueue::default()),
            separated: AtomicU64::new(0),
            log: tokio::sync::Mutex::new(log),
        }
    }

    /// Commits a batch.
    pub(crate) async fn write(self: &Arc<Self>, batch: Batch) -> Result<()> {
        self.lifecycle.check_writable()?;
        if batch.is_empty() {
            return Ok(());
        }
        let mut work = CpuWork {
            operations: 1,
            ..CpuWork::default()
        };
        let staged = self.stage(batch, &mut work);
        self.commit_staged(staged, &work).await
    }

    /// Sets `key` to `value`: a batch of one, without the copy of a large value that a batch makes.
    pub(crate) async fn put(self: &Arc<Self>, key: &[u8], value: &[u8]) -> Result<()> {
        if !self.separates(key.len(), value.len()) {
            let mut batch = Batch::with_capacity(key.len() + value.len() + 16);
            batch.put(key, value)?;
            return self.write(batch).await;
        }
        self.lifecycle.check_writable()?;
        check_key(key)?;
        check_value(value)?;
        let mut work = CpuWork {
            operations: 1,
            ..CpuWork::default()
        };
        let staged = self.stage_one(key, value, &mut work);
        self.commit_staged(staged, &work).await
    }

    /// Joins the next commit group, leads it if nobody does, and waits for its result.
    async fn commit_staged(self: &Arc<Self>, staged: Staged, work: &CpuWork) -> Result<()> {
        let writes = staged.writes();
        self.core.env().clock.charge(work);
        let (tx, mut rx) = oneshot::channel();
        let is_leader = lock(&self.queue).join(Request { staged, tx });
        if is_leader {
            self.begin_commit().await;
        }
        self.core.count_operations(writes.into());
        // A leader that had nothing to wait for has its answer.
        if let Ok(result) = rx.try_recv() {
            return result;
        }
        // Every request is answered, but those of a group whose leader was lost.
        rx.await
            .unwrap_or(Err(Error::Interrupted { work: LEADING }))
    }
}
