//! Made-up trials and rows for the tests of this crate.

use std::collections::BTreeMap;
use std::sync::Arc;

use aura_engine::env::sim::SimStats;
use aura_engine::{Counts, LevelState, Metrics};
use hdrhistogram::Histogram;

use crate::metrics::{self, Exactness};
use crate::point::Point;
use crate::record::{
    CacheBound, Manifest, Measures, OpClass, PhaseMeasure, ProcessUse, SeriesPoint, SpaceMeasure,
    TrialResult, World,
};
use crate::store::{RowName, RowTrial, TidyRow, tidy};

/// A trial in which every metric is defined. Its phase takes `factor` seconds and stalls for a
/// tenth of that; the seed adds cache hits.
pub(crate) fn sample_trial(variant: &str, seed: u64, factor: u64) -> TrialResult {
    let phase = sample_phase(seed, factor);
    let whole = PhaseMeasure::whole(std::slice::from_ref(&phase), phase.nanos);
    TrialResult {
        manifest: Manifest {
            id: format!("{variant}-{seed}"),
            case: format!("{variant}-{seed}"),
            code: "0123456789abcdef".to_owned(),
            commit: "25bc03b10a9c".to_owned(),
            experiment: "sample".to_owned(),
            variant: variant.to_owned(),
            point: Point::from([("engine.cache.size".to_owned(), "32MiB".to_owned())]),
            seed,
            world: World::Simulated,
            device: "nvme".to_owned(),
            version: "0.1.0".to_owned(),
            fingerprint: Some(seed),
            host: None,
            keys: None,
            trace: None,
        },
        phases: [Some(phase), whole].into_iter().flatten().collect(),
        space: SpaceMeasure {
            reachable_bytes: 1_000_000,
            disk_bytes: 1_500_000,
        },
        device_write_bytes_per_s: Some(50_000_000),
        cache_trace: None,
        operations: None,
        learned: None,
        measures: Measures::default(),
    }
}

fn sample_phase(seed: u64, factor: u64) -> PhaseMeasure {
    let slice = |number: u64| SeriesPoint {
        at_nanos: number * 100_000_000 * factor,
        nanos: 100_000_000 * factor,
        operations: 500 + number,
        cache_hits: 30,
        cache_misses: 10,
        ..SeriesPoint::default()
    };
    PhaseMeasure {
        name: "run".to_owned(),
        nanos: 1_000_000_000 * factor,
        before: Metrics::default(),
        after: Metrics {
            counts: sample_counts(seed, factor),
            levels: vec![
                LevelState {
                    runs: 2,
                    tables: 2,
                    bytes: 900_000,
                    entries: 10_000,
                    tombstones: 2_500,
                },
                LevelState::default(),
            ],
            value_file_bytes: 800_000,
            value_garbage_bytes: 200_000,
            index_bytes: 20_000,
            fence_bytes: 40_000,
            filter_bytes: 12_500,
            model_tables: 1,
            model_segments: 12,
            memtable_bytes: 64_000,
            memory_peak_bytes: 128_000,
            ..Metrics::default()
        },
        device_before: Some(SimStats::default()),
        device_after: Some(SimStats {
            device_busy_nanos: 250_000_000 * factor,
            cpu_nanos: 5_000_000,
            ..SimStats::default()
        }),
        process_before: Some(ProcessUse::default()),
        process_after: Some(ProcessUse {
            asked: 1_000_000,
            from_device: 400_000,
            written: 5_100_000,
            cpu_nanos: 60_000_000 * factor,
            memory_peak_bytes: 90_000_000,
        }),
        operations: of_every_class(&1000),
        latency: of_every_class(&histogram(&[
            10_000 * factor,
            20_000 * factor,
            30_000 * factor,
        ])),
        service: of_every_class(&histogram(&[1000, 2000])),
        pacing: Some(histogram(&[0, 4000])),
        open_loop: true,
        overloaded: false,
        cache_bound: Some(CacheBound {
            hits: 900 + seed,
            asked: 1000,
        }),
        series: (0..10).map(slice).collect(),
        events: Vec::new(),
    }
}

