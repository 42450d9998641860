//! A commit of one writer who finds nobody waiting, and nothing to wait for.
//!
//! It does what a group does, in the writer's own poll: no queue, no task, no answer to send, so
//! that a put allocates nothing but its record. If an append has to wait after all, a task of the
//! engine goes on with it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::sync::{OwnedMutexGuard, oneshot};

use super::group::Lead;
use super::staged::Staged;
use super::{CommitPipeline, Log};
use crate::config::SyncPolicy;
use crate::env::{CpuWork, MaybeReady};
use crate::error::Result;
use crate::sync::lock;
use crate::values::Append;
use crate::wal::format::{HEADER_BYTES, Record};

/// What the commit waits for.
enum Step {
    Values(Append),
    Record(Record, MaybeReady<io::Result<()>>),
}

/// The commit of one writer. If it is lost before it has ended, its lead is, and the engine takes
/// no more writes.
pub(super) struct LoneCommit {
    lead: Lead,
    log: OwnedMutexGuard<Log>,
    staged: Staged,
    step: Step,
    work: CpuWork,
}

impl CommitPipeline {
    /// Begins to commit a writer, if nothing has to be done first that needs a wait.
    pub(super) fn begin_alone(
        self: &Arc<Self>,
        lead: Lead,
        mut staged: Staged,
    ) -> std::result::Result<LoneCommit, Box<(Lead, Staged)>> {
        let Ok(mut log) = self.log.clone().try_lock_owned() else {
            return Err(Box::new((lead, staged)));
        };
        if !self.has_nothing_to_wait_for(&log, &staged) {
            return Err(Box::new((lead, staged)));
        }
        let mut work = CpuWork::default();
        let step = match staged.values_mut() {
            None => Step::begin_record(self, &mut log, &mut staged, &mut work),
            Some(values) => {
                let file_bytes = self.core.config().value_log.file.as_u64();
                match log.values.begin_append(values, file_bytes) {
                    Some(append) => Step::Values(append),
                    None => return Err(Box::new((lead, staged))),
                }
            }
        };
        Ok(LoneCommit {
            lead,
            log,
            staged,
            step,
            work,
        })
    }

    /// Whether a commit of `staged` needs no room to be made, and no sync.
    fn has_nothing_to_wait_for(&self, log: &Log, staged: &Staged) -> bool {
        if self.lifecycle.check_writable().is_err() || !self.has_room() {
            return false;
        }
        match self.core.config().wal.sync {
            SyncPolicy::Never => true,
            SyncPolicy::Bytes(bytes) => {
                let record = (HEADER_BYTES + staged.bytes()) as u64;
                log.wal.unsynced_bytes() + record < bytes.as_u64()
            }
            SyncPolicy::Always | SyncPolicy::Interval(_) => false,
        }
    }
}

impl Step {
    /// Begins to append the record. The values have been appended.
    fn begin_record(
        pipeline: &CommitPipeline,
        log: &mut Log,
        staged: &mut Staged,
        work: &mut CpuWork,
    ) -> Self {
        let record = pipeline.stage_record(log, std::mem::take(staged), false);
        let append = log.wal.begin_append(work);
        Self::Record(record, append)
    }
}

impl LoneCommit {
    /// Goes on as far as it can.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        let committed = ready!(self.poll_steps(context));
        if let Err(error) = &committed {
            self.lead.pipeline().poison(error);
        }
        Poll::Ready(committed)
    }

    fn poll_steps(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        let pipeline = self.lead.pipeline();
        if let Step::Values(append) = &mut self.step {
            let appended = ready!(Pin::new(&mut append.appended).poll(context));
            let (queue, bytes) = (append.queue, append.bytes);
            self.log.values.end_append(queue, appended)?;
            pipeline.count_values(bytes);
            let log = &mut self.log;
            self.step = Step::begin_record(pipeline, log, &mut self.staged, &mut self.work);
        }
        let Step::Record(record, append) = &mut self.step else {
            unreachable!("the record is appended after the values");
        };
        let appended = ready!(Pin::new(append).poll(context));
        let appended = self.log.wal.end_append(appended)?;
        pipeline.count_group(1, appended);
        let record = std::slice::from_ref(record);
        pipeline.insert(&self.log, record, &mut self.work);
        Poll::Ready(Ok(()))
    }

    /// Gives back the lead. It has ended.
    pub(super) fn into_lead(self) -> Lead {
        self.lead
    }

    /// Goes on as a task.
    pub(super) async fn go_on(mut self, tx: oneshot::Sender<Result<()>>) {
        let committed = std::future::poll_fn(|context| self.poll(context)).await;
        // A writer that was dropped does not wait for the answer.
        let _ = tx.send(committed);
        let lead = self.into_lead();
        if lock(&lead.pipeline().queue).end_lead() {
            lead.end();
        } else {
            lead.commit(usize::MAX).await;
        }
    }
}
