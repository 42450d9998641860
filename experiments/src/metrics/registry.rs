//! The list of metrics, in the order of tables. A new metric is one entry here.

use super::phase::{Hits, PhaseFacts, Statistic, count, ratio};
use super::{Class, Debt, Direction, Level, MetricDef, Need, Scale};
use crate::record::OpClass;

type Value = fn(&PhaseFacts) -> Option<f64>;

/// A timed rate: more is better.
const fn rate(
    name: &'static str,
    unit: &'static str,
    about: &'static str,
    value: Value,
) -> MetricDef {
    MetricDef {
        name,
        unit,
        class: Class::Timed,
        direction: Direction::Higher,
        scale: Scale::Relative,
        debt: Debt::Flattered,
        need: None,
        towards: None,
        about,
        value,
    }
}

/// A time: less is better.
const fn delay(
    name: &'static str,
    unit: &'static str,
    about: &'static str,
    value: Value,
) -> MetricDef {
    MetricDef {
        direction: Direction::Lower,
        ..rate(name, unit, about, value)
    }
}

/// A share of the phase's time: less is better, and 0 is common.
const fn time_share(name: &'static str, about: &'static str, value: Value) -> MetricDef {
    MetricDef {
        scale: Scale::Absolute,
        ..delay(name, "ratio", about, value)
    }
}

/// A counted cost that is never zero: less is better.
const fn cost(
    name: &'static str,
    unit: &'static str,
    about: &'static str,
    value: Value,
) -> MetricDef {
    MetricDef {
        class: Class::Counted,
        debt: Debt::Unmoved,
        ..delay(name, unit, about, value)
    }
}

/// A counted cost that may be zero: less is better.
const fn cost_or_zero(
    name: &'static str,
    unit: &'static str,
    about: &'static str,
    value: Value,
) -> MetricDef {
    MetricDef {
        scale: Scale::Absolute,
        ..cost(name, unit, about, value)
    }
}

/// A counted share: more is better.
const fn gain(name: &'static str, about: &'static str, value: Value) -> MetricDef {
    MetricDef {
        direction: Direction::Higher,
        ..cost_or_zero(name, "ratio", about, value)
    }
}

/// A count of which neither more nor less is better.
const fn fact(
    name: &'static str,
    unit: &'static str,
    about: &'static str,
    value: Value,
) -> MetricDef {
    MetricDef {
        direction: Direction::Neutral,
        ..cost_or_zero(name, unit, about, value)
    }
}

/// A counted cost of the background: what is put off is not in it.
const fn background(def: MetricDef) -> MetricDef {
    MetricDef {
        debt: Debt::Flattered,
        ..def
    }
}

/// A time or rate of something that is never put off.
const fn unmoved(def: MetricDef) -> MetricDef {
    MetricDef {
        debt: Debt::Unmoved,
        ..def
    }
}

/// A cost with the change of debt charged to it.
const fn charged(def: MetricDef) -> MetricDef {
    MetricDef {
        debt: Debt::Charged,
        ..def
    }
}

/// Without some merges a write amplification says how memtables are flushed, and no more.
const REWRITES: Need = Need {
    counted_by: &["compaction.count", "gc.count"],
    least: 10,
    what: "compactions or collections",
};

const COLLECTIONS: Need = Need {
    counted_by: &["gc.count"],
    least: 5,
    what: "collections",
};

/// A metric that says nothing before enough has happened.
const fn needs(need: Need, def: MetricDef) -> MetricDef {
    MetricDef {
        need: Some(need),
        ..def
    }
}

