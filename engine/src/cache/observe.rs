//! Observation of the cache: the workload's look-ups as events, for recording traces of accesses.
//!
//! Only gets and scans are observed. Background reads neither count nor change the eviction order,
//! so a simulation of the recorded accesses sees what the policies of this cache saw.

use std::sync::Arc;

use aura_policies::cache::BlockKind;
use serde::Serialize;

/// The kind of operation that looks up an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Caller {
    /// A point read.
    Get,
    /// A scan.
    Scan,
    /// A flush, a compaction or a verification. It uses objects in the cache, but does not count as
    /// an access and does not change the eviction order.
    Background,
}

/// One look-up in the cache.
///
/// A miss is reported after its object was read, because its size is unknown before. The miss of a
/// row is reported when the row is offered to the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CacheEvent {
    /// Time of the look-up, in nanoseconds of the engine's clock.
    pub at_ns: u64,
    /// Hash of the object's identity. It is reproducible as long as files get the same numbers.
    pub key: u64,
    /// The number of the object's file; None for a row.
    pub file: Option<u64>,
    /// The object's offset in the file; None for a row.
    pub offset: Option<u64>,
    /// Bytes of the object in memory, without the cache's bookkeeping.
    pub bytes: u64,
    /// The kind of object.
    pub kind: BlockKind,
    /// The level of the object's table; None for a value or a row.
    pub level: Option<u8>,
    /// The operation that looked it up: a get or a scan.
    pub caller: Caller,
    /// The object's position in a scan, from 1; 0 for a point read.
    pub scanned: u32,
    /// Estimated number of device reads that a hit saves; 1 for a block.
    pub cost: u32,
    /// Whether the cache held the object.
    pub hit: bool,
}

/// Receives the look-ups in a cache.
///
/// The reading thread calls it and holds no lock of the cache meanwhile. The time it takes is added
/// to the read.
pub trait CacheObserver: Send + Sync {
    /// Receives one look-up.
    fn on_access(&self, event: &CacheEvent);
}

/// A sink for the look-ups of a sample of all objects.
#[derive(Clone)]
pub(crate) struct Observer {
    sink: Arc<dyn CacheObserver>,
    /// The largest mixed hash that is in the sample. None if the rate is 0.
    highest: Option<u64>,
}

impl Observer {
    /// Creates an observer of a fraction `rate` of all objects, from 0 to 1.
    ///
    /// An object's hash decides, so the sample is always the same, and every access to a sampled
    /// object is reported (spatial sampling: Waldspurger et al., "Efficient MRC Construction with
    /// SHARDS", FAST 2015).
    pub(crate) fn new(sink: Arc<dyn CacheObserver>, rate: f64) -> Self {
        let highest = (rate > 0.0).then_some((rate * u64::MAX as f64) as u64);
        Self { sink, highest }
    }

    /// Reports an event if its object is in the sample.
    pub(crate) fn report(&self, key: u64, event: impl FnOnce() -> CacheEvent) {
        let Some(highest) = self.highest else {
            return;
        };
        // Shards and their maps use bits of `key`. Mixing it again spreads the sample over all of
        // them.
        let mixed = (key ^ (key >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        if (mixed ^ (mixed >> 32)) <= highest {
            self.sink.on_access(&event());
        }
    }
}
