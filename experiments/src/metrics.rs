//! What is measured: the registry of metrics, and how each is derived from a trial.
//!
//! A name is dotted, with the unit last (`read.latency_p99_us`). Every metric has a class (is it counted, or timed?), a
//! direction (is more better?) and a scale (are two values compared by their ratio or by their difference?); comparing
//! and plotting obey them. A metric that is undefined in a phase (a hit ratio without look-ups) has no row there.

use aura_engine::Counts;
use aura_engine::env::sim::SimStats;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::record::{MetricRow, OpClass, PhaseMeasure, TrialResult, World};
use crate::recovery::operations_to_recover;

/// How a metric comes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Counted by the engine.
    Exact,
    /// Read off a clock.
    Time,
}

impl Class {
    /// What the metric is in a world.
    pub fn within(self, world: World) -> Measured {
        match (self, world) {
            (Self::Exact, _) => Measured::Exact,
            (Self::Time, World::Simulated) => Measured::Simulated,
            (Self::Time, World::Real) => Measured::Noisy,
        }
    }
}

/// A metric's class in a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Measured {
    /// A count.
    Exact,
    /// Virtual time: the same on every run of a seed.
    Simulated,
    /// Wall time.
    Noisy,
}

impl Measured {
    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Simulated => "simulated",
            Self::Noisy => "noisy",
        }
    }
}

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// More is better.
    Higher,
    /// Less is better.
    Lower,
    /// Neither.
    Neutral,
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scale {
    /// By their ratio: values are positive.
    Relative,
    /// By their difference: values may be zero, or are shares of one.
    Absolute,
}

/// One metric.
#[derive(Clone, Copy, Debug)]
pub struct MetricDef {
    /// The dotted name.
    pub name: &'static str,
    /// The unit of its values.
    pub unit: &'static str,
    /// Counted or timed.
    pub class: Class,
    /// Which way is better.
    pub direction: Direction,
    /// How two values are compared.
    pub scale: Scale,
    /// What it is, in a sentence.
    pub about: &'static str,
}

/// A metric as plain data, for `aura list metrics`.
#[derive(Clone, Debug, Serialize)]
pub struct MetricInfo {
    /// The dotted name.
    pub name: &'static str,
    /// The unit.
    pub unit: &'static str,
    /// Its class in a simulation, and in the real world where that differs.
    pub class: &'static str,
    /// Which way is better.
    pub direction: Direction,
    /// What it is.
    pub about: &'static str,
}

/// A metric nobody knows.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("unknown metric {name}; nearest: {}", nearest.join(", "))]
pub struct UnknownMetric {
    /// What was asked for.
    pub name: String,
    /// The known names that look most like it.
    pub nearest: Vec<&'static str>,
}

const fn def(
    name: &'static str,
    unit: &'static str,
    (class, direction, scale): (Class, Direction, Scale),
    about: &'static str,
) -> MetricDef {
    MetricDef {
        name,
        unit,
        class,
        direction,
        scale,
        about,
    }
}

type Kind = (Class, Direction, Scale);

const RATE: Kind = (Class::Time, Direction::Higher, Scale::Relative);
const DELAY: Kind = (Class::Time, Direction::Lower, Scale::Relative);
const TIME_SHARE: Kind = (Class::Time, Direction::Lower, Scale::Absolute);
const COST: Kind = (Class::Exact, Direction::Lower, Scale::Relative);
const COST_OR_NONE: Kind = (Class::Exact, Direction::Lower, Scale::Absolute);
const GAIN: Kind = (Class::Exact, Direction::Higher, Scale::Absolute);
const FACT: Kind = (Class::Exact, Direction::Neutral, Scale::Absolute);

/// The rows of one class of operations: how many a second, and how long they took.
macro_rules! operation {
    ($op:literal) => {
        &[
            def(concat!($op, ".throughput_ops"), "ops/s", RATE, concat!("Operations of class ", $op, " a second.")),
            operation!(@row $op, "latency_mean_us", "mean from the (intended) start to the end"),
            operation!(@row $op, "latency_p50_us", "median from the (intended) start to the end"),
            operation!(@row $op, "latency_p95_us", "95th percentile from the (intended) start to the end"),
            operation!(@row $op, "latency_p99_us", "99th percentile from the (intended) start to the end"),
            operation!(@row $op, "latency_p999_us", "99.9th percentile from the (intended) start to the end"),
            operation!(@row $op, "latency_max_us", "largest from the (intended) start to the end"),
            operation!(@row $op, "service_mean_us", "in an open loop: mean from the actual start to the end"),
            operation!(@row $op, "service_p50_us", "in an open loop: median from the actual start to the end"),
            operation!(@row $op, "service_p95_us", "in an open loop: 95th percentile from the actual start to the end"),
            operation!(@row $op, "service_p99_us", "in an open loop: 99th percentile from the actual start to the end"),
            operation!(@row $op, "service_p999_us", "in an open loop: 99.9th percentile from the actual start"),
            operation!(@row $op, "service_max_us", "in an open loop: largest from the actual start to the end"),
        ]
    };
    (@row $op:literal, $stat:literal, $about:literal) => {
        def(concat!($op, ".", $stat), "us", DELAY, concat!("Time of ", $op, " operations: ", $about, "."))
    };
}