fn sample_counts(seed: u64, factor: u64) -> Counts {
    Counts {
        gets: 1000,
        deletes: 10,
        gets_found: 990,
        memtable_hits: 100,
        get_device_reads: 250,
        user_write_bytes: 1_000_000,
        user_read_bytes: 500_000,
        wal_bytes: 1_100_000,
        flush_bytes: 900_000,
        compaction_write_bytes: 2_400_000,
        device_read_bytes: 1_000_000,
        compaction_read_bytes: 2_300_000,
        block_hits: 750 + seed,
        block_misses: 250,
        value_hits: 1,
        value_misses: 3,
        index_hits: 10,
        index_misses: 10,
        filter_hits: 30,
        filter_misses: 10,
        key_value_hits: 5,
        key_value_misses: 15,
        scan_hits: 50,
        scan_misses: 50,
        level_hits: [99; 8],
        level_misses: [101; 8],
        filter_negatives: 990,
        filter_false_positives: 10,
        index_lookups: 400,
        model_lookups: 300,
        index_probes: 500,
        index_trained_keys: 10_000,
        index_training_nanos: 400_000,
        compaction_cpu_nanos: 16_000_000,
        index_refused: 3,
        index_too_large: 2,
        value_log_bytes: 400_000,
        gc_write_bytes: 200_000,
        gc_read_bytes: 200_000,
        gc_runs: 2,
        gc_victim_bytes: 600_000,
        limiter_deep_nanos: 50_000_000 * factor,
        agent_actions: 3,
        agent_refused: 1,
        agent_bytes: 50_000,
        self_tuning_proposed: 5,
        self_tuning_applied: 3,
        self_tuning_undone: 1,
        self_tuning_fallbacks: 1,
        stall_nanos: 100_000_000 * factor,
        stalls: 7,
        ..Counts::default()
    }
}

fn of_every_class<T: Clone>(value: &T) -> BTreeMap<OpClass, T> {
    OpClass::ALL
        .into_iter()
        .map(|class| (class, value.clone()))
        .collect()
}

fn histogram(values: &[u64]) -> Histogram<u64> {
    let mut histogram = Histogram::new(3).expect("three digits are allowed");
    for value in values {
        histogram.record(*value).expect("the histogram grows");
    }
    histogram
}

/// The gathered metrics of trials.
pub(crate) fn rows_of(trials: &[TrialResult]) -> Vec<TidyRow> {
    let mut rows = Vec::new();
    for trial in trials {
        rows.extend(tidy(&trial.manifest, &metrics::derive(trial)));
    }
    rows
}

/// One value of a metric in phase `run`.
pub(crate) fn tidy_row(
    variant: &str,
    seed: u64,
    world: World,
    metric: &str,
    value: f64,
) -> TidyRow {
    let def = metrics::find(metric).expect("the test names known metrics");
    TidyRow {
        trial: Arc::new(RowTrial {
            id: format!("{variant}-{seed}"),
            variant: variant.to_owned(),
            point: Point::new(),
            seed,
            world,
        }),
        name: Arc::new(RowName {
            phase: "run".to_owned(),
            metric: metric.to_owned(),
            unit: def.unit.to_owned(),
            class: Exactness::Exact,
        }),
        value,
    }
}

impl TidyRow {
    /// The row in another phase.
    pub(crate) fn in_phase(mut self, phase: &str) -> Self {
        Arc::make_mut(&mut self.name).phase = phase.to_owned();
        self
    }

    /// The row of another metric.
    pub(crate) fn of_metric(mut self, metric: &str) -> Self {
        Arc::make_mut(&mut self.name).metric = metric.to_owned();
        self
    }
}
