//! What a trial leaves behind, as plain data: the seam between running an experiment and reading it.
//!
//! `results/<experiment>/trials/<id>/` holds `manifest.json`, `config.resolved.toml`, `metrics.jsonl`, `series.parquet`,
//! `latency/<phase>.<op>.hlog`, `events.jsonl`, and `DONE`, written last.

use std::collections::BTreeMap;

use aura_engine::env::sim::SimStats;
use aura_engine::{Event, Metrics};
use aura_workloads::trace::TraceRecord;
use hdrhistogram::Histogram;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The kinds of operation whose latency is told apart. The order is the order of tables and legends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OpClass {
    /// A point read.
    Read,
    /// A put of a key that may exist (an update or an insert).
    Write,
    /// A range scan.
    Scan,
    /// A read followed by a write of the same key.
    ReadModifyWrite,
    /// A delete.
    Delete,
}

impl OpClass {
    /// Every class, in order.
    pub const ALL: [Self; 5] = [
        Self::Read,
        Self::Write,
        Self::Scan,
        Self::ReadModifyWrite,
        Self::Delete,
    ];

    /// The name in metric names and file names.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Scan => "scan",
            Self::ReadModifyWrite => "rmw",
            Self::Delete => "delete",
        }
    }
}

/// Which world a trial ran in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum World {
    /// Virtual time on a device model: metrics are exact.
    Simulated,
    /// This machine: times are noisy.
    Real,
}

/// What a trial was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The hash of the resolved config, the engine version and the seed.
    pub id: String,
    /// The experiment's name.
    pub experiment: String,
    /// The variant's name.
    pub variant: String,
    /// The sweep's point: dotted key to value, as shown in tables; empty without a sweep.
    pub point: BTreeMap<String, String>,
    /// The seed.
    pub seed: u64,
    /// The world.
    pub world: World,
    /// The device profile's name; empty in the real world.
    pub device: String,
    /// The version of AuraDB that ran it.
    pub version: String,
    /// The simulation's fingerprint over all its events; two runs of one trial must agree. None in the real world.
    pub fingerprint: Option<u64>,
}

/// One measured phase of a trial: everything metrics are derived from.
pub struct PhaseMeasure {
    /// The phase's name.
    pub name: String,
    /// Nanoseconds from its start to the end of its last operation.
    pub nanos: u64,
    /// Engine state at its start (after warm-up).
    pub before: Metrics,
    /// Engine state at its end.
    pub after: Metrics,
    /// Simulated device and CPU at its start; None in the real world.
    pub device_before: Option<SimStats>,
    /// Simulated device and CPU at its end.
    pub device_after: Option<SimStats>,
    /// Operations done, by class.
    pub operations: BTreeMap<OpClass, u64>,
    /// Latency in nanoseconds from an operation's (intended) start to its end, by class.
    pub latency: BTreeMap<OpClass, Histogram<u64>>,
    /// In an open loop: the same from the actual start; empty in a closed loop.
    pub service: BTreeMap<OpClass, Histogram<u64>>,
    /// Whether operations came at a given rate (open loop).
    pub open_loop: bool,
    /// In an open loop: whether the backlog kept growing over the last third.
    pub overloaded: bool,
    /// The most that a cache of the size could have held; None where accesses were not recorded.
    pub cache_bound: Option<CacheBound>,
    /// Equal slices of the phase, for the plot over time.
    pub series: Vec<SeriesPoint>,
    /// What happened in the background meanwhile; times are nanoseconds from the phase's start.
    pub events: Vec<Event>,
}

/// What the best cache of a size could have held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheBound {
    /// Recorded requests for data blocks that it could have answered.
    pub hits: u64,
    /// Recorded requests for data blocks.
    pub asked: u64,
}

/// The accesses to the cache that a trial recorded.
pub struct CacheTrace {
    /// The share of the objects that was recorded.
    pub rate: f64,
    /// One access after the other.
    pub records: Vec<TraceRecord>,
}

/// One slice of a phase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SeriesPoint {
    /// Where the slice starts, in nanoseconds from the phase's start.
    pub at_nanos: u64,
    /// How long it is.
    pub nanos: u64,
    /// Operations that ended in it.
    pub operations: u64,
    /// The 99th percentile of their latencies in nanoseconds.
    pub latency_p99_nanos: u64,
    /// Nanoseconds that writers stalled in it.
    pub stall_nanos: u64,
    /// Block cache hits.
    pub cache_hits: u64,
    /// Block cache misses.
    pub cache_misses: u64,
    /// Bytes that compactions and flushes wrote.
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
    /// What it was.
    pub manifest: Manifest,
    /// Its measured phases, the load first.
    pub phases: Vec<PhaseMeasure>,
    /// Bytes at the end, before the tree was settled.
    pub space: SpaceMeasure,
    /// Device bandwidth of the profile, for the distance to the bound; None in the real world.
    pub device_write_bytes_per_s: Option<u64>,
    /// What its cache was asked for; None where that was not recorded.
    pub cache_trace: Option<CacheTrace>,
}

/// One row of `metrics.jsonl`, and with variant and seed of `metrics.parquet`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricRow {
    /// The phase.
    pub phase: String,
    /// The metric's dotted name.
    pub metric: String,
    /// Its value.
    pub value: f64,
    /// Its unit.
    pub unit: String,
}
