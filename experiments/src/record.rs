//! What a trial leaves behind, as plain data: the seam between running an experiment and reading
//! it.
//!
//! Everything before this module makes these values (`config`, `plan`, `run`, `trial`); everything
//! after it only reads them (`metrics`, `store`, `compare`, `plot`, `report`). [`crate::folders`]
//! says in which files they lie.

use std::collections::BTreeMap;

use aura_engine::env::sim::SimStats;
use aura_engine::{Event, Metrics};
use aura_workloads::names;
use aura_workloads::trace::TraceRecord;
use hdrhistogram::Histogram;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::doctor::Fact;
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

named_enum! {
    /// How a real trial's tables and value files are read and written.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
    pub enum FileIo {
        /// Past the system's page cache: every read that the engine's cache does not answer comes
        /// from the device. Logs and manifests are small and stay in the page cache until synced.
        Direct = "direct",
        /// By way of the page cache, which answers reads from memory if it can.
        PageCache = "page-cache",
    }
}

/// What a trial was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The trial's id: a hash of the program, the resolved config and the seed.
    pub id: String,
    /// The hash of config and seed alone.
    #[serde(default)]
    pub case: String,
    /// The digest of the program that ran it.
    #[serde(default)]
    pub code: String,
    /// The commit of that program's sources ([`crate::code::COMMIT`]).
    #[serde(default)]
    pub commit: String,
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
    /// The keys that it inserted; `None` if they are spelt by number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<KeyFile>,
    /// The trace that it replays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<TraceFile>,
    /// The simulation's fingerprint over all its events; equal for two runs of one trial. `None` in
    /// the real world.
    pub fingerprint: Option<u64>,
    /// The machine and its state; `None` in a simulation, which depends on none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Host>,
}

/// The trace that a trial replays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceFile {
    /// The file's name.
    pub name: String,
    /// The digest of what is read of it.
    pub digest: String,
    /// Operations that are replayed.
    pub operations: u64,
    /// Puts before them, of the load.
    pub loads: u64,
    /// Distinct keys.
    pub keys: u64,
    /// Deletes of ranges, each replayed as deletes of the keys in it.
    pub range_deletes: u64,
    /// Deletes of ranges whose ends the trace does not state; they are left out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub open_range_deletes: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// The file that a trial took its keys from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyFile {
    /// Its name, without its folder.
    pub name: String,
    /// The digest of its keys.
    pub digest: String,
    /// Distinct keys.
    pub keys: u64,
    /// Keys that were left out because they were there already.
    pub duplicates: u64,
}

/// The machine of a real trial. What the system does not say is empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Host {
    /// The host's name.
    pub name: String,
    /// The processor's model.
    pub cpu: String,
    /// Cores that the process may use.
    pub cores: u64,
    /// The kernel's release.
    pub kernel: String,
    /// The type of the file system under the database, such as `ext4`.
    pub file_system: String,
    /// The frequency governor of the first core, at the start.
    pub governor: String,
    /// The governor at the end.
    #[serde(default)]
    pub governor_after: String,
    /// Whether the processor may exceed its base frequency: `on` or `off`.
    #[serde(default)]
    pub turbo: String,
    /// Whether it may at the end.
    #[serde(default)]
    pub turbo_after: String,
    /// Seconds since 1970 at the start.
    pub started: u64,
    /// Seconds since 1970 at the end.
    pub ended: u64,
    /// Processes that ran or waited for a core over the last minute, at the start.
    pub load_before: f64,
    /// Processes that ran or waited for a core over the last minute, at the end.
    pub load_after: f64,
    /// The state of the machine as `aura doctor` judges it. Stolen time and other processes are
    /// over the whole trial, the rest is as of its start.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<Fact>,
}

/// What a window of a trial is. Its name says it: all but those of phases are reserved, and the
/// names of steps have parentheses, as those of phases never have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// The phase that inserts the records.
    Load,
    /// The wait after the load until no background work is left.
    Settle,
    /// The operations before the first phase.
    WarmUp,
    /// A phase of the config.
    Phase,
    /// A phase of the config that is a step.
    Step,
    /// The wait after the last operation until no background work is left.
    Drain,
    /// All of the above.
    Whole,
}

impl Window {
    /// Returns a window's kind by its name.
    pub fn named(name: &str) -> Self {
        match name {
            names::LOAD => Self::Load,
            names::SETTLE => Self::Settle,
            names::WARM_UP => Self::WarmUp,
            names::DRAIN => Self::Drain,
            names::WHOLE => Self::Whole,
            _ if names::is_step(name) => Self::Step,
            _ => Self::Phase,
        }
    }
}

/// What a process has used, as the system counts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessUse {
    /// Bytes that it asked for.
    pub asked: u64,
    /// Bytes that the device was asked for on its behalf, ahead of what it asks for as well.
    pub from_device: u64,
    /// Bytes that it handed to the system to be written.
    pub written: u64,
    /// Nanoseconds of CPU, of all its threads; the system counts in hundredths of a second.
    pub cpu_nanos: u64,
    /// The most bytes of memory that it has had.
    pub memory_peak_bytes: u64,
}

/// What the counters of a trial's engine give. A metric that they do not give has no row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measures {
    /// The names of the engine's metrics that have values; `None` if all have. Metrics of clients
    /// and of the process always have them.
    pub metrics: Option<&'static [&'static str]>,
    /// Whether the engine does not count what it writes, so that the system's count for the process
    /// stands for it.
    pub writes_of_process: bool,
}

