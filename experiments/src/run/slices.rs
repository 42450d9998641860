//! Slices of a plan: several processes, on one machine or many, that run trials in one folder.
//!
//! Slices share the lock of the folder, and a whole run excludes them. The first one freezes the
//! plan; the others find it there. A slice removes nothing but what is left of its own trials.

use std::fs::File;
use std::ops::Range;

use super::{Interrupt, RunError, RunOptions, RunReport, carry_out, make_room, remember, replaced};
use crate::files;
use crate::folders::RunFolder;
use crate::plan_file::PlanFile;
use crate::record::World;
use crate::trial;

/// Runs the trials of `range` that are not finished yet, beside other slices of the plan. Trials of
/// the real world wait for those of other slices on this host.
///
/// # Errors
/// [`RunError`] if the results cannot be written, or another plan is at work there. A trial that
/// fails is no error: it is in the report.
pub fn run_slice(
    file: &PlanFile,
    range: Range<usize>,
    options: &RunOptions,
    interrupt: &Interrupt,
) -> Result<RunReport, RunError> {
    let plan = file.plan_of(range)?;
    let folder = RunFolder::new(options.results.join(&plan.experiment.name));
    make_room(&folder)?;
    let replaced = replaced(&folder, &plan.experiment);
    let _lock = join(&folder, file)?;
    let real = plan.trials.iter().any(|trial| trial.runs_in(World::Real));
    let _turn = if real {
        let lock = folder.host_lock(&trial::host_name());
        Some(files::wait_for_lock(&lock)?)
    } else {
        None
    };
    let report = carry_out(&plan, &folder, options, interrupt, None)?;
    Ok(RunReport { replaced, ..report })
}

/// Freezes the plan unless it is there already, and takes the lock that slices share.
fn join(folder: &RunFolder, file: &PlanFile) -> Result<File, RunError> {
    let busy = || RunError::Busy(folder.path().to_owned());
    let _setup = files::wait_for_lock(&folder.setup_lock())?;
    let alone = files::lock(&folder.lock())?;
    let is_frozen = file.is_frozen_in(folder);
    match &alone {
        Some(_) if is_frozen => {}
        Some(_) => {
            let mut plan = file.plan_of(0..file.len())?;
            remember(folder, &mut plan);
            plan.write(folder)?;
        }
        None if is_frozen => {}
        // Nobody shares a lock that a whole run has.
        None if files::lock_shared(&folder.lock())?.is_none() => return Err(busy()),
        None => return Err(RunError::OtherPlan(folder.path().to_owned())),
    }
    drop(alone);
    files::lock_shared(&folder.lock())?.ok_or_else(busy)
}
