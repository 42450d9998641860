//! Whole trials, small.

use aura_workloads::{Load, Mix, PhaseConfig, WorkloadConfig};

use aura_engine::{AuraEngine, Engine};

use super::*;
use crate::config::{self, RecordConfig, TargetOptions, WorldConfig};
use crate::metrics::{self, PhaseFacts};
use crate::plan::Plan;
use crate::record::{OpClass, Window};

/// Runs the only trial of a config.
fn run_config(text: &str) -> TrialResult {
    let experiment = config::parse("test.toml".as_ref(), text.to_owned(), &[]).expect("a config");
    let plan = Plan::new(&experiment, "test");
    run(&plan.trials[0], "test", &Databases::default()).expect("a simulation")
}

/// A leveled or tiered trial under seed 1.
fn trial(layout: &str, settle: bool) -> TrialResult {
    run_config(&format!(
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
    ))
}

#[test]
fn trials_of_one_layout_share_a_load_and_those_of_another_do_not() {
    let text = r#"
seeds = [1]
shared_load = true
world = { kind = "real", cores = 2 }

[workload]
records = 3_000
value.bytes = 100
clients = 2

[[workload.phases]]
name = "reads"
operations = 500
mix = { read = 1 }

[engine]
memtable = "32KiB"
table.size = "32KiB"
compaction.base = "64KiB"

[[variant]]
name = "a"

[[variant]]
name = "b"
engine.cache.eviction = "fifo"

[[variant]]
name = "c"
engine.memtable = "64KiB"
"#;
    let experiment = config::parse("test.toml".as_ref(), text.to_owned(), &[]).expect("a config");
    let plan = Plan::new(&experiment, "test");
    let folder = tempfile::tempdir().expect("a folder");
    let databases = Databases {
        folder: folder.path().to_owned(),
        keep: false,
    };
    let names = || files::names(folder.path()).expect("it is read");
    // The order of a plan of the real world is drawn.
    let run = |variant: &str| {
        let planned = plan.trials.iter().find(|it| it.variant == variant);
        let trial = run(planned.expect("planned"), "test", &databases).expect("a trial");
        let windows: Vec<String> = trial.phases.iter().map(|it| it.name.clone()).collect();
        assert_eq!(windows, ["reads", "drain", "whole"]);
        (trial.space.disk_bytes, names())
    };
    let (a, b, c) = (run("a"), run("b"), run("c"));
    // Of 3,000 records every read found its own, and the files of both are equal.
    assert_eq!(a, b);
    assert_eq!((a.1.len(), c.1.len()), (1, 1), "the load alone is kept");
    assert_ne!(a.1, c.1);
    forget_loads(&plan.trials, &databases).expect("it is removed");
    assert_eq!(names(), Vec::<String>::new());
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
    let onlooker = Onlooker {
        watcher,
        metrics: true,
    };
    let watched = run_among(
        Targets::default(),
        &plan.trials[0],
        "test",
        &databases,
        Some(onlooker),
    );
    let watched = watched.expect("a simulation");
    assert_eq!(watched.manifest.fingerprint, alone.manifest.fingerprint);
    assert_eq!(metrics::derive(&watched), metrics::derive(&alone));
    let seen = seen.lock().expect("no panic");
    assert!(seen.len() > 30, "{}", seen.len());
    assert!(seen.is_sorted_by(|a, b| a.of_trial <= b.of_trial));
    assert!(
        seen.iter()
            .any(|it| it.window == "load" && it.of_window > Some(0.5))
    );
    let last = seen.last().expect("reports");
    assert_eq!((last.window.as_str(), last.of_trial), ("verify", 1.0));
    let metrics = last.metrics.as_deref().expect("the engine is open");
    let whole = alone.phases.last().expect("the whole");
    let gets = whole.after.counts.gets;
    let line = format!("\naura_engine_gets_total {gets}\n");
    assert!(metrics.contains(&line), "{gets}: {metrics}");
    assert!(!metrics.contains("latency_seconds_count{operation=\"get\"} 0"));
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
        shared_load: false,
        series_points: 10,
        record: RecordConfig::default(),
        target: "aura".to_owned(),
        target_options: TargetOptions::new(),
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
    let late = pacing(Load::Constant {
        rate: 1000.0.into(),
    })
    .expect("an open loop");
    assert_eq!(late.max(), 0);
    // The first operation's time is the phase's start.
    assert!(late.len() >= 999, "{}", late.len());
    assert!(pacing(Load::Closed {}).is_none());
}

