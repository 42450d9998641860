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
//! into them is, and nothing is published before its record is as durable as the policy asks. Where
//! each group is synced, records carry their values up to some size, and point at none: then the
//! flush syncs the value files. When an append or a sync fails, the end of the log is unknown, so
//! the engine takes no further write until it is reopened.
//!
//! A writer who finds nobody waiting is a group of one, and commits in its own poll.
//!
//! - [`staged`] frames large values; [`queue`] holds the writers that wait, [`group`] commits them
//!   as one; [`alone`] commits a writer who need not wait.
//! - [`above`] is a log that several engines share, in place of their own.
//! - [`log`] is what a group appends to; [`seal`] ends a memtable and its log.
//! - [`solitude`] decides in which thread a commit waits for its sync.
//! - [`stall`] makes writers wait when the background cannot keep up.

mod above;
mod alone;
mod group;
mod log;
mod queue;
mod seal;
mod solitude;
mod staged;
mod stall;

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use bytes::Bytes;
use tokio::sync::oneshot;

pub(crate) use self::above::{AnyLogAbove, LogAbove};
use self::alone::LoneCommit;
use self::group::Lead;
pub(crate) use self::log::Log;
pub(crate) use self::queue::{CommitQueue, GROUPS_LED_MAX, LEADING, Request};
use self::solitude::Solitude;
use self::staged::Staged;
use crate::compaction::Scheduler;
use crate::config::SyncPolicy;
use crate::env::CpuWork;
use crate::error::{Error, Result};
use crate::latency::Class;
use crate::state::{Core, Lifecycle, Tree};
use crate::storage::{Batch, check_key, check_value};
use crate::sync::lock;

/// Looks at the lead before a writer gives up its thread: a commit without a sync takes about as
/// long as this many, and a change of thread ten times as long. RocksDB's writers wait likewise.
const LOOKS: u32 = 64;

/// Looks after those, each after a yield: the leader may have lost its core to a job of the
/// background.
const YIELDS: u32 = 16;

/// The writers that wait, and the logs they are written to.
pub(crate) struct CommitPipeline {
    core: Arc<Core>,
    tree: Arc<Tree>,
    lifecycle: Arc<Lifecycle>,
    scheduler: Arc<Scheduler>,
    /// The log that takes the records in place of the engine's own.
    above: AnyLogAbove,
    /// Whether each commit waits for the device (`wal.sync = "always"`).
    syncs_always: bool,
    /// Whether those wait in the writer's thread.
    solitude: Solitude,
    /// Writers waiting for the next commit group. Held for a few steps.
    queue: Mutex<CommitQueue<Staged>>,
    /// Values separated since the engine was opened.
    separated: AtomicU64,
    /// Held by the leader of a commit group, and while a moment between two groups is taken.
    log: Arc<tokio::sync::Mutex<Log>>,
}

impl CommitPipeline {
    /// A pipeline that goes on with `log`; its records go to the log `above`, if there is one.
    pub(crate) fn new(
        core: Arc<Core>,
        tree: Arc<Tree>,
        lifecycle: Arc<Lifecycle>,
        scheduler: Arc<Scheduler>,
        log: Log,
        above: AnyLogAbove,
    ) -> Self {
        Self {
            syncs_always: core.config().wal.sync == SyncPolicy::Always,
            solitude: Solitude::new(),
            core,
            tree,
            lifecycle,
            scheduler,
            above,
            queue: Mutex::new(CommitQueue::default()),
            separated: AtomicU64::new(0),
            log: Arc::new(tokio::sync::Mutex::new(log)),
        }
    }

    /// Commits a batch.
    pub(crate) async fn write(self: &Arc<Self>, batch: Batch) -> Result<()> {
        let writes = batch.len() as u32;
        self.write_body(batch.into_body(), writes).await
    }

