//! The commands beside `run`.

use std::fs;
use std::io::Read;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::{Lab, SMALL, trials};

#[test]
fn listings_name_what_configs_accept_in_every_format() {
    let lab = Lab::new();
    for (what, name) in [
        ("policies", "sieve"),
        ("workloads", "ycsb-e"),
        ("devices", "nvme"),
        ("metrics", "cache.hit_ratio"),
    ] {
        for format in ["table", "json", "csv"] {
            let ended = lab.aura(&["list", what, "--format", format]);
            assert_eq!(ended.code, 0, "{}", ended.errors);
            assert!(
                ended.output.contains(name),
                "{what} as {format}:\n{}",
                ended.output
            );
        }
        let json = lab.aura(&["list", what, "--format", "json"]).output;
        assert!(
            json.lines()
                .all(|line| serde_json::from_str::<Value>(line).is_ok_and(|row| row.is_object()))
        );
    }
}

#[test]
fn manifests_name_the_commit_that_the_version_names() {
    let lab = Lab::new();
    let version = lab.aura(&["--version"]).output;
    let commit = version.trim().strip_prefix("aura 0.1.0, commit ");
    let commit = commit.unwrap_or_else(|| panic!("{version:?}"));
    let digits = commit.strip_suffix(" with changes").unwrap_or(commit);
    let is_hash = digits.len() == 12 && digits.bytes().all(|it| it.is_ascii_hexdigit());
    assert!(is_hash || commit == "unknown", "{version:?}");
    let config = lab.config("tiny.toml", "[workload]\nrecords = 10\noperations = 10\n");
    let ended = lab.aura(&["run", config, "--seeds", "1"]);
    assert_eq!(ended.code, 0, "{}", ended.errors);
    let trials = lab.path("results/tiny/trials");
    let trial = fs::read_dir(trials)
        .expect("a folder")
        .next()
        .expect("a trial");
    let manifest = trial.expect("a trial").path().join("manifest.json");
    let manifest = fs::read_to_string(manifest).expect("it is written");
    assert!(
        manifest.contains(&format!("\"commit\": \"{commit}\"")),
        "{manifest}"
    );
    let report = fs::read_to_string(lab.path("results/tiny/report.html")).expect("it is written");
    assert!(report.contains(commit));
}

#[test]
fn the_schema_is_json_and_knows_the_keys() {
    let ended = Lab::new().aura(&["schema"]);
    let schema: Value = serde_json::from_str(&ended.output).expect("it is JSON");
    for key in [
        "question", "engine", "workload", "world", "variant", "sweep", "compare",
    ] {
        let about = &schema["properties"][key];
        assert!(about.is_object(), "{key}");
    }
}

#[test]
fn a_run_can_be_compared_plotted_reported_and_verified() {
    let lab = Lab::new();
    lab.config("exp.toml", SMALL);
    lab.run(&["exp.toml"]);
    let rows = lab.json(0, &["compare", "exp"]);
    let places: Vec<(&Value, &Value)> = rows
        .iter()
        .map(|row| (&row["metric"], &row["phase"]))
        .collect();
    let expected = json!([
        ["cache.hit_ratio", "run"],
        ["write.amplification", "run"],
        ["write.amplification", "whole"],
    ]);
    assert_eq!(json!(places), expected);
    assert_eq!(rows[0]["variant"], "sieve");
    assert_eq!(rows[0]["pairs"], 2);
    let turned = lab.aura(&[
        "compare",
        "results/exp",
        "--baseline",
        "sieve",
        "--metric",
        "cache.hit_ratio",
        "--format",
        "csv",
    ]);
    assert!(
        turned
            .output
            .lines()
            .nth(1)
            .is_some_and(|row| row.starts_with("cache.hit_ratio,run,,sieve,lru,")),
        "{}",
        turned.output
    );

    fs::remove_dir_all(lab.path("results/exp/plots")).expect("a run draws figures");
    assert_eq!(lab.aura(&["plot", "exp", "--kind", "latency"]).code, 0);
    assert!(lab.path("results/exp/plots").is_dir());
    lab.aura(&["plot", "exp", "--kind", "latencies"])
        .refuses(2, &["latencies", "latency"]);
    fs::remove_file(lab.path("results/exp/report.html")).expect("a run writes its report");
    assert_eq!(lab.aura(&["report", "exp"]).code, 0);
    assert!(lab.path("results/exp/report.html").is_file());

    let verified = lab.aura(&["verify", "exp"]);
    assert_eq!(verified.code, 0, "{}{}", verified.output, verified.errors);
    assert!(
        verified
            .errors
            .contains("4 of 4 trials gave the same numbers again"),
        "{}",
        verified.errors
    );
}

