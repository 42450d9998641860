//! Work that belongs to the engine, not to who asked for it.
//!
//! A caller may be dropped at any poll: by a timeout, by `select!`. What others depend on must go on
//! all the same, so it runs in a task of the engine, and the caller waits for the result. It has a
//! thread of its own where there are threads: the workers may all be busy with compactions. Closing
//! waits for these tasks as it does for the background's.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::error::{Error, Result};
use crate::state::Inner;
use crate::sync::lock;

/// A task that closing waits for.
pub(crate) struct Task {
    inner: Arc<Inner>,
}

impl Task {
    /// Counts a task that begins.
    ///
    /// # Errors
    /// [`Error::Closed`]: closing may have seen the last task end already.
    pub(crate) fn begin(inner: &Arc<Inner>) -> Result<Self> {
        let mut jobs = lock(&inner.jobs);
        // Under the lock under which closing counts the tasks.
        inner.check_open()?;
        jobs.tasks += 1;
        drop(jobs);
        Ok(Self {
            inner: inner.clone(),
        })
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        lock(&self.inner.jobs).tasks -= 1;
        self.inner.progress.notify_waiters();
    }
}

impl Inner {
    /// Runs `work` in a task of the engine and waits for its result. The task goes on to its end
    /// when the caller is dropped.
    ///
    /// # Errors
    /// Those of the work; [`Error::Closed`] if the engine is being closed, and
    /// [`Error::Interrupted`] if the runtime of its tasks has ended.
    pub(crate) async fn in_task<T, F>(
        self: &Arc<Self>,
        name: &'static str,
        work: impl FnOnce(Arc<Self>) -> F,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let task = Task::begin(self)?;
        let work = work(self.clone());
        let (tx, rx) = oneshot::channel();
        let run = async move {
            let result = work.await;
            // The task has ended for whoever has the result.
            drop(task);
            // The caller may be gone.
            let _ = tx.send(result);
        };
        self.env.tasks.spawn_on_thread(name, Box::pin(run));
        rx.await.unwrap_or(Err(Error::Interrupted { work: name }))
    }
}
