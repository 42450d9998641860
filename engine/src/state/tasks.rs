//! Work that belongs to the engine, not to the caller who asked for it.
//!
//! A caller may be dropped at any poll: by a timeout, by `select!`. What others depend on must go
//! on all the same, so it runs in a task of the engine, and the caller waits for the result. Short
//! work has a thread of its own where there are threads: the workers may all be busy with
//! compactions. Long work has none: it waits for flushes, which need threads too. Closing waits for
//! these tasks as it does for the background's.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::{Lifecycle, Uncut};
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

/// How long the work of a task may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    /// It waits for the device at most.
    Short,
    /// It waits for other jobs.
    Long,
}

/// Runs `work` in a task of the engine and waits for its result. The task goes on to its end when
/// the caller is dropped. If it does not come to its end, the engine takes no more writes.
///
/// # Errors
/// Those of the work; [`Error::Closed`] if the engine is being closed, and [`Error::Interrupted`]
/// if the runtime of its tasks has ended.
pub(crate) async fn in_task<T, F>(
    env: &Env,
    lifecycle: &Arc<Lifecycle>,
    name: &'static str,
    length: Length,
    work: F,
) -> Result<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    let task = Task::begin(lifecycle)?;
    let (tx, rx) = oneshot::channel();
    let lifecycle = lifecycle.clone();
    let run = async move {
        let uncut = Uncut::new(&lifecycle, name);
        let result = work.await;
        uncut.ended();
        // Before the answer: for a caller who has the result, the task has ended.
        drop(task);
        // The caller may be gone.
        let _ = tx.send(result);
    };
    match length {
        Length::Short => env.tasks.spawn_on_thread(name, Box::pin(run)),
        Length::Long => env.tasks.spawn(name, Box::pin(run)),
    }
    rx.await.unwrap_or(Err(Error::Interrupted { work: name }))
}
