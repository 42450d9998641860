//! What each verb does. Rows go to standard output, everything else to standard error.

mod cache_sim;
mod compare;
mod database;
mod figures;
mod index_bench;
mod index_inspect;
mod list;
mod run;
mod trace;
mod verify;

use std::fmt;
use std::io::{self, Write};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use miette::{MietteHandlerOpts, Report, miette};

use crate::cli::{Cli, Global, Verb};
use crate::config::{self, ConfigError};
use crate::plan::{EXPERIMENT_FILE, Plan, PlanError};
use crate::rows;
use crate::run::{EXIT_TRY_AGAIN, RunError, run_as_child};
use crate::store::{self, StoreError, TidyRow};

/// Done.
pub const EXIT_DONE: u8 = 0;
/// A trial failed, or a re-run differs.
pub const EXIT_CLAIM_FAILED: u8 = 1;
/// Bad usage or config.
pub const EXIT_USAGE: u8 = 2;
/// The environment is refused: results cannot be written.
pub const EXIT_ENVIRONMENT: u8 = 3;

/// Why a verb stopped, and the exit code that says so.
#[derive(Debug)]
pub struct Failure {
    code: u8,
    report: Report,
}

impl Failure {
    fn usage(message: impl fmt::Display, help: &str) -> Self {
        Self {
            code: EXIT_USAGE,
            report: miette!(help = help, "{message}"),
        }
    }

    fn environment(message: impl fmt::Display) -> Self {
        Self {
            code: EXIT_ENVIRONMENT,
            report: miette!("{message}"),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self {
            code: EXIT_USAGE,
            report: error.into(),
        }
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Results(_) => Self {
                code: EXIT_ENVIRONMENT,
                report: miette!(
                    help = "no trial was run; name another folder with --results",
                    "{error}"
                ),
            },
            RunError::Busy(_) => Self {
                code: EXIT_TRY_AGAIN,
                report: miette!("{error}"),
            },
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::environment(error)
    }
}

impl From<aura_engine::Error> for Failure {
    fn from(error: aura_engine::Error) -> Self {
        use aura_engine::Error;
        let help = match error {
            Error::Locked { .. } => {
                return Self {
                    code: EXIT_TRY_AGAIN,
                    report: miette!("{error}"),
                };
            }
            Error::Corruption { .. } => {
                let help = "`aura repair DIR --dry-run` says what can be saved";
                return Self {
                    code: EXIT_CLAIM_FAILED,
                    report: miette!(help = help, "{error}"),
                };
            }
            Error::Format { .. } => "a newer `aura` reads it",
            Error::Unfinished { .. } => {
                "take the checkpoint again, in another directory or after removing this one"
            }
            Error::Target { .. } => {
                "name a directory that is absent or empty, outside the database's own"
            }
            _ => return Self::environment(error),
        };
        Self::usage(error, help)
    }
}

impl From<PlanError> for Failure {
    fn from(error: PlanError) -> Self {
        Self::usage(error, "name a run's folder, or its name below --results")
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::environment(format_args!("cannot write to standard output: {error}"))
    }
}

type Answer = Result<u8, Failure>;

/// Carries out a command line.
pub fn execute(cli: Cli) -> ExitCode {
    let global = &cli.global;
    dress_errors(global);
    let answer = match cli.verb {
        Verb::Run(arguments) => run::run(global, &arguments),
        Verb::List { what } => list::list(global, what),
        Verb::Compare(arguments) => compare::compare(global, &arguments),
        Verb::Plot { run, kind } => figures::plot(global, &run, &kind),
        Verb::Report { run } => figures::report(global, &run),
        Verb::Schema { what: _ } => schema(),
        Verb::Verify { run, sample, jobs } => verify::verify(global, &run, sample, jobs),
        Verb::Checkpoint { directory, target } => database::checkpoint(global, &directory, &target),
        Verb::Repair { directory, dry_run } => database::repair(global, &directory, dry_run),
        Verb::CacheSim(arguments) => cache_sim::cache_sim(global, &arguments),
        Verb::Trace { verb } => trace::trace(global, &verb),
        Verb::IndexBench(arguments) => index_bench::index_bench(global, &arguments),
        Verb::IndexInspect(arguments) => index_inspect::index_inspect(global, &arguments),
        Verb::Trial { id, folder, keep } => child(&folder, &id, keep),
    };
    let code = answer.unwrap_or_else(|failure| {
        tell(&format!("{:?}", failure.report));
        failure.code
    });
    ExitCode::from(code)
}

/// How errors look: with the place quoted, in colour where that is wanted.
fn dress_errors(global: &Global) {
    let plain = global.no_color;
    let hooked = miette::set_hook(Box::new(move |_| {
        let options = MietteHandlerOpts::new().force_graphical(true).width(120);
        Box::new(if plain { options.color(false) } else { options }.build())
    }));
    hooked.expect("the hook is set once, before the first error");
}

/// A line for people.
fn tell(line: &str) {
    // Whoever closed standard error does not want to know.
    drop(writeln!(io::stderr(), "{line}"));
}

/// A remark that `--quiet` silences.
fn remark(global: &Global, line: &str) {
    if !global.quiet {
        tell(line);
    }
}

fn schema() -> Answer {
    rows::print(&format!("{:#}\n", config::schema()))?;
    Ok(EXIT_DONE)
}

fn child(folder: &Path, id: &str, keep: bool) -> Answer {
    match run_as_child(folder, id, keep) {
        Ok(()) => Ok(EXIT_DONE),
        Err(message) => {
            rows::print(&message)?;
            Ok(EXIT_CLAIM_FAILED)
        }
    }
}

/// How many trials run side by side.
fn jobs(asked: Option<usize>) -> usize {
    asked
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, NonZero::get))
        .max(1)
}

/// The folder of a run that is named by its path, or by its name below the results.
fn run_folder(global: &Global, run: &Path) -> PathBuf {
    let below = global.results.join(run);
    if !run.join(EXPERIMENT_FILE).is_file() && below.join(EXPERIMENT_FILE).is_file() {
        below
    } else {
        run.to_owned()
    }
}

/// A run read back: its plan, and its finished trials' metrics.
struct Run {
    folder: PathBuf,
    plan: Plan,
    rows: Vec<TidyRow>,
    hash: String,
}

impl Run {
    /// Gathers the finished trials of the plan that stands in the folder.
    fn open(folder: PathBuf) -> Result<Self, Failure> {
        let plan = Plan::read(&folder)?;
        let collected = store::collect(&folder, Some(&plan.ids()))?;
        Ok(Self {
            folder,
            plan,
            rows: collected.rows,
            hash: collected.hash,
        })
    }
}