const RUN: &[MetricDef] = &[
    def(
        "run.throughput_ops",
        "ops/s",
        RATE,
        "Operations of all classes a second.",
    ),
    def(
        "run.duration_s",
        "s",
        DELAY,
        "From the phase's start to the end of its last operation.",
    ),
    def("run.operations", "ops", FACT, "Operations of all classes."),
    def(
        "run.overloaded",
        "ratio",
        TIME_SHARE,
        "Open loop: 1 if the backlog grew over the last third of the phase, else 0.",
    ),
];

const DEVICE: &[MetricDef] = &[
    def(
        "write.amplification",
        "ratio",
        COST,
        "Bytes written for any reason, log included, over bytes users wrote.",
    ),
    def(
        "write.amplification_tables",
        "ratio",
        COST,
        "The same without the write-ahead log.",
    ),
    def(
        "read.amplification",
        "ratio",
        COST_OR_NONE,
        "Bytes gets and scans read from files over bytes of values they returned.",
    ),
    def(
        "device.reads_per_get",
        "reads/op",
        COST_OR_NONE,
        "Reads of files that point reads caused, over point reads.",
    ),
    def(
        "device.read_bytes",
        "bytes",
        COST_OR_NONE,
        "Bytes read from files by gets, scans and compactions.",
    ),
    def(
        "device.write_bytes",
        "bytes",
        COST_OR_NONE,
        "Bytes written to files for any reason.",
    ),
    def(
        "device.busy_ratio",
        "ratio",
        TIME_SHARE,
        "Simulation: time the device's units worked, summed over them, over the phase's time.",
    ),
    def(
        "device.write_bandwidth_ratio",
        "ratio",
        (Class::Time, Direction::Neutral, Scale::Absolute),
        "Simulation: bytes written a second over the device's write bandwidth; 1 is the bound.",
    ),
    def(
        "space.amplification",
        "ratio",
        COST,
        "Bytes of tables, value files and logs over reachable bytes, at the end.",
    ),
    def(
        "space.disk_bytes",
        "bytes",
        COST,
        "Bytes of tables, value files and logs, at the end.",
    ),
];

