//! Metrics of a made-up trial.

use std::collections::BTreeSet;

use aura_engine::Metrics;

use super::*;
use crate::record::SpaceMeasure;
use crate::testing::sample_trial;

fn value(rows: &[MetricRow], metric: &str) -> Option<f64> {
    rows.iter()
        .find(|row| row.metric == metric)
        .map(|row| row.value)
}

#[test]
fn every_metric_is_defined_in_a_trial_that_does_everything() {
    let derived: BTreeSet<String> = derive(&sample_trial("a", 0, 1))
        .into_iter()
        .map(|row| row.metric)
        .collect();
    let known: BTreeSet<String> = all().map(|metric| metric.name.to_owned()).collect();
    assert_eq!(derived, known);
    assert_eq!(known.len(), all().count(), "a name is there twice");
    for name in HEADLINE {
        assert!(find(name).is_ok(), "{name}");
    }
}

#[test]
fn values_are_what_their_definitions_say() {
    let rows = derive(&sample_trial("a", 0, 1));
    for (metric, expected) in [
        ("run.throughput_ops", 6000.0),
        ("run.overloaded", 0.0),
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
        ("cache.value_hit_ratio", 0.25),
        ("cache.index_hit_ratio", 0.5),
        ("cache.filter_hit_ratio", 0.75),
        ("cache.row_hit_ratio", 0.25),
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
        ("cpu.ns_per_op", 5_000_000.0 / 6000.0),
        ("memtable.hit_ratio", 0.1),
        ("read.found_ratio", 0.99),
        ("read.not_found", 10.0),
        ("memory.memtable_bytes", 64_000.0),
        ("memory.total_bytes", 64_000.0),
        ("memory.peak_bytes", 128_000.0),
        ("memory.index_bytes", 20_000.0),
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
    let mut trial = sample_trial("a", 0, 1);
    let phase = &mut trial.phases[0];
    phase.after = Metrics::default();
    phase.device_before = None;
    phase.device_after = None;
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
fn space_is_a_metric_of_the_last_phase() {
    let mut trial = sample_trial("a", 0, 1);
    let mut load = sample_trial("a", 0, 1).phases.remove(0);
    load.name = "load".to_owned();
    trial.phases.insert(0, load);
    let phases: Vec<String> = derive(&trial)
        .into_iter()
        .filter(|row| row.metric == "space.disk_bytes")
        .map(|row| row.phase)
        .collect();
    assert_eq!(phases, ["run"]);
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
fn time_is_simulated_or_noisy_and_counts_are_exact() {
    assert_eq!(Class::Timed.within(World::Simulated), Exactness::Simulated);
    assert_eq!(Class::Timed.within(World::Real), Exactness::Noisy);
    assert_eq!(Class::Counted.within(World::Real), Exactness::Exact);
}