/// The metrics of one class of operations: how many a second, and how long they took.
macro_rules! operation {
    ($op:literal, $class:ident) => {
        &[
            rate(
                concat!($op, ".throughput_ops"),
                "ops/s",
                concat!("Operations of class ", $op, " a second."),
                |phase| phase.throughput(OpClass::$class),
            ),
            operation!(@latency $op, $class, "mean", "mean", Statistic::Mean),
            operation!(@latency $op, $class, "p50", "median", Statistic::Quantile(0.5)),
            operation!(@latency $op, $class, "p95", "95th percentile", Statistic::Quantile(0.95)),
            operation!(@latency $op, $class, "p99", "99th percentile", Statistic::Quantile(0.99)),
            operation!(@latency $op, $class, "p999", "99.9th percentile",
                Statistic::Quantile(0.999)),
            operation!(@latency $op, $class, "max", "maximum", Statistic::Max),
            operation!(@service $op, $class, "mean", "mean", Statistic::Mean),
            operation!(@service $op, $class, "p50", "median", Statistic::Quantile(0.5)),
            operation!(@service $op, $class, "p95", "95th percentile", Statistic::Quantile(0.95)),
            operation!(@service $op, $class, "p99", "99th percentile", Statistic::Quantile(0.99)),
            operation!(@service $op, $class, "p999", "99.9th percentile",
                Statistic::Quantile(0.999)),
            operation!(@service $op, $class, "max", "maximum", Statistic::Max),
        ]
    };
    (@latency $op:literal, $class:ident, $name:literal, $words:literal, $statistic:expr) => {
        delay(
            concat!($op, ".latency_", $name, "_us"),
            "us",
            concat!("Time of ", $op, " operations from the (intended) start to the end: ",
                $words, "."),
            |phase| phase.latency(OpClass::$class, $statistic),
        )
    };
    (@service $op:literal, $class:ident, $name:literal, $words:literal, $statistic:expr) => {
        delay(
            concat!($op, ".service_", $name, "_us"),
            "us",
            concat!("Open loop: time of ", $op, " operations from the actual start to the end: ",
                $words, "."),
            |phase| phase.service(OpClass::$class, $statistic),
        )
    };
}

/// The hit ratio of one level.
macro_rules! level {
    ($level:literal, $name:literal) => {
        gain(
            concat!("cache.level", $level, "_hit_ratio"),
            concat!(
                "Hits over requests for data, index and filter blocks of ",
                $name,
                "."
            ),
            |phase| phase.level_hit_ratio($level),
        )
    };
}

const RUN: &[MetricDef] = &[
    rate(
        "run.throughput_ops",
        "ops/s",
        "Operations of all classes a second.",
        |phase| phase.rate(phase.operations()),
    ),
    delay(
        "run.duration_s",
        "s",
        "Time from the phase's start to the end of its last operation.",
        |phase| Some(phase.seconds()),
    ),
    fact(
        "run.operations",
        "ops",
        "Operations of all classes.",
        |phase| count(phase.operations()),
    ),
    unmoved(time_share(
        "run.overloaded",
        "Open loop: 1 if the backlog grew over the last third of the phase, else 0.",
        |phase| {
            let overloaded = f64::from(u8::from(phase.measure.overloaded));
            phase.measure.open_loop.then_some(overloaded)
        },
    )),
    unmoved(MetricDef {
        scale: Scale::Absolute,
        ..delay(
            "run.pacing_error_p99_us",
            "us",
            "Open loop: time from the intended start of operations to the actual one, if the \
             client was idle and only waited for it: 99th percentile.",
            |phase| phase.pacing_error(Statistic::Quantile(0.99)),
        )
    }),
];

/// A cost of the whole process, as the system counts it.
const fn of_process(def: MetricDef) -> MetricDef {
    MetricDef {
        class: Class::Timed,
        ..def
    }
}

const PROCESS: &[MetricDef] = &[
    of_process(cost(
        "process.cpu_us_per_op",
        "us",
        "Real world: CPU time of the process, of clients and background work, over operations. The \
         system counts in hundredths of a second.",
        |phase| {
            let nanos = phase.process(|used| used.cpu_nanos)?;
            Some(ratio(nanos, phase.operations())? / 1e3)
        },
    )),
    of_process(cost(
        "process.memory_peak_bytes",
        "bytes",
        "Real world: the most memory that the process has had since its start, clients and their \
         bookkeeping included; pages of files that it maps count.",
        |phase| count(phase.measure.process_after?.memory_peak_bytes),
    )),
    of_process(background(cost_or_zero(
        "process.write_bytes",
        "bytes",
        "Real world: bytes that the process handed to the system to be written.",
        |phase| count(phase.process(|used| used.written)?),
    ))),
    of_process(background(cost_or_zero(
        "process.read_bytes",
        "bytes",
        "Real world: bytes that the process asked the system for; the page cache may have them.",
        |phase| count(phase.process(|used| used.asked)?),
    ))),
];