#[test]
fn operations_behind_others_are_not_late_by_their_clock() {
    // Ten nanoseconds apart, each behind the one before.
    let late = pacing(Load::Constant { rate: 1e8.into() });
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
    let meter = Arc::new(Meter::new(extents(&workload)));
    let mut stage = Stage::<AuraEngine>::open(&machine, config, &workload, (Seed(1), &meter))?;
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

#[test]
fn of_mixed_sizes_the_large_ones_are_separated() {
    let trial = run_config(
        r#"
seeds = [1]

[workload]
records = 2_000
operations = 500
mix = { read = 1 }
value.bytes = [{ share = 0.9, bytes = 100 }, { share = 0.1, bytes = "8KiB" }]

[engine]
value_log.separation = { policy = "threshold", bytes = 4096 }
"#,
    );
    let counts = &trial.phases[0].after.counts;
    let large = counts.value_log_bytes / 8192;
    assert!((160..240).contains(&large), "{large} of 200 expected");
    let small = counts.user_write_bytes - large * 8192;
    // Of 2,000 records: keys of some 23 bytes, and 1,800 values of 100 bytes.
    assert!((200_000..260_000).contains(&small), "{small}");
}

/// The counters' rise over a window.
fn rise(window: &PhaseMeasure) -> aura_engine::Counts {
    window.after.counts.since(&window.before.counts)
}

/// The window of this name.
fn named<'a>(trial: &'a TrialResult, name: &str) -> &'a PhaseMeasure {
    let found = trial.phases.iter().find(|window| window.name == name);
    found.unwrap_or_else(|| panic!("no window {name}"))
}

const STEPS: &str = r#"
seeds = [1]
settle = false

[workload]
records = 6_000
operations = 2_000
value.bytes = 200
mix = { read = 1 }

[[workload.phases]]
name = "to tables"
step = "flush"

[[workload.phases]]
name = "calm"
step = "settle"

[[workload.phases]]
name = "warm"

[[workload.phases]]
name = "still warm"

[[workload.phases]]
name = "cold"
step = "drop-caches"

[[workload.phases]]
name = "after"

[[workload.phases]]
name = "writes"
mix = { update = 1 }

[[workload.phases]]
name = "one run"
step = "compact"

[[workload.phases]]
name = "pause"
step = "wait"
duration = "250ms"

[engine]
memtable = "64KiB"
table.size = "64KiB"
compaction.base = "256KiB"
cache = { size = "8MiB", shards = 1 }
"#;

#[test]
fn steps_are_windows_that_do_what_they_say() {
    let trial = run_config(STEPS);
    let flush = named(&trial, "to tables (flush)");
    assert!(flush.before.memtable_bytes > 0 && rise(flush).flush_bytes > 0);
    assert_eq!(flush.after.memtable_bytes, 0);
    let settle = named(&trial, "calm (settle)");
    assert_eq!(settle.after.debt_bytes, 0);
    let misses = |name| rise(named(&trial, name)).block_misses;
    assert!(
        misses("still warm") * 10 < misses("after"),
        "{}",
        misses("after")
    );
    let cold = named(&trial, "cold (drop-caches)");
    assert!(cold.before.cache.entries > 100, "{:?}", cold.before.cache);
    assert_eq!(cold.after.cache.entries, 0);
    let compact = named(&trial, "one run (compact)");
    let runs = |metrics: &aura_engine::Metrics| -> u64 {
        metrics.levels.iter().map(|level| level.runs).sum()
    };
    assert!(runs(&compact.before) > 1, "{:?}", compact.before.levels);
    assert_eq!(runs(&compact.after), 1);
    assert!(rise(compact).compaction_write_bytes > 1_000_000);
    assert_eq!(named(&trial, "pause (wait)").nanos, 250_000_000);
}

