//! `aura run`: from a config to a verdict.

use std::path::PathBuf;

use clap::Args;
use clap::builder::RangedU64ValueParser;

use super::{CommandResult, Failure, Global, OpenedRun, compare, complain, jobs, plot};
use crate::compare::phases as phases_of;
use crate::exit::Exit;
use crate::plan::Plan;
use crate::record::World;
use crate::run::{Interrupt, RunOptions, RunReport, Stop};
use crate::store::TidyRow;
use crate::{code, config};

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
  1   a trial failed; the others were run, unless the first ones all failed alike. Or --gate was
      given, and a primary metric is worse or may not be compared
  2   the config is wrong; nothing was run
  3   results cannot be written, or the disk is full
  75  interrupted: run the same command again")]
pub(super) struct Arguments {
    /// The experiment: a TOML or JSON file.
    config: PathBuf,
    /// Set a key of the config, over everything the file says; the value is TOML, a bare word is
    /// text.
    #[arg(long, short, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Set the keys of a file, such as the winner.toml of `aura tune`; --set is stronger.
    #[arg(long, value_name = "FILE")]
    with: Vec<PathBuf>,
    /// How many simulated trials run in parallel. Default: one per core. Real ones run one after
    /// the other.
    #[arg(long, short, value_name = "N")]
    jobs: Option<usize>,
    /// The seeds 1 to N, or FROM to TO: short for `--set seeds=N` or a list.
    #[arg(long, value_name = "N|FROM..TO", value_parser = seeds)]
    seeds: Option<String>,
    /// Run the experiment N times as large: records, operations, memory and sizes of files
    /// together. The results go to NAME-xN. A conclusion should hold there, too.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = scales())]
    scale: u64,
    /// Refuse a plan with more trials than this.
    #[arg(long, value_name = "N", default_value_t = config::TRIALS_MAX)]
    max_trials: u64,
    /// Run finished trials again.
    #[arg(long)]
    force: bool,
    /// Take finished trials that another build of the program ran with the same settings. Without
    /// it they are run again.
    #[arg(long)]
    from_other_code: bool,
    /// End with code 1 if a primary metric is worse under any variant, or may not be compared.
    #[arg(long)]
    gate: bool,
    /// Real world: keep the databases, for `aura verify`.
    #[arg(long)]
    keep: bool,
}

impl Arguments {
    pub(super) fn run(&self, global: &Global) -> CommandResult {
        let mut sets = Vec::new();
        for file in &self.with {
            sets.extend(config::overlay(file)?);
        }
        sets.extend(self.set.iter().cloned());
        sets.extend(self.seeds.as_ref().map(|seeds| format!("seeds={seeds}")));
        let size = config::Size {
            scale: self.scale,
            trials_max: self.max_trials,
        };
        let experiment = config::load(&self.config, &sets, size, &global.targets.known())?;
        let code = code::digest().map_err(Failure::environment)?;
        let plan = Plan::new(&experiment, code);
        for warning in plan.experiment.warnings.iter().chain(&undecidable(&plan)) {
            global.remark(&format!("warning: {warning}"));
        }
        let options = RunOptions {
            results: global.results.clone(),
            jobs: jobs(self.jobs),
            quiet: global.quiet,
            force: self.force,
            from_other_code: self.from_other_code,
            keep: self.keep,
            targets: global.targets,
        };
        if !plan.experiment.question.is_empty() {
            global.remark(&format!("question: {}", plan.experiment.question));
        }
        let interrupt = Interrupt::default();
        let stopper = interrupt.clone();
        ctrlc::set_handler(move || stopper.stop()).map_err(Failure::environment)?;
        let report = crate::run::run(&plan, &options, &interrupt)?;
        self.say_what_was_there(global, &report);
        // What follows reads the plan from its folder, and needs less of it.
        drop((experiment, plan));
        conclude(global, &report, self.gate)
    }
}

/// The most seeds of a range.
const SEEDS_MAX: u64 = 10_000;

