//! What a trial leaves behind, as plain data: the seam between running an experiment and reading
//! it.
//!
//! Everything before this module makes these values (`config`, `plan`, `run`, `trial`); everything
//! after it only reads them (`metrics`, `store`, `compare`, `plot`, `report`). [`crate::folders`]
//! says in which files they lie.

use std::collections::BTreeMap;

use aura_engine::env::sim::SimStats;
use aura_engine::{Event, Metrics};
use aura_workloads::trace::TraceRecord;
use hdrhistogram::Histogram;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::names::named_enum;
use crate::point::Point;

named_enum! {
    /// A class of operations whose latencies are kept apart.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
    pub enum OpClass {
        /// A point read.
        Read = "read",
        /// A put of a key that may exist: an update or an insert.
        Write = "write",
        /// A range scan.
        Scan = "scan",
        /// A read followed by a write of the same key.
        ReadModifyWrite = "rmw",
        /// A delete.
        Delete = "delete",
        /// A point read of a key that is never written.
        ReadAbsent = "read_absent",
    }
}

named_enum! {
    /// The world a trial runs in.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
    pub enum World {
        /// Virtual time on a device model: every number is exact.
        Simulated = "simulated",
        /// This machine: times are noisy.
        Real = "real",
    }
}

/// What a trial was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The trial's id: a hash of the resolved config, the version of AuraDB and the seed.
    pub id: String,
    /// The experiment's name.
    pub experiment: String,
    /// The variant's name.
    pub variant: String,
    /// The sweep point.
    pub point: Point,
    /// The seed.
    pub seed: u64,
    /// The world it ran in.
    pub world: World,
    /// The device profile's name; empty in the real world.
    pub device: String,
    /// The version of AuraDB that ran it.
    pub version: String,
    /// The simulation's fingerprint over all its events; equal for two runs of one trial. `None` in
    /// the real world.
    pub fingerprint: Option<u64>,
}

/// One measured phase of a trial: everything that metrics are derived from.
pub struct PhaseMeasure {
    /// The phase's name.
    pub name: String,
    /// Nanoseconds from the phase's start to the end of its last operation.
    pub nanos: u64,
    /// The engine's state at the phase's start (after any warm-up).
    pub before: Metrics,
    /// The engine's state at the phase's end.
    pub after: Metrics,
    /// The simulated device and CPU at the phase's start; `None` in the real world.
    pub device_before: Option<SimStats>,
    /// The simulated device and CPU at the phase's end.
    pub device_after: Option<SimStats>,
    /// Operations done, by class.
    pub operations: BTreeMap<OpClass, u64>,
    /// Latency by class: nanoseconds from an operation's (intended) start to its end.
    pub latency: BTreeMap<OpClass, Histogram<u64>>,
    /// Service time by class: nanoseconds from the actual start to the end. Empty in a closed loop.
    pub service: BTreeMap<OpClass, Histogram<u64>>,
    /// Whether operations came at a given rate (open loop).
    pub open_loop: bool,
    /// Whether the backlog of an open loop kept growing over the last third.
    pub overloaded: bool,
    /// The most hits that a cache of this size could have had; `None` without a recorded trace.
    pub cache_bound: Option<CacheBound>,
    /// The phase in equal slices of time.
    pub series: Vec<SeriesPoint>,
    /// What happened in the background; times are nanoseconds from the phase's start.
    pub events: Vec<Event>,
}

/// The most hits that any cache of a size could have had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheBound {
    /// Recorded requests for data blocks that the best cache answers.
    pub hits: u64,
    /// Recorded requests for data blocks.
    pub asked: u64,
}

/// The accesses to the cache that a trial recorded.
pub struct CacheTrace {
    /// The share of the cached objects that was recorded, in (0, 1].
    pub rate: f64,
    /// The accesses, in order.
    pub records: Vec<TraceRecord>,
}

/// One slice of a phase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SeriesPoint {
    /// The slice's start, in nanoseconds from the phase's start.
    pub at_nanos: u64,
    /// The slice's length.
    pub nanos: u64,
    /// Operations that ended in it.
    pub operations: u64,
    /// The 99th percentile of their latencies, in nanoseconds.
    pub latency_p99_nanos: u64,
    /// Nanoseconds that writers stalled, summed over them.
    pub stall_nanos: u64,
    /// Block cache hits.
    pub cache_hits: u64,
    /// Block cache misses.
    pub cache_misses: u64,
    /// Bytes that flushes and compactions wrote.
    pub background_write_bytes: u64,
}

/// Bytes at the end of a trial.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpaceMeasure {
    /// Bytes of keys and values that can be reached.
    pub reachable_bytes: u64,
    /// Bytes of tables, value files and logs on disk.
    pub disk_bytes: u64,
}

/// A finished trial in memory.
pub struct TrialResult {
    /// What the trial was.
    pub manifest: Manifest,
    /// Its measured phases, the load first.
    pub phases: Vec<PhaseMeasure>,
    /// Bytes at the end, with whatever debt is left.
    pub space: SpaceMeasure,
    /// The simulated device's write bandwidth; `None` in the real world or if it has no limit.
    pub device_write_bytes_per_s: Option<u64>,
    /// The accesses to the cache; `None` if they were not recorded.
    pub cache_trace: Option<CacheTrace>,
}

/// One value of one metric: a row of `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricRow {
    /// The phase.
    pub phase: String,
    /// The metric's dotted name.
    pub metric: String,
    /// The value.
    pub value: f64,
    /// The metric's unit.
    pub unit: String,
}
