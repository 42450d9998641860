//! The command `aura`: one file per command, with its arguments, its help and its work.
//!
//! To add a command, add its file (a struct `Arguments` with a method `run`), its `mod` line, and
//! its line in `commands!`. The tests demand that its help has examples, says what is printed, and
//! lists exit codes.
//!
//! Rows go to standard output, everything else to standard error.

mod builds;
mod changes;
mod failure;
mod opened_run;
mod shown_run;

mod ab;
mod cache_sim;
mod calibrate;
mod checkpoint;
mod compare;
mod database;
mod diff;
mod doctor;
mod fidelity;
mod import;
mod index_bench;
mod index_inspect;
mod launch;
mod list;
mod ls;
mod papers;
mod plan;
mod plot;
mod regret;
mod repair;
mod report;
mod run;
mod schema;
mod serve_metrics;
mod status;
mod top;
mod trace;
mod train;
mod trial;
mod tune;
mod verify;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use aura_engine::env::disk::raise_open_files_max;
use clap::{Args, Parser, Subcommand};
use tracing_subscriber::filter::LevelFilter;

use crate::formats::Format;
use crate::parallel;
use crate::run::{Interrupt, RunOptions};
use crate::slice;
use crate::trial::Targets;

use failure::{CommandResult, Failure};
use opened_run::{OpenedRun, run_folder};

/// Declares the commands, in the order of the help: one line each.
macro_rules! commands {
    ($($command:ident in $module:ident,)+) => {
        #[derive(Debug, Subcommand)]
        enum Command {
            $($command($module::Arguments),)+
        }

        impl Command {
            fn run(&self, global: &Global) -> CommandResult {
                match self {
                    $(Self::$command(arguments) => arguments.run(global),)+
                }
            }
        }
    };
}

commands! {
    Run in run,
    Plan in plan,
    Launch in launch,
    Status in status,
    Top in top,
    Ls in ls,
    Tune in tune,
    Train in train,
    List in list,
    Ab in ab,
    Compare in compare,
    Diff in diff,
    Regret in regret,
    Plot in plot,
    Report in report,
    Papers in papers,
    Schema in schema,
    Verify in verify,
    Checkpoint in checkpoint,
    Repair in repair,
    ServeMetrics in serve_metrics,
    Doctor in doctor,
    Calibrate in calibrate,
    Fidelity in fidelity,
    CacheSim in cache_sim,
    Trace in trace,
    Import in import,
    IndexBench in index_bench,
    IndexInspect in index_inspect,
    Trial in trial,
}

/// Experiments on storage policies: from a config to a verdict.
#[derive(Debug, Parser)]
#[command(
    name = "aura",
    version = concat!(env!("CARGO_PKG_VERSION"), ", commit ", env!("AURA_COMMIT")),
    after_help = "\
A first experiment, in under two minutes:
  aura run experiments/configs/quickstart.toml

Then change a setting, and look at what a config may say:
  aura run experiments/configs/quickstart.toml -s engine.cache.size=1MiB -s name=smaller-cache
  aura list policies
  aura compare quickstart smaller-cache

Caches alone, on a trace of yours:
  aura cache-sim requests.csv.zst --policies all --sizes 0.1%,1%,10%

An agent that learns, trained and saved:
  aura train CONFIG -o AGENT.json

More trials than one machine has time for:
  aura plan CONFIG --seeds 100 -o plan.jsonl
  aura launch slurm plan.jsonl --submit
  aura status plan.jsonl --watch

A database: is it whole, a copy of it, what can be saved of it:
  aura verify DIR
  aura checkpoint DIR TARGET
  aura repair DIR --dry-run
  aura serve-metrics DIR

How is the engine, while it runs?
  aura run CONFIG --serve-metrics
  aura top NAME

Is this machine fit to measure on, and what does work cost on it?
  aura doctor
  aura calibrate -o profile.toml

Every command prints its rows on standard output, as --format says, and everything else on standard
error. `aura COMMAND --help` explains a command, with examples.

Exit codes:
  0   done
  1   the claim failed: a trial failed, a repeated trial differs, or a database is damaged
  2   bad usage or config
  3   the environment is refused: files cannot be read or written, or are in use
  75  interrupted: the same command goes on where this one ended"
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