/// The value of `seeds` in a config: a number, or a list for `FROM..TO`, both included.
fn seeds(text: &str) -> Result<String, String> {
    let whole = |text: &str| {
        let number = text.parse::<u64>();
        number.map_err(|_| format!("{text:?} is not a whole number; 8 or 9..20, for example"))
    };
    let Some((from, to)) = text.split_once("..") else {
        return whole(text).map(|count| count.to_string());
    };
    let (from, to) = (whole(from)?, whole(to)?);
    if to < from || to - from >= SEEDS_MAX {
        return Err(format!(
            "{from}..{to} is not 1 to {SEEDS_MAX} seeds in order"
        ));
    }
    let list: Vec<String> = (from..=to).map(|seed| seed.to_string()).collect();
    Ok(format!("[{}]", list.join(", ")))
}

/// The scales that an experiment can be run at.
pub(super) fn scales() -> RangedU64ValueParser {
    clap::value_parser!(u64).range(1..=1024)
}

impl Arguments {
    /// Says what of the results is new, and what was there before.
    fn say_what_was_there(&self, global: &Global, report: &RunReport) {
        if let Some(command) = &report.replaced {
            global.remark(&format!(
                "warning: the folder held the results of `{command}`; report and figures are \
                 replaced, its trials are kept"
            ));
        }
        let count = report.of_other_code;
        match (count, self.from_other_code) {
            (0, _) => {}
            (_, true) => global.remark(&format!(
                "warning: {count} trials are of another build of the program, as you wanted"
            )),
            (_, false) => global.remark(&format!(
                "{count} trials were there from another build of the program and were run again; \
                 --from-other-code takes them"
            )),
        }
        global.remark(&format!(
            "{} trials run, {} were there already",
            report.run, report.reused
        ));
        if report.again > 0 {
            global.remark(&format!(
                "{} finished trials were run again, between the new ones of their seed: real \
                 trials are compared only if they ran side by side",
                report.again
            ));
        }
    }
}

/// What the plan can never decide.
fn undecidable(plan: &Plan) -> Option<String> {
    let comparisons = Some(plan.comparisons()).filter(|count| *count > 0)?;
    let real = plan.trials.iter().any(|trial| trial.runs_in(World::Real));
    let world = if real { World::Real } else { World::Simulated };
    crate::compare::undecidable(plan.experiment.seeds.len(), comparisons, world)
}

/// Says why the run ended early. On a full disk nothing more can be written.
fn stopped(stop: &Stop, left: usize) -> Result<(), Failure> {
    match stop {
        Stop::Alike { failed, .. } => {
            complain(&format!(
                "stopped: {failed} trials failed alike, and no more than that succeeded; \
                 {left} trials were not tried"
            ));
            Ok(())
        }
        Stop::DiskFull { why } => Err(Failure::refused(
            format_args!("stopped at a full disk, with {left} trials to go: {why}"),
            "make room and run the same command again: finished trials are kept",
        )),
    }
}

/// Says how many reads found nothing, by phase, over all trials; `None` if all found a value.
fn not_found(rows: &[TidyRow]) -> Option<String> {
    let sum = |phase: &str, metrics: &[&str]| -> f64 {
        let of_phase = rows.iter().filter(|row| row.name.phase == phase);
        of_phase
            .filter(|row| metrics.contains(&row.name.metric.as_str()))
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
fn conclude(global: &Global, report: &RunReport, gate: bool) -> CommandResult {
    for failed in &report.failed {
        complain(&format!("failed: {}: {}", failed.trial, failed.why));
    }
    if let Some(stop) = &report.stop {
        stopped(stop, report.left)?;
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
    let mut worse = false;
    if run.has_variants() {
        match run.comparison() {
            Ok(comparison) => {
                compare::show(global, &comparison, run.context())?;
                worse = gate && compare::is_gated(&comparison);
            }
            // With trials missing there may be nothing to compare; their failure was printed.
            Err(failure) if exit == Exit::Done => return Err(failure),
            Err(_) => {}
        }
    } else {
        for warning in run.all_warnings() {
            global.remark(&format!("warning: {warning}"));
        }
    }
    let hash = run.hash.clone();
    for path in plot::write_all(run)? {
        global.remark(&format!("wrote {}", path.display()));
    }
    global.remark(&format!("content hash {hash}"));
    Ok(if worse { Exit::ClaimFailed } else { exit })
}