/// Everything is deleted, and then read; keys that were never written are read, too.
const ALL_MISSING: &str = r#"
baseline = "a"
seeds = 1

[workload]
records = 300
value = { bytes = 50 }

[[workload.phases]]
name = "present"
operations = 200
mix = { read = 1.0 }

[[workload.phases]]
name = "absent"
operations = 200
mix = { read_absent = 1.0 }

[[workload.phases]]
name = "deletes"
operations = 300
mix = { delete = 1.0 }
distribution = { kind = "sequential" }

[[workload.phases]]
name = "deleted"
operations = 100
mix = { read = 1.0 }

[[variant]]
name = "a"

[compare]
primary = ["read.latency_mean_us"]
"#;

#[test]
fn reads_that_find_nothing_are_said_and_counted() {
    let lab = Lab::new();
    let config = lab.config("missing.toml", ALL_MISSING);
    let ended = lab.aura(&["run", config]);
    assert_eq!(ended.code, 0, "{}", ended.errors);
    let line = "reads that found nothing, over all trials: 200 of 200 in phase absent, \
                100 of 100 in phase deleted";
    assert!(ended.said().contains(line), "{}", ended.errors);

    let trial = &trials(&lab.path("results/missing"))[0];
    let text = fs::read_to_string(trial.join("metrics.jsonl")).expect("a trial has metrics");
    let rows: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let value = |phase: &str, metric: &str| {
        let row = rows
            .iter()
            .find(|row| row["phase"] == phase && row["metric"] == metric);
        row.and_then(|row| row["value"].as_f64())
    };
    for (phase, found) in [("present", 1.0), ("absent", 0.0), ("deleted", 0.0)] {
        assert_eq!(value(phase, "read.found_ratio"), Some(found), "{phase}");
    }
    assert_eq!(
        value("deletes", "read.found_ratio"),
        None,
        "nothing was read"
    );
    assert!(value("absent", "read_absent.latency_mean_us") > Some(0.0));
    assert_eq!(value("absent", "read.latency_mean_us"), None);
}

#[test]
fn two_builds_are_compared_on_the_trials_of_one_run() {
    const OTHER: &str = "feedfeedfeedfeed";
    let lab = Lab::new();
    lab.config("exp.toml", SMALL);
    lab.run(&["exp.toml"]);
    // What another build would have left: the same numbers under another digest.
    for trial in trials(&lab.path("results/exp")) {
        let other = trial.with_file_name(trial.file_name().map_or_else(String::new, |id| {
            let id = id.to_string_lossy();
            let first = if id.starts_with('f') { 'e' } else { 'f' };
            format!("{first}{}", &id[1..])
        }));
        fs::create_dir_all(other.join("latency")).expect("a folder");
        for file in ["manifest.json", "metrics.jsonl", "DONE"] {
            let text = fs::read_to_string(trial.join(file)).expect("a finished trial");
            fs::write(other.join(file), text).expect("a copy");
        }
        let path = other.join("manifest.json");
        let text = fs::read_to_string(&path).expect("a copy");
        let mut manifest: Value = serde_json::from_str(&text).expect("JSON");
        manifest["code"] = json!(OTHER);
        manifest["id"] = json!(other.file_name().map(|id| id.to_string_lossy()));
        fs::write(&path, manifest.to_string()).expect("a copy");
    }
    let rows = lab.json(0, &["compare", "exp", "--code", "feed", "this"]);
    assert_eq!(rows.len(), 6, "two variants in the place of one: {rows:?}");
    for row in &rows {
        assert_eq!(row["baseline"], OTHER);
        assert_eq!(row["effect"], 0.0);
        assert_eq!(row["pairs"], 2);
    }
    for (arguments, words) in [
        (
            ["beef", "this"],
            ["by the build beef", "feedfeedfeedfeed (4 trials)"],
        ),
        (["this", "this"], ["are one build", "name two builds"]),
    ] {
        lab.aura(&["compare", "exp", "--code", arguments[0], arguments[1]])
            .refuses(2, &words);
    }
}

