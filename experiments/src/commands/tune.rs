//! `aura tune`: settings found by search, confirmed under fresh seeds.

use std::path::PathBuf;

use clap::Args;

use super::changes::scales;
use super::run::end_of_trials;
use super::{CommandResult, Failure, Global, OpenedRun, complain, interruptible, plot};
use crate::code;
use crate::config::{self, Experiment, Size, TRIALS_MAX, Tuning, WINNER};
use crate::exit::Exit;
use crate::folders::RunFolder;
use crate::formats::{Table, print, significant};
use crate::plan::{Plan, VERSION};
use crate::run::RunOptions;
use crate::stats::verdict::Verdict;
use crate::tune::experiments::{confirm_name, confirmation};
use crate::tune::importance::{Importance, KnobImportance, importance};
use crate::tune::session::{Found, Session, TuneError};
use crate::tune::verdict::{COLUMNS, Confirmed, asked, confirmed, with_cost};
use crate::tune::{figures, outputs};

/// Search for better settings: what may be set, what is to improve and what must be kept stand in
/// the config. The same command resumes a search that was interrupted.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  aura tune experiments/configs/tune-memory.toml
  aura tune tune-memory.toml --price
  aura tune tune-memory.toml -s tune.method=random -s tune.points=100 -s tune.seed=2
  aura run tune-memory.toml --with results/tune-memory-tune/winner.toml