const READS: &[MetricDef] = &[
    fact(
        "read.found_ratio",
        "ratio",
        "Point reads that found a value over point reads, those of absent keys included.",
        |phase| ratio(phase.counts.gets_found, phase.counts.gets),
    ),
    fact(
        "read.found",
        "reads",
        "Point reads that found a value.",
        |phase| count(phase.counts.gets_found),
    ),
    fact(
        "read.not_found",
        "reads",
        "Point reads that found nothing: keys that were deleted, or never written.",
        |phase| count(phase.counts.gets - phase.counts.gets_found),
    ),
];

const DEVICE: &[MetricDef] = &[
    needs(
        REWRITES,
        charged(cost(
            "write.amplification",
            "ratio",
            "Bytes written to files for any reason, the log and what the window left unpaid \
             included, over bytes that users wrote.",
            |phase| phase.amplification(phase.written),
        )),
    ),
    needs(
        REWRITES,
        charged(cost(
            "write.amplification_tables",
            "ratio",
            "As write.amplification, without the bytes of the write-ahead log.",
            |phase| phase.amplification(phase.written - phase.counts.wal_bytes),
        )),
    ),
    cost_or_zero(
        "read.amplification",
        "ratio",
        "Bytes that gets and scans read from files over bytes of values they returned.",
        |phase| ratio(phase.counts.device_read_bytes, phase.counts.user_read_bytes),
    ),
    cost_or_zero(
        "device.reads_per_get",
        "reads/op",
        "Reads of files that point reads caused, over point reads.",
        |phase| ratio(phase.counts.get_device_reads, phase.counts.gets),
    ),
    background(cost_or_zero(
        "device.read_bytes",
        "bytes",
        "Bytes read from files by gets, scans, compactions and collections.",
        |phase| {
            let counts = &phase.counts;
            count(counts.device_read_bytes + counts.compaction_read_bytes + counts.gc_read_bytes)
        },
    )),
    background(cost_or_zero(
        "device.write_bytes",
        "bytes",
        "Bytes written to files for any reason.",
        |phase| count(phase.written),
    )),
    time_share(
        "device.busy_ratio",
        "Simulation: time the device's units worked, summed over them, over the phase's time.",
        |phase| phase.of_time(phase.simulated(|stats| stats.device_busy_nanos)?),
    ),
    MetricDef {
        direction: Direction::Neutral,
        ..time_share(
            "device.write_bandwidth_ratio",
            "Simulation: bytes written a second over the device's write bandwidth; 1 is the bound.",
            |phase| phase.write_bandwidth_ratio(),
        )
    },
    MetricDef {
        class: Class::Timed,
        ..fact(
            "device.page_cache_ratio",
            "ratio",
            "Real world: bytes that the system's page cache answered over all bytes that the \
             process read; the rest came from the device. Absent if the system does not say.",
            |phase| phase.page_cache_ratio(),
        )
    },
    charged(cost(
        "space.amplification",
        "ratio",
        "Bytes of tables, value files and logs over reachable bytes, at the end, drained.",
        |phase| {
            let space = phase.space?;
            ratio(space.disk_bytes, space.reachable_bytes)
        },
    )),
    charged(cost(
        "space.disk_bytes",
        "bytes",
        "Bytes of tables, value files and logs, at the end, drained.",
        |phase| count(phase.space?.disk_bytes),
    )),
];

