//! Work that belongs to the engine, not to the caller who asked for it.
//!
//! A caller may be dropped at any poll: by a timeout, by `select!`. What others depend on must go
//! on all the same, so it runs in a task of the engine, and the caller waits for the result. It has
//! a thread of its own where there are threads: the workers may all be busy with compactions.
//! Closing waits for these tasks as it does for the background's.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::Lifecycle;
use crate::env::Env;
use crate::error::{Error, Result};

/// A task that closing waits for, until this is dropped.
pub(crate) struct Task {
    lifecycle: Arc<Lifecycle>,
}

impl Task {
    /// Counts a task that begins.
    ///
    /// # Errors
    /// [`Error::Closed`]: closing may have seen the last task end already.
    pub(crate) fn begin(lifecycle: &Arc<Lifecycle>) -> Result<Self> {
        lifecycle.begin_task()?;
        Ok(Self {
            lifecycle: lifecycle.clone(),
        })
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.lifecycle.end_task();
    }
}

/// Runs `work` in a task of the engine and waits for its result. The task goes on to its end when
/// the caller is dropped.
///
/// # Errors
/// Those of the work; [`Error::Closed`] if the engine is being closed, and [`Error::Interrupted`]
/// if the runtime of its tasks has ended.
pub(crate) async fn in_task<T, F>(
    env: &Env,
    lifecycle: &Arc<Lifecycle>,
    name: &'static str,
    work: F,
) -> Result<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    let task = Task::begin(lifecycle)?;
    let (tx, rx) = oneshot::channel();
    let run = async move {
        let result = work.await;
        // Before the answer: for a caller who has the result, the task has ended.
        drop(task);
        // The caller may be gone.
        let _ = tx.send(result);
    };
    env.tasks.spawn_on_thread(name, Box::pin(run));
    rx.await.unwrap_or(Err(Error::Interrupted { work: name }))
}
