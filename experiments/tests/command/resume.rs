//! A run is a function of its config: threads, folders and interruptions do not change the results.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{Lab, SMALL, trials};

/// The contents of every file below a folder of results, but for the record of when and where
/// trials ran, and locks.
pub(crate) fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut contents = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).expect("a readable folder") {
            let path = entry.expect("a readable folder").path();
            let is_lock = path.extension().is_some_and(|it| it == "lock");
            if path.ends_with("attempts") || is_lock {
                continue;
            }
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(folder).expect("below it").to_owned();
                contents.insert(name, fs::read(&path).expect("a readable file"));
            }
        }
    }
    contents
}

fn assert_same(one: &Path, two: &Path) {
    let (one, two) = (contents(one), contents(two));
    assert_eq!(
        one.keys().collect::<Vec<_>>(),
        two.keys().collect::<Vec<_>>()
    );
    for (name, bytes) in &one {
        assert!(*bytes == two[name], "{} differs", name.display());
    }
}

#[test]
fn threads_and_folders_do_not_change_a_byte() {
    let lab = Lab::new();
    lab.config("exp.toml", SMALL);
    let one = lab.run(&["exp.toml", "--jobs", "1"]);
    let two = lab.run(&["exp.toml", "--jobs", "2", "--results", "elsewhere/deep"]);
    assert_eq!(one, two);
    assert_same(&lab.path("results/exp"), &lab.path("elsewhere/deep/exp"));
    let other = lab.run(&["exp.toml", "-s", "seeds=[7, 8]", "--results", "other"]);
    assert_ne!(one, other, "other seeds give other numbers");
}

#[test]
fn an_interrupted_run_ends_with_the_bytes_of_a_whole_one() {
    let lab = Lab::new();
    lab.config("exp.toml", SMALL);
    let whole = lab.run(&["exp.toml"]);
    let run = lab.path("results/exp");
    let before = contents(&run);
    // A kill leaves some trials not begun, one half written, and no gathered file.
    let finished = trials(&run);
    fs::remove_dir_all(&finished[0]).expect("it is there");
    fs::rename(&finished[1], run.join("trials/.tmp-0123456789abcdef")).expect("it is there");
    fs::remove_file(run.join("trials/.tmp-0123456789abcdef/DONE")).expect("it is there");
    fs::remove_file(run.join("metrics.parquet")).expect("it is there");
    let ended = lab.aura(&["run", "exp.toml"]);
    assert!(
        ended.errors.contains("2 trials run, 2 were there already"),
        "{}",
        ended.errors
    );
    assert!(ended.errors.contains(&whole), "{}", ended.errors);
    assert_eq!(
        before.keys().collect::<Vec<_>>(),
        contents(&run).keys().collect::<Vec<_>>()
    );
    assert!(before == contents(&run), "the same bytes");
    let again = lab.aura(&["run", "exp.toml"]);
    assert!(
        again.errors.contains("0 trials run, 4 were there already"),
        "{}",
        again.errors
    );
}

