//! Where a plan stands: what is done, what runs and where, what failed and why, and until when.
//!
//! The state is read from the results folder: finished trials and the locks of those that run. A
//! scheduler's own account is asked only to explain it.

use std::collections::BTreeMap;
use std::process::Command;

use crate::attempts::{self, Attempt, State};
use crate::files;
use crate::folders::RunFolder;
use crate::plan_file::BriefTrial;

/// One trial of a plan, and where it stands.
#[derive(Clone, Debug)]
pub struct TrialStatus {
    /// Where it stands.
    pub state: State,
    /// The last attempt at it, if one was noted.
    pub attempt: Option<Attempt>,
}

/// A plan, and where each of its trials stands.
pub struct Survey {
    folder: RunFolder,
    /// The plan's trials.
    pub trials: Vec<BriefTrial>,
    /// Where each of them stands.
    pub states: Vec<TrialStatus>,
}

/// How long the rest will take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Forecast {
    /// Seconds from now.
    pub seconds: f64,
    /// How many trials are taken to run at the same time.
    pub at_once: usize,
    /// Whether that many run now; otherwise it is as if the last process went on.
    pub running: bool,
}

impl Survey {
    /// Looks at every trial of a plan.
    pub fn new(folder: RunFolder, trials: Vec<BriefTrial>) -> Self {
        let look = |trial: &BriefTrial| look(&folder, trial);
        Self {
            states: trials.iter().map(look).collect(),
            folder,
            trials,
        }
    }

    /// Looks once more at the trials that were not done.
    pub fn refresh(&mut self) {
        for (trial, status) in self.trials.iter().zip(&mut self.states) {
            if status.state != State::Done {
                *status = look(&self.folder, trial);
            }
        }
    }

    /// How many trials are in a state of this name.
    pub fn count(&self, name: &str) -> usize {
        let states = self.states.iter();
        states.filter(|status| status.state.name() == name).count()
    }

    /// How many trials have no result, and are not known to fail.
    pub fn open(&self) -> usize {
        self.trials.len() - self.count("done") - self.count("failed")
    }

    /// How long the trials that are open will take, at the mean of those that are done; `None`
    /// before one is done, and if there is no open one.
    pub fn forecast(&self) -> Option<Forecast> {
        let attempts = || self.states.iter().filter_map(|it| it.attempt.as_ref());
        let done = self.states.iter().filter(|it| it.state == State::Done);
        let seconds: Vec<f64> = done
            .filter_map(|it| it.attempt.as_ref()?.seconds())
            .collect();
        let open = self.open();
        if seconds.is_empty() || open == 0 {
            return None;
        }
        let mean = seconds.iter().sum::<f64>() / seconds.len() as f64;
        let running = self.count("running");
        let last = attempts().max_by_key(|attempt| attempt.started);
        let in_parallel = last.map_or(1, |attempt| attempt.in_parallel);
        let at_once = if running > 0 { running } else { in_parallel };
        let now = files::millis_since_1970();
        let begun = self.states.iter().filter(|it| it.state == State::Running);
        let spent = |it: &TrialStatus| {
            let started = it.attempt.as_ref().map_or(now, |attempt| attempt.started);
            (now.saturating_sub(started) as f64 / 1e3).min(mean)
        };
        let spent: f64 = begun.map(spent).sum();
        Some(Forecast {
            seconds: (mean * open as f64 - spent).max(0.0) / at_once.max(1) as f64,
            at_once: at_once.max(1),
            running: running > 0,
        })
    }

    /// The hosts on which trials run, with how many.
    pub fn hosts(&self) -> BTreeMap<&str, usize> {
        let mut hosts = BTreeMap::new();
        for status in &self.states {
            if let (State::Running, Some(attempt)) = (&status.state, &status.attempt) {
                *hosts.entry(attempt.host.as_str()).or_default() += 1;
            }
        }
        hosts
    }

    /// Why trials failed, the most frequent reason first.
    pub fn reasons(&self) -> Vec<(&str, usize)> {
        let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
        for status in &self.states {
            if let State::Failed(why) = &status.state {
                *reasons.entry(why).or_default() += 1;
            }
        }
        let mut reasons: Vec<_> = reasons.into_iter().collect();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        reasons
    }
}

fn look(folder: &RunFolder, trial: &BriefTrial) -> TrialStatus {
    let (state, attempt) = attempts::look(folder, &trial.id);
    TrialStatus { state, attempt }
}

/// What a scheduler says of one task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskAccount {
    /// The command that says so.
    pub source: &'static str,
    /// The task, such as `17_3`.
    pub task: String,
    /// Its state, in the scheduler's word.
    pub state: String,
    /// Why, or how it ended.
    pub why: String,
}

