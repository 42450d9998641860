//! Snapshots: consistent reads of the database at one moment.
//!
//! A snapshot is a sequence number that the engine remembers. Flushes and compactions keep, for
//! each remembered number, the newest version of every key that is not above it. So making a
//! snapshot is cheap, and old versions use disk space until it is dropped. LevelDB and RocksDB do
//! it in the same way.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::error::Result;
use crate::scan::Scan;
use crate::state::{Inner, lock};
use crate::storage::{Direction, Range, Sequence, Value};

/// Prevents flushes and compactions from dropping the versions visible at one sequence number.
pub(crate) struct Pin {
    inner: Arc<Inner>,
    sequence: Sequence,
}

impl Pin {
    fn new(inner: Arc<Inner>) -> Self {
        let mut jobs = lock(&inner.jobs);
        // Jobs read the list of snapshots under this lock, so none starts between the load and the
        // insertion.
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
            // A table that range deletes hide may no longer be visible to any reader. Then it can
            // be dropped.
            self.inner.work_due.notify_waiters();
        }
    }
}

/// A view of the database at one moment.
///
/// A snapshot is cheap to create and to clone. The versions it sees stay on disk until its last
/// clone is dropped.
///
/// # Example
/// ```
/// use aura_engine::env::memory::MemoryWorld;
/// use aura_engine::{Direction, Engine, EngineBuilder, Range};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let world = MemoryWorld::new(2)?;
/// world.block_on(async {
///     let engine = EngineBuilder::new(world.env(), "db").open().await?;
///     engine.put(b"apple", b"green").await?;
///     let before = engine.snapshot();
///     engine.put(b"apple", b"red").await?;
///     engine.put(b"banana", b"yellow").await?;
///
///     assert_eq!(before.get(b"apple").await?.as_deref(), Some(&b"green"[..]));
///     let mut rows = before.scan(Range::all(), Direction::Forward);
///     let (key, value) = rows.next().await?.expect("one row");
///     assert_eq!((&key[..], &value[..]), (&b"apple"[..], &b"green"[..]));
///     assert!(rows.next().await?.is_none());
///     drop(rows);
///     drop(before);
///     engine.close().await
/// })?;
/// # Ok(())
/// # }
/// ```
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

    /// Returns the value of `key` at the snapshot's moment; None if the key had no value.
    ///
    /// # Errors
    /// The errors of [`Engine::get`](crate::Engine::get).
    pub async fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        self.pin.inner.get(key, Some(self.pin.sequence)).await
    }

    /// Scans the rows of `range` at the snapshot's moment.
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
