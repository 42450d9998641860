//! When and where each trial was tried, and what became of it: one small file per trial.
//!
//! The file of a trial is locked as long as a process runs the trial. So a trial is never run by
//! two processes at the same time, and what a killed process left is recognised by the lock that
//! nobody holds, not by a time limit. Everything else about a run is a function of its config;
//! times, hosts and processes are in these files alone.

use std::fs::File;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::files::{self, FileError};
use crate::folders::RunFolder;
use crate::formats::json;

/// One attempt to run a trial: `attempts/<id>.json`. Times are milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The hash of the trial's settings, without its seed.
    pub settings: String,
    /// The variant's name.
    pub variant: String,
    /// Which attempt it is, from 1.
    pub number: u64,
    /// The host's name.
    pub host: String,
    /// The processor's model.
    pub cpu: String,
    /// The process.
    pub process: u32,
    /// The job of a scheduler that the process belongs to, such as `slurm 17_3`; empty if none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub job: String,
    /// How many trials the process ran in parallel.
    pub in_parallel: usize,
    /// When it began.
    pub started: u64,
    /// What became of it.
    pub outcome: Outcome,
    /// When it ended; `None` while it runs, and if the process was killed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<u64>,
    /// The most bytes of memory that the trial's process had until its end, with all that ran in
    /// it; `None` if the system does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_peak_bytes: Option<u64>,
}

/// What became of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It began, and no end was noted.
    Begun,
    /// The trial has a result.
    Done,
    /// The trial has no result, for this reason.
    Failed(String),
    /// The process was asked to stop.
    Interrupted,
}

impl Attempt {
    /// Seconds from beginning to end; `None` without an end.
    pub fn seconds(&self) -> Option<f64> {
        let millis = self.ended?.saturating_sub(self.started);
        Some(millis as f64 / 1e3)
    }

    /// Reads the last attempt at a trial; `None` if there was none, or its file is being written.
    pub fn read(run: &RunFolder, id: &str) -> Option<Self> {
        serde_json::from_str(&files::read_to_string(&run.attempt(id)).ok()?).ok()
    }
}

/// The right to run one trial, as long as it is held: no other process has it.
pub struct Claim {
    file: File,
    path: PathBuf,
    attempt: Option<Attempt>,
    earlier: u64,
}

impl Claim {
    /// Claims a trial; `None` if another process runs it.
    ///
    /// # Errors
    /// [`FileError`] if the trial's file cannot be opened or locked.
    pub fn take(run: &RunFolder, id: &str) -> Result<Option<Self>, FileError> {
        let locked = files::lock(&run.attempt(id))?;
        Ok(locked.map(|file| Self::of(file, run, id)))
    }

    /// Claims a trial as soon as no other process runs it.
    ///
    /// # Errors
    /// [`FileError`] if the trial's file cannot be opened or locked.
    pub fn wait(run: &RunFolder, id: &str) -> Result<Self, FileError> {
        let file = files::wait_for_lock(&run.attempt(id))?;
        Ok(Self::of(file, run, id))
    }

    fn of(file: File, run: &RunFolder, id: &str) -> Self {
        Self {
            file,
            path: run.attempt(id),
            attempt: None,
            earlier: Attempt::read(run, id).map_or(0, |earlier| earlier.number),
        }
    }

    /// Notes that an attempt begins. Its number and its start are filled in.
    ///
    /// # Errors
    /// [`FileError`] if it cannot be written.
    pub fn begin(&mut self, attempt: Attempt) -> Result<(), FileError> {
        let attempt = self.attempt.insert(Attempt {
            number: self.earlier + 1,
            started: files::millis_since_1970(),
            ..attempt
        });
        files::overwrite(&mut self.file, &self.path, json(attempt).as_bytes())
    }

    /// Notes how the attempt ended, and gives the trial free.
    ///
    /// # Errors
    /// [`FileError`] if it cannot be written.
    pub fn end(mut self, outcome: Outcome, memory_peak: Option<u64>) -> Result<(), FileError> {
        let Some(attempt) = self.attempt.take() else {
            return Ok(());
        };
        let attempt = Attempt {
            outcome,
            ended: Some(files::millis_since_1970()),
            memory_peak_bytes: memory_peak,
            ..attempt
        };
        files::overwrite(&mut self.file, &self.path, json(&attempt).as_bytes())
    }
}