/// Asks Slurm about the jobs of a name: the queue, and the accounts of what has ended. Where a
/// command does not answer, the reason is in the second list.
pub fn ask_slurm(job: &str) -> (Vec<TaskAccount>, Vec<String>) {
    let queue = [
        "--noheader",
        "--array",
        "--format",
        "%i|%T|%r",
        "--me",
        "--name",
        job,
    ];
    let accounts = [
        "--noheader",
        "--allocations",
        "--duplicates",
        "--parsable2",
        "--format",
        "JobID,State,ExitCode",
        // Without it, it knows what ended today.
        "--starttime",
        "now-30days",
        "--name",
        job,
    ];
    let mut tasks = Vec::new();
    let mut silent = Vec::new();
    for (program, arguments) in [("squeue", &queue[..]), ("sacct", &accounts[..])] {
        match ask(program, arguments) {
            Ok(answer) => tasks.extend(answer.lines().filter_map(|line| account(program, line))),
            Err(why) => silent.push(format!("{program} does not answer: {why}")),
        }
    }
    (tasks, silent)
}

/// Runs a program and returns what it prints.
fn ask(program: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(arguments).output();
    let output = output.map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    let first = errors.lines().find(|line| !line.trim().is_empty());
    Err(first.map_or_else(|| output.status.to_string(), str::to_owned))
}

/// Reads one line of an answer: task, state and reason, between bars.
fn account(source: &'static str, line: &str) -> Option<TaskAccount> {
    let mut fields = line.trim().splitn(3, '|');
    let mut next = || fields.next().map(str::to_owned);
    Some(TaskAccount {
        source,
        task: next().filter(|task| !task.is_empty())?,
        state: next()?,
        why: next()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attempts::tests::attempt;
    use crate::attempts::{Claim, Outcome};
    use crate::point::Point;

    fn survey(folder: &RunFolder) -> Survey {
        let trial = |id: &str| BriefTrial {
            id: id.to_owned(),
            variant: "lru".to_owned(),
            point: Point::new(),
            seed: 1,
        };
        Survey::new(
            folder.clone(),
            ["a", "b", "c", "d", "e"].map(trial).to_vec(),
        )
    }

    #[test]
    fn a_survey_counts_states_and_foresees_the_end() {
        let temporary = tempfile::tempdir().expect("a temporary folder");
        let folder = RunFolder::new(temporary.path());
        files::create_folder(&folder.attempts()).expect("writable");
        assert_eq!(survey(&folder).count("left"), 5);
        assert_eq!(survey(&folder).forecast(), None, "nothing is known yet");
        let claim = |id: &str| {
            let mut claim = Claim::take(&folder, id).expect("writable").expect("free");
            claim.begin(attempt()).expect("writable");
            claim
        };
        claim("b")
            .end(Outcome::Failed("no space".to_owned()), None)
            .expect("writable");
        let running = claim("c");
        // Of a trial that took four seconds.
        files::create_folder(folder.trial("a").path()).expect("writable");
        files::write(&folder.trial("a").done(), b"").expect("writable");
        let done = Attempt {
            started: 1_000,
            ended: Some(5_000),
            outcome: Outcome::Done,
            ..attempt()
        };
        let done = crate::formats::json(&done);
        files::write(&folder.attempt("a"), done.as_bytes()).expect("writable");

        let mut seen = survey(&folder);
        for (name, count) in [("done", 1), ("failed", 1), ("running", 1), ("left", 2)] {
            assert_eq!(seen.count(name), count, "{name}");
        }
        assert_eq!(seen.reasons(), [("no space", 1)]);
        assert_eq!(seen.hosts(), BTreeMap::from([("bench", 1)]));
        let forecast = seen.forecast().expect("one is done");
        assert!(forecast.running && forecast.at_once == 1, "{forecast:?}");
        assert!(
            forecast.seconds > 8.0 && forecast.seconds <= 12.0,
            "{forecast:?}"
        );
        drop(running);
        seen.refresh();
        assert_eq!((seen.count("running"), seen.count("given up")), (0, 1));
        let forecast = seen.forecast().expect("one is done");
        // As if the last process, which ran two at once, went on with three trials of 4 s.
        assert_eq!((forecast.running, forecast.seconds), (false, 6.0));
    }

    #[test]
    fn what_slurm_prints_is_read_by_task() {
        let line = account("sacct", "53_2|REQUEUED|75:0");
        let expected = TaskAccount {
            source: "sacct",
            task: "53_2".to_owned(),
            state: "REQUEUED".to_owned(),
            why: "75:0".to_owned(),
        };
        assert_eq!(line, Some(expected));
        for line in ["", "53_2", "53_2|PENDING", "||"] {
            assert_eq!(account("squeue", line), None, "{line}");
        }
        let missing = ask("a-program-that-nobody-has", &[]).expect_err("it is missing");
        assert!(missing.contains("No such file"), "{missing}");
    }
}
