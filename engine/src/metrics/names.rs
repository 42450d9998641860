//! Every number that an engine says of itself, with its name, unit, kind and help.
//!
//! Where a number means what one of the laboratory's metrics means, it has that metric's name and
//! unit; a test of the laboratory compares them. Every other counter has the name of its field.

use std::sync::LazyLock;

use super::latency::TimedOperation;
use super::{Counts, Metrics, Window};

/// How a metric behaves over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// It only rises while the engine is open.
    Counter,
    /// It rises and falls.
    Gauge,
    /// It is a ratio over a window.
    Ratio,
    /// It is a distribution.
    Histogram,
}

/// Where a metric's value comes from.
#[derive(Clone, Copy, Debug)]
pub enum MetricSource {
    /// A count since the engine was opened.
    Counter(fn(&Metrics) -> u64),
    /// A state.
    Gauge(fn(&Metrics) -> u64),
    /// A ratio over a window; None if nothing happened in it that it is about.
    Ratio(fn(&Window) -> Option<f64>),
    /// The times of one kind of operation.
    Latency(TimedOperation),
}

/// A metric of a running engine.
#[derive(Clone, Debug)]
pub struct MetricEntry {
    /// Its name, such as `cache.hit_ratio`.
    pub name: String,
    /// Its unit: `bytes`, `ns`, `ratio`, `count` or what is counted.
    pub unit: &'static str,
    /// What it says, in one sentence.
    pub help: String,
    /// Where its value comes from.
    pub source: MetricSource,
}

impl MetricEntry {
    fn new(name: &str, unit: &'static str, help: &str, source: MetricSource) -> Self {
        Self {
            name: name.to_owned(),
            unit,
            help: help.to_owned(),
            source,
        }
    }

    /// How it behaves over time.
    pub fn kind(&self) -> MetricKind {
        match self.source {
            MetricSource::Counter(_) => MetricKind::Counter,
            MetricSource::Gauge(_) => MetricKind::Gauge,
            MetricSource::Ratio(_) => MetricKind::Ratio,
            MetricSource::Latency(_) => MetricKind::Histogram,
        }
    }

    /// Its value over a window: a counter's rise, a gauge at the end, a ratio. None for one without
    /// a value there, and for distributions.
    pub fn over(&self, window: &Window) -> Option<f64> {
        match self.source {
            MetricSource::Counter(value) => {
                let (before, after) = (&window.before.metrics, &window.after.metrics);
                Some(value(after).wrapping_sub(value(before)) as f64)
            }
            MetricSource::Gauge(value) => Some(value(&window.after.metrics) as f64),
            MetricSource::Ratio(value) => value(window),
            MetricSource::Latency(_) => None,
        }
    }
}

/// Every metric of a running engine.
pub static METRICS: LazyLock<Vec<MetricEntry>> = LazyLock::new(|| {
    let counters = Counts::LIST.iter().map(|counter| {
        let known = RENAMED.iter().find(|(field, ..)| *field == counter.field);
        let (name, unit) = match known {
            Some((_, name, unit)) => ((*name).to_owned(), *unit),
            None => (counter.name.to_owned(), unit_of(counter.field)),
        };
        MetricEntry {
            name,
            unit,
            help: counter.about.trim().to_owned(),
            source: MetricSource::Counter(counter.value),
        }
    });
    let latencies = TimedOperation::ALL.map(|operation| {
        let name = operation.name();
        MetricEntry::new(
            &format!("{name}.latency"),
            "ns",
            &format!("Time of {name} operations, of those that were timed."),
            MetricSource::Latency(operation),
        )
    });
    let states = OF_CACHE.iter().chain(STATES).chain(RATIOS);
    let states =
        states.map(|(name, unit, help, source)| MetricEntry::new(name, unit, help, *source));
    counters.chain(states).chain(latencies).collect()
});

/// The unit of a counter by the name of its field.
fn unit_of(field: &str) -> &'static str {
    match field.rsplit_once('_') {
        Some((_, "bytes")) => "bytes",
        Some((_, "nanos")) => "ns",
        _ => "count",
    }
}

/// Counters that the laboratory knows by another name: the field, the name and the unit.
const RENAMED: &[(&str, &str, &str)] = &[
    ("gets_found", "read.found", "reads"),
    ("filter_probes", "filter.probes", "probes"),
    ("flushes", "flush.count", "count"),
    ("compactions", "compaction.count", "count"),
    ("compaction_moves", "compaction.moves", "count"),
    ("compaction_picks", "compaction.picks", "count"),
    ("compaction_read_bytes", "compaction.read_bytes", "bytes"),
    ("compaction_write_bytes", "compaction.write_bytes", "bytes"),
    ("value_log_bytes", "value_log.write_bytes", "bytes"),
    ("gc_runs", "gc.count", "count"),
    ("gc_write_bytes", "gc.write_bytes", "bytes"),
    ("stalls", "stall.count", "count"),
    ("wal_syncs", "wal.syncs", "count"),
    ("agent_actions", "agent.actions", "count"),
    ("self_tuning_applied", "self_tuning.applied", "count"),
    ("self_tuning_undone", "self_tuning.undone", "count"),
    ("self_tuning_fallbacks", "self_tuning.fallbacks", "count"),
    ("plans_refused", "engine.plans_refused", "count"),
    ("index_tuned", "index.tuned", "tables"),
    ("index_refused", "index.refused", "tables"),
    ("index_declined", "index.refused_declined", "tables"),
    ("index_too_large", "index.refused_too_large", "tables"),
    ("index_too_wide", "index.refused_too_wide", "tables"),
    ("index_wrong", "index.refused_wrong", "tables"),
    ("model_fallbacks", "index.model_fallbacks", "tables"),
];

