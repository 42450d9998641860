//! The commands about this machine.

use std::fs;

use serde_json::Value;

use crate::Lab;

#[test]
fn the_doctor_says_value_and_verdict_of_each_fact_and_is_strict_if_asked() {
    let lab = Lab::new();
    let facts = lab.json(0, &["doctor", "/dev/shm/not/there"]);
    let find = |name: &str| {
        let mut facts = facts.iter();
        facts.find(|fact| fact["fact"] == name).expect("a fact")
    };
    assert!(facts.len() > 12, "{facts:?}");
    for fact in &facts {
        assert_ne!(fact["value"], "", "{fact}");
        let silent = fact["consequence"] == "" || fact["fix"] == "";
        let bad = fact["verdict"] == "note" || fact["verdict"] == "warning";
        assert_eq!(bad, !silent, "{fact}");
    }
    // A file system in memory is a warning on any machine.
    assert_eq!(find("file system")["verdict"], "warning");
    assert_eq!(lab.aura(&["doctor", "--strict", "/dev/shm"]).code, 1);
}

#[test]
fn real_trials_record_what_the_doctor_sees() {
    let lab = Lab::new();
    let config = "seeds = 1\nworld.kind = \"real\"\nworkload = { records = 50, operations = 50 }\n";
    lab.config("real.toml", config);
    lab.run(&["real.toml"]);
    let trials = fs::read_dir(lab.path("results/real/trials")).expect("a folder");
    let trial = trials.map(|it| it.expect("an entry").path()).next();
    let manifest = fs::read(trial.expect("a trial").join("manifest.json")).expect("it is written");
    let manifest: Value = serde_json::from_slice(&manifest).expect("it is JSON");
    let facts = manifest["host"]["facts"].as_array().expect("facts");
    let names: Vec<&str> = facts.iter().filter_map(|it| it["name"].as_str()).collect();
    for name in ["load", "stolen time", "other processes", "file system"] {
        assert!(names.contains(&name), "{names:?}");
    }
}

#[test]
fn a_calibration_writes_a_profile_that_configs_name_and_whose_numbers_are_in_the_ids() {
    let lab = Lab::new();
    let rows = lab.json(
        0,
        &["calibrate", "--quick", "-o", "here.toml", "--dir", "."],
    );
    let of = |what: &str| rows.iter().filter(|row| row["what"] == what).count();
    assert!(of("price") > 10, "{rows:?}");
    assert!(of("probe") > 25, "{rows:?}");
    let probes = rows.iter().filter(|row| row["what"] == "probe");
    for probe in probes {
        let nanos = probe["measured"].as_f64().expect("a time");
        assert!(nanos > 10.0, "{probe}");
    }
    assert!(!lab.path("calibrate.tmp").exists());

    let config = "seeds = 1\nworld = { kind = \"simulated\", profile = \"here.toml\" }\n\
                  workload = { records = 500, operations = 500 }\n";
    lab.config("on.toml", config);
    let first = lab.run(&["on.toml"]);
    let plan = || fs::read_to_string(lab.path("results/on/plan.jsonl")).expect("a plan");
    let case = |plan: &str| {
        let plan: Value = serde_json::from_str(plan.trim()).expect("one line");
        plan["case"].clone()
    };
    let before = plan();
    assert!(before.contains("aura calibrate: disk"), "{before}");

    // Another place of the file is the same experiment; another number is another one.
    let profile = fs::read_to_string(lab.path("here.toml")).expect("a profile");
    fs::write(lab.path("there.toml"), &profile).expect("it is written");
    assert_eq!(
        lab.run(&["on.toml", "-s", "world.profile=there.toml"]),
        first
    );
    assert_eq!(case(&plan()), case(&before));
    lab.run(&["on.toml", "-s", "world.io=page-cache"]);
    assert!(plan().contains("aura calibrate: page cache"));
    assert_ne!(case(&plan()), case(&before));
    lab.run(&["on.toml", "-s", "world.cpu.operation_ns=12345"]);
    assert!(plan().contains("12345"));
    // A device that is set above the profile replaces its disk; beside it, it contradicts it.
    lab.run(&["on.toml", "-s", "world.device=hdd"]);
    assert!(plan().contains("7200 rpm"), "{}", plan());
    let both = config.replace("profile", "device = \"hdd\", profile");
    lab.config("both.toml", &both);
    for (name, set, word) in [
        ("on.toml", "world.profile=gone.toml", "cannot read"),
        ("on.toml", "world.profile=on.toml", "is no profile"),
        ("both.toml", "seeds=2", "names a device beside"),
    ] {
        let ended = lab.aura(&["run", name, "-s", set]);
        assert_eq!(ended.code, 2, "{}", ended.errors);
        assert!(ended.said().contains(word), "{}", ended.errors);
    }
}

#[test]
fn fidelity_runs_the_variants_in_both_worlds_and_says_what_may_be_believed() {
    let lab = Lab::new();
    let config = "seeds = 1\nworkload = { records = 2000, operations = 2000 }\n\
                  engine.memtable = \"64KiB\"\n\
                  [[variant]]\nname = \"small\"\nengine.cache.size = \"64KiB\"\n\
                  [[variant]]\nname = \"middle\"\nengine.cache.size = \"512KiB\"\n\
                  [[variant]]\nname = \"large\"\nengine.cache.size = \"4MiB\"\n\
                  [compare]\nprimary = [\"cache.hit_ratio\"]\nalso = [\"run.throughput_ops\"]\n";
    lab.config("three.toml", config);
    let arguments = ["fidelity", "three.toml", "--io", "page-cache"];
    let rows = lab.json(0, &arguments);
    let of = |metric: &str| {
        let mut rows = rows.iter();
        rows.find(|row| row["metric"] == metric).expect("a row")
    };
    // Every row is of the shipped numbers: no profile was given.
    assert!(
        rows.iter().all(|row| row["numbers"] == "shipped"),
        "{rows:?}"
    );
    let hits = of("cache.hit_ratio");
    assert_eq!(
        (&hits["variants"], &hits["io"]),
        (&3.into(), &"page-cache".into())
    );
    assert_eq!(
        (&hits["tau"], &hits["alike"]),
        (&1.0.into(), &hits["pairs"]),
        "{hits}"
    );
    assert!(of("run.throughput_ops")["tau"].is_f64() || of("run.throughput_ops")["tau"].is_null());
    for file in [
        "fidelity.csv",
        "fidelity.cache.hit_ratio.run.svg",
        "fidelity.cache.hit_ratio.run.png",
        "real-page-cache/plan.jsonl",
        "simulated-page-cache-shipped/plan.jsonl",
    ] {
        let path = lab.path("results/three-fidelity").join(file);
        assert!(path.exists(), "{file}");
    }
    for (more, word) in [
        (["--metric", "cache.hits"], "unknown metric"),
        (["--profile", "gone.toml"], "cannot read"),
    ] {
        let ended = lab.aura(&[&arguments[..], &more].concat());
        assert_eq!(ended.code, 2, "{}", ended.errors);
        assert!(ended.said().contains(word), "{}", ended.errors);
    }
}
