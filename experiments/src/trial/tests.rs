//! Whole trials, small.

use super::*;
use crate::config;
use crate::metrics::PhaseFacts;
use crate::plan::Plan;
use crate::record::Window;

/// Runs the only trial of a config under seed 1.
fn trial(layout: &str, settle: bool) -> TrialResult {
    let text = format!(
        r#"
seeds = [1]
settle = {settle}

[workload]
preset = "ycsb-a"
records = 8_000
operations = 4_000
warm_up_operations = 500
clients = 2
value.bytes = 100

[[workload.phases]]
name = "writes"

[[workload.phases]]
name = "reads"
mix = {{ read = 1 }}

[engine]
memtable = "16KiB"
table.size = "32KiB"
compaction = {{ base = "64KiB", layout = {layout} }}
"#
    );
    let experiment = config::parse("test.toml".as_ref(), text, &[]).expect("a config");
    let plan = Plan::new(&experiment, "test");
    run(&plan.trials[0], "test", &Databases::default()).expect("a simulation")
}

#[test]
fn windows_follow_one_another_without_a_gap_and_sum_up_to_the_whole() {
    for layout in [
        "\"leveled\"",
        "\"tiered\"",
        "{ policy = \"leveled\", ratio = 4 }",
    ] {
        let trial = trial(layout, true);
        let windows = &trial.phases;
        let names: Vec<&str> = windows.iter().map(|it| it.name.as_str()).collect();
        let expected = [
            "load", "settle", "warm-up", "writes", "reads", "drain", "whole",
        ];
        assert_eq!(names, expected, "{layout}");
        for pair in windows[..windows.len() - 1].windows(2) {
            assert_eq!(pair[0].after.counts, pair[1].before.counts, "{layout}");
            assert_eq!(pair[0].device_after, pair[1].device_before, "{layout}");
        }
        let facts = PhaseFacts::of(&trial);
        let (whole, parts) = facts.split_last().expect("windows");
        let written = |facts: &PhaseFacts| facts.counts.device_write_bytes();
        let sum: u64 = parts.iter().map(written).sum();
        assert_eq!(sum, written(whole), "{layout}");
        let nanos: u64 = parts.iter().map(|it| it.measure.nanos).sum();
        assert!(nanos <= whole.measure.nanos, "{layout}");

        // The device never saw files that were gone before they were written back, and saw a few
        // small files that the engine does not count.
        let device = whole.measure.device_after.expect("a simulation");
        let counted = written(whole);
        assert!(
            (counted / 2..counted + (16 << 10)).contains(&device.device_write_bytes),
            "{layout}: {device:?}, {counted} counted"
        );
    }
}

#[test]
fn a_trial_ends_without_debt() {
    for settle in [true, false] {
        let trial = trial("{ policy = \"leveled\", ratio = 4 }", settle);
        let drain = &trial.phases[trial.phases.len() - 2];
        assert_eq!(drain.window(), Window::Drain);
        assert_eq!(drain.after.debt_bytes, 0);
        assert_eq!(drain.after.memtable_bytes, 0);
        let settled = trial.phases.iter().any(|it| it.window() == Window::Settle);
        assert_eq!(settled, settle);
        // What the windows were charged with is what was written.
        let facts = PhaseFacts::of(&trial);
        let (whole, parts) = facts.split_last().expect("windows");
        let charged = |facts: &PhaseFacts| facts.charged(facts.counts.device_write_bytes());
        let sum: f64 = parts.iter().map(charged).sum();
        assert_eq!(sum, charged(whole));
    }
}