#[test]
fn a_number_that_was_changed_is_found() {
    let lab = Lab::new();
    lab.config("exp.toml", SMALL);
    lab.run(&["exp.toml", "--seeds", "1"]);
    let file = trials(&lab.path("results/exp"))[0].join("metrics.jsonl");
    let text = fs::read_to_string(&file).expect("metrics are written");
    let changed = text.replacen("\"value\":3000.0", "\"value\":3000.0000000000005", 1);
    assert_ne!(text, changed, "the run phase has 3000 operations");
    fs::write(&file, changed).expect("metrics can be changed");
    let verified = lab.aura(&["verify", "exp"]);
    assert_eq!(verified.code, 1);
    assert!(verified.output.contains("different"), "{}", verified.output);
}

#[test]
fn a_trial_that_fails_is_named_and_the_others_go_on() {
    let lab = Lab::new();
    lab.config(
        "exp.toml",
        &format!("{SMALL}\n[world]\nkind = \"real\"\ndirectory = \"occupied\"\n"),
    );
    lab.config("occupied", "a file where a folder is wanted");
    let ended = lab.aura(&["run", "exp.toml", "--seeds", "1"]);
    ended.refuses(1, &["lru, seed 1", "sieve, seed 1", "occupied", "failed"]);
}

#[test]
fn the_first_failures_stop_the_rest() {
    let lab = Lab::new();
    lab.config(
        "exp.toml",
        &format!("{SMALL}\n[world]\nkind = \"real\"\ndirectory = \"occupied\"\n"),
    );
    lab.config("occupied", "a file where a folder is wanted");
    let ended = lab.aura(&["run", "exp.toml", "--seeds", "20"]);
    ended.refuses(
        1,
        &["stopped: 3 trials failed alike", "37 trials were not tried"],
    );
    assert_eq!(
        ended.errors.matches(" failed: ").count(),
        3,
        "{}",
        ended.errors
    );
}

#[test]
fn a_gate_is_closed_by_what_is_worse() {
    let lab = Lab::new();
    // Half the cache has fewer hits.
    let half = SMALL.replace(
        "engine.cache.eviction = \"sieve\"",
        "engine.cache.size = \"16KiB\"",
    );
    lab.config("exp.toml", &half.replace("\"sieve\"", "\"half\""));
    let ended = lab.aura(&["run", "exp.toml", "--seeds", "6"]);
    assert_eq!(ended.code, 0, "{}", ended.errors);
    assert!(
        ended.errors.contains("half is worse than lru"),
        "{}",
        ended.errors
    );
    assert_eq!(
        lab.aura(&["run", "exp.toml", "--seeds", "6", "--gate"])
            .code,
        1
    );
    assert_eq!(lab.aura(&["compare", "exp", "--gate"]).code, 1);
    let reversed = ["compare", "exp", "--gate", "--baseline", "half"];
    let ended = lab.aura(&reversed);
    assert_eq!(ended.code, 0, "{}", ended.errors);
    assert!(
        ended.said().contains("The baseline is not the config's"),
        "{}",
        ended.errors
    );
}

#[test]
fn a_metric_that_is_asked_for_afterwards_is_exploratory() {
    let lab = Lab::new();
    lab.config("exp.toml", SMALL);
    lab.run(&["exp.toml"]);
    let rows = lab.json(0, &["compare", "exp", "--metric", "read.latency_mean_us"]);
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["primary"], false);
    let ended = lab.aura(&["compare", "exp", "--metric", "read.latency_mean_us"]);
    assert!(ended.said().contains("is exploratory"), "{}", ended.errors);
    let rows = lab.json(0, &["compare", "exp", "--metric", "cache.hit_ratio"]);
    assert_eq!(rows[0]["primary"], true, "it was primary before the run");
}

#[test]
fn runs_of_other_workloads_are_not_compared() {
    let lab = Lab::new();
    lab.config("exp.toml", SMALL);
    lab.config("other.toml", &SMALL.replace("ycsb-a", "ycsb-b"));
    lab.run(&["exp.toml"]);
    lab.run(&["other.toml"]);
    let refused = |arguments: &[&str]| {
        let rows = lab.json(0, &[&["compare", "exp", "other"], arguments].concat());
        let other = rows.iter().filter(|row| row["variant"] == "other/lru");
        other.filter(|row| row["verdict"] == "refused").count()
    };
    // Hits in the phase, write amplification there and in the whole.
    assert_eq!(refused(&[]), 3);
    assert_eq!(refused(&["--across", "workload"]), 0);
    let gated = lab.aura(&["compare", "exp", "other", "--gate"]);
    assert_eq!(gated.code, 1, "what may not be compared passes no gate");
}