/// Where a trial stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It has a result.
    Done,
    /// A process runs it.
    Running,
    /// The last attempt failed, for this reason.
    Failed(String),
    /// The last attempt ended without a result and without a reason: it was interrupted or killed.
    GivenUp(&'static str),
    /// It was not tried yet.
    Left,
}

impl State {
    /// The state in a word.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Running => "running",
            Self::Failed(_) => "failed",
            Self::GivenUp(_) => "given up",
            Self::Left => "left",
        }
    }
}

/// Where a trial stands, and the last attempt at it, if one was noted.
pub fn look(run: &RunFolder, id: &str) -> (State, Option<Attempt>) {
    let path = run.attempt(id);
    let is_done = || run.trial(id).is_done();
    // Asked before what is noted: what ends or begins meanwhile is not taken for killed.
    let was_at_work = !is_done() && files::is_locked(&path);
    let attempt = Attempt::read(run, id);
    if is_done() {
        return (State::Done, attempt);
    }
    if was_at_work || files::is_locked(&path) {
        return (State::Running, attempt);
    }
    let state = match attempt.as_ref().map(|it| &it.outcome) {
        None | Some(Outcome::Done) => State::Left,
        Some(Outcome::Failed(why)) => State::Failed(why.clone()),
        Some(Outcome::Interrupted) => State::GivenUp("it was asked to stop"),
        Some(Outcome::Begun) => State::GivenUp("its process was killed"),
    };
    (state, attempt)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn attempt() -> Attempt {
        Attempt {
            settings: "0123456789abcdef".to_owned(),
            variant: "lru".to_owned(),
            number: 0,
            host: "bench".to_owned(),
            cpu: "Example 3000".to_owned(),
            process: 17,
            job: String::new(),
            in_parallel: 2,
            started: 0,
            outcome: Outcome::Begun,
            ended: None,
            memory_peak_bytes: None,
        }
    }

    fn folder() -> (tempfile::TempDir, RunFolder) {
        let temporary = tempfile::tempdir().expect("a temporary folder");
        let run = RunFolder::new(temporary.path());
        files::create_folder(&run.attempts()).expect("it is writable");
        (temporary, run)
    }

    #[test]
    fn a_trial_belongs_to_one_process_until_its_end_is_noted() {
        let (_temporary, run) = folder();
        assert_eq!(look(&run, "a"), (State::Left, None));
        let mut claim = Claim::take(&run, "a").expect("writable").expect("free");
        claim.begin(attempt()).expect("writable");
        assert!(Claim::take(&run, "a").expect("writable").is_none());
        let (state, begun) = look(&run, "a");
        assert_eq!(state, State::Running);
        assert_eq!(begun.expect("it was noted").number, 1);
        let why = "no space".to_owned();
        claim
            .end(Outcome::Failed(why.clone()), Some(5))
            .expect("writable");
        let (state, failed) = look(&run, "a");
        assert_eq!(state, State::Failed(why));
        let failed = failed.expect("it was noted");
        assert_eq!(failed.memory_peak_bytes, Some(5));
        assert!(failed.ended >= Some(failed.started));
    }

    #[test]
    fn what_a_killed_process_left_is_taken_up_as_the_next_attempt() {
        let (_temporary, run) = folder();
        let mut killed = Claim::take(&run, "a").expect("writable").expect("free");
        killed.begin(attempt()).expect("writable");
        // The system closes its files.
        drop(killed);
        let given_up = State::GivenUp("its process was killed");
        assert_eq!(look(&run, "a").0, given_up);
        let mut next = Claim::wait(&run, "a").expect("free");
        next.begin(attempt()).expect("writable");
        next.end(Outcome::Interrupted, None).expect("writable");
        let (state, attempt) = look(&run, "a");
        assert_eq!(state, State::GivenUp("it was asked to stop"));
        assert_eq!(attempt.expect("it was noted").number, 2);
        let done = run.trial("a");
        files::create_folder(done.path()).expect("writable");
        files::write(&done.done(), b"").expect("writable");
        assert_eq!(look(&run, "a").0, State::Done);
    }
}
