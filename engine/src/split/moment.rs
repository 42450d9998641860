//! What readers see: the writes of whole groups, on both sides.
//!
//! A group changes one side after the other. Scans and snapshots read at a pair of snapshots that
//! is replaced after each group. A point read touches one side only, and would give up what the
//! side's own read path can do at its newest moment (rows in the cache, for one) if it always read
//! at the pair. So it reads the newest version, and looks at a counter that is odd while a group is
//! being applied:
//!
//! - Even after the read: every group that the read may have seen is published, on both sides. Who
//!   has the answer finds the rest of its batch, too.
//! - Odd before or after: the read at the newest moment may see half a batch. It is read at the
//!   pair instead. That never goes back behind what an earlier read has returned: each of those was
//!   published when it returned.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;

use super::Split;
use crate::db::api::{AuraEngine, Engine};
use crate::error::Result;
use crate::read::Snapshot;
use crate::storage::Value;

/// A moment of both sides, between two groups.
pub(super) type Pair = [Snapshot; 2];

/// The moment that is published.
pub(super) struct Published {
    pair: ArcSwap<Pair>,
    /// Odd while a group is being applied.
    changes: AtomicU64,
}

impl Published {
    /// Publishes all that the sides hold.
    pub(super) fn new(sides: &[AuraEngine; 2]) -> Self {
        let pair = [sides[0].snapshot(), sides[1].snapshot()];
        Self {
            pair: ArcSwap::from_pointee(pair),
            changes: AtomicU64::new(0),
        }
    }

    /// The moment, to be kept.
    pub(super) fn pair(&self) -> Arc<Pair> {
        self.pair.load_full()
    }

    /// Whether no group is being applied.
    fn is_whole(&self) -> bool {
        self.changes.load(Ordering::Acquire).is_multiple_of(2)
    }

    /// Notes that a group is about to be applied. If that fails, the moment stays as it is.
    pub(super) fn begin(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    /// Publishes the sides as they are now. Those that are not `touched` are as before.
    pub(super) fn publish(&self, sides: &[AuraEngine; 2], touched: [bool; 2]) {
        let before = self.pair.load();
        let now = |side: usize| match touched[side] {
            true => sides[side].snapshot(),
            false => before[side].clone(),
        };
        let pair = [now(0), now(1)];
        self.pair.store(Arc::new(pair));
        self.changes.fetch_add(1, Ordering::AcqRel);
    }
}

impl Split {
    /// The value of `key` in the published moment, or a later one that is published by now.
    pub(super) async fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        self.lifecycle.check_open()?;
        let side = self.halves.side_of(key);
        if self.published.is_whole() {
            let value = self.sides[side].get(key).await?;
            if self.published.is_whole() {
                return Ok(value);
            }
        }
        let pair = self.published.pair();
        self.sides[side].get_at(key, &pair[side]).await
    }
}
