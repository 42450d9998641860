//! Snapshots: a moment that stays readable.

use std::sync::Arc;

use super::{Reader, Scan};
use crate::error::Result;
use crate::storage::{Direction, Range, Sequence, Value};

/// Keeps the versions of one moment from being dropped.
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

/// The state of the database at one moment. Cheap to make and to clone; old versions stay on disk
/// while it is held.
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

    /// The value of `key` at that moment.
    ///
    /// # Errors
    /// As [`Engine::get`](crate::Engine::get).
    pub async fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        self.pin.reader.get(key, Some(self.pin.sequence)).await
    }

    /// The rows of `range` at that moment.
    pub fn scan(&self, range: Range, direction: Direction) -> Scan {
        let reader = self.pin.reader.clone();
        let state = reader.tree.load_to_keep();
        let scan = Scan::new(reader, state, self.pin.sequence, range, direction);
        scan.pinned(self.pin.clone())
    }
}