#[test]
fn the_windows_of_steps_are_part_of_the_sum() {
    let trial = run_config(STEPS);
    let names: Vec<&str> = trial.phases.iter().map(|it| it.name.as_str()).collect();
    let expected = [
        "load",
        "to tables (flush)",
        "calm (settle)",
        "warm",
        "still warm",
        "cold (drop-caches)",
        "after",
        "writes",
        "one run (compact)",
        "pause (wait)",
        "drain",
        "whole",
    ];
    assert_eq!(names, expected);
    let facts = PhaseFacts::of(&trial);
    let (whole, parts) = facts.split_last().expect("windows");
    for pair in parts.windows(2) {
        assert_eq!(pair[0].measure.after.counts, pair[1].measure.before.counts);
        assert_eq!(pair[0].measure.device_after, pair[1].measure.device_before);
    }
    let sum: u64 = parts.iter().map(|it| it.counts.device_write_bytes()).sum();
    assert_eq!(sum, whole.counts.device_write_bytes());
    let busy = |facts: &PhaseFacts| {
        let before = facts.measure.device_before.expect("a simulation");
        let after = facts.measure.device_after.expect("a simulation");
        after.device_busy_nanos - before.device_busy_nanos
    };
    assert_eq!(parts.iter().map(busy).sum::<u64>(), busy(whole));
    let charged = |facts: &PhaseFacts| facts.charged(facts.counts.device_write_bytes());
    let charged_sum: f64 = parts.iter().map(charged).sum();
    assert_eq!(charged_sum, charged(whole));
}

#[test]
fn a_steps_window_has_no_rate_and_no_latency() {
    let trial = run_config(STEPS);
    for row in crate::metrics::derive(&trial) {
        if Window::named(&row.phase) == Window::Step {
            let metric = crate::metrics::find(&row.metric).expect("a metric");
            let of_operations = metric.unit.ends_with("/s")
                || ["throughput", "latency", "service", "ns_per_op"]
                    .iter()
                    .any(|word| row.metric.contains(word));
            assert!(!of_operations, "{row:?}");
        }
    }
}

#[test]
fn a_trial_with_steps_repeats_to_the_byte() {
    assert_eq!(rows_text(STEPS), rows_text(STEPS));
}

/// All metrics of a trial, as the store would write them, and its fingerprint.
fn rows_text(config: &str) -> String {
    let trial = run_config(config);
    let rows = crate::metrics::derive(&trial);
    let fingerprint = trial.manifest.fingerprint;
    format!("{fingerprint:?}\n{}", crate::formats::json_lines(&rows))
}

#[test]
fn time_ends_a_phase_and_the_clients_of_an_open_loop_wait_for_it() {
    let trial = run_config(
        r#"
seeds = [1]

[workload]
records = 1_000
clients = 2
value.bytes = 100
mix = { read = 1, insert = 1 }

[[workload.phases]]
name = "closed"
duration = "20ms"

[[workload.phases]]
name = "open"
duration = "2s"
load = { arrival = "constant", rate = 100 }

[[workload.phases]]
name = "counted"
duration = "1h"
operations = 500

[[workload.phases]]
name = "slow"
duration = "3s"
operations = 500
load = { arrival = "constant", rate = 1 }
"#,
    );
    let operations = |name: &str| named(&trial, name).operations.values().sum::<u64>();
    // The last operations may end after it.
    let closed = named(&trial, "closed").nanos;
    assert!((20_000_000..25_000_000).contains(&closed), "{closed}");
    assert!(operations("closed") > 200, "{}", operations("closed"));
    assert_eq!(operations("open"), 200);
    assert_eq!(named(&trial, "open").nanos, 2_000_000_000);
    assert!(!named(&trial, "open").overloaded);
    assert_eq!(operations("counted"), 500);
    assert!(named(&trial, "counted").nanos < 1_000_000_000);
    assert_eq!(operations("slow"), 3);
    assert_eq!(named(&trial, "slow").nanos, 3_000_000_000);
}