    /// Commits an encoded batch of `writes` writes.
    pub(crate) async fn write_body(self: &Arc<Self>, body: Bytes, writes: u32) -> Result<()> {
        self.lifecycle.check_writable()?;
        if writes == 0 {
            return Ok(());
        }
        let mut work = CpuWork {
            operations: 1,
            ..CpuWork::default()
        };
        let staged = self.stage(body, writes, &mut work);
        self.commit_staged(staged, &work).await
    }

    /// Sets `key` to `value`: a batch of one, without the copy of a large value that a batch makes.
    pub(crate) async fn put(self: &Arc<Self>, key: &[u8], value: &[u8]) -> Result<()> {
        if !self.separates(key.len(), value.len()) {
            let mut batch = Batch::with_capacity(Batch::put_bytes(key.len(), value.len()));
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

    /// Commits alone if nobody else does; otherwise joins the next commit group. Waits for the
    /// result.
    async fn commit_staged(self: &Arc<Self>, staged: Staged, work: &CpuWork) -> Result<()> {
        let writes = staged.writes();
        let begun = self.core.begin_timing();
        self.core.env().clock.charge(work);
        let answer = match !self.syncs_always && self.lead_soon() {
            true => match self.begin_alone(Lead::begin(self), staged) {
                Ok(commit) => self.commit_alone(commit).await,
                Err(refused) => {
                    let (lead, staged) = *refused;
                    self.join(staged, Some(lead)).await
                }
            },
            false => self.join(staged, None).await,
        };
        self.core.count_operations(writes.into());
        let result = answer.result().await;
        self.core.end_timing(Class::Write, begun, work);
        result
    }

    /// Takes the lead, if nobody has it or it ends in a moment. Returns whether it did.
    fn lead_soon(&self) -> bool {
        if lock(&self.queue).lead_alone() {
            return true;
        }
        if !self.core.env().tasks.has_threads() {
            return false;
        }
        (0..LOOKS + YIELDS).any(|look| {
            match look < LOOKS {
                true => std::hint::spin_loop(),
                false => std::thread::yield_now(),
            }
            let queue = self.queue.try_lock();
            queue.is_ok_and(|mut queue| queue.lead_alone())
        })
    }

    /// Commits one writer, and then, as its leader, those who came meanwhile. If there is something
    /// to wait for, a task goes on.
    async fn commit_alone(&self, mut commit: LoneCommit) -> Answer {
        let polled = std::future::poll_fn(|context| Poll::Ready(commit.poll(context))).await;
        let Poll::Ready(result) = polled else {
            let (tx, rx) = oneshot::channel();
            let task = Box::pin(commit.go_on(tx));
            self.core.env().tasks.spawn_on_thread("commit", task);
            return Answer::Later(rx);
        };
        let lead = commit.into_lead();
        if lock(&self.queue).end_lead() {
            lead.end();
        } else {
            self.begin_commit(lead).await;
        }
        Answer::Now(result)
    }

    /// Joins the next commit group, and leads it with `lead`, or if nobody does.
    async fn join(self: &Arc<Self>, staged: Staged, lead: Option<Lead>) -> Answer {
        let (tx, rx) = oneshot::channel();
        let is_leader = lock(&self.queue).join(Request { staged, tx });
        if let Some(lead) = lead.or_else(|| is_leader.then(|| Lead::begin(self))) {
            self.begin_commit(lead).await;
        }
        Answer::Later(rx)
    }
}

/// The result of a commit, or where it will arrive.
enum Answer {
    Now(Result<()>),
    Later(oneshot::Receiver<Result<()>>),
}

impl Answer {
    /// Waits for the result, unless it is there.
    async fn result(self) -> Result<()> {
        match self {
            Self::Now(result) => result,
            Self::Later(mut rx) => match rx.try_recv() {
                // A leader that had nothing to wait for has its answer.
                Ok(result) => result,
                // Every request is answered, but those of a group whose leader was lost.
                Err(_) => rx
                    .await
                    .unwrap_or(Err(Error::Interrupted { work: LEADING })),
            },
        }
    }
}
