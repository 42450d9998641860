//! The `aura` command from outside: what it prints, what it leaves on disk, how it ends.
#![expect(
    clippy::disallowed_methods,
    reason = "tests look at the files that a run leaves"
)]

mod ab;
mod commands;
mod configs;
mod databases;
mod decisions;
mod errors;
mod index_bench;
mod index_inspect;
mod machine;
mod pages;
mod plans;
mod replays;
mod resume;
mod traces;
mod train;
mod tune;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A folder of its own, in which the command runs.
struct Lab {
    folder: TempDir,
}

impl Lab {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file and returns its name.
    fn config<'a>(&self, name: &'a str, text: &str) -> &'a str {
        fs::write(self.path(name), text).expect("a file can be written");
        name
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aura"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("NO_COLOR", "1");
        // These tests may run in a task themselves.
        for variable in OF_TASKS {
            command.env_remove(variable);
        }
        command
    }

    fn aura(&self, arguments: &[&str]) -> Ended {
        let output = self.command(arguments).output();
        Ended::of(output.expect("the command starts"))
    }

    /// Starts a command whose output is read while it runs.
    fn start(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments);
        let started = command.stdout(Stdio::piped()).spawn();
        started.expect("the command starts")
    }

    /// Runs a command that must end with `code`, and returns its rows.
    fn json(&self, code: i32, arguments: &[&str]) -> Vec<Value> {
        let ended = self.aura(&[arguments, &["--format", "json"]].concat());
        assert_eq!(ended.code, code, "{}{}", ended.output, ended.errors);
        ended.rows()
    }

    /// Runs a config that must succeed, and returns the content hash that it prints.
    fn run(&self, arguments: &[&str]) -> String {
        let ended = self.aura(&[&["run"], arguments].concat());
        assert_eq!(ended.code, 0, "{}", ended.errors);
        let hash = ended.errors.split("content hash ").nth(1);
        let hash = hash.and_then(|rest| rest.split_whitespace().next());
        hash.expect("a run ends with its content hash").to_owned()
    }
}

/// What schedulers say of a task.
const OF_TASKS: [&str; 5] = [
    "AURA_INDEX",
    "SLURM_ARRAY_TASK_ID",
    "HQ_TASK_ID",
    "JOB_COMPLETION_INDEX",
    "PARALLEL_SEQ",
];

/// How a command ended.
struct Ended {
    code: i32,
    output: String,
    errors: String,
}

impl Ended {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            output: String::from_utf8_lossy(&output.stdout).into_owned(),
            errors: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Standard error on one line, without the frames of quoted places and the breaks of lines.
    fn said(&self) -> String {
        let plain: String = self
            .errors
            .chars()
            .filter(|letter| !"│╭╰─·".contains(*letter))
            .collect();
        plain.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Standard output as JSON, one value a line.
    fn rows(&self) -> Vec<Value> {
        let lines = self.output.lines();
        let row = |line| serde_json::from_str(line).expect("JSON");
        lines.map(row).collect()
    }

    /// Asserts the exit code, and that all of `words` are on standard error.
    fn refuses(&self, code: i32, words: &[&str]) {
        let said = self.said();
        assert_eq!(self.code, code, "{}", self.errors);
        for word in words {
            assert!(
                said.contains(word),
                "{word:?} is missing in:\n{}",
                self.errors
            );
        }
    }
}

/// Two caches, in less than a second.
const SMALL: &str = r#"
question = "Is SIEVE better than LRU?"
baseline = "lru"
seeds = 2

[workload]
preset = "ycsb-a"
records = 2_000
operations = 3_000
clients = 2
value = { bytes = 100 }

[engine]
memtable = "64KiB"
cache = { size = "32KiB", shards = 1 }
table = { size = "64KiB" }

[[variant]]
name = "lru"
engine.cache.eviction = "lru"

[[variant]]
name = "sieve"
engine.cache.eviction = "sieve"

[compare]
primary = ["cache.hit_ratio"]
also = ["write.amplification"]
"#;

/// The folders of finished trials.
fn trials(run: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(run.join("trials")).expect("a run has trials");
    let mut trials: Vec<_> = entries
        .map(|entry| entry.expect("a readable folder").path())
        .collect();
    trials.sort();
    trials
}
