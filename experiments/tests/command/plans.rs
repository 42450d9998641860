//! Plans that run anywhere: in slices, beside each other, stopped and taken up, with the bytes of
//! one whole run.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::resume::contents;
use crate::{Ended, Lab, SMALL, trials};

/// Plans a config into `plan.jsonl`.
fn plan(lab: &Lab, arguments: &[&str]) {
    let ended = lab.aura(&[&["plan", "exp.toml", "-o", "plan.jsonl"], arguments].concat());
    assert_eq!(ended.code, 0, "{}", ended.errors);
}

fn slice(lab: &Lab, arguments: &[&str]) -> Ended {
    lab.aura(&[&["run", "--plan", "plan.jsonl"], arguments].concat())
}

/// A started slice, which does not outlive its test.
struct Slice(Child);

impl Drop for Slice {
    fn drop(&mut self) {
        // One that has ended cannot be killed.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Starts a slice of many trials, and waits until it has finished some.
fn started(lab: &Lab, index: &str, line: &str) -> (Slice, Vec<String>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aura"));
    let command = command
        .args([
            "run",
            "--plan",
            "plan.jsonl",
            "--jobs",
            "1",
            "--index",
            index,
        ])
        .current_dir(lab.path(""))
        .stderr(Stdio::piped())
        .stdout(Stdio::null());
    let mut slice = Slice(command.spawn().expect("the command starts"));
    let errors = slice.0.stderr.as_mut().expect("it was piped");
    let mut lines = BufReader::new(errors).lines().map_while(Result::ok);
    let mut read = Vec::new();
    while !read.last().is_some_and(|it: &String| it.starts_with(line)) {
        read.push(lines.next().expect("the slice goes on"));
    }
    (slice, read)
}

fn send(signal: &str, slice: &Slice) {
    let sent = Command::new("kill")
        .args([signal, &slice.0.id().to_string()])
        .status()
        .expect("kill is there");
    assert!(sent.success());
}

fn assert_whole(run: &Path) {
    for trial in trials(run) {
        assert!(trial.join("DONE").exists(), "{} is half", trial.display());
    }
}

#[test]
fn slices_have_the_bytes_of_a_whole_run() {
    let lab = Lab::new();
    lab.config("exp.toml", SMALL);
    let whole = lab.run(&["exp.toml", "--seeds", "4", "--results", "whole"]);
    plan(&lab, &["--seeds", "4"]);
    let first = slice(&lab, &["--index", "0..3"]);
    assert_eq!(first.code, 0, "{}", first.errors);
    assert!(first.errors.contains("3 trials run, 0 were there already"));
    assert!(
        !lab.path("results/exp/report.html").exists(),
        "a slice has no report"
    );
    let mut task = Command::new(env!("CARGO_BIN_EXE_aura"));
    let task = task
        .args([
            "run",
            "--plan",
            "plan.jsonl",
            "--index-from-env",
            "--slice",
            "6",
        ])
        .current_dir(lab.path(""))
        .env("SLURM_ARRAY_TASK_ID", "1")
        .env("SLURM_ARRAY_JOB_ID", "17");
    let task = Ended::of(task.output().expect("the command starts"));
    assert_eq!(task.code, 0, "{}", task.errors);
    assert!(
        task.errors.contains("trials 6 to 7 of 8"),
        "{}",
        task.errors
    );
    let again = slice(&lab, &["--index", "1"]);
    assert!(again.errors.contains("0 trials run, 1 were there already"));

    let states = lab.json(75, &["status", "plan.jsonl", "--trials"]);
    let state = |index: usize| states[index]["state"].as_str().expect("a word");
    assert_eq!(["done", "left", "done"], [state(0), state(4), state(7)]);
    assert_eq!(states[7]["job"], "slurm 17_1");

    let last = slice(&lab, &[]);
    assert!(
        last.errors.contains("3 trials run, 5 were there already"),
        "{}",
        last.errors
    );
    assert!(last.errors.contains(&whole), "{}", last.errors);
    assert!(contents(&lab.path("whole/exp")) == contents(&lab.path("results/exp")));
    assert_eq!(lab.aura(&["status", "exp"]).code, 0);
    // Nothing is left to run, and the report is made once more.
    fs::remove_file(lab.path("results/exp/report.html")).expect("it was written");
    let report = slice(&lab, &[]);
    assert!(
        report.errors.contains("0 trials run, 8 were there already"),
        "{}",
        report.errors
    );
    assert!(lab.path("results/exp/report.html").exists());
}

#[test]
fn a_stopped_slice_exits_75_and_is_taken_up() {
    let lab = Lab::new();
    lab.config("exp.toml", SMALL);
    plan(&lab, &["--seeds", "300"]);
    let (mut running, _) = started(&lab, "0..600", "60/600 trials done");
    send("-TERM", &running);
    assert_eq!(running.0.wait().expect("it ends").code(), Some(75));
    assert_whole(&lab.path("results/exp"));
    let kept = trials(&lab.path("results/exp")).len();
    assert!((60..600).contains(&kept), "{kept}");
    let states = lab.json(75, &["status", "plan.jsonl"]);
    let count = |state: &str| {
        let row = states.iter().find(|row| row["state"] == state);
        row.and_then(|row| row["trials"].as_u64())
            .expect("a row for each state")
    };
    assert_eq!((count("running"), count("done")), (0, kept as u64));
    assert!(count("given up") <= 1, "one trial was at work, or none");
    let resumed = slice(&lab, &["--index", "0..60"]);
    assert!(
        resumed
            .errors
            .contains("0 trials run, 60 were there already"),
        "{}",
        resumed.errors
    );
}

#[test]
fn slices_run_beside_each_other_and_a_killed_one_is_taken_up() {
    let lab = Lab::new();
    lab.config("exp.toml", SMALL);
    plan(&lab, &["--seeds", "300"]);
    let (mut running, _) = started(&lab, "2..600", "60/598");
    let busy = lab.aura(&["run", "exp.toml"]);
    busy.refuses(3, &["another `aura run` is at work", "aura status"]);
    lab.config("other.toml", &SMALL.replace("32KiB", "64KiB"));
    let other = lab.aura(&["plan", "other.toml", "-s", "name=exp", "-o", "other.jsonl"]);
    assert_eq!(other.code, 0, "{}", other.errors);
    let other = lab.aura(&["run", "--plan", "other.jsonl", "--index", "0"]);
    other.refuses(3, &["slices of another plan are at work"]);
    let beside = slice(&lab, &["--index", "0..2"]);
    assert_eq!(beside.code, 0, "{}", beside.errors);
    assert!(beside.errors.contains("2 trials run"), "{}", beside.errors);
    // Stopped within a trial, not between two.
    loop {
        send("-STOP", &running);
        let states = lab.json(75, &["status", "plan.jsonl"]);
        if (&states[1]["state"], &states[1]["trials"]) == (&"running".into(), &1.into()) {
            break;
        }
        send("-CONT", &running);
    }
    send("-KILL", &running);
    running.0.wait().expect("it ends");
    let killed = lab.json(75, &["status", "plan.jsonl", "--trials"]);
    let given_up = killed.iter().find(|row| row["state"] == "given up");
    let given_up = given_up.expect("a trial was running");
    assert_eq!(given_up["why"], "its process was killed");
    let index = given_up["index"].to_string();
    let next = slice(&lab, &["--index", &index]);
    assert!(next.errors.contains("1 trials run"), "{}", next.errors);
    assert_whole(&lab.path("results/exp"));
}

#[test]
fn a_trial_that_fails_says_why_until_it_succeeds() {
    let lab = Lab::new();
    lab.config("exp.toml", SMALL);
    lab.config("occupied", "a file where a folder is wanted");
    let real = ["-s", "world.kind=real", "-s", "world.directory=occupied"];
    plan(&lab, &[&real[..], &["--seeds", "1"]].concat());
    slice(&lab, &["--index", "0..2"]).refuses(1, &["lru, seed 1", "occupied"]);
    let status = lab.aura(&["status", "plan.jsonl", "--format", "csv"]);
    assert_eq!(status.code, 1, "nothing is left but what failed");
    assert!(status.output.contains("failed,2"), "{}", status.output);
    assert!(status.errors.contains("occupied"), "{}", status.errors);
    fs::remove_file(lab.path("occupied")).expect("it is there");
    let again = slice(&lab, &["--index", "0..2"]);
    assert_eq!(again.code, 0, "{}", again.errors);
    let states = lab.json(0, &["status", "exp", "--trials"]);
    assert_eq!(
        (&states[0]["state"], &states[0]["attempts"]),
        (&"done".into(), &2.into())
    );
}

#[test]
fn what_a_slice_cannot_be_is_refused_with_advice() {
    let lab = Lab::new();
    lab.config("exp.toml", SMALL);
    plan(&lab, &[]);
    slice(&lab, &["--index", "4"]).refuses(2, &["index 4 is beyond the plan", "0 to 3"]);
    slice(&lab, &["--index", "4..2"]).refuses(2, &["0..20"]);
    slice(&lab, &["--index-from-env"]).refuses(2, &["SLURM_ARRAY_TASK_ID"]);
    slice(&lab, &["--seeds", "3"]).refuses(2, &["--seeds"]);
    lab.aura(&["run", "--plan", "exp.toml"])
        .refuses(2, &["exp.toml is no plan"]);
    assert!(!lab.path("results").exists(), "nothing was run");

    let real = ["-s", "world.kind=real", "-s", "world.directory=db"];
    plan(&lab, &real);
    let cut = slice(&lab, &["--index", "1..3"]);
    cut.refuses(2, &["slice 1..3 holds some trials of seed 1", "--slice 2"]);
    let launched = lab.aura(&["launch", "slurm", "plan.jsonl", "--slice", "3"]);
    launched.refuses(2, &["ran side by side", "--slice 2"]);

    let text = fs::read_to_string(lab.path("plan.jsonl")).expect("it was written");
    let code = text.split("\"code\":\"").nth(1).expect("a digest");
    let other = text.replace(&code[..16], "0123456789abcdef");
    fs::write(lab.path("plan.jsonl"), other).expect("writable");
    slice(&lab, &["--index", "0"]).refuses(3, &["0123456789abcdef", "plan again"]);
}

#[test]
fn a_plan_is_listed_and_priced_from_earlier_trials() {
    let lab = Lab::new();
    lab.config("exp.toml", SMALL);
    let unknown = lab.aura(&["plan", "exp.toml", "--price"]);
    assert!(
        unknown.errors.contains("the price is unknown"),
        "{}",
        unknown.errors
    );
    assert!(!lab.path("results").exists(), "a plan runs nothing");
    lab.run(&["exp.toml", "--jobs", "1"]);
    let rows = lab.json(0, &["plan", "exp.toml", "--seeds", "100", "--price"]);
    assert_eq!(rows.len(), 200);
    assert_eq!(rows[199]["index"], 199);
    assert_eq!(rows[199]["seed"], 100);
    assert_eq!(rows[199]["earlier"], "2 of these settings");
    for number in ["seconds", "memory_bytes", "disk_bytes"] {
        assert!(
            rows[0][number].as_f64().is_some_and(|it| it > 0.0),
            "{number}: {}",
            rows[0]
        );
    }
    let larger = lab.json(
        0,
        &["plan", "exp.toml", "-s", "workload.records=4000", "--price"],
    );
    assert_eq!(larger[0]["earlier"], "2 of this variant, other settings");
}

#[test]
fn runs_are_listed_with_question_verdict_and_trials() {
    let lab = Lab::new();
    lab.config("exp.toml", SMALL);
    plan(&lab, &["-s", "name=sliced"]);
    lab.run(&["exp.toml"]);
    slice(&lab, &["--index", "0"]);
    let runs = lab.json(0, &["ls"]);
    let run = |name: &str| {
        runs.iter()
            .find(|run| run["run"] == name)
            .expect("it is listed")
    };
    assert_eq!(run("exp")["question"], "Is SIEVE better than LRU?");
    assert_eq!(
        (&run("exp")["done"], &run("exp")["planned"]),
        (&4.into(), &4.into())
    );
    // The answer's first sentence, or the verdicts counted if it is too long for a row.
    let verdict = run("exp")["verdict"].as_str().expect("it was compared");
    let known = ["On cache.hit_ratio, sieve is", "1 undecided"];
    assert!(
        known.iter().any(|known| verdict.starts_with(known)),
        "{verdict}"
    );
    assert_eq!(
        (&run("sliced")["done"], &run("sliced")["planned"]),
        (&1.into(), &4.into())
    );
    assert!(run("sliced")["verdict"].is_null());
    let table = lab.aura(&["ls"]).output;
    assert!(
        table.contains("this") && table.contains("not compared yet"),
        "{table}"
    );
}

#[test]
fn a_job_is_written_for_each_scheduler() {
    let lab = Lab::new();
    lab.config("exp.toml", SMALL);
    plan(&lab, &[]);
    let launched = lab.aura(&[
        "launch",
        "slurm",
        "plan.jsonl",
        "--jobs",
        "2",
        "-o",
        "job.sh",
    ]);
    assert_eq!(launched.code, 0, "{}", launched.errors);
    let job = fs::read_to_string(lab.path("job.sh")).expect("it was written");
    assert!(job.contains("#SBATCH --array=0-3%2\n"), "{job}");
    let bare = lab.aura(&["launch", "kubernetes", "plan.jsonl"]);
    bare.refuses(2, &["--image"]);
    let kubernetes = ["launch", "kubernetes", "plan.jsonl", "--image", "aura:1"];
    let job = lab.aura(&kubernetes).output;
    assert!(
        job.contains("completions: 4\n") && job.contains("image: \"aura:1\""),
        "{job}"
    );
}
