//! Whole trials on each target, and what configs may say of them.

use std::collections::BTreeSet;
use std::path::Path;

use aura_experiments::config::{self, KnownTargets, OF_RIVALS, Size};
use aura_experiments::metrics;
use aura_experiments::plan::Plan;
use aura_experiments::record::{MetricRow, TrialResult};
use aura_experiments::trial::{self, Databases};
use aura_rivals::TARGETS;

use crate::common::{SETTINGS, experiment, separated};

/// Loads, updates, reads, inserts, deletes and scans; the trial checks what it reads.
const WORKLOAD: &str = "\
world = { kind = \"real\", cores = 4 }
[workload]
records = 4_000
operations = 6_000
clients = 3
value.bytes = 600
[[workload.phases]]
name = \"mixed\"
mix = { read = 4, read_absent = 1, update = 4, insert = 1, scan = 1, read_modify_write = 1 }
[[workload.phases]]
name = \"tidy\"
step = \"compact\"
[[workload.phases]]
name = \"deletes\"
mix = { read = 4, delete = 1, update = 1 }
";

fn run(target: &str, engine: &str) -> TrialResult {
    let experiment = experiment(target, WORKLOAD, engine);
    let plan = Plan::new(&experiment, "test");
    let folder = tempfile::tempdir().expect("a folder");
    let databases = Databases {
        folder: folder.path().to_owned(),
        keep: false,
    };
    let result = trial::run_among(TARGETS, &plan.trials[0], "test", &databases, None);
    result.unwrap_or_else(|error| panic!("{target}: {error}"))
}

fn value(rows: &[MetricRow], phase: &str, metric: &str) -> Option<f64> {
    let mut rows = rows.iter();
    let row = rows.find(|row| row.phase == phase && row.metric == metric)?;
    Some(row.value)
}

#[test]
fn every_target_answers_a_whole_trial_and_measures_what_it_says() {
    for target in TARGETS.all() {
        let name = target.rules.name;
        let trial = run(name, SETTINGS);
        let rows = metrics::derive(&trial);
        let throughput = value(&rows, "mixed", "run.throughput_ops").expect("operations");
        assert!(throughput > 0.0, "{name}");
        assert_eq!(
            value(&rows, "mixed", "run.operations"),
            Some(6_000.0),
            "{name}"
        );
        let found = value(&rows, "mixed", "read.found").expect("reads");
        let absent = value(&rows, "mixed", "read.not_found").expect("absent reads");
        assert!(
            found > 1_500.0 && absent > 200.0,
            "{name}: {found}, {absent}"
        );
        // 4,000 records, some inserted and some deleted, of 600 B and a key.
        let bytes = trial.space.reachable_bytes;
        assert!((1_500_000..3_500_000).contains(&bytes), "{name}: {bytes}");
        let amplification = value(&rows, "whole", "space.amplification");
        assert_eq!(amplification.is_some(), name != "btreemap", "{name}");
        for row in &rows {
            let of_engine = metrics::of_engine().any(|metric| metric.name == row.metric);
            assert!(
                !of_engine || target.measures.gives(&row.metric),
                "{}",
                row.metric
            );
        }
        if let Some(given) = target.measures.metrics {
            let seen: BTreeSet<&str> = rows.iter().map(|row| row.metric.as_str()).collect();
            for metric in given {
                metrics::find(metric).unwrap_or_else(|error| panic!("{name}: {error}"));
                let conditional = metric.contains("value") || *metric == "memtable.hit_ratio";
                assert!(
                    conditional || seen.contains(metric),
                    "{name}: no row of {metric}"
                );
            }
        }
    }
}

#[test]
fn values_that_are_kept_apart_are_not_in_tables() {
    let user = 4_000 * 600;
    for (engine, is_apart) in [(SETTINGS, false), (&separated(), true)] {
        let trial = run("rocksdb", engine);
        let loaded = &trial.phases[1].after;
        assert_eq!(trial.phases[1].name, "settle");
        // Part of the load is still in memory.
        let apart = loaded.value_file_bytes;
        assert_eq!(apart > user / 2, is_apart, "{apart}");
        assert_eq!(loaded.table_bytes() > user / 2, !is_apart, "{loaded:?}");
    }
    let [inline, apart] = [SETTINGS, &separated()].map(|engine| {
        let rows = metrics::derive(&run("fjall", engine));
        value(&rows, "whole", "write.amplification").expect("writes")
    });
    assert!(apart < inline, "{apart} against {inline}");
}

