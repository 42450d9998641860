//! Whole trials, small.

use aura_workloads::{Mix, PhaseConfig, WorkloadConfig};

use super::*;
use crate::config::{self, RecordConfig, WorldConfig};
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
fn a_simulation_that_is_watched_is_the_same_and_says_how_far_it_has_come() {
    let text = "seeds = [1]\n[workload]\npreset = \"ycsb-a\"\nrecords = 2_000\noperations = 3_000";
    let experiment = config::parse("test.toml".as_ref(), text.to_owned(), &[]).expect("a config");
    let plan = Plan::new(&experiment, "test");
    let databases = Databases::default();
    let alone = run(&plan.trials[0], "test", &databases).expect("a simulation");
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let noted = seen.clone();
    let watcher: Watcher = Box::new(move |advance: &Advance| {
        noted.lock().expect("no panic").push(advance.clone());
    });
    let watched = run_watched(&plan.trials[0], "test", &databases, Some(watcher));
    let watched = watched.expect("a simulation");
    assert_eq!(watched.manifest.fingerprint, alone.manifest.fingerprint);
    let seen = seen.lock().expect("no panic");
    assert!(seen.len() > 30, "{}", seen.len());
    assert!(seen.is_sorted_by(|a, b| a.of_trial <= b.of_trial));
    assert!(
        seen.iter()
            .any(|it| it.window == "load" && it.of_window > Some(0.5))
    );
    let last = seen.last().expect("reports");
    assert_eq!((last.window.as_str(), last.of_trial), ("verify", 1.0));
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

const RECORDS: u64 = 300;

/// A trial that loads records and then does 1,000 operations of one kind.
fn reading(mix: Mix) -> TrialConfig {
    TrialConfig {
        workload: WorkloadConfig {
            records: Some(RECORDS),
            phases: vec![PhaseConfig {
                name: "reads".to_owned(),
                mix: Some(mix),
                ..PhaseConfig::default()
            }],
            ..WorkloadConfig::default()
        },
        engine: EngineConfig::default(),
        world: WorldConfig::default(),
        settle: false,
        series_points: 10,
        record: RecordConfig::default(),
    }
}

/// How late operations of a phase with this load began whose client was idle.
fn pacing(load: Load) -> Option<hdrhistogram::Histogram<u64>> {
    let mut config = reading(reads());
    config.workload.phases[0].load = Some(load);
    measured(&config, async |_| Ok(()))
        .expect("nothing is wrong")
        .pacing
}

#[test]
fn simulated_operations_begin_at_their_time() {
    let late = pacing(Load::Constant { rate: 1000.0 }).expect("an open loop");
    assert_eq!(late.max(), 0);
    // The first operation's time is the phase's start.
    assert!(late.len() >= 999, "{}", late.len());
    assert!(pacing(Load::Closed {}).is_none());
}

#[test]
fn operations_behind_others_are_not_late_by_their_clock() {
    // Ten nanoseconds apart, each behind the one before.
    let late = pacing(Load::Constant { rate: 1e8 });
    assert!(late.is_none_or(|late| late.len() < 500));
}

/// What the phase gives after `meddle` has had the loaded engine.
fn after(
    mix: Mix,
    meddle: impl AsyncFnOnce(&AuraEngine) -> Result<(), TrialError>,
) -> Result<PhaseMeasure, TrialError> {
    measured(&reading(mix), meddle)
}

fn measured(
    config: &TrialConfig,
    meddle: impl AsyncFnOnce(&AuraEngine) -> Result<(), TrialError>,
) -> Result<PhaseMeasure, TrialError> {
    let machine = Machine::new(config, 1, "unused".into())?;
    let workload = config.workload.resolve()?;
    let mut stage = Stage::open(&machine, config, &workload, Seed(1))?;
    stage.phase(&workload.load, &Arc::new(Acknowledged::new(0)))?;
    machine.block_on(meddle(&stage.engine))?;
    let acknowledged = Arc::new(Acknowledged::new(RECORDS));
    stage.phase(&workload.phases[0], &acknowledged)
}

fn reads() -> Mix {
    Mix {
        read: 1.0,
        ..Mix::default()
    }
}

/// Puts the value of each key, as `change` made it, for the key.
async fn put_all(engine: &AuraEngine, change: impl Fn(&mut Vec<u8>)) -> Result<(), TrialError> {
    let mut key = Vec::new();
    for number in 0..RECORDS {
        aura_workloads::KeySpace::default().render(number, &mut key);
        let found = engine.get(&key).await?;
        let mut value = found.expect("it was loaded").to_vec();
        change(&mut value);
        engine.put(&key, &value).await?;
    }
    Ok(())
}

#[test]
fn values_that_were_written_are_accepted_and_others_name_their_key() {
    let untouched = after(reads(), async |_| Ok(())).expect("all values are right");
    assert_eq!(untouched.operations[&crate::record::OpClass::Read], 1000);
    let damages: [fn(&mut Vec<u8>); 3] = [
        |value| value[500] ^= 1,
        |value| value.truncate(999),
        |value| *value = b"x".to_vec(),
    ];
    for damage in damages {
        let damaged = after(reads(), async |engine| put_all(engine, damage).await);
        match damaged.map(drop) {
            Err(TrialError::Wrong { key, .. }) => assert!(key.starts_with("user"), "{key}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_loaded_key_that_is_gone_is_lost() {
    let lost = after(reads(), async |engine| {
        Ok(engine.delete_range(aura_engine::Range::all()).await?)
    });
    assert!(matches!(lost.map(drop), Err(TrialError::Lost { .. })));
}

#[test]
fn absent_reads_find_nothing_and_are_counted() {
    let mix = Mix {
        read: 0.5,
        read_absent: 0.5,
        ..Mix::default()
    };
    let phase = after(mix, async |_| Ok(())).expect("nothing is wrong");
    let absent = phase.operations[&crate::record::OpClass::ReadAbsent];
    assert!((400..600).contains(&absent), "{absent}");
    let counts = phase.after.counts.since(&phase.before.counts);
    assert_eq!((counts.gets, counts.gets_found), (1000, 1000 - absent));
}

#[test]
fn an_absent_key_with_a_value_is_an_error() {
    let mix = Mix {
        read_absent: 1.0,
        ..Mix::default()
    };
    let phantom = after(mix, async |engine| {
        let mut key = Vec::new();
        for number in 0..RECORDS {
            let numbers = 2 * RECORDS + 1000;
            let keys = aura_workloads::KeySpace::default();
            keys.render_absent(number, numbers, &mut key);
            engine.put(&key, b"who wrote this?").await?;
        }
        Ok(())
    });
    match phantom.map(drop) {
        Err(TrialError::Phantom { key }) => assert!(key.starts_with("user"), "{key}"),
        other => panic!("{other:?}"),
    }
}