const CACHE: &[MetricDef] = &[
    gain(
        "cache.hit_ratio",
        "Hits over requests for data blocks.",
        |phase| {
            let hits = phase.counts.block_hits;
            let misses = phase.counts.block_misses;
            Hits { hits, misses }.ratio()
        },
    ),
    fact(
        "cache.bound_hit_ratio",
        "ratio",
        "With record.cache: the best hit ratio for data blocks of any cache with the room that \
         pinned indexes and filters left (PFOO-L); the larger room of the window's two ends.",
        |phase| phase.bound_hit_ratio(),
    ),
    gain(
        "cache.point_hit_ratio",
        "Hits over requests of point reads, for objects of every kind.",
        |phase| phase.point_hits().ratio(),
    ),
    gain(
        "cache.scan_hit_ratio",
        "Hits over requests of scans, for objects of every kind.",
        |phase| phase.scan_hits().ratio(),
    ),
    gain(
        "cache.value_hit_ratio",
        "Hits over requests for values of the value log.",
        |phase| {
            let hits = phase.counts.value_hits;
            let misses = phase.counts.value_misses;
            Hits { hits, misses }.ratio()
        },
    ),
    gain(
        "cache.index_hit_ratio",
        "Hits over requests for table indexes, if they are cached objects.",
        |phase| {
            let hits = phase.counts.index_hits;
            let misses = phase.counts.index_misses;
            Hits { hits, misses }.ratio()
        },
    ),
    gain(
        "cache.filter_hit_ratio",
        "Hits over requests for filters, if they are cached objects.",
        |phase| {
            let hits = phase.counts.filter_hits;
            let misses = phase.counts.filter_misses;
            Hits { hits, misses }.ratio()
        },
    ),
    gain(
        "cache.row_hit_ratio",
        "Hits over requests for rows, with cache.rows.",
        |phase| phase.row_hits().ratio(),
    ),
    level!(0, "level 0"),
    level!(1, "level 1"),
    level!(2, "level 2"),
    level!(3, "level 3"),
    level!(4, "level 4"),
    level!(5, "level 5"),
    level!(6, "level 6"),
    level!(7, "level 7 and below"),
    fact(
        "cache.evictions",
        "objects",
        "Objects that left the cache to make room for others.",
        |phase| phase.cache_rise(|cache| cache.evictions),
    ),
    fact(
        "cache.rejected",
        "objects",
        "Objects that an admission or eviction policy kept out.",
        |phase| phase.cache_rise(|cache| cache.rejected),
    ),
    fact(
        "cache.warmed_blocks",
        "blocks",
        "Blocks that flushes and compactions put into the cache.",
        |phase| phase.cache_rise(|cache| cache.warmed),
    ),
    fact(
        "cache.dead_blocks",
        "blocks",
        "Objects that left the cache because their table was gone.",
        |phase| phase.cache_rise(|cache| cache.dead),
    ),
    cost_or_zero(
        "cache.pinned_bytes",
        "bytes",
        "Bytes of indexes and filters that tables keep in memory, at the end.",
        |phase| count(phase.measure.after.cache.pinned_bytes),
    ),
    gain(
        "cache.settled_hit_ratio",
        "Hits over requests for data blocks in the last quarter of the phase's operations.",
        |phase| phase.settled_hit_ratio(),
    ),
    MetricDef {
        towards: Some(&Level {
            metric: "cache.bound_hit_ratio",
            reached: "cache.recovered",
        }),
        ..cost_or_zero(
            "cache.recovery_ops",
            "ops",
            "With record.cache: operations until a slice of the phase has 70 % of the best \
             possible hit ratio (cache.bound_hit_ratio); all of the phase's if none has.",
            |phase| count(phase.recovery()?.operations),
        )
    },
    fact(
        "cache.recovered",
        "ratio",
        "With record.cache: 1 if a slice of the phase had that hit ratio, or else 0: then \
         cache.recovery_ops is less than it would take.",
        |phase| count(phase.recovery()?.reached.into()),
    ),
    fact(
        "cache.used_bytes",
        "bytes",
        "Bytes in the cache, at the end.",
        |phase| count(phase.measure.after.cache.used_bytes),
    ),
    cost_or_zero(
        "cache.metadata_bytes",
        "bytes",
        "Bytes of the eviction policy's metadata, at the end.",
        |phase| count(phase.measure.after.cache.metadata_bytes),
    ),
];

