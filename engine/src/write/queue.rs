//! The writers that wait for the next commit group.

use std::collections::VecDeque;

use tokio::sync::oneshot;

use crate::error::{Error, Result};

/// Bytes after which a commit group takes no further writer, so that none waits for a very long
/// append.
const GROUP_BYTES_MAX: usize = 4 << 20;

/// Groups that a writer commits at most before a task goes on: those that form meanwhile cost it
/// less than another leader, but its own caller waits for them.
pub(crate) const GROUPS_LED_MAX: usize = 16;

/// What a lost leader was doing.
pub(crate) const LEADING: &str = "a commit";

/// A writer that waits, with what it has made ready.
pub(crate) struct Request<T> {
    pub(crate) staged: T,
    /// Where the result goes.
    pub(crate) tx: oneshot::Sender<Result<()>>,
}

/// Writers waiting for the next commit group.
pub(crate) struct CommitQueue<T> {
    waiting: VecDeque<Request<T>>,
    /// Whether somebody leads, and so will commit who waits.
    led: bool,
}

impl<T> Default for CommitQueue<T> {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            led: false,
        }
    }
}

impl<T> CommitQueue<T> {
    /// Adds a writer. Returns whether it must lead.
    pub(crate) fn join(&mut self, request: Request<T>) -> bool {
        self.waiting.push_back(request);
        !std::mem::replace(&mut self.led, true)
    }

    /// Takes the writers of the next group; `bytes` is how long a writer's records are.
    pub(crate) fn take_group(&mut self, bytes: impl Fn(&T) -> usize) -> Vec<Request<T>> {
        let mut group = Vec::new();
        let mut sum = 0;
        while sum < GROUP_BYTES_MAX
            && let Some(request) = self.waiting.pop_front()
        {
            sum += bytes(&request.staged);
            group.push(request);
        }
        group
    }

    /// Whether nobody waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes the lead if nobody has it: then nobody waits. Returns whether it did.
    pub(crate) fn lead_alone(&mut self) -> bool {
        !std::mem::replace(&mut self.led, true)
    }

    /// Refuses the writers that wait, and ends the lead.
    pub(crate) fn refuse_all(&mut self, error: &Error) {
        for request in self.waiting.drain(..) {
            let _ = request.tx.send(Err(error.clone()));
        }
        self.led = false;
    }

    /// Ends the lead if nobody waits. Returns whether it did.
    pub(crate) fn end_lead(&mut self) -> bool {
        if self.waiting.is_empty() {
            self.led = false;
        }
        !self.led
    }
}
