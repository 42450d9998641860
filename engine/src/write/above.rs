//! A log above the engine's own: that of a split database, which holds the records of two engines.

use std::sync::Arc;

use crate::env::BoxFuture;
use crate::error::Result;

/// A log that holds every record of this engine and those of another.
///
/// The engine then logs nothing itself. What it flushes outlives a crash by its manifest, and what
/// is in its memtables by this log alone.
pub(crate) trait LogAbove: Send + Sync {
    /// Makes everything logged so far durable, the other engine's records too. Asked before a
    /// memtable is sealed: otherwise a crash could keep its writes and lose earlier ones of the
    /// other engine, and recovery is to a prefix.
    fn sync_all(&self) -> BoxFuture<'_, Result<()>>;
}

/// The log above, if there is one.
pub(crate) type AnyLogAbove = Option<Arc<dyn LogAbove>>;
