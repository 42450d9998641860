//! Failures of the background: which are tried again, and how the engine goes on after the others.
//!
//! A flush, a merge or a collection writes new files only, and drops them when it fails: what it
//! was made of is still there. So a failed read or write of such a job is tried again, after waits
//! that grow, a few times. Three failures never are, for nobody knows what they left: that of the
//! log, that of the manifest, and a failed sync of a directory or of a value file that others write
//! to. After a failed sync the system may have dropped the pages and report success from then on
//! (Rebello et al., "Can Applications Recover from fsync Failures?", ATC 2020).
//!
//! What is not tried again stops writes, with its reason. [`Db::resume`] takes them again once the
//! cause is mended. It trusts no file that was being written: the manifest is begun again, and what
//! is in memory is written again to new tables, so that no old log is needed. Writes that failed
//! have then not happened.

use std::io::ErrorKind;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use super::Db;
use crate::env::Clock;
use crate::error::{Error, Result};
use crate::metrics::{EventKind, add};
use crate::state::{Length, Lifecycle};

/// The waits before a job is tried again, in nanoseconds: seven seconds in all.
const WAITS_NANOS: [u64; 5] = [
    20_000_000,
    80_000_000,
    320_000_000,
    1_280_000_000,
    5_120_000_000,
];

/// Failures in a row of one task of the background.
#[derive(Default)]
pub(super) struct Attempts {
    failed: usize,
}

/// Whether a job that failed with `error` may succeed if it is done again as it was.
fn is_transient(error: &Error) -> bool {
    let Error::Io { source, .. } = error else {
        return false;
    };
    !matches!(
        source.kind(),
        // The file is not there, or is shorter than it was.
        ErrorKind::NotFound | ErrorKind::UnexpectedEof
    )
}

/// Whether an engine that failed with `error` may take writes again. Corruption stays, and who was
/// interrupted may still be writing.
fn is_resumable(error: &Error) -> bool {
    matches!(error, Error::Io { .. })
}

impl Db {
    /// Takes note of how a job of the background ended. If it failed and may be tried again, waits
    /// and returns that there is work.
    ///
    /// # Errors
    /// A failure that stops writes.
    pub(super) async fn retried(
        &self,
        work: &'static str,
        attempts: &mut Attempts,
        ended: Result<bool>,
    ) -> Result<bool> {
        let error = match ended {
            Ok(did) => {
                attempts.failed = 0;
                return Ok(did);
            }
            Err(error @ (Error::Closed | Error::Poisoned { .. })) => return Err(error),
            Err(error) => error,
        };
        let may_retry = is_transient(&error) && self.lifecycle.check_writable().is_ok();
        let wait = WAITS_NANOS.get(attempts.failed).filter(|_| may_retry);
        attempts.failed += 1;
        self.core.note_failure(work, &error, wait.copied());
        let Some(nanos) = wait else {
            attempts.failed = 0;
            return Err(error);
        };
        wait_or_close(&self.lifecycle, &*self.core.env().clock, *nanos).await;
        add(&self.core.counters().mine().background_retries, 1);
        Ok(true)
    }

    /// Takes writes again after a failure whose cause is mended.
    ///
    /// # Errors
    /// [`Error::Poisoned`] if the failure cannot be mended in a running engine, or
    /// has not been: then writes are still refused.
    pub(super) async fn resume(self: &Arc<Self>) -> Result<()> {
        self.lifecycle.check_not_read_only()?;
        self.lifecycle.check_open()?;
        // A call of its own may have been first.
        let Some(cause) = self.lifecycle.failure() else {
            return Ok(());
        };
        if !is_resumable(&cause) {
            return Err(Error::Poisoned { cause });
        }
        let going_on = |db: Arc<Self>| async move { db.go_on(&cause).await };
        self.in_task("resume", Length::Long, going_on).await
    }

    async fn go_on(&self, cause: &Error) -> Result<()> {
        // Writers wait: the log holds nothing of them until the old logs are needed no more.
        let mut log = self.commits.hold_log().await;
        if self.lifecycle.failure().is_none() {
            return Ok(());
        }
        self.tree.renew_manifest().await?;
        let newest = self.commits.begin_log_again(&mut log).await?;
        self.lifecycle.clear_poison();
        self.lifecycle.signals().work_is_due();
        if let Err(error) = self.scheduler.wait_until_flushed(newest).await {
            // The old logs are still needed, and still not to be trusted.
            self.lifecycle.set_poison(cause);
            return Err(error);
        }
        drop(log);
        let kind = EventKind::Resumed {
            cause: cause.to_string(),
        };
        let now = self.core.env().clock.now();
        self.core.counters().event_at(now, kind);
        Ok(())
    }
}

/// Waits for `nanos`, or until the engine is being closed.
async fn wait_or_close(lifecycle: &Lifecycle, clock: &dyn Clock, nanos: u64) {
    let mut closing = pin!(lifecycle.wait_until_closing());
    let mut timer = pin!(clock.sleep(nanos));
    std::future::poll_fn(|context| {
        let is_closing = closing.as_mut().poll(context).is_ready();
        match is_closing || timer.as_mut().poll(context).is_ready() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
}