#[test]
fn an_open_loop_that_is_too_fast_is_overloaded_when_time_ends_it() {
    let trial = run_config(
        r#"
seeds = [1]

[workload]
records = 1_000
duration = "30ms"
mix = { read = 1 }
load = { arrival = "constant", rate = 1e9 }
"#,
    );
    let run = named(&trial, "run");
    assert!(run.overloaded, "{:?}", run.operations);
    assert!(run.nanos < 40_000_000, "{}", run.nanos);
}

/// db_bench's readwhilewriting: readers do their reads while one client writes at a given rate.
const READ_WHILE_WRITING: &str = r#"
seeds = [1]

[workload]
records = 4_000
operations = 3_000
value.bytes = 100

[[workload.roles]]
name = "readers"
clients = 3
mix = { read = 1 }

[[workload.roles]]
name = "writer"
mix = { update = 1 }
load = { arrival = "constant", rate = 20_000 }
until = "others-end"

[engine]
memtable = "32KiB"
cache.size = "64KiB"
"#;

#[test]
fn readers_read_while_a_writer_writes_until_they_end() {
    let trial = run_config(READ_WHILE_WRITING);
    let run = named(&trial, "run");
    assert_eq!(run.operations[&crate::record::OpClass::Read], 3000);
    let writes = run.operations[&crate::record::OpClass::Write];
    let expected = run.nanos * 20_000 / 1_000_000_000;
    assert!(expected > 50, "{} ns", run.nanos);
    assert!(writes.abs_diff(expected) <= 2, "{writes} of {expected}");
    assert!(run.open_loop && !run.overloaded);
    let whole_series: u64 = run.series.iter().map(|slice| slice.operations).sum();
    assert_eq!(whole_series, 3000 + writes);
    assert_eq!(rows_text(READ_WHILE_WRITING), rows_text(READ_WHILE_WRITING));
}

#[test]
fn an_idle_writer_does_not_hold_back_the_end() {
    let rare = READ_WHILE_WRITING.replace("rate = 20_000", "rate = 0.001");
    let trial = run_config(&rare);
    let run = named(&trial, "run");
    assert!(run.nanos < 1_000_000_000, "{} ns", run.nanos);
    assert_eq!(run.operations[&crate::record::OpClass::Read], 3000);
    let writes = run.operations.get(&crate::record::OpClass::Write);
    assert_eq!(writes, Some(&1), "at the phase's start");
}

#[test]
fn an_error_of_the_last_of_others_ends_those_that_wait_for_them() {
    let mut config = reading(reads());
    let role = |name: &str, until| aura_workloads::RoleConfig {
        name: name.to_owned(),
        until,
        ..Default::default()
    };
    config.workload.phases[0].roles = vec![
        role("endless", Some(aura_workloads::Until::OthersEnd)),
        role("bounded", None),
    ];
    let done = measured(&config, async |_| Ok(())).expect("nothing is wrong");
    assert!(done.operations[&crate::record::OpClass::Read] > 1000);
    let lost = measured(&config, async |engine| {
        Ok(engine.delete_range(aura_engine::Range::all()).await?)
    });
    assert!(matches!(lost.map(drop), Err(TrialError::Lost { .. })));
}

const KEYED: &str = r#"
seeds = [1]

[workload]
key = { file = "keys.txt", format = "lines" }
operations = 500
value.bytes = 50
mix = { read = 1, read_absent = 1 }
"#;

/// A folder with a config's file of keys.
fn folder_of_keys(keys: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    files::write(&folder.path().join("keys.txt"), keys.as_bytes()).expect("a file");
    folder
}

/// The only trial of a config that lies in `folder`.
fn planned_in(folder: &std::path::Path, config: &str) -> Result<PlannedTrial, String> {
    let experiment = config::parse(&folder.join("test.toml"), config.to_owned(), &[])
        .map_err(|error| error.to_string())?;
    Ok(Plan::new(&experiment, "test").trials.remove(0))
}

