//! The commit groups of a split database: the writers that wait are committed together.
//!
//! As in [`crate::write`], the first writer who finds nobody leading begins the commit, and a task
//! of the engine goes on with it wherever it has to wait: a writer may be dropped at any poll. The
//! leader appends everybody's records to the log, syncs by policy, applies each batch to its sides,
//! and publishes both. If it is lost, those who wait are refused, and no more writes are taken.

use std::sync::Arc;
use std::task::Poll;

use tokio::sync::oneshot;

use super::Split;
use super::parts::Parts;
use crate::config::SyncPolicy;
use crate::env::BoxFuture;
use crate::error::{Error, Result};
use crate::state::Task;
use crate::sync::lock;
use crate::write::{GROUPS_LED_MAX, LEADING, Request};

impl Split {
    /// Commits a divided batch.
    pub(super) async fn commit(self: &Arc<Self>, parts: Parts) -> Result<()> {
        self.check_writable()?;
        if parts.whole.writes == 0 {
            return Ok(());
        }
        let (tx, rx) = oneshot::channel();
        if lock(&self.queue).join(Request { staged: parts, tx }) {
            match Task::begin(&self.lifecycle) {
                Ok(task) => self.begin_commit(Lead::new(self, task)),
                Err(error) => lock(&self.queue).refuse_all(&error),
            }
        }
        let lost = Err(Error::Interrupted { work: LEADING });
        rx.await.unwrap_or(lost)
    }

    /// Commits the groups that wait: as far as it need not wait itself here, the rest in a task.
    fn begin_commit(&self, lead: Lead) {
        let tasks = &self.env.tasks;
        if self.policy == SyncPolicy::Always {
            return tasks.spawn_on_thread("commit", lead.commit(usize::MAX));
        }
        let mut begun = lead.commit(GROUPS_LED_MAX);
        // The task that goes on polls it at once, with a waker of its own.
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        if begun.as_mut().poll(&mut context) == Poll::Pending {
            tasks.spawn_on_thread("commit", begun);
        }
    }

    /// Commits the writers that wait, as one group, and answers them.
    async fn lead_group(self: &Arc<Self>) {
        let group = lock(&self.queue).take_group(|parts| parts.whole.body.len());
        let result = self.commit_group(&group).await;
        for request in group {
            // A writer that was dropped does not wait for the answer.
            let _ = request.tx.send(result.clone());
        }
    }

    async fn commit_group(self: &Arc<Self>, group: &[Request<Parts>]) -> Result<()> {
        self.check_writable()?;
        let logged = self.log.append(group, self.policy, &self.sides).await;
        // Nobody knows what of the group is in the log.
        let closed = logged.inspect_err(|error| self.lifecycle.set_poison(error))?;
        self.published.begin();
        // All of it is in the log, and less than that in the sides.
        let applied = self.apply(group).await;
        let touched = applied.inspect_err(|error| self.lifecycle.set_poison(error))?;
        self.published.publish(&self.sides, touched);
        if closed {
            self.begin_to_shorten();
        }
        Ok(())
    }

    /// Applies the batches of a group to their sides. Returns which sides they touch.
    async fn apply(&self, group: &[Request<Parts>]) -> Result<[bool; 2]> {
        let mut touched = [false; 2];
        for request in group {
            for (side, part) in request.staged.sides.iter().enumerate() {
                if let Some(part) = part {
                    touched[side] = true;
                    self.sides[side]
                        .apply(part.body.clone(), part.writes)
                        .await?;
                }
            }
        }
        Ok(touched)
    }

    /// Removes log files that no side needs, in a task. A failure leaves them where they are: the
    /// next closed file tries again.
    fn begin_to_shorten(self: &Arc<Self>) {
        let Ok(task) = Task::begin(&self.lifecycle) else {
            return;
        };
        let split = self.clone();
        let run = async move {
            let _ = split.log.shorten(&split.sides).await;
            drop(task);
        };
        self.env.tasks.spawn("logs", Box::pin(run));
    }
}

/// The lead of the queue: its holder commits the writers that wait.
struct Lead {
    split: Arc<Split>,
    /// Closing waits for it.
    _task: Task,
    ended: bool,
}

impl Lead {
    fn new(split: &Arc<Split>, task: Task) -> Self {
        Self {
            split: split.clone(),
            _task: task,
            ended: false,
        }
    }

    /// Notes that nobody waits.
    fn end(mut self) {
        self.ended = true;
    }

    /// Commits groups while writers wait; after `groups_max` of them another task goes on.
    fn commit(self, groups_max: usize) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            for _ in 0..groups_max {
                self.split.lead_group().await;
                if lock(&self.split.queue).end_lead() {
                    return self.end();
                }
            }
            let tasks = self.split.env.tasks.clone();
            tasks.spawn_on_thread("commit", self.commit(usize::MAX));
        })
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let lost = Error::Interrupted { work: LEADING };
        self.split.lifecycle.set_poison(&lost);
        lock(&self.split.queue).refuse_all(&lost);
    }
}
