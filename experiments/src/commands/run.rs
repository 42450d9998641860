//! `aura run`: from a config to a verdict.

use std::net::SocketAddr;
use std::ops::Range;
use std::path::PathBuf;

use clap::Args;

use super::{CommandResult, Failure, Global, OpenedRun, changes::Changes, shown_run::ShownRun};
use super::{compare, complain, interruptible, plot, regret, variable};
use crate::code;
use crate::compare::{Comparison, phases as phases_of};
use crate::exit::Exit;
use crate::folders::RunFolder;
use crate::plan::Plan;
use crate::plan_file::PlanFile;
use crate::record::World;
use crate::run::{RunOptions, RunReport, Stop};
use crate::slice;
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
  aura run quickstart.toml --serve-metrics 127.0.0.1:9464
  aura run --plan plan.jsonl --index 0..20
  aura run --plan plan.jsonl --index-from-env --slice 20

Everything is checked and frozen in results/<name>/plan.jsonl before the first trial. Finished
trials are kept: after a change of the config, only what is new is run.

With --serve-metrics the engine of a trial under way is shown: to Prometheus at the address, and to
`aura top NAME` in another terminal. One of 61 operations is then timed, which costs a real trial a
little; a simulated one stays the same to the byte.

With --plan the trials are those of a file that `aura plan` wrote; the program must be the one that
planned them. A slice of it (--index) runs its trials beside other slices in one results folder, and
writes no report: when all are done, `aura run --plan plan.jsonl` compares. A slice of real trials
must hold whole seeds, because what is compared must have run side by side.

Prints one row per metric and variant: both means, the effect with its 95 % interval, the p-value
and the verdict. The answer in words, warnings and the content hash follow on standard error.
Figures and report.html are in results/<name>/. A slice has no rows.

Exit codes:
  0   every trial has a result
  1   a trial failed; the others were run, unless the first ones all failed alike. Or --gate was
      given, and a primary metric is worse or may not be compared
  2   the config is wrong; nothing was run
  3   results cannot be written, or the disk is full
  75  interrupted: run the same command again")]
pub(super) struct Arguments {
    /// The experiment: a TOML or JSON file.
    #[arg(required_unless_present = "plan")]
    config: Option<PathBuf>,
    #[command(flatten)]
    changes: Changes,
    /// Run the trials of this plan, as `aura plan` wrote it.
    #[arg(long, value_name = "FILE",
        conflicts_with_all = ["config", "set", "with", "seeds", "scale", "max_trials",
            "from_other_code"])]
    plan: Option<PathBuf>,
    #[command(flatten)]
    slice: Slice,
    /// How many simulated trials run in parallel. Default: one per core. Real ones run one after
    /// the other.
    #[arg(long, short, value_name = "N")]
    jobs: Option<usize>,
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
    /// Serve the metrics of a trial under way at this address. Default: a free port of this
    /// machine.
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, require_equals = true,
        default_missing_value = "127.0.0.1:0")]
    serve_metrics: Option<SocketAddr>,
}

/// Which trials of a plan are run.
#[derive(Clone, Debug, Args)]
struct Slice {
    /// Run these trials of the plan, counted from 0: `3`, or `0..20` for 0 to 19.
    #[arg(long, requires = "plan", value_parser = slice::parse, value_name = "N|FROM..TO")]
    index: Option<Range<usize>>,
    /// Take the index from the environment: `AURA_INDEX`, `SLURM_ARRAY_TASK_ID`, `HQ_TASK_ID`,
    /// `JOB_COMPLETION_INDEX`, or `PARALLEL_SEQ` (which counts from 1).
    #[arg(long, requires = "plan", conflicts_with = "index")]
    index_from_env: bool,
    /// An index stands for N trials in a row.
    #[arg(long, requires = "plan", value_name = "N", default_value = "1", value_parser = size)]
    slice: usize,
}

/// Reads a number of trials, tasks or cores.
pub(super) fn size(text: &str) -> Result<usize, String> {
    let size = text.parse::<usize>().ok().filter(|size| *size > 0);
    size.ok_or_else(|| format!("{text:?} is not a whole number from 1 on"))
}

impl Slice {
    /// The trials of the plan that are asked for; `None` if all are.
    fn of(&self, plan: &PlanFile) -> Result<Option<Range<usize>>, Failure> {
        let bad = |error| Failure::usage(error, "`aura plan` lists the trials and their indexes");
        let index = if self.index_from_env {
            let index = slice::from_environment(variable).map_err(bad)?;
            Some(index..index.saturating_add(1))
        } else {
            self.index.clone()
        };
        let trials = |index| slice::trials(&index, self.slice, plan.len());
        let range = index.map(trials).transpose().map_err(bad)?;
        if let Some(range) = &range {
            check_blocks(plan, range)?;
        }
        Ok(range)
    }
}

/// Refuses a slice that tears apart what is compared in the real world.
fn check_blocks(plan: &PlanFile, range: &Range<usize>) -> Result<(), Failure> {
    if !plan.is_real()? {
        return Ok(());
    }
    let trials = plan.brief()?;
    let advice = match slice::block(&trials) {
        Some(block) => format!("--slice {block}, or a multiple of it, takes whole seeds"),
        None => "take all trials of each seed".to_owned(),
    };
    slice::check_blocks(&trials, range).map_err(|error| Failure::usage(error, &advice))
}