#[test]
fn the_command_has_the_targets_that_the_other_one_names() {
    let names: BTreeSet<&str> = TARGETS.all().map(|target| target.rules.name).collect();
    let expected: BTreeSet<&str> = OF_RIVALS.into_iter().chain(["aura"]).collect();
    assert_eq!(names, expected);
}

/// The error of a config of the real world with these settings.
fn refusal(known: &KnownTargets, settings: &str) -> String {
    let text = format!("seeds = 1\nworld.kind = \"real\"\n{settings}");
    let parsed = config::parse_for("t.toml".as_ref(), text, &[], Size::default(), known);
    parsed.expect_err(settings).to_string()
}

#[test]
fn what_a_target_cannot_obey_is_refused() {
    let known = TARGETS.known();
    for (settings, words) in [
        (
            "target = \"rocksdb\"\ntarget_options.compaction_stile = 1",
            "`target_options.compaction_stile`",
        ),
        (
            "target = \"rocksdb\"\ntarget_options.compaction_style = \"kSideways\"",
            "`target_options.compaction_style`",
        ),
        (
            "target = \"rocksdb\"\ntarget_options.cache = \"arc\"",
            "must be \"hyper-clock\" or \"lru\"",
        ),
        (
            "target = \"rocksdb\"\nengine.wal.sync = { interval = \"1s\" }",
            "`rocksdb` syncs \"always\" or \"never\"",
        ),
        (
            "target = \"rocksdb\"\nengine.compaction.layout = \"tiered\"",
            "`rocksdb` has the layout \"leveled\"",
        ),
        (
            "target = \"rocksdb\"\nengine.cache.eviction = \"sieve\"",
            "means nothing to the target `rocksdb`",
        ),
        (
            "target = \"rocksdb\"\nworkload.phases = [{ name = \"a\", step = \"drop-caches\" }]",
            "only \"lru\" can be emptied",
        ),
        (
            "target = \"fjall\"\nengine.table.compression = \"zstd\"",
            "`fjall` compresses by \"lz4\" or \"none\"",
        ),
        (
            "target = \"fjall\"\nworld.io = \"direct\"",
            "by way of the page cache only",
        ),
        (
            "target = \"btreemap\"\ntarget_options.order = 16",
            "unknown option `target_options.order`",
        ),
    ] {
        let message = refusal(&known, settings);
        assert!(message.contains(words), "{settings}\n{message}");
    }
}

#[test]
fn options_of_rocksdb_are_taken_by_their_own_names() {
    let engine = format!(
        "{SETTINGS}\n[target_options]\ncache = \"lru\"\n\
         compaction_style = \"kCompactionStyleUniversal\"\n\
         compaction_options_universal = \"{{size_ratio=2;}}\"\n\
         compaction_pri = \"kOldestSmallestSeqFirst\"\nmax_subcompactions = 2\n\
         memtable_prefix_bloom_size_ratio = 0.02\nmemtable_whole_key_filtering = true"
    );
    let trial = run("rocksdb", &engine);
    let rows = metrics::derive(&trial);
    assert!(value(&rows, "whole", "cache.hit_ratio").is_some_and(|ratio| ratio > 0.0));
}

#[test]
fn every_config_of_this_crate_is_valid() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
    for name in ["rivals.toml", "rivals-large.toml"] {
        for scale in [1, 4] {
            let size = Size {
                scale,
                ..Size::default()
            };
            let experiment = config::load(&folder.join(name), &[], size, &TARGETS.known());
            let experiment = experiment.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(experiment.warnings.is_empty(), "{:?}", experiment.warnings);
            assert!(experiment.command.starts_with("aura-rivals run "));
        }
    }
}