const TABLES: &[MetricDef] = &[
    cost_or_zero(
        "filter.false_positive_ratio",
        "ratio",
        "Wrong answers of filters over their answers for keys that are absent.",
        |phase| {
            let wrong = phase.counts.filter_false_positives;
            ratio(wrong, wrong + phase.counts.filter_negatives)
        },
    ),
    fact(
        "filter.probes",
        "probes",
        "Filters that were asked for a key.",
        |phase| count(phase.counts.filter_probes),
    ),
    cost_or_zero(
        "filter.bytes_per_key",
        "bytes",
        "Bytes of filters over entries in tables, at the end.",
        |phase| phase.per_entry(phase.measure.after.filter_bytes),
    ),
    cost(
        "index.bytes_per_key",
        "bytes",
        "Bytes of table indexes over entries in tables, at the end.",
        |phase| phase.per_entry(phase.measure.after.index_bytes),
    ),
    fact(
        "index.fence_bytes_per_key",
        "bytes",
        "Bytes that fence pointers for every table would take, over entries in tables, at the end.",
        |phase| phase.per_entry(phase.measure.after.fence_bytes),
    ),
    cost(
        "index.probes_per_lookup",
        "blocks/op",
        "Data blocks that one look-up in a table examined; 1 is the least.",
        |phase| ratio(phase.counts.index_probes, phase.counts.index_lookups),
    ),
    fact(
        "index.served_ratio",
        "ratio",
        "Look-ups in table indexes that a learned model answered, over all of them.",
        |phase| ratio(phase.counts.model_lookups, phase.counts.index_lookups),
    ),
    fact(
        "index.model_tables",
        "tables",
        "Tables whose index is a learned model, at the end.",
        |phase| count(phase.measure.after.model_tables),
    ),
    fact(
        "index.segments",
        "segments",
        "Segments of all learned models, at the end.",
        |phase| count(phase.measure.after.model_segments),
    ),
    cost(
        "index.fence_ratio",
        "ratio",
        "Bytes of table indexes over those of plain fence pointers, at the end.",
        |phase| {
            ratio(
                phase.measure.after.index_bytes,
                phase.measure.after.fence_bytes,
            )
        },
    ),
    unmoved(delay(
        "index.training_ns_per_key",
        "ns",
        "Time of training and checking models, over the keys they were given.",
        |phase| {
            ratio(
                phase.counts.index_training_nanos,
                phase.counts.index_trained_keys,
            )
        },
    )),
    unmoved(time_share(
        "index.training_cpu_ratio",
        "Time of training and checking models, in flushes too, over the CPU time of merges.",
        |phase| {
            ratio(
                phase.counts.index_training_nanos,
                phase.counts.compaction_cpu_nanos,
            )
        },
    )),
    fact(
        "index.tuned",
        "tables",
        "Tables to which a tuner gave another index than that of the settings.",
        |phase| count(phase.counts.index_tuned),
    ),
    fact(
        "index.refused",
        "tables",
        "Tables whose model was refused, so that fence pointers serve.",
        |phase| count(phase.counts.index_refused),
    ),
    fact(
        "index.refused_declined",
        "tables",
        "Refused models: the policy itself made none.",
        |phase| count(phase.counts.index_declined),
    ),
    fact(
        "index.refused_too_large",
        "tables",
        "Refused models: they took too much memory.",
        |phase| count(phase.counts.index_too_large),
    ),
    fact(
        "index.refused_too_wide",
        "tables",
        "Refused models: their windows were too wide.",
        |phase| count(phase.counts.index_too_wide),
    ),
    cost_or_zero(
        "index.refused_wrong",
        "tables",
        "Refused models: they were wrong, or could not be read back.",
        |phase| count(phase.counts.index_wrong),
    ),
    cost_or_zero(
        "index.model_fallbacks",
        "tables",
        "Opened tables whose stored model could not be read.",
        |phase| count(phase.counts.model_fallbacks),
    ),
    fact(
        "memtable.hit_ratio",
        "ratio",
        "Point reads that a memtable answered over point reads.",
        |phase| ratio(phase.counts.memtable_hits, phase.counts.gets),
    ),
];

const MEMORY: &[MetricDef] = &[
    cost_or_zero(
        "memory.memtable_bytes",
        "bytes",
        "Bytes of the active and sealed memtables, at the end.",
        |phase| count(phase.measure.after.memtable_bytes),
    ),
    cost_or_zero(
        "memory.cache_bytes",
        "bytes",
        "Bytes of cached objects and of what the cache's policies remember, at the end.",
        |phase| {
            let cache = &phase.measure.after.cache;
            count(cache.used_bytes + cache.metadata_bytes)
        },
    ),
    cost_or_zero(
        "memory.index_bytes",
        "bytes",
        "Bytes of the indexes of all tables in memory, pinned or cached, at the end.",
        |phase| count(phase.measure.after.index_bytes),
    ),
    cost_or_zero(
        "memory.filter_bytes",
        "bytes",
        "Bytes of the filters of all tables in memory, pinned or cached, at the end.",
        |phase| count(phase.measure.after.filter_bytes),
    ),
    cost(
        "memory.total_bytes",
        "bytes",
        "Bytes of memtables, of the cache, and of pinned indexes and filters, at the end.",
        |phase| count(phase.measure.after.memory_bytes()),
    ),
    cost(
        "memory.peak_bytes",
        "bytes",
        "The most that memory.total_bytes was since the trial began, seen at seals and flushes.",
        |phase| count(phase.measure.after.memory_peak_bytes),
    ),
];

