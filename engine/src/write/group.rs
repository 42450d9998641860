//! Commit groups: the writers that wait are committed together, by the first of them.

use std::sync::Arc;
use std::task::Poll;

use super::queue::{GROUPS_LED_MAX, LEADING, Request};
use super::staged::Staged;
use super::{CommitPipeline, Log};
use crate::env::{BoxFuture, CpuWork};
use crate::error::{Error, Result};
use crate::metrics::add;
use crate::state::Uncut;
use crate::sync::lock;
use crate::values::StagedValues;
use crate::wal::format::Record;

impl CommitPipeline {
    /// Commits the groups that wait. What can be done without waiting is done here; the rest
    /// belongs to a task: the writer may be dropped, or not be polled, while others wait for the
    /// group.
    pub(super) async fn begin_commit(&self, lead: Lead) {
        let tasks = &self.core.env().tasks;
        if self.syncs_always && !self.solitude.lets_wait_here() {
            return tasks.spawn_on_thread("commit", lead.commit(usize::MAX));
        }
        let groups_max = if self.syncs_always { 1 } else { GROUPS_LED_MAX };
        let mut commit = Some(lead.commit(groups_max));
        std::future::poll_fn(|context| {
            let Some(mut begun) = commit.take() else {
                return Poll::Ready(());
            };
            let polled = match self.syncs_always {
                true => tasks.poll_here(begun.as_mut(), context),
                false => Some(begun.as_mut().poll(context)),
            };
            if polled != Some(Poll::Ready(())) {
                tasks.spawn_on_thread("commit", begun);
            }
            Poll::Ready(())
        })
        .await;
    }

    /// Commits the writers that wait, as one group, and answers them.
    async fn lead_group(&self) {
        let mut group = lock(&self.queue).take_group(Staged::bytes);
        let begun = self.core.env().clock.now();
        let result = self.commit_group(&mut group).await;
        if self.syncs_always {
            let is_alone = group.len() == 1 && lock(&self.queue).is_empty();
            self.solitude
                .note(is_alone, self.core.env().clock.now() - begun);
        }
        if let Err(error) = &result {
            self.poison(error);
        }
        for request in group {
            // A writer that was dropped does not wait for the answer.
            let _ = request.tx.send(result.clone());
        }
    }

    /// Takes no more writes after a commit that failed.
    pub(super) fn poison(&self, error: &Error) {
        if !matches!(error, Error::Poisoned { .. } | Error::Closed) {
            self.core.event_of_failure("commit", error, None);
            self.lifecycle.set_poison(error);
        }
    }

    async fn commit_group(&self, group: &mut [Request<Staged>]) -> Result<()> {
        let mut log = self.log.lock().await;
        // If this ends early, nobody knows what of the group is in the log.
        let uncut = Uncut::new(&self.lifecycle, LEADING);
        let committed = self.commit_to(&mut log, group).await;
        uncut.ended();
        committed
    }

    /// Appends the group's values, then its records; inserts its entries and publishes them.
    async fn commit_to(&self, log: &mut Log, group: &mut [Request<Staged>]) -> Result<()> {
        // Under the lock: a close that came first has taken it already.
        self.lifecycle.check_writable()?;
        let bytes = group.iter().map(|it| it.staged.bytes() as u64).sum();
        self.make_room(log, bytes).await?;
        self.append_values(log, group).await?;
        let carries = Staged::may_carry_values(group.iter().map(|request| &request.staged));
        let mut logged = Vec::with_capacity(group.len());
        for request in group.iter_mut() {
            let staged = std::mem::take(&mut request.staged);
            logged.push(self.stage_record(log, staged, carries));
        }
        let mut work = CpuWork::default();
        let appended = log.wal.begin_append(&mut work).await;
        let appended = log.wal.end_append(appended)?;
        self.count_group(group.len() as u64, appended);
        if self.must_sync(log) {
            self.sync_log(log).await?;
        }
        self.insert(log, &logged, &mut work);
        Ok(())
    }

