//! THE READ PATH, top to bottom.
//!
//! ```text
//! key ─▶ memtables ─▶ (rows ─▶) tables, newest first ─▶ value (or value log)
//!                               each: filter ─ index ─ cache ─ block
//! ```
//!
//! - [`get`] is a point read; [`rows`] are what the cache keeps of single keys.
//! - [`scan`] walks a range; [`merge`] makes one ordered stream of memtables and tables.
//! - [`snapshot`] is a moment that stays readable.

mod get;
mod merge;
mod rows;
mod scan;
mod snapshot;

use std::sync::Arc;

pub(crate) use merge::MergingIterator;
pub(crate) use rows::forget_rows;
pub use scan::Scan;
pub use snapshot::Snapshot;

use crate::state::{Core, Lifecycle, Tree};
use crate::storage::{Direction, Range};

/// What a read works on. Clones share it; a scan and a snapshot hold one, so that the directory
/// stays locked for as long as they read.
#[derive(Clone)]
pub(crate) struct Reader {
    core: Arc<Core>,
    tree: Arc<Tree>,
    lifecycle: Arc<Lifecycle>,
}

impl Reader {
    /// Reads of `tree`.
    pub(crate) fn new(core: Arc<Core>, tree: Arc<Tree>, lifecycle: Arc<Lifecycle>) -> Self {
        Self {
            core,
            tree,
            lifecycle,
        }
    }

    /// The rows of `range`, as of now.
    pub(crate) fn scan(&self, range: Range, direction: Direction) -> Scan {
        let (state, sequence) = self.tree.now();
        Scan::new(self.clone(), state, sequence, range, direction)
    }

    /// The state of this moment, readable for as long as it is held.
    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot::new(self.clone())
    }
}
