//! Snapshots: a moment that stays readable.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::error::Result;
use crate::read::Scan;
use crate::state::Inner;
use crate::storage::{Direction, Range, Sequence, Value};
use crate::sync::lock;

/// Keeps the versions of one moment from being dropped.
pub(crate) struct Pin {
    inner: Arc<Inner>,
    sequence: Sequence,
}

impl Pin {
    fn new(inner: Arc<Inner>) -> Self {
        let mut jobs = lock(&inner.jobs);
        // Under the lock that jobs take to learn of snapshots: none starts between the look and the entry.
        let sequence = inner.published.load(Ordering::Acquire);
        *jobs.snapshots.entry(sequence).or_default() += 1;
        drop(jobs);
        Self { inner, sequence }
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut jobs = lock(&self.inner.jobs);
        if let Some(count) = jobs.snapshots.get_mut(&self.sequence) {
            *count -= 1;
            if *count == 0 {
                jobs.snapshots.remove(&self.sequence);
            }
        }
        drop(jobs);
        if !self.inner.view.load().version.ranges.is_empty() {
            // Tables that nobody sees any more may leave.
            self.inner.work_due.notify_waiters();
        }
    }
}

/// The state of the database at one moment. Cheap to make and to clone; old versions stay on disk while it is held.
#[derive(Clone)]
pub struct Snapshot {
    pin: Arc<Pin>,
}

impl Snapshot {
    pub(crate) fn new(inner: Arc<Inner>) -> Self {
        Self {
            pin: Arc::new(Pin::new(inner)),
        }
    }

    /// The value of `key` at that moment.
    ///
    /// # Errors
    /// As [`Engine::get`](crate::Engine::get).
    pub async fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        self.pin.inner.get(key, Some(self.pin.sequence)).await
    }

    /// The rows of `range` at that moment.
    pub fn scan(&self, range: Range, direction: Direction) -> Scan {
        let view = self.pin.inner.view.load_full();
        Scan::new(
            self.pin.inner.clone(),
            self.pin.sequence,
            Some(self.pin.clone()),
            view,
            range,
            direction,
        )
    }
}
