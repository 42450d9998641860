//! What a reader sees.

use std::sync::Arc;

use crate::manifest::Version;
use crate::memtable::Memtable;
use crate::ranges::RangeView;

/// The memtables and the live files at one moment. Replaced whole, never changed.
pub(crate) struct ReadState {
    /// The memtable that takes writes.
    pub(crate) active: Arc<Memtable>,
    /// Full memtables that wait for their flush, the newest first.
    pub(crate) sealed: Vec<Arc<Memtable>>,
    /// The live files.
    pub(crate) version: Arc<Version>,
}

impl ReadState {
    /// An empty memtable over the `sealed` ones, the oldest first, and those over the files.
    pub(crate) fn new(active: Memtable, sealed: &[Arc<Memtable>], version: Version) -> Self {
        let sealed = sealed.iter().rev().cloned().collect();
        Self {
            active: Arc::new(active),
            sealed,
            version: Arc::new(version),
        }
    }

    /// These memtables over other files.
    pub(crate) fn with_version(&self, version: Version) -> Self {
        Self {
            active: self.active.clone(),
            sealed: self.sealed.clone(),
            version: Arc::new(version),
        }
    }

    /// An empty memtable `active` over these, the active one sealed.
    pub(crate) fn with_active(&self, active: Arc<Memtable>) -> Self {
        let mut sealed = vec![self.active.clone()];
        sealed.extend(self.sealed.iter().cloned());
        Self {
            active,
            sealed,
            version: self.version.clone(),
        }
    }

    /// The sealed memtables without those that were `flushed`, over other files.
    pub(crate) fn without_flushed(&self, flushed: &[Arc<Memtable>], version: Version) -> Self {
        let is_flushed =
            |memtable: &Arc<Memtable>| flushed.iter().any(|other| Arc::ptr_eq(other, memtable));
        let sealed = self.sealed.iter().filter(|memtable| !is_flushed(memtable));
        Self {
            active: self.active.clone(),
            sealed: sealed.cloned().collect(),
            version: Arc::new(version),
        }
    }

    /// The memtables, the newest first.
    pub(crate) fn memtables(&self) -> impl Iterator<Item = &Arc<Memtable>> {
        std::iter::once(&self.active).chain(&self.sealed)
    }

    /// Bytes of the memtables.
    pub(crate) fn memtable_bytes(&self) -> u64 {
        self.memtables().map(|memtable| memtable.bytes()).sum()
    }

    /// The range tombstones: all up to a sequence number that was read before the call.
    pub(crate) fn ranges(&self) -> RangeView {
        let flushed = Some(&self.version.ranges)
            .filter(|ranges| !ranges.is_empty())
            .cloned();
        RangeView::new(
            self.memtables()
                .filter_map(|memtable| memtable.ranges())
                .chain(flushed),
        )
    }
}
