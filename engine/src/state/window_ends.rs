//! Where windows end: one count of operations, with a notice for each who watches, and one of point
//! reads for a picker that wants to know which were in vain.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// Who is asked after each window of operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Watcher {
    /// The compaction agent.
    Agent,
    /// The self-tuner.
    SelfTuner,
}

/// Counts operations while somebody watches them.
pub(crate) struct WindowEnds {
    /// Operations since the engine was opened; none are counted unless somebody watches.
    operations: AtomicU64,
    /// Operations of a window of each watcher; 0 for one that is idle.
    lengths: [u64; 2],
    ended: [Notify; 2],
}

impl WindowEnds {
    /// Windows of `agent` and `self_tuner` operations; None for a watcher that is idle.
    pub(crate) fn new(agent: Option<u64>, self_tuner: Option<u64>) -> Self {
        Self {
            operations: AtomicU64::new(0),
            lengths: [agent.unwrap_or(0), self_tuner.unwrap_or(0)],
            ended: Default::default(),
        }
    }

    /// Whether anybody watches.
    pub(crate) fn are_watched(&self) -> bool {
        self.lengths != [0, 0]
    }

    /// Counts `count` operations, and wakes those whose window ends.
    pub(crate) fn count(&self, count: u64) {
        if !self.are_watched() {
            return;
        }
        let before = self.operations.fetch_add(count, Ordering::Relaxed);
        for (length, ended) in self.lengths.iter().zip(&self.ended) {
            if *length > 0 && before / length != (before + count) / length {
                ended.notify_one();
            }
        }
    }

    /// Operations since the engine was opened; 0 if nobody watches.
    pub(crate) fn operations(&self) -> u64 {
        self.operations.load(Ordering::Relaxed)
    }

    /// Waits for the end of a window of `watcher`.
    pub(crate) async fn wait(&self, watcher: Watcher) {
        self.ended[watcher as usize].notified().await;
    }

    /// Ends every window early, so that who watches sees that the engine is closing.
    pub(crate) fn end_all(&self) {
        self.ended.iter().for_each(Notify::notify_one);
    }
}

/// Counts point reads while a picker wants to know of them, and where windows of them end.
#[derive(Default)]
pub(crate) struct ReadWindows {
    reads: AtomicU64,
    /// Reads of a window; 0 while no picker wants to know.
    length: AtomicU64,
}

impl ReadWindows {
    /// Counts windows of `length` reads from now on; None counts nothing.
    pub(crate) fn watch(&self, length: Option<u64>) {
        self.length.store(length.unwrap_or(0), Ordering::Relaxed);
    }

    /// Counts a read. Returns whether a window ends with it.
    pub(crate) fn count(&self) -> bool {
        let length = self.length.load(Ordering::Relaxed);
        length > 0 && (self.reads.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(length)
    }

    /// Windows that have ended.
    pub(crate) fn ended(&self) -> u64 {
        let length = self.length.load(Ordering::Relaxed);
        self.reads.load(Ordering::Relaxed) / length.max(1)
    }
}
