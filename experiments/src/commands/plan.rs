//! `aura plan`: the trials of an experiment, frozen in a file that another machine can run.

use std::path::PathBuf;

use clap::Args;

use super::changes::Changes;
use super::{CommandResult, Failure, Global, jobs};
use crate::exit::Exit;
use crate::folders::RunFolder;
use crate::formats::{Cell, Format, Table, column, duration, print, shown as amount};
use crate::plan::{Plan, PlannedTrial};
use crate::plan_file::PlanFile;
use crate::point;
use crate::price::{Basis, Earlier, Price, Total};

/// Plan an experiment: check a config, and list or write its trials, to be run elsewhere.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  aura plan quickstart.toml
  aura plan quickstart.toml --seeds 100 -o plan.jsonl
  aura plan quickstart.toml --seeds 100 --price

The file holds all that `aura run --plan FILE` needs, on any machine with this program. A trial's
index is its place in the list; `aura run --plan FILE --index 0..20` runs the first twenty, and
`aura launch` writes the job for a scheduler.

Prints one row per trial: index, id, variant, sweep point and seed; with --price also the mean time,
the most memory and the most disk of its earlier trials in the results folder. Sums and warnings
follow on standard error.

Exit codes: 0 planned; 2 the config is wrong; 3 the file cannot be written.")]
pub(super) struct Arguments {
    /// The experiment: a TOML or JSON file.
    config: PathBuf,
    #[command(flatten)]
    changes: Changes,
    /// Write the plan to this file.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Estimate time, memory and disk from earlier trials in the results folder.
    #[arg(long)]
    price: bool,
    /// For --price: how many simulated trials run in parallel. Default: one per core.
    #[arg(long, short, value_name = "N", requires = "price")]
    jobs: Option<usize>,
}

/// The most rows of a table on a terminal.
const LINES_MAX: usize = 1000;

/// A row of the list.
struct Row<'a> {
    index: usize,
    trial: &'a PlannedTrial,
    price: Option<&'a Price>,
}

impl Arguments {
    pub(super) fn run(&self, global: &Global) -> CommandResult {
        let plan = self.changes.plan(global, &self.config)?;
        for warning in &plan.experiment.warnings {
            global.remark(&format!("warning: {warning}"));
        }
        if let Some(path) = &self.output {
            PlanFile::write(path, &plan)?;
        }
        let prices = if self.price {
            let folder = RunFolder::new(global.results.join(&plan.experiment.name));
            Earlier::read(&folder)?.price(&folder, &plan.trials)
        } else {
            Vec::new()
        };
        list(global, &plan, &prices)?;
        let trials = plan.trials.len();
        global.remark(&match &self.output {
            Some(path) => format!("wrote {trials} trials to {}", path.display()),
            None => format!("{trials} trials; -o FILE writes them for `aura run --plan FILE`"),
        });
        if self.price {
            let in_parallel = if plan.is_real() { 1 } else { jobs(self.jobs) };
            global.remark(&in_words(&Total::of(&prices), trials, in_parallel));
        }
        Ok(Exit::Done)
    }
}

fn list(global: &Global, plan: &Plan, prices: &[Price]) -> Result<(), Failure> {
    let all = plan.trials.len();
    let shown = match global.format {
        Format::Table => all.min(LINES_MAX),
        Format::Json | Format::Csv => all,
    };
    let trials = plan.trials.iter().take(shown).enumerate();
    let rows: Vec<Row> = trials
        .map(|(index, trial)| Row {
            index,
            trial,
            price: prices.get(index),
        })
        .collect();
    let mut columns = vec![
        column("index", |row: &Row| row.index.into()),
        column("id", |row| row.trial.id.clone().into()),
        column("variant", |row| row.trial.variant.clone().into()),
        column("point", |row| point::label(&row.trial.point).into()),
        column("seed", |row| row.trial.seed.into()),
    ];
    if !prices.is_empty() {
        columns.extend([
            column("seconds", |row: &Row| {
                Cell::number(row.price.and_then(|price| price.seconds))
            }),
            column("memory_bytes", |row| {
                bytes(row.price.and_then(|it| it.memory_bytes))
            }),
            column("disk_bytes", |row| {
                let all = |price: &Price| Some(price.results_bytes? + price.database_bytes);
                bytes(row.price.and_then(all))
            }),
            column("earlier", |row| {
                let basis = row.price.map_or(Basis::Nothing, |price| price.basis);
                basis.words().into()
            }),
        ]);
    }
    print(&Table::of(&columns, &rows).text(global.format))?;
    if shown < all {
        let more = all - shown;
        global.remark(&format!("{more} more trials: --format csv prints all"));
    }
    Ok(())
}

fn bytes(bytes: Option<u64>) -> Cell {
    match bytes {
        Some(bytes) => Cell::new(bytes, amount(bytes as f64, "bytes")),
        None => Cell::from(serde_json::Value::Null),
    }
}

/// The sums, and what they do not know.
fn in_words(total: &Total, trials: usize, in_parallel: usize) -> String {
    let known = trials - total.unknown;
    if known == 0 {
        return "the price is unknown: the results folder has no earlier trial of these variants"
            .to_owned();
    }
    let at_once = in_parallel.clamp(1, known);
    let mut words = format!(
        "price: {} of trials, {} with {at_once} in parallel; {} of memory; {} on disk",
        duration(total.seconds),
        duration(total.seconds / at_once as f64),
        amount((total.memory_bytes * at_once as u64) as f64, "bytes"),
        amount(total.disk_bytes as f64, "bytes"),
    );
    if total.unknown > 0 {
        words += &format!("; {} trials are unknown and not in it", total.unknown);
    }
    words
}