const BACKGROUND: &[MetricDef] = &[
    background(cost_or_zero(
        "compaction.write_bytes",
        "bytes",
        "Bytes that compactions wrote.",
        |phase| count(phase.counts.compaction_write_bytes),
    )),
    background(cost_or_zero(
        "compaction.read_bytes",
        "bytes",
        "Bytes that compactions read.",
        |phase| count(phase.counts.compaction_read_bytes),
    )),
    fact(
        "compaction.count",
        "count",
        "Compactions that merged tables.",
        |phase| count(phase.counts.compactions),
    ),
    fact(
        "compaction.moves",
        "count",
        "Compactions that only gave a table to the next level.",
        |phase| count(phase.counts.compaction_moves),
    ),
    fact(
        "compaction.picks",
        "count",
        "Compactions, moves included, whose table a picker chose.",
        |phase| count(phase.counts.compaction_picks),
    ),
    fact("flush.count", "count", "Memtables flushed.", |phase| {
        count(phase.counts.flushes)
    }),
    fact(
        "value_log.write_bytes",
        "bytes",
        "Bytes of values that writers appended to the value log.",
        |phase| count(phase.counts.value_log_bytes),
    ),
    background(cost_or_zero(
        "value_log.garbage_ratio",
        "ratio",
        "Bytes of garbage over bytes of the value log, at the end.",
        |phase| {
            ratio(
                phase.measure.after.value_garbage_bytes,
                phase.measure.after.value_file_bytes,
            )
        },
    )),
    fact(
        "gc.count",
        "count",
        "Collections of value files.",
        |phase| count(phase.counts.gc_runs),
    ),
    background(cost_or_zero(
        "gc.write_bytes",
        "bytes",
        "Bytes of values that collections, or compactions in their place, rewrote.",
        |phase| count(phase.counts.gc_write_bytes),
    )),
    needs(
        COLLECTIONS,
        charged(cost(
            "gc.write_amplification",
            "ratio",
            "Bytes written to value files over bytes that writers appended: 1/(1-u) if victims are \
         live to a share u. Garbage up to value_log.gc_high stays.",
            |phase| {
                let appended = phase.counts.value_log_bytes;
                ratio(appended + phase.counts.gc_write_bytes, appended)
            },
        )),
    ),
    needs(
        COLLECTIONS,
        cost_or_zero(
            "gc.victim_live_ratio",
            "ratio",
            "Live bytes over all bytes of the collected files: the u of gc.write_amplification.",
            |phase| ratio(phase.counts.gc_read_bytes, phase.counts.gc_victim_bytes),
        ),
    ),
    time_share(
        "limiter.wait_ratio",
        "Time that background work waited for engine.io_limit, over the phase's time.",
        |phase| phase.of_time(phase.counts.limiter_wait_nanos()),
    ),
    cost_or_zero(
        "tree.runs",
        "runs",
        "Sorted runs at the end: what a point read without filters looks into.",
        |phase| count(phase.measure.after.runs()),
    ),
    fact(
        "tree.levels",
        "levels",
        "Levels with tables, at the end.",
        |phase| {
            let levels = phase.measure.after.levels.iter();
            count(levels.filter(|level| level.tables > 0).count() as u64)
        },
    ),
    cost_or_zero(
        "tree.tombstone_ratio",
        "ratio",
        "Tombstones of single keys over entries in tables, at the end. Absent if no key was \
         deleted.",
        |phase| {
            let after = &phase.measure.after;
            let is_asked = after.counts.deletes > 0;
            ratio(after.table_tombstones(), after.table_entries()).filter(|_| is_asked)
        },
    ),
    time_share(
        "stall.time_ratio",
        "Time that writers waited for the engine, summed over them, over the phase's time.",
        |phase| phase.of_time(phase.counts.stall_nanos),
    ),
    background(cost_or_zero(
        "stall.count",
        "count",
        "Times that a writer had to wait or was slowed down.",
        |phase| count(phase.counts.stalls),
    )),
    delay(
        "cpu.ns_per_op",
        "ns",
        "Simulation: CPU time, background work included, over operations. From prices, not \
         measured.",
        |phase| {
            ratio(
                phase.simulated(|stats| stats.cpu_nanos)?,
                phase.operations(),
            )
        },
    ),
    cost_or_zero(
        "debt.bytes",
        "bytes",
        "Bytes of flushes, compactions and collections that are unpaid at the end: estimated, but \
         after the last operation what the drain wrote.",
        |phase| count(phase.debt.after),
    ),
    cost_or_zero(
        "debt.charged_bytes",
        "bytes",
        "Bytes written to files, and the rise of debt.bytes: what the window caused.",
        |phase| Some(phase.charged(phase.written)),
    ),
    fact(
        "debt.deferred_ratio",
        "ratio",
        "Rise of debt.bytes over bytes written; negative if the window paid for earlier ones.",
        |phase| phase.deferred_ratio(),
    ),
    fact(
        "wal.syncs",
        "count",
        "Syncs of the write-ahead log.",
        |phase| count(phase.counts.wal_syncs),
    ),
    fact(
        "agent.actions",
        "count",
        "Decisions of the compaction agent that were carried out.",
        |phase| count(phase.counts.agent_actions),
    ),
    fact(
        "agent.refused",
        "count",
        "Decisions of the compaction agent that were out of range, or not possible in the tree.",
        |phase| phase.of_agent(phase.counts.agent_refused),
    ),
    fact(
        "agent.reversals",
        "count",
        "Actions that set something back to what it was at most five windows before.",
        |phase| phase.of_agent(phase.counts.agent_reversals),
    ),
    fact(
        "agent.bytes",
        "bytes",
        "Bytes that compactions wrote because the agent asked for a merge.",
        |phase| phase.of_agent(phase.counts.agent_bytes),
    ),
    fact(
        "self_tuning.applied",
        "count",
        "Changes of a self-tuner that were carried out.",
        |phase| phase.of_self_tuner(phase.counts.self_tuning_applied),
    ),
    fact(
        "self_tuning.undone",
        "count",
        "Changes of a self-tuner that were taken back, because they cost too much or could not be \
         judged.",
        |phase| phase.of_self_tuner(phase.counts.self_tuning_undone),
    ),
    fact(
        "self_tuning.fallbacks",
        "count",
        "Times that the settings at opening came back after too many bad windows.",
        |phase| phase.of_self_tuner(phase.counts.self_tuning_fallbacks),
    ),
    cost_or_zero(
        "engine.plans_refused",
        "count",
        "Compaction plans of a policy that the engine refused as unlawful.",
        |phase| count(phase.counts.plans_refused),
    ),
];

/// The metrics that the trial itself measures, whatever the engine.
pub(super) const OF_TRIAL: &[&[MetricDef]] = &[
    RUN,
    operation!("read", Read),
    operation!("write", Write),
    operation!("scan", Scan),
    operation!("rmw", ReadModifyWrite),
    operation!("delete", Delete),
    operation!("read_absent", ReadAbsent),
    PROCESS,
];

/// The metrics that the engine's counters give.
pub(super) const OF_ENGINE: &[&[MetricDef]] = &[READS, DEVICE, CACHE, TABLES, MEMORY, BACKGROUND];

/// The metrics that follow from recorded accesses to the cache.
pub(crate) const OF_BOUND: [&str; 3] = [
    "cache.bound_hit_ratio",
    "cache.recovery_ops",
    "cache.recovered",
];

/// The metrics that a comparison looks at by default, beside its primary ones.
pub const HEADLINE: &[&str] = &[
    "read.latency_p99_us",
    "write.latency_p99_us",
    "write.amplification",
    "device.reads_per_get",
    "space.amplification",
    "cache.hit_ratio",
    "stall.time_ratio",
];
