//! Closing an engine.

use std::sync::Arc;

use super::Db;
use crate::error::Result;
use crate::models::write_registry;
use crate::state::Closing;

impl Db {
    /// Stops the background tasks, waits for them, makes the logs durable and releases the
    /// directory. After a failure the logs cannot be made durable, and the error says so.
    pub(super) async fn close(self: &Arc<Self>) -> Result<()> {
        if !self.lifecycle.begin_closing() {
            self.wake_all();
            let closing = close_in_task(self.clone(), Closing::new(&self.lifecycle));
            let tasks = &self.core.env().tasks;
            tasks.spawn_on_thread("close", Box::pin(closing));
        }
        self.lifecycle.wait_until_closed().await
    }

    /// Stops the background without waiting for it: nobody can call the engine any more.
    pub(super) fn abandon(&self) {
        self.lifecycle.begin_closing();
        self.wake_all();
    }

    /// Wakes every task, so that it sees that the engine is closing.
    fn wake_all(&self) {
        self.core.end_limiting_io();
        self.lifecycle.signals().work_is_due();
        self.core.window_ends().end_all();
        self.lifecycle.signals().progressed();
    }

    /// Waits for the tasks and makes the logs durable.
    async fn shut_down(&self) -> Result<()> {
        let synced = self.commits.sync_at_close().await;
        self.lifecycle.wait_for_tasks().await;
        synced?;
        // A task that failed has left its log behind, too.
        self.lifecycle.check_sound()?;
        if self.lifecycle.is_read_only() {
            return Ok(());
        }
        self.commits.remember_logs().await
    }
}

async fn close_in_task(db: Arc<Db>, closing: Closing) {
    let ended = db.shut_down().await;
    if !db.lifecycle.is_read_only() {
        let registry = db.index_registry();
        let env = db.core.env();
        // A statistic: an engine that cannot write it is closed all the same.
        let _ = write_registry(env, db.core.directory(), &registry).await;
    }
    db.lifecycle.release_directory();
    db.core.counters().end_events();
    closing.ended(ended);
}