fn words(count: u64) -> String {
    (0..count)
        .map(|number| format!("word-{number:05}\n"))
        .collect()
}

#[test]
fn a_trial_inserts_the_keys_of_its_file_and_says_which() {
    let folder = folder_of_keys(&(words(400) + "word-00007\n"));
    let planned = planned_in(folder.path(), KEYED).expect("a config");
    let run_once = || run(&planned, "test", &Databases::default()).expect("a simulation");
    let trial = run_once();
    let load = rise(&trial.phases[0]);
    assert_eq!(
        load.user_write_bytes,
        400 * (10 + 50),
        "400 distinct words of 10 bytes"
    );
    let found = rise(named(&trial, "run"));
    assert!(
        (200..300).contains(&found.gets_found),
        "{}",
        found.gets_found
    );
    let keys = trial.manifest.keys.clone().expect("keys of a file");
    assert_eq!(
        (keys.name.as_str(), keys.keys, keys.duplicates),
        ("keys.txt", 400, 1)
    );
    assert_eq!(trial.manifest.fingerprint, run_once().manifest.fingerprint);
}

#[test]
fn a_trials_id_covers_the_keys_and_not_where_they_lie() {
    let id = |keys: &str| {
        let folder = folder_of_keys(keys);
        planned_in(folder.path(), KEYED).expect("a config").id
    };
    assert_eq!(id(&words(50)), id(&words(50)));
    assert_ne!(id(&words(50)), id(&words(51)));
    assert_ne!(id("a\nb\n"), id("b\na\n"));
}

