//! What RocksDB counts as written is what its process writes. This test is alone in its process.

use aura_experiments::config::{self, Size};
use aura_experiments::metrics;
use aura_experiments::plan::Plan;
use aura_experiments::trial::{self, Databases};
use aura_rivals::TARGETS;

/// Two variants: values of 1,000 B beside their keys, and apart from them.
const CONFIG: &str = r#"
target = "rocksdb"
seeds = 1
world = { kind = "real", cores = 2 }

[workload]
records = 6_000
operations = 6_000
clients = 2
mix = { update = 1 }
value.bytes = 1_000

[engine]
memtable = "64KiB"
cache.size = "256KiB"
table.size = "64KiB"
value_log.file = "64KiB"

[[variant]]
name = "inline"
engine.value_log.separation = "never"

[[variant]]
name = "separated"
engine.value_log.separation = { policy = "threshold", bytes = 512 }
"#;

#[test]
fn what_rocksdb_counts_as_written_is_what_the_process_writes() {
    let known = TARGETS.known();
    let path = "writes.toml".as_ref();
    let experiment = config::parse_for(path, CONFIG.to_owned(), &[], Size::default(), &known);
    let plan = Plan::new(&experiment.expect("a config"), "test");
    assert_eq!(plan.trials.len(), 2);
    for planned in &plan.trials {
        let folder = tempfile::tempdir().expect("a folder");
        let databases = Databases {
            folder: folder.path().to_owned(),
            keep: false,
        };
        let trial = trial::run_among(TARGETS, planned, "test", &databases, None);
        let rows = metrics::derive(&trial.expect("a trial"));
        let whole = |metric: &str| {
            let mut rows = rows.iter().filter(|row| row.phase == "whole");
            rows.find(|row| row.metric == metric).expect(metric).value
        };
        let ratio = whole("device.write_bytes") / whole("process.write_bytes");
        // Manifests and the diary are not counted.
        assert!((0.9..1.01).contains(&ratio), "{}: {ratio}", planned.variant);
    }
}
