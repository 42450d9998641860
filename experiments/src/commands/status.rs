//! `aura status`: where a plan stands.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::{CommandResult, Failure, Global, complain, pause, run_folder};
use crate::attempts::State;
use crate::exit::Exit;
use crate::files;
use crate::folders::RunFolder;
use crate::formats::{Cell, Table, column, duration, moment, print};
use crate::launch;
use crate::plan_file::{BriefTrial, PlanFile};
use crate::progress::Live;
use crate::status::{Survey, TaskAccount, TrialStatus, ask_slurm};

/// Say where a plan stands: done, running, failed and why, left, and until when.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  aura status quickstart
  aura status plan.jsonl --trials
  aura status plan.jsonl --watch
  aura status plan.jsonl --engine

The state is read from the results folder, wherever the trials run: what is finished, and which
trials a process has locked. A trial that is given up was interrupted or killed; the next run or
slice takes it.

Prints one row per state with its number of trials: done, running, failed, given up, left. With
--trials, one row per trial with its state, host, seconds and reason. With --engine, one row per
task of Slurm under the job's name. Reasons and the time left follow on standard error.

Exit codes: 0 all trials are done; 1 a trial failed, and nothing is left; 2 there is no such run or
plan; 3 the results cannot be read; 75 trials run or are left.")]
pub(super) struct Arguments {
    /// A run's folder, its name below the results, or a plan's file.
    run: PathBuf,
    /// Print a row per trial.
    #[arg(long, conflicts_with_all = ["engine", "watch"])]
    trials: bool,
    /// Ask the scheduler (squeue, sacct) what it says of the plan's tasks.
    #[arg(long, conflicts_with = "watch")]
    engine: bool,
    /// Look again every two seconds, until nothing is left; without a terminal, print a line at
    /// each change.
    #[arg(long)]
    watch: bool,
}

/// How long a live view waits before it looks again.
const PERIOD: Duration = Duration::from_secs(2);

impl Arguments {
    pub(super) fn run(&self, global: &Global) -> CommandResult {
        let (folder, plan) = self.plan(global)?;
        let name = plan.experiment.name.clone();
        let mut survey = Survey::new(folder, plan.brief()?);
        drop(plan);
        if self.watch {
            watch(&mut survey);
        }
        if self.engine {
            engine(global, &name)?;
        } else if self.trials {
            trials(global, &survey)?;
        } else {
            states(global, &survey)?;
        }
        for (why, count) in survey.reasons() {
            global.remark(&format!("{count} failed: {why}"));
        }
        global.remark(&in_words(&survey));
        Ok(if survey.open() > 0 {
            Exit::Interrupted
        } else if survey.count("failed") > 0 {
            Exit::ClaimFailed
        } else {
            Exit::Done
        })
    }

    /// Finds the plan, and the folder of its results.
    fn plan(&self, global: &Global) -> Result<(RunFolder, PlanFile), Failure> {
        if self.run.is_file() && !is_of_a_run(&self.run) {
            let plan = PlanFile::open(&self.run)?;
            let folder = RunFolder::new(global.results.join(&plan.experiment.name));
            return Ok((folder, plan));
        }
        let folder = match self.run.parent() {
            Some(parent) if is_of_a_run(&self.run) => RunFolder::new(parent),
            _ => run_folder(global, &self.run),
        };
        let plan = PlanFile::open(&folder.plan())?;
        Ok((folder, plan))
    }
}

/// Whether a file is the plan in a run's folder.
fn is_of_a_run(file: &Path) -> bool {
    let folder = file.parent().map(RunFolder::new);
    folder.is_some_and(|folder| folder.holds_a_run() && folder.plan() == file)
}

/// The names of all states, in the order of the rows.
const STATES: [&str; 5] = ["done", "running", "failed", "given up", "left"];

fn states(global: &Global, survey: &Survey) -> Result<(), Failure> {
    let rows: Vec<(&str, usize)> = STATES.map(|name| (name, survey.count(name))).to_vec();
    let columns = [
        column("state", |row: &(&str, usize)| row.0.into()),
        column("trials", |row| row.1.into()),
    ];
    print(&Table::of(&columns, &rows).text(global.format))?;
    Ok(())
}

/// A row of a trial.
struct Row<'a> {
    index: usize,
    trial: &'a BriefTrial,
    status: &'a TrialStatus,
}