const MEMORY: &[MetricDef] = &[
    def(
        "cache.hit_ratio",
        "ratio",
        GAIN,
        "Data blocks that the cache held over data blocks asked for.",
    ),
    def(
        "cache.bound_hit_ratio",
        "ratio",
        FACT,
        "With record.cache: the most data blocks that any cache of the size could have held over those asked for (PFOO-L).",
    ),
    def(
        "cache.point_hit_ratio",
        "ratio",
        GAIN,
        "The share of hits, of whatever kind, among what point reads asked for.",
    ),
    def(
        "cache.scan_hit_ratio",
        "ratio",
        GAIN,
        "The share of hits, of whatever kind, among what scans asked for.",
    ),
    def(
        "cache.value_hit_ratio",
        "ratio",
        GAIN,
        "Value-log values that the cache held over values asked for.",
    ),
    def(
        "cache.index_hit_ratio",
        "ratio",
        GAIN,
        "Where table indexes are cached objects: those held over those asked for.",
    ),
    def(
        "cache.filter_hit_ratio",
        "ratio",
        GAIN,
        "Where filters are cached objects: those held over those asked for.",
    ),
    def(
        "cache.row_hit_ratio",
        "ratio",
        GAIN,
        "With cache.rows: rows that the cache held over rows asked for.",
    ),
    def(
        "cache.level0_hit_ratio",
        "ratio",
        GAIN,
        "Data, index and filter blocks of level 0 held over those asked for.",
    ),
    def(
        "cache.level1_hit_ratio",
        "ratio",
        GAIN,
        "The same of level 1.",
    ),
    def(
        "cache.level2_hit_ratio",
        "ratio",
        GAIN,
        "The same of level 2.",
    ),
    def(
        "cache.level3_hit_ratio",
        "ratio",
        GAIN,
        "The same of level 3.",
    ),
    def(
        "cache.level4_hit_ratio",
        "ratio",
        GAIN,
        "The same of level 4.",
    ),
    def(
        "cache.level5_hit_ratio",
        "ratio",
        GAIN,
        "The same of level 5.",
    ),
    def(
        "cache.level6_hit_ratio",
        "ratio",
        GAIN,
        "The same of level 6.",
    ),
    def(
        "cache.level7_hit_ratio",
        "ratio",
        GAIN,
        "The same of level 7 and those below.",
    ),
    def(
        "cache.evictions",
        "objects",
        FACT,
        "Objects that left the cache for others.",
    ),
    def(
        "cache.rejected",
        "objects",
        FACT,
        "Objects that an admission or eviction policy kept out.",
    ),
    def(
        "cache.warmed_blocks",
        "blocks",
        FACT,
        "Blocks that flushes and compactions put into the cache.",
    ),
    def(
        "cache.dead_blocks",
        "blocks",
        FACT,
        "Objects that left the cache because their table was gone.",
    ),
    def(
        "cache.pinned_bytes",
        "bytes",
        COST_OR_NONE,
        "Bytes of indexes and filters that tables keep in memory, at the end.",
    ),
    def(
        "cache.recovery_ops",
        "ops",
        COST_OR_NONE,
        "Operations until a slice of the phase reaches 95 % of the hit ratio of the phase's last quarter.",
    ),
    def(
        "cache.used_bytes",
        "bytes",
        FACT,
        "Bytes in the cache at the end.",
    ),
    def(
        "cache.metadata_bytes",
        "bytes",
        COST_OR_NONE,
        "Bytes of the eviction policy's metadata at the end.",
    ),
    def(
        "filter.false_positive_ratio",
        "ratio",
        COST_OR_NONE,
        "Filter answers that were wrong, over those for keys not there.",
    ),
    def(
        "filter.bytes_per_key",
        "bytes",
        COST_OR_NONE,
        "Bytes of filters over entries in tables, at the end.",
    ),
    def(
        "index.bytes_per_key",
        "bytes",
        COST,
        "Bytes of table indexes over entries in tables, at the end.",
    ),
    def(
        "index.fence_bytes_per_key",
        "bytes",
        FACT,
        "The same if every table used fence pointers.",
    ),
    def(
        "index.probes_per_lookup",
        "blocks/op",
        COST,
        "Data blocks that one look-up in a table examined; 1 is the least.",
    ),
    def(
        "index.model_tables",
        "tables",
        FACT,
        "Tables whose index is a learned model, at the end.",
    ),
    def(
        "index.segments",
        "segments",
        FACT,
        "Pieces of those models, at the end.",
    ),
    def(
        "index.fence_ratio",
        "ratio",
        COST,
        "Bytes of table indexes over those of plain fence pointers, at the end.",
    ),
    def(
        "index.training_ns_per_key",
        "ns",
        DELAY,
        "Time of training and checking models, over the keys they were given.",
    ),
    def(
        "index.training_cpu_ratio",
        "ratio",
        TIME_SHARE,
        "Time of training and checking models, in flushes too, over the CPU time of merging compactions.",
    ),
    def(
        "index.tuned",
        "tables",
        FACT,
        "Tables to which a tuner gave another index than that of the settings.",
    ),
    def(
        "index.refused",
        "tables",
        FACT,
        "Tables whose model was refused, so that fence pointers serve.",
    ),
    def(
        "index.refused_declined",
        "tables",
        FACT,
        "The part of them for which the policy itself made no model.",
    ),
    def(
        "index.refused_too_large",
        "tables",
        FACT,
        "The part of them whose model took too much memory.",
    ),
    def(
        "index.refused_too_wide",
        "tables",
        FACT,
        "The part of them whose windows were too wide.",
    ),
    def(
        "index.refused_wrong",
        "tables",
        COST_OR_NONE,
        "The part of them whose model was wrong, or did not read back.",
    ),
    def(
        "index.model_fallbacks",
        "tables",
        COST_OR_NONE,
        "Tables opened whose stored model could not be read.",
    ),
    def(
        "memtable.hit_ratio",
        "ratio",
        FACT,
        "Point reads that a memtable answered over point reads.",
    ),
];

