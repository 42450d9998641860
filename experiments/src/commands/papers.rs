//! `aura papers`: claims of papers, put to the test.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{CommandResult, Failure, Global, OpenedRun, complain, interruptible, plot};
use crate::exit::Exit;
use crate::files;
use crate::formats::{Column, Table, column, print};
use crate::papers::{Finding, finding};
use crate::plan::Plan;
use crate::{code, config};

/// Put the claims of papers to the test: their figure, ours, and whether it holds here.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  aura papers
  aura papers experiments/papers/dostoevsky.toml --scale 4
  aura papers my-claims --format csv

Each claim is a config with a table `paper`: source, claim, their figure and set-up, and which of
its comparisons is ours. Its `expect` entries decide. Every config is run as `aura run` does it,
with its figures and report in results/NAME; finished trials are kept.

Prints one row per claim: source, claim, their figure, ours with its 95 % interval, and whether it
holds: \"holds\", \"holds in part\", \"does not hold here\" or \"undecided\", and why.

Exit codes: 0 all were tested, whatever came of them; 1 a trial failed; 2 a config is wrong or
states no claim; 3 results cannot be written; 75 interrupted: run the same command again.")]
pub(super) struct Arguments {
    /// Configs with a claim, or folders of them.
    #[arg(default_value = "experiments/papers")]
    claims: Vec<PathBuf>,
    /// Set a key in all of them, over everything they say.
    #[arg(long, short, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Run them N times as large.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = super::changes::scales())]
    scale: u64,
    /// How many simulated trials run in parallel. Default: one per core.
    #[arg(long, short, value_name = "N")]
    jobs: Option<usize>,
}

const COLUMNS: [Column<Finding>; 7] = [
    column("experiment", |it| it.experiment.as_str().into()),
    column("source", |it| it.source.as_str().into()),
    column("claim", |it| it.claim.as_str().into()),
    column("theirs", |it| it.theirs.as_str().into()),
    column("ours", |it| it.ours.as_str().into()),
    column("holds", |it| it.holds.name().into()),
    column("why", |it| it.why.as_str().into()),
];

impl Arguments {
    pub(super) fn run(&self, global: &Global) -> CommandResult {
        let size = config::Size {
            scale: self.scale,
            ..config::Size::default()
        };
        let mut experiments = Vec::new();
        for path in configs(&self.claims)? {
            let known = global.targets.known();
            let experiment = config::load(&path, &self.set, size, &known)?;
            if experiment.paper.is_none() {
                return Err(Failure::usage(
                    format_args!("{} states no claim", path.display()),
                    "a claim is a table `paper`; `aura run` runs other configs",
                ));
            }
            experiments.push(experiment);
        }
        let interrupt = interruptible()?;
        let options = global.run_options(self.jobs);
        let mut findings = Vec::new();
        let mut exit = Exit::Done;
        for experiment in &experiments {
            global.remark(&format!("{}: {}", experiment.name, experiment.question));
            let plan = Plan::new(experiment, code::digest()?);
            let report = crate::run::run(&plan, &options, &interrupt)?;
            for failed in &report.failed {
                complain(&format!("failed: {}: {}", failed.trial, failed.why));
                exit = Exit::ClaimFailed;
            }
            if !report.failed.is_empty() {
                continue;
            }
            let run = OpenedRun::open(report.folder)?;
            findings.extend(finding(experiment, &run.comparison()?));
            plot::write_all(run)?;
        }
        print(&Table::of(&COLUMNS, &findings).text(global.format))?;
        Ok(exit)
    }
}

/// The configs that are named, or in folders that are, by name.
fn configs(named: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut configs = Vec::new();
    for path in named {
        if !path.is_dir() {
            configs.push(path.clone());
            continue;
        }
        let mut names = files::names(path)?;
        names.retain(|name| Path::new(name).extension().is_some_and(|it| it == "toml"));
        names.sort();
        configs.extend(names.iter().map(|name| path.join(name)));
    }
    if configs.is_empty() {
        let help = "name configs with a table `paper`, or a folder of them";
        return Err(Failure::usage("there is no config", help));
    }
    Ok(configs)
}
