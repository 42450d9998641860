//! Metrics of a made-up trial.

use std::collections::BTreeSet;

use aura_engine::{METRICS, Metrics, Reading, Window};

use super::*;
use crate::record::{Boundary, PhaseMeasure, SpaceMeasure};
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
fn a_metric_that_the_engine_does_not_give_has_no_row() {
    let mut trial = sample_trial("a", 0, 1);
    trial.measures.metrics = Some(&["cache.hit_ratio"]);
    let given: BTreeSet<String> = derive(&trial).into_iter().map(|row| row.metric).collect();
    let of_engine: Vec<&str> = of_engine().map(|metric| metric.name).collect();
    let from_engine = given
        .iter()
        .filter(|name| of_engine.contains(&name.as_str()));
    assert_eq!(from_engine.collect::<Vec<_>>(), ["cache.hit_ratio"]);
    let of_trial = all().filter(|metric| !of_engine.contains(&metric.name));
    for metric in of_trial {
        assert!(given.contains(metric.name), "{}", metric.name);
    }
    assert!(given.len() > 80, "{}", given.len());
}

#[test]
fn what_the_process_writes_stands_for_what_the_engine_does_not_count() {
    let mut trial = sample_trial("a", 0, 1);
    let counted = value(&derive(&trial), "device.write_bytes");
    assert_eq!(counted, Some(5_000_000.0));
    trial.measures.writes_of_process = true;
    let rows = derive(&trial);
    assert_eq!(value(&rows, "device.write_bytes"), Some(5_100_000.0));
    assert_eq!(value(&rows, "write.amplification"), Some(5.1));
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
        ("cache.settled_hit_ratio", 0.75),
        ("filter.false_positive_ratio", 0.01),
        ("filter.bytes_per_key", 1.25),
        ("index.bytes_per_key", 2.0),
        ("index.probes_per_lookup", 1.25),
        ("index.served_ratio", 0.75),
        ("index.fence_ratio", 0.5),
        ("index.training_ns_per_key", 40.0),
        ("index.training_cpu_ratio", 0.025),
        ("index.refused", 3.0),
        ("index.refused_too_large", 2.0),
        ("value_log.garbage_ratio", 0.25),
        ("gc.write_amplification", 1.5),
        ("gc.victim_live_ratio", 1.0 / 3.0),
        ("limiter.wait_ratio", 0.05),
        ("self_tuning.applied", 3.0),
        ("self_tuning.undone", 1.0),
        ("self_tuning.fallbacks", 1.0),
        ("stall.time_ratio", 0.1),
        ("cpu.ns_per_op", 5_000_000.0 / 6000.0),
        ("memtable.hit_ratio", 0.1),
        ("process.cpu_us_per_op", 10.0),
        ("process.memory_peak_bytes", 90_000_000.0),
        ("process.write_bytes", 5_100_000.0),
        ("process.read_bytes", 1_000_000.0),
        ("read.found_ratio", 0.99),
        ("read.not_found", 10.0),
        ("memory.memtable_bytes", 64_000.0),
        ("memory.total_bytes", 64_000.0),
        ("memory.peak_bytes", 128_000.0),
        ("memory.index_bytes", 20_000.0),
        ("tree.runs", 2.0),
        ("tree.levels", 1.0),
        ("tree.tombstone_ratio", 0.25),
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
    trial.phases.truncate(1);
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
fn space_is_a_metric_of_the_whole() {
    let phases: Vec<String> = derive(&sample_trial("a", 0, 1))
        .into_iter()
        .filter(|row| row.metric == "space.disk_bytes")
        .map(|row| row.phase)
        .collect();
    assert_eq!(phases, ["whole"]);
}

/// A window that wrote `written` bytes for 100 of users, and leaves what `after` says.
fn window(name: &str, before: &Metrics, written: u64, debt_bytes: u64) -> PhaseMeasure {
    let mut after = before.clone();
    after.counts.user_write_bytes += 100;
    after.counts.flush_bytes += written;
    after.debt_bytes = debt_bytes;
    let boundary = |metrics: &Metrics| Boundary {
        metrics: metrics.clone(),
        device: None,
        process: None,
    };
    PhaseMeasure::quiet(name, 1, boundary(before), boundary(&after))
}

#[test]
fn what_a_window_leaves_unpaid_is_charged_to_it() {
    let mut trial = sample_trial("a", 0, 1);
    let load = window("load", &Metrics::default(), 300, 50);
    let run = window("run", &load.after, 200, 999);
    let drain = window("drain", &run.after, 400, 0);
    let mut windows = vec![load, run, drain];
    windows.extend(PhaseMeasure::whole(&windows, 3));
    trial.phases = windows;
    let rows = derive(&trial);
    let values = |metric: &str| -> Vec<f64> {
        let rows = rows.iter().filter(|row| row.metric == metric);
        rows.map(|row| row.value).collect()
    };
    // After the last phase the debt is what the drain wrote, whatever was estimated.
    assert_eq!(values("debt.bytes"), [50.0, 400.0, 0.0, 0.0]);
    assert_eq!(values("debt.charged_bytes"), [350.0, 550.0, 0.0, 900.0]);
    // The drain is charged with nothing, so it amplifies nothing.
    assert_eq!(values("write.amplification"), [3.5, 5.5, 3.0]);
    assert_eq!(
        values("debt.deferred_ratio"),
        [50.0 / 300.0, 350.0 / 200.0, -1.0, 0.0]
    );
    let written = values("device.write_bytes");
    assert_eq!(written[3], written[..3].iter().sum::<f64>(), "{written:?}");
}

#[test]
fn every_family_says_how_its_acting_is_counted() {
    for family in aura_policies::families() {
        let activity = activity::of_family(family.name);
        let activity = activity.unwrap_or_else(|| panic!("{}", family.name));
        for metric in activity.counted_by {
            assert!(find(metric).is_ok(), "{metric}");
        }
    }
}

#[test]
fn needs_are_counted_by_metrics() {
    for metric in all() {
        for counted_by in metric.need.iter().flat_map(|need| need.counted_by) {
            assert!(find(counted_by).is_ok(), "{}: {counted_by}", metric.name);
        }
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
fn time_is_simulated_or_noisy_and_counts_are_exact() {
    assert_eq!(Class::Timed.within(World::Simulated), Exactness::Simulated);
    assert_eq!(Class::Timed.within(World::Real), Exactness::Noisy);
    assert_eq!(Class::Counted.within(World::Real), Exactness::Exact);
}

#[test]
fn a_running_engine_has_the_names_and_values_of_the_laboratory() {
    let trial = sample_trial("a", 0, 1);
    let rows = derive(&trial);
    let phase = &trial.phases[0];
    let reading = |at_nanos, metrics: &Metrics| Reading {
        at_nanos,
        metrics: metrics.clone(),
        ..Reading::default()
    };
    let after = reading(phase.nanos, &phase.after);
    let window = Window::between(&reading(0, &phase.before), &after);
    let mut shared = 0;
    for entry in METRICS.iter() {
        let Ok(def) = find(&entry.name) else { continue };
        assert_eq!(entry.unit, def.unit, "{}", def.name);
        assert_eq!(entry.over(&window), value(&rows, def.name), "{}", def.name);
        shared += 1;
    }
    assert!(shared > 45, "only {shared}");
}
