//! How the parts wake each other.

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// Two notices, each to all who wait at that moment.
#[derive(Default)]
pub(crate) struct Signals {
    /// Background work may be due.
    work_due: Notify,
    /// A background job ended, the tree changed, or the engine failed or is closing.
    progress: Notify,
}

impl Signals {
    /// Wakes the tasks that look for work.
    pub(crate) fn work_is_due(&self) {
        self.work_due.notify_waiters();
    }

    /// Wakes those who wait for the background: writers, `flush`, `wait_idle` and closing.
    pub(crate) fn progressed(&self) {
        self.progress.notify_waiters();
    }

    /// The next notice of work. It must be enabled before the look for work, so that none between
    /// the look and the wait is lost.
    pub(crate) fn next_work(&self) -> Notified<'_> {
        self.work_due.notified()
    }

    /// Waits until `reached` returns true, or an error. It is asked once now, and again after each
    /// notice of progress.
    pub(crate) async fn wait_until<E>(
        &self,
        reached: impl Fn() -> Result<bool, E>,
    ) -> Result<(), E> {
        loop {
            let progress = self.progress.notified();
            tokio::pin!(progress);
            // Before the question: a notice between it and the wait is not lost.
            progress.as_mut().enable();
            if reached()? {
                return Ok(());
            }
            progress.await;
        }
    }
}
