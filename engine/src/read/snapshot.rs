//! Snapshots: consistent reads of the database at one moment.
//!
//! A snapshot is a sequence number that the engine remembers. Flushes and compactions keep, for
//! each remembered number, the newest version of every key that is not above it. So making a
//! snapshot is cheap, and old versions use disk space until it is dropped. LevelDB and RocksDB do
//! it in the same way.

use std::sync::Arc;

use super::{Reader, Scan};
use crate::error::Result;
use crate::storage::{Direction, Range, Sequence, Value};

/// Prevents flushes and compactions from dropping the versions visible at one sequence number.
pub(super) struct Pin {
    reader: Reader,
    sequence: Sequence,
}

impl Pin {
    fn new(reader: Reader) -> Self {
        let sequence = reader.tree.pin();
        Self { reader, sequence }
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.reader.tree.unpin(self.sequence);
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
    pub(super) fn new(reader: Reader) -> Self {
        Self {
            pin: Arc::new(Pin::new(reader)),
        }
    }

    /// Returns the value of `key` at the snapshot's moment; None if the key had no value.
    ///
    /// # Errors
    /// The errors of [`Engine::get`](crate::Engine::get).
    pub async fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        self.pin.reader.get(key, Some(self.pin.sequence)).await
    }

    /// Scans the rows of `range` at the snapshot's moment.
    pub fn scan(&self, range: Range, direction: Direction) -> Scan {
        let reader = self.pin.reader.clone();
        let state = reader.tree.load_to_keep();
        let scan = Scan::new(reader, state, self.pin.sequence, range, direction);
        scan.pinned(self.pin.clone())
    }
}
