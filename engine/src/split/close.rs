//! Closing a split database.

use std::sync::Arc;

use super::Split;
use crate::db::api::Engine;
use crate::env::join_all;
use crate::error::Result;
use crate::state::Closing;

impl Split {
    /// Takes no more calls, waits for the tasks, makes the log durable and closes the sides.
    pub(super) async fn close(self: &Arc<Self>) -> Result<()> {
        if !self.lifecycle.begin_closing() {
            let closing = close_in_task(self.clone(), Closing::new(&self.lifecycle));
            let tasks = &self.env.tasks;
            tasks.spawn_on_thread("close", Box::pin(closing));
        }
        self.lifecycle.wait_until_closed().await
    }

    /// Stops the background without waiting for it: nobody can call the engine any more.
    pub(super) fn abandon(&self) {
        self.lifecycle.begin_closing();
        self.sides.iter().for_each(|side| side.abandon());
    }

    async fn shut_down(&self) -> Result<()> {
        // The leader of a commit is one of them: no group is half applied.
        self.lifecycle.wait_for_tasks().await;
        let logged = self.log.close().await;
        let closings = self.sides.iter().cloned().map(|side| {
            let closing: crate::env::BoxFuture<'static, Result<()>> =
                Box::pin(async move { side.close().await });
            closing
        });
        let closed = join_all(closings.collect()).await;
        logged?;
        closed.into_iter().collect::<Result<()>>()
    }
}

async fn close_in_task(split: Arc<Split>, closing: Closing) {
    let ended = split.shut_down().await;
    split.lifecycle.release_directory();
    closing.ended(ended);
}
