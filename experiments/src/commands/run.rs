//! `aura run`: from a config to a verdict.

use super::compare::{comparison, show};
use super::{Answer, EXIT_CLAIM_FAILED, EXIT_DONE, Failure, Run, figures, jobs, remark, tell};
use crate::cli::{Global, RunArgs};
use crate::config;
use crate::plan::Plan;
use crate::run::{Interrupt, Outcome, RunOptions};

pub(super) fn run(global: &Global, arguments: &RunArgs) -> Answer {
    let mut sets = arguments.set.clone();
    sets.extend(arguments.seeds.map(|seeds| format!("seeds={seeds}")));
    let experiment = config::load(&arguments.config, &sets)?;
    let plan = Plan::new(&experiment);
    let options = RunOptions {
        results: global.results.clone(),
        jobs: jobs(arguments.jobs),
        quiet: global.quiet,
        force: arguments.force,
        keep: arguments.keep,
    };
    if !plan.experiment.question.is_empty() {
        remark(global, &format!("question: {}", plan.experiment.question));
    }
    let interrupt = Interrupt::default();
    let stopper = interrupt.clone();
    ctrlc::set_handler(move || stopper.stop()).map_err(Failure::environment)?;
    let outcome = crate::run::run(&plan, &options, &interrupt)?;
    remark(
        global,
        &format!(
            "{} trials run, {} were there already",
            outcome.run, outcome.reused
        ),
    );
    conclude(global, &outcome)
}

/// Gathers, compares, plots and reports what there is.
fn conclude(global: &Global, outcome: &Outcome) -> Answer {
    for (trial, why) in &outcome.failed {
        tell(&format!("failed: {trial}: {why}"));
    }
    let code = if outcome.failed.is_empty() {
        EXIT_DONE
    } else {
        EXIT_CLAIM_FAILED
    };
    if outcome.run + outcome.reused == 0 {
        return Ok(code);
    }
    let run = Run::open(outcome.folder.clone())?;
    let record = &run.plan.experiment;
    if record.variants.len() > 1 {
        match comparison(&run.rows, &record.compare.against(&record.baseline)) {
            Ok(comparison) => show(global, &comparison)?,
            // With trials missing there may be nothing to compare; their failure has been told.
            Err(failure) if code == EXIT_DONE => return Err(failure),
            Err(_) => {}
        }
    }
    let hash = run.hash.clone();
    for path in figures::write_all(run)? {
        remark(global, &format!("wrote {}", path.display()));
    }
    remark(global, &format!("content hash {hash}"));
    Ok(code)
}