A config says what is searched, for example:
  [tune]
  method = \"bayesian\"     # or tpe, cma-es, halving, random, grid
  points = 40             # the budget
  minimize = \"device.read_bytes@reads\"  # or maximize, or cost = { METRIC = WEIGHT, ... }
  constraints = { \"read.latency_p99_us@reads\" = { at_most = 900 } }  # \"1.1x\": of the baseline's
  [[tune.knob]]
  key = \"engine.memtable\"
  min = \"64KiB\"
  max = \"4MiB\"
  [[tune.knob]]
  key = \"engine.compaction.picker\"
  values = [\"min-overlap\", \"round-robin\"]

Every point is laid over the baseline variant and run under the same seeds. Its trials are kept in
results/<name>-tune/ and never run twice, by whichever method. The sequence of points depends on
the seed of the search alone, not on --jobs. A point that breaks a constraint or fails is counted
and never chosen. --set wins over knobs, so that a key that is searched cannot be set. A knob of the
workload or the world needs `compare.across`: its points do not meet the same operations.

At the end the best point and the baseline are run again under fresh seeds, into
results/<name>-tune-confirm/: the best of many looks better than it is. winner.toml says what to
set, undo.toml what was set before (`aura run CONFIG --with FILE`), points.jsonl has every point,
plots/ the best so far and the outcome over each knob. What an earlier search left is replaced.

Prints one row per metric that was improved or kept: baseline, winner and effect as the search saw
them and under fresh seeds, the interval, the verdict, and the drop between the two effects. The
verdict is that of `aura compare`, in the window of the search. The importance of each knob and the
answer in words follow on standard error.

Exit codes:
  0   searched, whatever was found
  1   no point keeps every constraint, or a trial of the confirmation failed; with --gate: the
      winner is not better under fresh seeds, or breaks a constraint there
  2   the config is wrong, or has no table `tune`; nothing was run
  3   results cannot be written, or the disk is full
  75  interrupted: run the same command again")]
pub(super) struct Arguments {
    /// The experiment: a TOML or JSON file with a table `tune`.
    config: PathBuf,
    /// Set a key of the config, over everything the file says.
    #[arg(long, short, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// How many simulated trials run in parallel. Default: one per core.
    #[arg(long, short, value_name = "N")]
    jobs: Option<usize>,
    /// Search the experiment N times as large; the results go to NAME-xN-tune.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = scales())]
    scale: u64,
    /// Run the baseline alone, and say what the search would take.
    #[arg(long)]
    price: bool,
    /// Refuse a search with more trials than this.
    #[arg(long, value_name = "N", default_value_t = TRIALS_MAX)]
    max_trials: u64,
    /// Take finished trials that another build of the program ran with the same settings.
    #[arg(long)]
    from_other_code: bool,
    /// End with code 1 unless the winner is better under fresh seeds.
    #[arg(long)]
    gate: bool,
}

impl From<TuneError> for Failure {
    fn from(error: TuneError) -> Self {
        match error {
            TuneError::Run(error) => error.into(),
            TuneError::Plan(error) => error.into(),
            TuneError::Store(error) => error.into(),
            TuneError::File(error) => error.into(),
            TuneError::Plot(error) => error.into(),
            TuneError::Config(error) => error.into(),
            TuneError::Baseline { .. } => Self::usage(
                error,
                "`aura run` shows which metrics the baseline has, and why a trial fails",
            ),
            TuneError::Stopped(_) => Self::environment(error),
        }
    }
}

impl Arguments {
    pub(super) fn run(&self, global: &Global) -> CommandResult {
        let size = Size {
            scale: self.scale,
            trials_max: self.max_trials,
        };
        let known = global.targets.known();
        let (experiment, mut tuning) = config::load_tuning(&self.config, &self.set, size, &known)?;
        let options = RunOptions {
            from_other_code: self.from_other_code,
            ..global.run_options(self.jobs)
        };
        let interrupt = interruptible()?;
        if !experiment.question.is_empty() {
            global.remark(&format!("question: {}", experiment.question));
        }
        for warning in &tuning.warnings {
            global.remark(&format!("warning: {warning}"));
        }
        let code = code::digest().map_err(Failure::environment)?;
        let session = Session::begin(&experiment, &mut tuning, &options, &interrupt, code)?;
        global.remark(&session.price());
        if self.price {
            return Ok(Exit::Done);
        }
        let found = session.search()?;
        show(global, &experiment, &mut tuning, &found)?;
        if found.best.is_none() {
            complain("no point keeps every constraint: there is nothing to set");
            return Ok(Exit::ClaimFailed);
        }
        if found.baseline.outcome.feasible().is_none() {
            global.remark(&format!(
                "the baseline `{}` breaks a constraint: any point that keeps them is preferred to \
                 it",
                found.baseline.name
            ));
        }
        if !found.is_better() {
            keep_the_baseline(global, &experiment, &found);
            return Ok(self.gated(false));
        }
        let fresh = confirmation(&experiment, &mut tuning, &found)?;
        let report = crate::run::run(&Plan::new(&fresh, code), &options, &interrupt)?;
        let ended = end_of_trials(&report)?;
        let rows = compared(global, &tuning, &found, report.folder)?;
        let exit = self.answer(global, &found, &rows)?;
        Ok(if ended == Exit::Done { exit } else { ended })
    }

    /// The exit code of a search whose winner is better, or not.
    fn gated(&self, is_better: bool) -> Exit {
        if self.gate && !is_better {
            Exit::ClaimFailed
        } else {
            Exit::Done
        }
    }

    /// Prints what fresh seeds say, and the same in words.
    fn answer(&self, global: &Global, found: &Found, rows: &[Confirmed]) -> CommandResult {
        print(&Table::of(&COLUMNS, rows).text(global.format))?;
        let best = found.best.as_ref().map(|best| &best.settings);
        for (key, value) in best.into_iter().flatten() {
            let before = found.baseline.settings.get(key);
            let before = before.map_or("default", String::as_str);
            global.remark(&format!("set {key} = {value} (was {before})"));
        }
        let Some(row) = rows.first() else {
            complain("the fresh seeds give no value of what was improved");
            return Ok(Exit::ClaimFailed);
        };
        let interval = row.low.zip(row.high);
        let interval = interval.map_or_else(String::new, |(low, high)| {
            format!(" [{}, {}]", row.shown(low), row.shown(high))
        });
        global.remark(&format!(
            "{}: {} in the search, {}{interval} under fresh seeds ({} against {}): the winner is \
             {}",
            row.metric,
            shown(row, row.seen.effect),
            shown(row, row.fresh.effect),
            significant(row.fresh.winner),
            significant(row.fresh.baseline),
            match row.verdict {
                Verdict::Better => "better",
                Verdict::Worse => "worse: do not set it",
                Verdict::Equivalent => "no better than the margin",
                _ => "not shown to be better",
            }
        ));
        if !row.note.is_empty() {
            global.remark(&format!(
                "{}: {}: {}",
                row.metric,
                row.verdict.name(),
                row.note
            ));
        }
        for row in rows.iter().filter(|row| row.kept == Some(false)) {
            global.remark(&format!(
                "{} breaks its constraint under fresh seeds: {}",
                row.metric,
                significant(row.fresh.winner)
            ));
        }
        let broken = rows.iter().any(|row| row.kept == Some(false));
        Ok(self.gated(row.verdict == Verdict::Better && !broken))
    }
}

/// An effect in words.
fn shown(row: &Confirmed, effect: Option<f64>) -> String {
    effect.map_or_else(|| "no ratio".to_owned(), |effect| row.shown(effect))
}

/// Says that nothing is to be set.
fn keep_the_baseline(global: &Global, experiment: &Experiment, found: &Found) {
    global.remark(&format!(
        "nothing better than the baseline `{}` was found: keep it",
        found.baseline.name
    ));
    let earlier = RunFolder::new(global.results.join(confirm_name(experiment)));
    if earlier.holds_a_run() {
        let folder = earlier.path().display();
        global.remark(&format!("{folder} is of an earlier search"));
    }
}

/// Says what the search saw, and writes what it leaves.
fn show(
    global: &Global,
    experiment: &Experiment,
    tuning: &mut Tuning,
    found: &Found,
) -> Result<(), Failure> {
    let request = &tuning.request;
    let how = format!(
        "{}, {} points, seed {}",
        request.method.name(),
        found.points.len(),
        request.seed
    );
    global.remark(&format!(
        "{how}: {} break a constraint, {} failed; {} trials run, {} were there already",
        found.infeasible(),
        found.failed(),
        found.run,
        found.reused
    ));
    let failed = found.points.iter().filter(|point| !point.why.is_empty());
    for point in failed.take(FAILURES_SHOWN) {
        global.remark(&format!("failed: {}: {}", point.name, point.why));
    }
    let importance = importance(&tuning.space, found);
    global.remark(&match &importance {
        Ok(importance) => in_words(importance),
        Err(unknown) => format!("the importance of knobs is not known: {unknown}"),
    });
    let heading = format!("{}: {how}, AuraDB {VERSION}.", experiment.name);
    for path in outputs::write(tuning, found, &heading)? {
        global.remark(&format!("wrote {}", path.display()));
    }
    let Tuning { space, goal, .. } = tuning;
    let importance = importance.ok();
    let drawn = figures::figures(space, goal, found, importance.as_ref(), &how, &heading);
    let plots = outputs::save(&drawn, found)?;
    global.remark(&format!("wrote {}", plots.display()));
    Ok(())
}

/// Points without values of which the reason is printed.
const FAILURES_SHOWN: usize = 5;

/// Compares the winner with the baseline under fresh seeds, and reports it as a run: in the windows
/// of the search, and as `aura compare` does.
fn compared(
    global: &Global,
    tuning: &Tuning,
    found: &Found,
    folder: RunFolder,
) -> Result<Vec<Confirmed>, Failure> {
    let run = OpenedRun::open(folder)?;
    let comparison = run.comparison()?;
    for warning in &comparison.warnings {
        global.remark(&format!("warning: {warning}"));
    }
    run.keep_answer(Some(&comparison))?;
    let goal = &tuning.goal;
    let rows = with_cost(goal, &found.baseline.name, run.rows.clone());
    let rows = confirmed(goal, found, &run.compare_at(&rows, WINNER, &asked(goal)));
    for path in plot::write_all(run)? {
        global.remark(&format!("wrote {}", path.display()));
    }
    Ok(rows)
}

/// Says which knobs matter, the most important one first.
fn in_words(importance: &Importance) -> String {
    let mut knobs: Vec<_> = importance.knobs.iter().collect();
    knobs.sort_by(|a, b| b.with_others.total_cmp(&a.with_others));
    let percent = |share: f64| format!("{:.0} %", 100.0 * share);
    let knob = |knob: &&KnobImportance| {
        let (alone, with) = (percent(knob.alone), percent(knob.with_others));
        format!("{} {alone} alone, {with} with others", knob.key)
    };
    let knobs: Vec<String> = knobs.iter().map(knob).collect();
    format!(
        "of the variance over the space: {} (a Gaussian process through {} points, which foretells \
         {} of the variance of points left out)",
        knobs.join("; "),
        importance.points,
        percent(importance.foretold)
    )
}
