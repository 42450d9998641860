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