impl Arguments {
    pub(super) fn run(&self, global: &Global) -> CommandResult {
        match (&self.plan, &self.config) {
            (Some(path), _) => self.run_planned(global, &PlanFile::open(path)?),
            (None, Some(config)) => {
                let plan = self.changes.plan(global, config)?;
                self.run_whole(global, plan)
            }
            (None, None) => Err(Failure::usage("no config is named", "aura run CONFIG")),
        }
    }

    /// Runs a plan, and says what came of it.
    fn run_whole(&self, global: &Global, plan: Plan) -> CommandResult {
        for warning in plan.experiment.warnings.iter().chain(&undecidable(&plan)) {
            global.remark(&format!("warning: {warning}"));
        }
        if !plan.experiment.question.is_empty() {
            global.remark(&format!("question: {}", plan.experiment.question));
        }
        let interrupt = interruptible()?;
        let folder = RunFolder::new(global.results.join(&plan.experiment.name));
        let shown = self.show(global, &folder)?;
        let options = self.options(global, shown.as_ref());
        let report = crate::run::run(&plan, &options, &interrupt)?;
        shown.into_iter().for_each(|shown| shown.end(global));
        self.say_what_was_there(global, &report);
        // What follows reads the plan from its folder, and needs less of it.
        drop(plan);
        Ok(conclude(global, &report, self.gate)?.exit)
    }

    /// Runs a plan that was written to a file, or a slice of it.
    fn run_planned(&self, global: &Global, file: &PlanFile) -> CommandResult {
        let (planned, own) = (&file.experiment.code, code::digest()?);
        if planned != own {
            return Err(Failure::refused(
                format_args!(
                    "{} was planned by the program {planned}, and this is {own}",
                    file.path().display()
                ),
                "run the program that planned it, or plan again with this one: results belong to \
                 the code that made them",
            ));
        }
        super::launch::refuse_other_programs(file)?;
        let Some(range) = self.slice.of(file)? else {
            let plan = file.plan_of(0..file.len())?;
            return self.run_whole(global, plan);
        };
        let interrupt = interruptible()?;
        let folder = RunFolder::new(global.results.join(&file.experiment.name));
        let shown = self.show(global, &folder)?;
        let options = self.options(global, shown.as_ref());
        let report = crate::run::run_slice(file, range.clone(), &options, &interrupt)?;
        shown.into_iter().for_each(|shown| shown.end(global));
        let (first, last) = (range.start, range.end - 1);
        global.remark(&format!("trials {first} to {last} of {}", file.len()));
        self.say_counts(global, &report);
        end_of_trials(&report)
    }

    /// Serves the metrics of trials under way, if it is asked for.
    fn show(&self, global: &Global, folder: &RunFolder) -> Result<Option<ShownRun>, Failure> {
        let shown = self.serve_metrics.map(|at| ShownRun::begin(folder, at));
        let shown = shown.transpose()?;
        if let Some(shown) = &shown {
            global.remark(&format!("metrics of a trial under way: {}", shown.url));
        }
        Ok(shown)
    }

    fn options(&self, global: &Global, shown: Option<&ShownRun>) -> RunOptions {
        RunOptions {
            force: self.force,
            from_other_code: self.from_other_code,
            keep: self.keep,
            board: shown.map(|shown| shown.board.clone()),
            ..global.run_options(self.jobs)
        }
    }
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
        self.say_counts(global, report);
    }

    /// Says how many trials were run.
    fn say_counts(&self, global: &Global, report: &RunReport) {
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
    let world = if plan.is_real() {
        World::Real
    } else {
        World::Simulated
    };
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

/// Says which trials have no result, and why the run ended early.
pub(super) fn end_of_trials(report: &RunReport) -> CommandResult {
    for failed in &report.failed {
        complain(&format!("failed: {}: {}", failed.trial, failed.why));
    }
    if let Some(stop) = &report.stop {
        stopped(stop, report.left)?;
    }
    Ok(if report.failed.is_empty() {
        Exit::Done
    } else {
        Exit::ClaimFailed
    })
}

/// How a run ended, and what its variants showed.
pub(super) struct Concluded {
    pub(super) exit: Exit,
    /// `None` if nothing could be compared.
    pub(super) comparison: Option<Comparison>,
}

/// Gathers, compares, plots and reports what there is.
pub(super) fn conclude(
    global: &Global,
    report: &RunReport,
    gate: bool,
) -> Result<Concluded, Failure> {
    let mut concluded = Concluded {
        exit: end_of_trials(report)?,
        comparison: None,
    };
    if report.run + report.reused == 0 {
        return Ok(concluded);
    }
    let run = OpenedRun::open(report.folder.clone())?;
    if let Some(line) = not_found(&run.rows) {
        global.remark(&line);
    }
    if run.has_variants() {
        match run.comparison() {
            Ok(comparison) => {
                compare::show(global, &comparison, run.context())?;
                run.keep_answer(Some(&comparison))?;
                if let Some(config) = &run.plan.experiment.regret {
                    regret::remark(global, &run, config)?;
                }
                if gate && compare::is_gated(&comparison) {
                    concluded.exit = Exit::ClaimFailed;
                }
                concluded.comparison = Some(comparison);
            }
            // With trials missing there may be nothing to compare; their failure was printed.
            Err(failure) if concluded.exit == Exit::Done => return Err(failure),
            Err(_) => {}
        }
    } else {
        run.keep_answer(None)?;
        for warning in run.all_warnings() {
            global.remark(&format!("warning: {warning}"));
        }
    }
    let hash = run.hash.clone();
    for path in plot::write_all(run)? {
        global.remark(&format!("wrote {}", path.display()));
    }
    global.remark(&format!("content hash {hash}"));
    Ok(concluded)
}