    /// Adds a writer's record to the next append of the log, and counts its writes. Its values have
    /// been appended. Returns the record for the memtable, which points at them even if the one of
    /// the log carries them.
    pub(super) fn stage_record(
        &self,
        log: &mut Log,
        staged: Staged,
        carries_values: bool,
    ) -> Record {
        let counts = staged.counts();
        let first = log.take_sequence(staged.writes());
        if staged.is_separated() && !carries_values {
            log.values.are_pointed_at();
        }
        let (mut record, logged) = staged.into_records(first, carries_values);
        let mine = self.core.counters().mine();
        add(&mine.user_write_bytes, counts.user_bytes);
        add(&mine.puts, counts.puts);
        add(&mine.deletes, counts.deletes);
        add(&mine.range_deletes, counts.range_deletes);
        match logged {
            Some(mut logged) => log.wal.stage(&mut logged),
            None => log.wal.stage(&mut record),
        }
        record
    }

    /// Counts a group of `batches` batches, whose records are `bytes` long.
    pub(super) fn count_group(&self, batches: u64, bytes: u64) {
        let mine = self.core.counters().mine();
        add(&mine.batches, batches);
        add(&mine.groups, 1);
        add(&mine.wal_bytes, bytes);
        self.tree.load().active.add_logged(bytes);
    }

    /// Counts bytes that were appended to the value log.
    pub(super) fn count_values(&self, bytes: u64) {
        add(&self.core.counters().mine().value_log_bytes, bytes);
        self.tree.load().active.add_separated(bytes);
    }

    /// Inserts the entries of records that are as durable as they must be, and publishes them.
    pub(super) fn insert(&self, log: &Log, records: &[Record], work: &mut CpuWork) {
        let state = self.tree.load();
        for record in records {
            state
                .active
                .insert_batch(record.sequence, record.writes, &record.body, work)
                .expect("a batch is well formed");
        }
        self.core.env().clock.charge(work);
        self.tree.publish(log.sequence);
    }

    /// Appends a group's values; afterwards their pointers are final.
    async fn append_values(&self, log: &mut Log, group: &mut [Request<Staged>]) -> Result<()> {
        let mut staged: Vec<&mut StagedValues> = group
            .iter_mut()
            .filter_map(|request| request.staged.values_mut())
            .collect();
        if staged.is_empty() {
            return Ok(());
        }
        let file_bytes = self.core.config().value_log.file.as_u64();
        for queue in log.values.rotate_for(&staged, file_bytes) {
            let writer = self.begin_values().await?;
            log.values.set(queue, writer);
        }
        let tasks = &*self.core.env().tasks;
        let appended = log.values.append(tasks, &mut staged).await?;
        self.count_values(appended);
        Ok(())
    }

    fn must_sync(&self, log: &Log) -> bool {
        let since = || self.core.env().clock.now() - log.synced_at;
        let sync = self.core.config().wal.sync;
        sync.is_due(log.wal.unsynced_bytes(), since)
    }
}

/// The lead of the queue: its holder commits the writers that wait.
///
/// If the holder is lost, with its runtime or by a panic, nobody else would commit them. Then they
/// are refused, and the engine takes no more writes.
pub(super) struct Lead {
    pipeline: Arc<CommitPipeline>,
    ended: bool,
}

impl Lead {
    /// The lead that the queue gave.
    pub(super) fn begin(pipeline: &Arc<CommitPipeline>) -> Self {
        Self {
            pipeline: pipeline.clone(),
            ended: false,
        }
    }

    /// What is led.
    pub(super) fn pipeline(&self) -> &Arc<CommitPipeline> {
        &self.pipeline
    }

    /// Notes that nobody waits.
    pub(super) fn end(mut self) {
        self.ended = true;
    }

    /// Commits groups while writers wait; after `groups_max` of them another task goes on.
    pub(super) fn commit(self, groups_max: usize) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            for _ in 0..groups_max {
                self.pipeline.lead_group().await;
                if lock(&self.pipeline.queue).end_lead() {
                    return self.end();
                }
            }
            let tasks = self.pipeline.core.env().tasks.clone();
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
        self.pipeline.lifecycle.set_poison(&lost);
        lock(&self.pipeline.queue).refuse_all(&lost);
    }
}
