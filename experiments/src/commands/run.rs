//! `aura run`: from a config to a verdict.

use std::path::PathBuf;

use clap::Args;

use super::opened_run::comparison;
use super::{CommandResult, Failure, Global, OpenedRun, compare, complain, jobs, plot};
use crate::compare::phases as phases_of;
use crate::config;
use crate::exit::Exit;
use crate::plan::Plan;
use crate::run::{Interrupt, RunOptions, RunReport};
use crate::store::TidyRow;

/// Run an experiment: plan, run, compare, plot and report. The same command resumes one that was
/// interrupted.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  aura run experiments/configs/quickstart.toml
  aura run quickstart.toml -s workload.records=50000 -s engine.cache.size=512KiB --seeds 3
  aura run quickstart.toml -s 'engine.compaction.layout={ policy = \"leveled\", ratio = 4 }'
  aura run quickstart.toml -s world.kind=real -s world.directory=/mnt/nvme --results /data/results

Everything is checked and frozen in results/<name>/plan.jsonl before the first trial. Finished
trials are kept: after a change of the config, only what is new is run.

Prints one row per metric and variant: both means, the effect with its 95 % interval, the p-value
and the verdict. The answer in words, warnings and the content hash follow on standard error.
Figures and report.html are in results/<name>/.

Exit codes:
  0   every trial has a result
  1   a trial failed; the others were run
  2   the config is wrong; nothing was run
  3   results cannot be written
  75  interrupted: run the same command again")]
pub(super) struct Arguments {
    /// The experiment: a TOML or JSON file.
    config: PathBuf,
    /// Set a key of the config, over everything the file says; the value is TOML, a bare word is
    /// text.
    #[arg(long, short, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// How many simulated trials run in parallel. Default: one per core. Real ones run one after
    /// the other.
    #[arg(long, short, value_name = "N")]
    jobs: Option<usize>,
    /// Short for `--set seeds=N`: the seeds 1 to N.
    #[arg(long, value_name = "N")]
    seeds: Option<u32>,
    /// Run finished trials again.
    #[arg(long)]
    force: bool,
    /// Real world: keep the databases, for `aura verify`.
    #[arg(long)]
    keep: bool,
}

impl Arguments {
    pub(super) fn run(&self, global: &Global) -> CommandResult {
        let mut sets = self.set.clone();
        sets.extend(self.seeds.map(|seeds| format!("seeds={seeds}")));
        let experiment = config::load(&self.config, &sets)?;
        let plan = Plan::new(&experiment);
        let options = RunOptions {
            results: global.results.clone(),
            jobs: jobs(self.jobs),
            quiet: global.quiet,
            force: self.force,
            keep: self.keep,
        };
        if !plan.experiment.question.is_empty() {
            global.remark(&format!("question: {}", plan.experiment.question));
        }
        let interrupt = Interrupt::default();
        let stopper = interrupt.clone();
        ctrlc::set_handler(move || stopper.stop()).map_err(Failure::environment)?;
        let report = crate::run::run(&plan, &options, &interrupt)?;
        global.remark(&format!(
            "{} trials run, {} were there already",
            report.run, report.reused
        ));
        conclude(global, &report)
    }
}

/// Says how many reads found nothing, by phase, over all trials; `None` if all found a value.
fn not_found(rows: &[TidyRow]) -> Option<String> {
    let sum = |phase: &str, metrics: &[&str]| -> f64 {
        let of_phase = rows.iter().filter(|row| row.phase == phase);
        of_phase
            .filter(|row| metrics.contains(&row.metric.as_str()))
            .map(|row| row.value)
            .sum()
    };
    let mut phases = Vec::new();
    for phase in phases_of(rows) {
        let nothing = sum(phase, &["read.not_found"]);
        if nothing > 0.0 {
            let all = sum(phase, &["read.found", "read.not_found"]);
            phases.push(format!("{nothing} of {all} in phase {phase}"));
        }
    }
    (!phases.is_empty()).then(|| {
        format!(
            "reads that found nothing, over all trials: {}",
            phases.join(", ")
        )
    })
}

/// Gathers, compares, plots and reports what there is.
fn conclude(global: &Global, report: &RunReport) -> CommandResult {
    for failed in &report.failed {
        complain(&format!("failed: {}: {}", failed.trial, failed.why));
    }
    let exit = if report.failed.is_empty() {
        Exit::Done
    } else {
        Exit::ClaimFailed
    };
    if report.run + report.reused == 0 {
        return Ok(exit);
    }
    let run = OpenedRun::open(report.folder.clone())?;
    if let Some(line) = not_found(&run.rows) {
        global.remark(&line);
    }
    if run.has_variants() {
        match comparison(&run.rows, &run.compare_settings()) {
            Ok(comparison) => compare::show(global, &comparison)?,
            // With trials missing there may be nothing to compare; their failure was printed.
            Err(failure) if exit == Exit::Done => return Err(failure),
            Err(_) => {}
        }
    }
    let hash = run.hash.clone();
    for path in plot::write_all(run)? {
        global.remark(&format!("wrote {}", path.display()));
    }
    global.remark(&format!("content hash {hash}"));
    Ok(exit)
}