#[test]
fn many_rows_without_a_primary_value_leave_the_forest_out() {
    let lab = Lab::new();
    let reads = "[[workload.phases]]\nname = \"w\"\n\n\
                 [[workload.phases]]\nname = \"absent reads\"\nmix = { read = 1.0 }\n\n[engine]";
    let layouts: String = [2, 3, 4, 5, 6, 8]
        .iter()
        .map(|ratio| {
            format!(
                "[[variant]]\nname = \"leveled {ratio}\"\n\
                 engine.compaction.layout = {{ policy = \"leveled\", ratio = {ratio} }}\n\n"
            )
        })
        .collect();
    let from = SMALL.find("[[variant]]").expect("variants");
    let text = SMALL[..from]
        .replace("[engine]", reads)
        .replace("baseline = \"lru\"", "");
    lab.config(
        "exp.toml",
        &format!("{text}{layouts}[compare]\nprimary = [\"write.amplification\"]\n"),
    );
    lab.run(&["exp.toml", "--seeds", "1"]);
    let page = fs::read_to_string(lab.path("results/exp/report.html")).expect("a report");
    assert!(
        page.contains("no primary metric has a value in phase absent reads"),
        "the report says why"
    );
}

#[test]
fn a_broken_trial_is_named_with_its_remedy() {
    let lab = Lab::new();
    lab.config("exp.toml", SMALL);
    lab.run(&["exp.toml", "--seeds", "1"]);
    let trial = &trials(&lab.path("results/exp"))[0];
    fs::write(trial.join("metrics.jsonl"), "half a li").expect("a file can be damaged");
    let id = trial
        .file_name()
        .and_then(|name| name.to_str())
        .expect("an id");
    let remedy = [
        "metrics.jsonl",
        id,
        "remove the folder",
        "run the same command again",
    ];
    lab.aura(&["compare", "exp"]).refuses(3, &remedy);
    fs::remove_file(trial.join("metrics.jsonl")).expect("a file can be lost");
    lab.aura(&["compare", "exp"]).refuses(3, &remedy);
    fs::remove_dir_all(trial).expect("the remedy");
    lab.run(&["exp.toml", "--seeds", "1"]);
}

#[test]
fn the_real_world_works_in_processes_of_its_own_and_cleans_up() {
    let lab = Lab::new();
    lab.config(
        "exp.toml",
        &format!("{SMALL}\n[world]\nkind = \"real\"\ncores = 2\n"),
    );
    let ended = lab.aura(&["run", "exp.toml", "--seeds", "1"]);
    assert_eq!(ended.code, 0, "{}", ended.errors);
    assert!(!lab.path("results/exp/databases").exists());
    let kept = lab.aura(&["run", "exp.toml", "--seeds", "1", "--force", "--keep"]);
    assert_eq!(kept.code, 0, "{}", kept.errors);
    let databases = fs::read_dir(lab.path("results/exp/databases")).expect("they were kept");
    for database in databases {
        let path = database.expect("a readable folder").path();
        let verified = lab.aura(&["verify", path.to_str().expect("a plain path")]);
        assert_eq!(verified.code, 0, "{}", verified.errors);
    }
}

#[test]
fn real_trials_are_run_again_beside_new_ones() {
    let lab = Lab::new();
    let real = format!("{SMALL}\n[world]\nkind = \"real\"\ncores = 2\n");
    lab.config("exp.toml", &real);
    let said = lab.aura(&["run", "exp.toml", "--seeds", "2"]);
    said.refuses(
        0,
        &["2 seeds can never call a difference in the real world"],
    );
    let third = "[[variant]]\nname = \"arc\"\nengine.cache.eviction = \"arc\"\n\n[compare]";
    lab.config("exp.toml", &real.replace("[compare]", third));
    let said = lab.aura(&["run", "exp.toml", "--seeds", "2"]);
    said.refuses(0, &["4 finished trials were run again", "6 trials run"]);
    let said = lab.aura(&["run", "exp.toml", "--seeds", "2"]);
    said.refuses(0, &["0 trials run, 6 were there already"]);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_aura"))
        .arg("schema")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    drop(child.stdout.take());
    let mut errors = String::new();
    child
        .stderr
        .take()
        .expect("it was piped")
        .read_to_string(&mut errors)
        .expect("it can be read");
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    assert_eq!(errors, "");
}
