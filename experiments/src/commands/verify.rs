//! `aura verify`: the same config and seed must give the same numbers, and a database must be whole (see [`database`]).

use std::path::{Path, PathBuf};

use super::{Answer, EXIT_CLAIM_FAILED, EXIT_DONE, Failure, database, jobs, remark, run_folder};
use crate::cli::Global;
use crate::metrics;
use crate::plan::{EXPERIMENT_FILE, Plan, PlannedTrial, TRIALS_FOLDER};
use crate::record::{MetricRow, World};
use crate::rows::{self, Rows};
use crate::run::{DONE, side_by_side};
use crate::store::{self, StoredTrial};
use crate::trial;

pub(super) fn verify(
    global: &Global,
    run: &Path,
    sample: Option<usize>,
    asked: Option<usize>,
) -> Answer {
    let folder = run_folder(global, run);
    if !folder.join(EXPERIMENT_FILE).is_file() {
        return database::verify(global, &folder);
    }
    let plan = Plan::read(&folder)?;
    let finished = finished(&folder, &plan);
    if finished.is_empty() {
        return Err(Failure::usage(
            "no simulated trial of this run is finished",
            "run it first: `aura run CONFIG`",
        ));
    }
    let wanted = sample.unwrap_or(finished.len()).clamp(1, finished.len());
    let sampled: Vec<_> = (0..wanted)
        .map(|at| finished[at * finished.len() / wanted])
        .collect();
    let mut answers: Vec<(usize, Result<(), String>)> = Vec::new();
    side_by_side(
        &sampled,
        jobs(asked),
        |trial| run_again(&folder, trial),
        |at, answer| answers.push((at, answer)),
    );
    answers.sort_by_key(|(at, _)| *at);

    let mut rows = Rows::new(["trial", "variant", "point", "seed", "verdict", "difference"]);
    for (at, answer) in &answers {
        let trial = sampled[*at];
        let (verdict, difference) = answer
            .as_ref()
            .map_or_else(|why| ("different", why.as_str()), |()| ("same", ""));
        let point = store::point_label(&trial.point);
        let (id, variant) = (trial.id.as_str().into(), trial.variant.as_str().into());
        rows.push([
            id,
            variant,
            point.into(),
            trial.seed.into(),
            verdict.into(),
            difference.into(),
        ]);
    }
    rows::print(&rows.text(global.format))?;
    let different = answers.iter().filter(|(_, answer)| answer.is_err()).count();
    remark(
        global,
        &format!(
            "{} of {} trials gave the same numbers again",
            answers.len() - different,
            answers.len()
        ),
    );
    Ok(if different == 0 {
        EXIT_DONE
    } else {
        EXIT_CLAIM_FAILED
    })
}

/// The simulated trials that have a result.
fn finished<'a>(folder: &Path, plan: &'a Plan) -> Vec<&'a PlannedTrial> {
    let simulated = |trial: &PlannedTrial| {
        trial
            .settings()
            .is_ok_and(|config| config.world.kind == World::Simulated)
    };
    let done = |trial: &PlannedTrial| {
        folder
            .join(TRIALS_FOLDER)
            .join(&trial.id)
            .join(DONE)
            .is_file()
    };
    plan.trials
        .iter()
        .filter(|trial| done(trial) && simulated(trial))
        .collect()
}

/// Runs a trial again, in memory, and compares.
fn run_again(folder: &Path, trial: &PlannedTrial) -> Result<(), String> {
    let stored = store::read_trial(&folder.join(TRIALS_FOLDER).join(&trial.id))
        .map_err(|error| error.to_string())?;
    // A simulated trial makes no directory.
    let result = trial::run(trial, &stored.manifest.experiment, &PathBuf::new(), false)
        .map_err(|error| error.to_string())?;
    difference(
        &stored,
        &metrics::derive(&result),
        result.manifest.fingerprint,
    )
    .map_or(Ok(()), Err)
}

fn difference(
    stored: &StoredTrial,
    rows: &[MetricRow],
    fingerprint: Option<u64>,
) -> Option<String> {
    if stored.manifest.version != crate::plan::VERSION {
        return Some(format!(
            "run by version {}, this is {}",
            stored.manifest.version,
            crate::plan::VERSION
        ));
    }
    let same = |(a, b): &(&MetricRow, &MetricRow)| {
        (&a.phase, &a.metric, a.value.to_bits()) == (&b.phase, &b.metric, b.value.to_bits())
    };
    if let Some((then, now)) = stored.rows.iter().zip(rows).find(|pair| !same(pair)) {
        let (a, b) = (
            format!("{}/{} = {}", then.phase, then.metric, then.value),
            now,
        );
        return Some(format!(
            "then {a}, now {}/{} = {}",
            b.phase, b.metric, b.value
        ));
    }
    if stored.rows.len() != rows.len() {
        return Some(format!(
            "then {} metrics, now {}",
            stored.rows.len(),
            rows.len()
        ));
    }
    (stored.manifest.fingerprint != fingerprint)
        .then(|| "metrics agree, the order of events does not".to_owned())
}
