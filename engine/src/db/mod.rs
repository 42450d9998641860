//! The engine put together.
//!
//! - [`api`] is what its users see, and [`Db`] what they call.
//! - [`open`] opens a directory, [`close`] closes it.
//! - [`background`] runs what is due; [`merge_all`] merges everything when a user asks.
//! - [`retry`] tries failed work again, and goes on after a failure.
//! - [`agent`] shows an agent each window of operations, and [`actions`] carries out what it
//!   decides.
//! - [`side`] is what a split database asks of its two engines.
//! - [`self_tuning`] lets a self-tuner change settings, within bounds. [`windows`] is what both see
//!   of a window.
//! - [`figures`] reads the counters and the tree for `metrics`.
//!
//! The order of locks is at the head of `state/mod.rs`.

mod actions;
mod agent;
pub(crate) mod api;
mod background;
mod close;
mod figures;
mod merge_all;
mod open;
mod retry;
mod self_tuning;
pub(crate) mod side;
mod windows;

use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::admin::checkpoint::{Checkpoint, CheckpointReport};
use crate::admin::verify::{self, VerifyReport};
use crate::compaction::Scheduler;
use crate::config::EngineConfig;
use crate::error::Result;
use crate::metrics::TimedOperation;
use crate::read::Reader;
use crate::recovery::RecoveryReport;
use crate::state::{Core, Length, Lifecycle, Tree, in_task};
use crate::storage::Batch;
use crate::write::CommitPipeline;

/// One open engine: its parts, and the calls that need more than one of them.
struct Db {
    core: Arc<Core>,
    tree: Arc<Tree>,
    commits: Arc<CommitPipeline>,
    scheduler: Arc<Scheduler>,
    lifecycle: Arc<Lifecycle>,
    reader: Reader,
    /// Held by the task that merges everything, so that one does at a time.
    merging: tokio::sync::Mutex<()>,
    /// What is known of its past, and its health. Held while a reading is added.
    watch: Mutex<figures::Watch>,
    /// What opening it found and did.
    recovery: RecoveryReport,
}

impl Db {
    /// Runs `work` in a task of the engine and waits for its result.
    async fn in_task<T, F>(
        self: &Arc<Self>,
        name: &'static str,
        length: Length,
        work: impl FnOnce(Arc<Self>) -> F,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let work = work(self.clone());
        in_task(self.core.env(), &self.lifecycle, name, length, work).await
    }

    /// Commits a batch, which may be one of those that are timed.
    async fn write_timed(&self, operation: TimedOperation, batch: Batch) -> Result<()> {
        let timing = self.core.begin(operation);
        let written = self.commits.write(batch).await;
        self.core.end(&timing);
        written
    }

    /// Takes other settings. Those in the directory are replaced first.
    ///
    /// # Errors
    /// A fixed setting, a policy that cannot be built, a value out of range, or I/O errors; then
    /// nothing has changed.
    async fn reconfigure(
        self: &Arc<Self>,
        change: impl FnOnce(&mut EngineConfig) + Send + 'static,
    ) -> Result<()> {
        self.lifecycle.check_open()?;
        self.lifecycle.check_not_read_only()?;
        self.in_task("reconfigure", Length::Short, |db| async move {
            db.core.reconfigure(change).await?;
            db.scheduler.settings_changed();
            Ok(())
        })
        .await
    }

    /// Seals the active memtable and waits until everything sealed is flushed.
    async fn flush(self: &Arc<Self>) -> Result<()> {
        self.lifecycle.check_writable()?;
        let sealing = self.in_task("seal", Length::Short, |db| async move {
            db.commits.seal_active().await
        });
        let newest = sealing.await?;
        self.scheduler.wait_until_flushed(newest).await
    }

    /// Makes a copy of the database in `target`.
    async fn checkpoint(self: &Arc<Self>, target: &Path) -> Result<CheckpointReport> {
        self.lifecycle.check_writable()?;
        let target = target.to_owned();
        self.in_task("checkpoint", Length::Long, |db| async move {
            let checkpoint = Checkpoint {
                core: &db.core,
                tree: &db.tree,
                commits: &db.commits,
                scheduler: &db.scheduler,
                lifecycle: &db.lifecycle,
                target: &target,
            };
            checkpoint.make().await
        })
        .await
    }

    /// Reads everything and checks it. The cache stays as it is.
    async fn verify(self: &Arc<Self>) -> Result<VerifyReport> {
        self.lifecycle.check_open()?;
        // In a task: writers wait while the moment is taken.
        let taken = self.in_task("verify", Length::Short, |db| async move {
            verify::take_moment(&db.core, &db.tree, &db.commits, &db.lifecycle).await
        });
        verify::check_open_engine(&self.core, &self.tree, taken.await?).await
    }
}