fn trials(global: &Global, survey: &Survey) -> Result<(), Failure> {
    let pairs = survey.trials.iter().zip(&survey.states).enumerate();
    let rows: Vec<Row> = pairs
        .map(|(index, (trial, status))| Row {
            index,
            trial,
            status,
        })
        .collect();
    let columns = [
        column("index", |row: &Row| row.index.into()),
        column("id", |row| row.trial.id.clone().into()),
        column("trial", |row| row.trial.label().into()),
        column("state", |row| row.status.state.name().into()),
        column("attempts", |row| {
            row.status.attempt.as_ref().map_or(0, |it| it.number).into()
        }),
        column("host", |row| {
            let host = row.status.attempt.as_ref().map(|it| it.host.clone());
            host.map_or(Cell::from(serde_json::Value::Null), Cell::from)
        }),
        column("job", |row| {
            let job = row.status.attempt.as_ref().map(|it| it.job.clone());
            job.unwrap_or_default().into()
        }),
        column("seconds", |row| {
            Cell::number(row.status.attempt.as_ref().and_then(|it| it.seconds()))
        }),
        column("why", |row| match &row.status.state {
            State::Failed(why) => why.clone().into(),
            State::GivenUp(why) => (*why).into(),
            _ => "".into(),
        }),
    ];
    print(&Table::of(&columns, &rows).text(global.format))?;
    Ok(())
}

fn engine(global: &Global, experiment: &str) -> Result<(), Failure> {
    let job = launch::job_name(experiment);
    let (tasks, silent) = ask_slurm(&job);
    let columns = [
        column("source", |row: &TaskAccount| row.source.into()),
        column("task", |row| row.task.clone().into()),
        column("state", |row| row.state.clone().into()),
        column("why", |row| row.why.clone().into()),
    ];
    print(&Table::of(&columns, &tasks).text(global.format))?;
    for why in silent {
        complain(&why);
    }
    if tasks.is_empty() {
        global.remark(&format!("no task is known under the job's name, {job}"));
    }
    Ok(())
}

/// One line: the counts, where trials run, and the time left.
fn in_words(survey: &Survey) -> String {
    let mut words = format!("{} of {} done", survey.count("done"), survey.trials.len());
    for name in &STATES[1..] {
        let count = survey.count(name);
        if count > 0 {
            words += &format!(", {count} {name}");
        }
    }
    let hosts = survey.hosts();
    if !hosts.is_empty() {
        let hosts: Vec<String> = hosts
            .iter()
            .map(|(host, n)| format!("{n} on {host}"))
            .collect();
        words += &format!(" ({})", hosts.join(", "));
    }
    if let Some(forecast) = survey.forecast() {
        let left = duration(forecast.seconds);
        let at_once = forecast.at_once;
        words += &if forecast.running {
            let until = files::seconds_since_1970() + forecast.seconds.round() as u64;
            format!(
                "; {left} left, until {}, with {at_once} at once",
                moment(until)
            )
        } else {
            format!("; nothing runs, and the rest takes {left} with {at_once} at once")
        };
    }
    words
}

/// Shows the state until nothing is left.
fn watch(survey: &mut Survey) {
    let live = Live::new(survey.trials.len() as u64);
    let on_terminal = io::stderr().is_terminal();
    let mut before = Vec::new();
    loop {
        let counts = STATES.map(|name| survey.count(name)).to_vec();
        if on_terminal {
            live.show(counts[0] as u64, &lines(survey));
        } else if counts != before {
            complain(&in_words(survey));
        }
        before = counts;
        if survey.open() == 0 {
            break;
        }
        pause(PERIOD);
        survey.refresh();
    }
    live.finish();
}

/// The most trials that a live view lists.
const LISTED: usize = 12;

/// The state on several lines: the counts, then the trials that run.
fn lines(survey: &Survey) -> String {
    let mut text = in_words(survey);
    let now = files::millis_since_1970();
    let pairs = survey.trials.iter().zip(&survey.states);
    let running = pairs.filter(|(_, status)| status.state == State::Running);
    for (trial, status) in running.take(LISTED) {
        if let Some(attempt) = &status.attempt {
            let seconds = now.saturating_sub(attempt.started) as f64 / 1e3;
            let label = trial.label();
            text += &format!("\n  {label}: {} on {}", duration(seconds), attempt.host);
        }
    }
    for (why, count) in survey.reasons().into_iter().take(3) {
        text += &format!("\n  {count} failed: {why}");
    }
    text
}