const BACKGROUND: &[MetricDef] = &[
    def(
        "compaction.write_bytes",
        "bytes",
        COST_OR_NONE,
        "Bytes that compactions wrote.",
    ),
    def(
        "compaction.read_bytes",
        "bytes",
        COST_OR_NONE,
        "Bytes that compactions read.",
    ),
    def(
        "compaction.count",
        "count",
        FACT,
        "Compactions that merged tables.",
    ),
    def("flush.count", "count", FACT, "Memtables flushed."),
    def(
        "value_log.write_bytes",
        "bytes",
        FACT,
        "Bytes of values that writers appended to the value log.",
    ),
    def(
        "value_log.garbage_ratio",
        "ratio",
        COST_OR_NONE,
        "The part of the value log that is garbage, at the end.",
    ),
    def("gc.count", "count", FACT, "Collections of value files."),
    def(
        "gc.write_bytes",
        "bytes",
        COST_OR_NONE,
        "Bytes of values that collections, or compactions for them, wrote anew.",
    ),
    def(
        "gc.write_amplification",
        "ratio",
        COST,
        "Bytes written to value files over those that writers appended: 1/(1-u) where victims are live to a part u.",
    ),
    def(
        "gc.victim_live_ratio",
        "ratio",
        COST_OR_NONE,
        "The part of the collected files that was live: the u of that.",
    ),
    def(
        "limiter.wait_ratio",
        "ratio",
        TIME_SHARE,
        "Time the background waited for engine.io_limit over the phase's.",
    ),
    def(
        "tree.runs",
        "runs",
        COST_OR_NONE,
        "Sorted runs at the end: what a point read without filters asks.",
    ),
    def(
        "tree.levels",
        "levels",
        FACT,
        "Levels with tables at the end.",
    ),
    def(
        "stall.time_ratio",
        "ratio",
        TIME_SHARE,
        "Time writers waited for the engine, summed over them, over the phase's time.",
    ),
    def(
        "stall.count",
        "count",
        COST_OR_NONE,
        "Times a writer had to wait or was slowed down.",
    ),
    def(
        "cpu.ns_per_op",
        "ns",
        DELAY,
        "Simulation: CPU time, background work included, over operations.",
    ),
    def(
        "debt.bytes",
        "bytes",
        COST_OR_NONE,
        "Compaction debt left unpaid at the end.",
    ),
    def("wal.syncs", "count", FACT, "Syncs of the write-ahead log."),
    def(
        "agent.actions",
        "count",
        FACT,
        "Actions of the compaction agent that were carried out.",
    ),
    def(
        "engine.plans_refused",
        "count",
        COST_OR_NONE,
        "Compaction plans of a policy refused as unlawful.",
    ),
];

/// Every metric, by subject, in the order of tables.
pub const REGISTRY: &[&[MetricDef]] = &[
    RUN,
    operation!("read"),
    operation!("write"),
    operation!("scan"),
    operation!("rmw"),
    operation!("delete"),
    DEVICE,
    MEMORY,
    BACKGROUND,
];

/// What a comparison looks at unless told otherwise, beside its primary metrics.
pub const HEADLINE: &[&str] = &[
    "read.latency_p99_us",
    "write.latency_p99_us",
    "write.amplification",
    "device.reads_per_get",
    "space.amplification",
    "cache.hit_ratio",
    "stall.time_ratio",
];

/// Every metric in order.
pub fn all() -> impl Iterator<Item = &'static MetricDef> {
    REGISTRY.iter().copied().flatten()
}

/// Finds a metric by its name.
///
/// # Errors
/// [`UnknownMetric`] with the three nearest names.
pub fn find(name: &str) -> Result<&'static MetricDef, UnknownMetric> {
    all()
        .find(|metric| metric.name == name)
        .ok_or_else(|| UnknownMetric {
            name: name.to_owned(),
            nearest: nearest(name, all().map(|metric| metric.name)),
        })
}

/// Where a metric stands in the registry; unknown ones come last.
pub fn rank(name: &str) -> usize {
    all()
        .position(|metric| metric.name == name)
        .unwrap_or(usize::MAX)
}

/// The registry as plain data.
pub fn info() -> Vec<MetricInfo> {
    let info = |metric: &MetricDef| MetricInfo {
        name: metric.name,
        unit: metric.unit,
        class: match metric.class {
            Class::Exact => "exact",
            Class::Time => "simulated or noisy",
        },
        direction: metric.direction,
        about: metric.about,
    };
    all().map(info).collect()
}

/// The three of `known` that take the fewest edits to become `name`; ties in the order given.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut ranked: Vec<_> = known.map(|other| (edits(name, other), other)).collect();
    ranked.sort_by_key(|(distance, _)| *distance);
    ranked.into_iter().take(3).map(|(_, other)| other).collect()
}

/// Levenshtein's distance: insertions, deletions and replacements of a character.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, a) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// A trial's metrics: phases in order, and within each the registry's order.
pub fn derive(trial: &TrialResult) -> Vec<MetricRow> {
    let mut all = Vec::new();
    for (number, phase) in trial.phases.iter().enumerate() {
        let mut rows = Rows {
            phase: &phase.name,
            rows: Vec::new(),
        };
        rows.run(phase);
        rows.device(phase, trial.device_write_bytes_per_s);
        rows.memory(phase);
        rows.background(phase);
        if number + 1 == trial.phases.len() {
            rows.share(
                "space.amplification",
                trial.space.disk_bytes,
                trial.space.reachable_bytes,
            );
            rows.put("space.disk_bytes", trial.space.disk_bytes as f64);
        }
        rows.rows.sort_by_key(|row| rank(&row.metric));
        all.extend(rows.rows);
    }
    all
}

struct Rows<'a> {
    phase: &'a str,
    rows: Vec<MetricRow>,
}

