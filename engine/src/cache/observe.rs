//! The seam for recording: every look-up of the workload in the cache, as an event.

use std::sync::Arc;

use aura_policies::cache::BlockKind;
use serde::Serialize;

/// What asks for an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Caller {
    /// A point read.
    Get,
    /// A scan.
    Scan,
    /// A flush, a compaction or a verification: it takes what is held, leaves the order as it is, and is not counted.
    Background,
}

/// One look-up. A miss is told once its object has been read, for its size is known only then; a row's miss is told when
/// the row is offered to the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CacheEvent {
    /// When, in nanoseconds of the engine's clock.
    pub at_ns: u64,
    /// The object's identity, hashed: the same in every run that gives files the same numbers.
    pub key: u64,
    /// The file it lies in; None for a row.
    pub file: Option<u64>,
    /// Where in the file it starts; None for a row.
    pub offset: Option<u64>,
    /// Bytes of the object in memory, without the cache's bookkeeping.
    pub bytes: u64,
    /// What it is.
    pub kind: BlockKind,
    /// The level of its table; None for a value and a row.
    pub level: Option<u8>,
    /// What asked for it: a get or a scan.
    pub caller: Caller,
    /// Which object of a scan it is, from 1; 0 for a point read.
    pub scanned: u32,
    /// Device reads that a hit on it saves, as an estimate; 1 for a block.
    pub cost: u32,
    /// Whether it was held.
    pub hit: bool,
}

/// Is told of look-ups by the threads that make them, while they hold no lock of the cache. Whatever it takes, the reader
/// takes longer.
pub trait CacheObserver: Send + Sync {
    /// A look-up was made.
    fn on_access(&self, event: &CacheEvent);
}

/// An observer of a part of all objects.
#[derive(Clone)]
pub(crate) struct Observer {
    sink: Arc<dyn CacheObserver>,
    /// Objects whose hash is not above this are observed; None where the part is none.
    highest: Option<u64>,
}

impl Observer {
    /// Tells `sink` of the objects that a share of `rate` of all hashes falls on: always the same objects, and every
    /// access to them (spatial sampling: Waldspurger et al., "Efficient MRC Construction with SHARDS", FAST 2015).
    pub(crate) fn new(sink: Arc<dyn CacheObserver>, rate: f64) -> Self {
        let highest = (rate > 0.0).then_some((rate * u64::MAX as f64) as u64);
        Self { sink, highest }
    }

    /// Tells of an event, if its object is one of those observed.
    pub(crate) fn tell(&self, key: u64, event: impl FnOnce() -> CacheEvent) {
        // The map and the choice of the shard look at other bits: mixed once more, the sample is spread over both.
        let mixed = (key ^ (key >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        if self
            .highest
            .is_some_and(|highest| (mixed ^ (mixed >> 32)) <= highest)
        {
            self.sink.on_access(&event());
        }
    }
}
