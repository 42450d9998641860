//! Traces replayed as workloads, recorded operations, and configs of other benchmarks.

use std::fs;

use crate::{Lab, trials};

/// 300 operations on 20 keys, in Twitter's format.
fn twitter() -> String {
    let row = |at: usize| {
        let op = ["get", "set", "get", "delete", "incr"][at % 5];
        format!(
            "{},key{},6,{},1,{op},0\n",
            at / 50,
            at * 7 % 20,
            20 + at % 40
        )
    };
    (0..300).map(row).collect()
}

const REPLAY: &str = r#"
question = "Does the replay answer?"
seeds = 2
record = { operations = 1.0 }
[workload]
clients = 3
trace = { file = "trace.csv", speed = 20.0 }
[[variant]]
name = "small"
engine.memtable = "64KiB"
[[variant]]
name = "large"
engine.memtable = "1MiB"
"#;

#[test]
fn a_trace_beside_the_config_is_replayed_and_what_it_did_can_be_replayed_again() {
    let lab = Lab::new();
    lab.config("trace.csv", &twitter());
    lab.config("replay.toml", REPLAY);
    let hash = lab.run(&["replay.toml"]);
    let trial = &trials(&lab.path("results/replay"))[0];
    let manifest = fs::read_to_string(trial.join("manifest.json")).expect("a manifest");
    let plain = manifest.replace([' ', '\n'], "");
    assert!(plain.contains("\"operations\":300"), "{manifest}");
    fs::copy(
        trial.join("operations.aurat.zst"),
        lab.path("again.aurat.zst"),
    )
    .expect("a trace");
    let again = ["replay.toml", "-s", "workload.trace.file=again.aurat.zst"];
    let name = ["-s", "name=again", "-s", "workload.trace.speed=closed"];
    lab.run(&[&again[..], &name].concat());
    // Converted, it is the same trace: the same trials.
    let convert = [
        "trace",
        "convert",
        "trace.csv",
        "c.aurat.zst",
        "--replayable",
    ];
    assert_eq!(lab.aura(&convert).code, 0);
    assert!(!hash.is_empty());
}

#[test]
fn a_bad_trace_is_refused_with_its_line_and_the_config_with_the_key() {
    let lab = Lab::new();
    lab.config("replay.toml", REPLAY);
    lab.aura(&["run", "replay.toml"])
        .refuses(2, &["workload.trace.file", "trace.csv"]);
    lab.config("trace.csv", &(twitter() + "9,key1,6,x,1,get,0\n"));
    lab.aura(&["run", "replay.toml"])
        .refuses(2, &["line 301", "the size `x`"]);
    lab.config("trace.csv", &twitter());
    let mix = ["run", "replay.toml", "-s", "workload.mix.read=1"];
    lab.aura(&mix)
        .refuses(2, &["workload.mix: `trace` decides it"]);
    lab.aura(&["run", "replay.toml", "--scale", "4"])
        .refuses(2, &["cannot be enlarged"]);
    let set = ["run", "replay.toml", "-s", "workload.trace.columns=key"];
    lab.aura(&set)
        .refuses(2, &["workload.trace.columns", "bad map of columns"]);
}

#[test]
fn ycsbs_properties_become_a_config_that_runs() {
    let lab = Lab::new();
    lab.config(
        "workloada",
        "recordcount=300\noperationcount=400\nreadproportion=0.5\nupdateproportion=0.5\n\
         requestdistribution=zipfian\n",
    );
    let import = [
        "import",
        "ycsb",
        "workloada",
        "-p",
        "threadcount=2",
        "-o",
        "a.toml",
    ];
    let ended = lab.aura(&import);
    assert_eq!(ended.code, 0, "{}", ended.errors);
    assert!(ended.errors.contains("writeallfields"), "{}", ended.errors);
    lab.run(&["a.toml"]);
    lab.config("bad", "recordcont=300\n");
    let refused = lab.aura(&["import", "ycsb", "bad"]);
    refused.refuses(2, &["bad:1: `recordcont`", "nearest: `recordcount`"]);
}
