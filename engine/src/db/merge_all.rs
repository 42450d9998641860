//! Merging everything into one run, when a user asks for it.

use std::sync::Arc;

use super::Db;
use crate::compaction::{Compaction, Job};
use crate::error::Result;
use crate::state::Length;

/// Whether this build merges everything in the caller's future, which may be dropped: a canary, for
/// `scripts/canary`, which demands that the tests fail.
const CALLER_MERGES: bool = cfg!(aura_canary = "caller-merges");

impl Db {
    /// Flushes, then merges everything into one run.
    pub(super) async fn compact(self: &Arc<Self>) -> Result<()> {
        self.lifecycle.check_writable()?;
        if CALLER_MERGES {
            return self.flush_and_merge().await;
        }
        let merging = |db: Arc<Self>| async move { db.flush_and_merge().await };
        self.in_task("compact", Length::Long, merging).await
    }

    async fn flush_and_merge(&self) -> Result<()> {
        let _one_at_a_time = self.merging.lock().await;
        let newest = self.commits.seal_active().await?;
        self.scheduler.wait_until_flushed(newest).await?;
        let _others_wait = self.scheduler.hold_compactions();
        self.scheduler.wait_for_compactions().await?;
        let Some(job) = self.scheduler.merge_of_everything()? else {
            return Ok(());
        };
        self.run_compaction(&job).await
    }

    /// Carries `job` out, and gives back what it reserved.
    pub(super) async fn run_compaction(&self, job: &Job) -> Result<()> {
        let compaction = Compaction {
            core: &self.core,
            tree: &self.tree,
            lifecycle: &self.lifecycle,
            scheduler: &self.scheduler,
            job,
        };
        let mut result = compaction.run().await;
        if result.is_ok() {
            // While the levels are reserved: nothing has arrived in one that it emptied.
            result = self.set_limits_that_waited().await;
        }
        self.scheduler.end_compaction(job);
        result
    }
}
