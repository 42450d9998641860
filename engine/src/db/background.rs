//! What runs in the background: one task flushes, `compaction.jobs` tasks compact, one collects
//! value files, one asks the agent ([`super::agent`]), one the self-tuner
//! ([`super::self_tuning`]), one syncs on a timer.

use std::pin::Pin;
use std::sync::{Arc, Weak};

use tokio::sync::futures::Notified;

use super::Db;
use super::agent::ask_agent;
use super::retry::Attempts;
use super::self_tuning::tune_itself;
use crate::compaction::{Collector, Flusher};
use crate::config::SyncPolicy;
use crate::env::Clock;
use crate::error::{Error, Result};
use crate::state::{Task, Uncut};
use crate::write::CommitPipeline;

impl Db {
    /// Starts the tasks of an engine.
    ///
    /// # Errors
    /// [`Error::Closed`] if the engine is being closed.
    pub(super) fn start(self: &Arc<Self>) -> Result<()> {
        self.scheduler.refresh_debt();
        self.core.begin_limiting_io();
        self.start_loop("flush", flushes)?;
        for _ in 0..self.core.config().compaction.jobs {
            self.start_loop("compaction", compactions)?;
        }
        self.start_loop("collection", collections)?;
        if self.core.policies().agent_is_active {
            self.start_loop("agent", ask_agent)?;
        }
        if self.core.policies().self_tuner_is_active {
            self.start_loop("self-tuning", tune_itself)?;
        }
        if let SyncPolicy::Interval(interval) = self.core.config().wal.sync {
            let nanos = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX);
            // A timer outlives a closed engine by at most one interval: closing does not wait.
            let clock = self.core.env().clock.clone();
            let timer = sync_by_timer(Arc::downgrade(&self.commits), clock, nanos);
            self.core.env().tasks.spawn("sync", Box::pin(timer));
        }
        if let Some(interval) = self.core.telemetry().watch {
            let nanos = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX);
            // It holds nothing while it waits, so that closing does not wait for it either.
            let clock = self.core.env().clock.clone();
            let watch = watch_by_timer(Arc::downgrade(self), clock, nanos.max(1));
            self.core.env().tasks.spawn("watch", Box::pin(watch));
        }
        Ok(())
    }

    /// Starts a task that runs until the engine is closed. A failure stops writes, not reads, and
    /// the task goes on once writes are taken again.
    fn start_loop<F>(self: &Arc<Self>, name: &'static str, work: fn(Arc<Self>) -> F) -> Result<()>
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let task = Task::begin(&self.lifecycle)?;
        let db = self.clone();
        let run = async move {
            let _task = task;
            let uncut = Uncut::new(&db.lifecycle, name);
            while let Err(error) = work(db.clone()).await {
                // One that was refused because of a failure is no failure of its own.
                if !matches!(error, Error::Closed | Error::Poisoned { .. }) {
                    db.lifecycle.set_poison(&error);
                }
                if db.lifecycle.wait_until_sound().await.is_err() {
                    break;
                }
            }
            uncut.ended();
        };
        self.core.env().tasks.spawn(name, Box::pin(run));
        Ok(())
    }

    /// Flushes the oldest sealed memtable. Returns whether there was one.
    async fn flush_one(&self) -> Result<bool> {
        let Some(oldest) = self.tree.load().sealed.last().cloned() else {
            return Ok(false);
        };
        self.scheduler.begin_flush(oldest.wal);
        let flusher = Flusher {
            core: &self.core,
            tree: &self.tree,
        };
        let result = flusher.flush(&oldest).await;
        self.scheduler.end_flush();
        result.map(|()| true)
    }

    /// Does the most urgent compaction. Returns whether one was due.
    async fn compact_one(&self) -> Result<bool> {
        let Some(job) = self.scheduler.next_compaction() else {
            return Ok(false);
        };
        self.run_compaction(&job).await.map(|()| true)
    }

    /// Collects value files. Returns whether any were.
    async fn collect_one(&self) -> Result<bool> {
        let collector = Collector {
            core: &self.core,
            tree: &self.tree,
            lifecycle: &self.lifecycle,
            scheduler: &self.scheduler,
        };
        collector.collect_one().await
    }

    /// Waits for `due`, which was enabled before the look for work: a notice between the two is not
    /// lost.
    async fn wait_for_work(&self, due: Pin<&mut Notified<'_>>) {
        if !self.lifecycle.is_closing() {
            due.await;
        }
    }
}

async fn flushes(db: Arc<Db>) -> Result<()> {
    let mut attempts = Attempts::default();
    while !db.lifecycle.is_closing() {
        let due = db.lifecycle.signals().next_work();
        tokio::pin!(due);
        due.as_mut().enable();
        let ended = db.flush_one().await;
        if !db.retried("flush", &mut attempts, ended).await? {
            db.wait_for_work(due).await;
        }
    }
    Ok(())
}

async fn compactions(db: Arc<Db>) -> Result<()> {
    let mut attempts = Attempts::default();
    while !db.lifecycle.is_closing() {
        let due = db.lifecycle.signals().next_work();
        tokio::pin!(due);
        due.as_mut().enable();
        let ended = db.compact_one().await;
        if !db.retried("compaction", &mut attempts, ended).await? {
            db.wait_for_work(due).await;
        }
    }
    Ok(())
}

async fn collections(db: Arc<Db>) -> Result<()> {
    while !db.lifecycle.is_closing() {
        let due = db.lifecycle.signals().next_work();
        tokio::pin!(due);
        due.as_mut().enable();
        let changes = db.scheduler.changes();
        if db.collect_one().await? {
            db.scheduler.tree_changed();
        } else {
            db.scheduler.nothing_to_collect(changes);
            db.wait_for_work(due).await;
        }
    }
    Ok(())
}

async fn watch_by_timer(db: Weak<Db>, clock: Arc<dyn Clock>, nanos: u64) {
    loop {
        clock.sleep(nanos).await;
        match db.upgrade() {
            Some(db) if !db.lifecycle.is_closing() => drop(db.observe()),
            _ => return,
        }
    }
}

async fn sync_by_timer(commits: Weak<CommitPipeline>, clock: Arc<dyn Clock>, nanos: u64) {
    while commits.strong_count() > 0 {
        clock.sleep(nanos).await;
        let Some(commits) = commits.upgrade() else {
            return;
        };
        // After another failure the writes may be resumed.
        if let Err(Error::Closed | Error::ReadOnly) = commits.sync_by_timer().await {
            return;
        }
    }
}
