//! What a split database asks of the engines that are its sides.
//!
//! A side is an engine whose records another log holds: see [`LogAbove`]. Only the split writes to
//! it, one batch after the other.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use super::api::AuraEngine;
use super::open::{Extras, prepare};
use crate::config::{EngineConfig, SyncPolicy};
use crate::env::Env;
use crate::error::Result;
use crate::metrics::{Telemetry, TimedOperation, Timing};
use crate::read::Snapshot;
use crate::recovery::LoggedWrites;
use crate::storage::Value;
use crate::write::LogAbove;

/// What a side of a split database is given.
pub(crate) struct Side {
    /// The log that takes its records.
    pub(crate) above: Arc<dyn LogAbove>,
    /// The writes of this side that the logs above hold, in their order.
    pub(crate) logged: Vec<LoggedWrites>,
}

impl AuraEngine {
    /// Opens the directory of a side; no task of it runs yet. The side has no log that a sync
    /// policy could be about: its `wal.sync` is `never`.
    pub(crate) async fn prepare_side(
        env: Env,
        directory: PathBuf,
        mut config: EngineConfig,
        telemetry: Telemetry,
        side: Side,
    ) -> Result<Self> {
        config.wal.sync = SyncPolicy::Never;
        let extras = Extras {
            telemetry,
            side: Some(side),
            ..Extras::default()
        };
        Ok(Self::new(prepare(env, directory, config, extras).await?))
    }

    /// Starts the tasks of a side.
    ///
    /// # Errors
    /// [`Error::Closed`](crate::Error::Closed) if it is being closed.
    pub(crate) fn start_side(&self) -> Result<()> {
        self.shared().start()
    }

    /// Inserts an encoded batch of `writes` writes, which is logged. Readers of the side see it
    /// when it returns.
    pub(crate) async fn apply(&self, body: Bytes, writes: u32) -> Result<()> {
        self.db().commits.write_body(body, writes).await
    }

    /// Refuses a write after a failure or a close.
    pub(crate) fn check_writable(&self) -> Result<()> {
        self.db().lifecycle.check_writable()
    }

    /// The value of `key` at a moment that is held.
    pub(crate) async fn get_at(&self, key: &[u8], snapshot: &Snapshot) -> Result<Option<Value>> {
        let timing = self.begin(TimedOperation::Get);
        let value = snapshot.get(key).await;
        self.end(&timing);
        value
    }

    /// The beginning of an operation that goes to this side.
    pub(crate) fn begin(&self, operation: TimedOperation) -> Timing {
        self.db().core.begin(operation)
    }

    /// Ends an operation.
    pub(crate) fn end(&self, timing: &Timing) {
        self.db().core.end(timing);
    }

    /// Bytes at which the memtable that takes writes is sealed.
    pub(crate) fn memtable_bytes_max(&self) -> u64 {
        self.db().core.config().memtable.as_u64()
    }

    /// The number of the memtable that takes writes. Those before it have smaller ones.
    pub(crate) fn newest_memtable(&self) -> u64 {
        self.db().tree.load().active.wal
    }

    /// The number of the oldest memtable with writes that are in no table; None if all are in
    /// tables.
    pub(crate) fn oldest_memtable(&self) -> Option<u64> {
        let state = self.db().tree.load();
        let filled = state.memtables().filter(|memtable| !memtable.is_empty());
        filled.map(|memtable| memtable.wal).min()
    }

    /// Stops the background without waiting for it.
    pub(crate) fn abandon(&self) {
        self.db().abandon();
    }
}
