//! The `aura` command from outside: what it prints, what it leaves on disk, how it ends.
#![expect(
    clippy::disallowed_methods,
    reason = "tests look at the files that a run leaves"
)]

mod configs;
mod databases;
mod errors;
mod index_bench;
mod index_inspect;
mod resume;
mod traces;
mod verbs;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A folder of its own, and the command run in it.
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

    /// Writes a config and returns its name.
    fn config<'a>(&self, name: &'a str, text: &str) -> &'a str {
        fs::write(self.path(name), text).expect("a config can be written");
        name
    }

    fn aura(&self, arguments: &[&str]) -> Answer {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aura"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("NO_COLOR", "1");
        Answer::of(command.output().expect("the command starts"))
    }

    /// Runs a config that must succeed, and returns the content hash that it prints.
    fn run(&self, arguments: &[&str]) -> String {
        let answer = self.aura(&[&["run"], arguments].concat());
        assert_eq!(answer.code, 0, "{}", answer.errors);
        let hash = answer
            .errors
            .split("content hash ")
            .nth(1)
            .and_then(|rest| rest.split_whitespace().next());
        hash.expect("a run ends with its content hash").to_owned()
    }
}

/// How the command ended.
struct Answer {
    code: i32,
    output: String,
    errors: String,
}

impl Answer {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            output: String::from_utf8_lossy(&output.stdout).into_owned(),
            errors: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Standard error on one line, without the frames of quoted places: messages are wrapped where they please.
    fn told(&self) -> String {
        let plain: String = self
            .errors
            .chars()
            .filter(|sign| !"│╭╰─·".contains(*sign))
            .collect();
        plain.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Asserts the exit code and that all of `words` were told.
    fn refuses(&self, code: i32, words: &[&str]) {
        let told = self.told();
        assert_eq!(self.code, code, "{}", self.errors);
        for word in words {
            assert!(
                told.contains(word),
                "{word:?} is missing in:\n{}",
                self.errors
            );
        }
    }
}

/// Two caches, two sizes, in less than a second.
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