// No doc comment: clap would show it as the description of the whole command.
#[derive(Clone, Debug, Args)]
struct Global {
    /// The folder of all results.
    #[arg(long, global = true, default_value = "results", value_name = "DIR")]
    results: PathBuf,
    /// How rows are written to standard output.
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "FORMAT"
    )]
    format: Format,
    /// Print no progress and no remarks on standard error; errors are still printed.
    #[arg(long, short, global = true)]
    quiet: bool,
    /// Print no colours, as with the variable NO_COLOR.
    #[arg(long, global = true)]
    no_color: bool,
    /// Print what the engines of this process do on standard error: those of simulated trials and
    /// of databases that a command opens. Levels: error, warn, info, debug, trace.
    #[arg(long, global = true, value_name = "LEVEL", value_parser = level)]
    log: Option<LevelFilter>,
    /// What trials can run on. Not an argument: each command has its own.
    #[arg(skip)]
    targets: Targets,
}

impl Global {
    /// How trials are run, unless a command has arguments that say otherwise.
    fn run_options(&self, jobs: Option<usize>) -> RunOptions {
        RunOptions {
            results: self.results.clone(),
            jobs: self::jobs(jobs),
            quiet: self.quiet,
            force: false,
            from_other_code: false,
            keep: false,
            targets: self.targets,
            job: slice::job(variable),
            programs: BTreeMap::new(),
            board: None,
        }
    }

    /// Prints a remark on standard error, unless it is to be quiet.
    fn remark(&self, line: &str) {
        if !self.quiet {
            complain(line);
        }
    }
}

/// What ends a run early when the process is asked to stop.
fn interruptible() -> Result<Interrupt, Failure> {
    let interrupt = Interrupt::default();
    let stopper = interrupt.clone();
    ctrlc::set_handler(move || stopper.stop()).map_err(Failure::environment)?;
    Ok(interrupt)
}

/// A variable of the environment, if it is set and text.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Prints a line on standard error, whether quiet or not.
fn complain(line: &str) {
    // If standard error is closed, nobody reads it.
    drop(writeln!(io::stderr(), "{line}"));
}

/// Reads a level of the log.
fn level(text: &str) -> Result<LevelFilter, String> {
    let level = text.parse::<LevelFilter>();
    level.map_err(|_| format!("{text:?} is not one of error, warn, info, debug, trace"))
}

/// Has `tracing` print events from `level` on. They carry times of the engine's own clock.
fn print_log(level: LevelFilter) {
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(io::stderr)
        .with_ansi(false)
        .without_time()
        .init();
}

/// Waits, as a live view of other processes does between two looks.
#[expect(
    clippy::disallowed_methods,
    reason = "other processes go by this machine's clock"
)]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// How many jobs run in parallel: as asked, or one per core.
fn jobs(asked: Option<usize>) -> usize {
    asked.unwrap_or_else(parallel::cores).max(1)
}

/// Carries out this process's command line on AuraDB, and returns its exit code.
pub fn main() -> ExitCode {
    main_with(Targets::default())
}

/// Carries out this process's command line as a command that has `targets`, and returns its exit
/// code.
pub fn main_with(targets: Targets) -> ExitCode {
    let mut cli = Cli::parse();
    cli.global.targets = targets;
    raise_open_files_max();
    failure::set_look(cli.global.no_color);
    cli.global.log.into_iter().for_each(print_log);
    let exit = match cli.command.run(&cli.global) {
        Ok(exit) => exit,
        Err(Failure { exit, report }) => {
            complain(&format!("{report:?}"));
            exit
        }
    };
    ExitCode::from(exit.code())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// Every command that help lists, and the commands below it, with the words that call it.
    fn commands(command: &clap::Command, call: &str) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for command in command.get_subcommands().filter(|it| !it.is_hide_set()) {
            let call = format!("{call} {}", command.get_name());
            let help = command.get_after_long_help().or(command.get_after_help());
            found.push((
                call.clone(),
                help.map(ToString::to_string).unwrap_or_default(),
            ));
            found.extend(commands(command, &call));
        }
        found
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_teaches_with_examples_output_and_exit_codes() {
        let commands = commands(&Cli::command(), "aura");
        assert!(commands.len() > 12, "{commands:?}");
        for (call, help) in commands {
            assert!(help.contains(&call), "{call} has no example");
            for part in ["Example", "Prints", "Exit codes:"] {
                assert!(help.contains(part), "the help of {call} lacks {part:?}");
            }
            for line in help.lines() {
                assert!(line.chars().count() <= 100, "{call}: {line}");
            }
        }
    }

    #[test]
    fn every_command_says_what_it_does() {
        for command in Cli::command().get_subcommands() {
            let about = command.get_about().map(ToString::to_string);
            assert!(about.is_some_and(|about| about.len() > 20), "{command}");
        }
    }
}