/// A metric's name, unit, help and source.
type Row = (&'static str, &'static str, &'static str, MetricSource);

const fn counter(
    name: &'static str,
    unit: &'static str,
    help: &'static str,
    value: fn(&Metrics) -> u64,
) -> Row {
    (name, unit, help, MetricSource::Counter(value))
}

const fn gauge(
    name: &'static str,
    unit: &'static str,
    help: &'static str,
    value: fn(&Metrics) -> u64,
) -> Row {
    (name, unit, help, MetricSource::Gauge(value))
}

const fn over(
    name: &'static str,
    unit: &'static str,
    help: &'static str,
    value: fn(&Window) -> Option<f64>,
) -> Row {
    (name, unit, help, MetricSource::Ratio(value))
}

const OF_CACHE: &[Row] = &[
    counter(
        "cache.evictions",
        "objects",
        "Objects that left the cache to make room for others.",
        |metrics| metrics.cache.evictions,
    ),
    counter(
        "cache.rejected",
        "objects",
        "Objects that an admission or eviction policy kept out.",
        |metrics| metrics.cache.rejected,
    ),
    counter(
        "cache.warmed_blocks",
        "blocks",
        "Blocks that flushes and compactions put into the cache.",
        |metrics| metrics.cache.warmed,
    ),
    counter(
        "cache.dead_blocks",
        "blocks",
        "Objects that left the cache because their table was gone.",
        |metrics| metrics.cache.dead,
    ),
    gauge(
        "cache.used_bytes",
        "bytes",
        "Bytes in the cache.",
        |metrics| metrics.cache.used_bytes,
    ),
    gauge(
        "cache.capacity_bytes",
        "bytes",
        "Bytes that the cache may use.",
        |metrics| metrics.cache.capacity_bytes,
    ),
    gauge(
        "cache.metadata_bytes",
        "bytes",
        "Bytes of the eviction policy's metadata.",
        |metrics| metrics.cache.metadata_bytes,
    ),
    gauge(
        "cache.pinned_bytes",
        "bytes",
        "Bytes of indexes and filters that tables keep in memory.",
        |metrics| metrics.cache.pinned_bytes,
    ),
];

const STATES: &[Row] = &[
    gauge(
        "memory.memtable_bytes",
        "bytes",
        "Bytes of the active and sealed memtables.",
        |metrics| metrics.memtable_bytes,
    ),
    gauge(
        "memory.index_bytes",
        "bytes",
        "Bytes of the indexes of all tables in memory, pinned or cached.",
        |metrics| metrics.index_bytes,
    ),
    gauge(
        "memory.filter_bytes",
        "bytes",
        "Bytes of the filters of all tables in memory, pinned or cached.",
        |metrics| metrics.filter_bytes,
    ),
    gauge(
        "memory.total_bytes",
        "bytes",
        "Bytes of memtables, of the cache, and of pinned indexes and filters.",
        Metrics::memory_bytes,
    ),
    gauge(
        "memory.peak_bytes",
        "bytes",
        "The most that memory.total_bytes was, seen at seals and flushes.",
        |metrics| metrics.memory_peak_bytes,
    ),
    gauge(
        "index.model_tables",
        "tables",
        "Tables whose index is a learned model.",
        |metrics| metrics.model_tables,
    ),
    gauge(
        "index.segments",
        "segments",
        "Segments of all learned models.",
        |metrics| metrics.model_segments,
    ),
    gauge(
        "tree.runs",
        "runs",
        "Sorted runs: what a point read without filters looks into.",
        Metrics::runs,
    ),
    gauge("tree.levels", "levels", "Levels with tables.", |metrics| {
        metrics
            .levels
            .iter()
            .filter(|level| level.tables > 0)
            .count() as u64
    }),
    gauge("tree.tables", "tables", "Tables on disk.", |metrics| {
        metrics.levels.iter().map(|level| level.tables).sum()
    }),
    gauge(
        "tree.range_tombstones",
        "ranges",
        "Range deletes that may still hide something.",
        |metrics| metrics.range_tombstones,
    ),
    gauge(
        "engine.disk_bytes",
        "bytes",
        "Bytes of tables, value files and logs.",
        Metrics::disk_bytes,
    ),
    gauge(
        "value_log.files",
        "files",
        "Value files on disk.",
        |metrics| metrics.value_files,
    ),
    gauge(
        "value_log.garbage_bytes",
        "bytes",
        "Bytes of value files that nothing points at any more.",
        |metrics| metrics.value_garbage_bytes,
    ),
    gauge(
        "engine.debt_bytes",
        "bytes",
        "Bytes of compactions and collections that are unpaid.",
        |metrics| metrics.debt_bytes,
    ),
];

const RATIOS: &[Row] = &[
    over(
        "cache.hit_ratio",
        "ratio",
        "Hits over requests for data blocks.",
        |it| hits(it.counts.block_hits, it.counts.block_misses),
    ),
    over(
        "cache.value_hit_ratio",
        "ratio",
        "Hits over requests for values of the value log.",
        |it| hits(it.counts.value_hits, it.counts.value_misses),
    ),
    over(
        "cache.scan_hit_ratio",
        "ratio",
        "Hits over requests of scans, for objects of every kind.",
        |it| hits(it.counts.scan_hits, it.counts.scan_misses),
    ),
    over(
        "memtable.hit_ratio",
        "ratio",
        "Point reads that a memtable answered over point reads.",
        |it| share(it.counts.memtable_hits, it.counts.gets),
    ),
    over(
        "read.found_ratio",
        "ratio",
        "Point reads that found a value over point reads.",
        |it| share(it.counts.gets_found, it.counts.gets),
    ),
    over(
        "filter.false_positive_ratio",
        "ratio",
        "Wrong answers of filters over their answers for keys that are absent.",
        |it| {
            let wrong = it.counts.filter_false_positives;
            hits(wrong, it.counts.filter_negatives)
        },
    ),
    over(
        "index.probes_per_lookup",
        "blocks/op",
        "Data blocks that one look-up in a table examined; 1 is the least.",
        |it| share(it.counts.index_probes, it.counts.index_lookups),
    ),
    over(
        "index.served_ratio",
        "ratio",
        "Look-ups in table indexes that a learned model answered, over all of them.",
        |it| share(it.counts.model_lookups, it.counts.index_lookups),
    ),
    over(
        "device.reads_per_get",
        "reads/op",
        "Reads of files that point reads caused, over point reads.",
        |it| share(it.counts.get_device_reads, it.counts.gets),
    ),
    over(
        "read.amplification",
        "ratio",
        "Bytes that gets and scans read from files over bytes of values they returned.",
        |it| share(it.counts.device_read_bytes, it.counts.user_read_bytes),
    ),
    over(
        "stall.time_ratio",
        "ratio",
        "Time that writers waited for the engine, summed over them, over the window's time.",
        |it| share(it.counts.stall_nanos, it.nanos),
    ),
    over(
        "limiter.wait_ratio",
        "ratio",
        "Time that background work waited for engine.io_limit, over the window's time.",
        |it| share(it.counts.limiter_wait_nanos(), it.nanos),
    ),
    over(
        "value_log.garbage_ratio",
        "ratio",
        "Bytes of garbage over bytes of the value log, at the end.",
        |it| {
            let metrics = &it.after.metrics;
            share(metrics.value_garbage_bytes, metrics.value_file_bytes)
        },
    ),
];

/// A part of a whole; None of nothing.
pub(super) fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Hits over hits and misses; None without either.
pub(super) fn hits(hits: u64, misses: u64) -> Option<f64> {
    share(hits, hits + misses)
}

/// Hits and misses of data blocks: what a ratio of them rests on.
pub(super) fn block_requests(counts: &Counts) -> u64 {
    counts.block_hits + counts.block_misses
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::cache::CacheStats;

    #[test]
    fn every_name_is_used_once_and_every_renamed_counter_exists() {
        let names: BTreeSet<&str> = METRICS.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names.len(), METRICS.len());
        for (field, name, _) in RENAMED {
            assert!(names.contains(name), "{field} is no counter");
        }
        for entry in METRICS.iter() {
            let help = &entry.help;
            assert!(help.len() > 5 && !help.starts_with(' '), "{}", entry.name);
            assert!(help.ends_with('.'), "{}: {help}", entry.name);
        }
    }

    #[test]
    fn a_counter_over_a_window_is_what_it_rose_by() {
        let mut window = Window::default();
        window.before.metrics.cache.evictions = 3;
        window.after.metrics.cache = CacheStats {
            evictions: 10,
            used_bytes: 7,
            ..CacheStats::default()
        };
        let value = |name| {
            let mut entries = METRICS.iter();
            let entry = entries.find(|entry| entry.name == name).unwrap();
            entry.over(&window)
        };
        assert_eq!(value("cache.evictions"), Some(7.0));
        assert_eq!(value("cache.used_bytes"), Some(7.0));
        assert_eq!(value("cache.hit_ratio"), None);
        assert_eq!(value("get.latency"), None);
    }
}