impl Measures {
    /// Whether the engine gives the metric called `name`.
    pub fn gives(&self, name: &str) -> bool {
        self.metrics.is_none_or(|given| given.contains(&name))
    }
}

/// One window of a trial: everything that metrics are derived from.
///
/// The windows of a trial follow one another without a gap, and the last one, `whole`, spans them
/// all: whatever the engine does falls into exactly one window, and into `whole`.
pub struct PhaseMeasure {
    /// The window's name: that of a phase, or one of [`aura_workloads::names`], which also says how
    /// the windows of steps are called.
    pub name: String,
    /// Nanoseconds from the window's start to the end of its last operation, or of the wait.
    pub nanos: u64,
    /// The engine's state at the end of the window before; at the first one, an engine not opened.
    pub before: Metrics,
    /// The engine's state at the window's end.
    pub after: Metrics,
    /// The simulated device and CPU at the window's start; `None` in the real world.
    pub device_before: Option<SimStats>,
    /// The simulated device and CPU at the window's end.
    pub device_after: Option<SimStats>,
    /// What the process had used at the window's start; `None` in a simulation, and if the system
    /// does not say.
    pub process_before: Option<ProcessUse>,
    /// What the process had used at the window's end.
    pub process_after: Option<ProcessUse>,
    /// Operations done, by class.
    pub operations: BTreeMap<OpClass, u64>,
    /// Latency by class: nanoseconds from an operation's (intended) start to its end.
    pub latency: BTreeMap<OpClass, Histogram<u64>>,
    /// Service time by class: nanoseconds from the actual start to the end. Empty in a closed loop.
    pub service: BTreeMap<OpClass, Histogram<u64>>,
    /// How late operations of an open loop began whose client was idle: nanoseconds from the
    /// intended start to the actual one. `None` if there were none.
    pub pacing: Option<Histogram<u64>>,
    /// Whether operations came at a given rate (open loop).
    pub open_loop: bool,
    /// Whether the backlog of an open loop kept growing over the last third.
    pub overloaded: bool,
    /// The most hits that a cache of this size could have had; `None` without a recorded trace.
    pub cache_bound: Option<CacheBound>,
    /// The phase in equal slices of time.
    pub series: Vec<SeriesPoint>,
    /// What happened in the background; times are nanoseconds from the window's start.
    pub events: Vec<Event>,
}

/// The state of engine and machine where one window ends and the next one begins.
#[derive(Clone, Debug, Default)]
pub struct Boundary {
    /// The engine's counters and state.
    pub metrics: Metrics,
    /// The simulated device and CPU; `None` in the real world.
    pub device: Option<SimStats>,
    /// What the process has used; `None` in a simulation.
    pub process: Option<ProcessUse>,
}

impl PhaseMeasure {
    /// A window in which no client did anything.
    pub fn quiet(name: &str, nanos: u64, from: Boundary, to: Boundary) -> Self {
        Self {
            name: name.to_owned(),
            nanos,
            before: from.metrics,
            after: to.metrics,
            device_before: from.device,
            device_after: to.device,
            process_before: from.process,
            process_after: to.process,
            operations: BTreeMap::new(),
            latency: BTreeMap::new(),
            service: BTreeMap::new(),
            pacing: None,
            open_loop: false,
            overloaded: false,
            cache_bound: None,
            series: Vec::new(),
            events: Vec::new(),
        }
    }

    /// What the window is.
    pub fn window(&self) -> Window {
        Window::named(&self.name)
    }

    /// The window that spans all `windows` of a trial, which took `nanos`. It has no latencies:
    /// those of the load and of phases do not mix.
    pub fn whole(windows: &[Self], nanos: u64) -> Option<Self> {
        let first = windows.first()?;
        let last = windows.last()?;
        let from = Boundary {
            metrics: first.before.clone(),
            device: first.device_before,
            process: first.process_before,
        };
        let to = Boundary {
            metrics: last.after.clone(),
            device: last.device_after,
            process: last.process_after,
        };
        let mut whole = Self::quiet(names::WHOLE, nanos, from, to);
        for window in windows {
            for (class, operations) in &window.operations {
                *whole.operations.entry(*class).or_default() += operations;
            }
        }
        Some(whole)
    }
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
    /// Nanoseconds of the slice after the first client had done its last operation.
    pub tail_nanos: u64,
}

/// Bytes at the end of a trial, when it is drained.
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
    /// Its windows in order: the load, the wait that settles it, the warm-up, the phases and steps,
    /// the drain, and `whole`.
    pub phases: Vec<PhaseMeasure>,
    /// Bytes at the end, after the drain.
    pub space: SpaceMeasure,
    /// The simulated device's write bandwidth; `None` in the real world or if it has no limit.
    pub device_write_bytes_per_s: Option<u64>,
    /// The accesses to the cache; `None` if they were not recorded.
    pub cache_trace: Option<CacheTrace>,
    /// The operations, as a compressed trace; `None` if they were not recorded.
    pub operations: Option<Vec<u8>>,
    /// What its compaction agent has learned by the end; `None` if nothing that lasts. `aura train`
    /// alone has a use for it: it is not stored.
    pub learned: Option<Value>,
    /// What the engine's counters give.
    pub measures: Measures,
}

/// One value of one metric: a row of `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricRow {
    /// The window: a phase's name, that of a step such as `tidy (compact)`, or `load`, `settle`,
    /// `warm-up`, `drain` or `whole`.
    pub phase: String,
    /// The metric's dotted name.
    pub metric: String,
    /// The value.
    pub value: f64,
    /// The metric's unit.
    pub unit: String,
}