#[test]
fn a_run_that_is_stopped_says_how_to_resume() {
    let lab = Lab::new();
    lab.config("exp.toml", SMALL);
    let arguments = ["run", "exp.toml", "--seeds", "300", "--jobs", "1"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_aura"));
    let command = command
        .args(arguments)
        .current_dir(lab.path(""))
        .stderr(Stdio::piped())
        .stdout(Stdio::null());
    let mut child = command.spawn().expect("the command starts");
    let mut lines = BufReader::new(child.stderr.take().expect("it was piped"))
        .lines()
        .map_while(Result::ok);
    assert!(
        lines.any(|line| line.starts_with("60/600 trials done")),
        "a tenth of the trials is reported"
    );
    let stopped = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status()
        .expect("kill is there");
    assert!(stopped.success());
    let rest: Vec<String> = lines.collect();
    assert_eq!(child.wait().expect("it ends").code(), Some(75), "{rest:?}");
    assert!(
        rest.iter()
            .any(|line| line.contains("run the same command to resume")),
        "{rest:?}"
    );
    let left = trials(&lab.path("results/exp"));
    assert!((60..600).contains(&left.len()));
    assert!(
        left.iter().all(|trial| trial.join("DONE").exists()),
        "nothing is half written"
    );
    // A shorter plan over the same trials finds its own among them.
    let short = lab.aura(&["run", "exp.toml", "--seeds", "10"]);
    assert!(
        short.errors.contains("0 trials run, 20 were there already"),
        "{}",
        short.errors
    );
}

#[test]
fn a_changed_config_runs_what_is_new_and_forgets_what_is_old() {
    let lab = Lab::new();
    lab.config("exp.toml", SMALL);
    lab.run(&["exp.toml"]);
    // A third variant, a new name for the second, and one seed less.
    let changed = SMALL
        .replace("name = \"sieve\"", "name = \"sieve-renamed\"")
        .replace("seeds = 2", "seeds = 1")
        .replace(
            "[compare]",
            "[[variant]]\nname = \"arc\"\nengine.cache.eviction = \"arc\"\n[compare]",
        );
    lab.config("exp.toml", &changed);
    let ended = lab.aura(&["run", "exp.toml"]);
    assert!(
        ended.errors.contains("1 trials run, 2 were there already"),
        "{}",
        ended.errors
    );
    assert!(
        ended.output.contains("sieve-renamed") && ended.output.contains("arc"),
        "{}",
        ended.output
    );
    let fresh = lab.run(&["exp.toml", "--results", "fresh"]);
    assert!(
        ended.errors.contains(&fresh),
        "stale trials are not gathered:\n{}",
        ended.errors
    );
    assert_eq!(
        trials(&lab.path("results/exp")).len(),
        5,
        "but they are left where they are"
    );
}

#[test]
fn a_variant_that_is_the_same_as_another_has_trials_of_its_own() {
    let lab = Lab::new();
    lab.config(
        "exp.toml",
        &SMALL.replace("engine.cache.eviction = \"sieve\"", "same_as = \"lru\""),
    );
    lab.run(&["exp.toml", "--seeds", "1"]);
    assert_eq!(trials(&lab.path("results/exp")).len(), 2);
}

#[test]
fn a_metric_of_the_bound_has_the_accesses_recorded() {
    let lab = Lab::new();
    let asked = SMALL.replace(
        "primary = [\"cache.hit_ratio\"]",
        "primary = [\"cache.hit_ratio\", \"cache.recovery_ops\"]",
    );
    lab.config("exp.toml", &asked);
    let said = lab.run(&["exp.toml", "--seeds", "1"]);
    assert!(!said.is_empty());
    for trial in trials(&lab.path("results/exp")) {
        assert!(trial.join("cache.aurat.zst").exists());
    }
    lab.config("plain.toml", SMALL);
    let run = |name: &str, sets: &[&str]| {
        let name = format!("name={name}");
        lab.run(&[&["plain.toml", "--seeds", "1", "-s", &name], sets].concat());
    };
    let also = "compare.also=[\"cache.bound_hit_ratio\"]";
    run("plain", &[]);
    run("asked", &["-s", also]);
    run("declined", &["-s", also, "-s", "record.cache=0"]);
    for (name, recorded) in [("plain", false), ("asked", true), ("declined", false)] {
        for trial in trials(&lab.path("results").join(name)) {
            assert_eq!(trial.join("cache.aurat.zst").exists(), recorded, "{name}");
        }
    }
}

#[test]
fn resolved_settings_say_where_each_came_from() {
    let lab = Lab::new();
    lab.config("exp.toml", SMALL);
    lab.run(&["exp.toml", "--seeds", "1", "-s", "engine.compaction.jobs=2"]);
    let trial = &trials(&lab.path("results/exp"))[0];
    let text = fs::read_to_string(trial.join("config.resolved.toml")).expect("it is written");
    let origin = |setting: &str| {
        let line = text
            .lines()
            .find(|line| line.starts_with(setting))
            .unwrap_or_else(|| panic!("{setting} in\n{text}"));
        line.split("# ").nth(1).unwrap_or_default().to_owned()
    };
    assert_eq!(origin("engine.memtable = \"64KiB\""), "exp.toml:14");
    assert_eq!(origin("engine.compaction.jobs = 2"), "--set");
    assert_eq!(origin("engine.compaction.layout.ratio = 10"), "default");
    assert_eq!(origin("world.device.profile = \"nvme\""), "default");
    assert!(
        origin("engine.cache.eviction.policy").starts_with("variant "),
        "{text}"
    );
}

#[test]
fn another_look_with_more_seeds_is_warned_of_and_fresh_seeds_are_not() {
    let lab = Lab::new();
    lab.config("exp.toml", SMALL);
    let looked = |seeds: &str| {
        let ended = lab.aura(&["run", "exp.toml", "--seeds", seeds]);
        assert_eq!(ended.code, 0, "{}", ended.errors);
        let line = ended
            .errors
            .lines()
            .find(|it| it.contains("compared before"));
        line.map(str::to_owned)
    };
    assert_eq!(looked("2"), None);
    assert_eq!(looked("2"), None, "the same seeds are no new look");
    let again = looked("3").expect("a warning");
    assert!(
        again.contains("2 of the 3 seeds were compared before"),
        "{again}"
    );
    assert!(again.contains("--seeds 4..6"), "{again}");
    assert_eq!(
        looked("3").as_ref(),
        Some(&again),
        "what was seen stays seen"
    );
    assert_eq!(looked("4..6"), None);
    let other = [
        "run",
        "exp.toml",
        "--seeds",
        "3",
        "-s",
        "workload.operations=900",
    ];
    let other = lab.aura(&other).errors;
    assert!(!other.contains("compared before"), "other trials: {other}");
    lab.aura(&["run", "exp.toml", "--seeds", "9..3"])
        .refuses(2, &["9..3", "in order"]);
    lab.aura(&["run", "exp.toml", "--seeds", "many"])
        .refuses(2, &["\"many\" is not a whole number"]);
}