impl Rows<'_> {
    fn put(&mut self, metric: &str, value: f64) {
        let unit = find(metric)
            .expect("derived metrics are in the registry: a test derives them all")
            .unit;
        if value.is_finite() {
            let phase = self.phase.to_owned();
            self.rows.push(MetricRow {
                phase,
                metric: metric.to_owned(),
                value,
                unit: unit.to_owned(),
            });
        }
    }

    /// `part / whole`, where there is a whole.
    fn share(&mut self, metric: &str, part: u64, whole: u64) {
        if whole > 0 {
            self.put(metric, part as f64 / whole as f64);
        }
    }

    fn count(&mut self, metric: &str, value: u64) {
        self.put(metric, value as f64);
    }

    fn run(&mut self, phase: &PhaseMeasure) {
        let operations = phase.operations.values().sum();
        let seconds = phase.nanos as f64 / 1e9;
        self.count("run.operations", operations);
        self.put("run.duration_s", seconds);
        if phase.open_loop {
            self.put("run.overloaded", f64::from(u8::from(phase.overloaded)));
        }
        if operations > 0 {
            self.put("run.throughput_ops", operations as f64 / seconds);
        }
        for class in OpClass::ALL {
            match phase.operations.get(&class) {
                Some(&count) if count > 0 => {
                    self.put(
                        &format!("{}.throughput_ops", class.name()),
                        count as f64 / seconds,
                    );
                }
                _ => {}
            }
            for (kind, histograms) in [("latency", &phase.latency), ("service", &phase.service)] {
                if let Some(histogram) = histograms.get(&class) {
                    self.delays(&format!("{}.{kind}", class.name()), histogram);
                }
            }
        }
    }

    fn delays(&mut self, prefix: &str, histogram: &Histogram<u64>) {
        if histogram.is_empty() {
            return;
        }
        self.put(&format!("{prefix}_mean_us"), histogram.mean() / 1e3);
        for (name, quantile) in [("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("p999", 0.999)] {
            self.put(
                &format!("{prefix}_{name}_us"),
                histogram.value_at_quantile(quantile) as f64 / 1e3,
            );
        }
        self.put(&format!("{prefix}_max_us"), histogram.max() as f64 / 1e3);
    }

    fn device(&mut self, phase: &PhaseMeasure, bandwidth: Option<u64>) {
        let counts = phase.after.counts.since(&phase.before.counts);
        let written = counts.device_write_bytes();
        self.share("write.amplification", written, counts.user_write_bytes);
        self.share(
            "write.amplification_tables",
            written - counts.wal_bytes,
            counts.user_write_bytes,
        );
        self.share(
            "read.amplification",
            counts.device_read_bytes,
            counts.user_read_bytes,
        );
        self.share("device.reads_per_get", counts.get_device_reads, counts.gets);
        self.count(
            "device.read_bytes",
            counts.device_read_bytes + counts.compaction_read_bytes + counts.gc_read_bytes,
        );
        self.count("device.write_bytes", written);
        if let Some(bandwidth) = bandwidth {
            self.put(
                "device.write_bandwidth_ratio",
                written as f64 * 1e9 / phase.nanos as f64 / bandwidth as f64,
            );
        }
        if let (Some(before), Some(after)) = (&phase.device_before, &phase.device_after) {
            self.simulated(phase, before, after);
        }
    }

    fn simulated(&mut self, phase: &PhaseMeasure, before: &SimStats, after: &SimStats) {
        self.share(
            "device.busy_ratio",
            after.device_busy_nanos - before.device_busy_nanos,
            phase.nanos,
        );
        let operations = phase.operations.values().sum();
        self.share(
            "cpu.ns_per_op",
            after.cpu_nanos - before.cpu_nanos,
            operations,
        );
    }

    fn memory(&mut self, phase: &PhaseMeasure) {
        let counts = phase.after.counts.since(&phase.before.counts);
        let entries = phase.after.table_entries();
        let negatives = counts.filter_false_positives + counts.filter_negatives;
        self.share(
            "cache.hit_ratio",
            counts.block_hits,
            counts.block_hits + counts.block_misses,
        );
        self.share(
            "cache.value_hit_ratio",
            counts.value_hits,
            counts.value_hits + counts.value_misses,
        );
        self.cache(phase, &counts);
        if let Some(operations) = operations_to_recover(&phase.series) {
            self.count("cache.recovery_ops", operations);
        }
        self.count("cache.used_bytes", phase.after.cache.used_bytes);
        self.count("cache.metadata_bytes", phase.after.cache.metadata_bytes);
        self.share(
            "filter.false_positive_ratio",
            counts.filter_false_positives,
            negatives,
        );
        self.share("filter.bytes_per_key", phase.after.filter_bytes, entries);
        self.share("index.bytes_per_key", phase.after.index_bytes, entries);
        self.share(
            "index.fence_bytes_per_key",
            phase.after.fence_bytes,
            entries,
        );
        self.share(
            "index.probes_per_lookup",
            counts.index_probes,
            counts.index_lookups,
        );
        self.count("index.model_tables", phase.after.model_tables);
        self.count("index.segments", phase.after.model_segments);
        self.share(
            "index.fence_ratio",
            phase.after.index_bytes,
            phase.after.fence_bytes,
        );
        self.share(
            "index.training_ns_per_key",
            counts.index_training_nanos,
            counts.index_trained_keys,
        );
        self.share(
            "index.training_cpu_ratio",
            counts.index_training_nanos,
            counts.compaction_cpu_nanos,
        );
        self.count("index.tuned", counts.index_tuned);
        self.count("index.refused", counts.index_refused);
        self.count("index.refused_declined", counts.index_declined);
        self.count("index.refused_too_large", counts.index_too_large);
        self.count("index.refused_too_wide", counts.index_too_wide);
        self.count("index.refused_wrong", counts.index_wrong);
        self.count("index.model_fallbacks", counts.model_fallbacks);
        self.share("memtable.hit_ratio", counts.memtable_hits, counts.gets);
    }

    /// Hits by who asked, kind and level, and what came and went.
    fn cache(&mut self, phase: &PhaseMeasure, counts: &Counts) {
        if let Some(bound) = phase.cache_bound {
            self.share("cache.bound_hit_ratio", bound.hits, bound.asked);
        }
        let rows = (
            counts.key_value_hits + counts.key_pointer_hits,
            counts.key_value_misses + counts.key_pointer_misses,
        );
        let kinds = [
            (counts.block_hits, counts.block_misses),
            (counts.value_hits, counts.value_misses),
            (counts.index_hits, counts.index_misses),
            (counts.filter_hits, counts.filter_misses),
            rows,
        ];
        let (hits, misses) = kinds
            .iter()
            .fold((0, 0), |(hits, misses), (h, m)| (hits + h, misses + m));
        let point = (hits - counts.scan_hits, misses - counts.scan_misses);
        for (metric, (hits, misses)) in [
            ("cache.point_hit_ratio", point),
            (
                "cache.scan_hit_ratio",
                (counts.scan_hits, counts.scan_misses),
            ),
            (
                "cache.index_hit_ratio",
                (counts.index_hits, counts.index_misses),
            ),
            (
                "cache.filter_hit_ratio",
                (counts.filter_hits, counts.filter_misses),
            ),
            ("cache.row_hit_ratio", rows),
        ] {
            self.share(metric, hits, hits + misses);
        }
        for (level, (hits, misses)) in counts
            .level_hits
            .iter()
            .zip(counts.level_misses)
            .enumerate()
        {
            self.share(
                &format!("cache.level{level}_hit_ratio"),
                *hits,
                hits + misses,
            );
        }
        let (before, after) = (&phase.before.cache, &phase.after.cache);
        self.count(
            "cache.evictions",
            after.evictions.saturating_sub(before.evictions),
        );
        self.count(
            "cache.rejected",
            after.rejected.saturating_sub(before.rejected),
        );
        self.count(
            "cache.warmed_blocks",
            after.warmed.saturating_sub(before.warmed),
        );
        self.count("cache.dead_blocks", after.dead.saturating_sub(before.dead));
        self.count("cache.pinned_bytes", after.pinned_bytes);
    }

    fn background(&mut self, phase: &PhaseMeasure) {
        let counts = phase.after.counts.since(&phase.before.counts);
        self.count("compaction.write_bytes", counts.compaction_write_bytes);
        self.count("compaction.read_bytes", counts.compaction_read_bytes);
        self.count("compaction.count", counts.compactions);
        self.count("flush.count", counts.flushes);
        self.count("value_log.write_bytes", counts.value_log_bytes);
        self.share(
            "value_log.garbage_ratio",
            phase.after.value_garbage_bytes,
            phase.after.value_file_bytes,
        );
        self.count("gc.count", counts.gc_runs);
        self.count("gc.write_bytes", counts.gc_write_bytes);
        let values_written = counts.value_log_bytes + counts.gc_write_bytes;
        self.share(
            "gc.write_amplification",
            values_written,
            counts.value_log_bytes,
        );
        self.share(
            "gc.victim_live_ratio",
            counts.gc_read_bytes,
            counts.gc_victim_bytes,
        );
        self.share(
            "limiter.wait_ratio",
            counts.limiter_wait_nanos(),
            phase.nanos,
        );
        self.count("tree.runs", phase.after.runs());
        self.count(
            "tree.levels",
            phase
                .after
                .levels
                .iter()
                .filter(|level| level.tables > 0)
                .count() as u64,
        );
        self.share("stall.time_ratio", counts.stall_nanos, phase.nanos);
        self.count("stall.count", counts.stalls);
        self.count("debt.bytes", phase.after.debt_bytes);
        self.count("wal.syncs", counts.wal_syncs);
        self.count("agent.actions", counts.agent_actions);
        self.count("engine.plans_refused", counts.plans_refused);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use aura_engine::{LevelState, Metrics};

    use super::*;
    use crate::record::{CacheBound, Manifest, SeriesPoint, SpaceMeasure};

    fn histogram(values: &[u64]) -> Histogram<u64> {
        let mut histogram = Histogram::new(3).expect("three digits are allowed");
        values
            .iter()
            .for_each(|value| histogram.record(*value).expect("the histogram grows"));
        histogram
    }

    /// A trial in which every metric is defined. `factor` scales its times.
    pub(crate) fn sample(variant: &str, seed: u64, factor: u64) -> TrialResult {
        let mut after = Metrics::default();
        let counts = &mut after.counts;
        (counts.gets, counts.memtable_hits, counts.get_device_reads) = (1000, 100, 250);
        (counts.user_write_bytes, counts.user_read_bytes) = (1_000_000, 500_000);
        (
            counts.wal_bytes,
            counts.flush_bytes,
            counts.compaction_write_bytes,
        ) = (1_100_000, 900_000, 2_400_000);
        (counts.device_read_bytes, counts.compaction_read_bytes) = (1_000_000, 2_300_000);
        (
            counts.block_hits,
            counts.block_misses,
            counts.value_hits,
            counts.value_misses,
        ) = (750 + seed, 250, 1, 3);
        (
            counts.index_hits,
            counts.index_misses,
            counts.filter_hits,
            counts.filter_misses,
        ) = (10, 10, 30, 10);
        (
            counts.key_value_hits,
            counts.key_value_misses,
            counts.scan_hits,
            counts.scan_misses,
        ) = (5, 15, 50, 50);
        (counts.level_hits, counts.level_misses) = ([99; 8], [101; 8]);
        (counts.filter_negatives, counts.filter_false_positives) = (990, 10);
        (counts.index_lookups, counts.index_probes) = (400, 500);
        (counts.index_trained_keys, counts.index_training_nanos) = (10_000, 400_000);
        (
            counts.compaction_cpu_nanos,
            counts.index_refused,
            counts.index_too_large,
        ) = (16_000_000, 3, 2);
        (
            counts.value_log_bytes,
            counts.gc_write_bytes,
            counts.gc_read_bytes,
        ) = (400_000, 200_000, 200_000);
        (
            counts.gc_runs,
            counts.gc_victim_bytes,
            counts.limiter_deep_nanos,
        ) = (2, 600_000, 50_000_000 * factor);
        (counts.stall_nanos, counts.stalls) = (100_000_000 * factor, 7);
        after.levels = vec![
            LevelState {
                runs: 2,
                tables: 2,
                bytes: 900_000,
                entries: 10_000,
            },
            LevelState::default(),
        ];
        (after.value_file_bytes, after.value_garbage_bytes) = (800_000, 200_000);
        (after.index_bytes, after.fence_bytes, after.filter_bytes) = (20_000, 40_000, 12_500);
        (after.model_tables, after.model_segments) = (1, 12);
        let classes = |values: &[u64]| {
            OpClass::ALL
                .into_iter()
                .map(|class| (class, histogram(values)))
                .collect()
        };
        let slice = |number: u64| SeriesPoint {
            at_nanos: number * 100_000_000 * factor,
            nanos: 100_000_000 * factor,
            operations: 500 + number,
            cache_hits: 30,
            cache_misses: 10,
            ..SeriesPoint::default()
        };
        let phase = PhaseMeasure {
            name: "run".to_owned(),
            nanos: 1_000_000_000 * factor,
            before: Metrics::default(),
            after,
            device_before: Some(SimStats::default()),
            device_after: Some(SimStats {
                device_busy_nanos: 250_000_000 * factor,
                cpu_nanos: 5_000_000,
                ..SimStats::default()
            }),
            operations: OpClass::ALL
                .into_iter()
                .map(|class| (class, 1000))
                .collect(),
            latency: classes(&[10_000 * factor, 20_000 * factor, 30_000 * factor]),
            service: classes(&[1000, 2000]),
            open_loop: true,
            overloaded: false,
            cache_bound: Some(CacheBound {
                hits: 900 + seed,
                asked: 1000,
            }),
            series: (0..10).map(slice).collect(),
            events: Vec::new(),
        };
        let manifest = Manifest {
            id: format!("{variant}-{seed}"),
            experiment: "sample".to_owned(),
            variant: variant.to_owned(),
            point: BTreeMap::from([("engine.cache.size".to_owned(), "32MiB".to_owned())]),
            seed,
            world: World::Simulated,
            device: "nvme".to_owned(),
            version: "0.1.0".to_owned(),
            fingerprint: Some(seed),
        };
        TrialResult {
            manifest,
            phases: vec![phase],
            space: SpaceMeasure {
                reachable_bytes: 1_000_000,
                disk_bytes: 1_500_000,
            },
            device_write_bytes_per_s: Some(50_000_000),
            cache_trace: None,
        }
    }

    fn value(rows: &[MetricRow], metric: &str) -> Option<f64> {
        rows.iter()
            .find(|row| row.metric == metric)
            .map(|row| row.value)
    }

    #[test]
    fn every_metric_of_the_registry_is_derived_and_no_other() {
        let derived: BTreeSet<String> = derive(&sample("a", 0, 1))
            .into_iter()
            .map(|row| row.metric)
            .collect();
        let known: BTreeSet<String> = all().map(|metric| metric.name.to_owned()).collect();
        assert_eq!(derived, known);
        assert_eq!(known.len(), all().count(), "a name is there twice");
        HEADLINE
            .iter()
            .for_each(|name| assert!(find(name).is_ok(), "{name}"));
    }

    #[test]
    fn values_are_what_their_definitions_say() {
        let rows = derive(&sample("a", 0, 1));
        for (metric, expected) in [
            ("run.throughput_ops", 5000.0),
            ("write.amplification", 5.0),
            ("write.amplification_tables", 3.9),
            ("read.amplification", 2.0),
            ("device.reads_per_get", 0.25),
            ("device.read_bytes", 3_500_000.0),
            ("device.write_bandwidth_ratio", 0.1),
            ("device.busy_ratio", 0.25),
            ("space.amplification", 1.5),
            ("cache.hit_ratio", 0.75),
            ("cache.bound_hit_ratio", 0.9),
            ("cache.scan_hit_ratio", 0.5),
            ("cache.point_hit_ratio", 746.0 / 984.0),
            ("cache.filter_hit_ratio", 0.75),
            ("cache.level3_hit_ratio", 0.495),
            ("filter.false_positive_ratio", 0.01),
            ("filter.bytes_per_key", 1.25),
            ("index.bytes_per_key", 2.0),
            ("index.probes_per_lookup", 1.25),
            ("index.fence_ratio", 0.5),
            ("index.training_ns_per_key", 40.0),
            ("index.training_cpu_ratio", 0.025),
            ("index.refused", 3.0),
            ("index.refused_too_large", 2.0),
            ("value_log.garbage_ratio", 0.25),
            ("gc.write_amplification", 1.5),
            ("gc.victim_live_ratio", 1.0 / 3.0),
            ("limiter.wait_ratio", 0.05),
            ("stall.time_ratio", 0.1),
            ("cpu.ns_per_op", 1000.0),
            ("memtable.hit_ratio", 0.1),
            ("tree.runs", 2.0),
            ("tree.levels", 1.0),
        ] {
            assert_eq!(value(&rows, metric), Some(expected), "{metric}");
        }
        let median = value(&rows, "read.latency_p50_us").expect("reads were measured");
        assert!(
            (median - 20.0).abs() < 0.02,
            "the histogram keeps three digits: {median}"
        );
    }

    #[test]
    fn an_undefined_metric_has_no_row() {
        let mut trial = sample("a", 0, 1);
        let phase = &mut trial.phases[0];
        phase.after = Metrics::default();
        (phase.device_before, phase.device_after) = (None, None);
        phase.operations.clear();
        phase.latency.clear();
        phase.nanos = 0;
        trial.space = SpaceMeasure::default();
        let rows = derive(&trial);
        assert!(rows.iter().all(|row| row.value.is_finite()));
        for metric in [
            "cache.hit_ratio",
            "write.amplification",
            "run.throughput_ops",
            "read.latency_p99_us",
        ] {
            assert_eq!(value(&rows, metric), None, "{metric}");
        }
    }

    #[test]
    fn a_misspelt_name_is_answered_with_the_nearest() {
        let error = find("cache.hitratio").expect_err("no such metric");
        assert_eq!(error.nearest[0], "cache.hit_ratio");
        assert!(
            error
                .to_string()
                .starts_with("unknown metric cache.hitratio; nearest: cache.hit_ratio, ")
        );
    }

    #[test]
    fn edits_are_counted_as_levenshtein_did() {
        for (a, b, distance) in [
            ("kitten", "sitting", 3),
            ("", "abc", 3),
            ("abc", "abc", 0),
            ("flaw", "lawn", 2),
        ] {
            assert_eq!(edits(a, b), distance, "{a} {b}");
        }
    }

    #[test]
    fn time_is_simulated_or_noisy_and_counts_are_exact() {
        assert_eq!(Class::Time.within(World::Simulated), Measured::Simulated);
        assert_eq!(Class::Time.within(World::Real), Measured::Noisy);
        assert_eq!(Class::Exact.within(World::Real), Measured::Exact);
    }
}