#[test]
fn keys_that_changed_since_the_plan_end_the_trial() {
    let folder = folder_of_keys(&words(50));
    let planned = planned_in(folder.path(), KEYED).expect("a config");
    files::write(&folder.path().join("keys.txt"), words(49).as_bytes()).expect("a file");
    match run(&planned, "test", &Databases::default()).map(drop) {
        Err(TrialError::Keys(KeyFileError::Changed { .. })) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_trial_that_runs_out_of_keys_says_so() {
    let folder = folder_of_keys(&words(50));
    let endless = KEYED
        .replace("operations = 500", "records = 40\nduration = \"1s\"")
        .replace("read_absent = 1", "insert = 1");
    let planned = planned_in(folder.path(), &endless).expect("a config");
    let ended = run(&planned, "test", &Databases::default());
    assert!(matches!(ended.map(drop), Err(TrialError::OutOfKeys)));
}

#[test]
fn files_without_usable_keys_are_refused_when_the_config_is_read() {
    let refused = |keys: &str, config: &str| {
        let folder = folder_of_keys(keys);
        planned_in(folder.path(), config).expect_err("it cannot be used")
    };
    let error = refused("\n\n", KEYED);
    assert!(error.ends_with("keys.txt: it holds no key"), "{error}");
    let error = refused(&"x".repeat(70_000), KEYED);
    assert!(error.contains("a key has 70000 bytes"), "{error}");
    let error = refused("a\n", &KEYED.replace("lines", "sosd-u64"));
    assert!(error.contains("it ends within a number"), "{error}");
    let error = refused("a\n", &KEYED.replace("keys.txt", "other.txt"));
    assert!(error.contains("other.txt"), "{error}");
    let error = refused(
        &words(9),
        &KEYED.replace("operations", "records = 10\noperations"),
    );
    assert!(
        error.contains("workload.records = 10: must be at most 9"),
        "{error}"
    );
}

/// The metrics that a replay must repeat: what clients did and what the engine wrote.
fn counts_of(trial: &TrialResult) -> Vec<u64> {
    let whole = trial.phases.last().expect("the whole");
    let counts = &whole.after.counts;
    let mut operations = whole.operations.clone();
    // A trace does not say which of its reads were meant to find nothing.
    let absent = operations.remove(&OpClass::ReadAbsent).unwrap_or(0);
    *operations.entry(OpClass::Read).or_default() += absent;
    let mut counted: Vec<u64> = operations.into_values().collect();
    counted.extend([
        counts.gets,
        counts.wal_bytes,
        counts.flushes,
        counts.compactions,
        trial.space.reachable_bytes,
    ]);
    counted
}

const REPLAYED_ENGINE: &str = "[engine]\nmemtable = \"64KiB\"\ntable.size = \"64KiB\"\n";

#[test]
fn recorded_operations_replayed_are_the_same_trial_again() {
    let recorded = run_config(&format!(
        "seeds = [1]\nrecord.operations = 1.0\n{REPLAYED_ENGINE}[workload]\n\
         records = 2_000\noperations = 3_000\nvalue.bytes = {{ min = 8, max = 300 }}\n\
         mix = {{ read = 4, update = 2, insert = 1, scan = 1, read_modify_write = 1, delete = 1, \
         read_absent = 1 }}\n"
    ));
    let bytes = recorded.operations.as_deref().expect("they were recorded");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("operations.aurat.zst");
    crate::files::write(&file, bytes).expect("a file");
    let replayed = run_config(&format!(
        "seeds = [1]\nrecord.operations = 1.0\n{REPLAYED_ENGINE}[workload.trace]\nfile = {file:?}\n"
    ));
    assert_eq!(counts_of(&replayed), counts_of(&recorded));
    let operations = |trial: &TrialResult, at: usize| trial.phases[at].operations.clone();
    assert_eq!(
        operations(&replayed, 0),
        operations(&recorded, 0),
        "the load"
    );
    // What the replay records is what it replayed: equal values for equal keys, in this order.
    let digest = |bytes: &[u8]| {
        let plain = zstd::decode_all(bytes).expect("a frame");
        let options = aura_workloads::trace::ReadOptions::default();
        let format = aura_workloads::trace::Format::Aurat;
        let read = aura_workloads::trace::read_operations(&plain[..], format, &options);
        let read = read.expect("a trace");
        let row = |at: usize| {
            let it = read.at(at);
            (
                it.action,
                it.key.to_vec(),
                it.value_bytes,
                it.length,
                it.source,
            )
        };
        (0..read.len()).map(row).collect::<Vec<_>>()
    };
    let again = replayed.operations.as_deref().expect("they were recorded");
    assert_eq!(digest(again), digest(bytes));
    let trace = replayed.manifest.trace.expect("it replays one");
    assert_eq!((trace.loads, trace.operations), (2_000, 3_000));
}

/// A trial that replays `text` as CSV.
fn replay(text: &str, settings: &str) -> Result<TrialResult, TrialError> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("trace.csv");
    crate::files::write(&file, text.as_bytes()).expect("a file");
    let text = format!("seeds = [1]\nworkload.trace = {{ file = {file:?}, {settings} }}\n");
    let experiment = config::parse("test.toml".as_ref(), text, &[]).expect("a config");
    let plan = Plan::new(&experiment, "test");
    run(&plan.trials[0], "test", &Databases::default())
}

#[test]
fn a_trace_begins_at_its_times_and_every_read_is_checked() {
    let mut text = "time,op,key,size\n".to_owned();
    for at in 0..400 {
        let op = ["get", "put", "delete", "rmw"][at * 7 % 4];
        text += &format!("{},{op},k{},{}\n", at / 100, at % 13, 10 + at % 90);
    }
    let times = replay(&text, "speed = 2.0").expect("right answers");
    let run = times
        .phases
        .iter()
        .find(|phase| phase.name == "run")
        .expect("a run");
    // 100 operations in each of four seconds, spread evenly, twice as fast.
    assert!(
        (1_990_000_000..2_000_000_000).contains(&run.nanos),
        "{}",
        run.nanos
    );
    assert!(run.open_loop && !run.overloaded);
    assert_eq!(run.operations.values().sum::<u64>(), 400);
    let closed = replay(&text, "preload = false").expect("right answers");
    let run = closed
        .phases
        .iter()
        .find(|phase| phase.name == "run")
        .expect("a run");
    assert!(run.nanos < 1_000_000_000 && !run.open_loop);
}
